//! Runs an application: topics, threads, assignment of tasks, transactions, restore, shutdown.
//!
//! Every stream thread is a member of the application's group. The group shares out the partitions of the
//! internal topic `<application>-tasks`: owning partition *n* means running task *n*. What a task reads is
//! fetched by a second consumer of the thread, so that tasks move one at a time and the inputs of a join
//! never part.

mod application;
mod backoff;
mod board;
mod connections;
mod error;
mod evolution;
mod global_thread;
mod group_watch;
mod holding;
mod mailbox;
mod maintenance;
mod opening;
mod options;
mod ownership;
mod progress;
mod publish;
mod recovery;
mod schemas;
mod shared;
mod start;
mod status;
mod stream_thread;
mod task_list;
mod topic_watch;
mod topics;
mod workers;

pub use crate::config::Guarantee;
pub use application::Application;
pub use error::RuntimeError;
pub use evolution::{Evolution, EvolutionError, evolution, read_description};
pub use options::ApplicationOptions;
pub use progress::Progress;
pub use status::{
    ApplicationStatus, InputStatus, StoreStatus, TaskState, TaskStatus, ThreadCounts, ThreadState, ThreadStatus,
};
pub use task_list::TaskList;
pub use topics::prepare_topics;
