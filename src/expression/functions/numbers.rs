//! Functions on numbers: CEL's math extension.

use std::cmp::Ordering;

use super::{Arguments, Function, Kinds, Style, count, unexpected};
use crate::expression::error::Reason;
use crate::expression::operate;
use crate::record::{Decimal, Shape, Value};

const NUMBER: Kinds = Kinds::NUMBER;
const EXACT: Kinds = Kinds::NUMBER.or(Kinds::DECIMAL);
const DOUBLE: Kinds = Kinds::DOUBLE;
const INTEGER: Kinds = Kinds::INT.or(Kinds::UINT);

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("math.greatest", Style::Global, &[EXACT.or(Kinds::LIST), EXACT], extreme, |a| {
        pick(a, Ordering::Greater)
    })
    .requiring(1)
    .variadic(),
    Function::new("math.least", Style::Global, &[EXACT.or(Kinds::LIST), EXACT], extreme, |a| pick(a, Ordering::Less))
        .requiring(1)
        .variadic(),
    Function::new("math.abs", Style::Global, &[EXACT], same, absolute),
    Function::new("math.ceil", Style::Global, &[DOUBLE], double, |a| map(a, f64::ceil)),
    Function::new("math.floor", Style::Global, &[DOUBLE], double, |a| map(a, f64::floor)),
    Function::new("math.round", Style::Global, &[DOUBLE], double, |a| map(a, f64::round)),
    Function::new("math.trunc", Style::Global, &[DOUBLE], double, |a| map(a, f64::trunc)),
    Function::new("math.sqrt", Style::Global, &[NUMBER], double, square_root),
    Function::new("math.sign", Style::Global, &[EXACT], same, sign),
    Function::new("math.isNaN", Style::Global, &[DOUBLE], boolean, |a| is(a, f64::is_nan)),
    Function::new("math.isInf", Style::Global, &[DOUBLE], boolean, |a| is(a, f64::is_infinite)),
    Function::new("math.isFinite", Style::Global, &[DOUBLE], boolean, |a| is(a, f64::is_finite)),
    Function::new("math.bitAnd", Style::Global, &[INTEGER, INTEGER], same_kind, |a| {
        bits(a, "math.bitAnd", |a, b| a & b)
    }),
    Function::new("math.bitOr", Style::Global, &[INTEGER, INTEGER], same_kind, |a| bits(a, "math.bitOr", |a, b| a | b)),
    Function::new("math.bitXor", Style::Global, &[INTEGER, INTEGER], same_kind, |a| {
        bits(a, "math.bitXor", |a, b| a ^ b)
    }),
    Function::new("math.bitNot", Style::Global, &[INTEGER], same, |a| shifted(a, 0, |bits, _| Some(!bits))),
    Function::new("math.bitShiftLeft", Style::Global, &[INTEGER, Kinds::INT], same, |a| {
        shifted(a, count(a, 1, 0)?, u64::checked_shl)
    }),
    Function::new("math.bitShiftRight", Style::Global, &[INTEGER, Kinds::INT], same, |a| {
        shifted(a, count(a, 1, 0)?, u64::checked_shr)
    }),
];

fn double(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::Double)
}

fn boolean(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::Bool)
}

/// Two integers of one kind give one of that kind.
fn same_kind(arguments: &[Shape]) -> Result<Shape, String> {
    let shapes = arguments.iter().map(Shape::required);
    let unified = shapes.clone().try_fold(Shape::Never, |all, shape| all.unify(shape));
    let known = shapes.filter(|shape| !matches!(shape, Shape::Any | Shape::Never)).count() == arguments.len();
    match unified {
        Some(shape) if known => Ok(shape),
        Some(_) => Ok(Shape::Any),
        None => Err("both must be int, or both uint".to_owned()),
    }
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
            shape if EXACT.accepts(shape) => Ok(shape.clone()),
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
        Some(Value::Decimal(n)) => Ok(Value::Decimal(if n.unscaled() < 0 { n.negated() } else { *n })),
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

fn is(arguments: Arguments<'_, '_>, test: fn(f64) -> bool) -> Result<Value, Reason> {
    number(arguments).map(|n| Value::Bool(test(n)))
}

fn square_root(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let number = match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Int(n)) => *n as f64,
        Some(Value::UInt(n)) => *n as f64,
        _ => number(arguments)?,
    };
    Ok(Value::Double(number.sqrt()))
}

fn sign(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Int(n)) => Ok(Value::Int(n.signum())),
        Some(Value::UInt(n)) => Ok(Value::UInt((*n).min(1))),
        Some(Value::Decimal(n)) => {
            let sign = Decimal::whole(n.unscaled().signum());
            sign.map(Value::Decimal).ok_or(Reason::DecimalOverflow("math.sign"))
        }
        // Rust's own signum has no zero.
        Some(Value::Double(n)) if *n == 0.0 || n.is_nan() => Ok(Value::Double(*n)),
        Some(Value::Double(n)) => Ok(Value::Double(n.signum())),
        _ => Err(unexpected(arguments.first())),
    }
}

/// An operation on the bits of two integers of one kind.
fn bits(arguments: Arguments<'_, '_>, name: &'static str, of: fn(u64, u64) -> u64) -> Result<Value, Reason> {
    match (arguments.first().map(|value| value.as_ref()), arguments.get(1).map(|value| value.as_ref())) {
        (Some(Value::Int(a)), Some(Value::Int(b))) => {
            Ok(Value::Int(of(a.cast_unsigned(), b.cast_unsigned()).cast_signed()))
        }
        (Some(Value::UInt(a)), Some(Value::UInt(b))) => Ok(Value::UInt(of(*a, *b))),
        (Some(a), Some(b)) => Err(Reason::Operands { operator: name, left: a.kind(), right: b.kind() }),
        _ => Err(unexpected(None)),
    }
}

/// An operation on the bits of one integer. Shifts take no heed of the sign, as CEL has it, and move everything out when
/// they are by 64 bits or more.
fn shifted(arguments: Arguments<'_, '_>, by: usize, of: fn(u64, u32) -> Option<u64>) -> Result<Value, Reason> {
    let result = |bits: u64| u32::try_from(by).ok().and_then(|by| of(bits, by)).unwrap_or(0);
    match arguments.first().map(|value| value.as_ref()) {
        Some(Value::Int(n)) => Ok(Value::Int(result(n.cast_unsigned()).cast_signed())),
        Some(Value::UInt(n)) => Ok(Value::UInt(result(*n))),
        _ => Err(unexpected(arguments.first())),
    }
}
