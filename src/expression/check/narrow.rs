//! What a condition says about null and types: in `value.a != null ? value.a : 0` the second `value.a` is not null, and in
//! `type(value.a) == string && value.a.startsWith('x')` it is text.

use crate::expression::functions;
use crate::expression::parse::{BinaryOperator, Syntax, SyntaxKind, UnaryOperator};
use crate::record::{Shape, Value};

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

/// Something that a condition has shown of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) path: String,
    pub(super) says: Says,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Says {
    /// It is not null.
    NotNull,
    /// `type(path)` is this.
    Is(String),
    /// `type(path)` is something else.
    IsNot(String),
}

/// Adds what is known when `condition` turns out as `truth`.
pub(super) fn when(condition: &Syntax, truth: bool, known: &mut Vec<Fact>) {
    match &condition.kind {
        SyntaxKind::Binary { operator: BinaryOperator::And, left, right } if truth => {
            when(left, true, known);
            when(right, true, known);
        }
        SyntaxKind::Binary { operator: BinaryOperator::Or, left, right } if !truth => {
            when(left, false, known);
            when(right, false, known);
        }
        SyntaxKind::Binary { operator: BinaryOperator::NotEqual, left, right } => {
            compared(left, right, !truth, known);
        }
        SyntaxKind::Binary { operator: BinaryOperator::Equal, left, right } => compared(left, right, truth, known),
        SyntaxKind::Unary { operator: UnaryOperator::Not, operand } => when(operand, !truth, known),
        SyntaxKind::Call { target: None, name, arguments, .. } if truth && name == "has" => {
            known.extend(arguments.iter().filter_map(path).map(|path| Fact { path, says: Says::NotNull }));
        }
        _ => {}
    }
}

/// What is known of two sides that are equal, or not.
fn compared(left: &Syntax, right: &Syntax, equal: bool, known: &mut Vec<Fact>) {
    let is_null = |syntax: &Syntax| matches!(syntax.kind, SyntaxKind::Literal(Value::Null));
    let not_null = match (is_null(left), is_null(right)) {
        (_, true) if !equal => path(left),
        (true, _) if !equal => path(right),
        _ => None,
    };
    known.extend(not_null.map(|path| Fact { path, says: Says::NotNull }));
    for (side, other) in [(left, right), (right, left)] {
        if let (Some(path), Some(name)) = (typed(side).and_then(path), type_name(other)) {
            known.push(Fact { path, says: if equal { Says::Is(name) } else { Says::IsNot(name) } });
        }
    }
}

/// What a call of `type` is of.
pub(super) fn typed(syntax: &Syntax) -> Option<&Syntax> {
    match &syntax.kind {
        SyntaxKind::Call { target: None, name, arguments, .. } if name == "type" => match &arguments[..] {
            [argument] => Some(argument),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a type, bare or as text.
pub(super) fn type_name(syntax: &Syntax) -> Option<String> {
    match &syntax.kind {
        SyntaxKind::Literal(Value::String(name)) => Some(name.to_string()),
        SyntaxKind::Name(name) => functions::type_name(name).map(str::to_owned),
        _ => None,
    }
}

/// What is left of a shape by these facts about its path.
pub(super) fn narrowed(mut shape: Shape, path: &str, known: &[Fact]) -> Shape {
    for fact in known.iter().filter(|fact| fact.path == path) {
        let among = |wanted: &dyn Fn(&str) -> bool| {
            let branches = shape.alternatives().iter();
            let kept = branches.filter(|branch| wanted(functions::type_of_shape(branch))).cloned();
            (kept.collect::<Vec<Shape>>(), shape.is_nullable())
        };
        shape = match &fact.says {
            _ if shape == Shape::Any => shape,
            Says::NotNull => shape.required().clone(),
            Says::Is(name) if name == "null_type" => shape,
            Says::Is(name) => match among(&|branch| branch == name) {
                // It is never so; what is said then does not matter.
                (kept, _) if kept.is_empty() => shape,
                (kept, _) => Shape::any_of(kept),
            },
            Says::IsNot(name) if name == "null_type" => shape.required().clone(),
            Says::IsNot(name) => match among(&|branch| branch != name) {
                (kept, _) if kept.is_empty() => shape,
                (kept, nullable) => {
                    let rest = Shape::any_of(kept);
                    if nullable { rest.optional() } else { rest }
                }
            },
        };
    }
    shape
}
