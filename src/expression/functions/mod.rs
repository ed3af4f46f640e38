//! The functions that expressions may call.
//!
//! A function is a row of a table: its name, how it is called, what its parameters accept, the shape of its
//! result and its code. The checker and the evaluator both work from the row. The rows stand by subject:
//! CEL's standard functions and, after the example of CEL's extension libraries, some for text, lists and
//! numbers.

mod convert;
mod exact;
mod lists;
mod maps;
mod numbers;
mod pattern;
mod strings;
mod times;

use std::borrow::Cow;
use std::fmt;

use super::error::Reason;
use crate::record::{Shape, TemporalKind, Value};

pub(super) use convert::{type_name, type_of_shape};
pub(super) use lists::SUM_OF_DOUBLES;
pub(super) use maps::{MERGE_MAPS, WITHOUT_KEYS};
pub(super) use strings::compile_pattern;
pub(super) use times::{ZONES, zone};

/// Arguments as functions get them: borrowed wherever the value already exists.
pub(super) type Arguments<'a, 'v> = &'a [Cow<'v, Value>];

/// A set of kinds of values that a parameter accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) const NULL: Kinds = Kinds(1);
    pub(super) const BOOL: Kinds = Kinds(1 << 1);
    pub(super) const INT: Kinds = Kinds(1 << 2);
    pub(super) const UINT: Kinds = Kinds(1 << 3);
    pub(super) const DOUBLE: Kinds = Kinds(1 << 4);
    pub(super) const STRING: Kinds = Kinds(1 << 5);
    pub(super) const BYTES: Kinds = Kinds(1 << 6);
    pub(super) const TIMESTAMP: Kinds = Kinds(1 << 7);
    pub(super) const DURATION: Kinds = Kinds(1 << 8);
    pub(super) const LIST: Kinds = Kinds(1 << 9);
    pub(super) const MAP: Kinds = Kinds(1 << 10);
    pub(super) const DECIMAL: Kinds = Kinds(1 << 11);
    pub(super) const DATE: Kinds = Kinds(1 << 12);
    pub(super) const TIME: Kinds = Kinds(1 << 13);
    pub(super) const LOCAL_TIMESTAMP: Kinds = Kinds(1 << 14);
    pub(super) const NUMBER: Kinds = Kinds::INT.or(Kinds::UINT).or(Kinds::DOUBLE);
    pub(super) const ANYTHING: Kinds = Kinds((1 << 15) - 1);

    pub(super) const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    const fn has(self, kind: Kinds) -> bool {
        self.0 & kind.0 != 0
    }

    /// Whether a value of this shape may be passed. A null among them is found at run time.
    pub(super) fn accepts(self, shape: &Shape) -> bool {
        match shape {
            Shape::Any | Shape::Never => true,
            Shape::Null => self.has(Kinds::NULL),
            Shape::Bool => self.has(Kinds::BOOL),
            Shape::Int => self.has(Kinds::INT),
            Shape::UInt => self.has(Kinds::UINT),
            Shape::Double => self.has(Kinds::DOUBLE),
            Shape::String | Shape::Enum(_) => self.has(Kinds::STRING),
            Shape::Bytes => self.has(Kinds::BYTES),
            Shape::Timestamp => self.has(Kinds::TIMESTAMP),
            Shape::Duration => self.has(Kinds::DURATION),
            Shape::List(_) => self.has(Kinds::LIST),
            Shape::Map(_) | Shape::Struct(_) => self.has(Kinds::MAP),
            Shape::Decimal => self.has(Kinds::DECIMAL),
            Shape::Temporal(unit) => self.has(Kinds::of_time(unit.kind())),
            // What it refers to is a struct.
            Shape::Recursive(_) => self.has(Kinds::MAP),
            Shape::Union(union) => union.branches().iter().any(|branch| self.accepts(branch)),
            Shape::Optional(inner) => self.accepts(inner),
        }
    }

    fn admits(self, value: &Value) -> bool {
        self.has(match value {
            Value::Null => Kinds::NULL,
            Value::Bool(_) => Kinds::BOOL,
            Value::Int(_) => Kinds::INT,
            Value::UInt(_) => Kinds::UINT,
            Value::Double(_) => Kinds::DOUBLE,
            Value::String(_) => Kinds::STRING,
            Value::Bytes(_) => Kinds::BYTES,
            Value::Timestamp(_) => Kinds::TIMESTAMP,
            Value::Duration(_) => Kinds::DURATION,
            Value::List(_) => Kinds::LIST,
            Value::Map(_) | Value::Struct(_) => Kinds::MAP,
            Value::Decimal(_) => Kinds::DECIMAL,
            Value::Temporal(time) => Kinds::of_time(time.unit.kind()),
        })
    }

    fn of_time(kind: TemporalKind) -> Kinds {
        match kind {
            TemporalKind::Date => Kinds::DATE,
            TemporalKind::Time => Kinds::TIME,
            TemporalKind::Timestamp => Kinds::TIMESTAMP,
            TemporalKind::LocalTimestamp => Kinds::LOCAL_TIMESTAMP,
        }
    }
}

impl fmt::Display for Kinds {
    /// `int, uint or double`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Kinds::ANYTHING {
            return f.write_str("any value");
        }
        let names = [
            (Kinds::NULL, "null"),
            (Kinds::BOOL, "bool"),
            (Kinds::INT, "int"),
            (Kinds::UINT, "uint"),
            (Kinds::DOUBLE, "double"),
            (Kinds::DECIMAL, "decimal"),
            (Kinds::STRING, "string"),
            (Kinds::BYTES, "bytes"),
            (Kinds::TIMESTAMP, "timestamp"),
            (Kinds::DURATION, "duration"),
            (Kinds::DATE, "date"),
            (Kinds::TIME, "time"),
            (Kinds::LOCAL_TIMESTAMP, "local_timestamp"),
            (Kinds::LIST, "list"),
            (Kinds::MAP, "map"),
        ];
        let mut accepted = names.iter().filter(|(kind, _)| self.has(*kind)).map(|(_, name)| *name).peekable();
        let mut first = true;
        while let Some(name) = accepted.next() {
            let separator = match (first, accepted.peek()) {
                (true, _) => "",
                (_, Some(_)) => ", ",
                (_, None) => " or ",
            };
            write!(f, "{separator}{name}")?;
            first = false;
        }
        Ok(())
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `text.trim()`; the receiver is the first argument.
    Method,
    /// `int(text)`.
    Global,
    /// Either way.
    Both,
}

/// One function.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// What each parameter accepts, the receiver included.
    pub(super) parameters: &'static [Kinds],
    /// How many of the parameters must be given.
    pub(super) required: usize,
    /// Whether the last parameter may be repeated.
    pub(super) variadic: bool,
    /// The shape of the result for arguments of these shapes, or what is wrong with them.
    pub(super) result: fn(&[Shape]) -> Result<Shape, String>,
    /// Gets as many arguments as were checked, each of a kind that its parameter accepts.
    pub(super) evaluate: fn(Arguments<'_, '_>) -> Result<Value, Reason>,
    /// Whether arguments that are literals must give a result: `timestamp('yesterday')` never does.
    pub(super) strict_literals: bool,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// A function that must get all its parameters.
    const fn new(
        name: &'static str,
        style: Style,
        parameters: &'static [Kinds],
        result: fn(&[Shape]) -> Result<Shape, String>,
        evaluate: fn(Arguments<'_, '_>) -> Result<Value, Reason>,
    ) -> Self {
        Function {
            name,
            style,
            parameters,
            required: parameters.len(),
            variadic: false,
            result,
            evaluate,
            strict_literals: false,
        }
    }

    const fn requiring(mut self, required: usize) -> Self {
        self.required = required;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    const fn strict(mut self) -> Self {
        self.strict_literals = true;
        self
    }

    /// What the parameter at `position` accepts.
    pub(super) fn parameter(&self, position: usize) -> Kinds {
        self.parameters.get(position).or(self.parameters.last()).copied().unwrap_or(Kinds::ANYTHING)
    }

    /// Runs the function after checking the kinds of what it is given.
    pub(super) fn call(&self, arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
        for (position, argument) in arguments.iter().enumerate() {
            let accepted = self.parameter(position);
            if !accepted.admits(argument) {
                return Err(Reason::Kind {
                    expected: format!("{accepted} for `{}`", self.name),
                    found: argument.kind(),
                });
            }
        }
        (self.evaluate)(arguments)
    }
}

fn tables() -> [&'static [Function]; 6] {
    [strings::FUNCTIONS, convert::FUNCTIONS, exact::FUNCTIONS, lists::FUNCTIONS, numbers::FUNCTIONS, times::FUNCTIONS]
}

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    tables().into_iter().flatten().find(|function| function.name == name)
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    tables().into_iter().flatten().map(|function| function.name)
}

/// An argument that the checks before the call make impossible.
fn unexpected(value: Option<&Cow<'_, Value>>) -> Reason {
    let found = value.map_or("nothing", |value| value.kind());
    Reason::Kind { expected: "another argument".to_owned(), found }
}

fn text<'a>(arguments: Arguments<'a, '_>, position: usize) -> Result<&'a str, Reason> {
    match arguments.get(position).map(Cow::as_ref) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(unexpected(arguments.get(position))),
    }
}

fn integer(arguments: Arguments<'_, '_>, position: usize) -> Result<i64, Reason> {
    match arguments.get(position).map(Cow::as_ref) {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err(unexpected(arguments.get(position))),
    }
}

/// An argument that counts something: an int that is not negative, or `default` where it is left out.
fn count(arguments: Arguments<'_, '_>, position: usize, default: usize) -> Result<usize, Reason> {
    if position >= arguments.len() {
        return Ok(default);
    }
    let number = integer(arguments, position)?;
    usize::try_from(number)
        .map_err(|_| Reason::Argument(format!("{number} is negative; a position or a count cannot be")))
}

fn list<'a>(arguments: Arguments<'a, '_>, position: usize) -> Result<&'a [Value], Reason> {
    match arguments.get(position).map(Cow::as_ref) {
        Some(Value::List(elements)) => Ok(elements),
        _ => Err(unexpected(arguments.get(position))),
    }
}
