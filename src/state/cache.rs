//! Decoded entries in memory, found by the bytes of their key.
//!
//! Entries live in slots whose numbers stay the same while they live; a hash table finds the slot of a key
//! without copying the key. Clean entries (equal to what RocksDB holds, absence included) also stand in a
//! queue, from which the oldest goes first unless it was used since it was queued ("second chance").
//!
//! Entries of windows that have expired are not looked for one by one: they count as gone from then on, and are swept
//! away when as many entries have come as make the walk over all of them cheap.

use bytes::Bytes;
use hashbrown::HashTable;

use super::StateValue;
use super::size::heap_bytes;

/// No slot.
const NONE: u32 = u32::MAX;

/// What an entry takes beside its key and its value's heap: the slot, the hash table's share, and two allocations of the
/// key: its bytes, and the count of those who share them.
const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 64;

/// Slots that are allocated together.
const CHUNK: usize = 256;

/// For each entry that comes, the walk that sweeps away what is gone looks at this many at the most.
const SWEPT_PER_ENTRY: usize = 4;

/// The number of an entry's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// A key and what a store holds under it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: Bytes,
    /// The value; `None`: there is none.
    pub(super) value: Option<StateValue>,
    /// Whether it differs from what is committed.
    pub(super) dirty: bool,
    referenced: bool,
    /// How often entries had gone when it became clean.
    generation: u32,
    hash: u64,
    weight: usize,
    older: u32,
    newer: u32,
}

/// Slots that grow without being moved: one vector would take up to twice what it holds, and thrice while it grows.
#[derive(Debug, Default)]
struct Slots(Vec<Vec<Entry>>);

impl Slots {
    fn push(&mut self, entry: Entry) -> u32 {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.0.len() - 1) * CHUNK;
        let chunk = &mut self.0[before / CHUNK];
        chunk.push(entry);
        // Fewer than u32::MAX: each entry takes more than 100 bytes of a limited budget.
        (before + chunk.len() - 1) as u32
    }

    fn get(&self, slot: u32) -> Option<&Entry> {
        self.0.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.0.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Entry;

    fn index(&self, slot: u32) -> &Entry {
        &self.0[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.0[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

/// The entries of one store that are in memory.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Slots,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: ahash::RandomState,
    oldest: u32,
    newest: u32,
    clean_bytes: usize,
    dirty_bytes: usize,
    gone: Gone,
}

/// Which clean entries do not count any more.
#[derive(Debug, Default)]
struct Gone {
    /// Those with a lesser key that are of an earlier generation.
    before: Vec<u8>,
    generation: u32,
    /// How many entries have come since the others were swept away.
    arrivals: usize,
}

impl Cache {
    /// An empty cache.
    pub(super) fn new() -> Cache {
        Cache {
            entries: Slots::default(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: ahash::RandomState::new(),
            oldest: NONE,
            newest: NONE,
            clean_bytes: 0,
            dirty_bytes: 0,
            gone: Gone::default(),
        }
    }

    /// About how many bytes the clean entries take.
    pub(super) fn clean_bytes(&self) -> usize {
        self.clean_bytes
    }

    /// About how many bytes the dirty entries take.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// The hash of a key, for the calls that take one.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The slot of a key.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.index.find(hash, |&slot| self.entries[slot].key == key).map(|&slot| Slot(slot))
    }

    /// The entry in a slot.
    pub(super) fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot.0]
    }

    /// The value in a slot, to be changed; [`Cache::make_dirty`] must follow.
    pub(super) fn value_mut(&mut self, slot: Slot) -> &mut Option<StateValue> {
        &mut self.entries[slot.0].value
    }

    /// Notes that the entry was used.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.entries[slot.0].referenced = true;
    }

    /// Adds the entry of a key that is not there, as a clean one.
    pub(super) fn insert_clean(&mut self, hash: u64, key: &[u8], value: Option<StateValue>) -> Slot {
        let slot = self.insert(hash, key, value);
        self.enqueue(slot);
        slot
    }

    /// Adds the entry of a key that is not there, as a dirty one.
    pub(super) fn insert_dirty(&mut self, hash: u64, key: &[u8], value: Option<StateValue>) -> Slot {
        let slot = self.insert(hash, key, value);
        let entry = &mut self.entries[slot.0];
        entry.dirty = true;
        self.dirty_bytes += entry.weight;
        slot
    }

    /// Takes the new value of an entry into account and makes the entry dirty. Returns whether it was clean.
    pub(super) fn make_dirty(&mut self, slot: Slot) -> bool {
        let was_clean = !self.entry(slot).dirty;
        if was_clean {
            self.dequeue(slot);
        } else {
            self.dirty_bytes -= self.entry(slot).weight;
        }
        let entry = &mut self.entries[slot.0];
        entry.dirty = true;
        entry.weight = weight(&entry.key, entry.value.as_ref());
        self.dirty_bytes += entry.weight;
        was_clean
    }

    /// Makes a dirty entry clean: its value is committed. `value` is what to keep from now on.
    pub(super) fn make_clean(&mut self, slot: Slot, value: Option<StateValue>) {
        let entry = &mut self.entries[slot.0];
        self.dirty_bytes -= entry.weight;
        entry.dirty = false;
        entry.referenced = false;
        entry.generation = self.gone.generation;
        entry.weight = weight(&entry.key, value.as_ref());
        entry.value = value;
        self.enqueue(slot);
    }

    /// Forgets a dirty entry.
    pub(super) fn remove_dirty(&mut self, slot: Slot) {
        self.dirty_bytes -= self.entry(slot).weight;
        self.release(slot);
    }

    /// Forgets a clean entry.
    pub(super) fn remove_clean(&mut self, slot: Slot) {
        self.dequeue(slot);
        self.release(slot);
    }

    /// Forgets the clean entry that was unused for longest, and returns it; `None` when there is none.
    pub(super) fn evict(&mut self) -> Option<(Bytes, Option<StateValue>)> {
        while self.oldest != NONE {
            let slot = Slot(self.oldest);
            if !std::mem::take(&mut self.entries[slot.0].referenced) {
                self.dequeue(slot);
                return Some(self.release(slot));
            }
            self.dequeue(slot);
            self.enqueue(slot);
        }
        None
    }

    /// Forgets the clean entries before a key; RocksDB does not hold them any more.
    pub(super) fn remove_clean_before(&mut self, end: &[u8]) {
        let earlier = end < &self.gone.before[..];
        if earlier || self.gone.generation == u32::MAX {
            // What is gone is told by one key: this one tells of fewer, and of some that have come since.
            return self.sweep(|entry| &entry.key[..] < end);
        }
        self.gone.before.clear();
        self.gone.before.extend_from_slice(end);
        self.gone.generation += 1;
        if self.gone.arrivals * SWEPT_PER_ENTRY >= self.index.len() {
            self.gone.arrivals = 0;
            let Gone { before, generation, .. } = std::mem::take(&mut self.gone);
            self.sweep(|entry| entry.generation < generation && entry.key[..] < before[..]);
            self.gone = Gone { before, generation, arrivals: 0 };
        }
    }

    /// An entry that is gone becomes one that holds nothing.
    pub(super) fn revive(&mut self, slot: Slot) {
        let Gone { before, generation, .. } = &self.gone;
        let entry = &mut self.entries[slot.0];
        if entry.generation < *generation && !entry.dirty {
            if entry.key[..] < before[..] {
                entry.value = None;
            }
            entry.generation = *generation;
        }
    }

    /// Forgets some of the clean entries.
    fn sweep(&mut self, is_gone: impl Fn(&Entry) -> bool) {
        let mut next = self.oldest;
        while let Some(entry) = self.entries.get(next) {
            let slot = Slot(next);
            next = entry.newer;
            if is_gone(entry) {
                self.remove_clean(slot);
            }
        }
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: Option<StateValue>) -> Slot {
        let entry = Entry {
            weight: weight(key, value.as_ref()),
            key: Bytes::copy_from_slice(key),
            value,
            dirty: false,
            referenced: false,
            generation: self.gone.generation,
            hash,
            older: NONE,
            newer: NONE,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot] = entry;
                slot
            }
            None => self.entries.push(entry),
        };
        self.gone.arrivals += 1;
        let entries = &self.entries;
        self.index.insert_unique(hash, slot, |&other| entries[other].hash);
        Slot(slot)
    }

    fn release(&mut self, slot: Slot) -> (Bytes, Option<StateValue>) {
        let hash = self.entry(slot).hash;
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot.0) {
            found.remove();
        }
        self.free.push(slot.0);
        let entry = &mut self.entries[slot.0];
        (std::mem::take(&mut entry.key), entry.value.take())
    }

    fn enqueue(&mut self, slot: Slot) {
        let last = std::mem::replace(&mut self.newest, slot.0);
        match self.entries.get_mut(last) {
            Some(entry) => entry.newer = slot.0,
            None => self.oldest = slot.0,
        }
        let entry = &mut self.entries[slot.0];
        entry.older = last;
        entry.newer = NONE;
        self.clean_bytes += entry.weight;
    }

    fn dequeue(&mut self, slot: Slot) {
        let Entry { older, newer, weight, .. } = self.entries[slot.0];
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        self.clean_bytes -= weight;
    }
}

fn weight(key: &[u8], value: Option<&StateValue>) -> usize {
    ENTRY_OVERHEAD + key.len() + value.map_or(0, |value| heap_bytes(&value.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn some(n: i64) -> Option<StateValue> {
        Some(StateValue { timestamp: 0, value: Value::Int(n) })
    }

    fn insert(cache: &mut Cache, key: &[u8], n: i64) -> Slot {
        cache.insert_clean(cache.hash(key), key, some(n))
    }

    fn has(cache: &Cache, key: &[u8]) -> bool {
        cache.find(cache.hash(key), key).is_some()
    }

    #[test]
    fn the_oldest_unused_entry_is_evicted_first() {
        let mut cache = Cache::new();
        let first = insert(&mut cache, b"a", 1);
        insert(&mut cache, b"b", 2);
        insert(&mut cache, b"c", 3);
        cache.touch(first);
        assert!(cache.evict().is_some());
        assert!(has(&cache, b"a") && !has(&cache, b"b") && has(&cache, b"c"));
        assert!(cache.evict().is_some() && cache.evict().is_some());
        assert!(cache.evict().is_none());
        assert_eq!((cache.clean_bytes(), cache.dirty_bytes()), (0, 0));
    }

    #[test]
    fn dirty_entries_are_never_evicted() {
        let mut cache = Cache::new();
        let slot = insert(&mut cache, b"a", 1);
        *cache.value_mut(slot) = some(2);
        assert!(cache.make_dirty(slot));
        assert!(!cache.make_dirty(slot));
        assert!(cache.evict().is_none());
        assert!(cache.clean_bytes() == 0 && cache.dirty_bytes() > 0);
        cache.make_clean(slot, some(2));
        assert!(cache.clean_bytes() > 0 && cache.dirty_bytes() == 0);
        assert!(cache.evict().is_some());
    }

    #[test]
    fn what_comes_before_a_key_goes_at_the_cost_of_what_has_come() {
        let mut cache = Cache::new();
        let key = |n: i64| n.to_be_bytes();
        for n in 0..1_000 {
            insert(&mut cache, &key(n), n);
        }
        cache.remove_clean_before(&key(10));
        assert!(!has(&cache, &key(9)) && has(&cache, &key(10)));
        // Few have come since: the next ones stay where they are, and hold nothing.
        cache.remove_clean_before(&key(500));
        let value = |cache: &mut Cache, n: i64| {
            let slot = cache.find(cache.hash(&key(n)), &key(n))?;
            cache.revive(slot);
            cache.entry(slot).value.as_ref().map(|value| value.timestamp)
        };
        assert_eq!((value(&mut cache, 499), value(&mut cache, 500)), (None, Some(0)));
        // What is written there since does hold something, until more goes.
        let slot = cache.find(cache.hash(&key(499)), &key(499)).unwrap();
        *cache.value_mut(slot) = some(1);
        cache.make_dirty(slot);
        cache.make_clean(slot, some(1));
        assert_eq!(value(&mut cache, 499), Some(0));
        cache.remove_clean_before(&key(400));
        assert_eq!(value(&mut cache, 499), Some(0));
        cache.remove_clean_before(&key(600));
        assert_eq!((value(&mut cache, 499), value(&mut cache, 599), value(&mut cache, 600)), (None, None, Some(0)));
        for n in 1_000..1_300 {
            insert(&mut cache, &key(n), n);
        }
        cache.remove_clean_before(&key(600));
        assert!(!has(&cache, &key(599)) && has(&cache, &key(600)) && cache.index.len() == 700);
    }

    #[test]
    fn slots_are_used_again() {
        let mut cache = Cache::new();
        for n in 0..1_000_i64 {
            insert(&mut cache, &n.to_be_bytes(), n);
            if n >= 10 {
                assert!(cache.evict().is_some());
            }
        }
        assert!(cache.entries.get(11).is_none());
        assert!(has(&cache, &999_i64.to_be_bytes()) && !has(&cache, &5_i64.to_be_bytes()));
    }
}
