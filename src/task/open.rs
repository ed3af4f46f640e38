//! Opens a task as of its last commit: its stores, restored from their changelogs, and its positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::restore::{Opening, Restore};
use super::{OffsetMetadata, Task, TaskError, TaskId, TaskOptions, TaskParts};
use crate::error::{Classified, ErrorClass};
use crate::log::{Log, LogConsumer, LogError, TopicConfig};
use crate::record::TopicPartition;
use crate::sink::{Partitions, Target};
use crate::state::{GlobalTables, StateDirectory, TaskStores};
use crate::time::{ManualClock, Timestamp};
use crate::topology::plan::{DeadLetters, OffsetReset, Subtopology, Topology};

/// What opening a task takes beside the task's name.
#[derive(Clone)]
pub struct TaskOpener {
    /// The application's name: also its consumer group.
    pub application: Arc<str>,
    /// How many partitions each topic has.
    pub partitions: Arc<Partitions>,
    /// Where dead letters go.
    pub dead_letters: Option<DeadLetters>,
    /// How tasks behave.
    pub options: TaskOptions,
    /// Where their stores are.
    pub state: StateDirectory,
    /// The global tables, where the application has any; they must be caught up before a task begins.
    pub globals: Option<Arc<GlobalTables>>,
    /// How long a tombstone stays in each changelog, in milliseconds.
    pub tombstones_kept: Arc<BTreeMap<String, i64>>,
}

/// Why a task could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log failed.
    #[error("task {task} cannot be opened: {source}")]
    Log {
        /// The task.
        task: TaskId,
        /// What the log says.
        #[source]
        source: LogError,
    },
    /// A store failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The state has seen more of the changelog than there is.
    #[error(
        "the state of task {task} is at offset {checkpoint} of {changelog}, which ends at {end}: the topic was deleted or \
         belongs to another log, or the log lost its last records. If it is another log, stop, and point the engine at \
         the one that the state was made with"
    )]
    Ahead {
        /// The task.
        task: TaskId,
        /// The changelog's partition.
        changelog: TopicPartition,
        /// Where the state says it is.
        checkpoint: i64,
        /// Where the changelog ends.
        end: i64,
    },
    /// Records are gone that the state has not seen.
    #[error(
        "the state of task {task} is at offset {checkpoint} of {changelog}, which begins at {beginning}: the records in \
         between were deleted and are missing in the state. Keep the changelog by compaction alone, without retention; \
         what it has lost cannot come back"
    )]
    Hole {
        /// The task.
        task: TaskId,
        /// The changelog's partition.
        changelog: TopicPartition,
        /// Where the state says it is.
        checkpoint: i64,
        /// Where the changelog begins.
        beginning: i64,
    },
    /// The global tables are still being read.
    #[error("task {task} waits until the application's global tables hold what their topics held at the start")]
    GlobalsBehind {
        /// The task.
        task: TaskId,
    },
    /// It was asked to end before it was done; what is restored stays for the next time.
    #[error("task {task} is not opened any more: it was given up while it was being restored")]
    Cancelled {
        /// The task.
        task: TaskId,
    },
}

impl Classified for OpenError {
    fn class(&self) -> ErrorClass {
        match self {
            OpenError::Log { source, .. } => source.class(),
            OpenError::Task(error) => error.class(),
            OpenError::Ahead { .. } | OpenError::Hole { .. } => ErrorClass::TaskCorrupted,
            OpenError::GlobalsBehind { .. } => ErrorClass::Retry,
            OpenError::Cancelled { .. } => ErrorClass::TaskMigrated,
        }
    }
}

/// Where a task goes on.
struct Start {
    positions: Vec<i64>,
    stream_times: BTreeMap<String, Timestamp>,
    /// Whether the positions are all committed.
    committed: bool,
}

impl TaskOpener {
    /// What opening the tasks of a topology on these topics takes.
    pub fn new(
        topology: &Topology,
        topics: &BTreeMap<String, TopicConfig>,
        options: TaskOptions,
        state: StateDirectory,
    ) -> TaskOpener {
        let kept = topics.iter().map(|(name, config)| (name.clone(), config.delete_retention)).collect();
        TaskOpener {
            application: Arc::from(topology.name.as_str()),
            partitions: TaskOpener::partitions_of(topics),
            dead_letters: topology.dead_letters.clone(),
            options,
            state,
            globals: None,
            tombstones_kept: Arc::new(kept),
        }
    }

    /// Opens a task as of its last commit; `now` is the wall clock. Returns it with the number of changelog records
    /// restored.
    pub fn open(
        &self,
        log: &dyn Log,
        subtopology: &Arc<Subtopology>,
        partition: i32,
        now: Timestamp,
    ) -> Result<(Task, u64), OpenError> {
        let opening = Opening::new(Arc::new(ManualClock::at(now)));
        let (parts, restored) = self.open_parts(log, subtopology, partition, &opening)?;
        Ok((Task::new(parts), restored))
    }

    /// As [`TaskOpener::open`], but leaves it to the caller to put the task together: its parts may have been opened
    /// by another thread, and `opening` shows and ends it.
    ///
    /// The order matters. The committed offsets are read first, then the ends of the changelogs, and then the stores
    /// are restored up to there. Whoever owned the task before may have left a transaction T that is being decided:
    ///
    /// - [`LogConsumer::committed`] waits for transactions that hold offsets of these inputs. So when T holds such, the
    ///   offsets read are those after T was decided. If they include T, then T's changelog records had been
    ///   written before, lie below the ends that are asked for next, and the restore does not end before it
    ///   has read them: ends count open transactions, and a reader of committed records stands still until T's
    ///   outcome has reached the changelog too.
    /// - When T holds no offsets yet, none can be added any more: this task is only opened once the group has taken it
    ///   from its former owner, and the group refuses offsets of a member that it has gone on without (KIP-447). T can
    ///   then only abort, and the restore waits for that if T wrote to the changelog.
    ///
    /// So the stores hold a transaction exactly if the offsets do (I1). Read the other way round, ends before offsets, T
    /// could fall in between: its offsets would be skipped over and its changes missing.
    pub fn open_parts(
        &self,
        log: &dyn Log,
        subtopology: &Arc<Subtopology>,
        partition: i32,
        opening: &Opening,
    ) -> Result<(TaskParts, u64), OpenError> {
        let task = TaskId { subtopology: subtopology.id, partition };
        // Now rather than at the commit by which the last join has begun.
        TaskError::check_metadata(task, &OffsetMetadata::longest_of(subtopology))?;
        if self.globals.as_ref().is_some_and(|globals| !globals.is_caught_up()) {
            return Err(OpenError::GlobalsBehind { task });
        }
        let mut consumer = OpenError::of_log(task, log.consumer(Some(&self.application)))?;
        let start = OpenError::of_log(task, Start::read(subtopology, partition, consumer.as_ref()))?;
        let mut stores = self.open_stores(task, subtopology, opening.now())?;
        let (stores_of, consumer) = (&mut stores, consumer.as_mut());
        let restored = Restore { task, subtopology, stores: stores_of, consumer, opening }.run()?;
        let parts = TaskParts {
            application: self.application.clone(),
            subtopology: subtopology.clone(),
            partition,
            stores,
            globals: self.globals.clone(),
            partitions: self.partitions.clone(),
            dead_letters: self.dead_letters.clone(),
            options: self.options.clone(),
            positions: start.positions,
            stream_times: start.stream_times,
            positions_committed: start.committed,
        };
        Ok((parts, restored))
    }

    /// Removes the state of a task, to have it restored from the beginning of its changelogs.
    pub fn discard(&self, subtopology: &Subtopology, partition: i32) -> Result<(), OpenError> {
        let task = TaskId { subtopology: subtopology.id, partition };
        let removed = self.state.remove_task(&task.to_string());
        removed.map_err(|source| OpenError::Task(TaskError::State { task, source }))
    }

    fn open_stores(&self, task: TaskId, subtopology: &Subtopology, now: Timestamp) -> Result<TaskStores, OpenError> {
        let failed = |source| OpenError::Task(TaskError::State { task, source });
        let mut stores = self.state.open_task(&task.to_string(), &subtopology.stores).map_err(failed)?;
        let stale = self.is_stale(subtopology, &stores, now);
        if stale {
            tracing::info!(%task, "the state is older than its changelog's tombstones are kept; it is built anew");
        }
        // A state without a checkpoint is cleared to note since when a restore has been under way, for the case that it
        // is interrupted.
        if stale || stores.checkpoint().is_none() {
            stores.clear(now).map_err(failed)?;
        }
        Ok(stores)
    }

    /// Whether tombstones that the stores have not seen may be gone from their changelogs: then what they deleted
    /// would come back. The time is 0 where it is not known.
    fn is_stale(&self, subtopology: &Subtopology, stores: &TaskStores, now: Timestamp) -> bool {
        let Some(checkpoint) = stores.checkpoint().filter(|checkpoint| checkpoint.wall_clock > 0) else { return false };
        let changelogs = subtopology.stores.iter().filter_map(|store| store.changelog.as_deref());
        let kept = changelogs.filter_map(|changelog| self.tombstones_kept.get(changelog)).min();
        kept.is_some_and(|kept| now.saturating_sub(checkpoint.wall_clock) >= *kept)
    }

    /// Partitions by topic, for the tasks of an application.
    pub fn partitions_of(topics: &BTreeMap<String, TopicConfig>) -> Arc<Partitions> {
        TaskOpener::targets_of(topics, &BTreeMap::new())
    }

    /// As [`TaskOpener::partitions_of`], with the largest record that topics take, where that is known.
    pub fn targets_of(topics: &BTreeMap<String, TopicConfig>, limits: &BTreeMap<String, usize>) -> Arc<Partitions> {
        let target = |(name, config): (&String, &TopicConfig)| {
            let (partitions, compacted) = (config.partitions, config.compacted);
            (Arc::from(name.as_str()), Target { partitions, compacted, max_record_bytes: limits.get(name).copied() })
        };
        Arc::new(topics.iter().map(target).collect())
    }
}

impl OpenError {
    fn of_log<T>(task: TaskId, result: Result<T, LogError>) -> Result<T, OpenError> {
        result.map_err(|source| OpenError::Log { task, source })
    }
}

impl Start {
    /// Reads where the group has come to in a task's inputs, and where it starts in those it never committed.
    fn read(subtopology: &Subtopology, partition: i32, consumer: &dyn LogConsumer) -> Result<Start, LogError> {
        let mut start = Start { positions: Vec::new(), stream_times: BTreeMap::new(), committed: true };
        let mut metadata = OffsetMetadata::default();
        for source in &subtopology.sources {
            let input = TopicPartition::new(source.topic.clone(), partition);
            start.positions.push(match consumer.committed(&input)? {
                Some(committed) => {
                    metadata.merge(OffsetMetadata::parse(&committed.metadata));
                    committed.offset
                }
                None => {
                    start.committed = false;
                    match source.offset_reset {
                        OffsetReset::Earliest => consumer.beginning_offset(&input)?,
                        OffsetReset::Latest => consumer.end_offset(&input)?,
                    }
                }
            });
        }
        start.stream_times = metadata.times;
        Ok(start)
    }
}
