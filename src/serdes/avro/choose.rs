//! Which branch of a union a value is written to.
//!
//! The one of its own type; else the first that holds it without loss. A record is told by the shape it was read with, then
//! by its schema's name, then by its fields. Of branches that the engine has one type for, the widest is taken: long before
//! int, double before float, string before an enum.

use super::schema::Type;
use super::writer::{RecordWrite, Write, accepts};
use crate::record::{Shape, StructShape, StructValue, Value};

/// The branch for values of a shape, which is no union, and whether it is that for all of them; else the names of those that
/// it may be, none or several.
pub(super) fn by_shape(branches: &[Type], shape: &Shape) -> Result<(usize, bool), Vec<String>> {
    let rank = |(index, kind): (usize, &Type)| {
        accepts(kind, shape).then(|| rank_of_shape(kind, shape)).flatten().map(|rank| (rank, index))
    };
    let ranks: Vec<(u8, usize)> = branches.iter().enumerate().filter_map(rank).collect();
    let Some((best, first)) = ranks.iter().min() else { return Err(Vec::new()) };
    let tied: Vec<&Type> =
        ranks.iter().filter(|(rank, _)| rank == best).filter_map(|(_, index)| branches.get(*index)).collect();
    match tied.len() {
        2.. if *best == BY_FIELDS && matches!(shape, Shape::Struct(_)) => {
            Err(tied.into_iter().map(Type::name).collect())
        }
        _ => Ok((*first, *best == 0 || ranks.len() == 1)),
    }
}

/// A record that is told by its fields alone. Several such have to be told apart by whoever made the value.
const BY_FIELDS: u8 = 2;

/// How good a match is: less is better.
fn rank_of_shape(kind: &Type, shape: &Shape) -> Option<u8> {
    Some(match (kind, shape) {
        (Type::Long, Shape::Int | Shape::UInt) => 0,
        (Type::Int, Shape::Int | Shape::UInt) => 1,
        (Type::Double, Shape::Int | Shape::UInt) => 3,
        (Type::Float, Shape::Int | Shape::UInt) => 4,
        (Type::Float, Shape::Double) => 1,
        (Type::Decimal(_), Shape::Int | Shape::UInt) => 5,
        (_, Shape::Int | Shape::UInt) => 6,
        (Type::Long, Shape::Timestamp | Shape::Duration) => 3,
        (Type::Int, Shape::Duration) => 4,
        (Type::Temporal(_), Shape::Timestamp) => 1,
        (Type::Temporal(unit), Shape::Temporal(given)) => u8::from(unit != given),
        (Type::Enum(enumeration), Shape::Enum(given)) => u8::from(enumeration.shape.symbols != given.symbols) * 3,
        (Type::String, Shape::Enum(_)) => 1,
        (Type::Enum(_), Shape::String) => 3,
        (Type::Uuid(_), Shape::String | Shape::Enum(_)) => 2,
        (Type::Map(_), Shape::Struct(_)) => 4,
        // Which of several it is depends on the value.
        (Type::Fixed(_), Shape::Bytes) | (Type::Decimal(_), Shape::Decimal) => 1,
        (Type::Record(_) | Type::Recursive(_), Shape::Struct(given)) => {
            let record = kind.record()?;
            let required = |name: &str, default: bool| default || given.field(name).is_some();
            let fits = given.fields().iter().all(|field| record.shape.field(&field.name).is_some())
                && record.fields.iter().all(|field| required(&field.name, field.default.is_some()));
            return rank_of_record(std::ptr::eq(&*record.shape, &**given), &record.names.name, given, fits);
        }
        _ => 0,
    })
}

fn rank_of_record(same: bool, name: &str, given: &StructShape, fits: bool) -> Option<u8> {
    match (same, !given.name().is_empty() && given.name() == name) {
        (true, _) => Some(0),
        (_, true) => Some(1),
        _ => fits.then_some(BY_FIELDS),
    }
}

/// The branch for a value: its place, or why there is none.
pub(super) fn by_value(branches: &[Write], value: &Value) -> Result<usize, &'static str> {
    let mut best: Option<(u8, usize)> = None;
    let mut tied = false;
    for (index, branch) in branches.iter().enumerate() {
        let Some(rank) = rank_of_value(branch, value) else { continue };
        if best.is_none_or(|(least, _)| rank < least) {
            (best, tied) = (Some((rank, index)), false);
        } else if best.is_some_and(|(least, _)| rank == least) {
            tied = true;
        }
    }
    match best {
        Some((BY_FIELDS, _)) if tied && matches!(value, Value::Struct(_) | Value::Map(_)) => {
            Err("the value has the fields of several branches of the union; which one is meant cannot be told")
        }
        Some((_, index)) => Ok(index),
        None => Err("no branch of the union takes this value"),
    }
}

fn rank_of_value(write: &Write, value: &Value) -> Option<u8> {
    Some(match (write, value) {
        (Write::Null, Value::Null)
        | (Write::Boolean, Value::Bool(_))
        | (Write::Long, Value::Int(_))
        | (Write::Double, Value::Double(_))
        | (Write::String, Value::String(_))
        | (Write::Bytes, Value::Bytes(_))
        | (Write::Timestamp, Value::Timestamp(_))
        | (Write::Array(_), Value::List(_))
        | (Write::Map(_), Value::Map(_)) => 0,
        (Write::Long, Value::UInt(number)) if i64::try_from(*number).is_ok() => 0,
        (Write::Int, Value::Int(number)) if i32::try_from(*number).is_ok() => 1,
        (Write::Int, Value::UInt(number)) if i32::try_from(*number).is_ok() => 1,
        (Write::Float, Value::Double(_)) => 1,
        (Write::Double, Value::Int(_) | Value::UInt(_)) => 3,
        (Write::Float, Value::Int(_) | Value::UInt(_)) => 4,
        (Write::Decimal(_), Value::Int(_) | Value::UInt(_)) => 5,
        (Write::Timestamp, Value::Int(_)) => 6,
        (Write::Long, Value::Timestamp(_) | Value::Duration(_)) => 3,
        (Write::Int, Value::Duration(millis)) if i32::try_from(*millis).is_ok() => 4,
        (Write::Temporal(unit), Value::Temporal(time)) if time.unit == *unit => 0,
        (Write::Temporal(unit), Value::Temporal(time)) if time.in_unit(*unit).is_some() => 1,
        (Write::Temporal(unit), Value::Timestamp(_)) if unit.kind() == crate::record::TemporalKind::Timestamp => 1,
        (Write::Decimal(kind), Value::Decimal(number)) if number.rescale(kind.scale).is_some() => {
            u8::from(kind.scale != number.scale())
        }
        (Write::Fixed(size), Value::Bytes(bytes)) if bytes.len() == *size => 1,
        (Write::Uuid { .. }, Value::String(text)) if super::decode::is_uuid(text.as_bytes()) => 1,
        (Write::Enum(enumeration), Value::String(text)) if enumeration.shape.symbols.contains(text) => 2,
        (Write::Duration, Value::Struct(fields)) if is_duration(fields) => 1,
        (Write::Map(_), Value::Struct(_)) => 4,
        (Write::Record(record), _) => return rank_of_fields(record, value),
        (Write::Recursive(reference), _) => return rank_of_fields(&*reference.get()?, value),
        _ => return None,
    })
}

fn is_duration(fields: &StructValue) -> bool {
    let parts = super::schema::DURATION.fields();
    fields.values().len() == parts.len()
        && parts.iter().all(|part| matches!(fields.get(&part.name), Some(Value::Int(_))))
}

fn rank_of_fields(record: &RecordWrite, value: &Value) -> Option<u8> {
    let given = |name: &str| value.get(name).is_some();
    let known = |name: &str| record.fields.iter().any(|field| field.name == name);
    let complete = || record.fields.iter().all(|field| field.default.is_some() || given(&field.name));
    match value {
        Value::Struct(fields) => {
            let same = std::ptr::eq(&*record.shape, &**fields.shape());
            let fits = fields.shape().fields().iter().all(|field| known(&field.name)) && complete();
            rank_of_record(same, &record.name, fields.shape(), fits)
        }
        Value::Map(entries) => (entries.keys().all(|key| known(key)) && complete()).then_some(BY_FIELDS),
        _ => None,
    }
}
