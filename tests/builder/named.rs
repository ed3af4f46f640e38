//! Aggregates by name: of streams, windows, sessions and grouped tables.

use serde::{Deserialize, Serialize};
use signalstream::builder::{Aggregates, Data, SessionWindows, StreamsBuilder, TopologyError, Windows};

use crate::aggregates::NUMBERS;
use crate::harness::{SECOND, assert_same, json, longs, windowed};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] =
    &[all_aggregates_of_a_stream, aggregates_of_windows_and_sessions, aggregates_of_a_table];

/// All that there are.
#[derive(Serialize, Deserialize)]
struct All {
    records: i64,
    large: i64,
    sum: Option<i64>,
    least: Option<i64>,
    most: Option<i64>,
    mean: Option<f64>,
    deviation: Option<f64>,
    first: Option<i64>,
    last: Option<String>,
    some: Vec<i64>,
    different: Vec<i64>,
    often: Vec<i64>,
    kinds: i64,
    median: Option<f64>,
}

const ALL: &str = "
      records: count()
      large: count_if(value > 2)
      sum: sum(value)
      least: min(value)
      most: max(value)
      mean: avg(double(value))
      deviation: stddev(double(value))
      first: first(value)
      last: last(key + string(value))
      some: collect(value, 2)
      different: collect_set(value % 2, 10)
      often: top_k(value % 2, 1)
      kinds: approx_distinct(value % 2)
      median: approx_quantile(value, 0.5)
";

fn all() -> Aggregates<String, i64> {
    Aggregates::new()
        .count("records")
        .count_if("large", |_, number| *number > 2)
        .sum("sum", |_, number| *number)
        .min("least", |_, number| *number)
        .max("most", |_, number| *number)
        .avg("mean", |_, number| *number as f64)
        .stddev("deviation", |_, number| *number as f64)
        .first("first", |_, number| *number)
        .last("last", |key, number| format!("{key}{number}"))
        .collect("some", 2, |_, number| *number)
        .collect_set("different", 10, |_, number| number % 2)
        .top_k("often", 1, |_, number| number % 2)
        .approx_distinct("kinds", |_, number| number % 2)
        .approx_quantile("median", 0.5, |_, number| *number)
}

const HEAD: &str = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string, value: long}}
";

/// What is aggregated is read by closures, too.
#[test]
fn all_aggregates_of_a_stream() {
    let yaml = format!(
        "{HEAD}
tables:
  all:
    from: numbers
    aggregate: {ALL}
streams:
  spread: {{from: all, steps: [to_stream, {{map_values: value.most - value.least}}]}}
sinks:
  - {{from: all, topic: all}}
  - {{from: spread, topic: spread}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let numbers = builder.stream("in", longs("numbers")).group_by_key();
        let all = numbers.aggregate_named::<All>("all", all()).to_stream();
        all.to("all", json());
        all.map_values(|all| all.most.unwrap_or(0) - all.least.unwrap_or(0)).to("spread", json());
    };
    let lines = assert_same(&yaml, build, &NUMBERS);
    assert!(lines.contains(&r#"spread "a"=3 @1500"#.to_owned()), "{lines:?}");
}

#[test]
fn aggregates_of_windows_and_sessions() {
    let yaml = format!(
        "{HEAD}
tables:
  all:
    from: numbers
    window: {{tumbling: 1s, grace: 1m}}
    aggregate: {ALL}
  visits:
    from: numbers
    window: {{session: 1s, grace: 1m}}
    aggregate: {ALL}
sinks:
  - {{from: all, topic: all}}
  - {{from: visits, topic: visits}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let numbers = builder.stream("in", longs("numbers"));
        let hours = numbers.group_by_key().windowed_by(Windows::tumbling(SECOND).grace(60 * SECOND));
        hours.aggregate_named::<All>("all", all()).to_stream().to("all", windowed());
        let visits = SessionWindows::with_gap(SECOND).grace(60 * SECOND);
        let visits = numbers.group_by_key().windowed_by_session(visits);
        visits.aggregate_named::<All>("visits", all()).to_stream().to("visits", windowed());
    };
    let mut input = NUMBERS.to_vec();
    input.extend([("in", r#""a""#, "7", 3_400), ("in", r#""a""#, "5", 2_450)]);
    let lines = assert_same(&yaml, build, &input);
    assert!(lines.iter().any(|line| line.starts_with(r#"visits "a"=null"#)), "{lines:?}");
}

#[test]
fn aggregates_of_a_table() {
    #[derive(Serialize, Deserialize)]
    struct Some {
        rows: i64,
        large: i64,
        sum: Option<i64>,
        mean: Option<f64>,
        deviation: Option<f64>,
    }
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string, value: long, kind: table}}
tables:
  groups:
    from: numbers
    group_by: value % 2
    group_value: value * 10
    aggregate:
      rows: count()
      large: count_if(value > 20)
      sum: sum(value)
      mean: avg(value)
      deviation: stddev(value)
sinks: [{from: groups, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        let some = Aggregates::new()
            .count("rows")
            .count_if("large", |_: &i64, number: &i64| *number > 20)
            .sum("sum", |_, number| *number)
            .avg("mean", |_, number| *number)
            .stddev("deviation", |_, number| *number);
        let numbers = builder.table("in", longs("numbers"));
        let groups = numbers.group_by_value(|_, number| number % 2, |_, number| number * 10);
        groups.aggregate_named::<Some>("groups", some).to_stream().to("out", json());
    };
    let lines = assert_same(yaml, build, &NUMBERS);
    let two = r#"out 0={"rows":2,"large":1,"sum":60,"#;
    assert!(lines.iter().any(|line| line.starts_with(two)), "{lines:?}");
}

#[test]
fn an_aggregate_that_takes_nothing_back_is_refused_for_a_table() {
    let builder = StreamsBuilder::new("app");
    let largest = Aggregates::new().max("largest", |_: &i64, number: &i64| *number);
    let groups = builder.table("in", longs("numbers")).group_by(|_, number| number % 2);
    groups.aggregate_named::<serde_json::Value>("groups", largest).to_stream().to("out", json());
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("`max` cannot be corrected when a row leaves its group"), "{error}");
}

#[test]
fn rows_of_another_type_are_refused_before_anything_runs() {
    #[derive(Serialize, Deserialize)]
    struct Misspelt {
        record: i64,
    }
    #[derive(Serialize, Deserialize)]
    struct Mistaken {
        records: String,
    }
    #[derive(Serialize, Deserialize)]
    struct Part {
        sum: Option<f64>,
        other: Option<String>,
    }
    fn built<R: Data>() -> Result<(), TopologyError> {
        let builder = StreamsBuilder::new("app");
        let numbers = builder.stream("in", longs("numbers")).group_by_key();
        numbers.aggregate_named::<R>("all", all()).to_stream().to("all", json());
        builder.build().map(|_| ())
    }
    let refused = |built: Result<(), TopologyError>| built.expect_err("it is another type").to_string();
    assert!(refused(built::<Misspelt>()).contains("nothing gives its field `record`"));
    assert!(refused(built::<Mistaken>()).contains("`records`: string is expected, and this is int"));
    built::<Part>().expect("a sum may be a double, and what is optional may be missing");
    built::<serde_json::Value>().expect("this takes anything");
}
