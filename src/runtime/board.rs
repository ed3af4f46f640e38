//! Where a stream thread shows what it is doing, for those who ask while it works.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::status::{TaskState, TaskStatus, ThreadCounts, ThreadState, ThreadStatus};
use crate::task::{Opening, TaskId};
use crate::time::Clock;

/// After how long of trouble a thread counts as disconnected: a transaction that fails once is no outage.
pub(super) const DISCONNECTED: Duration = Duration::from_secs(2);

/// What one stream thread shows.
pub(super) struct Board {
    name: String,
    clock: Arc<dyn Clock>,
    /// When the thread last came round, in milliseconds of the clock's steady reading.
    turned_at: AtomicU64,
    /// Whether it has waited for an answer of the log since then.
    waiting: AtomicBool,
    shown: Mutex<Shown>,
}

/// What a thread publishes several times a second.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) state: ThreadState,
    pub(super) failing_since: Option<Duration>,
    pub(super) counts: ThreadCounts,
    pub(super) tasks: Vec<TaskStatus>,
    /// How far the tasks are that are being opened; read when somebody asks.
    pub(super) openings: Vec<(TaskId, Arc<Opening>)>,
}

impl Board {
    /// The board of a thread that has not started.
    pub(super) fn new(name: &str, clock: Arc<dyn Clock>) -> Board {
        let shown = Shown {
            state: ThreadState::Starting,
            failing_since: None,
            counts: ThreadCounts::default(),
            tasks: Vec::new(),
            openings: Vec::new(),
        };
        let turned_at = AtomicU64::new(millis(clock.elapsed()));
        Board { name: name.to_owned(), clock, turned_at, waiting: AtomicBool::new(false), shown: Mutex::new(shown) }
    }

    /// Notes that the thread is about to wait for an answer of the log.
    pub(super) fn waiting(&self) {
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// Notes that the thread has come round.
    pub(super) fn turned(&self, at: Duration) {
        self.waiting.store(false, Ordering::Relaxed);
        self.turned_at.store(millis(at), Ordering::Relaxed);
    }

    /// Shows something else.
    pub(super) fn show(&self, shown: Shown) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Shows that the thread has ended.
    pub(super) fn stopped(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.state = ThreadState::Stopped;
        shown.tasks.clear();
        shown.openings.clear();
    }

    /// What is shown.
    pub(super) fn read(&self) -> ThreadStatus {
        let Shown { state, failing_since, counts, mut tasks, openings } =
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tasks.extend(openings.into_iter().map(|(task, opening)| restoring(task, &opening)));
        tasks.sort_by_key(|status| status.task);
        let now = self.clock.elapsed();
        let since_turn = now.saturating_sub(Duration::from_millis(self.turned_at.load(Ordering::Relaxed)));
        let failing_for = failing_since.map(|since| now.saturating_sub(since));
        // Who waits for the log cannot say so.
        let waits = self.waiting.load(Ordering::Relaxed) && since_turn >= DISCONNECTED;
        ThreadStatus {
            name: self.name.clone(),
            state: if waits && state != ThreadState::Stopped { ThreadState::Disconnected } else { state },
            since_turn,
            failing_for: failing_for.or(waits.then_some(since_turn)),
            counts,
            tasks,
        }
    }
}

fn restoring(task: TaskId, opening: &Opening) -> TaskStatus {
    let (inputs, stores) = (Vec::new(), Vec::new());
    TaskStatus { task, state: TaskState::Restoring, inputs, stores, restores: opening.restores() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
