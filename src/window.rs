//! Window arithmetic, pure: which windows a timestamp falls into, and when a window is over.
//!
//! The rules are those of Kafka Streams. Tumbling and hopping windows (`TimeWindows`) are aligned to the epoch,
//! include their start and exclude their end. Sliding windows and sessions lie where records lie, and
//! include both their ends. The unlimited window has no end.

use crate::time::Timestamp;

/// A span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First millisecond of the window.
    pub start: Timestamp,
    /// Of tumbling, hopping and unlimited windows the first millisecond after the window; of sliding windows and sessions
    /// their last one.
    pub end: Timestamp,
}

/// How records are grouped by their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Tumbling or hopping.
    Time(TimeWindows),
    /// Around each record.
    Sliding(SlidingWindows),
    /// Of records that follow each other closely.
    Session(SessionWindows),
    /// One window for all records from its start on.
    Unlimited(UnlimitedWindow),
}

impl Windows {
    /// How long rows are kept if nothing else is said, which is also the least; `None`: for ever. In milliseconds of
    /// stream time, after the start of a window, or after the end of a session.
    pub fn least_retention(&self) -> Option<i64> {
        match self {
            Windows::Time(windows) => Some(windows.size.saturating_add(windows.grace)),
            Windows::Sliding(windows) => Some(windows.difference.saturating_mul(2).saturating_add(windows.grace)),
            Windows::Session(windows) => Some(windows.gap.saturating_add(windows.grace)),
            Windows::Unlimited(_) => None,
        }
    }

    /// How long after the end of a window it is over; `None`: it has no end.
    pub fn closes_after(&self) -> Option<i64> {
        match self {
            Windows::Time(windows) => Some(windows.grace),
            Windows::Sliding(windows) => Some(windows.grace),
            Windows::Session(windows) => Some(windows.gap.saturating_add(windows.grace)),
            Windows::Unlimited(_) => None,
        }
    }
}

/// Windows of one length around every record: the one that ends with it, and the one that begins right after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    difference: i64,
    grace: i64,
}

impl SlidingWindows {
    /// Windows of records that are at most `difference` apart. Both arguments are milliseconds.
    pub fn new(difference: i64, grace: i64) -> Result<Self, WindowError> {
        if difference < 0 {
            return Err(WindowError::Difference);
        }
        if grace < 0 {
            return Err(WindowError::Grace);
        }
        Ok(SlidingWindows { difference, grace })
    }

    /// How far apart the records of a window are at most, in milliseconds.
    pub fn difference(&self) -> i64 {
        self.difference
    }

    /// How long after its end a window still takes late records, in milliseconds.
    pub fn grace(&self) -> i64 {
        self.grace
    }

    /// The window that starts at `start`.
    pub fn window(&self, start: Timestamp) -> Window {
        Window { start, end: start.saturating_add(self.difference) }
    }

    /// The first start of a window that still takes records.
    pub fn first_open(&self, stream_time: Timestamp) -> Timestamp {
        stream_time.saturating_sub(self.grace).saturating_sub(self.difference).max(0)
    }
}

/// Sessions: records of one key without a longer pause between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    gap: i64,
    grace: i64,
}

impl SessionWindows {
    /// Sessions that a pause of more than `gap` ends. Both arguments are milliseconds.
    pub fn new(gap: i64, grace: i64) -> Result<Self, WindowError> {
        if gap <= 0 {
            return Err(WindowError::Gap);
        }
        if grace < 0 {
            return Err(WindowError::Grace);
        }
        Ok(SessionWindows { gap, grace })
    }

    /// The longest pause within a session, in milliseconds.
    pub fn gap(&self) -> i64 {
        self.gap
    }

    /// How long after it would have ended a session still takes late records, in milliseconds.
    pub fn grace(&self) -> i64 {
        self.grace
    }

    /// The first end of a session that is not over.
    pub fn first_open(&self, stream_time: Timestamp) -> Timestamp {
        stream_time.saturating_sub(self.grace).saturating_sub(self.gap).max(0)
    }
}

/// One window that begins at a time and never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnlimitedWindow {
    start: Timestamp,
}

impl UnlimitedWindow {
    /// The window of all records from `start` on, in milliseconds since the epoch.
    pub fn new(start: Timestamp) -> Result<Self, WindowError> {
        if start < 0 { Err(WindowError::Start) } else { Ok(UnlimitedWindow { start }) }
    }

    /// The window.
    pub fn window(&self) -> Window {
        Window { start: self.start, end: Timestamp::MAX }
    }
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
    /// The time difference of sliding windows was negative.
    #[error("the time difference of sliding windows cannot be negative")]
    Difference,
    /// The gap was zero or negative.
    #[error("the pause that ends a session must be longer than zero")]
    Gap,
    /// The unlimited window began before the epoch.
    #[error("a window cannot start before 1970")]
    Start,
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
    use proptest::prelude::*;

    use super::*;
    use crate::time::MAX_TIMESTAMP;

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
    fn sliding_windows_and_sessions_are_open_to_their_last_millisecond() {
        let sliding = SlidingWindows::new(10, 5).unwrap();
        assert_eq!(sliding.window(3), Window { start: 3, end: 13 });
        // [3, 13] is over when 13 < stream time - 5.
        assert_eq!((sliding.first_open(18), sliding.first_open(19)), (3, 4));
        let sessions = SessionWindows::new(10, 5).unwrap();
        assert_eq!((sessions.first_open(14), sessions.first_open(15), sessions.first_open(16)), (0, 0, 1));
    }

    #[test]
    fn what_is_kept_covers_what_a_late_record_may_need() {
        let least = |windows: Windows| windows.least_retention();
        assert_eq!(least(Windows::Time(TimeWindows::tumbling(10, 5).unwrap())), Some(15));
        assert_eq!(least(Windows::Sliding(SlidingWindows::new(10, 5).unwrap())), Some(25));
        assert_eq!(least(Windows::Session(SessionWindows::new(10, 5).unwrap())), Some(15));
        assert_eq!(least(Windows::Unlimited(UnlimitedWindow::new(0).unwrap())), None);
    }

    /// The windows that cover a timestamp, by looking at each that starts up to it.
    fn by_definition(windows: TimeWindows, timestamp: Timestamp) -> Vec<Window> {
        let all = (0..).map(|n| n * windows.advance()).take_while(|start| *start <= timestamp);
        all.map(|start| Window { start, end: start + windows.size() }).filter(|window| timestamp < window.end).collect()
    }

    fn definition() -> impl Strategy<Value = TimeWindows> {
        (1_i64..60, 1_i64..60, 0_i64..20)
            .prop_map(|(a, b, grace)| TimeWindows::hopping(a.max(b), a.min(b), grace).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn a_record_is_in_the_windows_that_cover_it_and_no_others(windows in definition(), timestamp in 0_i64..400) {
            let found: Vec<Window> = windows.windows_for(timestamp).collect();
            prop_assert_eq!(&found, &by_definition(windows, timestamp));
            // Away from the epoch, where windows would start before it, they are as many as fit or one more.
            if timestamp >= windows.size() {
                let fit = usize::try_from(windows.size() / windows.advance()).unwrap();
                let even = windows.size() % windows.advance() == 0;
                prop_assert!(found.len() == fit || !even && found.len() == fit + 1, "{} of {}", found.len(), fit);
            }
        }

        #[test]
        fn a_window_is_never_over_for_the_newest_record(
            windows in definition(),
            timestamp in 0_i64..400,
            ahead in 0_i64..100,
        ) {
            let now = timestamp + ahead;
            for window in windows.windows_for(timestamp) {
                prop_assert_eq!(windows.is_expired(window, now), now - windows.grace() >= window.end);
                // No record of stream time itself is late.
                prop_assert!(!windows.is_expired(window, timestamp));
            }
        }

        #[test]
        fn what_is_open_is_kept_and_what_is_over_never_opens_again(
            difference in 0_i64..50,
            grace in 0_i64..50,
            now in 0_i64..400,
            later in 0_i64..100,
        ) {
            let sliding = SlidingWindows::new(difference, grace).unwrap();
            let session = SessionWindows::new(difference + 1, grace).unwrap();
            for start in 0..=now {
                let open = sliding.window(start).end >= now - grace;
                prop_assert_eq!(start >= sliding.first_open(now), open, "a window from {}", start);
                let open = start + session.gap() + grace >= now;
                prop_assert_eq!(start >= session.first_open(now), open, "a session up to {}", start);
            }
            prop_assert!(sliding.first_open(now) <= sliding.first_open(now + later));
            prop_assert!(session.first_open(now) <= session.first_open(now + later));
        }

        #[test]
        fn the_ends_of_time_break_nothing(size: i64, advance: i64, grace: i64, timestamp in 0..=MAX_TIMESTAMP) {
            if let Ok(windows) = TimeWindows::hopping(size, advance, grace) {
                let found: Vec<Window> = windows.windows_for(timestamp).take(20_000).collect();
                prop_assert!(found.len() <= usize::try_from(MAX_WINDOWS_PER_RECORD).unwrap() + 1);
                prop_assert!(found.iter().all(|window| window.start <= timestamp && timestamp < window.end));
                let retention = Windows::Time(windows).least_retention();
                prop_assert!(retention.is_some_and(|retention| retention >= size));
            }
            if let Ok(windows) = SlidingWindows::new(size, grace) {
                prop_assert!(windows.first_open(timestamp) >= 0 && windows.window(timestamp).end >= timestamp);
            }
            if let Ok(windows) = SessionWindows::new(size, grace) {
                prop_assert!((0..=timestamp).contains(&windows.first_open(timestamp)));
            }
        }
    }

    #[test]
    fn definitions_that_make_no_sense_are_refused() {
        assert_eq!(SlidingWindows::new(-1, 0), Err(WindowError::Difference));
        assert_eq!(SlidingWindows::new(1, -1), Err(WindowError::Grace));
        assert_eq!(SessionWindows::new(0, 0), Err(WindowError::Gap));
        assert_eq!(SessionWindows::new(1, -1), Err(WindowError::Grace));
        assert_eq!(UnlimitedWindow::new(-1), Err(WindowError::Start));
        assert_eq!(TimeWindows::tumbling(0, 0), Err(WindowError::Size));
        assert_eq!(TimeWindows::hopping(10, 11, 0), Err(WindowError::Advance));
        assert_eq!(TimeWindows::hopping(10, 0, 0), Err(WindowError::Advance));
        assert_eq!(TimeWindows::tumbling(10, -1), Err(WindowError::Grace));
        assert_eq!(TimeWindows::hopping(100_000_000, 1, 0), Err(WindowError::TooMany(100_000_000)));
    }
}
