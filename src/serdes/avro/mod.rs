//! Avro: schemas compiled to readers and writers of values.
//!
//! A payload is a zero byte, the writer's schema id as four big-endian bytes, and the value in Avro's
//! binary encoding: the framing of Confluent's schema registry.

mod build;
mod choose;
mod decode;
mod default;
mod encode;
mod matching;
mod plan;
#[cfg(test)]
mod reference;
mod schema;
mod skip;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

pub(super) use build::put_aside;
pub(super) use schema::Type;

use super::cursor::Cursor;
use super::error::{Incompatible, Problem, SerdeError, ShapeMismatch};
use crate::record::{Fields, Shape, Value};

/// The byte that starts a framed payload.
const MAGIC: u8 = 0;

/// A schema that payloads name by its id.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    /// The name errors use.
    pub(super) name: String,
    pub(super) id: u32,
    pub(super) kind: Type,
}

/// Reads payloads as one schema's values, whichever registered schema wrote them.
#[derive(Debug)]
pub(super) struct Reader {
    own_id: u32,
    own: Result<plan::Node, SerdeError>,
    /// The plans for the other writers. All are made ahead: schemas are few, and reading needs no lock then.
    others: HashMap<u32, Result<plan::Node, SerdeError>, ahash::RandomState>,
}

impl Reader {
    /// Compiles the plans that read `fields` as `schema` has them from what any of `writers` wrote.
    pub(super) fn new<'a>(schema: &Schema, fields: &Fields, writers: impl Iterator<Item = &'a Schema>) -> Self {
        let compile = |writer: &Schema| {
            plan::compile(&writer.kind, &schema.kind, fields).map_err(|mismatch| {
                SerdeError::Incompatible(Box::new(Incompatible {
                    writer: writer.name.clone(),
                    reader: schema.name.clone(),
                    path: mismatch.path.join("."),
                    message: mismatch.message,
                }))
            })
        };
        let others = writers.filter(|writer| writer.id != schema.id).map(|writer| (writer.id, compile(writer)));
        Reader { own_id: schema.id, own: compile(schema), others: others.collect() }
    }

    /// Reads a framed payload.
    pub(super) fn read(&self, payload: &Bytes) -> Result<Value, SerdeError> {
        let mut cursor = Cursor::new(payload, 0);
        match cursor.byte()? {
            MAGIC => {}
            other => return Err(Problem::NotFramed(other).at(0)),
        }
        let id = u32::from_be_bytes(cursor.array()?);
        let plan = match id == self.own_id {
            true => Some(&self.own),
            false => self.others.get(&id),
        };
        let plan = plan.ok_or_else(|| Problem::UnknownSchemaId(id).at(1))?.as_ref().map_err(SerdeError::clone)?;
        let value = plan.read(&mut cursor)?;
        cursor.finish()?;
        Ok(value)
    }
}

/// Writes values as one schema says.
#[derive(Debug)]
pub(super) struct Writer {
    id: u32,
    write: writer::Write,
}

impl Writer {
    /// Compiles the writer of values of the shape `input`.
    pub(super) fn new(schema: &Schema, input: &Shape) -> Result<Self, Vec<ShapeMismatch>> {
        Ok(Writer { id: schema.id, write: writer::compile(&schema.kind, input)? })
    }

    /// Appends a framed payload; on an error `out` is as it was.
    pub(super) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let before = out.len();
        out.push(MAGIC);
        out.extend_from_slice(&self.id.to_be_bytes());
        encode::write(&self.write, value, out).inspect_err(|_| out.truncate(before))
    }
}

/// A schema is shared between the registry and the serdes made from it.
pub(super) type SharedSchema = Arc<Schema>;
