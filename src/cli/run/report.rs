//! What `run` says: the settings that hold, what runs, and what it has done.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use crate::config::Effective;
use crate::metrics::{Counters, DropReason};

use super::super::output::{OutputFormat, grouped, table};

/// Shows all settings with their values and where these come from; secrets are hidden.
pub(super) fn print_config(effective: &Effective, output: OutputFormat) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let shown = effective.shown();
    if output == OutputFormat::Json {
        let settings: Vec<Json> = shown
            .iter()
            .map(|one| json!({ "setting": one.name, "value": one.value, "origin": one.origin.to_string() }))
            .collect();
        return writeln!(stdout, "{:#}", Json::from(settings));
    }
    let mut table = table(&["SETTING", "VALUE", "FROM"], &[]);
    for one in shown {
        table.add_row([one.name, one.value, one.origin.to_string()]);
    }
    writeln!(stdout, "{}", table.trim_fmt())
}

/// What an application has done, in one line.
pub(super) fn summary(counters: &Counters) -> String {
    let mut text = format!("{} records in, {} out", grouped(counters.records_in), grouped(counters.records_out));
    if counters.dead_letters > 0 {
        text.push_str(&format!(", {} dead letters", grouped(counters.dead_letters)));
    }
    for reason in DropReason::ALL {
        let count = counters.dropped_for(reason);
        if count > 0 {
            text.push_str(&format!(", {} dropped ({})", grouped(count), reason.label()));
        }
    }
    text
}
