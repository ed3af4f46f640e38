//! The checked plan: what a task runs.
//!
//! The planner makes it from a topology's YAML; `task/` builds operators from it. Nothing here depends on
//! how the topology was written down, and nothing in it can fail for a reason the planner could have found.

mod emission;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agents::Agent;
use crate::expression::{Expression, Projection};
use crate::log::TopicConfig;
use crate::record::{Fields, Shape};
use crate::serdes::{Deserializer, Format, SchemaDescription, SchemaRegistry, Serializer};
use crate::state::{StoreSpec, Versions};
use crate::window::Windows;

pub use super::aggregate_plan::{AggregateKind, NamedAggregate};
pub use super::stream_join::JoinKind;
pub use super::table_plan::{Cogroup, DEDUPLICATE_RETENTION, GroupBy, NEW, OLD, VersionedJoin};
pub use emission::{Emit, Suppress, Until, WhenFull};
pub use topics::{ChosenTopic, HeaderChange, PatternSource, SinkTopic};

use super::foreign_key;
use super::global::{GlobalJoin, GlobalTable};
use super::process::Process;
use super::stream_join::StreamJoin;
use super::taint::{Handles, PersonalData, PersonalParts};

/// A whole application, checked.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The application id: consumer group, prefix of internal topics, name of the state directory.
    pub name: String,
    /// What the author says it does.
    pub description: String,
    /// Parts that share no stream; each runs as one task per partition.
    pub subtopologies: Vec<Arc<Subtopology>>,
    /// Tables that every process keeps whole, beside its tasks.
    pub globals: Vec<GlobalTable>,
    /// Every topic that is read or written, by name.
    pub topics: Vec<Topic>,
    /// Where dead letters go; `None`: nowhere is configured, and no policy asks for it.
    pub dead_letters: Option<DeadLetters>,
    /// The schemas that it was planned with; they know the registry that it works with, if there is one.
    pub schemas: SchemaRegistry,
    /// File and line of what declares each store, by the store's name, as far as that is known; for messages.
    pub places: BTreeMap<String, String>,
    /// What the schemas of its topics say of themselves, by their names.
    pub catalogue: BTreeMap<String, Arc<SchemaDescription>>,
    /// Where personal data comes from and where it lies.
    pub personal_data: PersonalData,
}

/// A topic that the application uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its full name; internal topics start with the application's name.
    pub name: String,
    /// What it is to the application.
    pub role: TopicRole,
    /// How it is created where it is missing. The partitions of a repartition topic without an explicit
    /// number and of a changelog follow their sub-topology's inputs; 0 stands for that.
    pub config: TopicConfig,
    /// What of `config` the author or the engine asks for; the rest is a default, and as good as any other value.
    pub asks: Asks,
    /// How keys are written, for tools that show them.
    pub key: Format,
    /// How values are written, for tools that show them; `None`: the engine's internal encoding.
    pub value: Option<Format>,
}

/// What somebody asks for of how a topic is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The number of partitions.
    pub partitions: bool,
    /// Whether only the last record of each key is kept.
    pub cleanup: bool,
    /// How long records are kept.
    pub retention: bool,
    /// How long tombstones are kept.
    pub delete_retention: bool,
}

impl Asks {
    /// For all of it.
    pub const ALL: Asks = Asks { partitions: true, cleanup: true, retention: true, delete_retention: true };
}

/// What a topic is to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicRole {
    /// Read only.
    Source,
    /// Written only.
    Sink,
    /// Both read and written.
    SourceAndSink,
    /// Internal: carries re-keyed records to the task that owns the new key.
    Repartition,
    /// Internal: backs a store.
    Changelog,
    /// Where dead letters go.
    DeadLetters,
}

/// The dead letter topic.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    /// Its name.
    pub topic: Arc<str>,
    /// Writes the value: an `ErrorEvent` of the shape that `task/` fills in.
    pub value: Serializer,
}

/// A connected part of the application.
#[derive(Clone, Debug)]
pub struct Subtopology {
    /// Its number within the application, from 0, in order of its first source.
    pub id: usize,
    /// What it reads.
    pub sources: Vec<Source>,
    /// What it reads beside, of which it is not known yet what there is.
    pub patterns: Vec<PatternSource>,
    /// The operators, every one after those it takes records from.
    pub nodes: Vec<Node>,
    /// The stores, in the order that [`StoreId`]s count.
    pub stores: Vec<StoreSpec>,
}

/// The position of a node in [`Subtopology::nodes`].
pub type NodeId = usize;
/// The position of a store in [`Subtopology::stores`].
pub type StoreId = usize;

/// Where a node's output goes: which node, and as which of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The receiving node.
    pub node: NodeId,
    /// Which of its inputs this is: the position among a join's inputs, else 0.
    pub input: usize,
}

/// A topic that a sub-topology reads.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name in the topology.
    pub name: String,
    /// The topic.
    pub topic: Arc<str>,
    /// Whether it is one of the application's own repartition topics.
    pub internal: bool,
    /// Whether its records may hold personal data: then dead letters hold nothing of their values.
    pub personal_data: bool,
    /// Whether their keys may: then dead letters have none.
    pub personal_keys: bool,
    /// Whether their timestamps may: then dead letters have the time at which the record failed.
    pub personal_times: bool,
    /// Reads keys.
    pub key: Deserializer,
    /// Reads values: only the fields that the plan uses.
    pub value: Payload,
    /// The fields of the value that the plan uses; what `value` decodes.
    pub fields: Fields,
    /// Event time of a record; `None`: the record's own timestamp.
    pub timestamp: Option<Expression>,
    /// Where a group without a committed offset starts.
    pub offset_reset: OffsetReset,
    /// What to do with a record that cannot be decoded.
    pub on_decode_error: OnError,
    /// What the records are handed to.
    pub outputs: Vec<Edge>,
}

/// How the values of a topic are read.
#[derive(Clone, Debug)]
pub enum Payload {
    /// By a serde.
    Serde(Deserializer),
    /// By the engine's internal encoding of this shape (repartition topics).
    Internal(Shape),
}

/// Where to start without a committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// At the first record that is still there.
    #[default]
    Earliest,
    /// After the last record.
    Latest,
}

/// What happens to a record that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// It goes to the dead letter topic with its reason.
    DeadLetter,
    /// It is dropped and counted.
    Skip,
    /// The task stops with the error.
    #[default]
    Fail,
}

/// One operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name: that of the stream, table or sink it belongs to, and the step's verb and number.
    pub name: String,
    /// What it does.
    pub verb: Verb,
    /// What to do with a record on which an expression fails.
    pub on_process_error: OnError,
    /// What personal data it may come to see.
    pub handles: Handles,
    /// Where its output goes. One list per branch for a branch, per child for a processor; else exactly one list.
    pub outputs: Vec<Vec<Edge>>,
}

/// A new key: how to compute it and how it is written in stores and internal topics.
#[derive(Clone, Debug)]
pub struct KeyMapping {
    /// Computes the key.
    pub expression: Expression,
    /// Writes it: string, long, double or bytes by its shape, JSON for anything else.
    pub serializer: Serializer,
    /// The format that `serializer` writes.
    pub format: Format,
}

/// The verbs, as the operators need them.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a plan has few nodes and is built once")]
pub enum Verb {
    /// Keeps the records for which the condition holds (`filter_not`: does not hold). On a table, a row
    /// that no longer passes becomes a tombstone.
    Filter {
        /// Boolean.
        condition: Expression,
        /// `filter_not`.
        negate: bool,
        /// Whether it filters a table.
        table: bool,
        /// Whether the rows are those of a versioned table, of which something is said always.
        versioned: bool,
    },
    /// `map`, `map_values`, `select_key`. On a table (`table`), null values stay null and `old` is mapped too.
    Map {
        /// The new key, if it changes.
        key: Option<KeyMapping>,
        /// The new value, if it changes.
        value: Option<Projection>,
        /// Whether it maps a table.
        table: bool,
    },
    /// `flat_map`: a list of {key, value}; one record for each.
    FlatMap {
        /// Gives the list.
        items: Expression,
        /// Writes the keys.
        key: Serializer,
    },
    /// `flat_map_values`: a list; one record for each element, under the same key.
    FlatMapValues {
        /// Gives the list.
        items: Expression,
    },
    /// Shows records in the log of the process and passes them on.
    Peek {
        /// What to show.
        message: Projection,
    },
    /// Sends each record to the first branch whose condition holds. Output `n` is branch `n`; records that
    /// match none go to the last output if there is a default, else they are dropped and counted.
    Branch {
        /// One per branch, in order.
        conditions: Vec<Expression>,
        /// Whether a default output follows the branches.
        default: bool,
    },
    /// Records of several streams, as they come.
    Merge,
    /// Sets headers, or removes them.
    SetHeaders {
        /// What changes, in order.
        changes: Vec<HeaderChange>,
    },
    /// Asks an agent and puts its answer into the value.
    Call {
        /// The agent.
        agent: Arc<dyn Agent>,
        /// What it is asked.
        input: Projection,
        /// Builds the new value; the answer is local 0 beside key and value. `None`: the answer is the value.
        into: Option<Projection>,
    },
    /// Hands records to a processor. It has an output for each of its children, else one.
    Process(Process),
    /// Keeps the first record of several alike within a time.
    Deduplicate {
        /// What makes records alike; `None`: their keys.
        by: Option<KeyMapping>,
        /// How far apart they are at the most, in milliseconds; longer than 0.
        within: i64,
        /// Holds the times of those that were kept: a window store of windows as long as `within`.
        store: StoreId,
    },
    /// Makes a table of a stream, or materialises a table source: the last value of each key.
    ToTable {
        /// Holds the rows.
        store: StoreId,
        /// Whether to hand on the old value with the new one.
        sends_old: bool,
        /// Whether its rows come out of a filter, which has nothing to say of rows that were not there and are not.
        filtered: bool,
    },
    /// As [`Verb::ToTable`], with the versions of each key over a time.
    VersionedTable {
        /// Holds the versions.
        versions: Versions,
        /// Whether to hand on the old value with the new one.
        sends_old: bool,
    },
    /// A stream looks up a versioned table, as it was at the record's time.
    StreamVersionedJoin(VersionedJoin),
    /// A table's changes as a stream.
    ToStream,
    /// `group_by` on a table: what a change takes from one group and adds to another, as records of the groups. Values
    /// become changes: structs of a row that is new in its group and one that is not in it any more.
    GroupBy(GroupBy),
    /// Groups by the current key and aggregates.
    Aggregate(Aggregate),
    /// Holds the changes of a table back.
    Suppress(Suppress),
    /// A stream looks up a table.
    StreamTableJoin {
        /// Inner or left.
        kind: JoinKind,
        /// The table's store.
        table: StoreId,
        /// The joined value; the stream's value is local 0, the table's local 1 (null where there is none).
        value: Projection,
    },
    /// A stream looks up a global table.
    StreamGlobalJoin(GlobalJoin),
    /// Two streams joined by their common key, within a span of time.
    StreamStreamJoin(StreamJoin),
    /// Tables joined by their common key; input `n` has its rows in `stores[n]`, which the inputs keep
    /// themselves (they are [`Verb::ToTable`] or aggregates upstream).
    TableTableJoin {
        /// Inner, left (every row needs the first input) or outer.
        kind: JoinKind,
        /// The stores of the inputs, in order.
        stores: Vec<StoreId>,
        /// The joined value; input `n`'s value is local `n` (null where there is none).
        value: Projection,
        /// Whether to hand on the old value with the new one.
        sends_old: bool,
    },
    /// The first part of a foreign-key join: tells the right table which of its rows the left one names.
    ForeignKeySubscribe(foreign_key::Subscribe),
    /// The second part: answers with those rows. Input 0 are the subscriptions, input 1 the table's changes.
    ForeignKeyAnswer(foreign_key::Answer),
    /// The third part: joins the answers.
    ForeignKeyResolve(foreign_key::Resolve),
    /// Writes to a topic.
    Sink(Sink),
}

/// An aggregation of a stream by its key, windowed or not, or of the changes that a grouped table sends.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Holds the state of each group. With windows, keys are [`crate::state::window_key`]s, of sessions
    /// [`crate::state::session_key`]s.
    pub store: StoreId,
    /// The windows, if any.
    pub windows: Option<Windows>,
    /// Tells which windows a key has, for those that lie anywhere (sliding windows and sessions). Keys are
    /// [`crate::state::index_key`]s.
    pub index: Option<StoreId>,
    /// When results are handed on.
    pub emit: Emit,
    /// Which rows have changed since changes were last handed on, for [`Emit::Every`]. Keys are those of the rows;
    /// values are of the shape [`Aggregate::pending_shape`].
    pub pending: Option<StoreId>,
    /// What is computed.
    pub function: Function,
    /// Whether to hand on the old value with the new one.
    pub sends_old: bool,
    /// Whether it takes the changes of a [`Verb::GroupBy`], and subtracts as well as adds.
    pub changes: bool,
    /// How long after its start a window's state is kept, or after its end a session's, in milliseconds; at least
    /// [`Windows::least_retention`].
    pub retention: i64,
    /// Reads keys back from the store, for windows that are handed on when they close.
    pub key: Deserializer,
}

/// What an aggregation computes.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a plan has few nodes and is built once")]
pub enum Function {
    /// `aggregate:` named aggregates side by side. The state is a struct with one field per aggregate.
    Named {
        /// The aggregates, in order.
        aggregates: Vec<NamedAggregate>,
        /// The shape of the state.
        state: Shape,
        /// The shape of the result: a struct with one field per aggregate.
        result: Shape,
    },
    /// `reduce:` combines the state so far (`acc`, local 0) with the next value; the first value is the
    /// first state.
    Reduce {
        /// The new state.
        expression: Projection,
        /// For grouped tables: the state without a value that left the group.
        subtract: Option<Projection>,
    },
    /// `fold:`.
    Fold {
        /// The state before the first record; constant, but may read key and value of the first record.
        init: Projection,
        /// The new state; `acc` is local 0.
        add: Projection,
        /// For grouped tables: the state without a row that left the group; `acc` is local 0.
        subtract: Option<Projection>,
        /// A call that is made after each `add`.
        call: Option<FoldCall>,
        /// The state of two sessions that become one; `acc` is local 0, `other` local 1. Always there for sessions.
        merge: Option<Projection>,
        /// The result; `acc` is local 0. `None`: the state is the result.
        result: Option<Projection>,
    },
    /// `cogroup:`; the aggregation has an input for each of its streams.
    Cogroup(Cogroup),
}

/// A call to an agent within a fold: its answer becomes part of the state.
#[derive(Clone, Debug)]
pub struct FoldCall {
    /// The agent.
    pub agent: Arc<dyn Agent>,
    /// What it is asked; `acc` (after `add`) is local 0.
    pub input: Projection,
    /// Builds the new state; `acc` is local 0, the answer local 1.
    pub into: Projection,
}

/// Writes to a topic.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Where to.
    pub topic: SinkTopic,
    /// Whether it is one of the application's own repartition topics.
    pub internal: bool,
    /// Which of the file's sinks it is, counted from 0; `None`: the application's own.
    pub position: Option<usize>,
    /// What personal data the topic is for.
    pub personal_data: PersonalParts,
    /// Headers that are set or removed.
    pub headers: Vec<HeaderChange>,
    /// Writes keys; `None`: the bytes that the key already has are in the topic's format.
    pub key: Option<Serializer>,
    /// What is written of the record; `None`: its value.
    pub map: Option<Projection>,
    /// Writes values.
    pub value: Encoding,
    /// What to do with a record that cannot be written.
    pub on_produce_error: OnError,
    /// Writes keys as they stand in the topics of others, to choose the partition of an internal topic by: its records meet
    /// theirs. `None`: by the bytes that are written.
    pub partition_key: Option<Serializer>,
    /// Drop (and count) records with a null key instead of writing them (repartition topics).
    pub drops_null_keys: bool,
    /// The field of the value with the partition that a record goes to; `None`: that of its key.
    pub partition: Option<&'static str>,
}

/// How the values of a topic are written.
#[derive(Clone, Debug)]
pub enum Encoding {
    /// By a serde.
    Serde(Serializer),
    /// By the engine's internal encoding of this shape (repartition topics).
    Internal(Shape),
}
