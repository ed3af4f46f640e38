//! `signalstream run`: topologies at work, until somebody stops them.

mod report;
mod settings;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::error::{Classified, ErrorClass};
use crate::http::{Board, Server};
use crate::log::Log;
use crate::runtime::{Application, ApplicationOptions};
use crate::serdes::remote::RegistryError;
use crate::time::{self, Clock, SystemClock};
use crate::topology::plan::Topology;

use super::Outcome;
use super::deployment::{Deployment, LogArguments};
use super::embedded::Memory;
use super::failure::Usage;
use super::load::{self, SchemaArguments};
use super::output::OutputFormat;
use super::signals::StopRequest;
use report::{print_config, summary};
use settings::SettingArguments;

/// How often the signals are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

/// How often the log is asked whether all input has been processed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How often metrics and health are brought up to date.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Run topologies on a log, until Ctrl-C or SIGTERM
#[derive(Args)]
#[command(after_help = "\
Several topologies run in one process and share the log. A stop commits what is done; a crash loses nothing: the
next run goes on from the last commit. On Kafka, start it several times, on several machines: the tasks are shared out.
A second Ctrl-C or SIGTERM ends the process at once.

Examples:
  signalstream run topologies/support-intelligence.yaml --embedded ./data
  signalstream run a.yaml b.yaml --embedded ./data --threads 2 --until-end
  signalstream run shop.yaml --bootstrap-servers localhost:9092 --state-dir ./state --http 127.0.0.1:8080
  signalstream run shop.yaml --config production.yaml --print-config")]
pub(super) struct RunCommand {
    /// The topologies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    log: LogArguments,

    #[command(flatten)]
    settings: SettingArguments,

    /// Stop when all input has been processed
    #[arg(long)]
    until_end: bool,

    /// Show the settings that hold and where they come from, secrets hidden, and run nothing
    #[arg(long)]
    print_config: bool,

    /// How to write the settings of --print-config
    #[arg(long, default_value = "text", requires = "print_config")]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemaArguments,
}

impl RunCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let flags = self.settings.flags().into_iter().chain(self.schemas.flags()).collect();
        let effective = self.log.settings(flags)?;
        if self.print_config {
            print_config(&effective, self.output)?;
            return Ok(Outcome::Success);
        }
        let deployment = Deployment::new(effective)?;
        // First of all, so that a stop is heard whenever it comes.
        let stop = StopRequest::listen()?;
        let schemas = self.schemas.live(deployment.config())?;
        // Schemas that no file has are the registry's, which may have to be waited for.
        let loaded = deployment.patiently(|| stop.is_set(), |_| self.load(&schemas).map_err(Unloaded));
        let topologies = loaded.map_err(|error| match error.downcast::<Unloaded>() {
            Ok(Unloaded(error)) | Err(error) => error,
        })?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let board = Board::new(clock.clone());
        let server = self.serve(&deployment, &board)?;
        let outcome = self.work(&deployment, &topologies, &clock, &board, &stop);
        if let Some(server) = server {
            server.stop();
        }
        outcome.map(|()| Outcome::Success)
    }

    fn load(&self, schemas: &SchemaArguments) -> anyhow::Result<Vec<Topology>> {
        let mut names = BTreeSet::new();
        let mut topologies = Vec::new();
        for file in &self.files {
            let topology = load::topology(file, &schemas.apart())?.topology;
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

    /// Opens the interface for metrics and health, if it is wanted: before the log, so that who waits for this
    /// process sees it wait for the brokers.
    fn serve(&self, deployment: &Deployment, board: &Arc<Board>) -> anyhow::Result<Option<Server>> {
        let Some(address) = deployment.config().http_listen else { return Ok(None) };
        let server = Server::start(address, board.clone())
            .with_context(|| format!("metrics and health cannot be served on {address} (http.listen)"))?;
        let _written = writeln!(io::stderr(), "metrics and health on http://{}", server.address());
        Ok(Some(server))
    }

    fn work(
        &self,
        deployment: &Deployment,
        topologies: &[Topology],
        clock: &Arc<dyn Clock>,
        board: &Board,
        stop: &StopRequest,
    ) -> anyhow::Result<()> {
        let log = match deployment.open_unless(&Memory::from(deployment.config()), || stop.is_set()) {
            // Nothing has begun yet.
            Err(_) if stop.is_set() => return Ok(()),
            opened => opened?,
        };
        let mut running = Running { applications: Vec::new(), board, clock: clock.as_ref(), published: None };
        for topology in topologies {
            if let Err(error) = running.start(topology, deployment, &log, (clock, stop), topologies.len()) {
                // What has started ends in good order before the error is told.
                running.stop()?;
                return if stop.is_set() { Ok(()) } else { Err(error) };
            }
        }
        let rounds = topologies.iter().map(|topology| topology.subtopologies.len() + 1).sum();
        let waited = running.wait(self.until_end.then_some(rounds), stop);
        board.stopping();
        let stopped = running.stop();
        waited.and(stopped)
    }
}

/// Why topologies could not be loaded.
#[derive(Debug)]
struct Unloaded(anyhow::Error);

impl fmt::Display for Unloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Unloaded {}

impl Classified for Unloaded {
    fn class(&self) -> ErrorClass {
        let registry = self.0.chain().find_map(|cause| cause.downcast_ref::<RegistryError>());
        registry.map_or(ErrorClass::Fatal, RegistryError::class)
    }
}

/// The applications of this process.
struct Running<'a> {
    applications: Vec<(String, Application)>,
    board: &'a Board,
    clock: &'a dyn Clock,
    /// When the status was last published.
    published: Option<Duration>,
}

impl Running<'_> {
    fn start(
        &mut self,
        topology: &Topology,
        deployment: &Deployment,
        log: &Arc<dyn Log>,
        (clock, stop): (&Arc<dyn Clock>, &StopRequest),
        applications: usize,
    ) -> anyhow::Result<()> {
        let options = ApplicationOptions::from(deployment.config());
        let state = deployment.open_state(&topology.name, applications)?;
        // Brokers that have just come up may not have settled yet who answers for what.
        let start = |_| Application::start(topology, log.clone(), state.clone(), clock.clone(), &options);
        let application = deployment.patiently(|| stop.is_set(), start)?;
        self.applications.push((topology.name.clone(), application));
        let threads = deployment.config().threads;
        let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        // Nobody may be there to read it.
        let _written = writeln!(io::stderr(), "running {} on {} with {threads}", topology.name, deployment.name());
        Ok(())
    }

    /// Waits for a wish to stop, for a failure, or (`rounds`) for the end of all input.
    fn wait(&mut self, rounds: Option<usize>, stop: &StopRequest) -> anyhow::Result<()> {
        // What one topology writes may be another's input: only when as many rounds as there are links have
        // found everything committed can nothing more follow.
        let mut complete = 0;
        let mut asked: Option<Duration> = None;
        while !stop.is_set() && !self.applications.iter().any(|(_, application)| application.is_stopping()) {
            self.publish();
            let now = self.clock.elapsed();
            let due = complete > 0 || asked.is_none_or(|last| now.saturating_sub(last) >= PROGRESS_INTERVAL);
            if let Some(rounds) = rounds.filter(|_| due) {
                asked = Some(now);
                let mut all = true;
                for (_, application) in &self.applications {
                    all &= match application.is_caught_up() {
                        // The log is away, and what it holds not known.
                        Err(error) if error.class() == ErrorClass::Retry => false,
                        known => known?,
                    };
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

    /// Brings metrics and health up to date, from time to time.
    fn publish(&mut self) {
        let now = self.clock.elapsed();
        if self.published.is_none_or(|last| now.saturating_sub(last) >= STATUS_INTERVAL) {
            self.published = Some(now);
            self.board.publish(self.applications.iter().map(|(_, application)| application.status()).collect());
        }
    }

    /// Stops all, then says what failed first, if something did.
    fn stop(self) -> anyhow::Result<()> {
        let mut first = Ok(());
        for (name, application) in self.applications {
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
}
