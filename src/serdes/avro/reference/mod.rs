//! The compiled readers and writers against apache-avro's generic ones, on random schemas and values.

mod samples;

use std::sync::Arc;

use apache_avro::types::Value as Reference;
use bytes::Bytes;
use proptest::prelude::*;

use self::samples::{Kind, Random, kinds};
use crate::record::{Fields, MapValue, Shape, StructValue, Text, Value};
use crate::serdes::{Format, SchemaRegistry, Serde};

/// A serde for `reader`, in a registry that knows `writer` too, and the frame of payloads `writer` wrote.
fn serde(writer: &Kind, reader: &Kind) -> (Serde, Vec<u8>) {
    let mut registry = SchemaRegistry::new();
    registry.add("Writer.avsc", &writer.json().to_string()).unwrap();
    registry.add("Reader.avsc", &reader.json().to_string()).unwrap();
    let mut frame = vec![0];
    frame.extend_from_slice(&registry.id("Writer").unwrap().to_be_bytes());
    (Serde::new(&Format::Avro("Reader".to_owned()), &registry).unwrap(), frame)
}

fn schema(kind: &Kind) -> apache_avro::Schema {
    apache_avro::Schema::parse(&kind.json()).unwrap()
}

/// A value of apache-avro as one of ours.
fn ours(value: &Reference, shape: &Shape) -> Value {
    match (value, shape.required()) {
        (Reference::Union(_, inner), _) => ours(inner, shape),
        (Reference::Null, _) => Value::Null,
        (Reference::Boolean(boolean), _) => Value::Bool(*boolean),
        (Reference::Int(number), _) => Value::Int(i64::from(*number)),
        (Reference::Long(number), _) => Value::Int(*number),
        (Reference::Float(number), _) => Value::Double(f64::from(*number)),
        (Reference::Double(number), _) => Value::Double(*number),
        (Reference::TimestampMillis(number), _) => Value::Timestamp(*number),
        (Reference::Bytes(bytes) | Reference::Fixed(_, bytes), _) => Value::Bytes(Bytes::from(bytes.clone())),
        (Reference::String(text) | Reference::Enum(_, text), _) => Value::text(text.as_str()),
        (Reference::Array(items), Shape::List(element)) => {
            Value::list(items.iter().map(|item| ours(item, element)).collect())
        }
        (Reference::Map(entries), Shape::Map(inner)) => {
            let entry = |(key, value): (&String, &Reference)| (Text::from(key.as_str()), ours(value, inner));
            Value::Map(Arc::new(entries.iter().map(entry).collect::<MapValue>()))
        }
        (Reference::Record(fields), Shape::Struct(shape)) => {
            let values = fields.iter().zip(shape.fields()).map(|((_, value), field)| ours(value, &field.shape));
            Value::Struct(StructValue::new(Arc::clone(shape), values.collect()))
        }
        other => panic!("{other:?} has no value of ours"),
    }
}

/// A kind, and the payload of a random value of it without a frame.
fn written(seed: u64, kind: &Kind) -> (Reference, Vec<u8>) {
    let value = kind.value(&mut Random(seed | 1));
    let datum = apache_avro::to_avro_datum(&schema(kind), value.clone()).unwrap();
    (value, datum)
}

fn framed(frame: &[u8], datum: &[u8]) -> Bytes {
    Bytes::from([frame, datum].concat())
}

fn some_fields(shape: &Shape, random: &mut Random) -> Fields {
    let Shape::Struct(shape) = shape.required() else { return Fields::All };
    let mut fields = Fields::none();
    for field in shape.fields().iter().filter(|_| random.below(2) == 0).collect::<Vec<_>>() {
        let inner = some_fields(&field.shape, random);
        if let Fields::Some(named) = &mut fields {
            named.insert(field.name.to_string(), inner);
        }
    }
    fields
}

/// The value with everything that is not among the fields made null.
fn project(value: &Value, fields: &Fields) -> Value {
    match (value, fields) {
        (Value::Struct(fields_of), Fields::Some(_)) => {
            let kept = fields_of.iter().map(|(name, value)| match fields.of(name) {
                Some(inner) => project(value, inner),
                None => Value::Null,
            });
            Value::Struct(StructValue::new(Arc::clone(fields_of.shape()), kept.collect()))
        }
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn reading_and_writing_agree_with_the_reference(kind in kinds(), seed: u64) {
        let (value, datum) = written(seed, &kind);
        let (serde, frame) = serde(&kind, &kind);
        let payload = framed(&frame, &datum);
        let read = serde.deserializer(&Fields::All).deserialize(&payload).unwrap();
        prop_assert_eq!(&read, &ours(&value, serde.shape()));

        for input in [serde.shape(), &Shape::Any] {
            let mut out = Vec::new();
            serde.serializer(input).unwrap().serialize(&read, &mut out).unwrap();
            prop_assert_eq!(&out, &payload);
        }
    }

    #[test]
    fn reading_what_another_schema_wrote_agrees_with_the_reference(kind in kinds(), seed: u64) {
        let (_, datum) = written(seed, &kind);
        let evolved = kind.evolve(&mut Random(seed.rotate_left(17) | 1));
        let (serde, frame) = serde(&kind, &evolved);
        let read = serde.deserializer(&Fields::All).deserialize(&framed(&frame, &datum));
        let reference = apache_avro::from_avro_datum(&schema(&kind), &mut datum.as_slice(), Some(&schema(&evolved)));
        match (read, reference) {
            (Ok(read), Ok(reference)) => prop_assert_eq!(read, ours(&reference, serde.shape())),
            (Err(error), Ok(reference)) => prop_assert!(false, "{} where the reference reads {:?}", error, reference),
            // The reference fails on some unions that the specification lets it resolve.
            (_, Err(_)) => {}
        }
    }

    #[test]
    fn the_fields_in_use_are_read_as_in_the_whole(kind in kinds(), seed: u64) {
        let (_, datum) = written(seed, &kind);
        let evolved = kind.evolve(&mut Random(seed | 1));
        for reader in [&kind, &evolved] {
            let (serde, frame) = serde(&kind, reader);
            let payload = framed(&frame, &datum);
            if let Ok(whole) = serde.deserializer(&Fields::All).deserialize(&payload) {
                let fields = some_fields(serde.shape(), &mut Random(seed.rotate_left(29) | 1));
                let part = serde.deserializer(&fields).deserialize(&payload).unwrap();
                prop_assert_eq!(part, project(&whole, &fields));
            }
        }
    }

    #[test]
    fn every_truncation_and_every_extension_is_an_error(kind in kinds(), seed: u64) {
        let (_, datum) = written(seed, &kind);
        let (serde, frame) = serde(&kind, &kind);
        let payload = framed(&frame, &datum);
        for fields in [Fields::All, Fields::none()] {
            let deserializer = serde.deserializer(&fields);
            for end in 0..payload.len() {
                prop_assert!(deserializer.deserialize(&payload.slice(..end)).is_err(), "cut at {}", end);
            }
            prop_assert!(deserializer.deserialize(&framed(&payload, b"\0")).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(kind in kinds(), seed: u64, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_, datum) = written(seed, &kind);
        let (serde, frame) = serde(&kind, &kind);
        let mut damaged = datum.clone();
        let mut random = Random(seed | 1);
        for byte in damaged.iter_mut() {
            if random.below(8) == 0 {
                *byte ^= 1 << random.below(8);
            }
        }
        for fields in [Fields::All, Fields::none()] {
            let deserializer = serde.deserializer(&fields);
            for body in [&damaged, &noise] {
                let payload = framed(&frame, body);
                if let Ok(value) = deserializer.deserialize(&payload) && fields == Fields::All {
                    serde.serializer(serde.shape()).unwrap().serialize(&value, &mut Vec::new()).unwrap();
                }
            }
            drop(deserializer.deserialize(&Bytes::from(noise.clone())));
        }
    }
}
