//! What is wrong with a payload or a value, in the words a person reads in a dead letter.

mod types;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::record::{Fields, MapValue, Shape, StructValue, Text, Value};
use crate::serdes::cursor::put_zigzag;
use crate::serdes::{Format, SchemaRegistry, Serde, SerdeError};

const MESSAGE: &str = include_str!("../../../schemas/MessageCreated.avsc");

fn registry(schemas: &[(&str, &str)]) -> SchemaRegistry {
    let mut registry = SchemaRegistry::new();
    for (name, schema) in schemas {
        registry.add(&format!("{name}.avsc"), schema).unwrap();
    }
    registry
}

fn serde(registry: &SchemaRegistry, name: &str) -> Serde {
    Serde::new(&Format::Avro(name.to_owned()), registry).unwrap()
}

fn only(schema: &str) -> (SchemaRegistry, Serde) {
    let registry = registry(&[("Only", schema)]);
    let serde = serde(&registry, "Only");
    (registry, serde)
}

fn payload(registry: &SchemaRegistry, writer: &str, body: &[u8]) -> Bytes {
    let mut payload = vec![0];
    payload.extend_from_slice(&registry.id(writer).unwrap().to_be_bytes());
    payload.extend_from_slice(body);
    Bytes::from(payload)
}

/// What is said of a payload of this body.
fn refused(schema: &str, body: &[u8]) -> String {
    let (registry, serde) = only(schema);
    serde.deserializer(&Fields::All).deserialize(&payload(&registry, "Only", body)).unwrap_err().to_string()
}

fn field(kind: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {kind}}}]}}"#)
}

fn message(serde: &Serde) -> Value {
    let json = json!({
        "message_id": "m1", "conversation_id": "c1", "tenant_id": "t1", "sender": "customer",
        "message": "My parcel never came.", "channel": "chat", "timestamp": 1_700_000_000_000_i64
    });
    crate::serdes::json::from_json(&json, serde.shape()).unwrap()
}

fn written(serde: &Serde, value: &Value) -> Bytes {
    let mut out = Vec::new();
    serde.serializer(serde.shape()).unwrap().serialize(value, &mut out).unwrap();
    Bytes::from(out)
}

#[test]
fn each_fault_of_a_payload_is_named_with_field_and_byte() {
    let string = field(r#""string""#);
    let cases = [
        (refused(&string, &[80, b'x', b'y']), "f: 40 bytes announced but only 2 remain at byte 5"),
        (refused(&string, &[3]), "f: a length of -2 announced at byte 5"),
        (refused(&string, &[4, b'x', 0xff]), "f: the text is not valid UTF-8 at byte 7"),
        (refused(&string, &[]), "f: the payload ends where 1 more bytes were expected at byte 5"),
        (refused(&string, &[0, 9, 9]), "2 bytes are left over after the value, the first at byte 6"),
        (refused(&field(r#""boolean""#), &[2]), "f: expected a boolean, which is 0 or 1, found the byte 2 at byte 5"),
        (refused(&field(r#""double""#), &[1; 3]), "f: the payload ends where 5 more bytes were expected at byte 8"),
        (refused(&field(r#""long""#), &[0xff; 11]), "f: an integer longer than 64 bits at byte 5"),
        (
            refused(&field(r#""int""#), &[0x80, 0x80, 0x80, 0x80, 0x10]),
            "f: the int 2147483648 does not fit 32 bits at byte 5",
        ),
        (refused(&field(r#"["null", "long"]"#), &[4]), "f: the union has 2 branches, found the index 2 at byte 5"),
        (
            refused(&field(r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#), &[6]),
            "f: enum E has 2 symbols, found the index 3 at byte 5",
        ),
        (
            refused(&field(r#"{"type": "array", "items": "string"}"#), &[4, 2, b'x', 20]),
            "f[1]: 10 bytes announced but only 0 remain at byte 8",
        ),
        (
            refused(&field(r#"{"type": "map", "values": "boolean"}"#), &[2, 2, b'k', 7]),
            "f[\"k\"]: expected a boolean, which is 0 or 1, found the byte 7 at byte 8",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn a_frame_that_is_not_ours_is_refused() {
    let (registry, serde) = only(&field(r#""long""#));
    let said = |payload: &'static [u8]| {
        serde.deserializer(&Fields::All).deserialize(&Bytes::from_static(payload)).unwrap_err().to_string()
    };
    assert_eq!(said(b""), "the payload ends where 1 more bytes were expected at byte 0");
    assert_eq!(
        said(b"{\"a\": 1}"),
        "expected the byte 0, or 1, that starts a payload with a schema id, found 123 at byte 0"
    );
    assert_eq!(
        said(b"\0\0\0\0\x07\x02"),
        "it was written with schema id 7, which no known schema has; add the writer's schema to the schemas"
    );
    assert!(registry.id("Only").is_some());
}

#[test]
fn a_lying_count_is_refused_before_anything_is_allocated() {
    let mut huge = Vec::new();
    put_zigzag(i64::MAX, &mut huge);
    let said = refused(&field(r#"{"type": "array", "items": "long"}"#), &huge);
    assert_eq!(said, format!("f: {} items announced but only 0 bytes remain at byte 5", i64::MAX));
    let mut lowest = Vec::new();
    put_zigzag(i64::MIN, &mut lowest);
    lowest.push(0);
    assert!(refused(&field(r#"{"type": "map", "values": "null"}"#), &lowest).contains("items announced"));
    let nothing = r#"{"type": "array", "items": {"type": "record", "name": "Nothing", "fields": []}}"#;
    assert!(refused(&field(nothing), &huge).contains("items that take no bytes"));
    // Many honest-looking blocks must not add up to what one may not say.
    let mut blocks = Vec::new();
    (0..3).for_each(|_| put_zigzag(60_000, &mut blocks));
    assert!(refused(&field(nothing), &blocks).contains("items that take no bytes"));
}

#[test]
fn blocks_that_say_their_size_are_read_and_passed_over() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "list", "type": {"type": "array", "items": "long"}}, {"name": "after", "type": "long"}]}"#;
    let (registry, serde) = only(schema);
    // Two blocks, [1, 2] in two bytes and [3]; then `after` = 4.
    let body = [3, 4, 2, 4, 2, 6, 0, 8];
    let payload = payload(&registry, "Only", &body);
    let whole = serde.deserializer(&Fields::All).deserialize(&payload).unwrap();
    assert_eq!(whole.get("list"), Some(&Value::list(vec![Value::Int(1), Value::Int(2), Value::Int(3)])));
    let part = serde.deserializer(&Fields::path(&["after"])).deserialize(&payload).unwrap();
    assert_eq!((part.get("list"), part.get("after")), (Some(&Value::Null), Some(&Value::Int(4))));
    assert_eq!(
        refused(schema, &[3, 6, 2, 4, 0, 8]),
        "list: a block of 3 bytes announced, but its items take 2 at byte 7"
    );
}

#[test]
fn text_shares_the_payload() {
    let registry = registry(&[("MessageCreated", MESSAGE)]);
    let serde = serde(&registry, "ai.signalstream.events.MessageCreated");
    let payload = written(&serde, &message(&serde));
    let read = serde.deserializer(&Fields::path(&["message"])).deserialize(&payload).unwrap();
    let text = read.get("message").and_then(Value::as_str).unwrap();
    assert!(payload.as_ptr_range().contains(&text.as_ptr()));
    assert_eq!(read.get("message_id"), Some(&Value::Null));
}

#[test]
fn fifty_megabytes_are_read_and_written() {
    let (_, serde) = only(&field(r#"{"type": "array", "items": "string"}"#));
    let text = Value::text("0123456789".repeat(5_000_000));
    let few = Value::list((0..100_000).map(|_| Value::from("x")).collect());
    let Shape::Struct(shape) = serde.shape() else { panic!("a record") };
    for list in [Value::list(vec![text]), few] {
        let value = Value::Struct(StructValue::new(Arc::clone(shape), [list].into()));
        assert_eq!(serde.deserializer(&Fields::All).deserialize(&written(&serde, &value)), Ok(value));
    }
}

#[test]
fn aliases_find_fields_and_types_under_their_old_names() {
    let old = r#"{"type": "record", "name": "Old", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]}"#;
    let new = r#"{"type": "record", "name": "New", "aliases": ["Old"], "fields": [
        {"name": "text", "aliases": ["b"], "type": "string"}, {"name": "number", "aliases": ["x", "a"], "type": "double"}]}"#;
    let registry = registry(&[("Old", old), ("New", new)]);
    let read =
        serde(&registry, "New").deserializer(&Fields::All).deserialize(&payload(&registry, "Old", &[6, 2, b'x']));
    let expected = Shape::structure("New", [("text", Shape::String), ("number", Shape::Double)]);
    let Shape::Struct(shape) = expected else { panic!("a record") };
    assert_eq!(read, Ok(Value::Struct(StructValue::new(shape, [Value::from("x"), Value::Double(3.0)].into()))));
}

#[test]
fn schemas_that_do_not_fit_say_where_they_part() {
    let writer = field(r#""string""#);
    let reader = r#"{"type": "record", "name": "R", "fields": [{"name": "f", "type": "long"}]}"#;
    let lacking = r#"{"type": "record", "name": "R", "fields": [{"name": "g", "type": "long"}]}"#;
    let registry = registry(&[("Writer", &writer), ("Reader", reader), ("Lacking", lacking)]);
    let said = |reader: &str| {
        let payload = payload(&registry, "Writer", &[2, b'x']);
        serde(&registry, reader).deserializer(&Fields::none()).deserialize(&payload).unwrap_err().to_string()
    };
    assert_eq!(
        said("Reader"),
        "a payload written as Writer cannot be read as Reader: f: the writer has string, the reader expects long"
    );
    assert_eq!(
        said("Lacking"),
        "a payload written as Writer cannot be read as Lacking: g: R does not write this field, and it has no default"
    );
}

#[test]
fn a_shape_that_cannot_be_written_is_refused_with_all_its_faults() {
    let registry = registry(&[("MessageCreated", MESSAGE)]);
    let serde = serde(&registry, "MessageCreated");
    let shape = Shape::structure(
        "",
        [
            ("message_id", Shape::String),
            ("conversation_id", Shape::Int),
            ("tenant_id", Shape::String.optional()),
            ("sender", Shape::String),
            ("mesage", Shape::String),
            ("channel", Shape::Any),
            ("timestamp", Shape::Int),
        ],
    );
    let faults: Vec<String> = serde.serializer(&shape).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "conversation_id: expected string, found int",
            "tenant_id: expected string, found string or null; the schema does not allow null here",
            "message: the field is missing; MessageCreated requires string here and has no default",
            "mesage: MessageCreated has no such field; did you mean `message`?",
        ]
    );
}

#[test]
fn a_value_that_cannot_be_written_leaves_the_buffer_as_it_was() {
    let registry = registry(&[("MessageCreated", MESSAGE)]);
    let serde = serde(&registry, "MessageCreated");
    let serializer = serde.serializer(&Shape::Any).unwrap();
    let mut map: MapValue = match message(&serde) {
        Value::Struct(fields) => fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        other => panic!("{other:?}"),
    };
    let mut out = b"before".to_vec();
    let mut refuse = |name: &'static str, value: Option<Value>| {
        let before = match value {
            Some(value) => map.insert(Text::from_static(name), value),
            None => map.shift_remove(name),
        };
        let error = serializer.serialize(&Value::Map(Arc::new(map.clone())), &mut out).unwrap_err();
        assert_eq!(out, b"before");
        match before {
            Some(before) => map.insert(Text::from_static(name), before),
            None => map.shift_remove(name),
        };
        error
    };
    let said = |path: &str, message: &str| SerdeError::value(path, message);
    assert_eq!(
        refuse("channel", Some(Value::from("fax"))),
        said("channel", "`fax` is not a symbol of enum Channel, which has chat, email, voice, sms")
    );
    assert_eq!(refuse("message", Some(Value::Int(4))), said("message", "expected a string, found the int 4"));
    assert_eq!(refuse("message", Some(Value::Null)), said("message", "expected a string, found null"));
    assert_eq!(refuse("message", None), said("message", "the field is missing; MessageCreated has no default for it"));
    assert_eq!(
        refuse("sendr", Some(Value::Null)),
        said("sendr", "MessageCreated has no such field; did you mean `sender`?")
    );
}

#[test]
fn a_field_with_a_default_need_not_be_written() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"], "default": null},
        {"name": "c", "type": {"type": "array", "items": "int"}, "default": [1]}]}"#;
    let (_, serde) = only(schema);
    let shape = Shape::structure("", [("a", Shape::Int)]);
    let Shape::Struct(structure) = &shape else { panic!("a struct") };
    let value = Value::Struct(StructValue::new(Arc::clone(structure), [Value::Int(5)].into()));
    for shape in [&shape, &Shape::Any] {
        let mut out = Vec::new();
        serde.serializer(shape).unwrap().serialize(&value, &mut out).unwrap();
        let read = serde.deserializer(&Fields::All).deserialize(&Bytes::from(out)).unwrap();
        let fields: Vec<_> = ["a", "b", "c"].iter().map(|name| read.get(name).cloned().unwrap()).collect();
        assert_eq!(fields, [Value::Int(5), Value::Null, Value::list(vec![Value::Int(1)])]);
    }
}
