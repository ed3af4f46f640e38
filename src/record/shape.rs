//! What a value will be, known at plan time.

use std::fmt;
use std::sync::Arc;

use super::{RecursiveShape, TemporalUnit, Text, UnionShape};

/// The shape of a value: what expressions are checked against before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Anything; checked at run time (JSON without a schema).
    Any,
    /// No value can have this shape: the elements of an empty list literal. Fits every shape.
    Never,
    /// Only null.
    Null,
    /// True or false.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// An unsigned 64-bit integer.
    UInt,
    /// A 64-bit float.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// Milliseconds since the epoch.
    Timestamp,
    /// A span of time.
    Duration,
    /// An exact decimal number.
    Decimal,
    /// A date, a time of day, or a timestamp that is not one of milliseconds in UTC.
    Temporal(TemporalUnit),
    /// One symbol of a closed set.
    Enum(Arc<EnumShape>),
    /// A list.
    List(Arc<Shape>),
    /// A map with text keys.
    Map(Arc<Shape>),
    /// Named fields.
    Struct(Arc<StructShape>),
    /// A struct around this one.
    Recursive(RecursiveShape),
    /// One of several. Never directly in another one; made by [`Shape::any_of`].
    Union(Arc<UnionShape>),
    /// The inner shape, or null. Never nested, never around `Any`, `Null` or `Never`.
    Optional(Arc<Shape>),
}

/// A closed set of symbols.
#[derive(Debug, PartialEq)]
pub struct EnumShape {
    /// The enumeration's name, for messages.
    pub name: String,
    /// The symbols, in the schema's order.
    pub symbols: Vec<Text>,
}

/// One field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The field's name.
    pub name: Text,
    /// The shape of its value.
    pub shape: Shape,
}

/// The fields of a struct, in order.
#[derive(Debug, PartialEq)]
pub struct StructShape {
    name: String,
    fields: Vec<Field>,
}

impl StructShape {
    /// A struct with these fields. `name` serves messages only; give "" where there is none.
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        StructShape { name: name.into(), fields }
    }

    /// The name of the schema it comes from, or "".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The position of a field.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Shape {
    /// A struct of these fields.
    pub fn structure<N: Into<Text>>(name: &str, fields: impl IntoIterator<Item = (N, Shape)>) -> Shape {
        let fields = fields.into_iter().map(|(name, shape)| Field { name: name.into(), shape }).collect();
        Shape::Struct(Arc::new(StructShape::new(name, fields)))
    }

    /// A list of these.
    pub fn list(element: Shape) -> Shape {
        Shape::List(Arc::new(element))
    }

    /// A map of text to these.
    pub fn map(value: Shape) -> Shape {
        Shape::Map(Arc::new(value))
    }

    /// This or null.
    pub fn optional(self) -> Shape {
        match self {
            Shape::Any | Shape::Null | Shape::Optional(_) => self,
            Shape::Never => Shape::Null,
            other => Shape::Optional(Arc::new(other)),
        }
    }

    /// The shape without the possibility of null.
    pub fn required(&self) -> &Shape {
        match self {
            Shape::Optional(inner) => inner,
            other => other,
        }
    }

    /// Whether null has this shape.
    pub fn is_nullable(&self) -> bool {
        matches!(self, Shape::Any | Shape::Null | Shape::Optional(_))
    }

    /// The smallest shape that holds values of both, or `None` where they have nothing in common.
    /// Int and double do not mix; structs must have the same field names in the same order.
    pub fn unify(&self, other: &Shape) -> Option<Shape> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Shape::Never, shape) | (shape, Shape::Never) => Some(shape.clone()),
            (Shape::Any, _) | (_, Shape::Any) => Some(Shape::Any),
            (Shape::Null, shape) | (shape, Shape::Null) => Some(shape.clone().optional()),
            (Shape::Optional(a), Shape::Optional(b)) => a.unify(b).map(Shape::optional),
            (Shape::Optional(a), b) | (b, Shape::Optional(a)) => a.unify(b).map(Shape::optional),
            (Shape::List(a), Shape::List(b)) => a.unify(b).map(Shape::list),
            (Shape::Map(a), Shape::Map(b)) => a.unify(b).map(Shape::map),
            (Shape::Enum(_), Shape::String) | (Shape::String, Shape::Enum(_)) => Some(Shape::String),
            (Shape::Enum(_), Shape::Enum(_)) => Some(Shape::String),
            (Shape::Struct(a), Shape::Struct(b)) => unify_structs(a, b),
            (Shape::Recursive(_), Shape::Struct(_)) => self.resolved().unify(other),
            (Shape::Struct(_), Shape::Recursive(_)) => self.unify(&other.resolved()),
            (Shape::Union(_), _) | (_, Shape::Union(_)) => unify_unions(self, other),
            _ => None,
        }
    }
}

/// Where the alternatives of one are all among those of the other.
fn unify_unions(a: &Shape, b: &Shape) -> Option<Shape> {
    let (most, least) = if a.alternatives().len() >= b.alternatives().len() { (a, b) } else { (b, a) };
    let known = |shape: &Shape| most.alternatives().iter().any(|branch| branch.unify(shape).as_ref() == Some(branch));
    least.alternatives().iter().all(known).then(|| most.clone())
}

fn unify_structs(a: &StructShape, b: &StructShape) -> Option<Shape> {
    if a.fields.len() != b.fields.len() {
        return None;
    }
    let fields: Option<Vec<Field>> = a
        .fields
        .iter()
        .zip(&b.fields)
        .map(|(left, right)| {
            let shape = left.shape.unify(&right.shape)?;
            (left.name == right.name).then(|| Field { name: left.name.clone(), shape })
        })
        .collect();
    Some(Shape::Struct(Arc::new(StructShape::new(a.name.clone(), fields?))))
}

impl fmt::Display for Shape {
    /// Writes the shape as error messages name it: `string`, `list<int>`, `MessageCreated`, `double or null`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Any => f.write_str("any"),
            Shape::Never => f.write_str("nothing"),
            Shape::Null => f.write_str("null"),
            Shape::Bool => f.write_str("bool"),
            Shape::Int => f.write_str("int"),
            Shape::UInt => f.write_str("uint"),
            Shape::Double => f.write_str("double"),
            Shape::String => f.write_str("string"),
            Shape::Bytes => f.write_str("bytes"),
            Shape::Timestamp => f.write_str("timestamp"),
            Shape::Duration => f.write_str("duration"),
            Shape::Decimal => f.write_str("decimal"),
            Shape::Temporal(unit) => f.write_str(unit.name()),
            Shape::Recursive(reference) => f.write_str(reference.name()),
            Shape::Union(union) => {
                let last = union.branches().len().saturating_sub(1);
                for (n, branch) in union.branches().iter().enumerate() {
                    let separator = match n {
                        0 => "",
                        n if n == last => " or ",
                        _ => ", ",
                    };
                    write!(f, "{separator}{branch}")?;
                }
                Ok(())
            }
            // `int, string or null`, not `int or string or null`.
            Shape::Optional(inner) if matches!(**inner, Shape::Union(_)) => {
                let union = inner.alternatives().iter().map(ToString::to_string).collect::<Vec<_>>();
                write!(f, "{} or null", union.join(", "))
            }
            Shape::Enum(symbols) => write!(f, "enum {}", symbols.name),
            Shape::List(element) => write!(f, "list<{element}>"),
            Shape::Map(value) => write!(f, "map<string, {value}>"),
            Shape::Optional(inner) => write!(f, "{inner} or null"),
            Shape::Struct(shape) if !shape.name.is_empty() => f.write_str(&shape.name),
            Shape::Struct(shape) => {
                f.write_str("{")?;
                for (n, field) in shape.fields.iter().enumerate() {
                    let separator = if n == 0 { "" } else { ", " };
                    write!(f, "{separator}{}: {}", field.name, field.shape)?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_unify_to_the_smallest_that_holds_both() {
        assert_eq!(Shape::Null.unify(&Shape::Int), Some(Shape::Int.optional()));
        assert_eq!(Shape::list(Shape::Never).unify(&Shape::list(Shape::String)), Some(Shape::list(Shape::String)));
        assert_eq!(Shape::Int.unify(&Shape::Double), None);
        let a = Shape::structure("", [("n", Shape::Int), ("t", Shape::Null)]);
        let b = Shape::structure("", [("n", Shape::Int), ("t", Shape::String)]);
        assert_eq!(a.unify(&b), Some(Shape::structure("", [("n", Shape::Int), ("t", Shape::String.optional())])));
    }
}
