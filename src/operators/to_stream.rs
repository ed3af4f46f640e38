//! `to_stream`: a table's changes as a stream; null is a deletion.

use super::{Operator, OperatorContext, Passage, Result};
use crate::record::Record;

/// Hands on the new value and forgets the old one.
pub(super) struct ToStream;

impl Operator for ToStream {
    fn pass(&mut self, record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        record.old = None;
        record.latest = true;
        Ok(Passage::To(0))
    }
}
