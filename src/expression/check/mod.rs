//! Checks a syntax tree against the shapes of what it reads and compiles it.
//!
//! A sub-expression that is wrong is reported and goes on as `any`, so that every error of an expression is
//! found and none is reported twice.

mod calls;
mod narrow;
mod operators;
mod special;

use std::ops::Range;
use std::sync::Arc;

use super::error::{ExpressionError, Span};
use super::functions;
use super::parse::{Syntax, SyntaxKind, UnaryOperator};
use super::program::{Frame, Node, NodeKind};
use super::{Binding, Input, Scope, suggest};
use crate::record::{Field, Shape, StructShape, Text, UnionShape, Value};

/// A compiled sub-expression and the shape of its value.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) shape: Shape,
}

pub(super) struct Checker<'s> {
    scope: &'s Scope,
    /// The variables of the macros around the current position, innermost last.
    variables: Vec<(String, Shape)>,
    /// What conditions have shown of paths.
    known: Vec<narrow::Fact>,
    errors: Vec<ExpressionError>,
}

/// The names of everything that can be called.
pub(super) fn callable() -> impl Iterator<Item = &'static str> {
    let macros = calls::MACROS.into_iter().map(|(name, _)| name);
    functions::names().chain(special::NAMES).chain(macros)
}

/// Compiles a tree, or reports everything that is wrong with it.
pub(super) fn compile(syntax: &Syntax, scope: &Scope) -> Result<Typed, Vec<ExpressionError>> {
    let mut checker = Checker { scope, variables: Vec::new(), known: Vec::new(), errors: Vec::new() };
    let typed = checker.check(syntax);
    if checker.errors.is_empty() {
        return Ok(typed);
    }
    checker.errors.sort_by_key(|error| (error.range.start, error.range.end));
    Err(checker.errors)
}

impl Checker<'_> {
    fn check(&mut self, syntax: &Syntax) -> Typed {
        let mut typed = match &syntax.kind {
            SyntaxKind::Literal(value) => literal(value, &syntax.range),
            SyntaxKind::Name(name) => self.name(name, &syntax.range),
            SyntaxKind::Select { operand, field, field_range } => {
                self.select(operand, field, field_range, &syntax.range)
            }
            SyntaxKind::Index { operand, index } => self.index(operand, index, &syntax.range),
            SyntaxKind::Call { target, name, name_range, arguments } => {
                self.call(target.as_deref(), name, name_range, arguments, &syntax.range)
            }
            SyntaxKind::Unary { operator: UnaryOperator::Not, operand } => self.not(operand, &syntax.range),
            SyntaxKind::Unary { operator: UnaryOperator::Negate, operand } => self.negate(operand, &syntax.range),
            SyntaxKind::Binary { operator, left, right } => self.binary(*operator, left, right, &syntax.range),
            SyntaxKind::Conditional { condition, then, otherwise } => {
                self.conditional(condition, then, otherwise, &syntax.range)
            }
            SyntaxKind::List(elements) => self.list(elements, &syntax.range),
            SyntaxKind::Map(entries) => self.map(entries, &syntax.range),
        };
        if !self.known.is_empty()
            && let Some(path) = narrow::path(syntax)
        {
            typed.shape = narrow::narrowed(typed.shape, &path, &self.known);
        }
        // What contains itself is looked into one level at a time.
        if matches!(typed.shape.required(), Shape::Recursive(_)) {
            let (resolved, nullable) = (typed.shape.resolved(), typed.shape.is_nullable());
            typed.shape = if nullable { resolved.optional() } else { resolved };
        }
        typed
    }

    fn error(&mut self, error: ExpressionError) -> Typed {
        let node = Node { span: Span::of(&error.range), kind: NodeKind::Constant(Value::Null) };
        self.errors.push(error);
        Typed { node, shape: Shape::Any }
    }

    fn name(&mut self, name: &str, range: &Range<usize>) -> Typed {
        let innermost = self.variables.iter().rev().position(|(variable, _)| variable == name);
        if let Some((depth, (_, shape))) =
            innermost.and_then(|depth| Some((depth, self.variables.iter().rev().nth(depth)?)))
        {
            return typed(NodeKind::Variable(depth), shape.clone(), range);
        }
        if let Some((binding, shape)) = self.scope.get(name) {
            return typed(NodeKind::Slot(binding.clone()), shape.clone(), range);
        }
        if let Some(type_name) = functions::type_name(name) {
            return typed(NodeKind::Constant(Value::from(type_name)), Shape::String, range);
        }
        let names: Vec<&str> =
            self.variables.iter().rev().map(|(variable, _)| variable.as_str()).chain(self.scope.names()).collect();
        let mut hint = suggest::hint(name, "names that can be used here", &names);
        if hint.as_ref().is_none_or(|hint| !hint.starts_with("did you mean"))
            && let Some(Shape::Struct(fields)) = self.scope.get("value").map(|(_, shape)| shape.required())
            && fields.index_of(name).is_some()
        {
            hint = Some(format!("did you mean the field `value.{name}`?"));
        }
        self.error(ExpressionError::new(range.clone(), format!("`{name}` is not known here")).with_hint(hint))
    }

    /// The binding that a bare name stands for, where no macro's variable hides it.
    fn binding(&self, syntax: &Syntax) -> Option<&Binding> {
        let SyntaxKind::Name(name) = &syntax.kind else { return None };
        let hidden = self.variables.iter().any(|(variable, _)| variable == name);
        self.scope.get(name).filter(|_| !hidden).map(|(binding, _)| binding)
    }

    fn select(&mut self, operand: &Syntax, field: &str, field_range: &Range<usize>, range: &Range<usize>) -> Typed {
        match (self.binding(operand), field) {
            (Some(Binding::Window), "start") => return typed(NodeKind::WindowStart, Shape::Timestamp, range),
            (Some(Binding::Window), "end") => return typed(NodeKind::WindowEnd, Shape::Timestamp, range),
            (Some(Binding::Headers), name) => {
                let name = literal(&Value::text(name), field_range).node;
                return typed(NodeKind::Header(Box::new(name)), Shape::String, range);
            }
            _ => {}
        }
        let operand = self.check(operand);
        self.member(operand, field, field_range, range)
    }

    /// A field or entry whose name is known.
    fn member(&mut self, operand: Typed, name: &str, name_range: &Range<usize>, range: &Range<usize>) -> Typed {
        let text = Text::from(name);
        let shape = operand.shape.required().clone();
        let operand = Box::new(operand.node);
        match shape {
            Shape::Struct(fields) => match fields.index_of(name) {
                Some(index) => {
                    let shape = fields.fields().get(index).map_or(Shape::Any, |field| field.shape.clone());
                    fold(typed(NodeKind::Field { operand, shape: fields, index, name: text }, shape, range))
                }
                None => self.unknown_field(&Shape::Struct(fields), name, name_range),
            },
            Shape::Map(value) => typed(NodeKind::Member { operand, name: text }, value.as_ref().clone(), range),
            Shape::Any | Shape::Never => typed(NodeKind::Member { operand, name: text }, Shape::Any, range),
            Shape::Union(union) => match field_of_any(&union, name) {
                Some(shape) => typed(NodeKind::Member { operand, name: text }, shape, range),
                None => {
                    let message = format!("none of {} has a field `{name}`", Shape::Union(union));
                    self.error(ExpressionError::new(name_range.clone(), message))
                }
            },
            other => {
                let message = format!("{} has no fields, so there is no `{name}` in it", describe(&other));
                self.error(ExpressionError::new(name_range.clone(), message))
            }
        }
    }

    fn unknown_field(&mut self, shape: &Shape, name: &str, range: &Range<usize>) -> Typed {
        let Shape::Struct(fields) = shape else {
            return self.error(ExpressionError::new(range.clone(), "no such field"));
        };
        let names: Vec<&str> = fields.fields().iter().map(|field| field.name.as_ref()).collect();
        let owner = if fields.name().is_empty() { "this value".to_owned() } else { format!("`{}`", fields.name()) };
        let hint = suggest::hint(name, "fields", &names);
        self.error(ExpressionError::new(range.clone(), format!("{owner} has no field `{name}`")).with_hint(hint))
    }

    fn index(&mut self, operand: &Syntax, index: &Syntax, range: &Range<usize>) -> Typed {
        if self.binding(operand) == Some(&Binding::Headers) {
            let name = self.check(index);
            if !functions::Kinds::STRING.accepts(&name.shape) {
                let message =
                    format!("headers are found by their names, which are strings; this is {}", describe(&name.shape));
                return self.error(ExpressionError::new(index.range.clone(), message));
            }
            return typed(NodeKind::Header(Box::new(name.node)), Shape::String, range);
        }
        let operand_typed = self.check(operand);
        if let SyntaxKind::Literal(Value::String(name)) = &index.kind
            && matches!(operand_typed.shape.required(), Shape::Struct(_) | Shape::Map(_) | Shape::Any | Shape::Union(_))
        {
            return self.member(operand_typed, name, &index.range, range);
        }
        let index_typed = self.check(index);
        let by = index_typed.shape.required();
        let expected = match operand_typed.shape.required() {
            Shape::List(element) => match by {
                Shape::Int | Shape::UInt | Shape::Any | Shape::Never => Ok(element.as_ref().clone()),
                _ => Err("a list is indexed by an int"),
            },
            Shape::Map(value) => match by {
                Shape::String | Shape::Enum(_) | Shape::Any | Shape::Never => Ok(value.as_ref().clone()),
                _ => Err("a map is indexed by a string"),
            },
            Shape::Struct(_) => match by {
                Shape::String | Shape::Enum(_) | Shape::Any | Shape::Never => Ok(Shape::Any),
                _ => Err("fields are found by their names, which are strings"),
            },
            Shape::Any | Shape::Never | Shape::Union(_) => Ok(Shape::Any),
            other => {
                let message = format!("{} cannot be indexed; only lists and maps can", describe(other));
                return self.error(ExpressionError::new(operand.range.clone(), message));
            }
        };
        match expected {
            Ok(shape) => {
                let kind = NodeKind::Index { operand: Box::new(operand_typed.node), index: Box::new(index_typed.node) };
                typed(kind, shape, range)
            }
            Err(rule) => {
                let message = format!("{rule}, and this is {}", describe(&index_typed.shape));
                self.error(ExpressionError::new(index.range.clone(), message))
            }
        }
    }

    fn conditional(&mut self, condition: &Syntax, then: &Syntax, otherwise: &Syntax, range: &Range<usize>) -> Typed {
        let condition_node = self.condition(condition);
        let facts = self.known.len();
        narrow::when(condition, true, &mut self.known);
        let then_typed = self.check(then);
        self.known.truncate(facts);
        narrow::when(condition, false, &mut self.known);
        let otherwise_typed = self.check(otherwise);
        self.known.truncate(facts);
        let Some(shape) = then_typed.shape.unify(&otherwise_typed.shape) else {
            let message = format!(
                "the two results differ: {} and {}; both must be of one type",
                describe(&then_typed.shape),
                describe(&otherwise_typed.shape)
            );
            let hint = conversion_hint(&then_typed.shape, &otherwise_typed.shape)
                .or_else(|| Some("convert one of them, or write `dyn(...)` around both".to_owned()));
            return self.error(ExpressionError::new(then.range.start..otherwise.range.end, message).with_hint(hint));
        };
        let (then, otherwise) = (Box::new(then_typed.node), Box::new(otherwise_typed.node));
        typed(NodeKind::Conditional { condition: Box::new(condition_node), then, otherwise }, shape, range)
    }

    /// A sub-expression that must be a bool.
    fn condition(&mut self, syntax: &Syntax) -> Node {
        let condition = self.check(syntax);
        let may_be = |shape: &Shape| matches!(shape, Shape::Bool | Shape::Any | Shape::Never);
        if !condition.shape.alternatives().iter().any(may_be) {
            let message = format!("a bool is expected here, and this is {}", describe(&condition.shape));
            self.errors.push(ExpressionError::new(syntax.range.clone(), message));
        }
        condition.node
    }

    fn list(&mut self, elements: &[Syntax], range: &Range<usize>) -> Typed {
        let mut shape = Shape::Never;
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            let element = self.check(element);
            shape = shape.unify(&element.shape).unwrap_or(Shape::Any);
            nodes.push(element.node);
        }
        fold(typed(NodeKind::List(nodes), Shape::list(shape), range))
    }

    fn map(&mut self, entries: &[(Syntax, Syntax)], range: &Range<usize>) -> Typed {
        let mut keys = Vec::with_capacity(entries.len());
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key_typed = self.check(key);
            if !functions::Kinds::STRING.accepts(&key_typed.shape) {
                let message = format!("the keys of a map are strings, and this is {}", describe(&key_typed.shape));
                self.errors.push(ExpressionError::new(key.range.clone(), message));
            }
            keys.push(key_typed.node);
            values.push(self.check(value));
        }
        let names: Option<Vec<Text>> = keys.iter().map(constant_text).collect();
        match names {
            Some(names) if !names.is_empty() => self.structure(entries, names, values, range),
            _ => {
                let shape = values
                    .iter()
                    .try_fold(Shape::Never, |shape, value| shape.unify(&value.shape))
                    .unwrap_or(Shape::Any);
                let entries = keys.into_iter().zip(values).map(|(key, value)| (key, value.node)).collect();
                fold(typed(NodeKind::Map(entries), Shape::map(shape), range))
            }
        }
    }

    /// A map literal whose keys are all known has named fields.
    fn structure(
        &mut self,
        entries: &[(Syntax, Syntax)],
        names: Vec<Text>,
        values: Vec<Typed>,
        range: &Range<usize>,
    ) -> Typed {
        for (position, name) in names.iter().enumerate() {
            let earlier = names.iter().take(position).any(|other| other == name);
            if let (true, Some((key, _))) = (earlier, entries.get(position)) {
                let message = format!("the key `{name}` occurs twice");
                self.errors.push(ExpressionError::new(key.range.clone(), message));
            }
        }
        let fields =
            names.into_iter().zip(&values).map(|(name, value)| Field { name, shape: value.shape.clone() }).collect();
        let shape = Arc::new(StructShape::new("", fields));
        let values = values.into_iter().map(|value| value.node).collect();
        fold(typed(NodeKind::Struct { shape: Arc::clone(&shape), values }, Shape::Struct(shape), range))
    }
}

/// The shape of a field that some alternatives of a union have, `None` where none has it. A value of another one is an
/// error of the record.
fn field_of_any(union: &UnionShape, name: &str) -> Option<Shape> {
    let field = |branch: &Shape| match branch.resolved() {
        Shape::Struct(fields) => fields.field(name).map(|field| field.shape.clone()),
        Shape::Map(value) => Some(value.as_ref().clone()),
        _ => None,
    };
    union.branches().iter().filter_map(field).reduce(|a, b| a.unify(&b).unwrap_or(Shape::Any))
}

fn constant_text(node: &Node) -> Option<Text> {
    match &node.kind {
        NodeKind::Constant(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn typed(kind: NodeKind, shape: Shape, range: &Range<usize>) -> Typed {
    Typed { node: Node { span: Span::of(range), kind }, shape }
}

fn literal(value: &Value, range: &Range<usize>) -> Typed {
    let shape = match value {
        Value::Null => Shape::Null,
        Value::Bool(_) => Shape::Bool,
        Value::Int(_) => Shape::Int,
        Value::UInt(_) => Shape::UInt,
        Value::Double(_) => Shape::Double,
        Value::String(_) => Shape::String,
        Value::Bytes(_) => Shape::Bytes,
        _ => Shape::Any,
    };
    typed(NodeKind::Constant(value.clone()), shape, range)
}

/// Replaces a node that depends on literals only by its value. One that fails stays, to fail if it is reached.
fn fold(typed: Typed) -> Typed {
    match constant_value(&typed.node) {
        Some(Ok(value)) => {
            Typed { node: Node { span: typed.node.span, kind: NodeKind::Constant(value) }, shape: typed.shape }
        }
        _ => typed,
    }
}

/// What a node gives whose operands are all literals; `None` when they are not.
fn constant_value(node: &Node) -> Option<Result<Value, super::error::Failure>> {
    let constant = node.children().all(|child| matches!(child.kind, NodeKind::Constant(_)));
    if !constant {
        return None;
    }
    let input = Input { key: &Value::Null, value: &Value::Null, record: None, locals: &[] };
    Some(node.evaluate(&Frame::new(&input)).map(std::borrow::Cow::into_owned))
}

/// A shape as a message names it, with an article where it reads better.
fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Int => "an int".to_owned(),
        Shape::Any | Shape::Never | Shape::Null | Shape::Bytes | Shape::Enum(_) | Shape::Union(_) => shape.to_string(),
        other => format!("a {other}"),
    }
}

/// How to bring two shapes together that do not fit.
fn conversion_hint(left: &Shape, right: &Shape) -> Option<String> {
    let number = |shape: &Shape| match shape.required() {
        Shape::Int => Some("int"),
        Shape::UInt => Some("uint"),
        Shape::Double => Some("double"),
        Shape::Decimal => Some("decimal"),
        _ => None,
    };
    let text = |shape: &Shape| matches!(shape.required(), Shape::String | Shape::Enum(_));
    match (number(left), number(right)) {
        (left, right) if left == right => None,
        (Some("decimal"), Some("double")) | (Some("double"), Some("decimal")) => {
            Some("convert the decimal with `double(...)`".to_owned())
        }
        (Some("decimal"), Some(_)) | (Some(_), Some("decimal")) => {
            Some("convert the other one with `decimal(...)`".to_owned())
        }
        (Some(_), Some(_)) if number(left) == Some("double") || number(right) == Some("double") => {
            Some("convert the other one with `double(...)`".to_owned())
        }
        (Some(_), Some(_)) => Some("convert one of them with `int(...)`".to_owned()),
        (Some(name), None) if text(right) => Some(format!("convert with `string(...)` or `{name}(...)`")),
        (None, Some(name)) if text(left) => Some(format!("convert with `string(...)` or `{name}(...)`")),
        _ => None,
    }
}
