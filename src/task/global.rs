//! Keeps global tables up to date: reads all partitions of their topics, from where it stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Classified, ErrorClass};
use crate::log::{Log, LogConsumer, LogError, LogRecord, TopicConfig, Waker};
use crate::metrics::{Counters, DropReason};
use crate::record::TopicPartition;
use crate::source::SourceDecoder;
use crate::state::{Checkpoint, GlobalChange, GlobalTables, StateDirectory, StateError, StateValue, StoreSpec};
use crate::time::Timestamp;
use crate::topology::global::GlobalTable;
use crate::topology::plan::{OnError, Topology};

/// How often it is noted that nothing was left to read, in milliseconds.
const NOTE_INTERVAL: i64 = 60_000;

/// Why global tables cannot be kept up to date.
#[derive(Debug, thiserror::Error)]
pub enum GlobalError {
    /// The log failed.
    #[error("the global tables cannot be read: {0}")]
    Log(#[from] LogError),
    /// The store failed.
    #[error("the global tables cannot be kept: {0}")]
    State(#[from] StateError),
    /// A record cannot be decoded, and its source says `fail`.
    #[error(
        "the global table `{table}` cannot take the record at offset {offset} of {partition}: {message}. Correct the \
         source's formats, or let it pass over such records: `on_error: {{decode: skip}}`"
    )]
    Decode {
        /// The table.
        table: String,
        /// Where the record is.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
        /// What is wrong with it.
        message: String,
        /// Whether it can be decoded once the schema registry has answered.
        awaited: bool,
    },
}

impl Classified for GlobalError {
    fn class(&self) -> ErrorClass {
        match self {
            GlobalError::Decode { awaited: true, .. } => ErrorClass::Retry,
            GlobalError::Log(error) => error.class(),
            GlobalError::State(error) => error.class(),
            GlobalError::Decode { .. } => ErrorClass::Fatal,
        }
    }
}

/// One partition of a table's topic.
struct Input {
    table: usize,
    decoder: SourceDecoder,
    /// Where the partition ended when the reader began.
    end: i64,
}

/// Reads the topics of all global tables of an application.
pub struct GlobalReader {
    tables: Arc<GlobalTables>,
    plans: Vec<GlobalTable>,
    consumer: Box<dyn LogConsumer>,
    inputs: BTreeMap<TopicPartition, Input>,
    checkpoint: Checkpoint,
    /// The first record of each partition that waits for the schema it was written with. Such a partition is not fetched.
    held: BTreeMap<TopicPartition, LogRecord>,
    /// When the log was last asked whether anything is left to read.
    asked_at: Timestamp,
}

/// Opens the stores of a topology's global tables, empty when they cannot be used; `None` where it has none.
pub fn open_globals(topology: &Topology, state: &StateDirectory) -> Result<Option<Arc<GlobalTables>>, StateError> {
    if topology.globals.is_empty() {
        return Ok(None);
    }
    let specs: Vec<StoreSpec> = topology.globals.iter().map(|table| table.store.clone()).collect();
    let tables = match state.open_globals(&specs) {
        // They are copies of topics: what they were written as before does not bind.
        Err(error @ (StateError::OtherShape { .. } | StateError::Corrupt { .. })) => {
            tracing::info!(application = topology.name, %error, "the global tables are built anew from their topics");
            state.remove_globals()?;
            state.open_globals(&specs)?
        }
        opened => opened?,
    };
    Ok(Some(Arc::new(tables)))
}

impl GlobalReader {
    /// Begins where the tables' checkpoint says, or from the beginning of all topics when the records in between may
    /// be gone. Timestamps may lie at most `max_ahead` milliseconds ahead of `now`.
    pub fn new(
        topology: &Topology,
        topics: &BTreeMap<String, TopicConfig>,
        tables: Arc<GlobalTables>,
        log: &dyn Log,
        now: Timestamp,
        max_ahead: Option<i64>,
    ) -> Result<GlobalReader, GlobalError> {
        let mut consumer = log.consumer(None)?;
        let mut inputs = BTreeMap::new();
        let mut beginnings = BTreeMap::new();
        for (table, plan) in topology.globals.iter().enumerate() {
            let partitions = topics.get(&*plan.source.topic).map_or(1, |config| config.partitions);
            for partition in 0..partitions {
                let at = TopicPartition::new(plan.source.topic.clone(), partition);
                beginnings.insert(at.clone(), consumer.beginning_offset(&at)?);
                let end = consumer.end_offset(&at)?;
                let decoder = SourceDecoder::new(&plan.source, partition, max_ahead);
                inputs.insert(at, Input { table, decoder, end });
            }
        }
        let begun = || Checkpoint { wall_clock: now, ..Checkpoint::default() };
        let mut checkpoint = tables.checkpoint()?.unwrap_or_else(begun);
        if let Some(reason) = unusable(&checkpoint, topology, topics, &inputs, &beginnings, now) {
            tracing::info!(application = topology.name, reason, "the global tables are built anew from their topics");
            checkpoint = begun();
            tables.clear(&checkpoint)?;
        }
        for (at, beginning) in &beginnings {
            let offset = *checkpoint.input_offsets.entry(at.clone()).or_insert(*beginning);
            consumer.assign(at, offset)?;
        }
        let plans = topology.globals.clone();
        let reader = GlobalReader { tables, plans, consumer, inputs, checkpoint, held: BTreeMap::new(), asked_at: now };
        reader.note_progress();
        Ok(reader)
    }

    /// What ends the waiting of [`GlobalReader::poll`].
    pub fn waker(&self) -> Waker {
        self.consumer.waker()
    }

    /// Applies up to `limit` records, waiting up to `timeout` for the first. Returns how many came.
    pub fn poll(
        &mut self,
        limit: usize,
        timeout: Duration,
        now: Timestamp,
        counters: &mut Counters,
    ) -> Result<usize, GlobalError> {
        self.let_go(now)?;
        let polled = self.consumer.poll(limit, timeout)?;
        let mut count = 0;
        for batch in polled.batches {
            count += batch.records.len();
            let Some(input) = self.inputs.get(&batch.partition) else { continue };
            let mut changes = Vec::with_capacity(batch.records.len());
            let mut position = batch.position;
            for raw in batch.records {
                match change(&self.plans[input.table], input, &batch.partition, &raw, now, counters) {
                    Ok(change) => changes.extend(change),
                    Err(GlobalError::Decode { awaited: true, .. }) => {
                        position = raw.offset;
                        self.consumer.pause(&batch.partition);
                        self.held.insert(batch.partition.clone(), raw);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.checkpoint.input_offsets.insert(batch.partition.clone(), position);
            self.tables.apply(input.table, &changes, &self.checkpoint)?;
        }
        self.note_progress();
        if now.saturating_sub(self.checkpoint.wall_clock.max(self.asked_at)) >= NOTE_INTERVAL {
            self.asked_at = now;
            self.note_end(now)?;
        }
        Ok(count)
    }

    /// Goes on with the partitions whose first record can be read by now, or never.
    fn let_go(&mut self, now: Timestamp) -> Result<(), GlobalError> {
        let freed = |(at, raw): (&TopicPartition, &LogRecord)| {
            let decoded = self.inputs.get(at).map(|input| input.decoder.decode(raw, now));
            (!matches!(decoded, Some(Err(error)) if error.is_awaited())).then(|| (at.clone(), raw.offset))
        };
        let free: Vec<(TopicPartition, i64)> = self.held.iter().filter_map(freed).collect();
        for (at, offset) in free {
            self.consumer.assign(&at, offset)?;
            self.consumer.resume(&at);
            self.held.remove(&at);
        }
        Ok(())
    }

    /// Lets the tasks begin once the tables hold what there was.
    fn note_progress(&self) {
        if !self.tables.is_caught_up() && self.has_caught_up() {
            self.tables.set_caught_up();
        }
    }

    /// Where nothing is left to read, notes when that was: the tombstones that come from then on are all to be seen yet.
    /// The log is asked: while it is away, what its last answers said does not show what has come since.
    fn note_end(&mut self, now: Timestamp) -> Result<(), GlobalError> {
        for at in self.inputs.keys() {
            match self.consumer.end_offset(at) {
                Ok(end) if self.checkpoint.input_offsets.get(at).is_some_and(|position| *position >= end) => {}
                Ok(_) => return Ok(()),
                Err(error) if error.class() == ErrorClass::Retry => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.checkpoint.wall_clock = now;
        Ok(self.tables.apply(0, &[], &self.checkpoint)?)
    }

    /// Whether everything has been applied that was in the topics when the reader began.
    fn has_caught_up(&self) -> bool {
        let position = |at| self.checkpoint.input_offsets.get(at).copied().unwrap_or(0);
        self.inputs.iter().all(|(at, input)| position(at) >= input.end)
    }

    /// Writes the tables to files, so that the next start has little to read.
    pub fn close(mut self, now: Timestamp) -> Result<(), GlobalError> {
        self.note_end(now)?;
        Ok(self.tables.flush()?)
    }
}

/// The change that a record makes; `None`: it makes none.
fn change(
    plan: &GlobalTable,
    input: &Input,
    partition: &TopicPartition,
    raw: &LogRecord,
    now: Timestamp,
    counters: &mut Counters,
) -> Result<Option<GlobalChange>, GlobalError> {
    let record = match input.decoder.decode(raw, now) {
        Ok(record) => record,
        // One whose schema is being asked for is read again, whatever is done with those that fail.
        Err(error) if plan.source.on_decode_error == OnError::Fail || error.is_awaited() => {
            let (table, partition) = (plan.source.name.clone(), partition.clone());
            let message = if plan.source.personal_data { error.without_values() } else { error.to_string() };
            let awaited = error.is_awaited();
            return Err(GlobalError::Decode { table, partition, offset: raw.offset, message, awaited });
        }
        Err(_) => {
            tracing::warn!(table = plan.source.name, %partition, offset = raw.offset, "skipped a record that failed");
            counters.dropped(DropReason::Skipped);
            return Ok(None);
        }
    };
    let Some(key) = record.key else {
        counters.dropped(DropReason::NullKey);
        return Ok(None);
    };
    let row = (!record.value.is_null()).then_some(StateValue { timestamp: record.timestamp, value: record.value });
    Ok(Some((key.encoded, row)))
}

/// Why the tables cannot go on from their checkpoint, if so.
fn unusable(
    checkpoint: &Checkpoint,
    topology: &Topology,
    topics: &BTreeMap<String, TopicConfig>,
    inputs: &BTreeMap<TopicPartition, Input>,
    beginnings: &BTreeMap<TopicPartition, i64>,
    now: Timestamp,
) -> Option<&'static str> {
    for (at, offset) in &checkpoint.input_offsets {
        if !inputs.contains_key(at) {
            return Some("they hold rows of another topic");
        }
        if inputs.get(at).is_some_and(|input| *offset > input.end) {
            return Some("a topic ends before what they hold");
        }
        if beginnings.get(at).is_some_and(|beginning| offset < beginning) {
            return Some("records that they have not seen were deleted");
        }
    }
    let globals = topology.globals.iter().filter_map(|table| topics.get(&*table.source.topic));
    let kept = globals.map(|config| config.delete_retention).min()?;
    let age = now.saturating_sub(checkpoint.wall_clock);
    (checkpoint.wall_clock > 0 && age >= kept).then_some("tombstones that they have not seen may be gone")
}
