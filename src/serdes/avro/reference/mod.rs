//! The compiled readers and writers against apache-avro's generic ones and against fastavro, on random schemas and values.

mod evolve;
mod fastavro;
mod plain;
mod resolution;
mod samples;

use std::sync::Arc;

use apache_avro::types::Value as Reference;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value as Json;

use self::plain::rename_whole;
use self::samples::{Kind, Random, kinds};
use crate::record::{Decimal, Fields, MapValue, Shape, StructShape, StructValue, Temporal, TemporalUnit, Text, Value};
use crate::serdes::{Format, SchemaRegistry, Serde};

/// A serde for `reader`, in a registry that knows `writer` too, and the frame of payloads `writer` wrote.
fn serde(writer: &Kind, reader: &Kind) -> (Serde, Vec<u8>) {
    serde_of(&writer.json(), &reader.json())
}

/// As [`serde`], of schemas as JSON.
fn serde_of(writer: &Json, reader: &Json) -> (Serde, Vec<u8>) {
    let both = |reader: &Json| {
        let mut registry = SchemaRegistry::new();
        registry.add("Writer.avsc", &writer.to_string()).unwrap();
        let added = registry.add("Reader.avsc", &reader.to_string());
        (added, registry)
    };
    let (mut added, mut registry) = both(reader);
    let told_apart = added.is_ok() && registry.id("Writer") != registry.id("Reader");
    if writer != reader && !told_apart {
        // They differ in logical types alone, of which an id says nothing.
        let mut renamed = reader.clone();
        rename_whole(&mut renamed);
        (added, registry) = both(&renamed);
    }
    added.unwrap();
    let mut frame = vec![0];
    frame.extend_from_slice(&registry.id("Writer").unwrap().to_be_bytes());
    (Serde::new(&Format::Avro("Reader".to_owned()), &registry).unwrap(), frame)
}

fn schema(kind: &Kind) -> apache_avro::Schema {
    apache_avro::Schema::parse(&kind.json()).unwrap()
}

/// A value of apache-avro as one of ours.
fn ours(value: &Reference, shape: &Shape) -> Value {
    let time = |unit, count| Value::Temporal(Temporal::new(unit, count));
    match value {
        Reference::Union(_, inner) => ours(inner, shape),
        Reference::Null => Value::Null,
        Reference::Boolean(boolean) => Value::Bool(*boolean),
        Reference::Int(number) => Value::Int(i64::from(*number)),
        Reference::Long(number) => Value::Int(*number),
        Reference::Float(number) => Value::Double(f64::from(*number)),
        Reference::Double(number) => Value::Double(*number),
        Reference::TimestampMillis(number) => Value::Timestamp(*number),
        Reference::Date(number) => time(TemporalUnit::Date, i64::from(*number)),
        Reference::TimeMillis(number) => time(TemporalUnit::TimeMillis, i64::from(*number)),
        Reference::TimeMicros(number) => time(TemporalUnit::TimeMicros, *number),
        Reference::TimestampMicros(number) => time(TemporalUnit::TimestampMicros, *number),
        Reference::TimestampNanos(number) => time(TemporalUnit::TimestampNanos, *number),
        Reference::LocalTimestampMillis(number) => time(TemporalUnit::LocalTimestampMillis, *number),
        Reference::LocalTimestampMicros(number) => time(TemporalUnit::LocalTimestampMicros, *number),
        Reference::LocalTimestampNanos(number) => time(TemporalUnit::LocalTimestampNanos, *number),
        Reference::Uuid(uuid) => Value::text(uuid.to_string()),
        // The scale is the schema's; digits alone are compared, by `without_scale`.
        Reference::Decimal(decimal) => {
            let bytes: Vec<u8> = decimal.try_into().unwrap();
            Value::Decimal(Decimal::from_be_bytes(&bytes, 0).unwrap())
        }
        Reference::Duration(duration) => super::decode::duration((*duration).into()),
        Reference::Bytes(bytes) | Reference::Fixed(_, bytes) => Value::Bytes(Bytes::from(bytes.clone())),
        Reference::String(text) | Reference::Enum(_, text) => Value::text(text.as_str()),
        Reference::Array(items) => {
            let element = alternative(shape, |shape| match shape {
                Shape::List(element) => Some(element.as_ref().clone()),
                _ => None,
            });
            Value::list(items.iter().map(|item| ours(item, &element)).collect())
        }
        Reference::Map(entries) => {
            let inner = alternative(shape, |shape| match shape {
                Shape::Map(inner) => Some(inner.as_ref().clone()),
                _ => None,
            });
            let entry = |(key, value): (&String, &Reference)| (Text::from(key.as_str()), ours(value, &inner));
            Value::Map(Arc::new(entries.iter().map(entry).collect::<MapValue>()))
        }
        Reference::Record(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            let has_these = |shape: &Arc<StructShape>| {
                shape.fields().iter().map(|field| field.name.as_ref() as &str).eq(names.iter().copied())
            };
            let record = alternative(shape, |shape| match shape {
                Shape::Struct(shape) if has_these(shape) => Some(Shape::Struct(Arc::clone(shape))),
                _ => None,
            });
            let Shape::Struct(shape) = record else { panic!("{record} is a record") };
            let values = fields.iter().zip(shape.fields()).map(|((_, value), field)| ours(value, &field.shape));
            Value::Struct(StructValue::new(Arc::clone(&shape), values.collect()))
        }
        other => panic!("{other:?} has no value of ours"),
    }
}

/// What is looked for among the alternatives of a shape.
fn alternative(shape: &Shape, wanted: impl Fn(&Shape) -> Option<Shape>) -> Shape {
    let found = shape.alternatives().iter().find_map(|branch| wanted(&branch.resolved()));
    found.unwrap_or_else(|| panic!("{shape} has no such alternative"))
}

/// The value with decimals as whole numbers: the reference's know no scale.
fn without_scale(value: &Value) -> Value {
    match value {
        Value::Decimal(decimal) => Value::Decimal(Decimal::new(decimal.unscaled(), 0).unwrap()),
        Value::List(items) => Value::list(items.iter().map(without_scale).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), without_scale(value)));
            Value::Map(Arc::new(entries.collect::<MapValue>()))
        }
        Value::Struct(fields) => {
            let values = fields.values().iter().map(without_scale).collect();
            Value::Struct(StructValue::new(Arc::clone(fields.shape()), values))
        }
        other => other.clone(),
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

/// What stands behind an id of a value as Avro has it: bytes that are the whole of it without their length.
fn sent<'d>(writer: &Kind, datum: &'d [u8]) -> &'d [u8] {
    let length = datum.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
    if writer.is_bytes() { &datum[length..] } else { datum }
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
        // A duration is read as one.
        (Value::Struct(fields_of), Fields::Some(_)) if fields_of.shape().name() != "duration" => {
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
        prop_assert_eq!(&without_scale(&read), &ours(&value, serde.shape()));

        for input in [serde.shape(), &Shape::Any] {
            let mut out = Vec::new();
            serde.serializer(input).unwrap().serialize(&read, &mut out).unwrap();
            if out != payload {
                // The reference keeps the length of a decimal; ours is the shortest.
                let again = apache_avro::from_avro_datum(&schema(&kind), &mut &out[frame.len()..], None).unwrap();
                prop_assert_eq!(&again, &value);
                prop_assert!(out.len() < payload.len());
            }
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
            // Long ones are cut here and there.
            for end in (0..payload.len()).step_by(1 + payload.len() / 100) {
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
