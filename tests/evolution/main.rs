//! What of a topology may change while its state stays: each case runs a topology, stops it, changes it and runs it again
//! over the same log and the same directory, or over an empty one. What may change gives exactly the results that it
//! should; what may not is refused with its reason.

mod allowed;
mod refused;
mod steps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signalstream::agents::Agents;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, ProducerRecord, TopicConfig};
use signalstream::record::{Headers, TopicPartition};
use signalstream::runtime::{Application, ApplicationOptions, Evolution, RuntimeError, evolution};
use signalstream::serdes::SchemaRegistry;
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::task::TaskOptions;
use signalstream::time::{SystemClock, Timestamp};
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load, requirements};
use tempfile::TempDir;

/// What every topology here begins with.
const HEAD: &str = "topology: evo\ndefaults: {key: string, value: json}\n";

/// A log, and the disk of a machine.
struct World {
    log: Arc<EmbeddedLog>,
    disk: TempDir,
}

fn plan(text: &str) -> Topology {
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    load("evo.yaml", &format!("{HEAD}{text}"), &options).unwrap_or_else(|problems| panic!("{problems}"))
}

impl World {
    /// A log with the topics `a` and `b` of so many partitions, and `out` of one.
    fn with_partitions(partitions: i32) -> World {
        let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
        for (topic, partitions) in [("a", partitions), ("b", partitions), ("out", 1)] {
            log.admin().create_topic(topic, &TopicConfig::new(partitions)).unwrap();
        }
        World { log, disk: tempfile::tempdir().unwrap() }
    }

    fn new() -> World {
        World::with_partitions(1)
    }

    /// Writes records to the first partition of a topic: key, value as JSON (`null` deletes) and timestamp.
    fn write(&self, topic: &str, records: &[(&str, &str, Timestamp)]) {
        let mut producer = self.log.transactional_producer("test").unwrap();
        producer.begin().unwrap();
        for (key, value, timestamp) in records {
            let value = (*value != "null").then(|| (*value).to_owned().into());
            let (key, headers) = (Some((*key).to_owned().into()), Headers::default());
            let record =
                ProducerRecord { topic: topic.into(), partition: 0, timestamp: *timestamp, key, value, headers };
            producer.send(record).unwrap();
        }
        producer.commit().unwrap();
    }

    /// Starts a topology.
    fn start(&self, text: &str) -> Result<Application, RuntimeError> {
        let topology = plan(text);
        let state = StateDirectory::open(self.disk.path(), "evo", StateOptions::default()).unwrap();
        let task = TaskOptions { caching: false, ..TaskOptions::default() };
        let options =
            ApplicationOptions { commit_interval: Duration::from_millis(10), task, ..ApplicationOptions::default() };
        Application::start(&topology, self.log.clone(), state, Arc::new(SystemClock::new()), &options)
    }

    /// Runs a topology until it has processed everything.
    fn run(&self, text: &str) -> Result<(), RuntimeError> {
        let application = self.start(text)?;
        let started = Instant::now();
        application.wait_until_caught_up(|_| started.elapsed() < Duration::from_secs(30))?;
        let complete = application.progress()?.is_complete();
        application.stop()?;
        assert!(complete, "it comes to the end");
        Ok(())
    }

    /// The same, where nothing may go wrong.
    #[track_caller]
    fn runs(&self, text: &str) {
        self.run(text).unwrap_or_else(|error| panic!("{error}"));
    }

    /// How the state would take a topology.
    fn evolution(&self, text: &str) -> Evolution {
        let topology = plan(text);
        let existing = self.log.admin().topics().unwrap();
        let required = requirements::requirements(&topology, &existing).unwrap();
        let topics = required.into_iter().map(|one| {
            let config = existing.get(&one.topic).cloned().unwrap_or(one.wanted);
            (one.topic, config)
        });
        evolution(&topology, self.log.as_ref(), &existing, &topics.collect()).unwrap()
    }

    /// All that would be said of a topology, each finding in a line.
    fn findings(&self, text: &str) -> Vec<String> {
        self.evolution(text).findings.iter().map(|one| format!("{}: {one}", one.verdict.as_str())).collect()
    }

    /// What a topic holds: keys and values.
    fn read(&self, topic: &str) -> Vec<(String, Json)> {
        let mut consumer = self.log.consumer(None).unwrap();
        consumer.assign(&TopicPartition::new(topic, 0), 0).unwrap();
        let batches = consumer.poll(10_000, Duration::ZERO).unwrap().batches;
        let records = batches.into_iter().flat_map(|batch| batch.records);
        let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let value =
            |bytes: Option<bytes::Bytes>| bytes.map_or(Json::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
        records.map(|record| (text(record.key), value(record.value))).collect()
    }

    /// What is in `out`, as `key=value`.
    fn out(&self) -> Vec<String> {
        self.read("out").into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// A machine without state, on the same log.
    fn empty_disk(&mut self) {
        self.disk = tempfile::tempdir().unwrap();
    }
}

impl World {
    fn log_topic(&self, topic: &str, partitions: i32) {
        self.log.admin().create_topic(topic, &TopicConfig::new(partitions)).unwrap();
    }
}
