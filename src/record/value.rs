//! Values at run time.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use super::{Decimal, StructShape, Temporal, Text, Values};
use crate::time::Timestamp;

/// A map with text keys, in order of insertion.
pub type MapValue = IndexMap<Text, Value, ahash::RandomState>;

/// One value. Enumeration symbols are [`Value::String`]s; a nullable value is itself or [`Value::Null`].
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// No value; as a record's value, a tombstone.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A signed 64-bit integer (Avro's int and long).
    Int(i64),
    /// An unsigned 64-bit integer (CEL's uint).
    UInt(u64),
    /// A 64-bit float (Avro's float and double).
    Double(f64),
    /// UTF-8 text, and the symbols of enumerations.
    String(Text),
    /// Bytes (Avro's bytes and fixed).
    Bytes(Bytes),
    /// Milliseconds since the epoch.
    Timestamp(Timestamp),
    /// A span of time in milliseconds.
    Duration(i64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// A date, a time of day, or a timestamp that is not one of milliseconds in UTC.
    Temporal(Temporal),
    /// A list.
    List(Values),
    /// A map with text keys.
    Map(Arc<MapValue>),
    /// Named fields whose names and order are known from a shape.
    Struct(StructValue),
}

/// A struct: its shape and the values of its fields, in the shape's order.
#[derive(Clone)]
pub struct StructValue {
    shape: Arc<StructShape>,
    values: Values,
}

impl StructValue {
    /// Puts a shape and the values of its fields together.
    ///
    /// # Panics
    /// In debug builds, when there are not as many values as fields.
    pub fn new(shape: Arc<StructShape>, values: Values) -> Self {
        debug_assert_eq!(shape.fields().len(), values.len(), "one value per field of {}", shape.name());
        StructValue { shape, values }
    }

    /// The names and shapes of the fields.
    pub fn shape(&self) -> &Arc<StructShape> {
        &self.shape
    }

    /// The values of the fields, in the shape's order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a field by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.shape.index_of(name).and_then(|index| self.values.get(index))
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.shape.fields().iter().map(|field| &field.name).zip(self.values.iter())
    }
}

impl PartialEq for StructValue {
    /// Two structs are equal when they have the same fields, in any order, with equal values.
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.shape, &other.shape) {
            return self.values == other.values;
        }
        self.values.len() == other.values.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl fmt::Debug for StructValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Value {
    /// Text as a value.
    pub fn text(text: impl Into<Text>) -> Self {
        Value::String(text.into())
    }

    /// A list of values.
    pub fn list(values: Vec<Value>) -> Self {
        Value::List(values.into())
    }

    /// Whether this is the null value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A field of a struct or an entry of a map, by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(fields) => fields.get(name),
            Value::Map(entries) => entries.get(name),
            _ => None,
        }
    }

    /// What kind of value this is, as error messages name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::UInt(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Timestamp(_) => "timestamp",
            Value::Duration(_) => "duration",
            Value::Decimal(_) => "decimal",
            Value::Temporal(time) => time.unit.kind().name(),
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Struct(_) => "struct",
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::String(Text::from_static(text))
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Value::list(values)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::text(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Value::Bool(boolean)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Double(number)
    }
}
