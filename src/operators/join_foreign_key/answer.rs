//! The right side of a foreign-key join: who names which row, and what the row is.

use std::ops::Bound;

use bytes::Bytes;

use super::super::{Operator, OperatorContext, Result};
use super::{Instruction, after_prefix, foreign, prefix, subscriber, subscription_key};
use crate::metrics::DropReason;
use crate::record::{Key, Record, StructValue, Value};
use crate::state::{StateError, StateValue};
use crate::topology::foreign_key;

/// How many subscriptions are read and answered at a time.
const SCAN_LIMIT: usize = 1_000;

/// Input 0: subscriptions, under the key that is named. Input 1: the changes of the table.
pub(in crate::operators) struct Answer {
    plan: foreign_key::Answer,
    /// A change of which not all have been told who name the row.
    telling: Option<Change>,
    buffer: Vec<u8>,
}

/// A change of a row that others name.
struct Change {
    row: Value,
    record: Record,
    /// Where the next subscription lies, and where there are no more.
    from: Bound<Bytes>,
    end: Vec<u8>,
}

impl Answer {
    pub(in crate::operators) fn new(plan: foreign_key::Answer) -> Self {
        Answer { plan, telling: None, buffer: Vec::new() }
    }

    /// The answer to who asked with a row of this hash in this partition.
    fn answer(&self, key: Bytes, [hash, partition]: [Value; 2], row: Value, quiet: bool, record: &Record) -> Record {
        let parts = [hash, row, Value::Bool(quiet), partition];
        let value = Value::Struct(StructValue::new(self.plan.answer.clone(), parts.into()));
        // Its bytes are all that is written of the key.
        let key = Key { value: Value::Bytes(key.clone()), encoded: key };
        Record { key: Some(key), window: None, value, old: None, ..record.clone() }
    }

    fn subscribed(&mut self, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let subscription = std::mem::take(&mut record.value);
        let Value::Struct(parts) = &subscription else { return Err(foreign("subscription")) };
        let [Value::Bytes(key), hash, Value::Int(instruction), partition] = parts.values() else {
            return Err(foreign("subscription"));
        };
        let instruction = Instruction::of(*instruction).ok_or_else(|| foreign("subscription"))?;
        let asked = [hash.clone(), partition.clone()];
        let mut found = None;
        // Who names no row is only waiting for the answer that there is none.
        if let Some(foreign_key) = &record.key {
            subscription_key(&foreign_key.encoded, key, &mut self.buffer)?;
            if instruction.withdraws() {
                // Read first: whether the changelog gets a tombstone must not depend on what is in memory (I7).
                context.stores.get_ref(self.plan.subscriptions, &self.buffer)?;
                context.stores.put(self.plan.subscriptions, &self.buffer, None);
            } else {
                let value = StructValue::new(self.plan.remembered.clone(), asked.clone().into());
                let remembered = StateValue { timestamp: record.timestamp, value: Value::Struct(value) };
                context.stores.put(self.plan.subscriptions, &self.buffer, Some(remembered));
            }
            if instruction != Instruction::Withdraw {
                found = context.stores.get(self.plan.rows, &foreign_key.encoded)?;
            }
        }
        if instruction == Instruction::Withdraw {
            return Ok(());
        }
        record.timestamp = found.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
        let row = found.filter(|_| !instruction.withdraws()).map_or(Value::Null, |row| row.value);
        let quiet = instruction == Instruction::AnswerQuietly;
        context.forward(self.answer(key.clone(), asked, row, quiet, &record));
        Ok(())
    }

    /// Tells all who name a row what it is now.
    fn changed(&mut self, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.take() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        if !record.latest {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let row = std::mem::take(&mut record.value);
        record.old = None;
        prefix(&key.encoded, &mut self.buffer)?;
        let (from, end) = (Bound::Included(Bytes::copy_from_slice(&self.buffer)), after_prefix(&self.buffer));
        self.tell(Change { row, record, from, end }, context)
    }

    /// Tells a part of those who name a row, and the others when asked again.
    fn tell(&mut self, mut change: Change, context: &mut OperatorContext<'_>) -> Result<()> {
        let (from, end) = (change.from.as_ref().map(Bytes::as_ref), Bound::Excluded(&change.end[..]));
        let rows = context.stores.scan_limited(self.plan.subscriptions, from, end, SCAN_LIMIT)?;
        let last = rows.last().filter(|_| rows.len() == SCAN_LIMIT).map(|(place, _)| place.clone());
        for (place, remembered) in rows {
            let damaged = || StateError::damaged_row("a foreign-key join", &place, "it is no subscription");
            let key = subscriber(&place).ok_or_else(damaged)?;
            let Value::Struct(parts) = &remembered.value else { return Err(damaged().into()) };
            let [hash, partition] = parts.values() else { return Err(damaged().into()) };
            let asked = [hash.clone(), partition.clone()];
            context.forward(self.answer(key, asked, change.row.clone(), false, &change.record));
        }
        if let Some(last) = last {
            change.from = Bound::Excluded(last);
            self.telling = Some(change);
            context.ask_again();
        }
        Ok(())
    }
}

impl Operator for Answer {
    fn process(&mut self, input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        match input {
            0 => self.subscribed(record, context),
            _ => self.changed(record, context),
        }
    }

    fn go_on(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        match self.telling.take() {
            Some(change) => self.tell(change, context),
            None => Ok(()),
        }
    }
}
