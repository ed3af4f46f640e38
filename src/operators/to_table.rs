//! `to_table`: the last value of each key. Also what materialises a table source.

use super::emission::Held;
use super::{Operator, OperatorContext, Result};
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::state::StateValue;

/// Rows apply in offset order; a null value deletes the row; a null key is dropped and counted.
pub(super) struct ToTable {
    store: usize,
    sends_old: bool,
    filtered: bool,
    held: Held,
}

impl ToTable {
    pub(super) fn new(store: usize, sends_old: bool, filtered: bool) -> Self {
        ToTable { store, sends_old, filtered, held: Held::default() }
    }
}

impl Operator for ToTable {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        if !record.latest {
            // These are the current rows of a versioned table.
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let row =
            (!record.value.is_null()).then(|| StateValue { timestamp: record.timestamp, value: record.value.clone() });
        if self.sends_old || row.is_none() {
            // Read before a deletion too: whether the changelog gets a tombstone must not depend on what happens to
            // be in memory (I7).
            let old = context.stores.get(self.store, &key.encoded)?;
            if self.filtered && self.sends_old && old.is_none() && row.is_none() {
                // What the filter never let pass is nobody's business.
                return Ok(());
            }
            record.old = self.sends_old.then(|| old.map_or(Value::Null, |old| old.value));
        } else {
            record.old = None;
        }
        context.stores.put(self.store, &key.encoded, row);
        if context.caching {
            self.held.hold(&key.encoded, record);
        } else {
            context.forward(record);
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut OperatorContext<'_>) {
        for record in self.held.take() {
            context.forward(record);
        }
    }
}
