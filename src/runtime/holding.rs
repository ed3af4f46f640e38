//! Which tasks wait for a schema, where the others of their sub-topology are to wait with them.
//!
//! Windows over a repartition topic close by the records of all tasks that write to it. While one of these waits, the others
//! would carry the time on, and what it has would come late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::task::TaskId;

/// The tasks of an application in this process that wait for a schema, by thread.
#[derive(Default)]
pub(super) struct Holding(Mutex<BTreeMap<String, BTreeSet<TaskId>>>);

impl Holding {
    /// Notes which tasks of a thread wait. Returns the sub-topologies of which some task waits, and whether that has become
    /// less: then others may go on.
    pub(super) fn note(&self, thread: &str, waiting: BTreeSet<TaskId>) -> (BTreeSet<usize>, bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = subtopologies(&noted);
        if waiting.is_empty() {
            noted.remove(thread);
        } else {
            noted.insert(thread.to_owned(), waiting);
        }
        let after = subtopologies(&noted);
        let is_less = !before.is_subset(&after);
        (after, is_less)
    }
}

fn subtopologies(noted: &BTreeMap<String, BTreeSet<TaskId>>) -> BTreeSet<usize> {
    noted.values().flatten().map(|task| task.subtopology).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_topology_is_held_as_long_as_any_thread_has_a_task_of_it_that_waits() {
        let holding = Holding::default();
        let tasks = |tasks: &[(usize, i32)]| -> BTreeSet<TaskId> {
            tasks
                .iter()
                .map(|(subtopology, partition)| TaskId { subtopology: *subtopology, partition: *partition })
                .collect()
        };
        assert_eq!(holding.note("a", tasks(&[(0, 1), (2, 1)])), (BTreeSet::from([0, 2]), false));
        assert_eq!(holding.note("b", tasks(&[(0, 2)])), (BTreeSet::from([0, 2]), false));
        assert_eq!(holding.note("a", tasks(&[])), (BTreeSet::from([0]), true));
        assert_eq!(holding.note("b", tasks(&[])), (BTreeSet::new(), true));
        assert_eq!(holding.note("b", tasks(&[])), (BTreeSet::new(), false));
    }
}
