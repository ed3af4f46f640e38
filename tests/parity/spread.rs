//! The scenarios as an application: on the embedded log, with three partitions and two threads, killed on the way.
//!
//! Kafka Streams' driver has one partition and never crashes. What it makes of a sequence in order of time must still come out
//! in the end, key by key: as many records, the same ones, and the same one last.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};
use signalstream::log::Log;
use signalstream::log::embedded::EmbeddedLog;
use signalstream::record::TopicPartition;

use crate::canonical;
use crate::generate::Random;
use crate::scenarios::{Scenario, Sequence};

const BINARY: &str = env!("CARGO_BIN_EXE_signalstream");
const RECORDS: i64 = 1_500;
const KEYS: i64 = 12;

/// What of a scenario's result does not depend on how partitions are interleaved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// What is under a key, in its order.
    Everything,
    /// Which records are under a key.
    Records,
    /// What is under a key in the end.
    Last,
    /// Nothing: the reason is in the table.
    Nothing,
}

/// Scenarios of which not everything holds, and why.
const INTERLEAVED: &[(&str, Holds, &str)] = &[
    ("map", Holds::Records, "records of several partitions get one key"),
    ("flat_map", Holds::Records, "records of several partitions get one key"),
    ("repartition", Holds::Records, "records of several partitions get one key"),
    ("to_table", Holds::Records, "records of several partitions get one key"),
    ("headers_topics", Holds::Records, "a source of two topics has no order between them"),
    ("merge_branch", Holds::Records, "a merge has no order between its inputs"),
    ("count_by_group", Holds::Last, "records of several partitions get one key, at times in between"),
    ("grouped_table_count", Holds::Last, "rows of several partitions get one key"),
    ("grouped_table_reduce", Holds::Nothing, "its text says whether the last was added or subtracted"),
    ("grouped_table_fold", Holds::Nothing, "it joins texts in the order in which they come"),
    ("grouped_table_chain", Holds::Nothing, "it joins texts in the order in which they come"),
    ("cogroup", Holds::Nothing, "it joins texts in the order in which they come"),
    ("cogroup_tumbling", Holds::Nothing, "it joins texts in the order in which they come"),
    ("cogroup_session", Holds::Everything, ""),
    ("window_chain", Holds::Nothing, "it joins texts in the order in which they come"),
    ("join_stream_table_rekeyed", Holds::Nothing, "another task has the table"),
    ("join_streams_rekeyed", Holds::Nothing, "records of several partitions come out of order, and late"),
    ("join_global_table", Holds::Nothing, "the table is whole before the first record comes"),
    ("foreign_key_inner", Holds::Last, "another task has the other table"),
    ("foreign_key_left", Holds::Last, "another task has the other table"),
    ("process", Holds::Nothing, "`signalstream` has no processors"),
    ("suppress_time", Holds::Nothing, "the other keys of a partition say when a row has been held for long enough"),
    ("suppress_early", Holds::Nothing, "the other keys of a partition fill the buffer"),
    (
        "suppress_grouped",
        Holds::Nothing,
        "rows of several partitions get one key, and are held back each as long as others say",
    ),
    ("join_streams_zero", Holds::Records, "the other keys of a partition say when a record is too old to be kept"),
    ("suppress_bytes", Holds::Nothing, "the other keys of a partition fill the buffer"),
    ("suppress_bytes_stop", Holds::Nothing, "it stops"),
    ("suppress_records_stop", Holds::Nothing, "it stops"),
    ("suppress_windows_stop", Holds::Nothing, "it stops"),
    ("aggregates_grouped", Holds::Nothing, "a deviation depends on the order of rounding"),
    ("topics_pattern", Holds::Nothing, "nobody creates the topics of a pattern"),
    ("join_streams_left", Holds::Records, "the other keys of a partition say when nothing can match any more"),
    ("join_streams_outer", Holds::Records, "as above"),
    ("join_streams_outer_grace", Holds::Records, "as above"),
    ("join_streams_left_asymmetric", Holds::Records, "as above"),
    ("join_streams_outer_asymmetric", Holds::Records, "as above"),
    ("join_streams_after_only", Holds::Records, "as above"),
    ("join_streams_fold", Holds::Nothing, "it joins texts in the order in which they come"),
    (
        "join_versioned_grace",
        Holds::Records,
        "the other keys of a partition say when a record has waited for long enough",
    ),
];

fn holds(scenario: &str) -> Holds {
    INTERLEAVED.iter().find(|(name, ..)| *name == scenario).map_or(Holds::Everything, |(_, holds, _)| *holds)
}

/// A long sequence in strict order of time, at whose end time passes for every key; none, if nothing of it holds.
pub(crate) fn sequence(scenario: &Scenario) -> Option<Sequence> {
    if holds(&scenario.name) == Holds::Nothing {
        return None;
    }
    let mut random = Random::new(canonical::hash(&scenario.name));
    let inputs = scenario.inputs();
    let mut time = 0;
    let mut lines = Vec::new();
    for number in 0..RECORDS {
        time += 1 + random.below(50);
        let key = |random: &mut Random| format!("k{}", random.below(KEYS as u64));
        let value = json!({"n": random.below(11) - 3, "s": format!("r{number}"), "k": key(&mut random)});
        let value = if random.chance(8) { Json::Null } else { value };
        let key = if random.chance(3) { Json::Null } else { key(&mut random).into() };
        let topic = inputs[random.below(inputs.len() as u64) as usize];
        lines.push(json!({"topic": topic, "key": key, "value": value, "timestamp": time}));
    }
    time = (time / 10_000 + 10) * 10_000;
    for key in 0..KEYS {
        for topic in &inputs {
            time += 1;
            let value = json!({"n": 1, "s": format!("end{key}"), "k": format!("k{key}")});
            lines.push(json!({"topic": topic, "key": format!("k{key}"), "value": value, "timestamp": time}));
        }
    }
    Some(Sequence { scenario: scenario.name.clone(), name: "spread".to_owned(), lines })
}

/// What came out under each key: `[TOPIC, KEY, VALUE, TIMESTAMP]` in, a line for each topic and key out.
pub(crate) fn summary(scenario: &str, rows: impl Iterator<Item = [Json; 4]>) -> String {
    let mut keys: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for [topic, key, value, timestamp] in rows.filter(|row| !row[1].is_null()) {
        let of_key = keys.entry((topic.as_str().unwrap().to_owned(), key.as_str().unwrap().to_owned())).or_default();
        of_key.push(format!("{}@{timestamp}", canonical::text(&value)));
    }
    let line = |((topic, key), mut rows): ((String, String), Vec<String>)| {
        let last = canonical::hash(rows.last().map_or("", String::as_str));
        let count = rows.len();
        match holds(scenario) {
            Holds::Last => return format!("{topic} {key} last {last:016x}\n"),
            Holds::Records => rows.sort(),
            Holds::Everything | Holds::Nothing => {}
        }
        format!("{topic} {key} {count} {:016x}\n", canonical::hash(&rows.join("\n")))
    };
    keys.into_iter().map(line).collect()
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--embedded").arg(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn start(directory: &Path, topology: &str) -> Child {
    let options = ["--until-end", "--cache", "off", "--threads", "2", "--commit-interval", "5ms"];
    command(directory, &[&["run", topology], &options[..]].concat()).spawn().unwrap()
}

fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a sequence as an application that is killed on the way. Returns what came out, and how often it was killed.
pub(crate) fn run(scenario: &Scenario, sequence: &Sequence) -> (String, usize) {
    let root = tempfile::tempdir().unwrap();
    let (log, file) = (root.path().join("log"), root.path().join("topology.yaml"));
    let yaml = scenario.yaml.replace("value: json}", "value: json, partitions: 3}");
    assert!(yaml.contains("partitions: 3"), "{}: its defaults name no format of values last", scenario.name);
    fs::write(&file, yaml).unwrap();
    let topology = file.to_str().unwrap();
    finish(command(&log, &["topics", "apply", topology]).spawn().unwrap());
    for topic in scenario.inputs() {
        let lines = sequence.lines.iter().filter(|line| line["topic"] == topic);
        let input = root.path().join(topic);
        fs::write(&input, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        finish(
            command(&log, &["produce", topic, "--topology", topology, "--input", input.to_str().unwrap()])
                .spawn()
                .unwrap(),
        );
    }
    let mut random = Random::new(canonical::hash(&scenario.name));
    let mut killed = 0;
    for _ in 0..2 {
        let mut process = start(&log, topology);
        std::thread::sleep(Duration::from_millis(u64::try_from(40 + random.below(160)).unwrap()));
        killed += usize::from(process.try_wait().unwrap().is_none());
        process.kill().unwrap();
        process.wait().unwrap();
    }
    finish(start(&log, topology));
    (summary(&scenario.name, outputs(&log, &scenario.inputs()).into_iter()), killed)
}

/// Everything in the topics that the topology writes.
fn outputs(directory: &Path, inputs: &[&str]) -> Vec<[Json; 4]> {
    let log = EmbeddedLog::open_reader(&directory.join("log")).unwrap();
    let mut rows = Vec::new();
    for (topic, config) in log.admin().topics().unwrap() {
        if topic.contains('-') || inputs.contains(&topic.as_str()) {
            continue;
        }
        for partition in 0..config.partitions {
            let partition = TopicPartition::new(topic.clone(), partition);
            let mut consumer = log.consumer(None).unwrap();
            let end = consumer.end_offset(&partition).unwrap();
            let mut position = 0;
            consumer.assign(&partition, position).unwrap();
            while position < end {
                for batch in consumer.poll(10_000, Duration::from_secs(5)).unwrap().batches {
                    position = batch.position;
                    rows.extend(batch.records.into_iter().map(|record| {
                        let key = record.key.map_or(Json::Null, |key| String::from_utf8(key.to_vec()).unwrap().into());
                        let value = record.value.map_or(Json::Null, |value| serde_json::from_slice(&value).unwrap());
                        [topic.clone().into(), key, value, record.timestamp.into()]
                    }));
                }
            }
        }
    }
    rows
}
