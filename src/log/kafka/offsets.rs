//! What is asked about topics and offsets, by one client for the whole log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaType;
use rdkafka::{Offset, TopicPartitionList};

use super::super::{CommittedOffset, LogError, Result};
use super::assignment;
use super::connection::{Context, Outage, lock};
use super::error::{Access, failed};
use super::native::{self, Handle};
use super::settings::{KafkaSettings, Role, refused_setting};
use crate::record::TopicPartition;

/// Topics that Kafka keeps for itself.
const KAFKAS_OWN: &[&str] = &[
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
    "__remote_log_metadata",
];

/// The longest that is waited for what the members of a group own: it is asked for again and again.
const LOOK: Duration = Duration::from_secs(5);

/// Asks about topics and offsets.
pub(super) struct Offsets {
    settings: KafkaSettings,
    outage: Arc<Outage>,
    client: Handle,
    /// How many partitions topics have, as far as it was asked for.
    partitions: Mutex<BTreeMap<Arc<str>, i32>>,
    /// Reads committed offsets, by group.
    groups: Mutex<BTreeMap<String, Arc<BaseConsumer<Context>>>>,
}

impl Offsets {
    pub(super) fn open(settings: &KafkaSettings, outage: &Arc<Outage>) -> Result<Self> {
        let config = settings.config(Role::Asking);
        let client =
            native::open(&config, RDKafkaType::RD_KAFKA_CONSUMER, Context::new(outage)).map_err(refused_setting)?;
        Ok(Offsets {
            settings: settings.clone(),
            outage: Arc::clone(outage),
            client,
            partitions: Mutex::default(),
            groups: Mutex::default(),
        })
    }

    /// Waits until a broker answers.
    pub(super) fn ping(&self, timeout: Duration) -> Result<()> {
        let asked = self.client.fetch_metadata(Some("__signalstream_ping"), timeout);
        native::serve(&self.client, Duration::ZERO);
        let access = Access::Cluster("Describe");
        asked.map(|_| self.outage.answered()).map_err(|error| {
            let action = format!("connecting to {}", self.settings.bootstrap_servers);
            failed(action, code(&error), access, &self.outage)
        })
    }

    /// All topics with how many partitions they have. Kafka's own are left out.
    pub(super) fn topics(&self) -> Result<BTreeMap<String, i32>> {
        let asked = self.client.fetch_metadata(None, self.settings.request_timeout);
        let metadata = self.answer(asked, "listing topics", Access::Cluster("Describe"))?;
        let topics =
            metadata.topics().iter().filter(|topic| topic.error().is_none() && !KAFKAS_OWN.contains(&topic.name()));
        Ok(topics.map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect())
    }

    /// How many partitions a topic has; asks anew if `fresh`.
    pub(super) fn partitions(&self, topic: &Arc<str>, fresh: bool) -> Result<i32> {
        if !fresh && let Some(known) = lock(&self.partitions).get(topic) {
            return Ok(*known);
        }
        let access = Access::Topic(topic, "Describe");
        let asked = self.client.fetch_metadata(Some(topic), self.settings.request_timeout);
        let metadata = self.answer(asked, &format!("looking up topic `{topic}`"), access)?;
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let partitions = match found.map(|found| (found.error(), found.partitions().len())) {
            Some((None, partitions)) if partitions > 0 => count(partitions),
            Some((Some(error), _)) if !is_unknown(error.into()) => {
                return Err(failed(format!("looking up topic `{topic}`"), error.into(), access, &self.outage));
            }
            _ => return Err(self.unknown(topic)),
        };
        lock(&self.partitions).insert(Arc::clone(topic), partitions);
        Ok(partitions)
    }

    /// Checks that a partition exists.
    pub(super) fn check(&self, partition: &TopicPartition) -> Result<()> {
        let has = |fresh| Ok((0..self.partitions(&partition.topic, fresh)?).contains(&partition.partition));
        // Partitions may have been added since.
        if has(false)? || has(true)? { Ok(()) } else { Err(LogError::UnknownPartition(partition.clone())) }
    }

    /// Forgets how many partitions a topic has.
    pub(super) fn forget(&self, topic: &str) {
        lock(&self.partitions).remove(topic);
    }

    /// The first offset that is still there, and the one after the last record, open transactions included.
    pub(super) fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        self.check(partition)?;
        let timeout = self.settings.request_timeout;
        let asked = self.client.fetch_watermarks(&partition.topic, partition.partition, timeout);
        if asked.is_err() {
            self.forget(&partition.topic);
        }
        let access = Access::Topic(&partition.topic, "Describe");
        self.answer(asked, &format!("asking for the offsets of {partition}"), access)
    }

    /// What a group has committed; waits for transactions that are about to commit.
    pub(super) fn committed(&self, group: &str, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        let consumer = self.group(group)?;
        let action = format!("reading the offset of group `{group}` in {partition}");
        let fail = |code| failed(action.as_str(), code, Access::Group(group, "Read and Describe"), &self.outage);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&partition.topic, partition.partition);
        let asked = consumer.committed_offsets(list, self.settings.request_timeout);
        while consumer.poll(Duration::ZERO).is_some() {}
        // A question that is not allowed is repeated until its time is over.
        let refused = consumer.context().take_refused();
        let list = asked.map_err(|error| fail(refused.map_or(code(&error), |(refused, _)| refused)))?;
        self.outage.answered();
        let elements = list.elements();
        let Some(found) = elements.first() else { return Ok(None) };
        match found.error().map_err(|error| code(&error)) {
            Ok(()) => Ok(committed(found)),
            // A topic that is gone has no offsets.
            Err(code) if is_unknown(code) => Ok(None),
            Err(Code::TopicAuthorizationFailed) => {
                let access = Access::Topic(&partition.topic, "Describe");
                Err(failed(action.as_str(), Code::TopicAuthorizationFailed, access, &self.outage))
            }
            Err(code) => Err(fail(code)),
        }
    }

    /// How many members a group has.
    pub(super) fn group_members(&self, group: &str) -> Result<usize> {
        let found = self.look_up(group, self.settings.request_timeout, &format!("looking up group `{group}`"))?;
        Ok(found.map_or(0, |found| found.assignments.len()))
    }

    /// What the members of a group own; `None` while it changes or has none.
    pub(super) fn owned_partitions(&self, group: &str) -> Result<Option<BTreeSet<TopicPartition>>> {
        let action = format!("looking up what the members of group `{group}` own");
        // A broker that is down is waited for.
        let found = self.look_up(group, self.settings.request_timeout.min(LOOK), &action)?;
        // While a group changes, the brokers do not tell what its members have.
        let Some(found) = found.filter(|found| found.state == "Stable") else { return Ok(None) };
        let mut owned = BTreeSet::new();
        for member in &found.assignments {
            let given = assignment::partitions(member);
            owned.extend(given.ok_or_else(|| {
                LogError::Refused {
                    action: action.clone(),
                    detail:
                        "what a member was given is not of the form that consumers use; is another kind of application \
                         using the name?"
                            .to_owned(),
                }
            })?);
        }
        Ok(Some(owned))
    }

    fn look_up(&self, group: &str, timeout: Duration, action: &str) -> Result<Option<native::Group>> {
        let asked = native::group(&self.client, group, timeout).map_err(KafkaError::GroupListFetch);
        self.answer(asked, action, Access::Group(group, "Describe"))
    }

    fn group(&self, group: &str) -> Result<Arc<BaseConsumer<Context>>> {
        if let Some(consumer) = lock(&self.groups).get(group) {
            return Ok(Arc::clone(consumer));
        }
        let mut config = self.settings.config(Role::Member);
        config.set("group.id", group);
        let consumer = config.create_with_context(Context::new(&self.outage)).map_err(refused_setting)?;
        Ok(Arc::clone(lock(&self.groups).entry(group.to_owned()).or_insert_with(|| Arc::new(consumer))))
    }

    fn answer<T>(&self, asked: Result<T, KafkaError>, action: &str, access: Access<'_>) -> Result<T> {
        native::serve(&self.client, Duration::ZERO);
        match asked {
            Ok(answer) => {
                self.outage.answered();
                Ok(answer)
            }
            Err(error) => Err(failed(action, code(&error), access, &self.outage)),
        }
    }

    /// That a topic is not there, with the name that was perhaps meant.
    pub(super) fn unknown(&self, topic: &str) -> LogError {
        self.forget(topic);
        let distance = |other: &String| strsim::damerau_levenshtein(topic, other);
        let near = self.topics().ok().and_then(|topics| topics.into_keys().min_by_key(distance));
        let hint = match near.filter(|near| distance(near) <= 1 + topic.len() / 4) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => "; create it first".to_owned(),
        };
        LogError::UnknownTopic { topic: topic.to_owned(), hint }
    }
}

fn committed(found: &TopicPartitionListElem<'_>) -> Option<CommittedOffset> {
    match found.offset() {
        Offset::Offset(offset) => Some(CommittedOffset { offset, metadata: found.metadata().to_owned() }),
        _ => None,
    }
}

fn count(partitions: usize) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}

pub(super) fn is_unknown(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition)
}

/// The code in an error of the safe crate; those that carry none are defects of the call.
pub(super) fn code(error: &KafkaError) -> Code {
    match error {
        KafkaError::AdminOp(code) => *code,
        other => other.rdkafka_error_code().unwrap_or(Code::Fail),
    }
}
