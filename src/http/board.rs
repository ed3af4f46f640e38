//! The last known status of the applications of this process, and what it means for who asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::publish::Publisher;
use crate::runtime::{ApplicationStatus, TaskState, ThreadState};
use crate::serdes::remote::SchemaWait;
use crate::time::Clock;

/// A thread that has not come round for so long hangs: longer than any transaction and any call of the log may take.
const HANGS_AFTER: Duration = Duration::from_secs(180);

/// How many partitions are named that wait for a schema.
const SHOWN_PARTITIONS: usize = 3;

/// The last known status of the applications.
pub struct Board {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Empty until all have started.
    applications: Vec<ApplicationStatus>,
    /// The steady time of the last publication.
    published: Duration,
    stopping: bool,
    publisher: Publisher,
}

/// What the process says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// `starting`, `restoring`, `running`, `waiting_for_schema`, `disconnected`, `stopping` or `failed`.
    pub status: &'static str,
    /// What keeps the process from being ready, where more can be said of it.
    pub reason: Option<String>,
    /// Whether no thread hangs and none has failed.
    pub alive: bool,
    /// Whether all tasks of this process run.
    pub ready: bool,
    /// Whether the log does what it is asked to.
    pub log_ready: bool,
    /// Tasks of this process that process records.
    pub tasks_running: usize,
    /// Tasks of this process.
    pub tasks: usize,
    /// Offsets that are still to be processed, over all running tasks of this process.
    pub lag: u64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl Health {
    /// The health as `GET /health` shows it.
    pub fn to_json(&self) -> Json {
        json!({
            "status": self.status,
            "reason": self.reason,
            "kafka_ready": self.log_ready,
            "tasks_running": self.tasks_running,
            "tasks": self.tasks,
            "lag": self.lag,
            "timestamp": self.timestamp,
        })
    }
}

impl Board {
    /// A board on which nothing stands yet.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Board> {
        Arc::new(Board { clock, state: Mutex::default() })
    }

    /// Puts up what the applications do now, and publishes it as metrics.
    pub fn publish(&self, applications: Vec<ApplicationStatus>) {
        let now = self.clock.elapsed();
        let mut state = self.lock();
        state.published = now;
        state.publisher.publish(&applications, now);
        state.applications = applications;
    }

    /// Says that the process is on its way out.
    pub fn stopping(&self) {
        self.lock().stopping = true;
    }

    /// What the process says of itself.
    pub fn health(&self) -> Health {
        let state = self.lock();
        let applications = &state.applications;
        // What the board shows has aged since it was put up.
        let age = self.clock.elapsed().saturating_sub(state.published);
        let started = !applications.is_empty();
        let threads = || applications.iter().flat_map(|application| &application.threads);
        let tasks = || applications.iter().flat_map(ApplicationStatus::own_tasks).map(|(_, task)| task);
        let stopping = state.stopping || applications.iter().any(|application| application.is_stopping);
        let fresh = HANGS_AFTER.checked_sub(age);
        let lives = |one: &ApplicationStatus| fresh.is_some_and(|limit| one.is_alive(limit));
        let alive = stopping || applications.iter().all(lives);
        let ready = started && !stopping && applications.iter().all(ApplicationStatus::is_ready);
        let away = |state| matches!(state, ThreadState::Starting | ThreadState::Disconnected);
        let log_ready = started && !threads().any(|thread| away(thread.state) || thread.failing_for.is_some());
        let held = applications.iter().filter_map(|one| Some((one, one.held_by()?)));
        let longest = held.max_by_key(|(_, wait)| wait.since);
        let reason = longest.map(|(one, wait)| match applications.len() {
            1 => reason(one, wait),
            // Which of them it is.
            _ => format!("{}: {}", one.application, reason(one, wait)),
        });
        Health {
            status: match () {
                () if stopping => "stopping",
                () if !alive => "failed",
                () if ready => "running",
                () if threads().any(|thread| thread.state == ThreadState::Disconnected) => "disconnected",
                () if reason.is_some() => "waiting_for_schema",
                () if tasks().any(|task| task.state == TaskState::Restoring) => "restoring",
                () => "starting",
            },
            reason,
            alive,
            ready,
            log_ready,
            tasks_running: tasks().filter(|task| task.state == TaskState::Running).count(),
            tasks: tasks().count(),
            lag: applications.iter().map(ApplicationStatus::lag).sum(),
            timestamp: self.clock.now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why records of an application wait for a schema, and where.
fn reason(application: &ApplicationStatus, wait: &SchemaWait) -> String {
    let problem = wait.problem.as_deref().unwrap_or("the schema registry has not been heard yet");
    let mut held: Vec<String> = application.held_partitions(&wait.id).map(ToString::to_string).collect();
    let more = held.len().saturating_sub(SHOWN_PARTITIONS);
    held.truncate(SHOWN_PARTITIONS);
    let place = match (held.join(", "), more) {
        (partitions, _) if partitions.is_empty() => String::new(),
        (partitions, 0) => format!(" ({partitions})"),
        (partitions, more) => format!(" ({partitions} and {more} more)"),
    };
    format!("records wait for the schema of id {} since {}s{place}: {problem}", wait.id, wait.since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicPartition;
    use crate::runtime::{InputStatus, TaskStatus, ThreadCounts, ThreadStatus};
    use crate::state::MemoryUsage;
    use crate::task::TaskId;
    use crate::time::ManualClock;

    fn application(state: ThreadState, task: TaskState) -> ApplicationStatus {
        let task = TaskStatus {
            task: TaskId { subtopology: 0, partition: 0 },
            state: task,
            inputs: Vec::new(),
            stores: Vec::new(),
            restores: Vec::new(),
        };
        let thread = ThreadStatus {
            name: "a-0".to_owned(),
            state,
            since_turn: Duration::ZERO,
            failing_for: None,
            counts: ThreadCounts::default(),
            tasks: vec![task],
        };
        ApplicationStatus {
            application: "a".to_owned(),
            instance: "i".to_owned(),
            tasks: 1,
            threads: vec![thread],
            state_memory: MemoryUsage { block_cache: 0, write_buffers: 0 },
            schemas: Vec::new(),
            is_stopping: false,
        }
    }

    #[test]
    fn health_says_what_keeps_the_process_from_being_ready() {
        let clock = ManualClock::default();
        let board = Board::new(Arc::new(clock.clone()));
        let said = |health: Health| (health.status, health.alive, health.ready, health.log_ready);
        assert_eq!(said(board.health()), ("starting", true, false, false));
        for (thread, task, expected) in [
            (ThreadState::Starting, TaskState::Waiting, ("starting", true, false, false)),
            (ThreadState::Restoring, TaskState::Restoring, ("restoring", true, false, true)),
            (ThreadState::Running, TaskState::Running, ("running", true, true, true)),
            (ThreadState::Disconnected, TaskState::Running, ("disconnected", true, false, false)),
            (ThreadState::Stopped, TaskState::Closing, ("failed", false, false, true)),
        ] {
            board.publish(vec![application(thread, task)]);
            assert_eq!(said(board.health()), expected, "{thread:?}");
        }
        let wait =
            SchemaWait { id: "7".to_owned(), since: Duration::from_secs(9), problem: Some("it is away".to_owned()) };
        let held = ApplicationStatus { schemas: vec![wait], ..application(ThreadState::Running, TaskState::Running) };
        board.publish(vec![held]);
        assert_eq!(board.health().reason.as_deref(), Some("records wait for the schema of id 7 since 9s: it is away"));
        assert_eq!(said(board.health()), ("waiting_for_schema", true, false, true));
        let wait = |since| SchemaWait { id: "7".to_owned(), since: Duration::from_secs(since), problem: None };
        let held = |name: &str, since| ApplicationStatus {
            application: name.to_owned(),
            schemas: vec![wait(since)],
            ..application(ThreadState::Running, TaskState::Running)
        };
        board.publish(vec![held("a", 9), held("b", 12), application(ThreadState::Running, TaskState::Running)]);
        let reason = board.health().reason.unwrap_or_default();
        assert!(reason.starts_with("b: records wait for the schema of id 7 since 12s: the schema"), "{reason}");
        let mut of_partitions = held("a", 9);
        of_partitions.threads[0].tasks[0].inputs = (0..6)
            .map(|number| InputStatus {
                partition: TopicPartition::new("orders", number),
                position: 0,
                end: None,
                queued: 1,
                // The schema of id 8 is known, and a plan being made with it.
                awaits: [None, Some("8"), Some("7"), Some("7"), Some("7"), Some("7")][number as usize]
                    .map(str::to_owned),
            })
            .collect();
        board.publish(vec![of_partitions]);
        let reason = board.health().reason.unwrap_or_default();
        assert!(reason.contains("id 7 since 9s (orders-2, orders-3, orders-4 and 1 more): "), "{reason}");
        board.publish(vec![application(ThreadState::Running, TaskState::Running)]);
        clock.advance(HANGS_AFTER + Duration::from_secs(1));
        assert!(!board.health().alive, "nothing was heard of the thread for too long");
        board.stopping();
        assert_eq!(said(board.health()), ("stopping", true, false, true));
    }
}
