//! How many partitions each topic of an application has, and how many tasks each sub-topology.

use std::collections::BTreeMap;

use super::plan::{Subtopology, Topic, TopicRole, Topology, Verb};
use crate::log::TopicConfig;

/// Why an application cannot run on the topics that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitioningError {
    /// Inputs that are joined, or share state, differ in their numbers of partitions.
    #[error(
        "`{left}` has {left_partitions} partitions and `{right}` has {right_partitions}, but records of both with the same \
         key must meet in one task; give both the same number, or put a `repartition` step between"
    )]
    NotCoPartitioned {
        /// One input.
        left: String,
        /// Its partitions.
        left_partitions: i32,
        /// The other input.
        right: String,
        /// Its partitions.
        right_partitions: i32,
    },
}

/// The topics as they are to be, by name: those that exist as they are, the others as the topology says, with
/// the partitions of internal topics following the inputs that they derive from.
pub fn resolve(
    topology: &Topology,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<BTreeMap<String, TopicConfig>, PartitioningError> {
    let mut topics: BTreeMap<String, TopicConfig> = topology
        .topics
        .iter()
        .map(|topic| (topic.name.clone(), existing.get(&topic.name).unwrap_or(&topic.config).clone()))
        .collect();
    // A repartition topic takes over the partitions of what is written to it; chains need as many rounds as
    // they have links.
    for _ in 0..=topology.subtopologies.len() {
        for subtopology in &topology.subtopologies {
            let partitions = input_partitions(subtopology, &topics);
            for written in repartition_topics(subtopology) {
                if let Some(config) = topics.get_mut(written).filter(|config| config.partitions == 0) {
                    config.partitions = partitions;
                }
            }
        }
    }
    for subtopology in &topology.subtopologies {
        check_co_partitioning(subtopology, &topics)?;
        let tasks = input_partitions(subtopology, &topics);
        let changelogs = subtopology.stores.iter().filter_map(|store| store.changelog.as_deref());
        for changelog in changelogs {
            if let Some(config) = topics.get_mut(changelog).filter(|config| config.partitions == 0) {
                config.partitions = tasks;
            }
        }
    }
    for config in topics.values_mut() {
        config.partitions = config.partitions.max(1);
    }
    Ok(topics)
}

/// How many tasks a sub-topology has: one for each partition of its inputs.
pub fn tasks(subtopology: &Subtopology, topics: &BTreeMap<String, TopicConfig>) -> i32 {
    input_partitions(subtopology, topics).max(1)
}

fn input_partitions(subtopology: &Subtopology, topics: &BTreeMap<String, TopicConfig>) -> i32 {
    let counts = subtopology.sources.iter().filter_map(|source| topics.get(&*source.topic));
    counts.map(|config| config.partitions).max().unwrap_or(1)
}

fn repartition_topics(subtopology: &Subtopology) -> impl Iterator<Item = &str> {
    subtopology.nodes.iter().filter_map(|node| match &node.verb {
        Verb::Sink(sink) if sink.internal => Some(&*sink.topic),
        _ => None,
    })
}

/// Sub-topologies that keep nothing and join nothing take inputs of any number of partitions.
fn check_co_partitioning(
    subtopology: &Subtopology,
    topics: &BTreeMap<String, TopicConfig>,
) -> Result<(), PartitioningError> {
    if subtopology.stores.is_empty() {
        return Ok(());
    }
    let mut first: Option<(&str, i32)> = None;
    for source in &subtopology.sources {
        let Some(config) = topics.get(&*source.topic).filter(|config| config.partitions > 0) else { continue };
        match first {
            None => first = Some((&source.topic, config.partitions)),
            Some((left, left_partitions)) if left_partitions != config.partitions => {
                return Err(PartitioningError::NotCoPartitioned {
                    left: left.to_owned(),
                    left_partitions,
                    right: source.topic.to_string(),
                    right_partitions: config.partitions,
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The topics that the engine itself may create and delete.
pub fn is_internal(topic: &Topic) -> bool {
    matches!(topic.role, TopicRole::Repartition | TopicRole::Changelog)
}
