//! `signalstream topics`: the topics there are, and those that a topology needs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use crate::log::{Log, LogConsumer, TopicConfig};
use crate::record::TopicPartition;
use crate::runtime::prepare_topics;
use crate::time::format_duration;
use crate::topology::partitioning;
use crate::topology::plan::Topology;

use super::Outcome;
use super::embedded::{Directory, EmbeddedArguments, Memory};
use super::load::{self, SchemaArguments};
use super::output::{OutputFormat, grouped, table};

/// List topics, or compare them with what a topology needs
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream topics --embedded ./data
  signalstream topics plan topologies/support-intelligence.yaml --embedded ./data
  signalstream topics apply topologies/support-intelligence.yaml --embedded ./data

`list` and `plan` also work while another process runs on the directory.")]
pub(super) struct TopicsCommand {
    #[command(flatten)]
    embedded: EmbeddedArguments,

    /// How to write the result
    #[arg(long, default_value = "text", global = true)]
    output: OutputFormat,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the topics with their configurations and offsets
    List,
    /// Show what `apply` would do
    Plan(TopologyArguments),
    /// Create the topics of a topology that are missing
    Apply(TopologyArguments),
}

#[derive(Args)]
struct TopologyArguments {
    /// The topology
    file: PathBuf,

    #[command(flatten)]
    schemas: SchemaArguments,
}

impl TopicsCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let directory = self.embedded.directory()?;
        match &self.action {
            None | Some(Action::List) => self.list(&directory),
            Some(Action::Plan(topology)) => self.plan(&directory, topology),
            Some(Action::Apply(topology)) => self.apply(&directory, topology),
        }
    }

    fn list(&self, directory: &Directory) -> anyhow::Result<Outcome> {
        let log = directory.open_reader()?;
        let consumer = log.consumer(None)?;
        let mut topics = Vec::new();
        for (name, config) in log.admin().topics()? {
            let offsets = offsets(consumer.as_ref(), &name, &config)?;
            topics.push((name, config, offsets));
        }
        let mut stdout = io::stdout().lock();
        if self.output == OutputFormat::Json {
            let topics: Vec<Json> =
                topics.iter().map(|(name, config, offsets)| as_json(name, config, offsets)).collect();
            writeln!(stdout, "{:#}", Json::from(topics))?;
            return Ok(Outcome::Success);
        }
        let mut table = table(&["TOPIC", "PARTITIONS", "CLEANUP", "RETENTION", "RECORDS", "OFFSETS"], &[1, 4]);
        for (name, config, offsets) in &topics {
            let records: i64 = offsets.iter().map(|(first, end)| end - first).sum();
            let offsets: Vec<String> = offsets.iter().map(|(first, end)| format!("{first}..{end}")).collect();
            table.add_row([
                name.clone(),
                config.partitions.to_string(),
                cleanup(config).to_owned(),
                retention(config),
                grouped(records.unsigned_abs()),
                offsets.join(" "),
            ]);
        }
        writeln!(stdout, "{}", table.trim_fmt())?;
        Ok(Outcome::Success)
    }

    fn plan(&self, directory: &Directory, arguments: &TopologyArguments) -> anyhow::Result<Outcome> {
        let topology = load::topology(&arguments.file, &arguments.schemas)?.topology;
        let existing = match directory.has_log() {
            true => directory.open_reader()?.admin().topics()?,
            false => BTreeMap::new(),
        };
        self.report(&steps(&topology, &existing)?, "would be created")?;
        Ok(Outcome::Success)
    }

    fn apply(&self, directory: &Directory, arguments: &TopologyArguments) -> anyhow::Result<Outcome> {
        let topology = load::topology(&arguments.file, &arguments.schemas)?.topology;
        let log = directory.open_log(&Memory::small())?;
        let admin = log.admin();
        let steps = steps(&topology, &admin.topics()?)?;
        prepare_topics(&topology, admin.as_ref())?;
        self.report(&steps, "created")?;
        // What exists with another configuration is not changed behind its owner's back.
        Ok(Outcome::of(!steps.iter().any(|step| matches!(step.change, Change::Differs(_)))))
    }

    fn report(&self, steps: &[Step], created: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.output == OutputFormat::Json {
            writeln!(stdout, "{:#}", Json::from(steps.iter().map(Step::as_json).collect::<Vec<_>>()))?;
            return Ok(());
        }
        let mut table = table(&["TOPIC", "PARTITIONS", "CLEANUP", "RETENTION", "CHANGE"], &[1]);
        for step in steps {
            let change = match &step.change {
                Change::Create => created.to_owned(),
                Change::None => "none".to_owned(),
                Change::Differs(differences) => format!("kept as it is: {}", differences.join(", ")),
            };
            let config = &step.config;
            let partitions = config.partitions.to_string();
            table.add_row([step.topic.clone(), partitions, cleanup(config).to_owned(), retention(config), change]);
        }
        writeln!(stdout, "{}", table.trim_fmt())?;
        Ok(())
    }
}

/// What a topology means for one topic.
struct Step {
    topic: String,
    config: TopicConfig,
    change: Change,
}

enum Change {
    Create,
    None,
    Differs(Vec<String>),
}

impl Step {
    fn as_json(&self) -> Json {
        let (change, differences) = match &self.change {
            Change::Create => ("create", &[][..]),
            Change::None => ("none", &[][..]),
            Change::Differs(differences) => ("differs", differences.as_slice()),
        };
        json!({
            "topic": self.topic,
            "partitions": self.config.partitions,
            "compacted": self.config.compacted,
            "retention_ms": self.config.retention,
            "change": change,
            "differences": differences,
        })
    }
}

fn steps(topology: &Topology, existing: &BTreeMap<String, TopicConfig>) -> anyhow::Result<Vec<Step>> {
    let resolved = partitioning::resolve(topology, existing)?;
    let mut steps = Vec::new();
    for topic in &topology.topics {
        let Some(config) = resolved.get(&topic.name) else { continue };
        let change = match existing.get(&topic.name) {
            None => Change::Create,
            Some(found) => match differences(found, &topic.config) {
                found if found.is_empty() => Change::None,
                found => Change::Differs(found),
            },
        };
        steps.push(Step { topic: topic.name.clone(), config: config.clone(), change });
    }
    steps.sort_by(|a, b| a.topic.cmp(&b.topic));
    Ok(steps)
}

fn differences(found: &TopicConfig, wanted: &TopicConfig) -> Vec<String> {
    let mut differences = Vec::new();
    // The number of partitions of an internal topic follows its inputs.
    if wanted.partitions > 0 && found.partitions != wanted.partitions {
        differences.push(format!("the topology asks for {} partitions", wanted.partitions));
    }
    if found.compacted != wanted.compacted {
        differences.push(format!("the topology asks for cleanup `{}`", cleanup(wanted)));
    }
    if found.retention != wanted.retention {
        differences.push(format!("the topology asks for a retention of {}", retention(wanted)));
    }
    differences
}

/// First and end offset of each partition.
fn offsets(consumer: &dyn LogConsumer, topic: &str, config: &TopicConfig) -> anyhow::Result<Vec<(i64, i64)>> {
    let partition = |partition| {
        let partition = TopicPartition::new(topic, partition);
        Ok((consumer.beginning_offset(&partition)?, consumer.end_offset(&partition)?))
    };
    (0..config.partitions).map(partition).collect()
}

fn cleanup(config: &TopicConfig) -> &'static str {
    match (config.compacted, config.retention) {
        (true, Some(_)) => "compact,delete",
        (true, None) => "compact",
        (false, _) => "delete",
    }
}

fn retention(config: &TopicConfig) -> String {
    config.retention.map_or_else(|| "unlimited".to_owned(), format_duration)
}

fn as_json(name: &str, config: &TopicConfig, offsets: &[(i64, i64)]) -> Json {
    let partitions: Vec<Json> = offsets
        .iter()
        .enumerate()
        .map(|(partition, (first, end))| json!({ "partition": partition, "first_offset": first, "end_offset": end }))
        .collect();
    json!({
        "topic": name,
        "compacted": config.compacted,
        "retention_ms": config.retention,
        "records": offsets.iter().map(|(first, end)| end - first).sum::<i64>(),
        "partitions": partitions,
    })
}
