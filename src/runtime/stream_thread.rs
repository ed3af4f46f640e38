//! One stream thread: fetch, process, commit, and give tasks up or take them on as the group decides.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::board::Board;
use super::connections::{Connections, ThreadParts};
use super::holding::Held;
use super::mailbox::Mailbox;
use super::ownership::Ownership;
use super::publish::Publisher;
use super::recovery::Trouble;
use super::status::ThreadCounts;
use super::{ApplicationOptions, RuntimeError};
use crate::config::SchemaHold;
use crate::log::LogConsumer;
use crate::metrics;
use crate::record::TopicPartition;
use crate::source::Next;
use crate::task::{Task, TaskId};
use crate::time::Timestamp;

/// How many records a task processes before the next one has its turn.
const TURN: usize = 500;
/// How long a thread without tasks waits for some before it looks around.
const IDLE: Duration = Duration::from_secs(1);
/// How far one task may run ahead of the others of its thread, in milliseconds of record time.
const AHEAD: i64 = 1_000;
/// How long the first tasks of a thread wait for the others that it was given with them, which may have to be restored.
const GATHER: Duration = Duration::from_secs(2);
/// How long a fetch waits meanwhile.
const GATHER_STEP: Duration = Duration::from_millis(5);

/// One stream thread. The tasks stand before the connections, so that their stores are closed before the
/// membership ends and another thread opens them.
pub(super) struct StreamThread {
    pub(super) parts: ThreadParts,
    /// The tasks that run.
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// All tasks that are this thread's.
    pub(super) ownership: Ownership,
    pub(super) mailbox: Arc<Mailbox>,
    /// `None` while the log is away.
    pub(super) connections: Option<Connections>,
    pub(super) trouble: Trouble,
    /// Which task and which of its sources a partition feeds, and whether it is paused.
    pub(super) routes: BTreeMap<TopicPartition, Route>,
    committed_at: Duration,
    /// When the offsets of each task are to be committed anew if nothing happens.
    pub(super) refresh_at: BTreeMap<TaskId, Duration>,
    pub(super) board: Arc<Board>,
    pub(super) counts: ThreadCounts,
    pub(super) publisher: Publisher,
    gathering: Gathering,
    /// Up to which change of topics it has come.
    topics: u64,
}

/// Whether a thread that had no tasks has begun to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    /// It waits for tasks that it was given together, from this moment on.
    Since(Duration),
    /// It works.
    Done,
}

/// Whom a fetched partition is for.
pub(super) struct Route {
    pub(super) task: TaskId,
    pub(super) source: usize,
    pub(super) paused: bool,
}

impl StreamThread {
    /// A thread that has joined the group, or is going to when the log is there.
    pub(super) fn new(
        parts: ThreadParts,
        mailbox: Arc<Mailbox>,
        connections: Option<Connections>,
        board: Arc<Board>,
    ) -> StreamThread {
        let committed_at = parts.clock.elapsed();
        StreamThread {
            parts,
            tasks: BTreeMap::new(),
            ownership: Ownership::default(),
            mailbox,
            connections,
            trouble: Trouble::default(),
            routes: BTreeMap::new(),
            committed_at,
            refresh_at: BTreeMap::new(),
            board,
            gathering: Gathering::Since(committed_at),
            counts: ThreadCounts::default(),
            publisher: Publisher::default(),
            topics: 0,
        }
    }

    /// Runs until the application stops; a failure, or a panic, stops the application.
    pub(super) fn run(mut self) {
        let (shared, name, board) = (self.parts.shared.clone(), self.parts.name.clone(), self.board.clone());
        // What a panic leaves half-done is dropped, never committed.
        match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.fail(error),
            Err(_) => shared.fail(RuntimeError::Panicked(name)),
        }
        self.ownership.cancel_all();
        // Only now that the reason is told: what the other threads meet when this one leaves the group follows from it.
        drop(self);
        board.stopped();
    }

    fn work(&mut self) -> Result<(), RuntimeError> {
        self.publish();
        while !self.parts.shared.is_stopping() {
            match self.turn() {
                Ok(()) => self.went_well(),
                Err(error) => self.recover(error)?,
            }
            self.publish();
        }
        self.wind_up()
    }

    fn turn(&mut self) -> Result<(), RuntimeError> {
        if !self.connect()? {
            return Ok(());
        }
        self.take_in_topics()?;
        self.follow_group(self.patience())?;
        self.hear()?;
        self.rebalance()?;
        let Some(Connections { fetcher, .. }) = &self.connections else { return Ok(()) };
        let held = held_back(&mut self.tasks, &self.parts, fetcher.as_ref());
        if self.tasks.is_empty() {
            self.gathering = Gathering::Since(self.now());
        }
        if self.tasks.is_empty() || self.trouble.delay(self.now()) > Duration::ZERO {
            return Ok(());
        }
        if !self.has_gathered() {
            return self.fetch(GATHER_STEP);
        }
        let now = self.parts.clock.now();
        let busy = earliest(&mut self.tasks, now, &held).is_some();
        let timeout = if busy { Duration::ZERO } else { self.until_commit() };
        self.fetch(timeout)?;
        let full = self.process()?;
        if self.parts.options.sends_ahead
            && let Some(connections) = &mut self.connections
        {
            connections.send_ahead(self.tasks.values_mut())?;
        }
        self.resume_drained();
        if full || self.until_commit().is_zero() {
            self.commit()?;
        }
        Ok(())
    }

    /// How long to wait for the group: who has tasks waits for records instead, and who has something to do does not wait.
    fn patience(&self) -> Duration {
        let delay = self.trouble.delay(self.now());
        if !self.mailbox.is_empty() {
            Duration::ZERO
        } else if delay > Duration::ZERO {
            delay.min(IDLE)
        } else if self.tasks.is_empty() && !self.ownership.has_work() {
            IDLE
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.parts.clock.elapsed()
    }

    /// Whether a thread that had no tasks has all of those that it was given together, and knows of each whether there is
    /// anything to read. Those that are ready first would otherwise run ahead of the others' records.
    fn has_gathered(&mut self) -> bool {
        let Gathering::Since(since) = self.gathering else { return true };
        let Some(Connections { fetcher, .. }) = &self.connections else { return false };
        let mut inputs = self.tasks.values().flat_map(Task::input_partitions);
        let knows_all = !self.ownership.is_restoring() && inputs.all(|input| fetcher.known_end(&input).is_some());
        if knows_all || self.now().saturating_sub(since) >= GATHER {
            self.gathering = Gathering::Done;
        }
        self.gathering == Gathering::Done
    }

    /// Processes records of all tasks in the order of their times, and returns whether a commit is due. What tasks
    /// send on to windows over keys of several partitions then comes in order too: otherwise a window would close
    /// for the messages of one partition because those of another were read faster.
    fn process(&mut self) -> Result<bool, RuntimeError> {
        let now = self.parts.clock.now();
        let Some(Connections { fetcher, .. }) = &self.connections else { return Ok(false) };
        for task in self.tasks.values_mut() {
            note_ends(task, fetcher.as_ref());
            while task.advance_wall_clock(now)? {
                if task.is_full() {
                    return Ok(true);
                }
            }
        }
        let mut left = TURN * self.tasks.len();
        while left > 0 {
            let held = held_back(&mut self.tasks, &self.parts, fetcher.as_ref());
            let Some((id, until)) = earliest(&mut self.tasks, now, &held) else { break };
            let Some(task) = self.tasks.get_mut(&id) else { break };
            let limit = if held.goes_over(id) { 1 } else { left.min(TURN) };
            let processed = task.process_until(limit, until, now)?;
            if task.is_full() {
                return Ok(true);
            }
            if processed == 0 {
                break;
            }
            left -= processed;
            note_ends(task, fetcher.as_ref());
        }
        Ok(false)
    }

    /// Goes on with other topics, if there are some by now: commits, and has all tasks opened anew.
    fn take_in_topics(&mut self) -> Result<(), RuntimeError> {
        let Some(seen) = self.parts.shared.topics_since(self.topics) else { return Ok(()) };
        self.commit()?;
        self.parts.tasks = seen.tasks.clone();
        self.parts.opener.partitions = seen.partitions.clone();
        self.topics = seen.number;
        self.ownership.cancel_all();
        self.close_all()
    }

    fn until_commit(&self) -> Duration {
        let passed = self.now().saturating_sub(self.committed_at);
        self.parts.options.commit_interval.saturating_sub(passed)
    }

    /// Fetches records for the tasks, and pauses partitions of which enough wait (invariant I9).
    fn fetch(&mut self, timeout: Duration) -> Result<(), RuntimeError> {
        let limit = self.parts.options.fetch_records.max(1);
        let Some(Connections { fetcher, .. }) = &mut self.connections else { return Ok(()) };
        let polled = fetcher.poll(limit, timeout)?;
        for batch in polled.batches {
            let Some(route) = self.routes.get_mut(&batch.partition) else { continue };
            let Some(task) = self.tasks.get_mut(&route.task) else { continue };
            task.add_records(route.source, batch.records, batch.position);
            if !route.paused && Queue::of(task, route.source).is_full(&self.parts.options) {
                fetcher.pause(&batch.partition);
                route.paused = true;
            }
        }
        Ok(())
    }

    fn resume_drained(&mut self) {
        let Some(Connections { fetcher, .. }) = &mut self.connections else { return };
        for (partition, route) in self.routes.iter_mut().filter(|(_, route)| route.paused) {
            let queue = self.tasks.get(&route.task).map(|task| Queue::of(task, route.source));
            if queue.is_none_or(|queue| queue.is_drained(&self.parts.options)) {
                fetcher.resume(partition);
                route.paused = false;
            }
        }
    }

    /// Commits what the tasks have done since the last time.
    pub(super) fn commit(&mut self) -> Result<(), RuntimeError> {
        let started = self.now();
        self.committed_at = started;
        self.refresh_offsets(started);
        if !self.tasks.values().any(Task::is_dirty) {
            return Ok(());
        }
        let refresh = started + self.parts.options.offsets_refresh;
        let dirty: Vec<TaskId> = self.tasks.values().filter(|task| task.is_dirty()).map(Task::id).collect();
        let (now, guarantee) = (self.parts.clock.now(), self.parts.options.guarantee);
        let Some(connections) = &mut self.connections else { return Ok(()) };
        self.board.waiting();
        if !connections.commit(self.tasks.values_mut(), guarantee, now)? {
            return Ok(());
        }
        for (_, task) in self.tasks.iter_mut().filter(|(id, _)| dirty.contains(id)) {
            let counters = task.take_counters();
            task.publish(&counters);
            self.parts.shared.committed(&counters);
            self.parts.shared.consumed(task.internal_positions());
            self.refresh_at.insert(task.id(), refresh);
        }
        let took = self.now().saturating_sub(started);
        metrics::observe_commit(&self.parts.opener.application, &self.parts.name, took.as_secs_f64());
        self.counts.commits += 1;
        self.counts.last_commit = Some(took);
        self.trouble.committed();
        Ok(())
    }

    /// Has the offsets committed of tasks to which nothing has happened for long: a broker forgets what is a week old, and
    /// an input without records would be read from its beginning again.
    fn refresh_offsets(&mut self, now: Duration) {
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| !task.is_dirty()) {
            if self.refresh_at.get(id).is_some_and(|at| *at <= now) {
                task.refresh_offsets();
            }
        }
    }
}

/// Which tasks wait for a schema, where the others of their sub-topology wait with them: none, unless that is wanted.
fn held_back(tasks: &mut BTreeMap<TaskId, Task>, parts: &ThreadParts, fetcher: &dyn LogConsumer) -> Held {
    if parts.options.schema_hold == SchemaHold::Task {
        return Held::default();
    }
    let now = parts.clock.now();
    for task in tasks.values_mut() {
        // One that was just opened has not heard of its inputs: that it has no record would be said too soon.
        note_ends(task, fetcher);
        task.peek(now);
    }
    let seen = tasks.iter().map(|(id, task)| (*id, task.sights()));
    let shared = &parts.shared;
    let (held, is_less) = shared.holding.note(seen, |task| shared.is_claimed(task), parts.clock.elapsed());
    if is_less {
        shared.wake_all();
    }
    held
}

/// The task with the earliest record, and until when it may go on. `None` when no task has one, or a task
/// waits for a fetch, of which nobody knows what it will bring. One that has not heard of all its inputs, or waits for a
/// schema, holds up no other: the broker of a partition, or the registry, may be away for long. Tasks that are held back have
/// nothing to do.
fn earliest(tasks: &mut BTreeMap<TaskId, Task>, now: Timestamp, held: &Held) -> Option<(TaskId, Timestamp)> {
    let (mut first, mut second) = (None, Timestamp::MAX);
    for (id, task) in tasks.iter_mut().filter(|(id, _)| !held.holds_back(**id)) {
        match task.peek(now) {
            Next::Awaited => return None,
            Next::Nothing | Next::Unknown | Next::Held => {}
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

/// A task must know of records that are there but not fetched yet, for them to be taken in order of time. One that has come
/// to a thread at work, or goes back to its last commit, has heard of some of its inputs before the others. What is queued
/// of an input may be used up within a turn, so that its end must be known before.
fn note_ends(task: &mut Task, fetcher: &dyn LogConsumer) {
    let inputs: Vec<TopicPartition> = task.input_partitions().collect();
    for (source, input) in inputs.iter().enumerate() {
        task.set_end(source, fetcher.known_end(input));
    }
}
