//! When a table or an aggregate hands on its changes: at each update, or once per key and commit.

use ahash::RandomState;
use bytes::Bytes;
use indexmap::IndexMap;

use crate::record::{Record, Value};

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

    /// Takes everything out, in the order in which keys were first touched, save for rows that came and went
    /// since the last commit.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Record> + use<> {
        let came_and_went = |record: &Record| record.value.is_null() && record.old.as_ref().is_some_and(Value::is_null);
        std::mem::take(&mut self.records).into_values().filter(move |record| !came_and_went(record))
    }
}
