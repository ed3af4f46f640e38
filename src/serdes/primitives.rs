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
