//! `signalstream test`: the tests that stand beside topologies.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::agents::Agents;
use crate::testing::scenario::{CaseReport, FileReport, ScenarioOptions, run_file};
use crate::topology::Diagnostics;

use super::Outcome;
use super::load::SchemaArguments;
use super::output::{OutputFormat, color_is_wanted};

const SUFFIX: &str = ".test.yaml";

/// Run the tests of topologies (*.test.yaml)
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalstream test topologies/
  signalstream test topologies/support-intelligence.test.yaml --filter 'reference case'

Exit status: 0 when all tests pass, 1 when one does not, or a file has mistakes, or no test was found.")]
pub(super) struct TestCommand {
    /// Test files, and directories that are searched for them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Only the tests whose names contain this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// How to report
    #[arg(long, default_value = "text")]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemaArguments,
}

#[derive(Default)]
struct Summary {
    passed: usize,
    failed: usize,
    broken_files: usize,
}

impl Summary {
    fn add(&mut self, report: &Result<FileReport, Diagnostics>) {
        match report {
            Ok(report) => {
                let failed = report.cases.iter().filter(|case| !case.failures.is_empty()).count();
                self.failed += failed;
                self.passed += report.cases.len() - failed;
            }
            Err(_) => self.broken_files += 1,
        }
    }

    fn is_good(&self) -> bool {
        self.failed == 0 && self.broken_files == 0 && self.passed > 0
    }
}

impl TestCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let agents = Agents::local();
        let mut summary = Summary::default();
        let mut stdout = io::stdout().lock();
        let color = stdout.is_terminal() && color_is_wanted();
        let mut reports = Vec::new();
        for file in self.files()? {
            let registry = self.schemas.registry(Some(super::load::directory_of(&file)))?;
            let options = ScenarioOptions {
                filter: self.filter.as_deref(),
                processors: Some(super::load::processors()),
                ..ScenarioOptions::new(&registry, &agents)
            };
            let report = run_file(&file, &options);
            summary.add(&report);
            match self.output {
                OutputFormat::Text => write_report(&mut stdout, &file, &report, color)?,
                OutputFormat::Json => reports.push(as_json(&file, &report)),
            }
        }
        let Summary { passed, failed, broken_files } = summary;
        if self.output == OutputFormat::Json {
            let report = json!({
                "passed": passed, "failed": failed, "broken_files": broken_files, "files": reports,
            });
            writeln!(stdout, "{report:#}")?;
        } else {
            let broken = if broken_files > 0 { format!(", {broken_files} files with mistakes") } else { String::new() };
            writeln!(stdout, "{passed} passed, {failed} failed{broken}")?;
        }
        if passed + failed + broken_files == 0 {
            let filter = self.filter.unwrap_or_default();
            return Err(anyhow!("no test has `{filter}` in its name"));
        }
        Ok(Outcome::of(summary.is_good()))
    }

    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let before = files.len();
            search(path, &mut files)?;
            if files.len() == before {
                return Err(anyhow!("{} holds no test: their names end in {SUFFIX}", path.display()));
            }
        }
        Ok(files)
    }
}

/// Adds the test files of a directory and those below it, by name.
fn search(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("{} cannot be searched", directory.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        entries.push((entry.path(), entry.file_type().with_context(unreadable)?.is_dir()));
    }
    entries.sort();
    for (path, is_directory) in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_directory && !name.starts_with('.') {
            search(&path, files)?;
        } else if !is_directory && name.ends_with(SUFFIX) {
            files.push(path);
        }
    }
    Ok(())
}

fn write_report(
    out: &mut impl Write,
    file: &Path,
    report: &Result<FileReport, Diagnostics>,
    color: bool,
) -> io::Result<()> {
    let paint = |code: &str, text: &str| match color {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let report = match report {
        Ok(report) if report.cases.is_empty() => return Ok(()),
        Ok(report) => report,
        Err(diagnostics) => return writeln!(out, "{}", diagnostics.render(color)),
    };
    writeln!(out, "{}", file.display())?;
    for case in &report.cases {
        let mark = if case.failures.is_empty() { paint("32", "ok  ") } else { paint("1;31", "FAIL") };
        writeln!(out, "  {mark} {} ({:.1?})", case.name, case.duration)?;
        for failure in &case.failures {
            for line in failure.trim_end().lines() {
                writeln!(out, "         {line}")?;
            }
        }
    }
    writeln!(out)
}

fn as_json(file: &Path, report: &Result<FileReport, Diagnostics>) -> Json {
    let file = file.display().to_string();
    match report {
        Ok(report) => {
            let case = |case: &CaseReport| {
                json!({
                    "name": case.name,
                    "line": case.line,
                    "passed": case.failures.is_empty(),
                    "duration_ms": case.duration.as_secs_f64() * 1_000.0,
                    "failures": case.failures,
                })
            };
            let cases: Vec<Json> = report.cases.iter().map(case).collect();
            json!({ "file": file, "topology": report.topology.display().to_string(), "tests": cases })
        }
        Err(diagnostics) => json!({ "file": file, "mistakes": diagnostics.to_string(), "tests": [] }),
    }
}
