//! `branch`: each record goes to the first branch whose condition holds.

use super::{Operator, OperatorContext, Passage, Result, key_value};
use crate::expression::{Expression, Input};
use crate::metrics::DropReason;
use crate::record::Record;

/// Records that match no branch go to the default, or are dropped and counted.
pub(super) struct Branch {
    pub(super) conditions: Vec<Expression>,
    pub(super) default: bool,
}

impl Operator for Branch {
    fn pass(&mut self, record: &mut Record, context: &mut OperatorContext<'_>) -> Result<Passage> {
        for (branch, condition) in self.conditions.iter().enumerate() {
            let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
            if condition.test(&input)? {
                return Ok(Passage::To(branch));
            }
        }
        if self.default {
            return Ok(Passage::To(self.conditions.len()));
        }
        context.drop_record(DropReason::NoBranch);
        Ok(Passage::Ended)
    }
}
