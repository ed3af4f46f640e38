//! Writes records to a topic.

use super::{Operator, OperatorContext, OperatorError, Passage, Result, key_value, set_headers};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::serdes::Serializer;
use crate::serdes::internal::Codec;
use crate::sink::{CollectError, Outgoing};
use crate::source::{KEY_SCHEMA, VALUE_SCHEMA, without};
use crate::topology::plan::{self, ChosenTopic, Encoding, SinkTopic};
use bytes::Bytes;
use std::sync::Arc;

enum ValueEncoder {
    Serde(Serializer),
    Internal(Codec),
}

/// A null value is written as a tombstone, whatever the sink's map says.
pub(super) struct Sink {
    plan: plan::Sink,
    value: ValueEncoder,
    /// The headers that name the schemas of what is written with its schema's id in it.
    misleading: Vec<&'static str>,
    buffer: Vec<u8>,
}

impl Sink {
    pub(super) fn new(plan: plan::Sink) -> Self {
        let value = match &plan.value {
            Encoding::Serde(serializer) => ValueEncoder::Serde(serializer.clone()),
            Encoding::Internal(shape) => ValueEncoder::Internal(Codec::new(shape)),
        };
        let of_key = plan.key.as_ref().filter(|key| key.names_schema()).map(|_| KEY_SCHEMA);
        let of_value = match &value {
            ValueEncoder::Serde(serializer) if serializer.names_schema() => Some(VALUE_SCHEMA),
            _ => None,
        };
        let misleading = of_key.into_iter().chain(of_value).collect();
        Sink { plan, value, misleading, buffer: Vec::new() }
    }

    fn encode_value(&mut self, record: &Record) -> Result<Option<Bytes>> {
        if record.value.is_null() {
            return Ok(None);
        }
        let mapped: Value;
        let value = match &self.plan.map {
            None => &record.value,
            Some(map) => {
                let input =
                    Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
                mapped = map.evaluate(&input)?;
                &mapped
            }
        };
        match &self.value {
            ValueEncoder::Serde(serializer) => Ok(Some(serializer.payload(value, &mut self.buffer)?)),
            ValueEncoder::Internal(codec) => {
                self.buffer.clear();
                codec.encode(record.timestamp, value, &mut self.buffer);
                Ok(Some(Bytes::copy_from_slice(&self.buffer)))
            }
        }
    }

    /// Where a record goes, and whether the application reads it there.
    fn topic(&self, record: &Record) -> Result<(Arc<str>, bool)> {
        let chosen = match &self.plan.topic {
            SinkTopic::One { topic, read_back } => return Ok((topic.clone(), *read_back)),
            SinkTopic::Chosen(chosen) => chosen,
        };
        let name = chosen.expression.evaluate(&Input::of(record))?;
        let Some(name) = name.as_str() else {
            let message = format!("the name of a topic is text, not a {}", name.kind());
            return Err(OperatorError::Value(message));
        };
        match chosen.topics.get_key_value(name) {
            Some((topic, read_back)) => Ok((topic.clone(), *read_back)),
            None => Err(CollectError::UndeclaredTopic { topic: name.to_owned(), may: may_name(chosen) }.into()),
        }
    }

    fn encode_key(&mut self, record: &Record) -> Result<Option<Bytes>> {
        match (&record.key, &self.plan.key) {
            (None, _) => Ok(None),
            (Some(key), None) => Ok(Some(key.encoded.clone())),
            (Some(key), Some(serializer)) => Ok(Some(serializer.payload(&key.value, &mut self.buffer)?)),
        }
    }
}

impl Operator for Sink {
    fn pass(&mut self, record: &mut Record, context: &mut OperatorContext<'_>) -> Result<Passage> {
        if record.key.is_none() && self.plan.drops_null_keys {
            context.drop_record(DropReason::NullKey);
            return Ok(Passage::Ended);
        }
        let (topic, waits) = self.topic(record)?;
        let mut headers = set_headers::changed(&self.plan.headers, record)?;
        if !self.misleading.is_empty() && !headers.as_slice().is_empty() {
            headers = without(&headers, &self.misleading);
        }
        let key = self.encode_key(record)?;
        let value = self.encode_value(record)?;
        let hashed = match (&self.plan.partition_key, &record.key) {
            // Without a registry's id nobody else can have written such keys yet.
            (Some(serializer), Some(key)) => serializer.payload(&key.value, &mut self.buffer).ok(),
            _ => None,
        };
        let partition = match self.plan.partition.and_then(|field| record.value.get(field)) {
            Some(Value::Int(partition)) => i32::try_from(*partition).ok(),
            _ => None,
        };
        context.collector.send(Outgoing {
            topic: &topic,
            key,
            value,
            timestamp: record.timestamp,
            headers,
            input_partition: record.origin.partition(),
            partition,
            hashed,
            waits,
        })?;
        context.counters.records_out += 1;
        Ok(Passage::Ended)
    }
}

/// The topics that an expression may name, for messages.
fn may_name(chosen: &ChosenTopic) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = chosen.topics.keys().take(SHOWN).map(|topic| format!("`{topic}`")).collect();
    let more = chosen.topics.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match &chosen.pattern {
        Some(pattern) if names.is_empty() => format!("none is there that matches `{pattern}`"),
        Some(pattern) => format!("those that match `{pattern}` are {}{more}", names.join(", ")),
        None => format!("it may name {}{more}", names.join(", ")),
    }
}
