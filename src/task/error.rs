//! What stops a task.

use crate::error::{Classified, ErrorClass};
use crate::record::Origin;
use crate::serdes::SerdeError;
use crate::state::StateError;

use super::{METADATA_BYTES, OffsetMetadata, TaskId};

/// What stops a task. What a policy deals with (dead letter, skip) does not come here.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A record failed and `on_error` says `fail`.
    #[error(
        "task {task} stopped at {origin}: {class} failed in `{node}`: {message}. Mend the topology or the record, or let \
         such records pass with `on_error: {{{class}: dlq}}` or `skip`"
    )]
    Failed {
        /// The task.
        task: TaskId,
        /// The input record.
        origin: Origin,
        /// The node or source.
        node: String,
        /// `decode`, `process` or `produce`.
        class: &'static str,
        /// What failed.
        message: String,
    },
    /// An operator could not begin.
    #[error("task {task} cannot begin: `{node}` failed in `init`: {message}")]
    Init {
        /// The task.
        task: TaskId,
        /// The node.
        node: String,
        /// What failed.
        message: String,
    },
    /// What an operator does at times of the wall clock failed.
    #[error("task {task} stopped: `{node}` failed at its time: {message}")]
    Timed {
        /// The task.
        task: TaskId,
        /// The node.
        node: String,
        /// What failed.
        message: String,
    },
    /// A dead letter could not be written.
    #[error("task {task} stopped at {origin}: the dead letter could not be written: {message}")]
    DeadLetter {
        /// The task.
        task: TaskId,
        /// The input record.
        origin: Origin,
        /// What failed.
        message: String,
    },
    /// More numbers are to be kept with the committed offsets than there is room for.
    #[error(
        "task {task} has {count} numbers to keep with its committed offsets, the times of its windows, joins and schedules, which \
         take {bytes} bytes; Kafka keeps at most {METADATA_BYTES} (`offset.metadata.max.bytes`). Give the nodes shorter names, or \
         split the topology: let a part of it write to a topic that another topology reads"
    )]
    Metadata {
        /// The task.
        task: TaskId,
        /// How many there are.
        count: usize,
        /// How many bytes they take.
        bytes: usize,
    },
    /// What is to be written needs the id of a schema that has none. No record is to blame, so none is let go for it.
    #[error("task {task} stopped at `{node}`: {source}. Start the application anew, with the registry within reach")]
    Unannounced {
        /// The task.
        task: TaskId,
        /// The node.
        node: String,
        /// Which schema.
        #[source]
        source: SerdeError,
    },
    /// A store failed.
    #[error("task {task} stopped: {source}")]
    State {
        /// The task.
        task: TaskId,
        /// What the store says.
        #[source]
        source: StateError,
    },
}

impl TaskError {
    /// Whether metadata is short enough to be kept.
    pub(super) fn check_metadata(task: TaskId, metadata: &OffsetMetadata) -> Result<String, TaskError> {
        let text = metadata.format();
        if text.len() > METADATA_BYTES {
            return Err(TaskError::Metadata { task, count: metadata.times.len(), bytes: text.len() });
        }
        Ok(text)
    }
}

impl Classified for TaskError {
    fn class(&self) -> ErrorClass {
        match self {
            TaskError::State { source, .. } => source.class(),
            TaskError::Unannounced { source, .. } => source.class(),
            _ => ErrorClass::Fatal,
        }
    }
}
