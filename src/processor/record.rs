//! A record as processors see it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProcessorError;
use crate::record::{Header, Headers, Text, Value};
use crate::serdes::json::{from_json_any, to_json};
use crate::time::Timestamp;
use crate::window::Window;

/// A record: key, value, timestamp and headers. Where it came from is told by [`super::Context::metadata`].
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The key; [`Value::Null`] is the null key.
    pub key: Value,
    /// The value; [`Value::Null`] is the null value, a tombstone.
    pub value: Value,
    /// Event time, in milliseconds since 1970.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
    /// The window of the key, after a windowed aggregation.
    pub(crate) window: Option<Window>,
}

impl Record {
    /// A record without headers.
    pub fn new(key: impl Into<Value>, value: impl Into<Value>, timestamp: Timestamp) -> Self {
        Record { key: key.into(), value: value.into(), timestamp, headers: Headers::default(), window: None }
    }

    /// The window of the key, after a windowed aggregation, until the key changes.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// The same with another key. A new key ends the window of the old one.
    #[must_use]
    pub fn with_key(self, key: impl Into<Value>) -> Self {
        Record { key: key.into(), window: None, ..self }
    }

    /// The same with another value.
    #[must_use]
    pub fn with_value(self, value: impl Into<Value>) -> Self {
        Record { value: value.into(), ..self }
    }

    /// The same with another timestamp, in milliseconds since 1970.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Record { timestamp, ..self }
    }

    /// The same with other headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Record { headers, ..self }
    }

    /// The value as a type of the program. It goes by way of JSON: convenient, and slower than [`Value::get`].
    ///
    /// # Errors
    /// When the value is not such a one.
    pub fn read_value<T: DeserializeOwned>(&self) -> Result<T, ProcessorError> {
        Ok(serde_json::from_value(to_json(&self.value))?)
    }

    /// The same with a value of the program's own type, by way of JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn with_value_of(self, value: &impl Serialize) -> Result<Self, ProcessorError> {
        Ok(Record { value: from_json_any(serde_json::to_value(value)?), ..self })
    }

    /// The value of the last header of that name.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.last(name)?.value.as_ref()
    }

    /// Adds a header after the others; names may repeat.
    pub fn add_header(&mut self, name: impl Into<Text>, value: impl Into<Bytes>) {
        let added = Header { name: name.into(), value: Some(value.into()) };
        self.headers = Headers::new(self.headers.as_slice().iter().cloned().chain([added]).collect());
    }

    /// Removes all headers of that name.
    pub fn remove_header(&mut self, name: &str) {
        let others = self.headers.as_slice().iter().filter(|header| header.name != name);
        self.headers = Headers::new(others.cloned().collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_added_read_and_removed() {
        let mut record = Record::new("k", "v", 1);
        record.add_header("trace", "1");
        record.add_header("trace", "2");
        record.add_header("other", "3");
        assert_eq!(record.header("trace"), Some(&Bytes::from_static(b"2")));
        record.remove_header("trace");
        assert_eq!((record.header("trace"), record.headers.as_slice().len()), (None, 1));
    }

    #[test]
    fn values_are_read_and_written_as_types_of_the_program() {
        #[derive(Debug, PartialEq, serde::Deserialize, Serialize)]
        struct Order {
            id: String,
            cents: i64,
        }
        let order = Order { id: "o1".to_owned(), cents: 250 };
        let record = Record::new("k", Value::Null, 1).with_value_of(&order).unwrap();
        assert_eq!(record.value.get("cents"), Some(&Value::Int(250)));
        assert_eq!(record.read_value::<Order>().unwrap(), order);
        assert!(Record::new("k", "text", 1).read_value::<Order>().is_err());
    }
}
