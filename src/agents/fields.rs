//! Reading an agent's input by field name, and making its answer.

use std::sync::Arc;

use super::AgentError;
use crate::record::{Shape, StructShape, StructValue, Value};

/// An agent's input, or a struct inside it.
#[derive(Clone)]
pub(super) struct Input<'a> {
    agent: &'static str,
    /// The path of this struct, with a dot at its end; empty for the input itself.
    path: String,
    value: &'a Value,
}

impl<'a> Input<'a> {
    /// The input of an agent.
    pub(super) fn new(agent: &'static str, value: &'a Value) -> Self {
        Input { agent, path: String::new(), value }
    }

    fn field(&self, name: &str, expected: &'static str) -> Result<&'a Value, AgentError> {
        self.value.get(name).ok_or_else(|| AgentError::MissingField {
            agent: self.agent,
            field: format!("{}{name}", self.path),
            expected,
        })
    }

    fn wrong<T>(&self, name: &str, expected: &'static str, found: &Value) -> Result<T, AgentError> {
        let field = format!("{}{name}", self.path);
        Err(AgentError::WrongType { agent: self.agent, field, expected, found: found.kind() })
    }

    /// A field that holds text.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, AgentError> {
        let value = self.field(name, "a string")?;
        value.as_str().map_or_else(|| self.wrong(name, "a string", value), Ok)
    }

    /// A field that holds text or null.
    pub(super) fn text_or_null(&self, name: &str) -> Result<Option<&'a str>, AgentError> {
        match self.field(name, "a string or null")? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => self.wrong(name, "a string or null", other),
        }
    }

    /// A field that holds an integer.
    pub(super) fn int(&self, name: &str) -> Result<i64, AgentError> {
        match self.field(name, "an int")? {
            Value::Int(number) => Ok(*number),
            other => self.wrong(name, "an int", other),
        }
    }

    fn list(&self, name: &str, expected: &'static str) -> Result<&'a [Value], AgentError> {
        match self.field(name, expected)? {
            Value::List(values) => Ok(values),
            other => self.wrong(name, expected, other),
        }
    }

    /// A field that holds a list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>, AgentError> {
        let values = self.list(name, "a list of strings")?;
        let text = |value: &'a Value| match value.as_str() {
            Some(text) => Ok(text),
            None => self.wrong(name, "a list of strings", value),
        };
        values.iter().map(text).collect()
    }

    /// A field that holds a list of structs.
    pub(super) fn structs(&self, name: &str) -> Result<Vec<Input<'a>>, AgentError> {
        let values = self.list(name, "a list of structs")?;
        let inner = |(n, value): (usize, &'a Value)| match value {
            Value::Struct(_) | Value::Map(_) => {
                Ok(Input { agent: self.agent, path: format!("{}{name}[{n}].", self.path), value })
            }
            other => self.wrong(name, "a list of structs", other),
        };
        values.iter().enumerate().map(inner).collect()
    }
}

/// The fields of a struct shape; of any other shape, none.
pub(super) fn of(shape: &Shape) -> Arc<StructShape> {
    match shape {
        Shape::Struct(fields) => Arc::clone(fields),
        _ => Arc::new(StructShape::new("", Vec::new())),
    }
}

/// A struct with values in the shape's order.
pub(super) fn structure(shape: &Arc<StructShape>, values: Vec<Value>) -> Value {
    Value::Struct(StructValue::new(Arc::clone(shape), values.into()))
}
