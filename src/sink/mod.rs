//! What leaves a task: partitioned and collected until the commit.

mod collector;
mod dead_letter;
mod partitioner;

pub use collector::{CollectError, Outgoing, Partitions, RecordCollector, Target};
pub use dead_letter::{DeadLetterWriter, Failure};
pub use partitioner::{murmur2, partition_for};
