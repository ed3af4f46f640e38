//! Runs an application: topics, threads, assignment of tasks, transactions, restore, shutdown.
//!
//! Every stream thread is a member of the application's group. The group shares out the partitions of the
//! internal topic `<application>-tasks`: owning partition *n* means running task *n*. What a task reads is
//! fetched by a second consumer of the thread, so that tasks move one at a time and the inputs of a join
//! never part.

mod application;
mod error;
mod maintenance;
mod progress;
mod shared;
mod stream_thread;
mod task_list;
mod topics;

pub use application::{Application, ApplicationOptions};
pub use error::RuntimeError;
pub use progress::Progress;
pub use task_list::TaskList;
pub use topics::prepare_topics;
