//! What a client hears from librdkafka: the state of its connections, log lines, and deliveries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::super::LogError;

/// Whether Kafka is there, for all clients of one log: an outage is one line in the log, and its end another.
///
/// Each client notices by itself, some long after Kafka is back. So what a client says is a suspicion only: who watches
/// asks the brokers, and alone decides.
#[derive(Default)]
pub(super) struct Outage {
    /// Kafka is lost, and it has been said.
    down: AtomicBool,
    /// A client has lost its brokers since they were asked last.
    suspected: AtomicBool,
    /// Somebody asks the brokers.
    watched: AtomicBool,
    /// Whether `last` holds something.
    troubled: AtomicBool,
    /// Begins to ask the brokers: records alone would not tell, where there are none.
    watch: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// What went wrong last, as librdkafka says it.
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Outage {
    fn heard(&self, code: RDKafkaErrorCode, reason: &str) {
        tracing::debug!(target: "signalstream::log::kafka", ?code, reason, "connection");
        // This one only sums up the others.
        if code == RDKafkaErrorCode::AllBrokersDown {
            self.suspected.store(true, Ordering::SeqCst);
            if let Some(watch) = self.watch.get()
                && !self.watched.swap(true, Ordering::SeqCst)
            {
                watch();
            }
            return;
        }
        *lock(&self.last) = Some((code, reason.to_owned()));
        self.troubled.store(true, Ordering::Release);
    }

    /// What is to be called when Kafka may be lost. It asks the brokers until they answer and [`Outage::rest`] says that
    /// this is enough.
    pub(super) fn on_suspicion(&self, watch: impl Fn() + Send + Sync + 'static) {
        // Only who opens the log does so, once.
        _ = self.watch.set(Box::new(watch));
    }

    /// The brokers are about to be asked.
    pub(super) fn ask(&self) {
        self.suspected.store(false, Ordering::SeqCst);
    }

    /// They have not answered.
    pub(super) fn lost(&self, error: &LogError) {
        if !self.down.swap(true, Ordering::SeqCst) {
            tracing::warn!(target: "signalstream::log::kafka", %error, "Kafka cannot be reached; trying on");
        }
    }

    /// Nobody can be made to ask: the next suspicion tries again.
    pub(super) fn unwatched(&self) {
        self.watched.store(false, Ordering::SeqCst);
    }

    /// They have answered, so long after they did last, or were first asked.
    pub(super) fn found(&self, after: Duration) {
        if self.down.swap(false, Ordering::SeqCst) {
            let seconds = after.as_secs_f64();
            tracing::info!(target: "signalstream::log::kafka", seconds, "Kafka is back");
        }
    }

    /// Whether nobody needs to ask any more: nothing was suspected meanwhile.
    pub(super) fn rest(&self) -> bool {
        self.watched.store(false, Ordering::SeqCst);
        !self.suspected.load(Ordering::SeqCst) || self.watched.swap(true, Ordering::SeqCst)
    }

    /// Whether Kafka is lost.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// Something came from a broker: what went wrong before is over.
    pub(super) fn answered(&self) {
        if self.troubled.load(Ordering::Relaxed) && self.troubled.swap(false, Ordering::AcqRel) {
            *lock(&self.last) = None;
        }
    }

    /// What went wrong last.
    pub(super) fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.last).clone()
    }
}

/// A client's ear.
#[derive(Default)]
pub(super) struct Context {
    pub(super) outage: Arc<Outage>,
    /// What was said of a topic or a group, not of a connection. A consumer hears it of a topic while it reads the
    /// partition concerned.
    refused: Mutex<Option<(RDKafkaErrorCode, String)>>,
    pub(super) deliveries: Mutex<Deliveries>,
}

impl Context {
    pub(super) fn new(outage: &Arc<Outage>) -> Self {
        Context { outage: Arc::clone(outage), ..Context::default() }
    }

    /// A record was written, or will never be. `slot` is what was given when it was sent.
    pub(super) fn delivered(&self, slot: usize, offset: i64, error: Option<RDKafkaErrorCode>) {
        let mut deliveries = lock(&self.deliveries);
        deliveries.count += 1;
        match error {
            None => {
                if let Some(end) = deliveries.ends.get_mut(slot) {
                    *end = (*end).max(offset + 1);
                }
            }
            // What an abort throws away is no failure.
            Some(RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::PurgeQueue) => {}
            Some(code) => _ = deliveries.failed.get_or_insert((slot, code)),
        }
    }

    /// What was said of a topic or a group since the last call.
    pub(super) fn take_refused(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.refused).take()
    }

    pub(super) fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        lock(&self.deliveries)
    }
}

impl ConsumerContext for Context {}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Connections are reported once per outage; librdkafka says every attempt.
        let quiet = matches!(facility, "FAIL" | "ERROR")
            // The engine's own: without it, partitions with a queue of their own would commit their offsets.
            || facility == "CONFWARN" && message.contains("auto.commit.enable");
        let level = if quiet { RDKafkaLogLevel::Debug } else { level };
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // The call that meets it asks the client for the cause.
            Some(RDKafkaErrorCode::Fatal) => {}
            Some(
                code @ (RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed),
            ) => *lock(&self.refused) = Some((code, reason.to_owned())),
            Some(code) => self.outage.heard(code, reason),
            None => {}
        }
    }
}

/// What became of the records of a producer since its transaction began.
#[derive(Default)]
pub(super) struct Deliveries {
    /// How many were written or failed.
    pub(super) count: u64,
    /// Per slot, the offset after the last record; -1 if there is none.
    pub(super) ends: Vec<i64>,
    /// The first that failed: its slot, and why.
    pub(super) failed: Option<(usize, RDKafkaErrorCode)>,
}

/// Wakes a poll that waits.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    /// Something may have come.
    news: bool,
    /// Somebody asked the poll to return.
    woken: bool,
}

impl Signal {
    /// Something may have come.
    pub(super) fn news(&self) {
        lock(&self.state).news = true;
        self.changed.notify_all();
    }

    /// Makes the poll that is waiting, or the next one, return at once.
    pub(super) fn wake(&self) {
        lock(&self.state).woken = true;
        self.changed.notify_all();
    }

    /// Waits until something may have come, somebody asks to return, or the time is over.
    pub(super) fn wait(&self, timeout: Duration) -> Waited {
        let quiet = |state: &mut SignalState| !state.news && !state.woken;
        let waited = self.changed.wait_timeout_while(lock(&self.state), timeout, quiet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let SignalState { news, woken } = std::mem::take(&mut *state);
        match (woken, news) {
            (true, _) => Waited::Woken,
            (false, true) => Waited::News,
            (false, false) => Waited::TimedOut,
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Something may have come.
    News,
    /// Somebody asked to return.
    Woken,
    /// The time is over.
    TimedOut,
}

/// Locks; nothing is left half-done under these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_suspicion_is_looked_into_once_and_again_when_nobody_could_be_made_to_look() {
        let outage = Arc::new(Outage::default());
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = looks.clone();
        outage.on_suspicion(move || _ = counted.fetch_add(1, Ordering::SeqCst));
        let suspect = || outage.heard(RDKafkaErrorCode::AllBrokersDown, "all brokers are down");
        suspect();
        suspect();
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        outage.unwatched();
        suspect();
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }
}
