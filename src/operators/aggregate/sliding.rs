//! Sliding windows: of all sets of records that lie within a time difference of each other, one window each.
//!
//! That takes two windows for a record at `t`: the one that ends with it, `[t - d, t]`, and the one that begins right
//! after it, `[t + 1, t + 1 + d]`, which comes to be when a record falls into it. Both ends are inclusive. No window
//! begins before 1970: earlier records than `d` share `[0, d]`. This follows Kafka Streams'
//! `KStreamSlidingWindowAggregate` (KIP-450), the order of what is handed on included.

use super::timeline::RowChange;
use super::{Aggregation, Combine};
use crate::metrics::DropReason;
use crate::operators::{OperatorContext, Result};
use crate::record::{Key, Record, Value};
use crate::state::{StateValue, parse_window_key};
use crate::time::Timestamp;
use crate::topology::plan::Emit;
use crate::window::{SlidingWindows, Window};

/// A record on its way into windows.
struct Arrival<'r> {
    windows: SlidingWindows,
    record: &'r Record,
    key: &'r Key,
    /// Windows that end before this take no more records.
    open_to: Timestamp,
    /// What it does to them. Made at the end: a record that cannot be added to one window is in none.
    changes: Vec<RowChange<'r>>,
}

impl Arrival<'_> {
    fn change(&mut self, window: Window, before: Option<Value>, after: Value, timestamp: Timestamp) {
        let (record, key) = (self.record, self.key);
        self.changes.push(RowChange { window, before, after, timestamp, record, key });
    }
}

/// What a record finds among the windows of its key.
#[derive(Default)]
struct Found {
    /// Where they start, ascending.
    starts: Vec<Timestamp>,
    /// The window that ends last before the record.
    left: Option<StateValue>,
    /// The window that starts last of those that the record is within.
    right: Option<StateValue>,
    /// Whether the window that ends with the record is there.
    has_left: bool,
    /// The record before, if it may need a window to its right.
    previous: Option<Timestamp>,
}

impl Found {
    fn starts_at(&self, start: Timestamp) -> bool {
        self.starts.binary_search(&start).is_ok()
    }
}

impl<F: Combine> Aggregation<F> {
    /// Adds a record to all windows that it is within, and makes those that begin with it.
    pub(super) fn add_to_sliding(
        &mut self,
        windows: SlidingWindows,
        record: &Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let before = self.time.get();
        let now = self.time.observe(record.timestamp);
        self.find_newest(context)?;
        let open_to = now.saturating_sub(windows.grace());
        let mut arrival = Arrival { windows, record, key, open_to, changes: Vec::new() };
        let outcome = if record.timestamp.saturating_add(windows.difference()) < open_to {
            context.drop_record(DropReason::Late);
            Ok(())
        } else if record.timestamp < windows.difference() {
            self.add_early(&mut arrival, context)
        } else {
            self.add_around(&mut arrival, context)
        };
        if outcome.is_ok() {
            arrival.changes.into_iter().try_for_each(|change| self.change_row(change, context))?;
        }
        // Time has moved even if the record failed: what it closes will not be looked at again.
        if before != Some(now) {
            let handed_on = before.map_or(0, |before| windows.first_open(before));
            let expired = self.timeline.newest.unwrap_or(0).saturating_sub(self.retention);
            self.time_passed(handed_on, windows.first_open(now), expired, record, context)?;
        }
        outcome
    }

    /// After a start, the newest row tells how far the store has come.
    fn find_newest(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.timeline.newest.is_none() {
            let last = context.stores.last_committed_key(self.store)?;
            let newest = last.as_deref().and_then(parse_window_key).map(|(start, _)| start);
            self.timeline.newest = Some(newest.unwrap_or(-1));
        }
        Ok(())
    }

    /// The starts of the key's windows from `from` to `to`, without those that are past their retention.
    fn starts(
        &mut self,
        arrival: &Arrival<'_>,
        from: Timestamp,
        to: Timestamp,
        context: &mut OperatorContext<'_>,
    ) -> Result<Vec<Timestamp>> {
        // As in Kafka Streams, whose store for windows that are handed on when they close keeps one millisecond more.
        let more = if self.emit == Emit::OnClose { 0 } else { 1 };
        let newest = self.timeline.newest.unwrap_or(-1);
        let kept_from = newest.saturating_sub(self.retention).saturating_add(more).max(0);
        self.starts_between(&arrival.key.encoded, from.max(kept_from), to, context)
    }

    fn row(
        &mut self,
        arrival: &Arrival<'_>,
        start: Timestamp,
        context: &mut OperatorContext<'_>,
    ) -> Result<Option<StateValue>> {
        self.point_at(arrival.windows.window(start), &arrival.key.encoded);
        Ok(context.stores.get(self.store, &self.store_key)?)
    }

    fn add_around(&mut self, arrival: &mut Arrival<'_>, context: &mut OperatorContext<'_>) -> Result<()> {
        let (time, difference) = (arrival.record.timestamp, arrival.windows.difference());
        let from = time.saturating_sub(difference.saturating_mul(2)).max(0);
        let starts = self.starts(arrival, from, time.saturating_add(1), context)?;
        let mut found = Found { starts, ..Found::default() };
        // The latest first.
        for position in (0..found.starts.len()).rev() {
            let start = found.starts.get(position).copied().unwrap_or_default();
            let end = start.saturating_add(difference);
            if start > time {
                continue;
            }
            let Some(row) = self.row(arrival, start, context)? else { continue };
            if end > time {
                self.add_to(arrival, start, Some(&row), true, context)?;
                found.right = found.right.or(Some(row));
            } else if end == time {
                found.has_left = true;
                self.add_to(arrival, start, Some(&row), true, context)?;
                if row.timestamp >= time {
                    // Another record of this very time has made all windows there are to make.
                    return Ok(());
                }
                found.previous = Some(row.timestamp);
            } else {
                found.previous = Some(row.timestamp);
                found.left = Some(row);
                break;
            }
        }
        self.make_windows(arrival, &found, context)
    }

    fn make_windows(&self, arrival: &mut Arrival<'_>, found: &Found, context: &mut OperatorContext<'_>) -> Result<()> {
        let (time, difference) = (arrival.record.timestamp, arrival.windows.difference());
        if let Some(previous) = found.previous
            && !found.starts_at(previous + 1)
            && previous.saturating_add(1).saturating_add(difference) >= time
        {
            self.add_to(arrival, previous + 1, None, false, context)?;
        }
        if !found.has_left {
            let reaches = found.previous.is_some_and(|previous| time - difference <= previous);
            let state = found.left.as_ref().filter(|_| reaches);
            self.add_to(arrival, time - difference, state, false, context)?;
        }
        self.make_right_window(arrival, found.right.as_ref(), found.starts_at(time.saturating_add(1)));
        Ok(())
    }

    /// Records before the time difference share the window from 0 on; the windows to their right are as any others.
    fn add_early(&mut self, arrival: &mut Arrival<'_>, context: &mut OperatorContext<'_>) -> Result<()> {
        let time = arrival.record.timestamp;
        let starts = self.starts(arrival, 0, time.saturating_add(1), context)?;
        let mut found = Found { starts, ..Found::default() };
        let mut shared = None;
        for position in 0..found.starts.len() {
            let start = found.starts.get(position).copied().unwrap_or_default();
            if start > time {
                continue;
            }
            let Some(row) = self.row(arrival, start, context)? else { continue };
            if start == 0 {
                // A later record than this one has made the window to the right of the one before, if there is one.
                found.previous = Some(row.timestamp).filter(|previous| *previous < time);
                shared = Some(row);
            } else {
                self.add_to(arrival, start, Some(&row), true, context)?;
                found.right = Some(row);
            }
        }
        // No window begins between 0 and this record: what the shared window has are records after this one.
        if found.right.is_none() {
            found.right = shared.clone().filter(|row| row.timestamp > time);
        }
        self.make_right_window(arrival, found.right.as_ref(), found.starts_at(time.saturating_add(1)));
        if let Some(previous) = found.previous
            && !found.starts_at(previous + 1)
        {
            self.add_to(arrival, previous + 1, None, false, context)?;
        }
        let exists = shared.is_some();
        self.add_to(arrival, 0, shared.as_ref(), exists, context)
    }

    /// The window right after the record has the records of the window that both are within, save for this one.
    fn make_right_window(&self, arrival: &mut Arrival<'_>, right: Option<&StateValue>, exists: bool) {
        let time = arrival.record.timestamp;
        let Some(row) = right.filter(|row| !exists && row.timestamp > time) else { return };
        let window = arrival.windows.window(time.saturating_add(1));
        arrival.change(window, None, row.value.clone(), row.timestamp);
    }

    /// Adds the record to the window that starts at `start`, of which `state` is what it holds, or begins with if it is not
    /// there yet (`exists`).
    fn add_to(
        &self,
        arrival: &mut Arrival<'_>,
        start: Timestamp,
        state: Option<&StateValue>,
        exists: bool,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let record = arrival.record;
        let window = arrival.windows.window(start);
        if window.end < arrival.open_to {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let after = self.function.add(state.map(|row| row.value.clone()), record)?;
        let held = state.filter(|_| exists);
        let timestamp = held.map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
        // A record may make one window for two reasons: what the second finds is what the first has left.
        arrival.change(window, held.map(|row| row.value.clone()), after, timestamp);
        Ok(())
    }
}
