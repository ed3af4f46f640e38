//! Aggregations of streams: with and without windows, in sessions, of several streams.

use std::time::Duration;

use signalstream::builder::{
    Consumed, Data, Emit, KStream, Materialized, Produced, Serdes, SessionWindows, StreamsBuilder, Suppressed, Windows,
};

use crate::harness::{Input, assert_same};

fn numbers(builder: &StreamsBuilder) -> KStream<String, i64> {
    builder.stream("in", Consumed::with(Serdes::string(), Serdes::long()).named("numbers"))
}

fn json<K: Data, V: Data>() -> Produced<K, V> {
    Produced::with(Serdes::json(), Serdes::json())
}

const SECOND: Duration = Duration::from_secs(1);

const NUMBERS: [Input<'_>; 6] = [
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
  hopping: {{from: numbers, window: {{hopping: {{size: 2s, advance: 1s}}}}, fold: {{init: 0, add: acc + 1}}}}
  sliding: {{from: numbers, window: {{sliding: 1s}}, reduce: acc + value, store: {{retention: 1h}}}}
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
        let hopping = numbers.group_by_key().windowed_by(Windows::hopping(2 * SECOND, SECOND));
        let plain = || Produced::with(Serdes::json::<String>().windowed(), Serdes::json());
        hopping.count("hopping").to_stream().to("hopping", plain());
        let sliding = numbers.group_by_key().windowed_by(Windows::sliding(SECOND));
        let kept = Materialized::named("sliding").retention(Duration::from_secs(3600));
        sliding.reduce(kept, |sum, number| sum + number).to_stream().to("sliding", plain());
        let unlimited = numbers.group_by_key().windowed_by(Windows::unlimited(600));
        unlimited.reduce("unlimited", |sum, number| sum + number).to_stream().to("unlimited", plain());
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
        let plain = || Produced::with(Serdes::json::<String>().windowed(), Serdes::json());
        sessions().count("visits").to_stream().to("visits", plain());
        let sums = sessions().aggregate("sums", || 0, |_, number, sum| sum + number, |_, a, b| a + b);
        sums.to_stream().to("sums", plain());
        sessions().reduce("last", |_, number| number).to_stream().to("last", plain());
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
            .to("out", Produced::with(Serdes::json::<String>().windowed(), Serdes::json()));
    };
    let lines = assert_same(&yaml, build, &NUMBERS);
    assert_eq!(lines, [r#"out "a"=2 @900"#, r#"out "b"=1 @500"#, r#"out "a"=1 @1500"#]);
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
