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
use crate::serdes::Deserializer;
use crate::state::{StateValue, parse_window_key, window_bound, window_key};
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
    buffer: Vec<u8>,
}

impl StreamVersionedJoin {
    pub(super) fn new(plan: VersionedJoin) -> Self {
        StreamVersionedJoin { plan, buffer: Vec::new() }
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
        Ok(Some(now.saturating_sub(grace)))
    }

    /// Joins what has waited until `due`, that time included.
    fn release(&mut self, store: usize, due: Timestamp, context: &mut OperatorContext<'_>) -> Result<()> {
        if due < 0 {
            return Ok(());
        }
        let end = window_bound(due.saturating_add(1).min(Timestamp::MAX - 1));
        loop {
            let rows = context.stores.scan_limited(store, Bound::Unbounded, Bound::Excluded(&end), SCAN_LIMIT)?;
            let last = rows.len() < SCAN_LIMIT;
            for (place, row) in rows {
                context.stores.put(store, &place, None);
                let Some(record) = unpacked(&self.plan.key, &place, row)? else { continue };
                let failing = record.clone();
                match self.join(record, context) {
                    Err(error @ OperatorError::State(_)) => return Err(error),
                    Err(error) => context.fail(failing, error),
                    Ok(()) => {}
                }
            }
            if last {
                return Ok(());
            }
        }
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

/// The record that waited under a key of the store; `None`: none of ours.
fn unpacked(keys: &Deserializer, place: &Bytes, row: StateValue) -> Result<Option<Record>> {
    let Some((_, numbered)) = parse_window_key(place) else { return Ok(None) };
    let Some(key) = numbered.len().checked_sub(NUMBER_BYTES).and_then(|length| numbered.get(..length)) else {
        return Ok(None);
    };
    let encoded = place.slice_ref(key);
    let Value::Struct(parts) = &row.value else { return Ok(None) };
    let [value, Value::List(headers), Value::String(topic), Value::Int(partition), Value::Int(offset)] = parts.values()
    else {
        return Ok(None);
    };
    let headers = headers.iter().filter_map(|header| match header {
        Value::List(parts) => match &parts[..] {
            [Value::String(name), Value::Bytes(value)] => {
                Some(Header { name: name.clone(), value: Some(value.clone()) })
            }
            [Value::String(name), _] => Some(Header { name: name.clone(), value: None }),
            _ => None,
        },
        _ => None,
    });
    let partition = i32::try_from(*partition).unwrap_or_default();
    let source = Arc::new(TopicPartition::new(topic.to_string(), partition));
    Ok(Some(Record {
        key: Some(Key { value: keys.deserialize(&encoded)?, encoded }),
        window: None,
        value: value.clone(),
        old: None,
        latest: true,
        timestamp: row.timestamp,
        headers: Headers::new(headers.collect()),
        origin: Origin { source, offset: *offset },
    }))
}
