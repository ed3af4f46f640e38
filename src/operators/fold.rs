//! `fold`: a state of the author's own making, with an agent's answer in it if wanted.

use super::aggregate::Combine;
use super::aggregate_changes::Subtract;
use super::{Result, key_value};
use crate::expression::{Input, Projection};
use crate::record::{Record, Value};
use crate::topology::plan::FoldCall;

/// `init` makes the state, `add` takes each record into it, `call` asks an agent about the new state and
/// keeps the answer there, `merge` makes one of the states of two sessions, `result` says what of it is handed on.
pub(super) struct Fold {
    pub(super) init: Projection,
    pub(super) add: Projection,
    pub(super) subtract: Option<Projection>,
    pub(super) call: Option<FoldCall>,
    pub(super) merge: Option<Projection>,
    pub(super) result: Option<Projection>,
}

impl Combine for Fold {
    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value> {
        let bare = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
        let state = match state {
            Some(state) => state,
            None => self.init.evaluate(&bare)?,
        };
        let locals = [state];
        let state = self.add.evaluate(&Input { locals: &locals, ..bare })?;
        let Some(call) = self.call.as_ref().filter(|_| !state.is_null()) else { return Ok(state) };
        let mut locals = [state, Value::Null];
        let question = call.input.evaluate(&Input { locals: &locals[..1], ..bare })?;
        locals[1] = call.agent.answer(&question)?;
        Ok(call.into.evaluate(&Input { locals: &locals, ..bare })?)
    }

    fn start(&self, record: &Record) -> Result<Option<Value>> {
        let bare = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
        Ok(Some(self.init.evaluate(&bare)?))
    }

    fn merge(&self, state: Value, later: Value, record: &Record) -> Result<Value> {
        // The planner lets no fold over sessions pass without it.
        let Some(merge) = &self.merge else { return Ok(later) };
        let locals = [state, later];
        let input = Input { key: key_value(&record.key), value: &Value::Null, record: None, locals: &locals };
        Ok(merge.evaluate(&input)?)
    }

    fn result(&self, key: &Value, state: Value) -> Result<Value> {
        let Some(result) = &self.result else { return Ok(state) };
        let locals = [state];
        Ok(result.evaluate(&Input { key, value: &Value::Null, record: None, locals: &locals })?)
    }
}

impl Subtract for Fold {
    fn subtract(&self, state: Value, record: &Record) -> Result<Value> {
        let Some(subtract) = &self.subtract else { return Ok(state) };
        let locals = [state];
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &locals };
        Ok(subtract.evaluate(&input)?)
    }
}
