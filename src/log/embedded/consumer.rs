//! Reads committed records, and waits for them without spinning.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;

use super::super::{
    CommittedOffset, FetchedBatch, GroupMetadata, LogConsumer, LogError, LogRecord, Polled, Rebalance, Result,
    TransactionalProducer, Waker,
};
use super::catalogue::Partition;
use super::encoding::{StoredOffset, committed_key, decode_record, from_bytes};
use super::producer::EmbeddedProducer;
use super::storage::Family;
use super::{Shared, State, lock};
use crate::record::TopicPartition;

/// How many bytes one poll brings at most, unless its first record alone is larger.
const MAX_POLL_BYTES: usize = 16 << 20;

/// For how many records a batch makes room before it has seen one.
const MAX_RESERVED: i64 = 4_096;

/// How often a reader of another process's log looks for news: nothing signals across processes.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

/// A consumer of the embedded log.
pub(super) struct EmbeddedConsumer {
    shared: Arc<Shared>,
    group: Option<String>,
    member: Option<u64>,
    fetched: IndexMap<TopicPartition, Fetch>,
    /// Which of `fetched` comes first at the next poll, so that each has its turn.
    turn: usize,
    /// Whether somebody asked the waiting, or the next, poll to return at once.
    woken: Arc<AtomicBool>,
}

struct Fetch {
    partition: Arc<Partition>,
    position: i64,
    paused: bool,
}

impl Fetch {
    fn is_ready(&self) -> bool {
        !self.paused && (self.partition.is_deleted() || self.position < self.partition.next())
    }
}

/// How much more a poll may bring.
#[derive(Clone, Copy)]
struct Budget {
    records: usize,
    bytes: usize,
}

impl EmbeddedConsumer {
    pub(super) fn new(shared: Arc<Shared>, group: Option<&str>) -> Self {
        EmbeddedConsumer {
            shared,
            group: group.map(str::to_owned),
            member: None,
            fetched: IndexMap::new(),
            turn: 0,
            woken: Arc::default(),
        }
    }

    fn group(&self, action: &str) -> Result<&str> {
        let refused = || LogError::IllegalState(format!("a consumer without a group cannot {action}"));
        self.group.as_deref().ok_or_else(refused)
    }

    fn partition(&self, name: &TopicPartition) -> Result<Arc<Partition>> {
        Ok(Arc::clone(lock(&self.shared.state).catalogue.topic(&name.topic)?.partition(name.partition)?))
    }

    fn is_ready(&self, state: &State, max_records: usize) -> bool {
        let fetches = max_records > 0 && self.fetched.values().any(Fetch::is_ready);
        let (Some(group), Some(member)) = (&self.group, self.member) else { return fetches };
        fetches || state.groups.is_pending(group, member)
    }

    /// Waits until there is something for this consumer, or `timeout` has passed.
    fn wait(&self, max_records: usize, mut timeout: Duration) -> Result<Option<Rebalance>> {
        let shared = &self.shared;
        loop {
            shared.refresh()?;
            let slice = if shared.storage.follows() { timeout.min(FOLLOW_INTERVAL) } else { timeout };
            timeout = timeout.saturating_sub(slice);
            let state = lock(&shared.state);
            let waits = |state: &mut State| !self.woken.load(Ordering::Acquire) && !self.is_ready(state, max_records);
            let waited = shared.changed.wait_timeout_while(state, slice, waits);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.is_zero() || self.woken.swap(false, Ordering::AcqRel) || self.is_ready(&state, max_records) {
                let (Some(group), Some(member)) = (&self.group, self.member) else { return Ok(None) };
                return Ok(state.groups.rebalance(group, member));
            }
        }
    }

    fn fetch(&mut self, max_records: usize) -> Result<Vec<FetchedBatch>> {
        let mut ready: Vec<usize> = (0..self.fetched.len()).filter(|index| self.is_index_ready(*index)).collect();
        let first = ready.iter().position(|index| *index >= self.turn).unwrap_or(0);
        ready.rotate_left(first);
        self.turn = ready.first().map_or(0, |index| index + 1);
        let mut left = Budget { records: max_records, bytes: MAX_POLL_BYTES };
        let mut batches = Vec::new();
        for (served, index) in ready.iter().enumerate() {
            if left.records == 0 {
                break;
            }
            // Each gets its share of what those before it left over.
            let waiting = ready.len() - served;
            let share = Budget { records: left.records.div_ceil(waiting), bytes: left.bytes / waiting };
            let limit = if batches.is_empty() { usize::MAX } else { left.bytes };
            let Some((name, fetch)) = self.fetched.get_index_mut(*index) else { continue };
            let (batch, bytes) = match self.shared.storage.retrying(|| fetch.read(&self.shared, name, share, limit)) {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                // What was read must not get lost (I4); the error comes again at the next poll.
                Err(_) if !batches.is_empty() => break,
                Err(error) => return Err(error),
            };
            left.records = left.records.saturating_sub(batch.records.len());
            left.bytes = left.bytes.saturating_sub(bytes);
            batches.push(batch);
        }
        Ok(batches)
    }

    fn is_index_ready(&self, index: usize) -> bool {
        self.fetched.get_index(index).is_some_and(|(_, fetch)| fetch.is_ready())
    }
}

impl Fetch {
    /// Reads within `share`; the first record may be as large as `limit`. `None` if it is larger than that.
    fn read(
        &mut self,
        shared: &Shared,
        name: &TopicPartition,
        share: Budget,
        limit: usize,
    ) -> Result<Option<(FetchedBatch, usize)>> {
        if self.partition.is_deleted() {
            let hint = "; it was deleted while it was being read".to_owned();
            return Err(LogError::UnknownTopic { topic: name.topic.to_string(), hint });
        }
        let start = self.partition.start();
        if self.position < start {
            tracing::warn!(partition = %name, position = self.position, start, "records were deleted before they were read");
            self.position = start;
        }
        let end = self.partition.next();
        let mut records: Vec<LogRecord> =
            Vec::with_capacity(share.records.min((end - self.position).clamp(0, MAX_RESERVED) as usize));
        let mut bytes = 0;
        let mut position = end;
        shared.storage.records(self.partition.id(), self.position, end, |offset, stored| {
            let allowed = if records.is_empty() { limit } else { share.bytes };
            if records.len() == share.records || stored.len() > allowed.saturating_sub(bytes) {
                position = offset;
                return Ok(ControlFlow::Break(()));
            }
            bytes += stored.len();
            records.push(decode_record(offset, stored).ok_or_else(|| damaged(shared, name, offset))?);
            Ok(ControlFlow::Continue(()))
        })?;
        if position == self.position {
            return Ok(None);
        }
        self.position = position;
        Ok(Some((FetchedBatch { partition: name.clone(), records, position }, bytes)))
    }
}

fn damaged(shared: &Shared, name: &TopicPartition, offset: i64) -> LogError {
    shared.storage.corrupt(format!("the record at offset {offset} of {name} is damaged"))
}

impl LogConsumer for EmbeddedConsumer {
    fn subscribe(&mut self, topics: &[&str]) -> Result<()> {
        self.shared.writable("join a consumer group")?;
        let group = self.group("subscribe")?.to_owned();
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let mut state = lock(&self.shared.state);
        let State { catalogue, groups, .. } = &mut *state;
        match self.member {
            Some(member) => groups.resubscribe(&group, member, topics, catalogue),
            None => self.member = Some(groups.join(&group, topics, catalogue)),
        }
        self.shared.changed.notify_all();
        Ok(())
    }

    fn acknowledge_revocation(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let group = self.group("give up partitions")?;
        let Some(member) = self.member else {
            return Err(LogError::IllegalState("a consumer that did not subscribe owns no partitions".to_owned()));
        };
        // Not in the middle of a commit that relies on the ownership.
        let commits = lock(&self.shared.commits);
        lock(&self.shared.state).groups.acknowledge(group, member, partitions)?;
        self.shared.changed.notify_all();
        drop(commits);
        partitions.iter().for_each(|partition| self.unassign(partition));
        Ok(())
    }

    fn assign(&mut self, name: &TopicPartition, offset: i64) -> Result<()> {
        self.shared.refresh()?;
        let partition = self.partition(name)?;
        let end = partition.next();
        if offset > end {
            return Err(LogError::OffsetOutOfRange { partition: name.clone(), offset, end });
        }
        let paused = self.fetched.get(name).is_some_and(|fetch| fetch.paused);
        self.fetched.insert(name.clone(), Fetch { partition, position: offset.max(0), paused });
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        self.fetched.shift_remove(partition);
    }

    fn pause(&mut self, partition: &TopicPartition) {
        if let Some(fetch) = self.fetched.get_mut(partition) {
            fetch.paused = true;
        }
    }

    fn resume(&mut self, partition: &TopicPartition) {
        if let Some(fetch) = self.fetched.get_mut(partition) {
            fetch.paused = false;
        }
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Polled> {
        let rebalance = self.wait(max_records, timeout)?;
        match self.fetch(max_records) {
            Ok(batches) => Ok(Polled { rebalance, batches }),
            // The change of ownership is told once only, so it must not get lost; the error comes again.
            Err(_) if rebalance.is_some() => Ok(Polled { rebalance, batches: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    fn waker(&self) -> Waker {
        let (shared, woken) = (Arc::downgrade(&self.shared), Arc::clone(&self.woken));
        Arc::new(move || {
            woken.store(true, Ordering::Release);
            if let Some(shared) = shared.upgrade() {
                // Under the lock, so that one who is about to wait misses nothing.
                let _state = lock(&shared.state);
                shared.changed.notify_all();
            }
        })
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.fetched.get(partition).map(|fetch| fetch.position)
    }

    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        let group = self.group("have committed offsets")?;
        self.shared.refresh()?;
        // A commit is stored before its records are shown. Offsets that are seen while it is under way would tell
        // of records processed whose results are not there yet.
        let _commits = lock(&self.shared.commits);
        let storage = &self.shared.storage;
        let key = committed_key(group, &partition.topic, partition.partition);
        let Some(stored) = storage.retrying(|| storage.get(Family::Offsets, &key))? else { return Ok(None) };
        let stored: StoredOffset = from_bytes(&stored)
            .map_err(|detail| storage.corrupt(format!("the offset of group `{group}` in {partition}: {detail}")))?;
        Ok(Some(stored.committed()))
    }

    fn end_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.refresh()?;
        Ok(self.partition(partition)?.next())
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        self.fetched.get(partition)?;
        self.partition(partition).ok().map(|partition| partition.next())
    }

    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.refresh()?;
        Ok(self.partition(partition)?.start())
    }

    fn group_metadata(&self) -> Result<GroupMetadata> {
        let group = self.group("have a place in a group")?;
        Ok(lock(&self.shared.state).groups.metadata(group, self.member))
    }

    fn commit_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        self.shared.writable("commit offsets")?;
        let group = self.group_metadata()?;
        let mut producer = EmbeddedProducer::nameless(Arc::clone(&self.shared));
        producer.begin()?;
        producer.send_offsets(offsets, &group)?;
        producer.commit().map(drop)
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let (Some(group), Some(member)) = (&self.group, self.member) else { return };
        // Not in the middle of a commit that relies on the membership.
        let _commits = lock(&self.shared.commits);
        let mut state = lock(&self.shared.state);
        let State { catalogue, groups, .. } = &mut *state;
        groups.leave(group, member, catalogue);
        self.shared.changed.notify_all();
    }
}
