//! One stream thread: fetch, process, commit, and give tasks up or take them on as the group decides.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::{ApplicationOptions, RuntimeError, TaskList};
use crate::error::{Classified, ErrorClass};
use crate::log::{Log, LogConsumer, Rebalance, TransactionalProducer};
use crate::metrics;
use crate::record::TopicPartition;
use crate::source::Next;
use crate::state::TaskStores;
use crate::task::transaction::{self, Unobserved};
use crate::task::{Task, TaskError, TaskId, TaskOpener};
use crate::time::{Clock, Timestamp};

/// How many records a task processes before the next one has its turn.
const TURN: usize = 500;
/// How long a thread without tasks waits for some before it looks around.
const IDLE: Duration = Duration::from_secs(1);

/// How far one task may run ahead of the others of its thread, in milliseconds of record time.
const AHEAD: i64 = 1_000;

/// How many tasks a thread opens, or closes, at a time.
const OPENERS: usize = 8;

/// What a thread is made of.
#[derive(Clone)]
pub(super) struct ThreadParts {
    pub(super) name: String,
    pub(super) log: Arc<dyn Log>,
    pub(super) opener: TaskOpener,
    pub(super) tasks: TaskList,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: ApplicationOptions,
    pub(super) shared: Arc<Shared>,
}

/// The connections of a thread to the log; made anew after it was fenced.
pub(super) struct Connections {
    /// Membership of the group: which tasks are this thread's.
    membership: Box<dyn LogConsumer>,
    /// Fetches what those tasks read.
    fetcher: Box<dyn LogConsumer>,
    producer: Box<dyn TransactionalProducer>,
}

/// One stream thread. The tasks stand before the connections, so that their stores are closed before the
/// membership ends and another thread opens them.
pub(super) struct StreamThread {
    parts: ThreadParts,
    tasks: BTreeMap<TaskId, Task>,
    connections: Connections,
    /// What the group has told and is not done yet: it is told once only.
    todo: Rebalance,
    /// Which task and which of its sources a partition feeds, and whether it is paused.
    routes: BTreeMap<TopicPartition, Route>,
    committed_at: Duration,
}

struct Route {
    task: TaskId,
    source: usize,
    paused: bool,
}

impl StreamThread {
    /// Runs until the application stops; a failure, or a panic, stops the application.
    pub(super) fn run(parts: ThreadParts, connections: Connections) {
        let (shared, name) = (parts.shared.clone(), parts.name.clone());
        let committed_at = parts.clock.elapsed();
        let mut thread = StreamThread {
            parts,
            tasks: BTreeMap::new(),
            connections,
            todo: Rebalance::default(),
            routes: BTreeMap::new(),
            committed_at,
        };
        // What a panic leaves half-done is dropped, never committed.
        match catch_unwind(AssertUnwindSafe(|| thread.work())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.fail(error),
            Err(_) => shared.fail(RuntimeError::Panicked(name)),
        }
        // Only now that the reason is told: what the other threads meet when this one leaves the group follows from it.
        drop(thread);
    }

    fn work(&mut self) -> Result<(), RuntimeError> {
        while !self.parts.shared.is_stopping() {
            match self.turn() {
                Ok(()) => {}
                Err(error) => self.recover(error)?,
            }
        }
        self.commit()?;
        self.close_tasks()
    }

    fn turn(&mut self) -> Result<(), RuntimeError> {
        // Who has nothing to do waits for tasks; who has tasks waits for records.
        let idle = self.tasks.is_empty() && self.todo == Rebalance::default();
        let polled = self.connections.membership.poll(0, if idle { IDLE } else { Duration::ZERO })?;
        if let Some(Rebalance { revoked, assigned, .. }) = polled.rebalance {
            self.todo.assigned.retain(|partition| !revoked.contains(partition));
            self.todo.revoked.extend(revoked);
            self.todo.assigned.extend(assigned);
        }
        self.rebalance()?;
        if self.tasks.is_empty() {
            return Ok(());
        }
        let busy = self.tasks.values().any(|task| task.queued() > 0);
        let timeout = if busy { Duration::ZERO } else { self.until_commit() };
        self.fetch(timeout)?;
        let full = self.process()?;
        self.resume_drained();
        if full || self.until_commit().is_zero() {
            self.commit()?;
        }
        Ok(())
    }

    /// Processes records of all tasks in the order of their times, and returns whether a commit is due. What tasks
    /// send on to windows over keys of several partitions then comes in order too: otherwise a window would close
    /// for the messages of one partition because those of another were read faster.
    fn process(&mut self) -> Result<bool, RuntimeError> {
        let now = self.parts.clock.now();
        for task in self.tasks.values_mut() {
            note_ends(task, self.connections.fetcher.as_ref());
        }
        let mut left = TURN * self.tasks.len();
        while let Some((id, until)) = self.earliest(now).filter(|_| left > 0) {
            let Some(task) = self.tasks.get_mut(&id) else { break };
            let processed = task.process_until(left.min(TURN), until, now)?;
            if task.is_full() {
                return Ok(true);
            }
            if processed == 0 {
                break;
            }
            left -= processed;
            note_ends(task, self.connections.fetcher.as_ref());
        }
        Ok(false)
    }

    /// The task with the earliest record, and until when it may go on. `None` when no task has one, or a task
    /// waits for a fetch, of which nobody knows what it will bring.
    fn earliest(&mut self, now: Timestamp) -> Option<(TaskId, Timestamp)> {
        let (mut first, mut second) = (None, Timestamp::MAX);
        for (id, task) in &mut self.tasks {
            match task.peek(now) {
                Next::Awaited => return None,
                Next::Nothing => {}
                Next::Ready(time) => match first {
                    Some((_, earlier)) if earlier <= time => second = second.min(time),
                    _ => {
                        second = first.map_or(Timestamp::MAX, |(_, later)| second.min(later));
                        first = Some((*id, time));
                    }
                },
            }
        }
        first.map(|(id, _)| (id, second.saturating_add(AHEAD)))
    }

    fn until_commit(&self) -> Duration {
        let passed = self.parts.clock.elapsed().saturating_sub(self.committed_at);
        self.parts.options.commit_interval.saturating_sub(passed)
    }

    /// Fetches records for the tasks, and pauses partitions of which enough wait (invariant I9).
    fn fetch(&mut self, timeout: Duration) -> Result<(), RuntimeError> {
        let limit = self.parts.options.fetch_records.max(1);
        let polled = self.connections.fetcher.poll(limit, timeout)?;
        for batch in polled.batches {
            let Some(route) = self.routes.get_mut(&batch.partition) else { continue };
            let Some(task) = self.tasks.get_mut(&route.task) else { continue };
            task.add_records(route.source, batch.records, batch.position);
            if !route.paused && Queue::of(task, route.source).is_full(&self.parts.options) {
                self.connections.fetcher.pause(&batch.partition);
                route.paused = true;
            }
        }
        Ok(())
    }

    fn resume_drained(&mut self) {
        for (partition, route) in self.routes.iter_mut().filter(|(_, route)| route.paused) {
            let queue = self.tasks.get(&route.task).map(|task| Queue::of(task, route.source));
            if queue.is_none_or(|queue| queue.is_drained(&self.parts.options)) {
                self.connections.fetcher.resume(partition);
                route.paused = false;
            }
        }
    }

    fn commit(&mut self) -> Result<(), RuntimeError> {
        let started = self.parts.clock.elapsed();
        self.committed_at = started;
        if !self.tasks.values().any(Task::is_dirty) {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let group = self.connections.membership.group_metadata()?;
        transaction::commit(self.tasks.values_mut(), self.connections.producer.as_mut(), &group, now, &mut Unobserved)?;
        for task in self.tasks.values_mut() {
            let counters = task.take_counters();
            task.publish(&counters);
            self.parts.shared.committed(&counters);
        }
        let took = self.parts.clock.elapsed().saturating_sub(started);
        metrics::observe_commit(&self.parts.opener.application, &self.parts.name, took.as_secs_f64());
        Ok(())
    }

    /// Gives up and takes on tasks. What is given up is committed first. What an error leaves undone comes at the next
    /// turn.
    fn rebalance(&mut self) -> Result<(), RuntimeError> {
        if !self.todo.revoked.is_empty() {
            self.commit()?;
        }
        while let Some(partition) = self.todo.revoked.first().cloned() {
            if let Some(id) = self.parts.tasks.id(&partition) {
                self.close_task(id)?;
            }
            self.connections.membership.acknowledge_revocation(std::slice::from_ref(&partition))?;
            self.todo.revoked.remove(0);
        }
        while !self.todo.assigned.is_empty() {
            let opened = self.open_tasks()?;
            self.todo.assigned.drain(..opened);
        }
        Ok(())
    }

    /// Opens the first of the tasks that are to be opened, several at a time: that waits for the disk most of the time.
    /// Returns how many are done with.
    fn open_tasks(&mut self) -> Result<usize, RuntimeError> {
        let parts = &self.parts;
        let next = self.todo.assigned.iter().take(OPENERS);
        let done = next.len();
        // The group may hand out again what was never taken away.
        let plans: Vec<_> = next.filter_map(|partition| parts.tasks.get(partition)).collect();
        let plans = plans.into_iter().filter(|(subtopology, partition)| {
            !self.tasks.contains_key(&TaskId { subtopology: subtopology.id, partition: *partition })
        });
        let (log, now, restoring) = (parts.log.as_ref(), parts.clock.now(), parts.shared.restoring());
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = |(subtopology, partition)| {
                scope.spawn(move || parts.opener.open_parts(log, subtopology, partition, now))
            };
            let openers: Vec<_> = plans.map(open).collect();
            openers.into_iter().map(|opener| opener.join()).collect()
        });
        drop(restoring);
        for outcome in opened {
            let (parts, restored) = outcome.map_err(|_| RuntimeError::Panicked(self.parts.name.clone()))??;
            self.take_on(Task::new(parts), restored)?;
        }
        Ok(done)
    }

    fn take_on(&mut self, task: Task, restored: u64) -> Result<(), RuntimeError> {
        let id = task.id();
        tracing::info!(task = %id, thread = self.parts.name, restored, "task opened");
        for (source, input) in task.input_partitions().enumerate() {
            self.connections.fetcher.assign(&input, task.position(source))?;
            self.routes.insert(input, Route { task: id, source, paused: false });
        }
        self.tasks.insert(id, task);
        self.parts.shared.opened(id);
        Ok(())
    }

    /// Closes all stores, several at a time: that waits for the disk, too.
    fn close_tasks(&mut self) -> Result<(), RuntimeError> {
        let stores = std::mem::take(&mut self.tasks).into_iter().map(|(id, task)| (id, task.into_stores()));
        let mut stores: Vec<_> = stores.collect();
        while !stores.is_empty() {
            let some = stores.drain(..stores.len().min(OPENERS));
            let closed: Vec<_> = std::thread::scope(|scope| {
                let close = |(task, stores): (TaskId, TaskStores)| {
                    scope.spawn(move || stores.close().map_err(|source| TaskError::State { task, source }))
                };
                let closers: Vec<_> = some.map(close).collect();
                closers.into_iter().map(|closer| closer.join()).collect()
            });
            for outcome in closed {
                outcome.map_err(|_| RuntimeError::Panicked(self.parts.name.clone()))??;
            }
        }
        Ok(())
    }

    fn close_task(&mut self, id: TaskId) -> Result<(), RuntimeError> {
        let Some(task) = self.tasks.remove(&id) else { return Ok(()) };
        for input in task.input_partitions() {
            self.connections.fetcher.unassign(&input);
            self.routes.remove(&input);
        }
        tracing::info!(task = %id, thread = self.parts.name, "task closed");
        task.into_stores().close().map_err(|source| TaskError::State { task: id, source })?;
        Ok(())
    }

    /// Does what the class of an error calls for; what nothing helps against is returned.
    fn recover(&mut self, error: RuntimeError) -> Result<(), RuntimeError> {
        match error.class() {
            ErrorClass::Retry => {
                tracing::warn!(%error, thread = self.parts.name, "going back to the last commit");
                self.roll_back()
            }
            ErrorClass::TaskMigrated => {
                tracing::warn!(%error, thread = self.parts.name, "joining the group anew");
                self.tasks.clear();
                self.routes.clear();
                self.todo = Rebalance::default();
                self.connections = self.parts.connect()?;
                Ok(())
            }
            ErrorClass::Skip | ErrorClass::TaskCorrupted | ErrorClass::Fatal => Err(error),
        }
    }

    fn roll_back(&mut self) -> Result<(), RuntimeError> {
        for task in self.tasks.values_mut() {
            task.roll_back();
            let positions: Vec<_> = task.input_partitions().enumerate().collect();
            for (source, input) in positions {
                self.connections.fetcher.assign(&input, task.position(source))?;
            }
        }
        Ok(())
    }
}

impl ThreadParts {
    /// Joins the group and connects to the log.
    pub(super) fn connect(&self) -> Result<Connections, RuntimeError> {
        let mut membership = self.log.member(&self.opener.application, None)?;
        membership.subscribe(&[self.tasks.topic()])?;
        let fetcher = self.log.consumer(None)?;
        let producer = self.log.transactional_producer(&self.name)?;
        self.shared.register(&self.name, vec![membership.waker(), fetcher.waker()]);
        Ok(Connections { membership, fetcher, producer })
    }
}

/// What waits of one source of a task.
struct Queue {
    records: usize,
    bytes: usize,
}

impl Queue {
    fn of(task: &Task, source: usize) -> Queue {
        Queue { records: task.queued_of(source), bytes: task.queued_bytes_of(source) }
    }

    fn is_full(&self, options: &ApplicationOptions) -> bool {
        self.records >= options.queued_records.max(1) || self.bytes >= options.queued_bytes.max(1)
    }

    fn is_drained(&self, options: &ApplicationOptions) -> bool {
        self.records <= options.queued_records / 2 && self.bytes <= options.queued_bytes / 2
    }
}

/// A task must know of records that are there but not fetched yet, for them to be taken in order of time.
fn note_ends(task: &mut Task, fetcher: &dyn LogConsumer) {
    let inputs: Vec<TopicPartition> = task.input_partitions().collect();
    for (source, input) in inputs.iter().enumerate() {
        if task.queued_of(source) == 0
            && let Some(end) = fetcher.known_end(input)
        {
            task.set_end(source, end);
        }
    }
}
