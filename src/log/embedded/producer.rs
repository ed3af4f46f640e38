//! Transactions: buffered in memory, written as one batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{CommittedOffset, GroupMetadata, LogError, ProducerRecord, Result, TransactionalProducer};
use super::catalogue::{Partition, Topic};
use super::encoding::{PartitionPart, StoredOffset, committed_key, encode_record, record_key, to_bytes};
use super::storage::{Batch, Durability, Family, SMALL_BATCH};
use super::{Shared, lock};
use crate::record::TopicPartition;

/// About what a record takes in a batch beside its key, its value and its headers, in bytes.
const RECORD_OVERHEAD: usize = 48;

/// A producer of the embedded log.
pub(super) struct EmbeddedProducer {
    shared: Arc<Shared>,
    transactional_id: String,
    epoch: u64,
    /// The epoch of the newest producer of this id; when it is not ours, we are fenced.
    newest: Arc<AtomicU64>,
    transaction: Option<Transaction>,
    /// The topics written to so far, so that a record costs no lock.
    topics: HashMap<Arc<str>, Arc<Topic>, ahash::RandomState>,
}

#[derive(Default)]
struct Transaction {
    records: Vec<(Arc<Partition>, ProducerRecord)>,
    offsets: Vec<(GroupMetadata, TopicPartition, CommittedOffset)>,
}

/// The partitions that a transaction wrote to, each with the offset after its last record there.
type Placed<'a> = BTreeMap<(u32, u32), (&'a Arc<Partition>, i64)>;

impl EmbeddedProducer {
    pub(super) fn new(shared: Arc<Shared>, transactional_id: &str, epoch: u64, newest: Arc<AtomicU64>) -> Self {
        let topics = HashMap::default();
        EmbeddedProducer {
            shared,
            transactional_id: transactional_id.to_owned(),
            epoch,
            newest,
            transaction: None,
            topics,
        }
    }

    /// A producer that nobody can fence, because nobody knows its name.
    pub(super) fn nameless(shared: Arc<Shared>) -> Self {
        EmbeddedProducer::new(shared, "", 0, Arc::default())
    }

    fn check_epoch(&self) -> Result<()> {
        if self.newest.load(Ordering::Acquire) == self.epoch {
            return Ok(());
        }
        let id = &self.transactional_id;
        Err(LogError::Fenced(format!("the producer of transactional id `{id}` was replaced by a newer one")))
    }

    fn open(&mut self, action: &str) -> Result<&mut Transaction> {
        self.transaction
            .as_mut()
            .ok_or_else(|| LogError::IllegalState(format!("cannot {action}: no transaction is open")))
    }

    fn partition(&mut self, record: &ProducerRecord) -> Result<Arc<Partition>> {
        if let Some(topic) = self.topics.get(&record.topic) {
            let partition = topic.partition(record.partition)?;
            if !partition.is_deleted() {
                check(topic, partition, record)?;
                return Ok(Arc::clone(partition));
            }
        }
        let topic = Arc::clone(lock(&self.shared.state).catalogue.topic(&record.topic)?);
        let partition = Arc::clone(topic.partition(record.partition)?);
        check(&topic, &partition, record)?;
        self.topics.insert(Arc::clone(&record.topic), topic);
        Ok(partition)
    }
}

/// Refuses a record that the topic cannot hold.
fn check(topic: &Topic, partition: &Partition, record: &ProducerRecord) -> Result<()> {
    if topic.config.compacted && record.key.is_none() {
        return Err(LogError::InvalidRecord {
            partition: partition.name.clone(),
            detail: "it has no key, and the topic is compacted: give it a key".to_owned(),
        });
    }
    Ok(())
}

fn size(record: &ProducerRecord) -> usize {
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.as_slice().iter().map(|header| header.name.len() + bytes(&header.value));
    bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>()
}

impl TransactionalProducer for EmbeddedProducer {
    fn begin(&mut self) -> Result<()> {
        self.check_epoch()?;
        if self.transaction.is_some() {
            return Err(LogError::IllegalState("cannot begin a transaction: one is open already".to_owned()));
        }
        self.transaction = Some(Transaction::default());
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    fn send(&mut self, record: ProducerRecord) -> Result<()> {
        self.check_epoch()?;
        self.open("send a record")?;
        let partition = self.partition(&record)?;
        let (size, limit) = (size(&record), self.shared.options.max_record_bytes);
        if size > limit {
            return Err(LogError::RecordTooLarge { partition: partition.name.clone(), size, limit });
        }
        self.open("send a record")?.records.push((partition, record));
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)], group: &GroupMetadata) -> Result<()> {
        self.check_epoch()?;
        self.open("send offsets")?;
        let state = lock(&self.shared.state);
        state.groups.check(group, offsets.iter().map(|(partition, _)| partition))?;
        for (partition, _) in offsets {
            state.catalogue.topic(&partition.topic)?.partition(partition.partition)?;
        }
        drop(state);
        let offsets = offsets.iter().map(|(partition, offset)| (group.clone(), partition.clone(), offset.clone()));
        self.open("send offsets")?.offsets.extend(offsets);
        Ok(())
    }

    fn commit(&mut self) -> Result<BTreeMap<TopicPartition, i64>> {
        self.check_epoch()?;
        self.open("commit")?;
        let transaction = self.transaction.take().unwrap_or_default();
        let shared = &self.shared;
        let _commits = lock(&shared.commits);
        // Once more, now that nobody can be fenced until we are done.
        self.check_epoch()?;
        transaction.check(shared)?;
        let placed = transaction.write(shared)?;
        // Under the lock, so that nobody who is about to wait misses it.
        let _state = lock(&shared.state);
        for (partition, next) in placed.values() {
            partition.set_next(*next);
        }
        shared.changed.notify_all();
        Ok(placed.into_values().map(|(partition, next)| (partition.name.clone(), next)).collect())
    }

    fn abort(&mut self) -> Result<()> {
        self.check_epoch()?;
        // None is open after a commit that failed, and aborting is the answer to that.
        self.transaction = None;
        Ok(())
    }
}

impl Transaction {
    fn check(&self, shared: &Shared) -> Result<()> {
        let state = lock(&shared.state);
        for (group, partition, _) in &self.offsets {
            state.groups.check(group, std::iter::once(partition))?;
            state.catalogue.topic(&partition.topic)?;
        }
        for (partition, _) in &self.records {
            if partition.is_deleted() {
                state.catalogue.topic(&partition.name.topic)?;
                // Deleted, and created again: those who write must learn of it.
                return Err(LogError::UnknownPartition(partition.name.clone()));
            }
        }
        Ok(())
    }

    /// Writes everything in one batch (I1). Returns the partitions written to, with the offset after the last record.
    fn write(&self, shared: &Shared) -> Result<Placed<'_>> {
        let mut placed = Placed::new();
        if self.records.is_empty() && self.offsets.is_empty() {
            return Ok(placed);
        }
        let mut offsets = Vec::with_capacity(self.offsets.len());
        for (group, partition, committed) in &self.offsets {
            let stored = to_bytes(&StoredOffset::new(committed)).map_err(|detail| shared.storage.corrupt(detail))?;
            offsets.push((committed_key(&group.group, &partition.topic, partition.partition), stored));
        }
        let bytes = self.records.iter().map(|(_, record)| RECORD_OVERHEAD + size(record)).sum::<usize>() + SMALL_BATCH;
        shared.storage.write(Durability::Configured, bytes, |batch| {
            self.put_records(batch, &mut placed);
            for (partition, next) in placed.values() {
                batch.put(Family::Partitions, &partition.key(PartitionPart::Next), &next.to_be_bytes());
            }
            for (key, stored) in &offsets {
                batch.put(Family::Offsets, key, stored);
            }
        })?;
        Ok(placed)
    }

    fn put_records<'a>(&'a self, batch: &mut Batch<'_>, placed: &mut Placed<'a>) {
        let mut stored = Vec::new();
        for (partition, record) in &self.records {
            let (_, next) = placed.entry(partition.id()).or_insert_with(|| (partition, partition.next()));
            let (topic, number) = partition.id();
            stored.clear();
            encode_record(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
                &mut stored,
            );
            batch.put(Family::Records, &record_key(topic, number, *next), &stored);
            *next += 1;
        }
    }
}
