//! What is kept of the record that caused a change, where the change is handed on only later: its headers, and the
//! input record that it derives from.

use std::sync::Arc;

use super::{Header, Headers, Origin, Shape, StructShape, StructValue, TopicPartition, Value, Values};

/// Writes headers and origin as a value, and reads them back.
#[derive(Clone, Debug)]
pub struct Provenance {
    shape: Arc<StructShape>,
    header: Arc<StructShape>,
}

impl Default for Provenance {
    fn default() -> Self {
        let structure = |shape: Shape| match shape {
            Shape::Struct(shape) => shape,
            _ => Arc::new(StructShape::new("", Vec::new())),
        };
        Provenance { shape: structure(Provenance::shape()), header: structure(header_shape()) }
    }
}

fn header_shape() -> Shape {
    Shape::structure("", [("name", Shape::String), ("value", Shape::Bytes.optional())])
}

impl Provenance {
    /// The shape of such a value.
    pub fn shape() -> Shape {
        let fields = [
            ("topic", Shape::String),
            ("partition", Shape::Int),
            ("offset", Shape::Int),
            ("headers", Shape::list(header_shape())),
        ];
        Shape::structure("", fields)
    }

    /// The value that holds them.
    pub fn write(&self, headers: &Headers, origin: &Origin) -> Value {
        let header = |header: &Header| {
            let value = header.value.clone().map_or(Value::Null, Value::Bytes);
            let values = Values::from([Value::String(header.name.clone()), value]);
            Value::Struct(StructValue::new(self.header.clone(), values))
        };
        let values = [
            Value::text(&*origin.source.topic),
            Value::Int(i64::from(origin.source.partition)),
            Value::Int(origin.offset),
            Value::list(headers.as_slice().iter().map(header).collect()),
        ];
        Value::Struct(StructValue::new(self.shape.clone(), values.into()))
    }

    /// What [`Provenance::write`] wrote; `None` when it is something else.
    pub fn read(value: &Value) -> Option<(Headers, Origin)> {
        let (Some(Value::Int(partition)), Some(Value::Int(offset))) = (value.get("partition"), value.get("offset"))
        else {
            return None;
        };
        let source = TopicPartition::new(value.get("topic")?.as_str()?, i32::try_from(*partition).ok()?);
        let Some(Value::List(headers)) = value.get("headers") else { return None };
        let header = |header: &Value| {
            let Some(Value::String(name)) = header.get("name") else { return None };
            let value = match header.get("value") {
                Some(Value::Bytes(bytes)) => Some(bytes.clone()),
                _ => None,
            };
            Some(Header { name: name.clone(), value })
        };
        let headers = headers.iter().map(header).collect::<Option<Vec<Header>>>()?;
        Some((Headers::new(headers), Origin { source: Arc::new(source), offset: *offset }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let header = |name: &'static str, value: Option<&'static [u8]>| Header {
            name: name.into(),
            value: value.map(bytes::Bytes::from_static),
        };
        let headers = Headers::new(vec![header("trace", Some(b"\xff")), header("empty", None)]);
        let origin = Origin { source: Arc::new(TopicPartition::new("orders", 3)), offset: 42 };
        let written = Provenance::default().write(&headers, &origin);
        assert_eq!(Provenance::read(&written), Some((headers, origin)));
        assert_eq!(Provenance::read(&Value::Null), None);
    }
}
