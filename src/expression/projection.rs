//! Values built from several expressions.

use std::sync::Arc;

use super::{Binding, EvaluationError, Expression, Input};
use crate::record::{Field, Fields, Shape, StructShape, StructValue, Text, Value, Values};

/// What `map: {a: expression, b: {c: expression}}` becomes: expressions, and the structs and lists made of
/// their results. The shapes of the structs are built once.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// One expression's result.
    Expression(Expression),
    /// A struct.
    Struct {
        /// Its shape, always a [`Shape::Struct`].
        shape: Shape,
        /// Its fields' values, in the shape's order.
        parts: Vec<Projection>,
    },
    /// A list.
    List {
        /// Its shape, always a [`Shape::List`].
        shape: Shape,
        /// Its elements.
        parts: Vec<Projection>,
    },
}

impl Projection {
    /// A struct of these fields, in this order.
    pub fn structure<N: Into<Text>>(fields: impl IntoIterator<Item = (N, Projection)>) -> Self {
        let (fields, parts) = fields
            .into_iter()
            .map(|(name, part)| (Field { name: name.into(), shape: part.shape().clone() }, part))
            .unzip();
        Projection::Struct { shape: Shape::Struct(Arc::new(StructShape::new("", fields))), parts }
    }

    /// A list of these elements. Where they have no shape in common it is a list of any.
    pub fn list(parts: Vec<Projection>) -> Self {
        let element = parts.iter().try_fold(Shape::Never, |shape, part| shape.unify(part.shape()));
        Projection::List { shape: Shape::list(element.unwrap_or(Shape::Any)), parts }
    }

    /// The shape of every result.
    pub fn shape(&self) -> &Shape {
        match self {
            Projection::Expression(expression) => expression.shape(),
            Projection::Struct { shape, .. } | Projection::List { shape, .. } => shape,
        }
    }

    /// The result for one input; the error is that of the first expression that fails.
    pub fn evaluate(&self, input: &Input<'_>) -> Result<Value, EvaluationError> {
        match self {
            Projection::Expression(expression) => expression.evaluate(input),
            Projection::Struct { shape: Shape::Struct(shape), parts } if shape.fields().len() == parts.len() => {
                Ok(Value::Struct(StructValue::new(Arc::clone(shape), all(parts, input)?)))
            }
            Projection::Struct { parts, .. } | Projection::List { parts, .. } => Ok(Value::List(all(parts, input)?)),
        }
    }

    /// Which part of a binding the expressions read together; `None` when none of them reads it.
    pub fn uses(&self, binding: &Binding) -> Option<Fields> {
        match self {
            Projection::Expression(expression) => expression.uses(binding).cloned(),
            Projection::Struct { parts, .. } | Projection::List { parts, .. } => {
                parts.iter().filter_map(|part| part.uses(binding)).reduce(|mut all, part| {
                    all.merge(&part);
                    all
                })
            }
        }
    }
}

fn all(parts: &[Projection], input: &Input<'_>) -> Result<Values, EvaluationError> {
    Values::of_each(parts.iter(), |part| part.evaluate(input))
}

impl From<Expression> for Projection {
    fn from(expression: Expression) -> Self {
        Projection::Expression(expression)
    }
}
