//! Stream–global-table join: each record of the stream looks up the row of a key that is computed from it.

use super::{Operator, OperatorContext, Result, key_value};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::topology::global::GlobalJoin;
use crate::topology::plan::JoinKind;

/// Only the stream triggers. A null value is dropped; a null looked-up key is dropped by an inner join and joins with
/// nothing in a left one. The record keeps its key.
pub(super) struct StreamGlobalJoin {
    plan: GlobalJoin,
    buffer: Vec<u8>,
}

impl StreamGlobalJoin {
    pub(super) fn new(plan: GlobalJoin) -> Self {
        StreamGlobalJoin { plan, buffer: Vec::new() }
    }
}

impl Operator for StreamGlobalJoin {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if record.value.is_null() {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        }
        let mut locals = [record.value.clone(), Value::Null];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &locals };
        let key = self.plan.on.evaluate(&input)?;
        if key.is_null() && self.plan.kind == JoinKind::Inner {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        }
        let row = if key.is_null() {
            None
        } else {
            self.buffer.clear();
            self.plan.key.serialize(&key, &mut self.buffer)?;
            context.global_row(self.plan.table, &self.buffer)?
        };
        match row {
            Some(row) => locals[1] = row.value,
            None if self.plan.kind == JoinKind::Inner => return Ok(()),
            None => {}
        }
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &locals };
        record.value = self.plan.value.evaluate(&input)?;
        context.forward(record);
        Ok(())
    }
}
