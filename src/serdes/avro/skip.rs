//! Passes over what is not used.

use std::sync::Arc;

use super::decode::Block;
use super::plan::Reference;
use super::schema::{RecordType, Type};
use crate::record::Text;
use crate::serdes::cursor::{Cursor, varint};
use crate::serdes::error::{Index, Problem, SerdeError};

/// How to pass over a value.
#[derive(Debug)]
pub(super) enum Skip {
    /// This many bytes.
    Fixed(usize),
    Boolean,
    Varint,
    /// A length, and as many bytes.
    Sized,
    Enum(String, usize),
    /// Blocks of items; whether each item has a text key.
    Blocks {
        keys: bool,
        items: Box<Skip>,
        smallest: usize,
    },
    Union(Box<[Skip]>),
    Record(Arc<Fields>),
    /// A record around this place.
    Recursive(Reference<Fields>),
}

/// The fields of a record.
#[derive(Debug)]
pub(super) struct Fields(Vec<(Text, Skip)>);

/// A record that was met, and how it is passed over: by reference, as long as it is not known.
type Met = (*const RecordType, Result<Arc<Fields>, Reference<Fields>>);

/// Makes skips, of each record one.
#[derive(Default)]
pub(super) struct Compiler {
    met: Vec<Met>,
    recursive: bool,
}

impl Compiler {
    /// Whether any record contains itself.
    pub(super) fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// All records that were met.
    pub(super) fn into_kept(self) -> Vec<Arc<Fields>> {
        self.met.into_iter().filter_map(|(_, skip)| skip.ok()).collect()
    }

    /// How to pass over values of a type.
    pub(super) fn skip(&mut self, kind: &Type) -> Skip {
        match kind {
            Type::Null => Skip::Fixed(0),
            Type::Boolean => Skip::Boolean,
            Type::Int | Type::Long | Type::TimestampMillis | Type::Temporal(_) => Skip::Varint,
            Type::Float => Skip::Fixed(4),
            Type::Double => Skip::Fixed(8),
            Type::Fixed(fixed) | Type::Duration(fixed) | Type::Uuid(Some(fixed)) => Skip::Fixed(fixed.size),
            Type::Decimal(decimal) => decimal.fixed.as_ref().map_or(Skip::Sized, |fixed| Skip::Fixed(fixed.size)),
            Type::Bytes | Type::String | Type::Uuid(None) => Skip::Sized,
            Type::Enum(enumeration) => Skip::Enum(enumeration.names.name.clone(), enumeration.shape.symbols.len()),
            Type::Array(items) => {
                Skip::Blocks { keys: false, items: Box::new(self.skip(items)), smallest: items.smallest() }
            }
            Type::Map(values) => {
                let smallest = values.smallest().saturating_add(1);
                Skip::Blocks { keys: true, items: Box::new(self.skip(values)), smallest }
            }
            Type::Nullable(..) | Type::Union(_) => {
                Skip::Union(kind.branches().iter().map(|branch| self.skip(branch)).collect())
            }
            Type::Record(record) => self.record(record),
            // It is there as long as the schema that is being looked at.
            Type::Recursive(reference) => reference.target().map_or(Skip::Fixed(0), |record| self.record(&record)),
        }
    }

    fn record(&mut self, record: &Arc<RecordType>) -> Skip {
        let known = self.met.iter().find(|(met, _)| *met == Arc::as_ptr(record));
        match known.map(|(_, skip)| skip) {
            Some(Ok(fields)) => return Skip::Record(Arc::clone(fields)),
            Some(Err(reference)) => {
                self.recursive = true;
                return Skip::Recursive(reference.clone());
            }
            None => {}
        }
        let (place, reference) = (self.met.len(), Reference::new());
        self.met.push((Arc::as_ptr(record), Err(reference.clone())));
        let fields = record.fields.iter().map(|field| (field.name.clone(), self.skip(&field.kind))).collect();
        let fields = Arc::new(Fields(fields));
        reference.set(&fields);
        if let Some(met) = self.met.get_mut(place) {
            met.1 = Ok(Arc::clone(&fields));
        }
        Skip::Record(fields)
    }
}

impl Skip {
    /// Where the value that begins at `at` ends; `None` where it may be wrong, or counts towards a bound of the payload.
    ///
    /// This is the way nearly all values go: all that it keeps is a position. [`Skip::run`] says what is wrong and where.
    #[inline]
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        match self {
            // Most are text: the processor guesses this better than which of all it will be.
            Skip::Sized => sized_end(bytes, at),
            _ => self.other_end(bytes, at),
        }
    }

    fn other_end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        match self {
            Skip::Sized => sized_end(bytes, at),
            Skip::Varint => varint(bytes, at).map(|(_, end)| end),
            Skip::Fixed(size) => at.checked_add(*size).filter(|end| *end <= bytes.len()),
            Skip::Boolean => bytes.get(at).filter(|byte| **byte <= 1).map(|_| at + 1),
            Skip::Enum(_, symbols) => {
                let (number, end) = varint(bytes, at)?;
                (number & 1 == 0 && number >> 1 < *symbols as u64).then_some(end)
            }
            Skip::Union(branches) => {
                let (number, end) = varint(bytes, at)?;
                let index = usize::try_from(number >> 1).ok().filter(|_| number & 1 == 0)?;
                branches.get(index)?.end(bytes, end)
            }
            Skip::Record(fields) => fields.end(bytes, at),
            Skip::Blocks { keys, items, smallest } => blocks_end(*keys, items, *smallest, bytes, at),
            // How deep it goes is counted.
            Skip::Recursive(_) => None,
        }
    }

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
            Skip::Union(branches) => {
                let start = cursor.position();
                let index = cursor.zigzag()?;
                match usize::try_from(index).ok().and_then(|index| branches.get(index)) {
                    Some(branch) => branch.run(cursor),
                    None => Err(Problem::BadUnionIndex { branches: branches.len(), index }.at(start)),
                }
            }
            Skip::Record(fields) => fields.run_carefully(cursor),
            Skip::Recursive(reference) => match reference.get() {
                Some(fields) => cursor.deeper(|cursor| fields.run_carefully(cursor)),
                None => Err(Problem::TooDeep(0).at(cursor.position())),
            },
        }
    }
}

impl Fields {
    /// No fields.
    pub(super) fn new() -> Self {
        Fields(Vec::new())
    }

    /// One more, behind the others.
    pub(super) fn push(&mut self, name: Text, skip: Skip) {
        self.0.push((name, skip));
    }

    #[inline]
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        self.0.iter().try_fold(at, |at, (_, skip)| skip.end(bytes, at))
    }

    /// Passes over the fields.
    pub(super) fn run(&self, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
        if cursor.advance(|bytes, at| self.end(bytes, at)) {
            return Ok(());
        }
        self.run_carefully(cursor)
    }

    /// As [`Fields::run`], with a look at all that can be wrong.
    fn run_carefully(&self, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
        self.0.iter().try_for_each(|(name, skip)| skip.run(cursor).map_err(|error| error.within(name)))
    }
}

/// Where a length and as many bytes end.
#[inline]
fn sized_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (length, at) = varint(bytes, at)?;
    sized_part(bytes, at, length)
}

/// Where a part ends whose length was read as `zigzag`.
#[inline]
fn sized_part(bytes: &[u8], at: usize, zigzag: u64) -> Option<usize> {
    let length = usize::try_from(zigzag >> 1).ok().filter(|_| zigzag & 1 == 0)?;
    at.checked_add(length).filter(|end| *end <= bytes.len())
}

fn blocks_end(keys: bool, items: &Skip, smallest: usize, bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let (number, begin) = varint(bytes, at)?;
        if number == 0 {
            return Some(begin);
        }
        let count = number.div_ceil(2);
        let is_sized = number & 1 == 1;
        let (size, begin) = if is_sized { varint(bytes, begin)? } else { (0, begin) };
        // As many as the bytes can hold; those that take none are counted over the whole payload.
        if smallest == 0 || count > ((bytes.len() - begin) / smallest) as u64 {
            return None;
        }
        at = sized_part(bytes, begin, size)?;
        if !is_sized {
            for _ in 0..count {
                at = if keys { sized_end(bytes, at)? } else { at };
                at = items.end(bytes, at)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    const EVERYTHING: &str = r#"{"type": "record", "name": "R", "fields": [
        {"name": "flag", "type": "boolean"}, {"name": "number", "type": "long"}, {"name": "text", "type": "string"},
        {"name": "letter", "type": {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}},
        {"name": "some", "type": ["null", "int", {"type": "fixed", "name": "F", "size": 2}]},
        {"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
            {"name": "bytes", "type": "bytes"}, {"name": "more", "type": {"type": "array", "items": "int"}}]}}},
        {"name": "map", "type": {"type": "map", "values": ["null", "boolean"]}},
        {"name": "last", "type": "float"}]}"#;

    /// Bytes of which many begin a payload of the schema.
    fn payloads() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![6 => Just(0_u8), 4 => 0_u8..5, 2 => Just(2), 1 => any::<u8>()];
        (prop::collection::vec(byte, 0..60), any::<bool>())
            .prop_map(|(bytes, flag)| [vec![u8::from(flag), 4, 2, b'x'], bytes].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn the_short_way_ends_where_the_careful_one_does(payload in payloads()) {
            let kind = Type::new(&apache_avro::Schema::parse_str(EVERYTHING).unwrap()).unwrap();
            let Skip::Record(fields) = Compiler::default().skip(&kind) else { unreachable!("a record") };
            let payload = Bytes::from(payload);
            let mut cursor = Cursor::new(&payload, 0);
            let careful = fields.run_carefully(&mut cursor).ok().map(|()| cursor.position());
            let short = fields.end(&payload, 0);
            prop_assert_eq!(short, careful, "{:?}", payload);
        }
    }
}
