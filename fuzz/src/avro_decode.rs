//! Any text is an Avro schema or an error, and any bytes are a value of it or an error, whichever of two schemas wrote
//! them and whichever reads them. What was read is written, and read back as the same. Where the whole can be read, so can
//! each of its fields alone, the others being passed over, and it is the same.

use std::sync::LazyLock;

use bytes::Bytes;
use signalstream::record::{Fields, Shape, Value};
use signalstream::serdes::{Deserializer, Format, SchemaRegistry, Serde};

use super::feed::Feed;
use super::{outcome, schemas};

/// What stands between two schemas and the payload, when the schemas are in the input.
const SEPARATOR: u8 = 0xff;

/// The least first byte of an input whose schemas are made of it.
const MADE: u8 = 0x80;

/// The least first byte of one whose second schema is what the first has become.
const EVOLVED: u8 = 0xc0;

/// How deep it is looked for fields that are read alone.
const DEPTH: usize = 2;

/// What the shape of durations is called: they have parts, but are no records, and read whole.
const DURATION: &str = "duration";

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

static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| KNOWN.names().map(|name| Reader::new(&KNOWN, name)).collect());

/// How a schema's values are read: as a whole, and in parts.
struct Reader {
    serde: Serde,
    whole: Deserializer,
    parts: Vec<(Fields, Deserializer)>,
}

/// Reads a payload. The first byte says whether the schemas are known ones, made of the bytes that follow, or stand there as
/// text.
pub fn run(data: &[u8]) -> u64 {
    let mut feed = Feed::new(data);
    let first = feed.byte();
    if first >= MADE {
        return made(&mut feed, first >= EVOLVED);
    }
    if first & 1 == 0 {
        let names: Vec<&str> = KNOWN.names().collect();
        let (reader, writer) = (&READERS[feed.below(names.len())], names[feed.below(names.len())]);
        return outcome::of([reader.read(KNOWN.id(writer), feed.rest()).as_str()]);
    }
    let mut parts = feed.rest().splitn(3, |byte| *byte == SEPARATOR);
    let (mut registry, mut outcomes) = (SchemaRegistry::new(), Vec::new());
    for name in ["A.avsc", "B.avsc"] {
        let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return outcome::NONE };
        if let Err(error) = registry.add(name, text) {
            outcomes.push(error.to_string());
        }
    }
    read_all(&registry, parts.next().unwrap_or_default(), &mut outcomes);
    outcome::of(outcomes.iter().map(String::as_str))
}

/// Two schemas made of the input, each writing what the other reads.
fn made(feed: &mut Feed<'_>, evolved: bool) -> u64 {
    let (mut registry, mut outcomes) = (SchemaRegistry::new(), Vec::new());
    let first = schemas::schema(feed);
    let second = if evolved { schemas::evolved(&first, feed) } else { schemas::schema(feed) };
    for (name, schema) in [("A.avsc", first), ("B.avsc", second)] {
        if let Err(error) = registry.add(name, &schema.to_string()) {
            outcomes.push(error.to_string());
        }
    }
    read_all(&registry, feed.rest(), &mut outcomes);
    outcome::of(outcomes.iter().map(String::as_str))
}

/// Reads a payload by every schema as if each had written it.
fn read_all(registry: &SchemaRegistry, payload: &[u8], outcomes: &mut Vec<String>) {
    for name in registry.names() {
        let reader = Reader::new(registry, name);
        outcomes.extend(registry.names().map(|writer| reader.read(registry.id(writer), payload)));
    }
}

impl Reader {
    fn new(registry: &SchemaRegistry, name: &str) -> Reader {
        let serde = Serde::new(&Format::Avro(name.to_owned()), registry).unwrap_or_else(|error| panic!("{error}"));
        let parts = parts(serde.shape()).into_iter().map(|fields| (fields.clone(), serde.deserializer(&fields)));
        Reader { whole: serde.deserializer(&Fields::All), parts: parts.collect(), serde }
    }

    /// Reads a value that a writer of this id has written.
    fn read(&self, writer: Option<u32>, body: &[u8]) -> String {
        let mut payload = vec![0];
        payload.extend_from_slice(&writer.unwrap_or_default().to_be_bytes());
        payload.extend_from_slice(body);
        let payload = Bytes::from(payload);
        let whole = self.whole.deserialize(&payload);
        for (fields, reader) in &self.parts {
            let part = reader.deserialize(&payload);
            if let Ok(whole) = &whole {
                let part = part.unwrap_or_else(|error| panic!("{fields:?} alone: {error}"));
                assert!(agree(&part, whole, fields), "{fields:?} alone are {part:?} of {whole:?}");
            }
        }
        match whole {
            Ok(value) => {
                write(&self.serde, &value);
                self.serde.shape().to_string()
            }
            Err(error) => error.to_string(),
        }
    }
}

/// Nothing of a value, and each of its fields alone, also those of records in it.
fn parts(shape: &Shape) -> Vec<Fields> {
    let (mut paths, mut done) = (vec![(Vec::new(), shape.resolved())], 0);
    while let Some((path, shape)) = paths.get(done).cloned() {
        done += 1;
        if let (Shape::Struct(fields), true) = (shape.required(), path.len() < DEPTH)
            && fields.name() != DURATION
        {
            for field in fields.fields() {
                paths.push(([&path[..], &[field.name.to_string()]].concat(), field.shape.resolved()));
            }
        }
    }
    let path = |(path, _): &(Vec<String>, Shape)| match &path[..] {
        [] => Fields::none(),
        path => Fields::path(&path.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    paths.iter().map(path).collect()
}

/// Whether a part of a value is what the whole has there; what is not used of a record is null. Other values than records are
/// read whole or not at all.
fn agree(part: &Value, whole: &Value, fields: &Fields) -> bool {
    match (fields, part, whole) {
        // By what they are: a number that is none is not equal to itself.
        (Fields::All, ..) => format!("{part:?}") == format!("{whole:?}"),
        (Fields::Some(_), part, Value::Struct(all)) if all.shape().name() == DURATION => {
            part.is_null() || part == whole
        }
        (Fields::Some(named), Value::Struct(read), Value::Struct(all)) => {
            let places = all.shape().fields().iter().zip(read.values()).zip(all.values());
            places.into_iter().all(|((field, part), whole)| match named.get(field.name.as_ref() as &str) {
                Some(inside) => agree(part, whole, inside),
                None => *part == Value::Null,
            })
        }
        (Fields::Some(named), _, Value::Struct(_)) => named.is_empty() && *part == Value::Null,
        _ => true,
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
