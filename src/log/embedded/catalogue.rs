//! The topics and partitions as they stand, in memory; consumers read a partition's ends without a lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::{LogError, Result, TopicConfig};
use super::encoding::{Kept, PartitionPart, StoredTopic, from_bytes, partition_key};
use super::lock;
use super::storage::{Family, Storage};
use crate::record::TopicPartition;

/// A topic.
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: u32,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<Arc<Partition>>,
}

/// A partition, as far as everyone may see it.
pub(super) struct Partition {
    pub(super) name: TopicPartition,
    topic_id: u32,
    start: AtomicI64,
    next: AtomicI64,
    deleted: AtomicBool,
    cleaning: Mutex<()>,
}

impl Topic {
    /// A topic without records.
    pub(super) fn new(name: &str, id: u32, config: TopicConfig) -> Topic {
        Topic { name: name.into(), id, config: TopicConfig::new(0), partitions: Vec::new() }.changed(config)
    }

    /// The same topic as `config` says; its partitions stay what they are, and further ones are empty.
    pub(super) fn changed(&self, config: TopicConfig) -> Topic {
        let added = |number| {
            Arc::new(Partition {
                name: TopicPartition::new(Arc::clone(&self.name), number),
                topic_id: self.id,
                start: AtomicI64::new(0),
                next: AtomicI64::new(0),
                deleted: AtomicBool::new(false),
                cleaning: Mutex::default(),
            })
        };
        let mut partitions = self.partitions.clone();
        partitions.extend((self.config.partitions..config.partitions).map(added));
        Topic { name: Arc::clone(&self.name), id: self.id, config, partitions }
    }

    /// One of its partitions.
    pub(super) fn partition(&self, number: i32) -> Result<&Arc<Partition>> {
        let partition = usize::try_from(number).ok().and_then(|index| self.partitions.get(index));
        partition.ok_or_else(|| LogError::UnknownPartition(TopicPartition::new(Arc::clone(&self.name), number)))
    }
}

impl Partition {
    /// The topic's id and the partition's number, as in keys.
    pub(super) fn id(&self) -> (u32, u32) {
        (self.topic_id, self.name.partition as u32)
    }

    /// The log start offset.
    pub(super) fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// The offset after the last committed record.
    pub(super) fn next(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    pub(super) fn set_start(&self, offset: i64) {
        self.start.store(offset, Ordering::Release);
    }

    pub(super) fn set_next(&self, offset: i64) {
        self.next.store(offset, Ordering::Release);
    }

    /// Whether its topic is gone.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(super) fn set_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    /// The key under which a part of its state is stored.
    pub(super) fn key(&self, part: PartitionPart) -> [u8; 9] {
        let (topic, partition) = self.id();
        partition_key(topic, partition, part)
    }

    /// To be held by who reads how far it is cleaned and writes that anew. Nothing else is locked meanwhile.
    pub(super) fn cleaning(&self) -> MutexGuard<'_, ()> {
        lock(&self.cleaning)
    }

    /// How far it is cleaned.
    pub(super) fn kept(&self, storage: &Storage) -> Result<Kept> {
        match storage.get(Family::Partitions, &self.key(PartitionPart::Kept))? {
            None => Ok(Kept::default()),
            Some(stored) => from_bytes(&stored).map_err(|detail| storage.corrupt(format!("{}: {detail}", self.name))),
        }
    }

    fn load(&self, storage: &Storage) -> Result<()> {
        let next = match storage.get(Family::Partitions, &self.key(PartitionPart::Next))? {
            None => 0,
            Some(stored) => {
                let bytes = stored.try_into().map_err(|_| storage.corrupt(format!("{}: next offset", self.name)))?;
                i64::from_be_bytes(bytes)
            }
        };
        self.set_start(self.kept(storage)?.start);
        self.set_next(next);
        Ok(())
    }
}

/// The topics by name.
#[derive(Default)]
pub(super) struct Catalogue {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
}

impl Catalogue {
    /// The topic of that name.
    pub(super) fn topic(&self, name: &str) -> Result<&Arc<Topic>> {
        self.topics.get(name).ok_or_else(|| LogError::UnknownTopic {
            topic: name.to_owned(),
            hint: match nearest(name, self.topics.keys()) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => "; create it first".to_owned(),
            },
        })
    }

    /// The topic of that name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// All topics, by name.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// Adds a topic.
    pub(super) fn insert(&mut self, topic: Arc<Topic>) {
        self.topics.insert(Arc::clone(&topic.name), topic);
    }

    /// Takes a topic out; those who still hold its partitions see that they are deleted.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(topic) = self.topics.remove(name) {
            topic.partitions.iter().for_each(|partition| partition.set_deleted());
        }
    }

    /// Makes this what is stored. Topics that stay keep their identity.
    pub(super) fn load(&mut self, storage: &Storage) -> Result<()> {
        let mut stored = BTreeMap::new();
        storage.each(Family::Topics, |name, value| {
            let name = str::from_utf8(name).map_err(|error| storage.corrupt(format!("a topic's name: {error}")))?;
            let topic: StoredTopic =
                from_bytes(value).map_err(|detail| storage.corrupt(format!("topic `{name}`: {detail}")))?;
            stored.insert(name.to_owned(), topic);
            Ok(())
        })?;
        let stays = |topic: &Topic| stored.get(&*topic.name).is_some_and(|stored| stored.id == topic.id);
        let gone: Vec<_> = self.topics().filter(|topic| !stays(topic)).map(|topic| Arc::clone(&topic.name)).collect();
        gone.iter().for_each(|name| self.remove(name));
        for (name, topic) in stored {
            match self.find(&name) {
                None => self.insert(Arc::new(Topic::new(&name, topic.id, topic.config()))),
                Some(known) if known.config != topic.config() => {
                    let changed = known.changed(topic.config());
                    self.insert(Arc::new(changed));
                }
                Some(_) => {}
            }
        }
        self.topics().flat_map(|topic| &topic.partitions).try_for_each(|partition| partition.load(storage))
    }
}

/// The existing name that `name` most likely stands for.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a Arc<str>>) -> Option<&'a Arc<str>> {
    let distance = |other: &Arc<str>| strsim::damerau_levenshtein(name, other);
    names.min_by_key(|other| distance(other)).filter(|other| distance(other) <= 1 + name.len() / 4)
}
