//! `aggregate`, `reduce` and `fold` by the current key, windowed or not.
//!
//! Kafka Streams' rules: null keys and values are passed over and counted; the result's timestamp is the
//! highest of the records in it; a record adds to every window of its that is not expired, judged by the
//! operator's own stream time; a null result deletes.
//!
//! This file has what all kinds share, and the windows that are aligned to the epoch; `aggregate/` has the others.

mod every;
mod session;
mod sliding;
mod timeline;

use std::borrow::Cow;

use super::emission::{Change, Held};
use super::{Operator, OperatorContext, OperatorError, Result};
use crate::metrics::DropReason;
use crate::record::{Key, Record, Value};
use crate::serdes::Deserializer;
use crate::state::{StateValue, parse_session_key, parse_window_key, window_key};
use crate::time::{StreamTime, Timestamp};
use crate::topology::plan::{Aggregate, Emit};
use crate::window::{TimeWindows, UnlimitedWindow, Window, Windows};
use every::Schedule;
use timeline::Timeline;

/// How many windows are closed per scan of the store. What is handed on of them is collected until the record at hand is
/// done, so a leap in stream time takes memory for all that it closes.
const SCAN_LIMIT: usize = 1_000;

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
            held: Held::default(),
            store_key: Vec::new(),
        }
    }

    /// Adds the record to the group under `self.store_key` and hands on the change.
    fn update(&mut self, window: Option<Window>, record: &Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let function = &self.function;
        let (before, after) = context.stores.update(self.store, &self.store_key, |row| {
            let timestamp = row.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
            let state = function.add(row.as_ref().map(|row| row.value.clone()), record)?;
            let after = StateValue { timestamp, value: state };
            let changed = (!after.value.is_null()).then(|| after.clone());
            Ok::<_, OperatorError>((std::mem::replace(row, changed), after))
        })?;
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
        let mut outcome = Ok(());
        for window in windows.windows_for(record.timestamp) {
            if windows.is_expired(window, now) {
                context.drop_record(DropReason::Late);
            } else if outcome.is_ok() {
                self.store_key.clear();
                window_key(window.start, &key.encoded, &mut self.store_key);
                outcome = self.update(Some(window), record, context);
            }
        }
        // Time has moved even if the record failed: what it closes will not be looked at again.
        if before != Some(now) {
            let lasts = windows.size().saturating_add(windows.grace());
            if self.emit == Emit::OnClose
                && self.has_readers
                && let Some(span) = Span::passed(windows, lasts, before, now)
            {
                self.close(span, record, context)?;
            }
            self.expire(windows, before, now, context)?;
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

    /// The window and the record's key of a row.
    fn parse_row<'k>(&self, store_key: &'k [u8]) -> Option<(Window, &'k [u8])> {
        let by_start = |window: &dyn Fn(Timestamp) -> Window| {
            let (start, key) = parse_window_key(store_key)?;
            Some((window(start), key))
        };
        match self.windows? {
            Windows::Time(windows) => by_start(&|start| windows.window(start)),
            Windows::Sliding(windows) => by_start(&|start| windows.window(start)),
            Windows::Unlimited(window) => by_start(&|_| window.window()),
            Windows::Session(_) => parse_session_key(store_key),
        }
    }

    /// Hands on the rows of windows that closed, in the order of the store.
    fn close(&mut self, span: Span, trigger: &Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let mut scan = StoreScan::new(span);
        while let Some(rows) = scan.next_rows(self.store, context)? {
            for (store_key, row) in rows {
                let Some((window, key)) = self.parse_row(&store_key) else { continue };
                let encoded = store_key.slice_ref(key);
                let key = self.key.deserialize(&encoded);
                let closed = Record {
                    key: Some(Key { value: key.as_ref().cloned().unwrap_or_default(), encoded }),
                    window: Some(window),
                    value: row.value,
                    old: self.sends_old.then_some(Value::Null),
                    timestamp: row.timestamp,
                    ..trigger.clone()
                };
                match key {
                    Ok(_) => self.hand_on(closed, context),
                    Err(error) => context.fail(closed, error.into()),
                }
            }
        }
        Ok(())
    }

    /// Deletes the windows whose retention ran out while stream time went from `before` to `now`.
    fn expire(
        &mut self,
        windows: TimeWindows,
        before: Option<Timestamp>,
        now: Timestamp,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if let Some(span) = Span::passed(windows, self.retention, before, now) {
            self.hand_on_before(span.to, context)?;
            context.stores.expire(self.store, span.to);
        }
        Ok(())
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
        self.schedule.due().map(|due| ("due".into(), due)).into_iter().collect()
    }

    fn restore_progress(&mut self, name: &str, value: i64) {
        if name == "due" {
            self.schedule.restore(value);
        }
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

/// Walks over a span of a window store, a bounded number of rows at a time.
struct StoreScan {
    from: Vec<u8>,
    to: Vec<u8>,
    done: bool,
}

impl StoreScan {
    fn new(span: Span) -> Self {
        let mut from = Vec::new();
        window_key(span.from, &[], &mut from);
        let mut to = Vec::new();
        window_key(span.to, &[], &mut to);
        StoreScan { from, to, done: false }
    }

    fn next_rows(
        &mut self,
        store: usize,
        context: &mut OperatorContext<'_>,
    ) -> Result<Option<Vec<(bytes::Bytes, StateValue)>>> {
        if self.done {
            return Ok(None);
        }
        let rows = context.stores.scan_limited(
            store,
            std::ops::Bound::Included(&self.from),
            std::ops::Bound::Excluded(&self.to),
            SCAN_LIMIT,
        )?;
        match rows.last() {
            Some((last, _)) if rows.len() == SCAN_LIMIT => {
                self.from.clear();
                self.from.extend_from_slice(last);
                self.from.push(0);
            }
            _ => self.done = true,
        }
        Ok(Some(rows))
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
