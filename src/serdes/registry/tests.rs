//! What is taken as a schema, what is refused and where, and how schemas are found.

use super::*;

const MESSAGE: &str = include_str!("../../../schemas/MessageCreated.avsc");

fn refused(text: &str) -> String {
    SchemaRegistry::new().add("Bad.avsc", text).unwrap_err().to_string()
}

#[test]
fn a_name_that_is_none_is_refused_at_its_place() {
    assert_eq!(
        refused("{\"type\": \"map\",\n \"values\": {\"type\": \"fixed\", \"name\": \"count()\", \"size\": 2}}"),
        "Bad.avsc:2:38: `count()` is no name; a name is letters, digits and `_`, and does not begin with a digit"
    );
}

#[test]
fn a_schema_that_the_library_does_not_survive_is_refused() {
    let found = parse(&serde_json::json!({"type": "fixed", "name": "?", "size": 2})).unwrap_err();
    assert_eq!(found, "this cannot be read as an Avro schema");
}

#[test]
fn a_schema_is_found_by_file_name_and_full_name() {
    let mut registry = SchemaRegistry::new();
    registry.add("schemas/MessageCreated.avsc", MESSAGE).unwrap();
    assert_eq!(registry.names().collect::<Vec<_>>(), ["MessageCreated"]);
    let shape = registry.shape("ai.signalstream.events.MessageCreated").unwrap();
    assert_eq!(Some(&shape), registry.shape("MessageCreated").as_ref());
    let Shape::Struct(fields) = shape else { panic!("a record") };
    let shown: Vec<String> = fields.fields().iter().map(|field| format!("{}: {}", field.name, field.shape)).collect();
    assert_eq!(
        shown,
        [
            "message_id: string",
            "conversation_id: string",
            "tenant_id: string",
            "sender: enum Sender",
            "message: string",
            "channel: enum Channel",
            "timestamp: timestamp"
        ]
    );
    assert_eq!(registry.shape("Message"), None);
}

#[test]
fn an_id_is_the_low_bits_of_the_fingerprint_of_the_canonical_form() {
    let mut registry = SchemaRegistry::new();
    // The specification gives this fingerprint of "int": 7275c51a3f395c8f.
    registry.add("Number.avsc", r#"{"type": "int", "doc": "not part of the canonical form"}"#).unwrap();
    assert_eq!(registry.id("Number"), Some(0x3f39_5c8f));
}

#[test]
fn schemas_of_one_id_that_are_read_differently_are_refused_and_others_share_it() {
    let paid = |kind: &str, doc: &str| {
        let fields = format!(r#"[{{"name": "at", "type": {kind}, "doc": "{doc}"}}]"#);
        format!(r#"{{"type": "record", "name": "Paid", "fields": {fields}}}"#)
    };
    let (millis, micros) = (
        r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
        r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
    );
    let mut registry = SchemaRegistry::new();
    registry.add("Paid.avsc", &paid(millis, "")).unwrap();
    registry.add("PaidDescribed.avsc", &paid(millis, "when")).unwrap();
    assert_eq!(registry.id("Paid"), registry.id("PaidDescribed"));
    for other in [micros, r#"{"type": "long", "logicalType": "time-micros"}"#] {
        let error = registry.add("PaidOld.avsc", &paid(other, "")).unwrap_err().to_string();
        assert!(error.contains("differs in logical types only"), "{error}");
    }
    // A type without a name is whatever its topic says.
    registry.add("Millis.avsc", millis).unwrap();
    registry.add("Micros.avsc", micros).unwrap();
    assert_eq!(registry.id("Millis"), registry.id("Micros"));
}

#[test]
fn files_may_refer_to_each_other_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "A.avsc",
        r#"{"type": "record", "name": "A", "namespace": "n", "fields": [
        {"name": "b", "type": "B"}, {"name": "again", "type": ["null", "n.B"]}, {"name": "mood", "type": "n.Mood"}]}"#,
    );
    write(
        "B.avsc",
        r#"{"type": "record", "name": "B", "namespace": "n", "fields": [
        {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["GOOD", "BAD"]}}]}"#,
    );
    write("notes.txt", "not a schema");
    let mut registry = SchemaRegistry::new();
    registry.load_directory(directory.path()).unwrap();
    assert_eq!(registry.names().collect::<Vec<_>>(), ["A", "B"]);
    let Some(Shape::Struct(a)) = registry.shape("A") else { panic!("a record") };
    assert_eq!(a.field("b").map(|field| &field.shape), registry.shape("B").as_ref());
    assert_eq!(a.field("again").map(|field| field.shape.clone()), registry.shape("B").map(Shape::optional));
}

#[test]
fn every_file_that_is_not_a_schema_is_reported_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("Broken.avsc", "{\"type\": \"record\",\n  \"name\": }");
    write("Good.avsc", "\"string\"");
    write(
        "Unknown.avsc",
        "{\"type\": \"record\", \"name\": \"U\", \"fields\": [\n  {\"name\": \"f\", \"type\": \"strnig\"}]}",
    );
    let mut registry = SchemaRegistry::new();
    let errors = registry.load_directory(directory.path()).unwrap_err();
    let said: Vec<String> =
        errors.iter().map(|error| error.to_string().replace(&format!("{}/", directory.path().display()), "")).collect();
    assert_eq!(
        said,
        [
            "Broken.avsc:2:11: not JSON: expected value",
            "Unknown.avsc:2:25: there is no type `strnig`; did you mean `string`?"
        ]
    );
    assert!(registry.shape("Good").is_some());
    assert!(registry.load_directory(&directory.path().join("absent")).is_err());
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place() {
    let record = |kind: &str| {
        format!("{{\"type\": \"record\", \"name\": \"R\", \"fields\": [\n{{\"name\": \"f\", \"type\": {kind}}}]}}")
    };
    assert_eq!(
        refused(&record(r#""R""#)),
        "Bad.avsc:2:10: f: `R` contains itself wherever it is, so that no value of it would ever end"
    );
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 50}"#;
    assert_eq!(refused(&record(decimal)), "Bad.avsc:2:10: f: a decimal of scale 50; the engine holds 38 digits");
    assert!(refused(r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#).starts_with("Bad.avsc"));
    assert!(refused("[]").starts_with("Bad.avsc"));
    assert!(
        refused(&format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(90), "}".repeat(90))).contains("deep")
    );
}

#[test]
fn schemas_that_double_at_every_level_are_refused() {
    let mut fields = vec![r#"{"name": "x", "type": {"type": "record", "name": "L0", "fields": []}}"#.to_owned()];
    for level in 1..60 {
        let below = level - 1;
        fields.push(format!(
            r#"{{"name": "x{level}", "type": {{"type": "record", "name": "L{level}", "fields": [
                {{"name": "a", "type": "L{below}"}}, {{"name": "b", "type": "L{below}"}}]}}}}"#
        ));
    }
    let text = format!(r#"{{"type": "record", "name": "Top", "fields": [{}]}}"#, fields.join(","));
    assert!(refused(&text).contains("more than 20000 types"));
}

#[test]
fn a_schema_that_is_too_large_or_too_deep_is_refused_at_once() {
    let text = format!(r#"{{"type": "string", "doc": "{}"}}"#, "x".repeat(10 << 20));
    assert!(refused(&text).ends_with("bytes; at most 4194304 are read"));
    let fields: Vec<String> =
        (0..30_000).map(|n| format!(r#"{{"name": "field_of_a_long_name_{n}", "type": "string"}}"#)).collect();
    let wide = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, fields.join(","));
    assert!(refused(&wide).contains("more than 20000 types"));
    let deep = format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(1_000), "}".repeat(1_000));
    assert_eq!(refused(&deep), "Bad.avsc:1:3049: not JSON: recursion limit exceeded");
    // As deep, but each level in a file of its own.
    let level = |n: usize| {
        let text = match n {
            300 => r#""int""#.to_owned(),
            n => format!(r#""L{}""#, n + 1),
        };
        let text = format!(r#"{{"type": "record", "name": "L{n}", "fields": [{{"name": "x", "type": {text}}}]}}"#);
        (format!("L{n}.avsc"), text)
    };
    let mut registry = SchemaRegistry::new();
    let errors = registry.add_all(&(0..=300).map(level).collect::<Vec<_>>());
    assert!(errors.iter().any(|error| error.file == "L0.avsc"), "{errors:?}");
    assert!(registry.shape("L299").is_some());
}

#[test]
fn a_mark_that_cannot_be_understood_is_refused_at_its_field() {
    let marked = |mark: &str| {
        format!(
            "{{\"type\": \"record\", \"name\": \"R\", \"fields\": [\n{{\"name\": \"a\", \"type\": \"string\", \"pii\": true}},\n\
             {{\"name\": \"b\", \"type\": \"string\", {mark}}}]}}"
        )
    };
    assert_eq!(refused(&marked("\"pii\": 1")), "Bad.avsc:3:10: b: `pii` is true or false, and this is 1");
    let mut registry = SchemaRegistry::new();
    registry.add("R.avsc", &marked("\"pii\": false")).unwrap();
    assert!(registry.description("R").is_some_and(|schema| schema.holds_personal_data()));
    let unmarked = marked("\"doc\": \"\"").replace(", \"pii\": true", "");
    let mut other = SchemaRegistry::new();
    other.add("R.avsc", &unmarked).unwrap();
    assert_eq!(other.id("R"), registry.id("R"), "marks do not change what a schema is");
}

#[test]
fn two_schemas_of_one_name_are_refused() {
    let mut registry = SchemaRegistry::new();
    registry.add("a/X.avsc", "\"string\"").unwrap();
    registry.add("b/X.avsc", "\"string\"").unwrap();
    let error = registry.add("c/X.avsc", "\"long\"").unwrap_err().to_string();
    assert_eq!(error, "c/X.avsc: another schema of the name `X` is registered already");
}
