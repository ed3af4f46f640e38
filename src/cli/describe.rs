//! `signalstream describe`: what a topology runs.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::topology::{DescribeFormat, describe};

use super::Outcome;
use super::load::{self, SchemaArguments};

/// Show what a topology runs: sub-topologies, steps, stores, topics
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream describe topologies/support-intelligence.yaml
  signalstream describe FILE --format mermaid     # for Markdown
  signalstream describe FILE --format dot | dot -Tsvg > topology.svg")]
pub(super) struct DescribeCommand {
    /// The topology
    file: PathBuf,

    /// How to write it
    #[arg(long, default_value = "text")]
    format: Format,

    #[command(flatten)]
    schemas: SchemaArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Text for people.
    Text,
    /// A Mermaid flow chart.
    Mermaid,
    /// A graph for Graphviz.
    Dot,
    /// One JSON document.
    Json,
}

impl DescribeCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let loaded = load::topology(&self.file, &self.schemas)?;
        let format = match self.format {
            Format::Text => DescribeFormat::Text,
            Format::Mermaid => DescribeFormat::Mermaid,
            Format::Dot => DescribeFormat::Dot,
            Format::Json => DescribeFormat::Json,
        };
        writeln!(io::stdout().lock(), "{}", describe(&loaded.topology, format).trim_end())?;
        Ok(Outcome::Success)
    }
}
