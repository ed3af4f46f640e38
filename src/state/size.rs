//! How much memory a decoded value takes, estimated fast enough for every put.

use crate::record::{Shape, Value};

/// What a shared allocation takes beside its values: two counts, and what it is rounded up by.
const SHARED: usize = 24;

/// Elements of a list or map that are looked at; the rest is taken to be like them.
const SAMPLE: usize = 8;

/// About how many bytes `value` takes on the heap. Looks at a bounded number of elements per list.
pub(super) fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.heap_bytes(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) => SHARED + values_bytes(values.iter(), values.len()),
        Value::Struct(fields) => SHARED + values_bytes(fields.values().iter(), 0),
        Value::Map(entries) => {
            let names = entries.keys().take(SAMPLE).map(|name| name.heap_bytes() + 2 * size_of::<Value>());
            scaled(names.sum(), entries.len()) + values_bytes(entries.values(), entries.len())
        }
        _ => 0,
    }
}

/// `count` 0 means: look at all of them.
fn values_bytes<'a>(values: impl Iterator<Item = &'a Value>, count: usize) -> usize {
    let looked_at = if count == 0 { usize::MAX } else { SAMPLE };
    let sum = values.take(looked_at).map(|value| size_of::<Value>() + heap_bytes(value)).sum();
    scaled(sum, count)
}

fn scaled(sample: usize, count: usize) -> usize {
    if count > SAMPLE { sample / SAMPLE * count } else { sample }
}

/// Whether values of this shape may share the buffer that they were decoded from, and so keep it in memory.
pub(super) fn shares_buffers(shape: &Shape) -> bool {
    match shape {
        Shape::Any | Shape::String | Shape::Bytes | Shape::Enum(_) | Shape::Map(_) => true,
        Shape::List(inner) | Shape::Optional(inner) => shares_buffers(inner),
        Shape::Union(union) => union.branches().iter().any(shares_buffers),
        // What it refers to stands around it and is looked at there.
        Shape::Recursive(_) => true,
        Shape::Struct(shape) => shape.fields().iter().any(|field| shares_buffers(&field.shape)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_estimated_from_their_first_elements() {
        let list = Value::list((0..1_000).map(|_| Value::from("0123456789")).collect());
        assert_eq!(heap_bytes(&list), SHARED + 1_000 * (size_of::<Value>() + 10));
        assert_eq!(heap_bytes(&Value::Int(1)), 0);
        assert_eq!(heap_bytes(&Value::list(Vec::new())), SHARED);
    }

    #[test]
    fn only_values_with_text_or_bytes_share_buffers() {
        assert!(!shares_buffers(&Shape::structure("", [("count", Shape::Int), ("mean", Shape::Double.optional())])));
        assert!(shares_buffers(&Shape::list(Shape::structure("", [("name", Shape::String)]))));
    }
}
