//! `signalstream stores verify`: is every store the fold of its changelog (I3)?

use std::io::{self, Write};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value as Json, json};

use crate::log::Log;
use crate::record::TopicPartition;
use crate::state::{Fold, StoreSummary, Verification, verify};

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::output::{OutputFormat, grouped, progress_bar, table};
use super::{TaskOnDisk, tasks_of};

/// How many differences are shown of each store.
const SHOWN: usize = 10;
/// How many records one fetch brings.
const FETCH_RECORDS: usize = 2_000;
/// How long a fetch waits for records that are known to be there.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// Only this store
    store: Option<String>,
}

/// What was found of one store of one task.
struct Finding<'a> {
    task: &'a TaskOnDisk,
    store: StoreSummary,
    /// `None`: the store has no changelog, so there is nothing to compare it with.
    result: Option<Verification>,
}

impl Finding<'_> {
    fn is_equal(&self) -> bool {
        self.result.as_ref().is_none_or(Verification::is_equal)
    }

    fn differences(&self) -> impl Iterator<Item = String> + '_ {
        self.result.iter().flat_map(|result| &result.first).map(ToString::to_string)
    }
}

impl VerifyArguments {
    pub(super) fn run(
        &self,
        tasks: &[TaskOnDisk],
        deployment: &Deployment,
        output: OutputFormat,
    ) -> anyhow::Result<Outcome> {
        let log = deployment.open_reader()?;
        let tasks = match &self.store {
            Some(store) => tasks_of(tasks, store)?,
            None => tasks.iter().collect(),
        };
        let progress = progress_bar(tasks.len() as u64, "comparing");
        let mut findings = Vec::new();
        for task in tasks {
            for store in task.reader.summaries()? {
                if self.store.as_ref().is_none_or(|wanted| *wanted == store.name) {
                    let result = compare(task, &store, log.as_ref())?;
                    findings.push(Finding { task, store, result });
                }
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        match output {
            OutputFormat::Text => write_text(&findings)?,
            OutputFormat::Json => write_json(&findings)?,
        }
        Ok(Outcome::of(findings.iter().all(Finding::is_equal)))
    }
}

/// Folds the changelog up to where the store has come, and compares.
fn compare(task: &TaskOnDisk, store: &StoreSummary, log: &dyn Log) -> anyhow::Result<Option<Verification>> {
    let Some(changelog) = &store.changelog else { return Ok(None) };
    let partition = TopicPartition::new(changelog.as_str(), task.partition()?);
    let checkpoint =
        task.reader.checkpoint().and_then(|checkpoint| checkpoint.changelog_offsets.get(changelog.as_str()));
    let checkpoint = checkpoint.copied().unwrap_or(0);
    let mut consumer = log.consumer(None)?;
    let end = consumer.end_offset(&partition)?;
    if checkpoint > end {
        return Err(anyhow!(
            "{} of task {} has come to offset {checkpoint} of {partition}, which ends at {end}: the state does not belong to this log",
            store.name,
            task.task
        ));
    }
    let mut fold = Fold::new();
    consumer.assign(&partition, 0)?;
    while consumer.position(&partition).is_some_and(|position| position < checkpoint) {
        for batch in consumer.poll(FETCH_RECORDS, FETCH_TIMEOUT)?.batches {
            batch.records.iter().filter(|record| record.offset < checkpoint).for_each(|record| fold.apply(record));
        }
    }
    Ok(Some(verify(&task.reader, &store.name, &fold, SHOWN)?))
}

fn write_text(findings: &[Finding<'_>]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut table = table(&["APPLICATION", "TASK", "STORE", "ENTRIES", "RESULT"], &[3]);
    for finding in findings {
        let result = match &finding.result {
            None => "no changelog".to_owned(),
            Some(result) if result.is_equal() => "equal".to_owned(),
            Some(result) => format!("{} keys differ", grouped(result.differing)),
        };
        let TaskOnDisk { application, task, .. } = finding.task;
        let entries = grouped(finding.store.entries);
        table.add_row([application.clone(), task.clone(), finding.store.name.clone(), entries, result]);
    }
    writeln!(stdout, "{}", table.trim_fmt())?;
    for finding in findings.iter().filter(|finding| !finding.is_equal()) {
        writeln!(stdout, "\n{} of task {}:", finding.store.name, finding.task.task)?;
        for difference in finding.differences() {
            writeln!(stdout, "  {difference}")?;
        }
    }
    Ok(())
}

fn write_json(findings: &[Finding<'_>]) -> io::Result<()> {
    let stores: Vec<Json> = findings
        .iter()
        .map(|finding| {
            json!({
                "application": finding.task.application,
                "task": finding.task.task,
                "store": finding.store.name,
                "entries": finding.store.entries,
                "compared": finding.result.is_some(),
                "differing": finding.result.as_ref().map_or(0, |result| result.differing),
                "differences": finding.differences().collect::<Vec<_>>(),
            })
        })
        .collect();
    let equal = findings.iter().all(Finding::is_equal);
    writeln!(io::stdout().lock(), "{:#}", json!({ "equal": equal, "stores": stores }))
}
