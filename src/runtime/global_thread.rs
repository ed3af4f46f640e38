//! The thread that keeps the global tables of an application up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::connections::ThreadParts;
use crate::error::{Classified, ErrorClass};
use crate::log::TopicConfig;
use crate::metrics::Counters;
use crate::state::GlobalTables;
use crate::task::{GlobalError, GlobalReader};
use crate::topology::plan::Topology;

/// How many records one fetch brings.
const FETCH_RECORDS: usize = 1_000;
/// How long a fetch waits for records; a stop ends the waiting.
const FETCH_TIMEOUT: Duration = Duration::from_millis(500);
/// Time between two lines of the log about topics that cannot be read.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Reads the topics of global tables until the application stops. Tasks wait for it before they begin.
pub(super) struct GlobalThread {
    pub(super) parts: ThreadParts,
    pub(super) topology: Topology,
    pub(super) topics: BTreeMap<String, TopicConfig>,
    pub(super) tables: Arc<GlobalTables>,
}

impl GlobalThread {
    /// Works until the application stops; a failure that would stay stops it.
    pub(super) fn run(self) {
        let mut backoff = Backoff::default();
        while !self.parts.shared.is_stopping() {
            match self.follow(&mut backoff) {
                Ok(()) => {}
                Err(error) if error.class() == ErrorClass::Retry => {
                    if backoff.is_due_for_report(REPORT_INTERVAL) {
                        let application = &self.parts.opener.application;
                        tracing::warn!(%application, %error, "global tables are not up to date; their topics are tried again");
                    }
                    self.parts.shared.wait_for_stop(backoff.next_delay());
                }
                Err(error) => self.parts.shared.fail(error.into()),
            }
        }
    }

    fn follow(&self, backoff: &mut Backoff) -> Result<(), GlobalError> {
        let ThreadParts { log, clock, shared, name, .. } = &self.parts;
        let (tables, max_ahead) = (self.tables.clone(), self.parts.options.task.max_timestamp_ahead);
        let mut reader = GlobalReader::new(&self.topology, &self.topics, tables, log.as_ref(), clock.now(), max_ahead)?;
        shared.register(name, vec![reader.waker()]);
        let mut counters = Counters::default();
        while !shared.is_stopping() {
            let polled = reader.poll(FETCH_RECORDS, FETCH_TIMEOUT, clock.now(), &mut counters);
            if counters != Counters::default() {
                counters.publish(&self.topology.name, "global");
                shared.committed(&std::mem::take(&mut counters));
            }
            polled?;
            *backoff = Backoff::default();
        }
        reader.close(clock.now())
    }
}
