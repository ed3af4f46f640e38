//! Which types without parts a reader takes for which of a writer.

use super::plan::Node;
use super::schema::{DecimalType, FixedType, Type};
use crate::record::TemporalUnit;

/// The branch of a reader's union that is of the writer's very type: by full name, then by name, where types have names.
pub(super) fn same_branch<'a>(writer: &Type, branches: &'a [Type]) -> Option<&'a Type> {
    let full = |branch: &&Type| writer.names().is_some() && writer.names().map(|n| n.0) == branch.names().map(|n| n.0);
    let mut alike = branches.iter().filter(|branch| same_kind(writer, branch));
    alike.clone().find(full).or_else(|| alike.find(|branch| may_read(writer, branch)))
}

/// Whether two types are of one kind, whatever their names and parts.
fn same_kind(writer: &Type, reader: &Type) -> bool {
    match (writer, reader) {
        (Type::Record(_) | Type::Recursive(_), Type::Record(_) | Type::Recursive(_)) => true,
        (Type::Temporal(written), Type::Temporal(wanted)) => written == wanted,
        (Type::Decimal(written), Type::Decimal(wanted)) => written.scale == wanted.scale,
        _ => std::mem::discriminant(writer) == std::mem::discriminant(reader),
    }
}

/// Whether the names of two types of one kind allow the one to be read as the other.
fn may_read(writer: &Type, reader: &Type) -> bool {
    match (writer, reader) {
        (Type::Enum(written), Type::Enum(wanted)) => wanted.names.read(&written.names),
        (Type::Decimal(_), _) => true,
        _ => match (fixed(writer), fixed(reader), writer.record(), reader.record()) {
            (Some(written), Some(wanted), _, _) => same_fixed(written, wanted),
            (_, _, Some(written), Some(wanted)) => wanted.names.read(&written.names),
            _ => true,
        },
    }
}

fn fixed(kind: &Type) -> Option<&FixedType> {
    match kind {
        Type::Fixed(fixed) | Type::Duration(fixed) | Type::Uuid(Some(fixed)) => Some(fixed),
        Type::Decimal(decimal) => decimal.fixed.as_deref(),
        _ => None,
    }
}

fn same_fixed(writer: &FixedType, reader: &FixedType) -> bool {
    reader.names.read(&writer.names) && writer.size == reader.size
}

/// How a type without parts is read as another one; `None` where they do not match.
pub(super) fn primitive(writer: &Type, reader: &Type) -> Option<Node> {
    match (writer, reader) {
        (Type::Decimal(written), Type::Decimal(wanted)) => decimals(written, wanted),
        (Type::Uuid(None), Type::Uuid(None)) => Some(Node::Uuid),
        (Type::Temporal(written), Type::Temporal(wanted)) => {
            (written == wanted).then(|| time(*wanted, written.is_int()))
        }
        (Type::Temporal(_), Type::TimestampMillis) | (Type::TimestampMillis, Type::Temporal(_)) => None,
        (Type::TimestampMillis, Type::TimestampMillis) => Some(Node::Timestamp),
        _ => match (fixed(writer), fixed(reader)) {
            (Some(written), Some(wanted)) => same_fixed(written, wanted).then(|| of_fixed(reader, wanted)),
            (None, None) => unlike(&underlying(writer), reader),
            _ => None,
        },
    }
}

fn time(unit: TemporalUnit, int: bool) -> Node {
    Node::Temporal { unit, int }
}

fn decimals(writer: &DecimalType, reader: &DecimalType) -> Option<Node> {
    let fits = writer.scale == reader.scale && writer.precision <= reader.precision;
    fits.then(|| decimal(reader, writer.fixed.as_ref().map(|fixed| fixed.size)))
}

fn decimal(reader: &DecimalType, fixed: Option<usize>) -> Node {
    Node::Decimal { scale: reader.scale, precision: reader.precision, fixed }
}

/// What the bytes of a fixed are to the reader, whose name for it and size are the writer's.
fn of_fixed(reader: &Type, fixed: &FixedType) -> Node {
    match reader {
        Type::Duration(_) => Node::Duration,
        Type::Uuid(_) => Node::UuidOfFixed,
        Type::Decimal(wanted) => decimal(wanted, Some(fixed.size)),
        _ => Node::Fixed(fixed.size),
    }
}

/// The type without its logical one.
fn underlying(kind: &Type) -> Type {
    match kind {
        Type::TimestampMillis => Type::Long,
        Type::Temporal(unit) if unit.is_int() => Type::Int,
        Type::Temporal(_) => Type::Long,
        Type::Decimal(_) => Type::Bytes,
        Type::Uuid(None) => Type::String,
        other => other.clone(),
    }
}

/// A type that is not logical, read as any that has no name.
fn unlike(writer: &Type, reader: &Type) -> Option<Node> {
    Some(match (writer, reader) {
        (Type::Boolean, Type::Boolean) => Node::Boolean,
        (Type::Int, Type::Int | Type::Long) => Node::Int,
        (Type::Long, Type::Long) => Node::Long,
        (Type::Long, Type::TimestampMillis) => Node::Timestamp,
        (Type::Int, Type::TimestampMillis) => Node::TimestampOfInt,
        (Type::Int, Type::Temporal(unit)) => time(*unit, true),
        (Type::Long, Type::Temporal(unit)) if !unit.is_int() => time(*unit, false),
        (Type::Int, Type::Double) => Node::IntAsDouble,
        (Type::Int, Type::Float) => Node::IntAsFloat,
        (Type::Long, Type::Double) => Node::LongAsDouble,
        (Type::Long, Type::Float) => Node::LongAsFloat,
        (Type::Float, Type::Float | Type::Double) => Node::Float,
        (Type::Double, Type::Double) => Node::Double,
        (Type::String | Type::Bytes, Type::String) => Node::String,
        (Type::String | Type::Bytes, Type::Uuid(None)) => Node::Uuid,
        (Type::String | Type::Bytes, Type::Bytes) => Node::Bytes,
        (Type::Bytes, Type::Decimal(wanted)) => decimal(wanted, None),
        _ => return None,
    })
}
