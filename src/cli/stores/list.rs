//! `signalstream stores list`.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::super::Outcome;
use super::super::output::{OutputFormat, bytes, grouped, table};
use super::TaskOnDisk;

pub(super) fn run(tasks: &[TaskOnDisk], output: OutputFormat) -> anyhow::Result<Outcome> {
    let mut rows = Vec::new();
    let header = ["APPLICATION", "TASK", "STORE", "KIND", "ENTRIES", "SIZE", "FILES", "CHANGELOG OFFSET"];
    let mut table = table(&header, &[4, 5, 6, 7]);
    for task in tasks {
        for store in task.reader.summaries()? {
            let checkpoint = task.reader.checkpoint();
            let offset = store.changelog.as_deref().and_then(|changelog| checkpoint?.changelog_offsets.get(changelog));
            table.add_row([
                task.application.clone(),
                task.task.clone(),
                store.name.clone(),
                store.kind.clone(),
                grouped(store.entries),
                bytes(store.bytes),
                bytes(store.file_bytes),
                offset.map_or("-".to_owned(), i64::to_string),
            ]);
            rows.push(json!({
                "application": task.application,
                "task": task.task,
                "store": store.name,
                "kind": store.kind,
                "shape": store.shape,
                "entries": store.entries,
                "bytes": store.bytes,
                "file_bytes": store.file_bytes,
                "changelog": store.changelog,
                "changelog_offset": offset,
            }));
        }
    }
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Text => writeln!(stdout, "{}", table.trim_fmt())?,
        OutputFormat::Json => writeln!(stdout, "{:#}", Json::from(rows))?,
    }
    Ok(Outcome::Success)
}
