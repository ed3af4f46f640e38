//! `signalstream schemas list`: the schemas at hand, and those of a registry.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value as Json, json};

use crate::serdes::SchemaRegistry;
use crate::serdes::remote::{RegisteredSchema, RegistryClient, RegistryError, Subject};

use super::super::Outcome;
use super::super::output::{OutputFormat, table};
use super::{Place, full_name};

/// List the schemas of files, and with a registry its subjects
#[derive(Args)]
#[command(after_help = "\
Without a registry, the id of a schema derives from it and is what records carry. With one, its ids are in the second list,
each that of the subject's latest version.

Examples:
  signalstream schemas list
  signalstream schemas list --schemas released/schemas --output json
  signalstream schemas list --registry http://localhost:8081")]
pub(super) struct ListArguments {
    #[command(flatten)]
    place: Place,
}

/// A subject of a registry.
struct Listed {
    subject: Subject,
    versions: Vec<i64>,
    latest: RegisteredSchema,
}

impl ListArguments {
    pub(super) fn run(&self, output: OutputFormat) -> anyhow::Result<Outcome> {
        let schemas = self.place.schemas.registry(None)?;
        let subjects = match self.place.remote()? {
            Some(remote) => Some(subjects(remote.client())?),
            None => None,
        };
        let mut stdout = io::stdout().lock();
        if output == OutputFormat::Json {
            let local: Vec<Json> = schemas.names().map(|name| local_json(&schemas, name)).collect();
            let subjects = subjects.map(|subjects| subjects.iter().map(Listed::to_json).collect::<Vec<_>>());
            writeln!(stdout, "{:#}", json!({ "schemas": local, "subjects": subjects }))?;
            return Ok(Outcome::Success);
        }
        let mut local = table(&["SCHEMA", "ID", "PERSONAL DATA", "OWNER", "TAGS", "FILE"], &[1]);
        for name in schemas.names() {
            local.add_row(local_row(&schemas, name));
        }
        writeln!(stdout, "{}", local.trim_fmt())?;
        if let Some(subjects) = subjects {
            let mut remote = table(&["SUBJECT", "VERSIONS", "ID", "LANGUAGE", "SCHEMA"], &[1, 2]);
            subjects.iter().for_each(|listed| {
                remote.add_row(listed.row());
            });
            writeln!(stdout, "\n{}", remote.trim_fmt())?;
        }
        Ok(Outcome::Success)
    }
}

fn local_row(schemas: &SchemaRegistry, name: &str) -> [String; 6] {
    let description = schemas.description(name);
    let personal = description.is_some_and(|found| found.holds_personal_data());
    let text = |part: Option<String>| part.unwrap_or_default();
    [
        name.to_owned(),
        text(schemas.id(name).map(|id| id.to_string())),
        if personal { "yes" } else { "" }.to_owned(),
        text(description.and_then(|found| found.owner.clone())),
        text(description.map(|found| found.tags.join(", "))),
        text(description.map(|found| found.file.clone())),
    ]
}

fn local_json(schemas: &SchemaRegistry, name: &str) -> Json {
    let description = schemas.description(name);
    json!({
        "name": name,
        "full_name": schemas.text(name).map(|(_, full_name)| full_name),
        "id": schemas.id(name),
        "file": description.map(|found| &found.file),
        "doc": description.map(|found| &found.doc),
        "owner": description.and_then(|found| found.owner.as_ref()),
        "tags": description.map(|found| &found.tags),
        "personal_data": description.is_some_and(|found| found.holds_personal_data()),
    })
}

impl Listed {
    fn row(&self) -> [String; 5] {
        let versions: Vec<String> = self.versions.iter().map(i64::to_string).collect();
        let (id, language) = (self.latest.id.to_string(), self.latest.text.language.clone());
        [self.subject.to_string(), versions.join(" "), id, language, full_name(&self.latest.text)]
    }

    fn to_json(&self) -> Json {
        json!({
            "subject": self.subject.as_str(),
            "versions": self.versions,
            "id": self.latest.id,
            "language": self.latest.text.language,
            "schema": full_name(&self.latest.text),
        })
    }
}

/// The subjects, each as it is by now: one that is deleted meanwhile is left out.
fn subjects(client: &RegistryClient) -> Result<Vec<Listed>, RegistryError> {
    let mut found = Vec::new();
    for subject in client.subjects()? {
        let versions = client.versions(&subject)?;
        if let Some(latest) = client.latest(&subject)? {
            found.push(Listed { subject, versions, latest });
        }
    }
    Ok(found)
}
