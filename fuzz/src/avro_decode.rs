//! Any text is an Avro schema or an error, and any bytes are a value of it or an error, whichever of two schemas wrote
//! them and whichever reads them. What was read is written, and read back as the same.

use std::sync::LazyLock;

use bytes::Bytes;
use signalstream::record::{Fields, Value};
use signalstream::serdes::{Format, SchemaRegistry, Serde};

use super::feed::Feed;
use super::{outcome, schemas};

/// What stands between two schemas and the payload, when the schemas are in the input.
const SEPARATOR: u8 = 0xff;

/// The least first byte of an input whose schemas are made of it.
const MADE: u8 = 0x80;

static KNOWN: LazyLock<SchemaRegistry> = LazyLock::new(|| {
    let mut registry = SchemaRegistry::new();
    for (name, schema) in [
        ("MessageCreated", include_str!("../../schemas/MessageCreated.avsc")),
        ("SentimentResult", include_str!("../../schemas/SentimentResult.avsc")),
        ("AggregatedIntelligence", include_str!("../../schemas/AggregatedIntelligence.avsc")),
        ("Wide", include_str!("../schemas/Wide.avsc")),
        ("Narrow", include_str!("../schemas/Narrow.avsc")),
    ] {
        registry.add(&format!("{name}.avsc"), schema).unwrap_or_else(|error| panic!("{error}"));
    }
    registry
});

/// Reads a payload. The first byte says whether the schemas are known ones, made of the bytes that follow, or stand there as
/// text.
pub fn run(data: &[u8]) -> u64 {
    let mut feed = Feed::new(data);
    let first = feed.byte();
    if first >= MADE {
        return made(&mut feed);
    }
    if first & 1 == 0 {
        let names: Vec<&str> = KNOWN.names().collect();
        let (reader, writer) = (names[feed.below(names.len())], names[feed.below(names.len())]);
        return outcome::of([read(&KNOWN, reader, writer, feed.rest()).as_str()]);
    }
    let mut parts = feed.rest().splitn(3, |byte| *byte == SEPARATOR);
    let (mut registry, mut outcomes) = (SchemaRegistry::new(), Vec::new());
    for name in ["A.avsc", "B.avsc"] {
        let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return outcome::NONE };
        if let Err(error) = registry.add(name, text) {
            outcomes.push(error.to_string());
        }
    }
    let payload = parts.next().unwrap_or_default();
    let names: Vec<&str> = registry.names().collect();
    for reader in &names {
        for writer in &names {
            outcomes.push(read(&registry, reader, writer, payload));
        }
    }
    outcome::of(outcomes.iter().map(String::as_str))
}

/// Two schemas made of the input, each writing what the other reads.
fn made(feed: &mut Feed<'_>) -> u64 {
    let (mut registry, mut outcomes) = (SchemaRegistry::new(), Vec::new());
    for name in ["A.avsc", "B.avsc"] {
        let text = schemas::schema(feed).to_string();
        if let Err(error) = registry.add(name, &text) {
            outcomes.push(error.to_string());
        }
    }
    let names: Vec<&str> = registry.names().collect();
    for reader in &names {
        for writer in &names {
            outcomes.push(read(&registry, reader, writer, feed.rest()));
        }
    }
    outcome::of(outcomes.iter().map(String::as_str))
}

fn read(registry: &SchemaRegistry, reader: &str, writer: &str, body: &[u8]) -> String {
    let id = registry.id(writer).unwrap_or_default();
    let serde = Serde::new(&Format::Avro(reader.to_owned()), registry).unwrap_or_else(|error| panic!("{error}"));
    let mut payload = vec![0];
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(body);
    let deserializer = serde.deserializer(&Fields::All);
    drop(serde.deserializer(&Fields::path(&["a"])).deserialize(&Bytes::copy_from_slice(&payload)));
    match deserializer.deserialize(&Bytes::from(payload)) {
        Ok(value) => {
            write(&serde, &value);
            serde.shape().to_string()
        }
        Err(error) => error.to_string(),
    }
}

fn write(serde: &Serde, value: &Value) {
    let writer = serde.serializer(serde.shape()).unwrap_or_else(|mismatches| panic!("{mismatches:?}"));
    let written = |value: &Value| {
        let mut out = Vec::new();
        writer.serialize(value, &mut out).unwrap_or_else(|error| panic!("{error}: {value:?}"));
        Bytes::from(out)
    };
    let first = written(value);
    let again = serde.deserializer(&Fields::All).deserialize(&first).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(written(&again), first);
}
