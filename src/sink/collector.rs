//! Collects what a task writes until it is sent: at the commit, or before, into the transaction that will commit it.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec::Drain;

use bytes::Bytes;

use super::partitioner::partition_for;
use crate::log::ProducerRecord;
use crate::record::Headers;
use crate::time::Timestamp;

/// What must be known of a topic to write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// How many partitions it has.
    pub partitions: i32,
    /// Whether it is compacted, and so takes no record without a key.
    pub compacted: bool,
    /// The largest record that it takes, in bytes of key, value and headers, where that is known.
    pub max_record_bytes: Option<usize>,
}

/// The topics that can be written to.
pub type Partitions = HashMap<Arc<str>, Target, ahash::RandomState>;

/// A record on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic it goes to.
    pub topic: &'a Arc<str>,
    /// Its encoded key.
    pub key: Option<Bytes>,
    /// Its encoded value.
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
    /// The partition of the input record: a record without a key goes to the partition of that number, so
    /// that the same input gives the same output (invariant I7).
    pub input_partition: i32,
    /// The partition that it must go to; `None`: that of its key.
    pub partition: Option<i32>,
    /// The bytes whose hash chooses the partition, where they are not those of the key.
    pub hashed: Option<Bytes>,
    /// Whether it waits for the commit, which sorts those of all tasks by time: the application reads the topic itself.
    pub waits: bool,
}

/// Why a record could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The topic was not there when the task was made.
    #[error("topic `{0}` does not exist; create it, or declare it under `topics:` so that it can be created")]
    UnknownTopic(Arc<str>),
    /// The topic that an expression gave is none that the sink may write to.
    #[error("`{topic}` is no topic that this sink may write to: {may}. Add it there, or mend the expression")]
    UndeclaredTopic {
        /// The topic.
        topic: String,
        /// The topics that it may write to.
        may: String,
    },
    /// A compacted topic keeps the last record of each key; a record without one has no place there.
    #[error("`{0}` is compacted and takes no record without a key; give it one with `select_key`, or filter it out")]
    NullKey(Arc<str>),
    /// The record is larger than the log takes.
    #[error(
        "the record for `{topic}` has {size} bytes, the limit is {limit}; hand on less of it with `map_values`, filter it out, \
         or raise the limit: `max_record_bytes`, and the topic's `max.message.bytes`"
    )]
    TooLarge {
        /// The topic.
        topic: Arc<str>,
        /// Key, value and headers, in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The records that the next commit makes visible, in order.
#[derive(Debug)]
pub struct RecordCollector {
    partitions: Arc<Partitions>,
    /// The topic that was written to last.
    last: Option<(Arc<str>, Target)>,
    max_record_bytes: usize,
    /// For topics of others: may be sent at any time before the commit.
    outputs: Vec<ProducerRecord>,
    /// For topics that the application reads itself: wait for the commit, which sorts those of all tasks by time.
    waiting: Vec<ProducerRecord>,
    bytes: usize,
    /// Whether some were taken out since the last commit.
    sent: bool,
}

impl RecordCollector {
    /// Collects records for topics with these numbers of partitions.
    pub fn new(partitions: Arc<Partitions>, max_record_bytes: usize) -> Self {
        RecordCollector {
            partitions,
            last: None,
            max_record_bytes,
            outputs: Vec::new(),
            waiting: Vec::new(),
            bytes: 0,
            sent: false,
        }
    }

    /// Takes a record.
    pub fn send(&mut self, outgoing: Outgoing<'_>) -> Result<(), CollectError> {
        let target = self.target(outgoing.topic)?;
        if target.compacted && outgoing.key.is_none() {
            return Err(CollectError::NullKey(outgoing.topic.clone()));
        }
        let size = size_of(&outgoing);
        let limit = target.max_record_bytes.map_or(self.max_record_bytes, |most| most.min(self.max_record_bytes));
        if size > limit {
            return Err(CollectError::TooLarge { topic: outgoing.topic.clone(), size, limit });
        }
        let partition = match (outgoing.partition, &outgoing.key) {
            (Some(partition), _) if (0..target.partitions).contains(&partition) => partition,
            (_, Some(key)) => partition_for(outgoing.hashed.as_ref().unwrap_or(key), target.partitions),
            (_, None) => outgoing.input_partition % target.partitions.max(1),
        };
        self.bytes += size;
        let records = if outgoing.waits { &mut self.waiting } else { &mut self.outputs };
        records.push(ProducerRecord {
            topic: outgoing.topic.clone(),
            partition,
            timestamp: outgoing.timestamp,
            key: outgoing.key,
            value: outgoing.value,
            headers: outgoing.headers,
        });
        Ok(())
    }

    /// A topic that is written to. Most often it is the one that was written to last.
    fn target(&mut self, topic: &Arc<str>) -> Result<Target, CollectError> {
        if let Some((last, target)) = &self.last
            && Arc::ptr_eq(last, topic)
        {
            return Ok(*target);
        }
        let target = self.partitions.get(topic).copied().ok_or_else(|| CollectError::UnknownTopic(topic.clone()))?;
        self.last = Some((topic.clone(), target));
        Ok(target)
    }

    /// Bytes collected since the last commit, whether they have been sent or not.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes out what can be sent ahead of the commit.
    pub fn outputs(&mut self) -> Drain<'_, ProducerRecord> {
        self.sent |= !self.outputs.is_empty();
        self.outputs.drain(..)
    }

    /// Takes out all that has not been sent. What waits for its place among the records of all tasks comes first: behind
    /// others it would have to wait for theirs too.
    pub fn take(&mut self) -> Vec<ProducerRecord> {
        // About as many will come again; lists that grow step by step would copy them several times.
        let next = Vec::with_capacity(self.waiting.len());
        let mut records = std::mem::replace(&mut self.waiting, next);
        records.append(&mut self.outputs);
        records
    }

    /// Whether something was sent ahead of a commit that has not come yet.
    pub fn is_ahead(&self) -> bool {
        self.sent
    }

    /// Starts anew: what was collected is committed, or dropped.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.waiting.clear();
        self.bytes = 0;
        self.sent = false;
    }
}

/// Bytes of key, value and headers, as the log counts them.
fn size_of(outgoing: &Outgoing<'_>) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = outgoing.headers.as_slice().iter().map(|header| header.name.len() + length(&header.value));
    length(&outgoing.key) + length(&outgoing.value) + headers.sum::<usize>()
}
