//! Opens a task beside its stream thread: again when the log or the directory is away for a while, and from the
//! beginning of its changelogs when its state cannot be used.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::RuntimeError;
use super::backoff::Backoff;
use super::evolution::Admission;
use super::mailbox::{Event, Mailbox, Opened};
use super::shared::Shared;
use crate::error::{Classified, ErrorClass};
use crate::log::Log;
use crate::task::{OpenError, Opening, TaskId, TaskOpener, TaskParts};
use crate::topology::plan::Subtopology;

/// Time between two lines of the log about a task that cannot be opened yet.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// How often a task looks whether the global tables are there.
const GLOBALS_INTERVAL: Duration = Duration::from_millis(50);

/// What opening one task takes.
pub(super) struct OpenJob {
    /// The thread that asks for it.
    pub(super) thread: String,
    pub(super) subtopology: Arc<Subtopology>,
    pub(super) partition: i32,
    /// Whether its state cannot be used.
    pub(super) rebuild: bool,
    pub(super) opening: Arc<Opening>,
    pub(super) log: Arc<dyn Log>,
    pub(super) opener: TaskOpener,
    pub(super) admission: Arc<Admission>,
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: Arc<Mailbox>,
}

impl OpenJob {
    /// Opens the task and tells the thread.
    pub(super) fn run(self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.open()));
        let outcome = outcome.unwrap_or_else(|_| Err(RuntimeError::Panicked(self.thread.clone())));
        self.mailbox.push(Event::Opened(self.task(), outcome));
    }

    fn task(&self) -> TaskId {
        TaskId { subtopology: self.subtopology.id, partition: self.partition }
    }

    fn open(&self) -> Result<Box<Opened>, RuntimeError> {
        let task = self.task();
        let (mut rebuilt, mut backoff) = (false, Backoff::default());
        if self.rebuild {
            self.rebuild()?;
            rebuilt = true;
        }
        loop {
            if self.opening.is_cancelled() {
                return Err(OpenError::Cancelled { task }.into());
            }
            let error = match self.attempt() {
                Ok((parts, restored)) => return Ok(Box::new(Opened { parts, restored, rebuilt })),
                Err(error) => error,
            };
            if matches!(error, RuntimeError::Open(OpenError::GlobalsBehind { .. })) {
                self.opening.wait(GLOBALS_INTERVAL);
                continue;
            }
            match error.class() {
                ErrorClass::Retry => {
                    if backoff.is_due_for_report(REPORT_INTERVAL) {
                        tracing::warn!(%task, %error, "the task cannot be opened yet; it is tried again");
                    }
                    self.opening.wait(backoff.next_delay());
                }
                ErrorClass::TaskCorrupted if !rebuilt => {
                    tracing::error!(%task, %error, "the state of the task cannot be used");
                    self.rebuild()?;
                    rebuilt = true;
                }
                _ => return Err(error),
            }
        }
    }

    fn attempt(&self) -> Result<(TaskParts, u64), RuntimeError> {
        self.admission.confirm(self.log.as_ref())?;
        // A restore that has read a record must find the tombstone after it, too.
        let _no_cleaning = self.shared.restoring();
        Ok(self.opener.open_parts(self.log.as_ref(), &self.subtopology, self.partition, &self.opening)?)
    }

    fn rebuild(&self) -> Result<(), RuntimeError> {
        let task = self.task();
        tracing::error!(%task, "the state of the task is removed and built anew from the beginning of its changelogs");
        Ok(self.opener.discard(&self.subtopology, self.partition)?)
    }
}
