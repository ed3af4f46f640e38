//! Opens a task as of its last commit: its stores, restored from their changelogs, and its positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{OffsetMetadata, Task, TaskError, TaskId, TaskOptions, TaskParts};
use crate::log::{Log, LogConsumer, LogError, TopicConfig};
use crate::record::TopicPartition;
use crate::sink::{Partitions, Target};
use crate::state::{StateDirectory, TaskStores};
use crate::time::Timestamp;
use crate::topology::plan::{DeadLetters, OffsetReset, Subtopology, Topology};

/// How many changelog records are restored per fetch.
const RESTORE_BATCH: usize = 10_000;
/// How long one fetch of a restore waits for records that are known to be there.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(5);

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
         belongs to another log. Point the engine at the log that the state was made with, or delete the state directory \
         so that it is rebuilt"
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
         between were deleted and are missing in the state. A changelog must be kept by compaction alone, without \
         retention; delete the state directory to rebuild the state from what is left"
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
        let (parts, restored) = self.open_parts(log, subtopology, partition, now)?;
        Ok((Task::new(parts), restored))
    }

    /// As [`TaskOpener::open`], but leaves it to the caller to put the task together: its parts may have been opened
    /// by another thread.
    pub fn open_parts(
        &self,
        log: &dyn Log,
        subtopology: &Arc<Subtopology>,
        partition: i32,
        now: Timestamp,
    ) -> Result<(TaskParts, u64), OpenError> {
        let task = TaskId { subtopology: subtopology.id, partition };
        let state_failed = |source| OpenError::Task(TaskError::State { task, source });
        let log_failed = |source| OpenError::Log { task, source };
        let mut stores = self.state.open_task(&task.to_string(), &subtopology.stores).map_err(state_failed)?;
        if self.is_stale(subtopology, &stores, now) {
            tracing::info!(%task, "the state is older than its changelog's tombstones are kept; it is built anew");
            stores.clear(now).map_err(state_failed)?;
        } else if stores.checkpoint().is_none() {
            // Notes since when a restore has been under way, for the case that it is interrupted.
            stores.clear(now).map_err(state_failed)?;
        }
        let mut consumer = log.consumer(Some(&self.application)).map_err(log_failed)?;
        let mut restored = 0;
        for store in 0..subtopology.stores.len() {
            restored += self.restore(task, subtopology, store, &mut stores, consumer.as_mut())?;
        }
        let mut positions_committed = true;
        let mut positions = Vec::with_capacity(subtopology.sources.len());
        let mut metadata = OffsetMetadata::default();
        for source in &subtopology.sources {
            let input = TopicPartition::new(source.topic.clone(), partition);
            let position = match consumer.committed(&input).map_err(log_failed)? {
                Some(committed) => {
                    metadata.merge(OffsetMetadata::parse(&committed.metadata));
                    committed.offset
                }
                None => {
                    positions_committed = false;
                    match source.offset_reset {
                        OffsetReset::Earliest => consumer.beginning_offset(&input),
                        OffsetReset::Latest => consumer.end_offset(&input),
                    }
                    .map_err(log_failed)?
                }
            };
            positions.push(position);
        }
        let parts = TaskParts {
            application: self.application.clone(),
            subtopology: subtopology.clone(),
            partition,
            stores,
            partitions: self.partitions.clone(),
            dead_letters: self.dead_letters.clone(),
            options: self.options.clone(),
            positions,
            stream_times: metadata.times,
            positions_committed,
        };
        Ok((parts, restored))
    }

    /// Whether tombstones that the stores have not seen may be gone from their changelogs: then what they deleted
    /// would come back. The time is 0 where it is not known.
    fn is_stale(&self, subtopology: &Subtopology, stores: &TaskStores, now: Timestamp) -> bool {
        let Some(checkpoint) = stores.checkpoint().filter(|checkpoint| checkpoint.wall_clock > 0) else { return false };
        let changelogs = subtopology.stores.iter().filter_map(|store| store.changelog.as_deref());
        let kept = changelogs.filter_map(|changelog| self.tombstones_kept.get(changelog)).min();
        kept.is_some_and(|kept| now.saturating_sub(checkpoint.wall_clock) >= *kept)
    }

    /// Brings one store up to the end of its changelog. Ends on the consumer's position, not on the last
    /// record: offsets without records are never delivered.
    fn restore(
        &self,
        task: TaskId,
        subtopology: &Subtopology,
        store: usize,
        stores: &mut TaskStores,
        consumer: &mut dyn LogConsumer,
    ) -> Result<u64, OpenError> {
        let Some(topic) = subtopology.stores.get(store).and_then(|spec| spec.changelog.clone()) else { return Ok(0) };
        let log_failed = |source| OpenError::Log { task, source };
        let changelog = TopicPartition::new(topic.clone(), task.partition);
        let end = consumer.end_offset(&changelog).map_err(log_failed)?;
        let checkpoint = stores.checkpoint().and_then(|checkpoint| checkpoint.changelog_offsets.get(&*topic).copied());
        let beginning = consumer.beginning_offset(&changelog).map_err(log_failed)?;
        let start = match checkpoint {
            Some(offset) if offset > end => {
                return Err(OpenError::Ahead { task, changelog, checkpoint: offset, end });
            }
            Some(offset) if offset < beginning => {
                return Err(OpenError::Hole { task, changelog, checkpoint: offset, beginning });
            }
            Some(offset) => offset,
            None => beginning,
        };
        if start >= end {
            return Ok(0);
        }
        consumer.assign(&changelog, start).map_err(log_failed)?;
        let mut restored = 0;
        while consumer.position(&changelog).is_some_and(|position| position < end) {
            let polled = consumer.poll(RESTORE_BATCH, RESTORE_TIMEOUT).map_err(log_failed)?;
            for batch in polled.batches {
                restored += batch.records.len() as u64;
                stores
                    .restore(store, &batch.records, batch.position)
                    .map_err(|source| TaskError::State { task, source })?;
            }
        }
        consumer.unassign(&changelog);
        Ok(restored)
    }

    /// Partitions by topic, for the tasks of an application.
    pub fn partitions_of(topics: &BTreeMap<String, TopicConfig>) -> Arc<Partitions> {
        let target = |config: &TopicConfig| Target { partitions: config.partitions, compacted: config.compacted };
        Arc::new(topics.iter().map(|(name, config)| (Arc::from(name.as_str()), target(config))).collect())
    }
}
