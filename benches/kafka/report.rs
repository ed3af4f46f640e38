//! The figures: medians over the rounds, and ratios, each of one round.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value as Json, json};

use super::subjects::Subject;
use super::watch::Measured;

/// What was measured, by subject, in the order of the rounds.
pub(crate) type Rounds = BTreeMap<Subject, Vec<Measured>>;

/// A ratio of two subjects: what it is, which, and what of them.
struct Ratio {
    name: &'static str,
    title: &'static str,
    of: Subject,
    to: Subject,
    what: fn(&Measured) -> f64,
}

const RATIOS: [Ratio; 6] = [
    Ratio {
        name: "stateless_to_bare_throughput",
        title: "(2) text to (1), records/s",
        of: Subject::Stateless,
        to: Subject::Bare,
        what: |one| one.records_per_second,
    },
    Ratio {
        name: "json_to_bare_throughput",
        title: "(2) JSON to (1), records/s",
        of: Subject::Json,
        to: Subject::Bare,
        what: |one| one.records_per_second,
    },
    Ratio {
        name: "windowed_to_streams_throughput",
        title: "(3) to (5), records/s",
        of: Subject::Windowed,
        to: Subject::Streams,
        what: |one| one.records_per_second,
    },
    Ratio {
        name: "windowed_to_streams_cpu",
        title: "(3) to (5), CPU between first and last commit",
        of: Subject::Windowed,
        to: Subject::Streams,
        what: |one| one.cpu_per_million,
    },
    Ratio {
        name: "windowed_to_streams_cpu_in_all",
        title: "(3) to (5), CPU with start and end",
        of: Subject::Windowed,
        to: Subject::Streams,
        what: |one| one.cpu_in_all,
    },
    Ratio {
        name: "windowed_to_streams_memory",
        title: "(3) to (5), peak memory",
        of: Subject::Windowed,
        to: Subject::Streams,
        what: |one| one.memory,
    },
];

impl Ratio {
    /// By round, if both were measured.
    fn values(&self, rounds: &Rounds) -> Option<Vec<f64>> {
        let (of, to) = (rounds.get(&self.of)?, rounds.get(&self.to)?);
        Some(of.iter().zip(to).map(|(of, to)| (self.what)(of) / (self.what)(to)).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)))
}

/// A table for people.
pub(crate) fn text(rounds: &Rounds) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "records/s", "CPU s/M", "with start, s", "broker, CPU s/M", "peak MB", "start, s", "load"]);
    for (subject, measured) in rounds {
        let of = |what: fn(&Measured) -> f64| median(measured.iter().map(what).collect());
        table.add_row([
            subject.title().to_owned(),
            format!("{:.0}", of(|one| one.records_per_second)),
            format!("{:.2}", of(|one| one.cpu_per_million)),
            format!("{:.2}", of(|one| one.cpu_in_all)),
            format!("{:.2}", of(|one| one.broker_cpu_per_million)),
            format!("{:.0}", of(|one| one.memory)),
            format!("{:.1}", of(|one| one.start)),
            format!("{:.1}", of(|one| one.load)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n\n", table.trim_fmt());
    for ratio in &RATIOS {
        if let Some(values) = ratio.values(rounds) {
            let (low, high) = range(&values);
            text.push_str(&format!("{:<46} {:.2} ({low:.2} to {high:.2})\n", ratio.title, median(values)));
        }
    }
    text
}

/// Everything, for programs.
pub(crate) fn json(rounds: &Rounds) -> Json {
    let one = |measured: &Measured| {
        json!({
            "records_per_second": measured.records_per_second,
            "cpu_seconds_per_million_records": measured.cpu_per_million,
            "cpu_seconds_with_start": measured.cpu_in_all,
            "broker_cpu_seconds_per_million_records": measured.broker_cpu_per_million,
            "peak_memory_megabytes": measured.memory,
            "start_seconds": measured.start,
            "load": measured.load,
        })
    };
    let subjects: BTreeMap<&str, Vec<Json>> =
        rounds.iter().map(|(subject, measured)| (subject.name(), measured.iter().map(one).collect())).collect();
    let ratios: BTreeMap<&str, Json> = RATIOS
        .iter()
        .filter_map(|ratio| {
            let values = ratio.values(rounds)?;
            Some((ratio.name, json!({ "median": median(values.clone()), "rounds": values })))
        })
        .collect();
    json!({ "subjects": subjects, "ratios": ratios })
}
