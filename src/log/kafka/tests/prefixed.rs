//! A log whose names all carry a prefix, so that tests share a broker without seeing each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::super::{
    CommittedOffset, FetchedBatch, GroupMetadata, Log, LogAdmin, LogConsumer, LogError, Polled, ProducerRecord,
    Rebalance, Result, TopicConfig, TransactionalProducer, Waker,
};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock, Timestamp};

pub(super) struct Prefixed {
    log: Arc<dyn Log>,
    names: Names,
}

#[derive(Clone)]
struct Names(Arc<str>);

impl Names {
    fn add(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    fn outer(&self, partition: &TopicPartition) -> TopicPartition {
        TopicPartition::new(self.add(&partition.topic), partition.partition)
    }

    fn inner(&self, partition: &TopicPartition) -> TopicPartition {
        let topic = partition.topic.strip_prefix(&*self.0).unwrap_or(&partition.topic);
        TopicPartition::new(topic, partition.partition)
    }

    fn text(&self, text: &str) -> String {
        text.replace(&*self.0, "")
    }

    fn error(&self, error: LogError) -> LogError {
        match error {
            LogError::UnknownTopic { topic, hint } => {
                LogError::UnknownTopic { topic: self.text(&topic), hint: self.text(&hint) }
            }
            LogError::UnknownPartition(partition) => LogError::UnknownPartition(self.inner(&partition)),
            other => other,
        }
    }
}

impl Prefixed {
    pub(super) fn new(log: Arc<dyn Log>, test: &str) -> Arc<Prefixed> {
        let prefix = format!("{test}-{}-{}.", std::process::id(), SystemClock::new().now());
        Arc::new(Prefixed { log, names: Names(prefix.into()) })
    }
}

struct Wrapped<T: ?Sized>(Names, Box<T>);

impl Log for Prefixed {
    fn consumer(&self, group: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        let group = group.map(|group| self.names.add(group));
        Ok(Box::new(Wrapped(self.names.clone(), self.log.consumer(group.as_deref())?)))
    }

    fn member(&self, group: &str, instance: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        Ok(Box::new(Wrapped(self.names.clone(), self.log.member(&self.names.add(group), instance)?)))
    }

    fn transactional_producer(&self, id: &str) -> Result<Box<dyn TransactionalProducer>> {
        Ok(Box::new(Wrapped(self.names.clone(), self.log.transactional_producer(&self.names.add(id))?)))
    }

    fn producer(&self) -> Result<Box<dyn TransactionalProducer>> {
        Ok(Box::new(Wrapped(self.names.clone(), self.log.producer()?)))
    }

    fn admin(&self) -> Box<dyn LogAdmin> {
        Box::new(Wrapped(self.names.clone(), self.log.admin()))
    }
}

impl LogConsumer for Wrapped<dyn LogConsumer> {
    fn subscribe(&mut self, topics: &[&str]) -> Result<()> {
        let topics: Vec<_> = topics.iter().map(|topic| self.0.add(topic)).collect();
        self.1.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn acknowledge_revocation(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.1.acknowledge_revocation(&partitions.iter().map(|name| self.0.outer(name)).collect::<Vec<_>>())
    }

    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.1.assign(&self.0.outer(partition), offset).map_err(|error| self.0.error(error))
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        self.1.unassign(&self.0.outer(partition));
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.1.pause(&self.0.outer(partition));
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.1.resume(&self.0.outer(partition));
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Polled> {
        let Wrapped(names, consumer) = self;
        let Polled { rebalance, batches } = consumer.poll(max_records, timeout).map_err(|error| names.error(error))?;
        let inner = |all: Vec<TopicPartition>| all.iter().map(|name| names.inner(name)).collect();
        let rebalance = rebalance.map(|Rebalance { revoked, assigned, lost }| Rebalance {
            revoked: inner(revoked),
            assigned: inner(assigned),
            lost: inner(lost),
        });
        let batch = |batch: FetchedBatch| FetchedBatch { partition: names.inner(&batch.partition), ..batch };
        Ok(Polled { rebalance, batches: batches.into_iter().map(batch).collect() })
    }

    fn waker(&self) -> Waker {
        self.1.waker()
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.1.position(&self.0.outer(partition))
    }

    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        self.1.committed(&self.0.outer(partition))
    }

    fn end_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.1.end_offset(&self.0.outer(partition))
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        self.1.known_end(&self.0.outer(partition))
    }

    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.1.beginning_offset(&self.0.outer(partition))
    }

    fn group_metadata(&self) -> Result<GroupMetadata> {
        self.1.group_metadata()
    }

    fn commit_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        self.1.commit_offsets(&offsets.iter().map(|(name, at)| (self.0.outer(name), at.clone())).collect::<Vec<_>>())
    }
}

impl TransactionalProducer for Wrapped<dyn TransactionalProducer> {
    fn begin(&mut self) -> Result<()> {
        self.1.begin()
    }

    fn in_transaction(&self) -> bool {
        self.1.in_transaction()
    }

    fn send(&mut self, record: ProducerRecord) -> Result<()> {
        let topic = self.0.add(&record.topic).into();
        self.1.send(ProducerRecord { topic, ..record }).map_err(|error| self.0.error(error))
    }

    fn send_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)], group: &GroupMetadata) -> Result<()> {
        let offsets: Vec<_> = offsets.iter().map(|(name, at)| (self.0.outer(name), at.clone())).collect();
        self.1.send_offsets(&offsets, group)
    }

    fn commit(&mut self) -> Result<BTreeMap<TopicPartition, i64>> {
        Ok(self.1.commit()?.into_iter().map(|(name, end)| (self.0.inner(&name), end)).collect())
    }

    fn abort(&mut self) -> Result<()> {
        self.1.abort()
    }
}

impl LogAdmin for Wrapped<dyn LogAdmin> {
    fn create_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.1.create_topic(&self.0.add(topic), config)
    }

    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>> {
        let topics = self.1.topics()?.into_iter();
        Ok(topics.filter_map(|(name, config)| Some((name.strip_prefix(&*self.0.0)?.to_owned(), config))).collect())
    }

    fn alter_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        self.1.alter_topic(&self.0.add(topic), config)
    }

    fn add_partitions(&self, topic: &str, partitions: i32) -> Result<()> {
        self.1.add_partitions(&self.0.add(topic), partitions)
    }

    fn group_members(&self, group: &str) -> Result<usize> {
        self.1.group_members(&self.0.add(group))
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        self.1.delete_group(&self.0.add(group))
    }

    fn delete_topic(&self, topic: &str) -> Result<()> {
        self.1.delete_topic(&self.0.add(topic))
    }

    fn delete_records(&self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.1.delete_records(&self.0.outer(partition), offset)
    }

    fn clean(&self, now: Timestamp) -> Result<()> {
        self.1.clean(now)
    }
}
