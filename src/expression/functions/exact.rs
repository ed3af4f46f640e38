//! Decimals, dates, times of day and timestamps in no time zone: made from other values.

use super::convert::refused;
use super::{Arguments, Function, Kinds, Style, count, unexpected};
use crate::expression::error::Reason;
use crate::record::{Decimal, Shape, Temporal, TemporalKind, TemporalUnit, Value};

const STRING: Kinds = Kinds::STRING;
const INTEGER: Kinds = Kinds::INT.or(Kinds::UINT);

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "decimal",
        Style::Global,
        &[Kinds::DECIMAL.or(INTEGER).or(STRING), Kinds::INT],
        |_| Ok(Shape::Decimal),
        decimal,
    )
    .requiring(1)
    .strict(),
    Function::new(
        "date",
        Style::Global,
        &[STRING.or(Kinds::DATE).or(Kinds::TIMESTAMP).or(Kinds::LOCAL_TIMESTAMP)],
        |_| Ok(Shape::Temporal(TemporalUnit::Date)),
        |a| part(a, TemporalUnit::Date, "date, which is written as '2026-01-31'"),
    )
    .strict(),
    Function::new(
        "time",
        Style::Global,
        &[STRING.or(Kinds::TIME).or(Kinds::TIMESTAMP).or(Kinds::LOCAL_TIMESTAMP)],
        |_| Ok(Shape::Temporal(TemporalUnit::TimeMicros)),
        |a| part(a, TemporalUnit::TimeMicros, "time, which is written as '12:30:00'"),
    )
    .strict(),
    Function::new(
        "local_timestamp",
        Style::Global,
        &[STRING.or(Kinds::DATE).or(Kinds::TIMESTAMP).or(Kinds::LOCAL_TIMESTAMP)],
        |_| Ok(Shape::Temporal(TemporalUnit::LocalTimestampMicros)),
        |a| {
            let unit = TemporalUnit::LocalTimestampMicros;
            part(a, unit, "local_timestamp, which is written as '2026-01-31T12:00:00'")
        },
    )
    .strict(),
    Function::new("micros", Style::Global, &[TIME], |_| Ok(Shape::Int), |a| whole(a, 1_000)),
    Function::new("nanos", Style::Global, &[TIME], |_| Ok(Shape::Int), |a| whole(a, 1)),
];

const TIME: Kinds = Kinds::TIMESTAMP.or(Kinds::DURATION).or(Kinds::TIME).or(Kinds::LOCAL_TIMESTAMP);

fn decimal(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let value = arguments.first().ok_or_else(|| unexpected(None))?;
    let number = match value.as_ref() {
        Value::Decimal(number) => Some(*number),
        Value::Int(number) => Decimal::whole(i128::from(*number)),
        Value::UInt(number) => Decimal::whole(i128::from(*number)),
        Value::String(text) => Decimal::parse(text),
        _ => None,
    };
    let number =
        number.ok_or_else(|| refused(value, "decimal, which is written as '-12.50' with at most 38 digits"))?;
    if arguments.len() < 2 {
        return Ok(Value::Decimal(number));
    }
    let scale = u32::try_from(count(arguments, 1, 0)?).unwrap_or(u32::MAX);
    number.round(scale).map(Value::Decimal).ok_or(Reason::DecimalOverflow("decimal"))
}

/// Nanoseconds since 1970, since midnight, or of a span.
fn nanos(value: &Value) -> Option<i128> {
    match value {
        Value::Timestamp(millis) | Value::Duration(millis) => Some(i128::from(*millis) * 1_000_000),
        Value::Temporal(time) => Some(time.nanos()),
        _ => None,
    }
}

/// The part of a time that a unit tells: the day of a timestamp, or its time of day. In UTC, unless it is in no zone.
fn part(arguments: Arguments<'_, '_>, unit: TemporalUnit, target: &'static str) -> Result<Value, Reason> {
    let value = arguments.first().ok_or_else(|| unexpected(None))?;
    let day = TemporalUnit::Date.nanos();
    let time = match (value.as_ref(), unit.kind()) {
        (Value::String(text), _) => Temporal::parse(unit, text),
        (value, TemporalKind::Time) => nanos(value).and_then(|nanos| Temporal::of_nanos(unit, nanos.rem_euclid(day))),
        (value, _) => nanos(value).and_then(|nanos| Temporal::of_nanos(unit, nanos)),
    };
    time.map(Value::Temporal).ok_or_else(|| refused(value, target))
}

/// How many whole units of so many nanoseconds.
fn whole(arguments: Arguments<'_, '_>, unit: i128) -> Result<Value, Reason> {
    let value = arguments.first().ok_or_else(|| unexpected(None))?;
    let count = nanos(value).and_then(|nanos| i64::try_from(nanos.div_euclid(unit)).ok());
    count.map(Value::Int).ok_or(Reason::Overflow(if unit == 1 { "nanos" } else { "micros" }))
}
