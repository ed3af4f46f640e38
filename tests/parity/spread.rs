//! The scenarios as applications of three partitions: what goes in, and what must come out of it whichever partition is
//! ahead.
//!
//! Kafka Streams' driver is one task, has one partition and never crashes. Where no record leaves its partition, a task
//! of the application must give what the driver makes of the records of that partition: so it gets them alone. Where
//! records travel, the driver gets all of them, and the sequence is such that their order is known all the same: a text
//! that becomes a key is in the records of one partition only, tables are read before the streams that look into them,
//! and a grace covers what threads may be apart.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use signalstream::sink::partition_for;

use crate::canonical;
use crate::generate::Random;
use crate::scenarios::{Scenario, Sequence};

/// How many partitions each topic has.
pub(crate) const PARTITIONS: i32 = 3;
const RECORDS: usize = 1_500;
const KEYS: usize = 12;
/// How long after the last record all windows of a scenario are over.
const END: i64 = 100_000;
/// The same where a grace of an hour is given instead of seconds.
const LATE_END: i64 = 3 * 3_600_000;

/// What of a scenario's result does not depend on how partitions are interleaved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// What is under a key, in its order.
    Everything,
    /// Which records are under a key.
    Records,
    /// What is under a key in the end.
    Last,
    /// What is under a key in the end, where a text that was put together has its parts in any order.
    Parts,
}

/// What is special about a scenario.
struct Spread {
    scenario: &'static str,
    /// Whether records go to other partitions on their way.
    travels: bool,
    holds: Holds,
    /// Whether all that is in `b` is read before what is in `a`, in two rounds of both. Nothing there needs time to pass.
    in_rounds: bool,
    /// Whether the application has a grace of an hour instead of seconds.
    patient: bool,
}

/// Nothing leaves its partition.
const fn stays(scenario: &'static str, holds: Holds) -> Spread {
    Spread { scenario, travels: false, holds, in_rounds: false, patient: false }
}

/// Records go to other partitions.
const fn travels(scenario: &'static str, holds: Holds) -> Spread {
    Spread { travels: true, ..stays(scenario, holds) }
}

const SPREAD: &[Spread] = &[
    // A record's own key and one that it names are keys of one topic.
    stays("flat_map", Holds::Records),
    // Each task tells of itself under one key.
    stays("process", Holds::Records),
    travels("repartition", Holds::Everything),
    travels("to_table", Holds::Everything),
    travels("headers_topics", Holds::Everything),
    travels("count_by_group", Holds::Everything),
    travels("grouped_table_count", Holds::Everything),
    travels("grouped_table_reduce", Holds::Everything),
    travels("grouped_table_fold", Holds::Everything),
    travels("aggregates_grouped", Holds::Everything),
    // Groups come from another task than the table that they are joined with.
    travels("grouped_table_chain", Holds::Last),
    // One input travels, the other does not.
    travels("cogroup", Holds::Parts),
    Spread { patient: true, ..travels("cogroup_tumbling", Holds::Parts) },
    // Windows of several tasks come to one group.
    Spread { patient: true, ..travels("window_chain", Holds::Parts) },
    // Other keys say when nothing can match any more, and come when they come.
    Spread { patient: true, ..travels("join_streams_rekeyed", Holds::Records) },
    Spread { in_rounds: true, ..travels("join_stream_table_rekeyed", Holds::Everything) },
    Spread { in_rounds: true, ..travels("join_global_table", Holds::Everything) },
    // Questions and answers cross each other.
    travels("foreign_key_inner", Holds::Last),
    travels("foreign_key_left", Holds::Last),
];

/// Scenarios that are no application of several partitions, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("suppress_bytes", "its groups travel, and what fills the buffer of a partition says which rows go on"),
    ("suppress_bytes_stop", "it stops"),
    ("suppress_grouped", "its rows travel after they were held back for as long as others of their partition say"),
    ("suppress_records_stop", "it stops"),
    ("suppress_windows_stop", "it stops"),
    ("topics_pattern", "nobody creates the topics of a pattern"),
];

/// Whether a scenario is not to be run here.
pub(crate) fn left_out(scenario: &Scenario) -> bool {
    LEFT_OUT.iter().any(|(name, _)| *name == scenario.name)
}

fn spread(scenario: &str) -> Spread {
    let found = SPREAD.iter().find(|spread| spread.scenario == scenario);
    found.map_or(stays("", Holds::Everything), |spread| Spread { ..*spread })
}

/// The names in the tables, to be checked against the scenarios.
pub(crate) fn named() -> impl Iterator<Item = &'static str> {
    SPREAD.iter().map(|spread| spread.scenario).chain(LEFT_OUT.iter().map(|(scenario, _)| *scenario))
}

/// The topology as it is for the application.
pub(crate) fn yaml(scenario: &Scenario) -> String {
    let replaced = |yaml: &str, from: &str, to: &str| {
        assert!(yaml.contains(from), "{}: there is no `{from}` in it any more", scenario.name);
        yaml.replace(from, to)
    };
    let mut yaml = replaced(&scenario.yaml, "value: json}", &format!("value: json, partitions: {PARTITIONS}}}"));
    if spread(&scenario.name).patient {
        yaml = replaced(&yaml, "grace: 5s", "grace: 1h");
    }
    if scenario.name == "process" {
        // In the driver no time passes on the wall clock.
        yaml = replaced(&yaml, "{processor: counting}", "{processor: counting, config: {stream_time_only: true}}");
    }
    yaml
}

/// A long sequence in strict order of time. Every line says its partition.
pub(crate) fn sequence(scenario: &Scenario) -> Sequence {
    let Spread { in_rounds, patient, .. } = spread(&scenario.name);
    let mut random = Random::new(canonical::hash(&scenario.name));
    let topics = scenario.inputs();
    let mut time = 0;
    let mut lines = Vec::new();
    for number in 0..RECORDS {
        time += 1 + random.below(50);
        // Some have no key.
        let key = (!random.chance(3)).then(|| format!("k{}", random.below(KEYS as u64)));
        let partition = key.as_ref().map_or(number as i32 % PARTITIONS, |key| partition_of(key));
        let named = named_by(partition);
        let named = &named[random.below(named.len() as u64) as usize];
        let value = json!({"n": random.below(11) - 3, "s": format!("r{number}"), "k": named});
        let value = if random.chance(8) { Json::Null } else { value };
        let topic = match in_rounds {
            true => ["b", "a"][number * 4 / RECORDS % 2],
            false => topics[random.below(topics.len() as u64) as usize],
        };
        lines.push(json!({"topic": topic, "partition": partition, "key": key, "value": value, "timestamp": time}));
    }
    if !in_rounds {
        let end = (time / 10_000 + 1) * 10_000 + if patient { LATE_END } else { END };
        lines.extend(last_lines(&topics, end));
    }
    Sequence { scenario: scenario.name.clone(), name: "spread".to_owned(), lines }
}

/// Lines with which time passes for every key, its own or one that is named.
fn last_lines(topics: &[&str], mut time: i64) -> Vec<Json> {
    let mut lines = Vec::new();
    for turn in 0..KEYS {
        for partition in 0..PARTITIONS {
            let (keys, named) = (keys_of(partition), named_by(partition));
            let (key, named) = (&keys[turn % keys.len()], &named[turn % named.len()]);
            for topic in topics {
                time += 1;
                let value = json!({"n": 1, "s": format!("end{key}"), "k": named});
                lines.push(
                    json!({"topic": topic, "partition": partition, "key": key, "value": value, "timestamp": time}),
                );
            }
        }
    }
    lines
}

fn partition_of(key: &str) -> i32 {
    partition_for(key.as_bytes(), PARTITIONS)
}

/// The keys of a partition.
fn keys_of(partition: i32) -> Vec<String> {
    let keys: Vec<String> =
        (0..KEYS).map(|key| format!("k{key}")).filter(|key| partition_of(key) == partition).collect();
    assert!(!keys.is_empty(), "no key is in partition {partition}");
    keys
}

/// The keys that records of a partition name, and those of no other do: they go to all partitions.
fn named_by(partition: i32) -> Vec<String> {
    (0..KEYS).filter(|key| *key as i32 % PARTITIONS == partition).map(|key| format!("k{key}")).collect()
}

/// What Kafka Streams' driver is given: the whole, or the records of each partition alone.
pub(crate) fn driven(scenario: &Scenario) -> Vec<Sequence> {
    let whole = sequence(scenario);
    // There, topics have one partition.
    let driven = |lines: Vec<&Json>, name: String| {
        let mut lines: Vec<Json> = lines.into_iter().cloned().collect();
        let fields = lines.iter_mut().filter_map(Json::as_object_mut);
        fields.for_each(|fields| drop(fields.shift_remove("partition")));
        Sequence { scenario: whole.scenario.clone(), name, lines }
    };
    if spread(&scenario.name).travels {
        return vec![driven(whole.lines.iter().collect(), whole.name.clone())];
    }
    let of = |partition: i32| {
        let lines = whole.lines.iter().filter(|line| line["partition"] == partition);
        driven(lines.collect(), format!("partition {partition}"))
    };
    (0..PARTITIONS).map(of).collect()
}

/// What the application is given at once; it works each off before the next.
pub(crate) fn rounds<'a>(scenario: &Scenario, sequence: &'a Sequence) -> Vec<&'a [Json]> {
    if spread(&scenario.name).in_rounds {
        let (first, second) = sequence.lines.split_at(RECORDS / 2);
        return vec![first, second];
    }
    vec![&sequence.lines]
}

/// What came out under each key: `[TOPIC, KEY, VALUE, TIMESTAMP]` in, a line for each topic and key out.
pub(crate) fn summary(scenario: &str, rows: impl Iterator<Item = [Json; 4]>) -> String {
    let Spread { holds, .. } = spread(scenario);
    let mut keys: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for [topic, key, mut value, timestamp] in rows.filter(|row| !row[1].is_null()) {
        let of_key = keys.entry((topic.as_str().unwrap().to_owned(), key.as_str().unwrap().to_owned())).or_default();
        if let (Holds::Parts, Some(text)) = (holds, value.get_mut("s")) {
            *text = parts(text.as_str().unwrap()).into();
        }
        of_key.push(format!("{}@{timestamp}", canonical::text(&value)));
    }
    let line = |((topic, key), mut rows): ((String, String), Vec<String>)| {
        let last = canonical::hash(rows.last().map_or("", String::as_str));
        let count = rows.len();
        match holds {
            // How many there are depends on what came first.
            Holds::Last => return format!("{topic} {key} last {last:016x}\n"),
            Holds::Parts => return format!("{topic} {key} {count} last {last:016x}\n"),
            Holds::Records => rows.sort(),
            Holds::Everything => {}
        }
        format!("{topic} {key} {count} {:016x}\n", canonical::hash(&rows.join("\n")))
    };
    keys.into_iter().map(line).collect()
}

/// The parts of a text in alphabetical order: what stands in angle brackets, and each letter between them.
fn parts(text: &str) -> String {
    let (mut parts, mut depth) = (Vec::new(), 0_usize);
    for letter in text.chars() {
        match parts.last_mut() {
            Some(part) if depth > 0 => String::push(part, letter),
            _ => parts.push(letter.to_string()),
        }
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    parts.sort_unstable();
    parts.concat()
}
