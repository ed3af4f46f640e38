//! Keys and values of one topic as JSON, for tools and tests: what people type and read.

use bytes::Bytes;
use serde_json::Value as Json;

use super::{Deserializer, Format, SchemaRegistry, Serde, SerdeError, Serializer, json};
use crate::record::{Fields, Shape};

/// One side of a topic's records: key or value.
#[derive(Clone)]
struct Side {
    shape: Shape,
    deserializer: Deserializer,
    serializer: Serializer,
}

impl Side {
    fn new(serde: &Serde) -> Result<Side, SerdeError> {
        let shape = serde.shape().clone();
        let serializer = serde.serializer(&shape).map_err(|mismatches| {
            let messages: Vec<String> = mismatches.into_iter().map(|mismatch| mismatch.message).collect();
            SerdeError::value("", messages.join("; "))
        })?;
        Ok(Side { deserializer: serde.deserializer(&Fields::All), shape, serializer })
    }

    fn encode(&self, value: &Json) -> Result<Option<Bytes>, SerdeError> {
        if value.is_null() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.serializer.serialize(&json::from_json(value, &self.shape)?, &mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn decode(&self, bytes: &Option<Bytes>) -> Result<Json, SerdeError> {
        match bytes {
            None => Ok(Json::Null),
            Some(bytes) => Ok(json::to_json(&self.deserializer.deserialize(bytes)?)),
        }
    }
}

/// Turns a topic's keys and values into JSON and back.
#[derive(Clone)]
pub struct TopicSerde {
    key: Side,
    value: Side,
}

impl TopicSerde {
    /// For a topic of these formats.
    pub fn new(key: &Format, value: &Format, registry: &SchemaRegistry) -> Result<Self, SerdeError> {
        let side = |format| Side::new(&Serde::new(format, registry)?);
        Ok(TopicSerde { key: side(key)?, value: side(value)? })
    }

    /// For keys as they stand in stores and internal topics, [`Serde::internal`].
    ///
    /// # Errors
    /// As [`TopicSerde::new`].
    pub fn internal(key: &Format, value: &Format, registry: &SchemaRegistry) -> Result<Self, SerdeError> {
        let key = Side::new(&Serde::new(key, registry)?.internal())?;
        Ok(TopicSerde { key, value: Side::new(&Serde::new(value, registry)?)? })
    }

    /// Writes a key; null is the null key.
    pub fn encode_key(&self, key: &Json) -> Result<Option<Bytes>, SerdeError> {
        self.key.encode(key)
    }

    /// Writes a value; null is a tombstone.
    pub fn encode_value(&self, value: &Json) -> Result<Option<Bytes>, SerdeError> {
        self.value.encode(value)
    }

    /// Reads a key.
    pub fn decode_key(&self, key: &Option<Bytes>) -> Result<Json, SerdeError> {
        self.key.decode(key)
    }

    /// Reads a value.
    pub fn decode_value(&self, value: &Option<Bytes>) -> Result<Json, SerdeError> {
        self.value.decode(value)
    }
}
