//! Whether a value is what its shape promises.

use signalstream::record::{Shape, StructShape, Text, Value};

/// Whether a value is of a shape.
pub(crate) fn fits(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Shape::Any, _) | (Shape::Optional(_) | Shape::Null, Value::Null) => true,
        (Shape::Optional(inner), value) => fits(value, inner),
        (Shape::Bool, Value::Bool(_)) | (Shape::Int, Value::Int(_)) | (Shape::UInt, Value::UInt(_)) => true,
        (Shape::Double, Value::Double(_)) | (Shape::String, Value::String(_)) => true,
        (Shape::Enum(enumeration), Value::String(symbol)) => enumeration.symbols.contains(symbol),
        (Shape::Bytes, Value::Bytes(_))
        | (Shape::Timestamp, Value::Timestamp(_))
        | (Shape::Duration, Value::Duration(_))
        | (Shape::Decimal, Value::Decimal(_)) => true,
        (Shape::Temporal(unit), Value::Temporal(time)) => time.unit == *unit,
        (Shape::Recursive(_), value) => fits(value, &shape.resolved()),
        (Shape::Union(union), value) => union.branches().iter().any(|branch| fits(value, branch)),
        (Shape::List(element), Value::List(elements)) => elements.iter().all(|value| fits(value, element)),
        (Shape::Map(inner), Value::Map(map)) => map.values().all(|value| fits(value, inner)),
        (Shape::Struct(shape), Value::Struct(fields)) => {
            names(shape) == names(fields.shape())
                && fields.values().iter().zip(shape.fields()).all(|(value, field)| fits(value, &field.shape))
        }
        _ => false,
    }
}

fn names(shape: &StructShape) -> Vec<Text> {
    shape.fields().iter().map(|field| field.name.clone()).collect()
}
