//! The runner by itself: mistakes in test files, and what failing tests say.

use std::path::PathBuf;

use super::*;

const TOPOLOGY: &str = "\
topology: t
defaults: {key: string, value: json}
sources:
  orders: {topic: orders}
  ids: {topic: ids, value: long}
tables:
  counted: {from: orders, aggregate: {count: count()}}
  windowed: {from: ids, window: {tumbling: 10s}, aggregate: {count: count()}}
sinks:
  - {from: counted, topic: counted}
  - {from: windowed, topic: windowed}
";

/// Writes a topology and its tests, and runs them.
fn ran(tests: &str) -> Result<FileReport, Diagnostics> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("t.yaml"), TOPOLOGY).unwrap();
    let file: PathBuf = directory.path().join("t.test.yaml");
    std::fs::write(&file, tests).unwrap();
    run_file(&file, &ScenarioOptions::new(&SchemaRegistry::new(), &Agents::local()))
}

fn mistakes(tests: &str) -> Vec<String> {
    match ran(tests) {
        Ok(report) => panic!("no mistakes: {report:?}"),
        Err(diagnostics) => {
            diagnostics.iter().map(|one| format!("{}:{}: {}", one.line(), one.column(), one.message())).collect()
        }
    }
}

fn failures(tests: &str) -> String {
    let report = ran(tests).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    report.cases.iter().flat_map(|case| &case.failures).map(|failure| failure.clone() + "\n").collect()
}

const FEED: &str = "\
defaults: {cache: off}
tests:
  - name: one
    steps:
      - record: {topic: orders, key: a, value: {}, timestamp: 1}
      - record: {topic: orders, key: a, value: {}, timestamp: 2}
";

#[test]
fn the_topology_of_a_file_is_the_one_beside_it() {
    let report = ran(&format!("{FEED}    expect: [{{topic: counted, count: 2}}]\n")).unwrap();
    assert!(report.passed(), "{report:?}");
    assert_eq!((report.cases[0].name.as_str(), report.cases[0].line, report.cases[0].events), ("one", 3, 2));
}

#[test]
fn all_mistakes_of_a_file_are_reported_each_in_its_place() {
    let found = mistakes(
        "\
defaults: {cache: maybe, partitions: {order: 2}}
tests:
  - name: one
    mocks: {sentimnt: {fail: x}, pii: {answer: {has_pii: 1}}, summary: {fail: x, sequence: []}}
    steps:
      - record: {topic: order, key: a}
      - record: {topic: ids, key: 1, value: x, value_base64: '!', timestamp: soon}
      - wait: 5s
      - crash
    expect:
      - {topic: count, none: true}
      - topic: counted
      - {topic: counted, exactly: [{}]}
    stores:
      - {store: counts, key: a, absent: true}
      - {store: counted}
      - {store: windowed, key: a, value: 1}
      - {store: counted, key: a, window: {start: 0}, value: 1}
    dropped: {lately: 1}
  - name: one
    steps: []
",
    );
    let expected = [
        "1:19: `maybe` is not a setting of the cache",
        "1:39: the topology has no topic `order`",
        "4:13: there is no agent `sentimnt`",
        "4:40: this is no answer of `pii`",
        "4:63: a mock has one of `answer`, `fail` and `sequence`",
        "6:25: the topology does not read `order`",
        "7:35: the key does not fit",
        "8:9: there is no step `wait`",
        "11:17: the topology does not write `count`",
        "12:9: this expects nothing of the topic",
        "13:36: this expects nothing of the record",
        "15:17: the topology has no store `counts`",
        "16:9: this expects nothing of the store",
        "17:9: this store has windows",
        "18:34: this store has no windows",
        "19:15: `lately` is no reason to drop a record",
        "20:11: another test has this name",
        "20:5: this test expects nothing",
    ];
    for line in expected {
        assert!(found.iter().any(|mistake| mistake.starts_with(line)), "{line} is not among\n{}", found.join("\n"));
    }
}

#[test]
fn a_file_that_is_none_is_refused() {
    let at_all = run_file(
        std::path::Path::new("nowhere.test.yaml"),
        &ScenarioOptions::new(&SchemaRegistry::new(), &Agents::new()),
    );
    assert!(at_all.unwrap_err().to_string().contains("the file cannot be read"));
    assert_eq!(mistakes("topology: other.yaml\ntests: []\n").len(), 1);
    assert_eq!(mistakes("tests: []\n"), ["1:1: there are no tests"]);
    assert!(mistakes("tests: [\n")[0].contains("this is not valid YAML"));
}

#[test]
fn a_failure_names_its_line_and_shows_what_differs() {
    let text = failures(&format!(
        "{FEED}    expect:
      - topic: counted
        exactly:
          - {{key: a, value: {{count: 1}}}}
          - {{key: a, value: {{count: 3}}}}
"
    ));
    for part in [
        "t.test.yaml:8: topic `counted`: expected 2 records, 2 came:",
        r#"      {"key":"a","value":{"count":1}}"#,
        r#"    - {"key":"a","value":{"count":3}}"#,
        r#"    + {"key":"a","value":{"count":2}}"#,
        "value.count: expected 3, came 2",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn every_kind_of_expectation_can_fail() {
    for (expectation, message) in [
        ("expect: [{topic: counted, none: true}]", "nothing expected, 2 came"),
        ("expect: [{topic: windowed, none: false}]", "expected records, none came"),
        ("expect: [{topic: counted, count: 3}]", "expected 3 records, 2 came"),
        ("expect: [{topic: counted, contains: [{value: {count: 9}}]}]", "no record contains {\"value\":{\"count\":9}}"),
        ("expect: [{topic: counted, last: {b: 1}}]", "no record has the key `b`"),
        ("expect: [{topic: counted, last: {a: {count: 1}}}]", "the last value of `a` is not the one expected"),
        ("expect: [{topic: counted, exactly: [{timestamp: 1}, {timestamp: 1}]}]", "timestamp: expected 1, came 2"),
        ("stores: [{store: counted, count: 7}]", "expected 7 rows, there are 1"),
        ("stores: [{store: counted, key: b, value: {count: 2}}]", "there is no row \"b\""),
        ("stores: [{store: counted, key: a, absent: true}]", "there is a row \"a\": {\"count\":2}"),
        ("stores: [{store: counted, key: a, value: {count: 1}}]", "value.count: expected 1, came 2"),
        ("stores: [{store: counted, key: a, timestamp: 5}]", "has the timestamp 2, expected 5"),
        ("dropped: {late: 1}", "expected 1 records to be dropped as `late`, 0 were"),
        ("fails: disk", "expected to stop with `disk`, but nothing failed"),
    ] {
        let text = failures(&format!("{FEED}    {expectation}\n"));
        assert!(text.contains(message), "{expectation} gave\n{text}");
    }
}

#[test]
fn an_application_that_stops_is_a_failure_at_its_step() {
    let text = failures(
        "\
tests:
  - name: one
    steps:
      - record: {topic: ids, key: a, value_base64: AAA=, timestamp: 1}
    expect: [{topic: windowed, none: true}]
",
    );
    assert!(text.contains("t.test.yaml:4: the application stopped: "), "{text}");
}

#[test]
fn the_schema_describes_every_field() {
    fn undocumented(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        for (name, property) in schema.get("properties").and_then(|all| all.as_object()).into_iter().flatten() {
            if property.get("description").is_none() {
                found.push(format!("{path}.{name}"));
            }
        }
    }
    let schema = json_schema();
    let mut found = Vec::new();
    undocumented("file", &schema, &mut found);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        undocumented(name, definition, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}
