//! Any bytes are JSON or an error; what was read is written and read back as the same.

use std::sync::LazyLock;

use bytes::Bytes;
use signalstream::record::{Fields, Shape};
use signalstream::serdes::{Format, SchemaRegistry, Serde, json};

use super::outcome;
use super::shapes::fits;

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let pair = Shape::structure("Pair", [("a", Shape::Int), ("b", Shape::list(Shape::Double).optional())]);
    let scalars = Shape::structure("Scalars", [("t", Shape::Timestamp), ("u", Shape::UInt), ("x", Shape::Bytes)]);
    vec![pair.clone(), scalars, Shape::map(pair), Shape::list(Shape::String.optional()), Shape::Duration, Shape::Any]
});

/// Reads a payload.
pub fn run(data: &[u8]) -> u64 {
    let serde = Serde::new(&Format::Json, &SchemaRegistry::new()).unwrap_or_else(|error| panic!("{error}"));
    let reader = serde.deserializer(&Fields::All);
    let value = match reader.deserialize(&Bytes::copy_from_slice(data)) {
        Ok(value) => value,
        Err(error) => return outcome::of([error.to_string().as_str()]),
    };
    let writer = serde.serializer(&Shape::Any).unwrap_or_else(|mismatches| panic!("{mismatches:?}"));
    let write = |value| {
        let mut out = Vec::new();
        writer.serialize(value, &mut out).unwrap_or_else(|error| panic!("{error}"));
        Bytes::from(out)
    };
    let written = write(&value);
    let read = reader.deserialize(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
    assert_eq!(write(&read), written);
    let tree = json::to_json(&value);
    let as_shape = |shape| match json::from_json(&tree, shape) {
        Ok(value) => {
            assert!(fits(&value, shape), "{value:?} is not {shape}");
            value.kind().to_owned()
        }
        Err(error) => error.to_string(),
    };
    let outcomes: Vec<String> = SHAPES.iter().map(as_shape).collect();
    outcome::of(outcomes.iter().map(String::as_str))
}
