//! How many partitions each topic of an application has, and how many tasks each sub-topology.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Two patterns take one topic.
    #[error(
        "the topic `{topic}` matches the patterns of the sources `{first}` and `{second}`; a topic is read by one source: \
         narrow one of them, or name the topic in a source of its own"
    )]
    Ambiguous {
        /// The topic.
        topic: String,
        /// One source.
        first: String,
        /// The other one.
        second: String,
    },
    /// No topic matches a pattern.
    #[error(
        "no topic matches `{pattern}`, the pattern of the source `{source_name}`, and so it is not known how many tasks \
         there are; create one, or mend the pattern. Left out are topics that the topology names elsewhere, and those \
         whose names end in `-changelog`, `-repartition` or `-tasks`"
    )]
    NothingMatches {
        /// The source.
        source_name: String,
        /// Its pattern.
        pattern: String,
    },
}

/// The topics as they are to be, by name: those that exist as they are, the others as the topology says. An
/// internal topic without a size of its own follows what must have as many partitions: what its reader joins it
/// with, else what is written to it.
pub fn resolve(
    topology: &Topology,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<BTreeMap<String, TopicConfig>, PartitioningError> {
    let mut topics: BTreeMap<String, TopicConfig> = BTreeMap::new();
    for topic in &topology.topics {
        let mut config = existing.get(&topic.name).unwrap_or(&topic.config).clone();
        if !is_internal(topic) {
            config.partitions = config.partitions.max(1);
        }
        topics.insert(topic.name.clone(), config);
    }
    size_repartition_topics(topology, &mut topics);
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

/// Sizes the repartition topics that have no size yet.
fn size_repartition_topics(topology: &Topology, topics: &mut BTreeMap<String, TopicConfig>) {
    let unsized_names: BTreeSet<&str> = topology
        .subtopologies
        .iter()
        .flat_map(|subtopology| repartition_topics(subtopology))
        .filter(|name| topics.get(*name).is_some_and(|config| config.partitions == 0))
        .collect();
    // What must meet inputs whose size is given takes that size.
    let mut open: BTreeSet<&str> = unsized_names.clone();
    for names in groups(topology) {
        let given = names.iter().filter(|name| !unsized_names.contains(*name));
        let given = given.filter_map(|name| topics.get(*name)).map(|config| config.partitions).max().unwrap_or(0);
        for name in names.iter().filter(|name| given > 0 && unsized_names.contains(*name)) {
            set_partitions(topics, name, given);
            open.remove(name);
        }
    }
    // The others follow what is written to them, and what they must meet. Sizes only grow, up to that
    // of the largest given one, so this comes to an end, in chains and circles too.
    let mut changed = true;
    while changed {
        changed = false;
        for subtopology in &topology.subtopologies {
            let partitions = input_partitions(subtopology, topics);
            for written in repartition_topics(subtopology).filter(|name| open.contains(name)) {
                changed |= grow(topics, written, partitions);
            }
        }
        for names in groups(topology) {
            let most = names.iter().filter_map(|name| topics.get(*name)).map(|config| config.partitions).max();
            for name in names.iter().filter(|name| open.contains(*name)) {
                changed |= grow(topics, name, most.unwrap_or(0));
            }
        }
    }
}

fn set_partitions(topics: &mut BTreeMap<String, TopicConfig>, name: &str, partitions: i32) {
    if let Some(config) = topics.get_mut(name) {
        config.partitions = partitions;
    }
}

/// Gives a topic at least so many partitions. Returns whether that changed it.
fn grow(topics: &mut BTreeMap<String, TopicConfig>, name: &str, partitions: i32) -> bool {
    let grows = topics.get(name).is_some_and(|config| config.partitions < partitions);
    if grows {
        set_partitions(topics, name, partitions);
    }
    grows
}

/// The tasks of a topology on these topics: for each, what it runs and its partition. A task reads the inputs that
/// have its partition: of a merge of topics of 4 and 2 partitions, the tasks of partitions 2 and 3 read the first.
pub fn task_list(topology: &Topology, topics: &BTreeMap<String, TopicConfig>) -> Vec<(Arc<Subtopology>, i32)> {
    let mut list = Vec::new();
    for subtopology in &topology.subtopologies {
        for partition in 0..tasks(subtopology, topics) {
            let has = |topic: &str| topics.get(topic).is_some_and(|config| partition < config.partitions);
            if !subtopology.sources.is_empty() && subtopology.sources.iter().all(|source| has(&source.topic)) {
                list.push((subtopology.clone(), partition));
                continue;
            }
            let mut part = Subtopology::clone(subtopology);
            part.sources.retain(|source| has(&source.topic));
            if !part.sources.is_empty() {
                list.push((Arc::new(part), partition));
            }
        }
    }
    list
}

/// How many tasks a sub-topology has: one for each partition of its inputs. None as long as it is not known what these
/// are.
pub fn tasks(subtopology: &Subtopology, topics: &BTreeMap<String, TopicConfig>) -> i32 {
    if subtopology.sources.is_empty() { 0 } else { input_partitions(subtopology, topics).max(1) }
}

fn input_partitions(subtopology: &Subtopology, topics: &BTreeMap<String, TopicConfig>) -> i32 {
    let counts = subtopology.sources.iter().filter_map(|source| topics.get(&*source.topic));
    counts.map(|config| config.partitions).max().unwrap_or(1)
}

fn repartition_topics(subtopology: &Subtopology) -> impl Iterator<Item = &str> {
    subtopology.nodes.iter().filter_map(|node| match &node.verb {
        Verb::Sink(sink) if sink.internal => sink.topic.names().next().map(|topic| &**topic),
        _ => None,
    })
}

/// The topics whose records of one key must meet in one task, by name, for all sub-topologies.
fn groups(topology: &Topology) -> Vec<Vec<&str>> {
    topology
        .subtopologies
        .iter()
        .flat_map(|subtopology| {
            let groups = co_partitioned(subtopology);
            groups.into_iter().map(move |group| {
                group
                    .iter()
                    .filter_map(|position| subtopology.sources.get(*position))
                    .map(|source| &*source.topic)
                    .collect()
            })
        })
        .collect()
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
            Verb::VersionedTable { versions, .. } => filled_by.entry(versions.latest).or_default().extend(&sources),
            Verb::Aggregate(aggregate) => filled_by.entry(aggregate.store).or_default().extend(&sources),
            Verb::Process(process) => {
                process.stores.iter().for_each(|store| filled_by.entry(*store).or_default().extend(&sources));
            }
            _ => {}
        }
    }
    // Steps that share a store are fed from one place, as far as rows go.
    let feeds = |stores: &[StoreId], sources: &mut BTreeSet<usize>| {
        stores.iter().for_each(|store| sources.extend(filled_by.get(store).into_iter().flatten()));
    };
    let of_node = |(verb, mut sources): (&Verb, BTreeSet<usize>)| match verb {
        Verb::Process(process) if process.stores.is_empty() => None,
        Verb::Process(process) => {
            feeds(&process.stores, &mut sources);
            Some(sources)
        }
        Verb::StreamTableJoin { table, .. } => {
            sources.extend(filled_by.get(table).into_iter().flatten());
            Some(sources)
        }
        // Answers come back to the partitions of the rows that asked.
        Verb::ForeignKeyResolve(join) => {
            sources.extend(filled_by.get(&join.rows).into_iter().flatten());
            Some(sources)
        }
        Verb::StreamVersionedJoin(join) => {
            sources.extend(filled_by.get(&join.versions.latest).into_iter().flatten());
            Some(sources)
        }
        Verb::ToTable { .. }
        | Verb::VersionedTable { .. }
        | Verb::Aggregate(_)
        | Verb::TableTableJoin { .. }
        | Verb::StreamStreamJoin(_)
        | Verb::ForeignKeyAnswer(_)
        | Verb::Deduplicate { by: None, .. } => Some(sources),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::serdes::SchemaRegistry;
    use crate::topology::{PlanOptions, load};

    fn plan(text: &str) -> Topology {
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn existing(topics: &[(&str, i32)]) -> BTreeMap<String, TopicConfig> {
        topics.iter().map(|(name, partitions)| ((*name).to_owned(), TopicConfig::new(*partitions))).collect()
    }

    fn sizes_of(topology: &Topology, role: TopicRole, topics: &BTreeMap<String, TopicConfig>) -> Vec<i32> {
        let of_role = topology.topics.iter().filter(|topic| topic.role == role);
        of_role.map(|topic| topics[&topic.name].partitions).collect()
    }

    const JOINED: &str = "
topology: sizes
defaults: {key: string, value: json}
sources:
  orders: {topic: orders}
  users: {topic: users, kind: table}
streams:
  by_user:
    from: orders
    steps:
      - select_key: string(value.user)
  named:
    join: {kind: left, inputs: {order: by_user, user: users}}
    map_values: {amount: order.amount}
sinks:
  - {from: named, topic: out}
";

    #[test]
    fn a_repartition_topic_is_as_large_as_what_its_reader_joins_it_with() {
        let topology = plan(JOINED);
        let topics = resolve(&topology, &existing(&[("orders", 6), ("users", 3)])).unwrap();
        assert_eq!(sizes_of(&topology, TopicRole::Repartition, &topics), [3]);
        assert_eq!(sizes_of(&topology, TopicRole::Changelog, &topics), [3]);
    }

    #[test]
    fn repartition_topics_that_are_joined_are_as_large_as_the_largest() {
        let topology = plan(
            "
topology: sizes
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  b: {topic: b}
streams:
  keyed_a:
    from: a
    steps:
      - select_key: string(value.user)
      - map_values: {n: int(value.n)}
  keyed_b:
    from: b
    steps:
      - select_key: string(value.user)
      - map_values: {n: int(value.n)}
tables:
  of_a: {from: keyed_a, aggregate: {n: sum(value.n)}}
  of_b: {from: keyed_b, aggregate: {n: sum(value.n)}}
  both:
    join: {kind: inner, inputs: {x: of_a, y: of_b}}
    map_values: {n: x.n + y.n}
sinks:
  - {from: both, topic: out}
",
        );
        let topics = resolve(&topology, &existing(&[("a", 4), ("b", 2)])).unwrap();
        assert_eq!(sizes_of(&topology, TopicRole::Repartition, &topics), [4, 4]);
    }

    #[test]
    fn the_tasks_of_a_merge_cover_every_partition_of_every_input() {
        let topology = plan(
            "
topology: merged
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  b: {topic: b}
streams:
  all: {merge: [a, b]}
sinks:
  - {from: all, topic: out}
",
        );
        let topics = resolve(&topology, &existing(&[("a", 4), ("b", 2)])).unwrap();
        let tasks = task_list(&topology, &topics);
        let read: Vec<Vec<&str>> =
            tasks.iter().map(|(part, _)| part.sources.iter().map(|source| &*source.topic).collect()).collect();
        assert_eq!(read, [vec!["a", "b"], vec!["a", "b"], vec!["a"], vec!["a"]]);
    }
}
