//! Windows, and how far apart the records of a join may lie.

use std::time::Duration;

use super::yaml::Tree;
use crate::time::Timestamp;

/// The windows of an aggregation that never become one: all but sessions.
#[derive(Clone, Debug)]
pub struct Windows {
    fields: Tree,
}

impl Windows {
    /// Windows of this size that follow each other.
    pub fn tumbling(size: Duration) -> Self {
        Windows { fields: Tree::map([("tumbling", Tree::duration(size))]) }
    }

    /// Windows of this size that start at this interval, and overlap where it is shorter.
    pub fn hopping(size: Duration, advance: Duration) -> Self {
        let hopping = Tree::map([("size", Tree::duration(size)), ("advance", Tree::duration(advance))]);
        Windows { fields: Tree::map([("hopping", hopping)]) }
    }

    /// Windows around each record, whose records are at most this far apart.
    pub fn sliding(difference: Duration) -> Self {
        Windows { fields: Tree::map([("sliding", Tree::duration(difference))]) }
    }

    /// One window for everything from a moment on, in milliseconds since 1970.
    pub fn unlimited(start: Timestamp) -> Self {
        Windows { fields: Tree::map([("unlimited", Tree::map([("start", Tree::number(start))]))]) }
    }

    /// How long after its end a window still takes late records; not at all, if nothing is said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.fields.insert("grace", Tree::duration(grace));
        self
    }

    pub(super) fn tree(&self) -> Tree {
        self.fields.clone()
    }
}

/// Sessions: records of a key that follow each other closely.
#[derive(Clone, Debug)]
pub struct SessionWindows {
    fields: Tree,
}

impl SessionWindows {
    /// The longest pause within a session.
    pub fn with_gap(gap: Duration) -> Self {
        SessionWindows { fields: Tree::map([("session", Tree::duration(gap))]) }
    }

    /// How long after it would have ended a session still takes late records; not at all, if nothing is said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.fields.insert("grace", Tree::duration(grace));
        self
    }

    pub(super) fn tree(&self) -> Tree {
        self.fields.clone()
    }
}

/// Where a record of the second stream of a join may lie, seen from one of the first.
#[derive(Clone, Debug)]
pub struct JoinWindows {
    before: Duration,
    after: Duration,
    grace: Duration,
}

impl JoinWindows {
    /// At most this far before or after it.
    pub fn of(difference: Duration) -> Self {
        JoinWindows { before: difference, after: difference, grace: Duration::ZERO }
    }

    /// At most this far before it.
    pub fn before(mut self, before: Duration) -> Self {
        self.before = before;
        self
    }

    /// At most this far after it.
    pub fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// How much longer matches that come late are waited for.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn tree(&self) -> Tree {
        let (before, after) = (Tree::duration(self.before), Tree::duration(self.after));
        Tree::map([("before", before), ("after", after), ("grace", Tree::duration(self.grace))])
    }
}
