//! How far an application has come, read off its group's committed offsets.

use crate::log::{LogConsumer, Result};
use crate::record::TopicPartition;

/// How far the tasks have come through their inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Offsets committed, from the first that is still there, over all inputs.
    pub committed: u64,
    /// Offsets there are, over all inputs.
    pub total: u64,
}

impl Progress {
    /// Reads the progress of a group through its inputs.
    pub fn read<'a>(
        consumer: &dyn LogConsumer,
        inputs: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<Progress> {
        let mut progress = Progress::default();
        for input in inputs {
            let first = consumer.beginning_offset(input)?;
            let end = consumer.end_offset(input)?;
            let committed = consumer.committed(input)?.map_or(first, |committed| committed.offset.max(first));
            progress.total += u64::try_from(end - first).unwrap_or(0);
            progress.committed += u64::try_from(committed.min(end) - first).unwrap_or(0);
        }
        Ok(progress)
    }

    /// Whether everything that is in the inputs has been committed. Asks no more than it takes to know that it is not:
    /// brokers have better things to do while a group is at work.
    pub fn has_reached_end<'a>(
        consumer: &dyn LogConsumer,
        inputs: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<bool> {
        for input in inputs {
            let end = consumer.end_offset(input)?;
            let committed = consumer.committed(input)?.map_or(0, |committed| committed.offset);
            // What was deleted needs no commit.
            if committed < end && consumer.beginning_offset(input)? < end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether every record there was has been committed.
    pub fn is_complete(&self) -> bool {
        self.committed == self.total
    }
}
