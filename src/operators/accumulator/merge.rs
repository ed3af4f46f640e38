//! Two states made one, as windows that merge need it.

use std::cmp::Ordering;

use super::{collections, distinct, numbers, quantile};
use crate::record::{Shape, Value};
use crate::topology::plan::AggregateKind;

/// The state of all that is in two states of one aggregate; `a` is of the records that came first.
pub(super) fn merge(kind: AggregateKind, a: &Value, b: &Value, shape: Option<&Shape>) -> Result<Value, String> {
    if a.is_null() || b.is_null() {
        return Ok(if a.is_null() { b.clone() } else { a.clone() });
    }
    match kind {
        AggregateKind::Count | AggregateKind::CountIf | AggregateKind::Sum => numbers::sum(a, b),
        AggregateKind::Min => numbers::extreme(a, b.clone(), Ordering::Less),
        AggregateKind::Max => numbers::extreme(a, b.clone(), Ordering::Greater),
        AggregateKind::Avg => Ok(numbers::averages(a, b, shape)),
        AggregateKind::Stddev => Ok(numbers::spreads(a, b, shape)),
        AggregateKind::First => Ok(a.clone()),
        AggregateKind::Last => Ok(b.clone()),
        AggregateKind::Collect { limit } => Ok(collections::collected(a, b, limit)),
        AggregateKind::CollectSet { limit } => Ok(collections::united(a, b, limit)),
        AggregateKind::TopK { .. } => Ok(collections::ranked_together(a, b, shape)),
        AggregateKind::ApproxDistinct => distinct::merge(a, b),
        AggregateKind::ApproxQuantile { .. } => quantile::merge(a, b),
    }
}
