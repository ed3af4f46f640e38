//! Makes sure that the topics an application uses are there and kept as it needs.

use std::collections::BTreeMap;

use super::{RuntimeError, TaskList};
use crate::log::{LogAdmin, TopicConfig};
use crate::topology::partitioning;
use crate::topology::plan::{TopicRole, Topology};

/// Creates the topics that are missing and checks those that exist. Returns all of them and the tasks.
pub fn prepare_topics(
    topology: &Topology,
    admin: &dyn LogAdmin,
) -> Result<(BTreeMap<String, TopicConfig>, TaskList), RuntimeError> {
    let existing = admin.topics()?;
    let topics = partitioning::resolve(topology, &existing)?;
    for topic in &topology.topics {
        let Some(wanted) = topics.get(&topic.name) else { continue };
        match existing.get(&topic.name) {
            Some(found) if topic.role == TopicRole::Changelog => check_changelog(&topic.name, found)?,
            Some(_) => {}
            None => {
                tracing::info!(topic = topic.name, partitions = wanted.partitions, "creating topic");
                admin.create_topic(&topic.name, wanted)?;
            }
        }
    }
    let tasks = TaskList::new(topology, &topics);
    let count = i32::try_from(tasks.len()).unwrap_or(i32::MAX);
    match existing.get(&**tasks.topic()) {
        None => admin.create_topic(tasks.topic(), &TopicConfig::new(count.max(1)))?,
        Some(found) if found.partitions != count.max(1) => {
            return Err(RuntimeError::Topic {
                topic: tasks.topic().to_string(),
                problem: format!(
                    "was made for {} tasks, the topology now has {count}: partitions were added or sub-topologies \
                     changed, so keys may now belong to other tasks than the ones that hold their state. Give the \
                     topology a new name, or start it on an empty directory",
                    found.partitions
                ),
            });
        }
        Some(_) => {}
    }
    Ok((topics, tasks))
}

/// A changelog that is not compacted, or loses records with time, cannot restore its store.
fn check_changelog(topic: &str, config: &TopicConfig) -> Result<(), RuntimeError> {
    let problem = if !config.compacted {
        "is a changelog but is not compacted: set its cleanup policy to `compact`"
    } else if config.retention.is_some() {
        "is a changelog but has a retention, which deletes live state: set its cleanup policy to `compact` alone, \
         without `retention.ms`"
    } else {
        return Ok(());
    };
    Err(RuntimeError::Topic { topic: topic.to_owned(), problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_that_would_lose_live_records_is_refused() {
        let compacted = TopicConfig { compacted: true, ..TopicConfig::new(1) };
        assert!(check_changelog("c", &compacted).is_ok());
        let expiring = TopicConfig { retention: Some(1), ..compacted };
        assert!(check_changelog("c", &expiring).unwrap_err().to_string().contains("retention"));
        assert!(check_changelog("c", &TopicConfig::new(1)).unwrap_err().to_string().contains("compact"));
    }
}
