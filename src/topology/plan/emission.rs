//! When the changes of tables are handed on.

use super::{Aggregate, StoreId};
use crate::record::{Provenance, Shape};
use crate::serdes::Deserializer;
use crate::window::Windows;

impl Aggregate {
    /// What is kept of a row that has changed: whether there was one before, and what caused the last change.
    pub fn pending_shape() -> Shape {
        Shape::structure("", [("was_there", Shape::Bool), ("cause", Provenance::shape())])
    }
}

/// When results are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// At each update; with caching on, once per key and commit.
    OnUpdate,
    /// Once, when the window has closed (its end and grace have passed).
    OnClose,
    /// What has changed, whenever the wall clock passes a multiple of the interval, in milliseconds.
    Every {
        /// The interval; longer than zero.
        interval: i64,
    },
}

/// Holds the changes of a table back.
#[derive(Clone, Debug)]
pub struct Suppress {
    /// The changes that are held back, in the order in which they are due.
    pub buffer: StoreId,
    /// When the change of a key is due, where its window does not tell.
    pub index: Option<StoreId>,
    /// Until when.
    pub until: Until,
    /// How many changes are held back at most.
    pub max_records: Option<u64>,
    /// About how many bytes of keys and values are held back at most.
    pub max_bytes: Option<u64>,
    /// Whether the earliest changes go on when there are more, or the task stops.
    pub when_full: WhenFull,
    /// The windows of the keys.
    pub windows: Option<Windows>,
    /// Reads keys back.
    pub key: Deserializer,
}

impl Suppress {
    /// What is kept of a change: the row after it, the row that was last handed on and whether that is known, and what
    /// caused it. `value` is the shape of the rows.
    pub fn shape(value: &Shape) -> Shape {
        let fields = [
            ("value", value.clone().optional()),
            ("old", value.clone().optional()),
            ("old_is_known", Shape::Bool),
            ("cause", Provenance::shape()),
        ];
        Shape::structure("", fields)
    }
}

/// Until when changes are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until the window of the key is over: stream time reaches its end and this much, in milliseconds.
    WindowCloses {
        /// Grace, and the gap of sessions.
        after: i64,
    },
    /// For this long after the first change that is held back of the key, in milliseconds of stream time.
    TimeLimit {
        /// How long.
        limit: i64,
    },
}

/// What happens when more changes are held back than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The earliest go on.
    EmitEarly,
    /// The task stops.
    Stop,
}
