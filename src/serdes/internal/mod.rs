//! How state stores and internal topics hold values.
//!
//! A stored value is: the format's version (one byte), the timestamp (zig-zag), then the value as its shape
//! directs. Values that are not what the shape promises (a field that was not decoded is null) are marked
//! and described in full, so that writing never fails and reading gives back what was written.
//!
//! Equal values of one shape are equal bytes, with two things kept that equality does not see, so that a
//! value read back is in no way different from the one that was written: the order of a map's entries and
//! the sign of zero. [`Codec::for_keys`] gives these up too.

mod fingerprint;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use super::cursor::{Cursor, put_varint, put_zigzag};
use super::error::{Entry, Index, Problem, SerdeError};
use crate::record::{
    Decimal, Field, MapValue, Shape, StructShape, StructValue, Temporal, TemporalUnit, Text, Value, Values,
};
use crate::time::Timestamp;

/// The version of the format that is written.
const VERSION: u8 = 1;

/// How deep values without a shape may nest when read; deeper ones are taken for corruption.
const MAX_DEPTH: usize = 512;

/// The mark of a value that is as its shape says.
const PLAIN: u8 = 0;
/// The mark of null where the shape has none or allows it.
const NULL: u8 = 1;
/// The mark of a value that is not as its shape says: its kind and the value follow.
const TAGGED: u8 = 2;

/// Writes and reads the values of one shape.
#[derive(Clone, Debug)]
pub struct Codec {
    shape: Shape,
    sorted: bool,
}

impl Codec {
    /// For values of this shape.
    pub fn new(shape: &Shape) -> Codec {
        Codec { shape: shape.clone(), sorted: false }
    }

    /// For keys of this shape: maps are written sorted and zero without sign, so that all equal keys are
    /// equal bytes.
    pub fn for_keys(shape: &Shape) -> Codec {
        Codec { shape: shape.clone(), sorted: true }
    }

    /// Appends a timestamp and a value.
    pub fn encode(&self, timestamp: Timestamp, value: &Value, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_zigzag(timestamp, out);
        Encoder { sorted: self.sorted, out }.marked(&self.shape, value);
    }

    /// Reads what [`Codec::encode`] wrote; text and bytes share the payload.
    ///
    /// # Errors
    /// Where the bytes are not a value of this shape, with the place.
    pub fn decode(&self, payload: &Bytes) -> Result<(Timestamp, Value), SerdeError> {
        let mut cursor = Cursor::new(payload, 0);
        match cursor.byte()? {
            VERSION => {}
            other => return Err(Problem::UnknownVersion(other).at(0)),
        }
        let timestamp = cursor.zigzag()?;
        let value = read_marked(&self.shape, &mut cursor, 0)?;
        cursor.finish()?;
        Ok((timestamp, value))
    }

    /// A number that differs between shapes whose stored values differ: 64-bit FNV-1a over the version, the
    /// kinds, the fields' names and the symbols. Names of schemas do not count.
    pub fn fingerprint(&self) -> u64 {
        fingerprint::of(&[VERSION, u8::from(self.sorted)], &self.shape)
    }
}

/// The fields of a struct value in the order of a shape, where it has exactly those.
fn fields_of<'a>(shape: &Arc<StructShape>, value: &'a StructValue) -> Option<Vec<&'a Value>> {
    if value.values().len() != shape.fields().len() {
        return None;
    }
    let given = value.shape().fields();
    let in_order = |(slot, field): (usize, &Field)| match given.get(slot) {
        Some(likely) if likely.name == field.name => value.values().get(slot),
        _ => value.get(&field.name),
    };
    shape.fields().iter().enumerate().map(in_order).collect()
}

struct Encoder<'a> {
    sorted: bool,
    out: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    /// A mark and the value.
    fn marked(&mut self, shape: &Shape, value: &Value) {
        if shape.holds(value) {
            self.out.push(PLAIN);
            self.plain(shape, value);
        } else {
            self.exception(value);
        }
    }

    fn exception(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push(NULL),
            other => {
                self.out.push(TAGGED);
                self.tagged(other);
            }
        }
    }

    /// A value that its shape [holds](Shape::holds).
    fn plain(&mut self, shape: &Shape, value: &Value) {
        match (shape.required(), value) {
            (Shape::Enum(enumeration), Value::String(symbol)) => {
                let index = enumeration.symbols.iter().position(|known| known == symbol).unwrap_or_default();
                put_varint(index as u64, self.out);
            }
            (Shape::List(element), Value::List(items)) => {
                put_varint(items.len() as u64, self.out);
                items.iter().for_each(|item| self.marked(element, item));
            }
            (Shape::Map(inner), Value::Map(entries)) => {
                put_varint(entries.len() as u64, self.out);
                self.entries(entries, |encoder, value| encoder.marked(inner, value));
            }
            (Shape::Struct(shape), Value::Struct(fields)) => self.structure(shape, fields),
            (Shape::Recursive(_), value) => self.plain(&shape.resolved(), value),
            (Shape::Union(union), value) => {
                let index = union.branch_of(value).unwrap_or_default();
                put_varint(index as u64, self.out);
                if let Some(branch) = union.branches().get(index) {
                    self.plain(branch, value);
                }
            }
            (Shape::Temporal(_), Value::Temporal(time)) => put_zigzag(time.count, self.out),
            (Shape::Any, value) => self.tagged(value),
            (_, value) => self.scalar(value),
        }
    }

    /// The bits of the fields that are not plain, then the fields.
    fn structure(&mut self, shape: &Arc<StructShape>, fields: &StructValue) {
        if Arc::ptr_eq(shape, fields.shape()) {
            self.fields(shape, fields.values().iter());
        } else {
            self.fields(shape, fields_of(shape, fields).unwrap_or_default().into_iter());
        }
    }

    fn fields<'a>(&mut self, shape: &Arc<StructShape>, values: impl ExactSizeIterator<Item = &'a Value>) {
        let bits = self.out.len();
        self.out.resize(bits + values.len().div_ceil(8), 0);
        for (slot, (field, value)) in shape.fields().iter().zip(values).enumerate() {
            if field.shape.holds(value) {
                self.plain(&field.shape, value);
                continue;
            }
            if let Some(byte) = self.out.get_mut(bits + slot / 8) {
                *byte |= 1 << (slot % 8);
            }
            self.exception(value);
        }
    }

    fn entries(&mut self, entries: &MapValue, mut write: impl FnMut(&mut Self, &Value)) {
        let mut ordered: Vec<(&Text, &Value)> = entries.iter().collect();
        if self.sorted {
            ordered.sort_by(|a, b| a.0.cmp(b.0));
        }
        for (key, value) in ordered {
            self.text(key.as_bytes());
            write(self, value);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        put_varint(bytes.len() as u64, self.out);
        self.out.extend_from_slice(bytes);
    }

    fn scalar(&mut self, value: &Value) {
        match value {
            Value::Bool(boolean) => self.out.push(u8::from(*boolean)),
            Value::Int(number) | Value::Timestamp(number) | Value::Duration(number) => put_zigzag(*number, self.out),
            Value::UInt(number) => put_varint(*number, self.out),
            Value::Double(number) => {
                // Adding zero turns -0 into 0 and leaves every other number alone.
                let number = if self.sorted { *number + 0.0 } else { *number };
                let number = if number.is_nan() { f64::NAN } else { number };
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            Value::String(text) => self.text(text.as_bytes()),
            Value::Bytes(bytes) => self.text(bytes),
            Value::Decimal(decimal) => {
                let decimal = if self.sorted { decimal.normalized() } else { *decimal };
                put_varint(u64::from(decimal.scale()), self.out);
                let (bytes, start) = decimal.to_be_bytes();
                self.text(bytes.get(start..).unwrap_or_default());
            }
            Value::Temporal(time) => {
                self.out.push(TemporalUnit::ALL.iter().position(|unit| *unit == time.unit).unwrap_or_default() as u8);
                put_zigzag(time.count, self.out);
            }
            Value::Null | Value::List(_) | Value::Map(_) | Value::Struct(_) => {}
        }
    }

    /// The value's kind, then the value.
    fn tagged(&mut self, value: &Value) {
        self.out.push(tag(value));
        match value {
            Value::List(items) => {
                put_varint(items.len() as u64, self.out);
                items.iter().for_each(|item| self.tagged(item));
            }
            Value::Map(entries) => {
                put_varint(entries.len() as u64, self.out);
                self.entries(entries, |encoder, value| encoder.tagged(value));
            }
            Value::Struct(fields) => {
                put_varint(fields.values().len() as u64, self.out);
                let mut fields: Vec<_> = fields.iter().collect();
                if self.sorted {
                    fields.sort_by(|a, b| a.0.cmp(b.0));
                }
                for (name, value) in fields {
                    self.text(name.as_bytes());
                    self.tagged(value);
                }
            }
            scalar => self.scalar(scalar),
        }
    }
}

fn tag(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::UInt(_) => 3,
        Value::Double(_) => 4,
        Value::String(_) => 5,
        Value::Bytes(_) => 6,
        Value::Timestamp(_) => 7,
        Value::Duration(_) => 8,
        Value::List(_) => 9,
        Value::Map(_) => 10,
        Value::Struct(_) => 11,
        Value::Decimal(_) => 12,
        Value::Temporal(_) => 13,
    }
}

fn read_marked(shape: &Shape, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, SerdeError> {
    match cursor.byte()? {
        PLAIN => read_plain(shape, cursor, depth),
        NULL => Ok(Value::Null),
        TAGGED => read_tagged(cursor, depth),
        other => Err(Problem::UnknownTag(other).at(cursor.position() - 1)),
    }
}

fn read_plain(shape: &Shape, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, SerdeError> {
    let start = cursor.position();
    Ok(match shape.required() {
        Shape::Any => read_tagged(cursor, depth)?,
        Shape::Enum(enumeration) => {
            let index = cursor.varint()?;
            let symbol = usize::try_from(index).ok().and_then(|index| enumeration.symbols.get(index));
            let unknown = || {
                let (name, symbols) = (enumeration.name.clone(), enumeration.symbols.len());
                Problem::UnknownEnumIndex { name, symbols, index: index.cast_signed() }.at(start)
            };
            Value::String(symbol.cloned().ok_or_else(unknown)?)
        }
        Shape::List(element) => {
            let count = count(1, cursor)?;
            let mut items = Vec::new();
            for index in 0..count {
                let item = read_marked(element, cursor, depth + 1).map_err(|error| error.within(&Index(index)))?;
                items.push(item);
            }
            Value::list(items)
        }
        Shape::Map(inner) => {
            let mut entries = MapValue::default();
            for _ in 0..count(2, cursor)? {
                let key = text(cursor)?;
                let value = read_marked(inner, cursor, depth + 1).map_err(|error| error.within(&Entry(&key)))?;
                entries.insert(key, value);
            }
            Value::Map(Arc::new(entries))
        }
        Shape::Struct(shape) => read_struct(shape, cursor, depth)?,
        Shape::Bool => Value::Bool(cursor.boolean()?),
        Shape::Int => Value::Int(cursor.zigzag()?),
        Shape::UInt => Value::UInt(cursor.varint()?),
        Shape::Double => Value::Double(f64::from_le_bytes(cursor.array()?)),
        Shape::String => Value::String(text(cursor)?),
        Shape::Bytes => {
            let length = cursor.length()?;
            Value::Bytes(cursor.take(length)?)
        }
        Shape::Timestamp => Value::Timestamp(cursor.zigzag()?),
        Shape::Duration => Value::Duration(cursor.zigzag()?),
        Shape::Decimal => decimal(cursor)?,
        Shape::Temporal(unit) => Value::Temporal(Temporal::new(*unit, cursor.zigzag()?)),
        Shape::Recursive(_) if depth > MAX_DEPTH => return Err(Problem::TooDeep(MAX_DEPTH).at(start)),
        Shape::Recursive(_) => read_plain(&shape.resolved(), cursor, depth)?,
        Shape::Union(union) => {
            let index = cursor.varint()?;
            let branch = usize::try_from(index).ok().and_then(|index| union.branches().get(index));
            let branches = union.branches().len();
            let unknown = || Problem::BadUnionIndex { branches, index: index.cast_signed() }.at(start);
            read_plain(branch.ok_or_else(unknown)?, cursor, depth)?
        }
        Shape::Null | Shape::Never | Shape::Optional(_) => return Err(Problem::UnknownTag(PLAIN).at(start)),
    })
}

fn read_struct(shape: &Arc<StructShape>, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, SerdeError> {
    let bits = cursor.take(shape.fields().len().div_ceil(8))?;
    let values = Values::of_each(shape.fields().iter().enumerate(), |(slot, field)| {
        let exception = bits.get(slot / 8).is_some_and(|byte| byte & (1 << (slot % 8)) != 0);
        let read = if exception { read_marked } else { read_plain };
        read(&field.shape, cursor, depth + 1).map_err(|error| error.within(&field.name))
    })?;
    Ok(Value::Struct(StructValue::new(Arc::clone(shape), values)))
}

fn read_tagged(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, SerdeError> {
    let start = cursor.position();
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep(MAX_DEPTH).at(start));
    }
    Ok(match cursor.byte()? {
        0 => Value::Null,
        1 => Value::Bool(cursor.boolean()?),
        2 => Value::Int(cursor.zigzag()?),
        3 => Value::UInt(cursor.varint()?),
        4 => Value::Double(f64::from_le_bytes(cursor.array()?)),
        5 => Value::String(text(cursor)?),
        6 => {
            let length = cursor.length()?;
            Value::Bytes(cursor.take(length)?)
        }
        7 => Value::Timestamp(cursor.zigzag()?),
        8 => Value::Duration(cursor.zigzag()?),
        9 => {
            let count = count(1, cursor)?;
            let mut items = Vec::new();
            for index in 0..count {
                items.push(read_tagged(cursor, depth + 1).map_err(|error| error.within(&Index(index)))?);
            }
            Value::list(items)
        }
        10 => {
            let mut entries = MapValue::default();
            for _ in 0..count(2, cursor)? {
                let key = text(cursor)?;
                let value = read_tagged(cursor, depth + 1).map_err(|error| error.within(&Entry(&key)))?;
                entries.insert(key, value);
            }
            Value::Map(Arc::new(entries))
        }
        11 => {
            let (mut fields, mut values) = (Vec::new(), Vec::new());
            for _ in 0..count(2, cursor)? {
                let name = text(cursor)?;
                values.push(read_tagged(cursor, depth + 1).map_err(|error| error.within(&name))?);
                fields.push(Field { name, shape: Shape::Any });
            }
            Value::Struct(StructValue::new(Arc::new(StructShape::new("", fields)), values.into()))
        }
        12 => decimal(cursor)?,
        13 => {
            let place = cursor.byte()?;
            let unit = TemporalUnit::ALL.get(usize::from(place)).ok_or_else(|| Problem::UnknownTag(place).at(start))?;
            Value::Temporal(Temporal::new(*unit, cursor.zigzag()?))
        }
        other => return Err(Problem::UnknownTag(other).at(start)),
    })
}

fn decimal(cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
    let start = cursor.position();
    let scale = u32::try_from(cursor.varint()?).unwrap_or(u32::MAX);
    let length = cursor.length()?;
    let bytes = cursor.take(length)?;
    let decimal = Decimal::from_be_bytes(&bytes, scale).ok_or_else(|| Problem::DecimalTooLarge.at(start))?;
    Ok(Value::Decimal(decimal))
}

fn count(smallest: usize, cursor: &mut Cursor<'_>) -> Result<usize, SerdeError> {
    let start = cursor.position();
    let announced = cursor.varint()?;
    cursor.count(announced, smallest, start)
}

fn text(cursor: &mut Cursor<'_>) -> Result<Text, SerdeError> {
    let length = cursor.length()?;
    cursor.text(length)
}
