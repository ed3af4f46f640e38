//! What can be wrong with a payload, with a value to be written, or with the choice of a schema.
//!
//! These texts end up in a dead letter that a person reads, so each says where (the field's path, the
//! byte), what was found and what was expected.

use std::fmt;

use thiserror::Error;

use crate::error::{Classified, ErrorClass};

/// Why bytes could not be turned into a value, or a value into bytes.
///
/// The particulars are boxed: the error stays as small as a pointer, and reading a value costs no more for
/// all that could be wrong with it.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SerdeError {
    /// The payload is not what its format or schema says.
    #[error(transparent)]
    Payload(Box<PayloadError>),
    /// The value does not fit what is to be written (or, for JSON, read).
    #[error(transparent)]
    Value(Box<ValueError>),
    /// No schema of that name is registered.
    #[error(transparent)]
    UnknownSchema(Box<UnknownSchema>),
    /// The payload names a writer's schema that is registered, but cannot be read as the schema expected.
    #[error(transparent)]
    Incompatible(Box<Incompatible>),
    /// The payload names a writer's schema that nothing can be read with.
    #[error(transparent)]
    Unusable(Box<UnusableSchema>),
    /// The payload names a writer's schema that is not known yet: the registry is being asked.
    #[error(transparent)]
    Awaited(Box<AwaitedSchema>),
    /// A value is to be written with a schema whose id the registry has not said.
    #[error("the schema {0} has no id in the schema registry: no topic that is there has been announced with it")]
    Unannounced(Box<String>),
}

/// A writer's schema that is there, but is none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it cannot be read as {reader}: {message}")]
pub struct UnusableSchema {
    /// The schema expected.
    pub reader: String,
    /// Which schema it was written with, and what is wrong with that.
    pub message: String,
}

/// A writer's schema that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it was written with schema id {id}, for which the schema registry has not been heard yet")]
pub struct AwaitedSchema {
    /// The id.
    pub id: String,
}

/// A value that does not fit what is to be written (or, for JSON, read).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{message}", prefix(.path))]
pub struct ValueError {
    /// Where in the value, such as `sentiment.confidence` or `items[3]`; empty for the whole.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
}

/// A schema's name that is not registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no schema `{name}`{}", suggestion(.nearest))]
pub struct UnknownSchema {
    /// The name asked for.
    pub name: String,
    /// The most similar name that exists.
    pub nearest: Option<String>,
}

/// Two schemas of which one cannot read what the other writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a payload written as {writer} cannot be read as {reader}: {}{message}", prefix(.path))]
pub struct Incompatible {
    /// The writer's schema.
    pub writer: String,
    /// The schema expected.
    pub reader: String,
    /// Where in the schemas they part; empty for the whole.
    pub path: String,
    /// How they part.
    pub message: String,
}

impl Classified for SerdeError {
    /// A schema that does not exist is a mistake of the deployment, one that is awaited will come; everything else is the
    /// record's fault.
    fn class(&self) -> ErrorClass {
        match self {
            SerdeError::UnknownSchema(_) | SerdeError::Unannounced(_) => ErrorClass::Fatal,
            SerdeError::Awaited(_) => ErrorClass::Retry,
            _ => ErrorClass::Skip,
        }
    }
}

impl SerdeError {
    /// An error about the value at `path`.
    #[cold]
    pub(super) fn value(path: impl Into<String>, message: impl Into<String>) -> Self {
        SerdeError::Value(Box::new(ValueError { path: path.into(), message: message.into() }))
    }

    /// The same error, found inside `segment`.
    #[cold]
    pub(super) fn within(self, segment: &dyn fmt::Display) -> Self {
        match self {
            SerdeError::Value(mut error) => {
                error.path = join(segment, &error.path);
                SerdeError::Value(error)
            }
            SerdeError::Payload(mut error) => {
                error.path = join(segment, &error.path);
                SerdeError::Payload(error)
            }
            other => other,
        }
    }

    /// What is wrong, in words that hold nothing of what was read or is to be written: for records that may hold personal
    /// data. A path may have the keys of a map in it.
    pub fn without_values(&self) -> String {
        match self {
            SerdeError::Value(_) => "the value is not of the kind that is expected".to_owned(),
            SerdeError::Payload(error) => match &error.problem {
                Problem::UnknownSymbol { name, .. } => {
                    format!("the symbol is none of the reader's enum {name}, which has no default")
                }
                Problem::IntOutOfRange(_) => "an int does not fit 32 bits".to_owned(),
                Problem::UnreadableBranch(_) => {
                    "a branch of a union cannot be read as the reader's schema has it".to_owned()
                }
                problem @ (Problem::NotJson(_) | Problem::UnknownSchemaId(_)) => problem.to_string(),
                problem => format!("{problem} at byte {}", error.position),
            },
            SerdeError::UnknownSchema(_)
            | SerdeError::Incompatible(_)
            | SerdeError::Unusable(_)
            | SerdeError::Awaited(_)
            | SerdeError::Unannounced(_) => self.to_string(),
        }
    }

    /// Whether the same payload can be read once the registry has answered.
    pub fn is_awaited(&self) -> bool {
        self.awaited_schema().is_some()
    }

    /// The id of the schema that has to come before the payload can be read, if that is all that is missing.
    pub fn awaited_schema(&self) -> Option<&str> {
        match self {
            SerdeError::Awaited(awaited) => Some(&awaited.id),
            _ => None,
        }
    }
}

/// What is wrong with a payload, where in the value, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError {
    /// The field being read, such as `message` or `items[3].name`; empty for the whole value.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
    /// The byte of the payload at which it is wrong, counted from 0.
    pub position: usize,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", prefix(&self.path), self.problem)?;
        match self.problem {
            // The JSON parser gives line and column, which say more than a byte.
            Problem::NotJson(_) => Ok(()),
            // The id stands where every payload has it.
            Problem::UnknownSchemaId(_) => Ok(()),
            _ => write!(f, " at byte {}", self.position),
        }
    }
}

impl std::error::Error for PayloadError {}

/// What is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// It ends inside a value.
    #[error("the payload ends where {needed} more bytes were expected")]
    Truncated {
        /// How many bytes were missing at least.
        needed: usize,
    },
    /// A length says more than there is.
    #[error("{announced} bytes announced but only {remaining} remain")]
    LengthBeyondEnd {
        /// The length read.
        announced: u64,
        /// The bytes left.
        remaining: usize,
    },
    /// A length is negative.
    #[error("a length of {0} announced")]
    NegativeLength(i64),
    /// A list or map says it has more items than the bytes left can hold.
    #[error("{announced} items announced but only {remaining} bytes remain")]
    CountBeyondEnd {
        /// The count read.
        announced: u64,
        /// The bytes left.
        remaining: usize,
    },
    /// More items that take no bytes than any honest payload has.
    #[error("{0} items that take no bytes announced, which is more than a payload may have")]
    TooManyEmptyItems(u64),
    /// A block of a list or map does not have the size it says.
    #[error("a block of {announced} bytes announced, but its items take {taken}")]
    BlockSize {
        /// The size read.
        announced: usize,
        /// The bytes its items took.
        taken: usize,
    },
    /// Bytes follow the value.
    #[error("{0} bytes are left over after the value, the first")]
    TrailingBytes(usize),
    /// Text is not UTF-8.
    #[error("the text is not valid UTF-8")]
    InvalidUtf8,
    /// A variable-length integer has more than ten bytes or more than 64 bits.
    #[error("an integer longer than 64 bits")]
    IntegerTooLong,
    /// An Avro int has more than 32 bits.
    #[error("the int {0} does not fit 32 bits")]
    IntOutOfRange(i64),
    /// A boolean is neither 0 nor 1.
    #[error("expected a boolean, which is 0 or 1, found the byte {0}")]
    BadBoolean(u8),
    /// The writer's enumeration has no symbol of that index.
    #[error("enum {name} has {symbols} symbols, found the index {index}")]
    UnknownEnumIndex {
        /// The enumeration.
        name: String,
        /// How many symbols it has.
        symbols: usize,
        /// The index read.
        index: i64,
    },
    /// The writer's symbol is unknown to the reader, whose enumeration has no default.
    #[error("`{symbol}` is not a symbol of the reader's enum {name}, which has no default")]
    UnknownSymbol {
        /// The reader's enumeration.
        name: String,
        /// The writer's symbol.
        symbol: String,
    },
    /// A union has no branch of that index.
    #[error("the union has {branches} branches, found the index {index}")]
    BadUnionIndex {
        /// How many branches it has.
        branches: usize,
        /// The index read.
        index: i64,
    },
    /// The branch of a union that was written is none that the reader's schema has.
    #[error("this cannot be read as the reader's schema has it: {0}")]
    UnreadableBranch(String),
    /// A decimal has more digits than the engine holds.
    #[error("a decimal of more than 38 digits, which is more than the engine holds")]
    DecimalTooLarge,
    /// A decimal has more digits than its schema says.
    #[error("a decimal of {digits} digits, where the schema allows {precision}")]
    DecimalPrecision {
        /// The digits it has.
        digits: u32,
        /// The digits the schema allows.
        precision: usize,
    },
    /// Text that should be a UUID is none.
    #[error("the text is no UUID, which is written as 123e4567-e89b-12d3-a456-426614174000")]
    BadUuid,
    /// Null, where the reader's schema has no null.
    #[error("found null, which the reader's schema does not allow")]
    UnexpectedNull,
    /// An Avro payload does not start as those with a schema id do.
    #[error("expected the byte 0, or 1, that starts a payload with a schema id, found {0}")]
    NotFramed(u8),
    /// The schema id of the payload is not registered.
    #[error("it was written with schema id {0}, which no known schema has; add the writer's schema to the schemas")]
    UnknownSchemaId(String),
    /// A number in Kafka's primitive format has the wrong length.
    #[error("a {format} has 8 bytes, found {found}")]
    WrongLength {
        /// The format's name.
        format: &'static str,
        /// The payload's length.
        found: usize,
    },
    /// Not JSON; the parser's message has the line and column.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// A stored value of a format version this engine does not know.
    #[error("a stored value of format version {0}, which this version of the engine does not know")]
    UnknownVersion(u8),
    /// A stored value has a tag that no kind of value has.
    #[error("{0} is not the tag of any kind of stored value")]
    UnknownTag(u8),
    /// A value nested deeper than the engine follows.
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
}

impl Problem {
    /// The problem as an error at this byte; the path is added on the way out.
    #[cold]
    pub(super) fn at(self, position: usize) -> SerdeError {
        SerdeError::Payload(Box::new(PayloadError { path: String::new(), problem: self, position }))
    }
}

/// A reason why values of a shape cannot be written in a format, found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The names of the fields down to the place; empty for the whole value.
    pub path: Vec<String>,
    /// What is expected and what is given, as a sentence without the path.
    pub message: String,
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", prefix(&self.path.join(".")), self.message)
    }
}

/// An index as a segment of a path.
pub(super) struct Index(pub(super) usize);

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// A map's key as a segment of a path.
pub(super) struct Entry<'a>(pub(super) &'a str);

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?}]", self.0)
    }
}

fn join(segment: &dyn fmt::Display, rest: &str) -> String {
    let separator = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{segment}{separator}{rest}")
}

pub(super) fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// The beginning of a text that a schema has, for messages: what it has may be of any length.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(COMPARED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Names longer than this are not compared: that takes as long as they are, and nobody means them.
const COMPARED: usize = 100;

/// The name most similar to `name`, when one is similar enough to be meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > COMPARED {
        return None;
    }
    candidates
        .filter(|candidate| candidate.len() <= COMPARED)
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
