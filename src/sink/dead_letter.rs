//! Writes the records that could not be processed to the dead letter topic, with their reason.

use std::sync::Arc;

use bytes::Bytes;

use super::{CollectError, Outgoing, RecordCollector};
use crate::log::LogRecord;
use crate::record::{Header, Headers, Origin, Shape, StructShape, StructValue, Text, Value};
use crate::time::Timestamp;
use crate::topology::error_event_shape;
use crate::topology::plan::DeadLetters;

/// What failed on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `decode`, `process` or `produce`.
    pub class: &'static str,
    /// The node or source that failed.
    pub node: String,
    /// What failed and what to do about it.
    pub message: String,
    /// Whether the record comes from a topic that may hold personal data: then the event holds neither its
    /// value nor its headers, and its message is redacted. The record itself is found at its offset.
    pub personal_data: bool,
    /// Whether keys may hold personal data, too: then the event has none, and none of its own.
    pub personal_keys: bool,
    /// Whether timestamps may: then the event has the time of the failure.
    pub personal_times: bool,
}

/// Turns failures into records of the dead letter topic.
#[derive(Debug)]
pub struct DeadLetterWriter {
    plan: DeadLetters,
    shape: Arc<StructShape>,
}

impl DeadLetterWriter {
    /// Writes to the topic that the plan names.
    pub fn new(plan: &DeadLetters) -> Self {
        let shape = match error_event_shape() {
            Shape::Struct(shape) => shape,
            _ => Arc::new(StructShape::new("", Vec::new())),
        };
        DeadLetterWriter { plan: plan.clone(), shape }
    }

    /// Collects the dead letter of `record`, which was read at `origin`. The topic's headers are those that
    /// Kafka Streams writes (KIP-1034).
    pub fn write(
        &self,
        failure: &Failure,
        origin: &Origin,
        record: &LogRecord,
        now: Timestamp,
        collector: &mut RecordCollector,
    ) -> Result<(), CollectError> {
        let whole = self.send(failure, origin, record, now, collector);
        if !matches!(whole, Err(CollectError::TooLarge { .. })) {
            return whole;
        }
        // What is too large for the dead letter topic is still found at its offset.
        let bare = LogRecord { key: None, value: None, headers: Headers::default(), ..record.clone() };
        let message = format!("{} (the record is too large to be kept here)", failure.message);
        self.send(&Failure { message, ..failure.clone() }, origin, &bare, now, collector)
    }

    fn send(
        &self,
        failure: &Failure,
        origin: &Origin,
        record: &LogRecord,
        now: Timestamp,
        collector: &mut RecordCollector,
    ) -> Result<(), CollectError> {
        let event = self.event(failure, origin, record, now);
        let mut value = Vec::new();
        // The planner made the serializer for this shape; should it fail all the same, the reason is kept.
        if let Err(error) = self.plan.value.serialize(&event, &mut value) {
            value = format!("{}; and the dead letter could not be written as an event: {error}", message_of(failure))
                .into_bytes();
        }
        collector.send(Outgoing {
            topic: &self.plan.topic,
            key: record.key.clone().filter(|_| !failure.personal_keys),
            value: Some(value.into()),
            timestamp: if failure.personal_times { now } else { record.timestamp.max(0) },
            headers: headers(failure, origin),
            input_partition: origin.partition(),
            partition: None,
            hashed: None,
            waits: false,
        })
    }

    fn event(&self, failure: &Failure, origin: &Origin, record: &LogRecord, now: Timestamp) -> Value {
        let bytes = |bytes: &Option<Bytes>| bytes.clone().map_or(Value::Null, Value::Bytes);
        let values: Vec<Value> = self
            .shape
            .fields()
            .iter()
            .map(|field| match &*field.name {
                "original_topic" => Value::text(origin.topic().to_string()),
                "original_partition" => Value::Int(origin.partition().into()),
                "original_offset" => Value::Int(origin.offset),
                "key" if !failure.personal_keys => bytes(&record.key),
                "value" if !failure.personal_data => bytes(&record.value),
                "headers" => self.header_values(failure, record, &field.shape),
                "error_class" => Value::from(failure.class),
                "error_message" => Value::text(message_of(failure)),
                "node" => Value::text(failure.node.clone()),
                "retry_count" => Value::Int(0),
                "first_failure" | "last_failure" => Value::Timestamp(now),
                _ => Value::Null,
            })
            .collect();
        Value::Struct(StructValue::new(self.shape.clone(), values.into()))
    }

    fn header_values(&self, failure: &Failure, record: &LogRecord, shape: &Shape) -> Value {
        let Shape::List(element) = shape else { return Value::Null };
        let Shape::Struct(shape) = &**element else { return Value::list(Vec::new()) };
        if failure.personal_data {
            return Value::list(Vec::new());
        }
        let headers = record.headers.as_slice().iter().map(|header| {
            let value = header.value.clone().map_or(Value::Null, Value::Bytes);
            Value::Struct(StructValue::new(shape.clone(), [Value::String(header.name.clone()), value].into()))
        });
        Value::list(headers.collect())
    }
}

/// The message, without personal data where the record may hold some: errors quote values.
fn message_of(failure: &Failure) -> String {
    if failure.personal_data {
        crate::pii::redact(&failure.message, &crate::pii::find(&failure.message))
    } else {
        failure.message.clone()
    }
}

fn headers(failure: &Failure, origin: &Origin) -> Headers {
    let header = |name: &'static str, value: String| Header {
        name: Text::from_static(name),
        value: Some(Bytes::from(value.into_bytes())),
    };
    Headers::new(vec![
        header("__streams.errors.exception", failure.class.to_owned()),
        header("__streams.errors.message", message_of(failure)),
        header("__streams.errors.topic", origin.topic().to_string()),
        header("__streams.errors.partition", origin.partition().to_string()),
        header("__streams.errors.offset", origin.offset.to_string()),
    ])
}
