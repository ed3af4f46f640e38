//! Publishes the status of applications as metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::metrics::{self, Metric};
use crate::runtime::{ApplicationStatus, TaskState, TaskStatus, ThreadState, ThreadStatus};

const THREAD_STATES: [ThreadState; 6] = [
    ThreadState::Starting,
    ThreadState::Rebalancing,
    ThreadState::Restoring,
    ThreadState::Running,
    ThreadState::Disconnected,
    ThreadState::Stopped,
];

const TASK_STATES: [TaskState; 4] = [TaskState::Waiting, TaskState::Restoring, TaskState::Running, TaskState::Closing];

/// The gauges that depend on where tasks are. What was published and is not any more becomes 0: a task that has moved
/// away has no lag here, and a sum over all instances stays right.
#[derive(Default)]
pub(super) struct Publisher {
    last: BTreeSet<Series>,
    now: BTreeSet<Series>,
}

/// A metric, by its place in the table of all, and the values of its labels.
type Series = (&'static str, Vec<String>);

impl Publisher {
    /// Publishes what the applications do now.
    pub(super) fn publish(&mut self, applications: &[ApplicationStatus], uptime: Duration) {
        for application in applications {
            self.application(application);
        }
        metrics::UPTIME.set(&[], uptime.as_secs_f64());
        metrics::BUILD_INFO.set(&[env!("CARGO_PKG_VERSION")], 1.0);
        if let Some(bytes) = resident_memory() {
            metrics::PROCESS_MEMORY.set(&[], bytes as f64);
        }
        let now = std::mem::take(&mut self.now);
        for (name, labels) in self.last.difference(&now) {
            if let Some(metric) = metrics::METRICS.iter().find(|metric| metric.name == *name) {
                metric.set(&labels.iter().map(String::as_str).collect::<Vec<_>>(), 0.0);
            }
        }
        self.last = now;
    }

    fn application(&mut self, status: &ApplicationStatus) {
        let application = status.application.as_str();
        status.threads.iter().for_each(|thread| publish_thread(application, thread));
        for state in TASK_STATES {
            let count = status.own_tasks().filter(|(_, task)| task.state == state).count();
            metrics::TASKS.set(&[application, state.as_str()], count as f64);
        }
        metrics::SCHEMAS_AWAITED.set(&[application], status.schemas.len() as f64);
        let longest = status.schemas.first().map_or(Duration::ZERO, |wait| wait.since);
        metrics::SCHEMA_WAIT.set(&[application], longest.as_secs_f64());
        for (_, task) in status.own_tasks() {
            self.task(application, task);
        }
        let memory = &status.state_memory;
        metrics::STATE_MEMORY.set(&[application, "block_cache"], memory.block_cache as f64);
        metrics::STATE_MEMORY.set(&[application, "write_buffers"], memory.write_buffers as f64);
    }

    fn task(&mut self, application: &str, status: &TaskStatus) {
        let task = status.task.to_string();
        for input in &status.inputs {
            let partition = input.partition.partition.to_string();
            let labels = [application, &task, &input.partition.topic, &partition];
            self.gauge(&metrics::QUEUED, &labels, input.queued as f64);
            if let Some(lag) = input.lag() {
                self.gauge(&metrics::LAG, &labels, lag as f64);
            }
        }
        for store in &status.stores {
            self.gauge(&metrics::STORE_BYTES, &[application, &task, &store.name], store.file_bytes as f64);
        }
        for restore in &status.restores {
            let labels = [application, &task, &restore.store];
            self.gauge(&metrics::RESTORE_LEFT, &labels, restore.left() as f64);
            self.gauge(&metrics::RESTORE_RATE, &labels, if restore.left() > 0 { restore.rate() } else { 0.0 });
        }
    }

    fn gauge(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        metric.set(labels, value);
        self.now.insert((metric.name, labels.iter().map(|label| (*label).to_owned()).collect()));
    }
}

fn publish_thread(application: &str, thread: &ThreadStatus) {
    let labels = [application, thread.name.as_str()];
    let counts = &thread.counts;
    metrics::COMMITS.reach(&labels, counts.commits);
    metrics::ABORTS.reach(&labels, counts.aborts);
    metrics::REBALANCES.reach(&labels, counts.rebalances);
    metrics::REJOINS.reach(&labels, counts.rejoins);
    metrics::REBUILDS.reach(&labels, counts.rebuilds);
    metrics::THREAD_TURN.set(&labels, thread.since_turn.as_secs_f64());
    for state in THREAD_STATES {
        let value = f64::from(u8::from(state == thread.state));
        metrics::THREAD_STATE.set(&[application, &thread.name, state.as_str()], value);
    }
}

/// The memory of this process that is resident, where the system tells it.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}
