//! Compiles a writer's schema, a reader's schema and the fields in use into a plan that reads payloads.
//!
//! The rules are those of "Schema Resolution" in the Avro 1.12 specification. All decisions that depend on
//! the schemas are taken here, once; [`super::decode`] only runs the plan.

use std::sync::Arc;

use super::default::default_value;
use super::schema::{EnumType, FieldType, RecordType, Type};
use crate::record::{Fields, StructShape, Text, Value};

/// How to read one value.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Timestamp,
    /// A timestamp written as an int.
    TimestampOfInt,
    IntAsDouble,
    LongAsDouble,
    /// An int or long that the reader has as a float, with a float's precision.
    IntAsFloat,
    LongAsFloat,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Arc<EnumPlan>),
    List {
        items: Box<Node>,
        smallest: usize,
    },
    Map {
        values: Box<Node>,
        smallest: usize,
    },
    /// Null at this index or the other; `null` is whether the reader takes null.
    Union {
        null_index: i64,
        null: bool,
        other: Box<Node>,
    },
    Record(Box<RecordPlan>),
}

/// The writer's symbols as the reader has them, by the writer's index.
#[derive(Debug)]
pub(super) struct EnumPlan {
    pub(super) name: String,
    pub(super) symbols: Vec<Symbol>,
}

/// What becomes of a symbol of the writer.
#[derive(Debug)]
pub(super) enum Symbol {
    Known(Text),
    /// Unknown to the reader, which has no default: the writer's name for it.
    Unknown(Text),
}

/// How to read a record: its fields in the order they were written.
#[derive(Debug)]
pub(super) struct RecordPlan {
    pub(super) shape: Arc<StructShape>,
    /// The slots of fields that were not written, and their defaults. All others start as null.
    pub(super) defaults: Vec<(usize, Value)>,
    pub(super) steps: Vec<Step>,
}

/// What to do with one field as it was written.
#[derive(Debug)]
pub(super) enum Step {
    Read { slot: usize, name: Text, node: Node },
    Skip { name: Text, skip: Skip },
}

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
    Union {
        null_index: i64,
        other: Box<Skip>,
    },
    Record(Vec<(Text, Skip)>),
}

/// Why a reader cannot read what a writer writes: the field's path and a sentence.
pub(super) struct Mismatch {
    pub(super) path: Vec<String>,
    pub(super) message: String,
}

impl Mismatch {
    fn new(writer: &Type, reader: &Type) -> Self {
        let message = format!("the writer has {}, the reader expects {}", writer.name(), reader.name());
        Mismatch { path: Vec::new(), message }
    }

    fn within(mut self, segment: &str) -> Self {
        self.path.insert(0, segment.to_owned());
        self
    }
}

/// Compiles the plan that reads the `fields` of `reader` from what `writer` wrote.
pub(super) fn compile(writer: &Type, reader: &Type, fields: &Fields) -> Result<Node, Mismatch> {
    Ok(match (writer, reader) {
        (Type::Nullable(null_index, inner), Type::Nullable(_, wanted)) => {
            Node::Union { null_index: *null_index, null: true, other: Box::new(compile(inner, wanted, fields)?) }
        }
        (Type::Nullable(null_index, inner), _) => {
            Node::Union { null_index: *null_index, null: false, other: Box::new(compile(inner, reader, fields)?) }
        }
        (Type::Null, Type::Null | Type::Nullable(..)) => Node::Null,
        (_, Type::Nullable(_, wanted)) => compile(writer, wanted, fields)?,
        (Type::Array(items), Type::Array(wanted)) => {
            let node = compile(items, wanted, &inside(fields)).map_err(|error| error.within("[]"))?;
            Node::List { items: Box::new(node), smallest: items.smallest() }
        }
        (Type::Map(values), Type::Map(wanted)) => {
            let node = compile(values, wanted, &inside(fields)).map_err(|error| error.within("[]"))?;
            // A key takes at least the byte of its length.
            Node::Map { values: Box::new(node), smallest: values.smallest().saturating_add(1) }
        }
        (Type::Record(written), Type::Record(wanted)) if wanted.names.read(&written.names) => {
            Node::Record(Box::new(record(written, wanted, fields)?))
        }
        (Type::Enum(written), Type::Enum(wanted)) if wanted.names.read(&written.names) => {
            Node::Enum(Arc::new(enumeration(written, wanted)))
        }
        (Type::Fixed(written), Type::Fixed(wanted))
            if wanted.names.read(&written.names) && written.size == wanted.size =>
        {
            Node::Fixed(written.size)
        }
        _ => primitive(writer, reader).ok_or_else(|| Mismatch::new(writer, reader))?,
    })
}

/// What is used of a list's or map's items. The paths of expressions do not say which item they mean, so
/// unless nothing of the list is used, its items are read whole.
fn inside(fields: &Fields) -> Fields {
    match fields {
        Fields::Some(named) if named.is_empty() => Fields::none(),
        _ => Fields::All,
    }
}

fn primitive(writer: &Type, reader: &Type) -> Option<Node> {
    Some(match (writer, reader) {
        (Type::Boolean, Type::Boolean) => Node::Boolean,
        (Type::Int, Type::Int | Type::Long) => Node::Int,
        (Type::Long | Type::TimestampMillis, Type::Long) => Node::Long,
        (Type::Long | Type::TimestampMillis, Type::TimestampMillis) => Node::Timestamp,
        (Type::Int, Type::TimestampMillis) => Node::TimestampOfInt,
        (Type::Int, Type::Double) => Node::IntAsDouble,
        (Type::Int, Type::Float) => Node::IntAsFloat,
        (Type::Long | Type::TimestampMillis, Type::Double) => Node::LongAsDouble,
        (Type::Long | Type::TimestampMillis, Type::Float) => Node::LongAsFloat,
        (Type::Float, Type::Float | Type::Double) => Node::Float,
        (Type::Double, Type::Double) => Node::Double,
        (Type::String | Type::Bytes, Type::String) => Node::String,
        (Type::String | Type::Bytes, Type::Bytes) => Node::Bytes,
        _ => return None,
    })
}

fn enumeration(writer: &EnumType, reader: &EnumType) -> EnumPlan {
    let symbol = |written: &Text| {
        let known = reader.shape.symbols.iter().find(|symbol| *symbol == written);
        match known.or(reader.default.as_ref()) {
            Some(symbol) => Symbol::Known(symbol.clone()),
            None => Symbol::Unknown(written.clone()),
        }
    };
    EnumPlan { name: reader.names.name.clone(), symbols: writer.shape.symbols.iter().map(symbol).collect() }
}

fn record(writer: &RecordType, reader: &RecordType, fields: &Fields) -> Result<RecordPlan, Mismatch> {
    let mut defaults = Vec::new();
    let mut sources: Vec<Option<usize>> = vec![None; writer.fields.len()];
    for (slot, field) in reader.fields.iter().enumerate() {
        match source(writer, field) {
            Some(index) if sources.get(index) == Some(&None) => sources[index] = Some(slot),
            _ => {
                let Some(default) = &field.default else {
                    let message = format!("{} does not write this field, and it has no default", writer.names.name);
                    return Err(Mismatch { path: vec![field.name.to_string()], message });
                };
                if fields.of(&field.name).is_some() {
                    let value = default_value(&field.kind, default)
                        .map_err(|message| Mismatch { path: vec![field.name.to_string()], message })?;
                    defaults.push((slot, value));
                }
            }
        }
    }
    let step = |(written, slot): (&FieldType, &Option<usize>)| {
        let name = written.name.clone();
        let wanted = slot.and_then(|slot| reader.fields.get(slot).map(|field| (slot, field)));
        let used = wanted.and_then(|(slot, field)| fields.of(&field.name).map(|used| (slot, field, used)));
        match (used, wanted) {
            (Some((slot, field, used)), _) => {
                let node = compile(&written.kind, &field.kind, used).map_err(|error| error.within(&field.name))?;
                Ok(Step::Read { slot, name: field.name.clone(), node })
            }
            (None, Some((_, field))) => {
                // Whether two schemas fit must not depend on which fields a topology happens to use.
                compile(&written.kind, &field.kind, &Fields::none()).map_err(|error| error.within(&field.name))?;
                Ok(Step::Skip { name, skip: skip(&written.kind) })
            }
            (None, None) => Ok(Step::Skip { name, skip: skip(&written.kind) }),
        }
    };
    let steps: Result<Vec<Step>, Mismatch> = writer.fields.iter().zip(&sources).map(step).collect();
    Ok(RecordPlan { shape: Arc::clone(&reader.shape), defaults, steps: steps? })
}

/// The writer's field that a reader's field is read from: of the same name, else of one of its aliases.
fn source(writer: &RecordType, field: &FieldType) -> Option<usize> {
    let position = |name: &str| writer.fields.iter().position(|written| written.name == name);
    position(&field.name).or_else(|| field.aliases.iter().find_map(|alias| position(alias)))
}

fn skip(kind: &Type) -> Skip {
    match kind {
        Type::Null => Skip::Fixed(0),
        Type::Boolean => Skip::Boolean,
        Type::Int | Type::Long | Type::TimestampMillis => Skip::Varint,
        Type::Float => Skip::Fixed(4),
        Type::Double => Skip::Fixed(8),
        Type::Fixed(fixed) => Skip::Fixed(fixed.size),
        Type::Bytes | Type::String => Skip::Sized,
        Type::Enum(enumeration) => Skip::Enum(enumeration.names.name.clone(), enumeration.shape.symbols.len()),
        Type::Array(items) => Skip::Blocks { keys: false, items: Box::new(skip(items)), smallest: items.smallest() },
        Type::Map(values) => {
            Skip::Blocks { keys: true, items: Box::new(skip(values)), smallest: values.smallest().saturating_add(1) }
        }
        Type::Nullable(null_index, other) => Skip::Union { null_index: *null_index, other: Box::new(skip(other)) },
        Type::Record(record) => {
            Skip::Record(record.fields.iter().map(|field| (field.name.clone(), skip(&field.kind))).collect())
        }
    }
}
