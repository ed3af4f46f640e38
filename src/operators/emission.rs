//! When a table or an aggregate hands on its changes: at each update, or once per key and commit.

use ahash::RandomState;
use bytes::Bytes;
use indexmap::IndexMap;

use crate::record::{Record, Value};
use crate::time::Timestamp;
use crate::window::Window;

/// The change of a row.
pub(super) struct Change<'a> {
    /// The window of the row's key.
    pub(super) window: Option<Window>,
    /// The row after the change.
    pub(super) value: Value,
    /// The row before, where consumers need it.
    pub(super) old: Option<Value>,
    /// The time of the row.
    pub(super) timestamp: Timestamp,
    /// What caused it: gives key, headers and origin.
    pub(super) record: &'a Record,
}

impl Change<'_> {
    /// The record that is handed on.
    pub(super) fn into_record(self) -> Record {
        let Change { window, value, old, timestamp, record } = self;
        let (key, headers, origin) = (record.key.clone(), record.headers.clone(), record.origin.clone());
        Record { key, window, value, old, latest: true, timestamp, headers, origin }
    }
}

/// Changes held back until the commit: the last one of each key, with the old value of the first one.
#[derive(Default)]
pub(super) struct Held {
    records: IndexMap<Bytes, Record, RandomState>,
}

impl Held {
    /// Holds a change back. `store_key` tells rows apart: the key, or window and key.
    pub(super) fn hold(&mut self, store_key: &[u8], mut record: Record) {
        match self.records.get_mut(store_key) {
            Some(held) => {
                record.old = held.old.take();
                *held = record;
            }
            None => {
                self.records.insert(Bytes::copy_from_slice(store_key), record);
            }
        }
    }

    /// As [`Held::hold`], for the change of a row from `old` to `value` that `record` caused.
    pub(super) fn hold_change(&mut self, store_key: &[u8], change: Change<'_>) {
        match self.records.get_mut(store_key) {
            // What tells the row from others is the same, and the old value is that of the first change.
            Some(held) => {
                held.value = change.value;
                held.timestamp = change.timestamp;
                held.headers = change.record.headers.clone();
                held.origin = change.record.origin.clone();
            }
            None => {
                self.records.insert(Bytes::copy_from_slice(store_key), change.into_record());
            }
        }
    }

    /// Takes everything out, in the order in which keys were first touched, save for rows that came and went
    /// since the last commit.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Record> + use<> {
        let came_and_went = |record: &Record| record.value.is_null() && record.old.as_ref().is_some_and(Value::is_null);
        std::mem::take(&mut self.records).into_values().filter(move |record| !came_and_went(record))
    }
}
