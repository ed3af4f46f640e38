//! The plan of global tables: topics that every process keeps whole.

use crate::expression::{Expression, Projection};
use crate::serdes::Serializer;
use crate::state::StoreSpec;

use super::plan::{JoinKind, Source};

/// A table that every process of the application keeps whole, of all partitions of its topic.
#[derive(Clone, Debug)]
pub struct GlobalTable {
    /// How its topic is read. It feeds no node.
    pub source: Source,
    /// Holds the rows, under the bytes of their keys. It has no changelog: the topic is one.
    pub store: StoreSpec,
}

/// A stream that looks up a global table.
#[derive(Clone, Debug)]
pub struct GlobalJoin {
    /// Inner or left.
    pub kind: JoinKind,
    /// The table, by its position among the topology's.
    pub table: usize,
    /// The table's name.
    pub name: String,
    /// The key that is looked up; the stream's value is local 0. Null finds nothing.
    pub on: Expression,
    /// Writes that key as the table's topic does.
    pub key: Serializer,
    /// The joined value; the stream's value is local 0, the table's local 1 (null where there is none).
    pub value: Projection,
}
