//! How topics are read and written, and how what is kept is kept.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::data::{Data, Windowed};
use super::function::native_of;
use super::yaml::Tree;
use crate::expression::NativeFunction;
use crate::serdes::Format;
use crate::time::Timestamp;

/// How keys or values of a type are written in a topic.
pub struct Serde<T> {
    pub(super) format: Format,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Serde<T> {
    fn clone(&self) -> Self {
        Serde { format: self.format.clone(), types: PhantomData }
    }
}

impl<T> fmt::Debug for Serde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serde({})", self.format)
    }
}

impl<T> Serde<T> {
    fn of(format: Format) -> Self {
        Serde { format, types: PhantomData }
    }

    /// The same where there may be none: null keys, and tombstones.
    pub fn nullable(self) -> Serde<Option<T>> {
        Serde::of(self.format)
    }

    /// Writes keys with a window, without it.
    pub fn windowed(self) -> Serde<Windowed<T>> {
        Serde::of(self.format)
    }

    pub(super) fn tree(&self) -> Tree {
        match &self.format {
            Format::Avro(name) => Tree::map([("avro", Tree::text(name))]),
            Format::RawAvro(name) => Tree::map([("avro", Tree::text(name)), ("framing", Tree::text("none"))]),
            format => Tree::text(&format.to_string()),
        }
    }
}

/// The formats that there are.
#[derive(Clone, Copy, Debug)]
pub struct Serdes;

impl Serdes {
    /// UTF-8 text, as Kafka's `StringSerializer` writes it.
    pub fn string() -> Serde<String> {
        Serde::of(Format::String)
    }

    /// Eight bytes, big-endian, as Kafka's `LongSerializer` writes it.
    pub fn long() -> Serde<i64> {
        Serde::of(Format::Long)
    }

    /// Eight bytes, big-endian IEEE 754, as Kafka's `DoubleSerializer` writes it.
    pub fn double() -> Serde<f64> {
        Serde::of(Format::Double)
    }

    /// Bytes as they are. A type that writes itself as bytes to serde is written; what is only read may be a `Vec<u8>`.
    pub fn bytes<T: Data>() -> Serde<T> {
        Serde::of(Format::Bytes)
    }

    /// JSON without a schema.
    pub fn json<T: Data>() -> Serde<T> {
        Serde::of(Format::Json)
    }

    /// Avro of the schema of that name, which the builder's registry has.
    pub fn avro<T: Data>(schema: &str) -> Serde<T> {
        Serde::of(Format::Avro(schema.to_owned()))
    }

    /// As [`Serdes::avro`], with no schema id in front of the value: who reads it must know the very schema.
    pub fn raw_avro<T: Data>(schema: &str) -> Serde<T> {
        Serde::of(Format::RawAvro(schema.to_owned()))
    }
}

/// What happens to a record that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It goes to the dead letter topic with its reason; see [`dead_letters`](super::StreamsBuilder::dead_letters).
    DeadLetter,
    /// It is dropped and counted.
    Skip,
    /// The application stops with the error.
    Fail,
}

impl OnError {
    pub(super) fn tree(self, what: &str) -> Tree {
        let word = match self {
            OnError::DeadLetter => "dlq",
            OnError::Skip => "skip",
            OnError::Fail => "fail",
        };
        Tree::map([(what, Tree::text(word))])
    }
}

/// How a topic is read.
pub struct Consumed<K, V> {
    name: Option<String>,
    pub(super) key: Serde<K>,
    pub(super) value: Serde<V>,
    pub(super) timestamp: Option<NativeFunction>,
    fields: Tree,
}

impl<K: Data, V: Data> Consumed<K, V> {
    /// Keys and values are written so.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Consumed { name: None, key, value, timestamp: None, fields: Tree::map([]) }
    }

    /// The source's name; the topic's, if none is given.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The time of a record, in milliseconds since 1970; the record's own, if nothing is said. A record for which there
    /// is an error cannot be decoded.
    pub fn timestamp(mut self, extract: impl Fn(&K, &V) -> Timestamp + Send + Sync + 'static) -> Self {
        self.timestamp = Some(native_of::<V, _>(2, 1, move |given| Ok(extract(&given.get(0)?, &given.get(1)?))));
        self
    }

    /// A new application starts behind the last record, not at the first.
    pub fn from_latest(mut self) -> Self {
        self.fields.insert("offset_reset", Tree::text("latest"));
        self
    }

    /// Its records may hold personal data: dead letters of them have no values.
    pub fn personal_data(mut self) -> Self {
        self.fields.insert("personal_data", Tree::Plain("true".to_owned()));
        self
    }

    /// What happens to a record that cannot be read.
    pub fn on_decode_error(mut self, policy: OnError) -> Self {
        self.fields.insert("on_error", policy.tree("decode"));
        self
    }

    pub(super) fn name_or(&self, topic: &str) -> String {
        self.name.clone().unwrap_or_else(|| topic.to_owned())
    }

    pub(super) fn tree(&self, topic: &str) -> Tree {
        let mut tree =
            Tree::map([("topic", Tree::text(topic)), ("key", self.key.tree()), ("value", self.value.tree())]);
        if let Tree::Map(fields) = &self.fields {
            fields.iter().for_each(|(name, field)| tree.insert(name, field.clone()));
        }
        tree
    }
}

/// How a topic is written.
#[derive(Clone, Debug)]
pub struct Produced<K, V> {
    pub(super) key: Serde<K>,
    pub(super) value: Serde<V>,
    pub(super) on_error: Option<OnError>,
}

impl<K, V> Produced<K, V> {
    /// Keys and values are written so.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Produced { key, value, on_error: None }
    }

    /// What happens to a record that cannot be written.
    pub fn on_produce_error(mut self, policy: OnError) -> Self {
        self.on_error = Some(policy);
        self
    }
}

/// When the changes of a table are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// At each update; with caching on, once per key and commit.
    OnUpdate,
    /// Once, when the window and its grace have passed.
    OnClose,
    /// At this interval of the wall clock.
    Every(Duration),
}

/// A table that is kept: its name, which its store has too, and how it is kept. A `&str` is one that says no more.
#[derive(Clone, Debug)]
pub struct Materialized {
    pub(super) name: String,
    store: Tree,
    emit: Option<Tree>,
}

impl Materialized {
    /// A table of this name. Its changelog is named after it, so that it stays the same when others come and go.
    pub fn named(name: &str) -> Self {
        Materialized { name: name.to_owned(), store: Tree::map([]), emit: None }
    }

    /// Its store has another name.
    pub fn store(mut self, name: &str) -> Self {
        self.store.insert("name", Tree::text(name));
        self
    }

    /// How long windows are kept; at least as long as late records need them, which is the default.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.store.insert("retention", Tree::duration(retention));
        self
    }

    /// Keeps the versions of each row for this long, for lookups as of a time.
    pub fn versioned(mut self, history: Duration) -> Self {
        self.store.insert("versioned", Tree::duration(history));
        self
    }

    /// When changes of an aggregation are handed on.
    pub fn emit(mut self, emit: Emit) -> Self {
        self.emit = Some(match emit {
            Emit::OnUpdate => Tree::text("on_update"),
            Emit::OnClose => Tree::text("on_close"),
            Emit::Every(interval) => Tree::map([("every", Tree::duration(interval))]),
        });
        self
    }

    /// The fields of its table.
    pub(super) fn add_to(&self, table: Tree) -> Tree {
        table.with("emit", self.emit.clone()).with("store", self.store_tree())
    }

    pub(super) fn store_tree(&self) -> Option<Tree> {
        (!self.store.is_empty()).then(|| self.store.clone())
    }
}

impl From<&str> for Materialized {
    fn from(name: &str) -> Self {
        Materialized::named(name)
    }
}

/// Until when `suppress` holds the changes of a table back; only the last one of each key goes on.
#[derive(Clone, Debug)]
pub struct Suppressed {
    fields: Tree,
}

impl Suppressed {
    /// Until the window of the key is over: what goes on is final.
    pub fn until_window_closes() -> Self {
        Suppressed { fields: Tree::map([("until", Tree::text("window_closes"))]) }
    }

    /// For this long after the first change that is held back, in stream time.
    pub fn until_time_limit(limit: Duration) -> Self {
        Suppressed { fields: Tree::map([("until", Tree::duration(limit))]) }
    }

    /// How many changes are held back at most.
    pub fn max_records(mut self, most: u32) -> Self {
        self.fields.insert("max_records", Tree::number(most));
        self
    }

    /// About how many bytes of keys and values are held back at most.
    pub fn max_bytes(mut self, most: u32) -> Self {
        self.fields.insert("max_bytes", Tree::number(most));
        self
    }

    /// When there are more, the earliest go on: the default of a time limit.
    pub fn emit_early_when_full(mut self) -> Self {
        self.fields.insert("when_full", Tree::text("emit_early"));
        self
    }

    /// When there are more, the application stops: the default until windows close.
    pub fn stop_when_full(mut self) -> Self {
        self.fields.insert("when_full", Tree::text("stop"));
        self
    }

    pub(super) fn tree(&self) -> Tree {
        self.fields.clone()
    }
}
