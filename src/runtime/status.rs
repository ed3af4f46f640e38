//! What an application is doing right now: its threads, tasks, lag, restores and stores, for health checks and metrics.

use std::time::Duration;

use super::board::DISCONNECTED;
use crate::record::TopicPartition;
use crate::serdes::remote::SchemaWait;
use crate::state::MemoryUsage;
use crate::task::{StoreRestore, TaskId};

/// What an application is doing. A snapshot: threads publish theirs several times a second, and nothing waits for it.
#[derive(Clone, Debug)]
pub struct ApplicationStatus {
    /// The application's name.
    pub application: String,
    /// The id of this instance, kept with its state.
    pub instance: String,
    /// How many tasks the application has, over all of its instances.
    pub tasks: usize,
    /// The stream threads of this process, by number.
    pub threads: Vec<ThreadStatus>,
    /// The memory that the stores of this process take.
    pub state_memory: MemoryUsage,
    /// The schemas that records wait for: the registry has not answered yet.
    pub schemas: Vec<SchemaWait>,
    /// Whether it has been told to stop, or has failed.
    pub is_stopping: bool,
}

/// What a stream thread is doing.
#[derive(Clone, Debug)]
pub struct ThreadStatus {
    /// Its name: `<application>-<number>`.
    pub name: String,
    /// What it is at.
    pub state: ThreadState,
    /// How long ago it last came round. A thread that works comes round many times a second, one that waits for tasks
    /// once a second.
    pub since_turn: Duration,
    /// For how long the log has not done what it was asked to; `None`: all is well.
    pub failing_for: Option<Duration>,
    /// What it has counted since the start.
    pub counts: ThreadCounts,
    /// The tasks that are its own: running, being restored, or being closed.
    pub tasks: Vec<TaskStatus>,
}

/// What a thread has counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounts {
    /// Changes of ownership that the group told.
    pub rebalances: u64,
    /// Transactions committed.
    pub commits: u64,
    /// How long the last commit took.
    pub last_commit: Option<Duration>,
    /// Commits that failed, their work undone and done again.
    pub aborts: u64,
    /// How often the thread was fenced or lost its tasks, and joined the group anew.
    pub rejoins: u64,
    /// Tasks whose state was built anew because it could not be used.
    pub rebuilds: u64,
}

/// What a stream thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThreadState {
    /// It has not joined the group yet.
    Starting,
    /// It has joined and gives up or takes on tasks; those that it keeps go on.
    Rebalancing,
    /// Some of its tasks are being restored; the others go on.
    Restoring,
    /// All of its tasks run. It may have none.
    Running,
    /// The log is away, or took nothing the last time; it tries again.
    Disconnected,
    /// It has ended.
    Stopped,
}

impl ThreadState {
    /// The state's name, as it stands in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ThreadState::Starting => "starting",
            ThreadState::Rebalancing => "rebalancing",
            ThreadState::Restoring => "restoring",
            ThreadState::Running => "running",
            ThreadState::Disconnected => "disconnected",
            ThreadState::Stopped => "stopped",
        }
    }
}

/// What a task is doing.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    /// The task.
    pub task: TaskId,
    /// What it is at.
    pub state: TaskState,
    /// Its input partitions, while it runs.
    pub inputs: Vec<InputStatus>,
    /// Its stores, while it runs.
    pub stores: Vec<StoreStatus>,
    /// Its changelogs, while it is being restored.
    pub restores: Vec<StoreRestore>,
}

/// What a task is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// It waits to be opened.
    Waiting,
    /// Its stores are being opened and restored.
    Restoring,
    /// It processes records.
    Running,
    /// Its stores are being closed.
    Closing,
}

impl TaskState {
    /// The state's name, as it stands in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::Waiting => "waiting",
            TaskState::Restoring => "restoring",
            TaskState::Running => "running",
            TaskState::Closing => "closing",
        }
    }
}

/// How far a task is through an input partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputStatus {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to process.
    pub position: i64,
    /// Up to where there are records, as far as is known.
    pub end: Option<i64>,
    /// Records that were fetched and wait.
    pub queued: usize,
    /// The id of the schema that the next of them was written with and waits for.
    pub awaits: Option<String>,
}

impl InputStatus {
    /// How many offsets are still to be processed, as far as is known.
    pub fn lag(&self) -> Option<u64> {
        self.end.map(|end| u64::try_from(end - self.position).unwrap_or(0))
    }
}

/// How large a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its name.
    pub name: String,
    /// The size of its files, in bytes.
    pub file_bytes: u64,
}

impl ApplicationStatus {
    /// The tasks of this process with the name of their thread.
    pub fn own_tasks(&self) -> impl Iterator<Item = (&str, &TaskStatus)> {
        self.threads.iter().flat_map(|thread| thread.tasks.iter().map(|task| (thread.name.as_str(), task)))
    }

    /// Whether every thread takes part in the group, and no task of this process waits to be restored.
    pub fn is_ready(&self) -> bool {
        let at_work = |state| matches!(state, ThreadState::Running | ThreadState::Rebalancing);
        let runs = |task: &TaskStatus| matches!(task.state, TaskState::Running | TaskState::Closing);
        !self.is_stopping
            && self.held_by().is_none()
            && self.threads.iter().all(|thread| at_work(thread.state))
            && self.own_tasks().all(|(_, task)| runs(task))
    }

    /// The schema that records have waited for longest, for long enough to say so.
    pub fn held_by(&self) -> Option<&SchemaWait> {
        self.schemas.first().filter(|wait| wait.since >= DISCONNECTED)
    }

    /// The input partitions whose next record waits for the schema of an id; those of global tables are not among them.
    pub fn held_partitions(&self, schema: &str) -> impl Iterator<Item = &TopicPartition> {
        let inputs = self.own_tasks().flat_map(|(_, task)| &task.inputs);
        inputs.filter(move |input| input.awaits.as_deref() == Some(schema)).map(|input| &input.partition)
    }

    /// Whether every thread has come round within `limit`.
    pub fn is_alive(&self, limit: Duration) -> bool {
        self.threads.iter().all(|thread| thread.state != ThreadState::Stopped && thread.since_turn <= limit)
    }

    /// How many offsets are still to be processed over all running tasks of this process, as far as is known.
    pub fn lag(&self) -> u64 {
        self.own_tasks().flat_map(|(_, task)| &task.inputs).filter_map(InputStatus::lag).sum()
    }
}
