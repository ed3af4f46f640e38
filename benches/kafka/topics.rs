//! Topics and offsets of the broker.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

pub(crate) const PARTITIONS: i32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Creates and deletes topics.
pub(crate) struct Topics {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    consumer: BaseConsumer,
}

impl Topics {
    pub(crate) fn new(servers: &str) -> Topics {
        let client = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Topics { client, runtime, consumer: asking(servers, "bench") }
    }

    /// Creates a topic that keeps its records, whatever their timestamps.
    pub(crate) fn create(&self, name: &str) {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let created = self.runtime.block_on(self.client.create_topics([&topic], &options())).unwrap();
        created.into_iter().for_each(|result| assert!(result.is_ok(), "{name} was not created: {result:?}"));
        super::harness::eventually(&format!("leaders of {name}"), TIMEOUT, || {
            let metadata = self.consumer.fetch_metadata(Some(name), TIMEOUT).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            (partitions.len() == PARTITIONS as usize && partitions.iter().all(|one| one.leader() >= 0)).then_some(())
        });
    }

    /// Deletes the topics of a run, so that their files do not burden the next.
    pub(crate) fn delete(&self, doomed: impl Fn(&str) -> bool) {
        let all = self.names();
        let names: Vec<&str> = all.iter().map(String::as_str).filter(|name| doomed(name)).collect();
        if !names.is_empty() {
            self.runtime.block_on(self.client.delete_topics(&names, &options())).unwrap();
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let metadata = self.consumer.fetch_metadata(None, TIMEOUT).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    /// Where the partitions of a topic end.
    pub(crate) fn ends(&self, topic: &str) -> Vec<i64> {
        ends(&self.consumer, topic)
    }
}

/// Where the partitions of a topic end, by their numbers.
pub(crate) fn ends(consumer: &BaseConsumer, topic: &str) -> Vec<i64> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    (0..partitions).map(|number| consumer.fetch_watermarks(topic, number as i32, TIMEOUT).unwrap().1).collect()
}

/// A consumer that fetches nothing and asks what a group has committed.
pub(crate) fn asking(servers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        // What is committed by now, without waiting for transactions that are open.
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap()
}

/// What a group has committed of some topics, added up. `None`: the broker does not say just now.
pub(crate) fn committed(consumer: &BaseConsumer, topics: &[(String, usize)]) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in topics {
        list.add_partition_range(topic, 0, *partitions as i32 - 1);
    }
    let answer = consumer.committed_offsets(list, TIMEOUT).ok()?;
    let offset = |offset: Offset| offset.to_raw().filter(|offset| *offset >= 0).unwrap_or(0);
    Some(answer.elements().iter().map(|element| offset(element.offset())).sum())
}

/// The repartition topics of an application, each with its number of partitions.
pub(crate) fn internal(consumer: &BaseConsumer, application: &str) -> Vec<(String, usize)> {
    let metadata = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    let is_internal = |name: &str| {
        name.strip_prefix(application).is_some_and(|rest| rest.starts_with('-') && rest.ends_with("-repartition"))
    };
    let found = metadata.topics().iter().filter(|topic| is_internal(topic.name()));
    found.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}
