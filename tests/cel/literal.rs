//! The values and shapes that the files of cases are written in, read and written without the engine's expressions.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use signalstream::record::{Decimal, MapValue, Shape, StructValue, Temporal, TemporalUnit, Text, Value};

/// `int`, `list<double?>`, `map<any>`, `{a: int, b: string?}`.
pub(crate) fn shape_of(text: &str) -> Shape {
    let text = text.trim();
    if let Some(inner) = text.strip_suffix('?') {
        return shape_of(inner).optional();
    }
    let within = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(element) = within("list<", ">") {
        return Shape::list(shape_of(element));
    }
    if let Some(value) = within("map<", ">") {
        return Shape::map(shape_of(value));
    }
    if let Some(branches) = within("either<", ">") {
        return Shape::any_of(split(branches).into_iter().map(shape_of));
    }
    if let Some(fields) = within("{", "}") {
        let fields = split(fields).into_iter().map(|field| {
            let (name, shape) = field.split_once(':').unwrap_or_else(|| panic!("{field} has no shape"));
            (Text::from(name.trim()), shape_of(shape))
        });
        return Shape::structure("Bound", fields);
    }
    match text {
        "any" => Shape::Any,
        "null" => Shape::Null,
        "bool" => Shape::Bool,
        "int" => Shape::Int,
        "uint" => Shape::UInt,
        "double" => Shape::Double,
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "timestamp" => Shape::Timestamp,
        "duration" => Shape::Duration,
        "decimal" => Shape::Decimal,
        other if unit_of(other).is_some() => Shape::Temporal(unit_of(other).unwrap()),
        other => panic!("{other} is no shape"),
    }
}

fn unit_of(name: &str) -> Option<TemporalUnit> {
    TemporalUnit::ALL.into_iter().find(|unit| unit.name() == name)
}

/// The parts between the commas that stand in no brackets and no quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut start, mut escaped) = (Vec::new(), 0, false, 0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' | '<' | '(' => depth += 1,
            ']' | '}' | '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A value as [`written`] writes it, of a shape.
pub(crate) fn value_of(text: &str, shape: &Shape) -> Value {
    let text = text.trim();
    let within = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|error| panic!("{text}: {error}"));
    if let Some(inner) = within("[", "]") {
        let element = match shape.required() {
            Shape::List(element) => element.as_ref(),
            _ => &Shape::Any,
        };
        return Value::list(split(inner).into_iter().map(|part| value_of(part, element)).collect());
    }
    if let Some(inner) = within("{", "}") {
        return entries(inner, shape.required());
    }
    if let Some(millis) = within("timestamp(", ")") {
        return Value::Timestamp(number(millis));
    }
    if let Some(millis) = within("duration(", ")") {
        return Value::Duration(number(millis));
    }
    if let Some(digits) = within("decimal(", ")") {
        return Value::Decimal(Decimal::parse(digits).unwrap_or_else(|| panic!("{digits} is no decimal")));
    }
    if let Some((unit, time)) = text.strip_suffix(')').and_then(|text| text.split_once('('))
        && let Some(unit) = unit_of(unit)
    {
        return Value::Temporal(Temporal::parse(unit, time).unwrap_or_else(|| panic!("{time} is no {}", unit.name())));
    }
    if let Some(hexadecimal) = within("b\"", "\"") {
        let bytes = hexadecimal.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
        return Value::Bytes(Bytes::from(bytes.collect::<Vec<u8>>()));
    }
    match text {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.starts_with('"') => Value::text(serde_json::from_str::<String>(text).unwrap()),
        _ => match (text.strip_suffix('u'), text.parse()) {
            (Some(unsigned), _) => Value::UInt(unsigned.parse().unwrap()),
            (_, Ok(integer)) => Value::Int(integer),
            _ => Value::Double(text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))),
        },
    }
}

fn entries(text: &str, shape: &Shape) -> Value {
    let mut map = MapValue::default();
    for entry in split(text) {
        let (name, value) = entry.split_once(':').unwrap_or_else(|| panic!("{entry} has no value"));
        let name = name.trim().trim_matches('"');
        let inner = match shape {
            Shape::Map(inner) => inner.as_ref().clone(),
            Shape::Struct(fields) => fields.field(name).unwrap_or_else(|| panic!("no field {name}")).shape.clone(),
            _ => Shape::Any,
        };
        map.insert(Text::from(name), value_of(value, &inner));
    }
    match shape {
        Shape::Struct(fields) => {
            let values = fields.fields().iter().map(|field| map.get(&field.name).cloned().unwrap_or_default());
            Value::Struct(StructValue::new(Arc::clone(fields), values.collect()))
        }
        _ => Value::Map(Arc::new(map)),
    }
}

/// A value with its kind: `1`, `1u`, `1.0`, `"text"`, `b"\x01"`, `[1, 2]`, `{"a": null}`, `timestamp(0)`, `duration(5)`.
/// The entries of maps and structs are sorted by name.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => format!("{number}u"),
        Value::Double(number) => format!("{number:?}"),
        Value::String(text) => serde_json::to_string(&**text).unwrap(),
        Value::Bytes(bytes) => {
            let mut text = "b\"".to_owned();
            bytes.iter().for_each(|byte| write!(text, "\\x{byte:02x}").unwrap());
            text + "\""
        }
        Value::Timestamp(millis) => format!("timestamp({millis})"),
        Value::Duration(millis) => format!("duration({millis})"),
        Value::Decimal(decimal) => format!("decimal({decimal})"),
        Value::Temporal(time) => format!("{}({time})", time.unit.name()),
        Value::List(elements) => format!("[{}]", elements.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => braced(map.iter().collect()),
        Value::Struct(fields) => braced(fields.iter().collect()),
    }
}

fn braced(mut entries: Vec<(&Text, &Value)>) -> String {
    entries.sort_by_key(|(name, _)| (*name).clone());
    let entry =
        |(name, value): &(&Text, &Value)| format!("{}: {}", serde_json::to_string(&***name).unwrap(), written(value));
    format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}
