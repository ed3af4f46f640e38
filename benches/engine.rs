//! The engine's hot path: a windowed count by key against a bare loop that does the same with a hash map and
//! one RocksDB batch per commit. The ratio is taken in one run, the two sides in turns. Like the bare
//! loop, the table hands nothing on. What expires is deleted by the engine, from the store and by a tombstone in the
//! changelog; the bare loop keeps everything.
//!
//! Repeat with `cargo bench --bench engine`.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use rocksdb::{DB, Options, WriteBatch, WriteOptions};
use signalstream::agents::Agents;
use signalstream::log::LogRecord;
use signalstream::record::{Headers, TopicPartition};
use signalstream::serdes::SchemaRegistry;
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::task::{Task, TaskOpener, TaskOptions, TaskParts};
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load, partitioning};
use tikv_jemallocator::Jemalloc;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const KEYS: u64 = 100_000;
const RECORDS: u64 = 2_000_000;
const WINDOW: i64 = 60_000;

/// How the records lie in time.
struct Workload {
    name: &'static str,
    /// How many windows the run covers. The last two are still open at its end, the others have expired.
    windows: u64,
    /// Records per commit.
    commit_every: usize,
}

const WORKLOADS: [Workload; 2] = [
    // Five updates per key and window; a commit holds what arrives in 100 ms at 400,000 records a second.
    Workload { name: "4 windows", windows: 4, commit_every: 40_000 },
    // Two updates per key and window, and four times as many commits: rows come and go.
    Workload { name: "10 windows", windows: 10, commit_every: 10_000 },
];

const TOPOLOGY: &str = "
topology: windowed-count
sources:
  events: {topic: events, key: string, value: long}
tables:
  counts:
    from: events
    window: {tumbling: 1m, grace: 1m}
    aggregate: {events: count()}
    store: {}
";

/// Keys in a scattered order.
fn records(workload: &Workload) -> Vec<Vec<LogRecord>> {
    let record = |n: u64| {
        let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS;
        LogRecord {
            offset: n as i64,
            timestamp: (n * workload.windows * WINDOW as u64 / RECORDS) as i64,
            key: Some(Bytes::from(format!("customer-{key:06}"))),
            value: Some(Bytes::copy_from_slice(&n.to_be_bytes())),
            headers: Headers::default(),
        }
    };
    let all: Vec<LogRecord> = (0..RECORDS).map(record).collect();
    all.chunks(workload.commit_every).map(<[LogRecord]>::to_vec).collect()
}

/// A hash map from window and key to count; one batch of what changed per commit.
fn bare(directory: &Path, batches: &[Vec<LogRecord>]) -> Duration {
    let mut options = Options::default();
    options.create_if_missing(true);
    let database = DB::open(&options, directory).unwrap();
    let mut writes = WriteOptions::default();
    writes.disable_wal(true);
    let started = Instant::now();
    let mut counts: HashMap<(i64, Bytes), u64, ahash::RandomState> = HashMap::default();
    let mut changed: HashMap<(i64, Bytes), u64, ahash::RandomState> = HashMap::default();
    let mut key = Vec::new();
    for batch in batches {
        for record in batch {
            let window = record.timestamp / WINDOW * WINDOW;
            let group = (window, record.key.clone().unwrap());
            let count = counts.entry(group.clone()).or_default();
            *count += 1;
            changed.insert(group, *count);
        }
        let mut write = WriteBatch::default();
        for ((window, name), count) in changed.drain() {
            key.clear();
            key.extend_from_slice(&(window as u64).to_be_bytes());
            key.extend_from_slice(&name);
            write.put(&key, count.to_be_bytes());
        }
        database.write_opt(write, &writes).unwrap();
    }
    started.elapsed()
}

fn topology() -> Topology {
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    load("windowed-count.yaml", TOPOLOGY, &options).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The engine's task: decode, window, count, changelog (to nowhere), one commit per batch.
fn engine(directory: &Path, topology: &Topology, batches: &[Vec<LogRecord>]) -> Duration {
    let state = StateDirectory::open(directory, &topology.name, StateOptions::default()).unwrap();
    let subtopology = topology.subtopologies[0].clone();
    let topics = partitioning::resolve(topology, &BTreeMap::new()).unwrap();
    let mut task = Task::new(TaskParts {
        application: Arc::from(topology.name.as_str()),
        stores: state.open_task("0_0", &subtopology.stores).unwrap(),
        subtopology,
        partition: 0,
        partitions: TaskOpener::partitions_of(&topics),
        dead_letters: None,
        globals: None,
        options: TaskOptions::default(),
        positions: vec![0],
        stream_times: BTreeMap::new(),
        positions_committed: true,
    });
    let changelog = TopicPartition::new("windowed-count-counts-changelog", 0);
    let mut end = 0;
    let input = batches.to_vec();
    let started = Instant::now();
    for batch in input {
        let next = batch.last().map_or(0, |record| record.offset + 1);
        task.add_records(0, batch, next);
        while task.process(usize::MAX, 0).unwrap() > 0 {}
        let commit = task.prepare_commit(0).unwrap();
        end += commit.records.len() as i64;
        std::hint::black_box(&commit);
        task.complete_commit(&BTreeMap::from([(changelog.clone(), end)]), 0).unwrap();
    }
    started.elapsed()
}

fn main() {
    // `--engine-only NAME`, for a profiler.
    let mut arguments = std::env::args().skip_while(|argument| argument != "--engine-only").skip(1);
    if let Some(name) = arguments.next() {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name).expect("the name of a workload");
        let directory = tempfile::tempdir().unwrap();
        println!("{:?}", engine(directory.path(), &topology(), &records(workload)));
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for workload in &WORKLOADS {
        compare(&mut criterion, workload);
    }
}

/// One side after the other in each iteration, so that both meet the same noise; Criterion is told the engine's time.
fn compare(criterion: &mut Criterion, workload: &Workload) {
    let topology = topology();
    let batches = records(workload);
    let mut ratios = Vec::new();
    let mut group = criterion.benchmark_group("windowed count");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function(workload.name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let directory = tempfile::tempdir().unwrap();
                let bare = bare(&directory.path().join("bare"), &batches);
                let engine = engine(&directory.path().join("engine"), &topology, &batches);
                ratios.push(bare.as_secs_f64() / engine.as_secs_f64());
                took += engine;
            }
            took
        });
    });
    group.finish();
    ratios.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        let median = ratios[ratios.len() / 2];
        println!(
            "windowed count, {}, engine / bare loop: median {median:.2} of {} rounds, {least:.2} to {most:.2} (at least 0.50 wanted)",
            workload.name,
            ratios.len()
        );
    }
}
