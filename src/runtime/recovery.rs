//! What a stream thread does when something fails: what the class of the error calls for, and never more often than
//! it can help.

use std::time::Duration;

use super::RuntimeError;
use super::backoff::Backoff;
use super::connections::Connections;
use super::stream_thread::StreamThread;
use crate::error::{Classified, ErrorClass};
use crate::task::transaction::CommitError;

/// Time between two lines of the log about one trouble.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// After how long without a failure a thread that has nothing to commit counts as well again.
const CALM: Duration = Duration::from_secs(5);

/// A trouble that a thread is in: since when, and when it tries again.
#[derive(Default)]
pub(super) struct Trouble {
    backoff: Backoff,
    since: Option<Duration>,
    failed_at: Duration,
    until: Duration,
    committed: bool,
}

impl Trouble {
    /// Since when something fails.
    pub(super) fn since(&self) -> Option<Duration> {
        self.since
    }

    /// How long to wait before the next attempt.
    pub(super) fn delay(&self, now: Duration) -> Duration {
        self.until.saturating_sub(now)
    }

    /// Notes that the log has taken a commit: then it is there, and the work can be done.
    pub(super) fn committed(&mut self) {
        self.committed = true;
    }

    fn fail(&mut self, now: Duration) {
        self.committed = false;
        self.since.get_or_insert(now);
        self.failed_at = now;
        self.until = now + self.backoff.next_delay();
    }

    /// Whether a trouble is over: since when it was, and how many failures there were.
    fn end(&mut self, now: Duration) -> Option<(Duration, u32)> {
        let since = self.since?;
        let calm = self.committed || now.saturating_sub(self.failed_at.max(self.until)) >= CALM;
        if !calm {
            return None;
        }
        let failures = self.backoff.failures();
        *self = Trouble::default();
        Some((since, failures))
    }
}

impl StreamThread {
    /// Makes the connections that are missing, once it is time to. Returns whether the thread has joined the group; if not,
    /// it has waited for a while.
    pub(super) fn connect(&mut self) -> Result<bool, RuntimeError> {
        let delay = self.trouble.delay(self.now());
        if delay > Duration::ZERO {
            if self.connections.is_none() {
                self.mailbox.wait(delay);
                self.hear()?;
                self.rebalance()?;
            }
            return Ok(self.connections.is_some());
        }
        if self.connections.as_ref().is_none_or(|connections| connections.producer.is_none()) {
            self.board.waiting();
        }
        match &mut self.connections {
            None => self.connections = Some(self.parts.connect(&self.mailbox)?),
            Some(connections) if connections.producer.is_none() => connections.producer = Some(self.parts.producer()?),
            Some(_) => {}
        }
        Ok(true)
    }

    /// Notes that a turn went well: after a while the trouble is over.
    pub(super) fn went_well(&mut self) {
        if let Some((since, failures)) = self.trouble.end(self.now()) {
            let seconds = self.now().saturating_sub(since).as_secs_f64();
            tracing::info!(thread = self.parts.name, seconds, failures, "all is well again");
        }
    }

    /// Does what the class of an error calls for; what nothing helps against is returned.
    pub(super) fn recover(&mut self, error: RuntimeError) -> Result<(), RuntimeError> {
        self.counts.aborts += u64::from(matches!(error, RuntimeError::Commit(_)));
        match error.class() {
            ErrorClass::Retry => {
                self.note(&error, "going back to the last commit");
                self.roll_back()?;
            }
            ErrorClass::TaskMigrated if error.is_of_unknown_outcome() => {
                self.note(&error, "reading from the log what is committed");
                // The old one first: what it still has in flight must not come after what the new one decides.
                if let Some(connections) = &mut self.connections {
                    connections.producer = None;
                }
                self.close_all()?;
            }
            ErrorClass::TaskMigrated => {
                self.note(&error, "joining the group anew");
                self.rejoin()?;
            }
            ErrorClass::TaskCorrupted => return self.recover_state(error),
            ErrorClass::Skip | ErrorClass::Fatal => return Err(error),
        }
        Ok(())
    }

    /// Builds the state anew that cannot be used. When stores have missed a commit, all tasks are opened anew.
    fn recover_state(&mut self, error: RuntimeError) -> Result<(), RuntimeError> {
        let Some(task) = error.task() else { return Err(error) };
        tracing::error!(%task, %error, thread = self.parts.name, "the state of the task cannot be used");
        if !self.rebuild(task)? {
            return Err(error);
        }
        match error {
            RuntimeError::Commit(CommitError::Incomplete(_)) => self.close_all()?,
            // Nothing was sent, but the tasks of the commit are rolled back.
            RuntimeError::Commit(_) => self.roll_back()?,
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, error: &RuntimeError, reaction: &str) {
        let now = self.now();
        if self.trouble.backoff.is_due_for_report(REPORT_INTERVAL) {
            let failures = self.trouble.backoff.failures() + 1;
            tracing::warn!(%error, thread = self.parts.name, failures, "{reaction}");
        } else {
            tracing::debug!(%error, thread = self.parts.name, "{reaction}");
        }
        self.trouble.fail(now);
    }

    /// Goes back to the last commit, without a look at the stores: they never hold more. A client that cannot even do that
    /// is made anew.
    pub(super) fn roll_back(&mut self) -> Result<(), RuntimeError> {
        let Some(Connections { producer, fetcher, .. }) = &mut self.connections else { return Ok(()) };
        if let Some(Err(error)) = producer.as_mut().map(|producer| producer.abort()) {
            tracing::warn!(%error, thread = self.parts.name, "the transaction cannot be aborted; its producer is made anew");
            // The new one aborts it.
            *producer = None;
        }
        let mut went_back = Ok(());
        for task in self.tasks.values_mut() {
            task.roll_back();
            let mut positions = task.input_partitions().enumerate();
            let assigned = positions.try_for_each(|(source, input)| fetcher.assign(&input, task.position(source)));
            went_back = went_back.and(assigned);
        }
        let Err(error) = went_back else { return Ok(()) };
        self.note(&RuntimeError::Log(error), "the fetch cannot go back; joining the group anew");
        self.rejoin()
    }

    /// Drops the tasks without committing them, and the connections; the next turn makes new ones.
    fn rejoin(&mut self) -> Result<(), RuntimeError> {
        self.counts.rejoins += 1;
        self.lose_all()?;
        self.connections = None;
        self.rebalance()
    }

    /// Ends in good order: what is done is committed, the stores are closed, openings are cancelled. What cannot be
    /// committed now is done again after the next start.
    pub(super) fn wind_up(&mut self) -> Result<(), RuntimeError> {
        self.ownership.cancel_all();
        if self.trouble.since().is_some() {
            tracing::warn!(
                thread = self.parts.name,
                "stopping in the middle of a trouble, without another attempt to commit"
            );
        } else if let Err(error) = self.commit() {
            self.forgive(error)?;
        }
        let deadline = self.now() + self.parts.options.shutdown_timeout;
        loop {
            self.close_all()?;
            let left = deadline.saturating_sub(self.now());
            if !self.ownership.is_pending() || left.is_zero() {
                return Ok(());
            }
            self.mailbox.wait(left);
            if let Err(error) = self.hear() {
                self.forgive(error)?;
            }
        }
    }

    /// At the end, what would call for another attempt is only told.
    fn forgive(&self, error: RuntimeError) -> Result<(), RuntimeError> {
        match error.class() {
            ErrorClass::Retry | ErrorClass::TaskMigrated => {
                tracing::warn!(%error, thread = self.parts.name, "stopping without the last commit; its work is done again after the next start");
                Ok(())
            }
            _ => Err(error),
        }
    }
}
