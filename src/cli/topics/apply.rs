//! `signalstream topics apply`: creates what is missing and changes how topics are kept. It never takes partitions
//! away, and adds some only when told to.

use anyhow::{Context, anyhow};
use clap::Args;

use crate::log::{Log, LogAdmin, TopicConfig};
use crate::record::TopicPartition;
use crate::topology::partitioning::is_internal;
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, Difference, Requirement, tasks_topic};

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::embedded::Memory;
use super::super::output::OutputFormat;
use super::TopologyArguments;
use super::plan::{self, Step};

#[derive(Args)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    topologies: TopologyArguments,

    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,

    /// Add partitions to topics that have fewer than the topology asks for. New records of a key may go to another
    /// partition than those that are there, so a topic with records whose partitions state depends on is refused. Stop
    /// all processes of the application first
    #[arg(long)]
    grow: bool,
}

impl ApplyArguments {
    pub(super) fn run(&self, deployment: &Deployment, output: OutputFormat) -> anyhow::Result<Outcome> {
        let topologies = self.topologies.load(deployment)?;
        if self.dry_run {
            return plan::run(deployment, &topologies, output);
        }
        let log = deployment.open_log(&Memory::small())?;
        let admin = log.admin();
        let mut steps = Vec::new();
        for topology in &topologies {
            if self.grow {
                steps.extend(grow(deployment, topology, log.as_ref())?);
            }
            for required in plan::steps(deployment, std::slice::from_ref(topology), admin.topics()?)? {
                let of_tasks = required.topic == tasks_topic(topology) && required.differs_in_partitions();
                steps.push(match of_tasks && required.breaking().count() == 0 {
                    true => add_tasks(topology, required, admin.as_ref())?,
                    false => apply(required, admin.as_ref())?,
                });
            }
        }
        plan::report(&steps, output)?;
        Ok(Outcome::of(!steps.iter().any(|step| step.differs)))
    }
}

/// Creates or changes a topic, as far as its partitions allow.
fn apply(required: Requirement, admin: &dyn LogAdmin) -> anyhow::Result<Step> {
    let topic = required.topic.as_str();
    let differences = match &required.change {
        Change::None => return Ok(Step::taken(required, vec!["none".to_owned()], false, false)),
        Change::Create => {
            admin.create_topic(topic, &required.wanted).with_context(|| format!("topic `{topic}` is not created"))?;
            return Ok(Step::taken(required, vec!["created".to_owned()], false, false));
        }
        Change::Differs(differences) => differences.clone(),
    };
    let (sizes, others): (Vec<Difference>, Vec<Difference>) =
        differences.into_iter().partition(|difference| difference.property == "partitions");
    let mut said = Vec::new();
    if !others.is_empty() {
        admin.alter_topic(topic, &required.wanted).with_context(|| format!("topic `{topic}` is not changed"))?;
        said.extend(others.iter().map(|one| format!("changed: {} from {} to {}", one.property, one.found, one.wanted)));
    }
    said.extend(sizes.iter().map(|one| format!("kept as it is: {}", plan::said(one))));
    let breaks = sizes.iter().any(|one| one.breaks.is_some());
    Ok(Step::taken(required, said, breaks, !sizes.is_empty()))
}

/// Adds partitions to the tasks topic, for tasks that are new.
fn add_tasks(topology: &Topology, required: Requirement, admin: &dyn LogAdmin) -> anyhow::Result<Step> {
    refuse_active(topology, admin)?;
    let (topic, partitions) = (required.topic.clone(), required.wanted.partitions);
    admin.add_partitions(&topic, partitions).with_context(|| format!("topic `{topic}` does not grow"))?;
    let Change::Differs(mut differences) = required.change else { return apply(required, admin) };
    differences.retain(|one| one.property != "partitions");
    let change = if differences.is_empty() { Change::None } else { Change::Differs(differences) };
    let mut step = apply(Requirement { change, ..required }, admin)?;
    step.said.retain(|said| said != "none");
    step.said.insert(0, format!("grown to {partitions} partitions, one for each task"));
    Ok(step)
}

fn refuse_active(topology: &Topology, admin: &dyn LogAdmin) -> anyhow::Result<()> {
    match admin.group_members(&topology.name)? {
        0 => Ok(()),
        members => Err(anyhow!(
            "`{}` is running ({members} members in its group); stop all of its processes before its topics grow",
            topology.name
        )),
    }
}

/// Adds the partitions that the topology asks for, and then those of its tasks.
fn grow(deployment: &Deployment, topology: &Topology, log: &dyn Log) -> anyhow::Result<Vec<Step>> {
    let admin = log.admin();
    refuse_active(topology, admin.as_ref())?;
    let mut existing = admin.topics()?;
    let mut steps = Vec::new();
    for topic in topology.topics.iter().filter(|topic| topic.asks.partitions && !is_internal(topic)) {
        let (name, partitions) = (topic.name.as_str(), topic.config.partitions);
        let Some(found) = existing.get(name).filter(|found| found.partitions < partitions).cloned() else { continue };
        if keeps_state_of(topology, name) && holds_records(log, name, found.partitions)? {
            return Err(anyhow!(
                "`{}` keeps state by the partitions of `{name}`: new records of a key would go to another partition than \
                 those that are there. Make a larger topic and copy the records to it; docs/operations.md says how \
                 (\"When a topic needs more partitions\")",
                topology.name
            ));
        }
        admin.add_partitions(name, partitions).with_context(|| format!("topic `{name}` does not grow"))?;
        let wanted = TopicConfig { partitions, ..found.clone() };
        existing.insert(name.to_owned(), wanted.clone());
        steps.push(grown(name, false, &found, wanted));
    }
    let tasks = tasks_topic(topology);
    let required = plan::steps(deployment, std::slice::from_ref(topology), existing.clone())?;
    // Where a changelog would have to move, so would state.
    let moves = |one: &Requirement| one.topic != tasks && one.breaking().any(|one| one.property == "partitions");
    if !required.iter().any(moves)
        && let Some(found) = existing.get(&tasks)
        && let Some(required) = required.into_iter().find(|one| one.topic == tasks)
        && found.partitions < required.wanted.partitions
    {
        admin.add_partitions(&tasks, required.wanted.partitions)?;
        steps.push(grown(&tasks, true, found, required.wanted));
    }
    Ok(steps)
}

/// Whether a part of the application that keeps state reads the topic as it is, not through a repartition topic.
fn keeps_state_of(topology: &Topology, topic: &str) -> bool {
    let with_state = topology.subtopologies.iter().filter(|part| !part.stores.is_empty());
    with_state.flat_map(|part| &part.sources).any(|source| *source.topic == *topic)
}

fn holds_records(log: &dyn Log, topic: &str, partitions: i32) -> anyhow::Result<bool> {
    let consumer = log.consumer(None)?;
    for partition in (0..partitions).map(|number| TopicPartition::new(topic, number)) {
        if consumer.end_offset(&partition)? > consumer.beginning_offset(&partition)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn grown(topic: &str, internal: bool, found: &TopicConfig, wanted: TopicConfig) -> Step {
    let said = vec![format!("grown from {} to {} partitions", found.partitions, wanted.partitions)];
    Step::taken(Requirement { topic: topic.to_owned(), internal, wanted, change: Change::None }, said, false, false)
}
