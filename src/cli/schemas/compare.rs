//! Compares schemas with those before them, and says where they part.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::serdes::compatibility::{Break, Compatibility, SchemaVersion};
use crate::serdes::remote::{RegisteredSchema, RemoteRegistry};
use crate::topology::plan::Topology;
use crate::topology::schema_uses;

use super::super::output::OutputFormat;
use super::older::SchemaFiles;
use super::{Target, target};

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Status {
    /// There is nothing before it.
    New,
    /// It is laid out as the last one.
    Same,
    /// It differs and fits.
    Fits,
    /// It does not fit.
    Breaks,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Same => "same",
            Status::Fits => "fits",
            Status::Breaks => "breaks",
        }
    }
}

/// A schema beside those before it.
pub(in crate::cli) struct Finding {
    /// The schema.
    pub(in crate::cli) schema: String,
    /// The subject or file that it was compared with.
    against: String,
    /// How they must fit.
    level: String,
    pub(in crate::cli) status: Status,
    /// Where it does not fit: the version, and how they part.
    breaks: Vec<(String, Break)>,
    /// What the registry says against it.
    refused: Option<String>,
}

impl Finding {
    /// Whether nothing breaks.
    pub(in crate::cli) fn fits(&self) -> bool {
        self.status != Status::Breaks
    }

    fn new(schema: &str, against: String, level: String) -> Finding {
        let (schema, breaks) = (schema.to_owned(), Vec::new());
        Finding { schema, against, level, status: Status::New, breaks, refused: None }
    }

    /// The comparison in one line, and one for each break.
    pub(in crate::cli) fn lines(&self) -> Vec<String> {
        let Finding { schema, against, level, .. } = self;
        let mut lines = vec![match self.status {
            Status::New => format!("{schema}: new under {against}"),
            Status::Same => format!("{schema}: as in {against}"),
            Status::Fits => format!("{schema}: differs from {against}, and fits ({level})"),
            Status::Breaks => format!("{schema}: does not fit {against} ({level})"),
        }];
        lines.extend(self.breaks.iter().map(|(version, found)| format!("  {version}: {found}")));
        lines.extend(self.refused.iter().map(|message| format!("  the registry says: {message}")));
        lines
    }

    /// The comparison for programs.
    pub(in crate::cli) fn to_json(&self) -> Json {
        let breaks = self.breaks.iter().map(|(version, found)| {
            json!({
                "version": version,
                "direction": found.direction.to_string(),
                "field": found.path,
                "message": found.message,
            })
        });
        json!({
            "schema": self.schema,
            "against": self.against,
            "level": self.level,
            "status": self.status.as_str(),
            "breaks": breaks.collect::<Vec<_>>(),
            "registry": self.refused,
        })
    }
}

/// Compares files of one name with those before them, of which the newest stands first. The level says whether the others
/// count.
pub(super) fn compare_files(
    now: &SchemaFiles,
    before: &[SchemaFiles],
    level: Compatibility,
) -> anyhow::Result<Vec<Finding>> {
    let place = before.first().map(|files| files.place.clone()).unwrap_or_default();
    let compared = if level.transitive { before.len() } else { 1 };
    let mut findings = Vec::new();
    for name in now.texts.keys() {
        let mut finding = Finding::new(name, place.clone(), level.to_string());
        let mut seen: Vec<SchemaVersion> = Vec::new();
        for files in before.iter().take(compared).filter(|files| files.texts.contains_key(name)) {
            let older = match version(files, name) {
                Err(_) if files.forgiving => continue,
                older => older?,
            };
            if seen.iter().any(|seen| seen.text() == older.text()) {
                continue;
            }
            let new = version(now, name)?;
            // The newest decides.
            if seen.is_empty() {
                finding.status = if new.is_same(&older) { Status::Same } else { Status::Fits };
            }
            let breaks = new.breaks(&older, level).into_iter();
            finding.breaks.extend(breaks.map(|found| (files.place.clone(), found)));
            seen.push(older);
        }
        if !finding.breaks.is_empty() {
            finding.status = Status::Breaks;
        }
        findings.push(finding);
    }
    Ok(findings)
}

/// A file's schema, which may refer to the others beside it.
fn version(files: &SchemaFiles, name: &str) -> anyhow::Result<SchemaVersion> {
    let text = files.texts.get(name).map(String::as_str).unwrap_or_default();
    let others: Vec<(String, String)> = files
        .texts
        .iter()
        .filter(|(other, _)| *other != name)
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    Ok(SchemaVersion::new(&format!("{}/{name}.avsc", files.place), text, &others)?)
}

/// Compares the schemas of a topology with those that the registry has.
pub(in crate::cli) fn compare_topology(
    remote: &Arc<RemoteRegistry>,
    topology: &Topology,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for used in schema_uses::uses(topology) {
        if let Some(target) = target(&topology.schemas, remote, &used)? {
            findings.push(compare_target(remote, &target, None)?);
        }
    }
    Ok(findings)
}

/// Compares a schema with the versions of its subject. What is written must fit as `level` says, else as the subject's
/// own level does; what is only read with must read them all.
pub(super) fn compare_target(
    remote: &RemoteRegistry,
    target: &Target,
    level: Option<Compatibility>,
) -> anyhow::Result<Finding> {
    let Target { schema, subject, version, written } = target;
    let client = remote.client();
    let reads = Compatibility { backward: true, forward: false, transitive: true };
    let level = match (written, level) {
        (false, _) => reads,
        (true, Some(level)) => level,
        (true, None) => client.compatibility(subject)?.parse().map_err(anyhow::Error::msg)?,
    };
    let shown = if *written { level.to_string() } else { "reads all versions".to_owned() };
    let mut finding = Finding::new(schema, format!("`{subject}`"), shown);
    let numbers = client.versions(subject)?;
    let compared = if level.transitive { 0 } else { numbers.len().saturating_sub(1) };
    for number in numbers.iter().skip(compared) {
        let registered = client.version(subject, Some(*number))?;
        let older = of_registry(remote, subject.as_str(), &registered)?;
        // The last one decides.
        finding.status = if version.is_same(&older) { Status::Same } else { Status::Fits };
        let found = version.breaks(&older, level).into_iter();
        finding.breaks.extend(found.map(|found| (format!("version {number}"), found)));
    }
    if *written && (finding.status == Status::Fits || !finding.breaks.is_empty()) {
        let text = crate::serdes::remote::SchemaText::avro(version.text());
        finding.refused = client.is_compatible(subject, &text)?.err().map(|message| match message.is_empty() {
            true => "it is not compatible".to_owned(),
            false => message,
        });
    }
    if !finding.breaks.is_empty() || finding.refused.is_some() {
        finding.status = Status::Breaks;
    }
    Ok(finding)
}

fn of_registry(remote: &RemoteRegistry, subject: &str, registered: &RegisteredSchema) -> anyhow::Result<SchemaVersion> {
    let references = remote.client().references(&registered.text)?;
    let origin = format!("version {} of subject `{subject}`", registered.version);
    Ok(SchemaVersion::new(&origin, &registered.text.schema, &references)?)
}

/// Says what was found.
pub(super) fn report(findings: &[Finding], output: OutputFormat) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Json => {
            let compatible = findings.iter().all(Finding::fits);
            let schemas: Vec<Json> = findings.iter().map(Finding::to_json).collect();
            writeln!(stdout, "{:#}", json!({ "compatible": compatible, "schemas": schemas }))?;
        }
        OutputFormat::Text => {
            for line in findings.iter().flat_map(Finding::lines) {
                writeln!(stdout, "{line}")?;
            }
        }
    }
    Ok(())
}
