//! `signalstream stores scan`.

use std::io::{self, BufWriter, Write};
use std::ops::Bound;

use clap::Args;

use super::super::Outcome;
use super::super::formats::Formats;
use super::{EntryReader, TaskOnDisk, tasks_of};

#[derive(Args)]
pub(super) struct ScanArguments {
    /// The store
    store: String,

    /// Show at most this many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl ScanArguments {
    pub(super) fn run(&self, tasks: &[TaskOnDisk], formats: &Formats) -> anyhow::Result<Outcome> {
        let mut stdout = BufWriter::new(io::stdout().lock());
        let mut left = self.limit.unwrap_or(u64::MAX);
        for task in tasks_of(tasks, &self.store)? {
            let entries = EntryReader::new(formats, &task.application, &self.store)?;
            if left == 0 {
                break;
            }
            task.each(&self.store, Bound::Unbounded, |key, value| {
                writeln!(stdout, "{}", entries.line(task, &self.store, key, value)?)?;
                left -= 1;
                Ok(left > 0)
            })?;
        }
        stdout.flush()?;
        Ok(Outcome::Success)
    }
}
