//! Table–table join of any number of tables by their common key.
//!
//! The result is what a chain of Kafka Streams' two-table joins gives: each change of one input is joined
//! with the current rows of the others, its timestamp is the highest of the rows that took part, and a
//! tombstone is handed on when the joined row goes.

use super::{Operator, OperatorContext, Result};
use crate::expression::{Input, Projection};
use crate::metrics::DropReason;
use crate::record::{Key, Record, Value};
use crate::topology::plan::JoinKind;

/// The inputs keep their own rows; this operator keeps nothing.
pub(super) struct TableTableJoin {
    kind: JoinKind,
    stores: Vec<usize>,
    value: Projection,
    sends_old: bool,
    rows: Vec<Value>,
}

impl TableTableJoin {
    pub(super) fn new(kind: JoinKind, stores: Vec<usize>, value: Projection, sends_old: bool) -> Self {
        TableTableJoin { kind, stores, value, sends_old, rows: Vec::new() }
    }

    /// Whether the rows at hand make a joined row.
    fn exists(&self) -> bool {
        match self.kind {
            JoinKind::Inner => self.rows.iter().all(|row| !row.is_null()),
            JoinKind::Left => self.rows.first().is_some_and(|row| !row.is_null()),
            JoinKind::Outer => self.rows.iter().any(|row| !row.is_null()),
        }
    }

    /// Whether a change of `input` can change the result, given the other rows.
    fn concerns(&self, input: usize, record: &Record, caching: bool) -> bool {
        let mut others = self.rows.iter().enumerate().filter(|(side, _)| *side != input).map(|(_, row)| row);
        match self.kind {
            // With caching, two sides that went within one commit are both gone when the first of them is told:
            // whether there was a joined row is then not known, and a tombstone too many does no harm.
            JoinKind::Inner => (caching && record.value.is_null()) || others.all(|row| !row.is_null()),
            JoinKind::Left if input > 0 => self.rows.first().is_some_and(|row| !row.is_null()),
            // A deletion of what was not there goes through a chain of two-table joins as far as each finds a row on
            // its other side.
            JoinKind::Left => changes(record) || others.all(|row| !row.is_null()),
            JoinKind::Outer => {
                let before = if input == 0 { 1..2 } else { 0..input };
                changes(record) || self.rows.get(before).is_some_and(|rows| rows.iter().any(|row| !row.is_null()))
            }
        }
    }

    fn joined(&self, key: &Key, record: &Record) -> Result<Value> {
        if !self.exists() {
            return Ok(Value::Null);
        }
        let input = Input { key: &key.value, value: &Value::Null, record: Some(record), locals: &self.rows };
        Ok(self.value.evaluate(&input)?)
    }
}

/// Whether there is a row now, or was one as far as is known.
fn changes(record: &Record) -> bool {
    !record.value.is_null() || record.old.as_ref().is_none_or(|old| !old.is_null())
}

impl Operator for TableTableJoin {
    fn process(&mut self, input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        if !record.latest {
            context.drop_record(DropReason::Late);
            return Ok(());
        }
        let mut timestamp = record.timestamp;
        self.rows.clear();
        for (side, store) in self.stores.iter().enumerate() {
            if side == input {
                self.rows.push(record.value.clone());
                continue;
            }
            let row = context.stores.get(*store, &key.encoded)?;
            timestamp = row.as_ref().map_or(timestamp, |row| timestamp.max(row.timestamp));
            self.rows.push(row.map_or(Value::Null, |row| row.value));
        }
        if !self.concerns(input, &record, context.caching) {
            return Ok(());
        }
        // Expressions that say `timestamp` mean the row's, which is also what is handed on.
        record.timestamp = timestamp;
        let value = self.joined(&key, &record)?;
        let old = match record.old.take().filter(|_| self.sends_old) {
            None => None,
            Some(old) => {
                if let Some(row) = self.rows.get_mut(input) {
                    *row = old;
                }
                // What cannot be computed any more is not known; the new row counts.
                self.joined(&key, &record).ok()
            }
        };
        context.forward(Record { value, old, ..record });
        Ok(())
    }
}
