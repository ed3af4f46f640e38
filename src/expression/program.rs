//! The compiled form of an expression and its evaluation.
//!
//! Everything that can be known before the first record is: bindings are resolved to slots, fields to
//! positions, literals are values. Sub-expressions evaluate to borrowed values wherever the value already
//! exists, so that comparing a field with a literal copies nothing.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

use super::error::{Failure, Reason, Span};
use super::functions::Function;
use super::native::NativeFunction;
use super::operate;
use super::parse::BinaryOperator;
use super::{Binding, Input};
use crate::record::{MapValue, Record, StructShape, StructValue, Text, Value, Values};

static NULL: Value = Value::Null;

pub(super) type Evaluated<'a> = Result<Cow<'a, Value>, Failure>;

/// A compiled expression, with the range of the source it came from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) kind: NodeKind,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Constant(Value),
    Slot(Binding),
    /// The variable of a macro, counted from the innermost macro outwards.
    Variable(usize),
    /// The start or end of the record's window.
    WindowStart,
    WindowEnd,
    Header(Box<Node>),
    HasHeader(Box<Node>),
    /// A field of a struct, by position.
    Field {
        operand: Box<Node>,
        shape: Arc<StructShape>,
        index: usize,
        name: Text,
    },
    /// A field or entry by name, of a map or of a value whose shape is not known.
    Member {
        operand: Box<Node>,
        name: Text,
    },
    /// Whether a field or entry is there and not null.
    Has {
        operand: Box<Node>,
        name: Text,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Equal {
        left: Box<Node>,
        right: Box<Node>,
        expected: bool,
    },
    Compare {
        operator: BinaryOperator,
        left: Box<Node>,
        right: Box<Node>,
    },
    In(Box<Node>, Box<Node>),
    Arithmetic {
        operator: BinaryOperator,
        left: Box<Node>,
        right: Box<Node>,
    },
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    List(Vec<Node>),
    Struct {
        shape: Arc<StructShape>,
        values: Vec<Node>,
    },
    Map(Vec<(Node, Node)>),
    Call {
        function: &'static Function,
        arguments: Vec<Node>,
    },
    Native {
        function: NativeFunction,
        arguments: Vec<Node>,
    },
    Matches {
        text: Box<Node>,
        pattern: Arc<Regex>,
    },
    Coalesce(Vec<Node>),
    /// Picks fields of one or two structs whose shapes are known into a struct of another shape.
    Pick {
        from: Vec<Node>,
        shape: Arc<StructShape>,
        plan: Arc<[(usize, usize)]>,
    },
    Loop {
        operand: Box<Node>,
        body: super::loops::Loop,
    },
}

/// What names stand for while an expression is evaluated. Macros stack a frame for their variable.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) outer: Option<&'a Frame<'a>>,
    pub(super) variable: &'a Value,
}

impl<'a> Frame<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        Frame { input, outer: None, variable: &NULL }
    }

    fn variable(&self, depth: usize) -> Option<&'a Value> {
        match depth.checked_sub(1) {
            None => Some(self.variable),
            Some(outer) => self.outer?.variable(outer),
        }
    }

    fn record(&self) -> Result<&'a Record, Reason> {
        self.input.record.ok_or(Reason::NotBound("the record"))
    }

    fn slot(&self, binding: &Binding) -> Result<Cow<'a, Value>, Reason> {
        Ok(match binding {
            Binding::Key => Cow::Borrowed(self.input.key),
            Binding::Value => Cow::Borrowed(self.input.value),
            Binding::Old => Cow::Borrowed(self.record()?.old.as_ref().unwrap_or(&NULL)),
            Binding::Local(position) => {
                Cow::Borrowed(self.input.locals.get(*position).ok_or(Reason::NotBound("a local value"))?)
            }
            Binding::Timestamp => Cow::Owned(Value::Timestamp(self.record()?.timestamp)),
            Binding::Topic => Cow::Owned(Value::text(self.record()?.origin.topic().as_ref())),
            Binding::Partition => Cow::Owned(Value::Int(i64::from(self.record()?.origin.partition()))),
            Binding::Offset => Cow::Owned(Value::Int(self.record()?.origin.offset)),
            Binding::Headers => Cow::Owned(self.headers()?),
            Binding::Window => {
                let window = self.window()?;
                let values = Values::from([Value::Timestamp(window.start), Value::Timestamp(window.end)]);
                Cow::Owned(Value::Struct(StructValue::new(super::window_shape(), values)))
            }
        })
    }

    fn window(&self) -> Result<crate::window::Window, Reason> {
        self.record()?.window.ok_or(Reason::NotBound("window"))
    }

    fn headers(&self) -> Result<Value, Reason> {
        let mut map = MapValue::default();
        for header in self.record()?.headers.as_slice() {
            if let Some(value) = &header.value {
                map.insert(header.name.clone(), header_text(value));
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn header(&self, name: &Value) -> Result<Option<Value>, Reason> {
        let Value::String(name) = name else {
            return Err(Reason::Kind { expected: "the name of a header".to_owned(), found: name.kind() });
        };
        // A header whose value is null counts as one that is not there.
        Ok(self.record()?.headers.last(name).and_then(|header| header.value.as_ref()).map(header_text))
    }
}

fn header_text(value: &bytes::Bytes) -> Value {
    match Text::try_from(value.clone()) {
        Ok(text) => Value::String(text),
        Err(_) => Value::text(String::from_utf8_lossy(value).into_owned()),
    }
}

impl Node {
    /// The value of this node.
    pub(super) fn evaluate<'a>(&'a self, frame: &Frame<'a>) -> Evaluated<'a> {
        let fail = |reason: Reason| reason.at(self.span);
        match &self.kind {
            NodeKind::Constant(value) => Ok(Cow::Borrowed(value)),
            NodeKind::Slot(binding) => frame.slot(binding).map_err(fail),
            NodeKind::Variable(depth) => {
                frame.variable(*depth).map(Cow::Borrowed).ok_or_else(|| fail(Reason::NotBound("a variable")))
            }
            NodeKind::Field { operand, shape, index, name } => {
                field(operand.evaluate(frame)?, shape, *index, name).map_err(fail)
            }
            NodeKind::Member { operand, name } => member(operand.evaluate(frame)?, name).map_err(fail),
            NodeKind::Equal { left, right, expected } => {
                let equal = operate::equal(left.evaluate(frame)?.as_ref(), right.evaluate(frame)?.as_ref());
                Ok(boolean(equal == *expected))
            }
            NodeKind::Compare { operator, left, right } => {
                let (left, right) = (left.evaluate(frame)?, right.evaluate(frame)?);
                operate::compare(*operator, &left, &right).map(boolean).map_err(fail)
            }
            NodeKind::Arithmetic { operator, left, right } => {
                let (left, right) = (left.evaluate(frame)?, right.evaluate(frame)?);
                operate::calculate(*operator, &left, &right).map(Cow::Owned).map_err(fail)
            }
            NodeKind::In(element, container) => {
                let (element, container) = (element.evaluate(frame)?, container.evaluate(frame)?);
                operate::contains(&element, &container).map(boolean).map_err(fail)
            }
            NodeKind::And(left, right) => logic(left, right, frame, false).map(boolean),
            NodeKind::Or(left, right) => logic(left, right, frame, true).map(boolean),
            NodeKind::Not(operand) => Ok(boolean(!operand.test(frame)?)),
            NodeKind::Negate(operand) => {
                operate::negate(operand.evaluate(frame)?.as_ref()).map(Cow::Owned).map_err(fail)
            }
            NodeKind::Conditional { condition, then, otherwise } => {
                if condition.test(frame)? {
                    then.evaluate(frame)
                } else {
                    otherwise.evaluate(frame)
                }
            }
            NodeKind::Loop { operand, body } => body.run(operand, frame, self.span),
            _ => self.evaluate_rarer(frame),
        }
    }

    fn evaluate_rarer<'a>(&'a self, frame: &Frame<'a>) -> Evaluated<'a> {
        let fail = |reason: Reason| reason.at(self.span);
        match &self.kind {
            NodeKind::WindowStart => {
                frame.window().map(|window| Cow::Owned(Value::Timestamp(window.start))).map_err(fail)
            }
            NodeKind::WindowEnd => frame.window().map(|window| Cow::Owned(Value::Timestamp(window.end))).map_err(fail),
            NodeKind::Header(name) => {
                let name = name.evaluate(frame)?;
                let missing = || Reason::MissingHeader(name.as_str().unwrap_or_default().to_owned());
                frame.header(&name).and_then(|header| header.ok_or_else(missing)).map(Cow::Owned).map_err(fail)
            }
            NodeKind::HasHeader(name) => {
                frame.header(name.evaluate(frame)?.as_ref()).map(|header| boolean(header.is_some())).map_err(fail)
            }
            NodeKind::Has { operand, name } => match operand.evaluate(frame) {
                Ok(value) => Ok(boolean(value.get(name).is_some_and(|value| !value.is_null()))),
                Err(failure) if failure.reason.is_absence() => Ok(boolean(false)),
                Err(failure) => Err(failure),
            },
            NodeKind::Index { operand, index } => {
                let (operand, index) = (operand.evaluate(frame)?, index.evaluate(frame)?);
                element(operand, &index).map_err(fail)
            }
            NodeKind::Call { function, arguments } => self.call(arguments, frame, |given| function.call(given)),
            NodeKind::Native { function, arguments } => self.call(arguments, frame, |given| function.call(given)),
            NodeKind::Matches { text, pattern } => match text.evaluate(frame)?.as_ref() {
                Value::String(text) => Ok(boolean(pattern.is_match(text))),
                other => Err(fail(Reason::Kind { expected: "string".to_owned(), found: other.kind() })),
            },
            NodeKind::Coalesce(candidates) => coalesce(candidates, frame),
            _ => self.construct(frame).map(Cow::Owned),
        }
    }

    /// Nodes that build a value of several.
    fn construct(&self, frame: &Frame<'_>) -> Result<Value, Failure> {
        let owned = |node: &Node| node.evaluate(frame).map(Cow::into_owned);
        match &self.kind {
            NodeKind::List(elements) => Ok(Value::List(Values::of_each(elements.iter(), owned)?)),
            NodeKind::Struct { shape, values } => {
                let values = Values::of_each(values.iter(), owned)?;
                Ok(Value::Struct(StructValue::new(Arc::clone(shape), values)))
            }
            NodeKind::Map(entries) => {
                let mut map = MapValue::default();
                for (key, value) in entries {
                    let name = match owned(key)? {
                        Value::String(name) => name,
                        other => {
                            let reason = Reason::Kind {
                                expected: "a string as the key of a map".to_owned(),
                                found: other.kind(),
                            };
                            return Err(reason.at(key.span));
                        }
                    };
                    if map.insert(name.clone(), owned(value)?).is_some() {
                        return Err(Reason::Argument(format!("the key `{name}` occurs twice")).at(key.span));
                    }
                }
                Ok(Value::Map(Arc::new(map)))
            }
            NodeKind::Pick { from, shape, plan } => {
                let from: Vec<Cow<'_, Value>> =
                    from.iter().map(|node| node.evaluate(frame)).collect::<Result<_, _>>()?;
                let values = Values::of_each(plan.iter().zip(shape.fields()), |((side, index), wanted)| {
                    pick(from.get(*side).map(Cow::as_ref), *index, &wanted.name).map_err(|reason| reason.at(self.span))
                })?;
                Ok(Value::Struct(StructValue::new(Arc::clone(shape), values)))
            }
            _ => Err(Reason::NotBound("this operation").at(self.span)),
        }
    }

    /// The truth of this node; an error when it is not a bool.
    pub(super) fn test(&self, frame: &Frame<'_>) -> Result<bool, Failure> {
        match self.evaluate(frame)?.as_ref() {
            Value::Bool(truth) => Ok(*truth),
            other => Err(Reason::Kind { expected: "bool".to_owned(), found: other.kind() }.at(self.span)),
        }
    }

    fn call<'a>(
        &'a self,
        arguments: &'a [Node],
        frame: &Frame<'a>,
        function: impl FnOnce(&[Cow<'a, Value>]) -> Result<Value, Reason>,
    ) -> Evaluated<'a> {
        // Up to three arguments, which is nearly all there are, without an allocation.
        let result = match arguments {
            [] => function(&[]),
            [a] => function(&[a.evaluate(frame)?]),
            [a, b] => function(&[a.evaluate(frame)?, b.evaluate(frame)?]),
            [a, b, c] => function(&[a.evaluate(frame)?, b.evaluate(frame)?, c.evaluate(frame)?]),
            more => function(&more.iter().map(|node| node.evaluate(frame)).collect::<Result<Vec<_>, _>>()?),
        };
        result.map(Cow::Owned).map_err(|reason| reason.at(self.span))
    }
}

fn boolean<'a>(truth: bool) -> Cow<'a, Value> {
    Cow::Owned(Value::Bool(truth))
}

/// `&&` (`decisive` false) and `||` (`decisive` true): either side may decide, whatever the other does.
fn logic(left: &Node, right: &Node, frame: &Frame<'_>, decisive: bool) -> Result<bool, Failure> {
    match left.test(frame) {
        Ok(truth) if truth == decisive => Ok(decisive),
        Ok(_) => right.test(frame),
        Err(failure) => match right.test(frame) {
            Ok(truth) if truth == decisive => Ok(decisive),
            _ => Err(failure),
        },
    }
}

fn coalesce<'a>(candidates: &'a [Node], frame: &Frame<'a>) -> Evaluated<'a> {
    for candidate in candidates {
        match candidate.evaluate(frame) {
            Ok(value) if !value.is_null() => return Ok(value),
            Err(failure) if !failure.reason.is_absence() => return Err(failure),
            _ => {}
        }
    }
    Ok(Cow::Borrowed(&NULL))
}

fn field<'a>(
    operand: Cow<'a, Value>,
    shape: &Arc<StructShape>,
    index: usize,
    name: &Text,
) -> Result<Cow<'a, Value>, Reason> {
    let is_same = matches!(operand.as_ref(), Value::Struct(fields) if Arc::ptr_eq(fields.shape(), shape));
    if !is_same {
        return member(operand, name);
    }
    let at = |value: &Value| matches!(value, Value::Struct(fields) if index < fields.values().len());
    debug_assert!(at(&operand), "a struct has the fields of its shape");
    let missing = || Reason::Missing(name.clone());
    match operand {
        Cow::Borrowed(Value::Struct(fields)) => fields.values().get(index).map(Cow::Borrowed).ok_or_else(missing),
        Cow::Owned(Value::Struct(fields)) => fields.values().get(index).cloned().map(Cow::Owned).ok_or_else(missing),
        other => member(other, name),
    }
}

fn member<'a>(operand: Cow<'a, Value>, name: &Text) -> Result<Cow<'a, Value>, Reason> {
    match operand.as_ref() {
        Value::Struct(_) | Value::Map(_) => {}
        Value::Null => return Err(Reason::FieldOfNull(name.clone())),
        other => {
            return Err(Reason::Kind { expected: format!("something with a field `{name}`"), found: other.kind() });
        }
    }
    let found = match operand {
        Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(name).cloned().map(Cow::Owned),
    };
    found.ok_or_else(|| Reason::Missing(name.clone()))
}

fn pick(value: Option<&Value>, index: usize, name: &Text) -> Result<Value, Reason> {
    match value {
        Some(Value::Struct(fields)) => {
            let in_place = fields.shape().fields().get(index).is_some_and(|field| field.name == *name);
            let found = if in_place { fields.values().get(index) } else { fields.get(name) };
            found.cloned().ok_or_else(|| Reason::Missing(name.clone()))
        }
        Some(value) => member(Cow::Borrowed(value), name).map(Cow::into_owned),
        None => Err(Reason::Missing(name.clone())),
    }
}

fn element<'a>(operand: Cow<'a, Value>, index: &Value) -> Result<Cow<'a, Value>, Reason> {
    if let Value::String(name) = index {
        return member(operand, name);
    }
    let Value::List(elements) = operand.as_ref() else {
        let found = operand.kind();
        return Err(Reason::Operands { operator: "[]", left: found, right: index.kind() });
    };
    let position = match index {
        Value::Int(n) => *n,
        Value::UInt(n) => i64::try_from(*n).unwrap_or(i64::MAX),
        Value::Double(n) if n.fract() == 0.0 => *n as i64,
        other => return Err(Reason::Operands { operator: "[]", left: "list", right: other.kind() }),
    };
    let length = elements.len();
    let outside = || Reason::OutOfBounds { index: position, length };
    let place = usize::try_from(position).map_err(|_| outside())?;
    match operand {
        Cow::Borrowed(Value::List(elements)) => elements.get(place).map(Cow::Borrowed).ok_or_else(outside),
        Cow::Owned(Value::List(elements)) => elements.get(place).cloned().map(Cow::Owned).ok_or_else(outside),
        _ => Err(outside()),
    }
}
