//! One sub-topology over one partition: a pure state machine.
//!
//! Records and the time go in; output records, state changes and offsets come out, at the commit. A task
//! does no I/O but its stores', reads no clock and holds no lock, so that a stream thread, the driver and
//! the simulator run the same code.
//!
//! The life of a task between two commits:
//!
//! ```text
//! add_records → process … process → prepare_commit → (the log commits) → complete_commit
//!                                                  ↘ (the log aborts)  → roll_back
//! ```

mod commit;
mod error;
mod global;
mod offsets;
mod open;
mod process;
mod punctuate;
mod restore;
pub mod transaction;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::config::Config;
use crate::log::LogRecord;
use crate::metrics::Counters;
use crate::operators::{self, Operator, OperatorError};
use crate::record::{Record, TopicPartition};
use crate::sink::{DeadLetterWriter, Partitions, RecordCollector};
use crate::source::{Next, PartitionGroup, Sight, SourceDecoder};
use crate::state::{GlobalTables, TaskStores};
use crate::time::{StreamTime, Timestamp};
use crate::topology::plan::{DeadLetters, Edge, NodeId, Subtopology};
use process::InHand;

pub use commit::Commit;
pub use error::TaskError;
pub use global::{GlobalError, GlobalReader, open_globals};
pub use offsets::{METADATA_BYTES, OffsetMetadata};
pub use open::{OpenError, TaskOpener};
pub use restore::{Opening, StoreRestore};

/// A task's name: its sub-topology and partition, written `0_2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The sub-topology's number.
    pub subtopology: usize,
    /// The partition.
    pub partition: i32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

impl FromStr for TaskId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (subtopology, partition) = text.split_once('_')?;
            Some(TaskId { subtopology: subtopology.parse().ok()?, partition: partition.parse().ok()? })
        };
        parse().ok_or_else(|| format!("`{text}` is not a task; tasks are written SUBTOPOLOGY_PARTITION, such as 0_2"))
    }
}

/// How tasks of an application behave.
#[derive(Clone, Debug)]
pub struct TaskOptions {
    /// Hand on aggregates and tables once per key and commit (true), or at every update.
    pub caching: bool,
    /// The largest record that is written, in bytes of key and value.
    pub max_record_bytes: usize,
    /// How far ahead of the clock a record's timestamp may lie, in milliseconds; `None`: any distance.
    pub max_timestamp_ahead: Option<i64>,
    /// Collected records that make a commit due, in bytes; the stores' changes have a limit of their own.
    pub max_uncommitted_bytes: usize,
}

impl From<&Config> for TaskOptions {
    fn from(config: &Config) -> Self {
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        TaskOptions {
            caching: config.caching,
            max_record_bytes: config.max_record_bytes,
            max_timestamp_ahead: config.max_timestamp_ahead.map(millis),
            max_uncommitted_bytes: config.uncommitted_output_bytes,
        }
    }
}

impl Default for TaskOptions {
    fn default() -> Self {
        TaskOptions::from(&Config::default())
    }
}

/// What a task is made of.
pub struct TaskParts {
    /// The application's name.
    pub application: Arc<str>,
    /// What it runs.
    pub subtopology: Arc<Subtopology>,
    /// Its partition.
    pub partition: i32,
    /// Its stores, restored.
    pub stores: TaskStores,
    /// The global tables, where the application has any.
    pub globals: Option<Arc<GlobalTables>>,
    /// How many partitions each topic has that it writes to.
    pub partitions: Arc<Partitions>,
    /// Where dead letters go.
    pub dead_letters: Option<DeadLetters>,
    /// How it behaves.
    pub options: TaskOptions,
    /// The next offset of each source, in the order of the sub-topology's sources.
    pub positions: Vec<i64>,
    /// The operators' own stream times at the last commit, by node name, and what else they go on from.
    pub stream_times: BTreeMap<String, Timestamp>,
    /// Whether the positions are all committed. Those that are not are to be, even before the first record: from
    /// then on the task starts there however often it is opened, and counts as having come so far.
    pub positions_committed: bool,
}

/// One sub-topology over one partition.
pub struct Task {
    id: TaskId,
    application: Arc<str>,
    subtopology: Arc<Subtopology>,
    options: TaskOptions,
    operators: Vec<Box<dyn Operator>>,
    stores: TaskStores,
    globals: Option<Arc<GlobalTables>>,
    inputs: PartitionGroup,
    collector: RecordCollector,
    dead_letters: Option<DeadLetterWriter>,
    counters: Counters,
    committed: CommittedPosition,
    /// Work in progress on one record; kept for its capacity only.
    pending: Vec<Work>,
    emitted: Vec<(usize, Record)>,
    failed: Vec<(Record, OperatorError)>,
    /// The operators that are called at times of the stream or the wall clock; most tasks have none.
    punctuated: Vec<NodeId>,
    /// Whether these have begun.
    initialised: bool,
    /// The highest timestamp of the records taken.
    stream_time: StreamTime,
    unfinished: bool,
    /// Whether anything happened since the last commit.
    dirty: bool,
    /// Whether some position was never committed.
    unsettled: bool,
}

/// What is to be done next.
#[allow(clippy::large_enum_variant, reason = "nearly all are records, which are moved and not allocated")]
enum Work {
    /// A record is to be taken along an edge.
    Take(Edge, Record),
    /// An operator is to go on with what an earlier record called for: one that was held back, if it is given.
    GoOn(NodeId, Option<Box<InHand>>),
}

/// Where the last commit left the task; what a rollback goes back to.
#[derive(Clone, Debug)]
struct CommittedPosition {
    positions: Vec<i64>,
    stream_times: BTreeMap<String, Timestamp>,
}

impl Task {
    /// Puts a task together as of its last commit.
    pub fn new(parts: TaskParts) -> Task {
        let TaskParts { application, subtopology, partition, stores, partitions, dead_letters, options, .. } = parts;
        let decoders = subtopology.sources.iter().zip(&parts.positions);
        let sources = decoders
            .map(|(source, position)| (SourceDecoder::new(source, partition, options.max_timestamp_ahead), *position))
            .collect();
        let committed = CommittedPosition { positions: parts.positions, stream_times: parts.stream_times };
        let mut task = Task {
            id: TaskId { subtopology: subtopology.id, partition },
            application,
            operators: Vec::new(),
            stores,
            globals: parts.globals,
            inputs: PartitionGroup::new(sources),
            collector: RecordCollector::new(partitions, options.max_record_bytes),
            dead_letters: dead_letters.as_ref().map(DeadLetterWriter::new),
            counters: Counters::default(),
            committed,
            pending: Vec::new(),
            emitted: Vec::new(),
            failed: Vec::new(),
            punctuated: Vec::new(),
            initialised: false,
            stream_time: StreamTime::UNKNOWN,
            unfinished: false,
            dirty: !parts.positions_committed,
            unsettled: !parts.positions_committed,
            subtopology,
            options,
        };
        task.build_operators();
        task
    }

    /// Makes the operators anew, with the stream times of the last commit.
    fn build_operators(&mut self) {
        let subtopology = &self.subtopology;
        self.operators = subtopology.nodes.iter().map(|node| operators::build(node)).collect();
        for (node, operator) in subtopology.nodes.iter().zip(&mut self.operators) {
            let times = &self.committed.stream_times;
            for name in offsets::names_of(subtopology, node) {
                if let Some(time) = times.get(name) {
                    operator.restore_stream_time(*time);
                }
                for (name, value) in offsets::progress_of(times, name) {
                    operator.restore_progress(name, value);
                }
            }
        }
        let operators = self.operators.iter().enumerate();
        self.punctuated = operators.filter(|(_, operator)| operator.is_punctuated()).map(|(node, _)| node).collect();
        self.initialised = self.punctuated.is_empty();
        let nodes = self.punctuated.iter().filter_map(|node| subtopology.nodes.get(*node));
        let times = nodes
            .flat_map(|node| offsets::names_of(subtopology, node))
            .filter_map(|name| self.committed.stream_times.get(name))
            .max();
        self.stream_time = StreamTime::restored(times.copied());
    }

    /// The task's name.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// What it runs.
    pub fn subtopology(&self) -> &Arc<Subtopology> {
        &self.subtopology
    }

    /// The input partition of each source, in the order of the sub-topology's sources.
    pub fn input_partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let partition = self.id.partition;
        self.subtopology.sources.iter().map(move |source| TopicPartition::new(source.topic.clone(), partition))
    }

    /// Queues records of a source; `next` is the offset that the fetch after them starts at.
    pub fn add_records(&mut self, source: usize, records: Vec<LogRecord>, next: i64) {
        self.dirty |= self.inputs.add(source, records, next);
    }

    /// Notes where the log of a source ends, if that is known.
    pub fn set_end(&mut self, source: usize, end: Option<i64>) {
        self.inputs.set_end(source, end);
    }

    /// How many records wait to be processed, of one source.
    pub fn queued_of(&self, source: usize) -> usize {
        self.inputs.queued_of(source)
    }

    /// The id of the schema that the next record of one source waits for.
    pub fn awaited_schema(&self, source: usize) -> Option<&str> {
        self.inputs.awaited_schema(source)
    }

    /// What [`Task::peek`] has last seen of the next record of each topic that it reads.
    pub fn sights(&self) -> impl Iterator<Item = (&Arc<str>, Sight)> {
        self.subtopology.sources.iter().enumerate().map(|(n, source)| (&source.topic, self.inputs.sight(n)))
    }

    /// About how many bytes of memory the waiting records of one source take.
    pub fn queued_bytes_of(&self, source: usize) -> usize {
        self.inputs.queued_bytes_of(source)
    }

    /// How many records wait to be processed.
    pub fn queued(&self) -> usize {
        self.inputs.queued()
    }

    /// What the task would process next. `now` is the wall clock.
    pub fn peek(&mut self, now: Timestamp) -> Next {
        self.inputs.peek(now)
    }

    /// The next offset to process of a source.
    pub fn position(&self, source: usize) -> i64 {
        self.inputs.position(source)
    }

    /// Up to where the partitions of repartition topics have been processed and committed.
    pub fn internal_positions(&self) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
        let sources = self.subtopology.sources.iter().zip(&self.committed.positions);
        let internal = sources.filter(|(source, _)| source.internal);
        internal.map(|(source, position)| (TopicPartition::new(source.topic.clone(), self.id.partition), *position))
    }

    /// Whether so much is uncommitted that a commit is due (invariant I9).
    pub fn is_full(&self) -> bool {
        self.stores.is_overlay_full() || self.collector.bytes() >= self.options.max_uncommitted_bytes
    }

    /// Whether there is anything to commit.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes the next commit due even if nothing happens: the log forgets offsets that are not committed anew for long.
    pub fn refresh_offsets(&mut self) {
        self.dirty = true;
        self.unsettled = true;
    }

    /// The stores, to be read.
    pub fn stores(&mut self) -> &mut TaskStores {
        &mut self.stores
    }

    /// The size of each store's files, in bytes, by the store's name.
    pub fn store_sizes(&self) -> Vec<(String, u64)> {
        let stores = self.stores.specs().enumerate();
        // Who cannot be asked now is asked again the next time; what is wrong shows at the next commit.
        stores.map(|(n, spec)| (spec.name.clone(), self.stores.file_bytes(n).unwrap_or(0))).collect()
    }

    /// Gives the stores back, to be closed.
    pub fn into_stores(self) -> TaskStores {
        self.stores
    }
}
