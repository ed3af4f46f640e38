//! Settings of a deployment: from a file, the environment and the command line, the later the stronger.
//!
//! The documentation of a field is the documentation of its setting: reference, JSON Schema and `--print-config` come
//! from the one definition below. Every queue, cache and buffer of the engine takes its limit from here (invariant I9).
//! The parts that a setting concerns make their own options of it.

mod codec;
mod environment;
mod file;
mod load;
mod reference;
mod secret;
mod setting;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use codec::{Bytes, Count, Directory, File, Millis, Optional, Socket, Switch, Text, Urls, Word};
pub use codec::{format_size, parse_size};
pub use load::{ConfigError, Effective, Flag, Origin, Sources};
pub use reference::{json_schema, reference};
pub use secret::{Properties, Secret, is_secret};
pub use setting::{Kind, Setting};

/// What holds for the records of an application when something fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// A record's outputs, changes of state and offset become visible together, or not at all.
    #[default]
    ExactlyOnce,
    /// What was done since the last commit is done again, and its outputs are there twice. Costs no transactions.
    AtLeastOnce,
}

/// Under which name a schema stands in a registry (Confluent's subject name strategies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectStrategy {
    /// `TOPIC-key` and `TOPIC-value`: one schema for the keys of a topic, one for its values.
    #[default]
    Topic,
    /// The full name of the record, whichever topic it is in.
    Record,
    /// `TOPIC-` and the full name of the record: several kinds of records in a topic.
    TopicRecord,
}

/// Who waits while a record waits for its schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaHold {
    /// The task whose record it is.
    #[default]
    Task,
    /// All tasks of its sub-topology in this process: what they hand on stays together in time.
    Subtopology,
}

/// Which topics that are missing `run` creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreateTopics {
    /// All on the embedded log, on Kafka those of the engine's own.
    #[default]
    Auto,
    /// All that the topology names.
    All,
    /// The engine's own: repartition topics, changelogs, the topic of the tasks.
    Internal,
    /// None: every topic must be there.
    None,
}

setting::settings! {
    /// Settings of one process, with the defaults that suit a small machine.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Config {
        /// The directory of the embedded log and the stores; a deployment has this or Kafka brokers.
        ["embedded"] embedded: Option<PathBuf> as Optional<Directory> = None;
        /// Stream threads of each application. Tasks are shared out among them; more threads than tasks idle.
        ["threads"] threads: usize as Count<256> = 1;
        /// What holds when something fails: `exactly_once`, or `at_least_once`, which does what was done since the last
        /// commit again and may write results twice, but costs no transactions.
        ["guarantee"] guarantee: Guarantee as Word = Guarantee::ExactlyOnce;
        /// Time between commits. A longer one makes fewer, larger transactions and later results.
        ["commit_interval"] commit_interval: Duration as Millis = Duration::from_millis(100);
        /// Whether a table or aggregate hands on one change per key and commit, or every update.
        ["caching"] caching: bool as Switch = true;
        /// The most records that one fetch of a thread brings.
        ["fetch_records"] fetch_records: usize as Count<1_000_000> = 2_000;
        /// The most records that wait per input partition; beyond, the partition is paused.
        ["queued_records"] queued_records: usize as Count<10_000_000> = 4_000;
        /// The most bytes of records that wait per input partition; beyond, the partition is paused.
        ["queued_bytes"] queued_bytes: usize as Bytes = 16 << 20;
        /// Bytes of output records that a task collects before it commits ahead of time.
        ["uncommitted_output_bytes"] uncommitted_output_bytes: usize as Bytes = 8 << 20;
        /// The largest record that is written, in bytes of key and value. On Kafka the default is 1 MB, as brokers take
        /// no more unless their `message.max.bytes` says so.
        ["max_record_bytes"] max_record_bytes: usize as Bytes = 64 << 20;
        /// How far ahead of the clock a record's timestamp may lie; further ones are treated as undecodable, since
        /// they would make every other record late. `none`: any distance.
        ["max_timestamp_ahead"] max_timestamp_ahead: Option<Duration> as Optional<Millis> =
            Some(Duration::from_secs(86_400));
        /// How long a start waits for the brokers before it gives up.
        ["startup_timeout"] startup_timeout: Duration as Millis = Duration::from_secs(60);
        /// How long a stop may take: commit, leave the group, close the stores.
        ["shutdown_timeout"] shutdown_timeout: Duration as Millis = Duration::from_secs(30);
        /// Kafka: after how long the brokers abort a transaction that nobody decides (`transaction.timeout.ms`).
        ["transaction_timeout"] transaction_timeout: Duration as Millis = Duration::from_secs(10);
        /// Kafka: how long a record that is sent is tried again until it counts as not written, and the transaction is
        /// done again (`delivery.timeout.ms`). `none`: for `transaction_timeout`, which is also the most.
        ["delivery_timeout"] delivery_timeout: Option<Duration> as Optional<Millis> = None;
        /// Kafka: how long a request that failed waits before it is tried again (`retry.backoff.ms`); each time about twice
        /// as long.
        ["retry_backoff"] retry_backoff: Duration as Millis = Duration::from_millis(100);
        /// Kafka: the longest that a request waits before it is tried again (`retry.backoff.max.ms`).
        ["retry_backoff_max"] retry_backoff_max: Duration as Millis = Duration::from_secs(1);
        /// Kafka: after how long without a sign of life the tasks of a process go to others (`session.timeout.ms`).
        ["session_timeout"] session_timeout: Duration as Millis = Duration::from_secs(45);
        /// Kafka: after how long without coming round a thread leaves its group (`max.poll.interval.ms`).
        ["max_poll_interval"] max_poll_interval: Duration as Millis = Duration::from_secs(300);
        /// Kafka: how long a single question to the brokers may take.
        ["request_timeout"] request_timeout: Duration as Millis = Duration::from_secs(15);
        /// Kafka: the most bytes that are fetched ahead per partition; at most one fetched batch more.
        ["fetch_queue_bytes"] fetch_queue_bytes: usize as Bytes = 128 << 10;
        /// Kafka: the most bytes of a producer that wait to be written.
        ["produce_queue_bytes"] produce_queue_bytes: usize as Bytes = 32 << 20;
        /// Whether the threads are static members of their group (KIP-345): one that comes back within the session
        /// timeout finds its tasks unmoved, and a stop does not move them either. Tasks that nobody owns, because one was
        /// killed while they were on their way and is back in time, are looked for and given out again.
        ["static_membership"] static_membership: bool as Switch = false;
        /// How often the offsets of idle inputs are committed again. Brokers forget what is older than
        /// `offsets.retention.minutes`, a week unless changed.
        ["offsets_refresh"] offsets_refresh: Duration as Millis = Duration::from_secs(86_400);
        /// Time between two cleanings of an embedded log: retention and compaction.
        ["clean_interval"] clean_interval: Duration as Millis = Duration::from_secs(30);
        /// Time between two purges of repartition topics: what has been processed is deleted from them.
        ["purge_interval"] purge_interval: Duration as Millis = Duration::from_secs(30);
        /// Where the stores are. `none`: in `DIR/state` on the embedded log, in `./signalstream-state` on Kafka. Each
        /// instance on a machine needs its own.
        ["state.directory"] state_directory: Option<PathBuf> as Optional<Directory> = None;
        /// RocksDB's cache of blocks, indexes and filters, for the whole process.
        ["state.block_cache_bytes"] state_block_cache_bytes: usize as Bytes = 16 << 20;
        /// Committed changes that RocksDB has not written to files yet, for the whole process.
        ["state.write_buffer_bytes"] state_write_buffer_bytes: usize as Bytes = 16 << 20;
        /// Decoded values kept for reading, for the whole process.
        ["state.read_cache_bytes"] state_read_cache_bytes: usize as Bytes = 8 << 20;
        /// Uncommitted changes, for the whole process; a task that reaches its share commits.
        ["state.uncommitted_bytes"] state_uncommitted_bytes: usize as Bytes = 16 << 20;
        /// How many tasks of an application are restored at a time.
        ["state.restore_threads"] restore_threads: usize as Count<64> = 4;
        /// How long the state of a task that has moved away is kept, so that the task finds it when it comes back.
        ["state.cleanup_delay"] state_cleanup_delay: Duration as Millis = Duration::from_secs(600);
        /// Embedded log: stored blocks kept for reading.
        ["log.block_cache_bytes"] log_block_cache_bytes: usize as Bytes = 16 << 20;
        /// Embedded log: fresh records kept in memory before they go to table files.
        ["log.write_buffer_bytes"] log_write_buffer_bytes: usize as Bytes = 16 << 20;
        /// Embedded log: whether a commit waits for the disk, so that it survives a loss of power and not only the
        /// end of the process.
        ["log.fsync"] log_fsync: bool as Switch = false;
        /// Which topics that are missing `run` creates: `all`, the engine's own (`internal`), or `none`. `auto` is
        /// `all` on the embedded log and `internal` on Kafka.
        ["topics.create"] create_topics: CreateTopics as Word = CreateTopics::Auto;
        /// Replicas of the topics that are created. `none`: as the brokers' `default.replication.factor` says.
        ["topics.replication_factor"] replication_factor: Option<usize> as Optional<Count<32_767>> = None;
        /// How often a running application looks for topics that match its patterns.
        ["topics.refresh_interval"] topics_refresh: Duration as Millis = Duration::from_secs(30);
        /// A Schema Registry with Confluent's API: one URL, or several of the same registry separated by commas, which
        /// are tried in turn. `none`: the `*.avsc` files are all the schemas there are. A user has no place in it, and its
        /// query is not shown.
        ["schema_registry.url"] schema_registry_url: Option<String> as Optional<Urls> = None;
        /// Who the registry is told it is talking to (HTTP basic authentication).
        ["schema_registry.username"] schema_registry_username: Option<String> as Optional<Text> = None;
        /// The password of that user.
        ["schema_registry.password"] schema_registry_password: Option<Secret> as Optional<Text> = None;
        /// A token for the registry (HTTP bearer authentication), instead of a user and a password.
        ["schema_registry.token"] schema_registry_token: Option<Secret> as Optional<Text> = None;
        /// Certificates (PEM) of the authorities that vouch for the registry. `none`: those of the system.
        ["schema_registry.ca_file"] schema_registry_ca: Option<PathBuf> as Optional<File> = None;
        /// The certificate (PEM) by which the registry knows this client.
        ["schema_registry.certificate_file"] schema_registry_certificate: Option<PathBuf> as Optional<File> = None;
        /// The key (PEM, PKCS #8 without a password) of that certificate.
        ["schema_registry.key_file"] schema_registry_key: Option<PathBuf> as Optional<File> = None;
        /// How long one question to the registry may take.
        ["schema_registry.request_timeout"] schema_registry_timeout: Duration as Millis = Duration::from_secs(5);
        /// How often a question is put to all URLs at the start and by commands, with a growing pause in between. Records
        /// that wait for a schema wait until it is there.
        ["schema_registry.attempts"] schema_registry_attempts: usize as Count<100> = 3;
        /// For how long an id counts as one that the registry does not have, before the registry is asked again.
        ["schema_registry.miss_ttl"] schema_registry_miss_ttl: Duration as Millis = Duration::from_secs(30);
        /// Whether a start registers the schemas of the topics that it writes to where they are missing. Off, a schema that
        /// is not registered keeps the application from starting. In production, off is safer: `signalstream schemas
        /// register` shows first what would change.
        ["schema_registry.auto_register"] schema_registry_auto_register: bool as Switch = true;
        /// Under which subject a schema stands: `topic` (`TOPIC-key`, `TOPIC-value`), `record` (the full name of the
        /// record) or `topic_record` (`TOPIC-` and the full name).
        ["schema_registry.subject_strategy"] schema_registry_strategy: SubjectStrategy as Word = SubjectStrategy::Topic;
        /// Who waits while a record waits for its schema: its `task`, or all tasks of its sub-topology (`subtopology`) in this
        /// process, so that windows over a repartition topic do not close before what the waiting task has for them.
        ["schema_registry.hold"] schema_registry_hold: SchemaHold as Word = SchemaHold::Task;
        /// Where the interface for metrics and health listens, such as `127.0.0.1:8080`. `none`: it does not.
        ["http.listen"] http_listen: Option<SocketAddr> as Optional<Socket> = None;
    }
}

codec::words! {
    Guarantee: "exactly_once" => ExactlyOnce, "at_least_once" => AtLeastOnce;
    SubjectStrategy: "topic" => Topic, "record" => Record, "topic_record" => TopicRecord;
    SchemaHold: "task" => Task, "subtopology" => Subtopology;
    CreateTopics: "auto" => Auto, "all" => All, "internal" => Internal, "none" => None;
}

impl Config {
    /// Checks that the engine can work with these settings.
    ///
    /// # Errors
    /// Names the setting that cannot be, and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        // What a file or a flag says went through this already; settings that were put together in code did not.
        for setting in SETTINGS {
            setting.check(self).map_err(|problem| format!("`{}`: {problem}", setting.name()))?;
        }
        Ok(())
    }
}
