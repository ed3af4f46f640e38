//! Processors: what `- process` does with the processors of a program.
//!
//! `scenarios/` are topologies with their tests, as `tests/scenarios/`; here the processors are, and what no scenario
//! shows: plans, mistakes, rollbacks.

#[path = "../../examples/processor/main.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;
mod suppliers;
mod times;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use signalstream::agents::Agents;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, ProducerRecord, TopicConfig};
use signalstream::processor::Processors;
use signalstream::record::Headers;
use signalstream::runtime::{Application, ApplicationOptions};
use signalstream::serdes::SchemaRegistry;
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::task::transaction::CommitStep;
use signalstream::testing::scenario::{CaseReport, FileReport, ScenarioOptions, run_file};
use signalstream::testing::{DriverOptions, InputRecord, TopologyDriver};
use signalstream::time::{Clock, SystemClock};
use signalstream::topology::plan::{Topology, Verb};
use signalstream::topology::{DescribeFormat, Diagnostics, PlanOptions, describe, load_with};
use suppliers::{Counted, Lives};

fn scenarios() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/scenarios");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(".test.yaml")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// How a test file is run otherwise than it is written.
#[derive(Clone, Copy, Default)]
struct Otherwise<'a> {
    /// Decode everything.
    whole: bool,
    caching: Option<bool>,
    /// Only the test of this name.
    only: Option<&'a str>,
    crash_after: Option<usize>,
}

fn run(file: &Path, otherwise: Otherwise<'_>) -> FileReport {
    let (schemas, agents, processors) = (schemas(), Agents::local(), suppliers::all());
    let options = ScenarioOptions {
        processors: Some(&processors),
        projection: !otherwise.whole,
        caching: otherwise.caching,
        filter: otherwise.only,
        crash_after: otherwise.crash_after,
        ..ScenarioOptions::new(&schemas, &agents)
    };
    run_file(file, &options).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn schemas() -> SchemaRegistry {
    let mut schemas = SchemaRegistry::new();
    schemas.load_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")).unwrap();
    schemas
}

fn lines(case: &CaseReport) -> String {
    case.outputs.iter().map(|record| record.to_json().to_string() + "\n").collect()
}

fn plan(text: &str, processors: &Processors) -> Result<Topology, Diagnostics> {
    let (schemas, agents) = (schemas(), Agents::local());
    let options = PlanOptions { registry: &schemas, agents: &agents, projection: true };
    load_with("topology.yaml", text, &options, processors)
}

#[test]
fn every_scenario_ends_as_expected() {
    let mut failures = String::new();
    for file in scenarios() {
        for case in run(&file, Otherwise::default()).cases.iter().filter(|case| !case.failures.is_empty()) {
            failures.push_str(&format!("{}\n  {}\n", case.name, case.failures.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn the_example_does_what_its_tests_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/processor/waiting.test.yaml");
    let processors = example::processors();
    let report = {
        let (schemas, agents) = (schemas(), Agents::local());
        let options = ScenarioOptions { processors: Some(&processors), ..ScenarioOptions::new(&schemas, &agents) };
        run_file(&file, &options).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    let failures: Vec<&String> = report.cases.iter().flat_map(|case| &case.failures).collect();
    assert!(report.passed() && !report.cases.is_empty(), "{failures:#?}");
    let wrong = "process: {processor: waiting, config: {longest_wait: 60, look_every: 0}}";
    let said = said(&with_step(wrong), &processors);
    assert_eq!(said[0].0, "9:39 `waiting` cannot work here: `look_every` must be a second at the least");
}

#[test]
fn a_crash_between_any_two_events_changes_nothing() {
    let mut crashes = 0;
    for file in scenarios() {
        // Schedules that no `init` makes are gone after a crash.
        if file.ends_with("pausing.test.yaml") {
            continue;
        }
        for caching in [false, true].map(Some) {
            let usual = run(&file, Otherwise { caching, ..Otherwise::default() });
            for usual in usual.cases.iter().filter(|case| caching == Some(false) || case.replayable) {
                for event in 1..=usual.events {
                    let only = Some(usual.name.as_str());
                    let otherwise = Otherwise { caching, only, crash_after: Some(event), ..Otherwise::default() };
                    let crashed = run(&file, otherwise);
                    let what = format!("{}: a crash after event {event} shows", file.display());
                    assert_eq!(lines(usual), lines(&crashed.cases[0]), "{what} (cache {caching:?}): {}", usual.name);
                    crashes += 1;
                }
            }
        }
    }
    assert!(crashes > 50, "only {crashes} crashes");
}

#[test]
fn decoding_only_what_is_used_changes_nothing() {
    for file in scenarios() {
        let whole = Otherwise { whole: true, ..Otherwise::default() };
        let (usual, whole) = (run(&file, Otherwise::default()), run(&file, whole));
        for (usual, whole) in usual.cases.iter().zip(&whole.cases) {
            assert_eq!(lines(usual), lines(whole), "{}", usual.name);
        }
    }
}

/// A topology with one step on records of any shape.
fn with_step(step: &str) -> String {
    format!(
        "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  words: {{topic: words}}\nstreams:\n  \
         done:\n    from: words\n    steps:\n      - {step}\nsinks:\n  - {{from: done, topic: out}}\n"
    )
}

#[test]
fn the_plan_says_what_a_step_does_with_which_stores() {
    let topology = plan(&with_step("process: {processor: number}"), &suppliers::all()).unwrap();
    let text = describe(&topology, DescribeFormat::Text);
    let line = "done/process-1: process number (numbers the records of each key) with done-numbers";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("store done-numbers: key-value, changelog t-done-numbers-changelog"), "{text}");
    for format in [DescribeFormat::Mermaid, DescribeFormat::Dot, DescribeFormat::Json] {
        assert!(describe(&topology, format).contains("done-numbers"));
    }
}

#[test]
fn only_a_processor_that_may_change_keys_causes_a_repartition_topic() {
    let counted = |step: &str| {
        let text = with_step(step).replace("sinks:", "tables:\n  n: {from: done, aggregate: {n: count()}}\nsinks:");
        let topology =
            plan(&text.replace("{from: done, topic: out}", "{from: n, topic: out, key: json}"), &suppliers::all());
        let topology = topology.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        topology.topics.iter().any(|topic| topic.name.ends_with("-repartition"))
    };
    assert!(!counted("process: {processor: number}"));
    assert!(counted("process: {processor: trace}"));
    assert!(counted("process: {processor: rename}"));
}

#[test]
fn steps_that_share_a_store_are_of_one_sub_topology() {
    let text = std::fs::read_to_string(scenarios()[0].with_file_name("memory.yaml")).unwrap();
    let topology = plan(&text, &suppliers::all()).unwrap();
    assert_eq!(topology.subtopologies.len(), 1);
    let stores: Vec<_> = topology.subtopologies[0]
        .nodes
        .iter()
        .filter_map(|node| match &node.verb {
            Verb::Process(process) => Some(process.stores.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(stores, [vec![0], vec![0]]);
}

/// What is said of a step, as `LINE:COLUMN MESSAGE`, and with which help.
fn said(text: &str, processors: &Processors) -> Vec<(String, Option<String>)> {
    let found = plan(text, processors).expect_err("the topology has a mistake");
    found
        .iter()
        .map(|item| {
            let place = format!("{}:{} {}", item.line(), item.column(), item.message());
            (place, item.hint().map(str::to_owned))
        })
        .collect()
}

#[test]
fn mistakes_are_reported_where_they_are() {
    let wrong = [
        ("process: {processor: numbr}", "9:30 there is no processor `numbr`", Some("did you mean `number`?")),
        ("process: {}", "9:9 `process` needs `processor`", None),
        ("process: {processor: number, proces: x}", "9:38 `process` has no field `proces`", None),
        ("process: {processor: number, retry: 1}", "9:38 `retry` is not supported yet", None),
        (
            "process: {processor: tick, config: {stream_ms: soon}}",
            "9:36 `tick` cannot work here: invalid type: string \"soon\", expected u64",
            None,
        ),
        ("process: {processor: remember}", "9:30 `remember` cannot work here: it needs a store `memory`", None),
        (
            "process: {processor: number, stores: [{name: numbers, key: string, value: json}]}",
            "9:30 `number` has two stores that it calls `numbers`",
            Some("leave it out of `stores`, if the processor has it itself"),
        ),
        (
            "process: {processor: recall, stores: [{name: memory, key: string, value: {avro: Nothing}}]}",
            "9:89 there is no schema `Nothing`",
            None,
        ),
        (
            "process: {processor: recall, stores: [{name: memory, key: text, value: json}]}",
            "9:67 `text` is not a format",
            None,
        ),
    ];
    for (step, message, help) in wrong {
        let said = said(&with_step(step), &suppliers::all());
        let [(first, hint)] = said.as_slice() else { panic!("{step}: {said:#?}") };
        assert!(first.starts_with(message), "{step}: {first}");
        assert!(help.is_none() || hint.as_deref() == help, "{step}: {hint:?}");
    }
}

#[test]
fn a_program_without_processors_says_so() {
    let [(message, help)] = &said(&with_step("process: {processor: number}"), &Processors::new())[..] else {
        panic!("one mistake")
    };
    assert_eq!(message, "9:30 there is no processor `number`");
    assert!(help.as_deref().unwrap().starts_with("this program has registered none"), "{help:?}");
    // Nothing is said of what reads outputs that are not known.
    let text = std::fs::read_to_string(scenarios()[0].with_file_name("routing.yaml")).unwrap();
    let said = said(&text, &Processors::new());
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn outputs_are_read_by_name_and_stand_at_the_end() {
    let routed = "process: {processor: route}";
    let whole = said(&with_step(routed), &suppliers::all());
    assert!(
        whole.iter().any(|(message, help)| {
            message.contains("`done` ends in branches; read one of them")
                && help.as_deref() == Some("there is `done.small` and `done.large`")
        }),
        "{whole:#?}"
    );
    assert!(whole.iter().any(|(message, _)| message.contains("nothing reads `done.large`")), "{whole:#?}");
    let inside = said(&with_step(&format!("{routed}\n      - filter: \"true\"")), &suppliers::all());
    let message = "`route` has several outputs, and must be the last step";
    assert!(inside.iter().any(|(said, _)| said.contains(message)), "{inside:#?}");
    // What an output gives is known to what reads it.
    let text = with_step(routed)
        .replace("{from: done,", "{from: done.large, map: {n: value.larg},")
        .replace("sinks:", "sinks:\n  - {from: done.small, topic: small}");
    let unknown = said(&text, &suppliers::all());
    assert!(unknown.len() == 1 && unknown[0].0.contains("`larg`"), "{unknown:#?}");
}

#[test]
fn a_table_is_no_stream_of_records() {
    let text = "topology: t\ndefaults: {key: string, value: json}\nsources:\n  words: {topic: words, kind: table}\n\
                tables:\n  done:\n    from: words\n    steps:\n      - process: {processor: number}\nsinks:\n  \
                - {from: done, topic: out}\n";
    let said = said(text, &suppliers::all());
    assert_eq!(said[0].0, "9:9 `process` works on streams, and this is a table", "{said:#?}");
}

#[test]
fn a_store_is_shared_by_steps_that_describe_it_alike_only() {
    let text = std::fs::read_to_string(scenarios()[0].with_file_name("memory.yaml")).unwrap();
    let other = text.replacen("value: string}]}", "value: json}]}", 1);
    let unlike = said(&other, &suppliers::all());
    assert!(
        unlike.iter().any(|(message, _)| {
            message
                .contains("the store `memory` has keys in string and values of any elsewhere, and here keys in string")
        }),
        "{unlike:#?}"
    );
    let of_a_table = text.replace("streams:", "tables:\n  memory: {from: writes}\nstreams:");
    let taken = said(&of_a_table.replace("sinks:", "sinks:\n  - {from: memory, topic: rows}"), &suppliers::all());
    assert!(taken.iter().any(|(message, _)| message.contains("there is a store `memory` already")), "{taken:#?}");
}

fn record(topic: &str, key: &str, value: serde_json::Value, timestamp: i64) -> InputRecord {
    InputRecord {
        topic: topic.to_owned(),
        partition: None,
        key: json!(key),
        value,
        value_base64: None,
        timestamp: Some(timestamp),
        headers: serde_json::Map::new(),
    }
}

fn driver(text: &str, processors: &Processors) -> TopologyDriver {
    let topology = Arc::new(plan(text, processors).unwrap_or_else(|mistakes| panic!("{mistakes}")));
    TopologyDriver::new(topology, &schemas(), DriverOptions { partitions: BTreeMap::new(), ..DriverOptions::default() })
        .unwrap()
}

#[test]
fn a_processor_begins_anew_after_each_crash_and_ends_each_time() {
    let lives = Lives::default();
    let processors = Processors::new().with(Counted(lives.clone()));
    let mut driver = driver(&with_step("process: {processor: counted}"), &processors);
    let numbers = |driver: &mut TopologyDriver| {
        driver.finish().unwrap();
        let outputs = driver.take_outputs();
        outputs.iter().map(|output| output.value.as_i64().unwrap()).collect::<Vec<_>>()
    };
    driver.pipe(&record("words", "a", json!("x"), 1)).unwrap();
    driver.pipe(&record("words", "a", json!("y"), 2)).unwrap();
    assert_eq!((numbers(&mut driver), lives.begun(), lives.ended()), (vec![1, 2], 1, 0));
    driver.pipe(&record("words", "a", json!("z"), 3)).unwrap();
    driver.crash().unwrap();
    // The record comes again, to another processor.
    assert_eq!((numbers(&mut driver), lives.begun(), lives.ended()), (vec![1], 2, 1));
    drop(driver);
    assert_eq!((lives.begun(), lives.ended()), (2, 2));
}

/// What comes out of both kinds of schedules, by topic, and their stores, if the process crashes at a step of a commit.
fn ticked(text: &str, crash: Option<(u64, CommitStep)>) -> BTreeMap<String, Vec<String>> {
    let mut driver = driver(text, &suppliers::all());
    if let Some((commit, step)) = crash {
        driver.crash_at(commit, step);
    }
    for at in 0..24 {
        driver.pipe(&record("by-stream", &format!("k{}", at % 3), json!(1), at * 7)).unwrap();
        if at % 4 == 3 {
            driver.advance_wall_clock(Duration::from_millis(700)).unwrap();
        }
    }
    driver.finish().unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for output in driver.take_outputs() {
        found.entry(output.topic.clone()).or_default().push(output.to_json().to_string());
    }
    for store in ["streamed-counts", "streamed-calls", "walled-calls"] {
        let rows = driver.store_rows(store).unwrap();
        found.insert(store.to_owned(), rows.iter().map(|row| format!("{row:?}")).collect());
    }
    found
}

#[test]
fn a_crash_at_any_step_of_a_commit_changes_neither_calls_nor_stores() {
    let text = std::fs::read_to_string(scenarios()[0].with_file_name("ticking.yaml")).unwrap();
    let usual = ticked(&text, None);
    assert!(usual["streamed"].len() > 10 && usual["walled"].len() == 4, "{usual:#?}");
    let steps = [
        CommitStep::Prepared,
        CommitStep::Sent,
        CommitStep::OffsetsSent,
        CommitStep::Committed,
        CommitStep::StoresWritten,
    ];
    for commit in 1..6 {
        for step in steps {
            assert_eq!(usual, ticked(&text, Some((commit, step))), "a crash at {step:?} of commit {commit}");
        }
    }
}

#[test]
fn init_that_forwards_stops_the_application_with_the_reason() {
    let text = with_step("process: {processor: careless, config: {in_init: true}}");
    let topology = Arc::new(plan(&text, &suppliers::all()).unwrap());
    let error = TopologyDriver::new(topology, &schemas(), DriverOptions::default()).err().expect("it cannot begin");
    let message = error.to_string();
    assert!(
        message.contains("task 0_0 cannot begin: `done/process-1` failed in `init`: processor `careless`"),
        "{message}"
    );
    assert!(message.contains("`init` cannot forward"), "{message}");
}

#[test]
fn a_panic_in_a_processor_stops_the_application_with_the_reason() {
    let topology = plan(&with_step("process: {processor: careless}"), &suppliers::all()).unwrap();
    let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
    for topic in ["words", "out"] {
        log.admin().create_topic(topic, &TopicConfig::new(1)).unwrap();
    }
    let state = StateDirectory::in_memory(&topology.name, StateOptions::default()).unwrap();
    let options = ApplicationOptions { threads: 1, ..ApplicationOptions::default() };
    let clock = Arc::new(SystemClock::new());
    let application = Application::start(&topology, log.clone(), state, clock.clone(), &options).unwrap();
    let mut producer = log.transactional_producer("test").unwrap();
    producer.begin().unwrap();
    let record = ProducerRecord {
        topic: "words".into(),
        partition: 0,
        timestamp: clock.now(),
        key: Some("a".into()),
        value: Some(r#"{"fail": "panic"}"#.into()),
        headers: Headers::default(),
    };
    producer.send(record).unwrap();
    producer.commit().unwrap();
    application.wait_until_caught_up(|_| true).unwrap();
    let message = application.stop().unwrap_err().to_string();
    assert!(message.contains("process failed in `done/process-1`: processor `careless` panicked"), "{message}");
    assert!(message.contains("the processor panics"), "{message}");
}
