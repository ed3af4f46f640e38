//! The input: events of which every one follows from its number, and conversations.

use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::Value as Json;

use super::harness::Random;

pub(crate) const EVENTS: &str = "bench.events";
pub(crate) const MESSAGES: &str = "support.messages.raw";

const KEYS: u64 = 100_000;
/// How many events a minute of their time has.
const PER_WINDOW: u64 = 250_000;
pub(crate) const WINDOW_MILLIS: u64 = 60_000;
const DAY_MILLIS: i64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The events.
pub(crate) struct Events {
    pub(crate) count: u64,
    /// The time of the first one, the beginning of a window.
    beginning: u64,
}

impl Events {
    /// So that the last one is in the past: the engine takes no records of the future, and changelogs with a retention
    /// do not let go of windows in the middle of a run.
    pub(crate) fn new(count: u64) -> Events {
        let windows = count.div_ceil(PER_WINDOW) + 1;
        Events { count, beginning: (now() / WINDOW_MILLIS - windows) * WINDOW_MILLIS }
    }

    fn at(&self, id: u64) -> u64 {
        self.beginning + id * WINDOW_MILLIS / PER_WINDOW
    }

    fn account(id: u64) -> u64 {
        Random::new(id + 1).below(KEYS)
    }

    fn amount(id: u64) -> u64 {
        id % 997 + 1
    }

    pub(crate) fn produce(&self, servers: &str) {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "20")
            .create()
            .unwrap();
        for id in 0..self.count {
            let (account, amount) = (name(Events::account(id)), Events::amount(id));
            let value = format!(r#"{{"id":{id},"account":"{account}","amount":{amount},"currency":"EUR"}}"#);
            let mut record =
                BaseRecord::to(EVENTS).key(account.as_str()).payload(value.as_str()).timestamp(self.at(id) as i64);
            while let Err((error, back)) = producer.send(record) {
                assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
                record = back;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// How many events each key has in each window.
    pub(crate) fn counts(&self) -> HashMap<(String, u64), u64> {
        let mut counts = HashMap::new();
        for id in 0..self.count {
            let window = self.at(id) / WINDOW_MILLIS * WINDOW_MILLIS;
            *counts.entry((name(Events::account(id)), window)).or_default() += 1;
        }
        counts
    }

    /// The sum of all amounts.
    pub(crate) fn total(&self) -> u64 {
        (0..self.count).map(Events::amount).sum()
    }
}

fn name(account: u64) -> String {
    format!("account-{account:05}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Writes conversations, repeated with new ids and other days until there are `count` messages, as lines for
/// `signalstream produce`. They are the real ones where these are at hand, else the samples.
pub(crate) fn write_messages(count: usize, file: &Path) {
    let lines = fs::read_to_string(source()).unwrap();
    let mut once: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    once.retain(|message| message["topic"] == MESSAGES);
    let last = once.iter().map(|message| message["timestamp"].as_i64().unwrap()).max().unwrap();
    let rounds = count.div_ceil(once.len());
    let repeat = |number: usize| {
        let mut message = once[number % once.len()].clone();
        let round = number / once.len();
        // The last repetition ends now.
        let shift = now() as i64 - last - (rounds - 1 - round) as i64 * DAY_MILLIS;
        let at = message["timestamp"].as_i64().unwrap() + shift;
        let conversation = format!("{}-{round}", message["value"]["conversation_id"].as_str().unwrap());
        message["key"] = format!("{}|{conversation}", message["value"]["tenant_id"].as_str().unwrap()).into();
        message["value"]["message_id"] = number.to_string().into();
        message["value"]["conversation_id"] = conversation.into();
        message["value"]["timestamp"] = at.into();
        message["timestamp"] = at.into();
        message.as_object_mut().unwrap().shift_remove("topic");
        (at, message)
    };
    let mut messages: Vec<(i64, Json)> = (0..count).map(repeat).collect();
    // As they would have come: out of order, most would be late for their windows.
    messages.sort_by_key(|(at, _)| *at);
    let mut writer = BufWriter::new(fs::File::create(file).unwrap());
    messages.iter().for_each(|(_, message)| writeln!(writer, "{message}").unwrap());
    writer.flush().unwrap();
}

fn source() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let real = top.join("../shared/data/support-messages.jsonl");
    if real.exists() { real } else { top.join("topologies/samples/support-conversations.jsonl") }
}
