//! Brings a task's stores up to the end of their changelogs, watched from outside, and to be ended from there.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{OpenError, TaskError, TaskId};
use crate::log::{FetchedBatch, LogConsumer, Waker};
use crate::record::TopicPartition;
use crate::state::TaskStores;
use crate::time::{Clock, Timestamp};
use crate::topology::plan::Subtopology;

/// How many changelog records are restored per fetch.
const BATCH: usize = 10_000;
/// How long one fetch waits for records that are known to be there.
const FETCH_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two lines of the log about one restore.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How far the restore of one store is.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreRestore {
    /// The store.
    pub store: String,
    /// Its changelog's partition.
    pub changelog: TopicPartition,
    /// Where the restore started.
    pub start: i64,
    /// The offset of the next record to restore.
    pub position: i64,
    /// Where it ends: the end of the changelog at its start.
    pub end: i64,
    /// Records restored.
    pub records: u64,
    /// How long it has taken so far.
    pub elapsed: Duration,
}

impl StoreRestore {
    /// Records restored per second.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.records as f64 / seconds } else { 0.0 }
    }

    /// How many offsets are left.
    pub fn left(&self) -> i64 {
        (self.end - self.position).max(0)
    }

    /// How long the rest will take at the speed so far; `None` before the first record.
    pub fn eta(&self) -> Option<Duration> {
        let done = u32::try_from(self.position - self.start).ok().filter(|done| *done > 0)?;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() / f64::from(done) * self.left() as f64).ok()
    }
}

/// The opening of a task, as it is seen from other threads: how far it is, and how to end it.
#[derive(Debug)]
pub struct Opening {
    clock: Arc<dyn Clock>,
    state: Mutex<OpeningState>,
    changed: Condvar,
}

#[derive(Default)]
struct OpeningState {
    cancelled: bool,
    /// What ends the waiting of the consumer that restores.
    waker: Option<Waker>,
    restores: Vec<StoreRestore>,
    /// When the restore began.
    since: Duration,
}

impl std::fmt::Debug for OpeningState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpeningState").field("cancelled", &self.cancelled).field("restores", &self.restores).finish()
    }
}

impl Opening {
    /// An opening that has not begun.
    pub fn new(clock: Arc<dyn Clock>) -> Opening {
        Opening { clock, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Ends it as soon as it can: it looks here between any two fetches.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        self.changed.notify_all();
        let waker = state.waker.clone();
        drop(state);
        if let Some(wake) = waker {
            wake();
        }
    }

    /// Whether it was asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Waits for `timeout`, or until it is asked to end. Returns whether it was.
    pub fn wait(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| !state.cancelled);
        waited.unwrap_or_else(PoisonError::into_inner).0.cancelled
    }

    /// How far the stores are that are, or were, restored.
    pub fn restores(&self) -> Vec<StoreRestore> {
        let state = self.lock();
        let elapsed = self.clock.elapsed().saturating_sub(state.since);
        let mut restores = state.restores.clone();
        restores.iter_mut().filter(|restore| restore.left() > 0).for_each(|restore| restore.elapsed = elapsed);
        restores
    }

    /// The wall clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn begin(&self, restores: Vec<StoreRestore>, waker: Waker) {
        let mut state = self.lock();
        state.since = self.clock.elapsed();
        state.restores = restores;
        state.waker = Some(waker);
    }

    fn advance(&self, store: usize, records: usize, position: i64) {
        let mut state = self.lock();
        let elapsed = self.clock.elapsed().saturating_sub(state.since);
        if let Some(restore) = state.restores.get_mut(store) {
            restore.records += records as u64;
            restore.position = position;
            restore.elapsed = elapsed;
        }
    }

    fn end(&self) {
        self.lock().waker = None;
    }

    fn lock(&self) -> MutexGuard<'_, OpeningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The restore of a task's stores, all at once: a fetch brings records of every changelog.
pub(super) struct Restore<'a> {
    pub(super) task: TaskId,
    pub(super) subtopology: &'a Subtopology,
    pub(super) stores: &'a mut TaskStores,
    pub(super) consumer: &'a mut dyn LogConsumer,
    pub(super) opening: &'a Opening,
}

/// A changelog that has not come to its end.
struct Remaining {
    /// The store, by its position in the task.
    store: usize,
    /// Its place in what [`Opening::restores`] shows.
    shown: usize,
    changelog: TopicPartition,
    end: i64,
}

impl Restore<'_> {
    /// Restores every store to the end that its changelog has now. Returns how many records that took.
    ///
    /// It ends on the consumer's position, not on the last record: offsets without records (control records, aborted and
    /// compacted ones) are never delivered. A reader of committed records stands still before a transaction that is open;
    /// the wait ends when that one is decided, which the log does by itself when its owner is gone (on Kafka after
    /// `transaction.timeout.ms`), or when somebody cancels.
    pub(super) fn run(mut self) -> Result<u64, OpenError> {
        let mut remaining = self.begin()?;
        let mut restored = 0;
        let mut reported = self.opening.clock.elapsed();
        let mut moved = reported;
        while !remaining.is_empty() {
            if self.opening.is_cancelled() {
                return Err(OpenError::Cancelled { task: self.task });
            }
            let polled = self.consumer.poll(BATCH, FETCH_TIMEOUT).map_err(|source| self.failed(source))?;
            let now = self.opening.clock.elapsed();
            if !polled.batches.is_empty() {
                moved = now;
            }
            for batch in polled.batches {
                restored += self.apply(batch, &remaining)?;
            }
            let consumer = &mut self.consumer;
            remaining.retain(|left| {
                let goes_on = consumer.position(&left.changelog).is_some_and(|position| position < left.end);
                if !goes_on {
                    consumer.unassign(&left.changelog);
                }
                goes_on
            });
            if !remaining.is_empty() && now.saturating_sub(reported) >= REPORT_INTERVAL {
                reported = now;
                self.report(now.saturating_sub(moved));
            }
        }
        self.opening.end();
        self.report_end(restored);
        Ok(restored)
    }

    /// Compares the checkpoint with each changelog, and starts to fetch those that hold more.
    fn begin(&mut self) -> Result<Vec<Remaining>, OpenError> {
        let (mut remaining, mut shown) = (Vec::new(), Vec::new());
        for (store, spec) in self.subtopology.stores.iter().enumerate() {
            let Some(topic) = &spec.changelog else { continue };
            let changelog = TopicPartition::new(topic.clone(), self.task.partition);
            let end = self.consumer.end_offset(&changelog).map_err(|source| self.failed(source))?;
            let start = self.start(&changelog, end)?;
            if start >= end {
                continue;
            }
            self.consumer.assign(&changelog, start).map_err(|source| self.failed(source))?;
            shown.push(StoreRestore {
                store: spec.name.clone(),
                changelog: changelog.clone(),
                start,
                position: start,
                end,
                records: 0,
                elapsed: Duration::ZERO,
            });
            remaining.push(Remaining { store, shown: shown.len() - 1, changelog, end });
        }
        self.opening.begin(shown, self.consumer.waker());
        Ok(remaining)
    }

    /// Where the restore of a changelog that ends at `end` starts.
    fn start(&self, changelog: &TopicPartition, end: i64) -> Result<i64, OpenError> {
        let offsets = self.stores.checkpoint().map(|checkpoint| &checkpoint.changelog_offsets);
        let checkpoint = offsets.and_then(|offsets| offsets.get(&changelog.topic).copied());
        let beginning = self.consumer.beginning_offset(changelog).map_err(|source| self.failed(source))?;
        let (task, changelog) = (self.task, changelog.clone());
        match checkpoint {
            Some(checkpoint) if checkpoint > end => Err(OpenError::Ahead { task, changelog, checkpoint, end }),
            Some(checkpoint) if checkpoint < beginning => {
                Err(OpenError::Hole { task, changelog, checkpoint, beginning })
            }
            Some(checkpoint) => Ok(checkpoint),
            None => Ok(beginning),
        }
    }

    fn apply(&mut self, batch: FetchedBatch, remaining: &[Remaining]) -> Result<u64, OpenError> {
        let Some(left) = remaining.iter().find(|left| left.changelog == batch.partition) else { return Ok(0) };
        let task = self.task;
        self.stores
            .restore(left.store, &batch.records, batch.position)
            .map_err(|source| TaskError::State { task, source })?;
        self.opening.advance(left.shown, batch.records.len(), batch.position);
        Ok(batch.records.len() as u64)
    }

    fn failed(&self, source: crate::log::LogError) -> OpenError {
        OpenError::Log { task: self.task, source }
    }

    fn report(&self, still: Duration) {
        let task = self.task;
        for restore in self.opening.restores().iter().filter(|restore| restore.left() > 0) {
            let StoreRestore { store, changelog, position, end, records, .. } = restore;
            if still >= REPORT_INTERVAL {
                tracing::warn!(
                    %task, store, %changelog, position, end, waited_seconds = still.as_secs(),
                    "the restore waits: nothing has come from the changelog; a transaction in it is not decided yet, \
                     or the log cannot be reached"
                );
            } else {
                let (rate, left) = (restore.rate().round(), restore.left());
                let eta_seconds = restore.eta().map_or(-1, |eta| i64::try_from(eta.as_secs()).unwrap_or(i64::MAX));
                tracing::info!(
                    %task, store, %changelog, records, position, end, left, records_per_second = rate, eta_seconds,
                    "restoring"
                );
            }
        }
    }

    fn report_end(&self, restored: u64) {
        if restored == 0 {
            return;
        }
        for restore in self.opening.restores() {
            let StoreRestore { store, changelog, end, records, elapsed, .. } = &restore;
            let (rate, millis, task) = (restore.rate().round(), elapsed.as_millis(), self.task);
            tracing::info!(%task, store, %changelog, records, end, millis, records_per_second = rate, "restored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_speed_so_far_says() {
        let mut restore = StoreRestore {
            store: "s".to_owned(),
            changelog: TopicPartition::new("c", 0),
            start: 100,
            position: 100,
            end: 1_100,
            records: 0,
            elapsed: Duration::ZERO,
        };
        assert_eq!((restore.eta(), restore.rate()), (None, 0.0));
        (restore.position, restore.records, restore.elapsed) = (350, 125, Duration::from_secs(5));
        assert_eq!((restore.left(), restore.rate(), restore.eta()), (750, 25.0, Some(Duration::from_secs(15))));
    }
}
