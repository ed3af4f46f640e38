//! What a condition says about null: in `value.a != null ? value.a : 0` the second `value.a` is not null.

use crate::expression::parse::{BinaryOperator, Syntax, SyntaxKind, UnaryOperator};
use crate::record::Value;

/// A chain of names as text, `value.customer.name`.
pub(super) fn path(syntax: &Syntax) -> Option<String> {
    match &syntax.kind {
        SyntaxKind::Name(name) => Some(name.clone()),
        SyntaxKind::Select { operand, field, .. } => Some(format!("{}.{field}", path(operand)?)),
        SyntaxKind::Index { operand, index } => match &index.kind {
            SyntaxKind::Literal(Value::String(field)) => Some(format!("{}.{field}", path(operand)?)),
            _ => None,
        },
        _ => None,
    }
}

/// Adds the paths that are not null when `condition` turns out as `truth`.
pub(super) fn when(condition: &Syntax, truth: bool, known: &mut Vec<String>) {
    match &condition.kind {
        SyntaxKind::Binary { operator: BinaryOperator::And, left, right } if truth => {
            when(left, true, known);
            when(right, true, known);
        }
        SyntaxKind::Binary { operator: BinaryOperator::Or, left, right } if !truth => {
            when(left, false, known);
            when(right, false, known);
        }
        SyntaxKind::Binary { operator: BinaryOperator::NotEqual, left, right } if truth => not_null(left, right, known),
        SyntaxKind::Binary { operator: BinaryOperator::Equal, left, right } if !truth => not_null(left, right, known),
        SyntaxKind::Unary { operator: UnaryOperator::Not, operand } => when(operand, !truth, known),
        SyntaxKind::Call { target: None, name, arguments, .. } if truth && name == "has" => {
            known.extend(arguments.iter().filter_map(path));
        }
        _ => {}
    }
}

fn not_null(left: &Syntax, right: &Syntax, known: &mut Vec<String>) {
    let is_null = |syntax: &Syntax| matches!(syntax.kind, SyntaxKind::Literal(Value::Null));
    if is_null(right) {
        known.extend(path(left));
    } else if is_null(left) {
        known.extend(path(right));
    }
}
