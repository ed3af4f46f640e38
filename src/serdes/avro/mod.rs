//! Avro: schemas compiled to readers and writers of values.
//!
//! A payload is a zero byte, the writer's schema id as four big-endian bytes, and the value in Avro's binary encoding: the
//! framing of Confluent's schema registry. A value that is `bytes` as a whole, or a decimal of them, then stands there
//! without its length. It may also be a byte 1 and a globally unique id of 16 bytes instead, or the value alone, with the id
//! in a header of the record or with none at all.

mod alike;
mod build;
mod choose;
mod decode;
mod default;
mod encode;
mod gaps;
mod matching;
mod plan;
mod reader;
#[cfg(test)]
mod reference;
mod schema;
mod skip;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{Arc, OnceLock};

pub(super) use build::put_aside;
pub(super) use reader::{Framing, Plans, Reader};
pub(super) use schema::Type;

use bytes::Bytes;

use super::error::{SerdeError, ShapeMismatch};
use crate::record::{Fields, Shape, Value};

/// The byte that starts a payload with a schema id of four bytes.
const MAGIC: u8 = 0;
/// How many bytes stand in front of a value that has such an id.
const FRAME: usize = 5;
/// The byte that starts a payload, or a header, with a globally unique id of 16 bytes.
const GUID_MAGIC: u8 = 1;

/// A schema that payloads name by its id.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    /// The name errors use.
    pub(super) name: String,
    /// The id that is derived from it.
    pub(super) id: u32,
    /// The id that payloads carry: the derived one, or the registry's, once that has said it.
    pub(super) wire: OnceLock<u32>,
    pub(super) kind: Type,
}

impl Schema {
    /// Where values that another schema wrote cannot be read as this one's, and how the two part: what no record fits, or
    /// else what some records do not.
    pub(super) fn cannot_read(&self, writer: &Schema) -> Vec<(String, String)> {
        let found = match plan::compile(&writer.kind, &self.kind, &Fields::All) {
            Err(mismatch) => vec![(mismatch.path, mismatch.message)],
            Ok(plan) => gaps::of(&plan),
        };
        found.into_iter().map(|(path, message)| (path.join(".").replace(".[]", "[]"), message)).collect()
    }
}

/// Writes values as one schema says.
#[derive(Debug)]
pub(super) struct Writer {
    schema: SharedSchema,
    framing: Framing,
    write: writer::Write,
}

impl Writer {
    /// Compiles the writer of values of the shape `input`.
    pub(super) fn new(schema: &SharedSchema, framing: Framing, input: &Shape) -> Result<Self, Vec<ShapeMismatch>> {
        Ok(Writer { schema: Arc::clone(schema), framing, write: writer::compile(&schema.kind, input)? })
    }

    /// Whether an id stands in front of what it writes.
    pub(super) fn has_id(&self) -> bool {
        self.framing != Framing::None
    }

    /// A payload of the schema's own that carries the registry's id, under the id that this writer gives it.
    pub(super) fn framed_anew(&self, payload: &Bytes) -> Bytes {
        let id = self.schema.id.to_be_bytes();
        match payload.get(FRAME..) {
            Some(value) if self.framing == Framing::Internal && payload[1..FRAME] != id => {
                [&[MAGIC][..], &id, value].concat().into()
            }
            _ => payload.clone(),
        }
    }

    /// Appends a payload; on an error `out` is as it was.
    pub(super) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let before = out.len();
        let id = match self.framing {
            Framing::None => None,
            Framing::Internal => Some(self.schema.id),
            Framing::Registry => {
                let unannounced = || SerdeError::Unannounced(Box::new(self.schema.name.clone()));
                Some(*self.schema.wire.get().ok_or_else(unannounced)?)
            }
        };
        if let Some(id) = id {
            out.push(MAGIC);
            out.extend_from_slice(&id.to_be_bytes());
        }
        if let (writer::Write::Bytes, Value::Bytes(bytes), Some(_)) = (&self.write, value, id) {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let start = out.len();
        encode::write(&self.write, value, out).inspect_err(|_| out.truncate(before))?;
        if id.is_some() && self.schema.kind.is_bytes() {
            // The length ends with the first byte that does not say that another one follows.
            let length = out.iter().skip(start).position(|byte| *byte < 0x80).map_or(0, |last| last + 1);
            out.drain(start..start + length);
        }
        Ok(())
    }
}

/// A schema is shared between the registry and the serdes made from it.
pub(super) type SharedSchema = Arc<Schema>;
