//! `signalstream schema`: the JSON Schemas of topology and test files.

use std::io::{self, Write};

use clap::Args;

use crate::testing::scenario;
use crate::topology;

use super::Outcome;

/// Print the JSON Schema of topology files, for editors
#[derive(Args)]
#[command(after_help = "\
Example:
  signalstream schema > topology.schema.json
  # then, as the first line of a topology:
  # yaml-language-server: $schema=topology.schema.json")]
pub(super) struct SchemaCommand {
    /// The JSON Schema of test files (*.test.yaml) instead
    #[arg(long)]
    tests: bool,
}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let schema = if self.tests { scenario::json_schema() } else { topology::json_schema() };
        writeln!(io::stdout().lock(), "{schema:#}")?;
        Ok(Outcome::Success)
    }
}
