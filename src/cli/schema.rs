//! `signalstream schema`: the JSON Schemas of topology, test and configuration files.

use std::io::{self, Write};

use clap::Args;

use crate::config;
use crate::testing::scenario;
use crate::topology;

use super::Outcome;

/// Print the JSON Schema of topology files, or of others, for editors
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

    /// The JSON Schema of configuration files instead
    #[arg(long, conflicts_with_all = ["tests", "reference"])]
    config: bool,

    /// The reference of all settings instead, in Markdown
    #[arg(long, conflicts_with = "tests")]
    reference: bool,
}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut stdout = io::stdout().lock();
        if self.reference {
            write!(stdout, "{}", config::reference())?;
            return Ok(Outcome::Success);
        }
        let schema = match (self.tests, self.config) {
            (true, _) => scenario::json_schema(),
            (_, true) => config::json_schema(),
            _ => topology::json_schema(),
        };
        writeln!(stdout, "{schema:#}")?;
        Ok(Outcome::Success)
    }
}
