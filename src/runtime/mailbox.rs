//! What a stream thread is told by those who open and close stores for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::RuntimeError;
use super::shared::Shared;
use crate::log::Waker;
use crate::task::{TaskId, TaskParts};

/// Something that was asked for is done.
pub(super) enum Event {
    /// A task was opened, or could not be.
    Opened(TaskId, Result<Box<Opened>, RuntimeError>),
    /// A task's stores were closed.
    Closed(TaskId, Result<(), RuntimeError>),
}

/// A task as it was opened.
pub(super) struct Opened {
    /// What it is made of.
    pub(super) parts: TaskParts,
    /// How many changelog records were restored.
    pub(super) restored: u64,
    /// Whether its state could not be used and was built anew.
    pub(super) rebuilt: bool,
}

/// The events for one stream thread.
pub(super) struct Mailbox {
    thread: String,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    woken: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// An empty one for `thread`.
    pub(super) fn new(thread: &str, shared: Arc<Shared>) -> Mailbox {
        Mailbox { thread: thread.to_owned(), shared, inbox: Arc::default() }
    }

    /// Delivers an event and ends the thread's waiting, whatever it waits for.
    pub(super) fn push(&self, event: Event) {
        self.inbox.lock().events.push_back(event);
        self.shared.wake(&self.thread);
    }

    /// The next event, if there is one.
    pub(super) fn pop(&self) -> Option<Event> {
        self.inbox.lock().events.pop_front()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.inbox.lock().events.is_empty()
    }

    /// Waits for an event, or the waker, up to `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let waits = |state: &mut State| state.events.is_empty() && !state.woken;
        let waited = self.inbox.arrived.wait_timeout_while(self.inbox.lock(), timeout, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.woken = false;
    }

    /// What ends [`Mailbox::wait`].
    pub(super) fn waker(&self) -> Waker {
        let inbox = Arc::clone(&self.inbox);
        Arc::new(move || {
            inbox.lock().woken = true;
            inbox.arrived.notify_all();
        })
    }
}
