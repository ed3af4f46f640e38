//! Work beside the stream: deleting what repartition topics and retention no longer need.

use std::sync::Arc;
use std::time::Duration;

use super::TaskList;
use super::shared::Shared;
use crate::log::{Log, LogConsumer, Result};
use crate::time::Clock;

/// The shortest time between two cleanings, and between two attempts while tasks are restored.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest time for which nobody looks at the clock.
const LONGEST: Duration = Duration::from_secs(60);

/// Cleans the log every `interval` until the application stops.
pub(super) fn run(
    log: &dyn Log,
    group: &str,
    tasks: &TaskList,
    clock: &Arc<dyn Clock>,
    interval: Duration,
    shared: &Shared,
) {
    let mut last = clock.elapsed();
    while !shared.is_stopping() {
        let left = interval.saturating_sub(clock.elapsed().saturating_sub(last));
        shared.wait_for_stop(left.clamp(SHORTEST, LONGEST));
        if shared.is_stopping() || clock.elapsed().saturating_sub(last) < interval {
            continue;
        }
        let Some(_cleaning) = shared.cleaning() else { continue };
        last = clock.elapsed();
        if let Err(error) = clean(log, group, tasks, clock) {
            tracing::warn!(%error, "the log could not be cleaned; it is tried again at the next interval");
        }
    }
}

fn clean(log: &dyn Log, group: &str, tasks: &TaskList, clock: &Arc<dyn Clock>) -> Result<()> {
    let admin = log.admin();
    let consumer: Box<dyn LogConsumer> = log.consumer(Some(group))?;
    for input in tasks.internal_inputs() {
        if let Some(committed) = consumer.committed(&input)?
            && committed.offset > consumer.beginning_offset(&input)?
        {
            admin.delete_records(&input, committed.offset)?;
        }
    }
    admin.clean(clock.now())
}
