//! A stream thread's connections to the log, and what a thread is made of.

use std::sync::Arc;

use super::evolution::Admission;
use super::mailbox::Mailbox;
use super::shared::Shared;
use super::workers::Workers;
use super::{ApplicationOptions, Guarantee, RuntimeError, TaskList};
use crate::log::{Log, LogConsumer, TransactionalProducer};
use crate::task::transaction::{self, Unobserved};
use crate::task::{Task, TaskOpener};
use crate::time::{Clock, Timestamp};

/// What a thread is made of.
#[derive(Clone)]
pub(super) struct ThreadParts {
    /// The thread's name: the application's and a number.
    pub(super) name: String,
    /// Its number among the threads of the process.
    pub(super) number: usize,
    pub(super) log: Arc<dyn Log>,
    pub(super) opener: TaskOpener,
    /// Whether it may open tasks.
    pub(super) admission: Arc<Admission>,
    pub(super) tasks: TaskList,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: ApplicationOptions,
    pub(super) shared: Arc<Shared>,
    /// Restore tasks.
    pub(super) restorers: Arc<Workers>,
    /// Open tasks that have nothing to restore, and close stores: what is done soon.
    pub(super) helpers: Arc<Workers>,
}

/// The connections of a thread to the log; made anew after it was fenced.
pub(super) struct Connections {
    /// Membership of the group: which tasks are this thread's.
    pub(super) membership: Box<dyn LogConsumer>,
    /// Fetches what those tasks read.
    pub(super) fetcher: Box<dyn LogConsumer>,
    /// Writes what they write. `None` after a commit of which it is not known whether it took place: a new one, when it
    /// is made, makes sure of that.
    pub(super) producer: Option<Box<dyn TransactionalProducer>>,
}

impl ThreadParts {
    /// Joins the group and connects to the log. `mailbox` is where the thread waits while it is not connected.
    pub(super) fn connect(&self, mailbox: &Mailbox) -> Result<Connections, RuntimeError> {
        // The producer first: a transaction that this thread left open before a crash is decided before the group
        // hands out a task whose offsets are in it.
        let producer = self.producer()?;
        let name = format!("{}-{}", self.opener.state.instance(), self.number);
        let instance = self.options.static_membership.then_some(name.as_str());
        let mut membership = self.log.member(&self.opener.application, instance)?;
        membership.subscribe(&[self.tasks.topic()])?;
        self.shared.joined();
        let fetcher = self.log.consumer(None)?;
        self.shared.register(&self.name, vec![mailbox.waker(), membership.waker(), fetcher.waker()]);
        Ok(Connections { membership, fetcher, producer: Some(producer) })
    }

    /// A producer, for exactly once under the thread's own name, which is the same after every restart.
    pub(super) fn producer(&self) -> Result<Box<dyn TransactionalProducer>, RuntimeError> {
        let id = format!("{}-{}-{}", self.opener.application, self.opener.state.instance(), self.number);
        Ok(match self.options.guarantee {
            Guarantee::ExactlyOnce => self.log.transactional_producer(&id)?,
            Guarantee::AtLeastOnce => self.log.producer()?,
        })
    }
}

impl Connections {
    /// Whether a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        self.producer.as_ref().is_some_and(|producer| producer.in_transaction())
    }

    /// Sends what tasks have written so far, ahead of the commit.
    pub(super) fn send_ahead<'a>(&mut self, tasks: impl IntoIterator<Item = &'a mut Task>) -> Result<(), RuntimeError> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        Ok(transaction::send_ahead(tasks, producer.as_mut())?)
    }

    /// Commits what tasks have done, all of it or, at least once, in this order: records, offsets, stores. Returns false
    /// where there is no producer to do so.
    pub(super) fn commit<'a>(
        &mut self,
        tasks: impl IntoIterator<Item = &'a mut Task>,
        guarantee: Guarantee,
        now: Timestamp,
    ) -> Result<bool, RuntimeError> {
        let Some(producer) = &mut self.producer else { return Ok(false) };
        match guarantee {
            Guarantee::ExactlyOnce => {
                let group = self.membership.group_metadata()?;
                Ok(transaction::commit(tasks, producer.as_mut(), &group, now, &mut Unobserved)?)
            }
            Guarantee::AtLeastOnce => {
                transaction::commit_at_least_once(tasks, producer.as_mut(), self.membership.as_mut(), now)?;
                Ok(true)
            }
        }
    }
}
