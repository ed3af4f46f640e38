//! The tasks of an application, numbered as the partitions of its tasks topic.

use std::collections::BTreeMap;
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
    tasks: Vec<(Arc<Subtopology>, i32)>,
}

impl TaskList {
    /// The tasks of a topology on these topics.
    pub fn new(topology: &Topology, topics: &BTreeMap<String, TopicConfig>) -> Self {
        let tasks = partitioning::task_list(topology, topics);
        TaskList { topic: Arc::from(requirements::tasks_topic(topology)), tasks }
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
