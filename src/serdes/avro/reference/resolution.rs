//! Resolution against the reference's, on pairs of random schemas, a hundred thousand values in all.
//!
//! Where the reference departs from the specification ("Schema Resolution", Avro 1.12), ours follows the specification, and
//! the case has a name here. The reference compares neither the names of types nor knows aliases; fields are therefore
//! renamed in the writer's schema that it gets.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::samples::{Kind, Random};
use super::{framed, ours, schema, sent, serde, without_scale};
use crate::record::Fields;

/// Pairs of schemas.
const PAIRS: u64 = 5_600;
/// Values for each.
const VALUES: usize = 20;

/// What the reference reads though the specification does not let it: what it was written as, what it is read as, why.
const TOO_LENIENT: [(&str, &str, &str); 8] = [
    ("long", "int", "longs are cut to 32 bits"),
    ("double", "float", "doubles lose precision"),
    ("fixed", "string", "a fixed is taken for text"),
    ("fixed", "bytes", "a fixed is taken for bytes"),
    ("string", "fixed", "text is taken for a fixed of any size"),
    ("string", "enum", "text is taken for a symbol"),
    ("array", "bytes", "a list of small numbers, also an empty one, is taken for bytes"),
    ("map", "record", "a map is taken for a record"),
];

fn too_lenient(error: &str) -> Option<&'static str> {
    if error.contains("digits, where the schema allows") || error.contains("more than 38 digits") {
        return Some("bytes are taken for a decimal of more digits than the schema allows");
    }
    let (_, types) = error.split_once("the writer has ")?;
    let (writer, reader) = types.split_once(", the reader expects ")?;
    let named = |text: &str, name: &str| text.split([' ', ',']).any(|word| word == name);
    let case = TOO_LENIENT.iter().find(|(from, to, _)| writer.starts_with(from) && named(reader, to));
    case.map(|(_, _, why)| *why)
}

#[test]
fn resolution_agrees_with_the_reference_on_a_hundred_thousand_values() {
    let (mut compared, mut refused, mut beyond) = (0_usize, 0_usize, 0_usize);
    let mut lenient: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..PAIRS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let writer = Kind::random(&mut random);
        let reader = writer.evolve(&mut random);
        let (serde, frame) = serde(&writer, &reader);
        let deserializer = serde.deserializer(&Fields::All);
        let serializer = serde.serializer(serde.shape()).unwrap_or_else(|faults| panic!("{seed}: {faults:?}"));
        let (written, renamed, wanted) = (schema(&writer), schema(&writer.renamed_as(&reader)), schema(&reader));
        for _ in 0..VALUES {
            let datum = apache_avro::to_avro_datum(&written, writer.value(&mut random)).unwrap();
            let read = deserializer.deserialize(&framed(&frame, sent(&writer, &datum)));
            let reference = apache_avro::from_avro_datum(&renamed, &mut datum.as_slice(), Some(&wanted));
            match (read, reference) {
                (Ok(read), Ok(reference)) => {
                    assert_eq!(without_scale(&read), ours(&reference, serde.shape()), "{seed}: {writer:?}\n{reader:?}");
                    let mut out = Vec::new();
                    serializer.serialize(&read, &mut out).unwrap_or_else(|error| panic!("{seed}: {error}"));
                    let again = deserializer.deserialize(&Bytes::from(out));
                    assert_eq!(again.as_ref(), Ok(&read), "{seed}: written and read again");
                    compared += 1;
                }
                (Err(error), Ok(reference)) => match too_lenient(&error.to_string()) {
                    Some(why) => *lenient.entry(why).or_default() += 1,
                    None => panic!("{seed}: {error}, where the reference reads {reference:?}\n{writer:?}\n{reader:?}"),
                },
                (Err(_), Err(_)) => refused += 1,
                // It does not find some branches of unions, nor the defaults of all types.
                (Ok(_), Err(_)) => beyond += 1,
            }
        }
    }
    println!(
        "{compared} alike, {refused} refused by both, {beyond} read by ours alone, read by the reference alone: {lenient:?}"
    );
    assert!(compared >= 100_000, "{compared} values were compared");
    assert!(beyond < compared / 20, "{beyond} values are read by ours alone");
}
