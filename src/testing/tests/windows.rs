//! Windows of every kind against models that keep lists and look at all of them each time: random records, late and out of
//! order, with commits, crashes and the cache in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::agents::Agents;
use crate::record::Value;
use crate::serdes::SchemaRegistry;
use crate::state::{parse_session_key, parse_window_key};
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
    drive_with(window, "", caching, steps)
}

/// The same, with more to say of the table.
fn drive_with(
    window: &str,
    more: &str,
    caching: bool,
    steps: &[Step],
) -> (TopologyDriver, Vec<(String, String, Timestamp)>) {
    let merge = if window.contains("session") { "\n      merge: acc + other" } else { "" };
    // The unlimited window has no end that could be written down.
    let end = if window.contains("unlimited") { "'-'" } else { "string(int(window.end))" };
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
{more}streams:
  out:
    from: rows
    steps:
      - to_stream
      - select_key: key + ' ' + string(int(window.start)) + ' ' + {end}
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

/// How windows that are aligned to the epoch are defined.
#[derive(Clone, Copy, Debug)]
struct Aligned {
    size: i64,
    advance: i64,
    grace: i64,
}

fn aligned() -> impl Strategy<Value = Aligned> {
    let hopping = (1_i64..9, 1_i64..9, 0_i64..6);
    hopping.prop_map(|(a, b, grace)| Aligned { size: a.max(b), advance: a.min(b), grace })
}

impl Aligned {
    /// As it stands in a topology.
    fn yaml(self) -> String {
        let Aligned { size, advance, grace } = self;
        match size == advance {
            true => format!("{{tumbling: {size}ms, grace: {grace}ms}}"),
            false => format!("{{hopping: {{size: {size}ms, advance: {advance}ms}}, grace: {grace}ms}}"),
        }
    }

    /// The starts of the windows that a time is in, by looking at all before it.
    fn starts(self, time: Timestamp) -> impl Iterator<Item = Timestamp> {
        (0..=time).filter(move |start| start % self.advance == 0 && time < start + self.size)
    }
}

/// What each window of each key has, and the last time in it.
type Rows = BTreeMap<(Timestamp, String), (String, Timestamp)>;

/// What all windows have ever had; and what is handed on: with each change, or once when a window is over.
fn model_aligned(windows: Aligned, on_close: bool, records: &[(String, String, Timestamp)]) -> (Rows, Vec<Output>) {
    let Aligned { size, grace, .. } = windows;
    let mut rows = Rows::new();
    let (mut outputs, mut now) = (Vec::new(), 0);
    for (key, value, time) in records {
        let before = now;
        now = now.max(*time);
        for start in windows.starts(*time).filter(|start| start + size + grace > now) {
            let (text, last) = rows.entry((start, key.clone())).or_default();
            text.push_str(value);
            *last = (*last).max(*time);
            if !on_close {
                outputs.push((format!("{key} {start} {}", start + size), json!(text), *last));
            }
        }
        let is_over = |start: Timestamp| (before + 1..=now).contains(&(start + size + grace));
        for ((start, key), (text, last)) in rows.iter().filter(|((start, _), _)| on_close && is_over(*start)) {
            outputs.push((format!("{key} {start} {}", start + size), json!(text), *last));
        }
    }
    (rows, outputs)
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
        // Rows that are past their retention wait to be deleted; nobody looks for them.
        let kept = |key: &[u8]| parse_session_key(key).is_some_and(|(window, _)| window.end > now - GAP - GRACE);
        let entries = driver.store_rows("rows-index").unwrap();
        let ends: Vec<Timestamp> =
            entries.iter().filter_map(|(_, _, value)| if let Value::Int(end) = value { Some(*end) } else { None }).collect();
        prop_assert_eq!(ends.len(), entries.len());
        let found = ends.into_iter().filter(|end| *end > now - GAP - GRACE).count();
        prop_assert_eq!(found, rows.iter().filter(|(key, _, _)| kept(key)).count());
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

    #[test]
    fn tumbling_and_hopping_windows_are_those_of_a_list(steps in steps(), windows in aligned()) {
        let (mut driver, records) = drive(&windows.yaml(), false, &steps);
        let (rows, expected) = model_aligned(windows, false, &records);
        prop_assert_eq!(outputs(&mut driver), expected);
        let now = records.iter().map(|(_, _, time)| *time).max().unwrap_or(0);
        let open = |start: Timestamp| start + windows.size + windows.grace > now;
        // Rows that are over wait to be deleted.
        let stored = driver.store_rows("rows").unwrap().into_iter().filter_map(|(stored, timestamp, value)| {
            let (start, key) = parse_window_key(&stored)?;
            let row = (String::from_utf8(key.to_vec()).ok()?, value.as_str()?.to_owned(), timestamp);
            open(start).then_some((start, row))
        });
        let expected = rows.into_iter().filter(|((start, _), _)| open(*start));
        let expected = expected.map(|((start, key), (text, last))| (start, (key, text, last)));
        prop_assert_eq!(stored.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn windows_that_close_are_handed_on_once_and_whole(steps in steps(), windows in aligned(), caching: bool) {
        let (mut driver, records) = drive_with(&windows.yaml(), "    emit: on_close\n", caching, &steps);
        prop_assert_eq!(outputs(&mut driver), model_aligned(windows, true, &records).1);
    }

    #[test]
    fn the_unlimited_window_has_all_from_its_start_on(steps in steps(), start in 0_i64..60, caching: bool) {
        let (mut driver, records) = drive(&format!("{{unlimited: {{start: {start}}}}}"), caching, &steps);
        let mut expected: BTreeMap<String, Json> = BTreeMap::new();
        for (key, value, _) in records.iter().filter(|(_, _, time)| *time >= start) {
            let text = expected.entry(format!("{key} {start} -")).or_insert_with(|| json!(""));
            *text = json!(text.as_str().unwrap().to_owned() + value);
        }
        prop_assert_eq!(table(&outputs(&mut driver)), expected.clone());
        prop_assert_eq!(driver.store_rows("rows").unwrap().len(), expected.len());
    }
}
