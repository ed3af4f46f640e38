//! Makes sure that the topics an application uses are there and kept as it needs.

use std::collections::BTreeMap;

use super::{RuntimeError, TaskList};
use crate::config::CreateTopics;
use crate::log::{LogAdmin, TopicConfig};
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, requirements};

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
    let tasks = TaskList::new(topology, &topics);
    Ok((topics, tasks))
}
