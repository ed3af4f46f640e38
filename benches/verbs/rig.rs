//! A topology at work: all of its tasks, what they send each other, and a log that takes everything and keeps nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use signalstream::log::{LogRecord, ProducerRecord};
use signalstream::record::{Headers, TopicPartition, Value};
use signalstream::state::{Checkpoint, GlobalTables, StateDirectory, StateOptions, StateValue};
use signalstream::task::{Task, TaskOpener, TaskOptions, TaskParts, open_globals};
use signalstream::topology::partitioning;
use signalstream::topology::plan::Topology;

use crate::processor_time::processor_time;

/// How many records there are between two commits: so few that hardly a key comes twice, as then it is written once.
const COMMIT_EVERY: u64 = 1_000;

/// Which records come.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// The topics that get a record by turns.
    pub(crate) topics: &'static [&'static str],
    /// How many keys each topic has.
    pub(crate) keys: u64,
    /// What values are below.
    pub(crate) values: u64,
    /// Every other time that a key comes, its record is late, by less than this many milliseconds; 0: none is.
    pub(crate) late: u64,
}

/// What some records came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Done {
    /// How long this thread has been on a processor.
    pub(crate) took: Duration,
    /// How many records were written to the topology's sinks.
    pub(crate) written: u64,
}

/// The tasks of a topology.
pub(crate) struct Rig {
    tasks: Vec<Task>,
    globals: Option<Arc<GlobalTables>>,
    /// Which tasks read a topic, and as which of their sources.
    readers: BTreeMap<Arc<str>, Vec<(usize, usize)>>,
    ends: BTreeMap<TopicPartition, i64>,
    /// The number of the next record, which is its time in milliseconds.
    next: u64,
    /// How many records each topic has had.
    turns: BTreeMap<&'static str, u64>,
}

impl Rig {
    pub(crate) fn open(directory: &Path, topology: &Topology, options: StateOptions) -> Rig {
        let state = StateDirectory::open(directory, &topology.name, options).unwrap();
        let topics = partitioning::resolve(topology, &BTreeMap::new()).unwrap();
        let globals = open_globals(topology, &state).unwrap();
        if let Some(globals) = &globals {
            globals.set_caught_up();
        }
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
                globals: globals.clone(),
                options: TaskOptions::default(),
                positions: vec![0; subtopology.sources.len()],
                stream_times: BTreeMap::new(),
                positions_committed: true,
                subtopology: subtopology.clone(),
            }));
        }
        Rig { tasks, globals, readers, ends: BTreeMap::new(), next: 0, turns: BTreeMap::new() }
    }

    /// So many records of each topic of the input, and a commit every so often.
    pub(crate) fn run(&mut self, input: &Input, each: u64) -> Done {
        let mut done = Done::default();
        let end = self.next + each * input.topics.len() as u64;
        while self.next < end {
            let to = end.min(self.next + COMMIT_EVERY);
            let mut batches: Vec<(&str, Vec<LogRecord>)> =
                input.topics.iter().map(|topic| (*topic, Vec::new())).collect();
            for number in self.next..to {
                let place = (number % input.topics.len() as u64) as usize;
                let turn = self.turns.entry(input.topics[place]).or_default();
                batches[place].1.push(input.record(number, *turn));
                *turn += 1;
            }
            self.next = to;
            let started = processor_time();
            for (topic, records) in batches {
                match self.globals.clone().filter(|_| !self.readers.contains_key(topic)) {
                    Some(globals) => apply(&globals, &records),
                    None => self.deliver(&Arc::from(topic), records),
                }
            }
            done.written += self.work();
            done.took += processor_time() - started;
        }
        done
    }

    /// Hands records to who reads their topic.
    fn deliver(&mut self, topic: &Arc<str>, mut records: Vec<LogRecord>) {
        let Some(readers) = self.readers.get(topic) else { return };
        let end = self.ends.entry(TopicPartition::new(topic.clone(), 0)).or_default();
        for record in &mut records {
            record.offset = *end;
            *end += 1;
        }
        for (task, source) in readers {
            self.tasks[*task].add_records(*source, records.clone(), *end);
        }
    }

    /// Works everything off that waits, with a commit of all tasks, until nothing waits any more. Returns how many records
    /// went to sinks.
    fn work(&mut self) -> u64 {
        let now = self.next as i64;
        let mut written = 0;
        while self.tasks.iter_mut().any(|task| task.queued() > 0 || task.is_dirty() || follows(task, now)) {
            let mut sent: BTreeMap<Arc<str>, Vec<LogRecord>> = BTreeMap::new();
            for task in &mut self.tasks {
                // A task stops where its overlay is full.
                task.process(usize::MAX, now).unwrap();
                let commit = task.prepare_commit(now).unwrap();
                for ProducerRecord { topic, timestamp, key, value, headers, .. } in commit.records {
                    if self.readers.contains_key(&topic) {
                        sent.entry(topic).or_default().push(LogRecord { offset: 0, timestamp, key, value, headers });
                    } else {
                        written += u64::from(&*topic == "out");
                        *self.ends.entry(TopicPartition::new(topic, 0)).or_default() += 1;
                    }
                }
                task.complete_commit(&self.ends, now).unwrap();
            }
            for (topic, records) in sent {
                self.deliver(&topic, records);
            }
        }
        written
    }
}

/// What it costs to read a row of a store with so many, in microseconds: the store by itself, without a verb.
pub(crate) fn reading(directory: &Path, topology: &Topology, options: StateOptions, rows: u64, reads: u64) -> f64 {
    let state = StateDirectory::open(directory, &topology.name, options).unwrap();
    let mut stores = state.open_task("0_0", &topology.subtopologies[0].stores).unwrap();
    let key = |number: u64| (scattered(number) % rows).to_string();
    for number in 0..rows {
        let row = StateValue { timestamp: number as i64, value: Value::Int(number as i64) };
        stores.put(0, key(number).as_bytes(), Some(row));
        if number % COMMIT_EVERY == COMMIT_EVERY - 1 {
            stores.commit(&Checkpoint::default()).unwrap();
        }
    }
    stores.commit(&Checkpoint::default()).unwrap();
    let keys: Vec<String> = (0..reads).map(key).collect();
    let started = processor_time();
    let found = keys.iter().filter(|key| stores.get(0, key.as_bytes()).unwrap().is_some()).count();
    let took = processor_time() - started;
    assert_eq!(found as u64, reads);
    took.as_secs_f64() * 1e6 / reads as f64
}

/// Tells the wall clock to a task. Returns whether it did anything.
fn follows(task: &mut Task, now: i64) -> bool {
    task.advance_wall_clock(now).unwrap()
}

/// Applies records to the global table.
fn apply(globals: &GlobalTables, records: &[LogRecord]) {
    let row = |record: &LogRecord| {
        let number = record.value.as_deref().and_then(|value| Some(i64::from_be_bytes(value.try_into().ok()?)));
        let row = number.map(|number| StateValue { timestamp: record.timestamp, value: Value::Int(number) });
        (record.key.clone().unwrap_or_default(), row)
    };
    let changes: Vec<_> = records.iter().map(row).collect();
    globals.apply(0, &changes, &Checkpoint::default()).unwrap();
}

impl Input {
    /// Keys in a scattered order, each once before the first comes again.
    fn record(&self, number: u64, turn: u64) -> LogRecord {
        let key = scattered(turn) % self.keys;
        let value = scattered(turn + turn / self.keys) % self.values;
        let is_late = self.late > 0 && turn / self.keys % 2 == 1;
        let back = if is_late { scattered(turn) % self.late } else { 0 };
        LogRecord {
            offset: 0,
            // None is before time zero: those would all be at once.
            timestamp: (number + self.late - back) as i64,
            key: Some(Bytes::from(key.to_string())),
            value: Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            headers: Headers::default(),
        }
    }
}

/// A prime times the number: it has no divisor in common with a power of ten, so that all remainders come.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761)
}
