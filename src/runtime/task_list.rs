//! The tasks of an application, numbered as the partitions of its tasks topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::log::TopicConfig;
use crate::record::TopicPartition;
use crate::task::TaskId;
use crate::topology::plan::{Subtopology, Topology};
use crate::topology::{partitioning, requirements};

/// All tasks of an application; task *n* belongs to whoever owns partition *n* of the tasks topic.
#[derive(Clone, Debug)]
pub struct TaskList {
    topic: Arc<str>,
    /// How many partitions that topic has.
    partitions: i32,
    tasks: Vec<(Arc<Subtopology>, i32)>,
}

impl TaskList {
    /// The tasks of a topology on these topics.
    pub fn new(topology: &Topology, topics: &BTreeMap<String, TopicConfig>) -> Self {
        let tasks = partitioning::task_list(topology, topics);
        let topic = requirements::tasks_topic(topology);
        let partitions = topics.get(&topic).map_or(0, |config| config.partitions);
        TaskList { topic: Arc::from(topic), partitions, tasks }
    }

    /// Whether both have the same tasks, each by the same partition of the same number.
    pub fn has_tasks_of(&self, other: &TaskList) -> bool {
        let tasks = |list: &TaskList| -> Vec<(usize, i32)> {
            list.tasks.iter().map(|(subtopology, partition)| (subtopology.id, *partition)).collect()
        };
        self.partitions == other.partitions && tasks(self) == tasks(other)
    }

    /// Whether a partition of the tasks topic was there when the list was made. One that stands for no task is left over
    /// from when there were more; one that has been added since stands for a task of somebody else's list.
    pub fn knows(&self, partition: &TopicPartition) -> bool {
        partition.partition < self.partitions
    }

    /// The topic whose partitions stand for the tasks.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The task that a partition of the tasks topic stands for.
    pub fn get(&self, partition: &TopicPartition) -> Option<(&Arc<Subtopology>, i32)> {
        let index = usize::try_from(partition.partition).ok()?;
        self.tasks.get(index).map(|(subtopology, partition)| (subtopology, *partition))
    }

    /// The task that a partition of the tasks topic stands for, by name.
    pub fn id(&self, partition: &TopicPartition) -> Option<TaskId> {
        let (subtopology, partition) = self.get(partition)?;
        Some(TaskId { subtopology: subtopology.id, partition })
    }

    /// The tasks that stand for none of these partitions.
    pub fn not_among(&self, owned: &BTreeSet<TopicPartition>) -> BTreeSet<TaskId> {
        let partitions = (0..self.tasks.len()).filter_map(|number| i32::try_from(number).ok());
        let partitions = partitions.map(|number| TopicPartition::new(self.topic.clone(), number));
        partitions.filter(|partition| !owned.contains(partition)).filter_map(|partition| self.id(&partition)).collect()
    }

    /// Of the topics that tasks read, the one with the fewest partitions.
    pub fn smallest_input(&self) -> Option<Arc<str>> {
        let mut partitions: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        for input in self.inputs() {
            let most = partitions.entry(input.topic).or_default();
            *most = (*most).max(input.partition);
        }
        partitions.into_iter().min_by_key(|(_, last)| *last).map(|(topic, _)| topic)
    }

    /// Every input partition of every task.
    pub fn inputs(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.tasks.iter().flat_map(|(subtopology, partition)| {
            subtopology.sources.iter().map(|source| TopicPartition::new(source.topic.clone(), *partition))
        })
    }

    /// Every partition of the repartition topics.
    pub fn internal_inputs(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.tasks.iter().flat_map(|(subtopology, partition)| {
            let internal = subtopology.sources.iter().filter(|source| source.internal);
            internal.map(|source| TopicPartition::new(source.topic.clone(), *partition))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::serdes::SchemaRegistry;
    use crate::topology::{PlanOptions, load};

    /// The tasks of a topology of two parts, on topics with so many partitions.
    fn list(a: i32, b: i32, tasks: i32) -> TaskList {
        let text = "
topology: two
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  b: {topic: b}
sinks:
  - {from: a, topic: out}
  - {from: b, topic: out}
";
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        let topology = load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let sizes = [("a", a), ("b", b), ("out", 1), ("two-tasks", tasks)];
        TaskList::new(&topology, &sizes.map(|(name, size)| (name.to_owned(), TopicConfig::new(size))).into())
    }

    #[test]
    fn lists_of_one_length_are_not_the_same_tasks() {
        let on = list;
        let list = on(2, 1, 3);
        assert!(list.has_tasks_of(&on(2, 1, 3)));
        assert!(list.len() == on(1, 2, 3).len() && !list.has_tasks_of(&on(1, 2, 3)), "others");
        assert!(!list.has_tasks_of(&on(2, 1, 4)), "partitions were added by somebody who has more tasks");
        let known = |number| list.knows(&TopicPartition::new("two-tasks", number));
        assert_eq!((known(2), known(3)), (true, false));
    }

    #[test]
    fn tasks_are_nobodys_whose_partitions_are_not_owned() {
        let list = list(3, 1, 9);
        let owned = |numbers: &[i32]| numbers.iter().map(|number| TopicPartition::new("two-tasks", *number)).collect();
        let names = |tasks: BTreeSet<TaskId>| tasks.iter().map(TaskId::to_string).collect::<Vec<_>>();
        assert_eq!(names(list.not_among(&owned(&[0, 1, 2, 3]))), [""; 0], "five partitions stand for no task");
        assert_eq!(names(list.not_among(&owned(&[1, 8]))), ["0_0", "0_2", "1_0"]);
        let elsewhere = (0..4).map(|number| TopicPartition::new("a", number)).collect();
        assert_eq!(list.not_among(&elsewhere).len(), 4, "partitions of another topic are no tasks");
        assert_eq!(list.smallest_input().as_deref(), Some("b"));
    }
}
