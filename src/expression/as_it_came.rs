//! What of an expression is still as it came into it, and what shape that has.
//!
//! Two things hang on it. In free text as it came, `redact` finds what shows what it is; in what has been cut, put together
//! or was a number before, it may not. And a comparison tells a truth or a word of a closed set as it is, while of anything
//! else, which has too many values for one answer to be a copy, it tells something only.

use super::flow::Flow;
use super::functions::Function;
use super::loops::Loop;
use super::program::{Node, NodeKind};
use super::taint::Taint;
use crate::record::{Shape, Value};

/// Functions that give a value as it is, or some of the elements of a list, or all in another order.
const KEEPING: &[&str] = &["string", "dyn", "take", "take_last", "slice", "distinct", "sort", "reverse"];

/// One of the things that a value may be.
#[derive(Clone, Debug)]
pub(super) enum Came {
    /// What came in, of this shape; as text, too, where `string` has made it that.
    As(Shape),
    /// Something that has been made of what came.
    Anew,
}

impl Came {
    /// What its elements may be: those of a list, else the names of fields or entries.
    pub(super) fn elements(&self) -> Vec<Came> {
        self.parts(|shape| match shape {
            Shape::List(element) => vec![element.as_ref().clone()],
            Shape::Map(_) | Shape::Struct(_) => vec![Shape::String],
            _ => vec![Shape::Any],
        })
    }

    /// What a part of it may be.
    fn parts(&self, part: impl Fn(&Shape) -> Vec<Shape>) -> Vec<Came> {
        match self {
            Came::As(shape) => {
                let branches = shape.resolved().alternatives().iter().map(Shape::resolved).collect::<Vec<_>>();
                branches.iter().flat_map(part).map(Came::As).collect()
            }
            Came::Anew => vec![Came::Anew],
        }
    }

    /// Whether there is nothing but free text in it, as far as its shape tells. What has no shape may be some.
    fn is_text(&self) -> bool {
        match self {
            Came::As(shape) => holds_text(shape),
            Came::Anew => false,
        }
    }

    /// Whether it is one of few values, or holds such: truths, and words of a closed set.
    fn is_closed(&self) -> bool {
        fn is_so(shape: &Shape) -> bool {
            match shape {
                Shape::Bool | Shape::Enum(_) => true,
                Shape::List(inner) | Shape::Optional(inner) => is_so(inner),
                Shape::Union(union) => union.branches().iter().any(is_so),
                _ => false,
            }
        }
        matches!(self, Came::As(shape) if is_so(shape))
    }

    /// Whether it is a truth, or holds such.
    fn is_truth(&self) -> bool {
        fn is_so(shape: &Shape) -> bool {
            match shape {
                Shape::Bool => true,
                Shape::List(inner) | Shape::Optional(inner) => is_so(inner),
                _ => false,
            }
        }
        matches!(self, Came::As(shape) if is_so(shape))
    }
}

/// Whether there is nothing but free text in values of a shape. Structs are looked at field by field.
fn holds_text(shape: &Shape) -> bool {
    match shape {
        Shape::List(inner) | Shape::Map(inner) | Shape::Optional(inner) => holds_text(inner),
        Shape::Union(union) => union.branches().iter().all(holds_text),
        Shape::String | Shape::Any | Shape::Never | Shape::Null | Shape::Struct(_) | Shape::Recursive(_) => true,
        _ => false,
    }
}

impl Flow<'_> {
    /// What a value may be of what came in; nothing where the topology spells it out.
    pub(super) fn came(&self, node: &Node) -> Vec<Came> {
        let parts = |operand: &Node, part: &dyn Fn(&Shape) -> Vec<Shape>| {
            self.came(operand).iter().flat_map(|came| came.parts(part)).collect()
        };
        match &node.kind {
            NodeKind::Constant(value) => truths(value).map(Came::As).into_iter().collect(),
            NodeKind::Slot(binding) => {
                let known = self.shapes.iter().find(|(known, _)| known == binding);
                vec![Came::As(known.map_or(Shape::Any, |(_, shape)| shape.clone()))]
            }
            NodeKind::Variable(depth) => {
                self.variables.iter().rev().nth(*depth).map(|variable| variable.came.clone()).unwrap_or_default()
            }
            NodeKind::Header(_) => vec![Came::As(Shape::String)],
            NodeKind::Field { operand, shape, index, .. } => {
                let field = shape.fields().get(*index).map_or(Shape::Any, |field| field.shape.clone());
                parts(operand, &|_| vec![field.clone()])
            }
            NodeKind::Member { operand, name } => parts(operand, &|shape| match shape {
                Shape::Map(element) => vec![element.as_ref().clone()],
                Shape::Struct(fields) => fields.field(name).map(|field| field.shape.clone()).into_iter().collect(),
                _ => vec![Shape::Any],
            }),
            NodeKind::Index { operand, .. } => parts(operand, &|shape| match shape {
                Shape::Map(element) | Shape::List(element) => vec![element.as_ref().clone()],
                // Any of them.
                Shape::Struct(fields) => fields.fields().iter().map(|field| field.shape.clone()).collect(),
                _ => vec![Shape::Any],
            }),
            NodeKind::Coalesce(candidates) => candidates.iter().flat_map(|node| self.came(node)).collect(),
            NodeKind::Conditional { then, otherwise, .. } => {
                self.came(then).into_iter().chain(self.came(otherwise)).collect()
            }
            NodeKind::List(elements) => {
                let all = elements.iter().flat_map(|element| self.came(element));
                let list = |came| match came {
                    Came::As(shape) => Came::As(Shape::list(shape)),
                    Came::Anew => Came::Anew,
                };
                all.map(list).collect()
            }
            NodeKind::Loop { operand, body: Loop::Filter(_) } => self.came(operand),
            NodeKind::Call { function, arguments } => self.came_of_call(function, arguments),
            // Truths: what they are of is followed where they are made.
            NodeKind::Not(_)
            | NodeKind::And(..)
            | NodeKind::Or(..)
            | NodeKind::Loop { body: Loop::All(_) | Loop::Exists(_) | Loop::ExistsOne(_), .. } => {
                vec![Came::As(Shape::Bool)]
            }
            _ => vec![Came::Anew],
        }
    }

    fn came_of_call(&self, function: &Function, arguments: &[Node]) -> Vec<Came> {
        let Some(first) = arguments.first() else { return vec![Came::Anew] };
        let elements = |came: Vec<Came>| came.iter().flat_map(Came::elements).collect::<Vec<_>>();
        match function.name {
            // Text that is turned round is other text.
            "reverse" if self.came(first).iter().any(|came| !is_list(came)) => vec![Came::Anew],
            name if KEEPING.contains(&name) => self.came(first),
            "first" | "last" | "flatten" => elements(self.came(first)),
            _ => vec![Came::Anew],
        }
    }

    /// Whether a value is free text as it came, or a list of such.
    pub(super) fn is_text_as_it_came(&self, node: &Node) -> bool {
        self.came(node).iter().all(Came::is_text)
    }

    /// What a comparison tells of one side: a truth is one again, and a word of a closed set is spelt out.
    pub(super) fn told(&mut self, side: &Node, other: &Node) -> Taint {
        // Whether there is a value tells nothing of which.
        if matches!(other.kind, NodeKind::Constant(Value::Null)) {
            return Taint::clean();
        }
        let tells = self.came(side).iter().any(Came::is_closed) || self.came(other).iter().any(Came::is_truth);
        if tells { self.of(side).flattened() } else { Taint::clean() }
    }

    /// What of a value comes from personal data and is not free text as it came.
    pub(super) fn changed(&mut self, node: &Node) -> Taint {
        match &node.kind {
            NodeKind::Struct { shape, values } => {
                let values: Vec<Taint> = values.iter().map(|value| self.changed(value)).collect();
                Taint::fields(shape.fields().iter().map(|field| &*field.name).zip(values))
            }
            NodeKind::Conditional { then, otherwise, .. } => self.changed(then).joined(&self.changed(otherwise)),
            NodeKind::Coalesce(candidates) => {
                candidates.iter().fold(Taint::clean(), |all, node| all.joined(&self.changed(node)))
            }
            _ if self.is_text_as_it_came(node) => Taint::clean(),
            _ => self.of(node),
        }
    }
}

fn is_list(came: &Came) -> bool {
    matches!(came, Came::As(shape) if matches!(shape.required(), Shape::List(_)))
}

/// The shape of truths that are spelt out; of nothing else that is, because what is compared with it tells little.
fn truths(value: &Value) -> Option<Shape> {
    match value {
        Value::Bool(_) => Some(Shape::Bool),
        Value::List(elements) => elements.iter().find_map(truths).map(Shape::list),
        _ => None,
    }
}

/// Whether anything in a list or map is spelt out by the topology: then it can hold what something else is, letter by letter.
pub(super) fn is_spelt_out(node: &Node) -> bool {
    let is_constant = |node: &Node| matches!(node.kind, NodeKind::Constant(_));
    match &node.kind {
        NodeKind::Constant(_) => true,
        NodeKind::List(elements) => elements.iter().any(is_constant),
        NodeKind::Struct { values, .. } => values.iter().any(is_constant),
        NodeKind::Map(entries) => entries.iter().any(|(_, value)| is_constant(value)),
        NodeKind::Arithmetic { left, right, .. } => is_spelt_out(left) || is_spelt_out(right),
        NodeKind::Conditional { then, otherwise, .. } => is_spelt_out(then) || is_spelt_out(otherwise),
        NodeKind::Loop { operand, body: Loop::Filter(_) } => is_spelt_out(operand),
        NodeKind::Call { function, arguments } => {
            KEEPING.contains(&function.name) && arguments.first().is_some_and(is_spelt_out)
        }
        _ => false,
    }
}
