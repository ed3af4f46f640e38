//! What the threads of an application share with each other and with whoever watches them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::RuntimeError;
use super::board::Board;
use super::holding::Holding;
use super::topic_watch::TopicsSeen;
use crate::log::Waker;
use crate::metrics::Counters;
use crate::record::TopicPartition;
use crate::task::TaskId;

/// What the threads of an application share.
#[derive(Default)]
pub(super) struct Shared {
    stopping: AtomicBool,
    counters: Mutex<Counters>,
    failure: Mutex<Option<RuntimeError>>,
    /// By thread, what ends its waiting.
    wakers: Mutex<BTreeMap<String, Vec<Waker>>>,
    /// Commits so far; `changed` is signalled at each, and when the application stops.
    commits: Mutex<u64>,
    changed: Condvar,
    /// Shared by those who restore tasks, held alone by who cleans: a restore that has read a record must also find
    /// the tombstone that came after it.
    restoring: RwLock<()>,
    /// The tasks that have been opened, and so restored, since the start.
    opened: Mutex<BTreeSet<TaskId>>,
    /// The tasks that threads of this process own, with how many of them: one may be giving up what another takes on.
    claimed: Mutex<BTreeMap<TaskId, usize>>,
    /// By partition of a repartition topic, up to where it has been read and committed.
    consumed: Mutex<BTreeMap<TopicPartition, i64>>,
    /// What each thread shows, by number.
    boards: Mutex<Vec<Arc<Board>>>,
    /// The tasks on the topics that there are by now, if these have changed since the start.
    topics: Mutex<Option<Arc<TopicsSeen>>>,
    /// The number of that change; 0: none.
    topics_changed: AtomicU64,
    /// How often threads have joined the group.
    joins: AtomicU64,
    /// The tasks that wait for a schema, where others wait with them.
    pub(super) holding: Holding,
    /// How many threads have ended.
    ended: Mutex<usize>,
    one_ended: Condvar,
}

/// Counts a thread as ended when it is dropped, in whatever manner that comes.
pub(super) struct Running(pub(super) Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        *lock(&self.0.ended) += 1;
        self.0.one_ended.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Whether the threads are to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Tells all threads to end, and ends their waiting.
    pub(super) fn stop(&self) {
        let commits = lock(&self.commits);
        self.stopping.store(true, Ordering::Release);
        self.changed.notify_all();
        drop(commits);
        lock(&self.wakers).values().flatten().for_each(|wake| wake());
    }

    /// Keeps the first failure and stops all threads: what one thread cannot do, none of the others could.
    pub(super) fn fail(&self, error: RuntimeError) {
        lock(&self.failure).get_or_insert(error);
        self.stop();
    }

    /// Takes the first failure, if there was one.
    pub(super) fn take_failure(&self) -> Option<RuntimeError> {
        lock(&self.failure).take()
    }

    /// Keeps what ends the waiting of a thread, in place of what did before.
    pub(super) fn register(&self, thread: &str, wakers: Vec<Waker>) {
        if self.is_stopping() {
            wakers.iter().for_each(|wake| wake());
        }
        lock(&self.wakers).insert(thread.to_owned(), wakers);
        // Who stopped in between may not have seen them.
        if self.is_stopping() {
            lock(&self.wakers).values().flatten().for_each(|wake| wake());
        }
    }

    /// Ends the waiting of a thread.
    pub(super) fn wake(&self, thread: &str) {
        let wakers = lock(&self.wakers).get(thread).cloned().unwrap_or_default();
        wakers.iter().for_each(|wake| wake());
    }

    /// Ends the waiting of all threads.
    pub(super) fn wake_all(&self) {
        let wakers: Vec<Waker> = lock(&self.wakers).values().flatten().cloned().collect();
        wakers.iter().for_each(|wake| wake());
    }

    /// Waits until `threads` have ended, up to `timeout`. Returns whether they have.
    pub(super) fn wait_for_end(&self, threads: usize, timeout: Duration) -> bool {
        let waited = self.one_ended.wait_timeout_while(lock(&self.ended), timeout, |ended| *ended < threads);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= threads
    }

    /// Adds what a thread shows.
    pub(super) fn add_board(&self, board: Arc<Board>) {
        lock(&self.boards).push(board);
    }

    /// Has the threads go on with other topics, and ends their waiting.
    pub(super) fn show_topics(&self, seen: TopicsSeen) {
        let number = seen.number;
        *lock(&self.topics) = Some(Arc::new(seen));
        self.topics_changed.store(number, Ordering::Release);
        lock(&self.wakers).values().flatten().for_each(|wake| wake());
    }

    /// The tasks on the topics that there are by now, if these have changed since the start.
    pub(super) fn topics(&self) -> Option<Arc<TopicsSeen>> {
        lock(&self.topics).clone()
    }

    /// As [`Shared::topics`], for who knows of the changes up to a number.
    pub(super) fn topics_since(&self, number: u64) -> Option<Arc<TopicsSeen>> {
        if self.topics_changed.load(Ordering::Acquire) == number { None } else { self.topics() }
    }

    /// What the threads show.
    pub(super) fn boards(&self) -> Vec<Arc<Board>> {
        lock(&self.boards).clone()
    }

    /// Notes that a thread has joined the group, as a member that is new to this process.
    pub(super) fn joined(&self) {
        self.joins.fetch_add(1, Ordering::Relaxed);
    }

    /// How often threads have joined the group.
    pub(super) fn joins(&self) -> u64 {
        self.joins.load(Ordering::Relaxed)
    }

    /// Notes that a thread owns a task: from when it is told until its stores are closed.
    pub(super) fn claim(&self, task: TaskId) {
        *lock(&self.claimed).entry(task).or_default() += 1;
    }

    /// Notes that a thread does not own a task any more.
    pub(super) fn release(&self, task: TaskId) {
        let mut claimed = lock(&self.claimed);
        if let Some(owners) = claimed.get_mut(&task) {
            *owners -= 1;
            if *owners == 0 {
                claimed.remove(&task);
            }
        }
    }

    /// Whether a thread of this process owns the task.
    pub(super) fn is_claimed(&self, task: TaskId) -> bool {
        lock(&self.claimed).contains_key(&task)
    }

    /// Notes up to where partitions of repartition topics have been read and committed.
    pub(super) fn consumed(&self, offsets: impl Iterator<Item = (TopicPartition, i64)>) {
        lock(&self.consumed).extend(offsets);
    }

    /// Takes out what was noted of repartition topics since the last call.
    pub(super) fn take_consumed(&self) -> BTreeMap<TopicPartition, i64> {
        std::mem::take(&mut *lock(&self.consumed))
    }

    /// Adds what a commit has counted, and tells those who wait for commits.
    pub(super) fn committed(&self, counters: &Counters) {
        lock(&self.counters).add(counters);
        *lock(&self.commits) += 1;
        self.changed.notify_all();
    }

    /// What was counted so far.
    pub(super) fn counters(&self) -> Counters {
        lock(&self.counters).clone()
    }

    /// How many commits there were.
    pub(super) fn commits(&self) -> u64 {
        *lock(&self.commits)
    }

    /// Waits until there were more commits than `seen`, the application stops or `timeout` has passed.
    pub(super) fn wait_for_commit(&self, seen: u64, timeout: Duration) {
        self.wait_while(timeout, |commits| commits == seen);
    }

    /// Waits until the application stops or `timeout` has passed.
    pub(super) fn wait_for_stop(&self, timeout: Duration) {
        self.wait_while(timeout, |_| true);
    }

    fn wait_while(&self, timeout: Duration, condition: impl Fn(u64) -> bool) {
        let commits = lock(&self.commits);
        let waits = |commits: &mut u64| !self.is_stopping() && condition(*commits);
        drop(self.changed.wait_timeout_while(commits, timeout, waits));
    }

    /// Notes that a task was opened, its state restored to the last commit.
    pub(super) fn opened(&self, task: TaskId) {
        lock(&self.opened).insert(task);
    }

    /// How many different tasks have been opened.
    pub(super) fn tasks_opened(&self) -> usize {
        lock(&self.opened).len()
    }

    /// To be held while a task is restored; waits for a cleaning under way.
    pub(super) fn restoring(&self) -> RwLockReadGuard<'_, ()> {
        self.restoring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while the log is cleaned; `None` while tasks are restored.
    pub(super) fn cleaning(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.restoring.try_write().ok()
    }
}
