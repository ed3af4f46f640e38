//! `signalstream validate`: every mistake of topologies, before anything runs.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::topology::Diagnostics;
use crate::topology::plan::Topology;
use crate::topology::taint::PersonalOrigin;

use super::Outcome;
use super::load::{self, SchemaArguments};
use super::output::{OutputFormat, color_is_wanted};
use super::schemas::{Finding, compare_topology};

/// Check topologies and show every mistake with its place
#[derive(Args)]
#[command(after_help = "\
With --registry, the schemas are also compared with those that the registry has: what the topology writes must fit those
before it, what it reads with must read every version.

Examples:
  signalstream validate topologies/*.yaml
  signalstream validate shop.yaml --registry http://localhost:8081

Exit status: 0 when all are without mistakes, 1 when one is not.")]
pub(super) struct ValidateCommand {
    /// The topologies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How to report
    #[arg(long, default_value = "text")]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemaArguments,
}

impl ValidateCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut stdout = io::stdout().lock();
        let color = stdout.is_terminal() && color_is_wanted();
        let mut valid = true;
        let mut reports = Vec::new();
        let remote = self.schemas.remote()?;
        for file in &self.files {
            let result = load::topology(file, &self.schemas).map(|loaded| loaded.topology);
            let findings = match (&remote, &result) {
                (Some(remote), Ok(topology)) => compare_topology(remote, topology)?,
                _ => Vec::new(),
            };
            let fits = findings.iter().all(Finding::fits);
            valid &= result.is_ok() && fits;
            let name = file.display().to_string();
            match self.output {
                OutputFormat::Json => reports.push(report(&name, &result, &findings)),
                OutputFormat::Text => match result {
                    Ok(topology) => {
                        let verdict = if fits { "valid" } else { "its schemas do not fit the registry" };
                        writeln!(stdout, "{name}: {verdict} ({})", summary(&topology))?;
                        for line in findings.iter().flat_map(Finding::lines).chain(hints(&topology)) {
                            writeln!(stdout, "  {line}")?;
                        }
                    }
                    Err(error) => match error.downcast_ref::<Diagnostics>() {
                        Some(diagnostics) => writeln!(stdout, "{}", diagnostics.render(color).trim_end())?,
                        None => writeln!(stdout, "{name}: {error:#}")?,
                    },
                },
            }
        }
        if self.output == OutputFormat::Json {
            writeln!(stdout, "{:#}", json!({ "valid": valid, "files": reports }))?;
        }
        Ok(Outcome::of(valid))
    }
}

/// What is no mistake, and may be meant otherwise.
fn hints(topology: &Topology) -> Vec<String> {
    let unknown = topology.personal_data.unknown.iter();
    let hint = |origin: &PersonalOrigin| {
        let PersonalOrigin { part, topic, .. } = origin;
        format!(
            "nothing reads `{part}` of {topic}, which is declared for personal data: is it spelt as in the records?"
        )
    };
    let undeclared = topology.personal_data.undeclared.iter().map(|node| {
        format!(
            "`{node}` looks for personal data where nobody says that there is some, and dead letters keep it as it came: \
             mark the field in the schema, or name it under `personal_data` of the source"
        )
    });
    unknown.map(hint).chain(undeclared).collect()
}

fn summary(topology: &Topology) -> String {
    let stores: usize = topology.subtopologies.iter().map(|subtopology| subtopology.stores.len()).sum();
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    format!(
        "{}: {}, {}, {}",
        topology.name,
        count(topology.subtopologies.len(), "sub-topology", "sub-topologies"),
        count(stores, "store", "stores"),
        count(topology.topics.len(), "topic", "topics"),
    )
}

fn report(name: &str, result: &anyhow::Result<Topology>, findings: &[Finding]) -> Json {
    match result {
        Ok(topology) => {
            let mut report = json!({
                "file": name,
                "valid": findings.iter().all(Finding::fits),
                "topology": topology.name,
                "errors": [],
            });
            if !findings.is_empty() {
                report["schemas"] = findings.iter().map(Finding::to_json).collect();
            }
            let hints = hints(topology);
            if !hints.is_empty() {
                report["hints"] = hints.into();
            }
            report
        }
        Err(error) => {
            let errors: Vec<Json> = match error.downcast_ref::<Diagnostics>() {
                None => vec![json!({ "message": format!("{error:#}") })],
                Some(diagnostics) => diagnostics
                    .iter()
                    .map(|item| {
                        json!({
                            "line": item.line(),
                            "column": item.column(),
                            "message": item.message(),
                            "expected": item.expectation(),
                            "hint": item.hint(),
                        })
                    })
                    .collect(),
            };
            json!({ "file": name, "valid": false, "errors": errors })
        }
    }
}
