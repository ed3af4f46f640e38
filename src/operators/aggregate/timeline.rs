//! Windows that lie anywhere: their rows in the order of time, and an index that finds those of a key.
//!
//! Rows begin with a time (the start of a window, the end of a session), so that what closes or expires is a range.
//! While nothing lies in that range, stream time moves without a look at the store.

use std::ops::Bound;

use bytes::Bytes;

use super::super::emission::Change;
use super::leap::Leap;
use super::{Aggregation, Combine, SCAN_LIMIT, Span};
use crate::operators::{OperatorContext, Result};
use crate::record::{Key, Record, Value};
use crate::state::{
    StateError, StateValue, index_key, index_start, parse_window_key, session_key, window_bound, window_key,
};
use crate::time::Timestamp;
use crate::topology::plan::Emit;
use crate::window::{Window, Windows};

/// What is known of such rows without looking.
pub(super) struct Timeline {
    /// The index.
    index: Option<usize>,
    /// No row that has not been handed on begins before this; `None`: not known.
    open_from: Option<Timestamp>,
    /// No row begins before this; `None`: not known.
    rows_from: Option<Timestamp>,
    /// The latest time that a row ever began with; `None`: not known.
    pub(super) newest: Option<Timestamp>,
    /// No session lasts longer than this, in milliseconds; `None`: not known.
    pub(super) longest: Option<i64>,
    buffer: Vec<u8>,
}

impl Timeline {
    pub(super) fn new(index: Option<usize>) -> Self {
        Timeline { index, open_from: None, rows_from: None, newest: None, longest: None, buffer: Vec::new() }
    }

    /// A row was written.
    fn note(&mut self, time: Timestamp) {
        for from in [&mut self.open_from, &mut self.rows_from].into_iter().flatten() {
            *from = time.min(*from);
        }
        self.newest = self.newest.max(Some(time));
    }
}

/// The change of a row of a window that lies anywhere.
pub(super) struct RowChange<'r> {
    pub(super) window: Window,
    /// The state before; null if there was none. `None`: what the store holds.
    pub(super) before: Option<Value>,
    /// The state after; null deletes the row.
    pub(super) after: Value,
    pub(super) timestamp: Timestamp,
    pub(super) record: &'r Record,
    pub(super) key: &'r Key,
}

/// Where the entries of a key begin and end whose windows start between `from` and `to`, both included.
fn entry_bounds(key: &[u8], from: Timestamp, to: Timestamp) -> [Vec<u8>; 2] {
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    index_key(key, from, &mut lower);
    index_key(key, to.saturating_add(1), &mut upper);
    [lower, upper]
}

fn damaged(entry: &[u8]) -> StateError {
    StateError::damaged_row("an aggregation's index", entry, "it is none of its entries")
}

impl<F: Combine> Aggregation<F> {
    /// Changes a row, its place in the index included, and hands on the change.
    pub(super) fn change_row(&mut self, change: RowChange<'_>, context: &mut OperatorContext<'_>) -> Result<()> {
        let RowChange { window, before, after, timestamp, record, key } = change;
        self.point_at(window, &key.encoded);
        let before = match before {
            Some(before) => before,
            None => {
                context.stores.get_ref(self.store, &self.store_key)?.map(|row| row.value.clone()).unwrap_or_default()
            }
        };
        let row = (!after.is_null()).then(|| StateValue { timestamp, value: after.clone() });
        if before.is_null() != row.is_none() {
            let value = match self.windows {
                Some(Windows::Session(_)) => Value::Int(window.end),
                _ => Value::Null,
            };
            let entry = row.as_ref().map(|_| StateValue { timestamp, value });
            self.put_entry(window, &key.encoded, entry, context);
        }
        context.stores.put(self.store, &self.store_key, row);
        if let Some((time, _)) = parse_window_key(&self.store_key) {
            self.timeline.note(time);
        }
        self.timeline.longest = self.timeline.longest.map(|longest| longest.max(window.end - window.start));
        // Known in any case: a row that came and went since the last commit is not handed on.
        self.changed(Change { window: Some(window), value: after, old: Some(before), timestamp, record }, context)
    }

    /// Sets `self.store_key` to the row of a window and key.
    pub(super) fn point_at(&mut self, window: Window, key: &[u8]) {
        self.store_key.clear();
        match self.windows {
            Some(Windows::Session(_)) => session_key(window, key, &mut self.store_key),
            _ => window_key(window.start, key, &mut self.store_key),
        }
    }

    fn put_entry(&mut self, window: Window, key: &[u8], entry: Option<StateValue>, context: &mut OperatorContext<'_>) {
        let Timeline { index: Some(index), buffer, .. } = &mut self.timeline else { return };
        buffer.clear();
        index_key(key, window.start, buffer);
        context.stores.put(*index, buffer, entry);
    }

    /// Whether the entry of a window in the index is its own. A session that nothing can be added to any more loses it to
    /// a later one that a record reached which is as early as the start of the first.
    fn is_entry_of(&mut self, window: Window, key: &[u8], context: &mut OperatorContext<'_>) -> Result<bool> {
        let Timeline { index: Some(index), buffer, .. } = &mut self.timeline else { return Ok(false) };
        if !matches!(self.windows, Some(Windows::Session(_))) {
            return Ok(true);
        }
        buffer.clear();
        index_key(key, window.start, buffer);
        let entry = context.stores.get_ref(*index, buffer)?;
        Ok(entry.is_some_and(|entry| entry.value == Value::Int(window.end)))
    }

    /// The entries of a key in the index whose windows start between `from` and `to`, both included: the starts, ascending.
    pub(super) fn starts_between(
        &mut self,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        context: &mut OperatorContext<'_>,
    ) -> Result<Vec<Timestamp>> {
        let Some(index) = self.timeline.index else { return Ok(Vec::new()) };
        let [lower, upper] = entry_bounds(key, from, to);
        let found = context.stores.scan_limited(index, Bound::Included(&lower), Bound::Excluded(&upper), usize::MAX)?;
        found.iter().map(|(entry, _)| Ok(index_start(entry, key.len()).ok_or_else(|| damaged(entry))?)).collect()
    }

    /// The sessions of a key that start between `from` and `to`, both included, the latest first; up to `limit` of them.
    pub(super) fn sessions_back(
        &mut self,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        limit: usize,
        context: &mut OperatorContext<'_>,
    ) -> Result<Vec<Window>> {
        let Some(index) = self.timeline.index else { return Ok(Vec::new()) };
        let [lower, upper] = entry_bounds(key, from, to);
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let found = context.stores.scan_back_limited(index, lower, upper, limit)?;
        let session = |(entry, row): (Bytes, StateValue)| match (index_start(&entry, key.len()), row.value) {
            (Some(start), Value::Int(end)) => Ok(Window { start, end }),
            _ => Err(damaged(&entry).into()),
        };
        found.into_iter().map(session).collect()
    }

    /// Hands on what closed: the rows that begin before `closed`, of which those before `before` are handed on already.
    /// Then has what begins before `expired` deleted.
    pub(super) fn time_passed(
        &mut self,
        before: Timestamp,
        closed: Timestamp,
        expired: Timestamp,
        trigger: &Record,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let emits = self.emit == Emit::OnClose && self.has_readers;
        let closes = emits && before < closed && self.timeline.open_from.is_none_or(|from| from < closed);
        let expires = self.timeline.rows_from.is_none_or(|from| from < expired);
        let closed = closes.then_some(Span { from: before, to: closed });
        self.work_off(Leap::new(closed, expires.then_some(expired)), trigger, context)
    }

    /// Everything that begins before `closed` has been handed on.
    pub(super) fn closed_before(&mut self, closed: Timestamp, context: &mut OperatorContext<'_>) -> Result<()> {
        // Windows that are aligned to the epoch are not looked for: most steps of time pass none.
        if !matches!(self.windows, Some(Windows::Time(_))) {
            self.timeline.open_from = Some(self.first_from(closed, context)?);
        }
        Ok(())
    }

    /// Deletes rows that begin before `expired`: not all at once where there are many, so that a leap of stream time
    /// takes no more memory than a small step.
    pub(super) fn delete_before(&mut self, expired: Timestamp, context: &mut OperatorContext<'_>) -> Result<()> {
        let from = window_bound(self.timeline.rows_from.unwrap_or(0));
        let to = window_bound(expired);
        let rows = context.stores.scan_limited(self.store, Bound::Included(&from), Bound::Excluded(&to), SCAN_LIMIT)?;
        for (store_key, _) in &rows {
            if let Some((window, key)) = self.parse_row(store_key)
                && self.is_entry_of(window, key, context)?
            {
                self.put_entry(window, key, None, context);
            }
            context.stores.put(self.store, store_key, None);
        }
        let last = rows.last().and_then(|(store_key, _)| parse_window_key(store_key));
        self.timeline.rows_from = Some(match last {
            Some((time, _)) if rows.len() == SCAN_LIMIT => time,
            _ => self.first_from(expired, context)?,
        });
        Ok(())
    }

    /// The time that the first row begins with which does not begin before `from`.
    fn first_from(&self, from: Timestamp, context: &mut OperatorContext<'_>) -> Result<Timestamp> {
        let rows =
            context.stores.scan_limited(self.store, Bound::Included(&window_bound(from)), Bound::Unbounded, 1)?;
        Ok(rows.first().and_then(|(key, _)| parse_window_key(key)).map_or(Timestamp::MAX, |(time, _)| time))
    }
}
