//! What stops an application.

use std::time::Duration;

use super::evolution::EvolutionError;
use crate::error::{Classified, ErrorClass};
use crate::log::LogError;
use crate::serdes::remote::RegistryError;
use crate::state::StateError;
use crate::task::transaction::CommitError;
use crate::task::{GlobalError, OpenError, TaskError, TaskId};
use crate::topology::partitioning::PartitioningError;

/// What stops an application, or a thread of it.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The topics do not fit the topology.
    #[error(transparent)]
    Partitioning(#[from] PartitioningError),
    /// A topic exists but is not kept as correctness needs.
    #[error("topic `{topic}` {problem}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The state does not fit the topology.
    #[error(transparent)]
    Evolution(#[from] EvolutionError),
    /// Topics are missing that may not be created.
    #[error(
        "these topics do not exist: {}. Create them (`signalstream topics plan` shows how, `signalstream topics apply` \
         does), or allow it with --create-topics (setting `topics.create`). Where ACLs are on, a topic is also hidden from \
         who may not Describe it",
        .0.join(", ")
    )]
    MissingTopics(Vec<String>),
    /// The schema registry does not do what a start needs of it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A task could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A task stopped.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The global tables could not be kept up to date.
    #[error(transparent)]
    Global(#[from] GlobalError),
    /// The directory of the global tables could not be opened.
    #[error(transparent)]
    State(#[from] StateError),
    /// A commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The application did not end in time.
    #[error(
        "{} did not end within {timeout:?} and is left behind; nothing committed is lost, the next start goes on from the \
         last commit",
        threads.join(", ")
    )]
    StillBusy {
        /// The threads that have not ended.
        threads: Vec<String>,
        /// How long they had.
        timeout: Duration,
    },
    /// A thread could not be started.
    #[error("a stream thread could not be started: {0}")]
    Spawn(std::io::Error),
    /// A thread ended without saying why: a defect of the engine.
    #[error("stream thread {0} panicked; this is a defect of signalstream: please report it with the lines above")]
    Panicked(String),
}

impl Classified for RuntimeError {
    fn class(&self) -> ErrorClass {
        match self {
            RuntimeError::Log(error) => error.class(),
            RuntimeError::Evolution(error) => error.class(),
            RuntimeError::Open(error) => error.class(),
            RuntimeError::Registry(error) => error.class(),
            RuntimeError::Task(error) => error.class(),
            RuntimeError::Commit(error) => error.class(),
            _ => ErrorClass::Fatal,
        }
    }
}

impl RuntimeError {
    /// The task whose state failed, if that is what failed.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self {
            RuntimeError::Open(OpenError::Ahead { task, .. } | OpenError::Hole { task, .. })
            | RuntimeError::Open(OpenError::Log { task, .. })
            | RuntimeError::Open(OpenError::Task(TaskError::State { task, .. }))
            | RuntimeError::Task(TaskError::State { task, .. })
            | RuntimeError::Commit(CommitError::Task(TaskError::State { task, .. }))
            | RuntimeError::Commit(CommitError::Incomplete(TaskError::State { task, .. })) => Some(*task),
            _ => None,
        }
    }

    /// Whether a commit may have taken place although it failed, by which a task cannot know where it stands. Who was
    /// replaced by another knows: it is out.
    pub(super) fn is_of_unknown_outcome(&self) -> bool {
        match self {
            RuntimeError::Commit(CommitError::InDoubt(error)) => !matches!(error, LogError::Fenced(_)),
            RuntimeError::Commit(CommitError::Incomplete(_) | CommitError::Log(LogError::InDoubt(_))) => true,
            _ => false,
        }
    }
}
