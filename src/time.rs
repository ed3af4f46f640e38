//! The only clock of the engine, the units of time it uses, and durations as people write them.
//!
//! Everything that processes records takes the time from a [`Clock`] that it is handed, so that a test,
//! the driver and the simulator decide what time it is (invariant I7).

#![expect(clippy::disallowed_methods, reason = "the one place that reads the clock and sleeps")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, as in Kafka's record timestamps.
pub type Timestamp = i64;

/// The highest timestamp that a record may carry: 9999-12-31T23:59:59.999Z.
pub const MAX_TIMESTAMP: Timestamp = 253_402_300_799_999;

/// The highest timestamp seen so far; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTime(Option<Timestamp>);

impl StreamTime {
    /// Before the first record.
    pub const UNKNOWN: StreamTime = StreamTime(None);

    /// Stream time as it stood when it was saved.
    pub fn restored(timestamp: Option<Timestamp>) -> Self {
        StreamTime(timestamp)
    }

    /// Takes a record's timestamp into account and returns stream time after it.
    pub fn observe(&mut self, timestamp: Timestamp) -> Timestamp {
        let now = self.0.map_or(timestamp, |seen| seen.max(timestamp));
        self.0 = Some(now);
        now
    }

    /// The highest timestamp seen, or `None` before the first record.
    pub fn get(self) -> Option<Timestamp> {
        self.0
    }
}

/// Where the time of day comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the epoch.
    fn now(&self) -> Timestamp;

    /// A steady reading for measuring durations; it has no relation to the time of day.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] counts from now.
    pub fn new() -> Self {
        SystemClock { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(MAX_TIMESTAMP)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that moves only when told to.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        ManualClock(Arc::new(AtomicI64::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let now = self.0.load(Ordering::SeqCst);
        self.0.store(now.saturating_add(millis), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now().try_into().unwrap_or(0))
    }
}

/// Pauses the calling thread; the only place that may, and never while there is work (invariant I8).
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Reads a duration as people write it in a topology: `500ms`, `30s`, `5m`, `1h`, `7d`, or several
/// of these together (`1h30m`). The result is in milliseconds and is never negative.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let expected =
        || format!("`{text}` is not a duration; write a number and a unit, such as 500ms, 30s, 5m, 1h30m or 7d");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(expected());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
        let number: i64 = rest[..digits].parse().map_err(|_| expected())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit: i64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(expected()),
        };
        rest = &rest[letters..];
        total = number
            .checked_mul(unit)
            .and_then(|millis| total.checked_add(millis))
            .ok_or_else(|| format!("`{text}` is longer than the engine can count"))?;
    }
    Ok(total)
}

/// Writes a duration in milliseconds the way [`parse_duration`] reads it.
pub fn format_duration(mut millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Ok(millis));
            assert_eq!(format_duration(millis), text);
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "5", "m", "-5m", "5 m", "5y", "1.5h", "99999999999999999999d", "9999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stream_time_never_goes_back() {
        let mut time = StreamTime::UNKNOWN;
        assert_eq!(time.observe(5), 5);
        assert_eq!(time.observe(3), 5);
        assert_eq!(time.get(), Some(5));
    }
}
