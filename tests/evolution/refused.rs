//! What may not change, and what is said then.

use std::time::{Duration, Instant};

use signalstream::log::Log;

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

const SUMMED: &str = "
sources:
  a: {topic: a}
tables:
  t:
    from: a
    group_by: string(value.group)
    window: {tumbling: 1m, grace: 10s}
    aggregate: {most: min(int(value.v)), total: sum(int(value.v))}
sinks:
  - {from: t, topic: out, key: json, map: {row: value}}
";

const GROUPED: &str = "
sources:
  a: {topic: a, kind: table}
tables:
  rich:
    from: a
    steps:
      - filter: int(value.v) > 0
  t:
    from: rich
    group_by: string(value.group)
    aggregate: {n: count(), total: sum(int(value.v))}
sinks:
  - {from: t, topic: out}
";

const FOREIGN: &str = "
sources:
  a: {topic: a, kind: table}
  b: {topic: b, kind: table}
tables:
  t:
    join: {kind: left, inputs: {x: a, y: b}, on: string(x.v)}
    map_values: {v: x.v}
sinks:
  - {from: t, topic: out}
";

const JOINED: &str = "
sources:
  a: {topic: a}
  b: {topic: b}
streams:
  t:
    join: {kind: left, inputs: {x: a, y: b}, within: {before: 1m, after: 2m, grace: 10s}}
    map_values: {v: x.v}
sinks:
  - {from: t, topic: out}
";

const ONCE: &str = "
sources:
  a: {topic: a}
streams:
  t:
    from: a
    steps:
      - deduplicate: {within: 1m}
sinks:
  - {from: t, topic: out}
";

const VERSIONED: &str = "
sources:
  a: {topic: a, kind: table, store: {versioned: 1h}}
  b: {topic: b}
streams:
  t:
    join: {inputs: {x: b, y: a}}
    map_values: {v: y.v}
sinks:
  - {from: t, topic: out}
";

const SUPPRESSED: &str = "
sources:
  a: {topic: a}
tables:
  t:
    from: a
    window: {tumbling: 1m}
    aggregate: {n: count()}
    suppress: {until: window_closes}
sinks:
  - {from: t, topic: out}
";

/// A change, and parts of what is said of it.
struct Case {
    name: &'static str,
    before: &'static str,
    /// What is replaced in it, and by what.
    change: (&'static str, &'static str),
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "a new aggregate",
        before: COUNTED,
        change: ("{n: count()}", "{n: count(), last: last(int(value.v))}"),
        said: &["store `t` (evo.yaml:", "values: `last` is new (int or null)", "signalstream reset", "another name"],
    },
    Case {
        name: "an aggregate that is gone",
        before: SUMMED,
        change: ("most: min(int(value.v)), total", "total"),
        said: &["store `t`", "values: `most` is gone"],
    },
    Case {
        name: "a field of another type",
        before: SUMMED,
        change: ("sum(int(value.v))", "sum(double(value.v))"),
        said: &["`total` was int, is double"],
    },
    Case {
        name: "another aggregate",
        before: SUMMED,
        change: ("min(int(value.v))", "max(int(value.v))"),
        said: &["aggregate most: was min, is max", "means something else"],
    },
    Case {
        name: "another function with the same rows",
        before: COUNTED,
        change: ("aggregate: {n: count()}", "fold: {init: {n: 0}, add: {n: acc.n + 1}}"),
        said: &["made by: was aggregate, is fold"],
    },
    Case {
        name: "keys of another format",
        before: SUMMED,
        change: ("string(value.group)", "int(value.group)"),
        said: &["store `t`", "keys: was string, is long", "would not be found"],
    },
    Case {
        name: "longer windows",
        before: SUMMED,
        change: ("{tumbling: 1m,", "{tumbling: 2m,"),
        said: &["windows: was tumbling 1m, is tumbling 2m", "stand among those of the new ones"],
    },
    Case {
        name: "windows that overlap",
        before: SUMMED,
        change: ("{tumbling: 1m,", "{hopping: {size: 1m, advance: 30s},"),
        said: &["windows: was tumbling 1m, is hopping 1m every 30s"],
    },
    Case {
        name: "sessions instead of windows",
        before: SUMMED,
        change: ("{tumbling: 1m,", "{session: 1m,"),
        said: &["kind: was window, is session"],
    },
    Case {
        name: "windows where there were none",
        before: COUNTED,
        change: ("from: a\n    agg", "from: a\n    window: {tumbling: 1m}\n    agg"),
        said: &["kind: was key-value, is window"],
    },
    Case {
        name: "other groups of a table",
        before: GROUPED,
        change: ("string(value.group)", "string(value.other)"),
        said: &["store `t`", "taken back by", "group_by string(value.other)", "was added by those of then"],
    },
    Case {
        name: "another filter before the groups of a table",
        before: GROUPED,
        change: ("int(value.v) > 0", "int(value.v) > 2"),
        said: &["taken back by", "filter int(value.v) > 2"],
    },
    Case {
        name: "another argument of the aggregate of a grouped table",
        before: GROUPED,
        change: ("sum(int(value.v))", "sum(int(value.v) * 2)"),
        said: &["taken back by", "total of int(value.v) * 2"],
    },
    Case {
        name: "another foreign key",
        before: FOREIGN,
        change: ("string(x.v)", "string(x.group)"),
        said: &["store `t-subscriptions`", "foreign key: was string(x.v), is string(x.group)"],
    },
    Case {
        name: "matches further apart",
        before: JOINED,
        change: ("after: 2m", "after: 3m"),
        said: &["store `t-x`", "store `t-y`", "span of matches: was 3m, is 4m"],
    },
    Case {
        name: "sides of a join that are changed over",
        before: JOINED,
        change: ("{x: a, y: b}", "{y: b, x: a}"),
        said: &["store `t-x`", "side: was first, is second"],
    },
    Case {
        name: "a longer time in which records are alike",
        before: ONCE,
        change: ("within: 1m", "within: 2m"),
        said: &["store `t-deduplicate`", "within: was 1m, is 2m"],
    },
    Case {
        name: "a longer history",
        before: VERSIONED,
        change: ("versioned: 1h", "versioned: 2h"),
        said: &["store `a-history`", "history: was 1h, is 2h"],
    },
    Case {
        name: "held back for a time, not until windows close",
        before: SUPPRESSED,
        change: ("until: window_closes", "until: 1m"),
        said: &["store `t-suppress`", "held back until: was its window closes, is a time has passed"],
    },
];

const ROW: &str = r#"{"v": 3, "group": "7", "other": "8"}"#;

#[test]
fn what_rows_would_not_survive_is_refused_with_its_reason_with_and_without_local_state() {
    for Case { name, before, change: (from, to), said } in CASES {
        let after = before.replace(from, to);
        assert_ne!(after, *before, "{name} changes nothing");
        let mut world = World::new();
        for topic in ["a", "b"] {
            world.write(topic, &[("k", ROW, 1_000), ("l", ROW, 2_000)]);
        }
        world.runs(before);
        let made = world.out();
        for disk in ["its disk", "an empty disk"] {
            let error = world.run(&after).expect_err(name).to_string();
            for part in ["`evo` cannot go on with the state that it has"].iter().chain(*said) {
                assert!(error.contains(part), "{name}, on {disk}: `{part}` is missing in\n{error}");
            }
            world.empty_disk();
        }
        assert_eq!(world.out(), made, "{name}: nothing is processed");
        // What was goes on.
        world.write("a", &[("k", ROW, 3_000)]);
        world.runs(before);
    }
}

#[test]
fn what_was_never_written_binds_nobody() {
    for Case { name, before, change: (from, to), .. } in CASES {
        let world = World::new();
        world.runs(before);
        let after = before.replace(from, to);
        assert_eq!(world.findings(&after), Vec::<String>::new(), "{name}");
        world.runs(&after);
        // From here on the new one counts.
        for topic in ["a", "b"] {
            world.write(topic, &[("k", ROW, 1_000)]);
        }
        world.runs(&after);
        assert!(world.run(before).is_err(), "{name}");
    }
}

#[test]
fn other_partitions_under_state_are_refused() {
    let world = World::with_partitions(2);
    world.write("a", &[("k", ROW, 1)]);
    world.runs(COUNTED);
    let other = COUNTED.replace("{topic: a}", "{topic: wide}");
    world.log_topic("wide", 3);
    let error = world.run(&other).unwrap_err().to_string();
    assert!(error.contains("is a changelog with 2 partitions, the tasks that write it are now 3"), "{error}");
}

const PASSAGE: &str = "
sources:
  a: {topic: a}
streams:
  keyed:
    from: a
    steps:
      - select_key: string(value.group)
      - map_values: {v: int(value.v), w: int(value.v)}
tables:
  t: {from: keyed, aggregate: {total: sum(value.v)}}
sinks:
  - {from: t, topic: out, key: json}
";

#[test]
fn records_on_their_way_keep_a_repartition_topic_as_it_is_until_they_are_processed() {
    let world = World::new();
    world.write("a", &[("k", ROW, 1)]);
    world.runs(PASSAGE);
    let changes = [
        (PASSAGE.replace("v: int(value.v), w", "v: double(value.v), w"), "values: `v` was int, is double"),
        (PASSAGE.replace("sum(value.v)", "sum(value.w)"), "reads more fields: w"),
        (PASSAGE.replace("string(value.group)", "int(value.group)"), "keys: was string, is long"),
        (
            PASSAGE.replace("  t: {from: keyed,", "  u: {from: keyed,").replace("from: t", "from: u"),
            "is not read any more",
        ),
    ];
    let of_topic = |text: &str| -> Vec<String> {
        let findings = world.findings(text).into_iter();
        findings.filter(|one| one.starts_with("refused: topic `evo-t-repartition`")).collect()
    };
    for (changed, _) in &changes {
        assert_eq!(of_topic(changed), Vec::<String>::new(), "everything is processed");
    }
    // As if the process had ended before the second half.
    world.write("evo-t-repartition", &[("7", "in transit", 1)]);
    for (changed, said) in &changes {
        let found = of_topic(changed);
        assert_eq!(found.len(), 1, "{said}");
        for part in [said, "have not been processed", "1 offsets are left", "--until-end", "topics prune"] {
            assert!(found[0].contains(part), "{part} is missing in {}", found[0]);
        }
        assert!(world.run(changed).is_err(), "{said}");
    }
}

#[test]
fn what_binds_nobody_binds_a_start_beside_others() {
    let world = World::new();
    world.runs(PASSAGE);
    let changed = PASSAGE.replace("v: int(value.v), w", "v: double(value.v), w");
    let mut other = world.log.member("evo", None).unwrap();
    other.subscribe(&["evo-tasks"]).unwrap();
    let error = world.run(&changed).unwrap_err().to_string();
    assert!(error.contains("running members may write it as it was"), "{error}");
    assert!(world.evolution(&changed).waived && !world.evolution(PASSAGE).waived);
    drop(other);
    world.runs(&changed);
}

/// Two that start at the same time see nobody in the group. Who is described last has its way; the other, once it is a
/// member, finds that out before it opens a task.
#[test]
fn a_start_that_others_have_overtaken_opens_no_task() {
    let description = |text: &str| {
        let world = World::new();
        world.runs(text);
        world.read("evo-tasks").pop().unwrap().1.to_string()
    };
    for (theirs, overtaken) in [(SUMMED, true), (COUNTED, false)] {
        let world = World::new();
        world.runs(COUNTED);
        world.write("a", &[("k", r#"{"group": 1, "v": 2}"#, 1)]);
        // Nobody else gets the task while this member has it.
        let mut member = world.log.member("evo", None).unwrap();
        member.subscribe(&["evo-tasks"]).unwrap();
        let application = world.start(COUNTED).unwrap();
        world.write("evo-tasks", &[("description", &description(theirs), 1)]);
        drop(member);
        let started = Instant::now();
        application.wait_until_caught_up(|_| started.elapsed() < Duration::from_secs(30)).unwrap();
        let end = application.stop();
        match overtaken {
            true => {
                let error = end.unwrap_err().to_string();
                assert!(error.contains("have started meanwhile with tasks that are not those of this one"), "{error}");
                assert_eq!(world.out(), Vec::<String>::new(), "nothing was processed");
            }
            false => {
                end.unwrap();
                assert_eq!(world.out(), [r#"k={"n":1}"#]);
            }
        }
    }
}
