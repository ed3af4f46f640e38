//! Verbs that keep nothing, and what fails.

use signalstream::builder::{Consumed, KStream, OnError, Produced, Serdes, StreamsBuilder, TopologyError};

use crate::harness::{Input, assert_same, built, driven};

fn numbers(builder: &StreamsBuilder) -> KStream<String, i64> {
    builder.stream("in", Consumed::with(Serdes::string(), Serdes::json()).named("numbers"))
}

fn json<K: signalstream::builder::Data, V: signalstream::builder::Data>() -> Produced<K, V> {
    Produced::with(Serdes::json(), Serdes::json())
}

const NUMBERS: [Input<'_>; 4] =
    [("in", r#""a""#, "1", 10), ("in", r#""b""#, "2", 20), ("in", r#""a""#, "3", 30), ("in", r#""c""#, "4", 40)];

#[test]
fn filters_and_maps() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  kept:
    from: numbers
    steps:
      - filter: int(value) > 1
      - filter_not: key == 'c'
      - map_values: int(value) * 10
      - map: {key: key + '!', value: '{\"n\": value}'}
sinks: [{from: kept, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Named {
            n: i64,
        }
        numbers(builder)
            .filter(|_, number| *number > 1)
            .filter_not(|key, _| key == "c")
            .map_values(|number| number * 10)
            .map(|key, number| (key + "!", Named { n: number }))
            .to("out", json());
    };
    let lines = assert_same(yaml, build, &NUMBERS);
    assert_eq!(lines, [r#"out "b!"={"n":20} @20"#, r#"out "a!"={"n":30} @30"#]);
}

#[test]
fn flat_maps_and_new_keys() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  twice:
    from: numbers
    steps:
      - flat_map_values: '[int(value), -int(value)]'
      - flat_map: '[1, 2].map(i, {\"key\": value * i, \"value\": key})'
      - select_key: key + 1
sinks: [{from: twice, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        numbers(builder)
            .flat_map_values(|number| vec![number, -number])
            .flat_map(|key, number| vec![(number, key.clone()), (number * 2, key)])
            .select_key(|key, _| key + 1)
            .to("out", json());
    };
    assert_eq!(assert_same(yaml, build, &NUMBERS[..1]).len(), 4);
}

#[test]
fn branches_merges_and_repartitioning() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  parts:
    from: numbers
    steps:
      - branch: {small: int(value) < 2, even: int(value) % 2 == 0, default: rest}
  all:
    merge: [parts.small, parts.rest]
    steps:
      - repartition: {name: again, partitions: 3}
      - deduplicate: {within: 1s, name: once}
sinks:
  - {from: all, topic: out}
  - {from: parts.even, topic: even}
";
    let build = |builder: &StreamsBuilder| {
        let mut parts = numbers(builder).split().named("parts");
        let small = parts.branch("small", |_, number| *number < 2);
        let even = parts.branch("even", |_, number| number % 2 == 0);
        let rest = parts.default_branch("rest");
        let all = small.merge(&rest).repartition_to("again", 3);
        all.deduplicate("once", std::time::Duration::from_secs(1)).to("out", json());
        even.peek(|_, number| assert_eq!(number % 2, 0)).to("even", json());
    };
    let lines = assert_same(yaml, build, &NUMBERS);
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_stream_that_is_used_twice_goes_two_ways() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  big: {from: numbers, steps: [{filter: int(value) > 2}]}
  more: {from: big, steps: [{map_values: int(value) + 1}]}
sinks:
  - {from: big, topic: out}
  - {from: more, topic: more}
";
    let build = |builder: &StreamsBuilder| {
        let big = numbers(builder).filter(|_, number| *number > 2);
        big.to("out", json());
        big.map_values(|number| number + 1).to("more", json());
    };
    assert_eq!(assert_same(yaml, build, &NUMBERS).len(), 4);
}

#[test]
fn what_fails_is_a_dead_letter_with_the_reason() {
    let builder = StreamsBuilder::new("app").dead_letters("dead");
    numbers(&builder)
        .try_map_values(|number| if number == 2 { Err("two is too much") } else { Ok(number) })
        .to("out", json());
    let outputs = driven(built(&builder), &NUMBERS, true);
    let dead: Vec<_> = outputs.iter().filter(|record| record.topic == "dead").collect();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].value.to_string().contains("two is too much"), "{}", dead[0].value);
    assert_eq!(outputs.len(), 4);
}

#[test]
fn a_value_of_another_type_is_skipped_where_that_was_asked_for() {
    let builder = StreamsBuilder::new("app");
    numbers(&builder).map_values(|number| number + 1).on_error(OnError::Skip).to("out", json());
    let input = [("in", r#""a""#, "1", 10), ("in", r#""a""#, r#""text""#, 20), ("in", r#""a""#, "null", 30)];
    assert_eq!(driven(built(&builder), &input, true).len(), 1);
}

#[test]
fn options_take_tombstones_and_null_keys() {
    let builder = StreamsBuilder::new("app");
    let how = Consumed::with(Serdes::string().nullable(), Serdes::json::<Option<i64>>());
    builder
        .stream("in", how)
        .map(|key, number| (key.unwrap_or_else(|| "none".to_owned()), number.unwrap_or(-1)))
        .to("out", json());
    let input = [("in", "null", "1", 10), ("in", r#""a""#, "null", 20)];
    let lines: Vec<String> =
        driven(built(&builder), &input, true).iter().map(|record| format!("{}={}", record.key, record.value)).collect();
    assert_eq!(lines, [r#""none"=1"#, r#""a"=-1"#]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let builder = StreamsBuilder::new("app");
    numbers(&builder).filter(|_, _| true).named("nobody-reads-me");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::Mistakes(_)));
    assert!(error.to_string().contains("nobody-reads-me"), "{error}");
}
