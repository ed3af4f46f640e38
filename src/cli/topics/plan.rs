//! `signalstream topics plan`: what differs between the topics there are and those that topologies need.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::Table;
use serde_json::{Value as Json, json};

use crate::log::TopicConfig;
use crate::topology::plan::Topology;
use crate::topology::requirements::{Change, Difference, Requirement, cleanup, requirements};

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::output::{OutputFormat, table};
use super::retention;

pub(super) fn run(deployment: &Deployment, topologies: &[Topology], output: OutputFormat) -> anyhow::Result<Outcome> {
    let existing = match deployment.has_log() {
        true => deployment.open_reader()?.admin().topics()?,
        false => BTreeMap::new(),
    };
    let planned: Vec<Step> = steps(deployment, topologies, existing)?.into_iter().map(Step::planned).collect();
    report(&planned, output)?;
    Ok(Outcome::of(planned.iter().all(|step| !step.breaks)))
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
}

impl Step {
    fn planned(required: Requirement) -> Step {
        let said = match &required.change {
            Change::Create => vec!["would be created".to_owned()],
            Change::None => vec!["none".to_owned()],
            Change::Differs(differences) => differences.iter().map(said).collect(),
        };
        let (breaks, differs) = (required.breaking().count() > 0, matches!(required.change, Change::Differs(_)));
        Step { required, said, breaks, differs }
    }

    /// A step that was taken, or not.
    pub(super) fn taken(required: Requirement, said: Vec<String>, breaks: bool, differs: bool) -> Step {
        Step { required, said, breaks, differs }
    }

    fn as_json(&self) -> Json {
        let Requirement { topic, internal, wanted, change } = &self.required;
        let (change, differences) = match change {
            Change::Create => ("create", &[][..]),
            Change::None => ("none", &[][..]),
            Change::Differs(differences) => ("differs", differences.as_slice()),
        };
        let difference = |one: &Difference| json!({ "property": one.property, "found": one.found, "wanted": one.wanted, "breaks": one.breaks });
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
    Ok(())
}
