//! The lines that `signalstream drive` reads and writes.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::time::{Timestamp, parse_duration};

/// A record to be fed in, as it stands on a line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRecord {
    /// The topic it arrives on.
    pub topic: String,
    /// The partition; without it, the one that the key goes to.
    #[serde(default)]
    pub partition: Option<i32>,
    /// The key as JSON; null is the null key.
    #[serde(default)]
    pub key: Json,
    /// The value as JSON; null is a tombstone.
    #[serde(default)]
    pub value: Json,
    /// Bytes of the value in base64, instead of `value`: to feed in what no serializer would write.
    #[serde(default)]
    pub value_base64: Option<String>,
    /// Milliseconds since the epoch; without it, the driver's wall clock.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    /// Headers: name to text.
    #[serde(default)]
    pub headers: Map<String, Json>,
}

/// A line of input.
#[allow(clippy::large_enum_variant, reason = "nearly every line is a record, and one is held at a time")]
#[derive(Clone, Debug, PartialEq)]
pub enum InputLine {
    /// A record arrives.
    Record(InputRecord),
    /// The wall clock moves forward.
    AdvanceWallClock(Duration),
}

/// Why a line was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_wall_clock: String,
}

/// Reads one line; blank lines and lines that start with `#` hold nothing.
pub fn parse_line(line: &str) -> Result<Option<InputLine>, LineError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let json: Json = serde_json::from_str(line).map_err(|error| LineError(format!("this is not JSON: {error}")))?;
    if json.get("advance_wall_clock").is_some() {
        let advance: Advance = serde_json::from_value(json).map_err(|error| LineError(error.to_string()))?;
        let millis = parse_duration(&advance.advance_wall_clock).map_err(LineError)?;
        return Ok(Some(InputLine::AdvanceWallClock(Duration::from_millis(millis.unsigned_abs()))));
    }
    let record: InputRecord = serde_json::from_value(json).map_err(|error| {
        LineError(format!(
            "{error}; a line is {{\"topic\", \"partition\"?, \"key\", \"value\", \"timestamp\", \"headers\"?}} or \
             {{\"advance_wall_clock\": \"10s\"}}"
        ))
    })?;
    if record.partition.is_some_and(|partition| !(0..10_000).contains(&partition)) {
        return Err(LineError("`partition` must lie between 0 and 9999".to_owned()));
    }
    Ok(Some(InputLine::Record(record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_record_or_a_step_of_the_clock() {
        let line = r#"{"topic":"t","key":"k","value":{"n":1},"timestamp":5,"headers":{"h":"x"}}"#;
        let Ok(Some(InputLine::Record(record))) = parse_line(line) else { panic!("a record") };
        assert_eq!((record.topic.as_str(), record.timestamp), ("t", Some(5)));
        let clock = parse_line(r#"{"advance_wall_clock":"10s"}"#);
        assert_eq!(clock, Ok(Some(InputLine::AdvanceWallClock(Duration::from_secs(10)))));
        assert_eq!(parse_line("  "), Ok(None));
    }

    #[test]
    fn broken_lines_are_refused_with_what_is_expected() {
        for line in ["{", "[]", r#"{"key":1}"#, r#"{"topic":"t","surprise":1}"#, r#"{"topic":"t","partition":-1}"#] {
            assert!(parse_line(line).is_err(), "{line}");
        }
        assert!(parse_line(r#"{"advance_wall_clock":"soon"}"#).is_err());
    }
}
