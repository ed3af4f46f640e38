//! The left side of a foreign-key join again: answers meet the rows that asked.

use super::super::{Operator, OperatorContext, Result};
use super::{foreign, hash_of};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Record, Value};
use crate::serdes::internal::Codec;
use crate::state::StateValue;
use crate::topology::foreign_key;
use crate::topology::plan::JoinKind;

/// Looks up the rows that asked; of inner joins it remembers which keys have a joined row.
pub(in crate::operators) struct Resolve {
    plan: foreign_key::Resolve,
    codec: Codec,
    buffer: Vec<u8>,
}

impl Resolve {
    pub(in crate::operators) fn new(plan: foreign_key::Resolve) -> Self {
        Resolve { codec: Codec::new(&plan.row), plan, buffer: Vec::new() }
    }

    /// Notes whether a key has a joined row. Returns whether it had one before.
    fn note(&self, store: usize, key: &[u8], record: &Record, context: &mut OperatorContext<'_>) -> Result<bool> {
        let had = context.stores.get_ref(store, key)?.is_some();
        match (had, record.value.is_null()) {
            (true, true) => context.stores.put(store, key, None),
            (false, false) => {
                let noted = StateValue { timestamp: record.timestamp, value: Value::Null };
                context.stores.put(store, key, Some(noted));
            }
            _ => {}
        }
        Ok(had)
    }
}

impl Operator for Resolve {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        let answer = std::mem::take(&mut record.value);
        let Value::Struct(parts) = &answer else { return Err(foreign("answer")) };
        let [hash, right, Value::Bool(quiet), _] = parts.values() else { return Err(foreign("answer")) };
        let left = context.stores.get(self.plan.rows, &key.encoded)?.map_or(Value::Null, |row| row.value);
        if *hash != hash_of(&left, &self.codec, &mut self.buffer) {
            // The row has changed since it asked, and what it is now is asked about too.
            context.drop_record(DropReason::Stale);
            return Ok(());
        }
        let missing = left.is_null() || (right.is_null() && self.plan.kind == JoinKind::Inner);
        if !missing {
            let locals = [left, right.clone()];
            let input = Input { key: &key.value, value: &Value::Null, record: Some(&record), locals: &locals };
            record.value = self.plan.value.evaluate(&input)?;
        }
        if let Some(store) = self.plan.joined {
            let had = self.note(store, &key.encoded, &record, context)?;
            if *quiet && record.value.is_null() && !had {
                return Ok(());
            }
        }
        context.forward(record);
        Ok(())
    }
}
