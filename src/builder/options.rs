//! From where and to where topics are read and written, and how what is kept is kept.

use std::time::Duration;

use super::context::{self, Changes, HeaderChanges, RecordContext};
use super::data::Data;
use super::function::{of_context, of_record};
use super::handle::Handle;
use super::serdes::Serde;
use super::topics::Topics;
use super::yaml::Tree;
use crate::expression::NativeFunction;
use crate::time::Timestamp;

/// What happens to a record that fails.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, OnError, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// // Where nothing else is said: dead letters of what cannot be read, an end where a closure fails.
/// let builder = StreamsBuilder::new("app").dead_letters("dead").on_error(OnError::Fail);
/// let longs = Consumed::with(Serdes::string(), Serdes::long()).on_decode_error(OnError::Skip);
/// let whole = Produced::with(Serdes::string(), Serdes::long()).on_produce_error(OnError::DeadLetter);
/// builder
///     .stream("in", longs)
///     .try_map_values(|number| number.checked_mul(2).ok_or("that is too much"))
///     .on_error(OnError::Skip)
///     .to("out", whole);
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("in", "k", &i64::MAX, 0)?;
/// # driver.pipe("in", "k", &2, 0)?;
/// # assert_eq!(driver.read::<String, i64>("out")?, [("k".to_owned(), 4)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    fn word(self) -> Tree {
        Tree::text(match self {
            OnError::DeadLetter => "dlq",
            OnError::Skip => "skip",
            OnError::Fail => "fail",
        })
    }

    pub(super) fn tree(self, what: &str) -> Tree {
        Tree::map([(what, self.word())])
    }
}

/// How a topic is read.
///
/// ```
/// use signalstream::builder::{Consumed, OnError, Serdes, StreamsBuilder};
/// # use signalstream::builder::Produced;
///
/// let builder = StreamsBuilder::new("app");
/// let messages = Consumed::with(Serdes::string(), Serdes::json::<(i64, String)>())
///     .named("messages")
///     .timestamp(|_, (sent_at, _)| *sent_at)
///     .from_latest()
///     .personal_data()
///     .on_decode_error(OnError::Skip);
/// let texts = builder.stream("shop.messages", messages).map_values(|(_, text)| text);
/// # texts.to("out", Produced::with(Serdes::string(), Serdes::string()).personal_data());
/// # builder.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumed<K, V> {
    name: Option<String>,
    key: Serde<K>,
    value: Serde<V>,
    timestamp: Option<Extractor>,
    fields: Tree,
}

/// What gives the time of a record.
#[derive(Clone)]
enum Extractor {
    OfRecord(NativeFunction),
    OfContext(NativeFunction),
}

impl<K: Data, V: Data> Consumed<K, V> {
    /// Keys and values are written so.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Consumed { name: None, key, value, timestamp: None, fields: Tree::map([]) }
    }

    /// The source's name; that of the topic, of the first of several, if none is given.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The time of a record, in milliseconds since 1970; the record's own, if nothing is said. A record for which there
    /// is an error cannot be decoded.
    pub fn timestamp(mut self, extract: impl Fn(&K, &V) -> Timestamp + Send + Sync + 'static) -> Self {
        self.timestamp = Some(Extractor::OfRecord(of_record(extract)));
        self
    }

    /// The same, which depends also on where the record came from, its own timestamp and headers included.
    pub fn timestamp_with_context(
        mut self,
        extract: impl Fn(&K, &V, &RecordContext) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let extract = of_context::<K, V, _>(move |key, value, context| extract(key, &value, context));
        self.timestamp = Some(Extractor::OfContext(extract));
        self
    }

    /// A new application starts behind the last record, not at the first.
    pub fn from_latest(mut self) -> Self {
        self.fields.set("offset_reset", Tree::text("latest"));
        self
    }

    /// Its records may hold personal data, in the fields that its schema marks, or anywhere. Dead letters of them have no
    /// values, and where it goes is followed; see `docs/personal-data.md`.
    pub fn personal_data(mut self) -> Self {
        self.fields.set("personal_data", Tree::Plain("true".to_owned()));
        self
    }

    /// The same, in these parts: fields of the value, names with `.` between them and `[]` behind that of a list; `key`, or
    /// `key.` and a field of it; `headers`, or `headers.` and a name.
    pub fn personal_data_in<const N: usize>(mut self, parts: [&str; N]) -> Self {
        self.fields.set("personal_data", Tree::List(parts.into_iter().map(Tree::text).collect()));
        self
    }

    /// What happens to a record that cannot be read.
    pub fn on_decode_error(mut self, policy: OnError) -> Self {
        self.fields.set("on_error", policy.tree("decode"));
        self
    }

    /// What a source of these topics is called.
    pub(super) fn name_of(&self, topics: &Topics) -> String {
        self.name.clone().unwrap_or_else(|| topics.name())
    }

    /// The fields of a source of these topics, whose functions are called as the handle says.
    pub(super) fn source(&self, topics: &Topics, handle: &Handle) -> Tree {
        let timestamp = self.timestamp.clone().map(|extract| match extract {
            Extractor::OfRecord(function) => handle.call_with_key("timestamp", function),
            Extractor::OfContext(function) => handle.call_with_context("timestamp", function),
        });
        Tree::map([("topic", topics.of_a_source()), ("key", self.key.tree()), ("value", self.value.tree())])
            .and(self.fields.clone())
            .with("timestamp", timestamp)
    }
}

/// How a topic is written.
///
/// ```
/// use signalstream::builder::{Consumed, HeaderChanges, OnError, Produced, Serdes, StreamsBuilder};
///
/// let builder = StreamsBuilder::new("app");
/// let longs = Produced::with(Serdes::string(), Serdes::long())
///     .headers(HeaderChanges::new().set("sign", |_, number: &i64, _| number.signum().to_string()))
///     .on_produce_error(OnError::Skip);
/// builder.stream("in", Consumed::with(Serdes::string(), Serdes::long())).to("out", longs);
/// builder.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Produced<K, V> {
    key: Serde<K>,
    value: Serde<V>,
    headers: Changes,
    personal_data: Option<Tree>,
    on_error: Tree,
}

impl<K, V> Produced<K, V> {
    /// Keys and values are written so.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Produced { key, value, headers: Changes::new(), personal_data: None, on_error: Tree::map([]) }
    }

    /// Sets headers, or removes them.
    pub fn headers(mut self, changes: HeaderChanges<K, V>) -> Self {
        self.headers.extend(changes.changes);
        self
    }

    /// The topic is for personal data. To any other, a topology that would write some is refused.
    pub fn personal_data(mut self) -> Self {
        self.personal_data = Some(Tree::Plain("true".to_owned()));
        self
    }

    /// The same, for these parts of its records only, named as in [`Consumed::personal_data_in`].
    pub fn personal_data_in<const N: usize>(mut self, parts: [&str; N]) -> Self {
        self.personal_data = Some(Tree::List(parts.into_iter().map(Tree::text).collect()));
        self
    }

    /// What happens to a record that cannot be written.
    pub fn on_produce_error(mut self, policy: OnError) -> Self {
        self.on_error.set("produce", policy.word());
        self
    }

    /// What happens to a record for which the topic or a header cannot be computed.
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.on_error.set("process", policy.word());
        self
    }

    /// The fields of a sink, whose functions are called as the handle says.
    pub(super) fn sink(self, topic: Tree, handle: &Handle) -> Tree {
        let headers = (!self.headers.is_empty()).then(|| context::tree(self.headers, handle));
        Tree::map([("topic", topic), ("key", self.key.tree()), ("value", self.value.tree())])
            .with("headers", headers)
            .with("personal_data", self.personal_data)
            .with("on_error", (!self.on_error.is_empty()).then_some(self.on_error))
    }
}

/// When the changes of a table are handed on.
///
/// ```
/// use std::time::Duration;
///
/// use signalstream::builder::{Emit, Materialized};
///
/// let _every_change = Materialized::named("counts").emit(Emit::OnUpdate);
/// let _final_ones = Materialized::named("counts-of-windows").emit(Emit::OnClose);
/// let _now_and_then = Materialized::named("counts-for-screens").emit(Emit::Every(Duration::from_secs(10)));
/// ```
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
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Emit, Materialized, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("app");
/// let every = Emit::Every(Duration::from_secs(10));
/// builder
///     .stream("in", Consumed::with(Serdes::string(), Serdes::long()))
///     .group_by_key()
///     .count(Materialized::named("counts").store("counts-of-in").emit(every))
///     .to_stream()
///     .to("out", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("in", "k", &7, 0)?;
/// # driver.pipe("in", "k", &7, 0)?;
/// # driver.advance_wall_clock(Duration::from_secs(10))?;
/// # assert_eq!(driver.read::<String, i64>("out")?, [("k".to_owned(), 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        self.store.set("name", Tree::text(name));
        self
    }

    /// How long windows are kept; at least as long as late records need them, which is the default.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.store.set("retention", Tree::duration(retention));
        self
    }

    /// Keeps the versions of each row for this long, for lookups as of a time.
    pub fn versioned(mut self, history: Duration) -> Self {
        self.store.set("versioned", Tree::duration(history));
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
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, Suppressed, Windows};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("app");
/// builder
///     .stream("in", Consumed::with(Serdes::string(), Serdes::long()))
///     .group_by_key()
///     .windowed_by(Windows::tumbling(Duration::from_secs(60)))
///     .count("counts")
///     .suppress("final", Suppressed::until_window_closes().max_records(10_000))
///     .to_stream()
///     .to("out", Produced::with(Serdes::string().windowed(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # for time in [0, 1, 60_000] {
/// #     driver.pipe("in", "k", &7, time)?;
/// # }
/// # assert_eq!(driver.read::<String, i64>("out")?, [("k".to_owned(), 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        self.fields.set("max_records", Tree::number(most));
        self
    }

    /// About how many bytes of keys and values are held back at most.
    pub fn max_bytes(mut self, most: u32) -> Self {
        self.fields.set("max_bytes", Tree::number(most));
        self
    }

    /// When there are more, the earliest go on: the default of a time limit.
    pub fn emit_early_when_full(mut self) -> Self {
        self.fields.set("when_full", Tree::text("emit_early"));
        self
    }

    /// When there are more, the application stops: the default until windows close.
    pub fn stop_when_full(mut self) -> Self {
        self.fields.set("when_full", Tree::text("stop"));
        self
    }

    pub(super) fn tree(&self) -> Tree {
        self.fields.clone()
    }
}
