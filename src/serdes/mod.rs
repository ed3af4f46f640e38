//! Bytes ↔ values: Avro, JSON and the primitive types of Kafka's own serializers.
//!
//! A [`Deserializer`] is compiled once for a schema and the [`Fields`] that a plan uses, a [`Serializer`] once
//! for a schema and the [`Shape`] of what it will be given; per record they only run.

mod avro;
pub mod catalogue;
pub mod compatibility;
mod cursor;
mod error;
mod extent;
mod inline;
pub mod internal;
pub mod json;
mod names;
mod primitives;
mod registry;
pub mod remote;
mod topic;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::record::{Fields, Shape, Value};

pub use catalogue::SchemaDescription;
pub use error::{
    AwaitedSchema, Incompatible, PayloadError, Problem, SerdeError, ShapeMismatch, UnknownSchema, UnusableSchema,
    ValueError,
};
pub use registry::{SchemaError, SchemaRegistry};
pub use topic::TopicSerde;

/// How a topic's keys or values are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// UTF-8 text, as Kafka's `StringSerializer` writes it.
    String,
    /// Eight bytes, big-endian, as Kafka's `LongSerializer` writes it.
    Long,
    /// Eight bytes, big-endian IEEE 754, as Kafka's `DoubleSerializer` writes it.
    Double,
    /// The bytes as they are.
    Bytes,
    /// UTF-8 JSON without a schema.
    Json,
    /// Avro of the schema of this name, with its id in front of the value.
    Avro(String),
    /// Avro of the schema of this name, with nothing in front of the value.
    RawAvro(String),
}

impl Format {
    /// The name of the schema that it needs.
    pub fn schema(&self) -> Option<&str> {
        match self {
            Format::Avro(name) | Format::RawAvro(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::String => f.write_str("string"),
            Format::Long => f.write_str("long"),
            Format::Double => f.write_str("double"),
            Format::Bytes => f.write_str("bytes"),
            Format::Json => f.write_str("json"),
            Format::Avro(name) => write!(f, "avro {name}"),
            Format::RawAvro(name) => write!(f, "avro {name} without framing"),
        }
    }
}

/// A format with the schemas it needs: makes deserializers and serializers. Cloning shares the schemas.
#[derive(Clone, Debug)]
pub struct Serde {
    /// The format.
    pub format: Format,
    shape: Shape,
    avro: Option<(avro::SharedSchema, avro::Framing, SchemaRegistry)>,
}

impl Serde {
    /// Looks up what the format needs. The schemas registered now are those whose payloads it will read.
    ///
    /// # Errors
    /// [`SerdeError::UnknownSchema`] when the format names a schema that is not registered.
    pub fn new(format: &Format, registry: &SchemaRegistry) -> Result<Serde, SerdeError> {
        let (shape, avro) = match format {
            Format::String => (Shape::String, None),
            Format::Long => (Shape::Int, None),
            Format::Double => (Shape::Double, None),
            Format::Bytes => (Shape::Bytes, None),
            Format::Json => (Shape::Any, None),
            Format::Avro(name) | Format::RawAvro(name) => {
                let unknown = || {
                    let nearest = error::nearest(name, registry.names());
                    SerdeError::UnknownSchema(Box::new(UnknownSchema { name: name.clone(), nearest }))
                };
                let schema = registry.schema(name).ok_or_else(unknown)?;
                let framed = matches!(format, Format::Avro(_));
                let framing = if framed { avro::Framing::Registry } else { avro::Framing::None };
                (schema.kind.shape(), Some((Arc::clone(schema), framing, registry.clone())))
            }
        };
        Ok(Serde { format: format.clone(), shape, avro })
    }

    /// The shape of the values it reads.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The same for what stays inside the application, the keys of stores and of internal topics: with ids that do not
    /// depend on a registry. One that is moved, or has another version of the schema by the next start, does not change
    /// what rows are found by.
    #[must_use]
    pub fn internal(&self) -> Serde {
        let mut serde = self.clone();
        if let Some((_, framing @ avro::Framing::Registry, _)) = &mut serde.avro {
            *framing = avro::Framing::Internal;
        }
        serde
    }

    /// Compiles a deserializer that decodes these fields. The others are null in their places, so that
    /// positions do not depend on who uses what.
    pub fn deserializer(&self, fields: &Fields) -> Deserializer {
        let read = match (&self.format, &self.avro) {
            (_, Some((schema, framing, registry))) => {
                let remote = registry.remote().filter(|_| *framing == avro::Framing::Registry).cloned();
                let writers = registry.schemas();
                let reader = Arc::new(avro::Reader::new(schema, fields, *framing, writers, remote));
                let inside = if *framing == avro::Framing::None { *framing } else { avro::Framing::Internal };
                let writer = avro::Writer::new(schema, inside, &self.shape).ok().map(Arc::new);
                Read::Avro(reader, writer)
            }
            (Format::String, _) => Read::Plain(primitives::read_string),
            (Format::Long, _) => Read::Plain(primitives::read_long),
            (Format::Double, _) => Read::Plain(primitives::read_double),
            (Format::Json, _) => Read::Plain(|payload| json::decode(payload)),
            // `new` gives every Avro serde its schema.
            (Format::Bytes | Format::Avro(_) | Format::RawAvro(_), _) => {
                Read::Plain(|payload| Ok(Value::Bytes(payload.clone())))
            }
        };
        Deserializer { read }
    }

    /// Compiles a serializer for values of the shape `input`. What is not known of the shape
    /// ([`Shape::Any`]) is checked record by record.
    ///
    /// # Errors
    /// Everything about `input` that cannot be written in this format.
    pub fn serializer(&self, input: &Shape) -> Result<Serializer, Vec<ShapeMismatch>> {
        if let Some((schema, framing, _)) = &self.avro {
            return Ok(Serializer { write: Write::Avro(Arc::new(avro::Writer::new(schema, *framing, input)?)) });
        }
        let accepted = matches!(
            (&self.format, input),
            (Format::Json, _)
                | (_, Shape::Any | Shape::Never)
                | (Format::String, Shape::String | Shape::Enum(_))
                | (Format::Long, Shape::Int | Shape::UInt | Shape::Timestamp | Shape::Duration)
                | (Format::Double, Shape::Double | Shape::Int | Shape::UInt)
                | (Format::Bytes, Shape::Bytes)
        );
        if !accepted {
            let message = format!("expected {}, found {input}", self.format);
            return Err(vec![ShapeMismatch { path: Vec::new(), message }]);
        }
        let write = match &self.format {
            Format::String => Write::Text,
            Format::Long => Write::Plain(primitives::write_long),
            Format::Double => Write::Plain(primitives::write_double),
            Format::Json => Write::Plain(json::encode),
            Format::Bytes | Format::Avro(_) | Format::RawAvro(_) => Write::Plain(primitives::write_bytes),
        };
        Ok(Serializer { write })
    }
}

/// Turns payloads into values. Cloning shares the compiled plans.
#[derive(Clone, Debug)]
pub struct Deserializer {
    read: Read,
}

#[derive(Clone, Debug)]
enum Read {
    Plain(fn(&Bytes) -> Result<Value, SerdeError>),
    /// With what writes a key anew that somebody else has written, where that can be.
    Avro(Arc<avro::Reader>, Option<Arc<avro::Writer>>),
}

impl Deserializer {
    /// Reads a payload; text and bytes of the value share it. A null payload is not for here: it is
    /// [`Value::Null`] in every format.
    ///
    /// # Errors
    /// What is wrong with the payload, in which field and at which byte. Never panics, and never allocates
    /// more than a fixed multiple of the payload's length on the word of a length inside it.
    pub fn deserialize(&self, payload: &Bytes) -> Result<Value, SerdeError> {
        self.deserialize_with(payload, None)
    }

    /// As [`Deserializer::deserialize`], for a payload whose schema may be named by a header of its record
    /// ([`Deserializer::takes_header`]).
    ///
    /// # Errors
    /// As [`Deserializer::deserialize`].
    pub fn deserialize_with(&self, payload: &Bytes, header: Option<&Bytes>) -> Result<Value, SerdeError> {
        match &self.read {
            Read::Plain(read) => read(payload),
            Read::Avro(reader, _) => {
                let mut value = Value::Null;
                reader.read(payload, header, &mut value)?;
                Ok(value)
            }
        }
    }

    /// Reads a key, and gives the bytes that stand for it inside the application ([`Serde::internal`]). Those are the
    /// payload, unless a header names its schema, or a registry has it: then they are written anew, so that equal keys
    /// have equal bytes, whoever wrote them and whatever the registry calls their schema.
    ///
    /// # Errors
    /// As [`Deserializer::deserialize`].
    pub fn deserialize_key(&self, payload: &Bytes, header: Option<&Bytes>) -> Result<(Value, Bytes), SerdeError> {
        let (reader, writer) = match &self.read {
            Read::Plain(read) => return Ok((read(payload)?, payload.clone())),
            Read::Avro(reader, writer) => (reader, writer),
        };
        let mut value = Value::Null;
        let is_own = reader.read(payload, header, &mut value)?;
        let Some(writer) = writer.as_ref().filter(|_| header.is_some() || reader.is_remote()) else {
            return Ok((value, payload.clone()));
        };
        if is_own {
            return Ok((value, writer.framed_anew(payload)));
        }
        let mut encoded = Vec::with_capacity(payload.len());
        writer.write(&value, &mut encoded)?;
        Ok((value, encoded.into()))
    }

    /// How many schemas the registry has answered for so far, for whoever; 0 without one.
    pub fn answers(&self) -> u64 {
        match &self.read {
            Read::Avro(reader, _) => reader.answers(),
            Read::Plain(_) => 0,
        }
    }

    /// How many plans were made for writers that a registry knows.
    #[cfg(test)]
    fn compiled(&self) -> usize {
        match &self.read {
            Read::Avro(reader, _) => reader.compiled(),
            Read::Plain(_) => 0,
        }
    }

    /// Whether a header may name the schema of a payload.
    pub fn takes_header(&self) -> bool {
        matches!(self.read, Read::Avro(..))
    }
}

/// Turns values into payloads. Cloning shares the compiled plan.
#[derive(Clone, Debug)]
pub struct Serializer {
    write: Write,
}

#[derive(Clone, Debug)]
enum Write {
    /// Text, whose bytes are the payload.
    Text,
    Plain(fn(&Value, &mut Vec<u8>) -> Result<(), SerdeError>),
    Avro(Arc<avro::Writer>),
}

impl Serializer {
    /// Appends the payload of a value. On an error `out` is as it was.
    ///
    /// # Errors
    /// What in the value does not fit the format, with its path.
    pub fn serialize(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match &self.write {
            Write::Text => primitives::write_string(value, out),
            Write::Plain(write) => write(value, out),
            Write::Avro(writer) => writer.write(value, out),
        }
    }

    /// Whether what it writes names its schema by itself, so that a header that names another one would mislead.
    pub fn names_schema(&self) -> bool {
        matches!(&self.write, Write::Avro(writer) if writer.has_id())
    }

    /// The payload of a value: shared with the value where that is its bytes already, else made in `buffer` first.
    ///
    /// # Errors
    /// As [`Serializer::serialize`].
    pub fn payload(&self, value: &Value, buffer: &mut Vec<u8>) -> Result<Bytes, SerdeError> {
        if let (Write::Text, Value::String(text)) = (&self.write, value) {
            return Ok(text.to_bytes());
        }
        buffer.clear();
        self.serialize(value, buffer)?;
        Ok(Bytes::copy_from_slice(buffer))
    }
}
