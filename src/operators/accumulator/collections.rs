//! Lists of values, and the most frequent ones.

use super::fields;
use crate::record::{Shape, Value};

/// How many different values a `top_k` counts at the most. Beyond, the least frequent makes room and the
/// newcomer inherits its count (the Space-Saving algorithm of Metwally, Agrawal and El Abbadi, 2005), so
/// that the state stays bounded and counts can only be too high.
const TOP_K_CANDIDATES: usize = 1_000;

fn items(state: &Value) -> &[Value] {
    match state {
        Value::List(items) => items,
        _ => &[],
    }
}

/// Adds a value unless there are `limit`.
pub(super) fn collect(state: &Value, argument: Value, limit: usize) -> Value {
    let before = items(state);
    if before.len() >= limit {
        return state.clone();
    }
    before.iter().cloned().chain([argument]).collect::<Vec<_>>().into()
}

/// Adds a value that is not there yet, unless there are `limit`.
pub(super) fn collect_set(state: &Value, argument: Value, limit: usize) -> Value {
    if items(state).iter().any(|item| same(item, &argument)) {
        return state.clone();
    }
    collect(state, argument, limit)
}

/// Whether two values are one. A number that is none is itself.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

/// The values of two `collect`s.
pub(super) fn collected(a: &Value, b: &Value, limit: usize) -> Value {
    items(a).iter().chain(items(b)).take(limit).cloned().collect::<Vec<_>>().into()
}

/// The values of two `collect_set`s.
pub(super) fn united(a: &Value, b: &Value, limit: usize) -> Value {
    let mut all = items(a).to_vec();
    for item in items(b) {
        if all.len() < limit && !all.iter().any(|known| same(known, item)) {
            all.push(item.clone());
        }
    }
    all.into()
}

/// The shape of a candidate of a `top_k`.
fn candidate(shape: Option<&Shape>) -> Option<&Shape> {
    match shape {
        Some(Shape::List(element)) => Some(element),
        _ => None,
    }
}

/// Counts a value among the candidates of a `top_k`, kept in order of first appearance.
pub(super) fn count_value(state: &Value, argument: Value, shape: Option<&Shape>) -> Value {
    let element = candidate(shape);
    let counted = |value: Value, count: i64| fields(element, vec![value, Value::Int(count)]);
    let mut candidates: Vec<Value> = items(state).to_vec();
    if let Some(found) = candidates.iter_mut().find(|candidate| candidate.get("value") == Some(&argument)) {
        *found = counted(argument, occurrences(found) + 1);
    } else if candidates.len() < TOP_K_CANDIDATES {
        candidates.push(counted(argument, 1));
    } else if let Some(rarest) = candidates.iter_mut().min_by_key(|candidate| occurrences(candidate)) {
        *rarest = counted(argument, occurrences(rarest) + 1);
    }
    Value::list(candidates)
}

fn occurrences(candidate: &Value) -> i64 {
    match candidate.get("count") {
        Some(Value::Int(count)) => *count,
        _ => 0,
    }
}

/// The candidates of two `top_k`s. A value that one of them does not know may have been there as often as the rarest
/// that it knows, if it had to leave some out.
pub(super) fn ranked_together(a: &Value, b: &Value, shape: Option<&Shape>) -> Value {
    let element = candidate(shape);
    let counted = |value: &Value, count: i64| fields(element, vec![value.clone(), Value::Int(count)]);
    let unknown = |state: &[Value]| match state.len() < TOP_K_CANDIDATES {
        true => 0,
        false => state.iter().map(occurrences).min().unwrap_or(0),
    };
    let (first, second) = (items(a), items(b));
    let find = |state: &[Value], value: &Value| state.iter().find(|other| other.get("value") == Some(value)).cloned();
    let mut all = Vec::with_capacity(first.len() + second.len());
    for known in first {
        let value = known.get("value").unwrap_or(&Value::Null);
        let others = find(second, value).map_or_else(|| unknown(second), |other| occurrences(&other));
        all.push(counted(value, occurrences(known).saturating_add(others)));
    }
    for known in second {
        let value = known.get("value").unwrap_or(&Value::Null);
        if find(first, value).is_none() {
            all.push(counted(value, occurrences(known).saturating_add(unknown(first))));
        }
    }
    if all.len() > TOP_K_CANDIDATES {
        let mut counts: Vec<i64> = all.iter().map(occurrences).collect();
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        let least = counts.get(TOP_K_CANDIDATES - 1).copied().unwrap_or(0);
        // Of those that are as rare as the last that stays, the first stay.
        let mut room = TOP_K_CANDIDATES - counts.iter().filter(|count| **count > least).count();
        all.retain(|candidate| match occurrences(candidate).cmp(&least) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => {
                let stays = room > 0;
                room = room.saturating_sub(1);
                stays
            }
        });
    }
    Value::list(all)
}

/// The `k` most frequent values. A stable sort: ties stay in order of first appearance.
pub(super) fn most_frequent(state: &Value, k: usize) -> Value {
    let mut ranked: Vec<&Value> = items(state).iter().collect();
    ranked.sort_by_key(|candidate| std::cmp::Reverse(occurrences(candidate)));
    ranked.iter().take(k).filter_map(|candidate| candidate.get("value").cloned()).collect::<Vec<_>>().into()
}
