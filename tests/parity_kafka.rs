//! A sample of the scenarios of `tests/parity/` on a real Kafka: three partitions, two threads, killed on the way.
//!
//! The long sequence of `parity/spread.rs` goes through each topology. What is committed under each key in the end, as kcat
//! reads it, must be what Kafka Streams gave.

#[allow(dead_code, reason = "used in part")]
#[path = "parity/canonical.rs"]
mod canonical;
#[allow(dead_code, reason = "used in part")]
#[path = "parity/generate.rs"]
mod generate;
#[allow(dead_code, reason = "used in part")]
#[path = "parity/golden.rs"]
mod golden;
#[path = "kafka/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "used in part")]
#[path = "parity/scenarios.rs"]
mod scenarios;
#[allow(dead_code, reason = "used in part")]
#[path = "parity/spread.rs"]
mod spread;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::command::run;
use harness::workspace::Workspace;
use harness::{Cluster, Process, eventually, report};
use regex::Regex;
use scenarios::{Scenario, Sequence};
use serde_json::Value as Json;

/// A state of every kind: windows, sessions with their index, joins of every kind, rows that travel between tasks.
const SAMPLE: &[&str] = &[
    "count_by_group",
    "foreign_key_left",
    "grouped_table_count",
    "hopping_on_close",
    "join_stream_table",
    "join_streams_left",
    "join_tables_outer",
    "session",
    "sliding",
    "suppress_windows",
];

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// A scenario whose topics have names of their own on a cluster that all share.
struct OnKafka<'a> {
    scenario: &'a Scenario,
    cluster: &'a Cluster,
    workspace: Workspace,
}

impl<'a> OnKafka<'a> {
    fn new(scenario: &'a Scenario, cluster: &'a Cluster) -> OnKafka<'a> {
        let workspace = Workspace::new(&format!("parity-{}", scenario.name));
        let yaml = spread::yaml(scenario);
        let own =
            Regex::new(r"\btopic: ").unwrap().replace_all(&yaml, format!("topic: {}.", scenario.name)).into_owned();
        fs::write(workspace.join("topology.yaml"), own).unwrap();
        OnKafka { scenario, cluster, workspace }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.scenario.name)
    }

    /// The topics that it writes, by their names in the scenario.
    fn outputs(&self) -> BTreeSet<String> {
        let (_, sinks) = self.scenario.yaml.split_once("\nsinks:").expect("a scenario has sinks");
        let topic = Regex::new(r"\btopic: ([\w-]+)").unwrap();
        topic.captures_iter(sinks).map(|found| found[1].to_owned()).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.current_dir(self.workspace.path()).env_remove("RUST_LOG").args(arguments);
        command.args(["--bootstrap-servers", &self.cluster.bootstrap_servers()]);
        command
    }

    fn done(&self, arguments: &[&str]) {
        run(&mut self.command(arguments), None, self.workspace.path(), WITHIN).succeeded();
    }

    fn produce(&self, sequence: &Sequence) {
        self.done(&["topics", "apply", "topology.yaml"]);
        for name in self.scenario.inputs() {
            let topic = self.topic(name);
            let records = sequence.lines.iter().filter(|line| line["topic"] == name).map(|line| {
                let mut line = line.clone();
                line["topic"] = topic.clone().into();
                format!("{line}\n")
            });
            fs::write(self.workspace.join(name), records.collect::<String>()).unwrap();
            self.done(&["produce", &topic, "--topology", "topology.yaml", "--input", name]);
        }
    }

    fn start(&self, more: &[&str]) -> Process {
        let mut command = self.command(&["run", "topology.yaml", "--cache", "off", "--threads", "2"]);
        command.args(["--commit-interval", "5ms", "--set", "static_membership=on"]).args(more);
        Process::spawn_alone(&self.scenario.name, &mut command, &self.workspace.join("run.log"))
    }

    /// What is committed in the topics that it writes: topic, key, value, timestamp.
    fn committed(&self) -> Vec<[Json; 4]> {
        let mut rows = Vec::new();
        for name in self.outputs() {
            for record in self.cluster.kcat().read(&self.topic(&name)) {
                let key = record.key.map_or(Json::Null, |key| String::from_utf8(key).unwrap().into());
                let value = record.value.map_or(Json::Null, |value| serde_json::from_slice(&value).unwrap());
                rows.push([name.clone().into(), key, value, record.timestamp.into()]);
            }
        }
        rows
    }

    /// Kills it as soon as something is committed, then lets it come to the end. Returns how much was committed by then.
    fn run(&self) -> usize {
        // Commits of a few records each, so that it is killed between two of them.
        let mut process = self.start(&["--set", "uncommitted_output_bytes=1KiB"]);
        let before = eventually(&format!("{} commits something", self.scenario.name), WITHIN, || {
            process.assert_running();
            Some(self.committed().len()).filter(|committed| *committed > 0)
        });
        process.kill();
        let mut process = self.start(&["--until-end"]);
        let ended = process.wait(WITHIN);
        assert!(
            ended.is_some_and(|status| status.success()),
            "{}: {ended:?}\n{}",
            self.scenario.name,
            process.tail(20)
        );
        before
    }
}

#[test]
fn a_sample_of_killed_applications_ends_on_kafka_where_kafka_streams_does() {
    let cluster = Cluster::start(1);
    let scenarios = scenarios::all();
    let (mut failures, mut cut) = (Vec::new(), 0);
    let sample: Vec<_> = scenarios.iter().filter(|scenario| SAMPLE.contains(&scenario.name.as_str())).collect();
    let chosen = std::env::var_os("PARITY_ONLY").is_some();
    assert!(chosen || sample.len() == SAMPLE.len(), "{} of the scenarios of {SAMPLE:?} are there", sample.len());
    for scenario in &sample {
        let name = &scenario.name;
        let sequence = spread::sequence(scenario);
        let here = OnKafka::new(scenario, &cluster);
        here.produce(&sequence);
        let before = here.run();
        let committed = here.committed();
        cut += usize::from(before < committed.len());
        report(&format!("{name}: killed after {before} of {} records", committed.len()));
        let ours = spread::summary(name, committed.into_iter());
        let theirs = golden::read(golden::SPREAD, name);
        if ours != theirs {
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            failures.push(format!("{name}:\n{}", golden::compared(&lines(&theirs), &lines(&ours))));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cut * 2 >= sample.len(), "only {cut} of {} were killed on the way", sample.len());
}
