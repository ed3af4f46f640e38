//! The contract on a real broker, and what only Kafka does.

mod access;
mod behaviour;
mod errors;
mod groups;
#[path = "../../../tests/kafka/harness/mod.rs"]
mod harness;
mod outage;
mod prefixed;
mod throughput;

use std::sync::{Arc, OnceLock};

use tracing_subscriber::EnvFilter;

use super::super::{Log, contract};
use super::{KafkaLog, KafkaSettings};
use harness::{Cluster, Options};
use prefixed::Prefixed;

/// Where the tests' broker listens, if there is one already.
const BOOTSTRAP: &str = "SIGNALSTREAM_TEST_BOOTSTRAP";

fn settings() -> KafkaSettings {
    // For whom a failure is a riddle: RUST_LOG=librdkafka=debug, and `debug` as SIGNALSTREAM_TEST_DEBUG says.
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_test_writer();
    _ = subscriber.try_init();
    // Started when it is needed first, and ended by the harness when the tests end.
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let start = || Cluster::with(Options::brokers(1).property("group.min.session.timeout.ms", "1000"));
    let bootstrap = std::env::var(BOOTSTRAP).unwrap_or_else(|_| CLUSTER.get_or_init(start).bootstrap_servers());
    let mut settings = KafkaSettings::new(bootstrap);
    // What happens to topics is noticed soon.
    for (property, value) in
        [("topic.metadata.refresh.interval.ms", "500"), ("topic.metadata.propagation.max.ms", "1000")]
    {
        settings.properties.insert(property.to_owned(), value.to_owned());
    }
    if let Ok(topics) = std::env::var("SIGNALSTREAM_TEST_DEBUG") {
        settings.properties.insert("debug".to_owned(), topics);
    }
    settings
}

fn fresh(test: &str) -> Arc<Prefixed> {
    Prefixed::new(KafkaLog::open(settings()).unwrap(), test)
}

/// A test for each function of the contract.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { contract::$name(&*fresh(stringify!($name))); })*
    };
}

// Retention and compaction are the brokers' own business: `clean` does nothing.
contract! {
    transactions_are_seen_whole_or_not_at_all,
    an_aborted_transaction_leaves_nothing,
    offsets_are_committed_with_the_records,
    a_newer_producer_fences_the_older,
    partitions_move_between_members_one_owner_at_a_time,
    a_revoked_partition_is_kept_until_acknowledged,
    a_member_that_left_cannot_commit,
    a_topic_created_later_is_assigned,
    headers_nulls_and_order_are_kept,
    partitions_are_read_fairly,
    a_paused_partition_keeps_its_position,
    what_does_not_exist_is_an_error,
    a_topic_is_created_once,
    a_topic_can_be_changed_and_grow,
    a_group_is_deleted_when_nobody_is_in_it,
    a_producer_without_transactions_writes_at_its_commit,
    a_deleted_topic_is_gone_and_may_come_back_empty,
    deleted_records_are_skipped,
}

#[test]
fn a_waiting_poll_is_woken_by_a_commit() {
    let log: Arc<dyn Log> = fresh("a_waiting_poll_is_woken_by_a_commit");
    contract::a_waiting_poll_is_woken_by_a_commit(&log);
}
