//! An application at work: its threads, and what they have done so far.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::stream_thread::{StreamThread, ThreadParts};
use super::{Progress, RuntimeError, TaskList, maintenance, prepare_topics};
use crate::config::Config;
use crate::log::{Log, LogConsumer};
use crate::metrics::Counters;
use crate::record::TopicPartition;
use crate::state::StateDirectory;
use crate::task::{TaskOpener, TaskOptions};
use crate::time::{self, Clock};
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

/// What the threads share with whoever watches them.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) counters: Mutex<Counters>,
    pub(super) failure: Mutex<Option<RuntimeError>>,
}

impl Shared {
    pub(super) fn add(&self, counters: &Counters) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).add(counters);
    }

    /// Keeps the first failure and stops all threads: what one thread cannot do, none of the others could.
    pub(super) fn fail(&self, error: RuntimeError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.stop.store(true, Ordering::Release);
    }
}

/// An application at work. Dropping it without [`Application::stop`] leaves its threads running.
pub struct Application {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    maintenance: Option<JoinHandle<()>>,
    watcher: Box<dyn LogConsumer>,
    inputs: Vec<TopicPartition>,
    rounds: usize,
}

impl Application {
    /// Creates the topics that are missing and starts the threads.
    pub fn start(
        topology: &Topology,
        log: Arc<dyn Log>,
        state: StateDirectory,
        clock: Arc<dyn Clock>,
        options: &ApplicationOptions,
    ) -> Result<Application, RuntimeError> {
        let (topics, tasks) = prepare_topics(topology, log.admin().as_ref())?;
        let application: Arc<str> = Arc::from(topology.name.as_str());
        let opener = TaskOpener {
            application: application.clone(),
            partitions: TaskOpener::partitions_of(&topics),
            dead_letters: topology.dead_letters.clone(),
            options: options.task.clone(),
            state,
        };
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for number in 0..options.threads.max(1) {
            let parts = ThreadParts {
                name: format!("{application}-{number}"),
                log: log.clone(),
                opener: opener.clone(),
                tasks: tasks.clone(),
                clock: clock.clone(),
                options: options.clone(),
                shared: shared.clone(),
            };
            let thread = Builder::new().name(parts.name.clone()).spawn(move || StreamThread::run(parts));
            threads.push(thread.map_err(RuntimeError::Spawn)?);
        }
        let inputs = tasks.inputs().collect();
        let watcher = log.consumer(Some(&application))?;
        let maintenance = start_maintenance(log, &application, tasks, clock, options, &shared)?;
        Ok(Application {
            shared,
            threads,
            maintenance: Some(maintenance),
            watcher,
            inputs,
            rounds: topology.subtopologies.len() + 1,
        })
    }

    /// How far the tasks have come.
    pub fn progress(&self) -> Result<Progress, RuntimeError> {
        Ok(Progress::read(self.watcher.as_ref(), &self.inputs)?)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a thread has failed or somebody asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Waits until everything that is in the inputs has been processed and committed, or the application
    /// stops. `watch` is told the progress from time to time; when it returns false, the wait ends.
    pub fn wait_until_caught_up(&self, mut watch: impl FnMut(Progress) -> bool) -> Result<(), RuntimeError> {
        // What one sub-topology commits may be another's input: only when a round per sub-topology has found
        // everything committed can nothing more follow.
        let mut complete = 0;
        while complete < self.rounds && !self.is_stopping() {
            let progress = self.progress()?;
            if progress.is_complete() {
                complete += 1;
                continue;
            }
            complete = 0;
            if !watch(progress) {
                return Ok(());
            }
            time::pause(WATCH_INTERVAL);
        }
        watch(self.progress()?);
        Ok(())
    }

    /// Waits until the application stops by itself or `watch` returns false.
    pub fn wait(&self, mut watch: impl FnMut() -> bool) {
        while !self.is_stopping() && watch() {
            time::pause(WATCH_INTERVAL);
        }
    }

    /// Commits what is done, closes the stores and ends the threads. Returns what was counted, or what a
    /// thread failed with.
    pub fn stop(mut self) -> Result<Counters, RuntimeError> {
        self.shared.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..).chain(self.maintenance.take()) {
            let name = thread.thread().name().unwrap_or("?").to_owned();
            if thread.join().is_err() {
                self.shared.fail(RuntimeError::Panicked(name));
            }
        }
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or_else(|| Ok(self.counters()), Err)
    }
}

fn start_maintenance(
    log: Arc<dyn Log>,
    application: &Arc<str>,
    tasks: TaskList,
    clock: Arc<dyn Clock>,
    options: &ApplicationOptions,
    shared: &Arc<Shared>,
) -> Result<JoinHandle<()>, RuntimeError> {
    let (group, interval, shared) = (application.clone(), options.clean_interval, shared.clone());
    Builder::new()
        .name(format!("{application}-maintenance"))
        .spawn(move || maintenance::run(log.as_ref(), &group, &tasks, &clock, interval, &shared.stop))
        .map_err(RuntimeError::Spawn)
}
