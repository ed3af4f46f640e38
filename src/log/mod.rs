//! What the engine needs of a partitioned, transactional log, in Kafka's terms.
//!
//! The engine above this module knows no broker. [`embedded`] keeps the log in one local directory (or in
//! memory, for tests); [`kafka`] stands behind the same traits. Calls block, none of them for ever; a stream thread
//! owns its consumers and its producer.

pub mod embedded;
pub mod kafka;
mod topic;

#[cfg(test)]
pub(crate) mod contract;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Classified, ErrorClass};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// The key; `None` is the null key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Headers,
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerRecord {
    /// The topic to write to.
    pub topic: Arc<str>,
    /// The partition to write to; the engine partitions itself.
    pub partition: i32,
    /// Milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// The key; `None` is the null key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Headers,
}

/// Consecutive records of one partition.
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    /// The partition they were read from.
    pub partition: TopicPartition,
    /// The records, by ascending offset; gaps are possible (compaction, control records). May be empty: the
    /// position moved on over offsets that hold no record any more.
    pub records: Vec<LogRecord>,
    /// The offset that the next fetch starts at.
    pub position: i64,
}

/// A change in which partitions of the subscribed topics this member of the group owns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rebalance {
    /// Partitions that the member must give up. It keeps them until it calls
    /// [`LogConsumer::acknowledge_revocation`], so that it can commit first.
    pub revoked: Vec<TopicPartition>,
    /// Partitions that the member owns from now on. Of what it owns already, it may be told again.
    pub assigned: Vec<TopicPartition>,
    /// Partitions that are the member's no longer: the group went on without it, for example because its session had
    /// expired. Another member may own them already, so what was done since the last commit is dropped, never
    /// committed; there is nothing to acknowledge.
    pub lost: Vec<TopicPartition>,
}

impl Rebalance {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty() && self.assigned.is_empty() && self.lost.is_empty()
    }
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// A change of ownership, if there was one.
    pub rebalance: Option<Rebalance>,
    /// Records of the partitions that are being fetched.
    pub batches: Vec<FetchedBatch>,
}

/// A committed position of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Text that the committer kept with the offset (at most 4,096 bytes on Kafka).
    pub metadata: String,
}

/// Who commits: fences members that the group has gone on without (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group's name.
    pub group: String,
    /// The member's name, given by the group.
    pub member: String,
    /// The name that a static member gave itself.
    pub instance: Option<String>,
    /// The group's generation when the member last joined.
    pub generation: i32,
}

/// How a topic is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// How many partitions; at least 1.
    pub partitions: i32,
    /// How long records are kept, in milliseconds; `None`: without limit (`retention.ms`).
    pub retention: Option<i64>,
    /// Whether only the last record of each key is kept (`cleanup.policy=compact`).
    pub compacted: bool,
    /// How long a tombstone of a compacted topic is kept, in milliseconds (`delete.retention.ms`).
    pub delete_retention: i64,
    /// After how long, in milliseconds, an overwritten record of a compacted topic is gone at the latest
    /// (`max.compaction.lag.ms`); `None`: the log's default. The embedded log has no use for it: it compacts at every
    /// cleaning.
    pub max_compaction_lag: Option<i64>,
    /// How long the newest part of a partition, which is neither compacted nor deleted, may grow, in milliseconds
    /// (`segment.ms`); `None`: the log's default. The embedded log has no such part.
    pub segment: Option<i64>,
}

impl TopicConfig {
    /// A topic of `partitions` whose records are kept for ever, and not compacted.
    pub fn new(partitions: i32) -> Self {
        TopicConfig {
            partitions,
            retention: None,
            compacted: false,
            delete_retention: 86_400_000,
            max_compaction_lag: None,
            segment: None,
        }
    }
}

/// What can go wrong with a log. Every variant says what failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A topic is not there.
    #[error("topic `{topic}` does not exist{hint}")]
    UnknownTopic {
        /// Its name.
        topic: String,
        /// What to do about it, starting with a separator; may be empty.
        hint: String,
    },
    /// A partition is not there.
    #[error("partition {0} does not exist")]
    UnknownPartition(TopicPartition),
    /// The topic exists already with another configuration.
    #[error("topic `{topic}` exists already: {difference}")]
    TopicExists {
        /// Its name.
        topic: String,
        /// What differs.
        difference: String,
    },
    /// Another process, or another part of this one, has the directory open.
    #[error("{path} is in use already; an embedded log is for one process at a time: stop the other one first")]
    InUse {
        /// The directory.
        path: String,
    },
    /// A topic's name or configuration is not possible.
    #[error("topic `{topic}` cannot be created: {detail}")]
    InvalidTopic {
        /// Its name.
        topic: String,
        /// What is wrong, and what is possible.
        detail: String,
    },
    /// The log is open for reading only.
    #[error("cannot {action}: the log in {path} is open for reading only")]
    ReadOnly {
        /// The directory.
        path: String,
        /// What was tried.
        action: &'static str,
    },
    /// The producer or the group member was replaced by a newer one, or given up; the text says which and why.
    #[error("{0}")]
    Fenced(String),
    /// A record is larger than the log takes.
    #[error(
        "a record of {size} bytes for {partition} is larger than the limit of {limit} bytes; split it, or keep the large part elsewhere and write a reference to it"
    )]
    RecordTooLarge {
        /// Where it was to go.
        partition: TopicPartition,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A record is one that its topic cannot hold.
    #[error("a record for {partition} is refused: {detail}")]
    InvalidRecord {
        /// Where it was to go.
        partition: TopicPartition,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// An offset lies beyond the end: the log was replaced, or lost its last records with the machine's power.
    #[error("offset {offset} of {partition} is beyond its end, {end}: what remembers the offset is newer than the log")]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset asked for.
        offset: i64,
        /// The partition's end offset.
        end: i64,
    },
    /// The log cannot be reached, or does not answer in time. It may come back.
    #[error("{action} failed: {detail}")]
    Unreachable {
        /// What was tried.
        action: String,
        /// Which address, why, and what to do.
        detail: String,
    },
    /// The transaction cannot commit: nothing of it will be visible. Abort it and do its work again.
    #[error("the transaction has to be aborted: {0}")]
    Aborted(String),
    /// It is not known whether the transaction is visible: drop its producer, make a new one (which decides it), and
    /// read from the log what is committed.
    #[error("it is not known whether the transaction was committed: {0}")]
    InDoubt(String),
    /// Who we are is not believed.
    #[error("the log refuses to know us: {0}")]
    Authentication(String),
    /// What we do is not allowed.
    #[error("{action} is not allowed: {remedy}")]
    Denied {
        /// What was tried.
        action: String,
        /// The permission that is missing.
        remedy: String,
    },
    /// A setting of the client is wrong.
    #[error("setting `{property}`: {detail}")]
    Setting {
        /// Its name.
        property: String,
        /// What is wrong with it; never quotes a secret.
        detail: String,
    },
    /// A consumer group has members, which would go on undisturbed.
    #[error("group `{group}` is in use by {members} members: stop the application first")]
    GroupInUse {
        /// Its name.
        group: String,
        /// How many members it has.
        members: usize,
    },
    /// The log refuses, for a reason of its own.
    #[error("{action} failed: {detail}")]
    Refused {
        /// What was tried.
        action: String,
        /// What the log said, and what to do if that is known.
        detail: String,
    },
    /// The call does not fit the state of the object it was made on; a defect of the engine.
    #[error("{0}")]
    IllegalState(String),
    /// What is stored cannot be read.
    #[error("the log in {path} cannot be read: {detail}")]
    Corrupt {
        /// The directory.
        path: String,
        /// What was found.
        detail: String,
    },
    /// The disk, its permissions, or the storage library said no.
    #[error("the log in {path} failed: {detail}")]
    Storage {
        /// The directory.
        path: String,
        /// What the system said, and what to do.
        detail: String,
    },
}

impl Classified for LogError {
    fn class(&self) -> ErrorClass {
        match self {
            LogError::Fenced(_) | LogError::InDoubt(_) => ErrorClass::TaskMigrated,
            LogError::Unreachable { .. } | LogError::Aborted(_) => ErrorClass::Retry,
            LogError::RecordTooLarge { .. } | LogError::InvalidRecord { .. } => ErrorClass::Skip,
            LogError::OffsetOutOfRange { .. } => ErrorClass::TaskCorrupted,
            _ => ErrorClass::Fatal,
        }
    }
}

/// What the calls of this module return.
pub type Result<T, E = LogError> = std::result::Result<T, E>;

/// Ends a consumer's waiting, from another thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A partitioned, transactional log.
pub trait Log: Send + Sync {
    /// A consumer of partitions that its owner names ([`LogConsumer::assign`]). With a group it reads what the group
    /// has committed, but does not join it.
    fn consumer(&self, group: Option<&str>) -> Result<Box<dyn LogConsumer>>;

    /// A consumer that may join a group ([`LogConsumer::subscribe`]). `instance` makes it a static member (KIP-345):
    /// one that comes back under that name within the session timeout finds what it owned unmoved.
    fn member(&self, group: &str, instance: Option<&str>) -> Result<Box<dyn LogConsumer>>;

    /// A producer whose records become visible at its commits only. Fences an earlier producer of the
    /// same id and aborts the transaction that one left open.
    fn transactional_producer(&self, transactional_id: &str) -> Result<Box<dyn TransactionalProducer>>;

    /// A producer whose records become visible one by one, in order and each once as long as the process lives. Its
    /// [`TransactionalProducer::commit`] waits until all are written, [`TransactionalProducer::abort`] cannot take them
    /// back, and offsets are committed after that by [`LogConsumer::commit_offsets`]: at least once.
    fn producer(&self) -> Result<Box<dyn TransactionalProducer>>;

    /// Topics: create, describe, delete.
    fn admin(&self) -> Box<dyn LogAdmin>;

    /// From now on, nothing waits for a log that does not answer: calls that do, or will, give up after a second or
    /// two. For a stop that has a time limit.
    fn hurry(&self) {}
}

/// Reads committed records, or is a member of a group. A member fetches nothing: it is told what it owns, and commits
/// offsets.
pub trait LogConsumer: Send {
    /// Joins the group for these topics. Ownership arrives with [`LogConsumer::poll`], which must be called again and
    /// again for the group to keep the member; owning a partition does not by itself fetch it.
    fn subscribe(&mut self, topics: &[&str]) -> Result<()>;

    /// Gives up what the last poll's `revoked` named.
    fn acknowledge_revocation(&mut self, partitions: &[TopicPartition]) -> Result<()>;

    /// Starts to fetch a partition at an offset (or moves there, if it is fetched already; paused stays paused).
    /// An offset before the log start means the log start.
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<()>;

    /// Stops to fetch a partition.
    fn unassign(&mut self, partition: &TopicPartition);

    /// Keeps the partition's position but does not fetch it until [`LogConsumer::resume`].
    fn pause(&mut self, partition: &TopicPartition);

    /// Fetches a paused partition again.
    fn resume(&mut self, partition: &TopicPartition);

    /// Fetches up to `max_records` over all fetched partitions, fairly; waits up to `timeout` when there
    /// are none and returns as soon as there are some, or ownership changes.
    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Polled>;

    /// What makes the poll that is waiting, or else the next one, return at once.
    fn waker(&self) -> Waker;

    /// The offset that the next fetch of the partition starts at; `None` if it is not fetched.
    fn position(&self, partition: &TopicPartition) -> Option<i64>;

    /// The group's committed offset, or `None` if it never committed the partition. Waits for transactions that are
    /// about to commit one. May take a network call.
    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>>;

    /// Asks the log for the offset after the last record, records of transactions that are still open included (Kafka's
    /// high watermark): a reader of committed records comes to it once those are decided. May take a network call.
    fn end_offset(&self, partition: &TopicPartition) -> Result<i64>;

    /// The offset up to which there are records to be read, as far as the fetches of this consumer have told; never
    /// waits. `None`: the partition is not fetched, or nothing has been heard of it yet.
    fn known_end(&self, partition: &TopicPartition) -> Option<i64>;

    /// The first offset that is still there.
    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64>;

    /// Who this consumer is to its group; to be asked anew for every commit.
    fn group_metadata(&self) -> Result<GroupMetadata>;

    /// Commits offsets outside of any transaction, for the group that this consumer is a member of (at least once).
    fn commit_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()>;
}

/// Writes records and offsets in transactions: all of one become visible, or none.
pub trait TransactionalProducer: Send {
    /// Opens a transaction.
    fn begin(&mut self) -> Result<()>;

    /// Whether a transaction is open: begun, and neither committed nor aborted.
    fn in_transaction(&self) -> bool;

    /// Adds a record to the open transaction.
    fn send(&mut self, record: ProducerRecord) -> Result<()>;

    /// Adds the group's new offsets to the open transaction.
    fn send_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)], group: &GroupMetadata) -> Result<()>;

    /// Makes the transaction visible, whole. Returns, for each partition written to, the offset after the
    /// last record that this transaction put there.
    fn commit(&mut self) -> Result<BTreeMap<TopicPartition, i64>>;

    /// Drops the transaction, whole. Fine after a commit that failed, or with none open. When it fails, drop the
    /// producer and make a new one.
    fn abort(&mut self) -> Result<()>;
}

/// Looks after topics.
pub trait LogAdmin: Send {
    /// Creates a topic. An equal one that exists is left as it is; another one is an error.
    fn create_topic(&self, topic: &str, config: &TopicConfig) -> Result<()>;

    /// All topics, by name.
    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>>;

    /// The names of all topics: cheaper than [`LogAdmin::topics`], to be asked for again and again.
    fn topic_names(&self) -> Result<BTreeSet<String>> {
        Ok(self.topics()?.into_keys().collect())
    }

    /// The largest record that each of these topics takes, in bytes of key, value and headers, where the log has a
    /// limit for it and that is known.
    fn record_limits(&self, _topics: &[&str]) -> Result<BTreeMap<String, usize>> {
        Ok(BTreeMap::new())
    }

    /// Changes how a topic is kept: retention, compaction, delays. The number of partitions is left alone.
    fn alter_topic(&self, topic: &str, config: &TopicConfig) -> Result<()>;

    /// Adds partitions to a topic, up to `partitions`. Keys are spread over more partitions from then on: what is
    /// already written stays where it is.
    fn add_partitions(&self, topic: &str, partitions: i32) -> Result<()>;

    /// How many members a group has; 0 if there is no such group.
    fn group_members(&self, group: &str) -> Result<usize>;

    /// What the members of a group own, all together. `None` while it changes, when it has no members, and where a log
    /// cannot tell. May take a network call.
    fn owned_partitions(&self, _group: &str) -> Result<Option<BTreeSet<TopicPartition>>> {
        Ok(None)
    }

    /// Forgets a group with its committed offsets. A group that does not exist is fine; one with members is
    /// [`LogError::GroupInUse`].
    fn delete_group(&self, group: &str) -> Result<()>;

    /// Deletes a topic and its records.
    fn delete_topic(&self, topic: &str) -> Result<()>;

    /// Deletes the records before `offset` (repartition topics, after the commit).
    fn delete_records(&self, partition: &TopicPartition, offset: i64) -> Result<()>;

    /// Deletes what retention and compaction no longer keep, as of `now`, and returns when its bytes are gone. A
    /// tombstone goes `delete_retention` after the first cleaning that saw it (KIP-534), whatever its timestamp.
    fn clean(&self, now: Timestamp) -> Result<()>;
}
