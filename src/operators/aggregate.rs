//! `aggregate`, `reduce` and `fold` by the current key, windowed or not.
//!
//! Kafka Streams' rules: null keys and values are passed over and counted; the result's timestamp is the
//! highest of the records in it; a record adds to every window of its that is not expired, judged by the
//! operator's own stream time; a null result deletes.
//!
//! This file has what all kinds share, and the windows that are aligned to the epoch; `aggregate/` has the others.

mod every;
mod leap;
mod session;
mod sliding;
mod timeline;

use std::borrow::Cow;

use super::emission::{Change, Held};
use super::{Operator, OperatorContext, Result};
use crate::metrics::DropReason;
use crate::record::{Key, Record, Value};
use crate::serdes::Deserializer;
use crate::state::{StateValue, window_key};
use crate::time::{StreamTime, Timestamp};
use crate::topology::plan::{Aggregate, Emit};
use crate::window::{TimeWindows, UnlimitedWindow, Window, Windows};
use every::Schedule;
use leap::Leap;
use timeline::Timeline;

/// How many rows are read and handed on at a time.
const SCAN_LIMIT: usize = 1_000;
/// The names under which the numbers are kept that an aggregation goes on from.
const DUE: &str = "due";
const LONGEST: &str = "longest";

/// What is computed per group.
pub(super) trait Combine: Send {
    /// Says which input the next records come from, where that makes a difference.
    fn take_from(&mut self, _input: usize) {}

    /// The state with one more record in it; [`Value::Null`] deletes the group.
    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value>;

    /// What the state amounts to.
    fn result(&self, key: &Value, state: Value) -> Result<Value>;

    /// The state that sessions are merged into; `None`: the first of them is it. `record` is the one that joins them.
    fn start(&self, _record: &Record) -> Result<Option<Value>> {
        Ok(None)
    }

    /// One state of two, the earlier first, for sessions that `record` joins.
    fn merge(&self, state: Value, later: Value, record: &Record) -> Result<Value>;
}

/// One state per key, or per key and window.
pub(super) struct Aggregation<F> {
    store: usize,
    windows: Option<Windows>,
    timeline: Timeline,
    schedule: Schedule,
    retention: i64,
    emit: Emit,
    sends_old: bool,
    has_readers: bool,
    key: Deserializer,
    function: F,
    time: StreamTime,
    /// What the last record's step of time called for and is not done yet, and that record.
    leap: Option<(Leap, Record)>,
    held: Held,
    store_key: Vec<u8>,
}

impl<F: Combine> Aggregation<F> {
    pub(super) fn new(plan: &Aggregate, has_readers: bool, function: F) -> Self {
        Aggregation {
            store: plan.store,
            windows: plan.windows,
            timeline: Timeline::new(plan.index),
            schedule: Schedule::new(plan.pending),
            retention: plan.retention,
            emit: plan.emit,
            sends_old: plan.sends_old,
            has_readers,
            key: plan.key.clone(),
            function,
            time: StreamTime::UNKNOWN,
            leap: None,
            held: Held::default(),
            store_key: Vec::new(),
        }
    }

    /// Adds the record to the group under `self.store_key` and hands on the change.
    fn update(&mut self, window: Option<Window>, record: &Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let (before, after) = self.add(record, context)?;
        self.updated(window, before, after, record, context)
    }

    /// Adds the record to the group under `self.store_key`: its row before, and its state after.
    fn add(&self, record: &Record, context: &mut OperatorContext<'_>) -> Result<(Option<StateValue>, StateValue)> {
        let function = &self.function;
        context.stores.update(self.store, &self.store_key, |row| {
            let timestamp = row.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
            let state = function.add(row.as_ref().map(|row| row.value.clone()), record)?;
            let after = StateValue { timestamp, value: state };
            let changed = (!after.value.is_null()).then(|| after.clone());
            Ok((std::mem::replace(row, changed), after))
        })
    }

    fn updated(
        &mut self,
        window: Option<Window>,
        before: Option<StateValue>,
        after: StateValue,
        record: &Record,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let needs_old = self.sends_old || matches!(self.emit, Emit::Every { .. });
        let old = needs_old.then(|| before.map(|row| row.value).unwrap_or_default());
        self.changed(Change { window, value: after.value, old, timestamp: after.timestamp, record }, context)
    }

    /// Hands on the change of the row under `self.store_key`, now or when it is time.
    fn changed(&mut self, change: Change<'_>, context: &mut OperatorContext<'_>) -> Result<()> {
        match self.emit {
            _ if !self.has_readers => {}
            Emit::OnClose => {}
            Emit::Every { .. } => self.note_change(change, context)?,
            Emit::OnUpdate if context.caching => self.held.hold_change(&self.store_key, change),
            Emit::OnUpdate => self.hand_on(change.into_record(), context),
        }
        Ok(())
    }

    /// Turns states into results and hands the change on.
    fn hand_on(&self, mut change: Record, context: &mut OperatorContext<'_>) {
        let key = super::key_value(&change.key);
        // An old result that cannot be computed any more is as good as unknown; the new one counts.
        let old = change.old.take().filter(|_| self.sends_old).and_then(|old| self.finish(key, old).ok());
        match self.finish(key, change.value.clone()) {
            Ok(value) => context.forward(Record { value, old, ..change }),
            Err(error) => context.fail(change, error),
        }
    }

    fn finish(&self, key: &Value, state: Value) -> Result<Value> {
        if state.is_null() { Ok(Value::Null) } else { self.function.result(key, state) }
    }

    fn add_to_windows(
        &mut self,
        windows: TimeWindows,
        record: &Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let before = self.time.get();
        let now = self.time.observe(record.timestamp);
        let outcome = if windows.advance() < windows.size() {
            self.add_to_overlapping(windows, now, (record, key), context)
        } else {
            self.add_to_one(windows, now, (record, key), context)
        };
        // Time has moved even if the record failed: what it closes will not be looked at again.
        if before != Some(now) {
            let lasts = windows.size().saturating_add(windows.grace());
            let emits = self.emit == Emit::OnClose && self.has_readers;
            let closed = Span::passed(windows, lasts, before, now).filter(|_| emits);
            let expired = Span::passed(windows, self.retention, before, now).map(|span| span.to);
            self.work_off(Leap::new(closed, expired), record, context)?;
        }
        outcome
    }

    /// Windows that do not overlap: the record is in one of them, or in a gap between two.
    fn add_to_one(
        &mut self,
        windows: TimeWindows,
        now: Timestamp,
        (record, key): (&Record, &Key),
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        for window in windows.windows_for(record.timestamp) {
            if windows.is_expired(window, now) {
                context.drop_record(DropReason::Late);
            } else {
                self.point_at(window, &key.encoded);
                self.update(Some(window), record, context)?;
            }
        }
        Ok(())
    }

    /// Windows that overlap: a record that cannot be added to one of them is in none.
    fn add_to_overlapping(
        &mut self,
        windows: TimeWindows,
        now: Timestamp,
        (record, key): (&Record, &Key),
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let mut added = Vec::new();
        let mut outcome = Ok(());
        for window in windows.windows_for(record.timestamp) {
            if windows.is_expired(window, now) {
                context.drop_record(DropReason::Late);
            } else if outcome.is_ok() {
                self.point_at(window, &key.encoded);
                outcome = self.add(record, context).map(|(before, after)| added.push((window, before, after)));
            }
        }
        for (window, before, after) in added {
            self.point_at(window, &key.encoded);
            if outcome.is_err() {
                context.stores.put(self.store, &self.store_key, before);
            } else {
                self.updated(Some(window), before, after, record, context)?;
            }
        }
        outcome
    }

    /// The one window that has no end. What is earlier than its start is in none.
    fn add_to_unlimited(
        &mut self,
        window: UnlimitedWindow,
        record: &Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let window = window.window();
        if record.timestamp < window.start {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        self.store_key.clear();
        window_key(window.start, &key.encoded, &mut self.store_key);
        self.update(Some(window), record, context)
    }
}

impl<F: Combine> Operator for Aggregation<F> {
    fn process(&mut self, input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        if record.value.is_null() {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        }
        self.function.take_from(input);
        match self.windows {
            Some(Windows::Time(windows)) => self.add_to_windows(windows, &record, &key, context),
            Some(Windows::Sliding(windows)) => self.add_to_sliding(windows, &record, &key, context),
            Some(Windows::Session(windows)) => self.add_to_session(windows, &record, &key, context),
            Some(Windows::Unlimited(window)) => self.add_to_unlimited(window, &record, &key, context),
            None => {
                self.store_key.clear();
                self.store_key.extend_from_slice(&key.encoded);
                self.update(None, &record, context)
            }
        }
    }

    fn go_on(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        match self.leap.take() {
            Some((leap, trigger)) => self.work_off(leap, &trigger, context),
            None => Ok(()),
        }
    }

    fn flush(&mut self, context: &mut OperatorContext<'_>) {
        for change in self.held.take() {
            self.hand_on(change, context);
        }
    }

    fn follows_wall_clock(&self) -> bool {
        matches!(self.emit, Emit::Every { .. })
    }

    fn wall_clock(&mut self, now: Timestamp, context: &mut OperatorContext<'_>) -> Result<bool> {
        self.hand_on_when_due(now, context)
    }

    fn progress(&self) -> Vec<(Cow<'static, str>, i64)> {
        let due = self.schedule.due().map(|due| (DUE.into(), due));
        let longest = self.timeline.longest.map(|longest| (LONGEST.into(), longest));
        due.into_iter().chain(longest).collect()
    }

    fn progress_names(&self) -> &'static [&'static str] {
        match (self.emit, self.windows) {
            (Emit::Every { .. }, _) => &[DUE, LONGEST],
            (_, Some(Windows::Session(_))) => &[LONGEST],
            _ => &[],
        }
    }

    fn restore_progress(&mut self, name: &str, value: i64) {
        match name {
            DUE => self.schedule.restore(value),
            LONGEST => self.timeline.longest = Some(value),
            _ => {}
        }
    }

    fn keeps_stream_time(&self) -> bool {
        matches!(self.windows, Some(Windows::Time(_) | Windows::Sliding(_) | Windows::Session(_)))
    }

    fn stream_time(&self) -> Option<Timestamp> {
        self.time.get()
    }

    fn restore_stream_time(&mut self, timestamp: Timestamp) {
        self.time = StreamTime::restored(Some(timestamp));
    }
}

/// The starts of the windows that went past an age limit: `from` inclusive to `to` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// The windows with `start + lasts` in `(before, now]`; `None` when there cannot be any.
    fn passed(windows: TimeWindows, lasts: i64, before: Option<Timestamp>, now: Timestamp) -> Option<Span> {
        // Window starts are multiples of the advance: most steps of stream time pass none.
        let first_alive = |time: Timestamp| {
            let last_over = time - lasts;
            if last_over < 0 { 0 } else { last_over / windows.advance() * windows.advance() + windows.advance() }
        };
        let from = before.map_or(0, first_alive);
        let to = first_alive(now);
        (from < to).then_some(Span { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_the_windows_whose_time_ran_out_since_the_last_step() {
        let windows = TimeWindows::tumbling(10, 5).unwrap();
        assert_eq!(Span::passed(windows, 15, None, 14), None);
        assert_eq!(Span::passed(windows, 15, None, 15), Some(Span { from: 0, to: 10 }));
        assert_eq!(Span::passed(windows, 15, Some(15), 24), None);
        assert_eq!(Span::passed(windows, 15, Some(15), 25), Some(Span { from: 10, to: 20 }));
        assert_eq!(Span::passed(windows, 15, Some(24), 45), Some(Span { from: 10, to: 40 }));
    }
}
