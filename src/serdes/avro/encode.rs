//! Writes values as a compiled writer says.

use std::sync::Arc;

use super::choose;
use super::decode::is_uuid;
use super::schema::{DecimalType, EnumType};
use super::writer::{FieldWrite, RecordWrite, Write};
use crate::record::{Decimal, StructValue, Temporal, TemporalKind, TemporalUnit, Value};
use crate::serdes::cursor::put_zigzag;
use crate::serdes::error::{Entry, Index, SerdeError, nearest, suggestion};
use crate::serdes::json::describe;

/// Appends a value. On an error `out` holds part of it; the caller cuts it off.
pub(super) fn write(write: &Write, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match (write, value) {
        (Write::Null, Value::Null) => {}
        (Write::Boolean, Value::Bool(boolean)) => out.push(u8::from(*boolean)),
        (Write::Long, Value::Int(number) | Value::Timestamp(number) | Value::Duration(number)) => {
            put_zigzag(*number, out);
        }
        (Write::Timestamp, Value::Timestamp(number) | Value::Int(number)) => put_zigzag(*number, out),
        (Write::Int, Value::Int(number) | Value::Duration(number)) => match i32::try_from(*number) {
            Ok(_) => put_zigzag(*number, out),
            Err(_) => return Err(SerdeError::value("", format!("{number} does not fit an int of 32 bits"))),
        },
        (Write::Int | Write::Long, Value::UInt(number)) => match i64::try_from(*number) {
            Ok(number) => return self::write(write, &Value::Int(number), out),
            Err(_) => return Err(SerdeError::value("", format!("{number} does not fit a long of 64 bits"))),
        },
        (Write::Double, Value::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Write::Double, Value::Int(number)) => out.extend_from_slice(&(*number as f64).to_le_bytes()),
        (Write::Double, Value::UInt(number)) => out.extend_from_slice(&(*number as f64).to_le_bytes()),
        (Write::Float, Value::Double(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
        (Write::Float, Value::Int(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
        (Write::Float, Value::UInt(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
        (Write::String, Value::String(text)) => put_sized(text.as_bytes(), out),
        (Write::Bytes, Value::Bytes(bytes)) => put_sized(bytes, out),
        (Write::Fixed(size), Value::Bytes(bytes)) if bytes.len() == *size => out.extend_from_slice(bytes),
        (Write::Fixed(size), Value::Bytes(bytes)) => {
            return Err(SerdeError::value("", format!("expected exactly {size} bytes, found {}", bytes.len())));
        }
        (Write::Enum(enumeration), Value::String(symbol)) => write_symbol(enumeration, symbol, out)?,
        (Write::Array(items), Value::List(values)) => write_items(items, values, out)?,
        (Write::Map(values), Value::Map(entries)) => {
            let entry_count = entries.len();
            let entries = entries.iter().map(|(key, value)| (key.as_ref(), value));
            write_entries(values, entry_count, entries, out)?;
        }
        (Write::Map(values), Value::Struct(fields)) => {
            let entries = fields.iter().map(|(name, value)| (name.as_ref(), value));
            write_entries(values, fields.values().len(), entries, out)?;
        }
        (Write::Nullable { null_index, .. }, Value::Null) => put_zigzag(*null_index, out),
        (Write::Nullable { null_index, other }, value) => {
            put_zigzag(1 - null_index, out);
            self::write(other, value, out)?;
        }
        (Write::Record(record), _) => write_record(record, value, out)?,
        _ => return write_rarer(write, value, out),
    }
    Ok(())
}

fn write_rarer(write: &Write, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match (write, value) {
        (Write::Union { branches, chosen }, value) => {
            let index = match chosen {
                Some(index) => *index,
                None => choose::by_value(branches, value)
                    .map_err(|why| SerdeError::value("", format!("{why}: {}", describe(value))))?,
            };
            put_zigzag(index as i64, out);
            branches.get(index).map_or(Ok(()), |branch| self::write(branch, value, out))
        }
        (Write::Kept { root, .. }, value) => self::write(root, value, out),
        (Write::Recursive(reference), value) => match reference.get() {
            Some(record) => write_record(&record, value, out),
            None => Err(SerdeError::value("", "a default that contains its own record is not supported")),
        },
        (Write::Temporal(unit), value) => write_time(*unit, value, out),
        (Write::Decimal(decimal), value) => write_decimal(decimal, value, out),
        (Write::Uuid { fixed }, Value::String(text)) => match (uuid_bytes(text), fixed) {
            (Some(bytes), true) => {
                out.extend_from_slice(&bytes);
                Ok(())
            }
            (Some(_), false) => {
                put_sized(text.as_bytes(), out);
                Ok(())
            }
            (None, _) => Err(SerdeError::value("", format!("{} is no UUID", describe(value)))),
        },
        (Write::Duration, value) => {
            for name in ["months", "days", "millis"] {
                match value.get(name) {
                    Some(Value::Int(number)) if u32::try_from(*number).is_ok() => {
                        out.extend_from_slice(&(*number as u32).to_le_bytes());
                    }
                    Some(_) => return Err(SerdeError::value(name, "expected a whole number from 0 to 4294967295")),
                    None => return Err(wrong_kind(write, value)),
                }
            }
            Ok(())
        }
        _ => Err(wrong_kind(write, value)),
    }
}

fn write_time(unit: TemporalUnit, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let time = match value {
        Value::Temporal(time) if time.unit == unit => Some(*time),
        Value::Temporal(time) => time.in_unit(unit),
        Value::Timestamp(millis) if unit.kind() == TemporalKind::Timestamp => {
            Temporal::of_nanos(unit, i128::from(*millis) * 1_000_000)
        }
        _ => None,
    };
    match time.filter(|time| !unit.is_int() || i32::try_from(time.count).is_ok()) {
        Some(time) => {
            put_zigzag(time.count, out);
            Ok(())
        }
        None => Err(SerdeError::value("", format!("{} is no {} without a loss", describe(value), unit.name()))),
    }
}

fn write_decimal(kind: &DecimalType, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let given = match value {
        Value::Decimal(decimal) => Some(*decimal),
        Value::Int(number) => Decimal::whole(i128::from(*number)),
        Value::UInt(number) => Decimal::whole(i128::from(*number)),
        _ => None,
    };
    let Some(given) = given else { return Err(wrong_kind(&Write::Decimal(Arc::new(kind.clone())), value)) };
    let fits = given.rescale(kind.scale).filter(|decimal| decimal.precision() as usize <= kind.precision);
    let Some(decimal) = fits else {
        let (precision, scale) = (kind.precision, kind.scale);
        let message = format!(
            "{given} does not fit a decimal of {precision} digits with {scale} behind the point; `decimal(x, {scale})` rounds"
        );
        return Err(SerdeError::value("", message));
    };
    let (word, start) = decimal.to_be_bytes();
    let digits = word.get(start..).unwrap_or_default();
    match &kind.fixed {
        None => put_sized(digits, out),
        Some(fixed) if digits.len() <= fixed.size => {
            let sign = if decimal.unscaled() < 0 { 0xff } else { 0 };
            out.resize(out.len() + fixed.size - digits.len(), sign);
            out.extend_from_slice(digits);
        }
        Some(fixed) => {
            return Err(SerdeError::value("", format!("{given} does not fit the {} bytes of the schema", fixed.size)));
        }
    }
    Ok(())
}

/// The sixteen bytes of a UUID.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    if !is_uuid(text.as_bytes()) {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

fn write_record(record: &RecordWrite, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    match value {
        Value::Struct(fields) => write_struct(record, fields, out),
        Value::Map(entries) => {
            let known = |name: &str| record.fields.iter().any(|field| field.name == name);
            refuse_unknown(record, entries.keys().map(|key| key.as_ref() as &str).find(|key| !known(key)))?;
            for field in &record.fields {
                write_field(record, field, entries.get(&field.name), out)?;
            }
            Ok(())
        }
        _ => {
            let message = format!("expected a record {}, found {}", record.name, value.kind());
            Err(SerdeError::value("", message))
        }
    }
}

fn write_items(items: &Write, values: &[Value], out: &mut Vec<u8>) -> Result<(), SerdeError> {
    if !values.is_empty() {
        put_zigzag(values.len().cast_signed() as i64, out);
    }
    for (index, value) in values.iter().enumerate() {
        write(items, value, out).map_err(|error| error.within(&Index(index)))?;
    }
    out.push(0);
    Ok(())
}

fn write_entries<'a>(
    values: &Write,
    count: usize,
    entries: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    if count > 0 {
        put_zigzag(count.cast_signed() as i64, out);
    }
    for (key, value) in entries {
        put_sized(key.as_bytes(), out);
        write(values, value, out).map_err(|error| error.within(&Entry(key)))?;
    }
    out.push(0);
    Ok(())
}

fn write_struct(record: &RecordWrite, fields: &StructValue, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let exact = record.promised.as_ref().is_some_and(|shape| Arc::ptr_eq(shape, fields.shape()));
    if exact {
        // Nothing unknown can be in it: the plan was checked with this very shape.
        for field in &record.fields {
            write_field(record, field, field.slot.and_then(|slot| fields.values().get(slot)), out)?;
        }
        return Ok(());
    }
    let shape = fields.shape();
    let known = |name: &str| record.fields.iter().any(|field| field.name == name);
    refuse_unknown(record, shape.fields().iter().map(|field| field.name.as_ref()).find(|name| !known(name)))?;
    for field in &record.fields {
        let likely = field.slot.filter(|slot| shape.fields().get(*slot).is_some_and(|given| given.name == field.name));
        let slot = likely.or_else(|| shape.index_of(&field.name));
        write_field(record, field, slot.and_then(|slot| fields.values().get(slot)), out)?;
    }
    Ok(())
}

#[inline]
fn write_field(
    record: &RecordWrite,
    field: &FieldWrite,
    value: Option<&Value>,
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    match (value, &field.default) {
        (Some(value), _) => write(&field.write, value, out).map_err(|error| error.within(&field.name)),
        (None, Some(default)) => {
            out.extend_from_slice(default);
            Ok(())
        }
        (None, None) => {
            let message = format!("the field is missing; {} has no default for it", record.name);
            Err(SerdeError::value(field.name.to_string(), message))
        }
    }
}

fn refuse_unknown(record: &RecordWrite, unknown: Option<&str>) -> Result<(), SerdeError> {
    let Some(unknown) = unknown else { return Ok(()) };
    let hint = suggestion(&nearest(unknown, record.fields.iter().map(|field| field.name.as_ref() as &str)));
    Err(SerdeError::value(unknown, format!("{} has no such field{hint}", record.name)))
}

fn write_symbol(enumeration: &EnumType, symbol: &str, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let symbols = &enumeration.shape.symbols;
    match symbols.iter().position(|known| known == symbol) {
        Some(index) => {
            put_zigzag(index as i64, out);
            Ok(())
        }
        None => {
            let name = &enumeration.names.name;
            let known = symbols.iter().map(|symbol| symbol.as_ref() as &str).collect::<Vec<_>>().join(", ");
            Err(SerdeError::value("", format!("`{symbol}` is not a symbol of enum {name}, which has {known}")))
        }
    }
}

fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_zigzag(bytes.len().cast_signed() as i64, out);
    out.extend_from_slice(bytes);
}

#[cold]
fn wrong_kind(write: &Write, value: &Value) -> SerdeError {
    let expected = match write {
        Write::Null => "null",
        Write::Boolean => "a boolean",
        Write::Int => "an int",
        Write::Long => "a long",
        Write::Timestamp => "a timestamp",
        Write::Float => "a float",
        Write::Double => "a double",
        Write::String => "a string",
        Write::Bytes => "bytes",
        Write::Fixed(_) => "bytes of a fixed length",
        Write::Enum(_) => "a symbol of an enum",
        Write::Array(_) => "a list",
        Write::Map(_) => "a map",
        Write::Nullable { .. } => "a value or null",
        Write::Temporal(unit) => unit.name(),
        Write::Decimal(_) => "a decimal",
        Write::Uuid { .. } => "a UUID as text",
        Write::Duration => "a struct of months, days and millis",
        Write::Union { .. } => "a branch of a union",
        Write::Record(_) | Write::Recursive(_) | Write::Kept { .. } => "a record",
    };
    SerdeError::value("", format!("expected {expected}, found {}", describe(value)))
}
