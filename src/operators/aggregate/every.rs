//! `emit: {every: …}`: what has changed is handed on whenever the wall clock passes a multiple of the interval.
//!
//! Which rows have changed since then is kept in a store: nothing is lost by a commit or a crash in between. The rows
//! themselves are read when it is time. As long as there are not too many, their keys are known without looking: a scan
//! of the store would walk over all that was noted and deleted there before, until RocksDB has compacted it.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Aggregation, Combine, SCAN_LIMIT};
use crate::operators::emission::Change;
use crate::operators::{OperatorContext, Result};
use crate::record::{Key, Provenance, Record, Shape, StructShape, StructValue, Value};
use crate::state::{StateError, StateValue, window_bound};
use crate::time::Timestamp;
use crate::topology::plan::{Aggregate, Emit};

/// How many keys are known without looking. Where more rows change within an interval, a scan costs little for each.
const KNOWN: usize = 16_384;

/// When it is time, and what there is to hand on.
pub(super) struct Schedule {
    pending: Option<usize>,
    shape: Arc<StructShape>,
    provenance: Provenance,
    /// When it is time; `None`: the wall clock has not been told yet.
    due: Option<Timestamp>,
    /// Up to where the rows were handed on that are due now; empty: none of them yet.
    reached: Option<Vec<u8>>,
    /// No row is noted of windows that begin before this. Not kept: it saves walking over what was deleted.
    gone_before: Timestamp,
    known: Known,
}

/// The rows that have changed, as far as that is known without looking.
enum Known {
    /// It is not.
    Nothing,
    /// While the store is scanned: those of which it was noted since the scan began.
    Since(BTreeSet<Bytes>),
    /// All of them.
    All(BTreeSet<Bytes>),
}

impl Known {
    /// The keys.
    fn keys(&mut self) -> Option<&mut BTreeSet<Bytes>> {
        match self {
            Known::Nothing => None,
            Known::Since(keys) | Known::All(keys) => Some(keys),
        }
    }

    /// A row has changed.
    fn add(&mut self, key: &[u8]) {
        let Some(keys) = self.keys() else { return };
        if !keys.contains(key) {
            keys.insert(Bytes::copy_from_slice(key));
        }
        if keys.len() > KNOWN {
            *self = Known::Nothing;
        }
    }

    /// A row was handed on.
    fn remove(&mut self, key: &[u8]) {
        if let Some(keys) = self.keys() {
            keys.remove(key);
        }
    }
}

impl Schedule {
    pub(super) fn new(pending: Option<usize>) -> Self {
        let shape = match Aggregate::pending_shape() {
            Shape::Struct(shape) => shape,
            _ => Arc::new(StructShape::new("", Vec::new())),
        };
        Schedule {
            pending,
            shape,
            provenance: Provenance::default(),
            due: None,
            reached: None,
            gone_before: 0,
            known: Known::Nothing,
        }
    }

    /// When it is time, as a restart is to know it: what was due while the process was away is so at once.
    pub(super) fn due(&self) -> Option<Timestamp> {
        if self.reached.is_some() { Some(0) } else { self.due }
    }

    /// Goes on from when it was time at the last commit.
    pub(super) fn restore(&mut self, due: Timestamp) {
        self.due = Some(due);
    }

    /// Whether it is time, or still is.
    fn is_due(&mut self, now: Timestamp, interval: i64) -> bool {
        if self.reached.is_some() {
            return true;
        }
        let next = next_multiple(now, interval);
        // After a clock was set back, what was due in the far future is due as after a start.
        let due = self.due.map_or(next, |due| due.min(next));
        self.due = Some(if now < due { due } else { next });
        now >= due
    }
}

/// Multiples, whenever the task was started: a restart delays nothing.
fn next_multiple(now: Timestamp, interval: i64) -> Timestamp {
    let interval = interval.max(1);
    now.div_euclid(interval).saturating_add(1).saturating_mul(interval)
}

impl<F: Combine> Aggregation<F> {
    /// Notes that the row under `self.store_key` has changed.
    pub(super) fn note_change(&mut self, change: Change<'_>, context: &mut OperatorContext<'_>) -> Result<()> {
        let Schedule { pending: Some(pending), shape, provenance, .. } = &self.schedule else { return Ok(()) };
        let noted = context.stores.get_ref(*pending, &self.store_key)?;
        let was_there = match noted.and_then(|noted| noted.value.get("was_there")) {
            Some(was_there) => was_there.clone(),
            None => Value::Bool(change.old.is_some_and(|old| !old.is_null())),
        };
        let cause = provenance.write(&change.record.headers, &change.record.origin);
        let value = Value::Struct(StructValue::new(shape.clone(), [was_there, cause].into()));
        context.stores.put(*pending, &self.store_key, Some(StateValue { timestamp: change.timestamp, value }));
        self.schedule.known.add(&self.store_key);
        Ok(())
    }

    /// Hands on what has changed, if it is time. Returns whether there was anything.
    pub(super) fn hand_on_when_due(&mut self, now: Timestamp, context: &mut OperatorContext<'_>) -> Result<bool> {
        let (Emit::Every { interval }, Some(pending)) = (self.emit, self.schedule.pending) else { return Ok(false) };
        if !self.schedule.is_due(now, interval) {
            return Ok(false);
        }
        let reached = self.schedule.reached.take();
        let rows = self.noted_after(pending, reached, context)?;
        for (store_key, noted) in &rows {
            self.hand_on_noted(pending, store_key, noted, context)?;
        }
        if rows.len() == SCAN_LIMIT {
            self.schedule.reached = rows.last().map(|(last, _)| last.to_vec());
        } else if let Known::Since(keys) = &mut self.schedule.known {
            self.schedule.known = Known::All(std::mem::take(keys));
        }
        Ok(!rows.is_empty())
    }

    /// The next rows that are noted, after the one that was reached.
    fn noted_after(
        &mut self,
        pending: usize,
        reached: Option<Vec<u8>>,
        context: &mut OperatorContext<'_>,
    ) -> Result<Vec<(Bytes, StateValue)>> {
        let from = reached.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let Known::All(keys) = &self.schedule.known else {
            if reached.is_none() {
                self.schedule.known = Known::Since(BTreeSet::new());
            }
            return Ok(context.stores.scan_limited(pending, from, Bound::Unbounded, SCAN_LIMIT)?);
        };
        let mut rows = Vec::new();
        for key in keys.range::<[u8], _>((from, Bound::Unbounded)).take(SCAN_LIMIT) {
            let damaged = || StateError::damaged_row("`emit: {every: …}`", key, "it was noted, and is not there");
            rows.push((key.clone(), context.stores.get(pending, key)?.ok_or_else(damaged)?));
        }
        Ok(rows)
    }

    /// Hands on what has changed of windows that begin before `time` and are about to go: a part of it, after the row
    /// `reached`. Returns the last row that was, if there may be more.
    pub(super) fn hand_on_before(
        &mut self,
        time: Timestamp,
        reached: Option<Bytes>,
        context: &mut OperatorContext<'_>,
    ) -> Result<Option<Bytes>> {
        let Some(pending) = self.schedule.pending else { return Ok(None) };
        let begin = Bound::Included(Bytes::copy_from_slice(&window_bound(self.schedule.gone_before)));
        let (from, to) = (reached.map_or(begin, Bound::Excluded), window_bound(time));
        let (from, to) = (from.as_ref().map(Bytes::as_ref), Bound::Excluded(&to[..]));
        let rows = context.stores.scan_limited(pending, from, to, SCAN_LIMIT)?;
        for (store_key, noted) in &rows {
            self.hand_on_noted(pending, store_key, noted, context)?;
        }
        if rows.len() == SCAN_LIMIT {
            return Ok(rows.into_iter().next_back().map(|(last, _)| last));
        }
        self.schedule.gone_before = self.schedule.gone_before.max(time);
        Ok(None)
    }

    fn hand_on_noted(
        &mut self,
        pending: usize,
        store_key: &Bytes,
        noted: &StateValue,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        context.stores.put(pending, store_key, None);
        self.schedule.known.remove(store_key);
        let row = context.stores.get(self.store, store_key)?;
        let was_there = noted.value.get("was_there") == Some(&Value::Bool(true));
        if row.is_none() && !was_there {
            return Ok(());
        }
        let damaged = || StateError::damaged_row("`emit: {every: …}`", store_key, "it does not say what caused it");
        let (headers, origin) = noted.value.get("cause").and_then(Provenance::read).ok_or_else(damaged)?;
        let (window, key) = match self.parse_row(store_key) {
            Some((window, key)) => (Some(window), store_key.slice_ref(key)),
            None => (None, store_key.clone()),
        };
        let value = self.key.deserialize(&key);
        let (timestamp, state) = row.map_or((noted.timestamp, Value::Null), |row| (row.timestamp, row.value));
        let record = Record {
            key: Some(Key { value: value.as_ref().cloned().unwrap_or_default(), encoded: key }),
            window,
            value: state,
            // What was handed on last is not kept.
            old: (self.sends_old && !was_there).then_some(Value::Null),
            timestamp,
            headers,
            origin,
            latest: true,
        };
        match value {
            Ok(_) => self.hand_on(record, context),
            Err(error) => context.fail(record, error.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_keys_are_known_and_no_more() {
        let mut known = Known::All(BTreeSet::new());
        for key in 0..=KNOWN {
            assert!(matches!(&known, Known::All(keys) if keys.len() == key));
            known.add(&key.to_be_bytes());
            known.add(&0_usize.to_be_bytes());
        }
        assert!(matches!(known, Known::Nothing));
        known.add(b"k");
        assert!(matches!(known, Known::Nothing));
    }

    #[test]
    fn it_is_time_at_each_multiple_of_the_interval_and_missed_ones_count_once() {
        let mut schedule = Schedule::new(None);
        let times = [0, 5, 10, 11, 19, 45, 46, 50];
        let due: Vec<Timestamp> = times.into_iter().filter(|now| schedule.is_due(*now, 10)).collect();
        assert_eq!(due, [10, 45, 50]);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_by_an_interval_at_most() {
        let mut schedule = Schedule::new(None);
        let due: Vec<Timestamp> = [1_000, 3, 10].into_iter().filter(|now| schedule.is_due(*now, 10)).collect();
        assert_eq!(due, [10]);
    }
}
