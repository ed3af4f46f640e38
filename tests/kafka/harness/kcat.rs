//! Writes and reads topics by kcat: a witness that shares no code with the engine.
//!
//! It is built on an older librdkafka than ours, of Debian's making, and knows nothing of topologies.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::{Finished, run};

const METADATA: Duration = Duration::from_secs(10);
/// For a million records on a busy machine.
const READ: Duration = Duration::from_secs(180);
const WRITE: Duration = Duration::from_secs(180);

/// A line that tells partition, offset, timestamp and lengths, then the bytes: any key and value can be told.
const FORMAT: &str = "%p %o %T %K %S\n%k%s\n";

/// A record as kcat saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Seen {
    pub(crate) fn key_text(&self) -> &str {
        self.key.as_deref().map_or("", |key| std::str::from_utf8(key).unwrap())
    }

    pub(crate) fn value_text(&self) -> &str {
        self.value.as_deref().map_or("", |value| std::str::from_utf8(value).unwrap())
    }

    /// The value as JSON; a tombstone is `null`.
    pub(crate) fn json(&self) -> serde_json::Value {
        let Some(value) = &self.value else { return serde_json::Value::Null };
        serde_json::from_slice(value).unwrap_or_else(|error| panic!("{}: {error}", self.value_text()))
    }
}

/// What a cluster says of itself.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) brokers: Vec<i64>,
    /// How many partitions each topic has.
    pub(crate) partitions: BTreeMap<String, usize>,
    /// Partitions without a leader.
    pub(crate) leaderless: Vec<String>,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadCommitted,
    ReadUncommitted,
}

#[derive(Clone, Debug)]
pub(crate) struct Kcat {
    options: Vec<String>,
    directory: PathBuf,
}

impl Kcat {
    /// `settings` are librdkafka's; files go to `directory`.
    pub(crate) fn new(servers: &str, settings: &[(String, String)], directory: &Path) -> Kcat {
        let mut options = vec!["-b".to_owned(), servers.to_owned()];
        for (key, value) in settings {
            options.extend(["-X".to_owned(), format!("{key}={value}")]);
        }
        Kcat { options, directory: directory.to_owned() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kcat");
        // No configuration of whoever runs the tests.
        command.args(["-F", "/dev/null"]).args(&self.options);
        command
    }

    /// What the cluster says of itself; nothing while it does not answer.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        let mut command = self.command();
        command.args(["-L", "-J", "-m", "3", "-X", "log_level=2"]);
        let finished = run(&mut command, None, &self.directory, METADATA);
        let parsed: serde_json::Value = serde_json::from_str(&finished.text()).ok()?;
        let mut metadata = Metadata {
            brokers: parsed["brokers"].as_array()?.iter().filter_map(|broker| broker["id"].as_i64()).collect(),
            ..Metadata::default()
        };
        for topic in parsed["topics"].as_array()? {
            let name = topic["topic"].as_str()?;
            let partitions = topic["partitions"].as_array()?;
            metadata.partitions.insert(name.to_owned(), partitions.len());
            for partition in partitions.iter().filter(|partition| partition["leader"].as_i64().is_none_or(|id| id < 0))
            {
                metadata.leaderless.push(format!("{name}-{}", partition["partition"]));
            }
        }
        Some(metadata)
    }

    /// All records of a topic that are committed, partition by partition in their order.
    pub(crate) fn read(&self, topic: &str) -> Vec<Seen> {
        let mut records = Vec::new();
        self.for_each(topic, Isolation::ReadCommitted, |record| records.push(record));
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// Goes through the records of a topic up to its end, in the order in which they came.
    pub(crate) fn for_each(&self, topic: &str, isolation: Isolation, each: impl FnMut(Seen)) {
        let finished = self.read_to_file(topic, isolation).succeeded();
        parse(BufReader::with_capacity(1 << 20, File::open(&finished.output).unwrap()), each);
        std::fs::remove_file(&finished.output).unwrap();
    }

    /// Reads a topic to its end and reports how kcat fared.
    pub(crate) fn read_to_file(&self, topic: &str, isolation: Isolation) -> Finished {
        let isolation = match isolation {
            Isolation::ReadCommitted => "isolation.level=read_committed",
            Isolation::ReadUncommitted => "isolation.level=read_uncommitted",
        };
        let mut command = self.command();
        command.args(["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-X", isolation, "-X", "check.crcs=true"]);
        command.args(["-f", FORMAT]);
        run(&mut command, None, &self.directory, READ)
    }

    /// The value of the last record of each key. A key belongs to one partition, so its records are in order.
    pub(crate) fn last_by_key(&self, topic: &str) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let mut last = BTreeMap::new();
        self.for_each(topic, Isolation::ReadCommitted, |record| {
            last.insert(record.key.expect("a record without a key"), record.value);
        });
        last
    }

    /// How a producer is told to write: nothing twice, keys to the partitions of Kafka's own clients, and patience
    /// with brokers that are away.
    fn producer(&self, topic: &str) -> Command {
        let mut command = self.command();
        // -E: a cluster that is away for a while is no reason to end.
        command.args(["-P", "-E", "-t", topic, "-K", "\t"]);
        let settings = ["enable.idempotence=true", "partitioner=murmur2_random", "message.timeout.ms=600000"];
        for setting in settings.iter().chain(&["queue.buffering.max.messages=200000", "linger.ms=5"]) {
            command.args(["-X", setting]);
        }
        command
    }

    /// Writes records, each a key and a value without tabs or line breaks, and waits until all are acknowledged.
    pub(crate) fn write<K: AsRef<str>, V: AsRef<str>>(&self, topic: &str, records: impl IntoIterator<Item = (K, V)>) {
        self.try_write(topic, &[], records).succeeded();
    }

    /// The same with further arguments of kcat, when it may fail.
    pub(crate) fn try_write<K: AsRef<str>, V: AsRef<str>>(
        &self,
        topic: &str,
        arguments: &[&str],
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Finished {
        let input = tempfile::NamedTempFile::new_in(&self.directory).unwrap();
        let mut writer = BufWriter::with_capacity(1 << 20, input.as_file());
        for (key, value) in records {
            writeln!(writer, "{}\t{}", key.as_ref(), value.as_ref()).unwrap();
        }
        writer.flush().unwrap();
        run(self.producer(topic).args(arguments), Some(input.path()), &self.directory, WRITE)
    }
}

/// Reads what kcat writes in [`FORMAT`].
fn parse(mut input: impl BufRead, mut each: impl FnMut(Seen)) {
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let mut numbers = line.split_ascii_whitespace().map(|field| {
            field.parse::<i64>().unwrap_or_else(|_| panic!("kcat wrote {line:?} where five numbers were expected"))
        });
        let mut next = || numbers.next().unwrap_or_else(|| panic!("kcat wrote {line:?}: five numbers were expected"));
        let (partition, offset, timestamp) = (next(), next(), next());
        let (key_length, value_length) = (next(), next());
        let mut bytes = |length: i64| {
            let mut bytes = vec![0; usize::try_from(length).ok()?];
            input.read_exact(&mut bytes).unwrap();
            Some(bytes)
        };
        let (key, value) = (bytes(key_length), bytes(value_length));
        let mut end = [0];
        input.read_exact(&mut end).unwrap();
        assert_eq!(&end, b"\n", "kcat's output does not have the lengths that it tells");
        each(Seen { partition: i32::try_from(partition).unwrap(), offset, timestamp, key, value });
    }
}
