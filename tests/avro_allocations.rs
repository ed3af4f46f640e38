//! What reading and writing Avro allocates, counted.

use allocation_counter::measure;
use bytes::Bytes;
use signalstream::record::Fields;
use signalstream::serdes::json::from_json;
use signalstream::serdes::{Format, SchemaRegistry, Serde};

/// Fields of a fixed size, and a value of each.
const FIELDS: [(&str, &str); 15] = [
    (r#""boolean""#, "true"),
    (r#""int""#, "-5"),
    (r#""long""#, "9007199254740993"),
    (r#""float""#, "0.5"),
    (r#""double""#, "0.1"),
    (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, r#""B""#),
    (r#"{"type": "long", "logicalType": "timestamp-millis"}"#, "1700000000000"),
    (r#"{"type": "long", "logicalType": "timestamp-micros"}"#, r#""2026-01-31T12:00:00.123456Z""#),
    (r#"{"type": "int", "logicalType": "date"}"#, r#""2026-01-31""#),
    (r#"{"type": "int", "logicalType": "time-millis"}"#, r#""12:30:00.5""#),
    (r#"{"type": "long", "logicalType": "local-timestamp-nanos"}"#, r#""2026-01-31T12:00:00.123456789""#),
    (
        r#"{"type": "fixed", "name": "D", "size": 16, "logicalType": "decimal", "precision": 30, "scale": 4}"#,
        r#""-12345.6789""#,
    ),
    (r#"{"type": "fixed", "name": "F", "size": 4}"#, r#""q83vAQ==""#),
    (r#"["null", "long"]"#, "7"),
    (r#"["null", "int", "double", "boolean"]"#, "false"),
];

/// Fields of a fixed size whose values have no room of their own: text of 36 characters, and three numbers.
const LARGER: [(&str, &str); 2] = [
    (
        r#"{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}"#,
        r#""12345678-9abc-def0-1234-56789abcdef0""#,
    ),
    (
        r#"{"type": "fixed", "name": "L", "size": 12, "logicalType": "duration"}"#,
        r#"{"months": 1, "days": 2, "millis": 3}"#,
    ),
];

/// A record of these fields: its serde and a payload.
fn record(fields: &[(&str, &str)]) -> (Serde, Bytes) {
    let fields = fields.iter().enumerate();
    let kinds: Vec<String> =
        fields.clone().map(|(n, (kind, _))| format!(r#"{{"name": "f{n}", "type": {kind}}}"#)).collect();
    let values: Vec<String> = fields.map(|(n, (_, value))| format!(r#""f{n}": {value}"#)).collect();
    let mut registry = SchemaRegistry::new();
    let schema = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, kinds.join(", "));
    registry.add("R.avsc", &schema).unwrap();
    let serde = Serde::new(&Format::Avro("R".to_owned()), &registry).unwrap();
    let json = serde_json::from_str(&format!("{{{}}}", values.join(", "))).unwrap();
    let value = from_json(&json, serde.shape()).unwrap();
    let mut payload = Vec::new();
    serde.serializer(serde.shape()).unwrap().serialize(&value, &mut payload).unwrap();
    (serde, Bytes::from(payload))
}

#[test]
fn reading_fields_of_a_fixed_size_allocates_nothing_but_the_record_itself() {
    for count in [1, FIELDS.len()] {
        let (serde, payload) = record(&FIELDS[..count]);
        let reader = serde.deserializer(&Fields::All);
        let read = || drop(reader.deserialize(&payload).unwrap());
        read();
        // One for the values of all fields together.
        assert_eq!(measure(read).count_total, 1, "{count} fields");
    }
}

#[test]
fn a_uuid_and_a_duration_of_fixed_allocate_their_value_once() {
    let (serde, payload) = record(&LARGER);
    let reader = serde.deserializer(&Fields::All);
    let read = || drop(reader.deserialize(&payload).unwrap());
    read();
    assert_eq!(measure(read).count_total, 1 + LARGER.len() as u64);
}

#[test]
fn fields_that_are_not_used_cost_nothing() {
    let (serde, payload) = record(&FIELDS);
    let reader = serde.deserializer(&Fields::none());
    assert_eq!(measure(|| drop(reader.deserialize(&payload).unwrap())).count_total, 1);
}

#[test]
fn writing_allocates_nothing() {
    let (serde, payload) = record(&FIELDS);
    let value = serde.deserializer(&Fields::All).deserialize(&payload).unwrap();
    let writer = serde.serializer(serde.shape()).unwrap();
    let mut out = Vec::with_capacity(payload.len());
    let info = measure(|| writer.serialize(&value, &mut out).unwrap());
    assert_eq!((info.count_total, out), (0, payload.to_vec()));
}
