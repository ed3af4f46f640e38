//! `signalstream reset`: lets an application start over, as if it had never run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::log::{Log, LogAdmin, TopicConfig};
use crate::runtime::{RuntimeError, read_description};
use crate::state::list_tasks;
use crate::topology::evolution::Description;
use crate::topology::partitioning::is_internal;
use crate::topology::plan::Topology;
use crate::topology::requirements::tasks_topic;

use super::Outcome;
use super::deployment::{Deployment, LogArguments, flag};
use super::embedded::Memory;
use super::load::{self, SchemaArguments};
use super::output::{OutputFormat, grouped, table};

/// Let applications start over: forget offsets, internal topics and local state
#[derive(Args)]
#[command(after_help = "\
Without --execute it only shows what would be deleted. The application's inputs and outputs stay: the next run reads
the inputs from where the topology says (`offset_reset`) and writes its results again. Stop all processes of the
application first; one that runs is refused. The state of other machines is theirs to reset: run it there too, or
remove their state directories.

Examples:
  signalstream reset shop.yaml --embedded ./data
  signalstream reset shop.yaml --bootstrap-servers localhost:9092 --state-dir ./state --execute")]
pub(super) struct ResetCommand {
    /// The topologies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    log: LogArguments,

    /// Where the stores are [env: SIGNALSTREAM_STATE_DIRECTORY]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Do it
    #[arg(long)]
    execute: bool,

    /// How to write the result
    #[arg(long, default_value = "text")]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemaArguments,
}

/// What is to be deleted.
struct Step {
    application: String,
    what: &'static str,
    name: String,
    detail: String,
}

impl ResetCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let state = self.state_dir.iter();
        let flags = state.map(|path| flag("--state-dir", "state.directory", path.display())).collect();
        let deployment = Deployment::new(self.log.settings(flags)?)?;
        let schemas = self.schemas.asking(deployment.config())?;
        let topologies: Vec<Topology> = self
            .files
            .iter()
            .map(|file| Ok(load::topology(file, &schemas)?.topology))
            .collect::<anyhow::Result<_>>()?;
        if !deployment.has_log() {
            return Err(anyhow!("there is no {}; there is nothing to reset", deployment.name()));
        }
        // An embedded log that is open elsewhere is in use: opening it to write says so.
        let log = match self.execute {
            true => deployment.open_log(&Memory::small())?,
            false => deployment.open_reader()?,
        };
        let admin = log.admin();
        let mut steps = Vec::new();
        for topology in &topologies {
            refuse_active(topology, admin.as_ref())?;
            let planned = plan(topology, log.as_ref(), &deployment)?;
            if self.execute {
                execute(topology, &planned, admin.as_ref(), &deployment).with_context(|| {
                    let name = &topology.name;
                    format!(
                        "`{name}` is reset in part only: run this again before you start it, or its results are wrong"
                    )
                })?;
            }
            steps.extend(planned);
        }
        self.report(&steps)?;
        Ok(Outcome::Success)
    }

    fn report(&self, steps: &[Step]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.output == OutputFormat::Json {
            let steps: Vec<Json> = steps
                .iter()
                .map(|step| {
                    json!({ "application": step.application, "what": step.what, "name": step.name, "done": self.execute })
                })
                .collect();
            return writeln!(stdout, "{:#}", Json::from(steps));
        }
        let header = if self.execute { "DELETED" } else { "TO BE DELETED" };
        let mut table = table(&["APPLICATION", header, "NAME", ""], &[]);
        for step in steps {
            table.add_row([step.application.clone(), step.what.to_owned(), step.name.clone(), step.detail.clone()]);
        }
        writeln!(stdout, "{}", table.trim_fmt())?;
        if !self.execute {
            writeln!(stdout, "\nNothing was done; --execute does it.")?;
        }
        Ok(())
    }
}

pub(super) fn refuse_active(topology: &Topology, admin: &dyn LogAdmin) -> anyhow::Result<()> {
    let members = admin.group_members(&topology.name)?;
    if members == 0 {
        return Ok(());
    }
    Err(anyhow!(
        "`{}` is running ({members} members in its group); stop all of its processes first. One that was killed is a \
         member until its session ends (setting `session_timeout`)",
        topology.name
    ))
}

/// The topics of the engine's own: of the topology as it is, and of what it was when it ran last.
fn internal_topics(
    topology: &Topology,
    log: &dyn Log,
    existing: &BTreeMap<String, TopicConfig>,
) -> anyhow::Result<Vec<String>> {
    let tasks = tasks_topic(topology);
    let internal = topology.topics.iter().filter(|topic| is_internal(topic)).map(|topic| topic.name.clone());
    let mut topics: Vec<String> = internal.collect();
    match read_description(&topology.name, &tasks, log, existing) {
        Ok(before) => topics.extend(before.iter().flat_map(Description::internal_topics).map(str::to_owned)),
        // It is about to go.
        Err(RuntimeError::Evolution(error)) => tracing::warn!(%error, "topics of earlier versions are not known"),
        Err(error) => return Err(error.into()),
    }
    topics.push(tasks);
    let mut seen = BTreeSet::new();
    topics.retain(|topic| seen.insert(topic.clone()));
    Ok(topics)
}

fn plan(topology: &Topology, log: &dyn Log, deployment: &Deployment) -> anyhow::Result<Vec<Step>> {
    let step = |what, name: String, detail: String| Step { application: topology.name.clone(), what, name, detail };
    let mut steps = vec![step("offsets", topology.name.clone(), "the group with its committed offsets".to_owned())];
    let existing = log.admin().topics()?;
    for topic in internal_topics(topology, log, &existing)? {
        if let Some(config) = existing.get(&topic) {
            steps.push(step("topic", topic, format!("{} partitions", config.partitions)));
        }
    }
    let path = deployment.state_path();
    if path.join(&topology.name).try_exists().unwrap_or(true) {
        let tasks = list_tasks(&path, &topology.name)?.len();
        if tasks > 0 {
            let (name, tasks) = (path.join(&topology.name).display().to_string(), tasks as u64);
            steps.push(step("state", name, format!("of {} tasks on this machine", grouped(tasks))));
        }
    }
    Ok(steps)
}

/// Deletes the state before the topics and these before the offsets: what is cut off in between is a part of a reset,
/// never a state without its changelog, and can be done again.
fn execute(topology: &Topology, steps: &[Step], admin: &dyn LogAdmin, deployment: &Deployment) -> anyhow::Result<()> {
    if steps.iter().any(|step| step.what == "state") {
        // Opening it takes it from any process that uses it, or is refused.
        let state = deployment.open_state(&topology.name, 1)?;
        for task in state.tasks()? {
            state.remove_task(&task).with_context(|| format!("the state of task {task} is not removed"))?;
        }
    }
    for topic in steps.iter().filter(|step| step.what == "topic").map(|step| &step.name) {
        admin.delete_topic(topic).with_context(|| format!("topic `{topic}` is not deleted"))?;
    }
    admin
        .delete_group(&topology.name)
        .with_context(|| format!("the offsets of `{}` are not deleted", topology.name))?;
    Ok(())
}
