//! Work beside the stream: deleting what repartition topics and retention no longer need, and the state of tasks that
//! have moved away, and looking for topics that match patterns and for tasks that nobody owns.

use std::collections::BTreeMap;
use std::time::Duration;

use super::connections::ThreadParts;
use super::group_watch::GroupWatch;
use super::topic_watch::TopicWatch;
use crate::error::{Classified, ErrorClass};
use crate::record::TopicPartition;
use crate::task::TaskId;

/// The shortest time between two rounds, and between two attempts while tasks are restored.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest time for which nobody looks at the clock.
const LONGEST: Duration = Duration::from_secs(60);

/// What maintenance remembers between its rounds.
pub(super) struct Maintenance {
    parts: ThreadParts,
    /// Where there are patterns.
    watch: Option<TopicWatch>,
    /// Where members are static.
    group: Option<GroupWatch>,
    cleaned_at: Duration,
    purged_at: Duration,
    /// Of repartition topics, up to where they are read and not purged yet.
    purgeable: BTreeMap<TopicPartition, i64>,
    /// Up to where they were purged.
    purged: BTreeMap<TopicPartition, i64>,
    /// Whether the last attempt to purge failed: what goes on failing is told once.
    purge_fails: bool,
    /// Since when a task's state has had no owner in this process.
    unowned_since: BTreeMap<TaskId, Duration>,
}

impl Maintenance {
    /// Nothing has been done yet.
    pub(super) fn new(parts: ThreadParts, watch: Option<TopicWatch>) -> Maintenance {
        let now = parts.clock.elapsed();
        let group = parts.options.static_membership.then(|| GroupWatch::new(now));
        Maintenance {
            parts,
            watch,
            group,
            cleaned_at: now,
            purged_at: now,
            purgeable: BTreeMap::new(),
            purged: BTreeMap::new(),
            purge_fails: false,
            unowned_since: BTreeMap::new(),
        }
    }

    /// Does what is due, until the application stops.
    pub(super) fn run(mut self) {
        let shared = self.parts.shared.clone();
        while !shared.is_stopping() {
            let options = &self.parts.options;
            let (clean, purge, keep) = (options.clean_interval, options.purge_interval, options.state_cleanup_delay);
            let now = self.parts.clock.elapsed();
            let left = |at: Duration, interval: Duration| interval.saturating_sub(now.saturating_sub(at));
            let refresh = options.topics_refresh;
            let look = self.watch.as_ref().map_or(LONGEST, |watch| watch.until_next(now, refresh));
            let group = self.group.as_ref().map_or(LONGEST, |group| group.until_next(now));
            let next = left(self.cleaned_at, clean).min(left(self.purged_at, purge)).min(keep).min(look).min(group);
            shared.wait_for_stop(next.clamp(SHORTEST, LONGEST));
            let now = self.parts.clock.elapsed();
            if shared.is_stopping() {
                return;
            }
            if let Some(watch) = &mut self.watch
                && watch.until_next(now, refresh).is_zero()
            {
                watch.look(&self.parts, now);
            }
            if let Some(group) = &mut self.group
                && group.is_due(now)
            {
                group.look(&self.parts, now);
            }
            let is_due = |at: Duration, interval: Duration| now.saturating_sub(at) >= interval;
            let clean_is_due = is_due(self.cleaned_at, clean);
            if clean_is_due || is_due(self.purged_at, purge) {
                self.purge(now);
            }
            if clean_is_due {
                self.clean(now);
            }
            self.remove_unowned(now);
        }
    }

    /// Deletes what all readers of repartition topics have committed: there is one, the task that these partitions are
    /// the input of, so what this process has committed is enough to know.
    fn purge(&mut self, now: Duration) {
        self.purged_at = now;
        self.purgeable.extend(self.parts.shared.take_consumed());
        let admin = self.parts.log.admin();
        let (mut failed, mut away) = (false, false);
        for (partition, offset) in std::mem::take(&mut self.purgeable) {
            if self.purged.get(&partition).copied().unwrap_or(0) >= offset {
                continue;
            }
            if away {
                self.purgeable.insert(partition, offset);
                continue;
            }
            match admin.delete_records(&partition, offset) {
                Ok(()) => {
                    self.purged.insert(partition, offset);
                }
                // Nothing is wrong but that it takes up space.
                Err(error) => {
                    match self.purge_fails || failed {
                        true => tracing::debug!(%partition, offset, %error, "what is read could not be deleted"),
                        false => tracing::warn!(
                            %partition, offset, %error,
                            "what is read could not be deleted; this is tried again, and not told again until it works"
                        ),
                    }
                    failed = true;
                    // One wait for a log that does not answer is enough.
                    away = error.class() == ErrorClass::Retry;
                    self.purgeable.insert(partition, offset);
                }
            }
        }
        self.purge_fails = failed;
    }

    fn clean(&mut self, now: Duration) {
        let Some(_cleaning) = self.parts.shared.cleaning() else { return };
        self.cleaned_at = now;
        if let Err(error) = self.parts.log.admin().clean(self.parts.clock.now()) {
            tracing::warn!(%error, "the log could not be cleaned; it is tried again at the next interval");
        }
    }

    /// Removes the state of tasks that have been somebody else's for long. What comes back sooner finds its state and has
    /// only the tail to restore. What is open is refused by the directory, whatever is believed here.
    fn remove_unowned(&mut self, now: Duration) {
        let state = &self.parts.opener.state;
        let tasks = match state.tasks() {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::warn!(%error, "the state directory could not be looked through");
                return;
            }
        };
        // Other directories are not ours to touch.
        let tasks: Vec<TaskId> = tasks.iter().filter_map(|name| name.parse().ok()).collect();
        self.unowned_since.retain(|task, _| tasks.contains(task));
        for task in tasks {
            if self.parts.shared.is_claimed(task) {
                self.unowned_since.remove(&task);
                continue;
            }
            let since = *self.unowned_since.entry(task).or_insert(now);
            if now.saturating_sub(since) < self.parts.options.state_cleanup_delay {
                continue;
            }
            match state.remove_task(&task.to_string()) {
                Ok(()) => {
                    tracing::info!(%task, path = %state.path().display(), "removed the state of a task that moved away")
                }
                Err(error) if error.class() == ErrorClass::Retry => {}
                Err(error) => tracing::warn!(%task, %error, "the state of a task that moved away could not be removed"),
            }
        }
    }
}
