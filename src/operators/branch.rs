//! `branch`: each record goes to the first branch whose condition holds.

use super::{Operator, OperatorContext, Result, key_value};
use crate::expression::{Expression, Input};
use crate::metrics::DropReason;
use crate::record::Record;

/// Records that match no branch go to the default, or are dropped and counted.
pub(super) struct Branch {
    pub(super) conditions: Vec<Expression>,
    pub(super) default: bool,
}

impl Operator for Branch {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        for (branch, condition) in self.conditions.iter().enumerate() {
            let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &[] };
            if condition.test(&input)? {
                context.forward_to(branch, record);
                return Ok(());
            }
        }
        if self.default {
            context.forward_to(self.conditions.len(), record);
        } else {
            context.drop_record(DropReason::NoBranch);
        }
        Ok(())
    }
}
