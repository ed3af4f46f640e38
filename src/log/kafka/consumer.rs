//! Reads the committed records of partitions that it is told to, each through a queue of its own.
//!
//! A partition that is paused keeps what was fetched and fetches no more once its queue is full, so pausing costs
//! nothing (I9). One that is moved to another offset is stopped and started anew with a new queue: what was fetched
//! before can never be delivered after.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaType;

use super::super::{
    CommittedOffset, FetchedBatch, GroupMetadata, LogConsumer, LogError, LogRecord, Polled, Result, Waker,
};
use super::Shared;
use super::connection::{Context, Signal, Waited};
use super::error::{Access, failed};
use super::native::{self, Buffer, Fetch, Handle, Message, Read};
use super::offsets::is_unknown;
use super::settings::{Role, refused_setting};
use crate::record::{Header, Headers, Text, TopicPartition};
use crate::time::{Clock, SystemClock};

/// How many bytes one poll brings, about: it ends with the partition that reaches this.
const MAX_POLL_BYTES: usize = 16 << 20;

/// How long a poll waits at most before it looks at everything again.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A consumer of Kafka that is in no group.
pub(super) struct KafkaConsumer {
    /// Before the client, so that they are stopped while it lives.
    fetched: IndexMap<TopicPartition, Partition>,
    client: Handle,
    shared: Arc<Shared>,
    group: Option<String>,
    signal: Arc<Signal>,
    buffer: Buffer,
    /// Which of `fetched` comes first at the next poll, so that each has its turn.
    turn: usize,
    /// What failed after records had been read; told by the next poll, so that these do not get lost (I4).
    failed: Option<LogError>,
}

struct Partition {
    fetch: Fetch,
    position: i64,
    /// Where the partition was said to end, until there is more.
    end: Option<i64>,
    paused: bool,
}

impl KafkaConsumer {
    pub(super) fn open(shared: Arc<Shared>, group: Option<&str>) -> Result<Self> {
        let config = shared.settings.config(Role::Fetcher);
        let context = Context::new(&shared.outage);
        let client = native::open(&config, RDKafkaType::RD_KAFKA_CONSUMER, context).map_err(refused_setting)?;
        Ok(KafkaConsumer {
            fetched: IndexMap::new(),
            client,
            shared,
            group: group.map(str::to_owned),
            signal: Arc::default(),
            buffer: Buffer::default(),
            turn: 0,
            failed: None,
        })
    }

    fn start(&self, name: &TopicPartition, offset: i64) -> Result<Fetch> {
        Fetch::start(&self.client, &name.topic, name.partition, offset, &self.signal).map_err(|code| {
            let access = Access::Topic(&name.topic, "Read");
            failed(format!("reading {name} from offset {offset} on"), code, access, &self.shared.outage)
        })
    }

    /// Takes what was fetched, each partition in its turn.
    fn read(&mut self, max_records: usize) -> Result<Vec<FetchedBatch>> {
        let mut ready: Vec<usize> = (0..self.fetched.len()).filter(|index| self.is_ready(*index)).collect();
        let first = ready.iter().position(|index| *index >= self.turn).unwrap_or(0);
        ready.rotate_left(first);
        self.turn = ready.first().map_or(0, |index| index + 1);
        let mut left = max_records;
        let mut bytes = 0;
        let mut batches = Vec::new();
        for (served, index) in ready.iter().enumerate() {
            if left == 0 || bytes >= MAX_POLL_BYTES {
                break;
            }
            // Each gets its share of what those before it left over.
            let share = left.div_ceil(ready.len() - served);
            let Some((name, partition)) = self.fetched.get_index_mut(*index) else { continue };
            let before = partition.position;
            let (records, failed) = partition.read(&mut self.buffer, share, &mut bytes);
            let problem = failed.or_else(|| self.client.context().take_refused());
            let position = partition.position;
            left = left.saturating_sub(records.len());
            if !records.is_empty() || position != before {
                self.shared.outage.answered();
                batches.push(FetchedBatch { partition: name.clone(), records, position });
            }
            if let Some((code, text)) = problem {
                let name = name.clone();
                if let Err(error) = self.recover(&name, position, code, &text) {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        match self.failed.take() {
            Some(error) if batches.is_empty() => Err(error),
            later => {
                self.failed = later;
                Ok(batches)
            }
        }
    }

    fn is_ready(&self, index: usize) -> bool {
        self.fetched.get_index(index).is_some_and(|(_, partition)| !partition.paused && partition.fetch.is_ready())
    }

    /// Deals with a failed fetch; what librdkafka tries again by itself is no error.
    fn recover(&mut self, name: &TopicPartition, position: i64, code: Code, text: &str) -> Result<()> {
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => {
                let (start, end) = self.shared.offsets.bounds(name)?;
                if position > end {
                    return Err(LogError::OffsetOutOfRange { partition: name.clone(), offset: position, end });
                }
                tracing::warn!(partition = %name, position, start, "records were deleted before they were read");
                self.assign(name, position.max(start))
            }
            code if is_unknown(code) => {
                self.shared.offsets.forget(&name.topic);
                let hint = "; it was deleted while it was being read".to_owned();
                Err(LogError::UnknownTopic { topic: name.topic.to_string(), hint })
            }
            Code::TopicAuthorizationFailed | Code::BadMessage | Code::BadCompression | Code::NotImplemented => {
                let access = Access::Topic(&name.topic, "Read");
                match failed(format!("reading {name} at offset {position}"), code, access, &self.shared.outage) {
                    LogError::Refused { action, .. } => Err(LogError::Refused { action, detail: text.to_owned() }),
                    other => Err(other),
                }
            }
            code => {
                tracing::debug!(partition = %name, position, ?code, text, "fetching failed; trying on");
                Ok(())
            }
        }
    }

    fn group(&self, action: &str) -> Result<&str> {
        let refused = || LogError::IllegalState(format!("a consumer without a group cannot {action}"));
        self.group.as_deref().ok_or_else(refused)
    }
}

impl Partition {
    /// Takes up to `limit` records, and moves on.
    fn read(
        &mut self,
        buffer: &mut Buffer,
        limit: usize,
        bytes: &mut usize,
    ) -> (Vec<LogRecord>, Option<(Code, String)>) {
        let mut records = Vec::with_capacity(limit.min(1_024));
        let mut problem = None;
        let (position, end) = (&mut self.position, &mut self.end);
        let count = self.fetch.read(buffer, limit, |read| match read {
            Read::Record(message) => {
                let record = record(&message);
                *position = record.offset + 1;
                *end = None;
                *bytes += record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len);
                records.push(record);
            }
            Read::End(offset) => {
                *position = (*position).max(offset);
                *end = Some(*position);
            }
            Read::Failed(code, text) => problem = Some((code, text)),
        });
        // Where nothing is left, what follows the last record may be control records; they count as read.
        if count < limit && problem.is_none() && self.end.is_none() {
            self.position = self.position.max(self.fetch.position().unwrap_or(-1));
        }
        (records, problem)
    }

    /// The offset up to which there are records for readers of committed ones. While a transaction is open, the high
    /// watermark lies beyond that; the end that the brokers tell us does not.
    fn known_end(&self) -> Option<i64> {
        match self.end {
            Some(_) => Some(self.position),
            None => self.fetch.high_watermark().map(|high| high.max(self.position)),
        }
    }
}

/// Copies a record. One allocation holds its key, headers and value. It is the record's own: a value that outlives its
/// batch in a state store must not keep the whole batch in memory.
fn record(message: &Message<'_>) -> LogRecord {
    let (key, value, headers) = (message.key(), message.value(), message.headers());
    let mut length = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    if let Some(headers) = &headers {
        headers.each(|name, value| length += name.len() + value.map_or(0, <[u8]>::len));
    }
    let mut buffer = BytesMut::with_capacity(length);
    buffer.extend_from_slice(key.unwrap_or_default());
    buffer.extend_from_slice(value.unwrap_or_default());
    if let Some(headers) = &headers {
        headers.each(|name, value| {
            buffer.extend_from_slice(name);
            buffer.extend_from_slice(value.unwrap_or_default());
        });
    }
    let mut rest = buffer.freeze();
    let mut take = |part: Option<&[u8]>| part.map(|part| rest.split_to(part.len()));
    let (key, value) = (take(key), take(value));
    let mut taken = Vec::new();
    if let Some(headers) = &headers {
        headers.each(|name, value| {
            let text = take(Some(name)).unwrap_or_default();
            // Names are UTF-8 by Kafka's protocol; another one is kept as far as it can be read.
            let name = Text::try_from(text).unwrap_or_else(|_| String::from_utf8_lossy(name).as_ref().into());
            taken.push(Header { name, value: take(value) });
        });
    }
    let (offset, timestamp) = (message.offset(), message.timestamp());
    LogRecord { offset, timestamp, key, value, headers: Headers::new(taken) }
}

impl LogConsumer for KafkaConsumer {
    fn subscribe(&mut self, _topics: &[&str]) -> Result<()> {
        Err(LogError::IllegalState("a consumer joins no group: ask the log for a member".to_owned()))
    }

    fn acknowledge_revocation(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Err(LogError::IllegalState("a consumer that did not subscribe owns no partitions".to_owned()))
    }

    fn assign(&mut self, name: &TopicPartition, offset: i64) -> Result<()> {
        // Stopped before it is started anew: librdkafka knows a partition once.
        let (read, paused) = match self.fetched.shift_remove(name) {
            Some(Partition { position, paused, .. }) => (position, paused),
            None => (0, false),
        };
        // Back to what was read already needs no question.
        let start = if 0 < offset && offset <= read {
            offset
        } else {
            let (start, end) = self.shared.offsets.bounds(name)?;
            if offset > end {
                return Err(LogError::OffsetOutOfRange { partition: name.clone(), offset, end });
            }
            offset.max(start)
        };
        let fetch = self.start(name, start)?;
        self.fetched.insert(name.clone(), Partition { fetch, position: start, end: None, paused });
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        self.fetched.shift_remove(partition);
    }

    fn pause(&mut self, partition: &TopicPartition) {
        if let Some(partition) = self.fetched.get_mut(partition) {
            partition.paused = true;
        }
    }

    fn resume(&mut self, partition: &TopicPartition) {
        if let Some(partition) = self.fetched.get_mut(partition) {
            partition.paused = false;
        }
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Polled> {
        native::serve(&self.client, Duration::ZERO);
        let mut batches = if max_records == 0 { Vec::new() } else { self.read(max_records)? };
        let clock = SystemClock::new();
        while batches.is_empty() {
            let left = timeout.saturating_sub(clock.elapsed());
            if left.is_zero() {
                break;
            }
            let waited = self.signal.wait(left.min(LOOK_AROUND));
            native::serve(&self.client, Duration::ZERO);
            if max_records > 0 {
                batches = self.read(max_records)?;
            }
            if waited == Waited::Woken {
                break;
            }
        }
        Ok(Polled { rebalance: None, batches })
    }

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.fetched.get(partition).map(|partition| partition.position)
    }

    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        self.shared.offsets.committed(self.group("have committed offsets")?, partition)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.offsets.bounds(partition).map(|(_, end)| end)
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        self.fetched.get(partition)?.known_end()
    }

    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.offsets.bounds(partition).map(|(start, _)| start)
    }

    fn group_metadata(&self) -> Result<GroupMetadata> {
        let group = self.group("have a place in a group")?.to_owned();
        // Who does not subscribe is nobody to the group.
        Ok(GroupMetadata { group, member: String::new(), instance: None, generation: -1 })
    }

    fn commit_offsets(&mut self, _offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        Err(LogError::IllegalState("offsets are committed by a member of the group".to_owned()))
    }
}
