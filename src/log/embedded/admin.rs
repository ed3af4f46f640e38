//! Topics: created, listed, deleted; records deleted from the front.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{LogAdmin, LogError, Result, TopicConfig};
use super::catalogue::{Partition, Topic};
use super::clean::{clean, delete_before};
use super::encoding::PartitionPart;
use super::encoding::{StoredTopic, committed_topic, partition_key, record_key, to_bytes};
use super::storage::{Durability, Family, SMALL_BATCH};
use super::{Shared, State, lock};
use crate::record::TopicPartition;
use crate::time::{Timestamp, format_duration};

const NEXT_TOPIC_KEY: &[u8] = b"next topic id";

/// The most partitions that a topic may have.
const MAX_PARTITIONS: i32 = 10_000;

/// The longest name of a topic, as in Kafka.
const MAX_NAME: usize = 249;

/// How far deleting from the front may run ahead of deleting in the database. Deleting a range costs every later
/// read a little until the range is compacted, and the purge of a repartition topic comes with every commit.
const PURGE_STEP: i64 = 10_000;

/// The admin of the embedded log.
pub(super) struct EmbeddedAdmin {
    shared: Arc<Shared>,
}

impl EmbeddedAdmin {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        EmbeddedAdmin { shared }
    }

    fn next_topic_id(&self) -> Result<u32> {
        let storage = &self.shared.storage;
        let Some(stored) = storage.get(Family::Meta, NEXT_TOPIC_KEY)? else { return Ok(0) };
        let bytes = stored.try_into().map_err(|_| storage.corrupt("the next topic id is damaged".to_owned()))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn partition(&self, name: &TopicPartition) -> Result<Arc<Partition>> {
        Ok(Arc::clone(lock(&self.shared.state).catalogue.topic(&name.topic)?.partition(name.partition)?))
    }
}

impl LogAdmin for EmbeddedAdmin {
    fn create_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.shared.writable("create a topic")?;
        check_topic(topic, config)?;
        let mut state = lock(&self.shared.state);
        if let Some(existing) = state.catalogue.find(topic) {
            return match difference(&existing.config, config) {
                None => Ok(()),
                Some(difference) => Err(LogError::TopicExists { topic: topic.to_owned(), difference }),
            };
        }
        let id = self.next_topic_id()?;
        let storage = &self.shared.storage;
        let stored = to_bytes(&StoredTopic::new(id, config)).map_err(|detail| storage.corrupt(detail))?;
        storage.write(Durability::Configured, SMALL_BATCH, |batch| {
            batch.put(Family::Topics, topic.as_bytes(), &stored);
            batch.put(Family::Meta, NEXT_TOPIC_KEY, &id.wrapping_add(1).to_be_bytes());
        })?;
        let State { catalogue, groups, .. } = &mut *state;
        catalogue.insert(Arc::new(Topic::new(topic, id, config.clone())));
        groups.topics_changed(catalogue);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>> {
        self.shared.refresh()?;
        let state = lock(&self.shared.state);
        Ok(state.catalogue.topics().map(|topic| (topic.name.to_string(), topic.config.clone())).collect())
    }

    fn delete_topic(&self, topic: &str) -> Result<()> {
        self.shared.writable("delete a topic")?;
        let shared = &self.shared;
        let _maintenance = lock(&shared.maintenance);
        let commits = lock(&shared.commits);
        let mut state = lock(&shared.state);
        let id = state.catalogue.topic(topic)?.id;
        let mut committed = Vec::new();
        shared.storage.each(Family::Offsets, |key, _| {
            if committed_topic(key) == Some(topic.as_bytes()) {
                committed.push(key.to_vec());
            }
            Ok(())
        })?;
        let records = (record_key(id, 0, 0), record_key(id.wrapping_add(1), 0, 0));
        let parts = [id, id.wrapping_add(1)].map(|id| partition_key(id, 0, PartitionPart::Next));
        shared.storage.write(Durability::Configured, SMALL_BATCH, |batch| {
            batch.delete(Family::Topics, topic.as_bytes());
            batch.delete_range(Family::Partitions, &parts[0], &parts[1]);
            batch.delete_range(Family::Records, &records.0, &records.1);
            committed.iter().for_each(|key| batch.delete(Family::Offsets, key));
        })?;
        let State { catalogue, groups, .. } = &mut *state;
        catalogue.remove(topic);
        groups.topics_changed(catalogue);
        shared.changed.notify_all();
        drop(state);
        drop(commits);
        shared.storage.erase(&[records])
    }

    fn delete_records(&self, name: &TopicPartition, offset: i64) -> Result<()> {
        self.shared.writable("delete records")?;
        let partition = self.partition(name)?;
        let end = partition.next();
        if offset > end {
            return Err(LogError::OffsetOutOfRange { partition: name.clone(), offset, end });
        }
        delete_before(&self.shared, &partition, offset, PURGE_STEP)
    }

    fn clean(&self, now: Timestamp) -> Result<()> {
        self.shared.writable("clean the log")?;
        clean(&self.shared, now)
    }
}

fn check_topic(topic: &str, config: &TopicConfig) -> Result<()> {
    let invalid = |detail: String| Err(LogError::InvalidTopic { topic: topic.to_owned(), detail });
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || topic.len() > MAX_NAME || matches!(topic, "." | "..") || !topic.chars().all(legal) {
        return invalid(format!("a name has 1 to {MAX_NAME} letters, digits, `.`, `_` or `-`"));
    }
    if !(1..=MAX_PARTITIONS).contains(&config.partitions) {
        return invalid(format!("{} partitions; there may be 1 to {MAX_PARTITIONS}", config.partitions));
    }
    if config.retention.unwrap_or(0) < 0 || config.delete_retention < 0 {
        return invalid("a retention cannot be negative".to_owned());
    }
    Ok(())
}

/// How a topic's configuration differs from the one wanted, as text.
fn difference(has: &TopicConfig, wanted: &TopicConfig) -> Option<String> {
    let retention = |retention: Option<i64>| retention.map_or("no limit".to_owned(), format_duration);
    let policy = |compacted| if compacted { "compacted" } else { "not compacted" };
    let (has, wanted) = if has.partitions != wanted.partitions {
        (format!("{} partitions", has.partitions), wanted.partitions.to_string())
    } else if has.retention != wanted.retention {
        (format!("a retention of {}", retention(has.retention)), retention(wanted.retention))
    } else if has.compacted != wanted.compacted {
        (format!("cleanup {}", policy(has.compacted)), policy(wanted.compacted).to_owned())
    } else if has.delete_retention != wanted.delete_retention {
        let text = format_duration(has.delete_retention);
        (format!("a retention of tombstones of {text}"), format_duration(wanted.delete_retention))
    } else {
        return None;
    };
    Some(format!("it has {has}, not {wanted}; change what is asked for, or delete the topic"))
}
