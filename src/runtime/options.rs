//! How an application runs.

use std::time::Duration;

use crate::config::{Config, CreateTopics, Guarantee, SchemaHold};
use crate::task::TaskOptions;

/// With longer commit intervals nothing is sent ahead.
const AHEAD_UP_TO: Duration = Duration::from_millis(500);

/// How an application runs.
#[derive(Clone, Debug)]
pub struct ApplicationOptions {
    /// How many stream threads, at least 1.
    pub threads: usize,
    /// What holds when something fails.
    pub guarantee: Guarantee,
    /// Time between commits.
    pub commit_interval: Duration,
    /// Whether outputs are sent while tasks work, into the transaction that the next commit ends, or at the commit alone.
    /// An open transaction holds up readers, and brokers give up one that stays open for long.
    pub sends_ahead: bool,
    /// The most records that one fetch of a thread brings.
    pub fetch_records: usize,
    /// The most records that wait for processing per input partition; beyond, the partition is paused.
    pub queued_records: usize,
    /// The most bytes of records that wait for processing per input partition; beyond, the partition is paused.
    pub queued_bytes: usize,
    /// Time between two cleanings of the log (retention, compaction, repartition topics).
    pub clean_interval: Duration,
    /// How many tasks are restored at a time, over all threads, at least 1.
    pub restore_threads: usize,
    /// Whether the threads are static members of the group (KIP-345): one that comes back within the session timeout
    /// finds its tasks unmoved, and while it is away nobody works on them. Otherwise a thread that stops in good order
    /// leaves the group at once.
    pub static_membership: bool,
    /// Time between two purges of repartition topics: what all readers have committed is deleted from them.
    pub purge_interval: Duration,
    /// How often it is looked for topics that match the topology's patterns.
    pub topics_refresh: Duration,
    /// How long the state of a task is kept after the task has moved to another process.
    pub state_cleanup_delay: Duration,
    /// After how long the offsets of an input are committed anew in which nothing has come: a broker forgets those that
    /// are older than a week (`offsets.retention.minutes`).
    pub offsets_refresh: Duration,
    /// How long a stop may take: commit, leave the group, close the stores.
    pub shutdown_timeout: Duration,
    /// Who waits while a record waits for its schema.
    pub schema_hold: SchemaHold,
    /// Which topics that are missing are created.
    pub create_topics: CreateTopics,
    /// How tasks behave.
    pub task: TaskOptions,
}

impl From<&Config> for ApplicationOptions {
    fn from(config: &Config) -> Self {
        ApplicationOptions {
            threads: config.threads,
            guarantee: config.guarantee,
            commit_interval: config.commit_interval,
            sends_ahead: config.commit_interval <= AHEAD_UP_TO,
            fetch_records: config.fetch_records,
            queued_records: config.queued_records,
            queued_bytes: config.queued_bytes,
            clean_interval: config.clean_interval,
            restore_threads: config.restore_threads,
            static_membership: config.static_membership,
            purge_interval: config.purge_interval,
            topics_refresh: config.topics_refresh,
            state_cleanup_delay: config.state_cleanup_delay,
            offsets_refresh: config.offsets_refresh,
            shutdown_timeout: config.shutdown_timeout,
            schema_hold: config.schema_registry_hold,
            create_topics: config.create_topics,
            task: TaskOptions::from(config),
        }
    }
}

impl Default for ApplicationOptions {
    fn default() -> Self {
        ApplicationOptions::from(&Config::default())
    }
}
