//! What a record costs in each verb that remembers something, with a thousand, a hundred thousand and a million rows in
//! its stores: no verb may cost more than the logarithm of what it holds (I9). The stores are RocksDB's. They are read with
//! a cache of blocks that holds all of them and none of decoded rows, so that a thousand rows are found as a million are,
//! and what differs is the verb's; the last column is a million with the caches of the default settings, most of whose rows
//! come from files.
//!
//! Each verb is filled first, then measured over records of the same kind; as many rows expire as come. Costs are
//! processor time of the working thread.
//!
//! **How it is judged.** A cost that grows as log n doubles from a thousand rows to a million. What the store costs by itself,
//! without a verb, grows in steps: a thousand rows are in one buffer of RocksDB, a million in files on several levels. So a
//! row's reading is measured in the same run: a verb may cost as many times as much as this does, or twice as many as a
//! logarithm would, whichever is more. What is linear would be a thousand times as much, and what goes with the square root
//! 32 times. What is over is measured once more, and the lower figure counts. Then the exit status is 1. The last column
//! is not judged: it compares files with memory.
//!
//! Repeat with `cargo bench --bench verbs`; `-- --quick` takes fewer rows, `--only NAME;..`, `--rows N,..` and
//! `--records N` a part of it. Names are those of the table.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

mod cases;
#[path = "../common/processor_time.rs"]
mod processor_time;
mod rig;

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Instant;

use cases::{CASES, Case, Per};
use rig::Rig;
use signalstream::agents::Agents;
use signalstream::config::Config;
use signalstream::processor::{
    Blueprint, Context, Processor, ProcessorError, ProcessorSupplier, Processors, Record, Request, StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::{Format, SchemaRegistry};
use signalstream::state::StateOptions;
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load_with};
use tikv_jemallocator::Jemalloc;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How many rows there are.
const ROWS: [u64; 3] = [1_000, 100_000, 1_000_000];
/// The same for a look.
const QUICK_ROWS: [u64; 2] = [1_000, 100_000];
/// How many records are measured.
const MEASURED: u64 = 100_000;
/// The same for a look.
const QUICK_MEASURED: u64 = 30_000;
/// How many times what a logarithm would is allowed.
const ALLOWANCE: f64 = 2.0;

/// How many times the cost of `first` rows is allowed for `rows`, if the store by itself takes `reading` times as long.
fn allowed(rows: u64, first: u64, reading: f64) -> f64 {
    reading.max(ALLOWANCE * (rows as f64).log2() / (first as f64).log2())
}

/// What a row costs to read, with each number of rows, and prints it.
fn readings(rows: &[u64], records: u64) -> Vec<f64> {
    let reduce = CASES.iter().find(|case| case.name == "reduce").expect("it has a store of numbers");
    let read = |rows: u64, options: StateOptions| {
        let directory = tempfile::tempdir().unwrap();
        rig::reading(directory.path(), &topology(reduce, rows), options, rows, records)
    };
    let costs: Vec<f64> = rows.iter().map(|rows| read(*rows, in_memory())).collect();
    let mut out = stdout();
    write!(out, "| *a row read, without a verb* |").unwrap();
    for cost in &costs {
        write!(out, " {cost:.2} ({:.1}x) |", cost / costs[0]).unwrap();
    }
    let most_rows = rows.iter().max().copied().unwrap_or_default();
    writeln!(out, " {:.2} |", read(most_rows, by_default())).unwrap();
    costs
}

/// Counts the records of each key.
struct Counting;

impl ProcessorSupplier for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Counting).store(StoreDeclaration::key_value("counts", Format::String, Shape::Int)))
    }
}

impl Processor for Counting {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let mut counts = context.store("counts")?;
        let before = match counts.get(&record.key)? {
            Some(Value::Int(before)) => before,
            _ => 0,
        };
        counts.put(&record.key, before + 1)?;
        context.forward(record)?;
        Ok(())
    }
}

fn topology(case: &Case, rows: u64) -> Topology {
    let text = case.yaml(rows);
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    load_with("bench.yaml", &text, &options, &Processors::new().with(Counting))
        .unwrap_or_else(|problems| panic!("{}: {problems}\n{text}", case.name))
}

/// Memory that holds all rows as they are in files, and no row decoded.
fn in_memory() -> StateOptions {
    StateOptions { block_cache_bytes: 2 << 30, read_cache_bytes: 0, ..by_default() }
}

/// The memory of the default settings.
fn by_default() -> StateOptions {
    StateOptions::from(&Config::default())
}

/// What a record costs, in microseconds of processor time.
fn measure(case: &Case, rows: u64, records: u64, options: StateOptions) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), &topology(case, rows), options);
    for (input, each) in case.fill(rows) {
        rig.run(&input, each);
    }
    let measured = case.measured(rows);
    let each = match case.per {
        Per::Record => records / measured.topics.len() as u64,
        Per::RecordOfMany => rows.max(records),
        // Each of them changes a tenth of the rows.
        Per::Change => (records * 10 / rows).max(1),
    };
    let done = rig.run(&measured, each);
    let count = if case.per == Per::Change { done.written } else { each * measured.topics.len() as u64 };
    assert!(done.written > 0, "{}: nothing comes out of it", case.name);
    done.took.as_secs_f64() * 1e6 / count as f64
}

/// What follows an argument.
fn given(argument: &str) -> Option<String> {
    std::env::args().skip_while(|found| found != argument).nth(1)
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let only = given("--only");
    let rows: Vec<u64> = match given("--rows") {
        Some(rows) => rows.split(',').map(|rows| rows.parse().expect("--rows takes numbers")).collect(),
        None if quick => QUICK_ROWS.to_vec(),
        None => ROWS.to_vec(),
    };
    let records = given("--records").map(|records| records.parse().expect("--records takes a number"));
    let records: u64 = records.unwrap_or(if quick { QUICK_MEASURED } else { MEASURED });
    let chosen = |case: &&Case| only.as_ref().is_none_or(|only| only.split(';').any(|name| name == case.name));
    let mut out = stdout();
    let started = Instant::now();
    write!(out, "| µs per record, with so many rows |").unwrap();
    rows.iter().for_each(|rows| write!(out, " {rows} |").unwrap());
    let most_rows = rows.iter().max().copied().unwrap_or_default();
    writeln!(out, " {most_rows}, default caches |\n|---|{}", "---|".repeat(rows.len() + 1)).unwrap();
    let readings = readings(&rows, records);
    let (mut cases, mut broken) = (0, Vec::new());
    for case in CASES.iter().filter(chosen) {
        cases += 1;
        write!(out, "| {} |", case.name).unwrap();
        let mut first = None;
        for (rows, reading) in rows.iter().zip(&readings) {
            let mut cost = measure(case, *rows, records, in_memory());
            let (first_rows, first_cost) = *first.get_or_insert((*rows, cost));
            let most = allowed(*rows, first_rows, reading / readings[0]);
            if cost > most * first_cost {
                cost = cost.min(measure(case, *rows, records, in_memory()));
            }
            let ratio = cost / first_cost;
            if ratio > most {
                broken.push(format!("{}: {ratio:.1} times as much for {rows} rows, {most:.1} are allowed", case.name));
            }
            match *rows == first_rows {
                true => write!(out, " {cost:.2} |").unwrap(),
                false => write!(out, " {cost:.2} ({ratio:.1}x) |").unwrap(),
            }
            out.flush().unwrap();
        }
        writeln!(out, " {:.2} |", measure(case, most_rows, records, by_default())).unwrap();
    }
    writeln!(out, "\n{cases} verbs in {:.0?}", started.elapsed()).unwrap();
    broken.iter().for_each(|broken| writeln!(out, "{broken}").unwrap());
    if cases == 0 || !broken.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
