//! Window arithmetic, pure: which windows a timestamp falls into, and when a window is over.
//!
//! The rules are those of Kafka Streams' `TimeWindows`: windows are aligned to the epoch, include
//! their start and exclude their end.

use crate::time::Timestamp;

/// A span of event time. Tumbling and hopping windows include `start` and exclude `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First millisecond of the window.
    pub start: Timestamp,
    /// First millisecond after the window.
    pub end: Timestamp,
}

/// Windows of one size that start every `advance` milliseconds. `advance == size` makes them tumble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size: i64,
    advance: i64,
    grace: i64,
}

/// The most windows that one record may fall into.
const MAX_WINDOWS_PER_RECORD: i64 = 10_000;

/// Why a window definition was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The size was zero or negative.
    #[error("a window's size must be longer than zero")]
    Size,
    /// The advance was zero, negative or larger than the size.
    #[error(
        "a window's advance must be longer than zero and at most its size; a larger one would leave gaps that no window covers"
    )]
    Advance,
    /// Every record would fall into very many windows.
    #[error("every record would fall into {0} windows; the most is {MAX_WINDOWS_PER_RECORD}: make the advance longer")]
    TooMany(i64),
    /// The grace period was negative.
    #[error("a grace period cannot be negative")]
    Grace,
}

impl TimeWindows {
    /// Windows that follow each other without overlap. All arguments are milliseconds.
    pub fn tumbling(size: i64, grace: i64) -> Result<Self, WindowError> {
        TimeWindows::hopping(size, size, grace)
    }

    /// Windows of `size` that start every `advance`. All arguments are milliseconds.
    pub fn hopping(size: i64, advance: i64, grace: i64) -> Result<Self, WindowError> {
        if size <= 0 {
            return Err(WindowError::Size);
        }
        if advance <= 0 || advance > size {
            return Err(WindowError::Advance);
        }
        if grace < 0 {
            return Err(WindowError::Grace);
        }
        if size / advance > MAX_WINDOWS_PER_RECORD {
            return Err(WindowError::TooMany(size / advance));
        }
        Ok(TimeWindows { size, advance, grace })
    }

    /// Length of a window in milliseconds.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// Milliseconds between the starts of neighbouring windows.
    pub fn advance(&self) -> i64 {
        self.advance
    }

    /// How long after its end a window still takes late records, in milliseconds.
    pub fn grace(&self) -> i64 {
        self.grace
    }

    /// The window that starts at `start`.
    pub fn window(&self, start: Timestamp) -> Window {
        Window { start, end: start.saturating_add(self.size) }
    }

    /// The windows that `timestamp` (not negative) falls into, earliest first.
    pub fn windows_for(&self, timestamp: Timestamp) -> impl Iterator<Item = Window> + use<> {
        let windows = *self;
        let first = (timestamp - self.size + self.advance).max(0) / self.advance * self.advance;
        (0..)
            .map(move |n| first + n * windows.advance)
            .take_while(move |start| *start <= timestamp)
            .map(move |start| windows.window(start))
    }

    /// Whether `window` no longer takes records: its end has passed by more than the grace period.
    pub fn is_expired(&self, window: Window, stream_time: Timestamp) -> bool {
        window.end <= stream_time.saturating_sub(self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(windows: TimeWindows, timestamp: Timestamp) -> Vec<Timestamp> {
        windows.windows_for(timestamp).map(|window| window.start).collect()
    }

    #[test]
    fn a_tumbling_window_includes_its_start_and_excludes_its_end() {
        let windows = TimeWindows::tumbling(10, 0).unwrap();
        assert_eq!(starts(windows, 0), [0]);
        assert_eq!(starts(windows, 9), [0]);
        assert_eq!(starts(windows, 10), [10]);
    }

    #[test]
    fn a_timestamp_falls_into_every_hopping_window_that_covers_it() {
        let windows = TimeWindows::hopping(10, 4, 0).unwrap();
        assert_eq!(starts(windows, 3), [0]);
        assert_eq!(starts(windows, 9), [0, 4, 8]);
        assert_eq!(starts(windows, 12), [4, 8, 12]);
    }

    #[test]
    fn a_window_expires_when_stream_time_reaches_end_plus_grace() {
        let windows = TimeWindows::tumbling(10, 5).unwrap();
        let window = windows.window(0);
        assert!(!windows.is_expired(window, 14));
        assert!(windows.is_expired(window, 15));
    }

    #[test]
    fn definitions_that_make_no_sense_are_refused() {
        assert_eq!(TimeWindows::tumbling(0, 0), Err(WindowError::Size));
        assert_eq!(TimeWindows::hopping(10, 11, 0), Err(WindowError::Advance));
        assert_eq!(TimeWindows::hopping(10, 0, 0), Err(WindowError::Advance));
        assert_eq!(TimeWindows::tumbling(10, -1), Err(WindowError::Grace));
        assert_eq!(TimeWindows::hopping(100_000_000, 1, 0), Err(WindowError::TooMany(100_000_000)));
    }
}
