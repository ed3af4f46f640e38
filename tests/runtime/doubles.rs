//! A log in memory that fails as it is told to: as a broker does that is away, a group that goes on without a member, a
//! transaction of which nobody knows how it ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use signalstream::log::embedded::EmbeddedLog;
use signalstream::log::{
    CommittedOffset, GroupMetadata, Log, LogAdmin, LogConsumer, LogError, Polled, ProducerRecord, Rebalance, Result,
    TopicConfig, TransactionalProducer, Waker,
};
use signalstream::record::TopicPartition;
use signalstream::time::Timestamp;

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitFault {
    /// The log says that it has not committed.
    Aborted,
    /// It does not say, and has.
    InDoubtAndTaken,
    /// It does not say, and has not.
    InDoubtAndLost,
    /// Another producer has taken the place of this one.
    Fenced,
}

/// What fails, and what was seen.
#[derive(Default)]
pub(crate) struct Faults {
    /// Whether the log cannot be reached.
    pub(crate) away: AtomicBool,
    /// Whether nobody can join a group, while all else works.
    pub(crate) refuses_members: AtomicBool,
    /// Whether it cannot be reached, and consumers do not notice but by being asked.
    pub(crate) mute: AtomicBool,
    /// How the next commits fail.
    pub(crate) commits: Mutex<VecDeque<CommitFault>>,
    /// Partitions whose offsets cannot be committed in a transaction, and why.
    pub(crate) uncommitted: Mutex<BTreeMap<TopicPartition, fn() -> LogError>>,
    /// Whether members of groups lose what they own at their next poll.
    pub(crate) lose: AtomicBool,
    /// Partitions of which nothing is fetched.
    pub(crate) held: Mutex<BTreeSet<TopicPartition>>,
    /// What the members of groups own, as the log says; `None`: it does not tell.
    pub(crate) owned: Mutex<Option<BTreeSet<TopicPartition>>>,
    /// How many of the next deletions of records fail.
    pub(crate) deletions: AtomicUsize,
    /// Whether the next commit of offsets outside of a transaction fails.
    pub(crate) refused_offsets: AtomicBool,
    /// Whether commits wait.
    pub(crate) stuck: Mutex<bool>,
    pub(crate) released: Condvar,
    /// Whether nothing is to wait for the log any more, and whether it goes along with that.
    pub(crate) hurried: AtomicBool,
    pub(crate) obedient: AtomicBool,
    /// Transactional ids, and names of static members, as they were asked for.
    pub(crate) producers: Mutex<Vec<String>>,
    pub(crate) members: Mutex<Vec<Option<String>>>,
    /// How many records were fetched, by topic.
    pub(crate) fetched: Mutex<BTreeMap<String, usize>>,
    /// How many records were handed to producers.
    pub(crate) sent: AtomicUsize,
    /// How often offsets were sent.
    pub(crate) offsets_sent: AtomicUsize,
}

impl Faults {
    fn check(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(LogError::Unreachable { action: "this".to_owned(), detail: "the test says so".to_owned() });
        }
        Ok(())
    }

    pub(crate) fn fetched(&self, topic: &str) -> usize {
        self.fetched.lock().unwrap().get(topic).copied().unwrap_or(0)
    }

    pub(crate) fn release(&self) {
        *self.stuck.lock().unwrap() = false;
        self.released.notify_all();
    }
}

/// A log that fails as its [`Faults`] say.
pub(crate) struct FaultyLog {
    pub(crate) inner: Arc<EmbeddedLog>,
    pub(crate) faults: Arc<Faults>,
}

impl FaultyLog {
    pub(crate) fn new(inner: &Arc<EmbeddedLog>) -> Arc<FaultyLog> {
        Arc::new(FaultyLog { inner: inner.clone(), faults: Arc::default() })
    }
}

impl Log for FaultyLog {
    fn consumer(&self, group: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        Ok(Box::new(Consumer::new(self.inner.consumer(group)?, self, None)))
    }

    fn member(&self, group: &str, instance: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        self.faults.check()?;
        if self.faults.refuses_members.load(Ordering::SeqCst) {
            return Err(LogError::Unreachable { action: "joining".to_owned(), detail: "the test says so".to_owned() });
        }
        self.faults.members.lock().unwrap().push(instance.map(str::to_owned));
        Ok(Box::new(Consumer::new(self.inner.member(group, instance)?, self, Some(group))))
    }

    fn transactional_producer(&self, transactional_id: &str) -> Result<Box<dyn TransactionalProducer>> {
        self.faults.check()?;
        self.faults.producers.lock().unwrap().push(transactional_id.to_owned());
        let inner = self.inner.transactional_producer(transactional_id)?;
        Ok(Box::new(Producer { inner, faults: self.faults.clone() }))
    }

    fn producer(&self) -> Result<Box<dyn TransactionalProducer>> {
        self.faults.check()?;
        let inner = self.inner.producer()?;
        Ok(Box::new(Producer { inner, faults: self.faults.clone() }))
    }

    fn admin(&self) -> Box<dyn LogAdmin> {
        Box::new(Admin { inner: self.inner.admin(), faults: self.faults.clone() })
    }

    fn hurry(&self) {
        self.faults.hurried.store(true, Ordering::SeqCst);
        if self.faults.obedient.load(Ordering::SeqCst) {
            self.faults.away.store(true, Ordering::SeqCst);
            self.faults.release();
        }
    }
}

struct Consumer {
    inner: Box<dyn LogConsumer>,
    log: Arc<EmbeddedLog>,
    faults: Arc<Faults>,
    group: Option<String>,
    topics: Vec<String>,
    owned: BTreeSet<TopicPartition>,
    fetches: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
}

impl Consumer {
    fn new(inner: Box<dyn LogConsumer>, log: &FaultyLog, group: Option<&str>) -> Consumer {
        Consumer {
            inner,
            log: log.inner.clone(),
            faults: log.faults.clone(),
            group: group.map(str::to_owned),
            topics: Vec::new(),
            owned: BTreeSet::new(),
            fetches: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    /// Leaves the group as one whose session has expired, and joins it anew.
    fn lose(&mut self, group: &str) -> Result<Polled> {
        self.inner = self.log.consumer(None)?;
        self.inner = self.log.member(group, None)?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.inner.subscribe(&topics)?;
        let lost = std::mem::take(&mut self.owned).into_iter().collect();
        Ok(Polled { rebalance: Some(Rebalance { lost, ..Rebalance::default() }), batches: Vec::new() })
    }
}

impl LogConsumer for Consumer {
    fn subscribe(&mut self, topics: &[&str]) -> Result<()> {
        self.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.inner.subscribe(topics)
    }

    fn acknowledge_revocation(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        partitions.iter().for_each(|partition| _ = self.owned.remove(partition));
        self.inner.acknowledge_revocation(partitions)
    }

    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.faults.check()?;
        self.fetches.insert(partition.clone());
        self.inner.assign(partition, offset)
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        self.fetches.remove(partition);
        self.inner.unassign(partition);
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.paused.insert(partition.clone());
        self.inner.pause(partition);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.paused.remove(partition);
        self.inner.resume(partition);
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Polled> {
        if let Some(group) = self.group.clone()
            && !self.owned.is_empty()
            && self.faults.lose.swap(false, Ordering::SeqCst)
        {
            return self.lose(&group);
        }
        self.faults.check()?;
        if self.faults.mute.load(Ordering::SeqCst) {
            return Ok(Polled::default());
        }
        let held = self.faults.held.lock().unwrap().clone();
        for partition in &self.fetches {
            if held.contains(partition) {
                self.inner.pause(partition);
            } else if !self.paused.contains(partition) {
                self.inner.resume(partition);
            }
        }
        let timeout = if held.is_empty() { timeout } else { timeout.min(Duration::from_millis(20)) };
        let polled = self.inner.poll(max_records, timeout)?;
        if let Some(rebalance) = &polled.rebalance {
            self.owned.extend(rebalance.assigned.iter().cloned());
        }
        let mut fetched = self.faults.fetched.lock().unwrap();
        for batch in &polled.batches {
            *fetched.entry(batch.partition.topic.to_string()).or_default() += batch.records.len();
        }
        Ok(polled)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.position(partition)
    }

    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        self.faults.check()?;
        self.inner.committed(partition)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.faults.check()?;
        if self.faults.mute.load(Ordering::SeqCst) {
            return Err(LogError::Unreachable { action: "this".to_owned(), detail: "the test says so".to_owned() });
        }
        self.inner.end_offset(partition)
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.known_end(partition)
    }

    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.faults.check()?;
        self.inner.beginning_offset(partition)
    }

    fn group_metadata(&self) -> Result<GroupMetadata> {
        self.inner.group_metadata()
    }

    fn commit_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        self.faults.check()?;
        if self.faults.refused_offsets.swap(false, Ordering::SeqCst) {
            return Err(LogError::Unreachable { action: "this".to_owned(), detail: "the test says so".to_owned() });
        }
        self.inner.commit_offsets(offsets)
    }
}

struct Producer {
    inner: Box<dyn TransactionalProducer>,
    faults: Arc<Faults>,
}

impl TransactionalProducer for Producer {
    fn begin(&mut self) -> Result<()> {
        self.inner.begin()
    }

    fn in_transaction(&self) -> bool {
        self.inner.in_transaction()
    }

    fn send(&mut self, record: ProducerRecord) -> Result<()> {
        self.faults.check()?;
        self.faults.sent.fetch_add(1, Ordering::SeqCst);
        self.inner.send(record)
    }

    fn send_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)], group: &GroupMetadata) -> Result<()> {
        self.faults.check()?;
        let uncommitted = self.faults.uncommitted.lock().unwrap();
        if let Some(fault) = offsets.iter().find_map(|(partition, _)| uncommitted.get(partition)) {
            return Err(fault());
        }
        self.faults.offsets_sent.fetch_add(1, Ordering::SeqCst);
        self.inner.send_offsets(offsets, group)
    }

    fn commit(&mut self) -> Result<BTreeMap<TopicPartition, i64>> {
        drop(self.faults.released.wait_while(self.faults.stuck.lock().unwrap(), |stuck| *stuck).unwrap());
        self.faults.check()?;
        match self.faults.commits.lock().unwrap().pop_front() {
            None => self.inner.commit(),
            Some(CommitFault::Aborted) => Err(LogError::Aborted("the test says so".to_owned())),
            Some(CommitFault::InDoubtAndTaken) => {
                self.inner.commit()?;
                Err(LogError::InDoubt("the test says so".to_owned()))
            }
            Some(CommitFault::InDoubtAndLost) => Err(LogError::InDoubt("the test says so".to_owned())),
            Some(CommitFault::Fenced) => Err(LogError::Fenced("this producer".to_owned())),
        }
    }

    fn abort(&mut self) -> Result<()> {
        self.inner.abort()
    }
}

struct Admin {
    inner: Box<dyn LogAdmin>,
    faults: Arc<Faults>,
}

impl LogAdmin for Admin {
    fn create_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.inner.create_topic(topic, config)
    }

    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>> {
        self.inner.topics()
    }

    fn alter_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.inner.alter_topic(topic, config)
    }

    fn add_partitions(&self, topic: &str, partitions: i32) -> Result<()> {
        self.inner.add_partitions(topic, partitions)
    }

    fn group_members(&self, group: &str) -> Result<usize> {
        self.inner.group_members(group)
    }

    fn owned_partitions(&self, _group: &str) -> Result<Option<BTreeSet<TopicPartition>>> {
        Ok(self.faults.owned.lock().unwrap().clone())
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        self.inner.delete_group(group)
    }

    fn delete_topic(&self, topic: &str) -> Result<()> {
        self.inner.delete_topic(topic)
    }

    fn delete_records(&self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let fails = |left: usize| left.checked_sub(1);
        if self.faults.deletions.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(LogError::Unreachable { action: "deleting".to_owned(), detail: "the test says so".to_owned() });
        }
        self.inner.delete_records(partition, offset)
    }

    fn clean(&self, now: Timestamp) -> Result<()> {
        self.inner.clean(now)
    }
}
