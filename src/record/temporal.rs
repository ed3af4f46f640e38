//! Dates, times of day and finer timestamps, each in the unit in which it was written, so that nothing is lost on the
//! way from a record to the next.

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::fmt::temporal::Pieces;

/// What a [`Temporal`] counts, and from when. The names are those of Avro's logical types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemporalUnit {
    /// Days since 1970.
    Date,
    /// Milliseconds since midnight.
    TimeMillis,
    /// Microseconds since midnight.
    TimeMicros,
    /// Microseconds since 1970 in UTC.
    TimestampMicros,
    /// Nanoseconds since 1970 in UTC.
    TimestampNanos,
    /// Milliseconds since 1970 in a time zone that nothing is said of.
    LocalTimestampMillis,
    /// Microseconds since 1970 in a time zone that nothing is said of.
    LocalTimestampMicros,
    /// Nanoseconds since 1970 in a time zone that nothing is said of.
    LocalTimestampNanos,
}

/// What sort of time a unit is one of; only times of one sort can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemporalKind {
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A moment, as [`Value::Timestamp`](super::Value::Timestamp) is one.
    Timestamp,
    /// Day and time of day in no time zone.
    LocalTimestamp,
}

impl TemporalKind {
    /// The name of its type in expressions.
    pub fn name(self) -> &'static str {
        match self {
            TemporalKind::Date => "date",
            TemporalKind::Time => "time",
            TemporalKind::Timestamp => "timestamp",
            TemporalKind::LocalTimestamp => "local_timestamp",
        }
    }
}

impl TemporalUnit {
    /// All there are. The position of one is its number in stored values.
    pub const ALL: [TemporalUnit; 8] = [
        TemporalUnit::Date,
        TemporalUnit::TimeMillis,
        TemporalUnit::TimeMicros,
        TemporalUnit::TimestampMicros,
        TemporalUnit::TimestampNanos,
        TemporalUnit::LocalTimestampMillis,
        TemporalUnit::LocalTimestampMicros,
        TemporalUnit::LocalTimestampNanos,
    ];

    /// The name of Avro's logical type.
    pub fn name(self) -> &'static str {
        match self {
            TemporalUnit::Date => "date",
            TemporalUnit::TimeMillis => "time-millis",
            TemporalUnit::TimeMicros => "time-micros",
            TemporalUnit::TimestampMicros => "timestamp-micros",
            TemporalUnit::TimestampNanos => "timestamp-nanos",
            TemporalUnit::LocalTimestampMillis => "local-timestamp-millis",
            TemporalUnit::LocalTimestampMicros => "local-timestamp-micros",
            TemporalUnit::LocalTimestampNanos => "local-timestamp-nanos",
        }
    }

    /// What sort of time it is.
    pub fn kind(self) -> TemporalKind {
        match self {
            TemporalUnit::Date => TemporalKind::Date,
            TemporalUnit::TimeMillis | TemporalUnit::TimeMicros => TemporalKind::Time,
            TemporalUnit::TimestampMicros | TemporalUnit::TimestampNanos => TemporalKind::Timestamp,
            TemporalUnit::LocalTimestampMillis
            | TemporalUnit::LocalTimestampMicros
            | TemporalUnit::LocalTimestampNanos => TemporalKind::LocalTimestamp,
        }
    }

    /// Whether counts of it have 32 bits.
    pub fn is_int(self) -> bool {
        matches!(self, TemporalUnit::Date | TemporalUnit::TimeMillis)
    }

    /// The nanoseconds of one.
    pub fn nanos(self) -> i128 {
        match self {
            TemporalUnit::Date => 86_400_000_000_000,
            TemporalUnit::TimeMillis | TemporalUnit::LocalTimestampMillis => 1_000_000,
            TemporalUnit::TimeMicros | TemporalUnit::TimestampMicros | TemporalUnit::LocalTimestampMicros => 1_000,
            TemporalUnit::TimestampNanos | TemporalUnit::LocalTimestampNanos => 1,
        }
    }
}

/// A time: so many of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Temporal {
    /// What is counted.
    pub unit: TemporalUnit,
    /// How many.
    pub count: i64,
}

/// The beginning of the time that is counted.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl Temporal {
    /// Puts a count and its unit together.
    pub fn new(unit: TemporalUnit, count: i64) -> Self {
        Temporal { unit, count }
    }

    /// So many nanoseconds in a unit; what is finer is cut off. `None` where it does not fit.
    pub fn of_nanos(unit: TemporalUnit, nanos: i128) -> Option<Self> {
        let count = i64::try_from(nanos.div_euclid(unit.nanos())).ok()?;
        let fits = !unit.is_int() || i32::try_from(count).is_ok();
        fits.then_some(Temporal { unit, count })
    }

    /// Nanoseconds since 1970 or midnight.
    pub fn nanos(self) -> i128 {
        i128::from(self.count) * self.unit.nanos()
    }

    /// Milliseconds since 1970 or midnight; what is finer is cut off. `None` where they do not fit.
    pub fn millis(self) -> Option<i64> {
        i64::try_from(self.nanos().div_euclid(1_000_000)).ok()
    }

    /// The same time in another unit of its sort, where that is fine enough and it fits.
    pub fn in_unit(self, unit: TemporalUnit) -> Option<Self> {
        let exact = self.unit.kind() == unit.kind() && self.nanos() % unit.nanos() == 0;
        exact.then(|| Temporal::of_nanos(unit, self.nanos())).flatten()
    }

    /// Date and time of day in the calendar from the year 1 to 9999; of a time of day those of its first day.
    pub fn civil(self) -> Option<DateTime> {
        civil(self.nanos())
    }

    /// The order of two times; `None` where they are not of one sort.
    pub fn order(self, other: Self) -> Option<Ordering> {
        (self.unit.kind() == other.unit.kind()).then(|| self.nanos().cmp(&other.nanos()))
    }

    /// As people write it: `2026-01-31`, `12:30:00.5`, `2026-01-31T12:30:00Z`, without the `Z` where it is in no zone.
    /// `None` outside the years 1 to 9999, and the day.
    pub fn text(self) -> Option<String> {
        let time = self.civil()?;
        Some(match self.unit.kind() {
            TemporalKind::Date => time.date().to_string(),
            TemporalKind::Time if (0..86_400_000_000_000).contains(&self.nanos()) => time.time().to_string(),
            TemporalKind::Time => return None,
            TemporalKind::Timestamp => format!("{time}Z"),
            TemporalKind::LocalTimestamp => time.to_string(),
        })
    }

    /// Reads what [`Temporal::text`] writes; a timestamp at any distance from UTC. What is finer than the unit is cut off.
    pub fn parse(unit: TemporalUnit, text: &str) -> Option<Self> {
        let nanos = match unit.kind() {
            TemporalKind::Date => since_epoch(text.parse::<Date>().ok().filter(|_| text.len() == 10)?.at(0, 0, 0, 0)),
            TemporalKind::Time => {
                let starts_right = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(':');
                let time = text.parse::<Time>().ok().filter(|_| starts_right)?;
                since_epoch(EPOCH.date().to_datetime(time))
            }
            TemporalKind::Timestamp => parse_moment(text)?,
            TemporalKind::LocalTimestamp => {
                let pieces = Pieces::parse(text).ok()?;
                if pieces.to_numeric_offset().is_some() || pieces.time_zone_annotation().is_some() {
                    return None;
                }
                since_epoch(pieces.date().to_datetime(pieces.time()?))
            }
        };
        Temporal::of_nanos(unit, nanos)
    }
}

/// Date and time of day so many nanoseconds after 1970; `None` outside the years 1 to 9999.
pub fn civil(nanos: i128) -> Option<DateTime> {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let rest = i32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    EPOCH.checked_add(SignedDuration::new(seconds, rest)).ok().filter(|time| (1..=9999).contains(&time.year()))
}

/// Reads RFC 3339: a date, a time and how far it is from UTC, as nanoseconds since 1970.
pub fn parse_moment(text: &str) -> Option<i128> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let offset = pieces.to_numeric_offset()?;
    let local = since_epoch(pieces.date().to_datetime(pieces.time()?));
    Some(local - i128::from(offset.seconds()) * 1_000_000_000)
}

fn since_epoch(time: DateTime) -> i128 {
    time.duration_since(EPOCH).as_nanos()
}

impl fmt::Display for Temporal {
    /// As [`Temporal::text`]; the count where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (unit, text) in [
            (TemporalUnit::Date, "2026-01-31"),
            (TemporalUnit::Date, "0001-01-01"),
            (TemporalUnit::TimeMillis, "12:30:00.5"),
            (TemporalUnit::TimeMicros, "23:59:59.999999"),
            (TemporalUnit::TimestampMicros, "1969-12-31T23:59:59.999999Z"),
            (TemporalUnit::TimestampNanos, "2026-01-31T12:30:00.123456789Z"),
            (TemporalUnit::LocalTimestampMillis, "9999-12-31T23:59:59.999"),
        ] {
            let read = Temporal::parse(unit, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.text().as_deref(), Some(text));
        }
        let offset = Temporal::parse(TemporalUnit::TimestampMicros, "1970-01-01T01:00:00.000001+01:00");
        assert_eq!(offset, Some(Temporal::new(TemporalUnit::TimestampMicros, 1)));
    }

    #[test]
    fn what_is_no_such_time_is_refused() {
        for (unit, text) in [
            (TemporalUnit::Date, "2026-02-30"),
            (TemporalUnit::Date, "2026-01-31T00:00:00"),
            (TemporalUnit::TimeMillis, "25:00"),
            (TemporalUnit::TimeMillis, "2026-01-31"),
            (TemporalUnit::TimestampMicros, "2026-01-31T12:30:00"),
            (TemporalUnit::LocalTimestampMicros, "2026-01-31T12:30:00Z"),
            (TemporalUnit::TimestampNanos, "9999-01-31T12:30:00Z"),
        ] {
            assert_eq!(Temporal::parse(unit, text), None, "{text}");
        }
        assert_eq!(Temporal::new(TemporalUnit::TimestampMicros, i64::MAX).text(), None);
        assert_eq!(Temporal::new(TemporalUnit::TimeMillis, -1).to_string(), "-1");
    }

    #[test]
    fn a_time_goes_to_a_finer_unit_and_not_to_one_that_loses_of_it() {
        let micros = Temporal::new(TemporalUnit::TimestampMicros, -1);
        assert_eq!(micros.in_unit(TemporalUnit::TimestampNanos).map(|time| time.count), Some(-1_000));
        assert_eq!(micros.millis(), Some(-1));
        let local = Temporal::new(TemporalUnit::LocalTimestampMicros, 1_500);
        assert_eq!(local.in_unit(TemporalUnit::LocalTimestampMillis), None);
        assert_eq!(local.in_unit(TemporalUnit::TimestampMicros), None);
        let far = Temporal::new(TemporalUnit::TimestampMicros, i64::MAX);
        assert_eq!(far.in_unit(TemporalUnit::TimestampNanos), None);
        assert_eq!(far.order(micros), Some(Ordering::Greater));
    }
}
