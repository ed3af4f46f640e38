//! `map`, `map_values` and `select_key`: a new key, a new value, or both.

use super::{Operator, OperatorContext, Passage, Result, key_value};
use crate::expression::{Input, Projection};
use crate::record::{Key, Record, Value};
use crate::serdes::Serializer;
use crate::topology::plan::KeyMapping;

/// Computes the new key and value from the record as it came. On a table, a null stays null: a deleted
/// row has nothing to compute from.
pub(super) struct Map {
    pub(super) key: Option<KeyMapping>,
    pub(super) value: Option<Projection>,
    pub(super) table: bool,
    pub(super) buffer: Vec<u8>,
}

/// Encodes a key for stores, internal topics and the partitioner. A null key has no bytes.
pub(super) fn encode_key(value: Value, serializer: &Serializer, buffer: &mut Vec<u8>) -> Result<Option<Key>> {
    if value.is_null() {
        return Ok(None);
    }
    let encoded = serializer.payload(&value, buffer)?;
    Ok(Some(Key { value, encoded }))
}

impl Map {
    fn mapped(&self, projection: &Projection, value: &Value, record: &Record) -> Result<Value> {
        if self.table && value.is_null() {
            return Ok(Value::Null);
        }
        let input = Input { key: key_value(&record.key), value, record: Some(record), locals: &[] };
        Ok(projection.evaluate(&input)?)
    }
}

impl Operator for Map {
    fn pass(&mut self, record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        let key = match &self.key {
            None => None,
            Some(mapping) => {
                let input =
                    Input { key: key_value(&record.key), value: &record.value, record: Some(record), locals: &[] };
                let value = mapping.expression.evaluate(&input)?;
                Some(encode_key(value, &mapping.serializer, &mut self.buffer)?)
            }
        };
        if let Some(projection) = &self.value {
            let value = self.mapped(projection, &record.value, record)?;
            // An old row on which the expression fails is as good as unknown; the new row counts.
            let old = record.old.as_ref().and_then(|old| self.mapped(projection, old, record).ok());
            record.value = value;
            record.old = old;
        }
        if let Some(key) = key {
            record.key = key;
            record.window = None;
        }
        Ok(Passage::To(0))
    }
}
