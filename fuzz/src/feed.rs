//! Numbers, texts and values out of the fuzzer's bytes. When the bytes are used up everything is zero or empty, so that
//! every input means something.

use std::sync::Arc;

use bytes::Bytes;
use signalstream::record::{Decimal, MapValue, Shape, StructValue, Temporal, TemporalUnit, Text, Value};

/// How deep values of no known shape nest.
const DEPTH: usize = 5;

/// The bytes that are left.
pub(crate) struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Feed(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Small numbers, and the ones at which arithmetic ends.
    pub(crate) fn integer(&mut self) -> i64 {
        match self.byte() {
            0 => 0,
            1 => i64::MAX,
            2 => i64::MIN,
            3 => -1,
            4 => 1 << 53,
            5..=99 => i64::from(self.byte()) - 100,
            _ => {
                let mut bytes = [0; 8];
                let taken = self.take(8);
                bytes[..taken.len()].copy_from_slice(taken);
                i64::from_le_bytes(bytes)
            }
        }
    }

    fn double(&mut self) -> f64 {
        match self.byte() {
            0 => 0.0,
            1 => -0.0,
            2 => f64::NAN,
            3 => f64::INFINITY,
            4 => f64::NEG_INFINITY,
            5..=99 => f64::from(self.byte()) / 4.0,
            _ => f64::from_bits(self.integer().cast_unsigned()),
        }
    }

    fn text(&mut self) -> Text {
        let length = self.below(12);
        Text::from(String::from_utf8_lossy(self.take(length)).into_owned())
    }

    /// A value of a shape.
    pub(crate) fn value(&mut self, shape: &Shape) -> Value {
        self.nested(shape, 0)
    }

    fn nested(&mut self, shape: &Shape, depth: usize) -> Value {
        match shape {
            Shape::Any => self.any(depth),
            Shape::Never | Shape::Null => Value::Null,
            Shape::Optional(_) if self.byte() & 1 == 0 => Value::Null,
            Shape::Optional(inner) => self.nested(inner, depth),
            Shape::Bool => Value::Bool(self.byte() & 1 == 1),
            Shape::Int => Value::Int(self.integer()),
            Shape::UInt => Value::UInt(self.integer().cast_unsigned()),
            Shape::Double => Value::Double(self.double()),
            Shape::String => Value::String(self.text()),
            Shape::Bytes => {
                let length = self.below(9);
                Value::Bytes(Bytes::copy_from_slice(self.take(length)))
            }
            Shape::Timestamp => Value::Timestamp(self.integer()),
            Shape::Duration => Value::Duration(self.integer()),
            Shape::Decimal => {
                let digits = i128::from(self.integer()) * i128::from(self.integer());
                Decimal::new(digits, self.below(20) as u32).map_or(Value::Null, Value::Decimal)
            }
            Shape::Temporal(unit) => Value::Temporal(Temporal::new(*unit, self.integer())),
            Shape::Recursive(_) if depth > DEPTH => Value::Null,
            Shape::Recursive(_) => self.nested(&shape.resolved(), depth),
            Shape::Union(union) => {
                let place = self.below(union.branches().len());
                self.nested(&union.branches()[place], depth)
            }
            Shape::Enum(enumeration) => {
                let place = self.below(enumeration.symbols.len().max(1));
                enumeration.symbols.get(place).cloned().map_or(Value::Null, Value::String)
            }
            Shape::List(element) => {
                let length = self.below(4);
                Value::list((0..length).map(|_| self.nested(element, depth + 1)).collect())
            }
            Shape::Map(inner) => {
                let length = self.below(4);
                let entries: MapValue = (0..length).map(|_| (self.text(), self.nested(inner, depth + 1))).collect();
                Value::Map(Arc::new(entries))
            }
            Shape::Struct(fields) => {
                let values = fields.fields().iter().map(|field| self.nested(&field.shape, depth + 1)).collect();
                Value::Struct(StructValue::new(Arc::clone(fields), values))
            }
        }
    }

    fn any(&mut self, depth: usize) -> Value {
        let kinds = if depth < DEPTH { 12 } else { 10 };
        let shape = match self.below(kinds) {
            0 => Shape::Null,
            1 => Shape::Bool,
            2 => Shape::Int,
            3 => Shape::UInt,
            4 => Shape::Double,
            5 => Shape::String,
            6 => Shape::Timestamp,
            7 => Shape::Bytes,
            8 => Shape::Decimal,
            9 => Shape::Temporal(TemporalUnit::ALL[self.below(8)]),
            10 => Shape::list(Shape::Any),
            _ => Shape::map(Shape::Any),
        };
        self.nested(&shape, depth)
    }
}
