//! Reads payloads as one schema's values, whichever schema they were written with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::{FRAME, GUID_MAGIC, MAGIC, Schema, SharedSchema, plan};
use crate::record::{Fields, Value};
use crate::serdes::cursor::{Cursor, put_zigzag};
use crate::serdes::error::{AwaitedSchema, Incompatible, Problem, SerdeError, UnusableSchema};
use crate::serdes::remote::{Lookup, RemoteRegistry, WriterId};

/// The most plans that are found without a lock; topics have few writers.
const MAX_LINKS: usize = 1_000;

/// How what a writer wrote becomes a value.
#[derive(Clone, Debug)]
struct Plan {
    read: Result<Arc<plan::Node>, SerdeError>,
    /// Whether the writer's values stand there without their length: [`super::Type::is_bytes`].
    is_bare: bool,
}

/// How payloads say which schema they were written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serdes) enum Framing {
    /// By an id in front of the value: the registry's where there is one, else the one that derives from the schema.
    Registry,
    /// By the id that derives from the schema, whatever a registry calls it: so what the application keeps for itself has
    /// the same bytes for as long as the schema is the same.
    Internal,
    /// Not at all: all are written with the reader's schema.
    None,
}

/// Reads payloads as one schema's values, whichever known schema wrote them.
#[derive(Debug)]
pub(in crate::serdes) struct Reader {
    plans: Arc<Plans>,
    framing: Framing,
    own: Plan,
    /// The plans for the other schemas at hand, by the ids derived from them. All are made ahead: schemas are few, and
    /// reading needs no lock then.
    others: HashMap<u32, Plan, ahash::RandomState>,
    /// Who knows the other writers.
    remote: Option<Arc<RemoteRegistry>>,
}

/// The plans of a reader for writers that a registry knows; made as their records come.
#[derive(Debug)]
pub(in crate::serdes) struct Plans {
    schema: SharedSchema,
    fields: Fields,
    /// A list that grows at its end and is read without a lock.
    first: OnceLock<Box<Link>>,
    links: AtomicUsize,
    /// What has no place in the list any more.
    more: Mutex<HashMap<WriterId, Arc<Plan>>>,
    /// How many plans were made.
    #[cfg(test)]
    compiled: AtomicUsize,
}

#[derive(Debug)]
struct Link {
    id: WriterId,
    plan: Plan,
    next: OnceLock<Box<Link>>,
}

impl Plans {
    /// The plan for a writer, if it has a place in the list.
    fn linked(&self, id: WriterId) -> Option<&Plan> {
        let mut at = self.first.get();
        while let Some(link) = at {
            if link.id == id {
                return Some(&link.plan);
            }
            at = link.next.get();
        }
        None
    }

    /// The plan for a writer that has no place in the list.
    fn further(&self, id: WriterId) -> Option<Arc<Plan>> {
        if self.links.load(Ordering::Acquire) < MAX_LINKS {
            return None;
        }
        self.more.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Makes the plan for a writer, once.
    pub(in crate::serdes) fn add(&self, id: WriterId, writer: &Schema) {
        if self.linked(id).is_none() && self.further(id).is_none() {
            #[cfg(test)]
            self.compiled.fetch_add(1, Ordering::Relaxed);
            self.keep(id, compile(writer, &self.schema, &self.fields));
        }
    }

    /// Keeps a plan for good.
    fn keep(&self, id: WriterId, plan: Plan) {
        if self.links.load(Ordering::Acquire) >= MAX_LINKS {
            self.more.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(plan));
            return;
        }
        let mut link = Box::new(Link { id, plan, next: OnceLock::new() });
        let mut place = &self.first;
        loop {
            link = match place.set(link) {
                Ok(()) => break,
                Err(link) => link,
            };
            match place.get() {
                Some(taken) if taken.id != id => place = &taken.next,
                // Somebody else was faster.
                _ => return,
            }
        }
        self.links.fetch_add(1, Ordering::Release);
    }
}

impl Reader {
    /// Compiles the plans that read `fields` as `schema` has them from what any of `writers` wrote, or whichever schema
    /// the registry has.
    pub(in crate::serdes) fn new<'a>(
        schema: &SharedSchema,
        fields: &Fields,
        framing: Framing,
        writers: impl Iterator<Item = &'a Schema>,
        remote: Option<Arc<RemoteRegistry>>,
    ) -> Self {
        let others = writers.filter(|writer| writer.id != schema.id && framing != Framing::None);
        let others = others.map(|writer| (writer.id, compile(writer, schema, fields))).collect();
        let plans = Plans {
            schema: Arc::clone(schema),
            fields: fields.clone(),
            first: OnceLock::new(),
            links: AtomicUsize::new(0),
            more: Mutex::default(),
            #[cfg(test)]
            compiled: AtomicUsize::new(0),
        };
        Reader { plans: Arc::new(plans), framing, own: compile(schema, schema, fields), others, remote }
    }

    /// How many plans were made for writers that the registry knows.
    #[cfg(test)]
    pub(in crate::serdes) fn compiled(&self) -> usize {
        self.plans.compiled.load(Ordering::Relaxed)
    }

    /// Whether a registry knows the other writers.
    pub(in crate::serdes) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// How many answers there have been of the registry.
    pub(in crate::serdes) fn answers(&self) -> u64 {
        self.remote.as_ref().map_or(0, |remote| remote.writers().answers())
    }

    /// Reads a payload into a place that is null. `header`: what stands in the header that names the schema, if there is
    /// one; then nothing stands in front of the value. Says whether the payload is, byte for byte, what the reader's own
    /// schema would write under its own id.
    pub(in crate::serdes) fn read(
        &self,
        payload: &Bytes,
        header: Option<&Bytes>,
        place: &mut Value,
    ) -> Result<bool, SerdeError> {
        if self.framing == Framing::None {
            return self.value(&self.own, &mut Cursor::new(payload, 0), true, place);
        }
        // Nearly every payload.
        if let (None, None, Some([MAGIC, id @ ..])) = (header, &self.remote, payload.first_chunk::<FRAME>())
            && u32::from_be_bytes(*id) == self.plans.schema.id
        {
            return self.value(&self.own, &mut Cursor::new(payload, FRAME), true, place);
        }
        let mut cursor = Cursor::new(payload, 0);
        let id = match header {
            Some(header) => {
                let mut cursor = Cursor::new(header, 0);
                let id = writer_id(&mut cursor)?;
                cursor.finish()?;
                id
            }
            None => writer_id(&mut cursor)?,
        };
        let in_front = header.is_none();
        match id {
            WriterId::Number(id) if self.remote.is_none() => match id == self.plans.schema.id {
                true => self.value(&self.own, &mut cursor, in_front, place),
                false => match self.others.get(&id) {
                    Some(plan) => self.value(plan, &mut cursor, false, place),
                    None => Err(Problem::UnknownSchemaId(id.to_string()).at(1)),
                },
            },
            id => self.read_remote(id, &mut cursor, in_front, place),
        }
    }

    fn read_remote(
        &self,
        id: WriterId,
        cursor: &mut Cursor<'_>,
        in_front: bool,
        place: &mut Value,
    ) -> Result<bool, SerdeError> {
        let is_own = in_front && self.plans.schema.wire.get().is_some_and(|own| id == WriterId::Number(*own));
        if let Some(plan) = self.plans.linked(id) {
            return self.value(plan, cursor, is_own, place);
        }
        if let Some(plan) = self.plans.further(id) {
            return self.value(&plan, cursor, is_own, place);
        }
        let unknown = || Problem::UnknownSchemaId(id.to_string()).at(1);
        let remote = self.remote.as_ref().ok_or_else(unknown)?;
        if is_own {
            self.plans.keep(id, self.own.clone());
            return self.value(&self.own, cursor, true, place);
        }
        match remote.writers().lookup(id, &self.plans) {
            Lookup::Unusable(message) => {
                let unusable = UnusableSchema { reader: self.plans.schema.name.clone(), message: message.to_string() };
                Err(SerdeError::Unusable(Box::new(unusable)))
            }
            // Its plan is made by somebody else: a large schema takes a while.
            Lookup::Awaited => Err(SerdeError::Awaited(Box::new(AwaitedSchema { id: id.to_string() }))),
            // Written before there was a registry. That stays so: it is not asked again.
            Lookup::Missing => {
                let plan = match id {
                    WriterId::Number(number) if number == self.plans.schema.id => Some(&self.own),
                    WriterId::Number(number) => self.others.get(&number),
                    WriterId::Guid(_) => None,
                };
                let plan = plan.ok_or_else(unknown)?;
                self.plans.keep(id, plan.clone());
                self.value(plan, cursor, false, place)
            }
        }
    }

    #[inline]
    fn value(&self, plan: &Plan, cursor: &mut Cursor<'_>, is_own: bool, place: &mut Value) -> Result<bool, SerdeError> {
        let node = plan.read.as_ref().map_err(SerdeError::clone)?;
        if plan.is_bare && self.framing != Framing::None {
            let whole = with_length(cursor)?;
            node.read(&mut Cursor::new(&whole, 0), place)?;
        } else {
            node.read(cursor, place)?;
        }
        cursor.finish()?;
        Ok(is_own)
    }
}

/// The bytes that are left, with their length in front.
fn with_length(cursor: &mut Cursor<'_>) -> Result<Bytes, SerdeError> {
    let bytes = cursor.take(cursor.remaining())?;
    let mut whole = Vec::with_capacity(bytes.len() + 10);
    put_zigzag(bytes.len().cast_signed() as i64, &mut whole);
    whole.extend_from_slice(&bytes);
    Ok(whole.into())
}

fn compile(writer: &Schema, reader: &Schema, fields: &Fields) -> Plan {
    let read = plan::compile(&writer.kind, &reader.kind, fields).map(Arc::new).map_err(|mismatch| {
        SerdeError::Incompatible(Box::new(Incompatible {
            writer: writer.name.clone(),
            reader: reader.name.clone(),
            path: mismatch.path.join("."),
            message: mismatch.message,
        }))
    });
    Plan { read, is_bare: writer.kind.is_bytes() }
}

fn writer_id(cursor: &mut Cursor<'_>) -> Result<WriterId, SerdeError> {
    match cursor.byte()? {
        MAGIC => Ok(WriterId::Number(u32::from_be_bytes(cursor.array()?))),
        GUID_MAGIC => Ok(WriterId::Guid(cursor.array()?)),
        other => Err(Problem::NotFramed(other).at(0)),
    }
}
