//! The states of named aggregates, merged: what two sessions come to when a record joins them.

use std::cmp::Ordering;

use crate::operators::accumulator::{TOP_K_CANDIDATES, average_of, extreme, occurrences, pair, sum};
use crate::record::{Shape, Value};
use crate::topology::plan::AggregateKind;

/// One state of two, the earlier first. `shape` is that of the aggregate's state.
pub(in crate::operators) fn merge_named(
    kind: AggregateKind,
    state: &Value,
    later: &Value,
    shape: Option<&Shape>,
) -> Result<Value, String> {
    // Null is the state of those that have not seen a value yet.
    if state.is_null() {
        return Ok(later.clone());
    }
    if later.is_null() {
        return Ok(state.clone());
    }
    match kind {
        AggregateKind::Count | AggregateKind::CountIf | AggregateKind::Sum => sum(state, later),
        AggregateKind::Min => extreme(state, later.clone(), Ordering::Less),
        AggregateKind::Max => extreme(state, later.clone(), Ordering::Greater),
        AggregateKind::Avg => {
            let (first, second) = (average_of(state), average_of(later));
            let count = first.1.saturating_add(second.1);
            Ok(pair(shape, [Value::Double(first.0 + second.0), Value::Int(count)]))
        }
        AggregateKind::First => Ok(state.clone()),
        AggregateKind::Last => Ok(later.clone()),
        AggregateKind::Collect { limit } => {
            Ok(items(state).iter().chain(items(later)).take(limit).cloned().collect::<Vec<_>>().into())
        }
        AggregateKind::TopK { .. } => Ok(merge_counts(items(state), items(later), shape)),
    }
}

fn items(list: &Value) -> &[Value] {
    match list {
        Value::List(items) => items,
        _ => &[],
    }
}

/// The counts of both, in order of first appearance. When there are too many, the rarest go.
fn merge_counts(first: &[Value], second: &[Value], shape: Option<&Shape>) -> Value {
    let element = match shape {
        Some(Shape::List(element)) => Some(&**element),
        _ => None,
    };
    let mut merged = first.to_vec();
    for candidate in second {
        let found = merged.iter_mut().find(|known| known.get("value") == candidate.get("value"));
        match (found, candidate.get("value")) {
            (Some(known), Some(value)) => {
                let count = occurrences(known).saturating_add(occurrences(candidate));
                *known = pair(element, [value.clone(), Value::Int(count)]);
            }
            _ => merged.push(candidate.clone()),
        }
    }
    if merged.len() > TOP_K_CANDIDATES {
        let mut counts: Vec<i64> = merged.iter().map(occurrences).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let least = counts.get(TOP_K_CANDIDATES - 1).copied().unwrap_or(0);
        let mut ties = TOP_K_CANDIDATES - counts.iter().filter(|count| **count > least).count();
        merged.retain(|candidate| match occurrences(candidate).cmp(&least) {
            Ordering::Greater => true,
            Ordering::Equal if ties > 0 => {
                ties -= 1;
                true
            }
            _ => false,
        });
    }
    Value::list(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: AggregateKind, state: Value, later: Value) -> Value {
        merge_named(kind, &state, &later, None).unwrap()
    }

    #[test]
    fn what_has_seen_nothing_adds_nothing() {
        for kind in [AggregateKind::Sum, AggregateKind::Min, AggregateKind::First, AggregateKind::Last] {
            assert_eq!(merged(kind, Value::Null, Value::Int(3)), Value::Int(3));
            assert_eq!(merged(kind, Value::Int(3), Value::Null), Value::Int(3));
        }
    }

    #[test]
    fn each_kind_merges_as_if_all_had_come_in_order() {
        let ints = |list: &[i64]| Value::list(list.iter().map(|item| Value::Int(*item)).collect());
        assert_eq!(merged(AggregateKind::Count, Value::Int(2), Value::Int(3)), Value::Int(5));
        assert_eq!(merged(AggregateKind::Sum, Value::Double(0.5), Value::Double(2.0)), Value::Double(2.5));
        assert_eq!(merged(AggregateKind::Min, Value::Int(2), Value::Int(3)), Value::Int(2));
        assert_eq!(merged(AggregateKind::Max, Value::Int(2), Value::Int(3)), Value::Int(3));
        assert_eq!(merged(AggregateKind::First, Value::Int(2), Value::Int(3)), Value::Int(2));
        assert_eq!(merged(AggregateKind::Last, Value::Int(2), Value::Int(3)), Value::Int(3));
        let collect = AggregateKind::Collect { limit: 3 };
        assert_eq!(merged(collect, ints(&[1, 2]), ints(&[3, 4])), ints(&[1, 2, 3]));
        assert!(merge_named(AggregateKind::Count, &Value::Int(i64::MAX), &Value::Int(1), None).is_err());
    }
}
