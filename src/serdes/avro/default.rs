//! The default of a field, as a schema's JSON has it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::schema::Type;
use crate::record::{MapValue, StructValue, Text, Value};

/// A default as a value of its type; a sentence where it is not one.
///
/// A union's default should be of its first branch; as most implementations do, either branch is taken.
pub(super) fn default_value(kind: &Type, json: &Json) -> Result<Value, String> {
    let wrong = || format!("the default {json} is not a value of the type {}", kind.name());
    match (kind, json) {
        (Type::Null | Type::Nullable(..), Json::Null) => Ok(Value::Null),
        (Type::Nullable(_, inner), _) => default_value(inner, json),
        (Type::Boolean, Json::Bool(boolean)) => Ok(Value::Bool(*boolean)),
        (Type::Int, Json::Number(number)) => {
            let int = number.as_i64().filter(|int| i32::try_from(*int).is_ok());
            int.map(Value::Int).ok_or_else(wrong)
        }
        (Type::Long, Json::Number(number)) => number.as_i64().map(Value::Int).ok_or_else(wrong),
        (Type::TimestampMillis, Json::Number(number)) => number.as_i64().map(Value::Timestamp).ok_or_else(wrong),
        (Type::Double, Json::Number(number)) => number.as_f64().map(Value::Double).ok_or_else(wrong),
        (Type::Float, Json::Number(number)) => {
            number.as_f64().map(|double| Value::Double(f64::from(double as f32))).ok_or_else(wrong)
        }
        (Type::String, Json::String(text)) => Ok(Value::text(text.as_str())),
        (Type::Enum(enumeration), Json::String(text)) => {
            let symbol = enumeration.shape.symbols.iter().find(|symbol| *symbol == text);
            symbol.or(enumeration.default.as_ref()).cloned().map(Value::String).ok_or_else(wrong)
        }
        (Type::Bytes, Json::String(text)) => code_points(text).map(Value::Bytes).ok_or_else(wrong),
        (Type::Fixed(fixed), Json::String(text)) => {
            code_points(text).filter(|bytes| bytes.len() == fixed.size).map(Value::Bytes).ok_or_else(wrong)
        }
        (Type::Array(items), Json::Array(array)) => {
            array.iter().map(|item| default_value(items, item)).collect::<Result<Vec<_>, _>>().map(Value::list)
        }
        (Type::Map(values), Json::Object(object)) => {
            let entry = |(key, json): (&String, &Json)| Ok((Text::from(key.as_str()), default_value(values, json)?));
            object.iter().map(entry).collect::<Result<MapValue, String>>().map(|map| Value::Map(Arc::new(map)))
        }
        (Type::Record(record), Json::Object(object)) => {
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
        _ => Err(wrong()),
    }
}

/// Avro writes the default of bytes as text whose code points 0–255 are the bytes.
fn code_points(text: &str) -> Option<Bytes> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}
