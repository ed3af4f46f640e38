//! Writes records to a topic.

use super::{Operator, OperatorContext, Result, key_value};
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
        self.buffer.clear();
        match &self.value {
            ValueEncoder::Serde(serializer) => serializer.serialize(value, &mut self.buffer)?,
            ValueEncoder::Internal(codec) => codec.encode(record.timestamp, value, &mut self.buffer),
        }
        Ok(Some(Bytes::copy_from_slice(&self.buffer)))
    }

    fn encode_key(&mut self, record: &Record) -> Result<Option<Bytes>> {
        match (&record.key, &self.plan.key) {
            (None, _) => Ok(None),
            (Some(key), None) => Ok(Some(key.encoded.clone())),
            (Some(key), Some(serializer)) => {
                self.buffer.clear();
                serializer.serialize(&key.value, &mut self.buffer)?;
                Ok(Some(Bytes::copy_from_slice(&self.buffer)))
            }
        }
    }
}

impl Operator for Sink {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if record.key.is_none() && self.plan.drops_null_keys {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        }
        let key = self.encode_key(&record)?;
        let value = self.encode_value(&record)?;
        context.collector.send(Outgoing {
            topic: &self.plan.topic,
            key,
            value,
            timestamp: record.timestamp,
            headers: record.headers,
            input_partition: record.origin.partition(),
        })?;
        context.counters.records_out += 1;
        Ok(())
    }
}
