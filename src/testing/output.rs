//! Records that come out of a driver, and headers as JSON.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::record::{Header, Headers};
use crate::time::Timestamp;

/// A record that came out.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRecord {
    /// The topic it was written to.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The key as JSON.
    pub key: Json,
    /// The value as JSON; null is a tombstone.
    pub value: Json,
    /// Milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// Headers: name to text.
    pub headers: Map<String, Json>,
}

impl OutputRecord {
    /// The record as a line of `signalstream drive`.
    pub fn to_json(&self) -> Json {
        let mut line = Map::new();
        line.insert("topic".to_owned(), self.topic.clone().into());
        line.insert("partition".to_owned(), self.partition.into());
        line.insert("key".to_owned(), self.key.clone());
        line.insert("value".to_owned(), self.value.clone());
        line.insert("timestamp".to_owned(), self.timestamp.into());
        if !self.headers.is_empty() {
            line.insert("headers".to_owned(), Json::Object(self.headers.clone()));
        }
        Json::Object(line)
    }
}

/// Headers of JSON: null is a header without a value, what is not text is written as JSON.
pub(super) fn encode_headers(headers: &Map<String, Json>) -> Headers {
    let encode = |(name, value): (&String, &Json)| Header {
        name: name.clone().into(),
        value: match value {
            Json::Null => None,
            Json::String(text) => Some(Bytes::from(text.clone().into_bytes())),
            other => Some(Bytes::from(other.to_string().into_bytes())),
        },
    };
    Headers::new(headers.iter().map(encode).collect())
}

/// Headers as JSON, for people to read.
pub(super) fn decode_headers(headers: &Headers) -> Map<String, Json> {
    let decode = |header: &Header| {
        let value = header.value.as_ref().map_or(Json::Null, |bytes| String::from_utf8_lossy(bytes).into());
        (header.name.to_string(), value)
    };
    headers.as_slice().iter().map(decode).collect()
}
