//! Tasks that have no owner although their group is at rest, and how they come by one.
//!
//! A cooperative rebalance moves a task in two steps. The first takes it from its owner, who lets go of it and then joins
//! again; that brings about the second, which gives it to somebody else. A static member that is killed in between and is
//! back within its session is given what the first step had left it, and no rebalance takes place (KIP-345). So the
//! second step never comes: the task is nobody's, and its input stands still until something else happens to the group.
//!
//! Where members are static, each process therefore looks from time to time at what the group says is owned. What stays
//! nobody's for longer than it takes to hand a task over gets an owner by a *visitor*: a member of a moment that subscribes
//! to an input instead of the tasks. The group rebalances because it comes, and once more because it goes; it is given no
//! task, and the tasks that have an owner stay where they are and go on. If several processes send one at once, the group
//! is none the worse for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::TaskList;
use super::connections::ThreadParts;
use crate::error::{Classified, ErrorClass};
use crate::log::{LogConsumer, Result};
use crate::metrics;
use crate::task::TaskId;

/// Time between two looks after a thread has joined, and while not all is well.
const SOON: Duration = Duration::from_secs(2);
/// For how long after that.
const FRESH: Duration = Duration::from_secs(30);
/// Time between two looks otherwise.
const LATER: Duration = Duration::from_secs(20);
/// For how long a task is nobody's before something is done about it: longer than its owner needs to close it, and to join
/// again for it to be handed on.
const NOBODYS: Duration = Duration::from_secs(10);
/// Time until the next look after one that failed.
const FAILED: Duration = Duration::from_secs(60);
/// How often a visitor is asked whether it is a member.
const STEP: Duration = Duration::from_millis(100);
/// How long a visitor waits to become one: all others must join as well, and one that gives up a task does so first.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two visits: the shortest, and the longest if they do not help.
const PAUSES: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(900));

/// Looks after the group of an application whose members are static.
pub(super) struct GroupWatch {
    looked_at: Duration,
    /// How often threads had joined by the last look, and when that last changed.
    joins: (u64, Duration),
    tasks: Unowned,
    visit: Option<Visit>,
    /// Whether the group could not be looked at.
    failed: bool,
    /// What was said last of why the group could not be looked at: it is said once.
    said: Option<String>,
}

/// A member of a moment.
struct Visit {
    member: Box<dyn LogConsumer>,
    since: Duration,
}

impl GroupWatch {
    /// Nothing has been looked at yet.
    pub(super) fn new(now: Duration) -> GroupWatch {
        let tasks = Unowned::default();
        GroupWatch { looked_at: now, joins: (0, now), tasks, visit: None, failed: false, said: None }
    }

    /// How long until it has something to do.
    pub(super) fn until_next(&self, now: Duration) -> Duration {
        if self.visit.is_some() {
            return STEP;
        }
        let fresh = now.saturating_sub(self.joins.1) < FRESH;
        let interval = match self.failed {
            true => FAILED,
            false if fresh || !self.tasks.is_well => SOON,
            false => LATER,
        };
        interval.saturating_sub(now.saturating_sub(self.looked_at))
    }

    /// Whether it has something to do.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.visit.is_some() || self.until_next(now).is_zero()
    }

    /// Looks at the group, or after the visitor that is there.
    pub(super) fn look(&mut self, parts: &ThreadParts, now: Duration) {
        if let Some(visit) = self.visit.take() {
            self.visit = attend(visit, &parts.opener.application, now);
            if self.visit.is_none() {
                // Whether it has helped is soon to be seen.
                (self.looked_at, self.joins.1) = (now, now);
            }
            return;
        }
        self.looked_at = now;
        let joins = parts.shared.joins();
        if self.joins.0 != joins {
            self.joins = (joins, now);
        }
        let seen = parts.shared.topics();
        let tasks = seen.as_ref().map_or(&parts.tasks, |seen| &seen.tasks);
        let unowned = match parts.log.admin().owned_partitions(&parts.opener.application) {
            // One that a thread of this process has not let go of yet is on its way.
            Ok(owned) => owned.map(|owned| {
                let unowned = tasks.not_among(&owned).into_iter();
                unowned.filter(|task| !parts.shared.is_claimed(*task)).collect()
            }),
            Err(error) => {
                // The threads tell of a log that is away.
                let (text, away) = (error.to_string(), error.class() == ErrorClass::Retry);
                if !away && self.said.as_ref() != Some(&text) {
                    tracing::warn!(
                        application = %parts.opener.application, %error,
                        "nobody can look whether each task has an owner; it is tried again"
                    );
                    self.said = Some(text);
                }
                self.failed = true;
                return;
            }
        };
        (self.failed, self.said) = (false, None);
        if let Some(tasks_left) = self.tasks.see(unowned, now) {
            self.visit = send(parts, tasks, &tasks_left, now);
        }
    }
}

/// Has somebody join the group for a moment.
fn send(parts: &ThreadParts, tasks: &TaskList, unowned: &BTreeSet<TaskId>, now: Duration) -> Option<Visit> {
    let application = &parts.opener.application;
    let names: Vec<String> = unowned.iter().map(TaskId::to_string).collect();
    tracing::warn!(
        %application,
        tasks = names.join(", "),
        "tasks have no owner although the group is at rest, as when a static member comes back in the middle of a \
         rebalance; the group is asked to rebalance, and the other tasks go on"
    );
    let visitor = || -> Result<Option<Box<dyn LogConsumer>>> {
        let Some(input) = tasks.smallest_input() else { return Ok(None) };
        // Not a static one: it is to be gone when it goes.
        let mut member = parts.log.member(application, None)?;
        member.subscribe(&[&input])?;
        Ok(Some(member))
    };
    match visitor() {
        Ok(member) => member.map(|member| Visit { member, since: now }),
        Err(error) => {
            tracing::warn!(%application, %error, "the group could not be made to rebalance; it is tried again");
            None
        }
    }
}

/// Lets a visitor take part. `None`: it has gone again, as what it came for is done or does not come about.
fn attend(mut visit: Visit, application: &str, now: Duration) -> Option<Visit> {
    match visit.member.poll(0, Duration::ZERO) {
        Ok(polled) if polled.rebalance.as_ref().is_some_and(|rebalance| !rebalance.assigned.is_empty()) => {
            tracing::info!(application, "the group has rebalanced: tasks that had no owner have one");
            metrics::count_forced_rebalance(application);
            None
        }
        Ok(_) if now.saturating_sub(visit.since) < PATIENCE => Some(visit),
        Ok(_) => {
            tracing::warn!(application, "the group has not rebalanced within {PATIENCE:?}; it is tried again");
            None
        }
        Err(error) => {
            tracing::warn!(application, %error, "the group could not be made to rebalance; it is tried again");
            None
        }
    }
}

/// Which tasks nobody owns, from look to look.
#[derive(Default)]
struct Unowned {
    /// Whether all tasks had an owner at the last look.
    is_well: bool,
    /// Those that had none at the last look, and since when.
    tasks: BTreeMap<TaskId, Duration>,
    /// When the next visit may be, and how long the pause before it was.
    next: Option<(Duration, Duration)>,
}

impl Unowned {
    /// Takes in a look: the tasks without an owner; `None`: the group changes. Returns those for which it is time to do
    /// something: they have had none for long, and the group has not changed meanwhile. One that is on its way has an owner
    /// by then, as a rule, and if it has none, a rebalance does no harm.
    fn see(&mut self, unowned: Option<BTreeSet<TaskId>>, now: Duration) -> Option<BTreeSet<TaskId>> {
        let Some(unowned) = unowned else {
            (self.is_well, self.tasks) = (false, BTreeMap::new());
            return None;
        };
        let before = std::mem::take(&mut self.tasks);
        self.tasks = unowned.into_iter().map(|task| (task, before.get(&task).copied().unwrap_or(now))).collect();
        self.is_well = self.tasks.is_empty();
        if self.is_well {
            self.next = None;
        }
        let long = self.tasks.iter().filter(|(_, since)| now.saturating_sub(**since) >= NOBODYS);
        let still: BTreeSet<TaskId> = long.map(|(task, _)| *task).collect();
        if still.is_empty() || self.next.is_some_and(|(at, _)| now < at) {
            return None;
        }
        let (shortest, longest) = PAUSES;
        let pause = self.next.map_or(shortest, |(_, pause)| (pause * 2).min(longest));
        self.next = Some((now + pause, pause));
        Some(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(partitions: &[i32]) -> BTreeSet<TaskId> {
        partitions.iter().map(|partition| TaskId { subtopology: 0, partition: *partition }).collect()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn something_is_done_about_tasks_that_nobody_owns_for_long() {
        let mut unowned = Unowned::default();
        assert_eq!(unowned.see(Some(tasks(&[1, 2])), at(0)), None, "they may be on their way");
        assert_eq!(unowned.see(Some(tasks(&[2])), at(8)), None, "one has come");
        assert_eq!(unowned.see(None, at(10)), None, "the group changes");
        assert_eq!(unowned.see(Some(tasks(&[2])), at(12)), None, "so it is on its way again");
        assert_eq!(unowned.see(Some(tasks(&[2, 3])), at(20)), None);
        assert!(!unowned.is_well);
        assert_eq!(unowned.see(Some(tasks(&[2, 3])), at(22)), Some(tasks(&[2])));
        assert_eq!(unowned.see(Some(tasks(&[])), at(24)), None);
        assert!(unowned.is_well);
    }

    #[test]
    fn what_does_not_help_is_done_ever_more_seldom_and_what_has_helped_at_once() {
        let mut unowned = Unowned::default();
        let mut done = Vec::new();
        for second in 0..4_000 {
            if unowned.see(Some(tasks(&[1])), at(second)).is_some() {
                done.push(second);
            }
        }
        assert_eq!(done, [10, 30, 70, 150, 310, 630, 1_270, 2_170, 3_070, 3_970]);
        unowned.see(Some(tasks(&[])), at(4_000));
        unowned.see(Some(tasks(&[1])), at(4_001));
        assert_eq!(unowned.see(Some(tasks(&[1])), at(4_011)), Some(tasks(&[1])));
    }

    #[test]
    fn a_group_is_looked_at_often_while_it_is_fresh_or_not_well_and_seldom_else() {
        let mut watch = GroupWatch::new(at(100));
        assert_eq!(watch.until_next(at(101)), at(1));
        (watch.looked_at, watch.tasks.is_well) = (at(140), true);
        assert_eq!(watch.until_next(at(145)), LATER - at(5));
        watch.tasks.is_well = false;
        assert_eq!(watch.until_next(at(141)), SOON - at(1));
        watch.failed = true;
        assert_eq!(watch.until_next(at(141)), FAILED - at(1));
    }
}
