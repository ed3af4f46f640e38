//! Compiles a schema and the shape of what will be written into a writer, finding what does not fit.

use std::sync::Arc;

use super::default::default_value;
use super::encode;
use super::schema::{EnumType, RecordType, Type};
use crate::record::{Shape, StructShape, Text};
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
    Array(Box<Write>),
    Map(Box<Write>),
    Nullable { null_index: i64, other: Box<Write> },
    Record(Box<RecordWrite>),
}

/// How to write a record.
#[derive(Debug)]
pub(super) struct RecordWrite {
    pub(super) name: String,
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
    let mut compiler = Compiler { path: Vec::new(), mismatches: Vec::new() };
    let write = compiler.write(kind, input);
    if compiler.mismatches.is_empty() { Ok(write) } else { Err(compiler.mismatches) }
}

struct Compiler {
    path: Vec<String>,
    mismatches: Vec<ShapeMismatch>,
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
        if let Type::Nullable(null_index, other) = kind {
            let inner = if *input == Shape::Null { &Shape::Never } else { input.required() };
            return Write::Nullable { null_index: *null_index, other: Box::new(self.write(other, inner)) };
        }
        if let (Shape::Optional(inner), false) = (input, matches!(kind, Type::Null)) {
            self.mismatch(format!(
                "expected {}, found {inner} or null; the schema does not allow null here",
                kind.name()
            ));
            return self.write(kind, &Shape::Never);
        }
        if !accepts(kind, input) {
            self.mismatch(format!("expected {}, found {input}", kind.name()));
        }
        match kind {
            Type::Null | Type::Nullable(..) => Write::Null,
            Type::Boolean => Write::Boolean,
            Type::Int => Write::Int,
            Type::Long => Write::Long,
            Type::TimestampMillis => Write::Timestamp,
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
            Type::Record(record) => Write::Record(Box::new(self.record(record, input))),
        }
    }

    fn map(&mut self, values: &Type, input: &Shape) -> Write {
        match input {
            Shape::Map(inner) => self.within("[]", values, inner),
            Shape::Struct(shape) => {
                for field in shape.fields() {
                    self.within(&field.name, values, &field.shape);
                }
                self.write(values, &Shape::Any)
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
            let default = self.default(&field.kind, field.default.as_ref());
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
        RecordWrite { name: record.names.name.clone(), promised: promised.cloned(), fields }
    }

    /// The bytes of a field's default.
    fn default(&mut self, kind: &Type, json: Option<&serde_json::Value>) -> Option<Vec<u8>> {
        let value = default_value(kind, json?);
        let write = Compiler { path: Vec::new(), mismatches: Vec::new() }.write(kind, &Shape::Any);
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

fn accepts(kind: &Type, input: &Shape) -> bool {
    match input {
        Shape::Any | Shape::Never => return true,
        _ => {}
    }
    match kind {
        Type::Null | Type::Nullable(..) => matches!(input, Shape::Null),
        Type::Boolean => matches!(input, Shape::Bool),
        Type::Int => matches!(input, Shape::Int | Shape::UInt | Shape::Duration),
        Type::Long => matches!(input, Shape::Int | Shape::UInt | Shape::Timestamp | Shape::Duration),
        Type::TimestampMillis => matches!(input, Shape::Timestamp | Shape::Int),
        Type::Float | Type::Double => matches!(input, Shape::Double | Shape::Int | Shape::UInt),
        Type::String => matches!(input, Shape::String | Shape::Enum(_)),
        Type::Enum(_) => matches!(input, Shape::String | Shape::Enum(_)),
        Type::Bytes | Type::Fixed(_) => matches!(input, Shape::Bytes),
        Type::Array(_) => matches!(input, Shape::List(_)),
        Type::Map(_) => matches!(input, Shape::Map(_) | Shape::Struct(_)),
        Type::Record(_) => matches!(input, Shape::Struct(_)),
    }
}
