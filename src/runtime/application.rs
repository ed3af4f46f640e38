//! An application at work: its threads, and what they have done so far.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::shared::Shared;
use super::stream_thread::{StreamThread, ThreadParts};
use super::{Progress, RuntimeError, maintenance, prepare_topics};
use crate::config::Config;
use crate::log::{Log, LogConsumer};
use crate::metrics::Counters;
use crate::record::TopicPartition;
use crate::state::StateDirectory;
use crate::task::{TaskOpener, TaskOptions};
use crate::time::Clock;
use crate::topology::plan::Topology;

/// How often somebody who waits looks at the progress.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

/// How an application runs.
#[derive(Clone, Debug)]
pub struct ApplicationOptions {
    /// How many stream threads, at least 1.
    pub threads: usize,
    /// Time between commits.
    pub commit_interval: Duration,
    /// The most records that one fetch of a thread brings.
    pub fetch_records: usize,
    /// The most records that wait for processing per input partition; beyond, the partition is paused.
    pub queued_records: usize,
    /// The most bytes of records that wait for processing per input partition; beyond, the partition is paused.
    pub queued_bytes: usize,
    /// Time between two cleanings of the log (retention, compaction, repartition topics).
    pub clean_interval: Duration,
    /// How tasks behave.
    pub task: TaskOptions,
}

impl From<&Config> for ApplicationOptions {
    fn from(config: &Config) -> Self {
        ApplicationOptions {
            threads: config.threads,
            commit_interval: config.commit_interval,
            fetch_records: config.fetch_records,
            queued_records: config.queued_records,
            queued_bytes: config.queued_bytes,
            clean_interval: config.clean_interval,
            task: TaskOptions::from(config),
        }
    }
}

impl Default for ApplicationOptions {
    fn default() -> Self {
        ApplicationOptions::from(&Config::default())
    }
}

/// An application at work. Dropping it without [`Application::stop`] leaves its threads running.
pub struct Application {
    shared: Arc<Shared>,
    /// The stream threads, and the one for maintenance.
    threads: Vec<JoinHandle<()>>,
    watcher: Box<dyn LogConsumer>,
    inputs: Vec<TopicPartition>,
    tasks: usize,
    rounds: usize,
}

impl Application {
    /// Creates the topics that are missing and starts the threads. When that fails, those that have started are
    /// ended again.
    pub fn start(
        topology: &Topology,
        log: Arc<dyn Log>,
        state: StateDirectory,
        clock: Arc<dyn Clock>,
        options: &ApplicationOptions,
    ) -> Result<Application, RuntimeError> {
        let (topics, tasks) = prepare_topics(topology, log.admin().as_ref())?;
        let opener = TaskOpener::new(topology, &topics, options.task.clone(), state);
        let mut application = Application {
            shared: Arc::new(Shared::default()),
            threads: Vec::new(),
            watcher: log.consumer(Some(&topology.name))?,
            inputs: tasks.inputs().collect(),
            tasks: tasks.len(),
            rounds: topology.subtopologies.len() + 1,
        };
        let parts = ThreadParts {
            name: String::new(),
            log,
            opener,
            tasks,
            clock,
            options: options.clone(),
            shared: application.shared.clone(),
        };
        match application.spawn(&parts) {
            Ok(()) => Ok(application),
            Err(error) => match application.stop() {
                // What a thread failed with is the cause of what follows from it.
                Ok(_) => Err(error),
                Err(cause) => Err(cause),
            },
        }
    }

    fn spawn(&mut self, parts: &ThreadParts) -> Result<(), RuntimeError> {
        // All join the group before the first asks for its tasks, so that no task is opened only to move on.
        let mut members = Vec::new();
        for number in 0..parts.options.threads.max(1) {
            let parts = ThreadParts { name: format!("{}-{number}", parts.opener.application), ..parts.clone() };
            let connections = parts.connect()?;
            members.push((parts, connections));
        }
        for (parts, connections) in members {
            let thread = Builder::new().name(parts.name.clone());
            let thread = thread.spawn(move || StreamThread::run(parts, connections));
            self.threads.push(thread.map_err(RuntimeError::Spawn)?);
        }
        let (parts, name) = (parts.clone(), format!("{}-maintenance", parts.opener.application));
        let interval = parts.options.clean_interval;
        let maintenance = Builder::new().name(name).spawn(move || {
            let ThreadParts { log, opener, tasks, clock, shared, .. } = &parts;
            maintenance::run(log.as_ref(), &opener.application, tasks, clock, interval, shared);
        });
        self.threads.push(maintenance.map_err(RuntimeError::Spawn)?);
        Ok(())
    }

    /// How far the tasks have come.
    pub fn progress(&self) -> Result<Progress, RuntimeError> {
        Ok(Progress::read(self.watcher.as_ref(), &self.inputs)?)
    }

    /// Whether everything that is in the inputs has been committed and every task is open. What one sub-topology
    /// commits may be another's input: more can follow until this has held once per sub-topology, one after another.
    pub fn is_caught_up(&self) -> Result<bool, RuntimeError> {
        Ok(self.is_complete(self.progress()?))
    }

    fn is_complete(&self, progress: Progress) -> bool {
        progress.is_complete() && self.shared.tasks_opened() >= self.tasks
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Whether a thread has failed or somebody asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Waits until everything that is in the inputs has been processed and committed and every task is open, its
    /// stores restored to that commit, or until the application
    /// stops. `watch` is told the progress from time to time; when it returns false, the wait ends.
    pub fn wait_until_caught_up(&self, mut watch: impl FnMut(Progress) -> bool) -> Result<(), RuntimeError> {
        // What one sub-topology commits may be another's input: only when a round per sub-topology has found
        // everything committed can nothing more follow.
        let mut complete = 0;
        while complete < self.rounds && !self.is_stopping() {
            let commits = self.shared.commits();
            let progress = self.progress()?;
            if self.is_complete(progress) {
                complete += 1;
                continue;
            }
            complete = 0;
            if !watch(progress) {
                return Ok(());
            }
            self.shared.wait_for_commit(commits, WATCH_INTERVAL);
        }
        watch(self.progress()?);
        Ok(())
    }

    /// Waits until the application stops by itself or `watch` returns false.
    pub fn wait(&self, mut watch: impl FnMut() -> bool) {
        while !self.is_stopping() && watch() {
            self.shared.wait_for_stop(WATCH_INTERVAL);
        }
    }

    /// Commits what is done, closes the stores and ends the threads. Returns what was counted, or what a
    /// thread failed with.
    pub fn stop(mut self) -> Result<Counters, RuntimeError> {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or("?").to_owned();
            if thread.join().is_err() {
                self.shared.fail(RuntimeError::Panicked(name));
            }
        }
        self.shared.take_failure().map_or_else(|| Ok(self.counters()), Err)
    }
}
