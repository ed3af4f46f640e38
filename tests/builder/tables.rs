//! Tables: derived, joined, grouped, held back; and their names.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalstream::builder::{
    Fold, JoinedTables, KTable, Materialized, OnError, StreamsBuilder, Suppressed, TopologyError,
};

use crate::harness::{Input, assert_same, json, longs};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[
    rows_are_filtered_mapped_and_kept,
    a_row_on_which_a_closure_fails_goes_where_the_table_says,
    tables_are_joined_by_their_keys,
    tables_are_joined_at_once,
    rows_name_rows_of_another_table,
    rows_join_and_leave_groups,
    a_stream_becomes_a_table_and_changes_are_held_back,
];

fn table(builder: &StreamsBuilder, topic: &str) -> KTable<String, i64> {
    builder.table(topic, longs(topic))
}

const INPUT: [Input<'_>; 8] = [
    ("l", r#""a""#, "1", 0),
    ("r", r#""a""#, "10", 100),
    ("r", r#""b""#, "20", 200),
    ("l", r#""b""#, "2", 300),
    ("l", r#""a""#, "3", 400),
    ("r", r#""a""#, "null", 500),
    ("l", r#""b""#, "null", 600),
    ("l", r#""z""#, "40", 60_000),
];

const HEAD: &str = "
topology: app
defaults: {key: json, value: json}
sources:
  l: {topic: l, key: string, value: long, kind: table}
  r: {topic: r, key: string, value: long, kind: table}
";

#[test]
fn rows_are_filtered_mapped_and_kept() {
    let yaml = format!(
        "{HEAD}
tables:
  odd: {{from: l, filter: value % 2 == 1}}
  doubled: {{from: odd, map_values: value * 2, store: {{name: kept}}}}
  others: {{from: r, filter_not: key == 'a'}}
  named: {{from: others, map_values: '[key, string(value)]'}}
sinks:
  - {{from: doubled, topic: doubled}}
  - {{from: named, topic: named}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let odd = table(builder, "l").filter(|_, number| number % 2 == 1);
        odd.map_values(|number| number * 2).materialize("kept").to_stream().to("doubled", json());
        let others = table(builder, "r").filter_not(|key, _| key == "a");
        let named = others.map_values_with_key(|key, number| vec![key.clone(), number.to_string()]);
        named.to_stream().to("named", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"doubled "a"=6 @400"#.to_owned()), "{lines:?}");
}

#[test]
fn a_row_on_which_a_closure_fails_goes_where_the_table_says() {
    let yaml = format!(
        "{HEAD}
tables:
  odd: {{from: l, filter: 4 % (value - 3) == 0, on_error: {{process: skip}}}}
  parts: {{from: r, map_values: 40 / (value - 20), on_error: {{process: skip}}}}
sinks:
  - {{from: odd, topic: odd}}
  - {{from: parts, topic: parts}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let rest = |_: &String, number: &i64| 4_i64.checked_rem(number - 3).map(|rest| rest == 0).ok_or("it is three");
        table(builder, "l").try_filter(rest).on_error(OnError::Skip).to_stream().to("odd", json());
        let parts = table(builder, "r").try_map_values(|number| 40_i64.checked_div(number - 20).ok_or("it is twenty"));
        parts.on_error(OnError::Skip).to_stream().to("parts", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"parts "a"=-4 @100"#.to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("parts \"b\"")), "{lines:?}");
}

#[test]
fn tables_are_joined_by_their_keys() {
    let yaml = format!(
        "{HEAD}
tables:
  inner: {{join: {{inputs: {{left: l, right: r}}}}, map_values: left + right}}
  left: {{join: {{kind: left, inputs: {{left: l, right: r}}}}, map_values: 'left + (right == null ? 0 : right)'}}
  outer:
    join: {{kind: outer, inputs: {{left: l, right: r}}}}
    map_values: '(left == null ? 0 : left) + (right == null ? 0 : right)'
sinks:
  - {{from: inner, topic: inner}}
  - {{from: left, topic: left}}
  - {{from: outer, topic: outer}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let (l, r) = (table(builder, "l"), table(builder, "r"));
        l.join(&r, "inner", |left, right| left + right).to_stream().to("inner", json());
        l.left_join(&r, "left", |left, right| left + right.unwrap_or(0)).to_stream().to("left", json());
        let outer = l.outer_join(&r, "outer", |left, right| left.unwrap_or(0) + right.unwrap_or(0));
        outer.to_stream().to("outer", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"inner "a"=13 @400"#.to_owned()), "{lines:?}");
    assert!(lines.contains(&r#"inner "a"=null @500"#.to_owned()), "{lines:?}");
}

/// Any number of tables, whose rows are told apart by names.
#[test]
fn tables_are_joined_at_once() {
    let yaml = format!(
        "{HEAD}
tables:
  odd: {{from: l, filter: value % 2 == 1, store: {{name: odd}}}}
  all: {{join: {{inputs: {{l: l, r: r, odd: odd}}}}}}
  some: {{join: {{kind: left, inputs: {{l: l, r: r, odd: odd}}}}}}
  any: {{join: {{kind: outer, inputs: {{l: l, r: r, odd: odd}}}}, store: {{name: kept}}}}
sinks:
  - {{from: all, topic: all}}
  - {{from: some, topic: some}}
  - {{from: any, topic: any}}
"
    );
    #[derive(Serialize, Deserialize)]
    struct Any {
        l: Option<i64>,
        r: Option<i64>,
        odd: Option<i64>,
    }
    #[derive(Serialize, Deserialize)]
    struct All {
        l: i64,
        r: i64,
        odd: i64,
    }
    let build = |builder: &StreamsBuilder| {
        let (l, r) = (table(builder, "l"), table(builder, "r"));
        let odd = l.filter(|_, number| number % 2 == 1).materialize("odd").named("odd");
        let all = JoinedTables::inner("l", &l).and("r", &r).and("odd", &odd).join::<All>("all");
        all.to_stream().to("all", json());
        let some = JoinedTables::left("l", &l).and("r", &r).and("odd", &odd).join::<Any>("some");
        some.to_stream().to("some", json());
        let any = JoinedTables::outer("l", &l).and("r", &r).and("odd", &odd);
        any.join::<Any>(Materialized::named("any").store("kept")).to_stream().to("any", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"all "a"={"l":3,"r":10,"odd":3} @400"#.to_owned()), "{lines:?}");

    let builder = StreamsBuilder::new("app");
    let both = JoinedTables::left("l", &table(&builder, "l")).and("right", &table(&builder, "r"));
    both.join::<All>("all").to_stream().to("all", json());
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::Row { .. }), "{error}");
    assert!(error.to_string().contains("nothing gives its field `r`"), "{error}");
}

#[test]
fn rows_name_rows_of_another_table() {
    let yaml = format!(
        "{HEAD}
tables:
  named: {{join: {{inputs: {{left: l, right: r}}, on: \"left == 40 ? 'b' : 'a'\"}}, map_values: left + right}}
  perhaps:
    join: {{kind: left, inputs: {{left: l, right: r}}, on: \"left == 40 ? 'b' : 'c'\"}}
    map_values: 'left + (right == null ? 0 : right)'
sinks:
  - {{from: named, topic: named}}
  - {{from: perhaps, topic: perhaps}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let (l, r) = (table(builder, "l"), table(builder, "r"));
        let of = |other: &'static str| move |number: &i64| (if *number == 40 { "b" } else { other }).to_owned();
        l.join_by_foreign_key(&r, "named", of("a"), |left, right| left + right).to_stream().to("named", json());
        let perhaps = l.left_join_by_foreign_key(&r, "perhaps", of("c"), |left, right| left + right.unwrap_or(0));
        perhaps.to_stream().to("perhaps", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"named "z"=60 @60000"#.to_owned()), "{lines:?}");
}

#[test]
fn rows_join_and_leave_groups() {
    let yaml = format!(
        "{HEAD}
tables:
  counts: {{from: l, group_by: value % 2, fold: {{init: 0, add: acc + 1, subtract: acc - 1}}}}
  sums: {{from: r, group_by: \"'all'\", reduce: {{add: acc + value, subtract: acc - value}}}}
  texts:
    from: l
    group_by: \"'all'\"
    group_value: \"key + string(value)\"
    fold: {{init: \"''\", add: acc + value, subtract: \"acc.replace(value, '')\"}}
  shares:
    from: l
    group_by: value % 2
    fold: {{init: 0, add: acc + 40 / (value - 2), subtract: acc - 40 / (value - 2), result: \"string(key) + ':' + string(acc)\"}}
    on_error: {{process: skip}}
sinks:
  - {{from: counts, topic: counts}}
  - {{from: sums, topic: sums}}
  - {{from: texts, topic: texts}}
  - {{from: shares, topic: shares}}
"
    );
    let build = |builder: &StreamsBuilder| {
        let (l, r) = (table(builder, "l"), table(builder, "r"));
        l.group_by(|_, number| number % 2).count("counts").to_stream().to("counts", json());
        let all = |_: &String, _: &i64| "all".to_owned();
        r.group_by(all).reduce("sums", |sum, row| sum + row, |sum, row| sum - row).to_stream().to("sums", json());
        l.group_by_value(all, |key, number| format!("{key}{number}"))
            .aggregate(
                "texts",
                String::new,
                |_, row: String, text: String| text + &row,
                |_, row, text| text.replace(&row, ""),
            )
            .to_stream()
            .to("texts", json());
        let share = |number: i64| 40_i64.checked_div(number - 2).ok_or("two is no part");
        let shares = Fold::try_new(|| 0, move |_: &i64, number, sum: i64| share(number).map(|share| sum + share))
            .subtract(move |_, number, sum| sum - share(number).unwrap_or(0))
            .result(|key, sum| format!("{key}:{sum}"));
        let odd = l.group_by(|_, number| number % 2);
        odd.fold("shares", shares).on_error(OnError::Skip).to_stream().to("shares", json());
    };
    let lines = assert_same(&yaml, build, &INPUT);
    assert!(lines.contains(&r#"texts "all"="a3z40" @60000"#.to_owned()), "{lines:?}");
}

#[test]
fn a_stream_becomes_a_table_and_changes_are_held_back() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: l, key: string, value: long}}
tables:
  latest: {from: numbers, steps: [{filter: value < 30}]}
  rarely: {from: latest, suppress: {until: 10s, max_records: 2, when_full: emit_early}}
streams:
  changes: {from: rarely, steps: [to_stream, {map_values: 'value == null ? -1 : value'}]}
sinks: [{from: changes, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        let numbers = builder.stream("l", longs("numbers"));
        let limit = Suppressed::until_time_limit(Duration::from_secs(10)).max_records(2).emit_early_when_full();
        numbers
            .filter(|_, number| *number < 30)
            .to_table("latest")
            .suppress("rarely", limit)
            .to_nullable_stream()
            .map_values(|number| number.unwrap_or(-1))
            .to("out", json());
    };
    let input = [
        ("l", r#""a""#, "1", 0),
        ("l", r#""a""#, "2", 100),
        ("l", r#""b""#, "3", 200),
        ("l", r#""c""#, "4", 300),
        ("l", r#""d""#, "5", 60_000),
    ];
    let lines = assert_same(yaml, build, &input);
    assert_eq!(lines[0], r#"out "a"=2 @100"#, "{lines:?}");
}

#[test]
fn a_store_without_a_name_of_its_own_is_refused() {
    let joined = |named: bool| {
        let builder = StreamsBuilder::new("app");
        let odd = table(&builder, "l").filter(|_, number| number % 2 == 1);
        let odd = if named { odd.named("odd") } else { odd };
        odd.join(&table(&builder, "r"), "joined", |left, right| left + right).to_stream().to("out", json());
        builder.build()
    };
    assert!(joined(true).is_ok());
    let error = joined(false).unwrap_err();
    assert!(matches!(error, TopologyError::Unnamed { .. }), "{error}");
    assert!(error.to_string().contains(".named("), "{error}");
}

/// What is kept is compared with the topology by its expressions, too: those of a table must not change with what stands
/// elsewhere.
#[test]
fn calls_are_named_after_the_table_that_makes_them() {
    let build = |more: bool| {
        let builder = StreamsBuilder::new("app");
        let l = table(&builder, "l");
        if more {
            l.group_by(|_, number| *number).count("before").to_stream().filter(|_, _| true).to("before", json());
        }
        let add = |sum, row| sum + row;
        l.group_by(|_, number| number % 2).reduce("sums", add, |sum, row| sum - row).to_stream().to("out", json());
        l.join_by_foreign_key(&table(&builder, "r"), "named", |_| String::new(), |left, right| left + right)
            .to_stream()
            .to("named", json());
        builder.to_yaml()
    };
    let (without, with) = (build(false), build(true));
    for call in ["group_by_sums(key, value)", "add_sums(acc, value)", "subtract_sums(acc, value)", "on_named(left)"] {
        assert!(without.contains(call) && with.contains(call), "{call}\n{without}\n{with}");
    }
}
