//! Why a builder gives no topology.

use std::fmt;

use crate::serdes::SchemaError;
use crate::topology::Diagnostics;

/// Why a builder gives no topology.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// What was built makes no sense. Places are those in the YAML that [`to_yaml`](super::StreamsBuilder::to_yaml) shows.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// A table that is kept in a store has a name that depends on its place, so that the next change of the topology
    /// could take its state away.
    #[error(
        "the table `{table}` is kept in the store `{store}`; give it a name of its own with `.named(..)`, so that its state is found again when the topology changes"
    )]
    Unnamed {
        /// The table, by the name that it was given.
        table: String,
        /// The store.
        store: String,
    },
    /// Schemas that cannot be used.
    #[error(transparent)]
    Schemas(#[from] SchemaErrors),
}

/// Schema files that cannot be used.
#[derive(Debug)]
pub struct SchemaErrors(pub Vec<SchemaError>);

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(SchemaError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SchemaErrors {}
