//! What a record costs in each verb that remembers something, with a thousand, a hundred thousand and a million rows in
//! its stores: no verb may cost more than the logarithm of what it holds (I9). The stores are RocksDB's; the log takes
//! everything and keeps nothing.
//!
//! Each verb is filled first, then measured over records of the same kind. Where there are windows, ten of them are alive,
//! each with a tenth of the rows, and as many rows expire as come. Costs are processor time of the working thread.
//!
//! Repeat with `cargo bench --bench verbs`, or `-- --only NAME,..` and `--rows N,..` for a part of it.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalstream::agents::Agents;
use signalstream::log::{LogRecord, ProducerRecord};
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

/// How many rows there are.
const ROWS: [u64; 3] = [1_000, 100_000, 1_000_000];
/// How many records are measured.
const MEASURED: u64 = 100_000;
/// How many records there are between two commits: so few that hardly a key comes twice, as then it is written once.
const COMMIT_EVERY: usize = 1_000;
/// Of how many rows the cost may at most be this many times that of a thousand: twenty bits of a key against ten, and
/// reads from files instead of memory.
const WANTED: f64 = 4.0;

/// A verb at work.
struct Case {
    name: &'static str,
    /// Of what comes to one key there are ten windows, so that there are a tenth as many keys as rows.
    windowed: bool,
    /// What is behind its defaults, without its sink. Reads `a`, or `a` and `b` by turns. `{w}` is the length of a window,
    /// `{w/4}` a quarter of it, `{9w}` nine of it.
    topology: &'static str,
}

const CASES: [Case; 18] = [
    Case {
        name: "aggregate",
        windowed: false,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, aggregate: {n: count(), sum: sum(value)}}}",
    },
    Case {
        name: "reduce",
        windowed: false,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, reduce: 'acc > value ? acc : value'}}",
    },
    Case {
        name: "fold",
        windowed: false,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, fold: {init: {n: 0}, add: {n: acc.n + 1}}}}",
    },
    Case {
        name: "cogroup",
        windowed: false,
        topology: "
sources: {a: {topic: a}, b: {topic: b}}
tables:
  out:
    cogroup:
      inputs: {left: {from: a, add: {n: acc.n + 1}}, right: {from: b, add: {n: acc.n - 1}}}
      init: {n: 0}",
    },
    Case {
        name: "grouped table",
        windowed: false,
        topology: "
sources: {a: {topic: a, kind: table}}
tables: {out: {from: a, group_by: string(value), aggregate: {n: count(), sum: sum(value)}}}",
    },
    Case {
        name: "tumbling",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {tumbling: {w}ms, grace: {9w}ms}, aggregate: {n: count()}}}",
    },
    Case {
        name: "tumbling, on_close",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {tumbling: {w}ms, grace: {9w}ms}, aggregate: {n: count()}, emit: on_close}}",
    },
    Case {
        name: "hopping",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {hopping: {size: {2w}ms, advance: {w}ms}, grace: {8w}ms}, aggregate: {n: count()}}}",
    },
    Case {
        name: "session",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {session: {w/4}ms, grace: {9w}ms}, aggregate: {n: count()}}}",
    },
    Case {
        name: "sliding",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables: {out: {from: a, window: {sliding: {w/4}ms, grace: {9w}ms}, aggregate: {n: count()}}}",
    },
    Case {
        name: "suppress",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
tables:
  out:
    from: a
    window: {tumbling: {w}ms, grace: {9w}ms}
    aggregate: {n: count()}
    suppress: {until: window_closes}",
    },
    Case {
        name: "deduplicate",
        windowed: true,
        topology: "
sources: {a: {topic: a}}
streams: {out: {from: a, steps: [{deduplicate: {within: {5w}ms}}]}}",
    },
    Case {
        name: "stream-stream join",
        windowed: true,
        topology: "
sources: {a: {topic: a}, b: {topic: b}}
streams: {out: {join: {kind: left, inputs: {l: a, r: b}, within: {before: {w/4}ms, grace: {9w}ms}}, map_values: 'l'}}",
    },
    Case {
        name: "stream-table join",
        windowed: false,
        topology: "
sources: {a: {topic: a}, b: {topic: b, kind: table}}
streams: {out: {join: {inputs: {l: a, r: b}}, map_values: l + r}}",
    },
    Case {
        name: "table-table join",
        windowed: false,
        topology: "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {inputs: {l: a, r: b}}, map_values: l + r}}",
    },
    Case {
        name: "foreign-key join",
        windowed: false,
        topology: "
sources: {a: {topic: a, kind: table}, b: {topic: b, kind: table}}
tables: {out: {join: {inputs: {l: a, r: b}, on: string(l)}, map_values: l + r}}",
    },
    Case {
        name: "versioned, as of",
        windowed: true,
        topology: "
sources: {a: {topic: a}, b: {topic: b, kind: table, store: {versioned: {9w}ms}}}
streams: {out: {join: {inputs: {l: a, r: b}}, map_values: l + r}}",
    },
    Case {
        name: "versioned, grace",
        windowed: true,
        topology: "
sources: {a: {topic: a}, b: {topic: b, kind: table, store: {versioned: {9w}ms}}}
streams: {out: {join: {inputs: {l: a, r: b}, grace: {8w}ms}, map_values: l + r}}",
    },
];

fn topology(case: &Case, rows: u64) -> Topology {
    let window = rows / 10;
    let mut text = format!("topology: bench\ndefaults: {{key: string, value: long}}{}\n", case.topology);
    text.push_str("sinks: [{from: out, topic: out, value: json}]\n");
    for (place, number) in [
        ("{w}", window),
        ("{w/4}", window / 4),
        ("{2w}", 2 * window),
        ("{5w}", 5 * window),
        ("{8w}", 8 * window),
        ("{9w}", 9 * window),
    ] {
        text = text.replace(place, &number.to_string());
    }
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    load("bench.yaml", &text, &options).unwrap_or_else(|problems| panic!("{}: {problems}\n{text}", case.name))
}

/// All tasks of a topology, what they send each other, and a log that forgets.
struct Rig {
    topology: Topology,
    tasks: Vec<Task>,
    /// Which tasks read a topic, and as which of their sources.
    readers: BTreeMap<Arc<str>, Vec<(usize, usize)>>,
    ends: BTreeMap<TopicPartition, i64>,
}

impl Rig {
    fn open(directory: &Path, topology: Topology) -> Rig {
        let state = StateDirectory::open(directory, &topology.name, StateOptions::default()).unwrap();
        let topics = partitioning::resolve(&topology, &BTreeMap::new()).unwrap();
        let mut readers: BTreeMap<Arc<str>, Vec<(usize, usize)>> = BTreeMap::new();
        let mut tasks = Vec::new();
        for subtopology in &topology.subtopologies {
            for (source, plan) in subtopology.sources.iter().enumerate() {
                readers.entry(plan.topic.clone()).or_default().push((tasks.len(), source));
            }
            tasks.push(Task::new(TaskParts {
                application: Arc::from(topology.name.as_str()),
                stores: state.open_task(&format!("{}_0", subtopology.id), &subtopology.stores).unwrap(),
                partition: 0,
                partitions: TaskOpener::partitions_of(&topics),
                dead_letters: None,
                globals: None,
                options: TaskOptions::default(),
                positions: vec![0; subtopology.sources.len()],
                stream_times: BTreeMap::new(),
                positions_committed: true,
                subtopology: subtopology.clone(),
            }));
        }
        Rig { topology, tasks, readers, ends: BTreeMap::new() }
    }

    /// Hands records to who reads their topic. Returns whether anybody does.
    fn deliver(&mut self, topic: &Arc<str>, mut records: Vec<LogRecord>) -> bool {
        let Some(readers) = self.readers.get(topic) else { return false };
        let end = self.ends.entry(TopicPartition::new(topic.clone(), 0)).or_default();
        for record in &mut records {
            record.offset = *end;
            *end += 1;
        }
        for (task, source) in readers {
            self.tasks[*task].add_records(*source, records.clone(), *end);
        }
        true
    }

    /// Works everything off that waits, with a commit of all tasks, until nothing waits any more.
    fn work(&mut self) {
        while self.tasks.iter().any(|task| task.queued() > 0 || task.is_dirty()) {
            let mut sent: BTreeMap<Arc<str>, Vec<LogRecord>> = BTreeMap::new();
            for task in &mut self.tasks {
                // A task stops where its overlay is full.
                task.process(usize::MAX, 0).unwrap();
                let commit = task.prepare_commit(0).unwrap();
                for ProducerRecord { topic, timestamp, key, value, headers, .. } in commit.records {
                    *self.ends.entry(TopicPartition::new(topic.clone(), 0)).or_default() += 1;
                    if self.readers.contains_key(&topic) {
                        sent.entry(topic).or_default().push(LogRecord { offset: 0, timestamp, key, value, headers });
                    }
                }
                task.complete_commit(&self.ends, 0).unwrap();
            }
            for (topic, records) in sent {
                // Counted when they were sent.
                if let Some(end) = self.ends.get_mut(&TopicPartition::new(topic.clone(), 0)) {
                    *end -= records.len() as i64;
                }
                self.deliver(&topic, records);
            }
        }
    }

    /// The records of these numbers, a millisecond after the other, and a commit every so often.
    fn run(&mut self, numbers: std::ops::Range<u64>, keys: u64) -> Duration {
        let inputs: Vec<Arc<str>> =
            ["a", "b"].into_iter().map(Arc::from).filter(|topic| self.readers.contains_key(topic)).collect();
        let mut took = Duration::ZERO;
        let (mut from, count) = (numbers.start, inputs.len() as u64);
        while from < numbers.end {
            let to = numbers.end.min(from + COMMIT_EVERY as u64);
            let batches: Vec<(Arc<str>, Vec<LogRecord>)> = inputs
                .iter()
                .zip(0..)
                .map(|(topic, turn)| {
                    (
                        topic.clone(),
                        (from..to).filter(|n| n % count == turn).map(|n| record(n, n / count, keys)).collect(),
                    )
                })
                .collect();
            from = to;
            let started = processor_time();
            for (topic, records) in batches {
                self.deliver(&topic, records);
            }
            self.work();
            took += processor_time() - started;
        }
        took
    }
}

/// Keys in a scattered order, each once before the first comes again. The value is a key, too.
fn record(n: u64, turn: u64, keys: u64) -> LogRecord {
    // The factor is a prime, and so has no divisor in common with a number of keys that is a power of ten.
    let key = turn.wrapping_mul(2_654_435_761) % keys;
    let value = (key * 7 + turn / keys) % keys;
    LogRecord {
        offset: 0,
        timestamp: n as i64,
        key: Some(Bytes::from(key.to_string())),
        value: Some(Bytes::copy_from_slice(&value.to_be_bytes())),
        headers: Headers::default(),
    }
}

/// How long this thread has been on a processor: what else the machine does makes no difference. What RocksDB does beside
/// it does not count.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says how long a thread has run");
    let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is the time on a processor"))
}

/// What a record costs, in microseconds of processor time.
fn measure(case: &Case, rows: u64) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(directory.path(), topology(case, rows));
    let keys = if case.windowed { rows / 10 } else { rows };
    // Both inputs have all keys.
    let fill =
        rows * rig.topology.subtopologies.iter().flat_map(|part| &part.sources).filter(|s| !s.internal).count() as u64;
    rig.run(0..fill, keys);
    rig.run(fill..fill + MEASURED, keys).as_secs_f64() * 1e6 / MEASURED as f64
}

/// What follows an argument, as a list.
fn listed(argument: &str) -> Option<Vec<String>> {
    let mut arguments = std::env::args().skip_while(|found| found != argument).skip(1);
    Some(arguments.next()?.split(',').map(str::to_owned).collect())
}

fn main() {
    let only = listed("--only");
    let rows: Vec<u64> = match listed("--rows") {
        Some(rows) => rows.iter().map(|rows| rows.parse().expect("--rows takes numbers")).collect(),
        None => ROWS.to_vec(),
    };
    let mut out = stdout();
    let started = Instant::now();
    write!(out, "{:<20}", "µs per record").unwrap();
    rows.iter().for_each(|rows| write!(out, "{rows:>20}").unwrap());
    writeln!(out, " rows").unwrap();
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| only.iter().any(|name| name == case.name))) {
        write!(out, "{:<20}", case.name).unwrap();
        let mut first = None;
        for rows in &rows {
            let cost = measure(case, *rows);
            let ratio = cost / *first.get_or_insert(cost);
            let mark = if ratio > WANTED { "!" } else { " " };
            write!(out, "{:>20}", format!("{cost:.2} ({ratio:.1}x){mark}")).unwrap();
            out.flush().unwrap();
        }
        writeln!(out).unwrap();
    }
    writeln!(out, "in {:.0?}; at most {WANTED:.0}x wanted, what is more is marked", started.elapsed()).unwrap();
}
