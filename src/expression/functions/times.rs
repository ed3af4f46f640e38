//! Parts of timestamps and durations, and how both are written.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date as day};
use jiff::tz::Offset;

use super::{Arguments, Function, Kinds, Style, text, unexpected};
use crate::expression::error::Reason;
use crate::record::{Shape, TemporalKind, Value, parse_moment};

/// What has a date.
const TIMESTAMP: Kinds = Kinds::TIMESTAMP.or(Kinds::DATE).or(Kinds::LOCAL_TIMESTAMP);
/// What has a time of day, and spans of time.
const EITHER: Kinds = Kinds::TIMESTAMP.or(Kinds::DURATION).or(Kinds::TIME).or(Kinds::LOCAL_TIMESTAMP);
const ZONE: Kinds = Kinds::STRING;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("getFullYear", Style::Method, &[TIMESTAMP, ZONE], int, |a| date(a, |t| i64::from(t.year())))
        .requiring(1)
        .strict(),
    Function::new("getMonth", Style::Method, &[TIMESTAMP, ZONE], int, |a| date(a, |t| i64::from(t.month()) - 1))
        .requiring(1)
        .strict(),
    Function::new("getDate", Style::Method, &[TIMESTAMP, ZONE], int, |a| date(a, |t| i64::from(t.day())))
        .requiring(1)
        .strict(),
    Function::new("getDayOfMonth", Style::Method, &[TIMESTAMP, ZONE], int, |a| date(a, |t| i64::from(t.day()) - 1))
        .requiring(1)
        .strict(),
    Function::new("getDayOfWeek", Style::Method, &[TIMESTAMP, ZONE], int, |a| {
        date(a, |t| i64::from(t.weekday().to_sunday_zero_offset()))
    })
    .requiring(1)
    .strict(),
    Function::new("getDayOfYear", Style::Method, &[TIMESTAMP, ZONE], int, |a| {
        date(a, |t| i64::from(t.day_of_year()) - 1)
    })
    .requiring(1)
    .strict(),
    Function::new("getHours", Style::Method, &[EITHER, ZONE], int, |a| part(a, 3_600_000, |t| i64::from(t.hour())))
        .requiring(1)
        .strict(),
    Function::new("getMinutes", Style::Method, &[EITHER, ZONE], int, |a| part(a, 60_000, |t| i64::from(t.minute())))
        .requiring(1)
        .strict(),
    Function::new("getSeconds", Style::Method, &[EITHER, ZONE], int, |a| part(a, 1_000, |t| i64::from(t.second())))
        .requiring(1)
        .strict(),
    Function::new("getMilliseconds", Style::Method, &[EITHER, ZONE], int, milliseconds).requiring(1).strict(),
];

fn int(arguments: &[Shape]) -> Result<Shape, String> {
    match arguments {
        [first, _] => match first.required() {
            Shape::Duration => Err("a duration is in no time zone".to_owned()),
            Shape::Temporal(unit) if unit.kind() != TemporalKind::Timestamp => {
                Err(format!("a {} is in no time zone", unit.kind().name()))
            }
            _ => Ok(Shape::Int),
        },
        _ => Ok(Shape::Int),
    }
}

/// The beginning of the time that timestamps count. Not jiff's own timestamps: they end a day before the year 9999 does.
const EPOCH: DateTime = day(1970, 1, 1).at(0, 0, 0, 0);

/// The date and time of a timestamp in a zone; `None` outside jiff's calendar.
fn civil(millis: i64, zone: Offset) -> Option<DateTime> {
    let local = millis.checked_add(i64::from(zone.seconds()) * 1_000)?;
    EPOCH.checked_add(SignedDuration::from_millis(local)).ok()
}

/// The zone that an accessor was given; UTC without one.
fn zone_of(arguments: Arguments<'_, '_>) -> Result<Offset, Reason> {
    if arguments.len() < 2 {
        return Ok(Offset::UTC);
    }
    let name = text(arguments, 1)?;
    zone(name).ok_or_else(|| Reason::Argument(format!("`{name}` is not a time zone known here; {ZONES}")))
}

/// The time zones there are, for messages.
pub(in crate::expression) const ZONES: &str = "write `UTC` or the hours and minutes east of it, such as `+05:30`";

/// A time zone: UTC, or hours and minutes from it. Not those with names, so that a result does not depend on a machine's
/// or a version's knowledge of the laws of countries.
pub(in crate::expression) fn zone(name: &str) -> Option<Offset> {
    if matches!(name, "UTC" | "Z") {
        return Some(Offset::UTC);
    }
    let (sign, time) = match name.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => (1, name),
    };
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str, limit: i32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &i32| digits && *number < limit)
    };
    Offset::from_seconds(sign * (number(hours, 24)? * 3_600 + number(minutes, 60)? * 60)).ok()
}

/// A part of the date and time.
fn date(arguments: Arguments<'_, '_>, part: fn(DateTime) -> i64) -> Result<Value, Reason> {
    let zone = zone_of(arguments)?;
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Timestamp(millis)) => {
            let outside = || Reason::Argument(format!("{millis} ms lies outside the calendar"));
            civil(*millis, zone).map(part).map(Value::Int).ok_or_else(outside)
        }
        Some(Value::Temporal(time)) => {
            let outside = || Reason::Argument(format!("{} {} lies outside the calendar", time.count, time.unit.name()));
            let shifted = match time.unit.kind() {
                TemporalKind::Timestamp => i128::from(zone.seconds()) * 1_000_000_000,
                _ => 0,
            };
            crate::record::civil(time.nanos() + shifted).map(part).map(Value::Int).ok_or_else(outside)
        }
        _ => Err(unexpected(arguments.first())),
    }
}

/// A part of the time of day, or a whole duration in units of so many milliseconds, as CEL defines it.
fn part(arguments: Arguments<'_, '_>, unit: i64, of: fn(DateTime) -> i64) -> Result<Value, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Duration(millis)) if arguments.len() == 1 => Ok(Value::Int(millis / unit)),
        _ => date(arguments, of),
    }
}

fn milliseconds(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Duration(millis)) if arguments.len() == 1 => Ok(Value::Int(millis % 1_000)),
        _ => date(arguments, |time| i64::from(time.millisecond())),
    }
}

/// RFC 3339 with milliseconds where there are any: `2026-01-31T12:00:00Z`.
pub(super) fn format_timestamp(millis: i64) -> Option<String> {
    civil(millis, Offset::UTC).filter(|time| (1..=9999).contains(&time.year())).map(|time| format!("{time}Z"))
}

/// Reads RFC 3339: a date, a time and how far it is from UTC. What is finer than a millisecond is cut off.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    i64::try_from(parse_moment(text)?.div_euclid(1_000_000)).ok()
}

/// In seconds, as CEL writes durations: `5400s`, `1.5s`.
pub(super) fn format_duration(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let magnitude = millis.unsigned_abs();
    let (seconds, rest) = (magnitude / 1_000, magnitude % 1_000);
    if rest == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{rest:03}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// Reads `1h30m`, `-1.5s`, `250ms`; also days (`7d`), which CEL lacks. What is finer than a millisecond is
/// cut off.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let size: i128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(number, size)?)?;
        rest = next;
    }
    let millis = i64::try_from(nanos / 1_000_000).ok()?;
    Some(if negative { -millis } else { millis })
}

/// A decimal number times `size`, exactly, as far as whole nanoseconds go.
fn scaled(number: &str, size: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: String = fraction.chars().take(15).collect();
    let denominator = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let numerator: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    whole.checked_mul(size)?.checked_add(numerator.checked_mul(size)? / denominator)
}
