//! `signalstream topics`: the topics there are, and those that topologies need.

mod apply;
mod catalogue;
mod list;
mod plan;
mod prune;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::log::TopicConfig;
use crate::time::format_duration;
use crate::topology::plan::Topology;

use super::Outcome;
use super::deployment::{Deployment, LogArguments};
use super::load::{self, SchemaArguments};
use super::output::OutputFormat;

/// List topics, compare them with what topologies need, or make them so
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream topics --embedded ./data
  signalstream topics list shop.yaml --embedded ./data
  signalstream topics describe shop.orders --bootstrap-servers localhost:9092
  signalstream topics plan topologies/support-intelligence.yaml --embedded ./data
  signalstream topics apply shop.yaml --bootstrap-servers localhost:9092

`list`, `describe` and `plan` also work while another process runs on an embedded log.
Exit status of `plan` and `apply`: 1 if a topology would give wrong results on the topics as they are (then), or on the
state that was written by what it was before.")]
pub(super) struct TopicsCommand {
    #[command(flatten)]
    log: LogArguments,

    /// How to write the result
    #[arg(long, default_value = "text", global = true)]
    output: OutputFormat,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the topics with their configurations and offsets; with topologies, also what these and their schemas say of them
    List(ListArguments),
    /// Show a topic: its configuration and the offsets of its partitions
    Describe(list::DescribeArguments),
    /// Show what `apply` would do, and whether the state that there is fits the topologies
    Plan(TopologyArguments),
    /// Create the topics of topologies that are missing, and change how others are kept
    Apply(apply::ApplyArguments),
    /// Show the engine's own topics that topologies had and have no longer, or delete them
    Prune(prune::PruneArguments),
}

#[derive(Args)]
struct ListArguments {
    /// Topologies that say how topics are written
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    schemas: SchemaArguments,
}

#[derive(Args)]
struct TopologyArguments {
    /// The topologies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    schemas: SchemaArguments,
}

impl TopologyArguments {
    fn load(&self, deployment: &Deployment) -> anyhow::Result<Vec<Topology>> {
        topologies(&self.files, &self.schemas, deployment)
    }
}

fn topologies(files: &[PathBuf], schemas: &SchemaArguments, deployment: &Deployment) -> anyhow::Result<Vec<Topology>> {
    let schemas = schemas.asking(deployment.config())?;
    files.iter().map(|file| Ok(load::topology(file, &schemas)?.topology)).collect()
}

impl TopicsCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let deployment = self.log.deployment()?;
        match &self.action {
            None => list::run(&deployment, &[], self.output),
            Some(Action::List(ListArguments { files, schemas })) => {
                list::run(&deployment, &topologies(files, schemas, &deployment)?, self.output)
            }
            Some(Action::Describe(arguments)) => arguments.run(&deployment, self.output),
            Some(Action::Plan(arguments)) => plan::run(&deployment, &arguments.load(&deployment)?, self.output),
            Some(Action::Apply(arguments)) => arguments.run(&deployment, self.output),
            Some(Action::Prune(arguments)) => arguments.run(&deployment, self.output),
        }
    }
}

fn retention(config: &TopicConfig) -> String {
    config.retention.map_or_else(|| "unlimited".to_owned(), format_duration)
}
