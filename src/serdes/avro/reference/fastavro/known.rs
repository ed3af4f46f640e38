//! Where fastavro and the engine part, each with a case and with what the Avro 1.12 specification says of it.

use bytes::Bytes;
use serde_json::json;

use super::{Fastavro, Json, serde_of};
use crate::record::{Decimal, Fields, Value};
use crate::serdes::avro::reference::framed;

/// "If reader's is a union, but writer's is not: the first schema in the reader's union that matches the writer's schema is
/// recursively resolved against it." fastavro takes that by the letter, and a promotion matches, too. The engine takes the
/// branch of the very type if there is one, as Avro's Java does: else a union's own values would change by being read.
pub(super) const FIRST_BRANCH: &str = "the first branch that a promotion reaches";
/// "float: single precision (32-bit) IEEE 754 floating-point number". fastavro has Python's floats, of 64 bits.
pub(super) const PRECISION: &str = "floats of 64 bits";
/// "This resolution algorithm is applied recursively to the reader's and writer's array item schemas." The engine says so
/// once of the schemas; fastavro, of each item that comes, so that an empty list of what does not fit is read.
pub(super) const UNREACHED: &str = "what does not fit and does not come";
/// "For the purposes of schema resolution, two schemas that are decimal logical types match if their scales and precisions
/// match"; of others nothing is said. The engine does not ask for the names of decimals that are fixed, keeps times of
/// different units apart, and text from decimals and UUIDs that it is none of; fastavro resolves what is under them.
pub(super) const LOGICAL_TYPES: &str = "what logical types alone keep apart";
/// "Default values for bytes and fixed fields are JSON strings, where Unicode code points 0-255 are mapped to unsigned 8-bit
/// byte values 0-255", and a double's may be a whole number. fastavro hands out the JSON as it stands. (The random pairs
/// have their defaults prepared.)
const DEFAULTS: &str = "defaults as their JSON";
/// "both schemas are enums whose (unqualified) names match", and the same of fixed and records: fastavro does not compare of
/// which kind two types with names are.
const KINDS: &str = "types of one name";
/// "int: 32-bit signed integer". fastavro reads whatever is there.
const RANGE: &str = "ints of more than 32 bits";

/// A case in which the two part.
struct Case {
    known: &'static str,
    writer: Json,
    reader: Json,
    payload: &'static [u8],
    /// What the engine reads, or else says.
    ours: Result<Value, &'static str>,
    /// What fastavro reads, as `resolve.py` shows it; null: it refuses to.
    theirs: Json,
}

fn double(number: f64) -> Json {
    json!({ "float": number.to_bits() })
}

fn record(fields: &Json) -> Json {
    json!({ "type": "record", "name": "R", "fields": fields })
}

fn money(name: &str) -> Json {
    json!({ "type": "fixed", "name": name, "size": 1, "logicalType": "decimal", "precision": 2, "scale": 1 })
}

fn numbers() -> Vec<Case> {
    vec![
        Case {
            known: FIRST_BRANCH,
            writer: json!("long"),
            reader: json!(["double", "long"]),
            payload: &[2],
            ours: Ok(Value::Int(1)),
            theirs: double(1.0),
        },
        Case {
            known: PRECISION,
            writer: json!("int"),
            reader: json!("float"),
            // 2²⁴ + 1
            payload: &[0x82, 0x80, 0x80, 0x10],
            ours: Ok(Value::Double(16_777_216.0)),
            theirs: double(16_777_217.0),
        },
        Case {
            known: RANGE,
            writer: json!("int"),
            reader: json!("long"),
            // 2³¹
            payload: &[0x80, 0x80, 0x80, 0x80, 0x10],
            ours: Err("the int 2147483648 does not fit 32 bits"),
            theirs: json!(1_i64 << 31),
        },
        Case {
            known: LOGICAL_TYPES,
            writer: json!([{ "type": "long", "logicalType": "timestamp-millis" }, "null"]),
            reader: json!([{ "type": "long", "logicalType": "timestamp-micros" }]),
            payload: &[0, 2],
            ours: Err("the writer has timestamp-millis, the reader expects timestamp-micros"),
            theirs: json!(1),
        },
        Case {
            known: LOGICAL_TYPES,
            writer: money("Old"),
            reader: money("New"),
            payload: &[5],
            ours: Ok(Value::Decimal(Decimal::new(5, 1).unwrap())),
            theirs: Json::Null,
        },
        Case {
            known: LOGICAL_TYPES,
            writer: json!("string"),
            reader: json!({ "type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2 }),
            payload: b"\x02a",
            ours: Err("the writer has string, the reader expects decimal(4, 2)"),
            theirs: json!({ "bytes": "61" }),
        },
    ]
}

fn types() -> Vec<Case> {
    let fixed = json!({ "type": "fixed", "name": "F", "size": 1 });
    let items = |items: Json| record(&json!([{ "name": "f", "type": { "type": "array", "items": items } }]));
    let bytes = |default: Json| record(&json!([{ "name": "f", "type": "bytes", "default": default }]));
    let inner = |fields: Json| json!({ "type": "record", "name": "I", "fields": fields });
    vec![
        Case {
            known: UNREACHED,
            writer: items(inner(json!([]))),
            reader: items(inner(json!([{ "name": "missing", "type": "int" }]))),
            payload: &[0],
            ours: Err("f.[].missing: I does not write this field, and it has no default"),
            theirs: json!({ "map": { "f": [] } }),
        },
        Case {
            known: KINDS,
            writer: fixed,
            reader: json!({ "type": "enum", "name": "F", "symbols": ["A"] }),
            payload: b"a",
            ours: Err("the writer has fixed F of 1 bytes, the reader expects enum F"),
            theirs: json!({ "bytes": "61" }),
        },
        Case {
            known: DEFAULTS,
            writer: record(&json!([])),
            reader: bytes(json!("ÿ")),
            payload: &[],
            ours: Ok(Value::Bytes(Bytes::from_static(&[0xff]))),
            theirs: json!({ "map": { "f": "ÿ" } }),
        },
    ]
}

#[test]
fn each_case_in_which_the_two_part_is_as_it_is_said_to_be() {
    let mut fastavro = Fastavro::start();
    for case in numbers().into_iter().chain(types()) {
        let (name, payload) = (case.known, case.payload);
        let (mut writer, mut reader) = (case.writer, case.reader);
        let (serde, frame) = serde_of(&writer, &reader);
        let ours = serde.deserializer(&Fields::All).deserialize(&framed(&frame, payload));
        match (ours, case.ours) {
            (Ok(read), Ok(expected)) => {
                let read = read.get("f").cloned().unwrap_or(read);
                assert_eq!(read, expected, "{name}");
            }
            (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{name}: {error}"),
            (ours, _) => panic!("{name}: {ours:?}"),
        }
        super::forget_logical_types(&mut writer);
        super::forget_logical_types(&mut reader);
        let theirs = fastavro.read(&writer, &reader, &[payload.to_vec()], false).remove(0);
        // It refuses what stands there as null.
        assert_eq!(theirs.unwrap_or_default(), case.theirs, "{name}: it may be as the engine now; then its name goes");
    }
}
