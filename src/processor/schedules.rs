//! When a processor is to be called, by stream time and by the wall clock.
//!
//! The rules are those of Kafka Streams' `PunctuationQueue` and `PunctuationSchedule`: stream time is aligned to 0 and is
//! first due with the first record; the wall clock is first due an interval from now; of times that were missed only
//! one call is made, and the next keeps to the multiples of the interval.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// How many schedules a processor may have at a time: what they go on from is kept with the committed offsets, for which
/// brokers have little room.
const MOST: usize = 16;

/// How long the name of a schedule may be, in bytes.
const LONGEST_NAME: usize = 40;

/// Before the name of a schedule of the wall clock, where it is kept when it is due.
const WALL_CLOCK: &str = "wall-clock:";

/// What moves a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctuationType {
    /// Stream time: the highest timestamp of the records that the task has taken. It moves with records only.
    StreamTime,
    /// The time of day.
    WallClockTime,
}

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schedule {
    name: String,
    kind: PunctuationType,
    interval: i64,
    due: Timestamp,
    /// Whether `init` made it, so that it is made again after a restart.
    lasting: bool,
}

impl Schedule {
    /// When it is due next, after `time` has come: the first multiple of the interval after it.
    fn after(&self, time: Timestamp) -> Timestamp {
        let passed = time.saturating_sub(self.due).max(0) / self.interval;
        self.due.saturating_add(passed.saturating_add(1).saturating_mul(self.interval))
    }
}

/// What is asked of a schedule, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Its name; one of that name is replaced.
    pub(crate) name: &'a str,
    /// What moves it.
    pub(crate) kind: PunctuationType,
    /// How far apart calls are.
    pub(crate) interval: Duration,
    /// The first call, where it is asked for.
    pub(crate) start: Option<Timestamp>,
}

/// At what moment of a task's life something is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The wall clock.
    pub(crate) wall_clock: Timestamp,
    /// Stream time, once there was a record.
    pub(crate) stream_time: Option<Timestamp>,
    /// Within `init`.
    pub(crate) initialising: bool,
    /// Within `punctuate`.
    pub(crate) punctuating: bool,
}

/// The schedules of a processor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedules {
    list: Vec<Schedule>,
    /// When those of the wall clock were due at the last commit, by name, until `init` is done.
    saved: BTreeMap<String, Timestamp>,
}

impl Schedules {
    /// Adds a schedule, or says why it cannot be.
    pub(crate) fn add(&mut self, asked: Asked<'_>, now: Now) -> Result<(), String> {
        let Asked { name, kind, .. } = asked;
        let interval = i64::try_from(asked.interval.as_millis()).unwrap_or(i64::MAX);
        if interval < 1 {
            return Err(format!("the interval of `{name}` is shorter than a millisecond"));
        }
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(format!("`{name}` cannot be the name of a schedule: give it 1 to {LONGEST_NAME} bytes"));
        }
        if asked.start.is_some_and(|start| start < 0) {
            return Err(format!("`{name}` cannot start before 1970"));
        }
        self.cancel(name);
        if self.list.len() == MOST {
            return Err(format!(
                "`{name}` would be one more than {MOST} schedules: cancel others, or let one do their work"
            ));
        }
        let mut schedule = Schedule { name: name.to_owned(), kind, interval, due: 0, lasting: now.initialising };
        schedule.due = self.first(&schedule, asked.start, now);
        self.list.push(schedule);
        Ok(())
    }

    /// When a new schedule is due first.
    fn first(&self, schedule: &Schedule, start: Option<Timestamp>, now: Now) -> Timestamp {
        let current = match schedule.kind {
            PunctuationType::StreamTime => now.stream_time,
            PunctuationType::WallClockTime => Some(now.wall_clock),
        };
        // What was due while the process was away is so at once. After a clock was set back, what was due in the far future
        // is due as after a start.
        let next = now.wall_clock.saturating_add(schedule.interval);
        let of_wall_clock = now.initialising && schedule.kind == PunctuationType::WallClockTime;
        let saved = self.saved.get(&schedule.name).copied().filter(|saved| of_wall_clock && *saved <= next);
        if let Some(start) = start {
            // Unless other times are asked for by now.
            let kept = saved.filter(|saved| *saved >= start && (saved - start) % schedule.interval == 0);
            let schedule = Schedule { due: start, ..schedule.clone() };
            // A task that goes on from a commit has been called for its stream time already; and one that asks again
            // whenever it is called, from this very moment, would be called for ever.
            let is_over = |current: &Timestamp| match schedule.kind {
                PunctuationType::StreamTime if now.initialising => start <= *current,
                _ if now.punctuating => start <= *current,
                _ => start < *current,
            };
            let first = current.filter(is_over).map_or(start, |current| schedule.after(current));
            return kept.unwrap_or(first);
        }
        match schedule.kind {
            // As above; and one that asks again whenever it is called would be called for ever.
            PunctuationType::StreamTime if now.initialising || now.punctuating => {
                current.map_or(0, |current| schedule.after(current))
            }
            PunctuationType::StreamTime => 0,
            PunctuationType::WallClockTime => saved.unwrap_or(next),
        }
    }

    /// Removes a schedule; whether there was one.
    pub(crate) fn cancel(&mut self, name: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|schedule| schedule.name != name);
        self.list.len() < before
    }

    /// When the first one of a kind is due.
    pub(crate) fn due(&self, kind: PunctuationType) -> Option<Timestamp> {
        self.list.iter().filter(|schedule| schedule.kind == kind).map(|schedule| schedule.due).min()
    }

    /// The name of the one of a kind that is due first, if it is due at `time`. It is then due next after that.
    pub(crate) fn take_due(&mut self, kind: PunctuationType, time: Timestamp) -> Option<String> {
        let due = self.list.iter_mut().filter(|schedule| schedule.kind == kind && schedule.due <= time);
        let schedule = due.min_by_key(|schedule| schedule.due)?;
        schedule.due = schedule.after(time);
        Some(schedule.name.clone())
    }

    /// What is to be known after a restart: when those of the wall clock are due that `init` makes, and until it has, when
    /// they were due at the last commit. Those of stream time follow from it.
    pub(crate) fn progress(&self) -> Vec<(Cow<'static, str>, Timestamp)> {
        let of_wall_clock = |schedule: &&Schedule| schedule.kind == PunctuationType::WallClockTime && schedule.lasting;
        let lasting = self.list.iter().filter(of_wall_clock).map(|schedule| (schedule.name.as_str(), schedule.due));
        let saved = self.saved.iter().map(|(name, due)| (name.as_str(), *due));
        let known: BTreeMap<&str, Timestamp> = saved.chain(lasting).collect();
        known.into_iter().map(|(name, due)| (format!("{WALL_CLOCK}{name}").into(), due)).collect()
    }

    /// Goes on from what was known at the last commit; to be called before `init`.
    pub(crate) fn restore(&mut self, name: &str, due: Timestamp) {
        if let Some(name) = name.strip_prefix(WALL_CLOCK) {
            self.saved.insert(name.to_owned(), due);
        }
    }

    /// `init` has made what it makes.
    pub(crate) fn initialised(&mut self) {
        self.saved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PunctuationType::{StreamTime, WallClockTime};

    const START: Now = Now { wall_clock: 1_000, stream_time: None, initialising: true, punctuating: false };

    fn every(name: &str, kind: PunctuationType, millis: u64) -> Asked<'_> {
        Asked { name, kind, interval: Duration::from_millis(millis), start: None }
    }

    /// At which of these times a schedule is called.
    fn called(schedules: &mut Schedules, kind: PunctuationType, times: &[Timestamp]) -> Vec<Timestamp> {
        times.iter().copied().filter(|time| schedules.take_due(kind, *time).is_some()).collect()
    }

    #[test]
    fn stream_time_is_due_with_the_first_record_and_then_at_multiples() {
        let mut schedules = Schedules::default();
        schedules.add(every("s", StreamTime, 10), START).unwrap();
        assert_eq!(called(&mut schedules, StreamTime, &[3, 9, 10, 10, 19, 47, 49, 50, 55]), [3, 10, 47, 50]);
    }

    #[test]
    fn the_wall_clock_is_due_an_interval_from_now_and_missed_times_count_once() {
        let mut schedules = Schedules::default();
        schedules.add(every("w", WallClockTime, 10), START).unwrap();
        assert_eq!(
            called(&mut schedules, WallClockTime, &[1_000, 1_009, 1_010, 1_019, 1_055, 1_059, 1_060]),
            [1_010, 1_055, 1_060]
        );
    }

    #[test]
    fn a_start_that_is_asked_for_anchors_the_times() {
        let mut schedules = Schedules::default();
        schedules.add(Asked { start: Some(1_003), ..every("ahead", WallClockTime, 10) }, START).unwrap();
        assert_eq!(called(&mut schedules, WallClockTime, &[1_002, 1_003, 1_012, 1_013]), [1_003, 1_013]);
        schedules.add(Asked { start: Some(983), ..every("ahead", WallClockTime, 10) }, START).unwrap();
        assert_eq!(called(&mut schedules, WallClockTime, &[1_002, 1_003]), [1_003]);
        // One that is due at this very moment is.
        schedules.add(Asked { start: Some(1_000), ..every("ahead", WallClockTime, 10) }, START).unwrap();
        assert_eq!(schedules.due(WallClockTime), Some(1_000));
    }

    #[test]
    fn a_restart_delays_nothing_and_repeats_nothing() {
        let mut schedules = Schedules::default();
        schedules.add(every("w", WallClockTime, 10), START).unwrap();
        let progress = schedules.progress();
        let mut restarted = Schedules::default();
        progress.into_iter().for_each(|(name, due)| restarted.restore(&name, due));
        let later = Now { wall_clock: 1_009, stream_time: Some(47), ..START };
        restarted.add(every("w", WallClockTime, 10), later).unwrap();
        restarted.add(every("s", StreamTime, 10), later).unwrap();
        assert_eq!((restarted.due(WallClockTime), restarted.due(StreamTime)), (Some(1_010), Some(50)));
        // A clock that was set back by a year delays by an interval.
        restarted.restore("wall-clock:w", 1_010);
        restarted.add(every("w", WallClockTime, 10), Now { wall_clock: 5, ..later }).unwrap();
        assert_eq!(restarted.due(WallClockTime), Some(15));
    }

    #[test]
    fn a_restart_keeps_to_a_start_that_is_asked_for_still() {
        let mut schedules = Schedules::default();
        let anchored = |start| Asked { start: Some(start), ..every("w", WallClockTime, 10) };
        let later = Now { wall_clock: 1_017, ..START };
        schedules.restore("wall-clock:w", 1_003);
        schedules.add(anchored(993), later).unwrap();
        assert_eq!(schedules.due(WallClockTime), Some(1_003));
        schedules.add(anchored(995), later).unwrap();
        assert_eq!(schedules.due(WallClockTime), Some(1_025));
        // What has been called is not called again at the same moment.
        schedules.restore("wall-clock:w", 1_027);
        schedules.add(anchored(1_017), later).unwrap();
        assert_eq!(schedules.due(WallClockTime), Some(1_027));
        let of_stream = Asked { start: Some(40), ..every("s", StreamTime, 10) };
        schedules.add(of_stream, Now { stream_time: Some(40), ..later }).unwrap();
        assert_eq!(schedules.due(StreamTime), Some(50));
    }

    #[test]
    fn the_one_that_is_due_first_comes_first_and_a_name_is_there_once() {
        let mut schedules = Schedules::default();
        schedules.add(every("b", WallClockTime, 20), START).unwrap();
        schedules.add(every("a", WallClockTime, 10), START).unwrap();
        assert_eq!(schedules.take_due(WallClockTime, 2_000).as_deref(), Some("a"));
        assert_eq!(schedules.take_due(WallClockTime, 2_000).as_deref(), Some("b"));
        assert_eq!(schedules.take_due(WallClockTime, 2_000), None);
        schedules.add(every("a", StreamTime, 10), START).unwrap();
        assert_eq!(schedules.due(WallClockTime), Some(2_020));
        assert!(schedules.cancel("a") && !schedules.cancel("a"));
        assert_eq!(schedules.due(StreamTime), None);
    }

    #[test]
    fn one_that_is_made_while_records_come_is_due_at_once_and_within_a_call_later() {
        let working = Now { initialising: false, stream_time: Some(47), ..START };
        let mut schedules = Schedules::default();
        schedules.add(every("s", StreamTime, 10), working).unwrap();
        assert_eq!(schedules.due(StreamTime), Some(0));
        schedules.add(every("s", StreamTime, 10), Now { punctuating: true, ..working }).unwrap();
        assert_eq!(schedules.due(StreamTime), Some(50));
        assert_eq!(schedules.progress(), []);
    }

    #[test]
    fn one_that_starts_at_the_moment_of_a_call_is_due_after_it() {
        let called = Now { wall_clock: 1_000, stream_time: Some(40), initialising: false, punctuating: true };
        let from = |start, kind| Asked { start: Some(start), ..every("again", kind, 10) };
        for (kind, moment) in [(WallClockTime, 1_000), (StreamTime, 40)] {
            for (start, due) in [(moment - 10, 10), (moment, 10), (moment + 1, 1)] {
                let mut schedules = Schedules::default();
                schedules.add(from(start, kind), called).unwrap();
                assert_eq!(schedules.due(kind), Some(moment + due), "{kind:?} from {start}");
            }
            // A record's is due at once, as it is said.
            let mut schedules = Schedules::default();
            schedules.add(from(moment, kind), Now { punctuating: false, ..called }).unwrap();
            assert_eq!(schedules.due(kind), Some(moment));
        }
    }

    #[test]
    fn what_was_saved_is_kept_until_init_is_done() {
        let mut schedules = Schedules::default();
        schedules.restore("wall-clock:w", 1_010);
        let kept = vec![(Cow::from("wall-clock:w"), 1_010)];
        assert_eq!(schedules.progress(), kept);
        schedules.add(every("w", WallClockTime, 100), START).unwrap();
        assert_eq!(schedules.progress(), kept, "once only");
        schedules.initialised();
        assert_eq!(schedules.progress(), kept);
        // What `init` does not make any more is forgotten.
        schedules.restore("wall-clock:gone", 1_020);
        schedules.initialised();
        assert_eq!(schedules.progress(), kept);
    }

    #[test]
    fn what_cannot_be_scheduled_is_refused() {
        let mut schedules = Schedules::default();
        assert!(schedules.add(every("zero", StreamTime, 0), START).is_err());
        assert!(schedules.add(every("", StreamTime, 1), START).is_err());
        for number in 0..MOST {
            schedules.add(every(&number.to_string(), StreamTime, 1), START).unwrap();
        }
        assert!(schedules.add(every("one more", StreamTime, 1), START).is_err());
        assert!(schedules.add(every("0", StreamTime, 1), START).is_ok());
    }
}
