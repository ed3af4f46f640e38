//! Chooses the conversations that a demo shows and gathers what is known of them.
//!
//! Of every conversation only a few numbers are held in memory; the few that are shown are read again.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::log::{Log, LogRecord};
use crate::record::{Fields, TopicPartition, Value};
use crate::serdes::{Deserializer, Serde};

use super::super::formats::Formats;

/// The topic of the joined intelligence.
pub(super) const AGGREGATED: &str = "support.ai.aggregated";
/// The topic of what is known of a conversation.
const STATE: &str = "support.conversations.state";

/// How many records one fetch brings.
const FETCH_RECORDS: usize = 500;
/// How long a fetch waits for records that are known to be there.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A conversation to be shown.
pub(super) struct Conversation {
    /// `AggregatedIntelligence` as JSON.
    pub(super) intelligence: Json,
    /// `ConversationState` as JSON; null where there is none.
    pub(super) state: Json,
}

/// What is remembered of each conversation while the few are chosen.
struct Candidate {
    partition: i32,
    offset: i64,
    score: i64,
    escalation: bool,
    has_pii: bool,
    updates: u32,
}

/// Hands all records of a topic to `visit`, in order within each partition. A topic that is not there has none.
pub(super) fn each_record(
    log: &dyn Log,
    topic: &str,
    mut visit: impl FnMut(i32, LogRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let topics = log.admin().topics()?;
    for partition in 0..topics.get(topic).map_or(0, |config| config.partitions) {
        let partition = TopicPartition::new(topic, partition);
        let mut consumer = log.consumer(None)?;
        let end = consumer.end_offset(&partition)?;
        consumer.assign(&partition, 0)?;
        while consumer.position(&partition).is_some_and(|position| position < end) {
            for batch in consumer.poll(FETCH_RECORDS, FETCH_TIMEOUT)?.batches {
                for record in batch.records {
                    visit(partition.partition, record)?;
                }
            }
        }
    }
    Ok(())
}

/// A few conversations, the one that goes worst first.
pub(super) fn chosen(formats: &Formats, log: &dyn Log) -> anyhow::Result<Vec<Conversation>> {
    let Some(format) = formats.topology().topics.iter().find(|topic| topic.name == AGGREGATED) else {
        return Ok(Vec::new());
    };
    let Some(format) = &format.value else { return Ok(Vec::new()) };
    let serde = Serde::new(format, formats.schemas())?;
    let mut fields = Fields::path(&["quality_score"]);
    fields.merge(&Fields::path(&["insights", "requires_escalation"]));
    fields.merge(&Fields::path(&["pii", "has_pii"]));
    let candidates = candidates(log, &serde.deserializer(&fields))?;
    let keys = choose(&candidates);
    let states = last_values(log, STATE, &keys)?;
    let mut conversations = Vec::new();
    let (reader, states_reader) = (formats.writer(AGGREGATED, false)?, formats.writer(STATE, false).ok());
    for key in keys {
        let Some(candidate) = candidates.get(key) else { continue };
        let Some(value) = record_at(log, candidate)? else { continue };
        let state = match (states.get(key), &states_reader) {
            (Some(bytes), Some(reader)) => reader.decode_value(&Some(bytes.clone()))?,
            _ => Json::Null,
        };
        conversations.push(Conversation { intelligence: reader.decode_value(&Some(value))?, state });
    }
    Ok(conversations)
}

type Candidates = HashMap<Box<[u8]>, Candidate, ahash::RandomState>;

fn candidates(log: &dyn Log, deserializer: &Deserializer) -> anyhow::Result<Candidates> {
    let mut candidates = Candidates::default();
    each_record(log, AGGREGATED, |partition, record| {
        let Some(key) = record.key else { return Ok(()) };
        let Some(value) = &record.value else {
            candidates.remove(key.as_ref());
            return Ok(());
        };
        let value = deserializer.deserialize(value)?;
        let flag =
            |part: &str, field: &str| value.get(part).and_then(|part| part.get(field)) == Some(&Value::Bool(true));
        let score = match value.get("quality_score") {
            Some(Value::Int(score)) => *score,
            _ => 0,
        };
        let (escalation, has_pii) = (flag("insights", "requires_escalation"), flag("pii", "has_pii"));
        let updates = candidates.get(key.as_ref()).map_or(0, |candidate| candidate.updates) + 1;
        let candidate = Candidate { partition, offset: record.offset, score, escalation, has_pii, updates };
        candidates.insert(key.as_ref().into(), candidate);
        Ok(())
    })?;
    Ok(candidates)
}

/// The worst, one with personal data, one in the middle, the best: different ones, longer ones first.
fn choose(candidates: &Candidates) -> Vec<&[u8]> {
    let mut ranked: Vec<(&[u8], &Candidate)> = candidates.iter().map(|(key, value)| (key.as_ref(), value)).collect();
    ranked.sort_by_key(|(key, it)| (it.score, !it.escalation, u32::MAX - it.updates, *key));
    let best = |key: &(&[u8], &Candidate)| (key.1.score, key.1.updates, std::cmp::Reverse(key.0.to_vec()));
    let picks = [
        ranked.first().copied(),
        ranked.iter().filter(|(_, it)| it.has_pii).max_by_key(|(_, it)| it.updates).copied(),
        ranked.get(ranked.len() / 2).copied(),
        ranked.iter().copied().max_by_key(best),
    ];
    let mut keys = Vec::new();
    for (key, _) in picks.into_iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The last value of each of these keys.
fn last_values<'a>(log: &dyn Log, topic: &str, keys: &[&'a [u8]]) -> anyhow::Result<HashMap<&'a [u8], Bytes>> {
    let mut values = HashMap::new();
    each_record(log, topic, |_, record| {
        let wanted = keys.iter().find(|key| record.key.as_deref() == Some(**key));
        match (wanted, record.value) {
            (Some(key), Some(value)) => {
                values.insert(*key, value);
            }
            (Some(key), None) => {
                values.remove(key);
            }
            (None, _) => {}
        }
        Ok(())
    })?;
    Ok(values)
}

fn record_at(log: &dyn Log, candidate: &Candidate) -> anyhow::Result<Option<Bytes>> {
    let partition = TopicPartition::new(AGGREGATED, candidate.partition);
    let mut consumer = log.consumer(None)?;
    consumer.assign(&partition, candidate.offset)?;
    let polled = consumer.poll(1, FETCH_TIMEOUT)?;
    Ok(polled.batches.into_iter().flat_map(|batch| batch.records).find_map(|record| record.value))
}
