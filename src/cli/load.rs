//! Topologies and schemas from files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use clap::Args;

use crate::agents::Agents;
use crate::processor::Processors;
use crate::serdes::{SchemaError, SchemaRegistry};
use crate::topology::plan::Topology;
use crate::topology::{self, PlanOptions};

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
        let mut registry = SchemaRegistry::new();
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
    check(&file.display().to_string(), &text, schemas.registry(Some(directory_of(file)))?)
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
    check(builtin::SUPPORT_TOPOLOGY_NAME, builtin::SUPPORT_TOPOLOGY, schemas.registry(None)?)
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
