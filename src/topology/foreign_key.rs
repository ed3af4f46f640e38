//! The plan of a foreign-key join of two tables, which lie in different tasks; part of [`super::plan`].
//!
//! A row of the left table names a row of the right one. Three nodes work together: beside the left table, a
//! [`Subscribe`] tells the task of the named row who names it; beside the right table, an [`Answer`] remembers that and
//! answers with the row, then and at each of its changes; beside the left table again, a [`Resolve`] joins answers with
//! the rows that asked, and discards those for rows that are not there any more (KIP-213).

use std::sync::Arc;

use super::plan::{JoinKind, StoreId};
use crate::expression::{Expression, Projection};
use crate::record::{Shape, StructShape};
use crate::serdes::Serializer;

/// The field of an answer with the partition of the row that asked.
pub const PARTITION: &str = "partition";

/// Tells the right table which of its rows are named.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Inner or left.
    pub kind: JoinKind,
    /// The key that a row names; the row is local 0. Null names none.
    pub on: Expression,
    /// Writes that key as the right table does.
    pub key: Serializer,
    /// The shape of the rows.
    pub row: Shape,
    /// What is sent: [`subscription_shape`].
    pub subscription: Arc<StructShape>,
}

/// Answers with the rows that are named.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who names which row.
    pub subscriptions: StoreId,
    /// The rows of the right table.
    pub rows: StoreId,
    /// What is remembered of a subscription: [`remembered_shape`].
    pub remembered: Arc<StructShape>,
    /// What is sent: [`answer_shape`].
    pub answer: Arc<StructShape>,
}

/// Joins answers with the rows that asked.
#[derive(Clone, Debug)]
pub struct Resolve {
    /// Inner or left.
    pub kind: JoinKind,
    /// The rows of the left table.
    pub rows: StoreId,
    /// The keys of joined rows that were handed on and not deleted since; inner joins only.
    pub joined: Option<StoreId>,
    /// The shape of the left rows.
    pub row: Shape,
    /// The joined value; the left row is local 0, the right one local 1 (null where there is none).
    pub value: Projection,
}

/// The left key, the hash of the left row, what is to be done, and the left row's partition.
pub fn subscription_shape() -> Shape {
    let fields = [
        ("key", Shape::Bytes),
        ("hash", Shape::Bytes.optional()),
        ("instruction", Shape::Int),
        (PARTITION, Shape::Int),
    ];
    Shape::structure("", fields)
}

/// The hash of the left row and its partition. The keys are the store's.
pub fn remembered_shape() -> Shape {
    Shape::structure("", [("hash", Shape::Bytes.optional()), (PARTITION, Shape::Int)])
}

/// The hash of the left row that asked, the right row, whether it matters only if there was a joined row before, and
/// the left row's partition.
pub fn answer_shape(row: Shape) -> Shape {
    let fields =
        [("hash", Shape::Bytes.optional()), ("row", row.optional()), ("quiet", Shape::Bool), (PARTITION, Shape::Int)];
    Shape::structure("", fields)
}
