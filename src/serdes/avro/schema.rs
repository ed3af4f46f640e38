//! An Avro schema as the engine uses it: references followed, with the shape of what it describes.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

use apache_avro::schema::{Alias, Name};

use crate::record::{EnumShape, Field, RecursiveShape, Shape, StructShape, TemporalUnit, Text};

/// A type of a schema.
#[derive(Clone, Debug)]
pub(in crate::serdes) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    TimestampMillis,
    /// All other logical types of times.
    Temporal(TemporalUnit),
    Decimal(Arc<DecimalType>),
    /// A UUID: text, or its sixteen bytes.
    Uuid(Option<Arc<FixedType>>),
    /// Months, days and milliseconds.
    Duration(Arc<FixedType>),
    Fixed(Arc<FixedType>),
    Enum(Arc<EnumType>),
    Array(Arc<Type>),
    Map(Arc<Type>),
    /// A union of null, at this index, and one other type.
    Nullable(i64, Arc<Type>),
    /// Any other union.
    Union(Arc<UnionType>),
    Record(Arc<RecordType>),
    /// A record around this place.
    Recursive(Reference),
}

/// The names a type goes by.
#[derive(Debug)]
pub(in crate::serdes) struct Names {
    /// Without its namespace, which resolution does not compare.
    pub(in crate::serdes) name: String,
    pub(in crate::serdes) full: String,
    pub(in crate::serdes) aliases: Vec<String>,
}

impl Names {
    pub(super) fn new(name: &Name, full: String, aliases: Option<&Vec<Alias>>) -> Self {
        let aliases = aliases.into_iter().flatten().map(Alias::name).collect();
        Names { name: name.name.clone(), full, aliases }
    }

    /// Whether a reader's type of these names may read what the writer calls `writer`.
    pub(in crate::serdes) fn read(&self, writer: &Names) -> bool {
        self.name == writer.name || self.aliases.contains(&writer.name)
    }
}

#[derive(Debug)]
pub(in crate::serdes) struct FixedType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) size: usize,
}

/// A decimal of so many digits, written as bytes or as a fixed.
#[derive(Clone, Debug)]
pub(in crate::serdes) struct DecimalType {
    pub(in crate::serdes) precision: usize,
    pub(in crate::serdes) scale: u32,
    pub(in crate::serdes) fixed: Option<Arc<FixedType>>,
}

#[derive(Debug)]
pub(in crate::serdes) struct EnumType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) shape: Arc<EnumShape>,
    /// The symbol to read in place of one that is not known.
    pub(in crate::serdes) default: Option<Text>,
}

/// A union that is not just one type or null.
#[derive(Debug)]
pub(in crate::serdes) struct UnionType {
    pub(in crate::serdes) branches: Vec<Type>,
}

#[derive(Debug)]
pub(in crate::serdes) struct RecordType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) shape: Arc<StructShape>,
    pub(in crate::serdes) fields: Vec<FieldType>,
}

#[derive(Debug)]
pub(in crate::serdes) struct FieldType {
    pub(in crate::serdes) name: Text,
    pub(in crate::serdes) aliases: Vec<String>,
    pub(in crate::serdes) default: Option<serde_json::Value>,
    pub(in crate::serdes) kind: Type,
}

/// A record that contains itself, where it does: it holds the record only as long as the schema is there.
#[derive(Clone, Debug)]
pub(in crate::serdes) struct Reference {
    pub(super) shape: RecursiveShape,
    pub(super) record: Arc<OnceLock<Weak<RecordType>>>,
}

impl Reference {
    /// The record.
    pub(super) fn target(&self) -> Option<Arc<RecordType>> {
        self.record.get().and_then(Weak::upgrade)
    }
}

/// The fields of a value of Avro's duration.
pub(super) static DURATION: LazyLock<Arc<StructShape>> = LazyLock::new(|| {
    let field = |name| Field { name: Text::from_static(name), shape: Shape::Int };
    Arc::new(StructShape::new("duration", vec![field("months"), field("days"), field("millis")]))
});

/// How many branches of a union messages name.
const NAMED: usize = 20;

impl Type {
    /// The shape of values of this type.
    pub(in crate::serdes) fn shape(&self) -> Shape {
        match self {
            Type::Null => Shape::Null,
            Type::Boolean => Shape::Bool,
            Type::Int | Type::Long => Shape::Int,
            Type::Float | Type::Double => Shape::Double,
            Type::Bytes | Type::Fixed(_) => Shape::Bytes,
            Type::String | Type::Uuid(_) => Shape::String,
            Type::TimestampMillis => Shape::Timestamp,
            Type::Temporal(unit) => Shape::Temporal(*unit),
            Type::Decimal(_) => Shape::Decimal,
            Type::Duration(_) => Shape::Struct(Arc::clone(&DURATION)),
            Type::Enum(enumeration) => Shape::Enum(Arc::clone(&enumeration.shape)),
            Type::Array(items) => Shape::list(items.shape()),
            Type::Map(values) => Shape::map(values.shape()),
            Type::Nullable(_, inner) => inner.shape().optional(),
            Type::Union(union) => Shape::any_of(union.branches.iter().map(Type::shape)),
            Type::Record(record) => Shape::Struct(Arc::clone(&record.shape)),
            Type::Recursive(reference) => Shape::Recursive(reference.shape.clone()),
        }
    }

    /// The fewest bytes a value takes. Zero only for types whose values never take any.
    pub(in crate::serdes) fn smallest(&self) -> usize {
        match self {
            Type::Null => 0,
            Type::Float => 4,
            Type::Double => 8,
            Type::Fixed(fixed) | Type::Duration(fixed) | Type::Uuid(Some(fixed)) => fixed.size,
            Type::Decimal(decimal) => decimal.fixed.as_ref().map_or(1, |fixed| fixed.size),
            Type::Record(record) => {
                record.fields.iter().fold(0, |sum: usize, field| sum.saturating_add(field.kind.smallest()))
            }
            // One that contains itself has a union, list or map within it, which takes a byte.
            _ => 1,
        }
    }

    /// The type's name for messages: `string`, `array of long`, `enum Sender`.
    pub(in crate::serdes) fn name(&self) -> String {
        match self {
            Type::Null => "null".to_owned(),
            Type::Boolean => "boolean".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Long => "long".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::TimestampMillis => "timestamp-millis".to_owned(),
            Type::Temporal(unit) => unit.name().to_owned(),
            Type::Decimal(decimal) => {
                let written = decimal.fixed.as_ref().map_or(String::new(), |fixed| format!(" as {}", fixed.name()));
                format!("decimal({}, {}){written}", decimal.precision, decimal.scale)
            }
            Type::Uuid(None) => "uuid".to_owned(),
            Type::Uuid(Some(fixed)) => format!("uuid as {}", fixed.name()),
            Type::Duration(fixed) => format!("duration {}", fixed.names.name),
            Type::Fixed(fixed) => fixed.name(),
            Type::Enum(enumeration) => format!("enum {}", enumeration.names.name),
            Type::Array(items) => format!("array of {}", items.name()),
            Type::Map(values) => format!("map of {}", values.name()),
            Type::Nullable(_, inner) => format!("{} or null", inner.name()),
            Type::Union(union) => {
                let mut names: Vec<String> = union.branches.iter().take(NAMED).map(Type::name).collect();
                if let Some(others @ 1..) = union.branches.len().checked_sub(NAMED) {
                    names.push(format!("{others} other types"));
                }
                names.join(" or ")
            }
            Type::Record(record) => format!("record {}", record.names.name),
            Type::Recursive(reference) => format!("record {}", reference.shape.name()),
        }
    }

    /// Whether it is `bytes`, whatever logical type these have. Confluent's Java serializers write such a value without its
    /// length where it is the whole (`AbstractKafkaAvroSerializer`: `rawSchema.getType().equals(Type.BYTES)`), and read
    /// what is left (`AbstractKafkaAvroDeserializer`).
    pub(super) fn is_bytes(&self) -> bool {
        match self {
            Type::Bytes => true,
            Type::Decimal(decimal) => decimal.fixed.is_none(),
            _ => false,
        }
    }

    /// The branches of a union; of any other type itself.
    pub(super) fn branches(&self) -> Vec<Type> {
        match self {
            Type::Nullable(0, other) => vec![Type::Null, other.as_ref().clone()],
            Type::Nullable(_, other) => vec![other.as_ref().clone(), Type::Null],
            Type::Union(union) => union.branches.clone(),
            other => vec![other.clone()],
        }
    }

    /// The record that it is, also where it refers to one.
    pub(super) fn record(&self) -> Option<Arc<RecordType>> {
        match self {
            Type::Record(record) => Some(Arc::clone(record)),
            Type::Recursive(reference) => reference.target(),
            _ => None,
        }
    }

    /// The names of a type that has some.
    pub(super) fn names(&self) -> Option<(String, String)> {
        let of = |names: &Names| Some((names.full.clone(), names.name.clone()));
        match self {
            Type::Fixed(fixed) | Type::Duration(fixed) | Type::Uuid(Some(fixed)) => of(&fixed.names),
            Type::Decimal(decimal) => decimal.fixed.as_ref().and_then(|fixed| of(&fixed.names)),
            Type::Enum(enumeration) => of(&enumeration.names),
            _ => of(&self.record()?.names),
        }
    }
}

impl FixedType {
    fn name(&self) -> String {
        format!("fixed {} of {} bytes", self.names.name, self.size)
    }
}

/// Text that lives as long as the process and is the same for equal symbols.
///
/// Every record of every thread clones its symbols. Counted text would have all threads write to one
/// counter; static text has none. What is never freed is each symbol that schemas ever had, once.
pub(super) fn interned(symbol: &str) -> Text {
    static SYMBOLS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut symbols = SYMBOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = symbols.get(symbol) {
        return Text::from_static(known);
    }
    let leaked: &'static str = Box::leak(Box::from(symbol));
    symbols.insert(leaked);
    Text::from_static(leaked)
}
