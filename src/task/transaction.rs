//! The commit: outputs, changelogs and offsets of tasks in one transaction of the log, then their stores.
//!
//! 1. Outputs and one changelog record per changed key are sent in the open transaction. Outputs may be sent ahead, while
//!    the tasks still work ([`send_ahead`]), so that they are on their way to the brokers meanwhile.
//! 2. The input offsets go into the same transaction, under the group's metadata (KIP-447).
//! 3. The transaction commits.
//! 4. Each task writes its changes to its stores as one atomic batch, with the checkpoint.
//!
//! A crash before 3 leaves nothing behind; between 3 and 4 the stores are behind their changelogs and are
//! restored from them when the task is opened again.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::{Commit, Task, TaskError};
use crate::error::{Classified, ErrorClass};
use crate::log::{CommittedOffset, GroupMetadata, LogConsumer, LogError, ProducerRecord, TransactionalProducer};
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// Why a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The log did not take it: nothing of the transaction is visible, unless the class says otherwise.
    #[error("the commit failed: {0}")]
    Log(#[from] LogError),
    /// A task could not prepare it: nothing was sent.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The log failed while it committed, so that the transaction may be visible or not.
    #[error("the commit failed, and it is not known whether the log took it: {0}")]
    InDoubt(#[source] LogError),
    /// The log has committed, but the stores have not taken it in: they are behind their changelogs.
    #[error("the log has committed, but the stores have not: {0}")]
    Incomplete(#[source] TaskError),
}

impl Classified for CommitError {
    fn class(&self) -> ErrorClass {
        // Where the tasks stand can only be told by opening them anew, from what the log says is committed.
        let reopen = |class| if class == ErrorClass::Fatal { class } else { ErrorClass::TaskMigrated };
        match self {
            CommitError::Log(error) => error.class(),
            CommitError::Task(error) => error.class(),
            CommitError::InDoubt(error) => reopen(error.class()),
            CommitError::Incomplete(TaskError::State { source, .. }) if source.class() == ErrorClass::TaskCorrupted => {
                ErrorClass::TaskCorrupted
            }
            CommitError::Incomplete(error) => reopen(error.class()),
        }
    }
}

/// The steps of a commit, as a test that crashes between them names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// Before anything was sent.
    Prepared,
    /// After the records were sent.
    Sent,
    /// After the offsets were sent.
    OffsetsSent,
    /// After the log has committed, before any store has.
    Committed,
    /// After the first task's stores have committed.
    StoresWritten,
}

/// What watches a commit's steps and may stop it there, as a crash would.
pub trait CommitObserver {
    /// A step was reached. `false` stops the commit at once, without cleaning up.
    fn reached(&mut self, step: CommitStep) -> bool;

    /// A record is about to be written.
    fn sending(&mut self, _record: &ProducerRecord) {}
}

/// Watches nothing.
pub struct Unobserved;

impl CommitObserver for Unobserved {
    fn reached(&mut self, _step: CommitStep) -> bool {
        true
    }
}

/// Sends what tasks have written to topics of others so far. Records for topics that the application reads itself wait for
/// the commit, which puts those of all tasks in order. From then on the tasks' work is in an open transaction: to drop a task of which
/// something was sent ([`Task::is_ahead`]), abort the transaction and roll all tasks back.
pub fn send_ahead<'a>(
    tasks: impl IntoIterator<Item = &'a mut Task>,
    producer: &mut dyn TransactionalProducer,
) -> Result<(), CommitError> {
    for task in tasks {
        for record in task.outputs() {
            begin(producer)?;
            producer.send(record)?;
        }
    }
    Ok(())
}

/// Begins a transaction, if none is open.
fn begin(producer: &mut dyn TransactionalProducer) -> Result<(), LogError> {
    if producer.in_transaction() { Ok(()) } else { producer.begin() }
}

/// Commits what the tasks have done since their last commit. Returns whether it went to its end; only an
/// observer can stop it. On an error before the log commits, or when it says that it has not, the transaction is
/// aborted and the tasks are rolled back; from then on ([`CommitError::InDoubt`], [`CommitError::Incomplete`]) they are to be opened anew.
pub fn commit<'a>(
    tasks: impl IntoIterator<Item = &'a mut Task>,
    producer: &mut dyn TransactionalProducer,
    group: &GroupMetadata,
    now: Timestamp,
    observer: &mut dyn CommitObserver,
) -> Result<bool, CommitError> {
    let mut tasks: Vec<&mut Task> = tasks.into_iter().filter(|task| task.is_dirty()).collect();
    if tasks.is_empty() {
        return Ok(true);
    }
    match prepare_and_send(&mut tasks, producer, group, now, observer) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) => {
            abort(producer);
            tasks.into_iter().for_each(Task::roll_back);
            return Err(error);
        }
    }
    let ends = match producer.commit() {
        Ok(ends) => ends,
        // The log says that it has not committed, and never will: nothing happened but lost work.
        Err(error @ LogError::Aborted(_)) => {
            abort(producer);
            tasks.into_iter().for_each(Task::roll_back);
            return Err(CommitError::Log(error));
        }
        Err(error) => return Err(CommitError::InDoubt(error)),
    };
    if !observer.reached(CommitStep::Committed) {
        return Ok(false);
    }
    for task in tasks {
        task.complete_commit(&ends, now).map_err(CommitError::Incomplete)?;
        if !observer.reached(CommitStep::StoresWritten) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`commit`], but at least once, with a producer without transactions: the records are written, then `member` commits
/// the offsets, then the stores take in the changes. On an error the tasks are rolled back, and what was written by then
/// is written again.
pub fn commit_at_least_once<'a>(
    tasks: impl IntoIterator<Item = &'a mut Task>,
    producer: &mut dyn TransactionalProducer,
    member: &mut dyn LogConsumer,
    now: Timestamp,
) -> Result<(), CommitError> {
    let mut tasks: Vec<&mut Task> = tasks.into_iter().filter(|task| task.is_dirty()).collect();
    if tasks.is_empty() {
        return Ok(());
    }
    let written = prepare(&mut tasks, now).and_then(|commits| Ok(write(commits, producer, member)?));
    match written {
        Ok(ends) => {
            tasks.into_iter().try_for_each(|task| task.complete_commit(&ends, now)).map_err(CommitError::Incomplete)
        }
        Err(error) => {
            abort(producer);
            tasks.into_iter().for_each(Task::roll_back);
            Err(error)
        }
    }
}

fn write(
    commits: Vec<Commit>,
    producer: &mut dyn TransactionalProducer,
    member: &mut dyn LogConsumer,
) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
    begin(producer)?;
    let offsets = send_records(commits, producer, &mut Unobserved)?;
    let ends = producer.commit()?;
    member.commit_offsets(&offsets)?;
    Ok(ends)
}

fn prepare(tasks: &mut [&mut Task], now: Timestamp) -> Result<Vec<Commit>, CommitError> {
    Ok(tasks.iter_mut().map(|task| task.prepare_commit(now)).collect::<Result<_, _>>()?)
}

fn prepare_and_send(
    tasks: &mut [&mut Task],
    producer: &mut dyn TransactionalProducer,
    group: &GroupMetadata,
    now: Timestamp,
    observer: &mut dyn CommitObserver,
) -> Result<bool, CommitError> {
    let commits = prepare(tasks, now)?;
    if !observer.reached(CommitStep::Prepared) {
        return Ok(false);
    }
    begin(producer)?;
    Ok(send(commits, producer, group, observer)?)
}

fn abort(producer: &mut dyn TransactionalProducer) {
    if let Err(error) = producer.abort() {
        tracing::warn!(%error, "the failed transaction could not be aborted");
    }
}

fn send(
    commits: Vec<Commit>,
    producer: &mut dyn TransactionalProducer,
    group: &GroupMetadata,
    observer: &mut dyn CommitObserver,
) -> Result<bool, LogError> {
    let offsets = send_records(commits, producer, observer)?;
    if !observer.reached(CommitStep::Sent) {
        return Ok(false);
    }
    producer.send_offsets(&offsets, group)?;
    Ok(observer.reached(CommitStep::OffsetsSent))
}

/// Sends the records of all tasks, and returns their offsets.
fn send_records(
    commits: Vec<Commit>,
    producer: &mut dyn TransactionalProducer,
    observer: &mut dyn CommitObserver,
) -> Result<Vec<(TopicPartition, CommittedOffset)>, LogError> {
    let mut offsets = Vec::new();
    let mut waiting = Vec::with_capacity(commits.len());
    for commit in commits {
        waiting.push(commit.records.into_iter().peekable());
        offsets.extend(commit.offsets);
    }
    while let Some(record) = earliest(&mut waiting) {
        observer.sending(&record);
        producer.send(record)?;
    }
    Ok(offsets)
}

/// Takes the record of the lowest time among the next ones of each task. What several tasks send to one
/// partition of a repartition topic then comes in order of time there, as far as each task's own order allows.
fn earliest(waiting: &mut [Peekable<IntoIter<ProducerRecord>>]) -> Option<ProducerRecord> {
    let next = |records: &mut Peekable<IntoIter<ProducerRecord>>| records.peek().map(|record| record.timestamp);
    let (_, task) = waiting.iter_mut().enumerate().filter_map(|(task, records)| Some((next(records)?, task))).min()?;
    waiting.get_mut(task)?.next()
}
