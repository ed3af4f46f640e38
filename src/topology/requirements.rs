//! What an application needs of its topics, compared with those that there are.

use std::collections::BTreeMap;

use super::partitioning::{self, PartitioningError, is_internal};
use super::pattern;
use super::plan::{Topic, TopicRole, Topology};
use crate::log::TopicConfig;
use crate::time::format_duration;

/// What is to be done about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is missing.
    Create,
    /// It is as the application wants it.
    None,
    /// It is there and kept otherwise.
    Differs(Vec<Difference>),
}

/// How a topic differs from what the application wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs, as Kafka names it: `partitions`, `cleanup.policy`, `retention.ms`, ...
    pub property: &'static str,
    /// What there is.
    pub found: String,
    /// What is wanted.
    pub wanted: String,
    /// Why the application gives wrong results on it, and what to do; `None`: it does not.
    pub breaks: Option<String>,
}

/// A topic that an application needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name.
    pub topic: String,
    /// Whether it is one of the engine's own.
    pub internal: bool,
    /// How it would be created, or how it is to be kept: what exists stays where nobody asks for something else.
    pub wanted: TopicConfig,
    /// What is to be done about it.
    pub change: Change,
}

impl Requirement {
    /// The differences on which the application would give wrong results.
    pub fn breaking(&self) -> impl Iterator<Item = &Difference> {
        let differences = match &self.change {
            Change::Differs(differences) => differences.as_slice(),
            Change::Create | Change::None => &[],
        };
        differences.iter().filter(|difference| difference.breaks.is_some())
    }

    /// Whether it has another number of partitions.
    pub fn differs_in_partitions(&self) -> bool {
        matches!(&self.change, Change::Differs(differences) if differences.iter().any(|one| one.property == "partitions"))
    }
}

/// The internal topic whose partitions stand for the tasks.
pub fn tasks_topic(topology: &Topology) -> String {
    format!("{}-tasks", topology.name)
}

/// Compares all topics of an application, by name, with those that exist.
///
/// # Errors
/// When the partitions of inputs that must meet differ: no topic can be said to be the wrong one. When patterns take
/// one topic twice, or a sub-topology reads nothing but a pattern that takes none.
pub fn requirements(
    topology: &Topology,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<Vec<Requirement>, PartitioningError> {
    let on_topics = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
    pattern::check_matched(topology, &on_topics)?;
    let topology = &*on_topics;
    let resolved = partitioning::resolve(topology, existing)?;
    // What the changelogs would be without those that exist.
    let without: BTreeMap<String, TopicConfig> = existing
        .iter()
        .filter(|(name, _)| !topology.topics.iter().any(|topic| topic.name == **name && is_changelog(topic)))
        .map(|(name, config)| (name.clone(), config.clone()))
        .collect();
    let fresh = partitioning::resolve(topology, &without)?;
    let mut requirements = Vec::new();
    for topic in &topology.topics {
        let sizes = if is_changelog(topic) { &fresh } else { &resolved };
        let partitions = sizes.get(&topic.name).map_or(1, |config| config.partitions);
        let mut wanted = TopicConfig { partitions, ..topic.config.clone() };
        let found = existing.get(&topic.name);
        let change = found.map_or(Change::Create, |found| compare(topic, found, &mut wanted));
        requirements.push(Requirement { topic: topic.name.clone(), internal: is_internal(topic), wanted, change });
    }
    // Where a part with state has another number of tasks, a changelog says so.
    let moved =
        requirements.iter().flat_map(Requirement::breaking).any(|difference| difference.property == "partitions");
    requirements.push(tasks(topology, existing, &resolved, moved));
    requirements.sort_by(|a, b| a.topic.cmp(&b.topic));
    Ok(requirements)
}

fn is_changelog(topic: &Topic) -> bool {
    topic.role == TopicRole::Changelog
}

fn tasks(
    topology: &Topology,
    existing: &BTreeMap<String, TopicConfig>,
    resolved: &BTreeMap<String, TopicConfig>,
    moved: bool,
) -> Requirement {
    let topic = tasks_topic(topology);
    let count = i32::try_from(partitioning::task_list(topology, resolved).len()).unwrap_or(i32::MAX).max(1);
    let mut wanted = TopicConfig::new(count);
    let change = match existing.get(&topic) {
        None => Change::Create,
        Some(found) if moved && found.partitions != count => {
            let breaks = format!(
                "was made for {} tasks, the topology now has {count}: partitions were added or sub-topologies changed{MOVED}",
                found.partitions,
            );
            Change::Differs(vec![Difference::breaking("partitions", found.partitions, count, breaks)])
        }
        Some(found) => {
            let mut differences = Vec::new();
            match found.partitions < count {
                true => differences.push(Difference::new("partitions", found.partitions, count, None)),
                // Partitions beyond the tasks stand for nothing.
                false => wanted.partitions = found.partitions,
            }
            // What the state was written with is to stay.
            if found.retention.is_some() {
                differences.push(Difference::new("retention.ms", time(found.retention), time(None), None));
            }
            wanted.compacted = found.compacted;
            wanted.delete_retention = found.delete_retention;
            if differences.is_empty() { Change::None } else { Change::Differs(differences) }
        }
    };
    Requirement { topic, internal: true, wanted, change }
}

/// What to do when there are more tasks, and those that hold state are the same.
pub const GROWS: &str = "has a partition for each task, and the topology now has more tasks, while those that keep state are \
                         the same. Stop all processes of the application and run `signalstream topics apply`, or allow \
                         `run` to add them (setting `topics.create`)";

/// What to do when keys belong to other tasks than before.
const MOVED: &str = ", so keys may now belong to other tasks than the ones that hold their state. Give the topology a new \
                     name, or stop all of its processes and start over with `signalstream reset`";

/// Compares a topic that exists; `wanted` takes over from it what nobody asks for.
fn compare(topic: &Topic, found: &TopicConfig, wanted: &mut TopicConfig) -> Change {
    let asks = topic.asks;
    let mut differences = Vec::new();
    differences.extend(partitions(topic, found, wanted));
    if !is_changelog(topic) {
        wanted.partitions = found.partitions;
    }
    if !asks.cleanup {
        wanted.compacted = found.compacted;
    }
    if !asks.retention {
        wanted.retention = found.retention;
    }
    if !asks.delete_retention {
        wanted.delete_retention = found.delete_retention;
    }
    keep(&mut wanted.max_compaction_lag, found.max_compaction_lag);
    keep(&mut wanted.segment, found.segment);
    if found.compacted != wanted.compacted || found.retention.is_some() != wanted.retention.is_some() {
        let breaks = breaking_cleanup(topic, found);
        if cleanup(found) != cleanup(wanted) {
            differences.push(Difference::new("cleanup.policy", cleanup(found), cleanup(wanted), breaks));
        } else {
            differences.push(Difference::new("retention.ms", time(found.retention), time(wanted.retention), breaks));
        }
    } else if found.retention != wanted.retention {
        differences.push(Difference::new("retention.ms", time(found.retention), time(wanted.retention), None));
    }
    let delays = [
        ("delete.retention.ms", Some(found.delete_retention), Some(wanted.delete_retention), wanted.compacted),
        ("max.compaction.lag.ms", found.max_compaction_lag, wanted.max_compaction_lag, true),
        ("segment.ms", found.segment, wanted.segment, true),
    ];
    for (property, found, wanted, counts) in delays {
        if counts && found != wanted {
            differences.push(Difference::new(property, time(found), time(wanted), None));
        }
    }
    if differences.is_empty() { Change::None } else { Change::Differs(differences) }
}

/// A changelog has the partitions of the tasks that write it; the other topics' are the author's choice.
fn partitions(topic: &Topic, found: &TopicConfig, wanted: &TopicConfig) -> Option<Difference> {
    if is_changelog(topic) {
        let breaks = format!(
            "is a changelog with {} partitions, the tasks that write it are now {}{MOVED}",
            found.partitions, wanted.partitions
        );
        let differs = found.partitions != wanted.partitions;
        return differs.then(|| Difference::breaking("partitions", found.partitions, wanted.partitions, breaks));
    }
    let asked = topic.config.partitions;
    let differs = topic.asks.partitions && asked > 0 && found.partitions != asked;
    differs.then(|| Difference::new("partitions", found.partitions, asked, None))
}

/// A delay that nobody asks for, or that is shorter than the one asked for, is fine.
fn keep(wanted: &mut Option<i64>, found: Option<i64>) {
    if wanted.is_none_or(|wanted| found.is_some_and(|found| found <= wanted)) {
        *wanted = found;
    }
}

/// Why the engine cannot work with how one of its own topics deletes records.
fn breaking_cleanup(topic: &Topic, found: &TopicConfig) -> Option<String> {
    let problem = match topic.role {
        TopicRole::Changelog if !found.compacted => {
            "is a changelog but is not compacted: set its cleanup policy to `compact`"
        }
        TopicRole::Changelog if found.retention.is_some() => {
            "is a changelog but has a retention, which deletes live state: set its cleanup policy to `compact` alone, \
             without `retention.ms`"
        }
        TopicRole::Repartition if found.compacted => {
            "is a repartition topic but is compacted, which deletes records that are still to be read: set its cleanup \
             policy to `delete`"
        }
        TopicRole::Repartition if found.retention.is_some() => {
            "is a repartition topic but has a retention, which goes by the time of events and deletes records that are \
             still to be read: set `retention.ms` to -1"
        }
        _ => return None,
    };
    Some(format!("{problem}; `signalstream topics apply` does"))
}

impl Difference {
    fn new(property: &'static str, found: impl ToString, wanted: impl ToString, breaks: Option<String>) -> Self {
        Difference { property, found: found.to_string(), wanted: wanted.to_string(), breaks }
    }

    fn breaking(property: &'static str, found: impl ToString, wanted: impl ToString, why: String) -> Self {
        Difference::new(property, found, wanted, Some(why))
    }
}

/// What happens to old records of a topic, as Kafka names it.
pub fn cleanup(config: &TopicConfig) -> &'static str {
    match (config.compacted, config.retention) {
        (true, Some(_)) => "compact,delete",
        (true, None) => "compact",
        (false, _) => "delete",
    }
}

fn time(millis: Option<i64>) -> String {
    millis.map_or_else(|| "unlimited".to_owned(), format_duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::serdes::SchemaRegistry;
    use crate::topology::{PlanOptions, load};

    const COUNTS: &str = "
topology: counts
defaults: {key: string, value: json}
topics:
  orders: {partitions: 2, retention: 7d}
sources:
  orders: {topic: orders}
streams:
  keyed:
    from: orders
    steps:
      - select_key: string(value.user)
      - map_values: {n: int(value.n)}
tables:
  totals: {from: keyed, aggregate: {n: sum(value.n)}}
sinks:
  - {from: totals, topic: totals}
";

    fn plan(text: &str) -> Topology {
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The topics as the application would create them.
    fn created(topology: &Topology) -> BTreeMap<String, TopicConfig> {
        let all = requirements(topology, &BTreeMap::new()).unwrap();
        all.into_iter().map(|requirement| (requirement.topic, requirement.wanted)).collect()
    }

    fn of<'a>(all: &'a [Requirement], suffix: &str) -> &'a Requirement {
        all.iter().find(|requirement| requirement.topic.ends_with(suffix)).unwrap()
    }

    #[test]
    fn what_was_created_is_as_it_is_wanted() {
        let topology = plan(COUNTS);
        let all = requirements(&topology, &created(&topology)).unwrap();
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all.iter().all(|requirement| requirement.change == Change::None), "{all:?}");
        assert_eq!(all.iter().filter(|requirement| requirement.internal).count(), 3);
        assert_eq!(of(&all, "-changelog").wanted.max_compaction_lag, Some(86_400_000));
    }

    #[test]
    fn what_loses_state_or_records_breaks_and_what_the_author_wants_otherwise_differs() {
        let topology = plan(COUNTS);
        for (suffix, change, property, breaks) in [
            ("-changelog", (|config| config.compacted = false) as fn(&mut TopicConfig), "cleanup.policy", true),
            ("-changelog", |config| config.retention = Some(5), "cleanup.policy", true),
            ("-changelog", |config| config.partitions = 3, "partitions", true),
            ("-changelog", |config| config.max_compaction_lag = None, "max.compaction.lag.ms", false),
            ("-repartition", |config| config.compacted = true, "cleanup.policy", true),
            ("-repartition", |config| config.retention = Some(5), "retention.ms", true),
            ("-tasks", |config| config.partitions = 1, "partitions", false),
            ("orders", |config| config.retention = Some(5), "retention.ms", false),
        ] {
            let mut topics = created(&topology);
            let (name, config) = topics.iter_mut().find(|(name, _)| name.ends_with(suffix)).unwrap();
            let name = name.clone();
            change(config);
            let all = requirements(&topology, &topics).unwrap();
            let Change::Differs(differences) = &of(&all, &name).change else { panic!("{name}: {all:?}") };
            assert_eq!((differences.len(), differences[0].property), (1, property), "{differences:?}");
            assert_eq!(differences[0].breaks.is_some(), breaks, "{differences:?}");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_left_as_it_is() {
        let topology = plan(COUNTS);
        let mut topics = created(&topology);
        let week = TopicConfig { retention: Some(604_800_000), delete_retention: 1, ..TopicConfig::new(5) };
        topics.insert("totals".to_owned(), week.clone());
        topics.get_mut("counts-totals-changelog").unwrap().segment = Some(1);
        let all = requirements(&topology, &topics).unwrap();
        assert_eq!((&of(&all, "totals").change, &of(&all, "totals").wanted), (&Change::None, &week));
        assert_eq!(of(&all, "-changelog").change, Change::None, "a shorter delay is fine");
    }
}
