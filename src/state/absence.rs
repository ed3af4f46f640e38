//! Keys that RocksDB does not hold, known without asking it.
//!
//! What a store has written since RocksDB held nothing of it (or nothing of a window) stays in memory until it is
//! evicted. Until then, a key that is not in memory is not in RocksDB either, so that new keys, and above all the new
//! rows of a window that has just begun, cost no read.

use super::StoreKind;
use super::window::parse_window_key;
use crate::time::Timestamp;

/// The most windows of which that is remembered: those that records still come for, and some to spare.
const WINDOWS: usize = 64;

/// What is known of a store's absent keys.
#[derive(Debug)]
pub(super) enum Absence {
    /// Of a key-value store: whether all of its rows are in memory.
    Keys {
        /// Whether they are.
        complete: bool,
    },
    /// Of a window store.
    Windows {
        /// The start of the newest window that may have rows; `None`: there are none.
        newest: Option<Timestamp>,
        /// The starts of the windows whose rows are all in memory, ascending.
        complete: Vec<Timestamp>,
    },
}

impl Absence {
    /// What follows from the last key that RocksDB holds, while nothing is in memory.
    pub(super) fn after(kind: StoreKind, last: Option<&[u8]>) -> Absence {
        match kind {
            StoreKind::KeyValue | StoreKind::Internal => Absence::Keys { complete: last.is_none() },
            // The keys of sessions begin with their end.
            StoreKind::Window { .. } | StoreKind::Session { .. } | StoreKind::Join { .. } => {
                match last.map(parse_window_key) {
                    None => Absence::Windows { newest: None, complete: Vec::new() },
                    Some(Some((start, _))) => Absence::Windows { newest: Some(start), complete: Vec::new() },
                    // No key of ours.
                    Some(None) => Absence::Windows { newest: Some(Timestamp::MAX), complete: Vec::new() },
                }
            }
        }
    }

    /// A key that is not in memory is about to be read or written: whether RocksDB does not hold it for certain.
    pub(super) fn is_absent(&mut self, key: &[u8]) -> bool {
        match self {
            Absence::Keys { complete } => *complete,
            Absence::Windows { newest, complete } => {
                let Some((start, _)) = parse_window_key(key) else { return false };
                if newest.is_none_or(|newest| newest < start) {
                    *newest = Some(start);
                    if complete.len() == WINDOWS {
                        complete.remove(0);
                    }
                    complete.push(start);
                    return true;
                }
                // The newest windows are the ones that records come for.
                complete.iter().rev().any(|known| *known == start)
            }
        }
    }

    /// RocksDB holds a row that is not in memory: it was evicted, or restored.
    pub(super) fn is_stored(&mut self, key: &[u8]) {
        match self {
            Absence::Keys { complete } => *complete = false,
            Absence::Windows { newest, complete } => {
                if let Some((start, _)) = parse_window_key(key) {
                    *newest = (*newest).max(Some(start));
                    complete.retain(|known| *known != start);
                }
            }
        }
    }

    /// Any row may have left memory.
    pub(super) fn forget(&mut self) {
        match self {
            Absence::Keys { complete } => *complete = false,
            Absence::Windows { complete, .. } => complete.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::window_key;
    use super::*;

    fn row(start: Timestamp) -> Vec<u8> {
        let mut key = Vec::new();
        window_key(start, b"k", &mut key);
        key
    }

    const WINDOW: StoreKind = StoreKind::Window { retention: 10 };

    #[test]
    fn the_rows_of_a_window_that_began_in_memory_are_known() {
        let mut absence = Absence::after(WINDOW, Some(&row(20)));
        assert!(!absence.is_absent(&row(20)) && !absence.is_absent(&row(10)));
        assert!(absence.is_absent(&row(30)) && absence.is_absent(&row(30)));
        assert!(absence.is_absent(&row(50)) && absence.is_absent(&row(30)));
        assert!(!absence.is_absent(&row(40)), "a window older than the newest may have rows");
        absence.is_stored(&row(30));
        assert!(!absence.is_absent(&row(30)) && absence.is_absent(&row(50)));
    }

    #[test]
    fn the_keys_of_a_store_that_began_empty_are_known_until_one_is_evicted() {
        assert!(!Absence::after(StoreKind::KeyValue, Some(b"a")).is_absent(b"b"));
        let mut absence = Absence::after(StoreKind::KeyValue, None);
        assert!(absence.is_absent(b"a"));
        absence.is_stored(b"b");
        assert!(!absence.is_absent(b"a"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut absence = Absence::after(WINDOW, None);
        for start in 0..1_000 {
            assert!(absence.is_absent(&row(start)));
        }
        assert!(!absence.is_absent(&row(1)) && absence.is_absent(&row(999)));
        assert!(matches!(&absence, Absence::Windows { complete, .. } if complete.len() == WINDOWS));
    }
}
