//! Sequences through the engine, without a cache, in this process.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::{DriverOptions, InputLine, TopologyDriver, parse_line};
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load_with};

use crate::canonical;
use crate::scenarios::{Scenario, Sequence};

/// A topology that can be run.
pub(crate) struct Engine {
    topology: Arc<Topology>,
}

impl Engine {
    /// Plans the topology, or says what is wrong with it.
    pub(crate) fn new(scenario: &Scenario) -> Result<Engine, String> {
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        let file = format!("{}.yaml", scenario.name);
        let topology = load_with(&file, &scenario.yaml, &options, &crate::processors::all());
        let topology = topology.map_err(|problems| problems.to_string())?;
        Ok(Engine { topology: Arc::new(topology) })
    }

    /// What comes out, as `Main.java` writes it: `[AT, TOPIC, KEY, VALUE, TIMESTAMP]`, and headers where there are any.
    /// Records that come out with one line are in order of topic, and in their own order within a topic. An error is a
    /// row of its own.
    pub(crate) fn run(&self, sequence: &Sequence) -> Vec<Json> {
        // A pattern takes the topics that there are.
        let partitions =
            sequence.lines.iter().filter_map(|line| Some((line["topic"].as_str()?.to_owned(), 1))).collect();
        let options = DriverOptions { caching: false, partitions, ..DriverOptions::default() };
        let mut driver = TopologyDriver::new(self.topology.clone(), &SchemaRegistry::new(), options).unwrap();
        let mut rows = Vec::new();
        for (at, line) in sequence.lines.iter().enumerate() {
            let line = parse_line(&line.to_string()).unwrap().expect("a line holds something");
            let last = at + 1 == sequence.lines.len();
            let done = match line {
                InputLine::Record(record) => driver.pipe(&record),
                InputLine::AdvanceWallClock(by) => driver.advance_wall_clock(by),
            };
            let done =
                done.and_then(|()| if last { driver.finish() } else { driver.advance_wall_clock(Duration::ZERO) });
            if let Err(error) = done {
                rows.push(json!([at, "error", what_stopped(&error.to_string())]));
                break;
            }
            let mut outputs = driver.take_outputs();
            outputs.sort_by(|a, b| a.topic.cmp(&b.topic));
            for record in outputs {
                let mut row = json!([at, record.topic, record.key, record.value, record.timestamp]);
                if let (Some(row), false) = (row.as_array_mut(), record.headers.is_empty()) {
                    row.push(Json::Object(record.headers));
                }
                rows.push(row);
            }
        }
        rows
    }
}

/// What stops Kafka Streams, too, in the words of `Sequence.java`.
fn what_stopped(error: &str) -> &str {
    if error.contains("more changes are held back than `suppress` allows") { "the buffer is full" } else { error }
}

/// The rows that `signalstream drive` prints, in order of topic, without the numbers of the steps.
pub(crate) fn drive(scenario: &Scenario, sequence: &Sequence) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let (topology, input) = (directory.path().join("topology.yaml"), directory.path().join("input.jsonl"));
    fs::write(&topology, &scenario.yaml).unwrap();
    fs::write(&input, sequence.lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_signalstream"))
        .arg("drive")
        .arg(&topology)
        .arg("--input")
        .arg(&input)
        .args(["--cache", "off"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut rows: Vec<(String, String)> = printed
        .lines()
        .map(|line| {
            let record: Json = serde_json::from_str(line).unwrap();
            let mut row = vec![record["topic"].clone(), record["key"].clone()];
            row.extend([record["value"].clone(), record["timestamp"].clone()]);
            row.extend(record.get("headers").cloned());
            (record["topic"].to_string(), canonical::text(&Json::Array(row)))
        })
        .collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.into_iter().map(|(_, row)| row).collect()
}
