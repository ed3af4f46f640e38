//! Runs a plan over a payload.

use std::sync::Arc;

use super::plan::{EnumPlan, Mismatch, Node, RecordPlan, Step, Symbol};
use super::schema::DURATION;
use crate::record::{Decimal, MapValue, StructValue, Temporal, Value, Values};
use crate::serdes::cursor::Cursor;
use crate::serdes::error::{Entry, Index, Problem, SerdeError};

/// Lists of at most this many items in their first block are read straight into their final place.
const DIRECT_ITEMS: usize = 65_536;

impl Node {
    /// Reads one value into its place, which is null.
    ///
    /// Values are made where they stay: one that is handed on from function to function is copied each time, by a load that
    /// has to wait for the stores before it, and that takes longer than to read most values. For the same reason this is one
    /// function with all that is in it but what is rare.
    #[inline(never)]
    pub(super) fn read(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Result<(), SerdeError> {
        // Most are text: the processor guesses this better than which of all it will be.
        match self {
            Node::String => cursor.text_into(place),
            _ => self.read_other(cursor, place),
        }
    }

    #[inline(always)]
    fn read_other(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Result<(), SerdeError> {
        match self {
            Node::Null => {}
            Node::Boolean => *place = Value::Bool(cursor.boolean()?),
            Node::Int => *place = Value::Int(cursor.zigzag_int()?),
            Node::Long => *place = Value::Int(cursor.zigzag()?),
            Node::Timestamp => *place = Value::Timestamp(cursor.zigzag()?),
            Node::Double => *place = Value::Double(f64::from_le_bytes(cursor.array()?)),
            Node::Enum(plan) => return plan.read(cursor, place),
            Node::List { items, smallest } => *place = Value::List(read_list(items, *smallest, cursor)?),
            Node::Nullable { null_index, null, other } => {
                return match read_branch(*null_index, cursor)? {
                    Branch::Null if *null => Ok(()),
                    Branch::Null => Err(Problem::UnexpectedNull.at(cursor.position() - 1)),
                    Branch::Other => other.read(cursor, place),
                };
            }
            Node::Record(plan) => return plan.read(cursor, place),
            Node::Map { values, smallest } => *place = read_map(values, *smallest, cursor)?,
            Node::Union(branches) => {
                let start = cursor.position();
                let index = cursor.zigzag()?;
                return match usize::try_from(index).ok().and_then(|index| branches.get(index)) {
                    Some(branch) => branch.read(cursor, place),
                    None => Err(Problem::BadUnionIndex { branches: branches.len(), index }.at(start)),
                };
            }
            Node::Kept { root, .. } => return root.read(cursor, place),
            Node::Recursive(reference) => {
                return match reference.get() {
                    Some(plan) => cursor.deeper(|cursor| plan.read(cursor, place)),
                    // The whole plan, which holds it, is being run.
                    None => Err(Problem::TooDeep(0).at(cursor.position())),
                };
            }
            _ => *place = self.read_rarer(cursor)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn read_rarer(&self, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
        let start = cursor.position();
        Ok(match self {
            Node::TimestampOfInt => Value::Timestamp(cursor.zigzag_int()?),
            Node::IntAsDouble => Value::Double(cursor.zigzag_int()? as f64),
            Node::LongAsDouble => Value::Double(cursor.zigzag()? as f64),
            Node::IntAsFloat => Value::Double(f64::from(cursor.zigzag_int()? as f32)),
            Node::LongAsFloat => Value::Double(f64::from(cursor.zigzag()? as f32)),
            Node::Float => Value::Double(f64::from(f32::from_le_bytes(cursor.array()?))),
            Node::Bytes => {
                let length = cursor.zigzag_length()?;
                Value::Bytes(cursor.take(length)?)
            }
            Node::Fixed(size) => Value::Bytes(cursor.take(*size)?),
            Node::Temporal { unit, int: true } => Value::Temporal(Temporal::new(*unit, cursor.zigzag_int()?)),
            Node::Temporal { unit, int: false } => Value::Temporal(Temporal::new(*unit, cursor.zigzag()?)),
            Node::Decimal { scale, precision, fixed } => {
                let length = match fixed {
                    Some(size) => *size,
                    None => cursor.zigzag_length()?,
                };
                let bytes = cursor.bytes(length)?;
                let decimal =
                    Decimal::from_be_bytes(bytes, *scale).ok_or_else(|| Problem::DecimalTooLarge.at(start))?;
                let (digits, precision) = (decimal.precision(), *precision);
                if digits as usize > precision {
                    return Err(Problem::DecimalPrecision { digits, precision }.at(start));
                }
                Value::Decimal(decimal)
            }
            Node::Uuid => {
                let length = cursor.zigzag_length()?;
                let text = cursor.text(length)?;
                if !is_uuid(text.as_bytes()) {
                    return Err(Problem::BadUuid.at(start));
                }
                Value::String(text)
            }
            Node::UuidOfFixed => uuid_text(cursor.array()?),
            Node::Duration => duration(cursor.array()?),
            Node::Unreadable(mismatch) => return Err(unreadable(mismatch, start)),
            // Read above, into their place.
            Node::Null
            | Node::Boolean
            | Node::Int
            | Node::Long
            | Node::Timestamp
            | Node::Double
            | Node::String
            | Node::Enum(_)
            | Node::List { .. }
            | Node::Map { .. }
            | Node::Nullable { .. }
            | Node::Union(_)
            | Node::Record(_)
            | Node::Recursive(_)
            | Node::Kept { .. } => Value::Null,
        })
    }
}

impl RecordPlan {
    fn read(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Result<(), SerdeError> {
        let values = Values::filled(self.shape.fields().len(), |slots| self.fill(cursor, slots))?;
        *place = Value::Struct(StructValue::new(Arc::clone(&self.shape), values));
        Ok(())
    }

    #[inline]
    fn fill(&self, cursor: &mut Cursor<'_>, slots: &mut [Value]) -> Result<(), SerdeError> {
        for (slot, default) in &self.defaults {
            if let Some(place) = slots.get_mut(*slot) {
                *place = default.clone();
            }
        }
        for step in &self.steps {
            match step {
                Step::Read { slot, name, node } => {
                    // A plan has the slots of its shape.
                    let Some(place) = slots.get_mut(*slot) else { continue };
                    if let Err(error) = node.read(cursor, place) {
                        return Err(error.within(name));
                    }
                }
                Step::Skip(fields) => fields.run(cursor)?,
            }
        }
        Ok(())
    }
}

impl EnumPlan {
    fn read(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Result<(), SerdeError> {
        let start = cursor.position();
        let index = cursor.zigzag()?;
        match usize::try_from(index).ok().and_then(|index| self.symbols.get(index)) {
            Some(Symbol::Known(symbol)) => {
                *place = Value::String(symbol.clone());
                Ok(())
            }
            Some(Symbol::Unknown(symbol)) => {
                let (name, symbol) = (self.name.clone(), symbol.to_string());
                Err(Problem::UnknownSymbol { name, symbol }.at(start))
            }
            None => {
                let name = self.name.clone();
                Err(Problem::UnknownEnumIndex { name, symbols: self.symbols.len(), index }.at(start))
            }
        }
    }
}

/// What is said of a branch that the reader has nothing for.
#[cold]
fn unreadable(mismatch: &Mismatch, start: usize) -> SerdeError {
    let place = mismatch.path.join(".");
    let message = if place.is_empty() { mismatch.message.clone() } else { format!("{place}: {}", mismatch.message) };
    Problem::UnreadableBranch(message).at(start)
}

/// Whether text is a UUID as RFC 9562 writes it.
pub(super) fn is_uuid(text: &[u8]) -> bool {
    let fits = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.iter().enumerate().all(fits)
}

/// The bytes of a UUID as text.
pub(super) fn uuid_text(bytes: [u8; 16]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    Value::text(text)
}

/// The twelve bytes of a duration: months, days and milliseconds.
pub(super) fn duration(bytes: [u8; 12]) -> Value {
    let part = |at: usize| {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        Value::Int(i64::from(u32::from_le_bytes(bytes)))
    };
    Value::Struct(StructValue::new(Arc::clone(&DURATION), [part(0), part(4), part(8)].into()))
}

enum Branch {
    Null,
    Other,
}

fn read_branch(null_index: i64, cursor: &mut Cursor<'_>) -> Result<Branch, SerdeError> {
    let start = cursor.position();
    match cursor.zigzag()? {
        index if index == null_index => Ok(Branch::Null),
        index @ (0 | 1) if index != null_index => Ok(Branch::Other),
        index => Err(Problem::BadUnionIndex { branches: 2, index }.at(start)),
    }
}

/// A block of a list or map: how many items, and where it ends if it says so.
pub(super) struct Block {
    pub(super) items: usize,
    pub(super) size: Option<usize>,
    start: usize,
}

impl Block {
    /// Reads the head of a block; `None` at the end of the list or map.
    pub(super) fn read(smallest: usize, cursor: &mut Cursor<'_>) -> Result<Option<Block>, SerdeError> {
        let at = cursor.position();
        let count = cursor.zigzag()?;
        if count == 0 {
            return Ok(None);
        }
        let size = if count < 0 { Some(cursor.zigzag_length()?) } else { None };
        let items = cursor.count(count.unsigned_abs(), smallest, at)?;
        Ok(Some(Block { items, size, start: cursor.position() }))
    }

    /// Checks that the items took the bytes that the block says.
    fn finish(&self, cursor: &Cursor<'_>) -> Result<(), SerdeError> {
        let taken = cursor.position() - self.start;
        match self.size {
            Some(announced) if announced != taken => Err(Problem::BlockSize { announced, taken }.at(self.start)),
            _ => Ok(()),
        }
    }
}

fn read_list(node: &Node, smallest: usize, cursor: &mut Cursor<'_>) -> Result<Values, SerdeError> {
    let Some(block) = Block::read(smallest, cursor)? else {
        return Ok(Values::default());
    };
    let mut items = Vec::new();
    let mut next = Some(block);
    // Nearly every list is one block of known length and needs one allocation.
    if let Some(first) = next.take_if(|block| block.items <= DIRECT_ITEMS) {
        let values = Values::filled(first.items, |places| {
            for (index, place) in places.iter_mut().enumerate() {
                node.read(cursor, place).map_err(|error| error.within(&Index(index)))?;
            }
            Ok(())
        })?;
        first.finish(cursor)?;
        next = Block::read(smallest, cursor)?;
        if next.is_none() {
            return Ok(values);
        }
        items.extend_from_slice(&values);
    }
    while let Some(block) = next {
        for _ in 0..block.items {
            let index = items.len();
            let mut value = Value::Null;
            node.read(cursor, &mut value).map_err(|error| error.within(&Index(index)))?;
            items.push(value);
        }
        block.finish(cursor)?;
        next = Block::read(smallest, cursor)?;
    }
    Ok(items.into())
}

fn read_map(node: &Node, smallest: usize, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
    let mut map = MapValue::default();
    while let Some(block) = Block::read(smallest, cursor)? {
        for _ in 0..block.items {
            let length = cursor.zigzag_length()?;
            let key = cursor.text(length)?;
            let mut value = Value::Null;
            node.read(cursor, &mut value).map_err(|error| error.within(&Entry(&key)))?;
            map.insert(key, value);
        }
        block.finish(cursor)?;
    }
    Ok(Value::Map(Arc::new(map)))
}
