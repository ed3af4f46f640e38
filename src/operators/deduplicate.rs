//! `deduplicate`: keeps the first record of several alike.
//!
//! A record is dropped when one like it was kept whose time is less than `within` before or after its own, and as late
//! when stream time is more than `within` ahead of it: what was kept around it may be forgotten by then.
//!
//! What is kept is remembered in windows as long as `within`, aligned to the epoch. Two records that are kept are at least
//! that far apart, so that a window has one of them at the most, and what may be near a record stands in its own
//! window or a neighbour.

use bytes::Bytes;

use super::map::encode_key;
use super::{Operator, OperatorContext, Result};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::state::{StateValue, window_key};
use crate::time::{StreamTime, Timestamp};
use crate::topology::plan::{DEDUPLICATE_RETENTION, KeyMapping};

/// Remembers the times of what it kept for as long as that can matter.
pub(super) struct Deduplicate {
    by: Option<KeyMapping>,
    within: i64,
    store: usize,
    time: StreamTime,
    buffer: Vec<u8>,
}

impl Deduplicate {
    pub(super) fn new(by: Option<KeyMapping>, within: i64, store: usize) -> Self {
        Deduplicate { by, within: within.max(1), store, time: StreamTime::UNKNOWN, buffer: Vec::new() }
    }

    /// What makes the record like others, as bytes.
    fn likeness(&mut self, record: &Record) -> Result<Option<Bytes>> {
        let Some(by) = &self.by else { return Ok(record.key.as_ref().map(|key| key.encoded.clone())) };
        let value = by.expression.evaluate(&Input::of(record))?;
        Ok(encode_key(value, &by.serializer, &mut self.buffer)?.map(|key| key.encoded))
    }

    /// Whether one like the record was kept near it.
    fn is_duplicate(
        &mut self,
        likeness: &[u8],
        timestamp: Timestamp,
        now: Timestamp,
        context: &mut OperatorContext<'_>,
    ) -> Result<bool> {
        let own = self.window(timestamp);
        for start in [own, own.saturating_sub(self.within), own.saturating_add(self.within)] {
            // Nothing was kept before the epoch, nor after stream time.
            if !(0..=now).contains(&start) {
                continue;
            }
            self.buffer.clear();
            window_key(start, likeness, &mut self.buffer);
            let kept = context.stores.get_ref(self.store, &self.buffer)?;
            if kept.is_some_and(|kept| kept.timestamp.abs_diff(timestamp) < self.within.unsigned_abs()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The start of the window that a time falls into.
    fn window(&self, timestamp: Timestamp) -> Timestamp {
        timestamp / self.within * self.within
    }

    /// Forgets what no record can be near any more that is not late.
    fn expire(&self, before: Option<Timestamp>, now: Timestamp, context: &mut OperatorContext<'_>) {
        let end = now.saturating_sub(self.within.saturating_mul(DEDUPLICATE_RETENTION));
        if end > 0 && before.is_none_or(|before| self.window(before) != self.window(now)) {
            context.stores.expire(self.store, end);
        }
    }
}

impl Operator for Deduplicate {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(likeness) = self.likeness(&record)? else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        let (before, timestamp) = (self.time.get(), record.timestamp);
        let now = self.time.observe(timestamp);
        if timestamp < now.saturating_sub(self.within) {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        if self.is_duplicate(&likeness, timestamp, now, context)? {
            context.drop_record(DropReason::Duplicate);
        } else {
            self.buffer.clear();
            window_key(self.window(timestamp), &likeness, &mut self.buffer);
            let kept = StateValue { timestamp, value: Value::Timestamp(timestamp) };
            context.stores.put(self.store, &self.buffer, Some(kept));
            context.forward(record);
        }
        self.expire(before, now, context);
        Ok(())
    }

    fn keeps_stream_time(&self) -> bool {
        true
    }

    fn stream_time(&self) -> Option<Timestamp> {
        self.time.get()
    }

    fn restore_stream_time(&mut self, timestamp: Timestamp) {
        self.time = StreamTime::restored(Some(timestamp));
    }
}
