//! What stops an application.

use crate::error::{Classified, ErrorClass};
use crate::log::LogError;
use crate::task::transaction::CommitError;
use crate::task::{OpenError, TaskError};
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
    /// A task could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A task stopped.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
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
            RuntimeError::Open(OpenError::Log { source, .. }) => source.class(),
            RuntimeError::Open(OpenError::Task(error)) | RuntimeError::Task(error) => error.class(),
            RuntimeError::Commit(error) => error.class(),
            _ => ErrorClass::Fatal,
        }
    }
}
