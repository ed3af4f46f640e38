//! The support topology gives the same on a real Kafka as on the embedded log: byte for byte, key by key.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::command::run;
use harness::workspace::Workspace;
use harness::{Cluster, report};
use regex::Regex;
use signalstream::log::embedded::EmbeddedLog;
use signalstream::log::{Log, LogRecord};
use signalstream::record::TopicPartition;

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(300);
const RAW: &str = "support.messages.raw";

/// A record that both sides can be asked for: partition, key, timestamp, value.
type Row = (i32, Option<Vec<u8>>, i64, Option<Vec<u8>>);

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The real conversations where they are at hand, else the samples.
fn input() -> PathBuf {
    let real = manifest().join("../shared/data/support-messages.jsonl");
    if real.exists() {
        return real;
    }
    // `.ci/test` repeats lines that start like this one at its end.
    report(&format!("skipped: the real messages on Kafka; the samples are taken: there is no {}", real.display()));
    manifest().join("topologies/samples/support-conversations.jsonl")
}

fn signalstream(workspace: &Workspace, arguments: &[&str], place: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
    command.current_dir(workspace.path()).env_remove("RUST_LOG").args(arguments).args(place);
    run(&mut command, None, workspace.path(), WITHIN).succeeded();
}

/// Creates the topics, writes the input, and runs the topology over all of it; `place` says on which log.
fn process(workspace: &Workspace, place: &[&str]) {
    let topology = manifest().join("topologies/support-intelligence.yaml");
    // The messages are years old, and Kafka deletes by their time: not while they are compared. Nor is anything compacted.
    let text = fs::read_to_string(&topology).unwrap();
    let kept = workspace.join("kept.yaml");
    fs::write(&kept, Regex::new("retention: [^}]*}").unwrap().replace_all(&text, "retention: forever}").as_ref())
        .unwrap();
    let (topology, kept, input) = (topology.to_str().unwrap(), kept.to_str().unwrap(), input());
    signalstream(workspace, &["topics", "apply", kept], place);
    signalstream(workspace, &["produce", RAW, "--input", input.to_str().unwrap()], place);
    // Every update is handed on, so that what comes out does not depend on when commits were.
    signalstream(workspace, &["run", topology, "--until-end", "--cache", "off", "--set", "clean_interval=1d"], place);
}

/// All records of a topic of an embedded log.
fn embedded(log: &dyn Log, topic: &str, partitions: i32) -> Vec<Row> {
    let mut consumer = log.consumer(None).unwrap();
    let mut rows = Vec::new();
    for number in 0..partitions {
        let partition = TopicPartition::new(topic, number);
        let end = consumer.end_offset(&partition).unwrap();
        let mut position = consumer.beginning_offset(&partition).unwrap();
        consumer.assign(&partition, position).unwrap();
        while position < end {
            for batch in consumer.poll(10_000, Duration::from_secs(5)).unwrap().batches {
                position = batch.position;
                rows.extend(batch.records.into_iter().map(|record| row(number, record)));
            }
        }
        consumer.unassign(&partition);
    }
    rows
}

fn row(partition: i32, record: LogRecord) -> Row {
    let bytes = |bytes: Option<_>| bytes.map(|bytes: bytes::Bytes| bytes.to_vec());
    (partition, bytes(record.key), record.timestamp, bytes(record.value))
}

/// All records of a topic of Kafka, as kcat sees them.
fn on_kafka(cluster: &Cluster, topic: &str) -> Vec<Row> {
    let seen = cluster.kcat().read(topic).into_iter();
    seen.map(|record| (record.partition, record.key, record.timestamp, record.value)).collect()
}

/// What was written under each key, in order.
type ByKey = BTreeMap<(i32, Option<Vec<u8>>), Vec<(i64, Option<Vec<u8>>)>>;

/// Of a changelog only the rows that are left: how many updates went into one commit depends on when it was, and what is
/// deleted has the time of the deletion, or is cleaned away already.
fn by_key(topic: &str, rows: Vec<Row>) -> ByKey {
    let mut by_key = ByKey::new();
    let changelog = topic.ends_with("-changelog");
    for (partition, key, timestamp, value) in rows {
        let key = (partition, key);
        if !changelog {
            by_key.entry(key).or_default().push((timestamp, value));
        } else if value.is_some() {
            by_key.insert(key, vec![(timestamp, value)]);
        } else {
            by_key.remove(&key);
        }
    }
    by_key
}

#[test]
fn real_conversations_give_the_same_on_kafka_as_on_the_embedded_log() {
    let workspace = Workspace::new("product");
    let directory = workspace.join("data");
    process(&workspace, &["--embedded", directory.to_str().unwrap()]);
    let cluster = Cluster::start(1);
    process(&workspace, &["--bootstrap-servers", &cluster.bootstrap_servers()]);

    let log = EmbeddedLog::open_reader(&directory.join("log")).unwrap();
    let (mut topics, mut records) = (0, 0);
    for (topic, config) in log.admin().topics().unwrap() {
        // What goes on to another task comes from several partitions, and is deleted once it was read.
        if topic.ends_with("-repartition") || topic.ends_with("-tasks") {
            continue;
        }
        let here = embedded(log.as_ref(), &topic, config.partitions);
        let there = on_kafka(&cluster, &topic);
        assert_eq!(there.is_empty(), here.is_empty(), "{topic}: {} records for {}", there.len(), here.len());
        records += here.len();
        topics += 1;
        let (here, mut there) = (by_key(&topic, here), by_key(&topic, there));
        for (key, values) in &here {
            let text = key.1.as_deref().map(String::from_utf8_lossy);
            let found = there.remove(key).unwrap_or_else(|| panic!("{topic}: {text:?} is missing on Kafka"));
            assert_eq!(&found, values, "{topic}: what was written under {text:?} in partition {}", key.0);
        }
        assert!(there.is_empty(), "{topic}: {:?} are on Kafka only", there.keys());
    }
    assert!(topics > 10 && records > 1_000, "{records} records of {topics} topics are too few to compare");
    report(&format!("{records} records of {topics} topics are the same on Kafka and on the embedded log"));
}
