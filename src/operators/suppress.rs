//! `suppress`: holds the changes of a table back, so that of several changes of a key only the last goes on.
//!
//! What is held back is state: a store in the order in which changes are due. A change is due when its window is over
//! (and then it is final), or a time after the first change of its key that was held back; later ones take its place
//! and do not start the time anew. Stream time decides, as this operator sees it. This follows Kafka Streams'
//! `KTableSuppressProcessor`.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Operator, OperatorContext, OperatorError, Result};
use crate::metrics::DropReason;
use crate::record::{Key, Provenance, Record, Shape, StructShape, StructValue, Value};
use crate::serdes::internal::Codec;
use crate::state::{StateError, StateValue, parse_window_key, window_bound, window_key};
use crate::time::{StreamTime, Timestamp};
use crate::topology::plan::{Suppress, Until, WhenFull};
use crate::window::{Window, Windows};

/// How many changes are looked at in one go.
const SCAN_LIMIT: usize = 1_000;
const TIME_BYTES: usize = size_of::<u64>();

/// The operator.
pub(super) struct SuppressChanges {
    plan: Suppress,
    time: StreamTime,
    /// Nothing that is held back is due before this; `None`: not known.
    due_from: Option<Timestamp>,
    /// Up to where changes were handed on that are due now; `None`: none of them yet.
    reached: Option<Bytes>,
    /// How much is held back, where that is limited; `None`: not counted yet.
    held: Option<Held>,
    shape: Option<Arc<StructShape>>,
    codec: Option<Codec>,
    provenance: Provenance,
    buffer_key: Vec<u8>,
    row_key: Vec<u8>,
}

/// How much is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    records: u64,
    bytes: u64,
}

impl SuppressChanges {
    pub(super) fn new(plan: &Suppress) -> Self {
        SuppressChanges {
            plan: plan.clone(),
            time: StreamTime::UNKNOWN,
            due_from: None,
            reached: None,
            held: None,
            shape: None,
            codec: None,
            provenance: Provenance::default(),
            buffer_key: Vec::new(),
            row_key: Vec::new(),
        }
    }

    fn is_limited(&self) -> bool {
        self.plan.max_records.is_some() || self.plan.max_bytes.is_some()
    }

    /// Puts a change where it is held back until it is due.
    fn hold(&mut self, record: Record, key: &Key, context: &mut OperatorContext<'_>) -> Result<()> {
        self.point_at(&record, key);
        let time = self.due_time(&record, context)?;
        self.buffer_key.clear();
        window_key(time, &self.row_key, &mut self.buffer_key);
        let before = context.stores.get(self.plan.buffer, &self.buffer_key)?;
        // What went on last is the row before the first change that is held back.
        let old = match &before {
            Some(before) if before.value.get("old_is_known") == Some(&Value::Bool(true)) => {
                before.value.get("old").cloned()
            }
            Some(_) => None,
            None => record.old.clone(),
        };
        let values = [
            record.value,
            old.clone().unwrap_or_default(),
            Value::Bool(old.is_some()),
            self.provenance.write(&record.headers, &record.origin),
        ];
        let shape = self.shape(context);
        let value = Value::Struct(StructValue::new(shape, values.into()));
        let after = StateValue { timestamp: record.timestamp, value };
        if let Some(held) = self.held {
            let removed = before.as_ref().map_or(Held::default(), |before| self.size(&self.buffer_key, before));
            let added = self.size(&self.buffer_key, &after);
            self.held = Some(Held {
                records: (held.records + added.records).saturating_sub(removed.records),
                bytes: (held.bytes + added.bytes).saturating_sub(removed.bytes),
            });
        }
        context.stores.put(self.plan.buffer, &self.buffer_key, Some(after));
        self.due_from = self.due_from.map(|from| from.min(time));
        Ok(())
    }

    /// Sets `self.row_key` to what tells the row from others: the key and its window.
    fn point_at(&mut self, record: &Record, key: &Key) {
        self.row_key.clear();
        self.row_key.extend_from_slice(&key.encoded);
        if let Some(window) = record.window {
            if matches!(self.plan.windows, Some(Windows::Session(_))) {
                self.row_key.extend_from_slice(&window_bound(window.end));
            }
            self.row_key.extend_from_slice(&window_bound(window.start));
        }
    }

    /// The time that counts: the end of the window, or when the first change came that is held back of the row.
    fn due_time(&mut self, record: &Record, context: &mut OperatorContext<'_>) -> Result<Timestamp> {
        let Some(index) = self.plan.index else {
            return Ok(record.window.map_or(record.timestamp, |window| window.end));
        };
        if let Some(Value::Int(time)) = context.stores.get_ref(index, &self.row_key)?.map(|row| &row.value) {
            return Ok(*time);
        }
        let time = record.timestamp.max(0);
        let entry = StateValue { timestamp: record.timestamp, value: Value::Int(time) };
        context.stores.put(index, &self.row_key, Some(entry));
        Ok(time)
    }

    fn shape(&mut self, context: &OperatorContext<'_>) -> Arc<StructShape> {
        let of_store = || {
            let spec = context.stores.specs().nth(self.plan.buffer);
            match spec.map(|spec| spec.shape.clone()) {
                Some(Shape::Struct(shape)) => shape,
                _ => Arc::new(StructShape::new("", Vec::new())),
            }
        };
        self.shape.get_or_insert_with(of_store).clone()
    }

    /// What a change counts for.
    fn size(&self, buffer_key: &[u8], row: &StateValue) -> Held {
        let mut bytes = Vec::new();
        if let Some(codec) = self.codec.as_ref().filter(|_| self.plan.max_bytes.is_some()) {
            codec.encode(row.timestamp, &row.value, &mut bytes);
        }
        Held { records: 1, bytes: (buffer_key.len() + bytes.len()) as u64 }
    }

    /// Counts what is held back, after a start. It is no more than the limits allow.
    fn count(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.held.is_some() || !self.is_limited() {
            return Ok(());
        }
        self.codec = context.stores.specs().nth(self.plan.buffer).map(|spec| Codec::new(&spec.shape));
        let mut held = Held::default();
        let mut from = Bound::Unbounded;
        loop {
            let rows = context.stores.scan_limited(
                self.plan.buffer,
                from.as_ref().map(Bytes::as_ref),
                Bound::Unbounded,
                SCAN_LIMIT,
            )?;
            for (key, row) in &rows {
                let size = self.size(key, row);
                held = Held { records: held.records + size.records, bytes: held.bytes + size.bytes };
            }
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN_LIMIT => from = Bound::Excluded(last.clone()),
                _ => break,
            }
        }
        self.held = Some(held);
        Ok(())
    }

    /// Hands on what is due, a part at a time, and then makes room.
    fn hand_on_due(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let wait = match self.plan.until {
            Until::WindowCloses { after } => after,
            Until::TimeLimit { limit } => limit,
        };
        let due = self.time.get().unwrap_or(0).saturating_sub(wait);
        if due >= 0 && self.due_from.is_none_or(|from| from <= due) {
            let begin = Bound::Included(Bytes::copy_from_slice(&window_bound(self.due_from.unwrap_or(0))));
            let from = self.reached.take().map_or(begin, Bound::Excluded);
            let open_from = window_bound(due.saturating_add(1));
            let (from, to) = (from.as_ref().map(Bytes::as_ref), Bound::Excluded(&open_from[..]));
            let rows = context.stores.scan_limited(self.plan.buffer, from, to, SCAN_LIMIT)?;
            for (buffer_key, row) in &rows {
                self.hand_on(buffer_key, row, context)?;
            }
            if rows.len() == SCAN_LIMIT {
                self.reached = rows.into_iter().next_back().map(|(last, _)| last);
                context.ask_again();
                return Ok(());
            }
            self.due_from = Some(due.saturating_add(1));
            self.due_from = Some(self.first(context)?.map_or(Timestamp::MAX, |(time, _, _)| time));
        }
        self.make_room(context)
    }

    /// The change that is due first.
    fn first(&mut self, context: &mut OperatorContext<'_>) -> Result<Option<(Timestamp, Bytes, StateValue)>> {
        let from = window_bound(self.due_from.unwrap_or(0));
        let rows = context.stores.scan_limited(self.plan.buffer, Bound::Included(&from), Bound::Unbounded, 1)?;
        let first = rows.into_iter().next();
        Ok(first.and_then(|(key, row)| Some((parse_window_key(&key)?.0, key, row))))
    }

    fn is_full(&self) -> bool {
        let held = self.held.unwrap_or_default();
        self.plan.max_records.is_some_and(|most| held.records > most)
            || self.plan.max_bytes.is_some_and(|most| held.bytes > most)
    }

    fn make_room(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        while self.is_full() {
            let held = self.held.unwrap_or_default();
            if self.plan.when_full == WhenFull::Stop {
                return Err(OperatorError::Stop(format!(
                    "more changes are held back than `suppress` allows: {} records, {} bytes of keys and values. Raise \
                     its limits, or let early changes go on with `when_full: emit_early`",
                    held.records, held.bytes
                )));
            }
            let Some((time, buffer_key, row)) = self.first(context)? else { return Ok(()) };
            self.hand_on(&buffer_key, &row, context)?;
            self.due_from = Some(time);
        }
        Ok(())
    }

    /// Hands a change on, which is then no longer held back.
    fn hand_on(&mut self, buffer_key: &Bytes, row: &StateValue, context: &mut OperatorContext<'_>) -> Result<()> {
        context.stores.put(self.plan.buffer, buffer_key, None);
        let row_key = buffer_key.slice(TIME_BYTES.min(buffer_key.len())..);
        if let Some(index) = self.plan.index {
            context.stores.put(index, &row_key, None);
        }
        if let Some(held) = self.held {
            let size = self.size(buffer_key, row);
            self.held = Some(Held {
                records: held.records.saturating_sub(size.records),
                bytes: held.bytes.saturating_sub(size.bytes),
            });
        }
        let value = row.value.get("value").cloned().unwrap_or_default();
        // A window that is over and has nothing was never handed on.
        if value.is_null() && matches!(self.plan.until, Until::WindowCloses { .. }) {
            return Ok(());
        }
        let Some((headers, origin)) = row.value.get("cause").and_then(Provenance::read) else {
            return Err(StateError::damaged_row("`suppress`", buffer_key, "it does not say what caused it").into());
        };
        let (window, encoded) = self.split(&row_key);
        let key = self.plan.key.deserialize(&encoded);
        let is_known = row.value.get("old_is_known") == Some(&Value::Bool(true));
        let record = Record {
            key: Some(Key { value: key.as_ref().cloned().unwrap_or_default(), encoded }),
            window,
            value,
            old: row.value.get("old").filter(|_| is_known).cloned(),
            timestamp: row.timestamp,
            headers,
            origin,
            latest: true,
        };
        match key {
            Ok(_) => context.forward(record),
            Err(error) => context.fail(record, error.into()),
        }
        Ok(())
    }

    /// The window and the key that stand in the key of a row.
    fn split(&self, row_key: &Bytes) -> (Option<Window>, Bytes) {
        let times = match self.plan.windows {
            None => 0,
            Some(Windows::Session(_)) => 2,
            Some(_) => 1,
        };
        let at = row_key.len().saturating_sub(times * TIME_BYTES);
        let (key, rest) = (row_key.slice(..at), &row_key[at..]);
        let time = |bytes: &[u8]| parse_window_key(bytes).map_or(0, |(time, _)| time);
        let window = self.plan.windows.map(|windows| match windows {
            Windows::Time(windows) => windows.window(time(rest)),
            Windows::Sliding(windows) => windows.window(time(rest)),
            Windows::Unlimited(window) => window.window(),
            Windows::Session(_) => Window { end: time(rest), start: time(rest.get(TIME_BYTES..).unwrap_or_default()) },
        });
        (window, key)
    }
}

impl Operator for SuppressChanges {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        self.time.observe(record.timestamp);
        // Of a table with versions, what is held back is the newest.
        if !record.latest {
            context.drop_record(DropReason::Late);
            return self.hand_on_due(context);
        }
        self.count(context)?;
        self.hold(record, &key, context)?;
        self.hand_on_due(context)
    }

    fn go_on(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.hand_on_due(context)
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
