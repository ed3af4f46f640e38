//! Work beside the stream: deleting what repartition topics and retention no longer need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::TaskList;
use crate::log::{Log, LogConsumer, Result};
use crate::time::{self, Clock};

/// How often the flag to stop is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Cleans the log every `interval` until `stop` is set.
pub(super) fn run(
    log: &dyn Log,
    group: &str,
    tasks: &TaskList,
    clock: &Arc<dyn Clock>,
    interval: Duration,
    stop: &AtomicBool,
) {
    let mut last = clock.elapsed();
    while !stop.load(Ordering::Acquire) {
        time::pause(TICK);
        if clock.elapsed().saturating_sub(last) < interval {
            continue;
        }
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
