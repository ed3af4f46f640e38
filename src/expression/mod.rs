//! Expressions: CEL, the Common Expression Language, checked against shapes and compiled.
//!
//! The `cel` crate parses; everything after that is ours, because a record must not pay for names. An
//! [`Expression`] is compiled once, against the [`Scope`] of the place it stands in: every name becomes a slot,
//! every field a position, and every error is reported then, with its place in the source and the nearest name
//! that exists. Per record it only evaluates.
//!
//! Which part of CEL there is, what differs from its specification and what is added says `docs/expressions.md`, which
//! `tests/cel/` checks.

mod as_it_came;
mod call;
mod check;
mod error;
mod flow;
mod functions;
mod lex;
mod loops;
mod native;
mod operate;
mod parse;
mod program;
mod projection;
mod suggest;
mod syntax_error;
mod taint;
#[cfg(test)]
mod tests;
mod uses;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::record::{Field, Fields, Record, Shape, StructShape, Text, Value};
use program::{Frame, Node};

pub use call::{CallArgument, CallSyntax, split_call};
pub use error::{EvaluationError, ExpressionError, Reason};
pub use flow::Given;
pub(crate) use native::unfit;
pub use native::{NativeFunction, NativeFunctions};
pub use projection::Projection;
pub use taint::{Mark, Part, Path, Taint};

/// What a name in an expression stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// The record's key.
    Key,
    /// The record's value.
    Value,
    /// On a table, the value before the change; null where it is not known.
    Old,
    /// The record's timestamp.
    Timestamp,
    /// The record's headers: a map from names to text, of each name the last.
    Headers,
    /// The topic that the input record was read from.
    Topic,
    /// The partition that the input record was read from.
    Partition,
    /// The input record's offset.
    Offset,
    /// The window of the key, with `start` and `end`.
    Window,
    /// A value that the operator provides, by its position in [`Input::locals`].
    Local(usize),
}

/// The names that an expression may use.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: Vec<(String, Binding, Shape)>,
    functions: NativeFunctions,
}

impl Scope {
    /// No names.
    pub fn new() -> Self {
        Scope::default()
    }

    /// Adds a name, or gives it a new meaning.
    pub fn with(mut self, name: &str, binding: Binding, shape: Shape) -> Self {
        self.names.retain(|(known, _, _)| known != name);
        self.names.push((name.to_owned(), binding, shape));
        self
    }

    /// Adds what every record has: `timestamp`, `headers`, `topic`, `partition` and `offset`.
    pub fn with_record(self) -> Self {
        self.with("timestamp", Binding::Timestamp, Shape::Timestamp)
            .with("headers", Binding::Headers, Shape::map(Shape::String))
            .with("topic", Binding::Topic, Shape::String)
            .with("partition", Binding::Partition, Shape::Int)
            .with("offset", Binding::Offset, Shape::Int)
    }

    /// Adds `window`, for records whose key has one.
    pub fn with_window(self) -> Self {
        self.with("window", Binding::Window, Shape::Struct(window_shape()))
    }

    /// Lets expressions call these functions of Rust, too.
    pub fn with_functions(mut self, functions: NativeFunctions) -> Self {
        self.functions = functions;
        self
    }

    /// The shape of what a name stands for.
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.get(name).map(|(_, shape)| shape)
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _, _)| name.as_str())
    }

    fn get(&self, name: &str) -> Option<(&Binding, &Shape)> {
        self.names.iter().find(|(known, _, _)| known == name).map(|(_, binding, shape)| (binding, shape))
    }
}

/// The shape of `window`: its `start` and `end`.
fn window_shape() -> Arc<StructShape> {
    static SHAPE: LazyLock<Arc<StructShape>> = LazyLock::new(|| {
        let field = |name| Field { name: Text::from_static(name), shape: Shape::Timestamp };
        Arc::new(StructShape::new("window", vec![field("start"), field("end")]))
    });
    Arc::clone(&SHAPE)
}

/// The names of all functions and macros, for what describes the language.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    check::callable()
}

/// What an expression is evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The key; null where there is none.
    pub key: &'a Value,
    /// The value.
    pub value: &'a Value,
    /// The record that timestamp, headers, origin, window and the old value are taken from.
    pub record: Option<&'a Record>,
    /// The values of [`Binding::Local`].
    pub locals: &'a [Value],
}

impl<'a> Input<'a> {
    /// A record as input, without locals.
    pub fn of(record: &'a Record) -> Self {
        static NULL: Value = Value::Null;
        let key = record.key.as_ref().map_or(&NULL, |key| &key.value);
        Input { key, value: &record.value, record: Some(record), locals: &[] }
    }
}

/// A compiled expression. Cloning shares it.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    source: Arc<str>,
    root: Node,
    shape: Shape,
    uses: Vec<(Binding, Fields)>,
    /// The shapes of the bindings that it reads.
    shapes: Vec<(Binding, Shape)>,
}

impl Expression {
    /// Parses, checks and compiles a source of at most 16 KiB. All its errors are reported, in the order of
    /// the source.
    pub fn compile(source: &str, scope: &Scope) -> Result<Expression, Vec<ExpressionError>> {
        let syntax = parse::parse(source)?;
        let compiled = check::compile(&syntax, scope)?;
        let uses = uses::uses(&compiled.node);
        let shape_of = |binding: &Binding| scope.names.iter().find(|(_, known, _)| known == binding);
        let shapes = uses.iter().filter_map(|(binding, _)| Some((binding.clone(), shape_of(binding)?.2.clone())));
        let (source, shapes) = (source.into(), shapes.collect());
        Ok(Expression(Arc::new(Compiled { source, root: compiled.node, shape: compiled.shape, uses, shapes })))
    }

    /// The shape of every result.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Which part of a binding the expression reads; `None` when it does not read it at all.
    pub fn uses(&self, binding: &Binding) -> Option<&Fields> {
        self.0.uses.iter().find(|(used, _)| used == binding).map(|(_, fields)| fields)
    }

    /// The result for one input.
    pub fn evaluate(&self, input: &Input<'_>) -> Result<Value, EvaluationError> {
        let frame = Frame::new(input);
        self.0
            .root
            .evaluate(&frame)
            .map(Cow::into_owned)
            .map_err(|failure| EvaluationError::new(&self.0.source, failure))
    }

    /// The result as a condition; an error when it is not a bool. Copies nothing that exists already.
    pub fn test(&self, input: &Input<'_>) -> Result<bool, EvaluationError> {
        self.0.root.test(&Frame::new(input)).map_err(|failure| EvaluationError::new(&self.0.source, failure))
    }

    /// The source, as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?}: {})", self.0.source, self.0.shape)
    }
}

impl PartialEq for Expression {
    /// Two expressions are equal when they are written alike and read and give values of the same shapes.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.source == other.0.source && self.0.shape == other.0.shape && self.0.uses == other.0.uses)
    }
}
