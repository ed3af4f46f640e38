//! `call`: asks an agent about a record and puts the answer into its value.

use std::sync::Arc;

use super::{Operator, OperatorContext, Result, key_value};
use crate::agents::Agent;
use crate::expression::{Input, Projection};
use crate::record::Record;

/// Agents of the `local` provider answer in line: they compute, and wait for nothing.
pub(super) struct Call {
    pub(super) agent: Arc<dyn Agent>,
    pub(super) input: Projection,
    pub(super) into: Option<Projection>,
}

impl Operator for Call {
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(&record), locals: &[] };
        let question = self.input.evaluate(&input)?;
        let answer = self.agent.answer(&question)?;
        record.value = match &self.into {
            None => answer,
            Some(into) => into.evaluate(&Input { locals: &[answer], ..input })?,
        };
        context.forward(record);
        Ok(())
    }
}
