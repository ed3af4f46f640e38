//! The left side of a foreign-key join: which row is named now, and which was before.

use super::super::map::encode_key;
use super::super::{Operator, OperatorContext, Result, key_value};
use super::{Instruction, hash_of};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Key, Record, StructValue, Value};
use crate::serdes::internal::Codec;
use crate::topology::foreign_key;
use crate::topology::plan::JoinKind;

/// Needs the old row with every change; keeps nothing.
pub(in crate::operators) struct Subscribe {
    plan: foreign_key::Subscribe,
    codec: Codec,
    buffer: Vec<u8>,
}

impl Subscribe {
    pub(in crate::operators) fn new(plan: foreign_key::Subscribe) -> Self {
        Subscribe { codec: Codec::new(&plan.row), plan, buffer: Vec::new() }
    }

    /// The key that a row names; `None`: it names none.
    fn named(&mut self, row: &Value, record: &Record) -> Result<Option<Key>> {
        if row.is_null() {
            return Ok(None);
        }
        let locals = std::slice::from_ref(row);
        let input = Input { key: key_value(&record.key), value: &Value::Null, record: Some(record), locals };
        let named = self.plan.on.evaluate(&input)?;
        encode_key(named, &self.plan.key, &mut self.buffer)
    }

    /// The subscriptions that a change asks for, in order: the key that is named, and what to do.
    fn instructions(&self, before: Option<Key>, now: Option<Key>) -> Vec<(Option<Key>, Instruction)> {
        let left = self.plan.kind == JoinKind::Left;
        let usual = if left { Instruction::Answer } else { Instruction::AnswerQuietly };
        match (before, now) {
            (Some(before), Some(now)) if before.encoded == now.encoded => vec![(Some(now), usual)],
            // The row that was named may be in another task than the one that is. Whether it had joined is not known:
            // what is answered may be a tombstone too many.
            (Some(before), None) if !left => vec![(Some(before), Instruction::WithdrawAndAnswer)],
            (Some(before), now) => vec![(Some(before), Instruction::Withdraw), (now, Instruction::Answer)],
            (None, now) => vec![(now, usual)],
        }
    }
}

impl Operator for Subscribe {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        if !record.latest {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let row = std::mem::take(&mut record.value);
        let old = record.old.take().unwrap_or_default();
        if row.is_null() && old.is_null() {
            return Ok(());
        }
        // A row whose key cannot be computed names none.
        let before = self.named(&old, &record).ok().flatten();
        let (now, failed) = match self.named(&row, &record) {
            Ok(now) => (now, None),
            Err(error) => (None, Some(error)),
        };
        if now.is_none() && failed.is_none() && !row.is_null() && self.plan.kind == JoinKind::Inner {
            context.drop_record(DropReason::NullKey);
        }
        let hash = hash_of(&row, &self.codec, &mut self.buffer);
        for (foreign_key, instruction) in self.instructions(before, now) {
            let parts = [
                Value::Bytes(key.encoded.clone()),
                hash.clone(),
                Value::Int(instruction.number()),
                Value::Int(record.origin.partition().into()),
            ];
            let value = Value::Struct(StructValue::new(self.plan.subscription.clone(), parts.into()));
            context.forward(Record { key: foreign_key, window: None, value, ..record.clone() });
        }
        failed.map_or(Ok(()), Err)
    }
}
