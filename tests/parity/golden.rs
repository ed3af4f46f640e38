//! What Kafka Streams gives, as it is kept in `golden/`.
//!
//! `golden/hand/NAME.jsonl` has every row: a line `# NAME` begins a sequence, a row a line. `golden/random/NAME.jsonl`
//! has a line for each sequence: of the first ones all rows, of the others their hash. `golden/spread/NAME.jsonl` says
//! what is under each key in the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::canonical;
use crate::scenarios::{Sequence, directory};
use crate::spread::summary;

/// The directory of the sequences by hand.
pub(crate) const BY_HAND: &str = "hand";
/// The directory of the random ones.
pub(crate) const RANDOM: &str = "random";

/// The directory of those that an application works off.
pub(crate) const SPREAD: &str = "spread";

/// Of how many random sequences of a scenario all rows are kept; `PARITY_ROWS` says otherwise, to look at more.
fn whole() -> usize {
    std::env::var("PARITY_ROWS").map_or(10, |count| count.parse().expect("PARITY_ROWS is a number"))
}

/// What is known of one sequence.
enum Expected {
    Rows(Vec<String>),
    Hash(String),
}

/// What Kafka Streams gives for the sequences of a scenario, in their order.
pub(crate) struct Golden(Vec<Expected>);

fn path(what: &str, scenario: &str) -> PathBuf {
    directory().join("golden").join(what).join(format!("{scenario}.jsonl"))
}

pub(crate) fn read(what: &str, scenario: &str) -> String {
    let path = path(what, scenario);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; `make parity` writes it", path.display()))
}

fn rows_of(outputs: &[Json]) -> Vec<String> {
    outputs.iter().map(canonical::text).collect()
}

fn hash_of(rows: &[String]) -> String {
    format!("{:016x}", canonical::hash(&rows.join("\n")))
}

impl Golden {
    pub(crate) fn by_hand(scenario: &str) -> Golden {
        let mut sequences: Vec<Vec<String>> = Vec::new();
        for line in read(BY_HAND, scenario).lines() {
            match sequences.last_mut() {
                Some(rows) if !line.starts_with("# ") => rows.push(line.to_owned()),
                _ => sequences.push(Vec::new()),
            }
        }
        Golden(sequences.into_iter().map(Expected::Rows).collect())
    }

    pub(crate) fn random(scenario: &str) -> Golden {
        let parse = |line: &str| match serde_json::from_str(line).unwrap() {
            Json::String(hash) => Expected::Hash(hash),
            Json::Array(rows) => Expected::Rows(rows_of(&rows)),
            other => panic!("golden/random/{scenario}.jsonl: {other}"),
        };
        Golden(read(RANDOM, scenario).lines().map(parse).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How a sequence's rows differ, for people to read.
    pub(crate) fn difference(&self, position: usize, ours: &[Json]) -> Option<String> {
        let ours = rows_of(ours);
        match &self.0[position] {
            Expected::Hash(hash) => (*hash != hash_of(&ours)).then(|| {
                let help = "`PARITY_ONLY=NAME PARITY_ROWS=160 make parity` keeps the rows of all";
                format!("  its hash is not {hash} ({help}); this came:\n{}", shown("", &ours))
            }),
            Expected::Rows(rows) => (*rows != ours).then(|| compared(rows, &ours)),
        }
    }
}

fn shown(mark: &str, rows: &[String]) -> String {
    rows.iter().take(12).map(|row| format!("  {mark} {row}\n")).collect()
}

/// The rows from the first on that differs.
pub(crate) fn compared(theirs: &[String], ours: &[String]) -> String {
    let same = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let lines = |rows: &[String], mark| shown(mark, &rows[same..rows.len().min(same + 4)]);
    format!("  after {same} rows that are equal:\n{}{}", lines(theirs, "kafka "), lines(ours, "engine"))
}

/// Compares what Kafka Streams gave with what is kept, or keeps it under `UPDATE_GOLDENS=1`. Returns the files that
/// are not as they should be.
pub(crate) fn write(what: &str, sequences: &[Sequence], outputs: &[Vec<Json>]) -> Vec<String> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut spread: BTreeMap<&str, Vec<[Json; 4]>> = BTreeMap::new();
    for (sequence, outputs) in sequences.iter().zip(outputs) {
        let text = files.entry(&sequence.scenario).or_default();
        let count = counts.entry(&sequence.scenario).or_default();
        let rows = rows_of(outputs);
        if what == SPREAD {
            let parts = |row: &Json| [1, 2, 3, 4].map(|part| row[part].clone());
            spread.entry(&sequence.scenario).or_default().extend(outputs.iter().map(parts));
        } else if what == BY_HAND {
            text.push_str(&format!("# {}\n", sequence.name));
            rows.iter().for_each(|row| text.push_str(&format!("{row}\n")));
        } else if *count < whole() {
            text.push_str(&format!("[{}]\n", rows.join(",")));
        } else {
            text.push_str(&format!("\"{}\"\n", hash_of(&rows)));
        }
        *count += 1;
    }
    for (scenario, rows) in spread {
        files.insert(scenario, summary(scenario, rows.into_iter()));
    }
    let mut stale = Vec::new();
    for (scenario, text) in files {
        let path = path(what, scenario);
        if fs::read_to_string(&path).is_ok_and(|kept| kept == text) {
            continue;
        }
        if std::env::var("UPDATE_GOLDENS").is_ok_and(|update| update == "1") {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        } else {
            stale.push(path.display().to_string());
        }
    }
    stale
}
