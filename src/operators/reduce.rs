//! `reduce`: combines the values of a group pairwise; the first value is the first state.

use super::aggregate::Combine;
use super::aggregate_changes::Subtract;
use super::{Result, key_value};
use crate::expression::{Input, Projection};
use crate::record::{Record, Value};

/// The state has the shape of the values.
pub(super) struct Reduce {
    pub(super) expression: Projection,
    pub(super) subtract: Option<Projection>,
}

impl Combine for Reduce {
    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value> {
        let Some(state) = state else { return Ok(record.value.clone()) };
        let locals = [state];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &locals };
        Ok(self.expression.evaluate(&input)?)
    }

    fn merge(&self, state: Value, later: Value, record: &Record) -> Result<Value> {
        let locals = [state];
        let input = Input { key: key_value(&record.key), value: &later, record: Some(record), locals: &locals };
        Ok(self.expression.evaluate(&input)?)
    }

    fn result(&self, _key: &Value, state: Value) -> Result<Value> {
        Ok(state)
    }
}

impl Subtract for Reduce {
    fn subtract(&self, state: Value, record: &Record) -> Result<Value> {
        let Some(subtract) = &self.subtract else { return Ok(state) };
        let locals = [state];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &locals };
        Ok(subtract.evaluate(&input)?)
    }
}
