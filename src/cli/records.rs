//! Records of the log as JSON, and JSON as records of the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use crate::log::{LogRecord, ProducerRecord};
use crate::record::{Fields, Header, Headers, TopicPartition};
use crate::serdes::internal::Codec;
use crate::serdes::json::to_json;
use crate::serdes::{Deserializer, Format, SchemaRegistry, Serde, SerdeError, TopicSerde};
use crate::sink::partition_for;
use crate::source::{KEY_SCHEMA, VALUE_SCHEMA};
use crate::state::{StoreKind, parse_join_key, parse_session_key, parse_window_key};
use crate::testing::InputRecord;
use crate::time::{self, Clock, SystemClock, Timestamp};

/// How long a record waits for the schema that it was written with.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Time between two looks at whether the schema has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Reads keys, or values, of a topic or a store.
pub(super) enum Part {
    /// By a serde.
    Serde(Deserializer),
    /// A window's start, then the key.
    Windowed(Box<Part>),
    /// A session's end and start, then the key.
    Session(Box<Part>),
    /// The key of a row of a stream–stream join.
    Joined(Box<Part>),
    /// By the engine's internal encoding.
    Internal(Codec),
    /// By what the bytes look like: Avro with the id of a schema that is known, JSON, text.
    Guess(HashMap<u32, Deserializer>),
}

impl Part {
    /// Reads what these schemas have written, and what needs none.
    pub(super) fn guess(schemas: &SchemaRegistry) -> anyhow::Result<Part> {
        let mut by_id = HashMap::new();
        for name in schemas.names() {
            if let Some(id) = schemas.id(name) {
                let serde = Serde::new(&Format::Avro(name.to_owned()), schemas)?;
                by_id.insert(id, serde.deserializer(&Fields::All));
            }
        }
        Ok(Part::Guess(by_id))
    }

    /// Reads the keys of a store, given what reads the keys of records.
    pub(super) fn of_store(kind: StoreKind, key: Part) -> Part {
        match kind {
            StoreKind::KeyValue | StoreKind::Internal => key,
            StoreKind::Window { .. } => Part::Windowed(Box::new(key)),
            StoreKind::Session { .. } => Part::Session(Box::new(key)),
            StoreKind::Join { .. } => Part::Joined(Box::new(key)),
        }
    }

    /// The bytes as JSON.
    pub(super) fn decode(&self, bytes: &Bytes) -> Result<Json, SerdeError> {
        match self {
            Part::Serde(deserializer) => Ok(to_json(&patiently(|| deserializer.deserialize(bytes))?)),
            Part::Internal(codec) => Ok(to_json(&codec.decode(bytes)?.1)),
            Part::Windowed(inner) => match parse_window_key(bytes) {
                Some((start, key)) => Ok(json!({ "window_start": start, "key": inner.decode(&bytes.slice_ref(key))? })),
                None => inner.decode(bytes),
            },
            Part::Session(inner) => match parse_session_key(bytes) {
                Some((session, key)) => {
                    let key = inner.decode(&bytes.slice_ref(key))?;
                    Ok(json!({ "window_start": session.start, "window_end": session.end, "key": key }))
                }
                None => inner.decode(bytes),
            },
            Part::Joined(inner) => match parse_join_key(bytes) {
                Some(row) => {
                    let key = inner.decode(&row.key.into())?;
                    Ok(json!({ "timestamp": row.timestamp, "number": row.number, "key": key }))
                }
                None => inner.decode(bytes),
            },
            Part::Guess(by_id) => Ok(guess(bytes, by_id)),
        }
    }
}

/// Reads what may have to wait for an answer of the schema registry, for a while.
fn patiently<T>(read: impl Fn() -> Result<T, SerdeError>) -> Result<T, SerdeError> {
    let clock = SystemClock::new();
    loop {
        match read() {
            Err(error) if error.is_awaited() && clock.elapsed() < LONGEST_WAIT => time::pause(LOOK_INTERVAL),
            read => return read,
        }
    }
}

fn guess(bytes: &Bytes, by_id: &HashMap<u32, Deserializer>) -> Json {
    let avro = match bytes.as_ref() {
        [0, a, b, c, d, ..] => by_id.get(&u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    };
    if let Some(value) = avro.and_then(|deserializer| deserializer.deserialize(bytes).ok()) {
        return to_json(&value);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with(['{', '[']) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => text.into(),
        _ => json!({ "base64": BASE64.encode(bytes) }),
    }
}

/// Shows the records of one topic.
pub(super) struct RecordReader {
    key: Part,
    value: Part,
}

impl RecordReader {
    /// With these for keys and values.
    pub(super) fn new(key: Part, value: Part) -> RecordReader {
        RecordReader { key, value }
    }

    /// The record as a line of `signalstream consume`.
    pub(super) fn line(&self, partition: &TopicPartition, record: &LogRecord) -> Json {
        let mut line = Map::new();
        line.insert("topic".to_owned(), partition.topic.as_ref().into());
        line.insert("partition".to_owned(), partition.partition.into());
        line.insert("offset".to_owned(), record.offset.into());
        line.insert("timestamp".to_owned(), record.timestamp.into());
        let schema = |header: &str| record.headers.last(header).and_then(|header| header.value.as_ref());
        put(&mut line, "key", &self.key, record.key.as_ref(), schema(KEY_SCHEMA));
        put(&mut line, "value", &self.value, record.value.as_ref(), schema(VALUE_SCHEMA));
        let headers = record.headers.as_slice();
        if !headers.is_empty() {
            let text = |header: &Header| header.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
            let headers = headers.iter().map(|header| (header.name.to_string(), text(header).into()));
            line.insert("headers".to_owned(), Json::Object(headers.collect()));
        }
        Json::Object(line)
    }
}

/// Puts a key or value in, or why it cannot be read and its bytes.
fn put(line: &mut Map<String, Json>, name: &str, part: &Part, bytes: Option<&Bytes>, schema: Option<&Bytes>) {
    let decode = |bytes| match (part, schema) {
        (Part::Serde(deserializer), Some(_)) if deserializer.takes_header() => {
            Ok(to_json(&patiently(|| deserializer.deserialize_with(bytes, schema))?))
        }
        _ => part.decode(bytes),
    };
    match bytes.map(|bytes| (bytes, decode(bytes))) {
        None => line.insert(name.to_owned(), Json::Null),
        Some((_, Ok(json))) => line.insert(name.to_owned(), json),
        Some((bytes, Err(error))) => {
            line.entry("error").or_insert_with(|| format!("the {name} cannot be read: {error}").into());
            line.insert(format!("{name}_base64"), BASE64.encode(bytes).into())
        }
    };
}

/// Makes records for one topic.
pub(super) struct RecordWriter {
    topic: Arc<str>,
    partitions: i32,
    serde: TopicSerde,
    /// Where the next record without a key goes.
    turn: i32,
}

impl RecordWriter {
    /// For a topic with that many partitions.
    pub(super) fn new(topic: &str, partitions: i32, serde: TopicSerde) -> RecordWriter {
        RecordWriter { topic: topic.into(), partitions: partitions.max(1), serde, turn: 0 }
    }

    /// The record for a line of input; `now` is its timestamp when it has none.
    pub(super) fn record(&mut self, line: &InputRecord, now: Timestamp) -> anyhow::Result<ProducerRecord> {
        let key = self.serde.encode_key(&line.key).context("the key cannot be written")?;
        let value = match &line.value_base64 {
            Some(text) => Some(Bytes::from(BASE64.decode(text).context("`value_base64` is not base64")?)),
            None => self.serde.encode_value(&line.value).context("the value cannot be written")?,
        };
        let partition = match (line.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for(key, self.partitions),
            (None, None) => {
                self.turn = (self.turn + 1) % self.partitions;
                self.turn
            }
        };
        if partition >= self.partitions {
            let (topic, partitions) = (&self.topic, self.partitions);
            return Err(anyhow!("`{topic}` has {partitions} partitions; there is no partition {partition}"));
        }
        let timestamp = line.timestamp.unwrap_or(now);
        let topic = self.topic.clone();
        Ok(ProducerRecord { topic, partition, timestamp, key, value, headers: headers(&line.headers) })
    }
}

fn headers(headers: &Map<String, Json>) -> Headers {
    let header = |(name, value): (&String, &Json)| Header {
        name: name.clone().into(),
        value: match value {
            Json::Null => None,
            Json::String(text) => Some(Bytes::from(text.clone().into_bytes())),
            other => Some(Bytes::from(other.to_string().into_bytes())),
        },
    };
    Headers::new(headers.iter().map(header).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(bytes: &'static [u8]) -> Json {
        guess(&Bytes::from_static(bytes), &HashMap::new())
    }

    #[test]
    fn bytes_that_nothing_is_known_of_are_shown_as_what_they_look_like() {
        assert_eq!(guessed(b"acme|c-1"), json!("acme|c-1"));
        assert_eq!(guessed(br#"{"n": 1}"#), json!({"n": 1}));
        assert_eq!(guessed(b"{broken"), json!("{broken"));
        assert_eq!(guessed(&[0, 0, 0, 0, 9, 1]), json!({"base64": "AAAAAAkB"}));
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_its_bytes() {
        let serde = Serde::new(&Format::Long, &SchemaRegistry::new()).unwrap();
        let reader = RecordReader::new(Part::Guess(HashMap::new()), Part::Serde(serde.deserializer(&Fields::All)));
        let record = LogRecord {
            offset: 3,
            timestamp: 5,
            key: None,
            value: Some(Bytes::from_static(b"abc")),
            headers: Headers::default(),
        };
        let line = reader.line(&TopicPartition::new("t", 1), &record);
        assert_eq!((&line["offset"], &line["key"], &line["value_base64"]), (&json!(3), &Json::Null, &json!("YWJj")));
        assert!(line["error"].as_str().unwrap().starts_with("the value cannot be read: "), "{line}");
        assert!(line.get("value").is_none());
    }
}
