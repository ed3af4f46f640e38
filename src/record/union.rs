//! Shapes of several alternatives, and shapes that contain themselves.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Field, Shape, StructShape, StructValue, Value};

/// Two or more alternatives that values of different kinds have: of each kind at most one, but any number of structs with
/// different names. Null is none of them; that is what [`Shape::Optional`] is for.
#[derive(Debug, PartialEq)]
pub struct UnionShape {
    branches: Vec<Shape>,
}

impl UnionShape {
    /// The alternatives, in the schema's order.
    pub fn branches(&self) -> &[Shape] {
        &self.branches
    }

    /// The alternative that a value is one of, if it is. A struct is told by its shape or the name of its schema, and
    /// else by its fields.
    pub fn branch_of(&self, value: &Value) -> Option<usize> {
        if let Value::Struct(fields) = value
            && let Some(named) = self.branches.iter().position(|branch| is_named_alike(branch, fields))
        {
            return Some(named);
        }
        self.branches.iter().position(|branch| branch.holds(value))
    }
}

fn is_named_alike(branch: &Shape, value: &StructValue) -> bool {
    let Shape::Struct(shape) = branch.resolved() else { return false };
    Arc::ptr_eq(&shape, value.shape())
        || (!shape.name().is_empty() && shape.name() == value.shape().name() && has_fields(&shape, value))
}

fn has_fields(shape: &StructShape, value: &StructValue) -> bool {
    let given = value.shape().fields();
    let has = |(slot, field): (usize, &Field)| {
        given.get(slot).is_some_and(|likely| likely.name == field.name) || value.get(&field.name).is_some()
    };
    shape.fields().len() == given.len() && shape.fields().iter().enumerate().all(has)
}

/// A struct that is being described, by the name of its schema: where a shape would contain itself it refers to this.
#[derive(Clone)]
pub struct RecursiveShape {
    name: Arc<str>,
    target: Arc<OnceLock<Arc<StructShape>>>,
}

impl RecursiveShape {
    /// A reference to a struct of this name that is still to be given.
    pub fn new(name: &str) -> Self {
        RecursiveShape { name: name.into(), target: Arc::default() }
    }

    /// Says what it refers to.
    ///
    /// The two then hold each other and live as long as the process. Schemas are few; the list is there for tools that
    /// look for memory that nothing leads to.
    pub fn set(&self, target: &Arc<StructShape>) {
        static KEPT: Mutex<Vec<Arc<StructShape>>> = Mutex::new(Vec::new());
        if self.target.set(Arc::clone(target)).is_ok() {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(target));
        }
    }

    /// The name of the schema.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it refers to.
    pub fn target(&self) -> Option<&Arc<StructShape>> {
        self.target.get()
    }
}

impl PartialEq for RecursiveShape {
    /// By name: comparing what they refer to would never end.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for RecursiveShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recursive({})", self.name)
    }
}

impl Shape {
    /// A value of any of these shapes: the shapes that values can be told apart by, with null where one of them has it.
    /// A single shape, where all of them come to the same.
    pub fn any_of(shapes: impl IntoIterator<Item = Shape>) -> Shape {
        let (mut branches, mut nullable): (Vec<Shape>, bool) = (Vec::new(), false);
        for shape in shapes {
            nullable |= shape.is_nullable();
            match shape.required().clone() {
                Shape::Any => return Shape::Any,
                Shape::Null | Shape::Never => {}
                Shape::Union(union) => union.branches.iter().for_each(|branch| join(&mut branches, branch.clone())),
                other => join(&mut branches, other),
            }
        }
        let shape = match branches.pop() {
            None => return if nullable { Shape::Null } else { Shape::Never },
            Some(only) if branches.is_empty() => only,
            Some(last) => {
                branches.push(last);
                Shape::Union(Arc::new(UnionShape { branches }))
            }
        };
        if nullable { shape.optional() } else { shape }
    }

    /// The alternatives of a shape without null: those of a union, else the shape itself.
    pub fn alternatives(&self) -> &[Shape] {
        match self.required() {
            Shape::Union(union) => &union.branches,
            other => std::slice::from_ref(other),
        }
    }

    /// The shape without null, and the struct that it is where it refers to one.
    pub fn resolved(&self) -> Shape {
        match self.required() {
            Shape::Recursive(reference) => reference.target().cloned().map_or(Shape::Any, Shape::Struct),
            other => other.clone(),
        }
    }

    /// Whether a value is of this shape, which is not null; of lists, maps and structs only the outside.
    pub fn holds(&self, value: &Value) -> bool {
        match (self.required(), value) {
            (_, Value::Null) => false,
            (Shape::Any, _) => true,
            (Shape::Bool, Value::Bool(_))
            | (Shape::Int, Value::Int(_))
            | (Shape::UInt, Value::UInt(_))
            | (Shape::Double, Value::Double(_))
            | (Shape::String, Value::String(_))
            | (Shape::Bytes, Value::Bytes(_))
            | (Shape::Timestamp, Value::Timestamp(_))
            | (Shape::Duration, Value::Duration(_))
            | (Shape::Decimal, Value::Decimal(_))
            | (Shape::List(_), Value::List(_))
            | (Shape::Map(_), Value::Map(_)) => true,
            (Shape::Temporal(unit), Value::Temporal(time)) => *unit == time.unit,
            (Shape::Enum(enumeration), Value::String(symbol)) => enumeration.symbols.contains(symbol),
            (Shape::Struct(shape), Value::Struct(fields)) => {
                Arc::ptr_eq(shape, fields.shape()) || has_fields(shape, fields)
            }
            (Shape::Recursive(reference), Value::Struct(fields)) => {
                reference.target().is_some_and(|shape| Arc::ptr_eq(shape, fields.shape()) || has_fields(shape, fields))
            }
            (Shape::Union(union), value) => union.branch_of(value).is_some(),
            _ => false,
        }
    }
}

/// Adds an alternative, unless values of it look like those of one that is there.
fn join(branches: &mut Vec<Shape>, shape: Shape) {
    let is_text = |shape: &Shape| matches!(shape, Shape::String | Shape::Enum(_));
    let is_struct = |shape: &Shape| matches!(shape, Shape::Struct(_) | Shape::Recursive(_));
    let alike = |known: &Shape| *known == shape || (is_text(known) && is_text(&shape));
    match branches.iter_mut().find(|known| alike(known)) {
        Some(known) if *known != shape => *known = Shape::String,
        Some(_) => {}
        None => {
            match branches.iter_mut().find(|known| !is_struct(known) && !is_struct(&shape) && same_kind(known, &shape))
            {
                Some(known) => *known = known.unify(&shape).unwrap_or(Shape::Any),
                None => branches.push(shape),
            }
        }
    }
}

fn same_kind(a: &Shape, b: &Shape) -> bool {
    matches!((a, b), (Shape::List(_), Shape::List(_)) | (Shape::Map(_), Shape::Map(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_that_values_do_not_tell_apart_are_one() {
        let shape = Shape::any_of([Shape::Int, Shape::Null, Shape::Int, Shape::String]);
        assert_eq!(shape.to_string(), "int, string or null");
        assert_eq!(shape.alternatives(), [Shape::Int, Shape::String]);
        assert_eq!(Shape::any_of([Shape::Double, Shape::Double]), Shape::Double);
        assert_eq!(Shape::any_of([Shape::Null]), Shape::Null);
        let (a, b) = (Shape::structure("A", [("x", Shape::Int)]), Shape::structure("B", [("x", Shape::Int)]));
        let union = Shape::any_of([a.clone(), b.clone()]);
        assert_eq!(union.to_string(), "A or B");
        let (Shape::Struct(shape), Shape::Union(union)) = (b, union) else { panic!("shapes") };
        let value = Value::Struct(StructValue::new(shape, [Value::Int(1)].into()));
        assert_eq!(union.branch_of(&value), Some(1));
        assert_eq!(union.branch_of(&Value::Int(1)), None);
    }

    #[test]
    fn a_shape_may_contain_itself() {
        let own = RecursiveShape::new("Node");
        let next = Shape::Recursive(own.clone()).optional();
        let Shape::Struct(node) = Shape::structure("Node", [("next", next)]) else { panic!("a struct") };
        own.set(&node);
        let next = node.field("next").map(|field| field.shape.clone()).unwrap();
        assert_eq!(next.to_string(), "Node or null");
        assert_eq!(next.resolved(), Shape::Struct(Arc::clone(&node)));
        let value = Value::Struct(StructValue::new(node, [Value::Null].into()));
        assert!(next.holds(&value));
    }
}
