//! Topics: created, listed, deleted; records deleted from the front.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::topic::{check_topic, difference};
use super::super::{LogAdmin, LogError, Result, TopicConfig};
use super::catalogue::{Partition, Topic};
use super::clean::{clean, delete_before};
use super::encoding::PartitionPart;
use super::encoding::{StoredTopic, committed_group, committed_topic, partition_key, record_key, to_bytes};
use super::storage::{Durability, Family};
use super::{Shared, State, lock};
use crate::record::TopicPartition;
use crate::time::Timestamp;

const NEXT_TOPIC_KEY: &[u8] = b"next topic id";

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

    /// Stores a topic with another configuration.
    fn change(&self, topic: &str, changed: impl FnOnce(&TopicConfig) -> Result<TopicConfig>) -> Result<()> {
        let mut state = lock(&self.shared.state);
        let existing = Arc::clone(state.catalogue.topic(topic)?);
        let config = kept(&changed(&existing.config)?);
        check_topic(topic, &config)?;
        let storage = &self.shared.storage;
        let stored = to_bytes(&StoredTopic::new(existing.id, &config)).map_err(|detail| storage.corrupt(detail))?;
        storage.write(Durability::Configured, |batch| batch.put(Family::Topics, topic.as_bytes(), &stored))?;
        let State { catalogue, groups, .. } = &mut *state;
        catalogue.insert(Arc::new(existing.changed(config)));
        groups.topics_changed(catalogue);
        self.shared.changed.notify_all();
        Ok(())
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
            return match difference(&existing.config, &kept(config)) {
                None => Ok(()),
                Some(difference) => Err(LogError::TopicExists { topic: topic.to_owned(), difference }),
            };
        }
        let id = self.next_topic_id()?;
        let storage = &self.shared.storage;
        let stored = to_bytes(&StoredTopic::new(id, config)).map_err(|detail| storage.corrupt(detail))?;
        storage.write(Durability::Configured, |batch| {
            batch.put(Family::Topics, topic.as_bytes(), &stored);
            batch.put(Family::Meta, NEXT_TOPIC_KEY, &id.wrapping_add(1).to_be_bytes());
        })?;
        let State { catalogue, groups, .. } = &mut *state;
        catalogue.insert(Arc::new(Topic::new(topic, id, kept(config))));
        groups.topics_changed(catalogue);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>> {
        self.shared.refresh()?;
        let state = lock(&self.shared.state);
        Ok(state.catalogue.topics().map(|topic| (topic.name.to_string(), topic.config.clone())).collect())
    }

    fn alter_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.shared.writable("change a topic")?;
        self.change(topic, |has| Ok(TopicConfig { partitions: has.partitions, ..config.clone() }))
    }

    fn add_partitions(&self, topic: &str, partitions: i32) -> Result<()> {
        self.shared.writable("add partitions")?;
        self.change(topic, |has| match partitions.cmp(&has.partitions) {
            std::cmp::Ordering::Less => Err(LogError::InvalidTopic {
                topic: topic.to_owned(),
                detail: format!("it has {} partitions, which cannot become {partitions}", has.partitions),
            }),
            _ => Ok(TopicConfig { partitions, ..has.clone() }),
        })
    }

    fn group_members(&self, group: &str) -> Result<usize> {
        Ok(lock(&self.shared.state).groups.members(group))
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        self.shared.writable("delete a group")?;
        let _commits = lock(&self.shared.commits);
        let members = self.group_members(group)?;
        if members > 0 {
            return Err(LogError::GroupInUse { group: group.to_owned(), members });
        }
        let mut committed = Vec::new();
        self.shared.storage.each(Family::Offsets, |key, _| {
            if committed_group(key) == Some(group.as_bytes()) {
                committed.push(key.to_vec());
            }
            Ok(())
        })?;
        self.shared.storage.write(Durability::Configured, |batch| {
            committed.iter().for_each(|key| batch.delete(Family::Offsets, key));
        })
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
        shared.storage.write(Durability::Configured, |batch| {
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

/// What the embedded log keeps of a configuration: it has no use for the rest.
fn kept(config: &TopicConfig) -> TopicConfig {
    TopicConfig { max_compaction_lag: None, segment: None, ..config.clone() }
}
