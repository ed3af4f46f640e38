//! Compiles a schema and the shape of what will be written into a writer, finding what does not fit.

use std::sync::Arc;

use super::default::default_value;
use super::plan::Reference;
use super::schema::{DURATION, DecimalType, EnumType, RecordType, Type};
use super::{choose, encode};
use crate::record::{Field, Shape, StructShape, TemporalKind, TemporalUnit, Text};
use crate::serdes::error::{ShapeMismatch, nearest, suggestion};

/// How to write one value of a schema's type.
#[derive(Debug)]
pub(super) enum Write {
    Null,
    Boolean,
    Int,
    Long,
    Timestamp,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Arc<EnumType>),
    Temporal(TemporalUnit),
    Decimal(Arc<DecimalType>),
    /// Text, or sixteen bytes.
    Uuid {
        fixed: bool,
    },
    Duration,
    Array(Box<Write>),
    Map(Box<Write>),
    Nullable {
        null_index: i64,
        other: Box<Write>,
    },
    /// One of several, and which, where the shape says so.
    Union {
        branches: Vec<Write>,
        chosen: Option<usize>,
    },
    Record(Arc<RecordWrite>),
    /// A record around this place.
    Recursive(Reference<RecordWrite>),
    /// Records that contain themselves, and all that they refer to.
    #[expect(dead_code, reason = "what references lead to is held, not looked at")]
    Kept {
        root: Box<Write>,
        records: Vec<Arc<RecordWrite>>,
    },
}

/// How to write a record.
#[derive(Debug)]
pub(super) struct RecordWrite {
    pub(super) name: String,
    /// The shape that values read with the schema have.
    pub(super) shape: Arc<StructShape>,
    /// The shape the plan promised; a value of exactly this shape needs no look at names.
    pub(super) promised: Option<Arc<StructShape>>,
    pub(super) fields: Vec<FieldWrite>,
}

/// How to write one field.
#[derive(Debug)]
pub(super) struct FieldWrite {
    pub(super) name: Text,
    /// Where the field stands in the promised shape.
    pub(super) slot: Option<usize>,
    /// What to write where the value has no such field.
    pub(super) default: Option<Vec<u8>>,
    pub(super) write: Write,
}

/// Compiles the writer of `kind` for values of the shape `input`, or says all that does not fit.
pub(super) fn compile(kind: &Type, input: &Shape) -> Result<Write, Vec<ShapeMismatch>> {
    let mut compiler = Compiler::default();
    let write = compiler.write(kind, input);
    if !compiler.mismatches.is_empty() {
        return Err(compiler.mismatches);
    }
    if !compiler.recursive {
        return Ok(write);
    }
    // Some were made for a default alone, and would go with it.
    let records = compiler.met.into_iter().filter_map(|met| met.write.ok()).collect();
    Ok(Write::Kept { root: Box::new(write), records })
}

/// A record that was met with values of this shape, and how it is written: so that records which contain themselves come
/// to an end.
struct Met {
    record: *const RecordType,
    shape: Given,
    write: Result<Arc<RecordWrite>, Reference<RecordWrite>>,
}

/// What is known of the values of a record.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Struct(*const StructShape),
    Any,
    Nothing,
}

#[derive(Default)]
struct Compiler {
    path: Vec<String>,
    mismatches: Vec<ShapeMismatch>,
    met: Vec<Met>,
    recursive: bool,
}

impl Compiler {
    fn mismatch(&mut self, message: String) {
        self.mismatches.push(ShapeMismatch { path: self.path.clone(), message });
    }

    fn within(&mut self, segment: &str, kind: &Type, input: &Shape) -> Write {
        self.path.push(segment.to_owned());
        let write = self.write(kind, input);
        self.path.pop();
        write
    }

    fn write(&mut self, kind: &Type, input: &Shape) -> Write {
        if let Shape::Recursive(_) = input.required() {
            let resolved = input.resolved();
            return self.write(kind, &if input.is_nullable() { resolved.optional() } else { resolved });
        }
        if let Type::Nullable(null_index, other) = kind {
            let inner = if *input == Shape::Null { &Shape::Never } else { input.required() };
            return Write::Nullable { null_index: *null_index, other: Box::new(self.write(other, inner)) };
        }
        if let Type::Union(union) = kind {
            return self.union(&union.branches, kind, input);
        }
        if let (Shape::Optional(inner), false) = (input, matches!(kind, Type::Null)) {
            self.mismatch(format!(
                "expected {}, found {inner} or null; the schema does not allow null here",
                kind.name()
            ));
            return self.write(kind, &Shape::Never);
        }
        if !accepts(kind, input) {
            let hint = hint(kind, input);
            self.mismatch(format!("expected {}, found {input}{hint}", kind.name()));
        }
        match kind {
            Type::Null | Type::Nullable(..) | Type::Union(_) => Write::Null,
            Type::Boolean => Write::Boolean,
            Type::Int => Write::Int,
            Type::Long => Write::Long,
            Type::TimestampMillis => Write::Timestamp,
            Type::Temporal(unit) => Write::Temporal(*unit),
            Type::Decimal(decimal) => Write::Decimal(Arc::clone(decimal)),
            Type::Uuid(fixed) => Write::Uuid { fixed: fixed.is_some() },
            Type::Duration(_) => Write::Duration,
            Type::Float => Write::Float,
            Type::Double => Write::Double,
            Type::String => Write::String,
            Type::Bytes => Write::Bytes,
            Type::Fixed(fixed) => Write::Fixed(fixed.size),
            Type::Enum(enumeration) => {
                self.check_symbols(enumeration, input);
                Write::Enum(Arc::clone(enumeration))
            }
            Type::Array(items) => {
                let inner = if let Shape::List(inner) = input { inner.as_ref() } else { loose(input) };
                Write::Array(Box::new(self.within("[]", items, inner)))
            }
            Type::Map(values) => Write::Map(Box::new(self.map(values, input))),
            Type::Record(_) | Type::Recursive(_) => match kind.record() {
                Some(record) => self.record_once(&record, input),
                None => Write::Null,
            },
        }
    }

    /// A union: all its branches, and which one it will be, where that is known.
    fn union(&mut self, branches: &[Type], kind: &Type, input: &Shape) -> Write {
        let alternatives = match input.required() {
            Shape::Any | Shape::Never => &[],
            _ => input.alternatives(),
        };
        if matches!(input, Shape::Optional(_) | Shape::Null) && !branches.iter().any(|b| matches!(b, Type::Null)) {
            self.mismatch(format!("expected {}, found {input}; the schema does not allow null here", kind.name()));
        }
        let mut chosen = Vec::new();
        for alternative in alternatives.iter().map(Shape::resolved).filter(|shape| *shape != Shape::Null) {
            match choose::by_shape(branches, &alternative) {
                Ok((index, certain)) => chosen.push((index, certain, alternative)),
                Err(candidates) if candidates.is_empty() => {
                    self.mismatch(format!("expected {}, found {alternative}", kind.name()));
                }
                Err(candidates) => {
                    let candidates = candidates.join(" or ");
                    self.mismatch(format!("{alternative} may be {candidates}: give it the fields of one of them only"));
                }
            }
        }
        let mut writes = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let mut given = chosen.iter().filter(|(place, ..)| *place == index);
            writes.push(match (given.next(), given.next()) {
                (Some((_, true, only)), None) => self.write(branch, only),
                _ => self.quietly(branch),
            });
        }
        let only = match &chosen[..] {
            [(index, true, _)] if !input.is_nullable() => Some(*index),
            _ => None,
        };
        Write::Union { branches: writes, chosen: only }
    }

    /// How values are written of which nothing is known; what is wrong with the schema's defaults was told before.
    fn quietly(&mut self, kind: &Type) -> Write {
        let before = self.mismatches.len();
        let write = self.write(kind, &Shape::Any);
        self.mismatches.truncate(before);
        write
    }

    /// A record: as it is written already for values of this shape, if it is.
    fn record_once(&mut self, record: &Arc<RecordType>, input: &Shape) -> Write {
        let shape = match input {
            Shape::Struct(shape) => Given::Struct(Arc::as_ptr(shape)),
            Shape::Any => Given::Any,
            _ => Given::Nothing,
        };
        let known = self.met.iter().find(|met| met.record == Arc::as_ptr(record) && met.shape == shape);
        match known.map(|met| &met.write) {
            Some(Ok(write)) => return Write::Record(Arc::clone(write)),
            Some(Err(reference)) => {
                self.recursive = true;
                return Write::Recursive(reference.clone());
            }
            None => {}
        }
        let (place, reference) = (self.met.len(), Reference::new());
        self.met.push(Met { record: Arc::as_ptr(record), shape, write: Err(reference.clone()) });
        let write = Arc::new(self.record(record, input));
        reference.set(&write);
        if let Some(met) = self.met.get_mut(place) {
            met.write = Ok(Arc::clone(&write));
        }
        Write::Record(write)
    }

    fn map(&mut self, values: &Type, input: &Shape) -> Write {
        match input {
            Shape::Map(inner) => self.within("[]", values, inner),
            Shape::Struct(shape) => {
                for field in shape.fields() {
                    self.within(&field.name, values, &field.shape);
                }
                self.quietly(values)
            }
            other => self.within("[]", values, loose(other)),
        }
    }

    fn record(&mut self, record: &RecordType, input: &Shape) -> RecordWrite {
        let promised = if let Shape::Struct(shape) = input { Some(shape) } else { None };
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let slot = promised.and_then(|shape| shape.index_of(&field.name));
            let given = match promised {
                Some(shape) => shape.field(&field.name).map(|given| &given.shape),
                None => Some(loose(input)),
            };
            self.path.push(field.name.to_string());
            let default = self.default_bytes(&field.kind, field.default.as_ref());
            if given.is_none() && default.is_none() {
                self.mismatch(format!(
                    "the field is missing; {} requires {} here and has no default",
                    record.names.name,
                    field.kind.name()
                ));
            }
            let write = self.write(&field.kind, given.unwrap_or(&Shape::Never));
            self.path.pop();
            fields.push(FieldWrite { name: field.name.clone(), slot, default, write });
        }
        for extra in promised.iter().flat_map(|shape| shape.fields()) {
            if record.shape.field(&extra.name).is_none() {
                self.path.push(extra.name.to_string());
                let known = record.fields.iter().map(|field| field.name.as_ref() as &str);
                let hint = suggestion(&nearest(&extra.name, known));
                self.mismatch(format!("{} has no such field{hint}", record.names.name));
                self.path.pop();
            }
        }
        let (name, shape) = (record.names.name.clone(), Arc::clone(&record.shape));
        RecordWrite { name, shape, promised: promised.cloned(), fields }
    }

    /// The bytes of a field's default.
    fn default_bytes(&mut self, kind: &Type, json: Option<&serde_json::Value>) -> Option<Vec<u8>> {
        let value = default_value(kind, json?);
        let write = self.quietly(kind);
        let mut bytes = Vec::new();
        match value.and_then(|value| encode::write(&write, &value, &mut bytes).map_err(|error| error.to_string())) {
            Ok(()) => Some(bytes),
            Err(message) => {
                self.mismatch(message);
                None
            }
        }
    }

    fn check_symbols(&mut self, enumeration: &EnumType, input: &Shape) {
        let Shape::Enum(given) = input else { return };
        let unknown = |symbol: &&Text| !enumeration.shape.symbols.contains(symbol);
        let unknown: Vec<String> = given.symbols.iter().filter(unknown).map(|symbol| format!("`{symbol}`")).collect();
        if !unknown.is_empty() {
            let (name, unknown) = (&enumeration.names.name, unknown.join(", "));
            self.mismatch(format!("enum {name} has no symbol {unknown}, which enum {} may be", given.name));
        }
    }
}

/// What is known of the parts of a value that is not what was expected, so that one mistake is told once.
fn loose(input: &Shape) -> &'static Shape {
    if matches!(input, Shape::Any) { &Shape::Any } else { &Shape::Never }
}

/// What brings a value to the schema's type, where a function does.
fn hint(kind: &Type, input: &Shape) -> &'static str {
    match (kind, input) {
        (Type::TimestampMillis, Shape::Temporal(_)) => "; write `timestamp(...)` to cut it to milliseconds",
        (Type::Decimal(_), Shape::Double) => "; write `decimal(string(...), 2)` for so many digits behind the point",
        (Type::Decimal(_), Shape::String) => "; write `decimal(...)`",
        (Type::Temporal(unit), Shape::String | Shape::Timestamp) => match unit.kind() {
            TemporalKind::Date => "; write `date(...)`",
            TemporalKind::Time => "; write `time(...)`",
            TemporalKind::LocalTimestamp => "; write `local_timestamp(...)`",
            TemporalKind::Timestamp => "; write `timestamp(...)`",
        },
        _ => "",
    }
}

/// Whether values of a shape, which is no union and not null, may be of a type.
pub(super) fn accepts(kind: &Type, input: &Shape) -> bool {
    match input {
        Shape::Any | Shape::Never => return true,
        Shape::Union(union) => return union.branches().iter().any(|branch| accepts(kind, branch)),
        _ => {}
    }
    match kind {
        Type::Null | Type::Nullable(..) | Type::Union(_) => matches!(input, Shape::Null),
        Type::Boolean => matches!(input, Shape::Bool),
        Type::Int => matches!(input, Shape::Int | Shape::UInt | Shape::Duration),
        Type::Long => matches!(input, Shape::Int | Shape::UInt | Shape::Timestamp | Shape::Duration),
        Type::TimestampMillis => matches!(input, Shape::Timestamp | Shape::Int),
        Type::Temporal(unit) => match input {
            Shape::Temporal(given) => given.kind() == unit.kind() && given.nanos() % unit.nanos() == 0,
            Shape::Timestamp => unit.kind() == TemporalKind::Timestamp,
            _ => false,
        },
        Type::Decimal(_) => matches!(input, Shape::Decimal | Shape::Int | Shape::UInt),
        Type::Float | Type::Double => matches!(input, Shape::Double | Shape::Int | Shape::UInt),
        Type::String | Type::Uuid(_) => matches!(input, Shape::String | Shape::Enum(_)),
        Type::Enum(_) => matches!(input, Shape::String | Shape::Enum(_)),
        Type::Bytes | Type::Fixed(_) => matches!(input, Shape::Bytes),
        Type::Array(_) => matches!(input, Shape::List(_)),
        Type::Map(_) => matches!(input, Shape::Map(_) | Shape::Struct(_)),
        Type::Record(_) | Type::Recursive(_) => matches!(input, Shape::Struct(_) | Shape::Recursive(_)),
        Type::Duration(_) => {
            let parts = DURATION.fields();
            let Shape::Struct(shape) = input else { return false };
            let fits = |field: &Field| {
                shape.field(&field.name).is_some_and(|given| matches!(given.shape, Shape::Int | Shape::Any))
            };
            shape.fields().len() == parts.len() && parts.iter().all(fits)
        }
    }
}
