//! `filter` and `filter_not`: keeps the records for which a condition holds, or does not hold.

use super::{Operator, OperatorContext, Passage, Result, key_value};
use crate::expression::{Expression, Input};
use crate::record::{Record, Value};

/// On a stream a record that does not pass is gone. On a table it becomes a tombstone, unless its row is
/// known never to have passed: which takes old rows, and these come where rows are stored upstream (Kafka Streams'
/// `KTableFilter` since KAFKA-10077).
pub(super) struct Filter {
    pub(super) condition: Expression,
    pub(super) negate: bool,
    pub(super) table: bool,
    pub(super) versioned: bool,
}

impl Filter {
    fn passes(&self, value: &Value, record: &Record) -> Result<bool> {
        if self.table && value.is_null() {
            return Ok(false);
        }
        let input = Input { key: key_value(&record.key), value, record: Some(record), locals: &[] };
        Ok(self.condition.test(&input)? != self.negate)
    }
}

impl Operator for Filter {
    fn pass(&mut self, record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        let passes = self.passes(&record.value, record)?;
        if !self.table {
            return Ok(if passes { Passage::To(0) } else { Passage::Ended });
        }
        if let Some(old) = record.old.take() {
            // An old row on which the condition fails is as good as unknown; the new row counts.
            let passed = self.passes(&old, record).ok();
            record.old = passed.map(|passed| if passed { old } else { Value::Null });
            if passed == Some(false) && !passes && !self.versioned {
                return Ok(Passage::Ended);
            }
        }
        if !passes {
            record.value = Value::Null;
        }
        Ok(Passage::To(0))
    }
}
