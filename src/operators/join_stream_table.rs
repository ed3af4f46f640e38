//! Stream–table join: each record of the stream looks up the table's row of its key.

use super::{Operator, OperatorContext, Result, key_value};
use crate::expression::{Input, Projection};
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::topology::plan::JoinKind;

/// Only the stream triggers. A null value is dropped; a null key is dropped by an inner join and joins
/// with nothing in a left one (KIP-962).
pub(super) struct StreamTableJoin {
    pub(super) kind: JoinKind,
    pub(super) table: usize,
    pub(super) value: Projection,
}

impl Operator for StreamTableJoin {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if record.value.is_null() {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        }
        let row = match &record.key {
            Some(key) => context.stores.get(self.table, &key.encoded)?,
            None if self.kind == JoinKind::Inner => {
                context.drop_record(DropReason::NullKey);
                return Ok(());
            }
            None => None,
        };
        if row.is_none() && self.kind == JoinKind::Inner {
            return Ok(());
        }
        let locals = [record.value.clone(), row.map_or(Value::Null, |row| row.value)];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &locals };
        record.value = self.value.evaluate(&input)?;
        context.forward(record);
        Ok(())
    }
}
