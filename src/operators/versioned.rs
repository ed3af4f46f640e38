//! A table that remembers: the versions of each key over a time.
//!
//! Kafka Streams' rules (KIP-889, KIP-914): a record older than the history is dropped; one that is not the newest of its
//! key is written and handed on, marked as old, so that joins and groupings pass it over. Nothing is held back for a commit.

use super::{Operator, OperatorContext, Result};
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::state::{StateValue, Versions, Written};

/// As `to_table`, over a versioned store.
pub(super) struct VersionedTable {
    pub(super) versions: Versions,
    pub(super) sends_old: bool,
}

impl Operator for VersionedTable {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        // The row before is the newest, also for a record that is not.
        let old = match self.sends_old {
            true => Some(context.stores.get(self.versions.latest, &key.encoded)?.map_or(Value::Null, |row| row.value)),
            false => None,
        };
        let version = StateValue { timestamp: record.timestamp, value: record.value.clone() };
        match self.versions.put(context.stores, &key.encoded, version)? {
            Written::Late => {
                context.drop_record(DropReason::Late);
                return Ok(());
            }
            Written::Latest => record.latest = true,
            Written::Old => record.latest = false,
        }
        record.old = old;
        context.forward(record);
        Ok(())
    }
}
