//! `aggregate`, `reduce` and `fold` of a grouped table: what leaves a group is subtracted, what joins it is added.
//!
//! Kafka Streams' rules (`KTableAggregate`, `KTableReduce`): subtract first, then add, one result for both; nothing is
//! subtracted from a group that has no state; null deletes the group, and the next row starts it anew.

use super::aggregate::Combine;
use super::emission::{Change, Held};
use super::{Operator, OperatorContext, OperatorError, Result};
use crate::metrics::DropReason;
use crate::record::{Record, StructValue, Value};
use crate::state::StateValue;
use crate::topology::plan::{Aggregate, NEW, OLD};

/// The inverse of [`Combine::add`].
pub(super) trait Subtract {
    /// The state without one record that is in it; [`Value::Null`] deletes the group.
    fn subtract(&self, state: Value, record: &Record) -> Result<Value>;
}

/// One state per group.
pub(super) struct ChangeAggregation<F> {
    store: usize,
    sends_old: bool,
    has_readers: bool,
    function: F,
    held: Held,
}

impl<F: Combine + Subtract> ChangeAggregation<F> {
    pub(super) fn new(plan: &Aggregate, has_readers: bool, function: F) -> Self {
        let (store, sends_old) = (plan.store, plan.sends_old);
        ChangeAggregation { store, sends_old, has_readers, function, held: Held::default() }
    }

    /// The state after a change of the group.
    fn changed(&self, state: Option<Value>, change: &StructValue, record: &Record) -> Result<Value> {
        let member = |field: &str| change.get(field).filter(|value| !value.is_null());
        let of = |value: &Value| Record { value: value.clone(), ..record.clone() };
        let mut state = state;
        if let (Some(old), Some(before)) = (member(OLD), state.clone()) {
            state = Some(self.function.subtract(before, &of(old))?).filter(|state| !state.is_null());
        }
        match member(NEW) {
            Some(new) => self.function.add(state, &of(new)),
            None => Ok(state.unwrap_or_default()),
        }
    }

    /// Turns states into results and hands the change on.
    fn hand_on(&self, mut change: Record, context: &mut OperatorContext<'_>) {
        let key = super::key_value(&change.key);
        // An old result that cannot be computed any more is as good as unknown; the new one counts.
        let old = change.old.take().and_then(|old| self.finish(key, old).ok());
        match self.finish(key, change.value.clone()) {
            Ok(value) => context.forward(Record { value, old, ..change }),
            Err(error) => context.fail(change, error),
        }
    }

    fn finish(&self, key: &Value, state: Value) -> Result<Value> {
        if state.is_null() { Ok(Value::Null) } else { self.function.result(key, state) }
    }
}

impl<F: Combine + Subtract> Operator for ChangeAggregation<F> {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(key) = record.key.clone() else {
            context.drop_record(DropReason::NullKey);
            return Ok(());
        };
        let Value::Struct(change) = &record.value else {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let this = &*self;
        let (before, after) = context.stores.update(self.store, &key.encoded, |row| {
            let timestamp = row.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
            let state = this.changed(row.as_ref().map(|row| row.value.clone()), change, &record)?;
            let after = StateValue { timestamp, value: state };
            let changed = (!after.value.is_null()).then(|| after.clone());
            Ok::<_, OperatorError>((std::mem::replace(row, changed), after))
        })?;
        if !self.has_readers {
            return Ok(());
        }
        let old = self.sends_old.then(|| before.map(|row| row.value).unwrap_or_default());
        let change = Change { window: None, value: after.value, old, timestamp: after.timestamp, record: &record };
        if context.caching {
            self.held.hold_change(&key.encoded, change);
        } else {
            self.hand_on(change.into_record(), context);
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut OperatorContext<'_>) {
        for change in self.held.take() {
            self.hand_on(change, context);
        }
    }
}
