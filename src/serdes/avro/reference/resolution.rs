//! Resolution against the reference's, on pairs of random schemas, a hundred thousand values in all.
//!
//! Where the reference departs from the specification ("Schema Resolution", Avro 1.12), ours follows the specification, and
//! the departure has a name here, with a case. The reference compares neither the names of types nor knows aliases; fields
//! are therefore renamed in the writer's schema that it gets.

use std::collections::BTreeMap;

use apache_avro::error::Details;
use apache_avro::types::Value as Reference;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::samples::{Kind, Random};
use super::{framed, ours, schema, sent, serde, serde_of, without_scale};
use crate::record::{Decimal, Fields, Value};
use crate::serdes::avro::decode;
use crate::serdes::{Deserializer, Serde, SerdeError};

/// Pairs of schemas.
const PAIRS: u64 = 5_600;
/// Values for each.
const VALUES: usize = 20;

/// "To match, one of the following must hold: both schemas are arrays whose item types match […] either schema is a union".
/// The reference takes a list of numbers up to 255, an empty one too, for bytes.
const LIST_AS_BYTES: &str = "a list of small numbers, also an empty one, is taken for bytes";
/// "precision, a JSON integer representing the (maximum) precision of decimals stored in this type". The reference does not
/// count the digits of bytes that it reads as a decimal.
const DIGITS: &str = "bytes are taken for a decimal of more digits than the schema allows";
/// "A logical type is always serialized using its underlying Avro type so that values are encoded in exactly the same way as
/// the equivalent Avro type that does not have a logicalType attribute", and it is types that are resolved. The reference
/// does not find, for a value of a logical type, the branch of a union that has the type under it, or one it is promoted to.
const LOGICAL_TYPES: &str = "a logical type is not taken for what is under it";
/// "The byte array must contain the two's-complement representation of the unscaled integer value in big-endian byte order",
/// of whatever length that has. The reference refuses fewer bytes than as many digits as are allowed could need.
const SHORT_DECIMALS: &str = "a decimal has fewer bytes than its precision may need";
/// "Unions may not contain more than one schema with the same type, except for the named types record, fixed and enum." Both
/// take unions of types that differ by their logical types alone; of how these resolve nothing is said.
const FORBIDDEN: &str = "a union has types that differ by their logical types alone";

/// Why the reference reads what ours does not.
fn too_lenient(error: &SerdeError) -> Option<&'static str> {
    let error = error.to_string();
    if error.contains("digits, where the schema allows") || error.contains("more than 38 digits") {
        return Some(DIGITS);
    }
    let (_, types) = error.split_once("the writer has ")?;
    let (writer, reader) = types.split_once(", the reader expects ")?;
    let bytes = reader.split([' ', ',']).any(|word| word == "bytes");
    (writer.starts_with("array") && bytes).then_some(LIST_AS_BYTES)
}

/// Why ours reads what the reference does not. A record that has no place in a union is one with such a field.
fn too_strict(error: &Details, allowed: bool) -> Option<&'static str> {
    match error {
        Details::FindUnionVariant { .. } if !allowed => Some(FORBIDDEN),
        Details::FindUnionVariant { value: Reference::Bytes(_), .. } => Some(SHORT_DECIMALS),
        Details::FindUnionVariant { .. } => Some(LOGICAL_TYPES),
        _ => None,
    }
}

/// Whether a value is the other as it is without logical types.
fn is_under(plain: &Value, value: &Value) -> bool {
    match (plain, value) {
        (Value::Int(number), Value::Timestamp(other)) => number == other,
        (Value::Int(number), Value::Temporal(time)) => *number == time.count,
        // Times of different units are kept apart: where a union has one of another, a time may be promoted instead.
        (Value::Int(number), Value::Double(double)) => *number as f64 == *double,
        (Value::Bytes(bytes), Value::Decimal(decimal)) => {
            Decimal::from_be_bytes(bytes, decimal.scale()).as_ref() == Some(decimal)
        }
        (Value::Bytes(bytes), Value::Struct(_)) => {
            <[u8; 12]>::try_from(&bytes[..]).is_ok_and(|parts| decode::duration(parts) == *value)
        }
        (Value::List(items), Value::List(others)) => {
            items.len() == others.len() && items.iter().zip(others.iter()).all(|(item, other)| is_under(item, other))
        }
        (Value::Map(entries), Value::Map(others)) => {
            let same = |((key, value), (other_key, other))| key == other_key && is_under(value, other);
            entries.len() == others.len() && entries.iter().zip(others.iter()).all(same)
        }
        (Value::Struct(fields), Value::Struct(others)) => {
            let (fields, others) = (fields.values(), others.values());
            fields.len() == others.len() && fields.iter().zip(others).all(|(field, other)| is_under(field, other))
        }
        _ => plain == value,
    }
}

/// What a writer's schema and a reader's are to each of the two.
struct Pair {
    writer: Kind,
    reader: Kind,
    serde: Serde,
    deserializer: Deserializer,
    frame: Vec<u8>,
    renamed: apache_avro::Schema,
    wanted: apache_avro::Schema,
}

impl Pair {
    fn new(writer: Kind, reader: Kind) -> Pair {
        let (serde, frame) = serde(&writer, &reader);
        let deserializer = serde.deserializer(&Fields::All);
        let (renamed, wanted) = (schema(&writer.renamed_as(&reader)), schema(&reader));
        Pair { writer, reader, serde, deserializer, frame, renamed, wanted }
    }

    fn ours(&self, datum: &[u8]) -> Result<Value, SerdeError> {
        self.deserializer.deserialize(&framed(&self.frame, sent(&self.writer, datum)))
    }

    fn reference(&self, mut datum: &[u8]) -> Result<Reference, apache_avro::Error> {
        apache_avro::from_avro_datum(&self.renamed, &mut datum, Some(&self.wanted))
    }

    fn is_allowed(&self) -> bool {
        self.writer.is_allowed() && self.reader.is_allowed()
    }

    /// The same without logical types.
    fn plain(&self) -> Pair {
        Pair::new(self.writer.plain(), self.reader.plain())
    }

    /// Fails unless the two read the same.
    fn assert_same(&self, ours_read: &Value, reference: &Reference, seed: u64) {
        let expected = ours(reference, self.serde.shape());
        assert_eq!(without_scale(ours_read), expected, "{seed}: {:?}\n{:?}", self.writer, self.reader);
    }
}

/// How often the two read the same, refuse both, and part, by the name that this has.
#[derive(Debug, Default)]
struct Counts {
    alike: usize,
    refused: usize,
    parted: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn compare(&mut self, pair: &Pair, datum: &[u8], seed: u64) {
        let told = || format!("{seed}: {:?}\n{:?}", pair.writer, pair.reader);
        match (pair.ours(datum), pair.reference(datum)) {
            (Ok(read), Ok(reference)) => {
                pair.assert_same(&read, &reference, seed);
                let serializer =
                    pair.serde.serializer(pair.serde.shape()).unwrap_or_else(|faults| panic!("{faults:?}"));
                let mut out = Vec::new();
                serializer.serialize(&read, &mut out).unwrap_or_else(|error| panic!("{error}: {}", told()));
                let again = pair.deserializer.deserialize(&Bytes::from(out));
                assert_eq!(again.as_ref(), Ok(&read), "{seed}: written and read again");
                self.alike += 1;
            }
            (Err(error), Ok(reference)) => {
                let why = too_lenient(&error);
                let why = why.unwrap_or_else(|| panic!("{error}, where the reference reads {reference:?}: {}", told()));
                *self.parted.entry(why).or_default() += 1;
            }
            (Ok(read), Err(error)) => {
                let why = too_strict(error.details(), pair.is_allowed());
                let why = why.unwrap_or_else(|| panic!("{read:?}, where the reference says {error}: {}", told()));
                if pair.is_allowed() {
                    // Logical types are all that the reference stumbles over: without them it reads the same.
                    let plain = pair.plain();
                    let theirs = plain.reference(datum).unwrap_or_else(|error| panic!("{error}: {}", told()));
                    let under = plain.ours(datum).unwrap_or_else(|error| panic!("{error}: {}", told()));
                    plain.assert_same(&under, &theirs, seed);
                    assert!(is_under(&under, &read), "{under:?} is not under {read:?}: {}", told());
                }
                *self.parted.entry(why).or_default() += 1;
            }
            (Err(_), Err(_)) => self.refused += 1,
        }
    }
}

#[test]
fn resolution_agrees_with_the_reference_on_a_hundred_thousand_values() {
    let mut counts = Counts::default();
    for seed in 0..PAIRS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let writer = Kind::random(&mut random);
        let reader = writer.evolve(&mut random);
        let written = schema(&writer);
        let pair = Pair::new(writer, reader);
        for _ in 0..VALUES {
            let datum = apache_avro::to_avro_datum(&written, pair.writer.value(&mut random)).unwrap();
            counts.compare(&pair, &datum, seed);
        }
    }
    println!("{counts:?}");
    assert!(counts.alike >= 100_000, "{counts:?}");
    for (name, count) in &counts.parted {
        assert!(*count < counts.alike / 100, "{name}: {count}");
    }
}

/// A case in which the two part.
struct Case {
    name: &'static str,
    writer: Json,
    reader: Json,
    payload: &'static [u8],
    /// What ours reads, where the reference refuses to; or else says, where the reference reads.
    ours: Result<Value, &'static str>,
}

fn cases() -> Vec<Case> {
    let decimal = |precision: u32| json!({ "type": "bytes", "logicalType": "decimal", "precision": precision });
    let bytes = |bytes: &'static [u8]| Ok(Value::Bytes(Bytes::from_static(bytes)));
    let case = |name, writer, reader, payload, ours| Case { name, writer, reader, payload, ours };
    let list = json!({ "type": "array", "items": "int" });
    let record = |kind: Json| json!({ "type": "record", "name": "R", "fields": [{ "name": "f", "type": kind }] });
    let date = json!({ "type": "int", "logicalType": "date" });
    vec![
        case(LIST_AS_BYTES, list, json!("bytes"), &[0], Err("the writer has array of int, the reader expects bytes")),
        case(DIGITS, record(json!("bytes")), record(decimal(1)), &[2, 10], Err("digits, where the schema allows 1")),
        case(LOGICAL_TYPES, date, json!(["null", "double"]), &[2], Ok(Value::Double(1.0))),
        case(LOGICAL_TYPES, record(decimal(1)), record(json!(["null", "bytes"])), &[2, 5], bytes(&[5])),
        case(
            SHORT_DECIMALS,
            record(json!("bytes")),
            record(json!(["null", decimal(9)])),
            &[2, 5],
            Ok(Value::Decimal(Decimal::new(5, 0).unwrap())),
        ),
        case(FORBIDDEN, record(json!([decimal(1), "bytes"])), record(json!(["bytes"])), &[0, 2, 5], bytes(&[5])),
    ]
}

#[test]
fn each_case_in_which_the_reference_parts_from_ours_is_as_it_is_said_to_be() {
    for Case { name, writer, reader, mut payload, ours } in cases() {
        let (serde, frame) = serde_of(&writer, &reader);
        let read = serde.deserializer(&Fields::All).deserialize(&framed(&frame, payload));
        let [written, wanted] = [&writer, &reader].map(|schema| apache_avro::Schema::parse(schema).unwrap());
        let reference = apache_avro::from_avro_datum(&written, &mut payload, Some(&wanted));
        let why = match (&read, &ours, &reference) {
            (Ok(read), Ok(expected), Err(error)) => {
                let field = read.get("f").cloned().unwrap_or_else(|| read.clone());
                assert_eq!(field, *expected, "{name}");
                too_strict(error.details(), name != FORBIDDEN)
            }
            (Err(error), Err(said), Ok(_)) => {
                assert!(error.to_string().contains(said), "{name}: {error}");
                too_lenient(error)
            }
            _ => panic!("{name}: ours {read:?}, the reference's {reference:?}"),
        };
        assert_eq!(why, Some(name));
    }
}
