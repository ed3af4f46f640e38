//! A number that differs between shapes whose stored values differ.

use std::sync::Arc;

use crate::record::{Shape, StructShape};

/// 64-bit FNV-1a over these bytes, the kinds, the fields' names and the symbols of a shape.
pub(super) fn of(first: &[u8], shape: &Shape) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    hash_bytes(first, &mut hash);
    hash_shape(shape, &mut Vec::new(), &mut hash);
    hash
}

fn hash_bytes(bytes: &[u8], hash: &mut u64) {
    for byte in bytes {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

fn hash_text(text: &str, hash: &mut u64) {
    hash_bytes(&(text.len() as u64).to_le_bytes(), hash);
    hash_bytes(text.as_bytes(), hash);
}

fn kind_of(shape: &Shape) -> u8 {
    match shape {
        Shape::Any => 0,
        Shape::Never => 1,
        Shape::Null => 2,
        Shape::Bool => 3,
        Shape::Int => 4,
        Shape::UInt => 5,
        Shape::Double => 6,
        Shape::String => 7,
        Shape::Bytes => 8,
        Shape::Timestamp => 9,
        Shape::Duration => 10,
        Shape::Enum(_) => 11,
        Shape::List(_) => 12,
        Shape::Map(_) => 13,
        Shape::Struct(_) => 14,
        Shape::Optional(_) => 15,
        Shape::Decimal => 16,
        Shape::Temporal(_) => 17,
        Shape::Union(_) => 18,
        Shape::Recursive(_) => 19,
    }
}

/// `around` are the structs that the shape stands in, so that one which contains itself comes to an end.
fn hash_shape(shape: &Shape, around: &mut Vec<Arc<StructShape>>, hash: &mut u64) {
    if let Shape::Recursive(reference) = shape
        && let Some(target) = reference.target()
        && !around.iter().any(|other| Arc::ptr_eq(other, target))
    {
        return hash_shape(&Shape::Struct(Arc::clone(target)), around, hash);
    }
    hash_bytes(&[kind_of(shape)], hash);
    match shape {
        Shape::Enum(enumeration) => {
            hash_bytes(&(enumeration.symbols.len() as u64).to_le_bytes(), hash);
            enumeration.symbols.iter().for_each(|symbol| hash_text(symbol, hash));
        }
        Shape::List(inner) | Shape::Map(inner) | Shape::Optional(inner) => hash_shape(inner, around, hash),
        Shape::Struct(fields) => {
            around.push(Arc::clone(fields));
            hash_bytes(&(fields.fields().len() as u64).to_le_bytes(), hash);
            for field in fields.fields() {
                hash_text(&field.name, hash);
                hash_shape(&field.shape, around, hash);
            }
            around.pop();
        }
        Shape::Temporal(unit) => hash_text(unit.name(), hash),
        Shape::Union(union) => {
            hash_bytes(&(union.branches().len() as u64).to_le_bytes(), hash);
            union.branches().iter().for_each(|branch| hash_shape(branch, around, hash));
        }
        Shape::Recursive(reference) => {
            let levels = around
                .iter()
                .rev()
                .position(|shape| reference.target().is_some_and(|target| Arc::ptr_eq(target, shape)));
            hash_bytes(&(levels.unwrap_or_default() as u64).to_le_bytes(), hash);
        }
        _ => {}
    }
}
