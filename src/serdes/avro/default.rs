//! The default of a field, as a schema's JSON has it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::decode;
use super::schema::{DecimalType, RecordType, Type};
use crate::record::{Decimal, MapValue, StructValue, Temporal, Text, Value};

/// A default as a value of its type; a sentence where it is not one.
///
/// A union's default should be of its first branch; as most implementations do, any branch is taken.
pub(super) fn default_value(kind: &Type, json: &Json) -> Result<Value, String> {
    let wrong = || format!("the default {json} is not a value of the type {}", kind.name());
    match (kind, json) {
        (Type::Null | Type::Nullable(..), Json::Null) => Ok(Value::Null),
        (Type::Nullable(_, inner), _) => default_value(inner, json),
        (Type::Union(union), _) => {
            union.branches.iter().find_map(|branch| default_value(branch, json).ok()).ok_or_else(wrong)
        }
        (Type::Array(items), Json::Array(array)) => {
            array.iter().map(|item| default_value(items, item)).collect::<Result<Vec<_>, _>>().map(Value::list)
        }
        (Type::Map(values), Json::Object(object)) => {
            let entry = |(key, json): (&String, &Json)| Ok((Text::from(key.as_str()), default_value(values, json)?));
            object.iter().map(entry).collect::<Result<MapValue, String>>().map(|map| Value::Map(Arc::new(map)))
        }
        (Type::Record(_) | Type::Recursive(_), Json::Object(object)) => {
            record(&*kind.record().ok_or_else(wrong)?, object, json)
        }
        (_, Json::String(text)) => of_text(kind, text).ok_or_else(wrong),
        (_, Json::Number(number)) => of_number(kind, number).ok_or_else(wrong),
        (Type::Boolean, Json::Bool(boolean)) => Ok(Value::Bool(*boolean)),
        _ => Err(wrong()),
    }
}

fn record(record: &RecordType, object: &serde_json::Map<String, Json>, json: &Json) -> Result<Value, String> {
    let fields: Result<Vec<Value>, String> = record
        .fields
        .iter()
        .map(|field| match object.get(field.name.as_ref() as &str).or(field.default.as_ref()) {
            Some(json) => default_value(&field.kind, json),
            None => Err(format!("the default {json} lacks the field {}", field.name)),
        })
        .collect();
    Ok(Value::Struct(StructValue::new(Arc::clone(&record.shape), fields?.into())))
}

fn of_number(kind: &Type, number: &serde_json::Number) -> Option<Value> {
    let int = || number.as_i64().filter(|int| i32::try_from(*int).is_ok());
    match kind {
        Type::Int => int().map(Value::Int),
        Type::Long => number.as_i64().map(Value::Int),
        Type::TimestampMillis => number.as_i64().map(Value::Timestamp),
        Type::Temporal(unit) => {
            let count = if unit.is_int() { int() } else { number.as_i64() };
            count.map(|count| Value::Temporal(Temporal::new(*unit, count)))
        }
        Type::Double => number.as_f64().map(Value::Double),
        Type::Float => number.as_f64().map(|double| Value::Double(f64::from(double as f32))),
        _ => None,
    }
}

fn of_text(kind: &Type, text: &str) -> Option<Value> {
    match kind {
        Type::String => Some(Value::text(text)),
        Type::Uuid(None) => decode::is_uuid(text.as_bytes()).then(|| Value::text(text)),
        Type::Enum(enumeration) => {
            let symbol = enumeration.shape.symbols.iter().find(|symbol| *symbol == text);
            symbol.or(enumeration.default.as_ref()).cloned().map(Value::String)
        }
        Type::Bytes => code_points(text).map(Value::Bytes),
        Type::Fixed(fixed) => code_points(text).filter(|bytes| bytes.len() == fixed.size).map(Value::Bytes),
        Type::Uuid(Some(_)) => {
            let bytes: [u8; 16] = code_points(text)?.as_ref().try_into().ok()?;
            Some(decode::uuid_text(bytes))
        }
        Type::Duration(_) => {
            let bytes: [u8; 12] = code_points(text)?.as_ref().try_into().ok()?;
            Some(decode::duration(bytes))
        }
        Type::Decimal(decimal) => of_digits(decimal, &code_points(text)?),
        _ => None,
    }
}

fn of_digits(decimal: &DecimalType, bytes: &[u8]) -> Option<Value> {
    let right_size = decimal.fixed.as_ref().is_none_or(|fixed| fixed.size == bytes.len());
    let value =
        Decimal::from_be_bytes(bytes, decimal.scale).filter(|value| value.precision() as usize <= decimal.precision);
    value.filter(|_| right_size).map(Value::Decimal)
}

/// Avro writes the default of bytes as text whose code points 0–255 are the bytes.
fn code_points(text: &str) -> Option<Bytes> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}
