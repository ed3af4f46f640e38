//! The engine on a real Kafka, against what else could be done: a loop that only copies, and Kafka Streams.
//!
//! `make bench-kafka` runs it; `ARGS='--records 2000000 --rounds 5'` says how much. One broker of the tests' harness
//! serves all; each subject runs as a process of its own, by turns, and is measured from outside ([`watch`]). What it
//! wrote is checked by kcat.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

mod bare;
#[path = "../../tests/kafka/harness/mod.rs"]
mod harness;
mod input;
mod report;
mod subjects;
mod topics;
mod verify;
mod watch;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};

use bare::Bare;
use harness::workspace::Workspace;
use harness::{Cluster, Options};
use input::{EVENTS, Events, MESSAGES};
use report::Rounds;
use subjects::{Stage, Subject, engine, top};
use topics::Topics;

/// Measures the engine on a real Kafka
#[derive(Debug, Parser)]
#[command(name = "kafka")]
pub(crate) struct Arguments {
    /// Records for each but (4)
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Messages of (4)
    #[arg(long, default_value_t = 24_220)]
    messages: usize,
    /// How often each runs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Which ones run, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Subject>,
    /// Options of the JVM of (5)
    #[arg(long, default_value = "-Xmx512m", allow_hyphen_values = true)]
    java_options: String,
    /// Further options of `signalstream run`, such as `--set kafka.linger.ms=20`
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    engine_options: String,
    /// How to write the figures
    #[arg(long, default_value = "text")]
    output: Output,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// The bare loop, which the benchmark starts itself
    #[command(hide = true)]
    Bare(Bare),
}

impl Arguments {
    /// How long a run may take: a crawl, but no standstill.
    fn patience(&self) -> Duration {
        Duration::from_secs(120 + self.records / 10_000 + self.messages as u64 / 100)
    }

    fn subjects(&self) -> Vec<Subject> {
        let wanted = |subject: &Subject| self.only.is_empty() || self.only.contains(subject);
        Subject::ALL.into_iter().filter(wanted).collect()
    }
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(Mode::Bare(bare)) = &arguments.mode {
        return bare.run();
    }
    let subjects = arguments.subjects();
    let streams = subjects.contains(&Subject::Streams).then(class_path);
    let workspace = Workspace::new("bench");
    let mut cluster = Cluster::with(Options::brokers(1).steady());
    let topics = Topics::new(&cluster.bootstrap_servers());
    let events = Events::new(arguments.records);
    fill(&arguments, &subjects, &cluster, &topics, &workspace, &events);

    let mut rounds = Rounds::new();
    for round in 0..arguments.rounds {
        // Who was first is last in the next round: what went before may linger.
        let order: Vec<Subject> =
            if round % 2 == 0 { subjects.clone() } else { subjects.iter().rev().copied().collect() };
        for subject in order {
            let mut stage = Stage {
                arguments: &arguments,
                cluster: &mut cluster,
                topics: &topics,
                workspace: &workspace,
                events: &events,
                streams: streams.as_deref(),
            };
            let measured = stage.run(subject, round);
            harness::report(&format!(
                "round {}, {}: {:.0} records/s, {:.2} CPU s/M, {:.0} MB",
                round + 1,
                subject.title(),
                measured.records_per_second,
                measured.cpu_per_million,
                measured.memory,
            ));
            rounds.entry(subject).or_default().push(measured);
        }
    }
    let mut out = std::io::stdout();
    match arguments.output {
        Output::Text => write!(out, "\n{}", report::text(&rounds)).unwrap(),
        Output::Json => writeln!(out, "{:#}", report::json(&rounds)).unwrap(),
    }
}

fn fill(
    arguments: &Arguments,
    subjects: &[Subject],
    cluster: &Cluster,
    topics: &Topics,
    workspace: &Workspace,
    events: &Events,
) {
    let started = Instant::now();
    if subjects.iter().any(|subject| *subject != Subject::Support) {
        topics.create(EVENTS);
        events.produce(&cluster.bootstrap_servers());
    }
    if subjects.contains(&Subject::Support) {
        topics.create(MESSAGES);
        let file = workspace.join("messages.jsonl");
        input::write_messages(arguments.messages, &file);
        let mut command = engine();
        command.args(["produce", MESSAGES, "--bootstrap-servers", &cluster.bootstrap_servers(), "--input"]);
        let status = command.arg(file).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "the messages were not produced");
    }
    harness::report(&format!("input written in {:.1?}", started.elapsed()));
}

/// Compiles the comparison on Kafka Streams, if it is not there yet.
fn class_path() -> String {
    let script = top().join("benches/kafka/streams/build");
    let output = Command::new("bash").arg(script).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Kafka Streams is not there: {errors}`bash .ci/setup bench` says more.");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
