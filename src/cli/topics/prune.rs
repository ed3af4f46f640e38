//! `signalstream topics prune`: deletes the topics of stores and repartitions that topologies had and have no longer.

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;
use serde_json::{Value as Json, json};

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::embedded::Memory;
use super::super::output::{OutputFormat, table};
use super::super::reset::refuse_active;
use super::{TopologyArguments, plan};

#[derive(Args)]
pub(super) struct PruneArguments {
    #[command(flatten)]
    topologies: TopologyArguments,

    /// Do it. Stop all processes of the application first
    #[arg(long)]
    execute: bool,
}

impl PruneArguments {
    pub(super) fn run(&self, deployment: &Deployment, output: OutputFormat) -> anyhow::Result<Outcome> {
        let topologies = self.topologies.load(deployment)?;
        if !deployment.has_log() {
            report(&[], self.execute, output)?;
            return Ok(Outcome::Success);
        }
        let log = match self.execute {
            true => deployment.open_log(&Memory::small())?,
            false => deployment.open_reader()?,
        };
        let admin = log.admin();
        let existing = admin.topics()?;
        let mut rows = Vec::new();
        for topology in &topologies {
            let left = plan::evolved(topology, log.as_ref(), &existing)?.left_over(&existing);
            if self.execute && !left.is_empty() {
                refuse_active(topology, admin.as_ref())?;
            }
            for one in left {
                if self.execute {
                    let topic = &one.topic;
                    admin.delete_topic(topic).with_context(|| format!("topic `{topic}` is not deleted"))?;
                }
                let what = one.store.map_or("repartition".to_owned(), |store| format!("changelog of `{store}`"));
                rows.push([topology.name.clone(), one.topic, what]);
            }
        }
        report(&rows, self.execute, output)?;
        Ok(Outcome::Success)
    }
}

fn report(rows: &[[String; 3]], done: bool, output: OutputFormat) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if output == OutputFormat::Json {
        let row = |[application, topic, what]: &[String; 3]| json!({ "application": application, "topic": topic, "what": what, "done": done });
        return writeln!(stdout, "{:#}", Json::from(rows.iter().map(row).collect::<Vec<_>>()));
    }
    if rows.is_empty() {
        return writeln!(stdout, "Nothing is left over.");
    }
    let mut table = table(&["APPLICATION", if done { "DELETED" } else { "TO BE DELETED" }, ""], &[]);
    for row in rows {
        table.add_row(row);
    }
    writeln!(stdout, "{}", table.trim_fmt())?;
    if !done {
        writeln!(stdout, "\nNothing was done; --execute does it.")?;
    }
    Ok(())
}
