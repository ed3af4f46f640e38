//! Writes records, in transactions or each once.
//!
//! Deliveries are counted in bulk while a commit waits for them. What may have to be waited for is waited for in short
//! steps, and not beyond the time after which the brokers themselves give the transaction up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use indexmap::IndexMap;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaType;
use rdkafka::{Offset, TopicPartitionList};

use super::super::{CommittedOffset, GroupMetadata, LogError, ProducerRecord, Result, TransactionalProducer};
use super::Shared;
use super::connection::Context;
use super::error::{Access, failed, not_delivered, transaction_failed};
use super::native::{self, Failure, Handle, Topic};
use super::offsets::code;
use super::settings::{Role, refused_setting};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};

/// How long one step of waiting takes at most.
const STEP: Duration = Duration::from_secs(1);

/// After how many records deliveries are looked at, so that what is written frees its memory.
const SERVE_EVERY: u64 = 256;

/// How long an abort waits for the first delivery (librdkafka#4849: an abort while the first batch is on its way may
/// leave the producer in ruins).
const FIRST_DELIVERY: Duration = Duration::from_secs(5);

/// How long a producer that is dropped in the middle of a transaction tries to abort it.
const LAST_ABORT: Duration = Duration::from_secs(2);

/// A producer.
pub(super) struct KafkaProducer {
    /// Before the client, so that they are freed while it lives.
    topics: IndexMap<Arc<str>, Target, ahash::RandomState>,
    /// The topic in `topics` that was written to last, most often the next one too.
    last: usize,
    /// The partitions written to so far. A record carries the number of its partition here, its slot.
    slots: Vec<TopicPartition>,
    client: Handle,
    shared: Arc<Shared>,
    /// `None`: without transactions.
    transactional_id: Option<String>,
    state: State,
    sent: u64,
}

/// A topic that is written to.
struct Target {
    topic: Topic,
    /// By partition, its slot once it is written to.
    slots: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No transaction is open.
    Idle,
    /// One is.
    Open,
    /// Nobody knows what became of the last one; the producer is of no use any more.
    InDoubt,
}

impl KafkaProducer {
    pub(super) fn transactional(shared: Arc<Shared>, id: &str) -> Result<Self> {
        let mut config = shared.settings.config(Role::Producer);
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", shared.settings.transaction_timeout.as_millis().to_string());
        let producer = KafkaProducer::open(shared, &config, Some(id.to_owned()))?;
        let limit = producer.shared.settings.request_timeout * 2;
        let initialised = producer.patiently(limit, |timeout| native::init_transactions(&producer.client, timeout));
        initialised.map_err(|failure| producer.failure("starting transactions", failure))?;
        Ok(producer)
    }

    pub(super) fn idempotent(shared: Arc<Shared>) -> Result<Self> {
        let config = shared.settings.config(Role::Producer);
        KafkaProducer::open(shared, &config, None)
    }

    fn open(shared: Arc<Shared>, config: &rdkafka::ClientConfig, transactional_id: Option<String>) -> Result<Self> {
        let context = Context::new(&shared.outage);
        let client = native::open(config, RDKafkaType::RD_KAFKA_PRODUCER, context).map_err(refused_setting)?;
        Ok(KafkaProducer {
            topics: IndexMap::default(),
            last: 0,
            slots: Vec::new(),
            client,
            shared,
            transactional_id,
            state: State::Idle,
            sent: 0,
        })
    }

    /// Calls again what may yet succeed, until `limit` has passed.
    fn patiently(&self, limit: Duration, call: impl Fn(Duration) -> Result<(), Failure>) -> Result<(), Failure> {
        let clock = SystemClock::new();
        loop {
            let left = self.limit(limit).saturating_sub(clock.elapsed());
            match call(left.min(STEP)) {
                Err(failure) if failure.retriable && !failure.abort && !failure.fatal && !left.is_zero() => {
                    native::serve(&self.client, left.min(STEP / 100));
                }
                outcome => return outcome,
            }
        }
    }

    /// Adds offsets to the transaction, on a thread of its own: when the connection to the coordinator breaks at the wrong
    /// moment, librdkafka may not return from this call, whatever its timeout. The thread is then given up, and with it
    /// the producer; the next one of the same transactional id decides the transaction.
    fn add_offsets(&self, list: &TopicPartitionList, group: &GroupMetadata, timeout: Duration) -> Result<(), Failure> {
        let (tell, told) = mpsc::sync_channel(1);
        let (client, list, group) = (Handle::clone(&self.client), list.clone(), group.clone());
        let adding = move || drop(tell.send(native::send_offsets(&client, &list, &group, timeout)));
        let lost = |text: String| Failure { code: Code::Fail, text, fatal: true, retriable: false, abort: false };
        let spawned = thread::Builder::new().name("send-offsets".to_owned()).spawn(adding);
        spawned.map_err(|error| lost(format!("no thread can be started for it: {error}")))?;
        let patience = self.limit(self.shared.settings.request_timeout) + timeout;
        told.recv_timeout(patience).unwrap_or_else(|_| Err(lost(format!("it has not ended within {patience:?}"))))
    }

    /// How long something may take, now.
    fn limit(&self, limit: Duration) -> Duration {
        if self.shared.hurried.load(Ordering::Acquire) { limit.min(STEP) } else { limit }
    }

    fn name(&self) -> &str {
        self.transactional_id.as_deref().unwrap_or("(none)")
    }

    fn failure(&self, action: &str, failure: Failure) -> LogError {
        // A record that was not written says more than the transaction that fails for it.
        if !failure.fatal
            && let Some(error) = self.undelivered()
        {
            return error;
        }
        transaction_failed(action, failure, self.name(), &self.shared.outage)
    }

    /// The first record that was not written, if there is one.
    fn undelivered(&self) -> Option<LogError> {
        // What has come of records may not have been looked at yet.
        native::serve(&self.client, Duration::ZERO);
        let (slot, code) = self.client.context().deliveries().failed?;
        let partition = self.slots.get(slot)?;
        let timeout = self.shared.settings.delivery_timeout();
        if code == Code::UnknownTopicOrPartition {
            self.shared.offsets.forget(&partition.topic);
        }
        Some(not_delivered(partition, code, timeout, &self.shared.outage))
    }

    /// Where a record goes, and its slot. Asks the brokers about a topic that is new to this producer.
    fn target(&mut self, record: &ProducerRecord) -> Result<(&Topic, usize)> {
        let unknown = || LogError::UnknownPartition(TopicPartition::new(Arc::clone(&record.topic), record.partition));
        let index = usize::try_from(record.partition).map_err(|_| unknown())?;
        let is_last = self.topics.get_index(self.last).is_some_and(|(name, _)| Arc::ptr_eq(name, &record.topic));
        if !is_last {
            self.last = self.topics.get_index_of(&record.topic).unwrap_or(self.topics.len());
        }
        if self.topics.get_index(self.last).is_none_or(|(_, target)| index >= target.slots.len()) {
            self.look_up(&record.topic)?;
        }
        let (_, target) = self.topics.get_index_mut(self.last).ok_or_else(unknown)?;
        let slot = match target.slots.get_mut(index).ok_or_else(unknown)? {
            Some(slot) => *slot,
            free => {
                let slot = self.slots.len();
                self.slots.push(TopicPartition::new(Arc::clone(&record.topic), record.partition));
                self.client.context().deliveries().ends.push(-1);
                *free.insert(slot)
            }
        };
        Ok((&target.topic, slot))
    }

    fn look_up(&mut self, name: &Arc<str>) -> Result<()> {
        let fresh = self.topics.contains_key(name);
        let partitions = usize::try_from(self.shared.offsets.partitions(name, fresh)?).unwrap_or(0);
        match self.topics.get_mut(name) {
            Some(target) => target.slots.resize(partitions.max(target.slots.len()), None),
            None => {
                let topic = Topic::open(&self.client, name).map_err(|code| {
                    failed(format!("writing to `{name}`"), code, Access::Topic(name, "Write"), &self.shared.outage)
                })?;
                self.topics.insert(Arc::clone(name), Target { topic, slots: vec![None; partitions] });
            }
        }
        Ok(())
    }

    fn require(&self, state: State, action: &str) -> Result<()> {
        match (self.state, state) {
            (State::InDoubt, _) => Err(LogError::InDoubt(format!(
                "cannot {action} with the producer of `{}`, whose last transaction was left undecided",
                self.name()
            ))),
            (has, wanted) if has == wanted => Ok(()),
            (State::Open, _) => Err(LogError::IllegalState(format!("cannot {action}: a transaction is open already"))),
            _ => Err(LogError::IllegalState(format!("cannot {action}: no transaction is open"))),
        }
    }

    /// Why the client takes no record.
    fn refused(&self, action: String, code: Code) -> LogError {
        let fatal = self.client.fatal_error();
        if let Some((code, text)) = fatal {
            let failure = Failure { code, text, fatal: true, retriable: false, abort: false };
            return self.failure(&action, failure);
        }
        self.undelivered().unwrap_or_else(|| match code {
            // The transaction has failed already; the abort tells why.
            Code::State | Code::Fatal => LogError::Aborted(format!("{action}: an earlier record was not written")),
            code => failed(action, code, Access::Cluster("IdempotentWrite"), &self.shared.outage),
        })
    }

    /// Waits for deliveries until all records are written. The producer without transactions commits like this.
    fn flush(&mut self) -> Result<()> {
        let clock = SystemClock::new();
        let limit = self.shared.settings.transaction_timeout;
        while !native::flush(&self.client, STEP) {
            if clock.elapsed() >= self.limit(limit) {
                return Err(LogError::Unreachable {
                    action: format!("writing {} records", native::outstanding(&self.client)),
                    detail: format!("the brokers did not take them within {} s", limit.as_secs()),
                });
            }
        }
        self.undelivered().map_or(Ok(()), Err)
    }

    fn ends(&self) -> BTreeMap<TopicPartition, i64> {
        let deliveries = self.client.context().deliveries();
        let written = self.slots.iter().zip(&deliveries.ends).filter(|(_, end)| **end >= 0);
        written.map(|(partition, end)| (partition.clone(), *end)).collect()
    }

    fn abort_within(&mut self, limit: Duration) -> Result<()> {
        let clock = SystemClock::new();
        while self.sent > 0
            && self.client.context().deliveries().count == 0
            && native::outstanding(&self.client) > 0
            && clock.elapsed() < self.limit(limit.min(FIRST_DELIVERY))
        {
            native::serve(&self.client, STEP / 10);
        }
        let aborted = self.patiently(limit, |timeout| native::abort_transaction(&self.client, timeout));
        aborted.map_err(|failure| {
            self.state = State::InDoubt;
            match transaction_failed("aborting", failure, self.name(), &self.shared.outage) {
                fenced @ LogError::Fenced(_) => fenced,
                other => LogError::InDoubt(other.to_string()),
            }
        })?;
        self.state = State::Idle;
        Ok(())
    }
}

fn size(record: &ProducerRecord) -> usize {
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.as_slice().iter().map(|header| header.name.len() + bytes(&header.value));
    bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>()
}

/// Offsets with their metadata, as librdkafka takes them.
pub(super) fn offsets_list(offsets: &[(TopicPartition, CommittedOffset)]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, committed) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(committed.offset)).map_err(|error| {
            LogError::IllegalState(format!("offset {} of {partition}: {}", committed.offset, code(&error)))
        })?;
        element.set_metadata(&committed.metadata);
    }
    Ok(list)
}

impl TransactionalProducer for KafkaProducer {
    fn begin(&mut self) -> Result<()> {
        self.require(State::Idle, "begin a transaction")?;
        let mut deliveries = self.client.context().deliveries();
        deliveries.count = 0;
        deliveries.failed = None;
        deliveries.ends.fill(-1);
        drop(deliveries);
        self.sent = 0;
        if self.transactional_id.is_some() {
            native::begin_transaction(&self.client)
                .map_err(|failure| self.failure("beginning a transaction", failure))?;
        }
        self.state = State::Open;
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.state == State::Open
    }

    fn send(&mut self, record: ProducerRecord) -> Result<()> {
        self.require(State::Open, "send a record")?;
        let partition = || TopicPartition::new(Arc::clone(&record.topic), record.partition);
        let (size, limit) = (size(&record), self.shared.settings.max_record_bytes);
        if size > limit {
            return Err(LogError::RecordTooLarge { partition: partition(), size, limit });
        }
        if record.timestamp < 0 {
            let detail = format!("its timestamp is {}, before 1970", record.timestamp);
            return Err(LogError::InvalidRecord { partition: partition(), detail });
        }
        let mut waiting = None;
        loop {
            let (topic, slot) = self.target(&record)?;
            match topic.produce(&record, slot) {
                Ok(()) => break,
                // What waits has reached its limit: wait until some of it is written (I9).
                Err(Code::QueueFull)
                    if waiting.get_or_insert_with(SystemClock::new).elapsed()
                        < self.limit(self.shared.settings.transaction_timeout) =>
                {
                    native::serve(&self.client, STEP / 10);
                }
                Err(code) => return Err(self.refused(format!("writing to {}", partition()), code)),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(SERVE_EVERY) {
            native::serve(&self.client, Duration::ZERO);
        }
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)], group: &GroupMetadata) -> Result<()> {
        self.require(State::Open, "send offsets")?;
        if self.transactional_id.is_none() {
            let detail = "without transactions, offsets are committed by the member of the group";
            return Err(LogError::IllegalState(detail.to_owned()));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offsets_list(offsets)?;
        let limit = self.shared.settings.request_timeout;
        let sent = self.patiently(limit, |timeout| self.add_offsets(&list, group, timeout));
        if sent.as_ref().is_err_and(|failure| failure.fatal) {
            self.state = State::InDoubt;
        }
        sent.map_err(|failure| match failure.retriable && !failure.abort && !failure.fatal {
            true => LogError::Aborted(format!("sending offsets took too long: {}", failure.text)),
            false => self.failure("sending offsets", failure),
        })
    }

    fn commit(&mut self) -> Result<BTreeMap<TopicPartition, i64>> {
        self.require(State::Open, "commit")?;
        if self.transactional_id.is_none() {
            self.state = State::Idle;
            self.flush()?;
            return Ok(self.ends());
        }
        let limit = self.shared.settings.transaction_timeout;
        let committed = self.patiently(limit, |timeout| native::commit_transaction(&self.client, timeout));
        match committed {
            Ok(()) => {
                self.state = State::Idle;
                self.shared.outage.answered();
                Ok(self.ends())
            }
            // Nothing of it is visible; it stays open until it is aborted.
            Err(failure) if failure.abort && !failure.fatal => Err(self.failure("committing", failure)),
            Err(failure) => {
                self.state = State::InDoubt;
                match self.failure("committing", failure) {
                    error @ (LogError::Fenced(_) | LogError::Denied { .. } | LogError::Authentication(_)) => Err(error),
                    other => Err(LogError::InDoubt(other.to_string())),
                }
            }
        }
    }

    fn abort(&mut self) -> Result<()> {
        match self.state {
            State::Idle => Ok(()),
            State::InDoubt => self.require(State::Open, "abort"),
            State::Open if self.transactional_id.is_none() => {
                self.state = State::Idle;
                Ok(())
            }
            State::Open => self.abort_within(self.shared.settings.request_timeout * 2),
        }
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        // What is left open would hold up readers until the brokers give it up. What is in doubt is not ours to decide.
        if self.state == State::Open
            && self.transactional_id.is_some()
            && let Err(error) = self.abort_within(LAST_ABORT)
        {
            tracing::debug!(%error, "the transaction of a producer that goes away was not aborted");
        }
    }
}
