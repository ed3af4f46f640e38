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
    let mut existing = admin.topics()?;
    let (mut required, mut evolution) = compared(topology, log, &existing)?;
    if let Some(conflict) = evolution.conflict(0) {
        let members = admin.group_members(&topology.name)?;
        if members > 0 {
            existing = beside_others(topology, &evolution, existing, members)?;
        }
        // Also where nobody is: what they wrote before they left counts.
        tracing::debug!(application = topology.name, members, %conflict, "looking once more");
        (required, evolution) = compared(topology, log, &existing)?;
        if members > 0
            && let Some(conflict) = evolution.conflict(members)
        {
            return Err(conflict.into());
        }
    }
    evolution.tell();
    let (topics, tasks) = create_topics(topology, admin.as_ref(), create, &existing, required)?;
    Ok((topics, tasks, evolution))
}

/// What is needed of the topics that there are, and whether the state fits.
fn compared(
    topology: &Topology,
    log: &dyn Log,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<(Vec<Requirement>, Evolution), RuntimeError> {
    let required = requirements(topology, existing)?;
    let evolution = evolution(topology, log, existing, &used(&required, existing))?;
    evolution.accept()?;
    Ok((required, evolution))
}

/// The topics on which a start may go on beside others: without those of patterns for which these have no tasks, as they
/// have left them out themselves.
fn beside_others(
    topology: &Topology,
    evolution: &Evolution,
    mut existing: BTreeMap<String, TopicConfig>,
    members: usize,
) -> Result<BTreeMap<String, TopicConfig>, RuntimeError> {
    let wide = evolution.too_wide(topology, &existing)?;
    existing.retain(|topic, _| !wide.contains(topic));
    let resolved = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
    if let Some(conflict) = evolution.conflict(members)
        && (wide.is_empty() || pattern::check_matched(topology, &resolved).is_err())
    {
        return Err(conflict.into());
    }
    tracing::warn!(
        application = topology.name, members, topics = ?wide,
        "topics that match a pattern have more partitions than there are tasks; they are left out until a start for \
         which all processes of the application have stopped"
    );
    Ok(existing)
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
