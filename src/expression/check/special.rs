//! Calls that are more than functions: `has`, `coalesce`, `merge` and `without`.

use std::ops::Range;
use std::sync::Arc;

use super::{Checker, Typed, describe, typed};
use crate::expression::Binding;
use crate::expression::error::ExpressionError;
use crate::expression::functions::{self, MERGE_MAPS, WITHOUT_KEYS};
use crate::expression::parse::{Syntax, SyntaxKind};
use crate::expression::program::NodeKind;
use crate::record::{Field, Shape, StructShape, Text, Value};

/// The calls of this file.
pub(super) const NAMES: [&str; 4] = ["has", "coalesce", "merge", "without"];

impl Checker<'_> {
    /// `has(value.a.b)`: whether the field is there and not null, also when what it would be in is not.
    pub(super) fn has(&mut self, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        let [argument] = arguments else {
            return self.wrong_usage("has", "`has(value.field)`", range);
        };
        let (operand, name, name_range) = match &argument.kind {
            SyntaxKind::Select { operand, field, field_range } => (operand, field.as_str(), field_range),
            SyntaxKind::Index { operand, index } => match &index.kind {
                SyntaxKind::Literal(Value::String(name)) => (operand, name.as_ref(), &index.range),
                _ => return self.wrong_usage("has", "`has(value.field)`", range),
            },
            _ => return self.wrong_usage("has", "`has(value.field)`", range),
        };
        if self.binding(operand) == Some(&Binding::Headers) {
            let name = super::literal(&Value::text(name), name_range).node;
            return typed(NodeKind::HasHeader(Box::new(name)), Shape::Bool, range);
        }
        let operand = self.check(operand);
        let required = operand.shape.required().clone();
        match &required {
            Shape::Struct(fields) if fields.index_of(name).is_none() => self.unknown_field(&required, name, name_range),
            Shape::Union(union) if super::field_of_any(union, name).is_none() => {
                let message = format!("none of {required} has a field `{name}`");
                self.error(ExpressionError::new(name_range.clone(), message))
            }
            Shape::Struct(_) | Shape::Map(_) | Shape::Any | Shape::Never | Shape::Null | Shape::Union(_) => {
                typed(NodeKind::Has { operand: Box::new(operand.node), name: Text::from(name) }, Shape::Bool, range)
            }
            other => {
                let message = format!("{} has no fields, so there is no `{name}` in it", describe(other));
                self.error(ExpressionError::new(name_range.clone(), message))
            }
        }
    }

    /// `coalesce(a, b, ...)`: the first that is not null, counting as null what is not there.
    pub(super) fn coalesce(&mut self, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        if arguments.is_empty() {
            return self.wrong_usage("coalesce", "`coalesce(value.a, value.b, 'otherwise')`", range);
        }
        let mut shape = Shape::Never;
        let mut nodes = Vec::with_capacity(arguments.len());
        let mut ends_in_null = true;
        for argument in arguments {
            let candidate = self.check(argument);
            ends_in_null = candidate.shape.is_nullable();
            match shape.unify(candidate.shape.required()) {
                Some(unified) => shape = unified,
                None => {
                    let message = format!(
                        "{} does not go with {} before it; all arguments of `coalesce` must be of one type",
                        describe(&candidate.shape),
                        describe(&shape)
                    );
                    let hint = super::conversion_hint(&shape, &candidate.shape);
                    self.errors.push(ExpressionError::new(argument.range.clone(), message).with_hint(hint));
                }
            }
            nodes.push(candidate.node);
        }
        let shape = match shape.required() {
            required if !ends_in_null => required.clone(),
            required => required.clone().optional(),
        };
        typed(NodeKind::Coalesce(nodes), shape, range)
    }

    /// `merge(a, b)`: the fields of both, those of `b` where both have one.
    pub(super) fn merge(&mut self, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        let [left_syntax, right_syntax] = arguments else {
            return self.wrong_usage("merge", "`merge(a, b)`", range);
        };
        let (left, right) = (self.check(left_syntax), self.check(right_syntax));
        for (side, syntax) in [(&left, left_syntax), (&right, right_syntax)] {
            if !functions::Kinds::MAP.accepts(&side.shape) {
                let message = format!("`merge` needs structs or maps, and this is {}", describe(&side.shape));
                return self.error(ExpressionError::new(syntax.range.clone(), message));
            }
        }
        if let (Shape::Struct(a), Shape::Struct(b)) = (left.shape.required(), right.shape.required()) {
            let mut fields: Vec<Field> = a.fields().to_vec();
            let mut plan: Vec<(usize, usize)> = (0..fields.len()).map(|index| (0, index)).collect();
            for (index, field) in b.fields().iter().enumerate() {
                let place = fields.iter().position(|other| other.name == field.name);
                match place.and_then(|place| Some((fields.get_mut(place)?, plan.get_mut(place)?))) {
                    Some((replaced, source)) => (*replaced, *source) = (field.clone(), (1, index)),
                    None => {
                        fields.push(field.clone());
                        plan.push((1, index));
                    }
                }
            }
            return pick(vec![left.node, right.node], fields, plan, range);
        }
        let shape = match (left.shape.required(), right.shape.required()) {
            (Shape::Map(a), Shape::Map(b)) => Shape::map(a.unify(b).unwrap_or(Shape::Any)),
            _ => Shape::Any,
        };
        typed(NodeKind::Call { function: &MERGE_MAPS, arguments: vec![left.node, right.node] }, shape, range)
    }

    /// `without(a, 'field', ...)`: a struct or map without some of its fields.
    pub(super) fn without(&mut self, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        let Some((syntax, names)) = arguments.split_first().filter(|(_, names)| !names.is_empty()) else {
            return self.wrong_usage("without", "`without(value, 'field')`", range);
        };
        let from = self.check(syntax);
        let required = from.shape.required().clone();
        if !functions::Kinds::MAP.accepts(&required) {
            let message = format!("`without` needs a struct or a map, and this is {}", describe(&from.shape));
            return self.error(ExpressionError::new(syntax.range.clone(), message));
        }
        let mut unwanted: Vec<&Text> = Vec::new();
        let mut nodes = vec![from.node];
        for name in names {
            let SyntaxKind::Literal(Value::String(text)) = &name.kind else {
                let message = "`without` needs the names of fields as literals, such as `'field'`";
                return self.error(ExpressionError::new(name.range.clone(), message));
            };
            if let Shape::Struct(fields) = &required
                && fields.index_of(text).is_none()
            {
                return self.unknown_field(&required, text, &name.range);
            }
            unwanted.push(text);
            nodes.push(super::literal(&Value::String(text.clone()), &name.range).node);
        }
        if let Shape::Struct(shape) = &required {
            let kept = shape.fields().iter().enumerate().filter(|(_, field)| !unwanted.contains(&&field.name));
            let (plan, fields) = kept.map(|(index, field)| ((0, index), field.clone())).unzip();
            nodes.truncate(1);
            return pick(nodes, fields, plan, range);
        }
        typed(NodeKind::Call { function: &WITHOUT_KEYS, arguments: nodes }, required, range)
    }
}

fn pick(
    from: Vec<crate::expression::program::Node>,
    fields: Vec<Field>,
    plan: Vec<(usize, usize)>,
    range: &Range<usize>,
) -> Typed {
    let shape = Arc::new(StructShape::new("", fields));
    typed(NodeKind::Pick { from, shape: Arc::clone(&shape), plan: plan.into() }, Shape::Struct(shape), range)
}
