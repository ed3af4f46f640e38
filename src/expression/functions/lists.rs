//! Functions on lists. All may be called as `first(list)` or `list.first()`.

use std::cmp::Ordering;

use super::{Arguments, Function, Kinds, Style, count, list, unexpected};
use crate::expression::error::Reason;
use crate::expression::operate;
use crate::expression::parse::BinaryOperator;
use crate::record::{Shape, Value};

const LIST: Kinds = Kinds::LIST;
const INT: Kinds = Kinds::INT;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("first", Style::Both, &[LIST], element_or_null, |a| {
        Ok(list(a, 0)?.first().cloned().unwrap_or_default())
    }),
    Function::new("last", Style::Both, &[LIST], element_or_null, |a| {
        Ok(list(a, 0)?.last().cloned().unwrap_or_default())
    }),
    Function::new("take", Style::Both, &[LIST, INT], same, take),
    Function::new("take_last", Style::Both, &[LIST, INT], same, take_last),
    Function::new("slice", Style::Both, &[LIST, INT, INT], same, slice),
    Function::new("distinct", Style::Both, &[LIST], same, distinct),
    Function::new("sort", Style::Both, &[LIST], sortable, sort),
    Function::new("reverse", Style::Both, &[LIST.or(Kinds::STRING)], same, reverse),
    Function::new("sum", Style::Both, &[LIST], summable, |a| sum(a, Value::Int(0))),
    Function::new("flatten", Style::Both, &[LIST], flattened, flatten),
];

/// `sum` of a list that is known to hold doubles, whose sum is 0.0 when it is empty.
pub(in crate::expression) static SUM_OF_DOUBLES: Function =
    Function::new("sum", Style::Both, &[LIST], |_| Ok(Shape::Double), |a| sum(a, Value::Double(0.0)));

fn same(arguments: &[Shape]) -> Result<Shape, String> {
    Ok(match arguments.first().map(Shape::required) {
        Some(Shape::Enum(_)) => Shape::String,
        Some(shape) => shape.clone(),
        None => Shape::Any,
    })
}

fn element(arguments: &[Shape]) -> Shape {
    match arguments.first().map(Shape::required) {
        Some(Shape::List(element)) => element.as_ref().clone(),
        _ => Shape::Any,
    }
}

fn element_or_null(arguments: &[Shape]) -> Result<Shape, String> {
    Ok(element(arguments).optional())
}

fn sortable(arguments: &[Shape]) -> Result<Shape, String> {
    let element = element(arguments);
    match element.required() {
        Shape::List(_) | Shape::Map(_) | Shape::Struct(_) => {
            Err(format!("values of {element} have no order to sort by"))
        }
        _ => same(arguments),
    }
}

fn summable(arguments: &[Shape]) -> Result<Shape, String> {
    let element = element(arguments);
    match element.required() {
        Shape::Any | Shape::Union(_) => Ok(Shape::Any),
        Shape::Never => Ok(Shape::Int),
        shape @ (Shape::Int | Shape::UInt | Shape::Double | Shape::Decimal | Shape::Duration) => Ok(shape.clone()),
        _ => Err(format!("`sum` adds numbers or durations, and this is a list of {element}")),
    }
}

fn flattened(arguments: &[Shape]) -> Result<Shape, String> {
    match element(arguments).required() {
        Shape::List(inner) => Ok(Shape::List(inner.clone())),
        Shape::Any | Shape::Union(_) => Ok(Shape::list(Shape::Any)),
        Shape::Never => Ok(Shape::list(Shape::Never)),
        other => Err(format!("`flatten` needs a list of lists, and this is a list of {other}")),
    }
}

fn take(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let elements = list(arguments, 0)?;
    let end = count(arguments, 1, 0)?.min(elements.len());
    Ok(Value::List(elements.iter().take(end).cloned().collect()))
}

fn take_last(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let elements = list(arguments, 0)?;
    let start = elements.len().saturating_sub(count(arguments, 1, 0)?);
    Ok(Value::List(elements.iter().skip(start).cloned().collect()))
}

fn slice(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let elements = list(arguments, 0)?;
    let (start, end) = (count(arguments, 1, 0)?, count(arguments, 2, 0)?);
    let outside = || {
        Reason::Argument(format!(
            "the slice {start}..{end} is not within the list, which has {} elements",
            elements.len()
        ))
    };
    elements.get(start..end).map(|part| Value::List(part.iter().cloned().collect())).ok_or_else(outside)
}

fn distinct(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let mut kept: Vec<Value> = Vec::new();
    for candidate in list(arguments, 0)? {
        if !kept.iter().any(|value| operate::equal(value, candidate)) {
            kept.push(candidate.clone());
        }
    }
    Ok(Value::list(kept))
}

fn sort(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let mut sorted = list(arguments, 0)?.to_vec();
    if let Some((first, rest)) = sorted.split_first() {
        // Every element is comparable with the first, so all are with each other.
        if let Some(other) = rest.iter().find(|value| operate::order(first, value).is_none()) {
            return Err(Reason::Operands { operator: "sort", left: first.kind(), right: other.kind() });
        }
    }
    sorted.sort_by(|a, b| operate::order(a, b).unwrap_or(Ordering::Equal));
    Ok(Value::list(sorted))
}

fn reverse(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::String(text)) => Ok(Value::text(text.chars().rev().collect::<String>())),
        Some(Value::List(elements)) => Ok(Value::List(elements.iter().rev().cloned().collect())),
        _ => Err(unexpected(arguments.first())),
    }
}

fn sum(arguments: Arguments<'_, '_>, zero: Value) -> Result<Value, Reason> {
    let mut elements = list(arguments, 0)?.iter();
    let Some(first) = elements.next() else { return Ok(zero) };
    let is_number = matches!(first, Value::Int(_) | Value::UInt(_) | Value::Double(_) | Value::Decimal(_));
    if !is_number && !matches!(first, Value::Duration(_)) {
        return Err(Reason::Kind { expected: "a list of numbers for `sum`".to_owned(), found: first.kind() });
    }
    elements.try_fold(first.clone(), |total, next| operate::calculate(BinaryOperator::Add, &total, next))
}

fn flatten(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let mut flat = Vec::new();
    for inner in list(arguments, 0)? {
        match inner {
            Value::List(elements) => flat.extend(elements.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Ok(Value::list(flat))
}
