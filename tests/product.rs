//! What the support topology promises, on whole runs of `signalstream demo`: every message judged once, nothing
//! lost, no personal data outside its topic, memory that does not grow with the input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write, stderr};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde_json::Value as Json;
use signalstream::log::embedded::EmbeddedLog;
use signalstream::log::{Log, LogRecord};
use signalstream::record::TopicPartition;
use signalstream::serdes::{Format, SchemaRegistry, TopicSerde};
use signalstream::state::{TaskReader, list_applications, list_tasks};

const RAW: &str = "support.messages.raw";
const PII: &str = "support.ai.pii";

/// The topics with one result for each message.
const PER_MESSAGE: [(&str, &str, &str); 3] = [
    (PII, "PIIDetectionResult", "pii_id"),
    ("support.ai.sentiment", "SentimentResult", "message_id"),
    ("support.ai.insights", "InsightsResult", "message_id"),
];

/// The topics whose last record of a conversation is its current state.
const PER_CONVERSATION: [(&str, &str); 3] = [
    ("support.ai.summary", "SummaryResult"),
    ("support.ai.aggregated", "AggregatedIntelligence"),
    ("support.conversations.state", "ConversationState"),
];

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn samples() -> PathBuf {
    manifest().join("topologies/samples/support-conversations.jsonl")
}

/// The real conversations, which are not part of the project.
fn real_messages(test: &str) -> Option<PathBuf> {
    let path = manifest().join("../shared/data/support-messages.jsonl");
    if path.exists() {
        return Some(path);
    }
    writeln!(stderr(), "skipped: {test}: there is no {}", path.display()).unwrap();
    None
}

fn lines(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A finished demo.
struct Demo {
    directory: tempfile::TempDir,
    /// What it printed.
    totals: Json,
    /// The most memory that the process had in use, in kB.
    peak: u64,
}

impl Demo {
    fn run(input: &Path) -> Demo {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_signalstream"))
            .args(["demo", "--output", "json", "--input"])
            .arg(input)
            .arg("--directory")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let status = PathBuf::from(format!("/proc/{}/status", process.id()));
        let mut peak = 0;
        let outcome = loop {
            peak = peak.max(peak_of(&status));
            match process.try_wait().unwrap() {
                Some(outcome) => break outcome,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        assert!(outcome.success(), "the demo over {} failed", input.display());
        let mut output = String::new();
        process.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        let totals = serde_json::from_str(&output).expect("stdout holds one JSON object and nothing else");
        Demo { directory, totals, peak }
    }

    fn log(&self) -> std::sync::Arc<EmbeddedLog> {
        EmbeddedLog::open_reader(&self.directory.path().join("log")).unwrap()
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }
}

/// `VmHWM` of a process that may have ended.
fn peak_of(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// All records of a topic.
fn read(log: &dyn Log, topic: &str) -> Vec<LogRecord> {
    let partitions = log.admin().topics().unwrap()[topic].partitions;
    let mut consumer = log.consumer(None).unwrap();
    let mut records = Vec::new();
    for partition in 0..partitions {
        let partition = TopicPartition::new(topic, partition);
        let end = consumer.end_offset(&partition).unwrap();
        let mut position = consumer.beginning_offset(&partition).unwrap();
        consumer.assign(&partition, position).unwrap();
        while position < end {
            for batch in consumer.poll(10_000, Duration::from_secs(5)).unwrap().batches {
                position = batch.position;
                records.extend(batch.records);
            }
        }
        consumer.unassign(&partition);
    }
    records
}

/// All records of a topic as JSON: key and value.
fn decoded(log: &dyn Log, topic: &str, schema: &str) -> Vec<(String, Json)> {
    let mut registry = SchemaRegistry::new();
    registry.load_directory(&manifest().join("schemas")).unwrap();
    let serde = TopicSerde::new(&Format::String, &Format::Avro(schema.to_owned()), &registry).unwrap();
    let records = read(log, topic).into_iter();
    records
        .map(|record| {
            let key = serde.decode_key(&record.key).unwrap();
            (key.as_str().unwrap().to_owned(), serde.decode_value(&record.value).unwrap())
        })
        .collect()
}

fn text<'a>(json: &'a Json, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {json}"))
}

fn keys(messages: &[Json]) -> BTreeMap<String, u64> {
    let mut keys = BTreeMap::new();
    for message in messages {
        *keys.entry(text(message, "key").to_owned()).or_insert(0) += 1;
    }
    keys
}

fn check_nothing_lost_nothing_twice(demo: &Demo, messages: &[Json]) {
    let expected = messages.len() as u64;
    assert_eq!(demo.totals["records_in"], expected);
    assert_eq!(demo.totals["conversations"], keys(messages).len() as u64);
    assert_eq!(demo.totals["dead_lettered"], 0);
    assert_eq!(demo.totals["topics"]["support.dlq"], 0);
    let log = demo.log();
    for (topic, schema, _) in PER_MESSAGE {
        assert_eq!(demo.totals["topics"][topic], expected, "{topic}");
        let found = decoded(log.as_ref(), topic, schema);
        let of = |value: &Json| {
            (
                text(value, "tenant_id").to_owned(),
                text(value, "conversation_id").to_owned(),
                text(value, "message_id").to_owned(),
            )
        };
        let ids: BTreeSet<_> = found.iter().map(|(_, value)| of(value)).collect();
        let wanted: BTreeSet<_> = messages.iter().map(|message| of(&message["value"])).collect();
        assert_eq!(found.len(), messages.len(), "{topic}");
        assert_eq!(ids, wanted, "{topic}: each message exactly once");
    }
}

fn check_every_conversation_is_current(demo: &Demo, messages: &[Json]) {
    let log = demo.log();
    let conversations = keys(messages);
    let mut last: BTreeMap<&str, BTreeMap<String, Json>> = BTreeMap::new();
    for (topic, schema) in PER_CONVERSATION {
        let current: BTreeMap<String, Json> = decoded(log.as_ref(), topic, schema).into_iter().collect();
        assert!(current.keys().eq(conversations.keys()), "{topic} has every conversation");
        last.insert(topic, current);
    }
    for (key, count) in &conversations {
        let summary = &last["support.ai.summary"][key];
        let aggregate = &last["support.ai.aggregated"][key];
        let state = &last["support.conversations.state"][key];
        assert_eq!(summary["messages_covered"], *count, "{key}");
        for part in ["sentiment", "pii", "insights", "summary"] {
            assert!(!aggregate[part].is_null(), "{key}: {part} has arrived");
        }
        assert_eq!(aggregate["summary"]["tldr"], summary["tldr"], "{key}");
        assert_eq!(state["summary"], summary["tldr"], "{key}");
        let counted = state["customer_messages"].as_u64().unwrap() + state["agent_messages"].as_u64().unwrap();
        assert_eq!(counted, *count, "{key}");
        assert_eq!(state["last_messages"].as_array().unwrap().len() as u64, (*count).min(5), "{key}");
        assert!((0..=100).contains(&aggregate["quality_score"].as_i64().unwrap()), "{key}");
        let reference = &aggregate["pii"]["pii_ref"];
        assert_eq!(
            aggregate["pii"]["has_pii"],
            !reference.is_null(),
            "{key}: a reference exactly where there is something"
        );
        assert!(reference.is_null() || text(&aggregate["pii"], "pii_ref").starts_with(key.as_str()), "{key}");
    }
}

/// Email addresses, telephone and card numbers, found by other means than the engine's.
fn personal_data(messages: &[Json]) -> BTreeSet<String> {
    let patterns = [
        r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}",
        r"\(?\b[2-9]\d{2}\)?[-. ][2-9]?\d{2,3}[-. ]\d{4}\b",
        r"\+\d{1,3}[ -]?(?:\(?\d{1,4}\)?[ -]?){2,5}\d\b",
    ];
    let mut found = BTreeSet::new();
    let card = Regex::new(r"\b[3-6]\d{3}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{1,4})?\b").unwrap();
    for message in messages {
        let text = text(&message["value"], "message");
        for pattern in patterns {
            found.extend(Regex::new(pattern).unwrap().find_iter(text).map(|found| found.as_str().to_owned()));
        }
        found.extend(card.find_iter(text).map(|found| found.as_str().to_owned()).filter(|number| passes_luhn(number)));
    }
    found
}

fn passes_luhn(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, digit)| if position % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// Where in a run's topics and stores any of the texts occurs; `PII` and `RAW` apart.
fn check_personal_data_is_nowhere_else(demo: &Demo, messages: &[Json], at_least: usize) {
    let wanted: Vec<String> = personal_data(messages).into_iter().collect();
    assert!(wanted.len() >= at_least, "{} are too few to show anything", wanted.len());
    let automaton = AhoCorasick::new(&wanted).unwrap();
    let mut places = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let mut searched = 0;
    let mut search = |place: &str, bytes: &[u8]| {
        searched += bytes.len();
        for hit in automaton.find_iter(bytes) {
            match place {
                RAW => {}
                PII => drop(kept.insert(hit.pattern())),
                _ => drop(places.insert(format!("{place}: {}", wanted[hit.pattern().as_usize()]))),
            }
        }
    };
    let log = demo.log();
    let topics = log.admin().topics().unwrap();
    assert!(topics.keys().any(|topic| topic.ends_with("-changelog")));
    assert!(topics.keys().any(|topic| topic.ends_with("-repartition")));
    for topic in topics.keys() {
        for record in read(log.as_ref(), topic) {
            search(topic, record.key.as_deref().unwrap_or_default());
            search(topic, record.value.as_deref().unwrap_or_default());
            for header in record.headers.as_slice() {
                search(topic, header.name.as_bytes());
                search(topic, header.value.as_deref().unwrap_or_default());
            }
        }
    }
    for application in list_applications(&demo.state()).unwrap() {
        for task in list_tasks(&demo.state(), &application).unwrap() {
            let reader = TaskReader::open(&demo.state(), &application, &task).unwrap();
            let stores: Vec<String> = reader.stores().map(str::to_owned).collect();
            for store in stores {
                for (key, value) in reader.scan(&store, Bound::Unbounded, Bound::Unbounded, usize::MAX).unwrap() {
                    search(&format!("store {task}/{store}"), &key);
                    search(&format!("store {task}/{store}"), &value);
                }
            }
        }
    }
    assert!(searched > 100_000, "something was searched");
    assert!(places.is_empty(), "personal data where it must not be: {places:#?}");
    assert!(kept.len() * 10 >= wanted.len() * 9, "the topic of personal data holds what was found");
}

/// A file of `times` as many messages: other conversations, one after the other, in the same span of time.
fn repeated(input: &Path, times: usize, output: &Path) {
    let times = times as i64;
    let messages = lines(input);
    let time = |message: &Json| message["timestamp"].as_i64().unwrap();
    let (first, last) = (time(&messages[0]), time(&messages[messages.len() - 1]));
    let mut file = std::io::BufWriter::new(fs::File::create(output).unwrap());
    for round in 0..times {
        for message in &messages {
            let mut message = message.clone();
            let timestamp = first + round * (last - first) / times + (time(&message) - first) / times;
            message["key"] = format!("{}-{round}", text(&message, "key")).into();
            message["timestamp"] = timestamp.into();
            let value = &mut message["value"];
            value["conversation_id"] = format!("{}-{round}", text(value, "conversation_id")).into();
            value["message_id"] = format!("{}-{round}", text(value, "message_id")).into();
            value["timestamp"] = timestamp.into();
            writeln!(file, "{message}").unwrap();
        }
    }
    file.flush().unwrap();
}

#[test]
fn sample_conversations_become_intelligence_without_loss_or_leak() {
    let messages = lines(&samples());
    let demo = Demo::run(&samples());
    check_nothing_lost_nothing_twice(&demo, &messages);
    check_every_conversation_is_current(&demo, &messages);
    check_personal_data_is_nowhere_else(&demo, &messages, 10);
}

#[test]
fn real_conversations_become_intelligence_without_loss_or_leak() {
    let Some(input) = real_messages("1,211 real messages") else { return };
    let messages = lines(&input);
    assert_eq!((messages.len(), keys(&messages).len()), (1_211, 525));
    let demo = Demo::run(&input);
    check_nothing_lost_nothing_twice(&demo, &messages);
    check_every_conversation_is_current(&demo, &messages);
    check_personal_data_is_nowhere_else(&demo, &messages, 5);
}

/// What waits in several partitions when a topology starts is worked off in the order of time, however far it reaches:
/// otherwise windows over several partitions would close before the records of the slower ones come.
#[test]
fn a_backlog_of_several_partitions_is_worked_off_in_the_order_of_time() {
    const DAY: i64 = 86_400_000;
    let place = tempfile::tempdir().unwrap();
    let (input, log) = (place.path().join("input.jsonl"), place.path().join("log"));
    let mut lines_out = String::new();
    for (day, mut message) in (17_000_i64..).zip(lines(&samples())) {
        message["timestamp"] = (day * DAY).into();
        message["value"]["timestamp"] = (day * DAY).into();
        lines_out.push_str(&format!("{message}\n"));
    }
    fs::write(&input, lines_out).unwrap();
    let topology = manifest().join("topologies/support-intelligence.yaml");
    let signalstream = |arguments: &[&str], path: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.args(arguments).args(path).arg("--embedded").arg(&log).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    signalstream(&["topics", "apply"], Some(&topology));
    signalstream(&["produce", "support.messages.raw", "--input"], Some(&input));
    // Cleaned it would be by age, and these records are old.
    let said = signalstream(&["run", "--until-end", "--clean-interval", "1h"], Some(&topology));
    assert!(said.contains("records in") && !said.contains("late"), "{said}");
}

/// I9: what a run holds in memory does not depend on how long it is.
#[test]
fn memory_stays_the_same_over_a_hundred_times_the_input() {
    let directory = tempfile::tempdir().unwrap();
    let (mut input, longer) = (directory.path().join("input.jsonl"), directory.path().join("longer.jsonl"));
    match real_messages("the real messages; memory is measured with as many of the samples") {
        Some(real) => input = real,
        None => repeated(&samples(), 1_211_usize.div_ceil(lines(&samples()).len()), &input),
    }
    repeated(&input, 100, &longer);
    let once = Demo::run(&input).peak;
    let demo = Demo::run(&longer);
    assert_eq!(demo.totals["dead_lettered"], 0);
    let line = format!("peak memory: {once} kB over the input, {} kB over 100 times the input", demo.peak);
    writeln!(stderr(), "{line}").unwrap();
    assert!(once < 200_000, "{line}");
    assert!(demo.peak * 5 <= once * 6, "{line}");
}
