//! `signalstream schemas`: whether schemas fit those before them, and what a registry would be told.

mod compare;
mod list;
mod older;
mod register;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use crate::serdes::compatibility::{Compatibility, SchemaVersion};
use crate::serdes::remote::{RemoteRegistry, SchemaText, Subject};
use crate::topology::schema_uses::{self, SchemaUse};

use super::Outcome;
use super::deployment::LogArguments;
use super::failure::Usage;
use super::load::{self, SchemaArguments};
use super::output::OutputFormat;

pub(super) use compare::{Finding, compare_topology};

/// Check Avro schemas against those before them, register them, list and show them
#[derive(Args)]
pub(super) struct SchemasCommand {
    #[command(subcommand)]
    action: Action,

    /// How to report
    #[arg(long, default_value = "text", global = true)]
    output: OutputFormat,
}

#[derive(Subcommand)]
enum Action {
    Check(CheckArguments),
    Register(register::RegisterArguments),
    List(list::ListArguments),
    Show(show::ShowArguments),
}

/// Check whether schemas fit those before them: in a registry, in a directory, or in a revision
#[derive(Args)]
#[command(after_help = "\
The schemas are the *.avsc files of --schemas, ./schemas without it. Compared with a registry, the topologies say which
topic has which schema: what is written must fit as the subject's level of compatibility asks, what is read must be able to
read every version that there is. Compared with a directory or a revision, files of one name are compared.

Examples:
  signalstream schemas check --against-revision HEAD
  signalstream schemas check --against released/schemas --level full
  signalstream schemas check --registry http://localhost:8081 --topology shop.yaml
  signalstream schemas check --registry http://localhost:8081 --subject Order=orders-value --output json

Exit status: 0 when all fit, 1 when one does not, 2 wrong usage.")]
struct CheckArguments {
    #[command(flatten)]
    targets: Targets,

    /// A directory with the schemas as they were; may be repeated, the last version last
    #[arg(long, value_name = "DIR", conflicts_with_all = ["against_revision", "registry"])]
    against: Vec<PathBuf>,

    /// The revision of the repository that has the schemas as they were, such as HEAD or v1.2; needs git
    #[arg(long, value_name = "REVISION", conflicts_with = "registry")]
    against_revision: Option<String>,

    /// How they must fit: none, backward (the new one reads what the old one wrote), forward (the other way round), full
    /// (both), or one of these with _transitive: with all older versions, which are those of the subject, of every
    /// --against, or of the revision's history. Without it: as the registry says, backward elsewhere
    #[arg(long, value_name = "LEVEL")]
    level: Option<Compatibility>,
}

/// Which schemas, and where they belong.
#[derive(Args)]
pub(super) struct Targets {
    /// A topology, whose topics say where its schemas belong; may be repeated
    #[arg(long = "topology", value_name = "FILE")]
    topologies: Vec<PathBuf>,

    /// A schema and the subject that it belongs under; may be repeated
    #[arg(long = "subject", value_name = "SCHEMA=SUBJECT", value_parser = assignment)]
    subjects: Vec<(String, String)>,

    #[command(flatten)]
    place: Place,
}

/// Where schemas are.
#[derive(Args)]
pub(super) struct Place {
    /// A file with settings, for how the registry is reached (`schema_registry.*`)
    #[arg(long, value_name = "FILE", env = "SIGNALSTREAM_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) schemas: SchemaArguments,
}

impl Place {
    /// The registry of the options, the environment and the settings.
    pub(super) fn remote(&self) -> anyhow::Result<Option<Arc<RemoteRegistry>>> {
        let settings = LogArguments::of_file(self.config.clone()).settings(self.schemas.flags())?;
        self.schemas.asking(&settings.config)?.remote()
    }
}

/// The full name that a schema of a registry gives itself; "" where it has none.
pub(super) fn full_name(text: &SchemaText) -> String {
    let schema = serde_json::from_str::<Json>(&text.schema).unwrap_or_default();
    let part = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
    match (part("namespace"), part("name")) {
        (namespace, name) if !namespace.is_empty() && !name.is_empty() && !name.contains('.') => {
            format!("{namespace}.{name}")
        }
        (_, name) => name,
    }
}

/// The name of a subject. Those of other contexts are not found by their names alone: neither are the ids of their schemas.
fn subject(name: &str) -> Result<String, String> {
    match name.strip_prefix(":.").and_then(|rest| rest.split_once(':')) {
        Some((context, rest)) => Err(format!(
            "`{name}` is a subject of the context `.{context}`; give the registry's URL with `/contexts/.{context}` behind \
             it, and `{rest}`"
        )),
        None => Ok(name.to_owned()),
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((schema, subject)) if !schema.is_empty() && !subject.is_empty() => {
            Ok((schema.into(), self::subject(subject)?))
        }
        _ => Err("expected SCHEMA=SUBJECT, such as Order=orders-value".to_owned()),
    }
}

/// A schema, and the subject that it belongs under.
pub(super) struct Target {
    pub(super) schema: String,
    pub(super) subject: Subject,
    pub(super) version: SchemaVersion,
    /// Whether it is written; else it is only read with.
    pub(super) written: bool,
}

impl Targets {
    /// The schemas of the topologies and options, by the subjects that they belong under.
    fn of_registry(&self, remote: &Arc<RemoteRegistry>) -> anyhow::Result<Vec<Target>> {
        let mut targets = Vec::new();
        for file in &self.topologies {
            let topology = load::topology(file, &self.place.schemas)?.topology;
            for used in schema_uses::uses(&topology) {
                targets.extend(target(&topology.schemas, remote, &used)?);
            }
        }
        let schemas = self.place.schemas.registry(None)?;
        for (name, subject) in &self.subjects {
            let Some((text, _)) = schemas.text(name) else {
                return Err(Usage::error(format!("there is no schema `{name}`; --schemas says where the schemas are")));
            };
            let version = SchemaVersion::new(name, text, &[])?;
            let subject = Subject::named(subject.as_str());
            targets.push(Target { schema: name.clone(), subject, version, written: true });
        }
        if targets.is_empty() {
            return Err(Usage::error(
                "which topics are the schemas for? Give topologies with --topology FILE, or --subject SCHEMA=SUBJECT",
            ));
        }
        // A topic may be written in several places; what is written counts.
        let mut unique: BTreeMap<(String, String), Target> = BTreeMap::new();
        for target in targets {
            let key = (target.subject.to_string(), target.schema.clone());
            if target.written || !unique.contains_key(&key) {
                unique.insert(key, target);
            }
        }
        Ok(unique.into_values().collect())
    }
}

/// A schema that a topology uses, with its subject. `None`: it has none of the name, which the check of the topology says.
fn target(
    schemas: &crate::serdes::SchemaRegistry,
    remote: &RemoteRegistry,
    used: &SchemaUse,
) -> anyhow::Result<Option<Target>> {
    let Some((text, full_name)) = schemas.text(&used.schema) else { return Ok(None) };
    let record = if full_name.is_empty() { &used.schema } else { full_name };
    let subject = remote.subject(&used.topic, used.side, record);
    let version = SchemaVersion::new(&used.schema, text, &[])?;
    Ok(Some(Target { schema: used.schema.clone(), subject, version, written: used.written }))
}

impl SchemasCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match &self.action {
            Action::Check(arguments) => arguments.run(self.output),
            Action::Register(arguments) => arguments.run(self.output),
            Action::List(arguments) => arguments.run(self.output),
            Action::Show(arguments) => arguments.run(self.output),
        }
    }
}

impl CheckArguments {
    fn run(&self, output: OutputFormat) -> anyhow::Result<Outcome> {
        let of_files = self.level.unwrap_or(Compatibility { backward: true, forward: false, transitive: false });
        let before = match &self.against_revision {
            Some(revision) => {
                let directory = self.targets.place.schemas.own_directory()?;
                older::of_revision(revision, &directory, of_files.transitive)?
            }
            // The newest first.
            None => {
                let directories = self.against.iter().rev().map(|directory| older::of_directory(directory));
                directories.collect::<anyhow::Result<Vec<_>>>()?
            }
        };
        let findings = match &before[..] {
            [_, ..] => {
                let now = older::of_directory(&self.targets.place.schemas.own_directory()?)?;
                compare::compare_files(&now, &before, of_files)?
            }
            [] => {
                let Some(remote) = self.targets.place.remote()? else {
                    return Err(Usage::error(
                        "compared with what? Give --registry URL, --against DIR or --against-revision REVISION",
                    ));
                };
                let targets = self.targets.of_registry(&remote)?;
                let compared = targets.iter().map(|target| compare::compare_target(&remote, target, self.level));
                compared.collect::<anyhow::Result<Vec<_>>>()?
            }
        };
        compare::report(&findings, output)?;
        Ok(Outcome::of(findings.iter().all(Finding::fits)))
    }
}
