//! `signalstream demo`: sample conversations through the support topology, and a picture of what came out.

mod conversations;
mod feed;
mod picture;
mod totals;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::log::embedded::EmbeddedLog;
use crate::metrics::Counters;
use crate::runtime::{Application, ApplicationOptions};
use crate::task::TaskOptions;
use crate::time::{Clock, SystemClock};

use super::Outcome;
use super::builtin;
use super::embedded::{Directory, Memory};
use super::formats::Formats;
use super::lines::Lines;
use super::load::{self, SchemaArguments};
use super::output::{OutputFormat, progress_bar};
use super::signals::StopRequest;
use feed::Feed;
use totals::Totals;

/// Longer than any demo: nothing is cleaned away, however old the timestamps of the input are.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// How many records of a partition wait in memory: the input is read faster than it is processed.
const QUEUED_RECORDS: usize = 100;

/// How much output a task collects before it commits ahead of time.
const UNCOMMITTED_BYTES: usize = 512 << 10;

/// Run the support topology over sample conversations and show what comes out
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream demo
  signalstream demo --input messages.jsonl --output json
  signalstream demo --directory ./data && signalstream consume support.ai.aggregated --embedded ./data --from-beginning

Each line of --input is {\"topic\", \"key\", \"value\", \"timestamp\"}, such as
  {\"topic\": \"support.messages.raw\", \"key\": \"acme|c-1\", \"value\": {\"message_id\": \"m-1\", \"conversation_id\": \"c-1\",
   \"tenant_id\": \"acme\", \"sender\": \"customer\", \"message\": \"Where is my refund?\", \"channel\": \"chat\",
   \"timestamp\": 1772442021222}, \"timestamp\": 1772442021222}")]
pub(super) struct DemoCommand {
    /// Lines of records instead of the sample conversations; `-` is stdin
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// How to show the result: for people, or one JSON object with the totals
    #[arg(long, default_value = "text")]
    output: OutputFormat,

    /// Keep the log and the stores in this new or empty directory; without it, they are removed at the end
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Stream threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,

    /// Another topology than the support topology
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,

    #[command(flatten)]
    schemas: SchemaArguments,
}

/// Where the demo works, and what removes it at the end.
struct Place {
    directory: Directory,
    _temporary: Option<tempfile::TempDir>,
}

impl DemoCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let formats = Formats::of(load::topology_or_support(self.topology.as_deref(), &self.schemas)?);
        let lines = self.lines()?;
        let place = place(self.directory.as_deref())?;
        let stop = StopRequest::listen()?;
        let log = place.directory.open_log(&Memory::small())?;
        let (totals, counters) = self.work(&formats, lines, &place.directory, &log, &stop)?;
        let totals = totals.count(&formats, log.as_ref(), &counters)?;
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        match self.output {
            OutputFormat::Json => writeln!(stdout, "{}", totals.to_json())?,
            OutputFormat::Text => {
                let shown = conversations::chosen(&formats, log.as_ref())?;
                picture::draw(&mut stdout, &shown, &totals)?;
                if let Some(path) = &self.directory {
                    let path = path.display();
                    writeln!(stdout, "\nKept in {path}: signalstream topics --embedded {path}")?;
                }
            }
        }
        stdout.flush()?;
        Ok(Outcome::Success)
    }

    fn lines(&self) -> anyhow::Result<Lines> {
        match &self.input {
            Some(file) => Lines::open(file),
            None => {
                let samples = Box::new(builtin::SAMPLE_CONVERSATIONS.as_bytes());
                Ok(Lines::new(builtin::SAMPLE_CONVERSATIONS_NAME, samples))
            }
        }
    }

    /// Feeds the input to the application while it runs, waits for it to come to the end, and stops it.
    fn work(
        &self,
        formats: &Formats,
        lines: Lines,
        directory: &Directory,
        log: &Arc<EmbeddedLog>,
        stop: &StopRequest,
    ) -> anyhow::Result<(Totals, Counters)> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let topology = formats.topology();
        let options = ApplicationOptions {
            threads: usize::from(self.threads),
            fetch_records: QUEUED_RECORDS,
            queued_records: QUEUED_RECORDS,
            clean_interval: NEVER,
            task: TaskOptions { max_uncommitted_bytes: UNCOMMITTED_BYTES, ..TaskOptions::default() },
            ..ApplicationOptions::default()
        };
        let state = directory.open_state(&topology.name, &Memory::small())?;
        let application = Application::start(topology, log.clone(), state, clock.clone(), &options)?;
        let started = clock.elapsed();
        let fed = Feed::new(formats, log.as_ref(), clock.as_ref())
            .and_then(|feed| feed.run(lines, &application, stop))
            .and_then(|records| catch_up(&application, stop).map(|()| records));
        let elapsed = clock.elapsed().saturating_sub(started);
        // A failure of the application explains one of the feed, not the other way round.
        let counters = application.stop()?;
        let records_in = fed?;
        if stop.is_set() {
            return Err(anyhow!("interrupted before the end of the input"));
        }
        Ok((Totals::new(records_in, elapsed), counters))
    }
}

/// Waits until the application has worked off what was fed.
fn catch_up(application: &Application, stop: &StopRequest) -> anyhow::Result<()> {
    let progress = progress_bar(0, "processing");
    application.wait_until_caught_up(|now| {
        progress.set_length(now.total);
        progress.set_position(now.committed);
        !stop.is_set()
    })?;
    progress.finish_and_clear();
    Ok(())
}

fn place(directory: Option<&Path>) -> anyhow::Result<Place> {
    let Some(path) = directory else {
        let temporary = tempfile::Builder::new().prefix("signalstream-demo-").tempdir();
        let temporary = temporary.context("a temporary directory for the demo cannot be made")?;
        return Ok(Place { directory: Directory::new(temporary.path()), _temporary: Some(temporary) });
    };
    let directory = Directory::new(path);
    if directory.has_log() {
        let path = path.display();
        return Err(anyhow!(
            "{path} holds a log already, to which a demo would add the same conversations again; give another \
             directory, or go on with it: signalstream run FILE --embedded {path}"
        ));
    }
    Ok(Place { directory, _temporary: None })
}
