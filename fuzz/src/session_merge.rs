//! Sessions against a model that looks at every session each time: any sequence of records, late and out of order, with
//! crashes in between, gives the outputs of the model, in order.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::{DriverOptions, InputRecord, TopologyDriver};
use signalstream::topology::{PlanOptions, load};

use super::feed::Feed;
use super::outcome;

const GAP: i64 = 5;
const GRACE: i64 = 4;
/// After so many inputs a new driver begins, because a driver's log in memory only grows.
const INPUTS: u32 = 400;
/// An input of more steps finds nothing that a shorter one does not.
const STEPS: usize = 64;

const TOPOLOGY: &str = "topology: sessions
sources:
  in: {topic: in, key: string, value: string}
tables:
  rows:
    from: in
    window: {session: 5ms, grace: 4ms}
    fold: {init: \"''\", add: acc + value, merge: acc + other}
streams:
  out:
    from: rows
    steps:
      - to_stream
      - select_key: key + ' ' + string(int(window.start)) + ' ' + string(int(window.end))
sinks:
  - {from: out, topic: out, key: string, value: string}
";

/// What is handed on: the key with its session, the text or null, the time.
type Output = (String, Json, i64);

/// A driver that takes one input after the other, each at later times and under keys of its own.
struct Run {
    driver: TopologyDriver,
    inputs: u32,
    /// Stream time.
    now: Option<i64>,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// Feeds records; every two bytes are one.
pub fn run(data: &[u8]) -> u64 {
    RUN.with_borrow_mut(|kept| {
        let mut run = kept.take().filter(|run| run.inputs < INPUTS).unwrap_or_else(Run::new);
        let outcome = run.input(data);
        *kept = Some(run);
        outcome
    })
}

impl Run {
    fn new() -> Run {
        let (registry, agents) = (SchemaRegistry::new(), Agents::local());
        let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
        let topology = load("sessions.yaml", TOPOLOGY, &options).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let options = DriverOptions { caching: false, ..DriverOptions::default() };
        let driver = TopologyDriver::new(Arc::new(topology), &registry, options);
        Run { driver: driver.unwrap_or_else(|error| panic!("{error}")), inputs: 0, now: None }
    }

    fn input(&mut self, data: &[u8]) -> u64 {
        self.inputs += 1;
        let begin = self.now.map_or(0, |now| now + 100 * (GAP + GRACE));
        let (mut time, mut model) = (begin, Model { sessions: Vec::new(), now: self.now, outputs: Vec::new() });
        let mut feed = Feed::new(data);
        for step in 0..STEPS {
            if feed.is_empty() {
                break;
            }
            let (what, how_far) = (feed.byte(), i64::from(feed.byte().cast_signed()));
            if what > 250 {
                self.driver.crash().unwrap_or_else(|error| panic!("{error}"));
                continue;
            }
            let moved = if what & 4 == 0 { how_far % (GAP + 2) } else { how_far };
            time = (time + moved).max(begin);
            let key = format!("{}-{}", self.inputs, what & 1);
            let text = char::from(b'a' + (step % 26) as u8).to_string();
            self.pipe(&key, &text, time);
            model.add(&key, &text, time);
        }
        let outputs = self.driver.take_outputs().into_iter();
        let found: Vec<Output> =
            outputs.map(|out| (out.key.as_str().unwrap_or_default().to_owned(), out.value, out.timestamp)).collect();
        assert_eq!(found, model.outputs);
        self.now = model.now;
        // How many were merged, again and again, is what makes one input differ from another.
        outcome::of(model.outputs.iter().map(|(_, text, _)| if text.is_null() { "replaced" } else { "session" }))
    }

    fn pipe(&mut self, key: &str, text: &str, time: i64) {
        let record = InputRecord {
            topic: "in".to_owned(),
            partition: None,
            key: json!(key),
            value: json!(text),
            value_base64: None,
            timestamp: Some(time),
            headers: Map::new(),
        };
        self.driver.pipe(&record).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[derive(Clone)]
struct Session {
    key: String,
    start: i64,
    end: i64,
    text: String,
}

/// All sessions of one input, in one list.
struct Model {
    sessions: Vec<Session>,
    now: Option<i64>,
    outputs: Vec<Output>,
}

impl Model {
    fn add(&mut self, key: &str, text: &str, time: i64) {
        // What was past its retention before the record came is gone, whatever the record does to the time.
        if let Some(now) = self.now {
            self.sessions.retain(|session| session.end > now - GAP - GRACE);
        }
        let now = self.now.map_or(time, |now| now.max(time));
        self.now = Some(now);
        let (mut reached, others): (Vec<_>, Vec<_>) = self
            .sessions
            .drain(..)
            .partition(|session| session.key == key && session.end + GAP >= time && session.start - GAP <= time);
        reached.sort_by_key(|session| session.start);
        let start = reached.first().map_or(time, |session| session.start.min(time));
        let end = reached.iter().map(|session| session.end).fold(time, i64::max);
        self.sessions = others;
        if end + GAP + GRACE < now {
            self.sessions.extend(reached);
            return;
        }
        let name = |start: i64, end: i64| format!("{key} {start} {end}");
        let grows = (start, end) != (time, time);
        let replaced = reached.iter().filter(|_| grows);
        self.outputs.extend(replaced.map(|old| (name(old.start, old.end), Json::Null, old.end)));
        let text = reached.iter().map(|session| session.text.as_str()).collect::<String>() + text;
        self.outputs.push((name(start, end), json!(text), end));
        self.sessions.push(Session { key: key.to_owned(), start, end, text });
    }
}
