//! The formats of Kafka's own serializers: string, long, double, bytes.

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::{Problem, SerdeError};
use super::json::describe;
use crate::record::Value;

pub(super) fn read_string(payload: &Bytes) -> Result<Value, SerdeError> {
    Cursor::new(payload, 0).text(payload.len()).map(Value::String)
}

pub(super) fn read_long(payload: &Bytes) -> Result<Value, SerdeError> {
    eight(payload, "long").map(i64::from_be_bytes).map(Value::Int)
}

pub(super) fn read_double(payload: &Bytes) -> Result<Value, SerdeError> {
    eight(payload, "double").map(f64::from_be_bytes).map(Value::Double)
}

fn eight(payload: &[u8], format: &'static str) -> Result<[u8; 8], SerdeError> {
    payload.try_into().map_err(|_| Problem::WrongLength { format, found: payload.len() }.at(0))
}

pub(super) fn write_string(value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        other => return Err(wrong("a string", other)),
    }
    Ok(())
}

pub(super) fn write_long(value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match value {
        Value::Int(number) | Value::Timestamp(number) | Value::Duration(number) => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::UInt(number) if i64::try_from(*number).is_ok() => out.extend_from_slice(&number.to_be_bytes()),
        other => return Err(wrong("a long", other)),
    }
    Ok(())
}

pub(super) fn write_double(value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let number = match value {
        Value::Double(number) => *number,
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        other => return Err(wrong("a double", other)),
    };
    out.extend_from_slice(&number.to_be_bytes());
    Ok(())
}

pub(super) fn write_bytes(value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match value {
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        other => return Err(wrong("bytes", other)),
    }
    Ok(())
}

#[cold]
fn wrong(expected: &str, value: &Value) -> SerdeError {
    SerdeError::value("", format!("expected {expected}, found {}", describe(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fields, Shape};
    use crate::serdes::{Format, SchemaRegistry, Serde};

    fn serde(format: Format) -> Serde {
        Serde::new(&format, &SchemaRegistry::new()).unwrap()
    }

    fn read(format: Format, payload: &'static [u8]) -> Result<Value, String> {
        let deserializer = serde(format).deserializer(&Fields::All);
        deserializer.deserialize(&Bytes::from_static(payload)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_written_as_kafka_writes_them() {
        let cases: [(Format, Value, &'static [u8]); 5] = [
            (Format::String, Value::from("né"), b"n\xc3\xa9"),
            (Format::Long, Value::Int(-2), b"\xff\xff\xff\xff\xff\xff\xff\xfe"),
            (Format::Double, Value::Double(1.5), b"\x3f\xf8\0\0\0\0\0\0"),
            (Format::Bytes, Value::Bytes(Bytes::from_static(b"\0\xff")), b"\0\xff"),
            (Format::Json, Value::list(vec![Value::Int(1), Value::Null]), b"[1,null]"),
        ];
        for (format, value, payload) in cases {
            let mut out = Vec::new();
            let serde = serde(format.clone());
            serde.serializer(serde.shape()).unwrap().serialize(&value, &mut out).unwrap();
            assert_eq!(out, payload, "{format}");
            assert_eq!(read(format, payload), Ok(value));
        }
    }

    #[test]
    fn payloads_of_another_format_are_refused() {
        assert_eq!(read(Format::Long, b"12"), Err("a long has 8 bytes, found 2 at byte 0".to_owned()));
        assert_eq!(read(Format::Double, b""), Err("a double has 8 bytes, found 0 at byte 0".to_owned()));
        assert_eq!(read(Format::String, b"ab\xff"), Err("the text is not valid UTF-8 at byte 2".to_owned()));
    }

    #[test]
    fn shapes_and_values_of_another_kind_are_refused() {
        let long = serde(Format::Long);
        let fault = long.serializer(&Shape::String).unwrap_err().remove(0);
        assert_eq!(fault.message, "expected long, found string");
        let error = long.serializer(&Shape::Any).unwrap().serialize(&Value::from("x"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), r#"expected a long, found the string "x""#);
        let unknown = Serde::new(&Format::Avro("Nothing".to_owned()), &SchemaRegistry::new()).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no schema `Nothing`");
    }
}
