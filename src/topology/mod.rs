//! From a topology's YAML to a checked plan, and descriptions of it.

mod aggregate_plan;
mod describe;
mod error_event;
pub mod evolution;
pub mod foreign_key;
pub mod global;
pub mod partitioning;
pub mod pattern;
pub mod plan;
mod planner;
pub mod process;
pub mod requirements;
mod schema;
pub mod schema_uses;
pub(crate) mod spec;
pub mod stream_join;
mod table_plan;
pub mod taint;

use crate::agents::Agents;
use crate::expression::NativeFunctions;
use crate::processor::Processors;
use crate::serdes::SchemaRegistry;

pub use crate::yaml::{Diagnostic, Diagnostics};
pub use describe::{DescribeFormat, describe, schema_json, schema_lines};
pub use error_event::error_event_shape;
pub use pattern::TopicPattern;
pub use plan::Topology;
pub use schema::json_schema;

use crate::yaml::{self, Problems};
use spec::Lower;

/// What a topology is planned against.
#[derive(Clone, Copy)]
pub struct PlanOptions<'a> {
    /// The Avro schemas that it may name.
    pub registry: &'a SchemaRegistry,
    /// The agents that it may call.
    pub agents: &'a Agents,
    /// Whether sources decode only the fields that the plan uses. Off, they decode everything.
    pub projection: bool,
}

/// Reads, checks and plans a topology. `file_name` appears in the diagnostics, which are all of the file's.
pub fn load(file_name: &str, text: &str, options: &PlanOptions<'_>) -> Result<Topology, Diagnostics> {
    load_with(file_name, text, options, &Processors::new())
}

/// As [`load`], for topologies that may name these processors.
pub fn load_with(
    file_name: &str,
    text: &str,
    options: &PlanOptions<'_>,
    processors: &Processors,
) -> Result<Topology, Diagnostics> {
    load_calling(file_name, text, options, processors, &NativeFunctions::default())
}

/// As [`load_with`], for topologies whose expressions may call these functions of Rust, too.
pub(crate) fn load_calling(
    file_name: &str,
    text: &str,
    options: &PlanOptions<'_>,
    processors: &Processors,
    functions: &NativeFunctions,
) -> Result<Topology, Diagnostics> {
    let mut problems = Problems::new(text);
    let planned = plan_text(text, options, processors, functions, &mut problems);
    match (problems.finish(file_name), planned) {
        (None, Some(mut topology)) => {
            topology.places.values_mut().for_each(|line| *line = format!("{file_name}:{line}"));
            Ok(topology)
        }
        (Some(diagnostics), _) => Err(diagnostics),
        (None, None) => Err(Diagnostics::internal(file_name, text)),
    }
}

fn plan_text(
    text: &str,
    options: &PlanOptions<'_>,
    processors: &Processors,
    functions: &NativeFunctions,
    problems: &mut Problems,
) -> Option<Topology> {
    let root = yaml::parse(text, yaml::TOPOLOGY, problems)?;
    let spec = spec::TopologySpec::lower(&root, problems)?;
    planner::plan(&spec, &root, options, processors, functions, problems)
}
