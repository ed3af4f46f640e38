//! Operators on values: equality, order and arithmetic as the CEL specification defines them.
//!
//! Integers, unsigned integers and floats compare by their mathematical value; arithmetic never mixes them
//! and never wraps. Beside CEL's own rules an int beside a timestamp or a duration counts milliseconds.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::error::Reason;
use super::parse::BinaryOperator;
use crate::record::{Decimal, StructValue, Temporal, TemporalKind, Text, Value};
use crate::time::{MAX_TIMESTAMP, Timestamp};

/// The timestamps that CEL knows, in milliseconds: the years 1 to 9999.
pub(super) const TIMESTAMPS: RangeInclusive<Timestamp> = -62_135_596_800_000..=MAX_TIMESTAMP;

/// The durations that CEL knows, in milliseconds: ten thousand years either way, as Protocol Buffers have it.
pub(super) const DURATIONS: RangeInclusive<i64> = -315_576_000_000_000..=315_576_000_000_000;

/// Whether two values are equal. Values of kinds that have nothing in common are not.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Null, Value::Null) => true,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b)),
        (Value::Struct(_) | Value::Map(_), Value::Struct(_) | Value::Map(_)) => {
            entry_count(left) == entry_count(right)
                && entries(left).all(|(name, value)| right.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

fn entry_count(value: &Value) -> usize {
    match value {
        Value::Struct(fields) => fields.values().len(),
        Value::Map(map) => map.len(),
        _ => 0,
    }
}

/// Names and values of a struct or map; nothing for other values.
pub(super) fn entries(value: &Value) -> Box<dyn Iterator<Item = (&Text, &Value)> + '_> {
    match value {
        Value::Struct(fields) => Box::new(StructValue::iter(fields)),
        Value::Map(map) => Box::new(map.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// The order of two values, `None` where they have none (other kinds, NaN).
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a) | Value::Timestamp(a) | Value::Duration(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a) | Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Int(a) | Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::UInt(a), Value::UInt(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::UInt(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::UInt(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Int(a), Value::Double(b)) => order_with_double(i128::from(*a), *b),
        (Value::UInt(a), Value::Double(b)) => order_with_double(i128::from(*a), *b),
        (Value::Double(a), Value::Int(b)) => order_with_double(i128::from(*b), *a).map(Ordering::reverse),
        (Value::Double(a), Value::UInt(b)) => order_with_double(i128::from(*b), *a).map(Ordering::reverse),
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
        (Value::Decimal(a), _) => Some(a.cmp(&whole(right)?)),
        (_, Value::Decimal(b)) => Some(whole(left)?.cmp(b)),
        (Value::Temporal(a), Value::Temporal(b)) => a.order(*b),
        (Value::Temporal(a), Value::Timestamp(b) | Value::Int(b)) if is_moment(*a) => Some(a.nanos().cmp(&nanos(*b))),
        (Value::Timestamp(a) | Value::Int(a), Value::Temporal(b)) if is_moment(*b) => Some(nanos(*a).cmp(&b.nanos())),
        _ => None,
    }
}

/// An integer as a decimal.
fn whole(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(number) => Decimal::whole(i128::from(*number)),
        Value::UInt(number) => Decimal::whole(i128::from(*number)),
        _ => None,
    }
}

/// Whether a time is a timestamp in UTC.
fn is_moment(time: Temporal) -> bool {
    time.unit.kind() == TemporalKind::Timestamp
}

fn nanos(millis: i64) -> i128 {
    i128::from(millis) * 1_000_000
}

/// Compares exactly: converting the integer to a float would lose its low bits.
fn order_with_double(integer: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double >= 2f64.powi(65) {
        return Some(Ordering::Less);
    }
    if double <= -2f64.powi(65) {
        return Some(Ordering::Greater);
    }
    // The bounds above make the conversion of the whole part exact.
    let whole = double.trunc() as i128;
    Some(integer.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(double.fract() + 0.0))))
}

/// `<`, `<=`, `>`, `>=`.
pub(super) fn compare(operator: BinaryOperator, left: &Value, right: &Value) -> Result<bool, Reason> {
    let Some(order) = order(left, right) else {
        let is_nan = |value: &Value| matches!(value, Value::Double(n) if n.is_nan());
        let is_number = |value: &Value| matches!(value, Value::Double(_) | Value::Int(_) | Value::UInt(_));
        if (is_nan(left) || is_nan(right)) && is_number(left) && is_number(right) {
            return Ok(false);
        }
        return Err(operands(operator, left, right));
    };
    Ok(match operator {
        BinaryOperator::Less => order.is_lt(),
        BinaryOperator::LessOrEqual => order.is_le(),
        BinaryOperator::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// `x in list`, `key in map`.
pub(super) fn contains(element: &Value, container: &Value) -> Result<bool, Reason> {
    match (container, element) {
        (Value::List(elements), _) => Ok(elements.iter().any(|candidate| equal(candidate, element))),
        (Value::Map(map), Value::String(name)) => Ok(map.contains_key(name)),
        (Value::Struct(fields), Value::String(name)) => Ok(fields.get(name).is_some()),
        // Only a value of unknown shape gets here: nothing but a text is ever a key.
        (Value::Map(_) | Value::Struct(_), _) => Ok(false),
        _ => Err(operands(BinaryOperator::In, element, container)),
    }
}

/// `+`, `-`, `*`, `/`, `%`.
pub(super) fn calculate(operator: BinaryOperator, left: &Value, right: &Value) -> Result<Value, Reason> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => integers(operator, *a, *b).map(Value::Int),
        (Value::UInt(a), Value::UInt(b)) => unsigned(operator, *a, *b).map(Value::UInt),
        (Value::Double(a), Value::Double(b)) => doubles(operator, *a, *b).map(Value::Double),
        (Value::Decimal(a), Value::Decimal(b)) => decimals(operator, *a, *b).map(Value::Decimal),
        _ if operator == BinaryOperator::Add => add(left, right),
        _ if operator == BinaryOperator::Subtract => subtract(left, right),
        _ => Err(operands(operator, left, right)),
    }
}

fn add(left: &Value, right: &Value) -> Result<Value, Reason> {
    Ok(match (left, right) {
        (Value::String(a), Value::String(b)) => {
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            Value::text(text)
        }
        (Value::Bytes(a), Value::Bytes(b)) => Value::Bytes([a.as_ref(), b.as_ref()].concat().into()),
        (Value::List(a), Value::List(b)) => Value::List(a.iter().chain(b.iter()).cloned().collect()),
        (Value::Timestamp(a), Value::Duration(b) | Value::Int(b)) => timestamp(a.checked_add(*b))?,
        (Value::Duration(a) | Value::Int(a), Value::Timestamp(b)) => timestamp(a.checked_add(*b))?,
        (Value::Duration(a), Value::Duration(b) | Value::Int(b)) => duration(a.checked_add(*b))?,
        (Value::Int(a), Value::Duration(b)) => duration(a.checked_add(*b))?,
        (Value::Temporal(a), Value::Duration(b) | Value::Int(b)) if is_moment(*a) => moved(*a, nanos(*b))?,
        (Value::Duration(a) | Value::Int(a), Value::Temporal(b)) if is_moment(*b) => moved(*b, nanos(*a))?,
        _ => return Err(operands(BinaryOperator::Add, left, right)),
    })
}

/// A timestamp so many nanoseconds later, in its own unit.
fn moved(time: Temporal, by: i128) -> Result<Value, Reason> {
    let moved = Temporal::of_nanos(time.unit, time.nanos() + by).filter(|time| time.civil().is_some());
    moved.map(Value::Temporal).ok_or(Reason::TimestampRange)
}

/// The span between two timestamps, of which one at least is finer than milliseconds.
fn between(left: i128, right: i128) -> Result<Value, Reason> {
    duration(i64::try_from((left - right).div_euclid(1_000_000)).ok())
}

/// A timestamp that an operator made, if it is one.
fn timestamp(millis: Option<i64>) -> Result<Value, Reason> {
    millis.filter(|millis| TIMESTAMPS.contains(millis)).map(Value::Timestamp).ok_or(Reason::TimestampRange)
}

/// A duration that an operator made, if it is one.
fn duration(millis: Option<i64>) -> Result<Value, Reason> {
    millis.filter(|millis| DURATIONS.contains(millis)).map(Value::Duration).ok_or(Reason::DurationRange)
}

fn subtract(left: &Value, right: &Value) -> Result<Value, Reason> {
    Ok(match (left, right) {
        (Value::Timestamp(a), Value::Timestamp(b)) => duration(a.checked_sub(*b))?,
        (Value::Timestamp(a), Value::Duration(b) | Value::Int(b)) => timestamp(a.checked_sub(*b))?,
        (Value::Duration(a), Value::Duration(b) | Value::Int(b)) => duration(a.checked_sub(*b))?,
        (Value::Int(a), Value::Duration(b)) => duration(a.checked_sub(*b))?,
        (Value::Temporal(a), Value::Duration(b) | Value::Int(b)) if is_moment(*a) => moved(*a, -nanos(*b))?,
        (Value::Temporal(a), Value::Temporal(b)) if is_moment(*a) && is_moment(*b) => between(a.nanos(), b.nanos())?,
        (Value::Temporal(a), Value::Timestamp(b)) if is_moment(*a) => between(a.nanos(), nanos(*b))?,
        (Value::Timestamp(a), Value::Temporal(b)) if is_moment(*b) => between(nanos(*a), b.nanos())?,
        _ => return Err(operands(BinaryOperator::Subtract, left, right)),
    })
}

fn integers(operator: BinaryOperator, a: i64, b: i64) -> Result<i64, Reason> {
    let result = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Reason::DivisionByZero),
        BinaryOperator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.ok_or(Reason::Overflow(operator.symbol()))
}

fn unsigned(operator: BinaryOperator, a: u64, b: u64) -> Result<u64, Reason> {
    let result = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Reason::DivisionByZero),
        BinaryOperator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.ok_or(Reason::Overflow(operator.symbol()))
}

fn doubles(operator: BinaryOperator, a: f64, b: f64) -> Result<f64, Reason> {
    match operator {
        BinaryOperator::Add => Ok(a + b),
        BinaryOperator::Subtract => Ok(a - b),
        BinaryOperator::Multiply => Ok(a * b),
        BinaryOperator::Divide => Ok(a / b),
        _ => Err(operands(operator, &Value::Double(a), &Value::Double(b))),
    }
}

fn decimals(operator: BinaryOperator, a: Decimal, b: Decimal) -> Result<Decimal, Reason> {
    let result = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ => return Err(operands(operator, &Value::Decimal(a), &Value::Decimal(b))),
    };
    result.ok_or(Reason::DecimalOverflow(operator.symbol()))
}

/// `-x`.
pub(super) fn negate(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Int(n) => n.checked_neg().map(Value::Int).ok_or(Reason::Overflow("-")),
        Value::Double(n) => Ok(Value::Double(-n)),
        Value::Duration(n) => duration(n.checked_neg()),
        Value::Decimal(n) => Ok(Value::Decimal(n.negated())),
        other => Err(Reason::Kind { expected: "int, double, decimal or duration".to_owned(), found: other.kind() }),
    }
}

fn operands(operator: BinaryOperator, left: &Value, right: &Value) -> Reason {
    Reason::Operands { operator: operator.symbol(), left: left.kind(), right: right.kind() }
}
