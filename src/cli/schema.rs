//! `signalstream schema`: the JSON Schema of topology files.

use std::io::{self, Write};

use clap::Args;

use crate::topology;

use super::Outcome;

/// Print the JSON Schema of topology files, for editors
#[derive(Args)]
#[command(after_help = "\
Example:
  signalstream schema > topology.schema.json
  # then, as the first line of a topology:
  # yaml-language-server: $schema=topology.schema.json")]
pub(super) struct SchemaCommand {}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        writeln!(io::stdout().lock(), "{:#}", topology::json_schema())?;
        Ok(Outcome::Success)
    }
}
