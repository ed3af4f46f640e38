//! Stored values read back as they were written, and equal ones are equal bytes.

use proptest::prelude::*;

use super::*;
use crate::record::{EnumShape, RecursiveShape};

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Any),
        Just(Shape::Null),
        Just(Shape::Bool),
        Just(Shape::Int),
        Just(Shape::UInt),
        Just(Shape::Double),
        Just(Shape::String),
        Just(Shape::Bytes),
        Just(Shape::Timestamp),
        Just(Shape::Duration),
        Just(Shape::Decimal),
        prop::sample::select(TemporalUnit::ALL.to_vec()).prop_map(Shape::Temporal),
        Just(Shape::Enum(Arc::new(EnumShape { name: "E".to_owned(), symbols: vec!["A".into(), "B".into()] }))),
    ];
    leaf.prop_recursive(3, 24, 10, |inner| {
        prop_oneof![
            inner.clone().prop_map(Shape::list),
            inner.clone().prop_map(Shape::map),
            inner.clone().prop_map(Shape::optional),
            prop::collection::vec(inner.clone(), 1..5).prop_map(Shape::any_of),
            inner.clone().prop_map(recursive),
            prop::collection::vec(inner, 0..10).prop_map(|shapes| {
                Shape::structure("S", shapes.into_iter().enumerate().map(|(n, shape)| (format!("f{n}"), shape)))
            }),
        ]
    })
}

/// A struct that may have another one of its kind in it.
fn recursive(inner: Shape) -> Shape {
    let own = RecursiveShape::new("Again");
    let shape = Shape::structure("Again", [("own", Shape::Recursive(own.clone()).optional()), ("inner", inner)]);
    if let Shape::Struct(shape) = &shape {
        own.set(shape);
    }
    shape
}

fn decimals() -> impl Strategy<Value = Value> {
    (any::<i64>(), any::<i32>(), 0_u32..20)
        .prop_map(|(a, b, scale)| Value::Decimal(Decimal::new(i128::from(a) * i128::from(b), scale).unwrap()))
}

/// Any value at all.
fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (-1e9..1e9).prop_map(Value::Double),
        ".{0,6}".prop_map(Value::text),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Value::Bytes(Bytes::from(bytes))),
        any::<i64>().prop_map(Value::Timestamp),
        any::<i64>().prop_map(Value::Duration),
        decimals(),
        (prop::sample::select(TemporalUnit::ALL.to_vec()), any::<i64>())
            .prop_map(|(unit, count)| Value::Temporal(Temporal::new(unit, count))),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let entries = prop::collection::vec((".{0,3}".prop_map(Text::from), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::list),
            entries.prop_map(|entries| Value::Map(Arc::new(entries.into_iter().collect()))),
            prop::collection::vec(inner, 0..5).prop_map(|values| {
                let field = |n| Field { name: format!("f{n}").into(), shape: Shape::Any };
                let shape = StructShape::new("", (0..values.len()).map(field).collect());
                Value::Struct(StructValue::new(Arc::new(shape), values.into()))
            }),
        ]
    })
    .boxed()
}

/// Mostly values of the shape, with a null or something else here and there.
fn values(shape: &Shape) -> BoxedStrategy<Value> {
    let proper = match shape.required() {
        Shape::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Shape::Int => any::<i64>().prop_map(Value::Int).boxed(),
        Shape::UInt => any::<u64>().prop_map(Value::UInt).boxed(),
        Shape::Double => (-1e9..1e9).prop_map(Value::Double).boxed(),
        Shape::String => ".{0,6}".prop_map(Value::text).boxed(),
        Shape::Bytes => prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        Shape::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        Shape::Duration => any::<i64>().prop_map(Value::Duration).boxed(),
        Shape::Decimal => decimals().boxed(),
        Shape::Temporal(unit) => {
            let unit = *unit;
            any::<i64>().prop_map(move |count| Value::Temporal(Temporal::new(unit, count))).boxed()
        }
        Shape::Union(union) => {
            let branches: Vec<_> = union.branches().iter().map(values).collect();
            prop::strategy::Union::new(branches).boxed()
        }
        // Inside the struct that it refers to: one more, and no further.
        Shape::Recursive(reference) => {
            let shape = Arc::clone(reference.target().unwrap());
            let inner = shape.fields().get(1).map_or(Just(Value::Null).boxed(), |field| values(&field.shape));
            inner
                .prop_map(move |inner| Value::Struct(StructValue::new(Arc::clone(&shape), [Value::Null, inner].into())))
                .boxed()
        }
        Shape::Enum(shape) => prop::sample::select(shape.symbols.clone()).prop_map(Value::String).boxed(),
        Shape::List(element) => prop::collection::vec(values(element), 0..5).prop_map(Value::list).boxed(),
        Shape::Map(inner) => prop::collection::vec((".{0,3}".prop_map(Text::from), values(inner)), 0..5)
            .prop_map(|entries| Value::Map(Arc::new(entries.into_iter().collect())))
            .boxed(),
        Shape::Struct(shape) => {
            let shape = Arc::clone(shape);
            let fields: Vec<_> = shape.fields().iter().map(|field| values(&field.shape)).collect();
            fields.prop_map(move |values| Value::Struct(StructValue::new(Arc::clone(&shape), values.into()))).boxed()
        }
        _ => anything(),
    };
    prop_oneof![20 => proper, 2 => Just(Value::Null), 1 => anything()].boxed()
}

fn sample() -> impl Strategy<Value = (Shape, Value)> {
    shapes().prop_flat_map(|shape| {
        let values = values(&shape);
        (Just(shape), values)
    })
}

/// An equal value whose maps have their entries, and structs their fields, the other way round.
fn turned(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::list(items.iter().map(turned).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().rev().map(|(key, value)| (key.clone(), turned(value)));
            Value::Map(Arc::new(entries.collect()))
        }
        Value::Struct(fields) => {
            let mut pairs: Vec<_> = fields.iter().collect();
            pairs.reverse();
            let shape = pairs.iter().map(|(name, _)| Field { name: (*name).clone(), shape: Shape::Any }).collect();
            let values = pairs.iter().map(|(_, value)| turned(value)).collect();
            Value::Struct(StructValue::new(Arc::new(StructShape::new("", shape)), values))
        }
        other => other.clone(),
    }
}

fn stored(codec: &Codec, timestamp: Timestamp, value: &Value) -> Bytes {
    let mut out = Vec::new();
    codec.encode(timestamp, value, &mut out);
    Bytes::from(out)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_was_stored_reads_back((shape, value) in sample(), timestamp: i64) {
        for codec in [Codec::new(&shape), Codec::for_keys(&shape)] {
            let bytes = stored(&codec, timestamp, &value);
            let (read_timestamp, read) = codec.decode(&bytes).unwrap();
            prop_assert_eq!((read_timestamp, &read), (timestamp, &value));
            prop_assert_eq!(stored(&codec, timestamp, &read), bytes);
        }
    }

    #[test]
    fn equal_keys_are_equal_bytes((shape, value) in sample()) {
        let codec = Codec::for_keys(&shape);
        let other = turned(&value);
        prop_assert_eq!(&other, &value);
        prop_assert_eq!(stored(&codec, 0, &other), stored(&codec, 0, &value));
    }

    #[test]
    fn damaged_bytes_are_errors_and_never_panics(
        (shape, value) in sample(),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        at: prop::sample::Index,
    ) {
        let codec = Codec::new(&shape);
        let bytes = stored(&codec, 1, &value);
        for end in 0..bytes.len() {
            prop_assert!(codec.decode(&bytes.slice(..end)).is_err(), "cut at {}", end);
        }
        let mut damaged = bytes.to_vec();
        if let Some(byte) = damaged.get_mut(at.index(bytes.len())) {
            *byte = byte.wrapping_add(1);
        }
        drop(codec.decode(&Bytes::from(damaged)));
        drop(codec.decode(&Bytes::from([&[VERSION], noise.as_slice()].concat())));
    }
}

#[test]
fn an_aggregate_is_stored_in_few_bytes() {
    let shape =
        Shape::structure("", [("count", Shape::Int), ("label", Shape::String), ("worst", Shape::Int.optional())]);
    let Shape::Struct(fields) = &shape else { panic!("a struct") };
    let values = [Value::Int(3), Value::from("ok"), Value::Null].into();
    let value = Value::Struct(StructValue::new(Arc::clone(fields), values));
    // Version, timestamp, mark, bits, 3, length and "ok", null.
    assert_eq!(stored(&Codec::new(&shape), 0, &value).as_ref(), [1, 0, 0, 4, 6, 2, b'o', b'k', 1]);
}

#[test]
fn decimals_of_equal_worth_are_one_key() {
    let key = |text| {
        let value = Value::Decimal(Decimal::parse(text).unwrap());
        stored(&Codec::for_keys(&Shape::Decimal), 0, &value)
    };
    assert_eq!(key("1.50"), key("1.5"));
    assert_ne!(key("1.51"), key("1.5"));
    let kept = stored(&Codec::new(&Shape::Decimal), 0, &Value::Decimal(Decimal::parse("1.50").unwrap()));
    let (_, read) = Codec::new(&Shape::Decimal).decode(&kept).unwrap();
    let Value::Decimal(read) = read else { panic!("a decimal") };
    assert_eq!(read.to_string(), "1.50");
}

#[test]
fn the_order_of_a_map_survives() {
    let map: MapValue =
        [("b", 1), ("a", 2)].map(|(key, number)| (Text::from(key), Value::Int(number))).into_iter().collect();
    let codec = Codec::new(&Shape::Any);
    let (_, read) = codec.decode(&stored(&codec, 0, &Value::Map(Arc::new(map)))).unwrap();
    let Value::Map(entries) = read else { panic!("a map") };
    assert_eq!(entries.keys().map(|key| key.to_string()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_nesting_that_no_value_has_is_refused() {
    let mut bytes = vec![VERSION, 0, PLAIN];
    (0..100_000).for_each(|_| bytes.extend_from_slice(&[9, 1]));
    let error = Codec::new(&Shape::Any).decode(&Bytes::from(bytes)).unwrap_err().to_string();
    assert!(error.contains("nested more than 512 levels deep at byte"), "{error}");
}

#[test]
fn another_version_is_named() {
    let error = Codec::new(&Shape::Int).decode(&Bytes::from_static(&[9, 0, 0])).unwrap_err().to_string();
    assert!(error.starts_with("a stored value of format version 9"), "{error}");
}

#[test]
fn shapes_stored_differently_have_different_fingerprints() {
    let fingerprint = |shape: Shape| Codec::new(&shape).fingerprint();
    let shapes = [
        Shape::Int,
        Shape::Timestamp,
        Shape::list(Shape::Int),
        Shape::structure("", [("a", Shape::Int)]),
        Shape::structure("", [("b", Shape::Int)]),
        Shape::structure("", [("a", Shape::Int), ("b", Shape::Int)]),
        Shape::structure("", [("a", Shape::structure("", [("b", Shape::Int)]))]),
        Shape::Decimal,
        Shape::Temporal(TemporalUnit::TimestampMicros),
        Shape::Temporal(TemporalUnit::TimestampNanos),
        Shape::any_of([Shape::Int, Shape::String]),
        Shape::any_of([Shape::String, Shape::Int]),
        recursive(Shape::Int),
        recursive(Shape::String),
    ];
    let distinct: std::collections::HashSet<u64> = shapes.iter().cloned().map(fingerprint).collect();
    assert_eq!(distinct.len(), shapes.len());
    assert_eq!(
        fingerprint(Shape::structure("X", [("a", Shape::Int)])),
        fingerprint(Shape::structure("", [("a", Shape::Int)]))
    );
}
