//! Shows what a stream thread is doing, several times a second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{DISCONNECTED, Shown};
use super::connections::Connections;
use super::ownership::Phase;
use super::status::{InputStatus, StoreStatus, TaskState, TaskStatus, ThreadState};
use super::stream_thread::StreamThread;
use crate::task::{Task, TaskId};

/// Time between two looks at the work.
const INTERVAL: Duration = Duration::from_millis(250);
/// Time between two looks at the sizes of the stores, which are asked of RocksDB.
const SIZES_INTERVAL: Duration = Duration::from_secs(10);

/// When something was last shown.
#[derive(Default)]
pub(super) struct Publisher {
    shown_at: Option<(Duration, ThreadState)>,
    sizes_at: Option<Duration>,
    sizes: BTreeMap<TaskId, Vec<StoreStatus>>,
}

impl StreamThread {
    /// Shows what the thread is doing, if it is time to or its state has changed.
    pub(super) fn publish(&mut self) {
        let now = self.now();
        self.board.turned(now);
        let state = self.state(now);
        if self.publisher.shown_at.is_some_and(|(at, shown)| shown == state && now.saturating_sub(at) < INTERVAL) {
            return;
        }
        self.publisher.shown_at = Some((now, state));
        self.measure(now);
        let mut tasks: Vec<TaskStatus> = self.tasks.values().map(|task| self.running(task)).collect();
        let mut openings = Vec::new();
        for (id, owned) in &self.ownership.tasks {
            match &owned.phase {
                Phase::Waiting => tasks.push(resting(*id, TaskState::Waiting)),
                Phase::Closing => tasks.push(resting(*id, TaskState::Closing)),
                Phase::Opening(opening) => openings.push((*id, opening.clone())),
                Phase::Running => {}
            }
        }
        let (failing_since, counts) = (self.trouble.since(), self.counts);
        self.board.show(Shown { state, failing_since, counts, tasks, openings });
    }

    fn state(&self, now: Duration) -> ThreadState {
        let failing = self.trouble.since().is_some_and(|since| now.saturating_sub(since) >= DISCONNECTED);
        if failing {
            ThreadState::Disconnected
        } else if self.connections.is_none() {
            ThreadState::Starting
        } else if self.ownership.is_restoring() {
            ThreadState::Restoring
        } else if self.ownership.is_giving_up() {
            ThreadState::Rebalancing
        } else {
            ThreadState::Running
        }
    }

    fn measure(&mut self, now: Duration) {
        let sizes = &mut self.publisher.sizes;
        let due = self.publisher.sizes_at.is_none_or(|at| now.saturating_sub(at) >= SIZES_INTERVAL);
        if !due && self.tasks.keys().all(|id| sizes.contains_key(id)) {
            return;
        }
        self.publisher.sizes_at = Some(now);
        *sizes = self.tasks.iter().map(|(id, task)| (*id, sizes_of(task))).collect();
    }

    fn running(&self, task: &Task) -> TaskStatus {
        let fetcher = self.connections.as_ref().map(|Connections { fetcher, .. }| fetcher);
        let inputs = task.input_partitions().enumerate().map(|(source, partition)| {
            let end = fetcher.and_then(|fetcher| fetcher.known_end(&partition));
            let (position, queued) = (task.position(source), task.queued_of(source));
            InputStatus { partition, position, end, queued, awaits: task.awaited_schema(source).map(str::to_owned) }
        });
        TaskStatus {
            task: task.id(),
            state: TaskState::Running,
            inputs: inputs.collect(),
            stores: self.publisher.sizes.get(&task.id()).cloned().unwrap_or_default(),
            restores: Vec::new(),
        }
    }
}

fn resting(task: TaskId, state: TaskState) -> TaskStatus {
    TaskStatus { task, state, inputs: Vec::new(), stores: Vec::new(), restores: Vec::new() }
}

fn sizes_of(task: &Task) -> Vec<StoreStatus> {
    task.store_sizes().into_iter().map(|(name, file_bytes)| StoreStatus { name, file_bytes }).collect()
}
