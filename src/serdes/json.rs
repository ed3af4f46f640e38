//! JSON: values to JSON and back, with or without a shape to check against.
//!
//! Timestamps and durations are integers of milliseconds, bytes are base64 text, decimals are text, and so are dates,
//! times of day and finer timestamps, as ISO 8601 has them: those that lie outside its calendar are integers of their
//! unit. An integer that fits 64 bits with sign is an int, every other number a double.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use super::error::{Entry, Index, Problem, SerdeError, nearest, suggestion};
use crate::record::{
    Decimal, EnumShape, MapValue, Shape, StructShape, StructValue, Temporal, TemporalKind, Text, UnionShape, Value,
};

/// A value as JSON. What JSON cannot hold (infinite doubles and those that are not a number) becomes null.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(boolean) => Json::Bool(*boolean),
        Value::Int(number) | Value::Timestamp(number) | Value::Duration(number) => Json::from(*number),
        Value::UInt(number) => Json::from(*number),
        Value::Double(number) => Json::from(*number),
        Value::String(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => Json::String(BASE64.encode(bytes)),
        Value::Decimal(decimal) => Json::String(decimal.to_string()),
        Value::Temporal(time) => time.text().map_or_else(|| Json::from(time.count), Json::String),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect())
        }
        Value::Struct(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.to_string(), to_json(value))).collect())
        }
    }
}

/// JSON as a value of no particular shape: objects become maps.
pub fn from_json_any(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(boolean) => Value::Bool(boolean),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => number.as_f64().map_or(Value::Null, Value::Double),
        },
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::list(items.into_iter().map(from_json_any).collect()),
        Json::Object(entries) => {
            let entries = entries.into_iter().map(|(key, json)| (Text::from(key), from_json_any(json)));
            Value::Map(Arc::new(entries.collect()))
        }
    }
}

/// JSON as a value of a shape.
///
/// An object's missing field is null where the shape allows that. The first thing that does not fit is an
/// error which names its path, starting with `value`.
pub fn from_json(json: &Json, shape: &Shape) -> Result<Value, SerdeError> {
    read(json, shape).map_err(|error| error.within(&"value"))
}

fn read(json: &Json, shape: &Shape) -> Result<Value, SerdeError> {
    let wrong = || SerdeError::value("", format!("expected {}, found {}", expected(shape), found(json)));
    match (shape, json) {
        (Shape::Any, _) => Ok(from_json_any(json.clone())),
        (Shape::Null | Shape::Optional(_), Json::Null) => Ok(Value::Null),
        (Shape::Optional(inner), _) => read(json, inner),
        (Shape::Bool, Json::Bool(boolean)) => Ok(Value::Bool(*boolean)),
        (Shape::Int, Json::Number(number)) => number.as_i64().map(Value::Int).ok_or_else(wrong),
        (Shape::UInt, Json::Number(number)) => number.as_u64().map(Value::UInt).ok_or_else(wrong),
        (Shape::Double, Json::Number(number)) => number.as_f64().map(Value::Double).ok_or_else(wrong),
        (Shape::Timestamp, Json::Number(number)) => number.as_i64().map(Value::Timestamp).ok_or_else(wrong),
        (Shape::Duration, Json::Number(number)) => number.as_i64().map(Value::Duration).ok_or_else(wrong),
        (Shape::String, Json::String(text)) => Ok(Value::text(text.as_str())),
        (Shape::Bytes, Json::String(text)) => match BASE64.decode(text) {
            Ok(bytes) => Ok(Value::Bytes(Bytes::from(bytes))),
            Err(error) => Err(SerdeError::value("", format!("expected bytes as base64 text, but {error}"))),
        },
        (Shape::Enum(enumeration), Json::String(text)) => read_symbol(enumeration, text),
        (Shape::List(element), Json::Array(items)) => {
            let item = |(index, json)| read(json, element).map_err(|error| error.within(&Index(index)));
            Ok(Value::list(items.iter().enumerate().map(item).collect::<Result<_, _>>()?))
        }
        (Shape::Map(inner), Json::Object(entries)) => {
            let entry = |(key, json): (&String, &Json)| {
                let value = read(json, inner).map_err(|error| error.within(&Entry(key)))?;
                Ok((Text::from(key.as_str()), value))
            };
            Ok(Value::Map(Arc::new(entries.iter().map(entry).collect::<Result<MapValue, SerdeError>>()?)))
        }
        (Shape::Struct(fields), Json::Object(entries)) => read_struct(fields, entries),
        (Shape::Decimal, Json::String(text)) => Decimal::parse(text).map(Value::Decimal).ok_or_else(wrong),
        (Shape::Decimal, Json::Number(number)) => {
            Decimal::parse(&number.to_string()).map(Value::Decimal).ok_or_else(wrong)
        }
        (Shape::Temporal(unit), Json::String(text)) => {
            Temporal::parse(*unit, text).map(Value::Temporal).ok_or_else(wrong)
        }
        (Shape::Temporal(unit), Json::Number(number)) => {
            let fits = |count: &i64| !unit.is_int() || i32::try_from(*count).is_ok();
            let count = number.as_i64().filter(fits);
            count.map(|count| Value::Temporal(Temporal::new(*unit, count))).ok_or_else(wrong)
        }
        (Shape::Recursive(_), _) => read(json, &shape.resolved()),
        (Shape::Union(union), _) => read_alternative(json, union),
        _ => Err(wrong()),
    }
}

/// The first alternative that the JSON is one of. Text that could be a time is text, and a whole
/// number an int, where the union has that.
fn read_alternative(json: &Json, union: &UnionShape) -> Result<Value, SerdeError> {
    let is_meant = |shape: &Shape| match shape {
        Shape::String | Shape::Enum(_) => json.is_string(),
        Shape::Int => json.is_i64(),
        _ => false,
    };
    let (first, others): (Vec<&Shape>, Vec<&Shape>) = union.branches().iter().partition(|branch| is_meant(branch));
    let mut last = None;
    for branch in first.into_iter().chain(others) {
        match read(json, branch) {
            Ok(value) => return Ok(value),
            // What is wrong inside an object of a record says more than that it is no number.
            Err(error) if last.is_none() || matches!(&error, SerdeError::Value(error) if !error.path.is_empty()) => {
                last = Some(error);
            }
            Err(_) => {}
        }
    }
    let names: Vec<String> = union.branches().iter().map(ToString::to_string).collect();
    let plain = || SerdeError::value("", format!("expected {}, found {}", names.join(" or "), found(json)));
    Err(last.filter(|error| matches!(error, SerdeError::Value(error) if !error.path.is_empty())).unwrap_or_else(plain))
}

fn read_symbol(enumeration: &EnumShape, text: &str) -> Result<Value, SerdeError> {
    if let Some(symbol) = enumeration.symbols.iter().find(|symbol| *symbol == text) {
        return Ok(Value::String(symbol.clone()));
    }
    let symbols: Vec<&str> = enumeration.symbols.iter().map(|symbol| symbol.as_ref()).collect();
    let message = format!("expected one of {}, found {text:?}", symbols.join(", "));
    Err(SerdeError::value("", message + &suggestion(&nearest(text, symbols.into_iter()))))
}

fn read_struct(shape: &Arc<StructShape>, entries: &serde_json::Map<String, Json>) -> Result<Value, SerdeError> {
    if let Some(unknown) = entries.keys().find(|key| shape.field(key).is_none()) {
        let names = shape.fields().iter().map(|field| field.name.as_ref() as &str);
        let owner = if shape.name().is_empty() { "the value" } else { shape.name() };
        let message = format!("{owner} has no such field{}", suggestion(&nearest(unknown, names)));
        return Err(SerdeError::value(unknown.as_str(), message));
    }
    let field = |field: &crate::record::Field| {
        let name: &str = &field.name;
        match entries.get(name) {
            Some(json) => read(json, &field.shape).map_err(|error| error.within(&name)),
            None if field.shape.is_nullable() => Ok(Value::Null),
            None => {
                Err(SerdeError::value(name, format!("expected {}, but the field is missing", expected(&field.shape))))
            }
        }
    };
    let values = shape.fields().iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::Struct(StructValue::new(Arc::clone(shape), values.into())))
}

/// A shape as the object of "expected".
fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Null | Shape::Any | Shape::Never | Shape::Bytes => shape.to_string(),
        Shape::Int | Shape::Enum(_) => format!("an {shape}"),
        Shape::Timestamp => "a timestamp (milliseconds since the epoch)".to_owned(),
        Shape::Duration => "a duration (milliseconds)".to_owned(),
        Shape::Decimal => "a decimal (text such as \"12.50\", at most 38 digits)".to_owned(),
        Shape::Temporal(unit) => match unit.kind() {
            TemporalKind::Date => "a date (text such as \"2026-01-31\")".to_owned(),
            TemporalKind::Time => format!("a {shape} (text such as \"12:30:00\")"),
            TemporalKind::Timestamp => format!("a {shape} (text such as \"2026-01-31T12:30:00Z\")"),
            TemporalKind::LocalTimestamp => format!("a {shape} (text such as \"2026-01-31T12:30:00\")"),
        },
        Shape::Recursive(reference) => format!("an object ({})", reference.name()),
        Shape::Union(_) => shape.to_string(),
        Shape::Struct(fields) if !fields.name().is_empty() => format!("an object ({shape})"),
        Shape::Struct(_) => "an object".to_owned(),
        Shape::Optional(inner) => format!("{} or null", expected(inner)),
        _ => format!("a {shape}"),
    }
}

/// JSON as the object of "found", cut short where it is long.
fn found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(boolean) => boolean.to_string(),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => quoted(text),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

/// A value as the object of "found", cut short where it is long.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Null | Value::Bytes(_) => value.kind().to_owned(),
        Value::List(_) | Value::Map(_) | Value::Struct(_) => format!("a {}", value.kind()),
        Value::Int(_) => format!("the int {}", to_json(value)),
        _ => format!("the {} {}", value.kind(), to_json(value)),
    }
}

fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("the string {:?}… of {} bytes", text.get(..end).unwrap_or(text), text.len()),
        None => format!("the string {text:?}"),
    }
}

/// Reads a payload of JSON.
pub(super) fn decode(payload: &[u8]) -> Result<Value, SerdeError> {
    match serde_json::from_slice::<Parsed>(payload) {
        Ok(Parsed(value)) => Ok(value),
        Err(error) => Err(Problem::NotJson(error.to_string()).at(0)),
    }
}

/// Appends a value as JSON.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let before = out.len();
    serde_json::to_writer(&mut *out, &AsJson(value)).map_err(|error| {
        out.truncate(before);
        SerdeError::value("", format!("cannot be written as JSON: {error}"))
    })
}

/// Writes a value as [`to_json`] would, without making the JSON value in between.
struct AsJson<'a>(&'a Value);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(boolean) => serializer.serialize_bool(*boolean),
            Value::Int(number) | Value::Timestamp(number) | Value::Duration(number) => {
                serializer.serialize_i64(*number)
            }
            Value::UInt(number) => serializer.serialize_u64(*number),
            Value::Double(number) => serializer.serialize_f64(*number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&BASE64.encode(bytes)),
            Value::Decimal(decimal) => serializer.collect_str(decimal),
            Value::Temporal(time) => match time.text() {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.serialize_i64(time.count),
            },
            Value::List(items) => serializer.collect_seq(items.iter().map(AsJson)),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(key.as_ref() as &str, &AsJson(value))?;
                }
                map.end()
            }
            Value::Struct(fields) => {
                let mut map = serializer.serialize_map(Some(fields.values().len()))?;
                for (name, value) in fields.iter() {
                    map.serialize_entry(name.as_ref() as &str, &AsJson(value))?;
                }
                map.end()
            }
        }
    }
}

/// Reads a value as [`from_json_any`] would, without making the JSON value in between.
struct Parsed(Value);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Parsed)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Bool(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Double(number as f64), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Parsed(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::list(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = MapValue::default();
        while let Some((key, Parsed(value))) = entries.next_entry::<String, Parsed>()? {
            map.insert(Text::from(key), value);
        }
        Ok(Value::Map(Arc::new(map)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sentiment() -> Shape {
        let label = EnumShape { name: "Label".to_owned(), symbols: vec!["positive".into(), "negative".into()] };
        Shape::structure(
            "Sentiment",
            [
                ("label", Shape::Enum(Arc::new(label))),
                ("confidence", Shape::Double),
                ("reasoning", Shape::String.optional()),
                ("scores", Shape::list(Shape::Int)),
            ],
        )
    }

    fn error(json: Json) -> String {
        from_json(&json, &sentiment()).unwrap_err().to_string()
    }

    #[test]
    fn a_double_is_read_as_the_nearest_one_there_is() {
        for text in ["1.2345678901234568e+30", "0.1", "2.2250738585072014e-308", "9007199254740993.0", "5e-324"] {
            let read = decode(&Bytes::from(text)).unwrap();
            assert_eq!(read, Value::Double(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        assert_eq!(
            error(json!({"label": "positive", "confidence": "high", "scores": []})),
            r#"value.confidence: expected a double, found the string "high""#
        );
        assert_eq!(
            error(json!({"label": "positiv", "confidence": 1, "scores": []})),
            r#"value.label: expected one of positive, negative, found "positiv"; did you mean `positive`?"#
        );
        assert_eq!(
            error(json!({"label": "positive", "confidence": 1, "scores": [1, 2.5]})),
            "value.scores[1]: expected an int, found the number 2.5"
        );
        assert_eq!(
            error(json!({"label": "positive", "scores": []})),
            "value.confidence: expected a double, but the field is missing"
        );
        assert_eq!(
            error(json!({"label": "positive", "confidense": 1.0, "scores": []})),
            "value.confidense: Sentiment has no such field; did you mean `confidence`?"
        );
        assert_eq!(error(json!(3)), "value: expected an object (Sentiment), found the number 3");
    }

    #[test]
    fn a_value_of_a_shape_reads_back_as_it_was_written() {
        let json = json!({"label": "negative", "confidence": 3.0, "reasoning": null, "scores": [1, -2]});
        let value = from_json(&json, &sentiment()).unwrap();
        assert_eq!(to_json(&value), json);
        let mut out = Vec::new();
        encode(&value, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"label":"negative","confidence":3.0,"reasoning":null,"scores":[1,-2]}"#
        );
    }

    #[test]
    fn parsing_directly_and_by_way_of_json_values_agree() {
        let text = r#"{"b": [1, 2.5, -3, 18446744073709551615, 1e3, "x\n", true, null], "a": {"deep": {}}}"#;
        let parsed: Json = serde_json::from_str(text).unwrap();
        let value = decode(text.as_bytes()).unwrap();
        assert_eq!(value, from_json_any(parsed.clone()));
        assert_eq!(to_json(&value)["a"], parsed["a"]);
    }

    #[test]
    fn what_is_not_json_is_refused_with_line_and_column() {
        assert_eq!(decode(b"{\"a\": 1,\n}").unwrap_err().to_string(), "not JSON: trailing comma at line 2 column 1");
        assert!(decode(b"1 2").is_err());
        assert!(decode("[".repeat(100_000).as_bytes()).is_err());
        assert!(decode(b"\"\xff\"").is_err());
    }

    #[test]
    fn what_json_cannot_hold_becomes_null_or_text() {
        assert_eq!(to_json(&Value::Double(f64::NAN)), Json::Null);
        assert_eq!(to_json(&Value::Bytes(Bytes::from_static(b"\x00\xff"))), json!("AP8="));
        let mut out = Vec::new();
        encode(&Value::Double(f64::INFINITY), &mut out).unwrap();
        assert_eq!(out, b"null");
    }
}
