//! How many partitions each topic of an application has, and how many tasks each sub-topology.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{StoreId, Subtopology, Topic, TopicRole, Topology, Verb};
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
    // A repartition topic takes over the partitions of what its records are to meet, else of what is written to
    // it; chains need as many rounds as they have links.
    for _ in 0..=topology.subtopologies.len() {
        for subtopology in &topology.subtopologies {
            follow_partners(subtopology, &mut topics);
        }
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

/// Gives repartition topics that have no number of partitions yet the number of the sources that they must be
/// co-partitioned with, where these have one.
fn follow_partners(subtopology: &Subtopology, topics: &mut BTreeMap<String, TopicConfig>) {
    let groups = co_partitioned(subtopology);
    for (position, source) in subtopology.sources.iter().enumerate() {
        if topics.get(&*source.topic).is_none_or(|config| config.partitions != 0) {
            continue;
        }
        let partners = groups.iter().filter(|group| group.contains(&position)).flatten();
        let counts = partners.filter_map(|partner| topics.get(&*subtopology.sources.get(*partner)?.topic));
        let most = counts.map(|config| config.partitions).max().unwrap_or(0);
        if let Some(config) = topics.get_mut(&*source.topic) {
            config.partitions = most;
        }
    }
}

/// The groups of sources whose records of one key must meet in one task: those that reach the same node with
/// state, directly or through the store of a table that it looks up. By position among the sources.
fn co_partitioned(subtopology: &Subtopology) -> Vec<BTreeSet<usize>> {
    let mut reaching: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); subtopology.nodes.len()];
    for (position, source) in subtopology.sources.iter().enumerate() {
        for edge in &source.outputs {
            if let Some(sources) = reaching.get_mut(edge.node) {
                sources.insert(position);
            }
        }
    }
    let mut filled_by: BTreeMap<StoreId, BTreeSet<usize>> = BTreeMap::new();
    for (position, node) in subtopology.nodes.iter().enumerate() {
        let sources = reaching.get(position).cloned().unwrap_or_default();
        for edge in node.outputs.iter().flatten() {
            if let Some(reached) = reaching.get_mut(edge.node) {
                reached.extend(&sources);
            }
        }
        match &node.verb {
            Verb::ToTable { store, .. } => filled_by.entry(*store).or_default().extend(&sources),
            Verb::Aggregate(aggregate) => filled_by.entry(aggregate.store).or_default().extend(&sources),
            _ => {}
        }
    }
    let of_node = |(verb, mut sources): (&Verb, BTreeSet<usize>)| match verb {
        Verb::StreamTableJoin { table, .. } => {
            sources.extend(filled_by.get(table).into_iter().flatten());
            Some(sources)
        }
        Verb::ToTable { .. } | Verb::Aggregate(_) | Verb::TableTableJoin { .. } => Some(sources),
        _ => None,
    };
    subtopology.nodes.iter().map(|node| &node.verb).zip(reaching).filter_map(of_node).collect()
}

/// Sources whose records never meet in state may have any numbers of partitions.
fn check_co_partitioning(
    subtopology: &Subtopology,
    topics: &BTreeMap<String, TopicConfig>,
) -> Result<(), PartitioningError> {
    for group in co_partitioned(subtopology) {
        let mut first: Option<(&str, i32)> = None;
        for source in group.iter().filter_map(|position| subtopology.sources.get(*position)) {
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
    }
    Ok(())
}

/// The topics that the engine itself may create and delete.
pub fn is_internal(topic: &Topic) -> bool {
    matches!(topic.role, TopicRole::Repartition | TopicRole::Changelog)
}
