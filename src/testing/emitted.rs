//! What a driver's transactions write, as it is written.

use crate::log::ProducerRecord;
use crate::task::transaction::{CommitObserver, CommitStep};

/// Notes the records of a transaction in the order in which they were sent, and stops it where asked.
#[derive(Default)]
pub(super) struct Emitted {
    /// The records.
    pub(super) records: Vec<ProducerRecord>,
    /// Whether the log has committed them.
    pub(super) committed: bool,
    /// Where to stop, as a crash would.
    pub(super) stop_at: Option<CommitStep>,
}

impl CommitObserver for Emitted {
    fn reached(&mut self, step: CommitStep) -> bool {
        self.committed |= matches!(step, CommitStep::Committed | CommitStep::StoresWritten);
        self.stop_at != Some(step)
    }

    fn sending(&mut self, record: &ProducerRecord) {
        self.records.push(record.clone());
    }
}
