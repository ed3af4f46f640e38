//! Sessions: records of one key without a pause between them that is longer than the gap.
//!
//! A record is merged with every session of its key that it is close enough to, and only then is it judged whether the
//! result is over: a late record that reaches a session which is still open is not too late. Each session that goes
//! into a larger one is handed on as deleted, then the larger one.

use super::timeline::RowChange;
use super::{Aggregation, Combine};
use crate::metrics::DropReason;
use crate::operators::{OperatorContext, Result};
use crate::record::{Key, Record, Value};
use crate::state::StateValue;
use crate::time::Timestamp;
use crate::window::{SessionWindows, Window};

/// How many entries of the index are read at a time. A record can reach few sessions, because these are apart.
const FEW: usize = 4;

impl<F: Combine> Aggregation<F> {
    /// Adds a record to its session.
    pub(super) fn add_to_session(
        &mut self,
        windows: SessionWindows,
        record: &Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.find_longest(context)?;
        let before = self.time.get();
        let now = self.time.observe(record.timestamp);
        let outcome = self.merge_sessions(windows, before, now, (record, key), context);
        // Time has moved even if the record failed: what it closes will not be looked at again.
        if before != Some(now) {
            let handed_on = before.map_or(0, |before| windows.first_open(before));
            let expired = now.saturating_sub(self.retention);
            self.time_passed(handed_on, windows.first_open(now), expired, record, context)?;
        }
        outcome
    }

    fn merge_sessions(
        &mut self,
        windows: SessionWindows,
        before: Option<Timestamp>,
        now: Timestamp,
        (record, key): (&Record, &Key),
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let time = record.timestamp;
        // Like Kafka Streams, without the sessions that were past their retention before this record came.
        let kept_from = before.map_or(0, |before| before.saturating_sub(self.retention).saturating_add(1));
        let reach = (time.saturating_sub(windows.gap()).max(kept_from).max(0), time.saturating_add(windows.gap()));
        let found = self.sessions(key, reach, context)?;
        let own = Window { start: time, end: time };
        let merged = found.iter().fold(own, |merged, (session, _)| Window {
            start: merged.start.min(session.start),
            end: merged.end.max(session.end),
        });
        if merged.end < windows.first_open(now) {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let after = self.merged_state(&found, record)?;
        let mut before = Value::Null;
        for (session, row) in found {
            if merged == own {
                before = row.value;
                continue;
            }
            let change = RowChange {
                window: session,
                before: Some(row.value),
                after: Value::Null,
                timestamp: session.end,
                record,
                key,
            };
            self.change_row(change, context)?;
        }
        let change = RowChange { window: merged, before: Some(before), after, timestamp: merged.end, record, key };
        self.change_row(change, context)
    }

    fn merged_state(&self, found: &[(Window, StateValue)], record: &Record) -> Result<Value> {
        let mut state = if found.is_empty() { None } else { self.function.start(record)? };
        for (_, row) in found {
            state = Some(match state {
                None => row.value.clone(),
                Some(state) => self.function.merge(state, row.value.clone(), record)?,
            });
        }
        self.function.add(state, record)
    }

    /// The sessions of a key that end at `from` or later and start at `to` or earlier, in the order of time.
    fn sessions(
        &mut self,
        key: &Key,
        (from, to): (Timestamp, Timestamp),
        context: &mut OperatorContext<'_>,
    ) -> Result<Vec<(Window, StateValue)>> {
        // Sessions of a key do not overlap: one that ends too early is preceded by others that do so too.
        let start_from = self.timeline.longest.map_or(0, |longest| from.saturating_sub(longest).max(0));
        let (mut found, mut before) = (Vec::new(), to);
        loop {
            let sessions = self.sessions_back(&key.encoded, start_from, before, FEW, context)?;
            let more = sessions.len() == FEW;
            for session in sessions {
                if session.end < from {
                    found.reverse();
                    return Ok(found);
                }
                self.point_at(session, &key.encoded);
                if let Some(row) = context.stores.get(self.store, &self.store_key)? {
                    found.push((session, row));
                }
                before = session.start.saturating_sub(1);
            }
            if !more {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// After a start: a store without rows has no long ones.
    fn find_longest(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.time.get().is_none() && self.timeline.longest.is_none() {
            let is_empty = context.stores.last_committed_key(self.store)?.is_none();
            self.timeline.longest = is_empty.then_some(0);
        }
        Ok(())
    }
}
