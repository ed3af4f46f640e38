//! What is wrong with an expression, and what went wrong while one was evaluated.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Classified, ErrorClass};
use crate::record::Text;

/// One thing that is wrong with an expression's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct ExpressionError {
    /// The part of the source that is at fault, in bytes. May be empty, where something is missing.
    pub range: Range<usize>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to write instead, where that can be told: ``did you mean `sentiment`?``
    pub hint: Option<String>,
}

impl ExpressionError {
    pub(super) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        ExpressionError { range, message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// Why an expression has no result for one record.
///
/// The record is at fault, not the topology: the engine treats it as its `on_error` says.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationError {
    source: Arc<str>,
    span: Span,
    reason: Reason,
}

impl EvaluationError {
    pub(super) fn new(source: &Arc<str>, failure: Failure) -> Self {
        EvaluationError { source: Arc::clone(source), span: failure.span, reason: failure.reason }
    }

    /// The part of the expression's source that failed, in bytes.
    pub fn range(&self) -> Range<usize> {
        self.span.range()
    }

    /// What failed.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// What failed, in words that hold nothing of the record: for records that may hold personal data.
    pub fn without_values(&self) -> String {
        format!("{}: {}", self.place(), self.reason.without_values())
    }

    /// The part of the expression that failed, and the expression.
    fn place(&self) -> String {
        let part = self.source.get(self.range()).unwrap_or_default();
        match part.is_empty() || part.len() == self.source.len() {
            true => format!("`{}`", self.source),
            false => format!("`{part}` in `{}`", self.source),
        }
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.reason)
    }
}

impl std::error::Error for EvaluationError {}

impl Classified for EvaluationError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Skip
    }
}

/// What failed while an expression was evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reason {
    /// A field of null was read.
    #[error("the value is null, so it has no `{0}`; guard it with `has(...)` or `... != null &&`")]
    FieldOfNull(Text),
    /// A field or entry that is not there was read.
    #[error("there is no `{0}`; guard it with `has(...)` or `in`")]
    Missing(Text),
    /// A header that the record does not have was read.
    #[error("the record has no header `{0}`; guard it with `'{0}' in headers`")]
    MissingHeader(String),
    /// A list was indexed outside its bounds.
    #[error("index {index} is outside the list, which has {length} elements")]
    OutOfBounds {
        /// The index that was asked for.
        index: i64,
        /// How many elements the list has.
        length: usize,
    },
    /// An operator was given values that it does not combine.
    #[error("`{operator}` cannot be applied to {left} and {right}")]
    Operands {
        /// The operator as it is written.
        operator: &'static str,
        /// What kind of value stood on the left.
        left: &'static str,
        /// What kind of value stood on the right.
        right: &'static str,
    },
    /// Something of one kind was expected and something of another found.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What was expected.
        expected: String,
        /// The kind of value that was found.
        found: &'static str,
    },
    /// The result does not fit into 64 bits.
    #[error("the result of `{0}` does not fit into 64 bits")]
    Overflow(&'static str),
    /// A decimal has more digits than the engine holds.
    #[error("the result of `{0}` has more than 38 digits")]
    DecimalOverflow(&'static str),
    /// A timestamp lies where CEL has none.
    #[error("the result is no timestamp; timestamps go from the year 1 to the year 9999")]
    TimestampRange,
    /// A duration is longer than CEL has any.
    #[error("the result is no duration; durations go up to 10,000 years")]
    DurationRange,
    /// A number was divided by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A value could not be converted.
    #[error("{value} cannot be converted to {target}")]
    Conversion {
        /// The value that was to be converted, shortened.
        value: String,
        /// What it was to become.
        target: &'static str,
    },
    /// What the expression reads does not exist where it is evaluated.
    #[error("`{0}` is not known here")]
    NotBound(&'static str),
    /// An argument of a function has the right kind but cannot be used.
    #[error("{0}")]
    Argument(String),
    /// A function of Rust failed.
    #[error("{0}")]
    Native(String),
}

impl Reason {
    /// The same in words that hold nothing of the record. Names of fields and positions may be computed.
    fn without_values(&self) -> String {
        match self {
            Reason::FieldOfNull(_) => "the value is null, so it has no fields".to_owned(),
            Reason::Missing(_) => "there is no such field or entry".to_owned(),
            Reason::MissingHeader(_) => "the record has no such header".to_owned(),
            Reason::OutOfBounds { .. } => "the index is outside the list".to_owned(),
            Reason::Conversion { target, .. } => format!("the value cannot be converted to {target}"),
            Reason::Argument(_) => "an argument cannot be used".to_owned(),
            Reason::Native(_) => "a function of Rust failed".to_owned(),
            Reason::Operands { .. }
            | Reason::Kind { .. }
            | Reason::Overflow(_)
            | Reason::DecimalOverflow(_)
            | Reason::TimestampRange
            | Reason::DurationRange
            | Reason::DivisionByZero
            | Reason::NotBound(_) => self.to_string(),
        }
    }
}

impl Reason {
    pub(super) fn at(self, span: Span) -> Failure {
        Failure { span, reason: self }
    }

    /// Whether this came of something that is not there, which `coalesce` and `has` take for null.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Reason::FieldOfNull(_) | Reason::Missing(_) | Reason::MissingHeader(_))
    }
}

/// A failure on its way up: cheap to make, as `&&` and `||` may still absorb it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) span: Span,
    pub(super) reason: Reason,
}

/// A range of bytes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn of(range: &Range<usize>) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: narrow(range.start), end: narrow(range.end) }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
