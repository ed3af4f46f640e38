//! `signalstream schemas register`: what the registry would be told, and, asked to, telling it.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value as Json, json};

use crate::serdes::remote::{RemoteRegistry, SchemaText};

use super::super::Outcome;
use super::super::failure::Usage;
use super::super::output::OutputFormat;
use super::compare::{Status, compare_target};
use super::{Finding, Target, Targets};

/// Register the schemas of what topologies write; without --apply, show only what would be done
#[derive(Args)]
#[command(after_help = "\
A schema that is registered already stays as it is; one that does not fit those before it is not registered, and then
none is.

Examples:
  signalstream schemas register --registry http://localhost:8081 --topology shop.yaml
  signalstream schemas register --registry http://localhost:8081 --topology shop.yaml --apply

Exit status: 0 when all fit, 1 when one does not, 2 wrong usage.")]
pub(super) struct RegisterArguments {
    #[command(flatten)]
    targets: Targets,

    /// Do it
    #[arg(long)]
    apply: bool,
}

/// What is done about a schema.
struct Step {
    finding: Finding,
    subject: String,
    /// The id under which it stands, or would if it were done.
    id: Option<u32>,
    done: bool,
}

impl RegisterArguments {
    pub(super) fn run(&self, output: OutputFormat) -> anyhow::Result<Outcome> {
        let Some(remote) = self.targets.place.remote()? else {
            return Err(Usage::error("where is the registry? Give --registry URL"));
        };
        let mut targets = self.targets.of_registry(&remote)?;
        targets.retain(|target| target.written);
        let mut steps = Vec::new();
        for target in &targets {
            let finding = compare_target(&remote, target, None)?;
            let id = remote.client().lookup(&target.subject, &text(target))?;
            steps.push(Step { finding, subject: target.subject.to_string(), id, done: false });
        }
        let fits = steps.iter().all(|step| step.finding.fits());
        if self.apply && fits {
            for (step, target) in steps.iter_mut().zip(&targets) {
                register(&remote, step, target)?;
            }
        }
        report(&steps, output)?;
        if self.apply && !fits {
            writeln!(io::stderr(), "nothing was registered")?;
        }
        Ok(Outcome::of(fits))
    }
}

fn register(remote: &RemoteRegistry, step: &mut Step, target: &Target) -> anyhow::Result<()> {
    if step.id.is_none() {
        step.id = Some(remote.client().register(&target.subject, &text(target))?);
        step.done = true;
    }
    Ok(())
}

fn text(target: &Target) -> SchemaText {
    SchemaText::avro(target.version.text())
}

impl Step {
    fn action(&self) -> &'static str {
        match (self.finding.fits(), self.done, self.id) {
            (false, ..) => "refuse",
            (true, true, _) => "registered",
            (true, false, Some(_)) => "keep",
            (true, false, None) if self.finding.status == Status::New => "create",
            (true, false, None) => "add",
        }
    }

    fn lines(&self) -> Vec<String> {
        let (schema, subject) = (&self.finding.schema, &self.subject);
        let id = self.id.map(|id| format!(", id {id}")).unwrap_or_default();
        match self.action() {
            "registered" => vec![format!("{schema}: registered under `{subject}`{id}")],
            "keep" => vec![format!("{schema}: is registered under `{subject}`{id}")],
            "create" => vec![format!("{schema}: would be the first under `{subject}`")],
            "add" => vec![format!("{schema}: would be the next version under `{subject}`")],
            _ => self.finding.lines(),
        }
    }

    fn to_json(&self) -> Json {
        let mut json = self.finding.to_json();
        json["subject"] = self.subject.as_str().into();
        json["action"] = self.action().into();
        json["id"] = self.id.into();
        json
    }
}

fn report(steps: &[Step], output: OutputFormat) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Json => {
            let compatible = steps.iter().all(|step| step.finding.fits());
            let schemas: Vec<Json> = steps.iter().map(Step::to_json).collect();
            writeln!(stdout, "{:#}", json!({ "compatible": compatible, "schemas": schemas }))?;
        }
        OutputFormat::Text => {
            for line in steps.iter().flat_map(Step::lines) {
                writeln!(stdout, "{line}")?;
            }
        }
    }
    Ok(())
}
