//! The uncommitted changes of one store, above its clean entries.
//!
//! Both live in one [`Cache`], so that a key is hashed and looked up once. The dirty entries are also listed
//! in the order in which they were first touched, which is the order of the changelog, and, once somebody
//! scans, in the order of their keys.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::StateValue;
use super::cache::{Cache, Entry, Slot};

/// The entries of one store that are in memory, and which of them are uncommitted.
#[derive(Debug)]
pub(super) struct Overlay {
    cache: Cache,
    dirty: Vec<Slot>,
    /// The first `sorted_up_to` of `dirty`, by key. Filled by scans only: most stores are never scanned.
    sorted: BTreeMap<Bytes, Slot>,
    sorted_up_to: usize,
    least: Least,
}

/// The least key of a changed entry that holds a value: what is before it need not be deleted.
#[derive(Debug)]
enum Least {
    /// Nobody has asked: most stores do not expire.
    Unwatched,
    /// There is none.
    Nothing,
    /// None is before this one.
    From(Bytes),
}

impl Least {
    /// An entry holds a value.
    fn note(&mut self, key: &Bytes) {
        match self {
            Least::Unwatched => {}
            Least::From(least) if *least <= *key => {}
            Least::From(_) | Least::Nothing => *self = Least::From(key.clone()),
        }
    }
}

impl Overlay {
    /// Nothing in memory.
    pub(super) fn new() -> Overlay {
        Overlay {
            cache: Cache::new(),
            dirty: Vec::new(),
            sorted: BTreeMap::new(),
            sorted_up_to: 0,
            least: Least::Unwatched,
        }
    }

    /// The entries.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The slot of a key, whose entry counts as used.
    pub(super) fn find(&mut self, hash: u64, key: &[u8]) -> Option<Slot> {
        let slot = self.cache.find(hash, key)?;
        self.cache.revive(slot);
        self.cache.touch(slot);
        Some(slot)
    }

    /// Adds what RocksDB holds for a key that is not in memory.
    pub(super) fn insert_clean(&mut self, hash: u64, key: &[u8], value: Option<StateValue>) -> Slot {
        self.cache.insert_clean(hash, key, value)
    }

    /// Changes a key without looking at what it was. Returns whether that made a difference.
    pub(super) fn put(&mut self, key: &[u8], value: Option<StateValue>) -> bool {
        let hash = self.cache.hash(key);
        match self.cache.find(hash, key) {
            Some(slot) => {
                self.cache.revive(slot);
                let entry = self.cache.entry(slot);
                if !entry.dirty && entry.value.is_none() && value.is_none() {
                    return false;
                }
                *self.cache.value_mut(slot) = value;
                self.changed(slot);
            }
            None => {
                let slot = self.cache.insert_dirty(hash, key, value);
                self.dirty.push(slot);
                self.least.note(&self.cache.entry(slot).key);
            }
        }
        true
    }

    /// The value in a slot, to be changed; [`Overlay::changed`] must follow.
    pub(super) fn value_mut(&mut self, slot: Slot) -> &mut Option<StateValue> {
        self.cache.value_mut(slot)
    }

    /// Counts the entry in a slot among the uncommitted changes.
    pub(super) fn changed(&mut self, slot: Slot) {
        if self.cache.make_dirty(slot) {
            self.dirty.push(slot);
        }
        self.least.note(&self.cache.entry(slot).key);
    }

    /// How many keys are changed.
    pub(super) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// The changed entries, in the order in which they were first touched.
    pub(super) fn dirty(&self) -> impl Iterator<Item = &Entry> {
        self.dirty.iter().map(|slot| self.cache.entry(*slot))
    }

    /// The changed entries between two keys, in the order of their keys. The bounds must be in order.
    pub(super) fn range(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> impl DoubleEndedIterator<Item = &Entry> {
        self.sort();
        self.sorted.range::<[u8], _>((from, to)).map(|(_, slot)| self.cache.entry(*slot))
    }

    fn sort(&mut self) {
        for slot in self.dirty.get(self.sorted_up_to..).unwrap_or_default() {
            self.sorted.insert(self.cache.entry(*slot).key.clone(), *slot);
        }
        self.sorted_up_to = self.dirty.len();
    }

    /// Makes all changed entries clean. `keep` says what to hold from now on under each, given its position among the
    /// changes and its value; `None`: forget the entry.
    pub(super) fn committed(&mut self, mut keep: impl FnMut(usize, Option<StateValue>) -> Option<Option<StateValue>>) {
        for (position, slot) in self.dirty.drain(..).enumerate() {
            let value = self.cache.value_mut(slot).take();
            match keep(position, value) {
                Some(value) => self.cache.make_clean(slot, value),
                None => self.cache.remove_dirty(slot),
            }
        }
        self.sorted.clear();
        self.sorted_up_to = 0;
        if !matches!(self.least, Least::Unwatched) {
            self.least = Least::Nothing;
        }
    }

    /// Forgets all changed entries.
    pub(super) fn rollback(&mut self) {
        self.committed(|_, _| None);
    }

    /// Forgets the clean entry of a key, if there is one.
    pub(super) fn forget(&mut self, key: &[u8]) {
        let hash = self.cache.hash(key);
        if let Some(slot) = self.cache.find(hash, key).filter(|slot| !self.cache.entry(*slot).dirty) {
            self.cache.remove_clean(slot);
        }
    }

    /// Forgets one clean entry and returns it; `None` when there is none.
    pub(super) fn evict(&mut self) -> Option<(Bytes, Option<StateValue>)> {
        self.cache.evict()
    }

    /// Forgets the clean entries before a key.
    pub(super) fn forget_before(&mut self, end: &[u8]) {
        self.cache.remove_clean_before(end);
    }

    /// No changed entry that holds a value has a lesser key; `None`: there is none that does, or nobody watches.
    pub(super) fn least_held(&self) -> Option<&Bytes> {
        match &self.least {
            Least::From(least) => Some(least),
            Least::Unwatched | Least::Nothing => None,
        }
    }

    /// Makes deletions of the changed entries before a key, in the order of keys' bytes. From its second call on it
    /// looks at none but those that may hold a value there.
    pub(super) fn delete_changed_before(&mut self, end: &[u8]) {
        let from = match &self.least {
            Least::Nothing => return,
            Least::From(least) if least[..] >= *end => return,
            Least::From(least) => Bound::Included(least.clone()),
            Least::Unwatched => Bound::Unbounded,
        };
        self.sort();
        let Overlay { cache, sorted, least, .. } = self;
        for (_, slot) in sorted.range::<[u8], _>((from.as_ref().map(Bytes::as_ref), Bound::Excluded(end))) {
            if cache.entry(*slot).value.is_some() {
                *cache.value_mut(*slot) = None;
                cache.make_dirty(*slot);
            }
        }
        let next = sorted.range::<[u8], _>((Bound::Included(end), Bound::Unbounded)).next();
        *least = next.map_or(Least::Nothing, |(key, _)| Least::From(key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn row(number: i64) -> Option<StateValue> {
        Some(StateValue { timestamp: number, value: Value::Int(number) })
    }

    fn held(overlay: &Overlay) -> Vec<&[u8]> {
        overlay.dirty().filter(|entry| entry.value.is_some()).map(|entry| &entry.key[..]).collect()
    }

    #[test]
    fn what_lies_before_a_key_is_deleted_however_often_it_is_written() {
        let mut overlay = Overlay::new();
        for key in [b"c", b"a", b"d"] {
            overlay.put(key, row(1));
        }
        overlay.delete_changed_before(b"c");
        assert_eq!(held(&overlay), [b"c", b"d"]);
        overlay.put(b"a", row(2));
        overlay.put(b"b", row(2));
        overlay.put(b"c", row(2));
        overlay.delete_changed_before(b"b");
        assert_eq!(held(&overlay), [b"c", b"d", b"b"]);
        overlay.delete_changed_before(b"d");
        assert_eq!(held(&overlay), [b"d"]);
        overlay.delete_changed_before(b"z");
        assert!(held(&overlay).is_empty());
        overlay.put(b"y", row(3));
        overlay.committed(|_, value| Some(value));
        overlay.delete_changed_before(b"z");
        let hash = overlay.cache().hash(b"y");
        let slot = overlay.find(hash, b"y").expect("it is in memory");
        *overlay.value_mut(slot) = row(4);
        overlay.changed(slot);
        assert_eq!(held(&overlay), [b"y"]);
        overlay.delete_changed_before(b"z");
        assert!(held(&overlay).is_empty());
    }
}
