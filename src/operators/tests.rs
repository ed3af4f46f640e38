//! Operators by themselves, on stores in memory: what they hand on at a time, and what they write.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::agents::Agents;
use crate::record::{Headers, Key, Origin, Shape, StructValue, TopicPartition};
use crate::serdes::SchemaRegistry;
use crate::state::{StateDirectory, StateOptions};
use crate::topology::{PlanOptions, foreign_key, load};

/// The first node of a topology whose verb remembers something, at work.
struct Bench {
    operator: Box<dyn Operator>,
    stores: TaskStores,
    collector: RecordCollector,
    counters: Counters,
    caching: bool,
}

impl Bench {
    /// `name`: the last part of the node's name.
    fn open(text: &str, name: &str) -> Bench {
        let text = format!("topology: t\ndefaults: {{key: string, value: long}}\n{text}");
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        let topology = load("t.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let named = |node: &&Node| node.name.ends_with(name);
        let found = topology.subtopologies.iter().find_map(|part| Some((part, part.nodes.iter().find(named)?)));
        let (part, node) = found.unwrap_or_else(|| {
            panic!(
                "there is no node {name} in {:?}",
                topology
                    .subtopologies
                    .iter()
                    .flat_map(|part| part.nodes.iter().map(|node| &node.name))
                    .collect::<Vec<_>>()
            )
        });
        let directory = StateDirectory::in_memory("t", StateOptions::default()).unwrap();
        let stores = directory.open_task("0_0", &part.stores).unwrap();
        let collector = RecordCollector::new(Arc::default(), 1_000_000);
        Bench { operator: build(node), stores, collector, counters: Counters::default(), caching: false }
    }

    /// Gives a record to the operator, and asks it again as long as it wants. What it hands on each time.
    fn process(&mut self, record: &Record) -> Vec<Vec<Record>> {
        let mut parts = Vec::new();
        let mut first = Some(record.clone());
        loop {
            let (mut emitted, mut failed, mut unfinished) = (Vec::new(), Vec::new(), false);
            let mut context = OperatorContext {
                stores: &mut self.stores,
                globals: None,
                collector: &mut self.collector,
                counters: &mut self.counters,
                caching: self.caching,
                partition: 0,
                wall_clock: 0,
                stream_time: None,
                emitted: &mut emitted,
                failed: &mut failed,
                unfinished: &mut unfinished,
            };
            match first.take() {
                Some(record) => self.operator.process(0, record, &mut context).unwrap(),
                None => self.operator.go_on(&mut context).unwrap(),
            }
            assert!(failed.is_empty());
            parts.push(emitted.into_iter().map(|(_, record)| record).collect());
            if !unfinished {
                return parts;
            }
        }
    }
}

fn record(key: &str, timestamp: Timestamp) -> Record {
    let encoded = Bytes::copy_from_slice(key.as_bytes());
    Record {
        key: Some(Key { value: Value::text(key.to_owned()), encoded }),
        window: None,
        value: Value::Int(1),
        old: None,
        latest: true,
        timestamp,
        headers: Headers::default(),
        origin: Origin { source: Arc::new(TopicPartition::new("a", 0)), offset: 0 },
    }
}

fn windowed(window: &str, emit: &str) -> String {
    format!(
        "sources: {{a: {{topic: a}}}}
tables: {{out: {{from: a, window: {window}, aggregate: {{n: count()}}, emit: {emit}}}}}
sinks: [{{from: out, topic: out, value: json}}]"
    )
}

const SUPPRESSED: &str = "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, suppress: {until: 20ms}}}
sinks: [{from: out, topic: out}]";

const WAITING: &str = "
sources: {a: {topic: a}, b: {topic: b, kind: table, store: {versioned: 1m}}}
streams: {out: {join: {kind: left, inputs: {l: a, r: b}, grace: 20ms}, map_values: l}}
sinks: [{from: out, topic: out}]";

const JOINED: &str = "
sources: {a: {topic: a}, b: {topic: b}}
streams: {out: {join: {kind: left, inputs: {l: a, r: b}, within: 10ms}, map_values: l}}
sinks: [{from: out, topic: out}]";

#[test]
fn a_leap_of_stream_time_is_worked_off_in_parts() {
    let cases = [
        (windowed("{tumbling: 20ms, grace: 0s}", "on_close"), "aggregate", 1),
        (windowed("{hopping: {size: 20ms, advance: 10ms}, grace: 0s}", "on_close"), "aggregate", 1),
        (windowed("{session: 10ms, grace: 0s}", "on_close"), "aggregate", 1),
        (windowed("{sliding: 10ms, grace: 0s}", "on_close"), "aggregate", 1),
        (windowed("{tumbling: 20ms, grace: 0s}", "{every: 1h}"), "aggregate", 1),
        (SUPPRESSED.to_owned(), "suppress", 1),
        (WAITING.to_owned(), "join", 1),
        (JOINED.to_owned(), "join", 1),
    ];
    for (text, name, each) in cases {
        let mut bench = Bench::open(&text, name);
        for n in 0..2_500 {
            let parts = bench.process(&record(&n.to_string(), n % 10));
            assert_eq!(parts.concat().len(), 0, "{text}");
        }
        let parts = bench.process(&record("last", 1_000_000));
        assert!(parts.iter().all(|part| part.len() <= 1_000), "{text}");
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 2_500 * each, "{text}");
        let times: Vec<_> =
            parts.iter().flatten().map(|record| record.window.map_or(record.timestamp, |w| w.end)).collect();
        assert!(times.is_sorted(), "{text}");
        // Of a sliding window the next record may make another; none that was handed on comes again.
        assert!(bench.process(&record("last", 1_000_001)).concat().len() <= 1, "{text}");
    }
}

#[test]
fn a_session_that_grows_keeps_its_entry_in_the_index() {
    let mut bench = Bench::open(&windowed("{session: 10ms, grace: 0s}", "on_update"), "aggregate");
    let index = bench.stores.specs().position(|spec| spec.name == "out-index").unwrap();
    for time in 0..1_000 {
        bench.process(&record("k", time));
    }
    assert_eq!(bench.stores.changes(index).count(), 1);
    bench.process(&record("k", 2_000));
    bench.process(&record("k", 1_500));
    let times = |value: Option<&StateValue>| value.map(|row| row.value.clone());
    let ends: Vec<_> = bench.stores.changes(index).filter_map(|(_, row)| times(row)).collect();
    assert_eq!(ends, [Value::Int(2_000)], "what is over is forgotten");
}

#[test]
fn an_old_version_is_not_held_back_in_place_of_the_newest() {
    let mut bench = Bench::open(SUPPRESSED, "suppress");
    bench.process(&record("k", 5));
    let old = Record { value: Value::Int(2), latest: false, ..record("k", 3) };
    assert_eq!(bench.process(&old).concat().len(), 0);
    assert_eq!(bench.counters.dropped_for(DropReason::Late), 1);
    let parts = bench.process(&record("other", 100));
    let rows: Vec<_> = parts.iter().flatten().map(|record| (&record.value, record.timestamp)).collect();
    assert_eq!(rows, [(&Value::Int(1), 5)]);
}

#[test]
fn every_number_that_an_operator_goes_on_from_is_announced() {
    let deduplicated = "
sources: {a: {topic: a}}
streams: {out: {from: a, steps: [{deduplicate: {within: 10ms}}]}}
sinks: [{from: out, topic: out}]";
    let cases = [
        (windowed("{tumbling: 20ms}", "{every: 1s}"), "aggregate"),
        (windowed("{hopping: {size: 20ms, advance: 10ms}}", "on_close"), "aggregate"),
        (windowed("{session: 10ms}", "on_update"), "aggregate"),
        (windowed("{session: 10ms}", "{every: 1s}"), "aggregate"),
        (windowed("{sliding: 10ms}", "on_update"), "aggregate"),
        (SUPPRESSED.to_owned(), "suppress"),
        (JOINED.to_owned(), "join"),
        (deduplicated.to_owned(), "deduplicate-1"),
    ];
    for (text, name) in cases {
        let mut bench = Bench::open(&text, name);
        bench.process(&record("k", 5));
        let names = bench.operator.progress_names();
        let unknown: BTreeMap<_, _> =
            bench.operator.progress().into_iter().filter(|(name, _)| !names.contains(&name.as_ref())).collect();
        assert!(unknown.is_empty(), "{text}: {unknown:?}");
        assert_eq!(bench.operator.stream_time().is_some(), bench.operator.keeps_stream_time(), "{text}");
    }
}

#[test]
fn answers_to_a_row_that_has_changed_meanwhile_are_discarded() {
    let Shape::Struct(shape) = foreign_key::answer_shape(Shape::Int) else { panic!("an answer is a structure") };
    for kind in ["left", "inner"] {
        let text = format!(
            "
sources: {{a: {{topic: a, kind: table}}, b: {{topic: b, kind: table}}}}
tables: {{out: {{join: {{kind: {kind}, inputs: {{l: a, r: b}}, on: string(l)}}, map_values: 'r == null ? -l : l + r'}}}}
sinks: [{{from: out, topic: out}}]"
        );
        let row = |value: &Value| Record { value: value.clone(), ..record("k", 5) };
        let mut subscribe = Bench::open(&text, "out/subscribe");
        // What the row asks with: the second part of a subscription.
        let mut hash_of = |value: &Value| {
            let old = Some(if value.is_null() { Value::Int(1) } else { Value::Null });
            let asked = subscribe.process(&Record { old, ..row(value) }).concat();
            match &asked.last().unwrap().value {
                Value::Struct(parts) => parts.values()[1].clone(),
                other => panic!("{other:?} is no subscription"),
            }
        };
        let mut resolve = Bench::open(&text, "out/join");
        let rows = resolve.stores.specs().position(|spec| spec.name == "a").unwrap();
        let rows_of = |parts: Vec<Vec<Record>>| parts.concat().into_iter().map(|row| row.value).collect::<Vec<_>>();
        let (first, last, gone) = (Value::Int(1), Value::Int(2), Value::Null);
        let [asked_first, asked_last, asked_gone] = [&first, &last, &gone].map(&mut hash_of);
        let answer = |resolve: &mut Bench, hash: &Value, right: Value| {
            let parts = [hash.clone(), right, Value::Bool(false), Value::Int(0)];
            rows_of(resolve.process(&row(&Value::Struct(StructValue::new(shape.clone(), parts.into())))))
        };
        let dropped = |resolve: &Bench| resolve.counters.dropped_for(DropReason::Stale);
        let now = |value: &Value| Some(StateValue { timestamp: 5, value: value.clone() });
        // The row has changed before it is answered.
        resolve.stores.put(rows, b"k", now(&last));
        assert_eq!(answer(&mut resolve, &asked_first, Value::Int(10)), []);
        assert_eq!(dropped(&resolve), 1, "{kind}");
        assert_eq!(answer(&mut resolve, &asked_last, Value::Int(20)), [Value::Int(22)]);
        assert_eq!(answer(&mut resolve, &asked_first, Value::Null), [], "too late");
        assert_eq!(dropped(&resolve), 2, "{kind}");
        // It goes before a change of the row that it named has come.
        resolve.stores.put(rows, b"k", None);
        assert_eq!(answer(&mut resolve, &asked_last, Value::Int(30)), []);
        assert_eq!(dropped(&resolve), 3, "{kind}");
        assert_eq!(answer(&mut resolve, &asked_gone, Value::Null), [Value::Null]);
        assert_eq!(dropped(&resolve), 3, "{kind}");
    }
}

/// Kafka Streams keeps quiet about an answer that says nothing new, as the one before it had said so; if that one was
/// stale, nobody has said it.
#[test]
fn an_inner_join_takes_a_row_back_although_the_answer_that_said_so_first_was_stale() {
    let Shape::Struct(shape) = foreign_key::answer_shape(Shape::Int) else { panic!("an answer is a structure") };
    let text = "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {inputs: {l: a, r: b}, on: string(l)}, map_values: l + r}}
sinks: [{from: out, topic: out}]";
    let row = |value: Value| Record { value, ..record("k", 5) };
    let mut subscribe = Bench::open(text, "out/subscribe");
    // The row changes from naming 1 over naming 2 to naming 3.
    let mut asks = |old: Value, new: i64| {
        let asked = subscribe.process(&Record { old: Some(old), ..row(Value::Int(new)) }).concat();
        match &asked.last().unwrap().value {
            Value::Struct(parts) => parts.values()[1].clone(),
            other => panic!("{other:?} is no subscription"),
        }
    };
    let hashes = [asks(Value::Null, 1), asks(Value::Int(1), 2), asks(Value::Int(2), 3)];
    let mut resolve = Bench::open(text, "out/join");
    let rows = resolve.stores.specs().position(|spec| spec.name == "a").unwrap();
    let mut answer = |now: i64, hash: &Value, right: Value, quiet: bool| {
        resolve.stores.put(rows, b"k", Some(StateValue { timestamp: 5, value: Value::Int(now) }));
        let parts = [hash.clone(), right, Value::Bool(quiet), Value::Int(0)];
        let rows = resolve.process(&row(Value::Struct(StructValue::new(shape.clone(), parts.into()))));
        rows.concat().into_iter().map(|row| row.value).collect::<Vec<_>>()
    };
    assert_eq!(answer(1, &hashes[0], Value::Int(10), false), [Value::Int(11)]);
    assert_eq!(answer(3, &hashes[1], Value::Null, false), [], "it names 3 by now");
    assert_eq!(answer(3, &hashes[2], Value::Null, true), [Value::Null], "the row that was handed on is gone");
    assert_eq!(answer(3, &hashes[2], Value::Null, true), [], "and has been taken back");
}

/// What may be personal data is in none of the messages that are to hold none: not what an agent says, not a row's key.
#[test]
fn messages_without_values_hold_none() {
    let named = "quentin@example.com";
    let (agent, reason) = ("oracle".to_owned(), format!("it did not understand {named}"));
    let unavailable = OperatorError::Agent(AgentError::Unavailable { agent, reason });
    assert_eq!(unavailable.without_values(), "agent `oracle` gave no answer");
    let damaged = || StateError::damaged_row("`suppress`", named.as_bytes(), "it does not say what caused it");
    assert!(damaged().to_string().contains(named));
    assert_eq!(OperatorError::State(damaged()).without_values(), "a store failed");
    let (path, store) = (std::path::PathBuf::from("/state"), "people".to_owned());
    let undecodable =
        StateError::Undecodable { path, store, key: named.to_owned(), detail: format!("{named} is no long") };
    let globals =
        StateError::Globals { path: std::path::PathBuf::from("/state"), detail: format!("the row of {named}") };
    for error in [damaged(), undecodable, globals] {
        let class = crate::error::Classified::class(&error);
        let hidden = error.without_values();
        assert_eq!(crate::error::Classified::class(&hidden), class);
        assert!(!hidden.to_string().contains("quentin"), "{hidden}");
    }
}
