//! From a log's record to the engine's: decodes key and value, and extracts the time.

use std::sync::Arc;

use bytes::Bytes;

use crate::expression::{EvaluationError, Input};
use crate::log::LogRecord;
use crate::record::{Header, Headers, Key, Origin, Record, TemporalKind, TopicPartition, Value};
use crate::serdes::SerdeError;
use crate::serdes::internal::Codec;
use crate::time::{MAX_TIMESTAMP, Timestamp};
use crate::topology::plan::{Payload, Source};

/// Why a record could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The key's bytes are not what the source says.
    #[error("the key cannot be read: {0}")]
    Key(SerdeError),
    /// The value's bytes are not what the source says.
    #[error("the value cannot be read: {0}")]
    Value(SerdeError),
    /// The expression for the timestamp failed.
    #[error("the timestamp cannot be computed: {0}")]
    TimestampExpression(EvaluationError),
    /// The expression for the timestamp gave something else.
    #[error("the timestamp must be an int of milliseconds since the epoch or a timestamp, not a {0}")]
    TimestampKind(&'static str),
    /// The timestamp lies before 1970.
    #[error("the timestamp {0} is negative; timestamps are milliseconds since 1970-01-01T00:00:00Z")]
    NegativeTimestamp(Timestamp),
    /// The timestamp would carry stream time so far ahead that all other records were late.
    #[error("the timestamp {timestamp} lies after {limit}, the latest that is accepted; is its unit milliseconds?")]
    FutureTimestamp {
        /// The record's timestamp.
        timestamp: Timestamp,
        /// The latest that is accepted.
        limit: Timestamp,
    },
}

impl DecodeError {
    /// What failed, in words that hold nothing of what could be read of the record: for records that may hold personal data.
    pub fn without_values(&self) -> String {
        match self {
            DecodeError::TimestampExpression(error) => {
                format!("the timestamp cannot be computed: {}", error.without_values())
            }
            DecodeError::NegativeTimestamp(_) => "the timestamp lies before 1970".to_owned(),
            DecodeError::FutureTimestamp { .. } => "the timestamp lies too far ahead of the clock".to_owned(),
            DecodeError::Key(error) => format!("the key cannot be read: {}", error.without_values()),
            DecodeError::Value(error) => format!("the value cannot be read: {}", error.without_values()),
            DecodeError::TimestampKind(_) => self.to_string(),
        }
    }
}

enum ValueDecoder {
    Serde(crate::serdes::Deserializer),
    Internal(Codec),
}

/// The header that names the schema of a key.
pub const KEY_SCHEMA: &str = "__key_schema_id";
/// The header that names the schema of a value.
pub const VALUE_SCHEMA: &str = "__value_schema_id";

/// The headers without those of these names: the ones that said how the bytes of a key or a value were to be read, which
/// have been read, and are written anew.
pub fn without(headers: &Headers, names: &[&str]) -> Headers {
    let is_kept = |header: &&Header| !names.contains(&header.name.as_ref());
    if headers.as_slice().iter().all(|header| is_kept(&header)) {
        return headers.clone();
    }
    Headers::new(headers.as_slice().iter().filter(is_kept).cloned().collect())
}

impl DecodeError {
    /// Whether the same record can be decoded once the schema registry has answered.
    pub fn is_awaited(&self) -> bool {
        self.awaited_schema().is_some()
    }

    /// The id of the schema that has to come before it can.
    pub fn awaited_schema(&self) -> Option<&str> {
        match self {
            DecodeError::Key(error) | DecodeError::Value(error) => error.awaited_schema(),
            _ => None,
        }
    }
}

/// Decodes the records of one source.
pub struct SourceDecoder {
    plan: Source,
    value: ValueDecoder,
    max_ahead: Option<i64>,
    partition: Arc<TopicPartition>,
}

impl SourceDecoder {
    /// Decodes one partition of this source. Timestamps may be at most `max_ahead` milliseconds ahead of the clock;
    /// those that the application itself wrote were checked, or computed from what was, when they came in.
    pub fn new(plan: &Source, partition: i32, max_ahead: Option<i64>) -> Self {
        let value = match &plan.value {
            Payload::Serde(deserializer) => ValueDecoder::Serde(deserializer.clone()),
            Payload::Internal(shape) => ValueDecoder::Internal(Codec::new(shape)),
        };
        let partition = Arc::new(TopicPartition::new(plan.topic.clone(), partition));
        let max_ahead = max_ahead.filter(|_| !plan.internal);
        SourceDecoder { plan: plan.clone(), value, max_ahead, partition }
    }

    /// Where the record at an offset comes from.
    pub fn origin(&self, offset: i64) -> Origin {
        Origin { source: self.partition.clone(), offset }
    }

    /// Changes whenever the schema registry has answered for a record that waits.
    pub fn answers(&self) -> u64 {
        let of_value = match &self.value {
            ValueDecoder::Serde(serde) => serde.answers(),
            ValueDecoder::Internal(_) => 0,
        };
        self.plan.key.answers().max(of_value)
    }

    /// Decodes a record.
    pub fn decode(&self, raw: &LogRecord, now: Timestamp) -> Result<Record, DecodeError> {
        let (of_key, of_value) = self.schema_headers(&raw.headers);
        let key = match &raw.key {
            None => None,
            Some(bytes) => {
                let (value, encoded) = self.plan.key.deserialize_key(bytes, of_key).map_err(DecodeError::Key)?;
                Some(Key { value, encoded })
            }
        };
        let value = match (&raw.value, &self.value) {
            (None, _) => Value::Null,
            (Some(bytes), ValueDecoder::Serde(serde)) => {
                serde.deserialize_with(bytes, of_value).map_err(DecodeError::Value)?
            }
            (Some(bytes), ValueDecoder::Internal(codec)) => codec.decode(bytes).map_err(DecodeError::Value)?.1,
        };
        let mut record = Record {
            key,
            window: None,
            value,
            old: None,
            latest: true,
            timestamp: raw.timestamp,
            headers: match (of_key, of_value) {
                (None, None) => raw.headers.clone(),
                (Some(_), None) => without(&raw.headers, &[KEY_SCHEMA]),
                (None, Some(_)) => without(&raw.headers, &[VALUE_SCHEMA]),
                (Some(_), Some(_)) => without(&raw.headers, &[KEY_SCHEMA, VALUE_SCHEMA]),
            },
            origin: self.origin(raw.offset),
        };
        record.timestamp = self.timestamp(&record, now)?;
        Ok(record)
    }

    /// What stands in the headers by which newer clients name the schemas of key and value.
    fn schema_headers<'a>(&self, headers: &'a Headers) -> (Option<&'a Bytes>, Option<&'a Bytes>) {
        if headers.as_slice().is_empty() {
            return (None, None);
        }
        let value = |name: &str| headers.last(name).and_then(|header| header.value.as_ref());
        let of_value = match &self.value {
            ValueDecoder::Serde(serde) if serde.takes_header() => value(VALUE_SCHEMA),
            _ => None,
        };
        (if self.plan.key.takes_header() { value(KEY_SCHEMA) } else { None }, of_value)
    }

    fn timestamp(&self, record: &Record, now: Timestamp) -> Result<Timestamp, DecodeError> {
        let timestamp = match &self.plan.timestamp {
            // A tombstone has no value to compute from.
            Some(expression) if !record.value.is_null() => {
                let key = record.key.as_ref().map_or(&Value::Null, |key| &key.value);
                let input = Input { key, value: &record.value, record: Some(record), locals: &[] };
                match expression.evaluate(&input).map_err(DecodeError::TimestampExpression)? {
                    Value::Int(timestamp) | Value::Timestamp(timestamp) => timestamp,
                    Value::Temporal(time) if time.unit.kind() == TemporalKind::Timestamp => {
                        time.millis().ok_or(DecodeError::TimestampKind("timestamp"))?
                    }
                    other => return Err(DecodeError::TimestampKind(other.kind())),
                }
            }
            _ => record.timestamp,
        };
        if timestamp < 0 {
            return Err(DecodeError::NegativeTimestamp(timestamp));
        }
        let limit = self.max_ahead.map_or(MAX_TIMESTAMP, |ahead| now.saturating_add(ahead).min(MAX_TIMESTAMP));
        if timestamp > limit {
            return Err(DecodeError::FutureTimestamp { timestamp, limit });
        }
        Ok(timestamp)
    }
}
