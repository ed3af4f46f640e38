//! Measures a process from outside, all in the same way: what its group has committed, how much processor time it has
//! used, how much memory it has had.
//!
//! What counts is the time between the first commit that is seen and the last. Before it a program starts, joins its
//! group and opens its state; that is told too, as start.

use std::fs;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::harness::Process;
use super::topics::{asking, committed, internal};

/// How often it is looked. A commit comes every 100 ms.
const LOOK: Duration = Duration::from_millis(20);
/// The unit of processor times in /proc, on every architecture that Linux shows to programs.
const TICK_SECONDS: f64 = 0.01;

/// What a run has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Records of the input per second, between the first commit and the last.
    pub(crate) records_per_second: f64,
    /// Processor seconds of the process per million records, in the same time.
    pub(crate) cpu_per_million: f64,
    /// The same of the broker.
    pub(crate) broker_cpu_per_million: f64,
    /// Processor seconds of the process, its start and end included.
    pub(crate) cpu_in_all: f64,
    /// The most memory that the process had at once: resident, in MB.
    pub(crate) memory: f64,
    /// Seconds from the start of the process until its first commit.
    pub(crate) start: f64,
    /// Processes that could run, per processor, beside: the load of the machine when the run began.
    pub(crate) load: f64,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    /// Records of the input.
    committed: i64,
    /// Those of repartition topics too: the work is done when they are.
    progress: i64,
    cpu: f64,
    broker: f64,
}

/// What is to be watched: the group, its input with the number of partitions, and the broker's process.
pub(crate) struct Watch<'a> {
    pub(crate) servers: &'a str,
    pub(crate) group: &'a str,
    pub(crate) input: &'a str,
    pub(crate) partitions: usize,
    pub(crate) broker: u32,
}

impl Watch<'_> {
    /// Watches until the process has ended, in good order.
    pub(crate) fn until_the_end(&self, started: Instant, process: &mut Process, patience: Duration) -> Measured {
        let consumer = asking(self.servers, self.group);
        let input = [(self.input.to_owned(), self.partitions)];
        let mut others = Vec::new();
        let (mut first, mut last): (Option<Sample>, Option<Sample>) = (None, None);
        let mut measured = Measured { load: load(), ..Measured::default() };
        while process.exited().is_none() {
            assert!(started.elapsed() < patience, "{} did not end:\n{}", process.name(), process.tail(20));
            if let Some(sample) = self.sample(&consumer, &input, &others, process) {
                if first.is_none() {
                    first = Some(sample);
                    others = internal(&consumer, self.group);
                }
                if last.is_none_or(|last| sample.progress > last.progress) {
                    last = Some(sample);
                }
            }
            measured.memory = peak_memory(process.id()).unwrap_or(0.0).max(measured.memory);
            measured.cpu_in_all = cpu(process.id()).unwrap_or(0.0).max(measured.cpu_in_all);
            std::thread::sleep(LOOK);
        }
        let status = process.wait(patience).unwrap();
        assert!(status.success(), "{} ended with {status}:\n{}", process.name(), process.tail(20));
        let (first, last) = (first.unwrap(), last.unwrap());
        let records = (last.committed - first.committed) as f64;
        assert!(records > 0.0, "{} was done with its first commit; give it more records", process.name());
        measured.records_per_second = records / (last.at - first.at).as_secs_f64();
        measured.cpu_per_million = (last.cpu - first.cpu) / records * 1e6;
        measured.broker_cpu_per_million = (last.broker - first.broker) / records * 1e6;
        measured.start = (first.at - started).as_secs_f64();
        measured
    }

    /// `None`: nothing is committed yet, or the process has just ended.
    fn sample(
        &self,
        consumer: &BaseConsumer,
        input: &[(String, usize)],
        others: &[(String, usize)],
        process: &Process,
    ) -> Option<Sample> {
        let read = committed(consumer, input).filter(|records| *records > 0)?;
        let progress = if others.is_empty() { read } else { read + committed(consumer, others)? };
        Some(Sample {
            at: Instant::now(),
            committed: read,
            progress,
            cpu: cpu(process.id())?,
            broker: cpu(self.broker)?,
        })
    }
}

/// Processor seconds that a process has used, all its threads together, in user and kernel mode.
fn cpu(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the name, in parentheses, and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) * TICK_SECONDS)
}

/// The most memory that a process had at once, in MB.
fn peak_memory(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
