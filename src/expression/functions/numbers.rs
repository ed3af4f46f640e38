//! Functions on numbers: a part of CEL's math extension.

use std::cmp::Ordering;

use super::{Arguments, Function, Kinds, Style, unexpected};
use crate::expression::error::Reason;
use crate::expression::operate;
use crate::record::{Shape, Value};

const NUMBER: Kinds = Kinds::NUMBER;
const DOUBLE: Kinds = Kinds::DOUBLE;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("math.greatest", Style::Global, &[NUMBER.or(Kinds::LIST), NUMBER], extreme, |a| {
        pick(a, Ordering::Greater)
    })
    .requiring(1)
    .variadic(),
    Function::new("math.least", Style::Global, &[NUMBER.or(Kinds::LIST), NUMBER], extreme, |a| pick(a, Ordering::Less))
        .requiring(1)
        .variadic(),
    Function::new("math.abs", Style::Global, &[NUMBER], same, absolute),
    Function::new("math.ceil", Style::Global, &[DOUBLE], double, |a| map(a, f64::ceil)),
    Function::new("math.floor", Style::Global, &[DOUBLE], double, |a| map(a, f64::floor)),
    Function::new("math.round", Style::Global, &[DOUBLE], double, |a| map(a, f64::round)),
    Function::new("math.trunc", Style::Global, &[DOUBLE], double, |a| map(a, f64::trunc)),
    Function::new("math.sqrt", Style::Global, &[DOUBLE], double, |a| map(a, f64::sqrt)),
    Function::new("math.isNaN", Style::Global, &[DOUBLE], |_| Ok(Shape::Bool), is_nan),
];

fn double(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::Double)
}

fn same(arguments: &[Shape]) -> Result<Shape, String> {
    Ok(arguments.first().map_or(Shape::Any, |shape| shape.required().clone()))
}

/// All arguments, or the elements of the one that is a list, must be of one kind for the kind of the result
/// to be known.
fn extreme(arguments: &[Shape]) -> Result<Shape, String> {
    if let [only] = arguments
        && let Shape::List(element) = only.required()
    {
        return match element.required() {
            shape if NUMBER.accepts(shape) => Ok(shape.clone()),
            other => Err(format!("numbers are compared, and this is a list of {other}")),
        };
    }
    let shapes = arguments.iter().map(Shape::required);
    let unified = shapes.clone().try_fold(Shape::Never, |all, shape| all.unify(shape));
    if shapes.clone().count() > 1 && shapes.clone().any(|shape| matches!(shape, Shape::List(_))) {
        return Err("either one list or several numbers are expected".to_owned());
    }
    Ok(unified.unwrap_or(Shape::Any))
}

fn pick(arguments: Arguments<'_, '_>, wanted: Ordering) -> Result<Value, Reason> {
    let candidates: Vec<&Value> = match arguments.first().map(|value| value.as_ref()) {
        Some(Value::List(elements)) => elements.iter().collect(),
        _ => arguments.iter().map(|value| value.as_ref()).collect(),
    };
    let empty = || Reason::Argument("an empty list has neither a greatest nor a least element".to_owned());
    let (first, rest) = candidates.split_first().ok_or_else(empty)?;
    let mut best = *first;
    for candidate in rest {
        let incomparable = || Reason::Operands { operator: "math", left: best.kind(), right: candidate.kind() };
        if operate::order(candidate, best).ok_or_else(incomparable)? == wanted {
            best = candidate;
        }
    }
    Ok(best.clone())
}

fn absolute(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Int(n)) => n.checked_abs().map(Value::Int).ok_or(Reason::Overflow("math.abs")),
        Some(Value::Double(n)) => Ok(Value::Double(n.abs())),
        Some(Value::UInt(n)) => Ok(Value::UInt(*n)),
        _ => Err(unexpected(arguments.first())),
    }
}

fn number(arguments: Arguments<'_, '_>) -> Result<f64, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Double(n)) => Ok(*n),
        _ => Err(unexpected(arguments.first())),
    }
}

fn map(arguments: Arguments<'_, '_>, function: fn(f64) -> f64) -> Result<Value, Reason> {
    number(arguments).map(|n| Value::Double(function(n)))
}

fn is_nan(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    number(arguments).map(|n| Value::Bool(n.is_nan()))
}
