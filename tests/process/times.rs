//! The times at which processors are called: what of them outlives a commit, a crash and a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use signalstream::log::Log;
use signalstream::log::TopicConfig;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::processor::{
    Blueprint, Context, Processor, ProcessorError, ProcessorSupplier, Processors, PunctuationType, Record, Request,
};
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::task::{OffsetMetadata, Opening, Task, TaskOpener, TaskOptions};
use signalstream::testing::{DriverOptions, TopologyDriver};
use signalstream::time::ManualClock;

use crate::{driver, plan, record, schemas, with_step};

fn processors() -> Processors {
    Processors::new().with(Calling)
}

/// Tells of each call.
struct Calling;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    every_ms: u64,
    /// How many schedules there are, with names as long as they may be.
    #[serde(default = "one")]
    schedules: usize,
    #[serde(default)]
    by_stream_time: bool,
    /// Whether each call asks for the next ones, from the moment that it is.
    #[serde(default)]
    anew: bool,
}

fn one() -> usize {
    1
}

impl Settings {
    fn kind(&self) -> PunctuationType {
        if self.by_stream_time { PunctuationType::StreamTime } else { PunctuationType::WallClockTime }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }
}

impl ProcessorSupplier for Calling {
    fn name(&self) -> &str {
        "call"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let settings: Settings = request.config()?;
        Ok(Blueprint::new(move || Call { settings: settings.clone(), calls: 0 }))
    }
}

struct Call {
    settings: Settings,
    calls: usize,
}

impl Processor for Call {
    fn init(&mut self, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        for number in 0..self.settings.schedules {
            context.schedule(&format!("{number:040}"), self.settings.interval(), self.settings.kind())?;
        }
        Ok(())
    }

    fn process(&mut self, _record: Record, _context: &mut Context<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn punctuate(&mut self, name: &str, timestamp: i64, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        self.calls += 1;
        assert!(self.calls < 100, "it is called again and again at {timestamp}");
        if self.settings.anew {
            context.schedule_from(name, timestamp, self.settings.interval(), self.settings.kind())?;
        }
        context.forward(Record::new(name.to_owned(), timestamp, timestamp))?;
        Ok(())
    }
}

/// The times of the calls that were told to a topic.
fn called(driver: &mut TopologyDriver, topic: &str) -> Vec<i64> {
    driver.finish().unwrap();
    let outputs = driver.take_outputs();
    outputs.iter().filter(|output| output.topic == topic).map(|output| output.value.as_i64().unwrap()).collect()
}

#[test]
fn a_schedule_that_each_call_makes_anew_from_its_moment_comes_to_an_end() {
    let wall = with_step("process: {processor: call, config: {every_ms: 1000, anew: true}}");
    let mut driver_of_wall = driver(&wall, &processors());
    for millis in [1_000, 500, 500, 1_700] {
        driver_of_wall.advance_wall_clock(Duration::from_millis(millis)).unwrap();
    }
    assert_eq!(called(&mut driver_of_wall, "out"), [1_000, 2_000, 3_700]);
    let stream = with_step("process: {processor: call, config: {every_ms: 10, anew: true, by_stream_time: true}}");
    let mut driver_of_stream = driver(&stream, &processors());
    for timestamp in [5, 14, 15, 27] {
        driver_of_stream.pipe(&record("words", "a", json!(1), timestamp)).unwrap();
    }
    assert_eq!(called(&mut driver_of_stream, "out"), [5, 15, 27]);
}

/// Two processors with one store and schedules of the same name, of which one is called ten times as often.
const SHARED: &str = "
topology: t
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  b: {topic: b}
streams:
  often:
    from: a
    steps:
      - process: {processor: call, config: {every_ms: 1000}, stores: [{name: memory, key: string, value: json}]}
  seldom:
    from: b
    steps:
      - process: {processor: call, config: {every_ms: 10000}, stores: [{name: memory, key: string, value: json}]}
sinks:
  - {from: often, topic: often}
  - {from: seldom, topic: seldom}
";

#[test]
fn processors_that_share_a_store_keep_their_own_times_over_crashes() {
    for crashes in [false, true] {
        let mut driver = driver(SHARED, &processors());
        let (mut often, mut seldom) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            driver.advance_wall_clock(Duration::from_millis(500)).unwrap();
            driver.finish().unwrap();
            for output in driver.take_outputs() {
                let at = output.value.as_i64().unwrap();
                if output.topic == "often" { often.push(at) } else { seldom.push(at) }
            }
            if crashes {
                driver.crash().unwrap();
            }
        }
        assert_eq!(often, (1..=25).map(|n| n * 1_000).collect::<Vec<_>>(), "crashes: {crashes}");
        assert_eq!(seldom, [10_000, 20_000], "crashes: {crashes}");
    }
}

/// A task that was not begun, with the numbers of its last commit.
fn task(text: &str, times: &[(&str, i64)]) -> Task {
    let topology = plan(text, &processors()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
    let mut topics = BTreeMap::new();
    for topic in &topology.topics {
        log.admin().create_topic(&topic.name, &TopicConfig::new(1)).unwrap();
        topics.insert(topic.name.clone(), TopicConfig::new(1));
    }
    let state = StateDirectory::in_memory(&topology.name, StateOptions::default()).unwrap();
    let opener = TaskOpener::new(&topology, &topics, TaskOptions::default(), state);
    let opening = Opening::new(Arc::new(ManualClock::at(0)));
    let (mut parts, _) = opener.open_parts(log.as_ref(), &topology.subtopologies[0], 0, &opening).unwrap();
    parts.stream_times = times.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect();
    Task::new(parts)
}

#[test]
fn a_commit_before_a_processor_begins_keeps_its_times() {
    let text = with_step("process: {processor: call, config: {every_ms: 1000}}");
    let saved = format!("done/process-1#wall-clock:{:040}", 0);
    let mut task = task(&text, &[(&saved, 1_010), ("done/process-1", 47)]);
    let commit = task.prepare_commit(900).unwrap();
    let metadata = OffsetMetadata::parse(&commit.offsets[0].1.metadata);
    assert_eq!(metadata.times.get(&saved), Some(&1_010), "{metadata:?}");
    assert_eq!(metadata.times.get("done/process-1"), Some(&47));
    // Nor does it lose them itself, when it goes back to that commit.
    task.complete_commit(&BTreeMap::new(), 900).unwrap();
    task.roll_back();
    assert!(!task.advance_wall_clock(1_009).unwrap(), "it is too early");
    assert!(task.advance_wall_clock(1_010).unwrap(), "it is due when it was");
}

#[test]
fn a_processor_whose_store_another_one_has_by_now_goes_on_at_its_times() {
    let saved = format!("memory#wall-clock:{:040}", 0);
    let mut task = task(SHARED, &[(&saved, 700)]);
    assert!(!task.advance_wall_clock(699).unwrap(), "it is too early");
    assert!(task.advance_wall_clock(700).unwrap(), "it is due when it was");
}

#[test]
fn more_schedules_than_an_offset_has_room_for_are_refused_at_the_start() {
    let start = |steps: usize| {
        let step = "process: {processor: call, config: {every_ms: 1000, schedules: 16}}";
        let text = with_step(&vec![step; steps].join("\n      - "));
        let topology = Arc::new(plan(&text, &processors()).unwrap_or_else(|mistakes| panic!("{mistakes}")));
        let driver = TopologyDriver::new(topology, &schemas(), DriverOptions::default());
        driver.map(drop).map_err(|error| error.to_string())
    };
    start(2).expect("there is room for two");
    let error = start(4).expect_err("there is none for four");
    assert!(error.contains("68 numbers") && error.contains("windows, joins and schedules"), "{error}");
}
