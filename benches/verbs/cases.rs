//! The verbs that remember something, each with what comes to it.
//!
//! There are two ways to have many rows. With *many keys* there is a row for each; where there are windows, ten of them are
//! alive, each with a tenth of the rows. With *few keys*, ten, each has a tenth of the rows: as windows, sessions, versions
//! or records that wait; every other record is late, for any of these.

use crate::rig::Input;

/// How many keys are few.
const FEW: u64 = 10;
/// No two records have the same value.
const UNIQUE: u64 = 1 << 62;

/// Over what the rows are spread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// A row for each key.
    Keys,
    /// Many keys, each with a row in each of ten windows.
    Windows,
    /// Ten keys, each with many rows.
    FewKeys,
}

/// What the values of `a` are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Each is a key.
    Keys,
    /// Each is one of ten keys, and `b` has no more than these.
    FewKeys,
    /// All are different.
    Unique,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    /// Records that come in.
    Record,
    /// The same, over as many records as there are rows: what is over goes out all at once, and seldom.
    RecordOfMany,
    /// Records of `b` alone come in, and those are counted that go out: each changes many.
    Change,
}

/// A verb at work.
pub(crate) struct Case {
    /// How it is called.
    pub(crate) name: &'static str,
    pub(crate) spread: Spread,
    pub(crate) values: Values,
    pub(crate) per: Per,
    /// What is behind its defaults, without its sink, with `out` in the end. Its sources read `a`, `b` and `c`. `{w}` is
    /// the length of a window, `{w/4}` and `{2w}` what they say, `{alive}` how long rows are alive, `{half}` half of that,
    /// `{grace}` the grace with which windows are alive so long and `{grace-w}` that less a window.
    pub(crate) topology: &'static str,
}

const fn case(name: &'static str, spread: Spread, topology: &'static str) -> Case {
    Case { name, spread, values: Values::Keys, per: Per::Record, topology }
}

const fn keys(name: &'static str, topology: &'static str) -> Case {
    case(name, Spread::Keys, topology)
}

const fn windows(name: &'static str, topology: &'static str) -> Case {
    case(name, Spread::Windows, topology)
}

const fn few(name: &'static str, topology: &'static str) -> Case {
    case(name, Spread::FewKeys, topology)
}

impl Case {
    /// The topics that it reads.
    fn topics(&self) -> &'static [&'static str] {
        let reads = |topic: &str| self.topology.contains(&format!("{{topic: {topic}"));
        match (reads("b"), reads("c")) {
            (_, true) => &["a", "b", "c"],
            (true, _) => &["a", "b"],
            _ => &["a"],
        }
    }

    fn input(&self, topics: &'static [&'static str], rows: u64) -> Input {
        let keys = match (self.values, self.spread) {
            (Values::FewKeys, _) if topics == ["b"] => FEW,
            (_, Spread::FewKeys) => FEW,
            (_, Spread::Keys) => rows,
            (_, Spread::Windows) => rows / 10,
        };
        let values = match self.values {
            Values::Keys => keys,
            Values::FewKeys => FEW,
            Values::Unique => UNIQUE,
        };
        let late = if self.spread == Spread::FewKeys { rows * 8 / 10 } else { 0 };
        Input { topics, keys, values, late }
    }

    /// What comes to fill the stores, and how many records of each topic.
    pub(crate) fn fill(&self, rows: u64) -> Vec<(Input, u64)> {
        if self.values == Values::FewKeys && self.topics() == ["a", "b"] {
            // Each of these would change very many rows.
            return vec![(self.input(&["b"], rows), FEW), (self.input(&["a"], rows), rows)];
        }
        vec![(self.input(self.topics(), rows), rows)]
    }

    /// What is measured then.
    pub(crate) fn measured(&self, rows: u64) -> Input {
        let topics: &[&str] = match (self.per, self.values) {
            (Per::Change, _) => &["b"],
            (_, Values::FewKeys) => &["a"],
            _ => self.topics(),
        };
        self.input(topics, rows)
    }

    /// The whole topology for so many rows.
    pub(crate) fn yaml(&self, rows: u64) -> String {
        let topics = self.topics().len() as u64;
        // Every key once, for each topic.
        let window = self.input(self.topics(), rows).keys * topics;
        let alive = rows * topics;
        let grace = alive.saturating_sub(window);
        let mut text = format!("topology: bench\ndefaults: {{key: string, value: long}}{}\n", self.topology);
        text.push_str("sinks: [{from: out, topic: out, value: json}]\n");
        for (place, number) in [
            ("{w}", window),
            ("{w/4}", window / 4),
            ("{2w}", 2 * window),
            ("{alive}", alive),
            ("{half}", alive / 2),
            ("{grace}", grace),
            ("{grace-w}", grace.saturating_sub(window)),
        ] {
            text = text.replace(place, &number.to_string());
        }
        text
    }
}

const TUMBLING: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {tumbling: {w}ms, grace: {grace}ms}, aggregate: {n: count()}}}";
const TUMBLING_ON_CLOSE: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {tumbling: {w}ms, grace: {grace}ms}, aggregate: {n: count()}, emit: on_close}}";
const TUMBLING_EVERY: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {tumbling: {w}ms, grace: {grace}ms}, aggregate: {n: count()}, emit: {every: 1s}}}";
const HOPPING: &str = "
sources: {a: {topic: a}}
tables:
  out: {from: a, window: {hopping: {size: {2w}ms, advance: {w}ms}, grace: {grace-w}ms}, aggregate: {n: count()}}";
const HOPPING_ON_CLOSE: &str = "
sources: {a: {topic: a}}
tables:
  out:
    from: a
    window: {hopping: {size: {2w}ms, advance: {w}ms}, grace: {grace-w}ms}
    aggregate: {n: count()}
    emit: on_close";
const SLIDING: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {sliding: {w/4}ms, grace: {grace}ms}, aggregate: {n: count()}}}";
const SLIDING_ON_CLOSE: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {sliding: {w/4}ms, grace: {grace}ms}, aggregate: {n: count()}, emit: on_close}}";
const SESSION: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {session: {w/4}ms, grace: {grace}ms}, aggregate: {n: count()}}}";
const SESSION_ON_CLOSE: &str = "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {session: {w/4}ms, grace: {grace}ms}, aggregate: {n: count()}, emit: on_close}}";
const WINDOWED_COGROUP: &str = "
sources: {a: {topic: a}, b: {topic: b}}
tables:
  out:
    window: {tumbling: {w}ms, grace: {grace}ms}
    cogroup:
      inputs: {left: {from: a, add: {n: acc.n + 1}}, right: {from: b, add: {n: acc.n - 1}}}
      init: {n: 0}";
const SUPPRESS_WINDOWS: &str = "
sources: {a: {topic: a}}
tables:
  out:
    from: a
    window: {tumbling: {w}ms, grace: {grace}ms}
    aggregate: {n: count()}
    suppress: {until: window_closes}";
const STREAMS_INNER: &str = "
sources: {a: {topic: a}, b: {topic: b}}
streams:
  out: {join: {inputs: {l: a, r: b}, within: {before: {w/4}ms, after: {w/4}ms, grace: {grace}ms}}, map_values: l + r}";
const STREAMS_LEFT: &str = "
sources: {a: {topic: a}, b: {topic: b}}
streams:
  out:
    join: {kind: left, inputs: {l: a, r: b}, within: {before: {w/4}ms, grace: {grace}ms}}
    map_values: l";
const STREAMS_OUTER: &str = "
sources: {a: {topic: a}, b: {topic: b}}
streams:
  even: {from: b, steps: [{filter: value % 2 == 0}]}
  out:
    join: {kind: outer, inputs: {l: a, r: even}, within: {before: {w/4}ms, after: {w/4}ms, grace: {grace}ms}}
    map_values: 'l == null ? r : l'";
const VERSIONED: &str = "
sources: {a: {topic: a}, b: {topic: b, kind: table, store: {versioned: {grace}ms}}}
streams: {out: {join: {kind: left, inputs: {l: a, r: b}}, map_values: 'r == null ? l : l + r'}}";
const VERSIONED_GRACE: &str = "
sources: {a: {topic: a}, b: {topic: b, kind: table, store: {versioned: {grace}ms}}}
streams: {out: {join: {kind: left, inputs: {l: a, r: b}, grace: {grace-w}ms}, map_values: 'r == null ? l : l + r'}}";
const FOREIGN_KEY: &str = "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {inputs: {l: a, r: b}, on: string(l)}, map_values: l + r}}";

/// All of them.
pub(crate) const CASES: &[Case] = &[
    keys(
        "aggregate",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, aggregate: {n: count(), sum: sum(value)}}}",
    ),
    keys(
        "reduce",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, reduce: 'acc > value ? acc : value'}}",
    ),
    keys(
        "fold",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, fold: {init: {n: 0}, add: {n: acc.n + 1}}}}",
    ),
    keys(
        "cogroup",
        "
sources: {a: {topic: a}, b: {topic: b}}
tables:
  out:
    cogroup:
      inputs: {left: {from: a, add: {n: acc.n + 1}}, right: {from: b, add: {n: acc.n - 1}}}
      init: {n: 0}",
    ),
    keys(
        "to_table",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, to_table: {}}}",
    ),
    keys(
        "emit every",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, aggregate: {n: count()}, emit: {every: 1s}}}",
    ),
    keys(
        "unlimited window",
        "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {unlimited: {}}, aggregate: {n: count()}}}",
    ),
    keys(
        "process",
        "
sources: {a: {topic: a}}
streams: {out: {from: a, steps: [{process: {processor: counting}}]}}",
    ),
    keys(
        "grouped table",
        "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, group_by: string(value), aggregate: {n: count(), sum: sum(value)}}}",
    ),
    Case {
        values: Values::FewKeys,
        ..keys(
            "grouped table, few groups",
            "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, group_by: string(value), aggregate: {n: count(), sum: sum(value)}}}",
        )
    },
    keys(
        "grouped table, fold",
        "
sources: {a: {topic: a, kind: table}}
tables:
  out:
    from: a
    group_by: string(value)
    fold: {init: {n: 0}, add: {n: acc.n + 1}, subtract: {n: acc.n - 1}}",
    ),
    windows("tumbling", TUMBLING),
    few("tumbling, few keys", TUMBLING),
    windows("tumbling, on_close", TUMBLING_ON_CLOSE),
    few("tumbling, on_close, few keys", TUMBLING_ON_CLOSE),
    windows("tumbling, emit every", TUMBLING_EVERY),
    few("tumbling, emit every, few keys", TUMBLING_EVERY),
    windows("hopping", HOPPING),
    few("hopping, few keys", HOPPING),
    windows("hopping, on_close", HOPPING_ON_CLOSE),
    windows("sliding", SLIDING),
    few("sliding, few keys", SLIDING),
    windows("sliding, on_close", SLIDING_ON_CLOSE),
    few("sliding, on_close, few keys", SLIDING_ON_CLOSE),
    windows("session", SESSION),
    few("session, few keys", SESSION),
    windows("session, on_close", SESSION_ON_CLOSE),
    few("session, on_close, few keys", SESSION_ON_CLOSE),
    windows("windowed cogroup", WINDOWED_COGROUP),
    few("windowed cogroup, few keys", WINDOWED_COGROUP),
    windows("suppress, windows", SUPPRESS_WINDOWS),
    few("suppress, windows, few keys", SUPPRESS_WINDOWS),
    keys(
        "suppress, time",
        "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, suppress: {until: {half}ms}}}",
    ),
    keys(
        "suppress, records",
        "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, suppress: {until: 3650d, max_records: {half}, when_full: emit_early}}}",
    ),
    keys(
        "suppress, bytes",
        "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, suppress: {until: 3650d, max_bytes: {half}, when_full: emit_early}}}",
    ),
    windows(
        "deduplicate",
        "
sources: {a: {topic: a}}
streams: {out: {from: a, steps: [{deduplicate: {within: {half}ms}}]}}",
    ),
    Case {
        values: Values::Unique,
        ..few(
            "deduplicate, few keys",
            "
sources: {a: {topic: a}}
streams: {out: {from: a, steps: [{deduplicate: {by: string(value), within: {alive}ms}}]}}",
        )
    },
    windows("streams, inner join", STREAMS_INNER),
    few("streams, inner join, few keys", STREAMS_INNER),
    Case { per: Per::RecordOfMany, ..windows("streams, left join", STREAMS_LEFT) },
    Case { per: Per::RecordOfMany, ..few("streams, left join, few keys", STREAMS_LEFT) },
    Case { per: Per::RecordOfMany, ..windows("streams, outer join", STREAMS_OUTER) },
    Case { per: Per::RecordOfMany, ..few("streams, outer join, few keys", STREAMS_OUTER) },
    keys(
        "stream-table join",
        "
sources: {a: {topic: a}, b: {topic: b, kind: table}}
streams: {out: {join: {inputs: {l: a, r: b}}, map_values: l + r}}",
    ),
    keys(
        "stream-global-table join",
        "
sources: {a: {topic: a}, b: {topic: b, kind: global_table}}
streams: {out: {join: {inputs: {l: a, r: b}, on: string(l)}, map_values: l + r}}",
    ),
    windows("versioned, as of", VERSIONED),
    few("versioned, as of, few keys", VERSIONED),
    windows("versioned, grace", VERSIONED_GRACE),
    few("versioned, grace, few keys", VERSIONED_GRACE),
    keys(
        "tables, inner join",
        "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {inputs: {l: a, r: b}}, map_values: l + r}}",
    ),
    keys(
        "tables, outer join",
        "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {kind: outer, inputs: {l: a, r: b}}, map_values: 'l == null ? r : l'}}",
    ),
    keys(
        "three tables",
        "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}, c: {topic: c, kind: table}}
tables: {out: {join: {kind: left, inputs: {l: a, m: b, r: c}}, map_values: 'm == null ? l : l + m'}}",
    ),
    keys("foreign key", FOREIGN_KEY),
    Case { values: Values::FewKeys, ..keys("foreign key, few named", FOREIGN_KEY) },
    Case { values: Values::FewKeys, per: Per::Change, ..keys("foreign key, named changes", FOREIGN_KEY) },
];
