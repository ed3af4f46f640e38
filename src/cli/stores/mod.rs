//! `signalstream stores`: what the stores of applications hold, and whether they are what their changelogs say.

mod get;
mod list;
mod scan;
mod verify;

use std::ops::Bound;
use std::path::PathBuf;

use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use crate::serdes::internal::Codec;
use crate::serdes::json::to_json;
use crate::state::{StoreSpec, TaskReader, list_applications, list_tasks};

use super::Outcome;
use super::deployment::{Deployment, LogArguments, flag};
use super::formats::{self, Formats};
use super::load::{self, SchemaArguments};
use super::output::{OutputFormat, nearest};
use super::records::Part;

/// How many entries of a store are held in memory at a time.
const SCAN_STEP: usize = 500;

/// Look into the stores, and check them against their changelogs
#[derive(Args)]
#[command(after_help = "\
What is seen is what had been written to files when the command started; a process that runs on the directory may
be a few commits ahead. Values are shown as the topology of the application shapes them: the support topology is
known, for others give --topology.

Examples:
  signalstream stores list --embedded ./data
  signalstream stores get summaries 'acme|c-1' --embedded ./data
  signalstream stores scan mood --embedded ./data --limit 10
  signalstream stores verify --embedded ./data
  signalstream stores verify --bootstrap-servers localhost:9092 --state-dir /var/lib/signalstream")]
pub(super) struct StoresCommand {
    #[command(flatten)]
    log: LogArguments,

    /// Where the stores are, when not where the log says [env: SIGNALSTREAM_STATE_DIRECTORY]
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,

    /// The topology of the application
    #[arg(long, value_name = "FILE", global = true)]
    topology: Option<PathBuf>,

    /// Only this application
    #[arg(long, value_name = "NAME", global = true)]
    application: Option<String>,

    /// How to write the result of `list` and `verify`
    #[arg(long, default_value = "text", global = true)]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemaArguments,

    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the stores of every task with their sizes and how far they have come
    List,
    /// Show what a store holds under a key
    Get(get::GetArguments),
    /// Show the entries of a store, in the order of their keys' bytes
    Scan(scan::ScanArguments),
    /// Compare stores with the folds of their changelogs, byte for byte
    Verify(verify::VerifyArguments),
}

impl StoresCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let state = self.state_dir.iter();
        let flags = state.map(|path| flag("--state-dir", "state.directory", path.display())).collect();
        let deployment = Deployment::new(self.log.settings(flags)?)?;
        let tasks = self.tasks(&deployment)?;
        match &self.action {
            Action::List => list::run(&tasks, self.output),
            Action::Get(arguments) => arguments.run(&tasks, &self.formats(&deployment)?),
            Action::Scan(arguments) => arguments.run(&tasks, &self.formats(&deployment)?),
            Action::Verify(arguments) => arguments.run(&tasks, &deployment, self.output),
        }
    }

    fn formats(&self, deployment: &Deployment) -> anyhow::Result<Formats> {
        let schemas = self.schemas.live(deployment.config())?;
        let loaded = load::topology_or_support(self.topology.as_deref(), &schemas)?;
        Ok(Formats::of(loaded))
    }

    /// All tasks that have state in the directory.
    fn tasks(&self, deployment: &Deployment) -> anyhow::Result<Vec<TaskOnDisk>> {
        let path = deployment.state_path();
        // A directory that may not be looked into is tried, so that the reason is told.
        let present = path.try_exists().unwrap_or(true);
        let mut applications = if present { list_applications(&path)? } else { Vec::new() };
        let all = applications.join(", ");
        if let Some(wanted) = &self.application {
            applications.retain(|name| name == wanted);
        }
        if applications.is_empty() {
            return Err(match &self.application {
                Some(name) if !all.is_empty() => anyhow!("there is no state of `{name}`, but of {all}"),
                _ => {
                    let (path, options) = (path.display(), deployment.options());
                    anyhow!("there is no state in {path}; `signalstream run FILE {options}` makes it")
                }
            });
        }
        let mut tasks = Vec::new();
        for application in applications {
            for task in list_tasks(&path, &application)? {
                let reader = TaskReader::open(&path, &application, &task)?;
                tasks.push(TaskOnDisk { application: application.clone(), task, reader });
            }
        }
        Ok(tasks)
    }
}

/// The state of one task.
struct TaskOnDisk {
    application: String,
    task: String,
    reader: TaskReader,
}

impl TaskOnDisk {
    fn has(&self, store: &str) -> bool {
        self.reader.stores().any(|name| name == store)
    }

    /// The task's number within its sub-topology: the partition of its changelogs.
    fn partition(&self) -> anyhow::Result<i32> {
        let partition = self.task.split_once('_').and_then(|(_, partition)| partition.parse().ok());
        partition.ok_or_else(|| anyhow!("`{}` is not the name of a task", self.task))
    }

    /// Hands entries of a store between two keys to `visit`, until that returns false.
    fn each(
        &self,
        store: &str,
        from: Bound<Bytes>,
        mut visit: impl FnMut(&Bytes, &Bytes) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut from = from;
        loop {
            let entries = self.reader.scan(store, from.as_ref().map(Bytes::as_ref), Bound::Unbounded, SCAN_STEP)?;
            for (key, value) in &entries {
                if !visit(key, value)? {
                    return Ok(());
                }
            }
            match entries.into_iter().next_back() {
                Some((key, _)) => from = Bound::Excluded(key),
                None => return Ok(()),
            }
        }
    }
}

/// The tasks that have a store; an error when none has.
fn tasks_of<'a>(tasks: &'a [TaskOnDisk], store: &str) -> anyhow::Result<Vec<&'a TaskOnDisk>> {
    let found: Vec<&TaskOnDisk> = tasks.iter().filter(|task| task.has(store)).collect();
    if found.is_empty() {
        let mut known: Vec<&str> = tasks.iter().flat_map(|task| task.reader.stores()).collect();
        known.sort_unstable();
        known.dedup();
        let near = nearest(store, &known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        return Err(anyhow!("there is no store `{store}`, but {}{near}", known.join(", ")));
    }
    Ok(found)
}

/// Shows the entries of a store.
struct EntryReader<'a> {
    spec: Option<(&'a StoreSpec, Part, Codec)>,
    guess: Part,
}

impl<'a> EntryReader<'a> {
    /// By the topology, if it is the application's.
    fn new(formats: &'a Formats, application: &str, store: &str) -> anyhow::Result<EntryReader<'a>> {
        let topology = formats.topology();
        let known = formats::stores(topology).find(|spec| topology.name == application && spec.name == store);
        let spec = match known {
            Some(spec) => Some((spec, formats.store_key(spec)?, Codec::new(&spec.shape))),
            None => None,
        };
        Ok(EntryReader { spec, guess: Part::guess(formats.schemas())? })
    }

    fn key(&self, key: &Bytes) -> Json {
        let decoded = match &self.spec {
            Some((_, part, _)) => part.decode(key),
            None => self.guess.decode(key),
        };
        decoded.unwrap_or_else(|_| json!({ "base64": BASE64.encode(key) }))
    }

    /// The entry as a line of JSON.
    fn line(&self, task: &TaskOnDisk, store: &str, key: &Bytes, value: &Bytes) -> anyhow::Result<Json> {
        let mut line = json!({ "task": task.task, "store": store, "key": self.key(key) });
        match &self.spec {
            Some((_, _, codec)) => {
                let state = task.reader.decode(store, codec, key, value)?;
                line["timestamp"] = state.timestamp.into();
                line["value"] = to_json(&state.value);
            }
            None => line["value_base64"] = BASE64.encode(value).into(),
        }
        Ok(line)
    }
}
