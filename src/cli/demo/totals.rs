//! What a demo did, in numbers.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::log::Log;
use crate::metrics::{Counters, DropReason};
use crate::record::TopicPartition;
use crate::topology::partitioning;

use super::super::formats::Formats;
use super::conversations::{self, AGGREGATED};

/// What a demo did, in numbers.
pub(super) struct Totals {
    /// Records fed in.
    pub(super) records_in: u64,
    /// From the first record fed to the commit of the last that followed from it.
    pub(super) elapsed: Duration,
    /// Records ever written, by topic; internal topics excluded.
    pub(super) topics: Vec<(String, u64)>,
    /// Conversations that have a current aggregate.
    pub(super) conversations: u64,
    /// Records that failed.
    pub(super) dead_lettered: u64,
    /// Records that came after their window had closed.
    pub(super) late: u64,
}

impl Totals {
    /// What the run itself knows; [`Totals::count`] adds the rest.
    pub(super) fn new(records_in: u64, elapsed: Duration) -> Totals {
        Totals { records_in, elapsed, topics: Vec::new(), conversations: 0, dead_lettered: 0, late: 0 }
    }

    /// Counts what is in the topics.
    pub(super) fn count(mut self, formats: &Formats, log: &dyn Log, counters: &Counters) -> anyhow::Result<Totals> {
        self.dead_lettered = counters.dead_letters;
        self.late = counters.dropped_for(DropReason::Late);
        let consumer = log.consumer(None)?;
        let existing = log.admin().topics()?;
        for topic in formats.topology().topics.iter().filter(|topic| !partitioning::is_internal(topic)) {
            let partitions = existing.get(&topic.name).map_or(0, |config| config.partitions);
            let mut written = 0;
            for partition in 0..partitions {
                let end = consumer.end_offset(&TopicPartition::new(topic.name.as_str(), partition))?;
                written += end.unsigned_abs();
            }
            self.topics.push((topic.name.clone(), written));
        }
        self.topics.sort();
        self.conversations = current_keys(log, AGGREGATED)?;
        Ok(self)
    }

    /// Records fed in per second.
    pub(super) fn records_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.records_in as f64 / seconds } else { 0.0 }
    }

    /// The object that `--output json` prints.
    pub(super) fn to_json(&self) -> Json {
        let topics: Map<String, Json> =
            self.topics.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
        json!({
            "records_in": self.records_in,
            "topics": topics,
            "conversations": self.conversations,
            "dead_lettered": self.dead_lettered,
            "late": self.late,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "records_per_second": (self.records_per_second() * 10.0).round() / 10.0,
        })
    }
}

/// How many keys of a topic have a value.
fn current_keys(log: &dyn Log, topic: &str) -> anyhow::Result<u64> {
    // A key is in one partition only, so the keys of one partition at a time are enough to hold.
    let mut keys: HashSet<Box<[u8]>, ahash::RandomState> = HashSet::default();
    let (mut counted, mut current) = (0, 0);
    conversations::each_record(log, topic, |partition, record| {
        if partition != current {
            counted += keys.len() as u64;
            keys.clear();
            current = partition;
        }
        let Some(key) = &record.key else { return Ok(()) };
        if record.value.is_none() {
            keys.remove(key.as_ref());
        } else if !keys.contains(key.as_ref()) {
            keys.insert(key.as_ref().into());
        }
        Ok(())
    })?;
    Ok(counted + keys.len() as u64)
}
