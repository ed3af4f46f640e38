//! Where personal data goes: which topics, stores and agents it reaches, found on the plan before anything runs.
//!
//! What is personal data says the schemas of the topics (`pii`), or the source that reads them. From there each node says
//! which parts of what it gives come from which parts of what it takes, field by field; what goes through internal topics
//! and stores is followed too, until nothing new is learnt. Every mark remembers the way that it took.
//! `docs/personal-data.md` says what is followed and what is not.

mod analysis;
mod folds;
mod marks;
mod offences;
mod origins;
mod traces;
mod verbs;

use crate::expression::Path;

pub use crate::topology::spec::RecordPart;
pub(super) use analysis::{Analysis, analyse};
pub(super) use marks::marked;
pub(super) use offences::{Offence, Written};
pub(super) use origins::Origins;

/// What of its records a topic is for, as far as that is personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PersonalParts {
    /// Nothing: it is not declared for personal data.
    #[default]
    None,
    /// All of it.
    All,
    /// These parts, each with the way to it.
    Some(Vec<(RecordPart, Path)>),
}

impl PersonalParts {
    /// Whether it is for any.
    pub fn any(&self) -> bool {
        *self != PersonalParts::None
    }

    /// What either of two says.
    pub(super) fn together(self, other: PersonalParts) -> PersonalParts {
        match (self, other) {
            (PersonalParts::All, _) | (_, PersonalParts::All) => PersonalParts::All,
            (PersonalParts::None, parts) | (parts, PersonalParts::None) => parts,
            (PersonalParts::Some(mut parts), PersonalParts::Some(more)) => {
                parts.extend(more);
                PersonalParts::Some(parts)
            }
        }
    }

    /// What two say alike.
    pub(super) fn common(self, other: PersonalParts) -> PersonalParts {
        match (self, other) {
            (PersonalParts::None, _) | (_, PersonalParts::None) => PersonalParts::None,
            (PersonalParts::All, parts) | (parts, PersonalParts::All) => parts,
            (PersonalParts::Some(one), PersonalParts::Some(two)) => {
                let within = |part: &(RecordPart, Path), parts: &[(RecordPart, Path)]| {
                    parts.iter().any(|(of, path)| *of == part.0 && marks::is_in(&part.1, path))
                };
                let both = one.iter().filter(|part| within(part, &two));
                let both: Vec<_> = both.chain(two.iter().filter(|part| within(part, &one))).cloned().collect();
                if both.is_empty() { PersonalParts::None } else { PersonalParts::Some(both) }
            }
        }
    }
}

/// Whether there may be personal data in what a node is given, keeps, looks up or makes: then its errors quote nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handles {
    /// Anywhere.
    pub any: bool,
    /// In the keys of records.
    pub keys: bool,
    /// In their timestamps.
    pub times: bool,
}

impl Handles {
    /// What it is together with another.
    fn and(self, other: Handles) -> Handles {
        Handles { any: self.any || other.any, keys: self.keys || other.keys, times: self.times || other.times }
    }
}

/// Where personal data comes from and where it lies, for people and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalData {
    /// What holds it where it comes in, in order of the sources.
    pub origins: Vec<PersonalOrigin>,
    /// Where it lies afterwards.
    pub places: Vec<PersonalPlace>,
    /// Parts that sources declare and nothing reads, of values that no schema describes: maybe they are misspelt.
    pub unknown: Vec<PersonalOrigin>,
    /// Nodes that ask an agent for the personal data in what nobody says holds some, by their names.
    pub undeclared: Vec<String>,
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
    /// Whether the topology reads it: what it does not name anywhere is not decoded.
    pub is_read: bool,
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
