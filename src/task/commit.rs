//! What a commit of a task contains, and its two ends.

use std::collections::BTreeMap;
use std::vec::Drain;

use super::offsets::{name_of, progress_name};
use super::{CommittedPosition, OffsetMetadata, Task, TaskError};
use crate::log::{CommittedOffset, ProducerRecord};
use crate::metrics::Counters;
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// What the log has to commit, in one transaction, for a task.
#[derive(Debug, Default)]
pub struct Commit {
    /// Output records, then one changelog record per changed key of each store.
    pub records: Vec<ProducerRecord>,
    /// The next offset of each input partition, with the operators' stream times.
    pub offsets: Vec<(TopicPartition, CommittedOffset)>,
}

impl Task {
    /// Hands on what operators held back and gives everything that the log has to commit.
    pub fn prepare_commit(&mut self, now: Timestamp) -> Result<Commit, TaskError> {
        self.flush(now)?;
        let mut records = self.collector.take();
        let changes = self.stores.changelog().map_err(|source| TaskError::State { task: self.id, source })?;
        self.counters.changelog_records += changes.len() as u64;
        records.reserve(changes.len());
        for change in changes {
            let store = self.subtopology.stores.get(change.store);
            let Some(topic) = store.and_then(|store| store.changelog.clone()) else { continue };
            records.push(ProducerRecord {
                topic,
                partition: self.id.partition,
                // A tombstone counts its `delete.retention.ms` from the commit that wrote it.
                timestamp: change.timestamp.unwrap_or(now),
                key: Some(change.key),
                value: change.value,
                headers: Default::default(),
            });
        }
        let metadata = TaskError::check_metadata(self.id, &OffsetMetadata { times: self.stream_times() })?;
        let offsets = self
            .input_partitions()
            .enumerate()
            .map(|(source, partition)| {
                let offset = self.inputs.position(source);
                (partition, CommittedOffset { offset, metadata: metadata.clone() })
            })
            .collect();
        Ok(Commit { records, offsets })
    }

    /// Lets every operator hand on what it held back, upstream first.
    fn flush(&mut self, now: Timestamp) -> Result<(), TaskError> {
        let plan = self.subtopology.clone();
        for node in 0..self.operators.len() {
            self.with_operator(node, now, |operator, context| operator.flush(context));
            self.distribute(&plan, node, None, now)?;
            self.run(&plan, None, now)?;
        }
        Ok(())
    }

    fn stream_times(&self) -> BTreeMap<String, Timestamp> {
        let nodes = self.subtopology.nodes.iter().zip(&self.operators);
        let mut times = BTreeMap::new();
        for (node, operator) in nodes {
            let own = name_of(&self.subtopology, node);
            times.extend(operator.stream_time().map(|time| (own.to_owned(), time)));
            let progress = operator.progress().into_iter();
            times.extend(progress.map(|(name, value)| (progress_name(own, &name), value)));
            if operator.is_punctuated() {
                times.extend(self.stream_time.get().map(|time| (own.to_owned(), time)));
            }
        }
        times
    }

    /// The log has committed: makes the changes part of the stores, with the checkpoint, at once (invariant
    /// I2). `ends` holds, for each partition the transaction wrote to, the offset after its last record there.
    pub fn complete_commit(&mut self, ends: &BTreeMap<TopicPartition, i64>, now: Timestamp) -> Result<(), TaskError> {
        let stream_times = self.stream_times();
        let positions: Vec<i64> = (0..self.subtopology.sources.len()).map(|n| self.inputs.position(n)).collect();
        let mut checkpoint = self.stores.checkpoint().cloned().unwrap_or_default();
        for store in &self.subtopology.stores {
            let Some(topic) = &store.changelog else { continue };
            if let Some(end) = ends.get(&TopicPartition::new(topic.clone(), self.id.partition)) {
                checkpoint.changelog_offsets.insert(topic.clone(), *end);
            }
        }
        checkpoint.input_offsets = self.input_partitions().zip(positions.iter().copied()).collect();
        checkpoint.stream_times = stream_times.clone().into_iter().collect();
        checkpoint.wall_clock = now;
        self.stores.commit(&checkpoint).map_err(|source| TaskError::State { task: self.id, source })?;
        self.committed = CommittedPosition { positions, stream_times };
        self.collector.clear();
        self.dirty = false;
        self.unsettled = false;
        Ok(())
    }

    /// The log has aborted: goes back to the last commit. What was queued has to be fetched again, from
    /// [`Task::position`] on.
    pub fn roll_back(&mut self) {
        self.stores.rollback();
        self.collector.clear();
        self.pending.clear();
        self.emitted.clear();
        self.failed.clear();
        self.unfinished = false;
        self.inputs.rewind(&self.committed.positions);
        self.counters = Counters::default();
        self.build_operators();
        self.dirty = self.unsettled;
    }

    /// Takes out the records that may be sent ahead of the commit.
    pub fn outputs(&mut self) -> Drain<'_, ProducerRecord> {
        self.collector.outputs()
    }

    /// Whether records were sent that are not committed: a task of which they are must not be dropped without aborting
    /// their transaction.
    pub fn is_ahead(&self) -> bool {
        self.collector.is_ahead()
    }

    /// Takes out what was counted since the last call.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Publishes counts under this task's labels.
    pub fn publish(&self, counters: &Counters) {
        counters.publish(&self.application, &self.id.to_string());
    }
}
