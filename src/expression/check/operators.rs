//! What operators accept and what comes of it.

use std::ops::Range;

use super::{Checker, Typed, conversion_hint, describe, fold, narrow, typed};
use crate::expression::Binding;
use crate::expression::error::ExpressionError;
use crate::expression::functions;
use crate::expression::parse::{BinaryOperator, Syntax, SyntaxKind};
use crate::expression::program::NodeKind;
use crate::expression::suggest;
use crate::record::{EnumShape, Shape, TemporalKind, Value};

impl Checker<'_> {
    pub(super) fn not(&mut self, operand: &Syntax, range: &Range<usize>) -> Typed {
        let operand = self.condition(operand);
        fold(typed(NodeKind::Not(Box::new(operand)), Shape::Bool, range))
    }

    pub(super) fn negate(&mut self, operand: &Syntax, range: &Range<usize>) -> Typed {
        let value = self.check(operand);
        let negatable = |shape: &&Shape| {
            let number = matches!(shape, Shape::Int | Shape::Double | Shape::Decimal);
            number || matches!(shape, Shape::Duration | Shape::Any | Shape::Never)
        };
        let shapes: Vec<Shape> = value.shape.alternatives().iter().filter(negatable).cloned().collect();
        if shapes.is_empty() {
            let expected = "an int, a double, a decimal or a duration";
            let message = format!("`-` needs {expected}, and this is {}", describe(&value.shape));
            return self.error(ExpressionError::new(operand.range.clone(), message));
        }
        let shape = Shape::any_of(shapes);
        fold(typed(NodeKind::Negate(Box::new(value.node)), shape, range))
    }

    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &Syntax,
        right: &Syntax,
        range: &Range<usize>,
    ) -> Typed {
        match operator {
            BinaryOperator::And | BinaryOperator::Or => self.logic(operator, left, right, range),
            BinaryOperator::Equal | BinaryOperator::NotEqual => self.equality(operator, left, right, range),
            BinaryOperator::In => self.contained(left, right, range),
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => self.comparison(operator, left, right, range),
            _ => self.arithmetic(operator, left, right, range),
        }
    }

    fn logic(&mut self, operator: BinaryOperator, left: &Syntax, right: &Syntax, range: &Range<usize>) -> Typed {
        let (left_node, facts) = (Box::new(self.condition(left)), self.known.len());
        // The right side only matters when the left one did not decide.
        super::narrow::when(left, operator == BinaryOperator::And, &mut self.known);
        let right_node = Box::new(self.condition(right));
        self.known.truncate(facts);
        let kind = match operator {
            BinaryOperator::And => NodeKind::And(left_node, right_node),
            _ => NodeKind::Or(left_node, right_node),
        };
        fold(typed(kind, Shape::Bool, range))
    }

    fn equality(&mut self, operator: BinaryOperator, left: &Syntax, right: &Syntax, range: &Range<usize>) -> Typed {
        let (left_typed, right_typed) = (self.check(left), self.check(right));
        if !are_comparable(&left_typed.shape, &right_typed.shape) {
            return self.mismatch(operator, &left_typed, &right_typed, range, "they are never equal");
        }
        self.check_type_name(left, right);
        self.check_type_name(right, left);
        self.check_symbol(&left_typed.shape, right);
        self.check_symbol(&right_typed.shape, left);
        let (left, right) = (Box::new(left_typed.node), Box::new(right_typed.node));
        fold(typed(NodeKind::Equal { left, right, expected: operator == BinaryOperator::Equal }, Shape::Bool, range))
    }

    fn comparison(&mut self, operator: BinaryOperator, left: &Syntax, right: &Syntax, range: &Range<usize>) -> Typed {
        let (left, right) = (self.check(left), self.check(right));
        if !are_ordered(left.shape.required(), right.shape.required()) {
            return self.mismatch(operator, &left, &right, range, "they have no order");
        }
        let (left, right) = (Box::new(left.node), Box::new(right.node));
        fold(typed(NodeKind::Compare { operator, left, right }, Shape::Bool, range))
    }

    fn arithmetic(&mut self, operator: BinaryOperator, left: &Syntax, right: &Syntax, range: &Range<usize>) -> Typed {
        let (left, right) = (self.check(left), self.check(right));
        let Some(shape) = arithmetic_shape(operator, left.shape.required(), right.shape.required()) else {
            return self.mismatch(operator, &left, &right, range, "it does not combine them");
        };
        let (left, right) = (Box::new(left.node), Box::new(right.node));
        fold(typed(NodeKind::Arithmetic { operator, left, right }, shape, range))
    }

    fn contained(&mut self, element: &Syntax, container: &Syntax, range: &Range<usize>) -> Typed {
        let element_typed = self.check(element);
        if self.binding(container) == Some(&Binding::Headers) && is_text_or_any(&element_typed.shape) {
            return typed(NodeKind::HasHeader(Box::new(element_typed.node)), Shape::Bool, range);
        }
        let container_typed = self.check(container);
        let fits = match container_typed.shape.required() {
            Shape::List(inner) => are_comparable(&element_typed.shape, inner),
            Shape::Map(_) | Shape::Struct(_) => are_comparable(&element_typed.shape, &Shape::String),
            Shape::Any | Shape::Never | Shape::Union(_) => true,
            other => {
                let message = format!("`in` needs a list or a map on its right, and this is {}", describe(other));
                return self.error(ExpressionError::new(container.range.clone(), message));
            }
        };
        if !fits {
            return self.mismatch(BinaryOperator::In, &element_typed, &container_typed, range, "it is never in there");
        }
        if let SyntaxKind::List(elements) = &container.kind {
            elements.iter().for_each(|symbol| self.check_symbol(&element_typed.shape, symbol));
        }
        if let Shape::List(inner) = container_typed.shape.required() {
            self.check_symbol(inner, element);
        }
        let (element, container) = (Box::new(element_typed.node), Box::new(container_typed.node));
        fold(typed(NodeKind::In(element, container), Shape::Bool, range))
    }

    /// A text that is compared with an enumeration must be one of its symbols.
    fn check_symbol(&mut self, shape: &Shape, literal: &Syntax) {
        if let (Shape::Enum(symbols), SyntaxKind::Literal(Value::String(text))) = (shape.required(), &literal.kind)
            && !symbols.symbols.contains(text)
        {
            self.errors.push(unknown_symbol(symbols, text, &literal.range));
        }
    }

    /// What `type(x)` is compared with must be a type that `x` may have, where `x` is one of several.
    fn check_type_name(&mut self, call: &Syntax, name: &Syntax) {
        let (Some(argument), Some(wanted)) = (narrow::typed(call), narrow::type_name(name)) else { return };
        let errors = self.errors.len();
        let argument = self.check(argument);
        // What is wrong with it was told before.
        self.errors.truncate(errors);
        let Shape::Union(union) = argument.shape.required() else { return };
        let names: Vec<&str> = union.branches().iter().map(functions::type_of_shape).collect();
        if wanted != "null_type" && !names.contains(&wanted.as_str()) {
            let message = format!("this is never of the type `{wanted}`; it is {}", argument.shape);
            let hint = suggest::hint(&wanted, "types", &names);
            self.errors.push(ExpressionError::new(name.range.clone(), message).with_hint(hint));
        }
    }

    fn mismatch(
        &mut self,
        operator: BinaryOperator,
        left: &Typed,
        right: &Typed,
        range: &Range<usize>,
        because: &str,
    ) -> Typed {
        let message = format!(
            "`{}` cannot be applied to {} and {}; {because}",
            operator.symbol(),
            describe(&left.shape),
            describe(&right.shape)
        );
        let hint = conversion_hint(&left.shape, &right.shape);
        let error = self.error(ExpressionError::new(range.clone(), message).with_hint(hint));
        let shape = match operator {
            BinaryOperator::Add | BinaryOperator::Subtract | BinaryOperator::Multiply => Shape::Any,
            BinaryOperator::Divide | BinaryOperator::Remainder => Shape::Any,
            _ => Shape::Bool,
        };
        Typed { shape, ..error }
    }
}

fn unknown_symbol(symbols: &EnumShape, text: &str, range: &Range<usize>) -> ExpressionError {
    let names: Vec<&str> = symbols.symbols.iter().map(AsRef::as_ref).collect();
    let hint = suggest::hint(text, "symbols", &names);
    ExpressionError::new(range.clone(), format!("`{text}` is not a symbol of enum {}", symbols.name)).with_hint(hint)
}

fn is_number(shape: &Shape) -> bool {
    matches!(shape, Shape::Int | Shape::UInt | Shape::Double)
}

/// Whether two numbers, one of them a decimal, compare: with a double there is no exact answer.
fn compare_as_decimals(left: &Shape, right: &Shape) -> bool {
    let exact = |shape: &Shape| matches!(shape, Shape::Decimal | Shape::Int | Shape::UInt);
    exact(left) && exact(right)
}

/// What sort of time a shape is one of.
fn kind_of_time(shape: &Shape) -> Option<TemporalKind> {
    match shape {
        Shape::Timestamp => Some(TemporalKind::Timestamp),
        Shape::Temporal(unit) => Some(unit.kind()),
        _ => None,
    }
}

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::String | Shape::Enum(_))
}

fn is_text_or_any(shape: &Shape) -> bool {
    matches!(shape.required(), Shape::String | Shape::Enum(_) | Shape::Any)
}

/// Whether it is a time that an int of milliseconds may stand beside.
fn is_time(shape: &Shape) -> bool {
    *shape == Shape::Duration || kind_of_time(shape) == Some(TemporalKind::Timestamp)
}

/// Whether it holds for any alternative of the one and any of the other.
fn for_any(left: &Shape, right: &Shape, holds: impl Fn(&Shape, &Shape) -> bool) -> bool {
    left.alternatives().iter().any(|left| right.alternatives().iter().any(|right| holds(left, right)))
}

/// Whether values of these shapes may be equal.
fn are_comparable(left: &Shape, right: &Shape) -> bool {
    match (left.required(), right.required()) {
        (Shape::Any | Shape::Never | Shape::Null, _) | (_, Shape::Any | Shape::Never | Shape::Null) => true,
        (a @ Shape::Union(_), b) | (a, b @ Shape::Union(_)) => for_any(a, b, are_comparable),
        (a, b) if is_number(a) && is_number(b) || is_text(a) && is_text(b) || compare_as_decimals(a, b) => true,
        (a, b) if kind_of_time(a).is_some() && kind_of_time(a) == kind_of_time(b) => true,
        (a, Shape::Int) | (Shape::Int, a) if is_time(a) => true,
        (Shape::List(a), Shape::List(b)) | (Shape::Map(a), Shape::Map(b)) => are_comparable(a, b),
        (Shape::Struct(_) | Shape::Map(_), Shape::Struct(_) | Shape::Map(_)) => true,
        (a, b) => a == b,
    }
}

/// Whether values of these shapes, which are not optional, have an order.
fn are_ordered(left: &Shape, right: &Shape) -> bool {
    let has_order = |shape: &Shape| {
        is_number(shape)
            || is_text(shape)
            || is_time(shape)
            || kind_of_time(shape).is_some()
            || matches!(shape, Shape::Bool | Shape::Bytes | Shape::Decimal | Shape::Any | Shape::Never)
    };
    for_any(left, right, |a, b| has_order(a) && has_order(b) && are_comparable(a, b))
}

/// The shape of a result; `None` where the operator does not apply.
fn arithmetic_shape(operator: BinaryOperator, left: &Shape, right: &Shape) -> Option<Shape> {
    let additive = matches!(operator, BinaryOperator::Add | BinaryOperator::Subtract);
    let is_add = operator == BinaryOperator::Add;
    let remainder = operator == BinaryOperator::Remainder;
    let moment = |shape: &Shape| kind_of_time(shape) == Some(TemporalKind::Timestamp);
    if let (Shape::Union(_), _) | (_, Shape::Union(_)) = (left, right) {
        let pairs =
            left.alternatives().iter().flat_map(|left| right.alternatives().iter().map(move |right| (left, right)));
        let results: Vec<Shape> = pairs.filter_map(|(left, right)| arithmetic_shape(operator, left, right)).collect();
        return (!results.is_empty()).then(|| Shape::any_of(results));
    }
    match (left, right) {
        (Shape::Any | Shape::Never, other) | (other, Shape::Any | Shape::Never) => match other {
            Shape::Any | Shape::Never => Some(Shape::Any),
            Shape::Int | Shape::Duration if additive => Some(Shape::Any),
            other if additive && moment(other) => Some(Shape::Any),
            Shape::Decimal if !matches!(operator, BinaryOperator::Divide | BinaryOperator::Remainder) => {
                Some(Shape::Decimal)
            }
            Shape::Int | Shape::UInt => Some(other.clone()),
            Shape::Double if !remainder => Some(Shape::Double),
            Shape::String | Shape::Enum(_) if is_add => Some(Shape::String),
            Shape::Bytes if is_add => Some(Shape::Bytes),
            Shape::List(_) if is_add => Some(Shape::list(Shape::Any)),
            _ => None,
        },
        (Shape::Int, Shape::Int) => Some(Shape::Int),
        (Shape::UInt, Shape::UInt) => Some(Shape::UInt),
        (Shape::Double, Shape::Double) if !remainder => Some(Shape::Double),
        (a, b) if is_add && is_text(a) && is_text(b) => Some(Shape::String),
        (Shape::Bytes, Shape::Bytes) if is_add => Some(Shape::Bytes),
        (Shape::List(a), Shape::List(b)) if is_add => Some(Shape::list(a.unify(b).unwrap_or(Shape::Any))),
        (Shape::Decimal, Shape::Decimal) if additive || operator == BinaryOperator::Multiply => Some(Shape::Decimal),
        (a, b) if moment(a) && moment(b) && operator == BinaryOperator::Subtract => Some(Shape::Duration),
        (a, Shape::Duration | Shape::Int) if moment(a) && additive => Some(a.clone()),
        (Shape::Duration | Shape::Int, b) if moment(b) && is_add => Some(b.clone()),
        (Shape::Duration, Shape::Duration | Shape::Int) | (Shape::Int, Shape::Duration) if additive => {
            Some(Shape::Duration)
        }
        _ => None,
    }
}
