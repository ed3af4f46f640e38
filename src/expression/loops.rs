//! The macros that go over the elements of a list or the keys of a map.

use std::borrow::Cow;

use super::error::{Failure, Reason, Span};
use super::program::{Evaluated, Frame, Node};
use crate::record::Value;

/// What a macro does with each element.
#[derive(Clone, Debug)]
pub(super) enum Loop {
    /// `all(x, p)`.
    All(Box<Node>),
    /// `exists(x, p)`.
    Exists(Box<Node>),
    /// `exists_one(x, p)`.
    ExistsOne(Box<Node>),
    /// `filter(x, p)`.
    Filter(Box<Node>),
    /// `map(x, e)` and `map(x, p, e)`.
    Map { condition: Option<Box<Node>>, result: Box<Node> },
}

impl Loop {
    /// The sub-expressions, which see one variable more than the macro itself.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &Node> {
        let (first, second) = match self {
            Loop::All(body) | Loop::Exists(body) | Loop::ExistsOne(body) | Loop::Filter(body) => (Some(body), None),
            Loop::Map { condition, result } => (condition.as_ref(), Some(result)),
        };
        first.into_iter().chain(second).map(Box::as_ref)
    }

    pub(super) fn run<'a>(&'a self, operand: &'a Node, frame: &Frame<'a>, span: Span) -> Evaluated<'a> {
        let operand = operand.evaluate(frame)?;
        match operand.as_ref() {
            Value::List(elements) => self.over(elements.iter().map(Cow::Borrowed), frame),
            Value::Map(map) => self.over(map.keys().map(|key| Cow::Owned(Value::String(key.clone()))), frame),
            Value::Struct(fields) => {
                self.over(fields.iter().map(|(name, _)| Cow::Owned(Value::String(name.clone()))), frame)
            }
            other => Err(Reason::Kind { expected: "list or map".to_owned(), found: other.kind() }.at(span)),
        }
        .map(Cow::Owned)
    }

    fn over<'v>(&self, elements: impl Iterator<Item = Cow<'v, Value>>, frame: &Frame<'_>) -> Result<Value, Failure> {
        match self {
            Loop::All(body) => any(body, elements, frame, false).map(|found| Value::Bool(!found)),
            Loop::Exists(body) => any(body, elements, frame, true).map(Value::Bool),
            Loop::ExistsOne(body) => {
                let mut found = 0_usize;
                for element in elements {
                    found += usize::from(body.test(&inner(frame, &element))?);
                }
                Ok(Value::Bool(found == 1))
            }
            Loop::Filter(body) => {
                let mut kept = Vec::new();
                for element in elements {
                    if body.test(&inner(frame, &element))? {
                        kept.push(element.into_owned());
                    }
                }
                Ok(Value::list(kept))
            }
            Loop::Map { condition, result } => {
                let mut results = Vec::with_capacity(elements.size_hint().0);
                for element in elements {
                    let frame = inner(frame, &element);
                    let wanted = condition.as_ref().map_or(Ok(true), |condition| condition.test(&frame))?;
                    if wanted {
                        results.push(result.evaluate(&frame)?.into_owned());
                    }
                }
                Ok(Value::list(results))
            }
        }
    }
}

fn inner<'b>(frame: &'b Frame<'b>, element: &'b Value) -> Frame<'b> {
    Frame { input: frame.input, outer: Some(frame), variable: element }
}

/// Whether the body is `wanted` for any element; only if for none does an error on one of them count.
fn any<'v>(
    body: &Node,
    elements: impl Iterator<Item = Cow<'v, Value>>,
    frame: &Frame<'_>,
    wanted: bool,
) -> Result<bool, Failure> {
    let mut failed = None;
    for element in elements {
        match body.test(&inner(frame, &element)) {
            Ok(truth) if truth == wanted => return Ok(true),
            Ok(_) => {}
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map_or(Ok(false), Err)
}
