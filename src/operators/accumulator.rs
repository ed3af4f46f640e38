//! The named aggregates of `aggregate:`: count, count_if, sum, min, max, avg, first, last, collect, top_k.
//!
//! Null arguments are passed over by all of them.

use std::cmp::Ordering;
use std::sync::Arc;

use super::aggregate::Combine;
use super::aggregate_changes::Subtract;
use super::{OperatorError, Result, key_value};
use crate::expression::Input;
use crate::record::{Record, Shape, StructShape, StructValue, Value};
use crate::topology::plan::{AggregateKind, NamedAggregate};

/// How many different values a `top_k` counts at the most. Beyond, the least frequent makes room and the
/// newcomer inherits its count (the Space-Saving algorithm of Metwally, Agrawal and El Abbadi, 2005), so
/// that the state stays bounded and counts can only be too high.
const TOP_K_CANDIDATES: usize = 1_000;

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
}

fn structure(shape: &Shape) -> Arc<StructShape> {
    match shape {
        Shape::Struct(shape) => shape.clone(),
        _ => Arc::new(StructShape::new("", Vec::new())),
    }
}

fn is_plain(kind: AggregateKind) -> bool {
    !matches!(kind, AggregateKind::Avg | AggregateKind::TopK { .. })
}

/// What becomes of the state of an aggregate with an argument: its kind, the state, the argument, the state's shape.
type Step = fn(AggregateKind, &Value, Value, Option<&Shape>) -> Result<Value, String>;

impl Named {
    /// The states after a record: `step` is what it does to those of aggregates with an argument, `count` to the others.
    fn next(&self, state: Option<Value>, record: &Record, step: Step, count: Count) -> Result<Value> {
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
                Some(argument) => {
                    let shape = self.state.fields().get(n).map(|field| &field.shape);
                    step(aggregate.kind, state, argument.evaluate(&input)?, shape)
                }
            };
            values.push(next.map_err(|message| OperatorError::Value(format!("{}: {message}", aggregate.name)))?);
        }
        Ok(Value::Struct(StructValue::new(self.state.clone(), values.into())))
    }
}

impl Combine for Named {
    fn add(&self, state: Option<Value>, record: &Record) -> Result<Value> {
        self.next(state, record, add_argument, count)
    }

    fn result(&self, _key: &Value, state: Value) -> Result<Value> {
        let Value::Struct(fields) = &state else { return Ok(state) };
        if self.plain {
            return Ok(state);
        }
        let finished = self.aggregates.iter().zip(fields.values());
        let values: Vec<Value> = finished.map(|(aggregate, state)| finish(aggregate.kind, state)).collect();
        Ok(Value::Struct(StructValue::new(self.result.clone(), values.into())))
    }
}

impl Subtract for Named {
    fn subtract(&self, state: Value, record: &Record) -> Result<Value> {
        self.next(Some(state), record, subtract_argument, discount)
    }
}

/// What becomes of a count.
type Count = fn(&Value) -> Result<Value, String>;

fn discount(state: &Value) -> Result<Value, String> {
    let so_far = if let Value::Int(so_far) = state { *so_far } else { 0 };
    so_far.checked_sub(1).map(Value::Int).ok_or_else(|| "the count is less than a 64-bit integer".to_owned())
}

fn count(state: &Value) -> Result<Value, String> {
    let so_far = if let Value::Int(so_far) = state { *so_far } else { 0 };
    so_far.checked_add(1).map(Value::Int).ok_or_else(|| "the count is larger than a 64-bit integer".to_owned())
}

fn add_argument(kind: AggregateKind, state: &Value, argument: Value, shape: Option<&Shape>) -> Result<Value, String> {
    if argument.is_null() {
        return Ok(empty(kind, state));
    }
    match kind {
        AggregateKind::Count => count(state),
        AggregateKind::CountIf => match argument {
            Value::Bool(true) => count(state),
            Value::Bool(false) => Ok(empty(kind, state)),
            other => Err(format!("count_if needs a condition, the expression gave a {}", other.kind())),
        },
        AggregateKind::Sum => sum(state, &argument),
        AggregateKind::Min => extreme(state, argument, Ordering::Less),
        AggregateKind::Max => extreme(state, argument, Ordering::Greater),
        AggregateKind::Avg => average(state, &argument, shape),
        AggregateKind::First => Ok(if state.is_null() { argument } else { state.clone() }),
        AggregateKind::Last => Ok(argument),
        AggregateKind::Collect { limit } => Ok(collect(state, argument, limit)),
        AggregateKind::TopK { .. } => Ok(count_value(state, argument, shape)),
    }
}

/// The inverse of [`add_argument`], for the aggregates that have one; the planner lets no other near grouped tables.
fn subtract_argument(
    kind: AggregateKind,
    state: &Value,
    argument: Value,
    shape: Option<&Shape>,
) -> Result<Value, String> {
    match (kind, &argument) {
        (_, Value::Null) | (AggregateKind::CountIf, Value::Bool(false)) => Ok(empty(kind, state)),
        (AggregateKind::Count | AggregateKind::CountIf, _) => discount(state),
        (AggregateKind::Sum, _) => difference(state, &argument),
        (AggregateKind::Avg, _) => disaverage(state, &argument, shape),
        _ => Err("nothing can be subtracted from it".to_owned()),
    }
}

/// The state when there was nothing to add: as it was, or what it is before the first argument.
fn empty(kind: AggregateKind, state: &Value) -> Value {
    match (kind, state) {
        (AggregateKind::Count | AggregateKind::CountIf, Value::Null) => Value::Int(0),
        (AggregateKind::Collect { .. } | AggregateKind::TopK { .. }, Value::Null) => Value::list(Vec::new()),
        _ => state.clone(),
    }
}

fn sum(state: &Value, argument: &Value) -> Result<Value, String> {
    let overflow = || "the sum is larger than a 64-bit integer".to_owned();
    match (state, argument) {
        (Value::Null, Value::Int(_) | Value::UInt(_) | Value::Double(_)) => Ok(argument.clone()),
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::UInt(a), Value::UInt(b)) => a.checked_add(*b).map(Value::UInt).ok_or_else(overflow),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => Ok(Value::Double(a + b)),
            _ => Err(format!("sum needs numbers, the expression gave a {}", b.kind())),
        },
    }
}

fn difference(state: &Value, argument: &Value) -> Result<Value, String> {
    let overflow = || "the sum does not fit a 64-bit integer".to_owned();
    match (state, argument) {
        (Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map(Value::Int).ok_or_else(overflow),
        (Value::UInt(a), Value::UInt(b)) => a.checked_sub(*b).map(Value::UInt).ok_or_else(overflow),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => Ok(Value::Double(a - b)),
            _ => Err(format!("sum needs numbers, the expression gave a {}", b.kind())),
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

fn extreme(state: &Value, argument: Value, wanted: Ordering) -> Result<Value, String> {
    if state.is_null() {
        return Ok(argument);
    }
    match compare(&argument, state) {
        Some(order) if order == wanted => Ok(argument),
        Some(_) => Ok(state.clone()),
        None => Err(format!("a {} and a {} cannot be compared", argument.kind(), state.kind())),
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::UInt(a), Value::UInt(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

fn average(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let added =
        number(argument).ok_or_else(|| format!("avg needs numbers, the expression gave a {}", argument.kind()))?;
    let (sum, count) = match (state.get("sum"), state.get("count")) {
        (Some(Value::Double(sum)), Some(Value::Int(count))) => (*sum, *count),
        _ => (0.0, 0),
    };
    Ok(pair(shape, [Value::Double(sum + added), Value::Int(count.saturating_add(1))]))
}

fn disaverage(state: &Value, argument: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    let gone =
        number(argument).ok_or_else(|| format!("avg needs numbers, the expression gave a {}", argument.kind()))?;
    Ok(match (state.get("sum"), state.get("count")) {
        // Of no numbers the sum is nothing, whatever rounding has left.
        (Some(Value::Double(sum)), Some(Value::Int(count))) if *count > 1 => {
            pair(shape, [Value::Double(sum - gone), Value::Int(count - 1)])
        }
        _ => pair(shape, [Value::Double(0.0), Value::Int(0)]),
    })
}

/// A struct of two fields whose shape the planner laid down in the aggregate's state.
fn pair(shape: Option<&Shape>, values: [Value; 2]) -> Value {
    match shape.map(Shape::required) {
        Some(Shape::Struct(shape)) => Value::Struct(StructValue::new(shape.clone(), Arc::new(values))),
        _ => Value::list(values.into()),
    }
}

fn collect(state: &Value, argument: Value, limit: usize) -> Value {
    let Value::List(items) = state else { return Value::list(vec![argument]) };
    if items.len() >= limit {
        return state.clone();
    }
    items.iter().cloned().chain([argument]).collect::<Vec<_>>().into()
}

/// Counts a value among the candidates of a `top_k`, kept in order of first appearance.
fn count_value(state: &Value, argument: Value, shape: Option<&Shape>) -> Value {
    let element = match shape {
        Some(Shape::List(element)) => Some(&**element),
        _ => None,
    };
    let mut candidates: Vec<Value> = match state {
        Value::List(candidates) => candidates.to_vec(),
        _ => Vec::new(),
    };
    if let Some(found) = candidates.iter_mut().find(|candidate| candidate.get("value") == Some(&argument)) {
        *found = pair(element, [argument, Value::Int(occurrences(found) + 1)]);
    } else if candidates.len() < TOP_K_CANDIDATES {
        candidates.push(pair(element, [argument, Value::Int(1)]));
    } else if let Some(rarest) = candidates.iter_mut().min_by_key(|candidate| occurrences(candidate)) {
        *rarest = pair(element, [argument, Value::Int(occurrences(rarest) + 1)]);
    }
    Value::list(candidates)
}

fn occurrences(candidate: &Value) -> i64 {
    match candidate.get("count") {
        Some(Value::Int(count)) => *count,
        _ => 0,
    }
}

fn finish(kind: AggregateKind, state: &Value) -> Value {
    match kind {
        AggregateKind::Avg => match (state.get("sum"), state.get("count")) {
            (Some(Value::Double(sum)), Some(Value::Int(count))) if *count > 0 => Value::Double(sum / *count as f64),
            _ => Value::Null,
        },
        AggregateKind::TopK { k } => {
            let Value::List(candidates) = state else { return Value::list(Vec::new()) };
            let mut ranked: Vec<&Value> = candidates.iter().collect();
            // A stable sort: ties stay in order of first appearance.
            ranked.sort_by_key(|candidate| std::cmp::Reverse(occurrences(candidate)));
            ranked.iter().take(k).filter_map(|candidate| candidate.get("value").cloned()).collect::<Vec<_>>().into()
        }
        _ => state.clone(),
    }
}
