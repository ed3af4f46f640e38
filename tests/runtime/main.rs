//! Applications on a log in memory: what they read, how they end, what they trust when they start again.

mod doubles;
mod global;
mod held;
mod maintenance;
mod recovery;
mod restore;
mod topics;
mod wall_clock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doubles::FaultyLog;
use serde_json::json;
use signalstream::agents::Agents;
use signalstream::config::CreateTopics;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, LogRecord, ProducerRecord, TopicConfig};
use signalstream::record::{Headers, TopicPartition};
use signalstream::runtime::{Application, ApplicationOptions, RuntimeError, prepare_topics};
use signalstream::serdes::SchemaRegistry;
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::task::{OpenError, Task, TaskOpener, TaskOptions};
use signalstream::testing::{DriverError, DriverOptions, InputRecord, TopologyDriver};
use signalstream::time::{Clock, SystemClock, Timestamp};
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load};

const NOW: Timestamp = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

const MERGED: &str = "
topology: merged
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  b: {topic: b}
streams:
  all: {merge: [a, b]}
sinks:
  - {from: all, topic: out}
";

const LATEST: &str = "
topology: latest
defaults: {key: string, value: json}
sources:
  a: {topic: a, offset_reset: latest}
sinks:
  - {from: a, topic: out}
";

const COUNTED: &str = "
topology: counted
defaults: {key: string, value: json}
sources:
  a: {topic: a}
tables:
  counts: {from: a, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: out}
";

fn plan(text: &str) -> Topology {
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A table, and the records as they come: what is done twice shows in the one, what is lost in the other.
const BOTH: &str = "
topology: both
defaults: {key: string, value: json}
sources:
  a: {topic: a}
tables:
  counts: {from: a, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: counts}
  - {from: a, topic: copies}
";

/// The topic that the table of [`BOTH`] keeps its changes in.
const COUNTS_CHANGELOG: &str = "both-counts-changelog";

/// A time of day that stands still, or is not to be asked for.
#[derive(Debug)]
struct TestClock(SystemClock, Option<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.1.expect("this clock is broken")
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn log(topics: &[(&str, i32)]) -> Arc<EmbeddedLog> {
    let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
    for (topic, partitions) in topics {
        log.admin().create_topic(topic, &TopicConfig::new(*partitions)).unwrap();
    }
    log
}

fn write(log: &EmbeddedLog, topic: &str, partition: i32, value: &str) {
    write_keys(log, topic, partition, &["k".to_owned()], value);
}

/// Writes a record for each key, in one transaction.
fn write_keys(log: &EmbeddedLog, topic: &str, partition: i32, keys: &[String], value: &str) {
    let mut producer = log.transactional_producer("test").unwrap();
    producer.begin().unwrap();
    for key in keys {
        let record = ProducerRecord {
            topic: topic.into(),
            partition,
            timestamp: NOW,
            key: Some(key.clone().into()),
            value: Some(value.to_owned().into()),
            headers: Headers::default(),
        };
        producer.send(record).unwrap();
    }
    producer.commit().unwrap();
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n}")).collect()
}

/// What [`BOTH`] has made of its input: how many copies, and the last count of each key.
fn made(log: &EmbeddedLog) -> (usize, BTreeMap<String, i64>) {
    let mut counts = BTreeMap::new();
    for record in read(log, "counts", 1) {
        let value: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        counts.insert(String::from_utf8(record.key.unwrap().to_vec()).unwrap(), value["n"].as_i64().unwrap());
    }
    (read(log, "copies", 1).len(), counts)
}

/// Counts by the minute.
const BY_MINUTE: &str = "
topology: by-minute
defaults: {key: string, value: json, dlq: failed}
sources:
  a: {topic: a}
tables:
  counts: {from: a, window: {tumbling: 1m}, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: out}
";

/// Waits for what is going to come about.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "never came about: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts [`BOTH`] on a log that can fail.
fn start_both(log: &Arc<FaultyLog>, state: StateDirectory, options: &ApplicationOptions) -> Application {
    let clock = Arc::new(TestClock(SystemClock::new(), Some(NOW)));
    Application::start(&plan(BOTH), log.clone(), state, clock, options).unwrap()
}

/// A log with the topics of [`BOTH`], whose input has this many partitions.
fn log_of_both(partitions: i32) -> Arc<FaultyLog> {
    FaultyLog::new(&log(&[("a", partitions), ("counts", 1), ("copies", 1)]))
}

fn on_disk(directory: &std::path::Path) -> StateDirectory {
    StateDirectory::open(directory, "both", StateOptions::default()).unwrap()
}

fn state_in_memory() -> StateDirectory {
    StateDirectory::in_memory("both", StateOptions::default()).unwrap()
}

fn one_thread() -> ApplicationOptions {
    ApplicationOptions { threads: 1, ..options() }
}

fn read(log: &EmbeddedLog, topic: &str, partitions: i32) -> Vec<LogRecord> {
    let mut consumer = log.consumer(None).unwrap();
    let mut records = Vec::new();
    for partition in 0..partitions {
        let partition = TopicPartition::new(topic, partition);
        consumer.assign(&partition, 0).unwrap();
        let batches = consumer.poll(100_000, Duration::ZERO).unwrap().batches;
        records.extend(batches.into_iter().flat_map(|batch| batch.records));
        consumer.unassign(&partition);
    }
    records
}

fn options() -> ApplicationOptions {
    ApplicationOptions { threads: 2, commit_interval: Duration::from_millis(10), ..ApplicationOptions::default() }
}

fn in_memory(topology: &Topology) -> StateDirectory {
    StateDirectory::in_memory(&topology.name, StateOptions::default()).unwrap()
}

fn start(
    topology: &Topology,
    log: &Arc<EmbeddedLog>,
    state: StateDirectory,
    options: &ApplicationOptions,
) -> Application {
    let clock = Arc::new(TestClock(SystemClock::new(), Some(NOW)));
    Application::start(topology, log.clone(), state, clock, options).unwrap()
}

fn run_to_the_end(topology: &Topology, log: &Arc<EmbeddedLog>, state: StateDirectory, options: &ApplicationOptions) {
    let application = start(topology, log, state, options);
    let started = Instant::now();
    application.wait_until_caught_up(|_| started.elapsed() < Duration::from_secs(30)).unwrap();
    assert!(application.progress().unwrap().is_complete(), "it comes to the end");
    application.stop().unwrap();
}

#[test]
fn a_merge_reads_every_partition_of_inputs_of_different_sizes() {
    let (topology, log) = (plan(MERGED), log(&[("a", 4), ("b", 2), ("out", 1)]));
    for (topic, partitions) in [("a", 4), ("b", 2)] {
        (0..partitions).for_each(|partition| write(&log, topic, partition, "1"));
    }
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!(read(&log, "out", 1).len(), 6);
}

#[test]
fn queues_of_one_record_or_one_byte_do_not_stop_the_flow() {
    for (queued_records, queued_bytes) in [(0, 1 << 20), (1, 1 << 20), (1_000, 1)] {
        let (topology, log) = (plan(MERGED), log(&[("a", 1), ("b", 1), ("out", 1)]));
        (0..20).for_each(|n| write(&log, if n % 2 == 0 { "a" } else { "b" }, 0, "1"));
        let options = ApplicationOptions { queued_records, queued_bytes, fetch_records: 1, ..options() };
        run_to_the_end(&topology, &log, in_memory(&topology), &options);
        assert_eq!(read(&log, "out", 1).len(), 20);
    }
}

#[test]
fn what_comes_after_the_first_start_at_the_latest_offset_is_read_at_the_second() {
    let (topology, log) = (plan(LATEST), log(&[("a", 1), ("out", 1)]));
    write(&log, "a", 0, "1");
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!(read(&log, "out", 1).len(), 0);
    write(&log, "a", 0, "2");
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!(read(&log, "out", 1).len(), 1);
}

#[test]
fn a_record_from_days_ahead_is_a_dead_letter_and_makes_no_other_late() {
    let (topology, log) = (plan(BY_MINUTE), log(&[("a", 1), ("out", 1), ("failed", 1)]));
    let mut producer = log.transactional_producer("test").unwrap();
    producer.begin().unwrap();
    for timestamp in [NOW, NOW + DAY + 1, NOW + 1] {
        let (key, value) = (Some("k".into()), Some("1".into()));
        let headers = Headers::default();
        producer.send(ProducerRecord { topic: "a".into(), partition: 0, timestamp, key, value, headers }).unwrap();
    }
    producer.commit().unwrap();
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    let counts = read(&log, "out", 1);
    assert_eq!(counts.last().unwrap().value.as_deref(), Some(&br#"{"n":2}"#[..]));
    assert_eq!(counts.last().unwrap().timestamp, NOW + 1);
    assert_eq!(read(&log, "failed", 1).len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_the_commit_interval() {
    let (topology, log) = (plan(MERGED), log(&[("a", 1), ("b", 1), ("out", 1)]));
    let hour = Duration::from_secs(3_600);
    let options = ApplicationOptions { commit_interval: hour, clean_interval: hour, threads: 3, ..options() };
    let started = Instant::now();
    let application = start(&topology, &log, in_memory(&topology), &options);
    std::thread::sleep(Duration::from_millis(200));
    application.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_panic_of_a_thread_ends_the_application_with_its_name() {
    let (topology, log) = (plan(MERGED), log(&[("a", 1), ("b", 1), ("out", 1)]));
    // The first start writes down what state there is, and when.
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    let clock = Arc::new(TestClock(SystemClock::new(), None));
    write(&log, "a", 0, "1");
    let application = Application::start(&topology, log, in_memory(&topology), clock, &options()).unwrap();
    application.wait_until_caught_up(|_| true).unwrap();
    assert!(matches!(application.stop(), Err(RuntimeError::Panicked(name)) if name.starts_with("merged-")));
}

/// Runs the counting application once, so that its state is at offset 1 of the changelog.
fn counted(directory: &std::path::Path) -> (Topology, Arc<EmbeddedLog>) {
    let (topology, log) = (plan(COUNTED), log(&[("a", 1), ("out", 1)]));
    write(&log, "a", 0, "1");
    let state = StateDirectory::open(directory, &topology.name, StateOptions::default()).unwrap();
    run_to_the_end(&topology, &log, state, &options());
    (topology, log)
}

fn reopen(
    topology: &Topology,
    log: &EmbeddedLog,
    directory: &std::path::Path,
    now: Timestamp,
) -> Result<(Task, u64), OpenError> {
    let (topics, _) = prepare_topics(topology, log.admin().as_ref(), CreateTopics::All).unwrap();
    let state = StateDirectory::open(directory, &topology.name, StateOptions::default()).unwrap();
    let opener = TaskOpener::new(topology, &topics, TaskOptions::default(), state);
    opener.open(log, &topology.subtopologies[0], 0, now)
}

#[test]
fn state_older_than_its_tombstones_are_kept_is_built_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (topology, log) = counted(directory.path());
    for (now, expected) in [(NOW + DAY - 1, 0), (NOW + DAY, 1), (NOW + DAY, 0)] {
        let (mut task, restored) = reopen(&topology, &log, directory.path(), now).unwrap();
        assert_eq!(restored, expected);
        assert_eq!(
            task.stores().scan_limited(0, std::ops::Bound::Unbounded, std::ops::Bound::Unbounded, 9).unwrap().len(),
            1
        );
        task.into_stores().close().unwrap();
    }
}

#[test]
fn a_changelog_that_lost_what_the_state_has_not_seen_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (topology, log) = counted(directory.path());
    let changelog = topology.subtopologies[0].stores[0].changelog.clone().unwrap();
    let records = read(&log, &changelog, 1);
    assert_eq!(records.len(), 1);
    (0..3).for_each(|_| write(&log, &changelog, 0, "never read"));
    log.admin().delete_records(&TopicPartition::new(changelog, 0), 3).unwrap();
    let refused = reopen(&topology, &log, directory.path(), NOW).map(|_| ());
    assert!(matches!(refused, Err(OpenError::Hole { checkpoint: 1, beginning: 3, .. })), "{refused:?}");
}

#[test]
fn a_driver_that_failed_commits_nothing_more() {
    let text = "
topology: failing
defaults: {key: string, value: json, on_error: {process: fail}}
sources:
  a: {topic: a}
streams:
  checked:
    from: a
    steps:
      - map_values: {n: 10 / int(value.n)}
sinks:
  - {from: checked, topic: out}
";
    let options = DriverOptions { partitions: BTreeMap::new(), ..DriverOptions::default() };
    let mut driver = TopologyDriver::new(Arc::new(plan(text)), &SchemaRegistry::new(), options).unwrap();
    let record = |n: i64| InputRecord {
        topic: "a".to_owned(),
        partition: None,
        key: "k".into(),
        value: json!({"n": n}),
        value_base64: None,
        timestamp: Some(1),
        headers: Default::default(),
    };
    driver.pipe(&record(1)).unwrap();
    assert!(matches!(driver.pipe(&record(0)), Err(DriverError::Task(_))));
    assert!(matches!(driver.finish(), Err(DriverError::Stopped)));
    assert!(matches!(driver.pipe(&record(1)), Err(DriverError::Stopped)));
    assert!(matches!(driver.advance_wall_clock(Duration::MAX), Err(DriverError::Stopped)));
    assert_eq!(driver.take_outputs(), []);
}
