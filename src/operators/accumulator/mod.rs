//! The named aggregates of `aggregate:`. Null arguments are passed over by all of them.

mod collections;
mod distinct;
mod merge;
mod numbers;
mod quantile;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use super::aggregate::Combine;
use super::aggregate_changes::Subtract;
use super::{OperatorError, Result, key_value};
use crate::expression::Input;
use crate::record::{Record, Shape, StructShape, StructValue, Value};
use crate::topology::plan::{AggregateKind, NamedAggregate};

/// Several aggregates side by side; the state has one field for each.
pub(super) struct Named {
    aggregates: Vec<NamedAggregate>,
    state: Arc<StructShape>,
    result: Arc<StructShape>,
    /// Whether states are results as they are.
    plain: bool,
}

impl Named {
    pub(super) fn new(aggregates: &[NamedAggregate], state: &Shape, result: &Shape) -> Self {
        let plain = aggregates.iter().all(|aggregate| is_plain(aggregate.kind));
        Named { aggregates: aggregates.to_vec(), state: structure(state), result: structure(result), plain }
    }

    /// The states after a record: `step` is what it does to those of aggregates with an argument, given their kind, the
    /// state, the argument and the state's shape; `count` is what it does to the others.
    fn next(
        &self,
        state: Option<Value>,
        record: &Record,
        step: impl Fn(AggregateKind, &Value, Value, Option<&Shape>) -> Result<Value, String>,
        count: impl Fn(&Value) -> Result<Value, String>,
    ) -> Result<Value> {
        let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
        let before = match &state {
            Some(Value::Struct(fields)) => fields.values(),
            _ => &[],
        };
        let mut values = Vec::with_capacity(self.aggregates.len());
        for (n, aggregate) in self.aggregates.iter().enumerate() {
            let state = before.get(n).unwrap_or(&Value::Null);
            let next = match &aggregate.argument {
                None => count(state),
                Some(argument) => step(aggregate.kind, state, argument.evaluate(&input)?, self.shape(n)),
            };
            values.push(next.map_err(|message| failed(aggregate, &message))?);
        }
        Ok(Value::Struct(StructValue::new(self.state.clone(), values.into())))
    }

    /// The shape of the state of an aggregate.
    fn shape(&self, n: usize) -> Option<&Shape> {
        self.state.fields().get(n).map(|field| &field.shape)
    }
}

fn failed(aggregate: &NamedAggregate, message: &str) -> OperatorError {
    OperatorError::Value(format!("{}: {message}", aggregate.name))
}

fn structure(shape: &Shape) -> Arc<StructShape> {
    match shape {
        Shape::Struct(shape) => shape.clone(),
        _ => Arc::new(StructShape::new("", Vec::new())),
    }
}

/// Whether its states are results as they are.
fn is_plain(kind: AggregateKind) -> bool {
    !matches!(
        kind,
        AggregateKind::Avg
            | AggregateKind::Stddev
            | AggregateKind::TopK { .. }
            | AggregateKind::ApproxDistinct
            | AggregateKind::ApproxQuantile { .. }
    )
}

impl Combine for Named {
    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value> {
        self.next(state, record, add, numbers::count)
    }

    fn merge(&self, state: Value, later: Value, _record: &Record) -> Result<Value> {
        let (Value::Struct(a), Value::Struct(b)) = (&state, &later) else {
            return Ok(if state.is_null() { later } else { state });
        };
        let states = a.values().iter().zip(b.values());
        let merged = self.aggregates.iter().zip(states).enumerate().map(|(n, (aggregate, (a, b)))| {
            merge::merge(aggregate.kind, a, b, self.shape(n)).map_err(|message| failed(aggregate, &message))
        });
        let values: Vec<Value> = merged.collect::<Result<_>>()?;
        Ok(Value::Struct(StructValue::new(self.state.clone(), values.into())))
    }

    fn result(&self, _key: &Value, state: Value) -> Result<Value> {
        let Value::Struct(fields) = &state else { return Ok(state) };
        if self.plain {
            return Ok(state);
        }
        let finished = self
            .aggregates
            .iter()
            .zip(fields.values())
            .map(|(aggregate, state)| finish(aggregate.kind, state).map_err(|message| failed(aggregate, &message)));
        let values: Vec<Value> = finished.collect::<Result<_>>()?;
        Ok(Value::Struct(StructValue::new(self.result.clone(), values.into())))
    }
}

impl Subtract for Named {
    fn subtract(&self, state: Value, record: &Record) -> Result<Value> {
        self.next(Some(state), record, subtract, numbers::discount)
    }
}

/// The state with one more argument in it.
fn add(kind: AggregateKind, state: &Value, argument: Value, shape: Option<&Shape>) -> Result<Value, String> {
    if argument.is_null() {
        return Ok(empty(kind, state));
    }
    match kind {
        AggregateKind::Count => numbers::count(state),
        AggregateKind::CountIf => match argument {
            Value::Bool(true) => numbers::count(state),
            Value::Bool(false) => Ok(empty(kind, state)),
            other => Err(format!("count_if needs a condition, the expression gave a {}", other.kind())),
        },
        AggregateKind::Sum => numbers::sum(state, &argument),
        AggregateKind::Min => numbers::extreme(state, argument, Ordering::Less),
        AggregateKind::Max => numbers::extreme(state, argument, Ordering::Greater),
        AggregateKind::Avg => numbers::average(state, &argument, shape),
        AggregateKind::Stddev => numbers::spread(state, &argument, shape),
        AggregateKind::First => Ok(if state.is_null() { argument } else { state.clone() }),
        AggregateKind::Last => Ok(argument),
        AggregateKind::Collect { limit } => Ok(collections::collect(state, argument, limit)),
        AggregateKind::CollectSet { limit } => Ok(collections::collect_set(state, argument, limit)),
        AggregateKind::TopK { .. } => Ok(collections::count_value(state, argument, shape)),
        AggregateKind::ApproxDistinct => distinct::add(state, &argument),
        AggregateKind::ApproxQuantile { .. } => quantile::add(state, &argument),
    }
}

/// The inverse of [`add`], for the aggregates that have one; the planner lets no other near grouped tables.
fn subtract(kind: AggregateKind, state: &Value, argument: Value, shape: Option<&Shape>) -> Result<Value, String> {
    match (kind, &argument) {
        (_, Value::Null) | (AggregateKind::CountIf, Value::Bool(false)) => Ok(empty(kind, state)),
        (AggregateKind::Count | AggregateKind::CountIf, _) => numbers::discount(state),
        (AggregateKind::Sum, _) => numbers::difference(state, &argument),
        (AggregateKind::Avg, _) => numbers::disaverage(state, &argument, shape),
        (AggregateKind::Stddev, _) => numbers::unspread(state, &argument, shape),
        _ => Err("nothing can be subtracted from it".to_owned()),
    }
}

/// The state when there was nothing to add: as it was, or what it is before the first argument.
fn empty(kind: AggregateKind, state: &Value) -> Value {
    match (kind, state) {
        (AggregateKind::Count | AggregateKind::CountIf, Value::Null) => Value::Int(0),
        (
            AggregateKind::Collect { .. } | AggregateKind::CollectSet { .. } | AggregateKind::TopK { .. },
            Value::Null,
        ) => Value::list(Vec::new()),
        _ => state.clone(),
    }
}

/// What a state amounts to.
fn finish(kind: AggregateKind, state: &Value) -> Result<Value, String> {
    match kind {
        AggregateKind::Avg => Ok(numbers::mean(state)),
        AggregateKind::Stddev => Ok(numbers::deviation(state)),
        AggregateKind::TopK { k } => Ok(collections::most_frequent(state, k)),
        AggregateKind::ApproxDistinct => distinct::estimate(state),
        AggregateKind::ApproxQuantile { millionths } => quantile::at(state, f64::from(millionths) / 1e6),
        _ => Ok(state.clone()),
    }
}

/// A struct whose shape the planner laid down in the aggregate's state.
fn fields(shape: Option<&Shape>, values: Vec<Value>) -> Value {
    match shape.map(Shape::required) {
        Some(Shape::Struct(shape)) if shape.fields().len() == values.len() => {
            Value::Struct(StructValue::new(shape.clone(), values.into()))
        }
        _ => Value::list(values),
    }
}
