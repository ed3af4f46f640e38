//! What operators accept and what comes of it.

use std::ops::Range;

use super::{Checker, Typed, conversion_hint, describe, fold, typed};
use crate::expression::Binding;
use crate::expression::error::ExpressionError;
use crate::expression::parse::{BinaryOperator, Syntax, SyntaxKind};
use crate::expression::program::NodeKind;
use crate::expression::suggest;
use crate::record::{EnumShape, Shape, Value};

impl Checker<'_> {
    pub(super) fn not(&mut self, operand: &Syntax, range: &Range<usize>) -> Typed {
        let operand = self.condition(operand);
        fold(typed(NodeKind::Not(Box::new(operand)), Shape::Bool, range))
    }

    pub(super) fn negate(&mut self, operand: &Syntax, range: &Range<usize>) -> Typed {
        let value = self.check(operand);
        let shape = value.shape.required().clone();
        if !matches!(shape, Shape::Int | Shape::Double | Shape::Duration | Shape::Any | Shape::Never) {
            let message = format!("`-` needs an int, a double or a duration, and this is {}", describe(&value.shape));
            return self.error(ExpressionError::new(operand.range.clone(), message));
        }
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
            Shape::Any | Shape::Never => true,
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

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::String | Shape::Enum(_))
}

fn is_text_or_any(shape: &Shape) -> bool {
    matches!(shape.required(), Shape::String | Shape::Enum(_) | Shape::Any)
}

fn is_time(shape: &Shape) -> bool {
    matches!(shape, Shape::Timestamp | Shape::Duration)
}

/// Whether values of these shapes may be equal.
fn are_comparable(left: &Shape, right: &Shape) -> bool {
    match (left.required(), right.required()) {
        (Shape::Any | Shape::Never | Shape::Null, _) | (_, Shape::Any | Shape::Never | Shape::Null) => true,
        (a, b) if is_number(a) && is_number(b) || is_text(a) && is_text(b) => true,
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
            || matches!(shape, Shape::Bool | Shape::Bytes | Shape::Any | Shape::Never)
    };
    has_order(left) && has_order(right) && are_comparable(left, right)
}

/// The shape of a result; `None` where the operator does not apply.
fn arithmetic_shape(operator: BinaryOperator, left: &Shape, right: &Shape) -> Option<Shape> {
    let additive = matches!(operator, BinaryOperator::Add | BinaryOperator::Subtract);
    let is_add = operator == BinaryOperator::Add;
    let remainder = operator == BinaryOperator::Remainder;
    match (left, right) {
        (Shape::Any | Shape::Never, other) | (other, Shape::Any | Shape::Never) => match other {
            Shape::Any | Shape::Never => Some(Shape::Any),
            Shape::Int | Shape::Timestamp | Shape::Duration if additive => Some(Shape::Any),
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
        (Shape::Timestamp, Shape::Timestamp) if operator == BinaryOperator::Subtract => Some(Shape::Duration),
        (Shape::Timestamp, Shape::Duration | Shape::Int) if additive => Some(Shape::Timestamp),
        (Shape::Duration | Shape::Int, Shape::Timestamp) if is_add => Some(Shape::Timestamp),
        (Shape::Duration, Shape::Duration | Shape::Int) | (Shape::Int, Shape::Duration) if additive => {
            Some(Shape::Duration)
        }
        _ => None,
    }
}
