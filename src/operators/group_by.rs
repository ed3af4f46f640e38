//! `group_by` on a table: which group a row leaves and which it joins.
//!
//! Kafka Streams' rules (`KTableRepartitionMap`): a change within a group is one record, with the row as it is and as it
//! was; one across groups is two, first for the group that the row leaves. A group or value of null is none.

use super::map::encode_key;
use super::{Operator, OperatorContext, Result, key_value};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Key, Record, StructValue, Value};
use crate::topology::plan;

/// Needs the old row with every change; keeps nothing.
pub(super) struct GroupBy {
    plan: plan::GroupBy,
    buffer: Vec<u8>,
}

impl GroupBy {
    pub(super) fn new(plan: plan::GroupBy) -> Self {
        GroupBy { plan, buffer: Vec::new() }
    }

    /// The group of a row and what the row is there; `None`: it is in no group.
    fn member(&mut self, row: &Value, record: &Record) -> Result<Option<(Key, Value)>> {
        if row.is_null() {
            return Ok(None);
        }
        let input = Input { key: key_value(&record.key), value: row, record: Some(record), locals: &[] };
        let group = self.plan.key.expression.evaluate(&input)?;
        let value = match &self.plan.value {
            Some(projection) => projection.evaluate(&input)?,
            None => row.clone(),
        };
        let group = encode_key(group, &self.plan.key.serializer, &mut self.buffer)?;
        Ok(group.filter(|_| !value.is_null()).map(|group| (group, value)))
    }

    fn change(&self, group: Key, new: Value, old: Value, record: &Record) -> Record {
        let change = Value::Struct(StructValue::new(self.plan.change.clone(), [new, old].into()));
        Record { key: Some(group), window: None, value: change, old: None, ..record.clone() }
    }
}

impl Operator for GroupBy {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if record.key.is_none() {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        }
        if !record.latest {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let row = std::mem::take(&mut record.value);
        // A row whose group cannot be computed has never been in one.
        let old = record.old.take().and_then(|old| self.member(&old, &record).ok()).flatten();
        let new = self.member(&row, &record);
        match (old, new) {
            (Some((left, old)), Ok(Some((joined, new)))) if left.encoded == joined.encoded => {
                context.forward(self.change(joined, new, old, &record));
            }
            (old, new) => {
                if let Some((left, old)) = old {
                    context.forward(self.change(left, Value::Null, old, &record));
                }
                if let Some((joined, new)) = new? {
                    context.forward(self.change(joined, new, Value::Null, &record));
                }
            }
        }
        Ok(())
    }
}
