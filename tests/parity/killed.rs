//! The scenarios as applications on the embedded log: with three partitions and two threads, killed on the way.
//!
//! No kill depends on how fast the machine is. The process that is to be killed commits when it has collected enough, and
//! never by the clock: what was too little for a commit stays uncommitted, however long it is left alone. What it has
//! committed is read beside it. It is killed after its first commit, is given more, and is killed again when some of that
//! is committed. Only then may it come to the end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signalstream::log::embedded::EmbeddedLog;
use signalstream::log::{Log, LogConsumer};
use signalstream::record::TopicPartition;

use crate::program;
use crate::scenarios::{Scenario, Sequence};
use crate::spread::{self, PARTITIONS};

/// Of how many lines a part is given before the first kill: of a round in which one input is read before the other, all of
/// the first and some of the second.
const FIRST: (usize, usize) = (3, 4);
/// How long anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// What came of an application.
pub(crate) struct Ended {
    /// What is under each key.
    pub(crate) summary: String,
    /// How often it was killed after a commit and before the last one.
    pub(crate) kills: usize,
}

/// Runs a sequence as an application that is killed on the way.
pub(crate) fn run(scenario: &Scenario, sequence: &Sequence) -> Ended {
    let root = tempfile::tempdir().unwrap();
    let application = Killed::new(scenario, root.path());
    let kills = spread::rounds(scenario, sequence).into_iter().map(|lines| application.round(lines)).sum();
    Ended { summary: spread::summary(&scenario.name, application.outputs().into_iter()), kills }
}

/// An application in a directory.
struct Killed<'a> {
    scenario: &'a Scenario,
    root: &'a Path,
    /// The topics whose offsets the application commits.
    consumed: Vec<&'static str>,
    /// The name of its group.
    group: String,
}

impl<'a> Killed<'a> {
    fn new(scenario: &'a Scenario, root: &'a Path) -> Self {
        let group = scenario.yaml.lines().find_map(|line| line.strip_prefix("topology: "));
        let group = group.expect("a topology has a name").to_owned();
        let of_all = |topic: &&str| scenario.yaml.contains(&format!("{{topic: {topic}, kind: global_table}}"));
        let consumed = scenario.inputs().into_iter().filter(|topic| !of_all(topic)).collect();
        let killed = Killed { scenario, root, consumed, group };
        fs::write(root.join("topology.yaml"), spread::yaml(scenario)).unwrap();
        killed.finish(killed.spawn(&["topics", "apply", "topology.yaml"]));
        killed
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command: Command = program::signalstream(self.scenario, &[arguments, &["--embedded", "log"]].concat());
        command.current_dir(self.root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn start(&self, more: &[&str]) -> Child {
        self.spawn(&[&["run", "topology.yaml", "--cache", "off", "--threads", "2"], more].concat())
    }

    fn finish(&self, child: Child) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", self.scenario.name, String::from_utf8_lossy(&output.stderr));
    }

    fn produce(&self, lines: &[Json]) {
        for topic in self.scenario.inputs() {
            let of_topic = lines.iter().filter(|line| line["topic"] == topic);
            let file = format!("{topic}.jsonl");
            fs::write(self.root.join(&file), of_topic.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            self.finish(self.spawn(&["produce", topic, "--topology", "topology.yaml", "--input", &file]));
        }
    }

    /// Works some records off, killed twice on the way. Returns how often that was before the last commit.
    fn round(&self, lines: &[Json]) -> usize {
        let (first, second) = lines.split_at(lines.len() * FIRST.0 / FIRST.1);
        let mut kills = 0;
        for part in [first, second] {
            // The first commit; the next time, of what has come since.
            let before = self.progress().end;
            self.produce(part);
            kills += usize::from(self.kill_after(before + 1));
        }
        self.finish(self.start(&["--until-end"]));
        let progress = self.progress();
        assert_eq!(progress.committed(), progress.end, "{}: not everything was read", self.scenario.name);
        kills
    }

    fn progress(&self) -> Progress {
        Progress::new(&self.root.join("log/log"), &self.consumed, &self.group)
    }

    /// Starts the application and kills it when so many records are committed as read. Returns whether there were more.
    fn kill_after(&self, until: i64) -> bool {
        let progress = self.progress();
        // Little goes out of what is held back.
        let outputs = if self.scenario.name.starts_with("suppress") { 64 } else { 256 };
        let outputs = format!("uncommitted_output_bytes={outputs}");
        let bounds = [&*outputs, "state.uncommitted_bytes=128KiB", "fetch_records=16"];
        let settings: Vec<&str> = bounds.into_iter().flat_map(|bound| ["--set", bound]).collect();
        let mut process = self.start(&[&["--commit-interval", "1h"], &settings[..]].concat());
        let deadline = Instant::now() + WITHIN;
        while progress.committed() < until {
            assert!(Instant::now() < deadline, "{}: less than {until} is committed", self.scenario.name);
            if process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        process.kill().unwrap();
        let output = process.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_none(), "{} ended by itself: {errors}", self.scenario.name);
        progress.committed() < progress.end
    }

    /// Everything in the topics that the topology writes.
    fn outputs(&self) -> Vec<[Json; 4]> {
        let log = EmbeddedLog::open_reader(&self.root.join("log/log")).unwrap();
        let mut rows = Vec::new();
        let inputs = self.scenario.inputs();
        for (topic, config) in log.admin().topics().unwrap() {
            if topic.contains('-') || inputs.contains(&topic.as_str()) {
                continue;
            }
            for partition in 0..config.partitions {
                read(log.as_ref(), &TopicPartition::new(topic.clone(), partition), &mut rows);
            }
        }
        rows
    }
}

/// Reads a partition to its end.
fn read(log: &dyn Log, partition: &TopicPartition, rows: &mut Vec<[Json; 4]>) {
    let mut consumer = log.consumer(None).unwrap();
    let end = consumer.end_offset(partition).unwrap();
    let mut position = 0;
    consumer.assign(partition, position).unwrap();
    while position < end {
        for batch in consumer.poll(10_000, Duration::from_secs(5)).unwrap().batches {
            position = batch.position;
            rows.extend(batch.records.into_iter().map(|record| {
                let key = record.key.map_or(Json::Null, |key| String::from_utf8(key.to_vec()).unwrap().into());
                let value = record.value.map_or(Json::Null, |value| serde_json::from_slice(&value).unwrap());
                [partition.topic.as_ref().into(), key, value, record.timestamp.into()]
            }));
        }
    }
}

/// How far an application has come, seen from outside.
struct Progress {
    consumer: Box<dyn LogConsumer>,
    inputs: Vec<TopicPartition>,
    /// How much there is to read.
    end: i64,
}

impl Progress {
    fn new(log: &Path, topics: &[&str], group: &str) -> Progress {
        let log = EmbeddedLog::open_reader(log).unwrap();
        let consumer = log.consumer(Some(group)).unwrap();
        let of_topic = |topic: &&str| {
            let topic = topic.to_string();
            (0..PARTITIONS).map(move |partition| TopicPartition::new(topic.clone(), partition))
        };
        let inputs: Vec<TopicPartition> = topics.iter().flat_map(of_topic).collect();
        let end = inputs.iter().map(|input| consumer.end_offset(input).unwrap()).sum();
        Progress { consumer, inputs, end }
    }

    /// How many records are committed as read.
    fn committed(&self) -> i64 {
        let committed = |input| self.consumer.committed(input).unwrap().map_or(0, |committed| committed.offset);
        self.inputs.iter().map(committed).sum()
    }
}
