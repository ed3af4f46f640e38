//! An application at work: its threads, and what they have done so far.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::board::Board;
use super::connections::{Connections, ThreadParts};
use super::evolution::Admission;
use super::global_thread::GlobalThread;
use super::mailbox::Mailbox;
use super::maintenance::Maintenance;
use super::shared::{Running, Shared};
use super::status::ApplicationStatus;
use super::stream_thread::StreamThread;
use super::topic_watch::TopicWatch;
use super::topics::{prepare, targets};
use super::workers::Workers;
use super::{ApplicationOptions, Progress, RuntimeError, schemas};
use crate::error::{Classified, ErrorClass};
use crate::log::{Log, LogConsumer};
use crate::metrics::Counters;
use crate::record::TopicPartition;
use crate::serdes::remote::RemoteRegistry;
use crate::state::{StateDirectory, StateError};
use crate::task::{TaskOpener, open_globals};
use crate::time::Clock;
use crate::topology::plan::Topology;

/// How often somebody who waits looks at the progress.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// How many threads open tasks that have nothing to restore, and close stores: they wait for the disk most of the time.
const HELPERS: usize = 8;

/// An application at work. Dropping it without [`Application::stop`] leaves its threads running.
pub struct Application {
    shared: Arc<Shared>,
    /// What the stream threads are made of, and what they share.
    parts: ThreadParts,
    /// The stream threads, the one for maintenance, and the one for global tables.
    threads: Vec<JoinHandle<()>>,
    watcher: Box<dyn LogConsumer>,
    rounds: usize,
    /// Who knows the schemas that records were written with.
    registry: Option<Arc<RemoteRegistry>>,
}

impl Application {
    /// Makes sure that the state fits the topology, creates the topics that are missing and starts the threads. When that
    /// fails, those that have started are ended again. A log that goes away after topics and state were looked at is no
    /// failure: the threads wait for it.
    pub fn start(
        topology: &Topology,
        log: Arc<dyn Log>,
        state: StateDirectory,
        clock: Arc<dyn Clock>,
        options: &ApplicationOptions,
    ) -> Result<Application, RuntimeError> {
        schemas::prepare(topology, &log.admin().topic_names()?)?;
        let (topics, tasks, evolution) = prepare(topology, log.as_ref(), options.create_topics)?;
        if evolution.renews {
            state.tasks()?.iter().try_for_each(|task| state.remove_task(task))?;
        }
        // What the log says of the state is what counts, if it says anything; otherwise what is here must fit, before
        // the log says that it does.
        let state = match evolution.before {
            Some(_) => state.accepted(),
            None => check_stores(topology, state)?,
        };
        evolution.record(log.as_ref(), tasks.topic(), clock.as_ref())?;
        let globals = open_globals(topology, &state)?;
        let mut opener = TaskOpener::new(topology, &topics, options.task.clone(), state);
        opener.globals = globals.clone();
        opener.partitions = targets(topology, log.admin().as_ref(), &topics);
        let shared = Arc::new(Shared::default());
        let registry = topology.schemas.remote().cloned();
        let parts = ThreadParts {
            name: String::new(),
            number: 0,
            log: log.clone(),
            opener,
            admission: Arc::new(Admission::new(topology, &topics, evolution.now)),
            tasks,
            clock,
            options: options.clone(),
            shared: shared.clone(),
            restorers: Workers::new(format!("{}-restore", topology.name), options.restore_threads),
            helpers: Workers::new(format!("{}-helper", topology.name), HELPERS),
        };
        let mut application = Application {
            shared,
            threads: Vec::new(),
            watcher: log.consumer(Some(&topology.name))?,
            rounds: topology.subtopologies.len() + 1,
            registry,
            parts,
        };
        let watch = TopicWatch::new(topology, &topics, application.parts.clock.elapsed());
        let follower = globals.map(|tables| GlobalThread {
            parts: ThreadParts { name: format!("{}-global", topology.name), ..application.parts.clone() },
            topology: topology.clone(),
            topics,
            tables,
        });
        match application.spawn(follower, watch) {
            Ok(()) => {
                application.follow_registry();
                Ok(application)
            }
            Err(error) => match application.stop() {
                // What a thread failed with is the cause of what follows from it.
                Ok(_) => Err(error),
                Err(cause) => Err(cause),
            },
        }
    }

    /// Has the threads go on as soon as a schema has come that a record waits for. Only once they have all started: a start is
    /// tried many times while brokers are away, and nobody would take back what each leaves with the registry.
    fn follow_registry(&self) {
        if let Some(registry) = &self.registry {
            let threads = Arc::downgrade(&self.shared);
            registry.wake(Arc::new(move || threads.upgrade().iter().for_each(|shared| shared.wake_all())));
        }
    }

    fn spawn(&mut self, follower: Option<GlobalThread>, watch: Option<TopicWatch>) -> Result<(), RuntimeError> {
        if let Some(follower) = follower {
            let running = self.shared.clone();
            self.run(follower.parts.name.clone(), move || {
                let _running = Running(running.clone());
                let name = follower.parts.name.clone();
                if catch_unwind(AssertUnwindSafe(|| follower.run())).is_err() {
                    running.fail(RuntimeError::Panicked(name));
                }
            })?;
        }
        // All join the group before the first asks for its tasks, so that no task is opened only to move on.
        let mut members = Vec::new();
        for number in 0..self.parts.options.threads.max(1) {
            let name = format!("{}-{number}", self.parts.opener.application);
            let parts = ThreadParts { name, number, ..self.parts.clone() };
            let mailbox = Arc::new(Mailbox::new(&parts.name, self.shared.clone()));
            let board = Arc::new(Board::new(&parts.name, parts.clock.clone()));
            self.shared.add_board(board.clone());
            let connections = first_connections(&parts, &mailbox)?;
            members.push(StreamThread::new(parts, mailbox, connections, board));
        }
        for member in members {
            let (name, running) = (member.parts.name.clone(), self.shared.clone());
            self.run(name, move || {
                let _running = Running(running);
                member.run();
            })?;
        }
        let (maintenance, running) = (Maintenance::new(self.parts.clone(), watch), self.shared.clone());
        self.run(format!("{}-maintenance", self.parts.opener.application), move || {
            let _running = Running(running.clone());
            if catch_unwind(AssertUnwindSafe(|| maintenance.run())).is_err() {
                running.fail(RuntimeError::Panicked("maintenance".to_owned()));
            }
        })
    }

    fn run(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> Result<(), RuntimeError> {
        self.threads.push(Builder::new().name(name).spawn(work).map_err(RuntimeError::Spawn)?);
        Ok(())
    }

    /// What its threads, tasks and stores are doing right now. Never waits for them.
    pub fn status(&self) -> ApplicationStatus {
        ApplicationStatus {
            application: self.parts.opener.application.to_string(),
            instance: self.parts.opener.state.instance().to_owned(),
            tasks: self.parts.tasks.len(),
            threads: self.shared.boards().iter().map(|board| board.read()).collect(),
            state_memory: self.parts.opener.state.memory_usage(),
            schemas: self.registry.as_ref().map(|registry| registry.waits()).unwrap_or_default(),
            is_stopping: self.shared.is_stopping(),
        }
    }

    /// How far the tasks have come.
    pub fn progress(&self) -> Result<Progress, RuntimeError> {
        Ok(Progress::read(self.watcher.as_ref(), &self.inputs())?)
    }

    /// Whether everything that is in the inputs has been committed and every task is open. What one sub-topology
    /// commits may be another's input: more can follow until this has held once per sub-topology, one after another.
    pub fn is_caught_up(&self) -> Result<bool, RuntimeError> {
        Ok(self.all_opened() && Progress::has_reached_end(self.watcher.as_ref(), &self.inputs())?)
    }

    /// What the tasks read, by now.
    fn inputs(&self) -> Vec<TopicPartition> {
        match self.shared.topics() {
            Some(seen) => seen.tasks.inputs().collect(),
            None => self.parts.tasks.inputs().collect(),
        }
    }

    fn all_opened(&self) -> bool {
        self.shared.tasks_opened() >= self.parts.tasks.len()
    }

    fn is_complete(&self, progress: Progress) -> bool {
        progress.is_complete() && self.all_opened()
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

    /// Tells the threads to end and returns at once; [`Application::stop`] waits for them.
    pub fn request_stop(&self) {
        self.shared.stop();
    }

    /// Commits what is done, closes the stores and ends the threads, within the options' `shutdown_timeout`. Returns what
    /// was counted, or what a thread failed with.
    ///
    /// # Errors
    /// [`RuntimeError::StillBusy`] if a thread does not end in time; it is left behind, and ends with the process.
    pub fn stop(mut self) -> Result<Counters, RuntimeError> {
        self.shared.stop();
        let timeout = self.parts.options.shutdown_timeout;
        // Half of the time is for a log that answers. Then who still waits for it gives up, and ends without the commit.
        let mut ended = self.shared.wait_for_end(self.threads.len(), timeout / 2);
        if !ended {
            tracing::warn!(application = %self.parts.opener.application, "the log does not answer; stopping without waiting for it");
            self.parts.log.hurry();
            ended = self.shared.wait_for_end(self.threads.len(), timeout - timeout / 2);
        }
        let mut busy = Vec::new();
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or("?").to_owned();
            if !ended && !thread.is_finished() {
                busy.push(name);
            } else if thread.join().is_err() {
                self.shared.fail(RuntimeError::Panicked(name));
            }
        }
        if !self.parts.restorers.wait_until_idle(timeout) || !self.parts.helpers.wait_until_idle(timeout) {
            busy.push("a restore".to_owned());
        }
        match self.shared.take_failure() {
            Some(failure) => Err(failure),
            None if busy.is_empty() => Ok(self.counters()),
            None => Err(RuntimeError::StillBusy { threads: busy, timeout }),
        }
    }
}

/// Refuses tasks whose stores were written as something else than the topology has.
fn check_stores(topology: &Topology, state: StateDirectory) -> Result<StateDirectory, RuntimeError> {
    for task in state.tasks()? {
        let part = task.split_once('_').and_then(|(part, _)| part.parse::<usize>().ok());
        let Some(part) = part.and_then(|part| topology.subtopologies.get(part)) else { continue };
        // With anything else that is wrong, opening the task knows what to do.
        if let Err(error @ StateError::OtherShape { .. }) = state.open_task(&task, &part.stores) {
            return Err(error.into());
        }
    }
    Ok(state)
}

/// The first connections of a thread; `None` while the log is away.
fn first_connections(parts: &ThreadParts, mailbox: &Mailbox) -> Result<Option<Connections>, RuntimeError> {
    match parts.connect(mailbox) {
        Ok(connections) => Ok(Some(connections)),
        Err(error) if error.class() == ErrorClass::Retry => {
            tracing::warn!(%error, thread = parts.name, "the log is away; it is tried again");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
