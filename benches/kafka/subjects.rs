//! What is measured, each as a process of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::Arguments;
use super::bare::Bare;
use super::harness::workspace::Workspace;
use super::harness::{Cluster, Process};
use super::input::{EVENTS, Events, MESSAGES};
use super::topics::Topics;
use super::verify;
use super::watch::{Measured, Watch};

const BINARY: &str = env!("CARGO_BIN_EXE_signalstream");
/// What all of them commit by; the default of the engine and of Kafka Streams.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const SUPPORT: &str = "topologies/support-intelligence.yaml";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(crate) enum Subject {
    /// (1) rdkafka by itself: consume, produce in transactions
    Bare,
    /// (2) a topology of a filter and a map, of texts
    Stateless,
    /// (2) of JSON, which is parsed and written anew
    Json,
    /// (3) a count by key and minute
    Windowed,
    /// (4) the support topology, its agents in the process
    Support,
    /// (5) the count of (3) on Kafka Streams
    Streams,
}

impl Subject {
    pub(crate) const ALL: [Subject; 6] =
        [Subject::Bare, Subject::Stateless, Subject::Json, Subject::Windowed, Subject::Support, Subject::Streams];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Bare => "bare",
            Subject::Stateless => "stateless",
            Subject::Json => "json",
            Subject::Windowed => "windowed",
            Subject::Support => "support",
            Subject::Streams => "streams",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Subject::Bare => "(1) bare rdkafka loop",
            Subject::Stateless => "(2) filter and map, text",
            Subject::Json => "(2) filter and map, JSON",
            Subject::Windowed => "(3) windowed count",
            Subject::Support => "(4) support topology",
            Subject::Streams => "(5) windowed count, Kafka Streams",
        }
    }
}

/// Where everything runs.
pub(crate) struct Stage<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) topics: &'a Topics,
    pub(crate) workspace: &'a Workspace,
    pub(crate) events: &'a Events,
    /// The class path of (5).
    pub(crate) streams: Option<&'a str>,
}

/// The names of one run.
struct Run {
    /// The group, and the prefix of all topics but the output.
    application: String,
    output: String,
    directory: PathBuf,
}

impl Stage<'_> {
    /// Runs a subject once, checks what it wrote and removes it.
    pub(crate) fn run(&mut self, subject: Subject, round: usize) -> Measured {
        let application = format!("bench-{}-{round}", subject.name());
        let directory = self.workspace.join(&application);
        fs::create_dir(&directory).unwrap();
        let run = Run { output: format!("bench.out.{application}"), application, directory };
        if subject != Subject::Support {
            self.topics.create(&run.output);
        }
        let mut command = self.command(subject, &run);
        let log = run.directory.join("log");
        let servers = self.cluster.bootstrap_servers();
        let input = if subject == Subject::Support { MESSAGES } else { EVENTS };
        let partitions = self.topics.ends(input).len();
        let broker = self.cluster.process(1).id();
        let watch = Watch { servers: &servers, group: &run.application, input, partitions, broker };
        let started = Instant::now();
        let mut process = Process::spawn_alone(&run.application, &mut command, &log);
        let measured = watch.until_the_end(started, &mut process, self.arguments.patience());
        self.verify(subject, &run, &log);
        self.topics.delete(|name| name == run.output || name.starts_with(&format!("{}-", run.application)));
        fs::remove_dir_all(&run.directory).unwrap();
        measured
    }

    fn command(&self, subject: Subject, run: &Run) -> Command {
        let servers = self.cluster.bootstrap_servers();
        match subject {
            Subject::Bare => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(Bare::arguments(&servers, &run.application, EVENTS, &run.output, COMMIT_INTERVAL));
                command
            }
            Subject::Stateless => self.engine("benches/kafka/stateless.yaml", run),
            Subject::Json => self.engine("benches/kafka/json.yaml", run),
            Subject::Windowed => self.engine("benches/kafka/windowed.yaml", run),
            Subject::Support => self.engine(SUPPORT, run),
            Subject::Streams => {
                let mut command = Command::new("java");
                let logging = top().join("tests/kafka/log4j2.properties");
                command.args(self.arguments.java_options.split_whitespace());
                command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
                command.args(["-cp", self.streams.unwrap(), "signalstream.WindowedCount"]);
                command.args([&servers, &run.application, EVENTS, &run.output]);
                command.arg(run.directory.join("state")).arg(COMMIT_INTERVAL.as_millis().to_string());
                command
            }
        }
    }

    /// The engine, with a copy of a topology that has the run's names.
    fn engine(&self, topology: &str, run: &Run) -> Command {
        let text = fs::read_to_string(top().join(topology)).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("topology: ")).unwrap();
        let text = text
            .replace(&format!("topology: {name}\n"), &format!("topology: {}\n", run.application))
            .replace("bench.out", &run.output);
        let file = run.directory.join("topology.yaml");
        fs::write(&file, text).unwrap();
        let mut command = engine();
        command.arg("run").arg(file).args(["--bootstrap-servers", &self.cluster.bootstrap_servers(), "--until-end"]);
        command.arg("--state-dir").arg(run.directory.join("state"));
        command.arg("--schemas").arg(top().join("schemas")).arg("--create-topics");
        command.arg("--commit-interval").arg(format!("{}ms", COMMIT_INTERVAL.as_millis()));
        command.args(self.arguments.engine_options.split_whitespace());
        command
    }

    fn verify(&self, subject: Subject, run: &Run, log: &Path) {
        let kcat = self.cluster.kcat();
        match subject {
            Subject::Bare => verify::copied(&kcat, &run.output, self.events, "EUR"),
            Subject::Stateless => verify::copied(&kcat, &run.output, self.events, "USD"),
            Subject::Json => verify::doubled(&kcat, &run.output, self.events),
            Subject::Windowed | Subject::Streams => {
                let changes = verify::counted(&kcat, &run.output, &self.events.counts());
                super::harness::report(&format!("  {}: {changes} changes of counts written", run.application));
            }
            Subject::Support => {
                let log = fs::read_to_string(log).unwrap();
                let summary = log.lines().find(|line| line.starts_with("stopped ")).unwrap();
                assert!(!summary.contains("dead"), "{summary}");
                super::harness::report(&format!("  {summary}"));
            }
        }
    }
}

/// The binary, without settings of whoever runs the benchmark.
pub(crate) fn engine() -> Command {
    let mut command = Command::new(BINARY);
    let ours = |name: &OsString| name.to_string_lossy().starts_with("SIGNALSTREAM_") || name == "RUST_LOG";
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
