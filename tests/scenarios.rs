//! The golden scenarios of `tests/scenarios/` (what each verb does, to the letter, as data) and the tests of the
//! topologies that ship.
//!
//! Every scenario also shows three things that hold always: the same input gives the same bytes (I7), decoding
//! only the fields that are used changes nothing, and a crash between any two events changes nothing (I1).

use std::path::{Path, PathBuf};

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::scenario::{CaseReport, FileReport, ScenarioOptions, run_file};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios() -> Vec<PathBuf> {
    let directories = ["tests/scenarios", "topologies"].map(|name| std::fs::read_dir(top().join(name)).unwrap());
    let mut files: Vec<PathBuf> = directories
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".test.yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn schemas() -> SchemaRegistry {
    let mut schemas = SchemaRegistry::new();
    schemas.load_directory(&top().join("schemas")).unwrap();
    schemas.load_directory(&top().join("tests/scenarios/schemas")).unwrap();
    schemas
}

fn run(file: &Path, options: &ScenarioOptions<'_>) -> FileReport {
    run_file(file, options).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// What `signalstream drive` would print.
fn lines(case: &CaseReport) -> String {
    case.outputs.iter().map(|record| record.to_json().to_string() + "\n").collect()
}

/// Compares the lines of every test under other options with those under the usual ones.
fn assert_same_lines(what: &str, usual: &FileReport, other: &FileReport) {
    for (usual, other) in usual.cases.iter().zip(&other.cases) {
        assert_eq!(lines(usual), lines(other), "{}:{}: {what}: {}", other.line, usual.line, usual.name);
    }
}

#[test]
fn every_scenario_ends_as_expected() {
    let (schemas, agents) = (schemas(), Agents::local());
    let mut failures = String::new();
    let mut count = 0;
    for file in scenarios() {
        match run_file(&file, &ScenarioOptions::new(&schemas, &agents)) {
            Err(mistakes) => failures.push_str(&format!("{mistakes}\n")),
            Ok(report) => {
                count += report.cases.len();
                for case in report.cases.iter().filter(|case| !case.failures.is_empty()) {
                    failures.push_str(&format!("{}\n  {}\n", case.name, case.failures.join("\n  ")));
                }
            }
        }
    }
    assert!(failures.is_empty(), "of {count} scenarios, these failed:\n{failures}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (schemas, agents) = (schemas(), Agents::local());
    let options = ScenarioOptions::new(&schemas, &agents);
    for file in scenarios() {
        assert_same_lines("two runs differ", &run(&file, &options), &run(&file, &options));
    }
}

#[test]
fn decoding_only_what_is_used_changes_nothing() {
    let (schemas, agents) = (schemas(), Agents::local());
    let options = ScenarioOptions::new(&schemas, &agents);
    let whole = ScenarioOptions { projection: false, ..options };
    for file in scenarios() {
        assert_same_lines("decoding everything differs", &run(&file, &options), &run(&file, &whole));
    }
}

#[test]
fn a_crash_between_any_two_events_changes_nothing() {
    let (schemas, agents) = (schemas(), Agents::local());
    for caching in [false, true] {
        let options = ScenarioOptions { caching: Some(caching), ..ScenarioOptions::new(&schemas, &agents) };
        for file in scenarios() {
            for usual in run(&file, &options).cases.iter().filter(|case| !caching || case.replayable) {
                for event in 1..=usual.events {
                    let filter = Some(usual.name.as_str());
                    let crashed = run(&file, &ScenarioOptions { filter, crash_after: Some(event), ..options });
                    let crashed = crashed.cases.iter().find(|case| case.name == usual.name).unwrap();
                    let what = format!("{}: a crash after event {event} shows", file.display());
                    assert_eq!(lines(usual), lines(crashed), "{what} (cache {caching}): {}", usual.name);
                }
            }
        }
    }
}
