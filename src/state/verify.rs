//! Is a store the fold of its changelog (I3)?
//!
//! A changelog is folded into the last value per key; the fold is compared with what RocksDB holds, byte by byte, in
//! key order. Fold the records below the checkpoint's offset of that changelog: the store has seen no others.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use super::error::printable;
use super::{Database, Result, TaskReader};
use crate::log::LogRecord;

/// The last value of each key of a changelog. Holds all of them in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold(BTreeMap<Bytes, Bytes>);

impl Fold {
    /// The fold of no records.
    pub fn new() -> Fold {
        Fold::default()
    }

    /// Takes the next record into account. A record without a key is none of a changelog, and changes nothing.
    pub fn apply(&mut self, record: &LogRecord) {
        match (&record.key, &record.value) {
            (Some(key), Some(value)) => {
                self.0.insert(key.clone(), value.clone());
            }
            (Some(key), None) => {
                self.0.remove(key);
            }
            (None, _) => {}
        }
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A key on which a store and its changelog do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The changelog has it, the store does not.
    Missing {
        /// The key.
        key: Bytes,
    },
    /// The store has it, the changelog does not.
    Extra {
        /// The key.
        key: Bytes,
    },
    /// Both have it, with different values.
    Different {
        /// The key.
        key: Bytes,
        /// The value's bytes in the store.
        stored: Bytes,
        /// The value's bytes in the changelog.
        logged: Bytes,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing { key } => {
                write!(f, "key {} is in the changelog and missing in the store", printable(key))
            }
            Difference::Extra { key } => write!(f, "key {} is in the store and not in the changelog", printable(key)),
            Difference::Different { key, stored, logged } => {
                let at = stored.iter().zip(logged).take_while(|(stored, logged)| stored == logged).count();
                write!(
                    f,
                    "key {}: the store has {} bytes, the changelog {}; they differ from byte {at} on",
                    printable(key),
                    stored.len(),
                    logged.len()
                )
            }
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries of the store.
    pub entries: u64,
    /// Keys on which the two do not agree.
    pub differing: u64,
    /// The first of them, in key order.
    pub first: Vec<Difference>,
}

impl Verification {
    /// Whether the store is the fold of its changelog.
    pub fn is_equal(&self) -> bool {
        self.differing == 0
    }

    fn add(&mut self, limit: usize, difference: Difference) {
        self.differing += 1;
        if self.first.len() < limit {
            self.first.push(difference);
        }
    }
}

/// Compares a store, by its name, with the fold of its changelog; keeps up to `limit` differences.
pub fn verify(task: &TaskReader, store: &str, fold: &Fold, limit: usize) -> Result<Verification> {
    compare(task.database(), store, fold, limit)
}

pub(super) fn compare(database: &Database, store: &str, fold: &Fold, limit: usize) -> Result<Verification> {
    let mut result = Verification::default();
    let mut cursor = database.cursor(database.store(store)?, Bound::Unbounded, Bound::Unbounded);
    let mut logged = fold.0.iter().peekable();
    loop {
        let order = match (cursor.entry()?, logged.peek()) {
            (None, None) => return Ok(result),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some((other, _))) => key.cmp(other.as_ref()),
        };
        let stored = if order.is_le() { cursor.entry()? } else { None };
        let expected = if order.is_ge() { logged.next() } else { None };
        match (stored, expected) {
            (Some((_, stored)), Some((_, logged))) if logged == stored => {}
            (Some((key, stored)), Some((_, logged))) => {
                let (key, stored) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(stored));
                result.add(limit, Difference::Different { key, stored, logged: logged.clone() });
            }
            (Some((key, _)), None) => result.add(limit, Difference::Extra { key: Bytes::copy_from_slice(key) }),
            (None, Some((key, _))) => result.add(limit, Difference::Missing { key: key.clone() }),
            (None, None) => {}
        }
        if order.is_le() {
            result.entries += 1;
            cursor.advance();
        }
    }
}
