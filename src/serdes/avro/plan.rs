//! Compiles a writer's schema, a reader's schema and the fields in use into a plan that reads payloads.
//!
//! The rules are those of "Schema Resolution" in the Avro 1.12 specification. All decisions that depend on
//! the schemas are taken here, once; [`super::decode`] only runs the plan.
//!
//! What the specification leaves open is decided as follows. A branch of the reader's union that is the writer's very
//! type comes before one that it can be promoted to, as in Avro's own Java: else a text would be read as bytes by its own
//! schema. Times of different units or sorts do not match, although what is under them does: they would be off by a
//! thousand. Decimals match when their scales do and the reader has room for the writer's digits, however they are written.

use std::sync::{Arc, OnceLock, Weak};

use super::default::default_value;
use super::matching::{self, primitive};
use super::schema::{EnumType, FieldType, RecordType, Type};
use super::skip;
use crate::record::{Fields, StructShape, TemporalUnit, Text, Value};

/// How to read one value.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Timestamp,
    /// A timestamp written as an int.
    TimestampOfInt,
    /// Another time, written as an int or a long.
    Temporal {
        unit: TemporalUnit,
        int: bool,
    },
    IntAsDouble,
    LongAsDouble,
    /// An int or long that the reader has as a float, with a float's precision.
    IntAsFloat,
    LongAsFloat,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    /// Digits, of so many bytes if that is fixed.
    Decimal {
        scale: u32,
        precision: usize,
        fixed: Option<usize>,
    },
    Uuid,
    UuidOfFixed,
    Duration,
    Enum(Arc<EnumPlan>),
    List {
        items: Box<Node>,
        smallest: usize,
    },
    Map {
        values: Box<Node>,
        smallest: usize,
    },
    /// Null at this index or the other; `null` is whether the reader takes null.
    Nullable {
        null_index: i64,
        null: bool,
        other: Box<Node>,
    },
    /// One of several.
    Union(Box<[Node]>),
    /// A branch of the writer's union that the reader has nothing for: an error when it comes.
    Unreadable(Box<Mismatch>),
    Record(Arc<RecordPlan>),
    /// A record around this place.
    Recursive(Reference<RecordPlan>),
    /// A plan with records that contain themselves, and all that they refer to.
    #[expect(dead_code, reason = "what references lead to is held, not looked at")]
    Kept {
        root: Box<Node>,
        plans: Vec<Arc<RecordPlan>>,
        skips: Vec<Arc<skip::Fields>>,
    },
}

/// A plan around the place where it is referred to: held only as long as the whole is there.
#[derive(Debug)]
pub(super) struct Reference<T>(Arc<OnceLock<Weak<T>>>);

impl<T> Clone for Reference<T> {
    fn clone(&self) -> Self {
        Reference(Arc::clone(&self.0))
    }
}

impl<T> Reference<T> {
    pub(super) fn new() -> Self {
        Reference(Arc::default())
    }

    pub(super) fn set(&self, target: &Arc<T>) {
        // Each is made for one target.
        drop(self.0.set(Arc::downgrade(target)));
    }

    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

/// The writer's symbols as the reader has them, by the writer's index.
#[derive(Debug)]
pub(super) struct EnumPlan {
    pub(super) name: String,
    pub(super) symbols: Vec<Symbol>,
}

/// What becomes of a symbol of the writer.
#[derive(Debug)]
pub(super) enum Symbol {
    Known(Text),
    /// Unknown to the reader, which has no default: the writer's name for it.
    Unknown(Text),
}

/// How to read a record: its fields in the order they were written.
#[derive(Debug)]
pub(super) struct RecordPlan {
    pub(super) shape: Arc<StructShape>,
    /// The slots of fields that were not written, and their defaults. All others start as null.
    pub(super) defaults: Vec<(usize, Value)>,
    pub(super) steps: Vec<Step>,
}

/// What to do with one field as it was written.
#[derive(Debug)]
pub(super) enum Step {
    Read {
        slot: usize,
        name: Text,
        node: Node,
    },
    /// Fields that follow each other.
    Skip(skip::Fields),
}

/// Why a reader cannot read what a writer writes: the field's path and a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mismatch {
    pub(super) path: Vec<String>,
    pub(super) message: String,
}

impl Mismatch {
    fn new(writer: &Type, reader: &Type) -> Self {
        let message = format!("the writer has {}, the reader expects {}", writer.name(), reader.name());
        Mismatch { path: Vec::new(), message }
    }

    fn within(mut self, segment: &str) -> Self {
        self.path.insert(0, segment.to_owned());
        self
    }
}

/// Compiles the plan that reads the `fields` of `reader` from what `writer` wrote.
pub(super) fn compile(writer: &Type, reader: &Type, fields: &Fields) -> Result<Node, Mismatch> {
    let mut compiler = Compiler::default();
    let root = compiler.node(writer, reader, fields)?;
    if !compiler.recursive && !compiler.skips.is_recursive() {
        return Ok(root);
    }
    // Some were made where only their fitting mattered, and would go with it.
    let plans = compiler.met.into_iter().filter_map(|met| met.plan.ok()).collect();
    Ok(Node::Kept { root: Box::new(root), plans, skips: compiler.skips.into_kept() })
}

/// How much of a record is read, where that is all or nothing.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    All,
    None,
}

impl Part {
    fn of(fields: &Fields) -> Option<Part> {
        match fields {
            Fields::All => Some(Part::All),
            Fields::Some(named) if named.is_empty() => Some(Part::None),
            Fields::Some(_) => None,
        }
    }
}

/// A pair of records that was met, and its plan: so that records which contain themselves come to an end.
struct Met {
    writer: *const RecordType,
    reader: *const RecordType,
    part: Part,
    plan: Result<Arc<RecordPlan>, Reference<RecordPlan>>,
}

#[derive(Default)]
struct Compiler {
    met: Vec<Met>,
    skips: skip::Compiler,
    recursive: bool,
}

impl Compiler {
    fn node(&mut self, writer: &Type, reader: &Type, fields: &Fields) -> Result<Node, Mismatch> {
        match writer {
            Type::Nullable(null_index, other) => {
                let null = self.one(&Type::Null, reader, fields).is_ok();
                let other = match self.one(other, reader, fields) {
                    Ok(other) => other,
                    Err(mismatch) if null => Node::Unreadable(Box::new(mismatch)),
                    Err(mismatch) => return Err(mismatch),
                };
                Ok(Node::Nullable { null_index: *null_index, null, other: Box::new(other) })
            }
            Type::Union(union) => {
                let mut first = None;
                let mut nodes = Vec::with_capacity(union.branches.len());
                for branch in &union.branches {
                    nodes.push(self.one(branch, reader, fields).unwrap_or_else(|mismatch| {
                        first.get_or_insert_with(|| mismatch.clone());
                        Node::Unreadable(Box::new(mismatch))
                    }));
                }
                match first {
                    Some(mismatch) if nodes.iter().all(|node| matches!(node, Node::Unreadable(_))) => Err(mismatch),
                    _ => Ok(Node::Union(nodes.into())),
                }
            }
            _ => self.one(writer, reader, fields),
        }
    }

    /// Reads what is no union as whatever the reader has.
    fn one(&mut self, writer: &Type, reader: &Type, fields: &Fields) -> Result<Node, Mismatch> {
        if !matches!(reader, Type::Nullable(..) | Type::Union(_)) {
            return self.concrete(writer, reader, fields);
        }
        let branches = reader.branches();
        if let Some(same) = matching::same_branch(writer, &branches) {
            return self.concrete(writer, same, fields);
        }
        let promoted = branches.iter().find_map(|branch| self.concrete(writer, branch, fields).ok());
        promoted.ok_or_else(|| Mismatch::new(writer, reader))
    }

    /// Reads what is no union as what is none.
    fn concrete(&mut self, writer: &Type, reader: &Type, fields: &Fields) -> Result<Node, Mismatch> {
        if let (Some(written), Some(wanted)) = (writer.record(), reader.record())
            && wanted.names.read(&written.names)
        {
            return self.record_once(&written, &wanted, fields);
        }
        Ok(match (writer, reader) {
            (Type::Null, Type::Null) => Node::Null,
            (Type::Array(items), Type::Array(wanted)) => {
                let node = self.node(items, wanted, &inside(fields)).map_err(|error| error.within("[]"))?;
                Node::List { items: Box::new(node), smallest: items.smallest() }
            }
            (Type::Map(values), Type::Map(wanted)) => {
                let node = self.node(values, wanted, &inside(fields)).map_err(|error| error.within("[]"))?;
                // A key takes at least the byte of its length.
                Node::Map { values: Box::new(node), smallest: values.smallest().saturating_add(1) }
            }
            (Type::Enum(written), Type::Enum(wanted)) if wanted.names.read(&written.names) => {
                Node::Enum(Arc::new(enumeration(written, wanted)))
            }
            _ => primitive(writer, reader).ok_or_else(|| Mismatch::new(writer, reader))?,
        })
    }

    /// The plan of a pair of records: the one there is, if all or nothing of it is read and it was met before.
    fn record_once(
        &mut self,
        writer: &Arc<RecordType>,
        reader: &Arc<RecordType>,
        fields: &Fields,
    ) -> Result<Node, Mismatch> {
        let Some(part) = Part::of(fields) else {
            return Ok(Node::Record(Arc::new(self.record(writer, reader, fields)?)));
        };
        let pair = (Arc::as_ptr(writer), Arc::as_ptr(reader), part);
        if let Some(met) = self.met.iter().find(|met| (met.writer, met.reader, met.part) == pair) {
            return Ok(match &met.plan {
                Ok(plan) => Node::Record(Arc::clone(plan)),
                Err(reference) => {
                    self.recursive = true;
                    Node::Recursive(reference.clone())
                }
            });
        }
        let (place, reference) = (self.met.len(), Reference::new());
        self.met.push(Met { writer: pair.0, reader: pair.1, part, plan: Err(reference.clone()) });
        let plan = match self.record(writer, reader, fields) {
            Ok(plan) => Arc::new(plan),
            Err(mismatch) => {
                // What was made meanwhile may refer to what will not be.
                self.met.truncate(place);
                return Err(mismatch);
            }
        };
        reference.set(&plan);
        if let Some(met) = self.met.get_mut(place) {
            met.plan = Ok(Arc::clone(&plan));
        }
        Ok(Node::Record(plan))
    }

    fn record(&mut self, writer: &RecordType, reader: &RecordType, fields: &Fields) -> Result<RecordPlan, Mismatch> {
        let mut defaults = Vec::new();
        let mut sources: Vec<Option<usize>> = vec![None; writer.fields.len()];
        for (slot, field) in reader.fields.iter().enumerate() {
            match source(writer, field) {
                Some(index) if sources.get(index) == Some(&None) => sources[index] = Some(slot),
                _ => {
                    let Some(default) = &field.default else {
                        let message = format!("{} does not write this field, and it has no default", writer.names.name);
                        return Err(Mismatch { path: vec![field.name.to_string()], message });
                    };
                    if fields.of(&field.name).is_some() {
                        let value = default_value(&field.kind, default)
                            .map_err(|message| Mismatch { path: vec![field.name.to_string()], message })?;
                        defaults.push((slot, value));
                    }
                }
            }
        }
        let mut steps = Vec::with_capacity(writer.fields.len());
        for (written, slot) in writer.fields.iter().zip(&sources) {
            let wanted = slot.and_then(|slot| reader.fields.get(slot).map(|field| (slot, field)));
            if let Some(read) = self.step(written, wanted, fields)? {
                steps.push(read);
                continue;
            }
            let skip = self.skips.skip(&written.kind);
            if !matches!(steps.last(), Some(Step::Skip(_))) {
                steps.push(Step::Skip(skip::Fields::new()));
            }
            if let Some(Step::Skip(skips)) = steps.last_mut() {
                skips.push(written.name.clone(), skip);
            }
        }
        Ok(RecordPlan { shape: Arc::clone(&reader.shape), defaults, steps })
    }

    /// How a field is read, if it is used.
    fn step(
        &mut self,
        written: &FieldType,
        wanted: Option<(usize, &FieldType)>,
        fields: &Fields,
    ) -> Result<Option<Step>, Mismatch> {
        if let Some((slot, field)) = wanted {
            let used = fields.of(&field.name);
            // Whether two schemas fit must not depend on which fields a topology happens to use.
            let node = self.node(&written.kind, &field.kind, used.unwrap_or(&Fields::none()));
            let node = node.map_err(|error| error.within(&field.name))?;
            if used.is_some() {
                return Ok(Some(Step::Read { slot, name: field.name.clone(), node }));
            }
        }
        Ok(None)
    }
}

/// What is used of a list's or map's items. The paths of expressions do not say which item they mean, so
/// unless nothing of the list is used, its items are read whole.
fn inside(fields: &Fields) -> Fields {
    match fields {
        Fields::Some(named) if named.is_empty() => Fields::none(),
        _ => Fields::All,
    }
}

fn enumeration(writer: &EnumType, reader: &EnumType) -> EnumPlan {
    let symbol = |written: &Text| {
        let known = reader.shape.symbols.iter().find(|symbol| *symbol == written);
        match known.or(reader.default.as_ref()) {
            Some(symbol) => Symbol::Known(symbol.clone()),
            None => Symbol::Unknown(written.clone()),
        }
    };
    EnumPlan { name: reader.names.name.clone(), symbols: writer.shape.symbols.iter().map(symbol).collect() }
}

/// The writer's field that a reader's field is read from: of the same name, else of one of its aliases.
fn source(writer: &RecordType, field: &FieldType) -> Option<usize> {
    let position = |name: &str| writer.fields.iter().position(|written| written.name == name);
    position(&field.name).or_else(|| field.aliases.iter().find_map(|alias| position(alias)))
}
