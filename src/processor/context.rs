//! What a processor works with beside the record.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::schedules::{Asked, Now};
use super::store::KeyValueStore;
use super::{PunctuationType, Record, Schedules, StoreLayout};
use crate::record::Value;
use crate::time::Timestamp;

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What can go wrong with what a processor asks for. It may be handed on, and is then an error of the record.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no output of that name.
    #[error("there is no child `{name}`; {known}")]
    UnknownChild {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The step has no store of that name.
    #[error(
        "there is no store `{name}`; {known}. Declare it in the supplier's `plan`, or give it to the step under `stores`"
    )]
    UnknownStore {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A key or value is not what was declared.
    #[error("{part} of {place} is not what was declared: {message}")]
    Misfit {
        /// `the key` or `the value`.
        part: &'static str,
        /// The output or store.
        place: String,
        /// What does not fit.
        message: String,
    },
    /// A record with another key, by a processor that keeps keys.
    #[error("the processor keeps keys, and forwards one that did not come; do without `keeps_key`")]
    KeyChanged,
    /// A record with another timestamp, by a processor that keeps timestamps.
    #[error("the processor keeps timestamps, and forwards another one; do without `keeps_timestamp`")]
    TimestampChanged,
    /// Stores have no null keys.
    #[error("a store has no null keys")]
    NullKey,
    /// A timestamp before 1970 or after the year 9999.
    #[error("{0} is no timestamp: they are milliseconds since 1970, up to the year 9999")]
    Timestamp(Timestamp),
    /// Something was forwarded by `init`.
    #[error("`init` cannot forward: there is neither a record nor a time yet")]
    TooEarly,
    /// A schedule that cannot be.
    #[error("{0}")]
    Schedule(String),
    /// A store failed. The task stops, whatever the processor makes of it.
    #[error("the store failed: {0}")]
    Store(String),
}

/// The moment at which a processor is called.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// The wall clock and stream time.
    pub(crate) now: Now,
    /// Where the record at hand comes from: topic, partition, offset.
    pub(crate) metadata: Option<(Arc<str>, i32, i64)>,
    /// The partition of the task.
    pub(crate) partition: i32,
}

/// What the engine does for a processor.
pub(crate) trait Work {
    /// The moment.
    fn moment(&self) -> &Moment;
    /// Hands a record on, to one output or to all.
    fn forward(&mut self, child: Option<&str>, record: Record) -> Result<(), ContextError>;
    /// The stores, in the order in which they are numbered.
    fn stores(&self) -> &[Arc<StoreLayout>];
    /// What a store holds under a key.
    fn get(&mut self, store: usize, key: &[u8]) -> Result<Option<(Timestamp, Value)>, ContextError>;
    /// Changes a key; null deletes it.
    fn put(&mut self, store: usize, key: &[u8], value: Value) -> Result<(), ContextError>;
    /// Up to `limit` rows between two keys, in the order of their bytes.
    fn page(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Timestamp, Value)>, ContextError>;
    /// The schedules, about to be changed.
    fn schedules(&mut self) -> &mut Schedules;
}

/// What a processor works with beside the record.
pub struct Context<'a> {
    work: &'a mut dyn Work,
}

impl<'a> Context<'a> {
    /// The context of one call.
    pub(crate) fn new(work: &'a mut dyn Work) -> Self {
        Context { work }
    }

    /// Hands a record on: to the one output, or to every child.
    ///
    /// # Errors
    /// When it is not of the shape that was declared; then it has gone nowhere.
    pub fn forward(&mut self, record: Record) -> Result<(), ContextError> {
        self.work.forward(None, record)
    }

    /// Hands a record on to one child.
    ///
    /// # Errors
    /// As of [`Context::forward`], and when there is no such child.
    pub fn forward_to(&mut self, child: &str, record: Record) -> Result<(), ContextError> {
        self.work.forward(Some(child), record)
    }

    /// A store of the step: one of its own by the name it was declared with, or one that the topology gives it.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn store(&mut self, name: &str) -> Result<KeyValueStore<'_>, ContextError> {
        let stores = self.work.stores();
        let Some(position) = stores.iter().position(|store| &*store.name == name) else {
            let known = stores.iter().map(|store| &*store.name);
            return Err(ContextError::UnknownStore { name: name.to_owned(), known: listed(known) });
        };
        let layout = stores[position].clone();
        Ok(KeyValueStore::new(self.work, position, layout))
    }

    /// Where the record at hand comes from; nothing in [`super::Processor::init`] and
    /// [`super::Processor::punctuate`]. What a table or join before it has held back tells of the record that caused it.
    pub fn metadata(&self) -> Option<RecordMetadata<'_>> {
        let (topic, partition, offset) = self.work.moment().metadata.as_ref()?;
        Some(RecordMetadata { topic, partition: *partition, offset: *offset })
    }

    /// The partition of the task, which is that of all its inputs.
    pub fn partition(&self) -> i32 {
        self.work.moment().partition
    }

    /// Stream time: the highest timestamp of the records that the task has taken, the one at hand included. Nothing before
    /// the first record.
    pub fn stream_time(&self) -> Option<Timestamp> {
        self.work.moment().now.stream_time
    }

    /// The time of day, in milliseconds since 1970: when the records were taken that are being worked off. What is made of
    /// it differs when records are worked off again after a crash.
    pub fn wall_clock_time(&self) -> Timestamp {
        self.work.moment().now.wall_clock
    }

    /// Has [`super::Processor::punctuate`] called with this name, again and again. A schedule of the name is replaced.
    ///
    /// - Stream time: first with the next record (in `init`) or after the one at hand, then whenever a record carries
    ///   stream time to a multiple of `interval` since 1970 or past it.
    /// - Wall clock: first when `interval` has passed, then again and again.
    /// - When several times have passed at once there is one call, and the next keeps to the multiples.
    /// - A schedule that `init` makes goes on after a restart from what was committed: a restart neither delays nor
    ///   repeats a call. Others are gone by then.
    ///
    /// # Errors
    /// With an interval below a millisecond, a name of more than 40 bytes, or a seventeenth schedule.
    pub fn schedule(&mut self, name: &str, interval: Duration, kind: PunctuationType) -> Result<(), ContextError> {
        self.add(Asked { name, kind, interval, start: None })
    }

    /// As [`Context::schedule`], first at `start` (in milliseconds since 1970) and then at whole intervals from there. Of
    /// times that have passed none is made up for (KIP-1146). Within [`super::Processor::punctuate`] a start at the very
    /// moment of the call has passed.
    ///
    /// # Errors
    /// As of [`Context::schedule`], and when `start` is negative.
    pub fn schedule_from(
        &mut self,
        name: &str,
        start: Timestamp,
        interval: Duration,
        kind: PunctuationType,
    ) -> Result<(), ContextError> {
        self.add(Asked { name, kind, interval, start: Some(start) })
    }

    fn add(&mut self, asked: Asked<'_>) -> Result<(), ContextError> {
        let now = self.work.moment().now;
        self.work.schedules().add(asked, now).map_err(ContextError::Schedule)
    }

    /// Ends a schedule; whether there was one of that name. `init` makes it anew after a restart, unless what is in a store
    /// keeps it from that.
    pub fn cancel(&mut self, name: &str) -> bool {
        self.work.schedules().cancel(name)
    }
}

/// Names as a message lists them.
pub(crate) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "there are none".to_owned() } else { format!("there is {}", names.join(", ")) }
}
