//! Aggregations of streams: with and without windows, in sessions, of several streams.

use std::time::Duration;

use signalstream::builder::{
    Consumed, Emit, Fold, KStream, Materialized, OnError, Serdes, SessionWindows, StreamsBuilder, Suppressed, Windows,
};

use crate::harness::{Input, SECOND, assert_same, json, longs, windowed};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[
    counts_sums_and_reductions_by_key,
    windows_of_every_kind,
    sessions_become_one,
    what_is_suppressed_goes_on_when_its_window_is_over,
    what_has_changed_goes_on_at_an_interval,
    a_record_that_cannot_be_added_is_no_part,
    a_row_is_what_a_state_gives,
    several_streams_build_up_one_state,
    several_streams_build_up_windows_and_sessions,
];

fn numbers(builder: &StreamsBuilder) -> KStream<String, i64> {
    builder.stream("in", longs("numbers"))
}

pub(crate) const NUMBERS: [Input<'_>; 6] = [
    ("in", r#""a""#, "1", 0),
    ("in", r#""b""#, "2", 500),
    ("in", r#""a""#, "3", 900),
    ("in", r#""a""#, "null", 950),
    ("in", r#""a""#, "4", 1_500),
    ("in", r#""b""#, "5", 9_000),
];

const HEAD: &str = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string, value: long}}
";

#[test]
fn counts_sums_and_reductions_by_key() {
    let yaml = format!(
        "{HEAD}
tables:
  counts: {{from: numbers, fold: {{init: 0, add: acc + 1}}}}
  sums: {{from: numbers, fold: {{init: 100, add: acc + value}}, store: {{name: totals}}}}
  largest: {{from: numbers, group_by: value % 2, reduce: 'math.greatest(acc, value)'}}
sinks:
  - {{from: counts, topic: counts}}
  - {{from: sums, topic: sums}}
  - {{from: largest, topic: largest}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let numbers = numbers(builder);
        let grouped = numbers.group_by_key();
        grouped.count("counts").to_stream().to("counts", json());
        let totals = Materialized::named("sums").store("totals");
        grouped.aggregate(totals, || 100, |_, number, sum| sum + number).to_stream().to("sums", json());
        numbers.group_by(|_, number| number % 2).reduce("largest", i64::max).to_stream().to("largest", json());
    };
    // A value of null has no remainder.
    let input: Vec<Input<'_>> = NUMBERS.into_iter().filter(|record| record.2 != "null").collect();
    let lines = assert_same(&yaml, build, &input);
    assert_eq!(lines.iter().filter(|line| line.starts_with("counts")).count(), 5);
    assert!(lines.contains(&r#"sums "a"=108 @1500"#.to_owned()), "{lines:?}");
}

#[test]
fn null_values_are_no_part_of_an_aggregate() {
    let yaml = format!(
        "{HEAD}
tables: {{counts: {{from: numbers, fold: {{init: 0, add: acc + 1}}}}}}
sinks: [{{from: counts, topic: counts}}]
"
    );
    let build =
        |builder: &StreamsBuilder| numbers(builder).group_by_key().count("counts").to_stream().to("counts", json());
    assert_eq!(assert_same(&yaml, build, &NUMBERS).len(), 5);
}

#[test]
fn windows_of_every_kind() {
    let yaml = format!(
        "{HEAD}
tables:
  tumbling: {{from: numbers, window: {{tumbling: 1s, grace: 2s}}, fold: {{init: 0, add: acc + value}}, emit: on_close}}
  hopping: {{from: numbers, window: {{hopping: {{size: 2s, advance: 1s}}, grace: 1s}}, fold: {{init: 0, add: acc + 1}}}}
  sliding: {{from: numbers, window: {{sliding: 1s, grace: 1s}}, reduce: acc + value, store: {{retention: 1h}}}}
  unlimited: {{from: numbers, window: {{unlimited: {{start: 600}}}}, reduce: acc + value}}
streams:
  all:
    from: tumbling
    steps:
      - to_stream
      - map: {{key: '[key, string(int(window.start)), string(int(window.end))]', value: value}}
sinks:
  - {{from: all, topic: tumbling}}
  - {{from: hopping, topic: hopping}}
  - {{from: sliding, topic: sliding}}
  - {{from: unlimited, topic: unlimited}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let numbers = numbers(builder);
        numbers
            .group_by_key()
            .windowed_by(Windows::tumbling(SECOND).grace(2 * SECOND))
            .aggregate(Materialized::named("tumbling").emit(Emit::OnClose), || 0, |_, number, sum| sum + number)
            .to_stream()
            .map(|key, sum| (vec![key.key, key.start.to_string(), key.end.to_string()], sum))
            .to("tumbling", json());
        let hopping = numbers.group_by_key().windowed_by(Windows::hopping(2 * SECOND, SECOND).grace(SECOND));
        hopping.count("hopping").to_stream().to("hopping", windowed());
        let sliding = numbers.group_by_key().windowed_by(Windows::sliding(SECOND).grace(SECOND));
        let kept = Materialized::named("sliding").retention(Duration::from_secs(3600));
        sliding.reduce(kept, |sum, number| sum + number).to_stream().to("sliding", windowed());
        let unlimited = numbers.group_by_key().windowed_by(Windows::unlimited(600));
        unlimited.reduce("unlimited", |sum, number| sum + number).to_stream().to("unlimited", windowed());
    };
    let lines = assert_same(&yaml, build, &NUMBERS);
    assert!(lines.contains(&r#"tumbling ["a","0","1000"]=4 @900"#.to_owned()), "{lines:?}");
}

#[test]
fn sessions_become_one() {
    let yaml = format!(
        "{HEAD}
tables:
  visits: {{from: numbers, window: {{session: 1s, grace: 5s}}, fold: {{init: 0, add: acc + 1, merge: acc + other}}}}
  sums: {{from: numbers, window: {{session: 1s, grace: 5s}}, fold: {{init: 0, add: acc + value, merge: acc + other}}}}
  last: {{from: numbers, window: {{session: 1s, grace: 5s}}, reduce: value}}
sinks:
  - {{from: visits, topic: visits}}
  - {{from: sums, topic: sums}}
  - {{from: last, topic: last}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let numbers = numbers(builder);
        let sessions =
            || numbers.group_by_key().windowed_by_session(SessionWindows::with_gap(SECOND).grace(5 * SECOND));
        sessions().count("visits").to_stream().to("visits", windowed());
        let sums = sessions().aggregate("sums", || 0, |_, number, sum| sum + number, |_, a, b| a + b);
        sums.to_stream().to("sums", windowed());
        sessions().reduce("last", |_, number| number).to_stream().to("last", windowed());
    };
    let input = [("in", r#""a""#, "1", 0), ("in", r#""a""#, "2", 1_800), ("in", r#""a""#, "4", 900)];
    let lines = assert_same(&yaml, build, &input);
    assert!(lines.contains(&r#"sums "a"=7 @1800"#.to_owned()), "{lines:?}");
}

#[test]
fn what_is_suppressed_goes_on_when_its_window_is_over() {
    let yaml = format!(
        "{HEAD}
tables:
  counts: {{from: numbers, window: {{tumbling: 1s}}, fold: {{init: 0, add: acc + 1}}}}
  final: {{from: counts, suppress: {{until: window_closes, max_records: 100, max_bytes: 10000, when_full: stop}}}}
sinks: [{{from: final, topic: out}}]
"
    );
    let build = |builder: &StreamsBuilder| {
        let closes = Suppressed::until_window_closes().max_records(100).max_bytes(10_000).stop_when_full();
        numbers(builder)
            .group_by_key()
            .windowed_by(Windows::tumbling(SECOND))
            .count("counts")
            .suppress("final", closes)
            .to_stream()
            .to("out", windowed());
    };
    let lines = assert_same(&yaml, build, &NUMBERS);
    assert_eq!(lines, [r#"out "a"=2 @900"#, r#"out "b"=1 @500"#, r#"out "a"=1 @1500"#]);
}

#[test]
fn what_has_changed_goes_on_at_an_interval() {
    let yaml = format!(
        "{HEAD}
tables: {{counts: {{from: numbers, fold: {{init: 0, add: acc + 1}}, emit: {{every: 5s}}}}}}
sinks: [{{from: counts, topic: out}}]
"
    );
    let build = |builder: &StreamsBuilder| {
        let counts = Materialized::named("counts").emit(Emit::Every(5 * SECOND));
        numbers(builder).group_by_key().count(counts).to_stream().to("out", json());
    };
    assert_eq!(assert_same(&yaml, build, &NUMBERS), [r#"out "a"=3 @1500"#, r#"out "b"=2 @9000"#]);
}

#[test]
fn a_record_that_cannot_be_added_is_no_part() {
    let yaml = format!(
        "{HEAD}
tables: {{sums: {{from: numbers, fold: {{init: 0, add: acc + 20 / (value - 3)}}, on_error: {{process: skip}}, emit: on_update}}}}
sinks: [{{from: sums, topic: out}}]
"
    );
    let build = |builder: &StreamsBuilder| {
        let add = |_: &String, number: i64, sum: i64| 20_i64.checked_div(number - 3).map(|part| sum + part).ok_or("no");
        let kept = Materialized::named("sums").emit(Emit::OnUpdate);
        numbers(builder)
            .group_by_key()
            .try_aggregate(kept, || 0, add)
            .on_error(OnError::Skip)
            .to_stream()
            .to("out", json());
    };
    assert_eq!(assert_same(&yaml, build, &NUMBERS).len(), 4);
}

#[test]
fn a_row_is_what_a_state_gives() {
    let yaml = format!(
        "{HEAD}
tables:
  means:
    from: numbers
    fold:
      init: '{{\"sum\": 0, \"count\": 0}}'
      add: '{{\"sum\": acc.sum + value, \"count\": acc.count + 1}}'
      result: key + string(acc.sum / acc.count)
  hourly:
    from: numbers
    window: {{tumbling: 1h}}
    fold: {{init: 0, add: acc + value, result: string(acc)}}
sinks:
  - {{from: means, topic: means}}
  - {{from: hourly, topic: hourly}}
"
    );
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Mean {
        sum: i64,
        count: i64,
    }
    let build = |builder: &StreamsBuilder| {
        let add = |_: &String, number, mean: Mean| Mean { sum: mean.sum + number, count: mean.count + 1 };
        let means = Fold::new(|| Mean { sum: 0, count: 0 }, add);
        let means = means.result(|key, mean| format!("{key}{}", mean.sum / mean.count));
        let numbers = numbers(builder);
        numbers.group_by_key().fold("means", means).to_stream().to("means", json());
        let sums = Fold::new(|| 0, |_: &String, number: i64, sum: i64| sum + number).result(|_, sum| sum.to_string());
        let hour = Windows::tumbling(3600 * SECOND);
        numbers.group_by_key().windowed_by(hour).fold("hourly", sums).to_stream().to("hourly", windowed());
    };
    let lines = assert_same(&yaml, build, &NUMBERS);
    assert!(lines.contains(&r#"means "a"="a2" @1500"#.to_owned()), "{lines:?}");
}

#[test]
fn several_streams_build_up_one_state() {
    let yaml = format!(
        "{}
  texts: {{topic: texts, key: string, value: string}}
tables:
  both:
    cogroup:
      inputs:
        numbers: {{from: numbers, add: acc + value}}
        texts: {{from: texts, group_by: value, add: acc + 1000}}
      init: 0
sinks: [{{from: both, topic: out}}]
",
        HEAD.replace(
            "sources: {numbers: {topic: in, key: string, value: long}}",
            "sources:\n  numbers: {topic: in, key: string, value: long}"
        )
        .trim_end()
    );
    let build = |builder: &StreamsBuilder| {
        let texts = builder.stream("texts", Consumed::with(Serdes::string(), Serdes::string()));
        numbers(builder)
            .group_by_key()
            .cogroup("numbers", |_, number, sum: i64| sum + number)
            .and("texts", &texts.group_by(|_, text| text.clone()), |_, _, sum| sum + 1000)
            .aggregate("both", || 0)
            .to_stream()
            .to("out", json());
    };
    let mut input = NUMBERS.to_vec();
    input.insert(2, ("texts", r#""x""#, r#""a""#, 600));
    let lines = assert_same(&yaml, build, &input);
    assert!(lines.contains(&r#"out "a"=1008 @1500"#.to_owned()), "{lines:?}");
}

#[test]
fn several_streams_build_up_windows_and_sessions() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources:
  numbers: {topic: in, key: string, value: long}
  more: {topic: more, key: string, value: long}
tables:
  hourly:
    cogroup:
      inputs: {numbers: {from: numbers, add: acc + value}, more: {from: more, add: acc - value}}
      init: 0
      result: string(acc)
    window: {tumbling: 1s}
  visits:
    cogroup:
      inputs: {numbers: {from: numbers, add: acc + value}, more: {from: more, group_by: key, add: acc * 2}}
      init: 1
      merge: acc + other
    window: {session: 1s, grace: 1m}
sinks:
  - {from: hourly, topic: hourly}
  - {from: visits, topic: visits}
";
    let build = |builder: &StreamsBuilder| {
        let (numbers, more) = (numbers(builder), builder.stream("more", longs("more")));
        let add = |_: &String, number: i64, sum: i64| sum + number;
        numbers
            .group_by_key()
            .cogroup("numbers", add)
            .and("more", &more.group_by_key(), |_, number, sum| sum - number)
            .result(|_, sum| sum.to_string())
            .aggregate_windowed("hourly", Windows::tumbling(SECOND), || 0)
            .to_stream()
            .to("hourly", windowed());
        let windows = SessionWindows::with_gap(SECOND).grace(60 * SECOND);
        numbers
            .group_by_key()
            .cogroup("numbers", add)
            .and("more", &more.group_by(|key, _| key.clone()), |_, _, sum| sum * 2)
            .aggregate_sessions("visits", windows, || 1, |_, earlier, later| earlier + later)
            .to_stream()
            .to("visits", windowed());
    };
    let mut input = NUMBERS.to_vec();
    // Joins two sessions of `a`, and comes late.
    input.extend([("in", r#""a""#, "7", 3_400), ("more", r#""a""#, "5", 2_450)]);
    let lines = assert_same(yaml, build, &input);
    assert!(lines.contains(&r#"hourly "b"="5" @9000"#.to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with(r#"visits "a"=null"#)), "{lines:?}");
}
