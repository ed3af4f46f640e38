//! Where the engine is not yet, or on purpose not, what Kafka Streams is.
//!
//! A reason covers no more than the sequences in which it can show: all others of its scenario are compared.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::scenarios::{Scenario, Sequence};

/// Scenarios whose verbs are not there yet. One that comes out as in Kafka Streams must leave this list.
pub(crate) const PENDING: &[(&str, &str)] = &[];

/// What is done differently on purpose in a scenario; `docs/architecture.md` says why.
pub(crate) struct Decided {
    pub(crate) scenario: &'static str,
    pub(crate) reason: &'static str,
    /// Whether it can show in a sequence.
    pub(crate) covers: fn(&Sequence) -> bool,
}

const ONE_STREAM_TIME: &str = "a windowed cogroup has one stream time";
const GRACE: &str = "a stream\u{2013}stream join honours its grace for records that come late";

/// All of it.
pub(crate) const DECIDED: &[Decided] = &[
    Decided { scenario: "cogroup_session", reason: ONE_STREAM_TIME, covers: late_session },
    Decided { scenario: "cogroup_tumbling", reason: ONE_STREAM_TIME, covers: late_window },
    Decided { scenario: "join_streams_fold", reason: GRACE, covers: |s| over_within_grace(s, &SYMMETRIC) },
    Decided { scenario: "join_streams_left_asymmetric", reason: GRACE, covers: |s| over_within_grace(s, &LEFT) },
    Decided { scenario: "join_streams_outer_asymmetric", reason: GRACE, covers: |s| over_within_grace(s, &OUTER) },
    Decided { scenario: "join_streams_outer_grace", reason: GRACE, covers: |s| over_within_grace(s, &SYMMETRIC) },
    Decided { scenario: "join_streams_rekeyed", reason: GRACE, covers: |s| over_within_grace(s, &REKEYED) },
    Decided {
        scenario: "join_streams_zero",
        reason: "records of one timestamp meet even within 0s without grace",
        covers: meets_at_once,
    },
    Decided {
        scenario: "join_versioned_filtered",
        reason: "a table made of a versioned one has no versions",
        covers: looks_back,
    },
    Decided {
        scenario: "suppress_grouped",
        reason: "a suppress hands on, as the old row, the one that went on last",
        covers: changes_while_held_back,
    },
    Decided {
        scenario: "session_headers",
        reason: "changes of sessions keep the headers of the record that made them",
        covers: |sequence| sequence.lines.iter().any(|line| !line["headers"].is_null()),
    },
    Decided {
        scenario: "tumbling_on_close_short",
        reason: "every window that closes is handed on, however far time leaps",
        covers: leaps_over_a_window,
    },
    Decided {
        scenario: "window_null_value",
        reason: "a windowed aggregate skips null values and counts them",
        covers: |sequence| sequence.lines.iter().any(|line| !line["key"].is_null() && line["value"].is_null()),
    },
];

/// Single sequences of other scenarios in which something that is done differently on purpose shows: scenario, name of the
/// sequence, reason.
pub(crate) const SEQUENCES: &[(&str, &str, &str)] = &[
    (
        "join_versioned_tables",
        "a deletion at the time of the row that it deletes, then a row from before",
        "a deletion is remembered, also one that has the time of the only row of its key",
    ),
    (
        "join_versioned_tables",
        "random 141",
        "a deletion is remembered, also one that has the time of the only row of its key",
    ),
];

/// Why a sequence need not come out as in Kafka Streams, if there is a reason.
pub(crate) fn reason(sequence: &Sequence) -> Option<&'static str> {
    let decided = DECIDED.iter().find(|decided| decided.scenario == sequence.scenario && (decided.covers)(sequence));
    let single = SEQUENCES.iter().find(|(scenario, name, _)| *scenario == sequence.scenario && *name == sequence.name);
    decided.map(|decided| decided.reason).or(single.map(|(_, _, reason)| *reason))
}

/// Whether a scenario is not there yet.
pub(crate) fn is_pending(scenario: &Scenario) -> bool {
    PENDING.iter().any(|(name, _)| *name == scenario.name)
}

/// What of a record the reasons look at: topic, key, the field `k`, time. Of records with a value only.
fn records(sequence: &Sequence) -> impl Iterator<Item = (&str, Option<&str>, Option<&str>, i64)> {
    let with_value = sequence.lines.iter().filter(|line| line["value"].is_object());
    with_value.filter_map(|line: &Json| {
        let (topic, time) = (line["topic"].as_str()?, line["timestamp"].as_i64()?);
        Some((topic, line["key"].as_str(), line["value"]["k"].as_str(), time))
    })
}

/// Whether some record is late by the time of all inputs, and not by that of its own. `end` is when it is over, without
/// grace; `from_k` whether the second input is grouped by `k`.
fn late_by_the_others(sequence: &Sequence, from_k: bool, is_late: fn(i64, i64) -> bool) -> bool {
    let (mut of_all, mut of_own) = (0, BTreeMap::new());
    records(sequence).any(|(topic, key, k, time)| {
        let key = if from_k && topic == "b" { k } else { key };
        if key.is_none() {
            return false;
        }
        let own = of_own.entry(topic).or_insert(0);
        (of_all, *own) = (time.max(of_all), time.max(*own));
        is_late(time, of_all) && !is_late(time, *own)
    })
}

/// Tumbling windows of 10 s with a grace of 5 s.
fn late_window(sequence: &Sequence) -> bool {
    late_by_the_others(sequence, true, |time, stream_time| (time / 10_000 + 1) * 10_000 <= stream_time - 5_000)
}

/// Sessions with a gap of 10 s and a grace of 5 s.
fn late_session(sequence: &Sequence) -> bool {
    late_by_the_others(sequence, false, |time, stream_time| time < stream_time - 15_000)
}

/// A join of the streams `a` and `b`.
struct Join {
    before: i64,
    after: i64,
    grace: i64,
    /// Whether records of `b` are handed on unmatched, as those of `a` are.
    outer: bool,
    /// Whether the key of `a` is its field `k`.
    rekeyed: bool,
}

const SYMMETRIC: Join = Join { before: 10_000, after: 10_000, grace: 5_000, outer: true, rekeyed: false };
const REKEYED: Join = Join { outer: false, rekeyed: true, ..SYMMETRIC };
const OUTER: Join = Join { before: 2_000, after: 10_000, grace: 4_000, ..SYMMETRIC };
const LEFT: Join = Join { outer: false, ..OUTER };

/// Whether a record comes when its window is over and its grace is not, with nothing there that it matches. Records that
/// are not joined bring time forward, too.
fn over_within_grace(sequence: &Sequence, join: &Join) -> bool {
    let mut stream_time = 0;
    let mut seen: Vec<(bool, &str, i64)> = Vec::new();
    sequence.lines.iter().any(|line| {
        let (Some(topic), Some(time)) = (line["topic"].as_str(), line["timestamp"].as_i64()) else { return false };
        stream_time = time.max(stream_time);
        let left = topic == "a";
        let key = if join.rekeyed && left { &line["value"]["k"] } else { &line["key"] };
        let (Some(key), true) = (key.as_str(), line["value"].is_object()) else { return false };
        // Where the other side's record may lie, seen from this one.
        let (before, after) = if left { (join.before, join.after) } else { (join.after, join.before) };
        let over = time + after;
        let matches = |(other, name, at): &(bool, &str, i64)| {
            *other != left && *name == key && (time - before..=over).contains(at)
        };
        let alone = !seen.iter().any(matches);
        seen.push((left, key, time));
        (left || join.outer) && alone && over < stream_time && stream_time <= over + join.grace
    })
}

/// Whether, of tumbling windows of 10 s with a grace of 5 s that are kept for 15 s, one is out of the store when it
/// closes: stream time goes on to a window that begins more than that later.
fn leaps_over_a_window(sequence: &Sequence) -> bool {
    let mut stream_time = 0;
    let mut open: Vec<i64> = Vec::new();
    records(sequence).filter(|(_, key, _, _)| key.is_some()).any(|(_, _, _, time)| {
        stream_time = time.max(stream_time);
        let start = time / 10_000 * 10_000;
        if start + 10_000 > stream_time - 5_000 {
            open.push(start);
        }
        let lost = open.iter().any(|open| open + 15_000 <= stream_time && *open <= start - 15_000);
        open.retain(|open| open + 15_000 > stream_time);
        lost
    })
}

/// Whether records of both streams have one key and one time.
fn meets_at_once(sequence: &Sequence) -> bool {
    let mut seen = Vec::new();
    records(sequence).filter_map(|(topic, key, _, time)| Some((topic, key?, time))).any(|(topic, key, time)| {
        seen.push((topic, key, time));
        seen.iter().any(|(other, name, at)| *other != topic && *name == key && *at == time)
    })
}

/// Whether a record of `a` comes after a row of `b` that is newer than it, and the row of its own time is another one. Rows
/// pass a filter.
fn looks_back(sequence: &Sequence) -> bool {
    let mut rows: BTreeMap<(&str, i64), Option<&str>> = BTreeMap::new();
    sequence.lines.iter().any(|line| {
        let (Some(key), Some(time)) = (line["key"].as_str(), line["timestamp"].as_i64()) else { return false };
        if line["topic"] == "b" {
            let passes = line["value"]["n"].as_i64().is_some_and(|n| n > 0);
            rows.insert((key, time), line["value"]["s"].as_str().filter(|_| passes));
            return false;
        }
        let up_to = |time: i64| rows.range((key, i64::MIN)..=(key, time)).next_back().and_then(|(_, row)| *row);
        line["value"].is_object() && up_to(time) != up_to(i64::MAX)
    })
}

/// Whether a row of a table changes more than once within the 10 s for which changes are held back.
fn changes_while_held_back(sequence: &Sequence) -> bool {
    let mut stream_time = 0;
    let mut held: BTreeMap<&str, i64> = BTreeMap::new();
    let lines = sequence.lines.iter();
    let mut changes = lines.filter_map(|line| Some((line["key"].as_str()?, line["timestamp"].as_i64()?)));
    changes.any(|(key, time)| {
        stream_time = time.max(stream_time);
        let again = held.contains_key(key);
        held.entry(key).or_insert(time);
        held.retain(|_, since| *since + 10_000 > stream_time);
        again
    })
}
