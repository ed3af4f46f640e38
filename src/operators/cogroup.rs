//! `cogroup`: one state of several streams; a record of any of them is taken in as its own input says.

use super::aggregate::Combine;
use super::{Result, key_value};
use crate::expression::Input;
use crate::record::{Record, Value};
use crate::topology::plan;

/// Kafka Streams' `CogroupedKStream`: all inputs share one store.
pub(super) struct Cogroup {
    plan: plan::Cogroup,
    input: usize,
}

impl Cogroup {
    pub(super) fn new(plan: plan::Cogroup) -> Self {
        Cogroup { plan, input: 0 }
    }
}

impl Combine for Cogroup {
    fn take_from(&mut self, input: usize) {
        self.input = input;
    }

    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value> {
        let key = key_value(&record.key);
        let state = match state {
            Some(state) => state,
            None => self.plan.init.evaluate(&Input { key, value: &Value::Null, record: None, locals: &[] })?,
        };
        let Some(add) = self.plan.add.get(self.input) else { return Ok(state) };
        let locals = [state];
        Ok(add.evaluate(&Input { key, value: &record.value, record: Some(record), locals: &locals })?)
    }

    fn start(&self, record: &Record) -> Result<Option<Value>> {
        let key = key_value(&record.key);
        Ok(Some(self.plan.init.evaluate(&Input { key, value: &Value::Null, record: None, locals: &[] })?))
    }

    fn merge(&self, state: Value, later: Value, record: &Record) -> Result<Value> {
        // The planner lets no cogroup over sessions pass without it.
        let Some(merge) = &self.plan.merge else { return Ok(later) };
        let locals = [state, later];
        let input = Input { key: key_value(&record.key), value: &Value::Null, record: None, locals: &locals };
        Ok(merge.evaluate(&input)?)
    }

    fn result(&self, key: &Value, state: Value) -> Result<Value> {
        let Some(result) = &self.plan.result else { return Ok(state) };
        let locals = [state];
        Ok(result.evaluate(&Input { key, value: &Value::Null, record: None, locals: &locals })?)
    }
}
