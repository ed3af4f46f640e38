//! Topics and groups: created, described, changed, deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic,
    OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::super::topic::{check_topic, difference};
use super::super::{LogAdmin, LogError, Result, TopicConfig};
use super::Shared;
use super::connection::lock;
use super::error::{Access, failed};
use super::offsets::code;
use super::settings::{Role, refused_setting};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock, Timestamp, pause};

/// What changes topics.
pub(super) type Client = AdminClient<DefaultClientContext>;

/// How long it is waited between two looks whether a change has arrived everywhere.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a record takes beside its key, value and headers, with the batch that it is in, at most.
const FRAMING: usize = 128;

/// Looks after topics on Kafka.
pub(super) struct KafkaAdmin {
    shared: Arc<Shared>,
}

impl KafkaAdmin {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        KafkaAdmin { shared }
    }

    fn client(&self) -> Result<Arc<Client>> {
        let mut client = lock(&self.shared.admin);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let mut config: ClientConfig = self.shared.settings.config(Role::Asking);
        // Nobody reads the log lines of this one; the client that asks about topics reports the same.
        config.set_log_level(RDKafkaLogLevel::Emerg);
        let connected = Arc::new(config.create::<Client>().map_err(refused_setting)?);
        *client = Some(Arc::clone(&connected));
        Ok(connected)
    }

    fn options(&self) -> AdminOptions {
        let timeout = self.shared.settings.request_timeout;
        AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
    }

    fn fail(&self, action: &str, code: Code, access: Access<'_>) -> LogError {
        failed(action, code, access, &self.shared.outage)
    }

    /// Waits for an answer; `access` is what the action needs to be allowed to do.
    fn answer<T>(
        &self,
        action: &str,
        access: Access<'_>,
        asked: impl Future<Output = Result<T, KafkaError>>,
    ) -> Result<T> {
        let waiting = tokio::runtime::Builder::new_current_thread().build();
        let runtime = waiting.map_err(|error| LogError::Refused {
            action: action.to_owned(),
            detail: format!("the system gives no more resources: {error}"),
        })?;
        runtime.block_on(asked).map_err(|error| match &error {
            KafkaError::AdminOpCreation(detail) => {
                LogError::Refused { action: action.to_owned(), detail: detail.clone() }
            }
            other => self.fail(action, code(other), access),
        })
    }

    /// The configurations of topics; `None` for one that may not be looked at.
    fn configs<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Option<ConfigResource>>> {
        let specifiers: Vec<_> = topics.into_iter().map(ResourceSpecifier::Topic).collect();
        if specifiers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let client = self.client()?;
        let options = self.options();
        let access = Access::Cluster("DescribeConfigs");
        let described = self.answer("describing topics", access, client.describe_configs(&specifiers, &options))?;
        let mut configs = BTreeMap::new();
        for resource in described {
            let resource = resource.map_err(|code| self.fail("describing topics", code, access))?;
            if let OwnedResourceSpecifier::Topic(name) = &resource.specifier {
                configs.insert(name.clone(), (!resource.entries.is_empty()).then_some(resource));
            }
        }
        Ok(configs)
    }

    fn config(&self, topic: &str) -> Result<ConfigResource> {
        self.configs([topic])?.remove(topic).flatten().ok_or_else(|| {
            self.fail(
                &format!("describing topic `{topic}`"),
                Code::TopicAuthorizationFailed,
                Access::Topic(topic, "DescribeConfigs"),
            )
        })
    }

    /// Waits until the brokers agree on how many partitions a topic has; 0: that it is gone.
    fn settled(&self, topic: &Arc<str>, partitions: i32) -> Result<()> {
        let clock = SystemClock::new();
        let offsets = &self.shared.offsets;
        loop {
            let has = match offsets.partitions(topic, true) {
                Ok(has) => has,
                Err(LogError::UnknownTopic { .. }) => 0,
                Err(error) => return Err(error),
            };
            // What is known by its metadata may still lack its leader, whom writing and reading need.
            let last = TopicPartition::new(Arc::clone(topic), partitions - 1);
            if has == partitions && (partitions == 0 || offsets.bounds(&last).is_ok()) {
                return Ok(());
            }
            if clock.elapsed() >= self.shared.settings.request_timeout {
                return Err(LogError::Unreachable {
                    action: format!("changing topic `{topic}`"),
                    detail: "the brokers have taken the change, but not all know of it yet".to_owned(),
                });
            }
            pause(LOOK_AGAIN);
        }
    }

    fn outcome<T>(&self, results: Vec<Result<T, (String, Code)>>) -> Result<(), Code> {
        results.into_iter().try_for_each(|result| result.map(drop).map_err(|(_, code)| code))
    }
}

impl LogAdmin for KafkaAdmin {
    fn create_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        check_topic(topic, config)?;
        let properties = properties(config);
        let replication = TopicReplication::Fixed(self.shared.settings.replication_factor.unwrap_or(-1));
        let mut new = NewTopic::new(topic, config.partitions, replication);
        for (property, value) in &properties {
            new = new.set(property, value);
        }
        let (client, options) = (self.client()?, self.options());
        let action = format!("creating topic `{topic}`");
        let access = Access::Topic(topic, "Create");
        let created = self.answer(&action, access, client.create_topics([&new], &options))?;
        match self.outcome(created) {
            Ok(()) => self.settled(&topic.into(), config.partitions),
            Err(Code::TopicAlreadyExists) => {
                let partitions = self.shared.offsets.partitions(&topic.into(), true)?;
                let existing = described(partitions, &self.config(topic)?);
                match difference(&existing, config) {
                    None => Ok(()),
                    Some(difference) => Err(LogError::TopicExists { topic: topic.to_owned(), difference }),
                }
            }
            Err(code @ (Code::InvalidTopic | Code::InvalidConfig | Code::InvalidPartitions)) => {
                Err(LogError::InvalidTopic { topic: topic.to_owned(), detail: code.to_string() })
            }
            Err(Code::InvalidReplicationFactor) => Err(LogError::InvalidTopic {
                topic: topic.to_owned(),
                detail: "there are fewer brokers than the replication factor asks for".to_owned(),
            }),
            Err(code) => Err(self.fail(&action, code, access)),
        }
    }

    fn topics(&self) -> Result<BTreeMap<String, TopicConfig>> {
        let partitions = self.shared.offsets.topics()?;
        let mut configs = self.configs(partitions.keys().map(String::as_str))?;
        let topic = |(name, partitions): (String, i32)| {
            let config = match configs.remove(&name).flatten() {
                Some(config) => described(partitions, &config),
                None => {
                    tracing::warn!(topic = name, "its configuration may not be read: allow DescribeConfigs on it");
                    TopicConfig::new(partitions)
                }
            };
            (name, config)
        };
        Ok(partitions.into_iter().map(topic).collect())
    }

    fn topic_names(&self) -> Result<BTreeSet<String>> {
        Ok(self.shared.offsets.topics()?.into_keys().collect())
    }

    /// Brokers measure what is compressed, of which nothing is known before it is: with compression there are no limits.
    fn record_limits(&self, topics: &[&str]) -> Result<BTreeMap<String, usize>> {
        if self.shared.settings.compresses() {
            return Ok(BTreeMap::new());
        }
        let limit = |config: ConfigResource| {
            let entry = config.entries.into_iter().find(|entry| entry.name == "max.message.bytes")?;
            entry.value?.parse::<usize>().ok().map(|limit| limit.saturating_sub(FRAMING))
        };
        let configs = self.configs(topics.iter().copied())?;
        Ok(configs.into_iter().filter_map(|(topic, config)| Some((topic, limit(config?)?))).collect())
    }

    fn alter_topic(&self, topic: &str, config: &TopicConfig) -> Result<()> {
        let partitions = self.shared.offsets.partitions(&topic.into(), true)?;
        check_topic(topic, &TopicConfig { partitions, ..config.clone() })?;
        let existing = self.config(topic)?;
        let changes = properties(config);
        // The request replaces what is set, so what is to stay is sent along.
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for entry in existing.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic) {
            let forgotten = matches!(&*entry.name, "retention.ms" | "delete.retention.ms");
            if let Some(value) = entry.value.as_deref().filter(|_| !forgotten) {
                altered = altered.set(&entry.name, value);
            }
        }
        for (property, value) in &changes {
            altered = altered.set(property, value);
        }
        let (client, options) = (self.client()?, self.options());
        let action = format!("changing topic `{topic}`");
        let access = Access::Topic(topic, "AlterConfigs");
        let results = self.answer(&action, access, client.alter_configs([&altered], &options))?;
        results
            .into_iter()
            .try_for_each(|result| result.map(drop).map_err(|(_, code)| self.fail(&action, code, access)))
    }

    fn add_partitions(&self, topic: &str, partitions: i32) -> Result<()> {
        let has = self.shared.offsets.partitions(&topic.into(), true)?;
        if partitions < has {
            let detail = format!("it has {has} partitions, which cannot become {partitions}");
            return Err(LogError::InvalidTopic { topic: topic.to_owned(), detail });
        }
        if partitions == has {
            return Ok(());
        }
        let (client, options) = (self.client()?, self.options());
        let action = format!("adding partitions to topic `{topic}`");
        let access = Access::Topic(topic, "Alter");
        let new = NewPartitions::new(topic, usize::try_from(partitions).unwrap_or(0));
        let added = self.answer(&action, access, client.create_partitions([&new], &options))?;
        self.outcome(added).map_err(|code| self.fail(&action, code, access))?;
        self.settled(&topic.into(), partitions)
    }

    fn group_members(&self, group: &str) -> Result<usize> {
        self.shared.offsets.group_members(group)
    }

    fn owned_partitions(&self, group: &str) -> Result<Option<BTreeSet<TopicPartition>>> {
        self.shared.offsets.owned_partitions(group)
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        let (client, options) = (self.client()?, self.options());
        let action = format!("deleting group `{group}`");
        let access = Access::Group(group, "Delete");
        let deleted = self.answer(&action, access, client.delete_groups(&[group], &options))?;
        match self.outcome(deleted) {
            Ok(()) | Err(Code::GroupIdNotFound) => Ok(()),
            Err(Code::NonEmptyGroup) => {
                Err(LogError::GroupInUse { group: group.to_owned(), members: self.group_members(group)? })
            }
            Err(code) => Err(self.fail(&action, code, access)),
        }
    }

    fn delete_topic(&self, topic: &str) -> Result<()> {
        let (client, options) = (self.client()?, self.options());
        let action = format!("deleting topic `{topic}`");
        let access = Access::Topic(topic, "Delete");
        let deleted = self.answer(&action, access, client.delete_topics(&[topic], &options))?;
        match self.outcome(deleted) {
            Ok(()) => self.settled(&topic.into(), 0),
            Err(Code::UnknownTopicOrPartition) => Err(self.shared.offsets.unknown(topic)),
            Err(code) => Err(self.fail(&action, code, access)),
        }
    }

    fn delete_records(&self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        let action = format!("deleting the records of {partition} before offset {offset}");
        let access = Access::Topic(&partition.topic, "Delete");
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
            .map_err(|error| self.fail(&action, code(&error), access))?;
        let (client, options) = (self.client()?, self.options());
        let deleted = self.answer(&action, access, client.delete_records(&list, &options))?;
        for element in deleted.elements() {
            match element.error().map_err(|error| code(&error)) {
                Ok(()) => {}
                Err(Code::OffsetOutOfRange) => {
                    let (_, end) = self.shared.offsets.bounds(partition)?;
                    return Err(LogError::OffsetOutOfRange { partition: partition.clone(), offset, end });
                }
                Err(code) => return Err(self.fail(&action, code, access)),
            }
        }
        Ok(())
    }

    fn clean(&self, _now: Timestamp) -> Result<()> {
        // The brokers do, by themselves.
        Ok(())
    }
}

/// A topic's configuration in Kafka's words.
fn properties(config: &TopicConfig) -> Vec<(&'static str, String)> {
    let policy = match (config.compacted, config.retention) {
        (false, _) => "delete",
        (true, None) => "compact",
        (true, Some(_)) => "compact,delete",
    };
    let mut properties = vec![("cleanup.policy", policy.to_owned())];
    if policy != "compact" {
        properties.push(("retention.ms", config.retention.unwrap_or(-1).to_string()));
    }
    if config.compacted {
        properties.push(("delete.retention.ms", config.delete_retention.to_string()));
    }
    let delays = [("max.compaction.lag.ms", config.max_compaction_lag), ("segment.ms", config.segment)];
    properties.extend(delays.into_iter().filter_map(|(name, delay)| Some((name, delay?.to_string()))));
    properties
}

/// A topic's configuration out of Kafka's words.
fn described(partitions: i32, config: &ConfigResource) -> TopicConfig {
    let text = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
    let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
    let own = |name: &str| {
        let of_topic = config.get(name).is_some_and(|entry| entry.source == ConfigSource::DynamicTopic);
        number(name).filter(|_| of_topic)
    };
    let policy = text("cleanup.policy").unwrap_or("delete");
    let default = TopicConfig::new(partitions);
    TopicConfig {
        retention: number("retention.ms").filter(|retention| *retention >= 0 && policy.contains("delete")),
        compacted: policy.contains("compact"),
        delete_retention: number("delete.retention.ms").unwrap_or(default.delete_retention),
        max_compaction_lag: own("max.compaction.lag.ms"),
        segment: own("segment.ms"),
        ..default
    }
}
