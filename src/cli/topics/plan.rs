//! `signalstream topics plan`: what differs between the topics there are and those that topologies need, and between what
//! state was written with and what topologies make of it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::Table;
use serde_json::{Value as Json, json};

use crate::log::{Log, TopicConfig};
use crate::runtime::{Evolution, evolution};
use crate::topology::evolution::{Finding, Verdict};
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, Difference, Requirement, cleanup, requirements};

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::output::{OutputFormat, table};
use super::retention;

pub(super) fn run(deployment: &Deployment, topologies: &[Topology], output: OutputFormat) -> anyhow::Result<Outcome> {
    let log = if deployment.has_log() { Some(deployment.open_reader()?) } else { None };
    let existing = log.as_ref().map_or_else(|| Ok(BTreeMap::new()), |log| log.admin().topics())?;
    let required = steps(deployment, topologies, existing.clone())?;
    let mut planned: Vec<Step> = required.into_iter().map(Step::planned).collect();
    if let Some(log) = &log {
        for topology in topologies {
            for finding in evolved(topology, log.as_ref(), &existing)?.findings {
                tell(&mut planned, finding, &existing);
            }
        }
    }
    report(&planned, output)?;
    Ok(Outcome::of(planned.iter().all(|step| !step.breaks)))
}

/// What follows for the state of an application if it goes on with this topology.
pub(super) fn evolved(
    topology: &Topology,
    log: &dyn Log,
    existing: &BTreeMap<String, TopicConfig>,
) -> anyhow::Result<Evolution> {
    let wanted = requirements(topology, existing)?;
    let config = |one: Requirement| existing.get(&one.topic).cloned().unwrap_or(one.wanted);
    let topics = wanted.into_iter().map(|one| (one.topic.clone(), config(one))).collect();
    Ok(evolution(topology, log, existing, &topics)?)
}

/// Adds a finding to what is said of its topic.
fn tell(steps: &mut Vec<Step>, finding: Finding, existing: &BTreeMap<String, TopicConfig>) {
    let position = steps.iter().position(|step| step.required.topic == finding.topic).or_else(|| {
        // A topic of the engine's own that is left over.
        let wanted = existing.get(&finding.topic)?.clone();
        let required = Requirement { topic: finding.topic.clone(), internal: true, wanted, change: Change::None };
        steps.push(Step::planned(required));
        Some(steps.len() - 1)
    });
    let Some(step) = position.and_then(|position| steps.get_mut(position)) else { return };
    if step.state.is_empty() && step.required.change == Change::None {
        step.said.clear();
    }
    let refused = finding.verdict == Verdict::Refused;
    let mark = if refused { "REFUSED: " } else { "note: " };
    step.said.push(format!("{mark}{}: {}", finding.subject, finding.difference()));
    step.breaks |= refused;
    step.state.push(finding);
}

/// What every topology needs; a topic that one creates is there for the next.
pub(super) fn steps(
    deployment: &Deployment,
    topologies: &[Topology],
    mut existing: BTreeMap<String, TopicConfig>,
) -> anyhow::Result<Vec<Requirement>> {
    let mut steps: Vec<Requirement> = Vec::new();
    for topology in topologies {
        for mut required in requirements(topology, &existing)? {
            if deployment.is_embedded() {
                forget_delays(&mut required);
            }
            if required.change == Change::Create {
                existing.insert(required.topic.clone(), required.wanted.clone());
            } else if steps.iter().any(|step| step.topic == required.topic && required.change == Change::None) {
                continue;
            }
            steps.push(required);
        }
    }
    Ok(steps)
}

/// An embedded log compacts whole topics at every cleaning, and has no use for these.
fn forget_delays(required: &mut Requirement) {
    if let Change::Differs(differences) = &mut required.change {
        differences.retain(|one| !matches!(one.property, "max.compaction.lag.ms" | "segment.ms"));
        if differences.is_empty() {
            required.change = Change::None;
        }
    }
}

/// What is, or was, to be done about a topic.
pub(super) struct Step {
    required: Requirement,
    /// What is said of it: one line for each change.
    pub(super) said: Vec<String>,
    /// Whether wrong results would follow.
    pub(super) breaks: bool,
    /// Whether it still differs.
    pub(super) differs: bool,
    /// What follows for the state that is in it.
    state: Vec<Finding>,
}

impl Step {
    fn planned(required: Requirement) -> Step {
        let said = match &required.change {
            Change::Create => vec!["would be created".to_owned()],
            Change::None => vec!["none".to_owned()],
            Change::Differs(differences) => differences.iter().map(said).collect(),
        };
        let (breaks, differs) = (required.breaking().count() > 0, matches!(required.change, Change::Differs(_)));
        Step { required, said, breaks, differs, state: Vec::new() }
    }

    /// A step that was taken, or not.
    pub(super) fn taken(required: Requirement, said: Vec<String>, breaks: bool, differs: bool) -> Step {
        Step { required, said, breaks, differs, state: Vec::new() }
    }

    fn as_json(&self) -> Json {
        let Requirement { topic, internal, wanted, change } = &self.required;
        let (change, differences) = match change {
            Change::Create => ("create", &[][..]),
            Change::None => ("none", &[][..]),
            Change::Differs(differences) => ("differs", differences.as_slice()),
        };
        let difference = |one: &Difference| json!({ "property": one.property, "found": one.found, "wanted": one.wanted, "breaks": one.breaks });
        let finding = |one: &Finding| {
            json!({
                "verdict": one.verdict.as_str(), "subject": one.subject, "what": one.what, "was": one.was, "is": one.is,
                "why": one.why, "remedy": one.remedy, "place": one.place,
            })
        };
        json!({
            "topic": topic,
            "internal": internal,
            "partitions": wanted.partitions,
            "compacted": wanted.compacted,
            "retention_ms": wanted.retention,
            "delete_retention_ms": wanted.delete_retention,
            "max_compaction_lag_ms": wanted.max_compaction_lag,
            "segment_ms": wanted.segment,
            "change": change,
            "breaks": self.breaks,
            "said": self.said,
            "differences": differences.iter().map(difference).collect::<Vec<_>>(),
            "state": self.state.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

/// A difference in one line.
pub(super) fn said(difference: &Difference) -> String {
    let Difference { property, found, wanted, breaks } = difference;
    let mark = if breaks.is_some() { "BREAKS: " } else { "" };
    format!("{mark}{property} is {found}, wanted is {wanted}")
}

/// Writes the steps, and why those that break do.
pub(super) fn report(steps: &[Step], output: OutputFormat) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if output == OutputFormat::Json {
        return writeln!(stdout, "{:#}", Json::from(steps.iter().map(Step::as_json).collect::<Vec<_>>()));
    }
    let mut table: Table = table(&["TOPIC", "PARTITIONS", "CLEANUP", "RETENTION", "CHANGE"], &[1]);
    for step in steps {
        let Requirement { topic, wanted, .. } = &step.required;
        let partitions = wanted.partitions.to_string();
        let row = [topic.clone(), partitions, cleanup(wanted).to_owned(), retention(wanted), step.said.join("\n")];
        table.add_row(row);
    }
    writeln!(stdout, "{}", table.trim_fmt())?;
    for step in steps.iter().filter(|step| step.breaks) {
        for difference in step.required.breaking() {
            writeln!(stdout, "\ntopic `{}` {}", step.required.topic, difference.breaks.as_deref().unwrap_or_default())?;
        }
    }
    for finding in steps.iter().flat_map(|step| &step.state) {
        writeln!(stdout, "\n{}: {finding}", finding.verdict.as_str())?;
    }
    Ok(())
}
