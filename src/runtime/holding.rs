//! Which tasks wait for a schema, where the others of their sub-topology are to wait with them.
//!
//! Windows over a repartition topic close by the records of all tasks that write to it. While one of these waits, the others
//! would carry the time on, and what it has would come late.
//!
//! A task waits until its thread has come to the very record and could read it. That a task has gone back to its last
//! commit, is being opened anew, or is on its way to another thread says nothing of its record: it waits all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::source::Sight;
use crate::task::TaskId;

/// For how long a task that no thread of this process owns counts as on its way to one. After that it is another process's,
/// which is not told of.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// The tasks of an application in this process that wait for a schema.
#[derive(Default)]
pub(super) struct Holding(Mutex<BTreeMap<TaskId, Waiting>>);

/// A task that waits.
struct Waiting {
    /// The topics of which a record does, with its offset.
    topics: BTreeMap<Arc<str>, i64>,
    /// Whether the next record of some topic does: then there is nothing before it to be done again.
    is_there: bool,
    /// Since when no thread owns it.
    unowned: Option<Duration>,
}

/// Which tasks wait, at one moment, and whether they have come to their record.
#[derive(Default)]
pub(super) struct Held(BTreeMap<TaskId, bool>);

impl Held {
    /// Whether a task has nothing to do: it has come to a record that waits, or waits with another task. One that has gone
    /// back does again what comes before its record.
    pub(super) fn holds_back(&self, task: TaskId) -> bool {
        let with_another = || self.0.keys().any(|held| held.subtopology == task.subtopology);
        self.0.get(&task).copied().unwrap_or_else(with_another)
    }

    /// Whether a task does again what comes before its record. It must not go past it: others may wait for theirs.
    pub(super) fn goes_over(&self, task: TaskId) -> bool {
        self.0.get(&task).is_some_and(|is_there| !is_there)
    }
}

impl Holding {
    /// Notes what a thread sees of the tasks that it has open, of each topic that they read. `is_owned`: whether some thread
    /// of this process owns a task. Returns which tasks wait, and whether some sub-topology has none any more: then others may go
    /// on.
    pub(super) fn note<'a, I: Iterator<Item = (&'a Arc<str>, Sight)>>(
        &self,
        seen: impl Iterator<Item = (TaskId, I)>,
        is_owned: impl Fn(TaskId) -> bool,
        now: Duration,
    ) -> (Held, bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = subtopologies(&noted);
        for (task, topics) in seen {
            let known = noted.remove(&task).map(|waiting| waiting.topics).unwrap_or_default();
            let mut is_there = false;
            let waits = |(topic, sight): (&Arc<str>, Sight)| {
                let known = known.get(topic).copied();
                is_there |= matches!(sight, Sight::Held(_));
                let offset = match sight {
                    Sight::Held(offset) => known.max(Some(offset)),
                    Sight::Readable(offset) => known.filter(|known| offset < *known),
                    Sight::Empty => None,
                    Sight::Unknown => known,
                };
                Some((topic.clone(), offset?))
            };
            let topics: BTreeMap<Arc<str>, i64> = topics.filter_map(waits).collect();
            if !topics.is_empty() {
                noted.insert(task, Waiting { topics, is_there, unowned: None });
            }
        }
        noted.retain(|task, waiting| {
            if is_owned(*task) {
                waiting.unowned = None;
                return true;
            }
            now.saturating_sub(*waiting.unowned.get_or_insert(now)) < ON_ITS_WAY
        });
        let is_less = !before.is_subset(&subtopologies(&noted));
        (Held(noted.iter().map(|(task, waiting)| (*task, waiting.is_there)).collect()), is_less)
    }
}

fn subtopologies(noted: &BTreeMap<TaskId, Waiting>) -> BTreeSet<usize> {
    noted.keys().map(|task| task.subtopology).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread has open: a task's sub-topology and partition, and what it sees of its topics.
    type Seen<'a> = &'a [(usize, i32, &'a [(&'a str, Sight)])];

    /// Of which sub-topologies other tasks wait then, and whether that has become less.
    fn note(holding: &Holding, seen: Seen<'_>, owned: bool, seconds: u64) -> (Vec<usize>, bool) {
        let seen = seen.iter().map(|(subtopology, partition, topics)| {
            let topics = topics.iter().map(|(topic, sight)| (Arc::<str>::from(*topic), *sight));
            (TaskId { subtopology: *subtopology, partition: *partition }, topics.collect::<Vec<_>>())
        });
        let seen = seen.collect::<Vec<_>>();
        let seen = seen.iter().map(|(task, topics)| (*task, topics.iter().map(|(topic, sight)| (topic, *sight))));
        let (held, is_less) = holding.note(seen, |_| owned, Duration::from_secs(seconds));
        let waits = |subtopology: &usize| held.holds_back(TaskId { subtopology: *subtopology, partition: 99 });
        ((0..3).filter(waits).collect(), is_less)
    }

    #[test]
    fn a_task_that_has_gone_back_may_do_again_what_comes_before_its_record_and_no_more() {
        let task = |partition| TaskId { subtopology: 1, partition };
        let held = Held(BTreeMap::from([(task(1), true), (task(2), false)]));
        assert_eq!([1, 2, 3].map(|partition| held.holds_back(task(partition))), [true, false, true]);
        assert_eq!([1, 2, 3].map(|partition| held.goes_over(task(partition))), [false, true, false]);
        assert!(!held.holds_back(TaskId { subtopology: 0, partition: 3 }));

        let (holding, topic) = (Holding::default(), Arc::from("a"));
        for (sight, goes_over, holds_back) in [
            (Sight::Held(5), false, true),
            (Sight::Unknown, true, false),
            (Sight::Readable(4), true, false),
            (Sight::Held(5), false, true),
            (Sight::Readable(5), false, false),
        ] {
            let seen = [(task(1), [(&topic, sight)].into_iter())];
            let (held, _) = holding.note(seen.into_iter(), |_| true, Duration::ZERO);
            assert_eq!((held.goes_over(task(1)), held.holds_back(task(1))), (goes_over, holds_back), "{sight:?}");
        }
    }

    #[test]
    fn a_sub_topology_is_held_as_long_as_any_thread_has_a_task_of_it_that_waits() {
        let holding = Holding::default();
        let note = |seen: Seen<'_>| note(&holding, seen, true, 0);
        let (waits, goes_on): (&[_], &[_]) = (&[("a", Sight::Held(5))], &[("a", Sight::Readable(5))]);
        assert_eq!(note(&[(0, 1, waits), (2, 1, waits)]), (vec![0, 2], false));
        assert_eq!(note(&[(0, 2, waits)]), (vec![0, 2], false), "another thread has other tasks");
        assert_eq!(note(&[(0, 1, goes_on), (2, 1, &[("a", Sight::Empty)])]), (vec![0], true));
        assert_eq!(note(&[(0, 2, goes_on)]), (vec![], true));
        assert_eq!(note(&[(0, 2, goes_on)]), (vec![], false));
    }

    #[test]
    fn a_task_waits_until_its_record_is_seen_again_and_can_be_read() {
        let holding = Holding::default();
        let note = |topics: &[(&str, Sight)]| note(&holding, &[(0, 1, topics)], true, 0);
        assert_eq!(note(&[("a", Sight::Unknown), ("b", Sight::Held(5))]), (vec![0], false));
        assert_eq!(note(&[("a", Sight::Readable(9)), ("b", Sight::Unknown)]), (vec![0], false), "it has gone back");
        assert_eq!(note(&[("a", Sight::Empty), ("b", Sight::Readable(3))]), (vec![0], false), "to a record before it");
        assert_eq!(note(&[("a", Sight::Empty), ("b", Sight::Held(3))]), (vec![0], false));
        assert_eq!(note(&[("a", Sight::Empty), ("b", Sight::Readable(4))]), (vec![0], false));
        assert_eq!(
            note(&[("a", Sight::Unknown), ("b", Sight::Readable(5))]),
            (vec![], true),
            "the other one never waited"
        );
        assert_eq!(note(&[("b", Sight::Held(7))]), (vec![0], false));
        assert_eq!(note(&[("a", Sight::Unknown)]), (vec![], true), "a topic that it reads no longer");
    }

    #[test]
    fn a_task_that_is_being_opened_or_on_its_way_to_another_thread_waits() {
        let holding = Holding::default();
        assert_eq!(note(&holding, &[(0, 1, &[("a", Sight::Held(5))])], true, 0), (vec![0], false));
        assert_eq!(note(&holding, &[], true, 100), (vec![0], false), "it is being opened");
        assert_eq!(note(&holding, &[], false, 110), (vec![0], false), "it is given up");
        assert_eq!(note(&holding, &[], false, 139), (vec![0], false));
        assert_eq!(note(&holding, &[], true, 150), (vec![0], false), "another thread has it by now");
        assert_eq!(note(&holding, &[(0, 1, &[("a", Sight::Unknown)])], true, 160), (vec![0], false));
        assert_eq!(note(&holding, &[], false, 200), (vec![0], false));
        assert_eq!(note(&holding, &[], false, 230), (vec![], true), "it is another process's");
    }
}
