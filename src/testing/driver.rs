//! Runs a topology one record at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;

use super::InputRecord;
use super::emitted::Emitted;
use super::output::{OutputRecord, decode_headers, encode_headers};
use crate::log::embedded::{EmbeddedLog, EmbeddedOptions};
use crate::log::{Log, LogConsumer, LogError, ProducerRecord, TopicConfig, TransactionalProducer};
use crate::metrics::Counters;
use crate::record::{TopicPartition, Value};
use crate::serdes::{Format, SchemaRegistry, SerdeError, TopicSerde};
use crate::sink::partition_for;
use crate::state::{StateDirectory, StateError, StateOptions};
use crate::task::transaction::{self, CommitError, CommitStep};
use crate::task::{
    GlobalError, GlobalReader, OpenError, Task, TaskError, TaskId, TaskOpener, TaskOptions, open_globals,
};
use crate::time::{Clock, ManualClock, Timestamp};
use crate::topology::partitioning::{self, PartitioningError};
use crate::topology::pattern;
use crate::topology::plan::{Topic, TopicRole, Topology};

/// How records are fetched and processed between commits.
const BATCH: usize = 1_000;

/// How a driver runs.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// Hand on aggregates and tables once per key and commit; commits then happen as the wall clock
    /// advances and at the end. Without it every update is handed on and every record is committed.
    pub caching: bool,
    /// Time between commits of a driver that caches.
    pub commit_interval: Duration,
    /// How many partitions topics have; those that are not named have one. Patterns take what is named here.
    pub partitions: BTreeMap<String, i32>,
}

impl Default for DriverOptions {
    fn default() -> Self {
        DriverOptions { caching: true, commit_interval: Duration::from_millis(100), partitions: BTreeMap::new() }
    }
}

/// What can go wrong in a driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A record for a topic that the topology does not read.
    #[error("the topology does not read `{topic}`; it reads {known}")]
    UnknownTopic {
        /// The topic of the record.
        topic: String,
        /// The topics that it reads.
        known: String,
    },
    /// A record for a partition that the topic does not have.
    #[error("`{topic}` has {partitions} partitions; there is no partition {partition}")]
    UnknownPartition {
        /// The topic of the record.
        topic: String,
        /// The partition of the record.
        partition: i32,
        /// How many the topic has.
        partitions: i32,
    },
    /// A key or value that cannot be written in its topic's format.
    #[error("{part} does not fit `{topic}` ({format}): {source}")]
    Encode {
        /// `the key` or `the value`.
        part: &'static str,
        /// The topic.
        topic: String,
        /// The topic's format for it.
        format: String,
        /// Why.
        #[source]
        source: SerdeError,
    },
    /// Bytes that are not base64.
    #[error("`value_base64` is not base64: {0}")]
    Base64(String),
    /// A topic's format could not be set up.
    #[error(transparent)]
    Serde(#[from] SerdeError),
    /// The topics do not fit together.
    #[error(transparent)]
    Partitioning(#[from] PartitioningError),
    /// The log in memory failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A task could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A task stopped.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The global tables failed.
    #[error(transparent)]
    Global(#[from] GlobalError),
    /// There is no such store.
    #[error("there is no store `{store}`; there are {known}")]
    UnknownStore {
        /// The store asked for.
        store: String,
        /// Those that there are.
        known: String,
    },
    /// An earlier call has failed half-way.
    #[error("the driver stopped at an earlier error; make a new one")]
    Stopped,
}

/// Runs a topology one record at a time, in memory. After a failure of the topology or its stores nothing more
/// is committed, and every call fails.
pub struct TopologyDriver {
    topology: Arc<Topology>,
    options: DriverOptions,
    topics: BTreeMap<String, TopicConfig>,
    serdes: BTreeMap<String, TopicSerde>,
    log: Arc<EmbeddedLog>,
    opener: TaskOpener,
    tasks: Vec<Task>,
    globals: Option<GlobalReader>,
    /// Which task and which of its sources a partition feeds.
    routes: BTreeMap<TopicPartition, (usize, usize)>,
    consumer: Box<dyn LogConsumer>,
    producer: Box<dyn TransactionalProducer>,
    feeder: Box<dyn TransactionalProducer>,
    clock: ManualClock,
    committed_at: Timestamp,
    counters: Counters,
    outputs: Vec<OutputRecord>,
    commits: u64,
    crash_at: Option<(u64, CommitStep)>,
    stopped: bool,
}

impl TopologyDriver {
    /// A driver whose wall clock stands at 0.
    pub fn new(
        topology: Arc<Topology>,
        registry: &SchemaRegistry,
        options: DriverOptions,
    ) -> Result<Self, DriverError> {
        let topology = pattern::on_named(topology, options.partitions.keys())?;
        let clock = ManualClock::at(0);
        let log = EmbeddedLog::in_memory(EmbeddedOptions::default())?;
        let existing = driver_topics(&topology, &options.partitions);
        let topics = partitioning::resolve(&topology, &existing)?;
        let admin = log.admin();
        for (name, config) in &topics {
            // The driver shows every record: nothing is compacted away or expires.
            admin.create_topic(name, &TopicConfig::new(config.partitions))?;
        }
        let mut serdes = BTreeMap::new();
        for topic in &topology.topics {
            if let Some(value) = &topic.value {
                serdes.insert(topic.name.clone(), TopicSerde::new(&topic.key, value, registry)?);
            }
        }
        let task_options = TaskOptions { caching: options.caching, max_timestamp_ahead: None, ..Default::default() };
        let state = StateDirectory::in_memory(&topology.name, StateOptions::default())?;
        let globals = open_globals(&topology, &state)?;
        let mut opener = TaskOpener::new(&topology, &topics, task_options, state);
        opener.globals = globals.clone();
        let reader = |tables| GlobalReader::new(&topology, &topics, tables, log.as_ref(), 0, None);
        let mut driver = TopologyDriver {
            consumer: log.consumer(Some(&topology.name))?,
            producer: log.transactional_producer(&topology.name)?,
            feeder: log.transactional_producer("input")?,
            globals: globals.map(reader).transpose()?,
            log,
            opener,
            tasks: Vec::new(),
            routes: BTreeMap::new(),
            clock,
            committed_at: 0,
            counters: Counters::default(),
            outputs: Vec::new(),
            commits: 0,
            crash_at: None,
            stopped: false,
            topology,
            options,
            topics,
            serdes,
        };
        driver.read_globals()?;
        driver.open_tasks()?;
        Ok(driver)
    }

    fn open_tasks(&mut self) -> Result<(), DriverError> {
        for (subtopology, partition) in partitioning::task_list(&self.topology, &self.topics) {
            let now = self.clock.now();
            let (mut task, _) = self.opener.open(self.log.as_ref(), &subtopology, partition, now)?;
            task.advance_wall_clock(now)?;
            for (source, input) in task.input_partitions().enumerate() {
                self.consumer.assign(&input, task.position(source))?;
                self.routes.insert(input, (self.tasks.len(), source));
            }
            self.tasks.push(task);
        }
        Ok(())
    }

    /// Feeds a record in and works off everything that follows from it.
    pub fn pipe(&mut self, record: &InputRecord) -> Result<(), DriverError> {
        let record = self.encode(record)?;
        if self.stopped {
            return Err(DriverError::Stopped);
        }
        self.feed(record)?;
        self.unless_stopped(Self::settle)
    }

    /// Writes a record of the input. One that the log refuses leaves nothing behind.
    fn feed(&mut self, record: ProducerRecord) -> Result<(), LogError> {
        self.feeder.begin()?;
        if let Err(error) = self.feeder.send(record) {
            self.feeder.abort()?;
            return Err(error);
        }
        self.feeder.commit().map(|_offsets| ())
    }

    /// Does some work, unless an earlier one has failed: what that left half-done must not be committed.
    fn unless_stopped<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R, DriverError>) -> Result<R, DriverError> {
        if self.stopped {
            return Err(DriverError::Stopped);
        }
        let outcome = work(self);
        self.stopped = outcome.is_err();
        outcome
    }

    /// Moves the wall clock and works off everything that follows from it.
    pub fn advance_wall_clock(&mut self, by: Duration) -> Result<(), DriverError> {
        self.clock.advance(by);
        self.unless_stopped(Self::tell_time)?;
        let interval = i64::try_from(self.options.commit_interval.as_millis()).unwrap_or(i64::MAX);
        if self.clock.now() >= self.committed_at.saturating_add(interval) {
            self.finish()
        } else {
            self.unless_stopped(Self::settle)
        }
    }

    /// Tells the tasks the wall clock, and lets them do what is due.
    fn tell_time(&mut self) -> Result<(), DriverError> {
        let now = self.clock.now();
        for task in 0..self.tasks.len() {
            while let Some(running) = self.tasks.get_mut(task)
                && running.advance_wall_clock(now)?
            {
                if running.is_full() || !self.options.caching {
                    self.commit()?;
                }
            }
        }
        Ok(())
    }

    /// Commits until nothing is left to do.
    pub fn finish(&mut self) -> Result<(), DriverError> {
        self.unless_stopped(|driver| {
            driver.settle()?;
            while driver.tasks.iter().any(Task::is_dirty) {
                driver.commit()?;
                driver.settle()?;
            }
            Ok(())
        })
    }

    /// Loses everything that is not committed, as a crash does, and starts again from the last commit.
    pub fn crash(&mut self) -> Result<(), DriverError> {
        self.unless_stopped(|driver| {
            driver.reopen()?;
            driver.settle()
        })
    }

    fn reopen(&mut self) -> Result<(), DriverError> {
        self.tasks.clear();
        self.routes.clear();
        self.producer = self.log.transactional_producer(&self.topology.name)?;
        self.consumer = self.log.consumer(Some(&self.topology.name))?;
        self.open_tasks()
    }

    /// Crashes in the middle of a coming commit: of that number, counted from 0, and at that step.
    pub fn crash_at(&mut self, commit: u64, step: CommitStep) {
        self.crash_at = Some((commit, step));
    }

    /// How many commits there were.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Takes out the records that came out since the last call, in order of emission.
    pub fn take_outputs(&mut self) -> Vec<OutputRecord> {
        std::mem::take(&mut self.outputs)
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// All rows of a store over all tasks, as JSON, by the bytes of their keys.
    pub fn store_rows(&mut self, store: &str) -> Result<Vec<(Bytes, Timestamp, Value)>, DriverError> {
        let mut rows = Vec::new();
        let mut known = Vec::new();
        for task in &mut self.tasks {
            let specs: Vec<String> = task.subtopology().stores.iter().map(|spec| spec.name.clone()).collect();
            if let Some(index) = specs.iter().position(|name| name == store) {
                let from = std::ops::Bound::Unbounded;
                for (key, row) in task.stores().scan_limited(index, from, from, usize::MAX)? {
                    rows.push((key, row.timestamp, row.value));
                }
                known.clear();
                known.push(store.to_owned());
            } else if !known.iter().any(|name| name == store) {
                known.extend(specs);
            }
        }
        if known.iter().any(|name| name == store) {
            Ok(rows)
        } else {
            known.sort();
            known.dedup();
            Err(DriverError::UnknownStore { store: store.to_owned(), known: known.join(", ") })
        }
    }

    /// Names of the tasks, in the order in which they run.
    pub fn task_ids(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.tasks.iter().map(Task::id)
    }

    fn encode(&self, record: &InputRecord) -> Result<ProducerRecord, DriverError> {
        let topic = self.input_topic(&record.topic)?;
        let encode_failed = |part, format: &Format| {
            let (topic, format) = (topic.name.clone(), format.to_string());
            move |source| DriverError::Encode { part, topic, format, source }
        };
        let value_format = topic.value.clone().unwrap_or(Format::Bytes);
        let Some(serde) = self.serdes.get(&topic.name) else { return Err(self.unknown(&record.topic)) };
        let key = serde.encode_key(&record.key).map_err(encode_failed("the key", &topic.key))?;
        let value = match &record.value_base64 {
            Some(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                Some(bytes.map_err(|error| DriverError::Base64(error.to_string()))?.into())
            }
            None => serde.encode_value(&record.value).map_err(encode_failed("the value", &value_format))?,
        };
        let partitions = self.topics.get(&topic.name).map_or(1, |config| config.partitions);
        let partition = match (record.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for(key, partitions),
            (None, None) => 0,
        };
        if partition >= partitions {
            return Err(DriverError::UnknownPartition { topic: topic.name.clone(), partition, partitions });
        }
        Ok(ProducerRecord {
            topic: Arc::from(topic.name.as_str()),
            partition,
            timestamp: record.timestamp.unwrap_or_else(|| self.clock.now()),
            key,
            value,
            headers: encode_headers(&record.headers),
        })
    }

    fn input_topic(&self, name: &str) -> Result<&Topic, DriverError> {
        let is_input = |topic: &&Topic| matches!(topic.role, TopicRole::Source | TopicRole::SourceAndSink);
        self.topology.topics.iter().filter(is_input).find(|topic| topic.name == name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, topic: &str) -> DriverError {
        let inputs = self
            .topology
            .topics
            .iter()
            .filter(|topic| matches!(topic.role, TopicRole::Source | TopicRole::SourceAndSink));
        let known = inputs.map(|topic| format!("`{}`", topic.name)).collect::<Vec<_>>().join(", ");
        DriverError::UnknownTopic { topic: topic.to_owned(), known }
    }

    /// Fetches, processes and (without caching) commits until nothing more follows.
    fn settle(&mut self) -> Result<(), DriverError> {
        loop {
            self.read_globals()?;
            let fetched = self.fetch()?;
            let mut processed = 0;
            for task in 0..self.tasks.len() {
                processed += self.process(task)?;
            }
            if !fetched && processed == 0 {
                return Ok(());
            }
        }
    }

    fn process(&mut self, task: usize) -> Result<usize, DriverError> {
        let now = self.clock.now();
        let mut total = 0;
        loop {
            let limit = if self.options.caching { BATCH } else { 1 };
            let Some(running) = self.tasks.get_mut(task) else { return Ok(total) };
            let processed = running.process(limit, now)?;
            total += processed;
            let full = running.is_full();
            if full || (processed > 0 && !self.options.caching) {
                self.commit()?;
            } else if processed == 0 {
                return Ok(total);
            }
        }
    }

    /// Brings the global tables up to date.
    fn read_globals(&mut self) -> Result<(), DriverError> {
        let Some(reader) = &mut self.globals else { return Ok(()) };
        while reader.poll(BATCH, Duration::ZERO, self.clock.now(), &mut self.counters)? > 0 {}
        Ok(())
    }

    fn fetch(&mut self) -> Result<bool, DriverError> {
        let polled = self.consumer.poll(BATCH, Duration::ZERO)?;
        let mut any = false;
        for batch in polled.batches {
            if let Some((task, source)) = self.routes.get(&batch.partition)
                && let Some(task) = self.tasks.get_mut(*task)
            {
                any |= !batch.records.is_empty();
                task.add_records(*source, batch.records, batch.position);
            }
        }
        Ok(any)
    }

    fn commit(&mut self) -> Result<(), DriverError> {
        let now = self.clock.now();
        let group = self.consumer.group_metadata()?;
        let stop_at = self.crash_at.filter(|(commit, _)| *commit == self.commits).map(|(_, step)| step);
        let mut emitted = Emitted { stop_at, ..Emitted::default() };
        let done = transaction::commit(self.tasks.iter_mut(), self.producer.as_mut(), &group, now, &mut emitted)?;
        self.commits += 1;
        self.committed_at = now;
        for task in self.tasks.iter_mut().filter(|_| emitted.committed) {
            self.counters.add(&task.take_counters());
        }
        self.collect(emitted)?;
        if done { Ok(()) } else { self.reopen() }
    }

    /// Shows what a transaction wrote, if it was committed.
    fn collect(&mut self, emitted: Emitted) -> Result<(), DriverError> {
        for record in emitted.records.into_iter().filter(|_| emitted.committed) {
            if let Some(serde) = self.serdes.get(&*record.topic) {
                self.outputs.push(OutputRecord {
                    topic: record.topic.to_string(),
                    partition: record.partition,
                    key: serde.decode_key(&record.key)?,
                    value: serde.decode_value(&record.value)?,
                    timestamp: record.timestamp,
                    headers: decode_headers(&record.headers),
                });
            }
        }
        Ok(())
    }
}

/// Every external topic with the partitions asked for, or one.
fn driver_topics(topology: &Topology, partitions: &BTreeMap<String, i32>) -> BTreeMap<String, TopicConfig> {
    let external = topology.topics.iter().filter(|topic| !partitioning::is_internal(topic));
    external
        .map(|topic| {
            let count = partitions.get(&topic.name).copied().unwrap_or(1);
            (topic.name.clone(), TopicConfig::new(count))
        })
        .collect()
}
