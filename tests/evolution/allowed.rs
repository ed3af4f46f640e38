//! What may change: results go on as if the rows that are there had been made by the topology as it is now.

use super::World;

const COUNTED: &str = "
sources:
  a: {topic: a}
tables:
  t:
    from: a
    aggregate: {n: count()}
sinks:
  - {from: t, topic: out}
";

/// What is written before the change, and after it.
const FIRST: &[(&str, &str, i64)] = &[("k", "1", 1), ("l", "2", 2), ("k", "3", 3)];
const SECOND: &[(&str, &str, i64)] = &[("k", "4", 4), ("l", "5", 5)];

/// A change, what is noted of it, and all that is in `out` in the end.
struct Case {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    notes: &'static [&'static str],
    out: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "nothing",
        before: COUNTED,
        after: COUNTED,
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#, r#"l={"n":2}"#],
    },
    Case {
        name: "a filter before the count",
        before: COUNTED,
        after: "
sources:
  a: {topic: a}
streams:
  few:
    from: a
    steps:
      - filter: int(value) < 5
tables:
  t:
    from: few
    aggregate: {n: count()}
sinks:
  - {from: t, topic: out}
",
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#],
    },
    Case {
        name: "another result, and a sink more",
        before: COUNTED,
        after: "
sources:
  a: {topic: a}
tables:
  t:
    from: a
    aggregate: {n: count()}
sinks:
  - {from: t, topic: out, map: {twice: value.n * 2}}
  - {from: a, topic: out}
",
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"twice":6}"#, "k=4", r#"l={"twice":4}"#, "l=5"],
    },
    Case {
        name: "a store more, which begins empty",
        before: COUNTED,
        after: "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}}
  s: {from: a, aggregate: {sum: sum(int(value))}}
sinks:
  - {from: t, topic: out}
  - {from: s, topic: out}
",
        notes: &[],
        out: &[
            r#"k={"n":1}"#,
            r#"l={"n":1}"#,
            r#"k={"n":2}"#,
            r#"k={"n":3}"#,
            r#"k={"sum":4}"#,
            r#"l={"n":2}"#,
            r#"l={"sum":5}"#,
        ],
    },
    Case {
        name: "a sub-topology before it, so that the tasks have other numbers",
        before: COUNTED,
        after: "
sources:
  b: {topic: b}
  a: {topic: a}
tables:
  others: {from: b, aggregate: {n: count()}}
  t: {from: a, aggregate: {n: count()}}
sinks:
  - {from: others, topic: elsewhere}
  - {from: t, topic: out}
",
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#, r#"l={"n":2}"#],
    },
    Case {
        name: "a sub-topology that is gone, so that there are fewer tasks",
        before: "
sources:
  b: {topic: b}
  a: {topic: a}
tables:
  others: {from: b, aggregate: {n: count()}}
  t: {from: a, aggregate: {n: count()}}
sinks:
  - {from: others, topic: elsewhere}
  - {from: t, topic: out}
",
        after: COUNTED,
        notes: &[
            "note: store `others`: is gone. Its rows stay in the topic `evo-others-changelog`. `signalstream topics prune",
        ],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#, r#"l={"n":2}"#],
    },
    Case {
        name: "a join that makes one sub-topology of two",
        before: "
sources:
  b: {topic: b, kind: table}
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}}
  u:
    from: b
    steps:
      - map_values: {v: value}
sinks:
  - {from: t, topic: out}
  - {from: u, topic: elsewhere}
",
        after: "
sources:
  b: {topic: b, kind: table}
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}}
  both:
    join: {kind: left, inputs: {x: t, y: b}}
    map_values: {n: x.n, y: y}
sinks:
  - {from: both, topic: out}
",
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3,"y":7}"#, r#"l={"n":2,"y":null}"#],
    },
    Case {
        name: "a table that is renamed and keeps its store",
        before: "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}, store: {name: counts}}
sinks:
  - {from: t, topic: out}
",
        after: "
sources:
  a: {topic: a}
tables:
  totals: {from: a, aggregate: {n: count()}, store: {name: counts}}
sinks:
  - {from: totals, topic: out}
",
        notes: &[],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#, r#"l={"n":2}"#],
    },
    Case {
        name: "a table that is renamed with its store",
        before: COUNTED,
        after: "
sources:
  a: {topic: a}
tables:
  totals: {from: a, aggregate: {n: count()}}
sinks:
  - {from: totals, topic: out}
",
        notes: &["note: store `t`: is gone. If it was renamed to `totals`: that one begins empty. Its rows stay in"],
        out: &[r#"k={"n":1}"#, r#"l={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":1}"#, r#"l={"n":1}"#],
    },
    Case {
        name: "another argument",
        before: "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: sum(int(value))}}
sinks:
  - {from: t, topic: out}
",
        after: "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: sum(int(value) * 10)}}
sinks:
  - {from: t, topic: out}
",
        notes: &[
            "note: store `t` (evo.yaml:7): argument of n: was int(value), is int(value) * 10. It holds from now on",
        ],
        out: &[r#"k={"n":1}"#, r#"l={"n":2}"#, r#"k={"n":4}"#, r#"k={"n":44}"#, r#"l={"n":52}"#],
    },
    Case {
        name: "windows that wait and are kept for longer, and are handed on when they close",
        before: "
sources:
  a: {topic: a}
tables:
  t: {from: a, window: {tumbling: 4ms}, aggregate: {n: count()}}
sinks:
  - {from: t, topic: out, map: {start: window.start, n: value.n}}
",
        after: "
sources:
  a: {topic: a}
tables:
  t: {from: a, window: {tumbling: 4ms, grace: 1ms}, aggregate: {n: count()}, emit: on_close, store: {retention: 1m}}
sinks:
  - {from: t, topic: out, map: {start: window.start, n: value.n}}
",
        notes: &[
            "note: store `t` (evo.yaml:7): emit: was on_update, is on_close. It holds from now on",
            "note: store `t` (evo.yaml:7): grace: was 0s, is 1ms. It holds from now on",
            "note: store `t` (evo.yaml:7): retention: was 4ms, is 1m. It holds from now on",
        ],
        out: &[
            r#"k={"start":0,"n":1}"#,
            r#"l={"start":0,"n":1}"#,
            r#"k={"start":0,"n":2}"#,
            r#"k={"start":0,"n":2}"#,
            r#"l={"start":0,"n":1}"#,
        ],
    },
];

#[test]
fn what_may_change_gives_the_results_that_it_should_with_and_without_local_state() {
    for Case { name, before, after, notes, out } in CASES {
        for keeps_disk in [true, false] {
            let mut world = World::new();
            world.write("a", FIRST);
            world.write("b", &[("k", "7", 1)]);
            world.runs(before);
            let found = world.findings(after);
            assert_eq!(found.len(), notes.len(), "{name}: {found:#?}");
            for note in *notes {
                assert!(found.iter().any(|line| line.starts_with(note)), "{name}: `{note}` is missing in {found:#?}");
            }
            if !keeps_disk {
                world.empty_disk();
            }
            world.write("a", SECOND);
            world.runs(after);
            let disk = if keeps_disk { "its disk" } else { "an empty disk" };
            assert_eq!(world.out(), *out, "{name}, on {disk}");
            assert_eq!(world.findings(after).len(), 0, "{name}: said once");
        }
    }
}
