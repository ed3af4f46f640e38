//! Which tasks are a thread's, and what it does about that: follows the group, has tasks opened and closed beside it,
//! and gives up only what is closed.
//!
//! The phases of a task that a thread owns:
//!
//! ```text
//! assigned → Waiting → Opening → Running → Closing → acknowledged (revoked) or forgotten (lost)
//!               ↑         ↓ cancelled         │
//!               └─────────┴───────────────────┘ its state is opened anew, or the group hands it out again
//! ```
//!
//! Opening and closing are done by others, who report to the thread's mailbox; meanwhile the other tasks go on.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::RuntimeError;
use super::connections::Connections;
use super::evolution::EvolutionError;
use super::mailbox::{Event, Opened};
use super::opening::OpenJob;
use super::stream_thread::{Route, StreamThread};
use crate::error::{Classified, ErrorClass};
use crate::log::Rebalance;
use crate::record::TopicPartition;
use crate::state::TaskStores;
use crate::task::{OpenError, Opening, Task, TaskError, TaskId};

/// The tasks that a thread owns.
#[derive(Default)]
pub(super) struct Ownership {
    pub(super) tasks: BTreeMap<TaskId, Owned>,
}

/// A task that a thread owns.
pub(super) struct Owned {
    /// Its partition of the tasks topic.
    partition: TopicPartition,
    pub(super) phase: Phase,
    /// Why it is given up, if it is.
    end: Option<End>,
    /// Whether the group has handed it out again since.
    again: bool,
    /// Whether its state cannot be used.
    rebuild: bool,
    /// Whether its state has been built anew since it was assigned; a second time would not help either.
    rebuilt: bool,
}

/// What a thread does with a task.
pub(super) enum Phase {
    Waiting,
    Opening(Arc<Opening>),
    Running,
    Closing,
}

/// Why a task is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The group asks for it, and waits.
    Revoked,
    /// It is somebody else's already: nothing of it may be committed.
    Lost,
}

impl Owned {
    fn new(partition: TopicPartition) -> Owned {
        Owned { partition, phase: Phase::Waiting, end: None, again: false, rebuild: false, rebuilt: false }
    }

    fn is_to_end(&self, end: End) -> bool {
        self.end == Some(end) && matches!(self.phase, Phase::Running)
    }
}

impl Ownership {
    /// Whether something can be done without waiting for others.
    pub(super) fn has_work(&self) -> bool {
        self.tasks.values().any(|owned| match owned.phase {
            Phase::Waiting => true,
            Phase::Running => owned.end.is_some(),
            Phase::Opening(_) | Phase::Closing => false,
        })
    }

    /// Whether every task is where it shall be, or others are at work on it.
    fn is_settled(&self) -> bool {
        self.tasks.values().all(|owned| owned.end.is_none() && !matches!(owned.phase, Phase::Waiting))
    }

    /// Whether others are at work on some task.
    pub(super) fn is_pending(&self) -> bool {
        self.tasks.values().any(|owned| matches!(owned.phase, Phase::Opening(_) | Phase::Closing))
    }

    /// Whether some task that stays is not open yet.
    pub(super) fn is_restoring(&self) -> bool {
        let opens = |owned: &Owned| matches!(owned.phase, Phase::Waiting | Phase::Opening(_)) && owned.end.is_none();
        self.tasks.values().any(opens)
    }

    /// Whether some task is being given up.
    pub(super) fn is_giving_up(&self) -> bool {
        self.tasks.values().any(|owned| owned.end.is_some())
    }

    /// Ends every opening.
    pub(super) fn cancel_all(&self) {
        for owned in self.tasks.values() {
            if let Phase::Opening(opening) = &owned.phase {
                opening.cancel();
            }
        }
    }

    fn where_to_end(&self, end: End) -> Vec<TaskId> {
        self.tasks.iter().filter(|(_, owned)| owned.is_to_end(end)).map(|(id, _)| *id).collect()
    }
}

impl StreamThread {
    /// Asks the group what has changed, waiting up to `patience` for it.
    pub(super) fn follow_group(&mut self, patience: Duration) -> Result<(), RuntimeError> {
        let Some(Connections { membership, .. }) = &mut self.connections else { return Ok(()) };
        let Some(rebalance) = membership.poll(0, patience)?.rebalance else { return Ok(()) };
        let Rebalance { revoked, assigned, lost } = rebalance;
        tracing::debug!(thread = self.parts.name, ?revoked, ?assigned, ?lost, "the group has changed");
        self.counts.rebalances += 1;
        if !lost.is_empty() {
            tracing::warn!(
                thread = self.parts.name,
                tasks = lost.len(),
                "the group may have gone on without this member: its tasks are dropped, and nothing more is committed"
            );
        }
        lost.iter().for_each(|partition| self.lose(partition));
        for partition in revoked {
            match self.parts.tasks.id(&partition).and_then(|id| self.ownership.tasks.get_mut(&id)) {
                Some(owned) => (owned.end, owned.again) = (Some(End::Revoked), false),
                None => self.acknowledge(&partition)?,
            }
        }
        for partition in assigned {
            let Some(id) = self.parts.tasks.id(&partition) else {
                if self.parts.tasks.knows(&partition) {
                    continue;
                }
                let application = self.parts.opener.application.to_string();
                return Err(EvolutionError::Overtaken { application }.into());
            };
            match self.ownership.tasks.get_mut(&id) {
                // The group may hand out again what was never taken away.
                Some(owned) => owned.again = owned.end.is_some(),
                None => self.own(id, partition),
            }
        }
        Ok(())
    }

    /// Gives up and has opened what is to be. What is given up is committed first; what is lost is not.
    pub(super) fn rebalance(&mut self) -> Result<(), RuntimeError> {
        if self.ownership.is_settled() {
            return Ok(());
        }
        for id in self.ownership.where_to_end(End::Lost) {
            self.close(id)?;
        }
        let revoked = self.ownership.where_to_end(End::Revoked);
        if !revoked.is_empty() {
            self.commit()?;
        }
        for id in revoked {
            self.close(id)?;
        }
        let ids: Vec<TaskId> = self.ownership.tasks.keys().copied().collect();
        let connected = self.connections.as_ref().is_some_and(|connections| connections.producer.is_some());
        for id in ids {
            match self.ownership.tasks.get(&id) {
                Some(Owned { phase: Phase::Waiting, end: Some(_), .. }) => self.part_with(id)?,
                Some(Owned { phase: Phase::Waiting, .. }) if connected => self.open(id)?,
                Some(Owned { phase: Phase::Opening(opening), end: Some(_), .. }) => opening.cancel(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in what others have done for this thread.
    pub(super) fn hear(&mut self) -> Result<(), RuntimeError> {
        while let Some(event) = self.mailbox.pop() {
            match event {
                Event::Opened(id, outcome) => self.opened(id, outcome)?,
                Event::Closed(id, outcome) => self.closed(id, outcome)?,
            }
        }
        Ok(())
    }

    /// Drops a task that is somebody else's by now.
    fn lose(&mut self, partition: &TopicPartition) {
        let owned = self.parts.tasks.id(partition).and_then(|id| self.ownership.tasks.get_mut(&id));
        if let Some(owned) = owned {
            (owned.end, owned.again) = (Some(End::Lost), false);
        }
    }

    /// Drops all tasks, as they are somebody else's by now or may be.
    pub(super) fn lose_all(&mut self) -> Result<(), RuntimeError> {
        for owned in self.ownership.tasks.values_mut() {
            (owned.end, owned.again) = (Some(End::Lost), false);
        }
        self.rebalance()
    }

    /// Closes every task that runs. Those that stay this thread's are opened anew, as of what the log says is committed.
    pub(super) fn close_all(&mut self) -> Result<(), RuntimeError> {
        let running: Vec<TaskId> = self.tasks.keys().copied().collect();
        running.into_iter().try_for_each(|id| self.close(id))
    }

    /// Closes a task and has its state built anew from its changelogs. Returns false if that was done already.
    pub(super) fn rebuild(&mut self, id: TaskId) -> Result<bool, RuntimeError> {
        let Some(owned) = self.ownership.tasks.get_mut(&id) else { return Ok(true) };
        if owned.rebuilt {
            return Ok(false);
        }
        owned.rebuild = true;
        self.close(id)?;
        Ok(true)
    }

    fn own(&mut self, id: TaskId, partition: TopicPartition) {
        self.parts.shared.claim(id);
        self.ownership.tasks.insert(id, Owned::new(partition));
    }

    fn open(&mut self, id: TaskId) -> Result<(), RuntimeError> {
        let Some(owned) = self.ownership.tasks.get_mut(&id) else { return Ok(()) };
        let Some((subtopology, partition)) = self.parts.tasks.get(&owned.partition) else { return Ok(()) };
        let opening = Arc::new(Opening::new(self.parts.clock.clone()));
        // What has something to restore may take long, and must not keep the rest waiting.
        let restores = subtopology.stores.iter().any(|store| store.changelog.is_some());
        let workers = if restores { &self.parts.restorers } else { &self.parts.helpers };
        let job = OpenJob {
            thread: self.parts.name.clone(),
            subtopology: subtopology.clone(),
            partition,
            rebuild: owned.rebuild,
            opening: opening.clone(),
            log: self.parts.log.clone(),
            opener: self.parts.opener.clone(),
            admission: self.parts.admission.clone(),
            shared: self.parts.shared.clone(),
            mailbox: self.mailbox.clone(),
        };
        workers.submit(Box::new(move || job.run()))?;
        owned.phase = Phase::Opening(opening);
        Ok(())
    }

    fn opened(&mut self, id: TaskId, outcome: Result<Box<Opened>, RuntimeError>) -> Result<(), RuntimeError> {
        let Some(owned) = self.ownership.tasks.get_mut(&id) else { return Ok(()) };
        owned.phase = Phase::Waiting;
        let opened = match outcome {
            Ok(opened) => opened,
            // Given up while it was being opened: what it owes the group comes with the next step.
            Err(_) if owned.end.is_some() => return Ok(()),
            Err(RuntimeError::Open(OpenError::Cancelled { .. })) => return Ok(()),
            Err(error) => {
                owned.rebuilt |= error.class() == ErrorClass::TaskCorrupted;
                return Err(error);
            }
        };
        let Opened { parts, restored, rebuilt } = *opened;
        owned.rebuilt |= rebuilt;
        owned.rebuild = false;
        self.counts.rebuilds += u64::from(rebuilt);
        // The topics may have changed meanwhile; then it is opened once more.
        let current = self.parts.tasks.get(&owned.partition);
        let is_current = current.is_some_and(|(subtopology, _)| Arc::ptr_eq(subtopology, &parts.subtopology));
        if owned.end.is_some() || !is_current {
            return self.close_stores(id, parts.stores);
        }
        let task = Task::new(parts);
        match self.take_on(&task) {
            Ok(()) => {
                tracing::info!(task = %id, thread = self.parts.name, restored, "task opened");
                self.run_task(id, task);
                Ok(())
            }
            Err(error) => {
                self.close_stores(id, task.into_stores())?;
                Err(error)
            }
        }
    }

    /// Starts to fetch what a task reads.
    fn take_on(&mut self, task: &Task) -> Result<(), RuntimeError> {
        let Some(Connections { fetcher, .. }) = &mut self.connections else { return Ok(()) };
        for (source, input) in task.input_partitions().enumerate() {
            fetcher.assign(&input, task.position(source))?;
            self.routes.insert(input, Route { task: task.id(), source, paused: false });
        }
        Ok(())
    }

    fn run_task(&mut self, id: TaskId, task: Task) {
        if let Some(owned) = self.ownership.tasks.get_mut(&id) {
            owned.phase = Phase::Running;
        }
        self.parts.shared.consumed(task.internal_positions());
        // Nobody knows how old the offsets are; but a start is no reason to commit all of them at once.
        self.refresh_at.insert(id, self.now() + self.parts.options.offsets_refresh / 24);
        self.tasks.insert(id, task);
        self.parts.shared.opened(id);
    }

    /// Takes a task out of work and has its stores closed. What it has not committed is dropped; if some of that was sent,
    /// what the other tasks have sent in the same transaction is done again.
    fn close(&mut self, id: TaskId) -> Result<(), RuntimeError> {
        let open = self.connections.as_ref().is_some_and(Connections::in_transaction);
        if open && self.tasks.get(&id).is_some_and(Task::is_ahead) {
            self.roll_back()?;
        }
        let Some(task) = self.tasks.remove(&id) else { return Ok(()) };
        self.refresh_at.remove(&id);
        if let Some(Connections { fetcher, .. }) = &mut self.connections {
            task.input_partitions().for_each(|input| fetcher.unassign(&input));
        }
        self.routes.retain(|_, route| route.task != id);
        self.close_stores(id, task.into_stores())
    }

    fn close_stores(&mut self, id: TaskId, stores: TaskStores) -> Result<(), RuntimeError> {
        if let Some(owned) = self.ownership.tasks.get_mut(&id) {
            owned.phase = Phase::Closing;
        }
        let (mailbox, thread) = (self.mailbox.clone(), self.parts.name.clone());
        self.parts.helpers.submit(Box::new(move || {
            let closed = catch_unwind(AssertUnwindSafe(|| stores.close()));
            let outcome = match closed {
                Ok(closed) => closed.map_err(|source| TaskError::State { task: id, source }.into()),
                Err(_) => Err(RuntimeError::Panicked(thread)),
            };
            mailbox.push(Event::Closed(id, outcome));
        }))
    }

    fn closed(&mut self, id: TaskId, outcome: Result<(), RuntimeError>) -> Result<(), RuntimeError> {
        let Some(owned) = self.ownership.tasks.get_mut(&id) else { return Ok(()) };
        owned.phase = Phase::Waiting;
        match outcome {
            Ok(()) => tracing::info!(task = %id, thread = self.parts.name, "task closed"),
            // Who opens it next finds out, and builds it anew.
            Err(error) if error.class() == ErrorClass::TaskCorrupted => {
                tracing::error!(task = %id, %error, "the state of the task could not be closed in good order");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Lets go of a task whose stores are closed.
    fn part_with(&mut self, id: TaskId) -> Result<(), RuntimeError> {
        let Some(owned) = self.ownership.tasks.get(&id) else { return Ok(()) };
        if owned.end == Some(End::Revoked) {
            let partition = owned.partition.clone();
            self.acknowledge(&partition)?;
        }
        let Some(owned) = self.ownership.tasks.remove(&id) else { return Ok(()) };
        self.parts.shared.release(id);
        if owned.again {
            self.own(id, owned.partition);
        }
        Ok(())
    }

    fn acknowledge(&mut self, partition: &TopicPartition) -> Result<(), RuntimeError> {
        let Some(Connections { membership, .. }) = &mut self.connections else { return Ok(()) };
        Ok(membership.acknowledge_revocation(std::slice::from_ref(partition))?)
    }
}
