//! `flat_map` and `flat_map_values`: any number of records for each one.

use super::map::encode_key;
use super::{Operator, OperatorContext, OperatorError, Result, key_value};
use crate::expression::{Expression, Input};
use crate::record::{Record, Value, Values};
use crate::serdes::Serializer;

/// A list of {key, value}: one record for each, in order.
pub(super) struct FlatMap {
    pub(super) items: Expression,
    pub(super) key: Serializer,
    pub(super) buffer: Vec<u8>,
}

/// A list: one record for each element, in order, under the same key.
pub(super) struct FlatMapValues {
    pub(super) items: Expression,
}

/// The list that the expression gives; null is the empty list.
fn items(expression: &Expression, record: &Record) -> Result<Values> {
    let input = Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
    match expression.evaluate(&input)? {
        Value::List(items) => Ok(items),
        Value::Null => Ok(Values::default()),
        other => Err(OperatorError::Value(format!("a list was expected, the expression gave a {}", other.kind()))),
    }
}

impl Operator for FlatMap {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        // All or nothing: a record that fails half-way hands on none of its parts.
        let mut parts = Vec::new();
        for item in items(&self.items, &record)?.iter() {
            let (Some(key), Some(value)) = (item.get("key"), item.get("value")) else {
                let message = format!("flat_map needs a list of {{'key': …, 'value': …}}, an element is {item:?}");
                return Err(OperatorError::Value(message));
            };
            let key = encode_key(key.clone(), &self.key, &mut self.buffer)?;
            parts.push(Record { key, value: value.clone(), window: None, old: None, ..record.clone() });
        }
        parts.into_iter().for_each(|part| context.forward(part));
        Ok(())
    }
}

impl Operator for FlatMapValues {
    fn process(&mut self, _input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        for item in items(&self.items, &record)?.iter() {
            context.forward(Record { value: item.clone(), old: None, ..record.clone() });
        }
        Ok(())
    }
}
