//! What a step of stream time calls for: windows that have closed are handed on, and those that are over for good go.
//!
//! A leap may pass any number of them. They are read and handed on a part at a time; the next one comes when what was
//! handed on of the last has been worked off, before the next record.

use std::ops::Bound;

use bytes::Bytes;

use super::{Aggregation, Combine, SCAN_LIMIT, Span};
use crate::operators::{OperatorContext, Result};
use crate::record::{Key, Record, Value};
use crate::state::{StateError, StateValue, parse_session_key, parse_window_key, window_bound};
use crate::time::Timestamp;
use crate::window::{Window, Windows};

/// What there is to do.
#[derive(Default)]
pub(super) struct Leap {
    /// The rows to be handed on.
    closed: Option<StoreScan>,
    /// What begins before this goes.
    expired: Option<Timestamp>,
    /// Of what goes and is still noted to be handed on, the last row that was.
    reached: Option<Bytes>,
}

impl Leap {
    /// Rows that begin within `closed` are handed on, then those that begin before `expired` go.
    pub(super) fn new(closed: Option<Span>, expired: Option<Timestamp>) -> Self {
        Leap { closed: closed.map(StoreScan::new), expired, reached: None }
    }
}

/// Walks over a span of a store whose keys begin with a time, a bounded number of rows at a time.
pub(super) struct StoreScan {
    from: Vec<u8>,
    to: Timestamp,
}

impl StoreScan {
    fn new(span: Span) -> Self {
        StoreScan { from: window_bound(span.from).to_vec(), to: span.to }
    }

    /// The next rows, and whether there may be more.
    fn next_rows(
        &mut self,
        store: usize,
        context: &mut OperatorContext<'_>,
    ) -> Result<(Vec<(Bytes, StateValue)>, bool)> {
        let to = window_bound(self.to);
        let (from, to) = (Bound::Included(&self.from[..]), Bound::Excluded(&to[..]));
        let rows = context.stores.scan_limited(store, from, to, SCAN_LIMIT)?;
        if let Some((last, _)) = rows.last() {
            self.from.clear();
            self.from.extend_from_slice(last);
            self.from.push(0);
        }
        let more = rows.len() == SCAN_LIMIT;
        Ok((rows, more))
    }
}

impl<F: Combine> Aggregation<F> {
    /// Does a part of what there is to do; the rest when it is asked again. `trigger` is the record that moved time.
    pub(super) fn work_off(
        &mut self,
        mut leap: Leap,
        trigger: &Record,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if let Some(scan) = &mut leap.closed {
            let (rows, more) = scan.next_rows(self.store, context)?;
            self.close(rows, trigger, context)?;
            if more {
                return self.go_on_later(leap, trigger, context);
            }
            let closed = scan.to;
            leap.closed = None;
            self.closed_before(closed, context)?;
        }
        if let Some(expired) = leap.expired {
            leap.reached = self.hand_on_before(expired, leap.reached, context)?;
            if leap.reached.is_some() {
                return self.go_on_later(leap, trigger, context);
            }
            match self.windows {
                Some(Windows::Time(_)) => context.stores.expire(self.store, expired),
                _ => self.delete_before(expired, context)?,
            }
        }
        Ok(())
    }

    fn go_on_later(&mut self, leap: Leap, trigger: &Record, context: &mut OperatorContext<'_>) -> Result<()> {
        self.leap = Some((leap, trigger.clone()));
        context.ask_again();
        Ok(())
    }

    /// Hands on rows of windows that have closed, in the order of the store.
    fn close(
        &mut self,
        rows: Vec<(Bytes, StateValue)>,
        trigger: &Record,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        for (store_key, row) in rows {
            let damaged = || StateError::damaged_row("an aggregation", &store_key, "it is of no window");
            let (window, key) = self.parse_row(&store_key).ok_or_else(damaged)?;
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
        Ok(())
    }

    /// The window and the record's key of a row.
    pub(super) fn parse_row<'k>(&self, store_key: &'k [u8]) -> Option<(Window, &'k [u8])> {
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
}
