//! Verbs: a table of topologies, each with what it is refused for.

use std::collections::BTreeSet;

use regex::Regex;

use super::leaks;

const TABLE: &str = include_str!("verbs.txt");

/// What topologies of the table may read: those that they name.
const SOURCES: &[(&str, &str)] = &[
    ("people", "{topic: people, value: {avro: Person}}"),
    ("born", "{topic: births, value: {avro: Person}, timestamp: value.born}"),
    ("marks", "{topic: marks, value: {avro: Mark}}"),
    ("persons", "{topic: persons, value: {avro: Person}, kind: table}"),
    ("versions", "{topic: versions, value: {avro: Person}, kind: table, store: {versioned: 1h}}"),
    ("world", "{topic: world, value: {avro: Person}, kind: global_table}"),
    ("others", "{topic: others, kind: table}"),
    ("visits", "{topic: visits}"),
    ("customers", "{topic: customers, personal_data: [name, 'orders[].note']}"),
    ("secret", "{topic: secret, personal_data: true}"),
    ("between", "{topic: between}"),
    ("raws", "{topic: raws, value: {avro: Mark, framing: none}}"),
    ("timed", "{topic: timed, personal_data: true, timestamp: value.at}"),
    ("keyed", "{topic: keyed, personal_data: [key, headers.user, email]}"),
    ("from_vault", "{topic: vault, personal_data: [email]}"),
    ("one_of_many", "{topic: vaults.one}"),
    ("cards", "{topic: cards, kind: global_table}"),
    ("wholes", "{topic: wholes, value: {avro: Whole}}"),
    ("shared", "{topic: shared, personal_data: true}"),
    ("ids", "{topic: ids}"),
    ("second_vault", "{topic: vault2, personal_data: [street, name]}"),
    ("noted", "{topic: noted, value: {avro: Mark}, personal_data: [note]}"),
    ("many_vaults", r"{topic: {pattern: 'vaults\..*'}}"),
    ("nodes", "{topic: nodes, value: {avro: Node}}"),
    ("accounts", "{topic: accounts, key: {avro: Account}, kind: table}"),
    ("numbered", "{topic: numbered, key: long, personal_data: [key]}"),
    ("events", "{topic: events, value: {avro: Event}}"),
];

struct Case {
    title: &'static str,
    topology: String,
    expected: Vec<&'static str>,
}

fn cases() -> Vec<Case> {
    let case = |text: &'static str| {
        let (title, rest) = text.trim_start().split_once('\n').expect("a title");
        let (body, expected) = rest.split_once("\n=>").unwrap_or_else(|| panic!("no `=>` in {title}"));
        let is_read = |name: &str| Regex::new(&format!(r"\b{name}\b")).expect("a name").is_match(body);
        let sources: String = SOURCES
            .iter()
            .filter(|(name, _)| is_read(name))
            .map(|(name, source)| format!("  {name}: {source}\n"))
            .collect();
        let topology = format!("topology: t\ndefaults: {{key: string, value: json}}\nsources:\n{sources}{body}\n");
        Case { title, topology, expected: expected.split(';').map(str::trim).filter(|part| !part.is_empty()).collect() }
    };
    TABLE.split("\n---\n").map(case).collect()
}

#[test]
fn what_a_verb_hands_on_is_known() {
    let mut wrong = Vec::new();
    for Case { title, topology, mut expected } in cases() {
        let mut found = leaks(&topology);
        found.sort();
        expected.sort_unstable();
        if found != expected {
            wrong.push(format!("{title}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The steps of the language, read from its JSON Schema.
fn steps() -> BTreeSet<String> {
    let schema = signalstream::topology::json_schema();
    let steps = schema["$defs"]["Step"]["anyOf"].as_array().expect("the steps").clone();
    steps.iter().filter_map(|step| step["required"][0].as_str().map(str::to_owned)).collect()
}

#[test]
fn every_verb_has_a_case() {
    let cases = cases();
    let is_there = |verb: &str| {
        // What needs a program of its own is tested where there is one.
        verb == "process" || cases.iter().any(|case| case.topology.contains(&format!("- {verb}")))
    };
    let steps = steps();
    assert!(steps.len() > 15, "{steps:?}");
    let missing: Vec<&String> = steps.iter().filter(|verb| !is_there(verb) && verb.as_str() != "to_table").collect();
    assert!(missing.is_empty(), "verbs.txt has no case for {missing:?}");
}
