//! Makes sure that the topics an application uses are there and kept as it needs, and that its state fits the topology.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evolution::{Evolution, evolution};
use super::{RuntimeError, TaskList};
use crate::config::CreateTopics;
use crate::log::{Log, LogAdmin, TopicConfig};
use crate::sink::Partitions;
use crate::task::TaskOpener;
use crate::topology::partitioning::is_internal;
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, GROWS, Requirement, requirements, tasks_topic};

/// What must be known of the topics to write to them. The limits of those that others read are asked for, so that a record
/// that is too large is an error of that record, not of the transaction that it would be in.
pub(super) fn targets(
    topology: &Topology,
    admin: &dyn LogAdmin,
    topics: &BTreeMap<String, TopicConfig>,
) -> Arc<Partitions> {
    let internal = |name: &str| topology.topics.iter().any(|topic| topic.name == name && is_internal(topic));
    let tasks = tasks_topic(topology);
    let others = topics.keys().map(String::as_str).filter(|name| *name != tasks && !internal(name));
    let others: Vec<&str> = others.collect();
    let limits = admin.record_limits(&others).unwrap_or_else(|error| {
        tracing::warn!(%error, "it is not known how large the records may be that topics take");
        BTreeMap::new()
    });
    TaskOpener::targets_of(topics, &limits)
}

/// Compares the state of an application with its topology, then creates the topics that are missing, as far as that is
/// allowed, and checks those that exist. Returns all of them and the tasks.
///
/// # Errors
/// When the state does not fit, when topics are missing that may not be created, or when one is kept so that results would
/// be wrong. Nothing is created then.
pub(super) fn prepare(
    topology: &Topology,
    log: &dyn Log,
    create: CreateTopics,
) -> Result<(BTreeMap<String, TopicConfig>, TaskList, Evolution), RuntimeError> {
    let admin = log.admin();
    let existing = admin.topics()?;
    let required = requirements(topology, &existing)?;
    let evolution = evolution(topology, log, &existing, &used(&required, &existing))?;
    evolution.permit(log)?;
    let (topics, tasks) = create_topics(topology, admin.as_ref(), create, &existing, required)?;
    Ok((topics, tasks, evolution))
}

/// Creates the topics that are missing, as far as that is allowed, and checks those that exist. Returns all of them
/// and the tasks. Unlike the start of an application it asks nobody about state.
///
/// # Errors
/// When topics are missing that may not be created, or one is kept so that results would be wrong.
pub fn prepare_topics(
    topology: &Topology,
    admin: &dyn LogAdmin,
    create: CreateTopics,
) -> Result<(BTreeMap<String, TopicConfig>, TaskList), RuntimeError> {
    let existing = admin.topics()?;
    let required = requirements(topology, &existing)?;
    create_topics(topology, admin, create, &existing, required)
}

/// What exists is used as it is, whatever the topology says.
fn used(required: &[Requirement], existing: &BTreeMap<String, TopicConfig>) -> BTreeMap<String, TopicConfig> {
    let config = |topic: &Requirement| existing.get(&topic.topic).unwrap_or(&topic.wanted).clone();
    required.iter().map(|topic| (topic.topic.clone(), config(topic))).collect()
}

fn create_topics(
    topology: &Topology,
    admin: &dyn LogAdmin,
    create: CreateTopics,
    existing: &BTreeMap<String, TopicConfig>,
    required: Vec<Requirement>,
) -> Result<(BTreeMap<String, TopicConfig>, TaskList), RuntimeError> {
    let tasks_topic = tasks_topic(topology);
    let mut missing = Vec::new();
    let mut grows = false;
    for topic in &required {
        if let Some(breaks) = topic.breaking().find_map(|difference| difference.breaks.clone()) {
            return Err(RuntimeError::Topic { topic: topic.topic.clone(), problem: breaks });
        }
        let allowed = match create {
            CreateTopics::Auto | CreateTopics::All => true,
            CreateTopics::Internal => topic.internal,
            CreateTopics::None => false,
        };
        if topic.change == Change::Create && !allowed {
            missing.push(topic.topic.clone());
        }
        if topic.topic == tasks_topic && topic.differs_in_partitions() {
            grows = true;
            if !allowed {
                return Err(RuntimeError::Topic { topic: tasks_topic, problem: GROWS.to_owned() });
            }
        }
    }
    if !missing.is_empty() {
        return Err(RuntimeError::MissingTopics(missing));
    }
    for topic in required.iter().filter(|topic| topic.change == Change::Create) {
        tracing::info!(topic = topic.topic, partitions = topic.wanted.partitions, "creating topic");
        admin.create_topic(&topic.topic, &topic.wanted)?;
    }
    let mut topics = used(&required, existing);
    if grows && let Some(topic) = required.into_iter().find(|topic| topic.topic == tasks_topic) {
        let partitions = topic.wanted.partitions;
        tracing::info!(topic = tasks_topic, partitions, "adding partitions for new tasks");
        admin.add_partitions(&tasks_topic, partitions)?;
        topics.insert(tasks_topic, topic.wanted);
    }
    let resolved = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
    let tasks = TaskList::new(&resolved, &topics);
    Ok((topics, tasks))
}
