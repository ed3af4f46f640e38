//! Topologies and schemas from files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use clap::Args;

use crate::agents::Agents;
use crate::config::{Config, Flag};
use crate::processor::Processors;
use crate::serdes::remote::{RegistryError, RegistrySettings, RemoteRegistry};
use crate::serdes::{SchemaError, SchemaRegistry};
use crate::time::SystemClock;
use crate::topology::plan::Topology;
use crate::topology::schema_uses::{self, SchemaUse};
use crate::topology::{self, PlanOptions};

use super::deployment::{self, LogArguments};
use super::failure::Usage;
use super::{builtin, files};

/// The processors of this program. It has one command line, which says them before it does anything else.
static PROCESSORS: OnceLock<Processors> = OnceLock::new();

/// Says which processors topologies may name.
pub(super) fn register(processors: Processors) {
    // Who comes second is not the command line that runs.
    PROCESSORS.get_or_init(|| processors);
}

/// The processors that topologies may name.
pub(super) fn processors() -> &'static Processors {
    PROCESSORS.get_or_init(Processors::new)
}

/// Where Avro schemas come from.
#[derive(Args, Clone, Default)]
pub(super) struct SchemaArguments {
    /// A directory of Avro schemas (*.avsc); may be repeated, the later wins. Without it: ./schemas, and
    /// `schemas` beside the topology and above it. The schemas of the support topology are always known
    #[arg(long = "schemas", value_name = "DIR")]
    directories: Vec<PathBuf>,

    /// A Schema Registry with Confluent's API: schemas that no file has are its latest ones. How it is reached is a matter
    /// of settings (`schema_registry.*`) [env: SIGNALSTREAM_SCHEMA_REGISTRY_URL]
    #[arg(long = "registry", value_name = "URL")]
    registry: Option<String>,

    /// The registry, once it is known how it is reached.
    #[arg(skip)]
    remote: Option<Remote>,
}

/// A schema registry, and what it is for.
#[derive(Clone)]
struct Remote {
    registry: Arc<RemoteRegistry>,
    /// Whether records are read and written with its ids; else it is only asked for schemas that no file has.
    live: bool,
}

/// Schema files that cannot be used.
#[derive(Debug)]
struct SchemaErrors(Vec<SchemaError>);

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(SchemaError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SchemaErrors {}

impl SchemaArguments {
    /// The option as a setting.
    pub(super) fn flags(&self) -> Vec<Flag> {
        self.registry.iter().map(|url| deployment::flag("--registry", "schema_registry.url", url)).collect()
    }

    /// With the registry of these settings, if they name one: records are read and written with its ids.
    pub(super) fn live(&self, config: &Config) -> anyhow::Result<SchemaArguments> {
        self.with(config, true)
    }

    /// With the registry of these settings, if they name one, to ask for schemas that no file has.
    pub(super) fn asking(&self, config: &Config) -> anyhow::Result<SchemaArguments> {
        self.with(config, false)
    }

    /// The same, of which nothing else that uses it knows: the records of each application wait for its own schemas.
    pub(super) fn apart(&self) -> SchemaArguments {
        let apart = |remote: &Remote| Remote { registry: remote.registry.apart(), live: remote.live };
        SchemaArguments { remote: self.remote.as_ref().map(apart), ..self.clone() }
    }

    fn with(&self, config: &Config, live: bool) -> anyhow::Result<SchemaArguments> {
        let mut config = config.clone();
        config.schema_registry_url = self.registry.clone().or(config.schema_registry_url);
        let remote = connect(&config)?.map(|registry| Remote { registry, live });
        Ok(SchemaArguments { remote, ..self.clone() })
    }

    /// The registry that is asked: the one that settings named, or that of the option and the environment.
    pub(super) fn remote(&self) -> anyhow::Result<Option<Arc<RemoteRegistry>>> {
        match &self.remote {
            Some(remote) => Ok(Some(remote.registry.clone())),
            None if self.registry.is_some() => {
                let effective = LogArguments::default().settings(self.flags())?;
                connect(&effective.config)
            }
            None => Ok(None),
        }
    }

    /// The one directory of schemas that the options name, `./schemas` without it.
    pub(super) fn own_directory(&self) -> anyhow::Result<PathBuf> {
        match self.directories.as_slice() {
            [] => Ok(PathBuf::from("schemas")),
            [directory] => Ok(directory.clone()),
            _ => Err(Usage::error("several directories of schemas are given; compare one at a time")),
        }
    }

    /// The schemas of files, and those of the registry that this topology names and no file has.
    fn for_topology(&self, beside: Option<&Path>, text: &str) -> anyhow::Result<SchemaRegistry> {
        let mut schemas = self.registry(beside)?;
        let Some(remote) = self.remote()? else { return Ok(schemas) };
        for used in schema_uses::mentioned(text) {
            if schemas.shape(&used.schema).is_none() {
                fetch(&mut schemas, &remote, &used)?;
            }
        }
        Ok(schemas)
    }

    /// The schemas for a topology that stands in `beside`.
    pub(super) fn registry(&self, beside: Option<&Path>) -> anyhow::Result<SchemaRegistry> {
        let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, text) in builtin::SCHEMAS {
            files.insert((*name).to_owned(), (format!("schemas/{name}"), (*text).to_owned()));
        }
        for directory in self.directories(beside) {
            read_directory(&directory, &mut files)
                .with_context(|| format!("the schemas in {} cannot be read", directory.display()))?;
        }
        let files: Vec<(String, String)> = files.into_values().collect();
        let mut registry = match &self.remote {
            Some(Remote { registry, live: true }) => SchemaRegistry::beside(registry.clone()),
            _ => SchemaRegistry::new(),
        };
        let errors = registry.add_all(&files);
        if errors.is_empty() { Ok(registry) } else { Err(SchemaErrors(errors).into()) }
    }

    fn directories(&self, beside: Option<&Path>) -> Vec<PathBuf> {
        if !self.directories.is_empty() {
            return self.directories.clone();
        }
        // The nearest comes last and wins.
        let mut found = vec![PathBuf::from("schemas")];
        if let Some(beside) = beside {
            found.push(beside.join("..").join("schemas"));
            found.push(beside.join("schemas"));
        }
        found.retain(|directory| directory.is_dir());
        found
    }
}

/// The registry that settings name.
fn connect(config: &Config) -> anyhow::Result<Option<Arc<RemoteRegistry>>> {
    let Some(settings) = RegistrySettings::from_config(config).map_err(Usage::error)? else { return Ok(None) };
    match RemoteRegistry::open(settings, Arc::new(SystemClock::new())) {
        Ok(registry) => Ok(Some(registry)),
        Err(RegistryError::Setting(problem)) => Err(Usage::error(problem)),
        Err(error) => Err(error.into()),
    }
}

/// Adds the latest schema that the registry has for keys or values of a topic. What it does not have is for the check of
/// the topology to say.
fn fetch(schemas: &mut SchemaRegistry, remote: &RemoteRegistry, used: &SchemaUse) -> anyhow::Result<()> {
    let subject = remote.subject(&used.topic, used.side, &used.schema);
    let Some(latest) = remote.client().latest(&subject)? else { return Ok(()) };
    let references = remote.client().references(&latest.text)?;
    let origin = format!("version {} of subject `{subject}`", latest.version);
    schemas.add_fetched(&used.schema, &origin, &latest.text, &references)?;
    if schemas.remote().is_some() {
        schemas.assign(&used.schema, latest.id);
    }
    Ok(())
}

/// Adds the schema files of a directory by their names.
fn read_directory(directory: &Path, files: &mut BTreeMap<String, (String, String)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory).map_err(files::explained)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| name.ends_with(".avsc")) else { continue };
        let text = files::text(&path).with_context(|| path.display().to_string())?;
        files.insert(name.to_owned(), (path.display().to_string(), text));
    }
    Ok(())
}

/// A topology and the schemas it was checked against.
pub(super) struct Loaded {
    /// The checked plan.
    pub(super) topology: Topology,
    /// The schemas.
    pub(super) schemas: SchemaRegistry,
}

/// Loads and checks the topology in a file. A file with mistakes is an error that holds its
/// [`topology::Diagnostics`].
pub(super) fn topology(file: &Path, schemas: &SchemaArguments) -> anyhow::Result<Loaded> {
    let text = files::text(file).with_context(|| format!("the topology {} cannot be read", file.display()))?;
    let schemas = schemas.for_topology(Some(directory_of(file)), &text)?;
    check(&file.display().to_string(), &text, schemas)
}

/// The directory that a file stands in.
pub(super) fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The support topology that the binary carries.
pub(super) fn support_topology(schemas: &SchemaArguments) -> anyhow::Result<Loaded> {
    let text = builtin::SUPPORT_TOPOLOGY;
    check(builtin::SUPPORT_TOPOLOGY_NAME, text, schemas.for_topology(None, text)?)
}

/// The topology in `file`, or the support topology.
pub(super) fn topology_or_support(file: Option<&Path>, schemas: &SchemaArguments) -> anyhow::Result<Loaded> {
    match file {
        Some(file) => topology(file, schemas),
        None => support_topology(schemas),
    }
}

fn check(name: &str, text: &str, schemas: SchemaRegistry) -> anyhow::Result<Loaded> {
    let agents = Agents::local();
    let options = PlanOptions { registry: &schemas, agents: &agents, projection: true };
    let topology = topology::load_with(name, text, &options, processors())?;
    Ok(Loaded { topology, schemas })
}
