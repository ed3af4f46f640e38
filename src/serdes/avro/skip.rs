//! Passes over what is not used.

use std::sync::Arc;

use super::decode::Block;
use super::plan::Reference;
use super::schema::{RecordType, Type};
use crate::record::Text;
use crate::serdes::cursor::Cursor;
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
    /// Passes over one value.
    pub(super) fn run(&self, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
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
            Skip::Record(fields) => fields.run(cursor),
            Skip::Recursive(reference) => match reference.get() {
                Some(fields) => cursor.deeper(|cursor| fields.run(cursor)),
                None => Err(Problem::TooDeep(0).at(cursor.position())),
            },
        }
    }
}

impl Fields {
    fn run(&self, cursor: &mut Cursor<'_>) -> Result<(), SerdeError> {
        self.0.iter().try_for_each(|(name, skip)| skip.run(cursor).map_err(|error| error.within(name)))
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
