//! What the checked plan says of groupings and of what is remembered; part of [`super::plan`].

use std::sync::Arc;

#[cfg(doc)]
use super::plan::Verb;
use super::plan::{JoinKind, KeyMapping, StoreId};
use crate::expression::Projection;
use crate::record::StructShape;
use crate::serdes::Deserializer;
use crate::state::Versions;

/// The grouping of a table. Its expressions see key and value of a row alone: they are computed again of the old row
/// when it changes, and must then give what they gave before.
#[derive(Clone, Debug)]
pub struct GroupBy {
    /// The group of a row; one of null is in none.
    pub key: KeyMapping,
    /// What the row is in its group; `None`: the row itself. Null is nothing.
    pub value: Option<Projection>,
    /// The shape of a change: a struct of [`NEW`] and [`OLD`], either of which may be null.
    pub change: Arc<StructShape>,
}

/// How long a [`Verb::Deduplicate`] remembers a record that it kept, in multiples of its `within`: that of a late record,
/// that of one before it, and that of the window in which the kept one lies.
pub const DEDUPLICATE_RETENTION: i64 = 3;

/// The field of a change with the row that is now in the group.
pub const NEW: &str = "new";
/// The field of a change with the row that was in the group before.
pub const OLD: &str = "old";

/// What makes one state of several streams.
#[derive(Clone, Debug)]
pub struct Cogroup {
    /// The state before the first record; reads the key alone.
    pub init: Projection,
    /// The new state after a record of each input; `acc` is local 0.
    pub add: Vec<Projection>,
    /// The state of two sessions that become one; `acc` is local 0, `other` local 1. Always there for sessions.
    pub merge: Option<Projection>,
    /// The result; `acc` is local 0. `None`: the state is the result.
    pub result: Option<Projection>,
}

/// A join of a stream with a versioned table.
#[derive(Clone, Debug)]
pub struct VersionedJoin {
    /// Inner or left.
    pub kind: JoinKind,
    /// The table's stores.
    pub versions: Versions,
    /// The joined value; the stream's value is local 0, the table's local 1 (null where there is none).
    pub value: Projection,
    /// The window store where records wait for stream time to come so many milliseconds further; `None`: they do not.
    pub wait: Option<(StoreId, i64)>,
    /// The shape of a record that waits: its value, headers, and the topic, partition and offset that it came from.
    pub waiting: Arc<StructShape>,
    /// Reads keys back from the store.
    pub key: Deserializer,
}
