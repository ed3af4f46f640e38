//! Threads for what would keep a stream thread waiting: opening, restoring and closing stores.
//!
//! They are started when there is something to do, up to a limit, and end when there is nothing left.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use super::RuntimeError;

/// Something to do. What it finds it tells by itself, also when it panics.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Up to `limit` threads, and what waits for them.
pub(super) struct Workers {
    name: String,
    limit: usize,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    active: usize,
}

impl Workers {
    /// Threads of this name; none is started yet.
    pub(super) fn new(name: String, limit: usize) -> Arc<Workers> {
        Arc::new(Workers { name, limit: limit.max(1), state: Mutex::default(), idle: Condvar::new() })
    }

    /// Has a job done, after those that came before it.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> Result<(), RuntimeError> {
        let mut state = self.lock();
        state.waiting.push_back(job);
        if state.active >= self.limit {
            return Ok(());
        }
        let workers = Arc::clone(self);
        match Builder::new().name(self.name.clone()).spawn(move || workers.work()) {
            Ok(_) => state.active += 1,
            // The ones there are will come to it.
            Err(_) if state.active > 0 => {}
            Err(error) => return Err(RuntimeError::Spawn(error)),
        }
        Ok(())
    }

    /// Waits until there is nothing left to do, up to `timeout`. Returns whether that is so.
    pub(super) fn wait_until_idle(&self, timeout: Duration) -> bool {
        let waited = self.idle.wait_timeout_while(self.lock(), timeout, |state| state.active > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.active == 0
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some(job) = state.waiting.pop_front() else {
                state.active -= 1;
                self.idle.notify_all();
                return;
            };
            drop(state);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!(workers = self.name, "a job panicked and could not tell");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everything_is_done_by_no_more_threads_than_allowed_even_after_a_panic() {
        let workers = Workers::new("test".to_owned(), 2);
        let (running, most, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::default());
        let both = Arc::new(Barrier::new(2));
        for n in 0..10 {
            let (running, most, both) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&both));
            let done: Arc<AtomicUsize> = Arc::clone(&done);
            let job = move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                both.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                assert!(n != 4, "this job panics");
            };
            workers.submit(Box::new(job)).unwrap();
        }
        assert!(workers.wait_until_idle(Duration::from_secs(30)));
        assert_eq!((done.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (10, 2));
    }
}
