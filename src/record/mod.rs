//! The datum: its value, its key, where it came from.
//!
//! A value is cheap to clone: short text stands in it, long text and bytes share the payload they were decoded from, lists and
//! structs are counted references. [`Shape`] describes at plan time what a value will be at run time.

mod conform;
mod decimal;
mod fields;
mod provenance;
mod shape;
mod temporal;
mod text;
mod union;
mod utf8;
mod value;
mod values;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::time::Timestamp;
use crate::window::Window;

pub use conform::conform;
pub use decimal::Decimal;
pub use fields::Fields;
pub use provenance::Provenance;
pub use shape::{EnumShape, Field, Shape, StructShape};
pub use temporal::{Temporal, TemporalKind, TemporalUnit, civil, parse_moment};
pub use text::Text;
pub use union::{RecursiveShape, UnionShape};
pub use value::{MapValue, StructValue, Value};
pub use values::Values;

/// A record's key: its value and the bytes it is stored, partitioned and written under.
///
/// The bytes are made once, where the key is made, and serve the partitioner, the state stores and the
/// changelog alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key as expressions see it.
    pub value: Value,
    /// The key as the serde of its topic or store writes it.
    pub encoded: Bytes,
}

/// A topic's partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, counted from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// One header of a record: a name and an optional value, as in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name; names may repeat.
    pub name: Text,
    /// The header's value.
    pub value: Option<Bytes>,
}

/// The headers of a record, in order. Cloning shares them; no headers cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<[Header]>>);

impl Headers {
    /// Headers in the order given.
    pub fn new(headers: Vec<Header>) -> Self {
        if headers.is_empty() { Headers(None) } else { Headers(Some(headers.into())) }
    }

    /// The headers as a slice.
    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The last header of that name, which is the one Kafka's `lastHeader` gives.
    pub fn last(&self, name: &str) -> Option<&Header> {
        self.as_slice().iter().rev().find(|header| header.name == name)
    }
}

/// The input record that a record was derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The partition it was read from, shared by all records of it.
    pub source: Arc<TopicPartition>,
    /// Its offset in that partition.
    pub offset: i64,
}

impl Origin {
    /// The topic it was read from.
    pub fn topic(&self) -> &Arc<str> {
        &self.source.topic
    }

    /// The partition it was read from.
    pub fn partition(&self) -> i32 {
        self.source.partition
    }

    /// That of what derives from no record, but from a time that has come for a task of this partition.
    pub fn of_no_record(partition: i32) -> Self {
        Origin { source: Arc::new(TopicPartition::new("", partition)), offset: -1 }
    }

    /// Whether there is a record behind it.
    pub fn is_record(&self) -> bool {
        self.offset >= 0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_record() {
            true => write!(f, "{} offset {}", self.source, self.offset),
            false => write!(f, "a time that has come in partition {}", self.partition()),
        }
    }
}

/// What flows between operators.
///
/// On a table, `value` is the row after the change ([`Value::Null`] deletes it) and `old` the row before.
#[derive(Clone, Debug)]
pub struct Record {
    /// The key; `None` is Kafka's null key.
    pub key: Option<Key>,
    /// The window of the key, after a windowed aggregation.
    pub window: Option<Window>,
    /// The value; [`Value::Null`] is Kafka's null value: a tombstone.
    pub value: Value,
    /// On a table whose consumers need it, the value before the change. `None`: not known.
    pub old: Option<Value>,
    /// Whether it is the newest of its key. Only a versioned table hands on changes that are not.
    pub latest: bool,
    /// Event time, milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// Headers of the input record.
    pub headers: Headers,
    /// The input record this was derived from.
    pub origin: Origin,
}
