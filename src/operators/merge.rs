//! `merge`: the records of several streams, as they come.

use super::{Operator, OperatorContext, Passage, Result};
use crate::record::Record;

/// Passes records on; the order between its inputs is that of processing.
pub(super) struct Merge;

impl Operator for Merge {
    fn pass(&mut self, _record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        Ok(Passage::To(0))
    }
}
