//! Where a stream thread shows what it is doing, for those who ask while it works.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::status::{TaskState, TaskStatus, ThreadCounts, ThreadState, ThreadStatus};
use crate::task::{Opening, TaskId};
use crate::time::Clock;

/// What one stream thread shows.
pub(super) struct Board {
    name: String,
    clock: Arc<dyn Clock>,
    /// When the thread last came round, in milliseconds of the clock's steady reading.
    turned_at: AtomicU64,
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
        Board { name: name.to_owned(), clock, turned_at, shown: Mutex::new(shown) }
    }

    /// Notes that the thread has come round.
    pub(super) fn turned(&self, at: Duration) {
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
        for (task, opening) in openings {
            let restores = opening.restores();
            tasks.push(TaskStatus {
                task,
                state: TaskState::Restoring,
                inputs: Vec::new(),
                stores: Vec::new(),
                restores,
            });
        }
        tasks.sort_by_key(|status| status.task);
        let now = self.clock.elapsed();
        ThreadStatus {
            name: self.name.clone(),
            state,
            since_turn: now.saturating_sub(Duration::from_millis(self.turned_at.load(Ordering::Relaxed))),
            failing_for: failing_since.map(|since| now.saturating_sub(since)),
            counts,
            tasks,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
