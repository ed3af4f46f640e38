//! Runs a plan over a payload.

use std::sync::Arc;

use super::plan::{EnumPlan, Node, RecordPlan, Skip, Step, Symbol};
use crate::record::{MapValue, StructValue, Value};
use crate::serdes::cursor::Cursor;
use crate::serdes::error::{Entry, Index, Problem, SerdeError};

/// Lists of at most this many items in their first block are read straight into their final place.
const DIRECT_ITEMS: usize = 65_536;

impl Node {
    /// Reads one value.
    pub(super) fn read(&self, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
        Ok(match self {
            Node::Null => Value::Null,
            Node::Boolean => Value::Bool(cursor.boolean()?),
            Node::Int => Value::Int(cursor.zigzag_int()?),
            Node::Long => Value::Int(cursor.zigzag()?),
            Node::Timestamp => Value::Timestamp(cursor.zigzag()?),
            Node::TimestampOfInt => Value::Timestamp(cursor.zigzag_int()?),
            Node::IntAsDouble => Value::Double(cursor.zigzag_int()? as f64),
            Node::LongAsDouble => Value::Double(cursor.zigzag()? as f64),
            Node::IntAsFloat => Value::Double(f64::from(cursor.zigzag_int()? as f32)),
            Node::LongAsFloat => Value::Double(f64::from(cursor.zigzag()? as f32)),
            Node::Float => Value::Double(f64::from(f32::from_le_bytes(cursor.array()?))),
            Node::Double => Value::Double(f64::from_le_bytes(cursor.array()?)),
            Node::String => {
                let length = cursor.zigzag_length()?;
                Value::String(cursor.text(length)?)
            }
            Node::Bytes => {
                let length = cursor.zigzag_length()?;
                Value::Bytes(cursor.take(length)?)
            }
            Node::Fixed(size) => Value::Bytes(cursor.take(*size)?),
            Node::Enum(plan) => plan.read(cursor)?,
            Node::List { items, smallest } => read_list(items, *smallest, cursor)?,
            Node::Map { values, smallest } => read_map(values, *smallest, cursor)?,
            Node::Union { null_index, null, other } => match read_branch(*null_index, cursor)? {
                Branch::Null if *null => Value::Null,
                Branch::Null => return Err(Problem::UnexpectedNull.at(cursor.position() - 1)),
                Branch::Other => other.read(cursor)?,
            },
            Node::Record(plan) => plan.read(cursor)?,
        })
    }
}

impl RecordPlan {
    fn read(&self, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
        let mut values: Arc<[Value]> = (0..self.shape.fields().len()).map(|_| Value::Null).collect();
        // Nobody else holds the values yet, so there always is a mutable reference to them.
        if let Some(slots) = Arc::get_mut(&mut values) {
            for (slot, default) in &self.defaults {
                if let Some(place) = slots.get_mut(*slot) {
                    *place = default.clone();
                }
            }
            for step in &self.steps {
                match step {
                    Step::Read { slot, name, node } => {
                        let value = node.read(cursor).map_err(|error| error.within(name))?;
                        if let Some(place) = slots.get_mut(*slot) {
                            *place = value;
                        }
                    }
                    Step::Skip { name, skip } => skip.run(cursor).map_err(|error| error.within(name))?,
                }
            }
        }
        Ok(Value::Struct(StructValue::new(Arc::clone(&self.shape), values)))
    }
}

impl EnumPlan {
    fn read(&self, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
        let start = cursor.position();
        let index = cursor.zigzag()?;
        match usize::try_from(index).ok().and_then(|index| self.symbols.get(index)) {
            Some(Symbol::Known(symbol)) => Ok(Value::String(symbol.clone())),
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

enum Branch {
    Null,
    Other,
}

fn read_branch(null_index: i64, cursor: &mut Cursor<'_>) -> Result<Branch, SerdeError> {
    let start = cursor.position();
    match cursor.zigzag()? {
        index if index == null_index => Ok(Branch::Null),
        index @ (0 | 1) if index != null_index => Ok(Branch::Other),
        index => Err(Problem::BadUnionIndex(index).at(start)),
    }
}

/// A block of a list or map: how many items, and where it ends if it says so.
struct Block {
    items: usize,
    size: Option<usize>,
    start: usize,
}

impl Block {
    /// Reads the head of a block; `None` at the end of the list or map.
    fn read(smallest: usize, cursor: &mut Cursor<'_>) -> Result<Option<Block>, SerdeError> {
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

fn read_list(node: &Node, smallest: usize, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
    let Some(block) = Block::read(smallest, cursor)? else {
        return Ok(Value::List(Arc::default()));
    };
    let mut items = Vec::new();
    let mut next = Some(block);
    // Nearly every list is one block of known length and needs one allocation.
    if let Some(first) = next.take_if(|block| block.items <= DIRECT_ITEMS) {
        let mut values: Arc<[Value]> = std::iter::repeat_n(Value::Null, first.items).collect();
        for (index, place) in Arc::get_mut(&mut values).unwrap_or_default().iter_mut().enumerate() {
            *place = node.read(cursor).map_err(|error| error.within(&Index(index)))?;
        }
        first.finish(cursor)?;
        next = Block::read(smallest, cursor)?;
        if next.is_none() {
            return Ok(Value::List(values));
        }
        items.extend_from_slice(&values);
    }
    while let Some(block) = next {
        for _ in 0..block.items {
            let index = items.len();
            items.push(node.read(cursor).map_err(|error| error.within(&Index(index)))?);
        }
        block.finish(cursor)?;
        next = Block::read(smallest, cursor)?;
    }
    Ok(Value::list(items))
}

fn read_map(node: &Node, smallest: usize, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
    let mut map = MapValue::default();
    while let Some(block) = Block::read(smallest, cursor)? {
        for _ in 0..block.items {
            let length = cursor.zigzag_length()?;
            let key = cursor.text(length)?;
            let value = node.read(cursor).map_err(|error| error.within(&Entry(&key)))?;
            map.insert(key, value);
        }
        block.finish(cursor)?;
    }
    Ok(Value::Map(Arc::new(map)))
}

impl Skip {
    /// Passes over one value.
    fn run(&self, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
        match self {
            Skip::Fixed(size) => cursor.skip(*size),
            Skip::Boolean => cursor.boolean().map(|_| ()),
            Skip::Varint => cursor.varint().map(|_| ()),
            Skip::Sized => {
                let length = cursor.zigzag_length()?;
                cursor.skip(length)
            }
            Skip::Enum(name, symbols) => {
                let start = cursor.position();
                let index = cursor.zigzag()?;
                match usize::try_from(index) {
                    Ok(known) if known < *symbols => Ok(()),
                    _ => Err(Problem::UnknownEnumIndex { name: name.clone(), symbols: *symbols, index }.at(start)),
                }
            }
            Skip::Blocks { keys, items, smallest } => skip_blocks(*keys, items, *smallest, cursor),
            Skip::Union { null_index, other } => match read_branch(*null_index, cursor)? {
                Branch::Null => Ok(()),
                Branch::Other => other.run(cursor),
            },
            Skip::Record(fields) => {
                fields.iter().try_for_each(|(name, skip)| skip.run(cursor).map_err(|error| error.within(name)))
            }
        }
    }
}

fn skip_blocks(keys: bool, items: &Skip, smallest: usize, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
    while let Some(block) = Block::read(smallest, cursor)? {
        match block.size {
            Some(size) => cursor.skip(size)?,
            None => {
                for index in 0..block.items {
                    if keys {
                        let length = cursor.zigzag_length()?;
                        cursor.skip(length)?;
                    }
                    items.run(cursor).map_err(|error| error.within(&Index(index)))?;
                }
            }
        }
    }
    Ok(())
}
