//! Tests of a topology as data: `NAME.test.yaml` beside `NAME.yaml`.
//!
//! A test lists what happens (records, steps of the wall clock, crashes) and what is expected of it on topics
//! and in stores. It runs the real tasks and commits over a log in memory. `docs/testing.md` is its reference.

mod check;
mod compare;
mod literal;
mod mock;
mod run;
mod spec;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::OutputRecord;
use crate::agents::Agents;
use crate::processor::Processors;
use crate::serdes::SchemaRegistry;
use crate::time::{Clock, SystemClock};
use crate::topology::spec::{Lower, Named};
use crate::topology::{self, Diagnostics, PlanOptions, pattern};
use crate::yaml::{self, Span};
use crate::yaml::{Diagnostic, Problems};
use check::Known;
use run::CaseRun;
use spec::{CaseSpec, FileSpec};

/// What tests run with.
#[derive(Clone, Copy)]
pub struct ScenarioOptions<'a> {
    /// Run only the tests whose names contain this text.
    pub filter: Option<&'a str>,
    /// The schemas that the topology may name.
    pub schemas: &'a SchemaRegistry,
    /// The agents that mocks do not stand in for.
    pub agents: &'a Agents,
    /// The processors that the topology may name; `None`: none.
    pub processors: Option<&'a Processors>,
    /// Whether sources decode only the fields that the plan uses. It must make no difference to any test.
    pub projection: bool,
    /// Whether the cache is on or off, whatever the tests say.
    pub caching: Option<bool>,
    /// Crash once more, after this many records and other events. With the cache off it must make no
    /// difference to what comes out; with the cache on neither, where [`CaseReport::replayable`] holds.
    pub crash_after: Option<usize>,
}

impl<'a> ScenarioOptions<'a> {
    /// Runs every test as it is written.
    pub fn new(schemas: &'a SchemaRegistry, agents: &'a Agents) -> Self {
        let (filter, processors, caching, crash_after) = (None, None, None, None);
        ScenarioOptions { filter, schemas, agents, processors, projection: true, caching, crash_after }
    }
}

/// What came of the tests of a file.
#[derive(Debug)]
pub struct FileReport {
    /// The test file.
    pub file: PathBuf,
    /// The topology that it tests.
    pub topology: PathBuf,
    /// What the file says that its tests are about.
    pub description: Option<String>,
    /// The tests that ran, in order.
    pub cases: Vec<CaseReport>,
}

impl FileReport {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.failures.is_empty())
    }
}

/// What came of a test.
#[derive(Debug)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Where it stands in its file, counted from 1.
    pub line: usize,
    /// How long it took.
    pub duration: Duration,
    /// What was not as expected, each starting with `FILE:LINE: `; none: the test passed.
    pub failures: Vec<String>,
    /// Everything that came out, in order of emission.
    pub outputs: Vec<OutputRecord>,
    /// How many records and other events went in.
    pub events: usize,
    /// Whether doing it all again after a crash comes to the same: records went in by ascending timestamps,
    /// which is the order in which a task takes those that wait, and no mock counts its calls.
    pub replayable: bool,
}

/// Runs the tests of a file.
///
/// # Errors
/// All mistakes in the test file, or in the topology's, when there are any: then no test ran.
pub fn run_file(path: &Path, options: &ScenarioOptions<'_>) -> Result<FileReport, Diagnostics> {
    let suite = Suite::load(path, options)?;
    let clock = SystemClock::new();
    let selected = |case: &&CaseSpec| options.filter.is_none_or(|filter| case.name.text.contains(filter));
    let mut cases = Vec::new();
    for case in suite.spec.tests.iter().filter(selected) {
        let started = clock.elapsed();
        let run = CaseRun {
            case,
            defaults: suite.spec.defaults.as_ref(),
            topology: Arc::new(suite.plan(Some(case), options)?),
            options,
            lines: &suite.lines,
        };
        // What a crash takes back would find the rows of global tables as they are by then.
        let looks_up = !run.topology.globals.is_empty();
        let outcome = run.run();
        cases.push(CaseReport {
            name: case.name.text.clone(),
            line: suite.lines.line(&case.name.span),
            duration: clock.elapsed().saturating_sub(started),
            failures: outcome.failures,
            outputs: outcome.outputs,
            events: outcome.events,
            replayable: suite.is_replayable(case) && !looks_up,
        });
    }
    let description = suite.spec.description.map(|description| description.text);
    Ok(FileReport { file: path.to_owned(), topology: suite.topology_path, description, cases })
}

/// The JSON Schema (draft 2020-12) of test files, made from the definitions that the parser uses.
pub fn json_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<FileSpec>();
    schema.insert("title".to_owned(), "tests of a signalstream topology".into());
    schema.to_value()
}

/// A test file that has been read and fits its topology.
struct Suite {
    spec: FileSpec,
    lines: LineIndex,
    topology_path: PathBuf,
    topology_text: String,
}

impl Suite {
    fn load(path: &Path, options: &ScenarioOptions<'_>) -> Result<Self, Diagnostics> {
        let file = path.display().to_string();
        let (text, unreadable) = match std::fs::read_to_string(path) {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        let mut problems = Problems::new(&text);
        if let Some(error) = unreadable {
            problems.report(Diagnostic::new(0..0, format!("the file cannot be read: {error}")));
        }
        let suite = Suite::read(path, &text, &mut problems);
        if let Some(suite) = &suite {
            let topology = suite.plan(None, options)?;
            // Two patterns that take one topic keep the tests that name it from starting.
            let sized = suite.spec.defaults.iter().flat_map(|defaults| &defaults.partitions).flat_map(Named::iter);
            let named = sized.map(|(name, _)| name.text.as_str());
            let named = named.chain(suite.spec.tests.iter().flat_map(CaseSpec::topics));
            let topology = pattern::on_topics(&topology, named).unwrap_or(Cow::Borrowed(&topology));
            Known::new(&topology, options.agents, options.schemas).check(&suite.spec, &mut problems);
        }
        match (problems.finish(&file), suite) {
            (None, Some(suite)) => Ok(suite),
            (Some(diagnostics), _) => Err(diagnostics),
            (None, None) => Err(Diagnostics::internal(&file, &text)),
        }
    }

    /// Reads the file and its topology's. `None`: the reason is among the problems.
    fn read(path: &Path, text: &str, problems: &mut Problems) -> Option<Self> {
        if problems.count() > 0 {
            return None;
        }
        let node = yaml::parse(text, yaml::TOPOLOGY, problems)?;
        let spec = FileSpec::lower(&node, problems)?;
        let (name, place) = match &spec.topology {
            Some(topology) => (topology.text.clone(), topology.span.clone()),
            None => (default_topology(path), spec.span.clone()),
        };
        let topology_path = path.parent().unwrap_or(Path::new("")).join(name);
        match std::fs::read_to_string(&topology_path) {
            Ok(topology_text) => {
                let lines = LineIndex { file: path.display().to_string(), text: text.to_owned() };
                Some(Suite { spec, lines, topology_path, topology_text })
            }
            Err(error) => {
                let message = format!("the topology `{}` cannot be read: {error}", topology_path.display());
                problems
                    .report(Diagnostic::new(place, message).help("`topology:` is a path from this file's directory"));
                None
            }
        }
    }

    fn is_replayable(&self, case: &CaseSpec) -> bool {
        let defaults = self.spec.defaults.as_ref().and_then(|defaults| defaults.mocks.as_ref());
        let mut mocks = defaults.into_iter().chain(&case.mocks).flat_map(Named::iter);
        case.in_order() && !mocks.any(|(_, mock)| mock.sequence.is_some())
    }

    /// Plans the topology, with the mocks of a test in the place of agents.
    fn plan(
        &self,
        case: Option<&CaseSpec>,
        options: &ScenarioOptions<'_>,
    ) -> Result<topology::plan::Topology, Diagnostics> {
        let defaults = self.spec.defaults.as_ref().and_then(|defaults| defaults.mocks.as_ref());
        let own = case.and_then(|case| case.mocks.as_ref());
        let agents = mock::with_mocks(options.agents, defaults.into_iter().chain(own));
        let plan_options = PlanOptions { registry: options.schemas, agents: &agents, projection: options.projection };
        let (path, none) = (self.topology_path.display().to_string(), Processors::new());
        topology::load_with(&path, &self.topology_text, &plan_options, options.processors.unwrap_or(&none))
    }
}

/// `NAME.yaml` for `NAME.test.yaml`.
fn default_topology(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".test.yaml").or_else(|| name.strip_suffix(".test.yml"));
    format!("{}.yaml", stem.unwrap_or("topology"))
}

/// Where things stand in a test file, for failures.
struct LineIndex {
    file: String,
    text: String,
}

impl LineIndex {
    /// The line, counted from 1.
    fn line(&self, span: &Span) -> usize {
        self.text.get(..span.start).unwrap_or_default().matches('\n').count() + 1
    }

    /// `FILE:LINE`.
    fn position(&self, span: &Span) -> String {
        format!("{}:{}", self.file, self.line(span))
    }
}
