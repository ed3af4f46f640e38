//! `signalstream schemas show`: one schema, what it says of itself, and its text.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value as Json, json};

use crate::serdes::SchemaRegistry;
use crate::serdes::remote::{RegisteredSchema, RegistryClient, RegistryError, SchemaText, Subject};
use crate::topology::{schema_json, schema_lines};

use super::super::Outcome;
use super::super::failure::Usage;
use super::super::output::{OutputFormat, nearest};
use super::{Place, full_name, subject};

/// Show a schema: what it says of itself and of its fields, and its text
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream schemas show Order
  signalstream schemas show orders-value --registry http://localhost:8081
  signalstream schemas show orders-value --version 3 --registry http://localhost:8081 --output json")]
pub(super) struct ShowArguments {
    /// The schema's name; with a registry, a subject of it
    name: String,

    /// Which version of the subject; without it, the latest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    version: Option<i64>,

    #[command(flatten)]
    place: Place,
}

/// What is shown.
struct Shown {
    /// Where it comes from, in one line.
    origin: String,
    id: Option<u32>,
    text: String,
    /// The schema, where it is one of Avro: its name among these.
    schema: Option<(String, SchemaRegistry)>,
    /// Why no record can be read with it, although it is one of Avro.
    unusable: Option<String>,
    /// What is only known of a registry's.
    registered: Json,
}

impl ShowArguments {
    pub(super) fn run(&self, output: OutputFormat) -> anyhow::Result<Outcome> {
        let shown = match self.place.remote()? {
            Some(remote) => self.of_registry(remote.client())?,
            None => self.of_files()?,
        };
        let parsed: Json = serde_json::from_str(&shown.text).unwrap_or_else(|_| shown.text.as_str().into());
        let described = shown.schema.as_ref().and_then(|(name, schemas)| schemas.description(name));
        let mut stdout = io::stdout().lock();
        if output == OutputFormat::Json {
            let mut json = described.map_or_else(|| json!({}), |described| schema_json(described));
            if let (Some(json), Some(registered)) = (json.as_object_mut(), shown.registered.as_object()) {
                json.shift_remove("topics");
                if !registered.is_empty() {
                    json.shift_remove("file");
                }
                json.insert("id".to_owned(), shown.id.into());
                json.extend(registered.clone());
                json.insert("schema".to_owned(), parsed);
            }
            writeln!(stdout, "{json:#}")?;
            return Ok(Outcome::Success);
        }
        let id = shown.id.map(|id| format!(", id {id}")).unwrap_or_default();
        writeln!(stdout, "{}{id}", shown.origin)?;
        if let Some(reason) = &shown.unusable {
            writeln!(stdout, "  cannot be used: {reason}")?;
        }
        if let Some(described) = described {
            if let Some(owner) = &described.owner {
                writeln!(stdout, "  owner {owner}")?;
            }
            if !described.tags.is_empty() {
                writeln!(stdout, "  tags {}", described.tags.join(", "))?;
            }
            for line in schema_lines(described) {
                writeln!(stdout, "  {line}")?;
            }
        }
        match parsed {
            Json::String(text) => writeln!(stdout, "\n{text}")?,
            parsed => writeln!(stdout, "\n{parsed:#}")?,
        }
        Ok(Outcome::Success)
    }

    fn of_files(&self) -> anyhow::Result<Shown> {
        if self.version.is_some() {
            return Err(Usage::error("a file has no versions; --registry URL asks a registry for those of a subject"));
        }
        let schemas = self.place.schemas.registry(None)?;
        let Some((text, _)) = schemas.text(&self.name) else {
            let known: Vec<&str> = schemas.names().collect();
            let hint = nearest(&self.name, &known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let name = &self.name;
            return Err(Usage::error(format!(
                "there is no schema `{name}`{hint}; --schemas says where the schemas are, --registry asks a registry"
            )));
        };
        let file = schemas.description(&self.name).map(|found| found.file.clone()).unwrap_or_default();
        Ok(Shown {
            origin: format!("{} ({file})", self.name),
            id: schemas.id(&self.name),
            text: text.to_owned(),
            registered: json!({}),
            schema: Some((self.name.clone(), schemas)),
            unusable: None,
        })
    }

    fn of_registry(&self, client: &RegistryClient) -> anyhow::Result<Shown> {
        let wanted = Subject::named(subject(&self.name).map_err(Usage::error)?);
        let RegisteredSchema { id, version, text } = client.version(&wanted, self.version)?;
        let origin = format!("version {version} of subject `{wanted}`");
        let (schema, unusable) = match usable(client, &wanted, &origin, &text)? {
            Ok(schema) => (schema, None),
            Err(reason) => (None, Some(reason)),
        };
        let references = text.references.iter();
        let references = references
            .map(|found| json!({ "name": found.name, "subject": found.subject, "version": found.version }))
            .collect::<Vec<_>>();
        let registered = json!({
            "subject": wanted.as_str(),
            "version": version,
            "language": text.language,
            "references": references,
            "unusable": unusable,
        });
        Ok(Shown { origin, id: Some(id), text: text.schema, schema, unusable, registered })
    }
}

/// A schema of a registry made usable, if it is one of Avro; else why it cannot be used.
fn usable(
    client: &RegistryClient,
    subject: &Subject,
    origin: &str,
    text: &SchemaText,
) -> anyhow::Result<Result<Option<(String, SchemaRegistry)>, String>> {
    if text.language != "AVRO" {
        return Ok(Ok(None));
    }
    let references = match client.references(text) {
        Err(
            error @ (RegistryError::Missing { .. }
            | RegistryError::Unusable { .. }
            | RegistryError::TooLarge { .. }
            | RegistryError::Setting(_)),
        ) => return Ok(Err(format!("it refers to others: {error}"))),
        references => references?,
    };
    let full = full_name(text);
    let name = full.rsplit('.').next().filter(|name| !name.is_empty()).unwrap_or(subject.as_str()).to_owned();
    let mut schemas = SchemaRegistry::new();
    Ok(match schemas.add_fetched(&name, origin, text, &references) {
        Ok(()) => Ok(Some((name, schemas))),
        Err(error) => Err(error.message),
    })
}
