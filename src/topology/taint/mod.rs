//! Where personal data goes: which topics, stores and agents it reaches, found on the plan before anything runs.
//!
//! What is personal data says the schemas of the topics (`pii`), or the source that reads them. From there each node says
//! which parts of what it gives come from which parts of what it takes, field by field; what goes through internal topics
//! and stores is followed too, until nothing new is learnt. Every mark remembers the way that it took.
//! `docs/personal-data.md` says what is followed and what is not.

mod analysis;
mod folds;
mod origins;
mod traces;
mod verbs;

use crate::expression::Path;

pub(super) use analysis::{Offence, Written, analyse};
pub(super) use origins::Origins;

/// Where personal data comes from and where it lies, for people and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalData {
    /// What holds it where it comes in, in order of the sources.
    pub origins: Vec<PersonalOrigin>,
    /// Where it lies afterwards.
    pub places: Vec<PersonalPlace>,
}

/// A part of what is read that is personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalOrigin {
    /// The topic, or the pattern of topics.
    pub topic: String,
    /// The part: `value.message`.
    pub part: String,
    /// Who says so: the file of a schema, or the source.
    pub said_by: String,
}

/// Something that personal data is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalPlace {
    /// What it is.
    pub kind: PlaceKind,
    /// Its name.
    pub name: String,
    /// Its parts: `key`, `value.email`.
    pub parts: Vec<String>,
}

/// What personal data is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceKind {
    /// A topic that the topology writes to.
    Topic,
    /// A topic between parts of the application.
    InternalTopic,
    /// A store, with its changelog.
    Store,
    /// A table that every process keeps whole.
    GlobalTable,
}

impl PlaceKind {
    /// As people and tools read it.
    pub fn as_str(self) -> &'static str {
        match self {
            PlaceKind::Topic => "topic",
            PlaceKind::InternalTopic => "internal topic",
            PlaceKind::Store => "store",
            PlaceKind::GlobalTable => "global table",
        }
    }
}

/// A part of a key, value or answer, as messages name it.
fn named(of: &str, path: &Path) -> String {
    format!("{of}{path}")
}
