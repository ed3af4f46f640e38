//! Chooses the next record of a task: the one with the lowest timestamp over its input partitions.

mod decode;
mod partition_group;

pub use decode::{DecodeError, KEY_SCHEMA, SourceDecoder, VALUE_SCHEMA, without};
pub use partition_group::{Chosen, Next, PartitionGroup, Sight};
