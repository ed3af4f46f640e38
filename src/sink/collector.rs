//! Collects what a task writes until the commit sends it.

use std::collections::HashMap;
use std::sync::Arc;

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
}

/// Why a record could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The topic was not there when the task was made.
    #[error("topic `{0}` does not exist; create it, or declare it under `topics:` so that it can be created")]
    UnknownTopic(Arc<str>),
    /// A compacted topic keeps the last record of each key; a record without one has no place there.
    #[error("`{0}` is compacted and takes no record without a key; give it one with `select_key`, or filter it out")]
    NullKey(Arc<str>),
    /// The record is larger than the log takes.
    #[error(
        "the record for `{topic}` has {size} bytes, the limit is {limit}; hand on less of it with `map_values`, or filter it out"
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

/// The records that the next commit sends, in order.
#[derive(Debug)]
pub struct RecordCollector {
    partitions: Arc<Partitions>,
    max_record_bytes: usize,
    records: Vec<ProducerRecord>,
    bytes: usize,
}

impl RecordCollector {
    /// Collects records for topics with these numbers of partitions.
    pub fn new(partitions: Arc<Partitions>, max_record_bytes: usize) -> Self {
        RecordCollector { partitions, max_record_bytes, records: Vec::new(), bytes: 0 }
    }

    /// Takes a record.
    pub fn send(&mut self, outgoing: Outgoing<'_>) -> Result<(), CollectError> {
        let Some(target) = self.partitions.get(outgoing.topic).copied() else {
            return Err(CollectError::UnknownTopic(outgoing.topic.clone()));
        };
        if target.compacted && outgoing.key.is_none() {
            return Err(CollectError::NullKey(outgoing.topic.clone()));
        }
        let size = size_of(&outgoing);
        if size > self.max_record_bytes {
            return Err(CollectError::TooLarge { topic: outgoing.topic.clone(), size, limit: self.max_record_bytes });
        }
        let partition = match &outgoing.key {
            Some(key) => partition_for(key, target.partitions),
            None => outgoing.input_partition % target.partitions.max(1),
        };
        self.bytes += size;
        self.records.push(ProducerRecord {
            topic: outgoing.topic.clone(),
            partition,
            timestamp: outgoing.timestamp,
            key: outgoing.key,
            value: outgoing.value,
            headers: outgoing.headers,
        });
        Ok(())
    }

    /// Bytes of keys and values collected.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what was collected out.
    pub fn drain(&mut self) -> Vec<ProducerRecord> {
        self.bytes = 0;
        // About as many will come again; a list that grows step by step would copy them several times.
        let next = Vec::with_capacity(self.records.len());
        std::mem::replace(&mut self.records, next)
    }
}

/// Bytes of key, value and headers, as the log counts them.
fn size_of(outgoing: &Outgoing<'_>) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = outgoing.headers.as_slice().iter().map(|header| header.name.len() + length(&header.value));
    length(&outgoing.key) + length(&outgoing.value) + headers.sum::<usize>()
}
