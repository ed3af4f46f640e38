//! Verbs that keep nothing, and what fails.

use std::sync::Arc;

use signalstream::builder::{Consumed, KStream, OnError, Serdes, StreamsBuilder, TopologyError};
use signalstream::testing::TopologyTestDriver;

use crate::harness::{Case, Input, SECOND, assert_same, built, driven, json, longs};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[
    filters_and_maps,
    flat_maps_and_new_keys,
    branches_merges_and_repartitioning,
    a_stream_that_is_used_twice_goes_two_ways,
    closures_may_fail,
    what_is_shown_and_seen_goes_on,
    what_is_alike_is_dropped,
];

fn numbers(builder: &StreamsBuilder) -> KStream<String, i64> {
    builder.stream("in", Consumed::with(Serdes::string(), Serdes::json()).named("numbers"))
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
        all.deduplicate("once", SECOND).to("out", json());
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

/// A policy is that of what was asked for last: what fails before it stops the application here.
#[test]
fn closures_may_fail() {
    let yaml = "
topology: app
defaults: {key: json, value: json, on_error: {process: fail}}
sources: {numbers: {topic: in, key: string, value: long}}
streams:
  small: {from: numbers, steps: [{filter: value < 9}]}
  filtered: {from: small, steps: [{filter: 10 / value > 3}], on_error: {process: skip}}
  mapped: {from: small, steps: [{map_values: 10 / value}], on_error: {process: skip}}
  moved: {from: small, steps: [{map: {key: string(10 / value), value: value}}], on_error: {process: skip}}
  parts:
    from: small
    steps: [{flat_map: '[1, 2].map(i, {\"key\": i, \"value\": 10 / value})'}]
    on_error: {process: skip}
  values: {from: small, steps: [{flat_map_values: '[10 / value, value]'}], on_error: {process: skip}}
sinks:
  - {from: filtered, topic: filtered}
  - {from: mapped, topic: mapped}
  - {from: moved, topic: moved}
  - {from: parts, topic: parts}
  - {from: values, topic: values}
";
    let build = |builder: &StreamsBuilder| {
        let of = |number: i64| 10_i64.checked_div(number).ok_or("nothing goes into zero");
        let small = builder.stream("in", longs("numbers")).filter(|_, number| *number < 9);
        let skip = OnError::Skip;
        small.try_filter(move |_, number| of(*number).map(|tenth| tenth > 3)).on_error(skip).to("filtered", json());
        small.try_map_values(of).on_error(skip).to("mapped", json());
        let moved = small.try_map(move |_, number| of(number).map(|part| (part.to_string(), number)));
        moved.on_error(skip).to("moved", json());
        let parts = small.try_flat_map(move |_, number| of(number).map(|part| vec![(1_i64, part), (2, part)]));
        parts.on_error(skip).to("parts", json());
        let values = small.try_flat_map_values(move |number| of(number).map(|part| vec![part, number]));
        values.on_error(skip).to("values", json());
    };
    let input = [("in", r#""a""#, "1", 0), ("in", r#""b""#, "0", 1), ("in", r#""c""#, "5", 2)];
    let fail = |builder: StreamsBuilder| builder.on_error(OnError::Fail);
    let out = Case::new(yaml, &input).settings(fail).assert_same(build);
    assert_eq!(out.len(), 1 + 2 + 2 + 4 + 4, "{out:?}");
}

/// Of a step that is written as two, both have the policy, and what comes before has not.
#[test]
fn a_policy_is_that_of_one_step() {
    let builder = StreamsBuilder::new("app");
    numbers(&builder)
        .try_map_values(|number| if number == 2 { Err("two is too much") } else { Ok(number) })
        .try_map(|key, number| if number == 1 { Err("one is not enough") } else { Ok((key, number)) })
        .on_error(OnError::Skip)
        .to("out", json());
    let mut driver = TopologyTestDriver::new(&Arc::new(built(&builder)), builder.schemas()).unwrap();
    driver.pipe("in", "a", &1, 0).unwrap();
    driver.pipe("in", "a", &3, 0).unwrap();
    assert_eq!(driver.read::<String, i64>("out").unwrap(), [("a".to_owned(), 3)]);
    let error = driver.pipe("in", "a", &2, 0).unwrap_err();
    assert!(format!("{error:#}").contains("two is too much"), "{error}");
}

/// The verb `peek` writes to the log of the process; what comes out is the same.
#[test]
fn what_is_shown_and_seen_goes_on() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  shown: {from: numbers, steps: [{peek: {message: key + string(int(value))}}, {map_values: key + string(int(value))}]}
sinks: [{from: shown, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        let both = |key: &String, number: i64| format!("{key}{number}");
        numbers(builder).print(move |key, number| both(key, *number)).map_values_with_key(both).to("out", json());
    };
    assert_eq!(assert_same(yaml, build, &NUMBERS)[3], r#"out "c"="c4" @40"#);
}

#[test]
fn what_is_alike_is_dropped() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string}}
streams:
  once: {from: numbers, steps: [{deduplicate: {by: int(value) % 2, within: 25ms, name: parity}}]}
  moved: {from: numbers, steps: [{select_key: key + '!'}, {repartition: {name: again}}]}
sinks:
  - {from: once, topic: once}
  - {from: moved, topic: moved}
";
    let build = |builder: &StreamsBuilder| {
        let (numbers, within) = (numbers(builder), std::time::Duration::from_millis(25));
        numbers.deduplicate_by("parity", within, |_, number| number % 2).to("once", json());
        numbers.select_key(|key, _| format!("{key}!")).repartition("again").to("moved", json());
    };
    let lines = assert_same(yaml, build, &NUMBERS);
    let once: Vec<&String> = lines.iter().filter(|line| line.starts_with("once")).collect();
    assert_eq!(once, [r#"once "a"=1 @10"#, r#"once "b"=2 @20"#]);
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
