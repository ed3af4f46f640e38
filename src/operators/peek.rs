//! `peek`: shows records in the log of the process and passes them on unchanged.

use super::{Operator, OperatorContext, Passage, Result, key_value};
use crate::expression::{Input, Projection};
use crate::record::Record;
use crate::serdes::json;

/// Writes at level `info` under the target `signalstream::peek`.
pub(super) struct Peek {
    pub(super) message: Projection,
}

impl Operator for Peek {
    fn pass(&mut self, record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
        let message = json::to_json(&self.message.evaluate(&input)?);
        tracing::info!(target: "signalstream::peek", origin = %record.origin, "{message}");
        Ok(Passage::To(0))
    }
}
