//! The language as types: one annotated definition gives parsing, its documentation and its JSON Schema.

mod joins;
pub(crate) mod lower;
mod nodes;
mod personal_data;
pub(crate) mod scalars;
mod steps;
mod topics;
mod windows;

pub(crate) use joins::{JoinKindSpec, JoinSpec, WithinSpec};
pub(crate) use lower::{Lower, Name, Named};
pub(crate) use nodes::*;
pub use personal_data::RecordPart;
pub(crate) use personal_data::{PersonalDataSpec, PersonalPart};
pub(crate) use steps::{BranchSpec, CallSpec, DeduplicateSpec, MapSpec, ProcessSpec, Step, StepSpec};
pub(crate) use topics::{HeadersSpec, Origins, SinkTopicSpec, SourceTopics};
pub(crate) use windows::{EmitKind, SuppressSpec, UntilSpec, WhenFullSpec, WindowKind, WindowSpec};

use lower::{choice, mapping};
use scalars::{Count, FormatSpec, Formula, Millis, Prose, Retention, Template};

mapping! {
    /// A topology: what it reads, what it derives, what it writes.
    TopologySpec = "a topology" {
        /// The application id: consumer group, prefix of internal topics and name of the state directory.
        expected topology: Name,
        /// What it does, for people.
        optional description: Prose,
        /// What holds where sources and sinks say nothing.
        optional defaults: DefaultsSpec,
        /// How topics are created that are missing, by name.
        optional topics: Named<TopicSpec>,
        /// The topics that are read, by the name that the rest of the file uses.
        optional sources: Named<SourceSpec>,
        /// Streams of records, derived from sources, tables and other streams.
        optional streams: Named<StreamSpec>,
        /// Tables: the last value of each key.
        optional tables: Named<TableSpec>,
        /// What is written to topics.
        optional sinks: Vec<SinkSpec>,
    }
    later ["processors", "global_tables"]
}

mapping! {
    /// What holds where sources, nodes and sinks say nothing.
    DefaultsSpec = "defaults" {
        /// How keys are written.
        optional key: FormatSpec,
        /// How values are written.
        optional value: FormatSpec,
        /// The dead letter topic: where records go that fail, with the reason.
        optional dlq: Name,
        /// What happens to records that fail. Without it: dead letters where there is a `dlq`, else the task stops.
        optional on_error: OnErrorSpec,
        /// How many partitions topics have that `topics` says nothing of; 1 if this is not given either.
        optional partitions: Count,
    }
    later []
}

mapping! {
    /// How a topic is created where it is missing.
    TopicSpec = "a topic" {
        /// How many partitions it has; `defaults.partitions` if not given.
        optional partitions: Count,
        /// How long records are kept: a duration or `forever` (the default).
        optional retention: Retention,
        /// What happens to old records.
        optional cleanup: Cleanup,
        /// How long a tombstone of a compacted topic is kept; 1d if not given.
        optional delete_retention: Millis,
    }
    later []
}

choice! {
    /// What happens to the old records of a topic.
    Cleanup = "a cleanup policy" {
        /// They are deleted when their retention has passed.
        Delete = "delete",
        /// Only the last record of each key is kept.
        Compact = "compact",
        /// Both.
        CompactDelete = "compact,delete",
    }
    later []
}

mapping! {
    /// What happens to a record that fails.
    OnErrorSpec = "on_error" {
        /// When its key, value or timestamp cannot be read.
        optional decode: ErrorPolicy,
        /// When an expression or a call fails on it.
        optional process: ErrorPolicy,
        /// When it cannot be written.
        optional produce: ErrorPolicy,
    }
    later ["deserialize", "call"]
}

choice! {
    /// What happens to a record that fails.
    ErrorPolicy = "an error policy" {
        /// It goes to the dead letter topic with its reason.
        DeadLetter = "dlq",
        /// It is dropped and counted.
        Skip = "skip",
        /// The task stops with the error.
        Fail = "fail",
    }
    later ["retry"]
}

mapping! {
    /// A topic that is read.
    SourceSpec = "a source" {
        /// The topic, a list of topics, or `{pattern: ...}`.
        required topic: SourceTopics,
        /// Whether its records are events or the changes of a table.
        optional kind: SourceKind,
        /// How keys are written; `defaults.key` if not given.
        optional key: FormatSpec,
        /// How values are written; `defaults.value` if not given.
        optional value: FormatSpec,
        /// The time of a record's event, as a timestamp or in milliseconds; its own timestamp if not given.
        optional timestamp: Formula,
        /// Where to start when the application runs for the first time.
        optional offset_reset: OffsetResetSpec,
        /// Whether records may hold personal data, or the parts that do: fields of the value, `key`, `headers.NAME`. Then
        /// dead letters hold nothing of their values, and it is followed where it goes. What the schema marks is known
        /// without this.
        optional personal_data: PersonalDataSpec,
        /// How the rows of a table are stored.
        optional store: StoreSpecification,
        /// What happens to a record that cannot be read.
        optional on_error: OnErrorSpec,
    }
    later ["partitions"]
}

choice! {
    /// Whether the records of a topic are events or changes.
    SourceKind = "a kind of source" {
        /// Each record is an event.
        Stream = "stream",
        /// Each record is the new row of its key; a null value deletes it.
        Table = "table",
        /// As a table, but every process of the application keeps all partitions of it. Streams look it up.
        GlobalTable = "global_table",
    }
    later []
}

choice! {
    /// Where to start when the application runs for the first time.
    OffsetResetSpec = "an offset reset" {
        /// At the first record that is still there.
        Earliest = "earliest",
        /// After the last record.
        Latest = "latest",
    }
    later ["none", "by_duration"]
}

mapping! {
    /// Writes a stream or a table's changes to a topic.
    SinkSpec = "a sink" {
        /// The stream or table.
        required from: Name,
        /// The topic, or `{expression: ..., topics: [...]}`.
        required topic: SinkTopicSpec,
        /// How keys are written; `defaults.key` if not given, else as they are.
        optional key: FormatSpec,
        /// How values are written; `defaults.value` if not given.
        optional value: FormatSpec,
        /// What is written of each record; the whole value if not given.
        optional map: Template,
        /// Headers that are set or removed.
        optional headers: HeadersSpec,
        /// Whether the topic is for personal data, or the parts of its records that are: fields of the value, `key`,
        /// `headers.NAME`. To any other, none may be written.
        optional personal_data: PersonalDataSpec,
        /// What happens to a record that cannot be written.
        optional on_error: OnErrorSpec,
    }
    later ["partitioner", "partition_by", "timestamp"]
}
