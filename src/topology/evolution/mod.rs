//! What of a topology may change while its state stays.
//!
//! A [`Description`] says what the state of an application was written with: of each store the layout of its keys and
//! values and what made it, of each repartition topic what its records look like. The runtime keeps it in the log, beside
//! the state, and [`compare`]s it with the topology at every start, before anything is processed. What follows from a
//! difference is a [`Finding`]: some are worth a note, others are refused, because rows that are there would mean
//! something else than those that follow.
//!
//! What an expression computes may change: rows that are there keep what they were made of. Two things are different: where
//! an expression is computed again of an old row to take back what was added, and where it gives another layout.

mod compare;
mod description;
mod facts;
mod layout;

use std::fmt;

pub use compare::{Comparison, compare};
pub use description::{Description, Input, KeptStore, Part, Passage, Removed, UnreadableDescription};
pub use layout::Layout;

/// What follows from a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It works; somebody should know.
    Note,
    /// What is stored does not fit.
    Refused,
}

impl Verdict {
    /// As messages have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Note => "note",
            Verdict::Refused => "refused",
        }
    }
}

/// A difference between what the state was written with and what the topology says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What follows from it.
    pub verdict: Verdict,
    /// What it is about: a store, or a topic.
    pub subject: String,
    /// The topic of the log that holds what it is about.
    pub topic: String,
    /// What differs, such as `windows`.
    pub what: String,
    /// How it was.
    pub was: String,
    /// How it is.
    pub is: String,
    /// Why that matters.
    pub why: String,
    /// What to do; may be empty.
    pub remedy: String,
    /// File and line of what declares it, if that is known.
    pub place: Option<String>,
}

impl Finding {
    /// What differs, in one line.
    pub fn difference(&self) -> String {
        let Finding { what, was, is, .. } = self;
        match (was.is_empty(), is.is_empty()) {
            (false, false) => format!("{what}: was {was}, is {is}"),
            (true, false) => format!("{what}: {is}"),
            (false, true) => format!("{what}: {was}"),
            (true, true) => what.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}. {}", self.difference(), self.why)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, ". {}", self.remedy) }
    }
}
