//! Whether a value of the engine is one of fastavro's.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::Value as Json;

use super::known;
use crate::record::{Decimal, Value};
use crate::serdes::SerdeError;
use crate::serdes::avro::decode;
use crate::serdes::avro::reference::samples::Kind;
use crate::serdes::error::Problem;

static NULL: Kind = Kind::Null;

/// What was compared so far.
#[derive(Default)]
pub(super) struct Comparison {
    /// Values that are the same.
    pub(super) alike: usize,
    /// Payloads that neither reads.
    refused: usize,
    /// How often the two part, by the name that it has.
    pub(super) known: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} alike, {} refused by both, otherwise: {:?}", self.alike, self.refused, self.known)
    }
}

impl Comparison {
    /// Notes that the two part.
    pub(super) fn note(&mut self, name: &'static str) {
        *self.known.entry(name).or_default() += 1;
    }

    /// Whether the two agree on a payload, or part where that has a name.
    pub(super) fn compare(
        &mut self,
        ours: &Result<Value, SerdeError>,
        theirs: &Result<Json, String>,
        reader: &Kind,
    ) -> bool {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let mut records = HashMap::new();
                collect(reader, &mut records);
                let mut same = Same { records, parted: Vec::new() };
                let found = same.value(ours, theirs, reader);
                let parted = same.parted;
                match parted.first() {
                    None => self.alike += usize::from(found),
                    Some(name) => self.note(name),
                }
                found
            }
            (Err(_), Err(_)) => {
                self.refused += 1;
                true
            }
            // It looks at what comes; the engine, at the schemas.
            (Err(error), Ok(theirs)) => {
                self.note(known::UNREACHED);
                let path = parts_of(&mismatch_of(error).unwrap_or_default());
                path.contains(&Part::Items) && !reaches(theirs, &path)
            }
            (Ok(_), Err(error)) => {
                self.note(known::FIRST_BRANCH);
                error.starts_with("UnicodeDecodeError") && text_before_bytes(reader)
            }
        }
    }
}

/// Where two schemas do not fit: the path of the schemas, in the value as far as that was read.
fn mismatch_of(error: &SerdeError) -> Option<String> {
    match error {
        SerdeError::Incompatible(mismatch) => Some(mismatch.path.clone()),
        SerdeError::Payload(error) => match &error.problem {
            Problem::UnreadableBranch(message) => {
                let (inner, _) = message.split_once(": ")?;
                Some(format!("{}.{inner}", error.path))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A part of a path.
#[derive(Debug, PartialEq)]
enum Part {
    Name(String),
    Index(usize),
    /// Any item of a list or map.
    Items,
}

/// The parts of a path such as `f0[3].f1["key"].[].f2`.
fn parts_of(path: &str) -> Vec<Part> {
    let part = |text: &str| match text.strip_suffix(']') {
        Some("") => Part::Items,
        Some(place) => match place.parse() {
            Ok(index) => Part::Index(index),
            Err(_) => Part::Name(place.trim_matches('"').to_owned()),
        },
        None => Part::Name(text.to_owned()),
    };
    path.split(['.', '[']).filter(|text| !text.is_empty()).map(part).collect()
}

fn collect<'k>(kind: &'k Kind, records: &mut HashMap<&'k str, &'k Kind>) {
    match kind {
        Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => collect(inner, records),
        Kind::Union(branches) => branches.iter().for_each(|branch| collect(branch, records)),
        Kind::Record { name, fields } => {
            records.insert(name, kind);
            fields.iter().for_each(|field| collect(&field.kind, records));
        }
        _ => {}
    }
}

/// Whether a value has anything at a path.
fn reaches(value: &Json, path: &[Part]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match (first, value, value.get("map")) {
        (Part::Items, Json::Array(items), _) => items.iter().any(|item| reaches(item, rest)),
        (Part::Items, _, Some(Json::Object(entries))) => entries.values().any(|entry| reaches(entry, rest)),
        (Part::Index(index), Json::Array(items), _) => items.get(*index).is_none_or(|item| reaches(item, rest)),
        // What is not there is what could not be read.
        (Part::Name(name), _, Some(Json::Object(fields))) => fields.get(name).is_none_or(|field| reaches(field, rest)),
        _ => false,
    }
}

/// Whether a union of a schema has text, and after it bytes.
fn text_before_bytes(kind: &Kind) -> bool {
    match kind {
        Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => text_before_bytes(inner),
        Kind::Record { fields, .. } => fields.iter().any(|field| text_before_bytes(&field.kind)),
        Kind::Union(branches) => {
            let text = branches.iter().position(|branch| matches!(branch, Kind::String | Kind::Uuid));
            let bytes = branches.iter().position(Kind::is_bytes);
            text.zip(bytes).is_some_and(|(text, bytes)| text < bytes) || branches.iter().any(text_before_bytes)
        }
        _ => false,
    }
}

/// Compares one value.
struct Same<'k> {
    /// The reader's records, by name.
    records: HashMap<&'k str, &'k Kind>,
    /// Where the two part, by name.
    parted: Vec<&'static str>,
}

impl<'k> Same<'k> {
    /// Whether two values of a type are the same.
    fn value(&mut self, ours: &Value, theirs: &Json, kind: &'k Kind) -> bool {
        match (kind, ours) {
            (Kind::Again(_, name), _) => {
                let record = self.records.get(name.as_str()).copied();
                record.is_some_and(|record| self.value(ours, theirs, record))
            }
            (Kind::Nullable { null_first: true, other }, _) => self.branch(ours, theirs, &[&NULL, other]),
            (Kind::Nullable { other, .. }, _) => self.branch(ours, theirs, &[other, &NULL]),
            (Kind::Union(branches), _) => self.branch(ours, theirs, &branches.iter().collect::<Vec<_>>()),
            (Kind::Array(inner), Value::List(items)) => {
                let Json::Array(others) = theirs else { return false };
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| self.value(item, other, inner))
            }
            (Kind::Map(inner), Value::Map(entries)) => {
                let Some(others) = theirs["map"].as_object() else { return false };
                let mut entry = |(key, value): (&crate::record::Text, &Value)| {
                    others.get(key as &str).is_some_and(|other| self.value(value, other, inner))
                };
                entries.len() == others.len() && entries.iter().all(&mut entry)
            }
            (Kind::Record { fields, .. }, Value::Struct(values)) => {
                let Some(others) = theirs["map"].as_object() else { return false };
                values.values().len() == fields.len()
                    && others.len() == fields.len()
                    && fields.iter().all(|field| match (values.get(&field.name), others.get(&field.name)) {
                        (Some(value), Some(other)) => self.value(value, other, &field.kind),
                        _ => false,
                    })
            }
            _ => self.leaf(ours, theirs, kind),
        }
    }

    /// The same of a union: of the first branch that the value is one of.
    fn branch(&mut self, ours: &Value, theirs: &Json, branches: &[&'k Kind]) -> bool {
        let Some(place) = branches.iter().position(|branch| self.holds(branch, ours)) else { return false };
        if self.value(ours, theirs, branches[place]) {
            return true;
        }
        let promoted = branches[..place].iter().any(|branch| promoted(ours, theirs, branch));
        self.parted.extend(promoted.then_some(known::FIRST_BRANCH));
        promoted
    }

    fn leaf(&mut self, ours: &Value, theirs: &Json, kind: &Kind) -> bool {
        match ours {
            Value::Null => theirs.is_null(),
            Value::Bool(boolean) => theirs == boolean,
            Value::Int(number) | Value::Timestamp(number) => theirs.as_i64() == Some(*number),
            Value::Temporal(time) => theirs.as_i64() == Some(time.count),
            Value::String(text) => theirs.as_str() == Some(text),
            Value::Bytes(value) => bytes(theirs).as_deref() == Some(value),
            Value::Decimal(decimal) => {
                let digits = bytes(theirs).and_then(|bytes| Decimal::from_be_bytes(&bytes, decimal.scale()));
                digits.as_ref() == Some(decimal)
            }
            Value::Struct(_) if matches!(kind, Kind::Duration { .. }) => {
                let parts = bytes(theirs).and_then(|bytes| bytes.try_into().ok());
                parts.is_some_and(|parts| decode::duration(parts) == *ours)
            }
            Value::Double(double) => match float(theirs) {
                Some(other) if other.to_bits() == double.to_bits() => true,
                Some(other) if *kind == Kind::Float && f64::from(other as f32).to_bits() == double.to_bits() => {
                    self.parted.push(known::PRECISION);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a value is one of a branch.
    fn holds(&self, kind: &Kind, value: &Value) -> bool {
        match (kind, value) {
            (Kind::Again(_, name), _) => {
                self.records.get(name.as_str()).is_some_and(|record| self.holds(record, value))
            }
            (Kind::Temporal(unit), Value::Temporal(time)) => *unit == time.unit,
            (Kind::Fixed { size, .. }, Value::Bytes(bytes)) => bytes.len() == *size,
            (Kind::Record { fields, .. }, Value::Struct(values)) => {
                let given = values.shape().fields();
                given.len() == fields.len() && fields.iter().zip(given).all(|(field, given)| given.name == field.name)
            }
            (Kind::Null, Value::Null)
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Int | Kind::Long, Value::Int(_))
            | (Kind::Float | Kind::Double, Value::Double(_))
            | (Kind::Timestamp, Value::Timestamp(_))
            | (Kind::Bytes, Value::Bytes(_))
            | (Kind::Decimal { .. }, Value::Decimal(_))
            | (Kind::String | Kind::Uuid | Kind::Enum { .. }, Value::String(_))
            | (Kind::Array(_), Value::List(_))
            | (Kind::Map(_), Value::Map(_)) => true,
            (Kind::Duration { .. }, Value::Struct(values)) => values.shape().name() == "duration",
            _ => false,
        }
    }
}

/// Whether theirs is ours, promoted to a branch.
fn promoted(ours: &Value, theirs: &Json, branch: &Kind) -> bool {
    match (branch, ours) {
        (Kind::Float | Kind::Double, Value::Int(number) | Value::Timestamp(number)) => {
            float(theirs) == Some(*number as f64)
        }
        (Kind::Float | Kind::Double, Value::Temporal(time)) => float(theirs) == Some(time.count as f64),
        (Kind::String | Kind::Uuid, Value::Bytes(bytes)) => {
            theirs.as_str().is_some_and(|text| text.as_bytes() == bytes)
        }
        (Kind::String | Kind::Uuid, Value::Decimal(decimal)) => {
            let digits = theirs.as_str().and_then(|text| Decimal::from_be_bytes(text.as_bytes(), decimal.scale()));
            digits.as_ref() == Some(decimal)
        }
        (kind, Value::String(text)) if kind.is_bytes() => bytes(theirs).as_deref() == Some(text.as_bytes()),
        _ => false,
    }
}

fn float(json: &Json) -> Option<f64> {
    json["float"].as_u64().map(f64::from_bits)
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    let text = json["bytes"].as_str()?;
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}
