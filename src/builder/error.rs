//! Why a builder gives no topology.

use std::fmt;

use crate::serdes::SchemaError;
use crate::topology::Diagnostics;

/// Why a builder gives no topology.
///
/// ```
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, TopologyError};
///
/// let builder = StreamsBuilder::new("app");
/// let longs = || Consumed::with(Serdes::string(), Serdes::long());
/// let positive = builder.table("balances", longs()).filter(|_, balance| *balance > 0);
/// positive
///     .join(&builder.table("limits", longs()), "joined", |balance, limit| balance + limit)
///     .to_stream()
///     .to("out", Produced::with(Serdes::string(), Serdes::long()));
/// // The filtered table is kept for the join, and has no name: the next one before it would take its store away.
/// assert!(matches!(builder.build(), Err(TopologyError::Unnamed { .. })));
///
/// let builder = StreamsBuilder::new("app");
/// builder.stream("in", longs()).filter(|_, _| true).named("unread");
/// let Err(TopologyError::Mistakes(mistakes)) = builder.build() else { panic!("it is read") };
/// assert!(mistakes.to_string().contains("`unread`"));
/// ```
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
    /// The rows of a table cannot be read as the type that was named for them.
    #[error("the rows of `{table}` cannot be read as `{row}`: {reason}; give the type the fields that the rows have")]
    Row {
        /// The table.
        table: String,
        /// The type.
        row: &'static str,
        /// The field, and why.
        reason: String,
    },
    /// Schemas that cannot be used.
    #[error(transparent)]
    Schemas(#[from] SchemaErrors),
}

/// Schema files that cannot be used.
///
/// ```
/// use signalstream::builder::{StreamsBuilder, TopologyError};
///
/// let built = StreamsBuilder::new("app").schema("Total.avsc", r#"{"type": "unheard-of"}"#);
/// let Err(TopologyError::Schemas(errors)) = built else { panic!("it is no schema") };
/// assert!(errors.to_string().contains("Total.avsc"));
/// ```
#[derive(Debug)]
pub struct SchemaErrors(pub Vec<SchemaError>);

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(SchemaError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SchemaErrors {}
