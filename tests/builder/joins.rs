//! Joins of streams with streams, tables and global tables.

use std::time::Duration;

use signalstream::builder::{JoinWindows, KStream, Materialized, StreamsBuilder};

use crate::harness::{Input, SECOND, assert_same, json, longs};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[
    streams_are_joined_within_a_time,
    a_stream_looks_up_tables,
    a_stream_looks_up_a_table_as_it_was,
    a_stream_looks_up_a_global_table_by_any_key,
];

fn stream(builder: &StreamsBuilder, topic: &str) -> KStream<String, i64> {
    builder.stream(topic, longs(topic))
}

const INPUT: [Input<'_>; 7] = [
    ("l", r#""a""#, "1", 0),
    ("r", r#""a""#, "10", 100),
    ("r", r#""b""#, "20", 200),
    ("l", r#""b""#, "2", 2_000),
    ("l", r#""a""#, "3", 2_100),
    ("r", r#""a""#, "30", 2_200),
    ("l", r#""z""#, "4", 60_000),
];

/// Two sources, and what is said of the second one besides.
fn head(right: &str) -> String {
    format!(
        "
topology: app
defaults: {{key: json, value: json}}
sources:
  l: {{topic: l, key: string, value: long}}
  r: {{topic: r, key: string, value: long{right}}}
"
    )
}

/// What all joins here make of a row that may not be there.
const SUM: &str = "'left + (right == null ? 0 : right)'";

const SINKS: &str = "
sinks:
  - {from: inner, topic: inner}
  - {from: left, topic: left}
";

#[test]
fn streams_are_joined_within_a_time() {
    let head = head("");
    let yaml = format!(
        "{head}
streams:
  inner: {{join: {{inputs: {{left: l, right: r}}, within: {{before: 1s, after: 1s, grace: 1s}}}}, map_values: left + right}}
  left:
    join: {{kind: left, inputs: {{left: l, right: r}}, within: {{before: 0s, after: 3s}}}}
    map_values: {SUM}
  before:
    join: {{inputs: {{left: l, right: r}}, within: {{before: 3s, after: 1s}}}}
    map_values: left * 100 + right
  again: {{from: r, steps: [{{select_key: 'key + key'}}]}}
  outer:
    join: {{kind: outer, inputs: {{left: l, right: again}}, within: 1s}}
    map_values: '(left == null ? 0 : left) + (right == null ? 0 : right)'
{SINKS}
  - {{from: before, topic: before}}
  - {{from: outer, topic: outer}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let (left, right) = (stream(builder, "l"), stream(builder, "r"));
        let second = SECOND;
        let windows = JoinWindows::of(second).grace(second);
        left.join(&right, "inner", windows, |left, right| left + right).to("inner", json());
        let windows = JoinWindows::of(Duration::ZERO).after(3 * second);
        left.left_join(&right, "left", windows, |left, right| left + right.unwrap_or(0)).to("left", json());
        let windows = JoinWindows::of(second).before(3 * second);
        left.join(&right, "before", windows, |left, right| left * 100 + right).to("before", json());
        let again = right.select_key(|key, _| key.repeat(2)).named("again");
        left.outer_join(&again, "outer", JoinWindows::of(second), |left, right| left.unwrap_or(0) + right.unwrap_or(0))
            .to("outer", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"inner "a"=11 @100"#.to_owned()), "{lines:?}");
    assert!(lines.contains(&r#"before "b"=220 @2000"#.to_owned()), "{lines:?}");
}

#[test]
fn a_stream_looks_up_tables() {
    let head = head(", kind: table");
    let yaml = format!(
        "{head}
streams:
  inner: {{join: {{inputs: {{left: l, right: r}}}}, map_values: left + right}}
  renamed: {{from: l, steps: [{{select_key: \"key == 'z' ? 'b' : key\"}}]}}
  left:
    join: {{kind: left, inputs: {{left: renamed, right: r}}}}
    map_values: {SUM}
{SINKS}"
    );
    let build = |builder: &StreamsBuilder| {
        let left = stream(builder, "l");
        let table = builder.table("r", longs("r"));
        left.join_table(&table, "inner", |left: i64, right: i64| left + right).to("inner", json());
        left.select_key(|key, _| if key == "z" { "b".to_owned() } else { key.clone() })
            .left_join_table(&table, "left", |left, right| left + right.unwrap_or(0))
            .to("left", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"left "b"=24 @60000"#.to_owned()), "{lines:?}");
}

#[test]
fn a_stream_looks_up_a_table_as_it_was() {
    let head = head(", kind: table, store: {name: kept, versioned: 1h}");
    let yaml = format!(
        "{head}
streams:
  then: {{join: {{inputs: {{left: l, right: r}}, grace: 1s}}, map_values: left + right}}
  any:
    join: {{kind: left, inputs: {{left: l, right: r}}, grace: 1s}}
    map_values: {SUM}
sinks:
  - {{from: then, topic: out}}
  - {{from: any, topic: any}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let kept = Materialized::named("kept").versioned(Duration::from_secs(3600));
        let table = builder.table_kept("r", longs("r"), kept);
        let left = stream(builder, "l");
        left.join_table_with_grace(&table, "then", SECOND, |left, right: i64| left + right).to("out", json());
        left.left_join_table_with_grace(&table, "any", SECOND, |left, right| left + right.unwrap_or(0))
            .to("any", json());
    };
    let (out, any): (Vec<String>, Vec<String>) =
        assert_same(&yaml, build, &INPUT).into_iter().partition(|line| line.starts_with("out"));
    assert_eq!(out, [r#"out "b"=22 @2000"#, r#"out "a"=13 @2100"#]);
    assert_eq!(any, [r#"any "a"=1 @0"#, r#"any "b"=22 @2000"#, r#"any "a"=13 @2100"#]);
}

#[test]
fn a_stream_looks_up_a_global_table_by_any_key() {
    let head = head(", kind: global_table");
    let yaml = format!(
        "{head}
streams:
  inner:
    join: {{inputs: {{left: l, right: r}}, on: \"left == 3 ? 'b' : key\"}}
    map_values: left + right
  left:
    join: {{kind: left, inputs: {{left: l, right: r}}, on: \"key + 'x'\"}}
    map_values: {SUM}
{SINKS}"
    );
    let build = |builder: &StreamsBuilder| {
        let left = stream(builder, "l");
        let table = builder.global_table("r", longs("r"));
        left.join_global(
            &table,
            "inner",
            |key, number| if *number == 3 { "b".to_owned() } else { key.clone() },
            |left, right: i64| left + right,
        )
        .to("inner", json());
        left.left_join_global(&table, "left", |key, _| format!("{key}x"), |left, right| left + right.unwrap_or(0))
            .to("left", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"inner "a"=23 @2100"#.to_owned()), "{lines:?}");
}
