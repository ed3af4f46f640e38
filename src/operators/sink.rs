//! Writes records to a topic.

use super::{Operator, OperatorContext, Passage, Result, key_value};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::serdes::Serializer;
use crate::serdes::internal::Codec;
use crate::sink::Outgoing;
use crate::topology::plan::{self, Encoding};
use bytes::Bytes;

enum ValueEncoder {
    Serde(Serializer),
    Internal(Codec),
}

/// A null value is written as a tombstone, whatever the sink's map says.
pub(super) struct Sink {
    plan: plan::Sink,
    value: ValueEncoder,
    buffer: Vec<u8>,
}

impl Sink {
    pub(super) fn new(plan: plan::Sink) -> Self {
        let value = match &plan.value {
            Encoding::Serde(serializer) => ValueEncoder::Serde(serializer.clone()),
            Encoding::Internal(shape) => ValueEncoder::Internal(Codec::new(shape)),
        };
        Sink { plan, value, buffer: Vec::new() }
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
        let key = self.encode_key(record)?;
        let value = self.encode_value(record)?;
        let partition = match self.plan.partition.and_then(|field| record.value.get(field)) {
            Some(Value::Int(partition)) => i32::try_from(*partition).ok(),
            _ => None,
        };
        context.collector.send(Outgoing {
            topic: &self.plan.topic,
            key,
            value,
            timestamp: record.timestamp,
            headers: std::mem::take(&mut record.headers),
            input_partition: record.origin.partition(),
            partition,
            waits: self.plan.read_back,
        })?;
        context.counters.records_out += 1;
        Ok(Passage::Ended)
    }
}
