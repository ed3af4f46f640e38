//! Sessions and sliding windows against models that keep lists and look at all of them each time: random records, late
//! and out of order, with commits, crashes and the cache in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::agents::Agents;
use crate::record::Value;
use crate::serdes::SchemaRegistry;
use crate::state::{index_key, parse_session_key, parse_window_key};
use crate::testing::{DriverOptions, InputRecord, TopologyDriver};
use crate::time::Timestamp;
use crate::topology::{PlanOptions, load};

const GAP: i64 = 5;
const GRACE: i64 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The key, and how far before (or, negative, after) the last record the next one is.
    Record(usize, i64),
    Commit,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record =
        (0_usize..2, prop_oneof![3 => -3_i64..4, 1 => -20_i64..20]).prop_map(|(key, back)| Step::Record(key, back));
    prop::collection::vec(prop_oneof![12 => record, 1 => Just(Step::Commit), 1 => Just(Step::Crash)], 1..60)
}

/// The records of some steps: key, text and time. `steps` are worked off by the driver on the way.
fn drive(window: &str, caching: bool, steps: &[Step]) -> (TopologyDriver, Vec<(String, String, Timestamp)>) {
    let merge = if window.contains("session") { "\n      merge: acc + other" } else { "" };
    let text = format!(
        "topology: model
sources:
  in: {{topic: in, key: string, value: string}}
tables:
  rows:
    from: in
    window: {window}
    fold:
      init: \"''\"
      add: acc + value{merge}
streams:
  out:
    from: rows
    steps:
      - to_stream
      - select_key: key + ' ' + string(int(window.start)) + ' ' + string(int(window.end))
sinks:
  - {{from: out, topic: out, key: string, value: string}}
"
    );
    let (registry, agents) = (SchemaRegistry::new(), Agents::local());
    let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
    let topology = load("model.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let options = DriverOptions { caching, ..DriverOptions::default() };
    let mut driver = TopologyDriver::new(Arc::new(topology), &registry, options).unwrap();
    let (mut time, mut records) = (30_i64, Vec::new());
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Record(key, back) => {
                time = (time - back).max(0);
                let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
                let (key, value) = (format!("k{key}"), letter.to_string());
                let record = InputRecord {
                    topic: "in".to_owned(),
                    partition: None,
                    key: json!(key),
                    value: json!(value),
                    value_base64: None,
                    timestamp: Some(time),
                    headers: serde_json::Map::new(),
                };
                driver.pipe(&record).unwrap();
                records.push((key, value, time));
            }
            Step::Commit => driver.finish().unwrap(),
            Step::Crash => driver.crash().unwrap(),
        }
    }
    driver.finish().unwrap();
    (driver, records)
}

/// What a model hands on: key with window, value and time.
type Output = (String, Json, Timestamp);

fn outputs(driver: &mut TopologyDriver) -> Vec<Output> {
    let outputs = driver.take_outputs().into_iter();
    outputs.map(|record| (record.key.as_str().unwrap().to_owned(), record.value, record.timestamp)).collect()
}

/// The last value of each row.
fn table(outputs: &[Output]) -> BTreeMap<String, Json> {
    let mut table = BTreeMap::new();
    for (key, value, _) in outputs {
        match value {
            Json::Null => table.remove(key),
            value => table.insert(key.clone(), value.clone()),
        };
    }
    table
}

#[derive(Clone, Debug)]
struct Session {
    key: String,
    start: Timestamp,
    end: Timestamp,
    text: String,
}

/// All sessions in one list, and what is handed on.
fn model_sessions(records: &[(String, String, Timestamp)]) -> (Vec<Session>, Vec<Output>) {
    let (mut sessions, mut outputs): (Vec<Session>, Vec<Output>) = (Vec::new(), Vec::new());
    let mut before: Option<Timestamp> = None;
    for (key, value, time) in records {
        let now = before.map_or(*time, |before| before.max(*time));
        sessions.retain(|session| before.is_none_or(|before| session.end > before - GAP - GRACE));
        let close = |session: &Session| session.key == *key && session.end >= time - GAP && session.start <= time + GAP;
        let mut reached: Vec<Session> = sessions.iter().filter(|session| close(session)).cloned().collect();
        reached.sort_by_key(|session| session.end);
        let start = reached.iter().map(|session| session.start).chain([*time]).min().unwrap();
        let end = reached.iter().map(|session| session.end).chain([*time]).max().unwrap();
        before = Some(now);
        if end < now - GAP - GRACE {
            continue;
        }
        let name = |session: &Session| format!("{key} {} {}", session.start, session.end);
        if (start, end) != (*time, *time) {
            outputs.extend(reached.iter().map(|session| (name(session), Json::Null, session.end)));
        }
        sessions.retain(|session| !close(session));
        let text = reached.iter().map(|session| session.text.as_str()).collect::<String>() + value;
        let merged = Session { key: key.clone(), start, end, text };
        outputs.push((name(&merged), json!(merged.text), end));
        sessions.push(merged);
    }
    (sessions, outputs)
}

/// What each sliding window has, by definition: the letters of all records that are within it.
fn model_sliding(difference: i64, records: &[(String, String, Timestamp)]) -> BTreeMap<String, String> {
    let mut windows = BTreeMap::new();
    for (key, _, time) in records {
        for start in [(time - difference).max(0), time + 1] {
            let end = start + difference;
            let within = records.iter().filter(|(of, _, time)| of == key && (start..=end).contains(time));
            let mut letters: Vec<&str> = within.map(|(_, letter, _)| letter.as_str()).collect();
            letters.sort_unstable();
            if !letters.is_empty() {
                windows.insert(format!("{key} {start} {end}"), letters.concat());
            }
        }
    }
    windows
}

fn sorted(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_those_of_a_list(steps in steps()) {
        let window = format!("{{session: {GAP}ms, grace: {GRACE}ms}}");
        let (mut driver, records) = drive(&window, false, &steps);
        let (sessions, expected) = model_sessions(&records);
        prop_assert_eq!(outputs(&mut driver), expected);
        // The store has what the model has, and the index an entry for each.
        let rows = driver.store_rows("rows").unwrap();
        let now = records.iter().map(|(_, _, time)| *time).max().unwrap_or(0);
        for session in sessions.iter().filter(|session| session.end >= now - GAP - GRACE) {
            let found = rows.iter().filter_map(|(key, _, value)| Some((parse_session_key(key)?, value)));
            let mut texts = found
                .filter(|((window, key), _)| {
                    (window.start, window.end) == (session.start, session.end) && *key == session.key.as_bytes()
                })
                .map(|(_, value)| value.as_str());
            prop_assert_eq!(texts.next().flatten(), Some(session.text.as_str()));
        }
        // One that is over may have lost its entry to another that starts when it did.
        let entries = driver.store_rows("rows-index").unwrap();
        let has = |session: &Session| {
            let mut entry = Vec::new();
            index_key(session.key.as_bytes(), session.start, &mut entry);
            entries.iter().any(|(key, _, end)| *key == entry && *end == Value::Int(session.end))
        };
        prop_assert!(sessions.iter().filter(|session| session.end > now - GAP - GRACE).all(has));
        prop_assert!(entries.len() <= rows.len());
    }

    #[test]
    fn the_cache_makes_no_difference_to_what_sessions_come_to(steps in steps()) {
        let window = format!("{{session: {GAP}ms, grace: 10s}}");
        let (mut with, _) = drive(&window, true, &steps);
        let (mut without, _) = drive(&window, false, &steps);
        prop_assert_eq!(table(&outputs(&mut with)), table(&outputs(&mut without)));
        prop_assert_eq!(with.store_rows("rows").unwrap(), without.store_rows("rows").unwrap());
        prop_assert_eq!(with.store_rows("rows-index").unwrap(), without.store_rows("rows-index").unwrap());
    }

    #[test]
    fn sliding_windows_have_what_is_within_them(steps in steps(), difference in 0_i64..9, caching: bool) {
        let (mut driver, records) = drive(&format!("{{sliding: {difference}ms, grace: 10s}}"), caching, &steps);
        let last = table(&outputs(&mut driver));
        let found: BTreeMap<String, String> =
            last.into_iter().map(|(window, text)| (window, sorted(text.as_str().unwrap()))).collect();
        let expected = model_sliding(difference, &records);
        prop_assert_eq!(&found, &expected);
        let rows = driver.store_rows("rows").unwrap();
        prop_assert!(rows.iter().all(|(key, _, _)| parse_window_key(key).is_some()));
        prop_assert_eq!((rows.len(), driver.store_rows("rows-index").unwrap().len()), (expected.len(), expected.len()));
    }
}
