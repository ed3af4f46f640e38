//! Counts, sums, extremes, means and deviations.

use std::cmp::Ordering;

use super::fields;
use crate::record::{Shape, Value};

/// One more.
pub(super) fn count(state: &Value) -> Result<Value, String> {
    whole(state).checked_add(1).map(Value::Int).ok_or_else(|| "the count is larger than a 64-bit integer".to_owned())
}

/// One less.
pub(super) fn discount(state: &Value) -> Result<Value, String> {
    whole(state).checked_sub(1).map(Value::Int).ok_or_else(|| "the count is less than a 64-bit integer".to_owned())
}

fn whole(state: &Value) -> i64 {
    if let Value::Int(number) = state { *number } else { 0 }
}

/// As a double, if it is a number.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Decimal(number) => Some(number.to_f64()),
        _ => None,
    }
}

/// As a double; `what` needs one.
pub(super) fn needed(what: &str, value: &Value) -> Result<f64, String> {
    number(value).ok_or_else(|| format!("{what} needs numbers, the expression gave a {}", value.kind()))
}

/// State and argument together; null is nothing.
pub(super) fn sum(state: &Value, argument: &Value) -> Result<Value, String> {
    let overflow = || "the sum is larger than a 64-bit integer".to_owned();
    match (state, argument) {
        (Value::Null, Value::Int(_) | Value::UInt(_) | Value::Double(_) | Value::Decimal(_)) => Ok(argument.clone()),
        (_, Value::Null) => Ok(state.clone()),
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::UInt(a), Value::UInt(b)) => a.checked_add(*b).map(Value::UInt).ok_or_else(overflow),
        (Value::Decimal(a), Value::Decimal(b)) => a.checked_add(*b).map(Value::Decimal).ok_or_else(too_many_digits),
        (a, b) => match number(a) {
            Some(a) => Ok(Value::Double(a + needed("sum", b)?)),
            None => Err(format!("sum needs numbers, the expression gave a {}", b.kind())),
        },
    }
}

fn too_many_digits() -> String {
    "the sum has more than 38 digits".to_owned()
}

/// The state without the argument.
pub(super) fn difference(state: &Value, argument: &Value) -> Result<Value, String> {
    let overflow = || "the sum does not fit a 64-bit integer".to_owned();
    match (state, argument) {
        (Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map(Value::Int).ok_or_else(overflow),
        (Value::UInt(a), Value::UInt(b)) => a.checked_sub(*b).map(Value::UInt).ok_or_else(overflow),
        (Value::Decimal(a), Value::Decimal(b)) => a.checked_sub(*b).map(Value::Decimal).ok_or_else(too_many_digits),
        (a, b) => match number(a) {
            Some(a) => Ok(Value::Double(a - needed("sum", b)?)),
            None => Err(format!("sum needs numbers, the expression gave a {}", b.kind())),
        },
    }
}

/// The one of both that is `wanted` beside the other; the state where they are equal.
pub(super) fn extreme(state: &Value, argument: Value, wanted: Ordering) -> Result<Value, String> {
    if state.is_null() {
        return Ok(argument);
    }
    match compare(&argument, state) {
        Some(order) if order == wanted => Ok(argument),
        Some(_) => Ok(state.clone()),
        None => Err(format!("a {} and a {} cannot be compared", argument.kind(), state.kind())),
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::UInt(a), Value::UInt(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
        (Value::Temporal(a), Value::Temporal(b)) => a.order(*b),
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

/// Sum and count of an `avg`.
fn sum_and_count(state: &Value) -> (f64, i64) {
    match (state.get("sum"), state.get("count")) {
        (Some(Value::Double(sum)), Some(Value::Int(count))) => (*sum, *count),
        _ => (0.0, 0),
    }
}

/// One more number in an `avg`.
pub(super) fn average(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let added = needed("avg", argument)?;
    let (sum, count) = sum_and_count(state);
    Ok(fields(shape, vec![Value::Double(sum + added), Value::Int(count.saturating_add(1))]))
}

/// One number less in an `avg`. Of no numbers the sum is nothing, whatever rounding has left.
pub(super) fn disaverage(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let gone = needed("avg", argument)?;
    let (sum, count) = match sum_and_count(state) {
        (sum, count @ 2..) => (sum - gone, count - 1),
        _ => (0.0, 0),
    };
    Ok(fields(shape, vec![Value::Double(sum), Value::Int(count)]))
}

/// The numbers of two `avg`s.
pub(super) fn averages(a: &Value, b: &Value, shape: Option<&Shape>) -> Value {
    let ((sum, count), (more, others)) = (sum_and_count(a), sum_and_count(b));
    fields(shape, vec![Value::Double(sum + more), Value::Int(count.saturating_add(others))])
}

/// The mean; null of nothing.
pub(super) fn mean(state: &Value) -> Value {
    match sum_and_count(state) {
        (sum, count @ 1..) => Value::Double(sum / count as f64),
        _ => Value::Null,
    }
}

/// Count, mean, and the sum of the squares of what lies between each number and the mean (Welford, 1962): exact enough
/// where squares of large numbers would cancel each other out.
#[derive(Clone, Copy)]
struct Spread {
    count: i64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn of(state: &Value) -> Self {
        match (state.get("count"), state.get("mean"), state.get("squares")) {
            (Some(Value::Int(count)), Some(Value::Double(mean)), Some(Value::Double(squares))) => {
                Spread { count: *count, mean: *mean, squares: *squares }
            }
            _ => Spread { count: 0, mean: 0.0, squares: 0.0 },
        }
    }

    fn state(self, shape: Option<&Shape>) -> Value {
        fields(shape, vec![Value::Int(self.count), Value::Double(self.mean), Value::Double(self.squares)])
    }
}

/// One more number in a `stddev`.
pub(super) fn spread(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let added = needed("stddev", argument)?;
    let before = Spread::of(state);
    let count = before.count.saturating_add(1);
    let mean = before.mean + (added - before.mean) / count as f64;
    let squares = before.squares + (added - before.mean) * (added - mean);
    Ok(Spread { count, mean, squares }.state(shape))
}

/// One number less in a `stddev`.
pub(super) fn unspread(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let gone = needed("stddev", argument)?;
    let before = Spread::of(state);
    if before.count <= 1 {
        return Ok(Spread { count: 0, mean: 0.0, squares: 0.0 }.state(shape));
    }
    let count = before.count - 1;
    let mean = before.mean - (gone - before.mean) / count as f64;
    // Of one number it is nothing, whatever rounding has left.
    let squares = if count == 1 { 0.0 } else { (before.squares - (gone - mean) * (gone - before.mean)).max(0.0) };
    Ok(Spread { count, mean, squares }.state(shape))
}

/// The numbers of two `stddev`s (Chan, Golub and LeVeque, 1979).
pub(super) fn spreads(a: &Value, b: &Value, shape: Option<&Shape>) -> Value {
    let (left, right) = (Spread::of(a), Spread::of(b));
    if left.count == 0 || right.count == 0 {
        return if left.count == 0 { right } else { left }.state(shape);
    }
    let count = left.count.saturating_add(right.count);
    let (n, apart) = (count as f64, right.mean - left.mean);
    let mean = left.mean + apart * right.count as f64 / n;
    let squares = left.squares + right.squares + apart * apart * left.count as f64 * right.count as f64 / n;
    Spread { count, mean, squares }.state(shape)
}

/// The sample standard deviation, as SQL's `STDDEV_SAMP`; null of fewer than two numbers.
pub(super) fn deviation(state: &Value) -> Value {
    let spread = Spread::of(state);
    if spread.count < 2 {
        return Value::Null;
    }
    Value::Double((spread.squares / (spread.count - 1) as f64).sqrt())
}
