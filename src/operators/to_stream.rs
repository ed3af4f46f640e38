//! `to_stream`: a table's changes as a stream; null is a deletion.

use super::{Operator, OperatorContext, Result};
use crate::record::Record;

/// Hands on the new value and forgets the old one.
pub(super) struct ToStream;

impl Operator for ToStream {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        record.old = None;
        record.latest = true;
        context.forward(record);
        Ok(())
    }
}
