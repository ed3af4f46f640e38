//! Makes sure that the topics an application uses are there and kept as it needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{RuntimeError, TaskList};
use crate::config::CreateTopics;
use crate::log::{LogAdmin, TopicConfig};
use crate::sink::Partitions;
use crate::task::TaskOpener;
use crate::topology::partitioning::is_internal;
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, requirements, tasks_topic};

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

/// Creates the topics that are missing, as far as that is allowed, and checks those that exist. Returns all of them
/// and the tasks.
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
    let mut missing = Vec::new();
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
    }
    if !missing.is_empty() {
        return Err(RuntimeError::MissingTopics(missing));
    }
    for topic in required.iter().filter(|topic| topic.change == Change::Create) {
        tracing::info!(topic = topic.topic, partitions = topic.wanted.partitions, "creating topic");
        admin.create_topic(&topic.topic, &topic.wanted)?;
    }
    // What exists is used as it is, whatever the topology says.
    let topics = required.into_iter().map(|topic| {
        let config = existing.get(&topic.topic).cloned().unwrap_or(topic.wanted);
        (topic.topic, config)
    });
    let topics = topics.collect();
    let resolved = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
    let tasks = TaskList::new(&resolved, &topics);
    Ok((topics, tasks))
}
