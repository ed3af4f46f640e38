//! Stream–table join with a versioned table: a record is joined with the row as it was at the record's time, and with
//! `grace` only when the stream has come so much further.
//!
//! Kafka Streams' rules (`KStreamKTableJoin` with a grace period, KIP-923): what is too late to wait is joined at once;
//! the others in the order of their times, then keys, then arrival, as soon as a record brings stream time past them.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Operator, OperatorContext, OperatorError, Result, key_value};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Header, Headers, Key, Origin, Record, StructValue, TopicPartition, Value};
use crate::serdes::{Deserializer, SerdeError};
use crate::state::{StateError, StateValue, parse_window_key, window_bound, window_key};
use crate::time::Timestamp;
use crate::topology::plan::{JoinKind, VersionedJoin};

/// How many waiting records are taken out per scan of the store.
const SCAN_LIMIT: usize = 1_000;
/// The number behind a key that tells records of one key and time apart.
const NUMBER_BYTES: usize = size_of::<u64>();

/// What waits lies in a window store, by time, key and number; its own time and the next number in the row behind all
/// others.
pub(super) struct StreamVersionedJoin {
    plan: VersionedJoin,
    /// Nothing that waits is earlier than this; `None`: not known. It saves a look at the store, and walking over what
    /// was deleted there.
    waits_from: Option<Timestamp>,
    /// While what is due is joined: until when it has waited, and the last row that was taken.
    reached: Option<(Timestamp, Bytes)>,
    buffer: Vec<u8>,
}

impl StreamVersionedJoin {
    pub(super) fn new(plan: VersionedJoin) -> Self {
        StreamVersionedJoin { plan, waits_from: None, reached: None, buffer: Vec::new() }
    }

    fn join(&self, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let row = match &record.key {
            Some(key) => self.plan.versions.get(context.stores, &key.encoded, record.timestamp)?,
            None => None,
        };
        if row.is_none() && self.plan.kind == JoinKind::Inner {
            return Ok(());
        }
        let locals = [record.value.clone(), row.map_or(Value::Null, |row| row.value)];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &locals };
        record.value = self.plan.value.evaluate(&input)?;
        context.forward(record);
        Ok(())
    }

    /// Lets a record wait. `None`: it is too late for that; else the time of what has waited long enough.
    fn wait(
        &mut self,
        store: usize,
        grace: i64,
        record: &Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<Option<Timestamp>> {
        let (time, number) = match context.stores.get_ref(store, &progress_key())? {
            Some(StateValue { timestamp, value: Value::Int(number) }) => (Some(*timestamp), *number),
            _ => (None, 0),
        };
        if time.is_some_and(|time| record.timestamp < time.saturating_sub(grace)) {
            return Ok(None);
        }
        let now = time.map_or(record.timestamp, |time| time.max(record.timestamp));
        self.buffer.clear();
        window_key(record.timestamp, &key.encoded, &mut self.buffer);
        self.buffer.extend_from_slice(&number.to_be_bytes());
        let waiting = StateValue { timestamp: record.timestamp, value: packed(&self.plan, record) };
        context.stores.put(store, &self.buffer, Some(waiting));
        let progress = StateValue { timestamp: now, value: Value::Int(number.wrapping_add(1) & i64::MAX) };
        context.stores.put(store, &progress_key(), Some(progress));
        self.waits_from = self.waits_from.map(|from| from.min(record.timestamp));
        Ok(Some(now.saturating_sub(grace)))
    }

    /// Joins what has waited until `due`, that time included: a part of it, and the rest when asked again.
    fn release(&mut self, store: usize, due: Timestamp, context: &mut OperatorContext<'_>) -> Result<()> {
        if due < 0 || self.waits_from.is_some_and(|from| from > due) {
            return Ok(());
        }
        let open_from = window_bound(due.saturating_add(1).min(Timestamp::MAX - 1));
        let begin = Bound::Included(Bytes::copy_from_slice(&window_bound(self.waits_from.unwrap_or(0))));
        let from = self.reached.take().map_or(begin, |(_, last)| Bound::Excluded(last));
        let (after, before) = (from.as_ref().map(Bytes::as_ref), Bound::Excluded(&open_from[..]));
        let rows = context.stores.scan_limited(store, after, before, SCAN_LIMIT)?;
        let last = rows.last().filter(|_| rows.len() == SCAN_LIMIT).map(|(place, _)| place.clone());
        for (place, row) in rows {
            let (record, key) = unpacked(&self.plan.key, &place, row).ok_or_else(|| damaged(&place))?;
            context.stores.put(store, &place, None);
            let failing = record.clone();
            match key.map_err(OperatorError::from).and_then(|()| self.join(record, context)) {
                Err(error @ OperatorError::State(_)) => return Err(error),
                Err(error) => context.fail(failing, error),
                Ok(()) => {}
            }
        }
        if let Some(last) = last {
            self.reached = Some((due, last));
            context.ask_again();
            return Ok(());
        }
        let (waiting, end) = (Bound::Included(&open_from[..]), progress_key());
        let first = context.stores.scan_limited(store, waiting, Bound::Excluded(&end), 1)?;
        let first = first.first().and_then(|(place, _)| parse_window_key(place));
        self.waits_from = Some(first.map_or(Timestamp::MAX, |(time, _)| time));
        Ok(())
    }
}

impl Operator for StreamVersionedJoin {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if record.value.is_null() {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        }
        let Some(key) = record.key.clone() else {
            if self.plan.kind == JoinKind::Inner {
                context.drop_record(DropReason::NullKey);
                return Ok(());
            }
            // There is no row to wait for.
            return self.join(record, context);
        };
        let Some((store, grace)) = self.plan.wait else { return self.join(record, context) };
        match self.wait(store, grace, &record, &key, context)? {
            None => self.join(record, context),
            Some(due) => self.release(store, due, context),
        }
    }

    fn go_on(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        match (self.plan.wait, self.reached.as_ref().map(|(due, _)| *due)) {
            (Some((store, _)), Some(due)) => self.release(store, due, context),
            _ => Ok(()),
        }
    }
}

/// The key of the row with the time and the next number.
fn progress_key() -> [u8; NUMBER_BYTES] {
    window_bound(Timestamp::MAX)
}

/// A record as it waits: its value, headers and origin.
fn packed(plan: &VersionedJoin, record: &Record) -> Value {
    let headers: Vec<Value> = record
        .headers
        .as_slice()
        .iter()
        .map(|header| {
            let value = header.value.clone().map_or(Value::Null, Value::Bytes);
            Value::list(vec![Value::String(header.name.clone()), value])
        })
        .collect();
    let topic = Value::text(record.origin.topic().to_string());
    let (partition, offset) = (Value::Int(record.origin.partition().into()), Value::Int(record.origin.offset));
    let parts = vec![record.value.clone(), Value::list(headers), topic, partition, offset];
    Value::Struct(StructValue::new(plan.waiting.clone(), parts.into()))
}

/// The record that waited under a key of the store, and whether its key can be read; `None`: it is no row of ours.
fn unpacked(keys: &Deserializer, place: &Bytes, row: StateValue) -> Option<(Record, Result<(), SerdeError>)> {
    let (_, numbered) = parse_window_key(place)?;
    let key = numbered.get(..numbered.len().checked_sub(NUMBER_BYTES)?)?;
    let encoded = place.slice_ref(key);
    let Value::Struct(parts) = &row.value else { return None };
    let [value, Value::List(headers), Value::String(topic), Value::Int(partition), Value::Int(offset)] = parts.values()
    else {
        return None;
    };
    let source = Arc::new(TopicPartition::new(topic.to_string(), i32::try_from(*partition).ok()?));
    let (key, readable) = match keys.deserialize(&encoded) {
        Ok(key) => (key, Ok(())),
        Err(error) => (Value::Null, Err(error)),
    };
    let record = Record {
        key: Some(Key { value: key, encoded }),
        window: None,
        value: value.clone(),
        old: None,
        latest: true,
        timestamp: row.timestamp,
        headers: Headers::new(headers.iter().map(header).collect::<Option<_>>()?),
        origin: Origin { source, offset: *offset },
    };
    Some((record, readable))
}

fn header(stored: &Value) -> Option<Header> {
    let Value::List(parts) = stored else { return None };
    match &parts[..] {
        [Value::String(name), Value::Bytes(value)] => Some(Header { name: name.clone(), value: Some(value.clone()) }),
        [Value::String(name), Value::Null] => Some(Header { name: name.clone(), value: None }),
        _ => None,
    }
}

fn damaged(place: &[u8]) -> StateError {
    StateError::damaged_row("a stream–table join with grace", place, "it is none of the records that wait")
}
