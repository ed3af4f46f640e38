//! `signalstream run`: topologies at work, until somebody stops them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::config::Config;
use crate::log::Log;
use crate::metrics::{Counters, DropReason};
use crate::runtime::{Application, ApplicationOptions};
use crate::time::{self, Clock, SystemClock, parse_duration};
use crate::topology::plan::Topology;

use super::Outcome;
use super::drive::Switch;
use super::embedded::{Directory, EmbeddedArguments, Memory};
use super::failure::Usage;
use super::load::{self, SchemaArguments};
use super::output::grouped;
use super::signals::StopRequest;

/// How often the signals and the progress are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

/// Run topologies on a log, until Ctrl-C or SIGTERM
#[derive(Args)]
#[command(after_help = "\
Several topologies run in one process and share the log. A stop commits what is done; a crash loses nothing: the
next run goes on from the last commit.

Examples:
  signalstream run topologies/support-intelligence.yaml --embedded ./data
  signalstream run a.yaml b.yaml --embedded ./data --threads 2 --until-end")]
pub(super) struct RunCommand {
    /// The topologies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    embedded: EmbeddedArguments,

    /// The Kafka brokers to run on
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "path")]
    bootstrap_servers: Option<String>,

    /// Stream threads of each topology
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,

    /// Time between commits
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    commit_interval: Duration,

    /// Time between two cleanings of the log: what retention and compaction no longer keep is deleted, by the
    /// records' own timestamps
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    clean_interval: Duration,

    /// Hand on aggregates and tables once per key and commit (on), or at every update (off)
    #[arg(long, default_value = "on")]
    cache: Switch,

    /// Stop when all input has been processed
    #[arg(long)]
    until_end: bool,

    #[command(flatten)]
    schemas: SchemaArguments,
}

/// Reads a duration that is not zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        0 => Err("expected a duration longer than nothing, such as 100ms".to_owned()),
        millis => Ok(Duration::from_millis(millis.unsigned_abs())),
    }
}

impl RunCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if self.bootstrap_servers.is_some() {
            return Err(Usage::error(
                "--bootstrap-servers is not supported yet: run on the embedded log with --embedded DIR",
            ));
        }
        let directory = self.embedded.directory()?;
        let topologies = self.load()?;
        let stop = StopRequest::listen()?;
        let config = self.config()?;
        let log = directory.open_log(&Memory::from(&config))?;
        let mut applications: Vec<(String, Application)> = Vec::new();
        for topology in &topologies {
            match RunCommand::start(topology, &config, &directory, log.clone(), topologies.len()) {
                Ok(application) => applications.push((topology.name.clone(), application)),
                Err(error) => {
                    // What has started ends in good order before the error is told.
                    for (_, application) in applications {
                        application.stop()?;
                    }
                    return Err(error);
                }
            }
            self.announce(topology, &directory);
        }
        let rounds = topologies.iter().map(|topology| topology.subtopologies.len() + 1).sum();
        let waited = self.wait(&applications, &stop, rounds);
        let stopped = stop_all(applications);
        waited.and(stopped)?;
        Ok(Outcome::Success)
    }

    fn load(&self) -> anyhow::Result<Vec<Topology>> {
        let mut names = BTreeSet::new();
        let mut topologies = Vec::new();
        for file in &self.files {
            let topology = load::topology(file, &self.schemas)?.topology;
            if !names.insert(topology.name.clone()) {
                let name = &topology.name;
                return Err(Usage::error(format!(
                    "{} is another topology named `{name}`; an application id is for one topology",
                    file.display()
                )));
            }
            topologies.push(topology);
        }
        Ok(topologies)
    }

    fn config(&self) -> anyhow::Result<Config> {
        let config = Config {
            threads: usize::from(self.threads),
            commit_interval: self.commit_interval,
            clean_interval: self.clean_interval,
            caching: self.cache == Switch::On,
            ..Config::default()
        };
        config.validate().map_err(Usage::error)?;
        Ok(config)
    }

    fn start(
        topology: &Topology,
        config: &Config,
        directory: &Directory,
        log: Arc<dyn Log>,
        applications: usize,
    ) -> anyhow::Result<Application> {
        let options = ApplicationOptions::from(config);
        let state = directory.open_state(&topology.name, &Memory::shared_by(config, applications))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Ok(Application::start(topology, log, state, clock, &options)?)
    }

    /// Says on stderr what runs; nobody may be there to read it.
    fn announce(&self, topology: &Topology, directory: &Directory) {
        let threads = if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        let path = directory.path().display();
        let _written = writeln!(io::stderr(), "running {} on the log in {path} with {threads}", topology.name);
    }

    fn wait(&self, applications: &[(String, Application)], stop: &StopRequest, rounds: usize) -> anyhow::Result<()> {
        // What one topology writes may be another's input: only when as many rounds as there are links have
        // found everything committed can nothing more follow.
        let mut complete = 0;
        while !stop.is_set() && !applications.iter().any(|(_, application)| application.is_stopping()) {
            if self.until_end {
                let mut all = true;
                for (_, application) in applications {
                    all &= application.is_caught_up()?;
                }
                complete = if all { complete + 1 } else { 0 };
                if complete > rounds {
                    return Ok(());
                }
                if all {
                    continue;
                }
            }
            time::pause(WATCH_INTERVAL);
        }
        Ok(())
    }
}

/// Stops all, then says what failed first, if something did.
fn stop_all(applications: Vec<(String, Application)>) -> anyhow::Result<()> {
    let mut first = Ok(());
    for (name, application) in applications {
        match application.stop() {
            Ok(counters) => {
                let _written = writeln!(io::stderr(), "stopped {name}: {}", summary(&counters));
            }
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("{name} stopped"));
                first = first.and(Err(error));
            }
        }
    }
    first
}

fn summary(counters: &Counters) -> String {
    let mut text = format!("{} records in, {} out", grouped(counters.records_in), grouped(counters.records_out));
    if counters.dead_letters > 0 {
        text.push_str(&format!(", {} dead letters", grouped(counters.dead_letters)));
    }
    for reason in DropReason::ALL {
        let count = counters.dropped_for(reason);
        if count > 0 {
            text.push_str(&format!(", {} dropped ({})", grouped(count), reason.label()));
        }
    }
    text
}
