//! Conversions between kinds of values.
//!
//! Where CEL counts the seconds of a timestamp, this language counts milliseconds, as everything else in the
//! engine does: `int(window.start)` is what a sink writes for it.

use super::times;
use super::{Arguments, Function, Kinds, Style};
use crate::expression::error::Reason;
use crate::expression::operate::{DURATIONS, TIMESTAMPS};
use crate::record::{Shape, TemporalKind, Text, Value};

const NUMBER: Kinds = Kinds::NUMBER;
const STRING: Kinds = Kinds::STRING;
const DECIMAL: Kinds = Kinds::DECIMAL;
/// All that says when, but timestamps.
const CIVIL: Kinds = Kinds::DATE.or(Kinds::TIME).or(Kinds::LOCAL_TIMESTAMP);
const TIME: Kinds = Kinds::TIMESTAMP.or(Kinds::DURATION).or(CIVIL);

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "int",
        Style::Global,
        &[NUMBER.or(STRING).or(TIME).or(DECIMAL)],
        |_| Ok(Shape::Int),
        |a| with(a, to_int),
    )
    .strict(),
    Function::new("uint", Style::Global, &[NUMBER.or(STRING).or(DECIMAL)], |_| Ok(Shape::UInt), |a| with(a, to_uint))
        .strict(),
    Function::new(
        "double",
        Style::Global,
        &[NUMBER.or(STRING).or(DECIMAL)],
        |_| Ok(Shape::Double),
        |a| with(a, to_double),
    )
    .strict(),
    Function::new(
        "string",
        Style::Global,
        &[NUMBER.or(STRING).or(TIME).or(Kinds::BOOL).or(Kinds::BYTES).or(DECIMAL)],
        |_| Ok(Shape::String),
        |a| with(a, to_text),
    )
    .strict(),
    Function::new("bool", Style::Global, &[STRING.or(Kinds::BOOL)], |_| Ok(Shape::Bool), |a| with(a, to_bool)).strict(),
    Function::new("bytes", Style::Global, &[STRING.or(Kinds::BYTES)], |_| Ok(Shape::Bytes), |a| with(a, to_bytes))
        .strict(),
    Function::new(
        "timestamp",
        Style::Global,
        &[STRING.or(Kinds::INT).or(Kinds::TIMESTAMP).or(Kinds::DATE).or(Kinds::LOCAL_TIMESTAMP)],
        |_| Ok(Shape::Timestamp),
        |a| with(a, to_timestamp),
    )
    .strict(),
    Function::new(
        "duration",
        Style::Global,
        &[STRING.or(Kinds::INT).or(Kinds::DURATION)],
        |_| Ok(Shape::Duration),
        |a| with(a, to_duration),
    )
    .strict(),
    Function::new("dyn", Style::Global, &[Kinds::ANYTHING], |_| Ok(Shape::Any), |a| with(a, |value| Ok(value.clone()))),
    Function::new(
        "type",
        Style::Global,
        &[Kinds::ANYTHING],
        |_| Ok(Shape::String),
        |a| with(a, |value| Ok(type_of(value))),
    ),
];

/// The names of types, as `type(x)` gives them.
const TYPE_NAMES: [&str; 15] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "timestamp",
    "duration",
    "list",
    "map",
    "null_type",
    "decimal",
    "date",
    "time",
    "local_timestamp",
];

/// What a bare type name such as `int` stands for beside `type(x)`: its name.
pub(in crate::expression) fn type_name(name: &str) -> Option<&'static str> {
    TYPE_NAMES.into_iter().find(|candidate| *candidate == name)
}

/// What `type(x)` gives for values of a shape that is neither any nor a union.
pub(in crate::expression) fn type_of_shape(shape: &Shape) -> &str {
    match shape {
        Shape::Null => "null_type",
        Shape::Bool => "bool",
        Shape::Int => "int",
        Shape::UInt => "uint",
        Shape::Double => "double",
        Shape::String | Shape::Enum(_) => "string",
        Shape::Bytes => "bytes",
        Shape::Timestamp => "timestamp",
        Shape::Duration => "duration",
        Shape::Decimal => "decimal",
        Shape::Temporal(unit) => unit.kind().name(),
        Shape::List(_) => "list",
        Shape::Struct(fields) if !fields.name().is_empty() => fields.name(),
        Shape::Recursive(reference) => reference.name(),
        Shape::Optional(inner) => type_of_shape(inner),
        Shape::Struct(_) | Shape::Map(_) | Shape::Any | Shape::Never | Shape::Union(_) => "map",
    }
}

/// A record of a schema has its name for a type, as a message has in CEL.
fn type_of(value: &Value) -> Value {
    Value::from(match value {
        Value::Null => "null_type",
        Value::Struct(fields) if !fields.shape().name().is_empty() => return Value::text(fields.shape().name()),
        Value::Struct(_) => "map",
        other => other.kind(),
    })
}

pub(super) fn with(
    arguments: Arguments<'_, '_>,
    convert: fn(&Value) -> Result<Value, Reason>,
) -> Result<Value, Reason> {
    arguments.first().map_or_else(|| Err(super::unexpected(None)), |value| convert(value))
}

/// A conversion that this value does not allow; long texts are shortened.
pub(super) fn refused(value: &Value, target: &'static str) -> Reason {
    let shown = match value {
        Value::String(text) => {
            let short: String = text.chars().take(40).collect();
            let dots = if short.len() < text.len() { "..." } else { "" };
            format!("'{short}{dots}'")
        }
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Decimal(n) => n.to_string(),
        Value::Temporal(time) => format!("the {} {time}", time.unit.kind().name()),
        other => format!("this {}", other.kind()),
    };
    Reason::Conversion { value: shown, target }
}

fn to_int(value: &Value) -> Result<Value, Reason> {
    let number = match value {
        Value::Int(n) | Value::Timestamp(n) | Value::Duration(n) => Some(*n),
        Value::UInt(n) => i64::try_from(*n).ok(),
        // Both bounds are exact as floats. CEL leaves out the lower one too, though it would fit.
        Value::Double(n) => (n.abs() < 2f64.powi(63)).then_some(*n as i64),
        Value::String(text) => text.parse().ok(),
        Value::Decimal(n) => i64::try_from(n.truncated()).ok(),
        Value::Temporal(day) if day.unit.kind() == TemporalKind::Date => Some(day.count),
        Value::Temporal(time) => time.millis(),
        _ => None,
    };
    number.map(Value::Int).ok_or_else(|| refused(value, "int"))
}

fn to_uint(value: &Value) -> Result<Value, Reason> {
    let number = match value {
        Value::UInt(n) => Some(*n),
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::Double(n) => (*n > -1.0 && *n < 2f64.powi(64)).then_some(*n as u64),
        Value::String(text) => text.parse().ok(),
        Value::Decimal(n) => u64::try_from(n.truncated()).ok(),
        _ => None,
    };
    number.map(Value::UInt).ok_or_else(|| refused(value, "uint"))
}

fn to_double(value: &Value) -> Result<Value, Reason> {
    let number = match value {
        Value::Double(n) => Some(*n),
        Value::Int(n) => Some(*n as f64),
        Value::UInt(n) => Some(*n as f64),
        Value::Decimal(n) => Some(n.to_f64()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.map(Value::Double).ok_or_else(|| refused(value, "double"))
}

fn to_text(value: &Value) -> Result<Value, Reason> {
    Ok(Value::text(match value {
        Value::String(_) => return Ok(value.clone()),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Bytes(bytes) => match Text::try_from(bytes.clone()) {
            Ok(text) => return Ok(Value::String(text)),
            Err(_) => {
                return Err(Reason::Argument("these bytes are not UTF-8 and cannot be converted to string".to_owned()));
            }
        },
        Value::Timestamp(millis) => times::format_timestamp(*millis).ok_or_else(|| refused(value, "string"))?,
        Value::Duration(millis) => times::format_duration(*millis),
        Value::Decimal(n) => n.to_string(),
        Value::Temporal(time) => time.text().ok_or_else(|| refused(value, "string"))?,
        _ => return Err(refused(value, "string")),
    }))
}

fn to_bool(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match text.as_ref() {
            "true" | "TRUE" | "True" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "FALSE" | "False" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(refused(value, "bool")),
        },
        _ => Err(refused(value, "bool")),
    }
}

fn to_bytes(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Bytes(_) => Ok(value.clone()),
        Value::String(text) => Ok(Value::Bytes(text.to_bytes())),
        _ => Err(refused(value, "bytes")),
    }
}

fn to_timestamp(value: &Value) -> Result<Value, Reason> {
    let millis = match value {
        Value::Timestamp(_) => return Ok(value.clone()),
        Value::Int(millis) => Some(*millis),
        Value::String(text) => times::parse_timestamp(text),
        // A day is its midnight in UTC; what is in no time zone is taken to be in UTC.
        Value::Temporal(time) => time.millis(),
        _ => None,
    };
    let millis = millis.filter(|millis| TIMESTAMPS.contains(millis));
    millis.map(Value::Timestamp).ok_or_else(|| refused(value, "timestamp, which is written as '2026-01-31T12:00:00Z'"))
}

fn to_duration(value: &Value) -> Result<Value, Reason> {
    let millis = match value {
        Value::Duration(_) => return Ok(value.clone()),
        Value::Int(millis) => Some(*millis),
        Value::String(text) => times::parse_duration(text),
        _ => None,
    };
    let millis = millis.filter(|millis| DURATIONS.contains(millis));
    millis.map(Value::Duration).ok_or_else(|| refused(value, "duration, which is written as '1h30m' or '1.5s'"))
}
