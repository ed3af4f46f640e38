//! What comes out was foreseen: random topologies are run on a record whose personal data can be recognized. Wherever that
//! turns up, in an output or in a store, the plan must have said that it would.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use signalstream::testing::{DriverOptions, InputRecord, OutputRecord, TopologyDriver};
use signalstream::topology::Topology;
use signalstream::topology::taint::PlaceKind;

use super::{plan, schemas};

/// Stands in every marked field, and in no other.
const SENTINEL: &str = "sentinel.person@example.com";

/// The way to grow that joins with a table, whose only key is `k`.
const JOIN: usize = 4;

/// Decisions that are still to be made; when there are none left, the simplest is made.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn of(&mut self, count: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % count
    }

    fn one<'t>(&mut self, of: &'t [String]) -> &'t str {
        &of[self.of(of.len())]
    }
}

/// What expressions may read.
#[derive(Clone)]
struct Scope {
    texts: Vec<String>,
    lists: Vec<String>,
}

impl Scope {
    fn new(texts: &[&str], lists: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope { texts: owned(texts), lists: owned(lists) }
    }

    /// A person under a name.
    fn person(name: &str) -> Self {
        let texts = ["id", "name", "city", "address.street", "address.city", "orders[0].note", "orders[0].sku"];
        let texts = texts.iter().map(|field| format!("{name}.{field}")).chain([format!("{name}.contacts['home']")]);
        let lists = vec![
            format!("{name}.words"),
            format!("{name}.nicknames"),
            format!("{name}.orders.map(order, order.note)"),
            format!("{name}.orders.map(order, order.sku)"),
        ];
        Scope { texts: texts.collect(), lists }
    }

    fn text(&self, choices: &mut Choices<'_>, depth: usize) -> String {
        if depth == 0 {
            return choices.one(&self.texts).to_owned();
        }
        let deeper = |choices: &mut Choices<'_>| self.text(choices, depth - 1);
        match choices.of(18) {
            0..=3 => choices.one(&self.texts).to_owned(),
            4 => "'plain'".to_owned(),
            5 => format!("({} + ' ' + {})", deeper(choices), deeper(choices)),
            6 => format!("{}.trim()", deeper(choices)),
            7 => format!("{}.upperAscii()", deeper(choices)),
            8 => format!("(size({}) > 5 ? {} : {})", deeper(choices), deeper(choices), deeper(choices)),
            9 => format!("redact({})", deeper(choices)),
            10 => format!("redact({}, 'text')", deeper(choices)),
            11 => format!("{}.join(' ')", self.list(choices, depth - 1)),
            12 => format!("{{'k': {}, 'other': {}}}.k", deeper(choices), deeper(choices)),
            13 => format!("[{}, {}][1]", deeper(choices), deeper(choices)),
            14 => format!("coalesce({}.last(), {})", self.list(choices, depth - 1), deeper(choices)),
            15 => format!("merge({{'k': {}}}, {{'k': {}}}).k", deeper(choices), deeper(choices)),
            16 => format!("without({{'k': {}, 'other': {}}}, 'other').k", deeper(choices), deeper(choices)),
            _ => format!("string(size({}))", deeper(choices)),
        }
    }

    fn list(&self, choices: &mut Choices<'_>, depth: usize) -> String {
        if depth == 0 {
            return choices.one(&self.lists).to_owned();
        }
        let deeper = |choices: &mut Choices<'_>| self.list(choices, depth - 1);
        match choices.of(10) {
            0 | 1 => choices.one(&self.lists).to_owned(),
            2 => format!("[{}, {}]", self.text(choices, depth - 1), self.text(choices, depth - 1)),
            3 => format!("({} + {})", deeper(choices), deeper(choices)),
            4 => format!("{}.map(item, item + ' .')", deeper(choices)),
            5 => format!("{}.filter(item, size(item) > 1)", deeper(choices)),
            6 => format!("{}.distinct()", deeper(choices)),
            7 => format!("[{}, {}].flatten()", deeper(choices), deeper(choices)),
            8 => format!("{}.map(item, {})", deeper(choices), self.text(choices, depth - 1)),
            _ => format!("{}.split('#')", self.text(choices, depth - 1)),
        }
    }
}

/// A topology as it grows: the stream or table that was made last, and what its expressions may read.
struct Draft {
    streams: String,
    tables: String,
    steps: String,
    scope: Scope,
    from: String,
    count: usize,
    /// Whether headers have been set.
    headed: bool,
}

fn quoted(expression: &str) -> String {
    format!("\"{expression}\"")
}

impl Draft {
    fn new() -> Self {
        let (streams, tables, steps) = (String::new(), String::new(), String::new());
        let from = "people".to_owned();
        Draft { streams, tables, steps, scope: Scope::person("value"), from, count: 0, headed: false }
    }

    fn text(&self, choices: &mut Choices<'_>) -> String {
        let mut scope = self.scope.clone();
        if self.headed {
            scope.texts.push("coalesce(headers.h, '')".to_owned());
        }
        scope.texts.push("key".to_owned());
        quoted(&scope.text(choices, 3))
    }

    fn list(&self, choices: &mut Choices<'_>) -> String {
        quoted(&self.scope.list(choices, 3))
    }

    /// One more step.
    fn step(&mut self, choices: &mut Choices<'_>) {
        let text = self.text(choices);
        let bare = text.trim_matches('"').to_owned();
        self.count += 1;
        let n = self.count;
        let step = match choices.of(8) {
            0 | 1 => {
                let (other, list) = (self.text(choices), self.list(choices));
                self.scope = Scope::new(&["value.a", "value.b"], &["value.l"]);
                format!("map_values: {{a: {text}, b: {other}, l: {list}}}")
            }
            2 => format!("select_key: {text}"),
            3 => {
                self.headed = true;
                format!("set_headers: {{h: {text}}}")
            }
            4 => {
                let list = self.list(choices);
                self.scope = Scope::new(&["value.a"], &["value.l"]);
                format!("flat_map_values: \"[{{'a': {bare}, 'l': {}}}]\"", list.trim_matches('"'))
            }
            5 => {
                let other = self.text(choices);
                let list = self.list(choices);
                self.scope = Scope::new(&["value.a"], &["value.l"]);
                format!(
                    "flat_map: \"[{{'key': {bare}, 'value': {{'a': {}, 'l': {}}}}}]\"",
                    other.trim_matches('"'),
                    list.trim_matches('"')
                )
            }
            6 => format!("repartition: {{name: r{n}}}"),
            _ => format!("deduplicate: {{by: {text}, within: 1s, name: d{n}}}"),
        };
        writeln!(self.steps, "      - {step}").expect("a string");
    }

    /// What was made so far gets a name.
    fn close(&mut self) {
        self.count += 1;
        let name = format!("s{}", self.count);
        let steps =
            if self.steps.is_empty() { "      - filter: 'true'\n".to_owned() } else { std::mem::take(&mut self.steps) };
        write!(self.streams, "  {name}:\n    from: {}\n    steps:\n{steps}", self.from).expect("a string");
        self.from = name;
    }

    /// Made into a table, or joined with one.
    fn grow(&mut self, choices: &mut Choices<'_>) {
        let kind = choices.of(5);
        if kind == JOIN {
            writeln!(self.steps, "      - select_key: \"'k'\"").expect("a string");
        }
        self.close();
        let (text, other, list) = (self.text(choices), self.text(choices), self.list(choices));
        self.count += 1;
        let (name, from) = (format!("t{}", self.count), self.from.clone());
        let mut state = self.scope.clone();
        state.texts.push("acc.p".to_owned());
        state.lists.push("acc.q".to_owned());
        match kind {
            0 => {
                let list = bare(&list);
                let aggregates = [
                    ("a", format!("last({})", bare(&text))),
                    ("b", format!("collect({}, 3)", bare(&other))),
                    ("c", "count()".to_owned()),
                    ("d", format!("top_k({list}, 2)")),
                    ("e", format!("count_if(size({}) > 1)", bare(&text))),
                ];
                write!(self.tables, "  {name}:\n    from: {from}\n    group_by: {text}\n    aggregate:\n")
                    .expect("a string");
                for (field, call) in aggregates {
                    writeln!(self.tables, "      {field}: \"{call}\"").expect("a string");
                }
                self.scope = Scope::new(&["coalesce(value.a, '')", "string(value.c)", "string(value.e)"], &["value.b"]);
            }
            1 => {
                let (p, q) = (quoted(&state.text(choices, 2)), quoted(&state.text(choices, 2)));
                let q = format!("\"take_last(acc.q + [{}], 3)\"", bare(&q));
                write!(
                    self.tables,
                    "  {name}:\n    from: {from}\n    group_by: {text}\n    fold:\n      init: {{p: \"'start'\", q: [\"'start'\"]}}\n      add: {{p: {p}, q: {q}}}\n"
                )
                .expect("a string");
                self.scope = Scope::new(&["value.p"], &["value.q"]);
            }
            2 => {
                write!(
                    self.tables,
                    "  {name}:\n    from: {from}\n    group_by: {text}\n    reduce: \"acc == null ? value : value\"\n"
                )
                .expect("a string");
            }
            3 => {
                write!(self.tables, "  {name}:\n    from: {from}\n").expect("a string");
            }
            _ => {
                let field = |name: &str| name.replace("value.", "left.");
                let mut both = Scope::person("right");
                both.texts.extend(self.scope.texts.iter().map(|name| field(name)));
                both.lists.extend(self.scope.lists.iter().map(|name| field(name)));
                let (a, b, l) = (both.text(choices, 2), both.text(choices, 2), both.list(choices, 2));
                write!(
                    self.streams,
                    "  {name}:\n    join: {{inputs: {{left: {from}, right: persons}}}}\n    map_values: {{a: \"{a}\", b: \"{b}\", l: \"{l}\"}}\n"
                )
                .expect("a string");
                self.scope = Scope::new(&["value.a", "value.b"], &["value.l"]);
            }
        }
        self.from = name;
        self.headed = false;
    }

    fn finish(mut self, choices: &mut Choices<'_>) -> String {
        if self.from == "people" || !self.steps.is_empty() {
            self.close();
        }
        let (m0, m1) = (self.text(choices), self.list(choices));
        let persons = match self.streams.contains("right: persons") {
            true => "  persons: {topic: persons, kind: table, value: {avro: Person}}\n",
            false => "",
        };
        let tables = if self.tables.is_empty() { String::new() } else { format!("tables:\n{}", self.tables) };
        format!(
            "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  people: {{topic: people, value: {{avro: Person}}}}\n\
             {persons}streams:\n{}{tables}sinks:\n  - {{from: {}, topic: out, personal_data: true, map: {{m0: {m0}, m1: {m1}}}}}\n",
            self.streams, self.from
        )
    }
}

fn bare(quoted: &str) -> &str {
    quoted.trim_matches('"')
}

/// A topology, from nothing but decisions.
fn topology(decisions: &[u8]) -> String {
    let mut choices = Choices(decisions.iter());
    let mut draft = Draft::new();
    for _ in 0..choices.of(5) {
        draft.step(&mut choices);
    }
    if choices.of(3) > 0 {
        draft.grow(&mut choices);
    }
    draft.finish(&mut choices)
}

pub(crate) fn record(topic: &str, key: &str, at: i64) -> InputRecord {
    let value = serde_json::json!({
        "id": "1", "name": SENTINEL, "email": SENTINEL, "age": 41, "score": 0.5, "member": true, "born": 5, "photo": "eA==",
        "nicknames": [SENTINEL, SENTINEL], "scores": [1.0], "orders": [{"sku": "s", "note": SENTINEL}],
        "address": {"street": SENTINEL, "city": "Rome"}, "contacts": {"home": SENTINEL}, "city": "Rome", "number": 3,
        "words": ["some", "words"],
    });
    InputRecord {
        topic: topic.to_owned(),
        partition: None,
        key: key.into(),
        value,
        value_base64: None,
        timestamp: Some(at),
        headers: serde_json::Map::new(),
    }
}

/// What a topology makes of two people, and the stores in which they turn up.
fn run(topology: Topology) -> (Vec<OutputRecord>, Vec<String>) {
    let stores: Vec<String> =
        topology.subtopologies.iter().flat_map(|part| &part.stores).map(|store| store.name.clone()).collect();
    let reads_persons = topology.topics.iter().any(|topic| topic.name == "persons");
    let mut driver = TopologyDriver::new(Arc::new(topology), schemas(), DriverOptions::default()).expect("a driver");
    for at in 0..2 {
        for topic in ["persons", "people"].into_iter().filter(|topic| *topic == "people" || reads_persons) {
            driver.pipe(&record(topic, "k", at)).expect("it is taken");
        }
    }
    driver.finish().expect("it ends");
    let holds = |driver: &mut TopologyDriver, store: &str| {
        let rows = driver.store_rows(store).expect("the store is there");
        rows.iter().any(|(key, _, value)| holds_sentinel(&format!("{} {value:?}", String::from_utf8_lossy(key))))
    };
    let found = stores.into_iter().filter(|store| holds(&mut driver, store)).collect();
    (driver.take_outputs(), found)
}

fn holds_sentinel(text: &str) -> bool {
    text.to_ascii_lowercase().contains(SENTINEL)
}

/// The parts of the output in which the sentinel turns up.
fn parts_with_sentinel(outputs: &[OutputRecord]) -> Vec<&'static str> {
    let mut parts = Vec::new();
    for output in outputs {
        let all = [
            ("key", output.key.to_string()),
            ("value.m0", output.value["m0"].to_string()),
            ("value.m1", output.value["m1"].to_string()),
            ("headers", format!("{:?}", output.headers)),
        ];
        parts.extend(all.into_iter().filter(|(_, text)| holds_sentinel(text)).map(|(part, _)| part));
    }
    parts
}

#[test]
fn what_comes_out_was_foreseen() {
    let (leaked, clean, cautious) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(any::<u8>(), 0..120), |decisions| {
        let text = topology(&decisions);
        let planned = plan(&text).map_err(|found| TestCaseError::fail(format!("{text}\n{}", found.render(false))))?;
        let personal = planned.personal_data.clone();
        let (outputs, stores) = run(planned);
        prop_assert!(!outputs.is_empty(), "nothing came out of\n{}", text);
        let foreseen = |kind: PlaceKind, name: &str| {
            personal.places.iter().find(|place| (place.kind, place.name.as_str()) == (kind, name))
        };
        let out = foreseen(PlaceKind::Topic, "out");
        let found = parts_with_sentinel(&outputs);
        for part in &found {
            let known =
                out.is_some_and(|place| place.parts.iter().any(|known| known == "value" || known.starts_with(part)));
            prop_assert!(known, "{} in the output was not foreseen\n{}\n{:?}", part, text, personal);
        }
        for store in stores {
            prop_assert!(
                foreseen(PlaceKind::Store, &store).is_some(),
                "the store {} was not foreseen\n{}",
                store,
                text
            );
        }
        let counter = match (found.is_empty(), out) {
            (false, _) => &leaked,
            (true, None) => &clean,
            (true, Some(_)) => &cautious,
        };
        counter.set(counter.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("leaked {}, clean {}, foreseen and not found {}", leaked.get(), clean.get(), cautious.get());
    let all = leaked.get() + clean.get() + cautious.get();
    assert!(leaked.get() > all / 5 && clean.get() > all / 10, "both happen often enough to say something");
    assert!(cautious.get() < all / 3, "what is refused is mostly what would leak");
}
