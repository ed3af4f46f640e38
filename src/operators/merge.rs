//! `merge`: the records of several streams, as they come.

use super::{Operator, OperatorContext, Result};
use crate::record::Record;

/// Passes records on; the order between its inputs is that of processing.
pub(super) struct Merge;

impl Operator for Merge {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        context.forward(record);
        Ok(())
    }
}
