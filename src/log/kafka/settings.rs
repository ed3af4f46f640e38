//! Settings of a connection to Kafka, and what librdkafka is told because of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::super::{LogError, Result};

/// Properties that the engine sets itself, each with the reason why no other value would do.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "give the address with `--bootstrap-servers`"),
    ("metadata.broker.list", "give the address with `--bootstrap-servers`"),
    ("group.id", "the group is the application's name"),
    ("group.instance.id", "static membership is a setting of the engine"),
    ("group.protocol", "the engine relies on the classic protocol"),
    ("partition.assignment.strategy", "the engine relies on cooperative-sticky assignment"),
    ("transactional.id", "the engine derives it from the instance's identity"),
    ("enable.idempotence", "exactly once relies on it"),
    ("acks", "exactly once relies on `all`"),
    ("isolation.level", "exactly once relies on `read_committed`"),
    ("enable.auto.commit", "offsets are committed with the results"),
    ("auto.commit.enable", "offsets are committed with the results"),
    ("enable.auto.offset.store", "offsets are committed with the results"),
    ("auto.offset.reset", "where to begin is decided by the topology"),
    ("enable.partition.eof", "the engine follows its position by it"),
    ("delivery.report.only.error", "the engine counts what was written"),
    ("transaction.timeout.ms", "it is the setting `transaction_timeout`"),
    ("message.timeout.ms", "it is the setting `delivery_timeout`"),
    ("delivery.timeout.ms", "it is the setting `delivery_timeout`"),
    ("retries", "records are tried again for as long as the setting `delivery_timeout` says"),
    ("message.send.max.retries", "records are tried again for as long as the setting `delivery_timeout` says"),
    ("retry.backoff.ms", "it is the setting `retry_backoff`"),
    ("retry.backoff.max.ms", "it is the setting `retry_backoff_max`"),
    ("session.timeout.ms", "it is the setting `session_timeout`"),
    ("max.poll.interval.ms", "it is the setting `max_poll_interval`"),
    ("message.max.bytes", "it is the setting `max_record_bytes`"),
    ("queued.max.messages.kbytes", "it is the setting `fetch_queue_bytes`"),
    ("queue.buffering.max.kbytes", "it is the setting `produce_queue_bytes`"),
    ("log.queue", "logs go where the engine's logs go"),
    ("log_level", "use `--log-level`"),
];

/// The longest time between two heartbeats of a member, unless `heartbeat.interval.ms` says another.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The longest that librdkafka lets a request wait before it is tried again.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// Which of librdkafka's properties are for consumers, or for producers, only: it warns about those that it is given
/// for nothing. Prefixes.
const CONSUMER_ONLY: &[&str] =
    &["fetch.", "max.partition.fetch", "queued.", "check.crcs", "heartbeat.", "allow.auto.create", "consume."];
const PRODUCER_ONLY: &[&str] = &[
    "linger.",
    "batch.",
    "compression.",
    "queue.buffering",
    "max.in.flight.requests",
    "message.timeout",
    "delivery.",
    "sticky.partitioning",
    "retries",
    "message.send",
    "request.required.acks",
    "request.timeout",
    "partitioner",
];

/// How to reach Kafka, and what to leave to it.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where to begin: `HOST:PORT`, or several, separated by commas.
    pub bootstrap_servers: String,
    /// Further properties of librdkafka, by name. With the prefix `consumer.` or `producer.` they are for these only.
    pub properties: BTreeMap<String, String>,
    /// How the client names itself to the brokers (`client.id`).
    pub client_id: String,
    /// How many copies of a topic that is created; `None`: as the brokers do by default.
    pub replication_factor: Option<i32>,
    /// The most bytes that are fetched ahead per partition; at most one fetched batch more.
    pub fetch_queue_bytes: usize,
    /// The most bytes of a producer that wait to be written.
    pub produce_queue_bytes: usize,
    /// The largest record that is written (`message.max.bytes`); a topic may take less.
    pub max_record_bytes: usize,
    /// After how long the brokers abort a transaction that nobody decides (`transaction.timeout.ms`).
    pub transaction_timeout: Duration,
    /// How long a record is tried again until it counts as not written (`delivery.timeout.ms`); `None`: for
    /// `transaction_timeout`.
    pub delivery_timeout: Option<Duration>,
    /// How long a request that failed waits before it is tried again; each time about twice as long.
    pub retry_backoff: Duration,
    /// The longest that a request waits before it is tried again.
    pub retry_backoff_max: Duration,
    /// After how long without a sign of life a member's partitions go to others (`session.timeout.ms`).
    pub session_timeout: Duration,
    /// After how long without a poll a member leaves its group (`max.poll.interval.ms`).
    pub max_poll_interval: Duration,
    /// How long a single question to the brokers may take.
    pub request_timeout: Duration,
}

impl KafkaSettings {
    /// The default settings, for these brokers.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        KafkaSettings {
            bootstrap_servers: bootstrap_servers.into(),
            properties: BTreeMap::new(),
            client_id: "signalstream".to_owned(),
            replication_factor: None,
            fetch_queue_bytes: 128 << 10,
            produce_queue_bytes: 32 << 20,
            max_record_bytes: 1_000_000,
            transaction_timeout: Duration::from_secs(10),
            delivery_timeout: None,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            session_timeout: Duration::from_secs(45),
            max_poll_interval: Duration::from_secs(300),
            request_timeout: Duration::from_secs(15),
        }
    }

    /// Whether the engine sets this property of librdkafka itself, and why.
    pub fn owned(property: &str) -> Option<&'static str> {
        let name = unprefixed(property).1;
        OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, reason)| *reason)
    }

    /// Whether a property's value must never be shown.
    pub fn is_secret(property: &str) -> bool {
        let name = unprefixed(property).1;
        ["password", "secret", "token", "ssl.key.pem", "jaas", "passphrase"].iter().any(|part| name.contains(part))
            || name == "ssl_key"
            || name == "sasl.oauthbearer.config"
    }

    /// Checks everything that can be checked without a broker.
    ///
    /// # Errors
    /// [`LogError::Setting`] naming the first property that is wrong.
    pub fn check(&self) -> Result<()> {
        if self.bootstrap_servers.trim().is_empty() {
            let detail = "no broker is named; write `HOST:PORT`, or several, separated by commas".to_owned();
            return Err(LogError::Setting { property: "bootstrap.servers".to_owned(), detail });
        }
        for property in self.properties.keys() {
            if let Some(reason) = KafkaSettings::owned(property) {
                let detail = format!("the engine sets it itself: {reason}");
                return Err(LogError::Setting { property: property.clone(), detail });
            }
        }
        self.check_retries()?;
        for role in [Role::Fetcher, Role::Member, Role::Producer] {
            self.config(role).create_native_config().map_err(refused_setting)?;
        }
        Ok(())
    }

    /// Checks the times of retries against each other, which librdkafka would tell under its own names.
    fn check_retries(&self) -> Result<()> {
        let wrong = |property: &str, detail: String| Err(LogError::Setting { property: property.to_owned(), detail });
        let (first, longest) = (self.retry_backoff, self.retry_backoff_max);
        if first.is_zero() || first > longest {
            return wrong(
                "retry_backoff",
                format!("{first:?} is not between 1 ms and `retry_backoff_max`, {longest:?}"),
            );
        }
        if longest > MAX_BACKOFF {
            return wrong("retry_backoff_max", format!("{longest:?} is more than {MAX_BACKOFF:?}"));
        }
        let (patience, limit) = (self.delivery_timeout(), self.transaction_timeout);
        if patience.is_zero() || patience > limit {
            let detail = format!("{patience:?} is not between 1 ms and `transaction_timeout`, {limit:?}");
            return wrong("delivery_timeout", detail);
        }
        Ok(())
    }

    /// How long a record is tried again until it counts as not written.
    pub(super) fn delivery_timeout(&self) -> Duration {
        self.delivery_timeout.unwrap_or(self.transaction_timeout)
    }

    /// What librdkafka is told for a client of this role.
    pub(super) fn config(&self, role: Role) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (property, value) in role.defaults() {
            config.set(*property, *value);
        }
        for (property, value) in &self.properties {
            let (of, name) = unprefixed(property);
            if role.takes(of, name) {
                config.set(name, value.as_str());
            }
        }
        config.set("bootstrap.servers", &self.bootstrap_servers).set("client.id", &self.client_id);
        config
            .set("retry.backoff.ms", millis(self.retry_backoff))
            .set("retry.backoff.max.ms", millis(self.retry_backoff_max));
        // Who asks librdkafka for its debugging wants to see it.
        let debugs = config.get("debug").is_some();
        config.set_log_level(if debugs { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
        match role {
            Role::Fetcher => {
                config.set("queued.max.messages.kbytes", kilobytes(self.fetch_queue_bytes));
            }
            Role::Member => {
                if config.get("heartbeat.interval.ms").is_none() {
                    // A member learns with its next heartbeat that the group changes: tasks that move wait for that.
                    config.set("heartbeat.interval.ms", millis(HEARTBEAT.min(self.session_timeout / 3)));
                }
                config
                    .set("session.timeout.ms", millis(self.session_timeout))
                    .set("max.poll.interval.ms", millis(self.max_poll_interval.max(self.session_timeout)));
            }
            Role::Producer => {
                config
                    .set("delivery.timeout.ms", millis(self.delivery_timeout()))
                    .set("queue.buffering.max.kbytes", kilobytes(self.produce_queue_bytes))
                    .set("message.max.bytes", self.max_record_bytes.to_string());
            }
            Role::Asking => {}
        }
        config
    }
}

impl KafkaSettings {
    /// Whether producers compress what they write.
    pub(super) fn compresses(&self) -> bool {
        let codec = |property: &String| {
            let (of, name) = unprefixed(property);
            Role::Producer.takes(of, name) && matches!(name, "compression.type" | "compression.codec")
        };
        self.properties.iter().any(|(property, value)| codec(property) && value != "none")
    }
}

// By hand, because properties may be secrets.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), if KafkaSettings::is_secret(name) { "***".to_owned() } else { value.clone() })
        };
        let properties: BTreeMap<_, _> = self.properties.iter().map(shown).collect();
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &properties)
            .finish_non_exhaustive()
    }
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Fetches partitions that it is told to.
    Fetcher,
    /// Is a member of a group, or asks for its offsets.
    Member,
    /// Writes.
    Producer,
    /// Asks about topics and offsets, and changes topics.
    Asking,
}

impl Role {
    /// What is set before the user's properties are.
    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Role::Fetcher => &[
                ("isolation.level", "read_committed"),
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
                ("enable.auto.commit", "false"),
                ("auto.commit.enable", "false"),
                ("enable.auto.offset.store", "false"),
                // A full queue is drained within moments; its default of 1 s would leave the consumer waiting.
                ("fetch.queue.backoff.ms", "2"),
                // How late we learn that a partition has nothing more for readers of committed records.
                ("fetch.wait.max.ms", "50"),
                ("fetch.error.backoff.ms", "100"),
                ("queued.min.messages", "100000"),
                ("reconnect.backoff.max.ms", "2000"),
                ("socket.nagle.disable", "true"),
            ],
            Role::Member => &[
                ("isolation.level", "read_committed"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("group.protocol", "classic"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("reconnect.backoff.max.ms", "2000"),
                ("socket.nagle.disable", "true"),
            ],
            Role::Producer => &[
                ("enable.idempotence", "true"),
                ("linger.ms", "20"),
                ("queue.buffering.max.messages", "1000000"),
                ("reconnect.backoff.max.ms", "2000"),
                ("socket.nagle.disable", "true"),
            ],
            // The end of a partition is to include transactions that are still open.
            Role::Asking => &[("isolation.level", "read_uncommitted"), ("reconnect.backoff.max.ms", "2000")],
        }
    }

    fn takes(self, of: Option<&str>, name: &str) -> bool {
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let consumes = self != Role::Producer;
        match of {
            Some("consumer") => consumes && self != Role::Asking,
            Some(_) => !consumes,
            None => (consumes || !is(CONSUMER_ONLY)) && (!consumes || !is(PRODUCER_ONLY)),
        }
    }
}

/// Splits `consumer.` or `producer.` off.
fn unprefixed(property: &str) -> (Option<&str>, &str) {
    match property.split_once('.') {
        Some((of @ ("consumer" | "producer"), name)) => (Some(of), name),
        _ => (None, property),
    }
}

/// What librdkafka does not take, without the value if that is secret.
pub(super) fn refused_setting(error: KafkaError) -> LogError {
    match error {
        KafkaError::ClientConfig(_, detail, property, _) => {
            let detail =
                if KafkaSettings::is_secret(&property) { "its value is not accepted".to_owned() } else { detail };
            LogError::Setting { property, detail }
        }
        other => LogError::Setting { property: "kafka".to_owned(), detail: other.to_string() },
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().min(i32::MAX as u128).to_string()
}

fn kilobytes(bytes: usize) -> String {
    bytes.div_ceil(1024).clamp(1, 2_097_151).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(property: &str, value: &str) -> KafkaSettings {
        let properties = BTreeMap::from([(property.to_owned(), value.to_owned())]);
        KafkaSettings { properties, ..KafkaSettings::new("localhost:9092") }
    }

    #[test]
    fn properties_pass_through_to_those_they_are_for() {
        assert!(KafkaSettings::new("localhost:9092").check().is_ok());
        let settings = with("consumer.fetch.min.bytes", "7");
        assert!(settings.check().is_ok());
        assert_eq!(settings.config(Role::Fetcher).get("fetch.min.bytes"), Some("7"));
        assert_eq!(settings.config(Role::Producer).get("fetch.min.bytes"), None);
        let settings = with("linger.ms", "20");
        assert_eq!(settings.config(Role::Producer).get("linger.ms"), Some("20"));
        assert_eq!(settings.config(Role::Fetcher).get("linger.ms"), None);
    }

    #[test]
    fn what_the_engine_relies_on_cannot_be_set() {
        for property in ["isolation.level", "consumer.isolation.level", "transactional.id"] {
            let error = with(property, "x").check().unwrap_err().to_string();
            assert!(error.contains(property) && error.contains("the engine"), "{error}");
        }
    }

    #[test]
    fn retries_are_settings_of_the_engine() {
        let settings = KafkaSettings::new("localhost:9092");
        let config = settings.config(Role::Producer);
        assert_eq!(config.get("delivery.timeout.ms"), Some("10000"), "the time of a transaction");
        assert_eq!((config.get("retry.backoff.ms"), config.get("retry.backoff.max.ms")), (Some("100"), Some("1000")));
        let short = KafkaSettings { delivery_timeout: Some(Duration::from_secs(2)), ..settings.clone() };
        assert_eq!(short.config(Role::Producer).get("delivery.timeout.ms"), Some("2000"));
        assert!(short.check().is_ok());
        let second = Duration::from_secs(1);
        for (name, wrong) in [
            ("delivery_timeout", KafkaSettings { delivery_timeout: Some(second * 11), ..settings.clone() }),
            ("delivery_timeout", KafkaSettings { delivery_timeout: Some(Duration::ZERO), ..settings.clone() }),
            ("retry_backoff", KafkaSettings { retry_backoff: second * 2, ..settings.clone() }),
            ("retry_backoff", KafkaSettings { retry_backoff: Duration::ZERO, ..settings.clone() }),
            ("retry_backoff_max", KafkaSettings { retry_backoff_max: second * 301, ..settings.clone() }),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`:")), "{error}");
        }
        for property in ["retries", "message.timeout.ms", "producer.delivery.timeout.ms", "retry.backoff.ms"] {
            let error = with(property, "5").check().unwrap_err().to_string();
            assert!(error.contains(property) && error.contains("setting `"), "{error}");
        }
    }

    #[test]
    fn a_property_that_is_none_is_named() {
        let error = with("no.such.property", "x").check().unwrap_err().to_string();
        assert!(error.contains("no.such.property"), "{error}");
        let error = with("fetch.min.bytes", "many").check().unwrap_err().to_string();
        assert!(error.contains("fetch.min.bytes"), "{error}");
        assert!(KafkaSettings::new(" ").check().is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", with("sasl.password", "hunter2"));
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
        assert!(KafkaSettings::is_secret("consumer.ssl.key.password"));
        assert!(!KafkaSettings::is_secret("sasl.username"));
    }
}
