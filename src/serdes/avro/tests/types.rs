//! Logical types, unions of several and records that contain themselves.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{field, only, payload, registry, serde, written};
use crate::record::{Fields, Shape, StructValue, Temporal, TemporalUnit, Value};
use crate::serdes::json::{from_json, to_json};
use crate::serdes::{SchemaRegistry, Serde};

const TREE: &str = r#"{"type": "record", "name": "Tree", "namespace": "n", "fields": [
    {"name": "label", "type": "string"},
    {"name": "branches", "type": {"type": "array", "items": "Tree"}, "default": []},
    {"name": "next", "type": ["null", "n.Tree"], "default": null}]}"#;

/// What JSON becomes, there and back, with the bytes in between.
fn there_and_back(schema: &str, json: Json) -> Bytes {
    let (_, serde) = only(&field(schema));
    let json = json!({ "f": json });
    let value = from_json(&json, serde.shape()).unwrap();
    let bytes = written(&serde, &value);
    let read = serde.deserializer(&Fields::All).deserialize(&bytes).unwrap();
    assert_eq!(to_json(&read), json, "{schema}");
    bytes.slice(5..)
}

#[test]
fn logical_types_are_written_as_the_specification_has_them_and_read_by_people() {
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    assert_eq!(there_and_back(decimal, json!("-1.29")).as_ref(), [4, 0xff, 0x7f]);
    let fixed = r#"{"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    assert_eq!(there_and_back(fixed, json!("-1.29")).as_ref(), [0xff, 0xff, 0xff, 0x7f]);
    let date = r#"{"type": "int", "logicalType": "date"}"#;
    assert_eq!(there_and_back(date, json!("1970-01-03")).as_ref(), [4]);
    let time = r#"{"type": "long", "logicalType": "time-micros"}"#;
    assert_eq!(there_and_back(time, json!("00:00:00.000001")).as_ref(), [2]);
    let micros = r#"{"type": "long", "logicalType": "timestamp-micros"}"#;
    assert_eq!(there_and_back(micros, json!("1970-01-01T00:00:00.000002Z")).as_ref(), [4]);
    let local = r#"{"type": "long", "logicalType": "local-timestamp-nanos"}"#;
    assert_eq!(there_and_back(local, json!("1970-01-01T00:00:00.000000003")).as_ref(), [6]);
    there_and_back(micros, json!(i64::MAX));
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let text = there_and_back(r#"{"type": "string", "logicalType": "uuid"}"#, json!(uuid));
    assert_eq!(text.slice(1..).as_ref(), uuid.as_bytes());
    let bytes = r#"{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}"#;
    assert_eq!(there_and_back(bytes, json!(uuid)).as_ref(), (0..16).map(|n| n * 0x11).collect::<Vec<u8>>());
    let duration = r#"{"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"}"#;
    let parts = json!({"months": 1, "days": 2, "millis": 4_294_967_295_u32});
    assert_eq!(there_and_back(duration, parts).as_ref(), [1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255]);
}

#[test]
fn a_value_that_its_logical_type_cannot_hold_is_refused() {
    let refused = |schema: &str, value: Value| {
        let (_, serde) = only(&field(schema));
        let map = [("f".into(), value)].into_iter().collect();
        let write = serde.serializer(&Shape::Any).unwrap();
        write.serialize(&Value::Map(Arc::new(map)), &mut Vec::new()).unwrap_err().to_string()
    };
    let decimal = |text: &str| Value::Decimal(crate::record::Decimal::parse(text).unwrap());
    let schema = r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#;
    let does_not_fit = "does not fit a decimal of 4 digits with 2 behind the point; `decimal(x, 2)` rounds";
    assert_eq!(refused(schema, decimal("1.005")), format!("f: 1.005 {does_not_fit}"));
    assert_eq!(refused(schema, decimal("100")), format!("f: 100 {does_not_fit}"));
    let uuid = r#"{"type": "string", "logicalType": "uuid"}"#;
    assert_eq!(refused(uuid, Value::from("12")), r#"f: the string "12" is no UUID"#);
    let duration = r#"{"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"}"#;
    assert_eq!(refused(duration, Value::Int(1)), "f: expected a struct of months, days and millis, found the int 1");
}

#[test]
fn a_finer_time_is_not_written_to_a_coarser_field() {
    let (_, serde) = only(&field(r#"{"type": "long", "logicalType": "timestamp-millis"}"#));
    let input = Shape::structure("", [("f", Shape::Temporal(TemporalUnit::TimestampMicros))]);
    let faults: Vec<String> = serde.serializer(&input).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        ["f: expected timestamp-millis, found timestamp-micros; write `timestamp(...)` to cut it to milliseconds"]
    );
    let (_, serde) = only(&field(r#"{"type": "long", "logicalType": "timestamp-nanos"}"#));
    let Shape::Struct(shape) = &input else { panic!("a struct") };
    let micros = Value::Temporal(Temporal::new(TemporalUnit::TimestampMicros, 3));
    let mut out = Vec::new();
    let value = Value::Struct(StructValue::new(Arc::clone(shape), [micros].into()));
    serde.serializer(&input).unwrap().serialize(&value, &mut out).unwrap();
    assert_eq!(to_json(&read(&serde, &out)), json!({"f": "1970-01-01T00:00:00.000003Z"}));
}

fn read(serde: &Serde, bytes: &[u8]) -> Value {
    serde.deserializer(&Fields::All).deserialize(&Bytes::copy_from_slice(bytes)).unwrap()
}

#[test]
fn a_union_of_several_takes_the_branch_of_the_values_type() {
    let schema = r#"["null", "int", "string", {"type": "array", "items": ["long", "boolean"]},
        {"type": "record", "name": "A", "fields": [{"name": "x", "type": "long"}]},
        {"type": "record", "name": "B", "fields": [{"name": "y", "type": ["double", "string", "null"]}]}]"#;
    for (json, branch) in [
        (json!(null), 0),
        (json!(7), 1),
        (json!("text"), 2),
        (json!([1, true]), 3),
        (json!({"x": 1}), 4),
        (json!({"y": null}), 5),
        (json!({"y": 1.5}), 5),
    ] {
        assert_eq!(there_and_back(schema, json)[0], branch * 2);
    }
    let (_, serde) = only(&field(schema));
    let Shape::Struct(shape) = serde.shape() else { panic!("a record") };
    assert_eq!(shape.field("f").unwrap().shape.to_string(), "int, string, list<int or bool>, A, B or null");
}

#[test]
fn what_fits_no_branch_or_several_is_refused_before_anything_is_written() {
    let schema = r#"["string", {"type": "record", "name": "A", "fields": [{"name": "x", "type": "long"}]},
        {"type": "record", "name": "B", "fields": [{"name": "x", "type": "long"}]}]"#;
    let (_, serde) = only(&field(schema));
    let faults = |shape: Shape| -> Vec<String> {
        let input = Shape::structure("", [("f", shape)]);
        serde.serializer(&input).unwrap_err().iter().map(ToString::to_string).collect()
    };
    let x = |name| Shape::structure(name, [("x", Shape::Int)]);
    assert_eq!(faults(x("")), ["f: {x: int} may be record A or record B: give it the fields of one of them only"]);
    assert_eq!(faults(Shape::Bool), ["f: expected string or record A or record B, found bool"]);
    assert_eq!(
        faults(Shape::String.optional()),
        ["f: expected string or record A or record B, found string or null; the schema does not allow null here"]
    );
    let input = Shape::structure("", [("f", x("B"))]);
    assert!(serde.serializer(&input).is_ok());
}

#[test]
fn records_that_contain_themselves_are_read_and_written() {
    let (_, serde) = only(TREE);
    let leaf = |label: &str| json!({"label": label, "branches": [], "next": null});
    let json = json!({"label": "a", "branches": [leaf("b"), {"label": "c", "branches": [leaf("d")], "next": leaf("e")}],
        "next": {"label": "f", "branches": [], "next": leaf("g")}});
    let value = from_json(&json, serde.shape()).unwrap();
    let bytes = written(&serde, &value);
    assert_eq!(to_json(&read(&serde, &bytes)), json);
    let any = serde.serializer(&Shape::Any).unwrap();
    let mut out = Vec::new();
    any.serialize(&crate::serdes::json::from_json_any(json!({"label": "a", "next": {"label": "b"}})), &mut out)
        .unwrap();
    assert_eq!(to_json(&read(&serde, &out))["next"], leaf("b"));
    // Of what is not used nothing is read, at any depth.
    let part = serde.deserializer(&Fields::path(&["next", "next", "label"])).deserialize(&bytes).unwrap();
    let next = part.get("next").and_then(|next| next.get("next")).unwrap();
    assert_eq!((next.get("label"), next.get("next")), (Some(&Value::from("g")), Some(&Value::Null)));
    assert_eq!(part.get("label"), Some(&Value::Null));
}

#[test]
fn a_value_that_is_too_deep_is_an_error_and_not_the_end_of_the_stack() {
    let (registry, serde) = only(TREE);
    let deep = |levels: usize| {
        // An empty label, no branches, and another one.
        let mut body = [0, 0, 2].repeat(levels);
        body.extend_from_slice(&[0, 0, 0]);
        payload(&registry, "Only", &body)
    };
    assert!(serde.deserializer(&Fields::All).deserialize(&deep(128)).is_ok());
    for fields in [Fields::All, Fields::none(), Fields::path(&["label"])] {
        let error = serde.deserializer(&fields).deserialize(&deep(100_000)).unwrap_err().to_string();
        assert!(error.contains("nested more than 128 levels deep at byte"), "{error}");
    }
}

#[test]
fn a_schema_of_another_shape_of_the_same_tree_is_resolved_at_every_level() {
    let wider = TREE.replace(r#"{"name": "label", "type": "string"}"#, r#"{"name": "name", "aliases": ["label"], "type": ["long", "string"]},
        {"name": "weight", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}, "default": "\u0005"}"#);
    let registry = registry(&[("Writer", TREE), ("Reader", &wider)]);
    // `a`, one branch `b`, no next.
    let bytes = payload(&registry, "Writer", &[2, b'a', 2, 2, b'b', 0, 0, 0, 0]);
    let read = serde(&registry, "Reader").deserializer(&Fields::All).deserialize(&bytes).unwrap();
    let leaf = json!({"name": "b", "weight": "0.5", "branches": [], "next": null});
    assert_eq!(to_json(&read), json!({"name": "a", "weight": "0.5", "branches": [leaf], "next": null}));
}

/// What is said of a payload that one schema of a field wrote and another reads.
fn resolved(writer: &str, reader: &str, body: &[u8]) -> Result<Json, String> {
    let mut registry = SchemaRegistry::new();
    registry.add("Reader.avsc", &field(reader)).unwrap();
    // Schemas that differ in logical types alone have one fingerprint, hence one id: this field takes no bytes.
    let writer = field(writer).replace("\"fields\": [", "\"fields\": [{\"name\": \"z\", \"type\": \"null\"}, ");
    registry.add("Writer.avsc", &writer).unwrap();
    let bytes = payload(&registry, "Writer", body);
    let read = serde(&registry, "Reader").deserializer(&Fields::All).deserialize(&bytes);
    read.map(|value| to_json(value.get("f").unwrap())).map_err(|error| error.to_string())
}

#[test]
fn logical_types_are_resolved_by_what_is_under_them_unless_they_differ() {
    let logical = |base: &str, name: &str| format!(r#"{{"type": "{base}", "logicalType": "{name}"}}"#);
    let decimal = |precision: u32, scale: u32| {
        format!(r#"{{"type": "bytes", "logicalType": "decimal", "precision": {precision}, "scale": {scale}}}"#)
    };
    let millis = logical("long", "timestamp-millis");
    let micros = logical("long", "timestamp-micros");
    assert_eq!(resolved(r#""int""#, &micros, &[2]), Ok(json!("1970-01-01T00:00:00.000001Z")));
    assert_eq!(resolved(&logical("int", "date"), r#""long""#, &[4]), Ok(json!(2)));
    assert_eq!(resolved(&decimal(4, 1), &decimal(6, 1), &[2, 5]), Ok(json!("0.5")));
    assert_eq!(resolved(&decimal(4, 1), r#""bytes""#, &[2, 5]), Ok(json!("BQ==")));
    let apart = |writer: &str, reader: &str| {
        format!(
            "a payload written as Writer cannot be read as Reader: f: the writer has {writer}, the reader expects {reader}"
        )
    };
    assert_eq!(resolved(&millis, &micros, &[2]), Err(apart("timestamp-millis", "timestamp-micros")));
    assert_eq!(resolved(&decimal(4, 1), &decimal(4, 2), &[2, 5]), Err(apart("decimal(4, 1)", "decimal(4, 2)")));
    assert_eq!(resolved(&decimal(4, 1), &decimal(3, 1), &[2, 5]), Err(apart("decimal(4, 1)", "decimal(3, 1)")));
    assert_eq!(resolved(&logical("int", "date"), &millis, &[2]), Err(apart("date", "timestamp-millis")));
}

#[test]
fn a_branch_that_the_reader_lacks_is_an_error_of_the_record_that_has_it() {
    let (writer, reader) = (r#"["null", "string", "long"]"#, r#"["double", "null"]"#);
    assert_eq!(resolved(writer, reader, &[0]), Ok(json!(null)));
    assert_eq!(resolved(writer, reader, &[4, 6]), Ok(json!(3.0)));
    assert_eq!(
        resolved(writer, reader, &[2, 2, b'x']),
        Err("f: this cannot be read as the reader's schema has it: the writer has string, the reader expects double or \
             null at byte 6"
            .to_owned())
    );
    assert_eq!(
        resolved(writer, reader, &[6]),
        Err("f: the union has 3 branches, found the index 3 at byte 5".to_owned())
    );
    // A text of its own schema is never read as bytes, which come first.
    let both = r#"["bytes", "string"]"#;
    assert_eq!(resolved(both, r#"["bytes", "string", "null"]"#, &[2, 2, b'x']), Ok(json!("x")));
}

#[test]
fn defaults_of_every_type_are_read() {
    let kinds = [
        (r#"{"type": "int", "logicalType": "date"}"#, "1", json!("1970-01-02")),
        (r#"{"type": "long", "logicalType": "timestamp-nanos"}"#, "1", json!("1970-01-01T00:00:00.000000001Z")),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, r#""\u00ff\u0000""#, json!("/wA=")),
        (
            r#"{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}"#,
            r#""\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0001""#,
            json!("00000000-0000-0000-0000-000000000001"),
        ),
        (r#"["string", "null"]"#, r#""x""#, json!("x")),
        (r#"["long", "string"]"#, "5", json!(5)),
        (r#"{"type": "map", "values": "float"}"#, r#"{"a": 0.5}"#, json!({"a": 0.5})),
        (
            r#"{"type": "record", "name": "I", "fields": [{"name": "a", "type": "int", "default": 3}]}"#,
            "{}",
            json!({"a": 3}),
        ),
    ];
    for (kind, default, expected) in kinds {
        let reader = format!(
            r#"{{"type": "record", "name": "R", "fields": [{{"name": "g", "type": {kind}, "default": {default}}}]}}"#
        );
        let registry = registry(&[("Writer", &field(r#""long""#)), ("Reader", &reader)]);
        let read = serde(&registry, "Reader").deserializer(&Fields::All);
        let value = read.deserialize(&payload(&registry, "Writer", &[2])).unwrap();
        assert_eq!(to_json(value.get("g").unwrap()), expected, "{kind}");
        // And written, where a value has no such field.
        let mut out = Vec::new();
        let empty = Value::Map(Arc::default());
        serde(&registry, "Reader").serializer(&Shape::Any).unwrap().serialize(&empty, &mut out).unwrap();
        assert_eq!(to_json(read.deserialize(&Bytes::from(out)).unwrap().get("g").unwrap()), expected, "{kind}");
    }
}

#[test]
fn of_several_alike_branches_the_value_decides() {
    let enums =
        r#"[{"type": "enum", "name": "E", "symbols": ["A", "B"]}, {"type": "enum", "name": "F", "symbols": ["C"]}]"#;
    assert_eq!(there_and_back(enums, json!("C")).as_ref(), [2, 0]);
    let fixed = r#"[{"type": "fixed", "name": "X", "size": 1}, {"type": "fixed", "name": "Y", "size": 2}]"#;
    assert_eq!(there_and_back(fixed, json!("AAE=")).as_ref(), [2, 0, 1]);
    let numbers = r#"["int", "long", "float", "double"]"#;
    assert_eq!(there_and_back(numbers, json!(1)).as_ref(), [2, 2]);
    assert_eq!(there_and_back(numbers, json!(0.5))[0], 6);
    // One that contains itself among others.
    let tree = r#"{"type": "record", "name": "T", "fields": [{"name": "t", "type": [
        {"type": "record", "name": "A", "fields": [{"name": "a", "type": "long"}]}, "T", "null"]}]}"#;
    let json = json!({"t": {"t": {"a": 1}}});
    assert_eq!(there_and_back(tree, json).as_ref(), [2, 0, 2]);
}

#[test]
fn a_decimal_of_more_digits_than_any_has_is_an_error() {
    let schema = r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 0}"#;
    let mut body = Vec::new();
    crate::serdes::cursor::put_zigzag(1 << 20, &mut body);
    body.resize(body.len() + (1 << 20), 0x7f);
    assert_eq!(
        super::refused(&field(schema), &body),
        "f: a decimal of more than 38 digits, which is more than the engine holds at byte 5"
    );
    assert_eq!(
        super::refused(&field(schema), &[4, 0x7f, 0xff]),
        "f: a decimal of 5 digits, where the schema allows 4 at byte 5"
    );
    let huge = r#"{"type": "fixed", "name": "D", "size": 9000000000, "logicalType": "decimal", "precision": 4}"#;
    let refused = SchemaRegistry::new().add("Bad.avsc", &field(huge)).unwrap_err().to_string();
    assert!(refused.ends_with("f: a decimal of 9000000000 bytes; at most 4096 are supported"), "{refused}");
}
