//! Random records against a model that keeps everything in maps and looks at all of it, as Kafka Streams does.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::agents::Agents;
use crate::serdes::SchemaRegistry;
use crate::task::transaction::CommitStep;
use crate::testing::{DriverOptions, InputRecord, TopologyDriver};
use crate::topology::plan::JoinKind;
use crate::topology::stream_join::JoinWindow;
use crate::topology::{PlanOptions, load};

/// A record that comes: its side, key, whether it has a value, and its timestamp.
#[derive(Clone, Debug)]
struct Arrival {
    side: usize,
    key: Option<&'static str>,
    value: bool,
    timestamp: i64,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Arrives(Arrival),
    Commit,
    Crash,
    /// The next commit ends here. When the log has it, the stores learn of it by their changelogs.
    CrashInCommit(CommitStep),
}

const STEPS: [CommitStep; 5] =
    [CommitStep::Prepared, CommitStep::Sent, CommitStep::OffsetsSent, CommitStep::Committed, CommitStep::StoresWritten];

/// What comes out: key, value, timestamp.
type Output = (Json, Json, i64);

/// Where a record waits: by timestamp, side (the second is first) and key.
type Place = (i64, bool, &'static str);

struct Model {
    kind: JoinKind,
    window: JoinWindow,
    rows: [Vec<(&'static str, i64, i64)>; 2],
    newest: [i64; 2],
    stream_time: i64,
    least: i64,
    waiting: BTreeMap<Place, Vec<i64>>,
    outputs: Vec<Output>,
}

impl Model {
    fn new(kind: JoinKind, window: JoinWindow) -> Self {
        Model {
            kind,
            window,
            rows: [Vec::new(), Vec::new()],
            newest: [-1; 2],
            stream_time: -1,
            least: i64::MAX,
            waiting: BTreeMap::new(),
            outputs: Vec::new(),
        }
    }

    fn is_outer(&self, side: usize) -> bool {
        self.kind == JoinKind::Outer || (self.kind == JoinKind::Left && side == 0)
    }

    fn emit(&mut self, side: usize, key: Option<&str>, this: i64, other: Option<i64>, timestamp: i64) {
        let value = match side {
            0 => json!({"a": this, "b": other}),
            _ => json!({"a": other, "b": this}),
        };
        self.outputs.push((json!(key), value, timestamp));
    }

    fn arrives(&mut self, arrival: &Arrival, value: i64) {
        let Arrival { side, key, timestamp, .. } = *arrival;
        self.stream_time = self.stream_time.max(timestamp);
        if !arrival.value {
            return;
        }
        let Some(key) = key else {
            if self.is_outer(side) {
                self.emit(side, None, value, None, timestamp);
            }
            return;
        };
        let (other, window) = (1 - side, self.window);
        let over = |side: usize, time: i64, now: i64| time.saturating_add(window.ahead(side) + window.grace) < now;
        if timestamp == self.stream_time && self.least != i64::MAX && over(side, self.least, self.stream_time) {
            self.pass();
        }
        let kept_from = self.newest[other] - window.retention() + 1;
        let near = timestamp - window.behind(side)..=timestamp + window.ahead(side);
        let mut matches: Vec<(i64, i64)> = self.rows[other]
            .iter()
            .filter(|(of, at, _)| *of == key && near.contains(at) && *at >= kept_from)
            .map(|(_, at, value)| (*at, *value))
            .collect();
        matches.sort_by_key(|(at, _)| *at);
        for (at, found) in &matches {
            self.waiting.remove(&(*at, other == 0, key));
            self.emit(side, Some(key), value, Some(*found), timestamp.max(*at));
        }
        if matches.is_empty() && self.is_outer(side) {
            if over(side, timestamp, self.stream_time) {
                self.emit(side, Some(key), value, None, timestamp);
            } else {
                self.least = self.least.min(timestamp);
                self.waiting.entry((timestamp, side == 0, key)).or_default().push(value);
            }
        }
        self.rows[side].push((key, timestamp, value));
        self.newest[side] = self.newest[side].max(timestamp);
    }

    /// Looks at what waits until the first that is not over has been seen on both sides.
    fn pass(&mut self) {
        let waiting: Vec<(Place, i64)> =
            self.waiting.iter().flat_map(|(place, values)| values.iter().map(|value| (*place, *value))).collect();
        let mut open = [false; 2];
        self.least = i64::MAX;
        for ((timestamp, first_side, key), value) in waiting {
            let side = usize::from(!first_side);
            self.least = timestamp;
            if open == [true; 2] {
                break;
            }
            if timestamp + self.window.ahead(side) + self.window.grace >= self.stream_time {
                open[side] = true;
                continue;
            }
            self.emit(side, Some(key), value, None, timestamp);
            self.waiting.remove(&(timestamp, first_side, key));
        }
    }
}

fn driver(kind: JoinKind, window: JoinWindow, caching: bool) -> TopologyDriver {
    let kind = match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Outer => "outer",
    };
    let JoinWindow { before, after, grace } = window;
    let text = format!(
        "
topology: t
defaults: {{key: string, value: json}}
sources:
  a: {{topic: a}}
  b: {{topic: b}}
streams:
  joined:
    join:
      kind: {kind}
      inputs: {{a: a, b: b}}
      within: {{before: {before}ms, after: {after}ms, grace: {grace}ms}}
sinks:
  - {{from: joined, topic: out}}
"
    );
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    let topology = load("t.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let options = DriverOptions { caching, ..DriverOptions::default() };
    TopologyDriver::new(Arc::new(topology), &registry, options).unwrap()
}

fn take_outputs(driver: &mut TopologyDriver) -> Vec<Output> {
    let outputs = driver.take_outputs().into_iter();
    outputs.map(|output| (output.key, output.value, output.timestamp)).collect()
}

fn event() -> impl Strategy<Value = Event> {
    let key = prop_oneof![8 => Just(Some("k")), 4 => Just(Some("")), 4 => Just(Some("k\0")), 1 => Just(None)];
    let arrival = (0..2_usize, key, prop::bool::weighted(0.95), 0..60_i64);
    let arrival = arrival.prop_map(|(side, key, value, timestamp)| Arrival { side, key, value, timestamp });
    prop_oneof![
        30 => arrival.prop_map(Event::Arrives),
        1 => Just(Event::Commit),
        1 => Just(Event::Crash),
        1 => prop::sample::select(&STEPS[..]).prop_map(Event::CrashInCommit),
    ]
}

/// Timestamps grow from event to event, with some that come late: `drift` is how far they grow on average.
fn sequence() -> impl Strategy<Value = Vec<Event>> {
    (prop::collection::vec(event(), 1..60), 0..4_i64).prop_map(|(mut events, drift)| {
        for (position, event) in events.iter_mut().enumerate() {
            if let Event::Arrives(arrival) = event {
                let spread = if drift == 0 { 1 } else { 3 };
                arrival.timestamp = position as i64 * drift + arrival.timestamp / spread;
            }
        }
        events
    })
}

fn run(kind: JoinKind, window: JoinWindow, caching: bool, events: &[Event]) -> Result<(), TestCaseError> {
    let mut driver = driver(kind, window, caching);
    let mut model = Model::new(kind, window);
    let mut outputs = Vec::new();
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Arrives(arrival) => {
                let record = InputRecord {
                    topic: ["a", "b"][arrival.side].to_owned(),
                    key: json!(arrival.key),
                    value: if arrival.value { json!(number) } else { Json::Null },
                    timestamp: Some(arrival.timestamp),
                    partition: None,
                    value_base64: None,
                    headers: Default::default(),
                };
                driver.pipe(&record).unwrap();
                model.arrives(arrival, number as i64);
            }
            Event::Commit => driver.finish().unwrap(),
            // Several records that a crash takes back come again in the order of their timestamps, not as they came.
            Event::Crash => {
                driver.finish().unwrap();
                driver.crash().unwrap();
            }
            Event::CrashInCommit(step) => {
                driver.finish().unwrap();
                let step = if caching { CommitStep::Committed } else { *step };
                driver.crash_at(driver.commits(), step);
            }
        }
        outputs.extend(take_outputs(&mut driver));
    }
    driver.finish().unwrap();
    outputs.extend(take_outputs(&mut driver));
    prop_assert_eq!(&outputs, &model.outputs);
    let waiting: usize = model.waiting.values().map(Vec::len).sum();
    let kept = ["joined-a-unmatched", "joined-b-unmatched"];
    let stored: usize = kept.iter().filter_map(|store| driver.store_rows(store).ok()).map(|rows| rows.len()).sum();
    prop_assert_eq!(stored, waiting, "what waits");
    Ok(())
}

fn kind() -> impl Strategy<Value = JoinKind> {
    prop::sample::select(&[JoinKind::Inner, JoinKind::Left, JoinKind::Outer][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_join_gives_what_a_model_that_looks_at_everything_gives(
        kind in kind(),
        (before, after, grace) in (0..12_i64, 0..12_i64, prop_oneof![Just(0_i64), 0..8_i64]),
        caching in any::<bool>(),
        events in sequence(),
    ) {
        run(kind, JoinWindow { before, after, grace }, caching, &events)?;
    }
}

/// A counted row that a commit hands on has no input at hand any more; and before it is joined, it lets out more than one
/// part of what waits.
#[test]
fn a_record_that_waited_for_what_it_made_over_fails_as_the_policy_says() {
    let text = r#"
topology: t
defaults: {key: string, value: json, dlq: failed}
sources:
  a: {topic: a}
  b: {topic: b}
tables:
  counts: {from: b, aggregate: {n: count()}}
streams:
  counted: {from: counts, steps: [to_stream]}
  joined:
    join:
      kind: left
      inputs: {a: a, c: counted}
      within: {before: 100ms, after: 100ms, grace: 0s}
    map_values: {n: "c == null ? 0 : 100 / (c.n - 1)"}
sinks:
  - {from: joined, topic: out}
"#;
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    let topology = load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let mut driver = TopologyDriver::new(Arc::new(topology), &registry, DriverOptions::default()).unwrap();
    let mut pipe = |topic: &str, key: &str, timestamp| {
        let record = InputRecord {
            topic: topic.to_owned(),
            key: json!(key),
            value: json!(1),
            timestamp: Some(timestamp),
            partition: None,
            value_base64: None,
            headers: Default::default(),
        };
        driver.pipe(&record).unwrap();
    };
    (0..2_500).for_each(|n| pipe("a", &n.to_string(), 0));
    pipe("a", "k", 100);
    pipe("b", "k", 150);
    driver.finish().unwrap();
    assert_eq!(driver.counters().dead_letters, 1);
    let outputs = take_outputs(&mut driver);
    let unmatched = outputs.iter().filter(|(_, value, time)| *value == json!({"n": 0}) && *time == 0);
    assert_eq!(unmatched.count(), 2_500);
    assert_eq!(outputs.len(), 2_500 + 1, "and the dead letter");
}
