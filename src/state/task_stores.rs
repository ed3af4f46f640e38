//! All stores of one task: reads, uncommitted changes, the commit, the restore.

mod last;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::Checkpoint;
use super::directory::{Reservation, Shared};
use super::encoded::{Encoded, by_key};
use super::store::{Store, decode};
use super::verify::{Fold, Verification, compare};
use super::window::window_bound;
use super::{Batch, ChangelogRecord, Database, Result, StateError, StateValue, StoreSpec};
use crate::log::LogRecord;
use crate::time::Timestamp;

/// The key of the checkpoint in the metadata.
pub(super) const CHECKPOINT_KEY: &[u8] = b"checkpoint";

/// How many entries [`TaskStores::scan`] reads at a time.
const SCAN_CHUNK: usize = 256;

/// All stores of one task. A store is named by its position in the specs that the task was opened with;
/// another number is a defect of the caller and panics.
pub struct TaskStores {
    stores: Vec<Store>,
    database: Database,
    shared: Arc<Shared>,
    checkpoint: Option<Checkpoint>,
    /// What [`TaskStores::changelog`] encoded, by store, until the commit takes it or a change makes it stale.
    encoded: Option<Vec<Encoded>>,
    unflushed_bytes: usize,
    unflushed_commits: u32,
    /// Behind the database, so that it is closed when another may open it.
    _reservation: Reservation,
}

impl TaskStores {
    /// Takes over an opened database.
    pub(super) fn new(
        database: Database,
        specs: &[StoreSpec],
        shared: Arc<Shared>,
        reservation: Reservation,
    ) -> Result<TaskStores> {
        let stored = database.get(database.metadata()?, CHECKPOINT_KEY)?;
        let checkpoint = stored.map(|bytes| Checkpoint::decode(&bytes, database.path())).transpose()?;
        let mut stores = Vec::with_capacity(specs.len());
        for spec in specs {
            let last = database.last_key(database.store(&spec.name)?)?;
            stores.push(Store::new(spec, last.as_deref()));
        }
        Ok(TaskStores {
            stores,
            database,
            shared,
            checkpoint,
            encoded: None,
            unflushed_bytes: 0,
            unflushed_commits: 0,
            _reservation: reservation,
        })
    }

    /// The stores, by position.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &StoreSpec> {
        self.stores.iter().map(|store| &store.spec)
    }

    /// The task's directory.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// The last key that a store holds as of the last commit, in the order of keys' bytes.
    pub fn last_committed_key(&self, store: usize) -> Result<Option<Bytes>> {
        let last = self.database.last_key(self.database.store(&self.stores[store].spec.name)?)?;
        Ok(last.map(|key| Bytes::copy_from_slice(&key)))
    }

    /// The size of a store's files, in bytes.
    pub fn file_bytes(&self, store: usize) -> Result<u64> {
        self.database.file_bytes(self.database.store(&self.stores[store].spec.name)?)
    }

    /// Up to where the stores have come; `None` before the first commit or restore.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// What a store holds under a key, uncommitted changes included.
    pub fn get(&mut self, store: usize, key: &[u8]) -> Result<Option<StateValue>> {
        self.get_ref(store, key).map(|value| value.cloned())
    }

    /// As [`TaskStores::get`], without cloning the value.
    pub fn get_ref(&mut self, store: usize, key: &[u8]) -> Result<Option<&StateValue>> {
        let slot = self.load(store, key)?;
        Ok(self.stores[store].overlay.cache().entry(slot).value.as_ref())
    }

    /// Changes a key; `None` deletes it. Does not look at what was there.
    pub fn put(&mut self, store: usize, key: &[u8], value: Option<StateValue>) {
        let Store { overlay, absence, .. } = &mut self.stores[store];
        absence.is_absent(key);
        if overlay.put(key, value) {
            self.encoded = None;
        }
    }

    /// Deletes all rows of a window store whose windows start before `start`.
    pub fn expire(&mut self, store: usize, start: Timestamp) {
        let Store { overlay, expired, .. } = &mut self.stores[store];
        *expired = start.max(*expired);
        overlay.delete_changed_before(&window_bound(start));
        self.encoded = None;
    }

    /// Reads and changes a key in one go: `change` gets what the store holds and leaves what it is to hold (`None`
    /// deletes). The value is not shared, so `change` may take it apart without copying. When `change` fails it must
    /// leave the value as it was; the key then counts as untouched.
    pub fn update<R, E: From<StateError>>(
        &mut self,
        store: usize,
        key: &[u8],
        change: impl FnOnce(&mut Option<StateValue>) -> Result<R, E>,
    ) -> Result<R, E> {
        let slot = self.load(store, key)?;
        let overlay = &mut self.stores[store].overlay;
        let result = change(overlay.value_mut(slot))?;
        overlay.changed(slot);
        self.encoded = None;
        Ok(result)
    }

    /// Up to `limit` entries of a store between two keys, in the order of their keys' bytes, uncommitted changes
    /// included. To go on, scan from the last key, excluded: entries may be changed and deleted in between.
    ///
    /// Deleted entries cost time until RocksDB has compacted them: who expires windows should scan from where it
    /// last stopped, and only when stream time has passed the end of a window.
    pub fn scan_limited(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, StateValue)>> {
        let mut found = Vec::new();
        if is_empty(from, to) {
            return Ok(found);
        }
        let Store { spec, codec, overlay, expired, .. } = &mut self.stores[store];
        let alive = window_bound(*expired);
        let stored_from = match from {
            Bound::Included(key) | Bound::Excluded(key) if key >= &alive[..] => from,
            _ if *expired > 0 => Bound::Included(&alive[..]),
            _ => from,
        };
        let to_stored = if is_empty(stored_from, to) { Bound::Excluded(&alive[..0]) } else { to };
        let mut stored = self.database.cursor(self.database.store(&spec.name)?, stored_from, to_stored);
        let mut changed = overlay.range(from, to).peekable();
        while found.len() < limit {
            let at = stored.entry()?;
            match (changed.peek(), at) {
                (None, None) => break,
                (Some(entry), at) if at.is_none_or(|(key, _)| entry.key <= key) => {
                    if let Some(value) = &entry.value {
                        found.push((entry.key.clone(), value.clone()));
                    }
                    if at.is_some_and(|(key, _)| entry.key == key) {
                        stored.advance();
                    }
                    changed.next();
                }
                (_, Some((key, value))) => {
                    let value = decode(codec, spec, self.database.path(), key, value)?;
                    found.push((Bytes::copy_from_slice(key), value));
                    stored.advance();
                }
                // The guard above takes every change when RocksDB has no more entries.
                (Some(_), None) => break,
            }
        }
        Ok(found)
    }

    /// The entries of a store between two keys, in the order of their keys' bytes, uncommitted changes included,
    /// read a part at a time.
    pub fn scan(&mut self, store: usize, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        let (from, to) = (from.map(Bytes::copy_from_slice), to.map(Bytes::copy_from_slice));
        Scan { stores: self, store, from, to, chunk: Vec::new().into_iter(), done: false }
    }

    /// The keys of a store that are changed since the last commit, in the order in which they were first
    /// touched, with what they now hold.
    pub fn changes(&self, store: usize) -> impl Iterator<Item = (&Bytes, Option<&StateValue>)> {
        self.stores[store].overlay.dirty().map(|entry| (&entry.key, entry.value.as_ref()))
    }

    /// About how many bytes of memory the uncommitted changes take.
    pub fn overlay_bytes(&self) -> usize {
        self.stores.iter().map(|store| store.overlay.cache().dirty_bytes()).sum()
    }

    /// Whether the uncommitted changes have reached this task's share of the limit, so that it should commit (I9).
    pub fn is_overlay_full(&self) -> bool {
        self.overlay_bytes() >= self.shared.share(self.shared.options.overlay_bytes)
    }

    /// About how many bytes of memory the read cache takes.
    pub fn read_cache_bytes(&self) -> usize {
        self.stores.iter().map(|store| store.overlay.cache().clean_bytes()).sum()
    }

    /// What must go to the changelog topics before the changes are committed: one record per changed key, store by
    /// store: the rows of expired windows in the order of their keys, then the others in the order in which they were
    /// first touched (I7). Encodes each value once; the commit writes the same bytes to RocksDB (I3).
    pub fn changelog(&mut self) -> Result<Vec<ChangelogRecord>> {
        let encoded = self.take_encoded()?;
        let mut records = Vec::with_capacity(encoded.iter().map(Encoded::len).sum());
        for (position, (store, encoded)) in self.stores.iter().zip(&encoded).enumerate() {
            if store.spec.changelog.is_none() {
                continue;
            }
            records.extend(encoded.expired().map(|key| ChangelogRecord {
                store: position,
                key,
                value: None,
                timestamp: None,
            }));
            records.extend(store.overlay.dirty().zip(&encoded.values).map(|(entry, value)| ChangelogRecord {
                store: position,
                key: entry.key.clone(),
                value: value.clone(),
                timestamp: entry.value.as_ref().map(|value| value.timestamp),
            }));
        }
        self.encoded = Some(encoded);
        Ok(records)
    }

    /// Writes all changes and the checkpoint to RocksDB, in one atomic batch (I1, I2). The changes become clean
    /// entries of the read cache. To be called when the log has committed the same changes.
    pub fn commit(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let encoded = self.take_encoded()?;
        let batch = self.batch(&encoded, checkpoint)?;
        let bytes = batch.bytes();
        self.database.write(batch)?;
        for (store, encoded) in self.stores.iter_mut().zip(&encoded) {
            store.committed(&encoded.values);
        }
        self.checkpoint = Some(checkpoint.clone());
        self.trim();
        self.flush_if_due(bytes)
    }

    /// Forgets all uncommitted changes.
    pub fn rollback(&mut self) {
        self.encoded = None;
        self.stores.iter_mut().for_each(Store::rollback);
    }

    /// Applies committed records of a store's changelog, in the order of their offsets. The values go to RocksDB as they
    /// are (I3); the checkpoint's offset of that changelog becomes `next_offset` in the same batch, so that an interrupted
    /// restore goes on from where it was.
    pub fn restore(&mut self, store: usize, records: &[LogRecord], next_offset: i64) -> Result<()> {
        if self.stores.iter().any(|store| store.overlay.dirty_count() > 0) {
            return Err(StateError::IllegalState(
                "a task's stores are restored before it processes records".to_owned(),
            ));
        }
        let Store { spec, overlay, absence, empty_before, .. } = &mut self.stores[store];
        *empty_before = 0;
        let topic = spec.changelog.clone().ok_or_else(|| StateError::Changelog {
            store: spec.name.clone(),
            detail: "the store has no changelog".to_owned(),
        })?;
        let family = self.database.store(&spec.name)?;
        let mut batch = Batch::with_capacity(records.iter().map(record_bytes).sum());
        for record in records {
            let key = record.key.as_ref().ok_or_else(|| StateError::Changelog {
                store: spec.name.clone(),
                detail: format!("the record at offset {} of topic `{topic}` has no key", record.offset),
            })?;
            match &record.value {
                Some(value) => batch.put(family, key, value),
                None => batch.delete(family, key),
            }
            overlay.forget(key);
            absence.is_stored(key);
        }
        let mut checkpoint = self.checkpoint.clone().unwrap_or_default();
        checkpoint.changelog_offsets.insert(topic, next_offset);
        batch.put(self.database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
        let bytes = batch.bytes();
        self.database.write(batch)?;
        self.checkpoint = Some(checkpoint);
        self.flush_if_due(bytes)
    }

    /// Empties every store that has a changelog, to be restored from its first record on, as of `now`. Atomic: the
    /// changelogs' offsets go from the checkpoint in the same batch. Uncommitted changes are lost.
    pub fn clear(&mut self, now: Timestamp) -> Result<()> {
        self.rollback();
        let mut checkpoint = self.checkpoint.clone().unwrap_or_default();
        checkpoint.wall_clock = now;
        let mut batch = Batch::with_capacity(1024);
        for store in &self.stores {
            let Some(topic) = &store.spec.changelog else { continue };
            checkpoint.changelog_offsets.remove(topic);
            let family = self.database.store(&store.spec.name)?;
            if let Some(last) = self.database.last_key(family)? {
                batch.delete_upto(family, &last);
            }
        }
        batch.put(self.database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
        self.database.write(batch)?;
        self.checkpoint = Some(checkpoint);
        for store in self.stores.iter_mut().filter(|store| store.spec.changelog.is_some()) {
            *store = Store::new(&store.spec, None);
        }
        Ok(())
    }

    /// Writes everything that is committed to files and returns when that is done.
    pub fn flush(&mut self) -> Result<()> {
        self.start_flush(true)
    }

    /// Flushes and closes the stores, so that the next start has nothing to restore. Uncommitted changes are lost.
    pub fn close(mut self) -> Result<()> {
        self.flush()
    }

    /// Compares what a store has committed with the fold of its changelog (I3); shows up to `limit` differences.
    pub fn verify(&self, store: usize, fold: &Fold, limit: usize) -> Result<Verification> {
        compare(&self.database, &self.stores[store].spec.name, fold, limit)
    }

    /// The slot of a key, read from RocksDB if it is not in memory.
    fn load(&mut self, store: usize, key: &[u8]) -> Result<super::cache::Slot> {
        let overlay = &mut self.stores[store].overlay;
        let hash = overlay.cache().hash(key);
        if let Some(slot) = overlay.find(hash, key) {
            let store = &mut self.stores[store];
            if store.is_expired(key) && !store.overlay.cache().entry(slot).dirty {
                *store.overlay.value_mut(slot) = None;
            }
            return Ok(slot);
        }
        // Before the insertion, not after it: the new entry must survive until its caller is done.
        self.trim();
        let store = &mut self.stores[store];
        if store.absence.is_absent(key) || store.is_expired(key) {
            return Ok(store.overlay.insert_clean(hash, key, None));
        }
        let Store { spec, codec, overlay, .. } = store;
        let stored = self.database.get(self.database.store(&spec.name)?, key)?;
        let value = stored.map(|value| decode(codec, spec, self.database.path(), key, &value)).transpose()?;
        Ok(overlay.insert_clean(hash, key, value))
    }

    /// Keeps the read cache within this task's share of the limit (I9).
    fn trim(&mut self) {
        let share = self.shared.share(self.shared.options.read_cache_bytes);
        while self.read_cache_bytes() > share {
            let largest = self.stores.iter_mut().max_by_key(|store| store.overlay.cache().clean_bytes());
            if !largest.is_some_and(Store::evict) {
                return;
            }
        }
    }

    fn take_encoded(&mut self) -> Result<Vec<Encoded>> {
        match self.encoded.take() {
            Some(encoded) => Ok(encoded),
            None => self.stores.iter().map(|store| Encoded::of(store, &self.database)).collect(),
        }
    }

    fn batch(&self, encoded: &[Encoded], checkpoint: &Checkpoint) -> Result<Batch> {
        let mut batch = Batch::with_capacity(1024);
        for (store, encoded) in self.stores.iter().zip(encoded) {
            let family = self.database.store(&store.spec.name)?;
            encoded.delete_expired(store, family, &mut batch);
            for (key, value) in by_key(store.overlay.dirty().map(|entry| &entry.key).zip(&encoded.values)) {
                match value {
                    Some(value) => batch.put(family, key, value),
                    None => batch.delete(family, key),
                }
            }
        }
        batch.put(self.database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
        Ok(batch)
    }

    /// Flushes in the background when enough has been written since the last time, so that the tail that a crash takes
    /// stays short and idle tasks do not hold the write buffers.
    fn flush_if_due(&mut self, written: usize) -> Result<()> {
        self.unflushed_bytes += written;
        self.unflushed_commits += 1;
        let options = &self.shared.options;
        let limit = options.flush_bytes.min(self.shared.share(options.write_buffer_bytes) / 2);
        if self.unflushed_bytes >= limit || self.unflushed_commits >= options.flush_commits {
            self.start_flush(false)?;
        }
        Ok(())
    }

    fn start_flush(&mut self, wait: bool) -> Result<()> {
        let names: Vec<&str> = self.stores.iter().map(|store| store.spec.name.as_str()).collect();
        self.database.flush(&names, wait)?;
        self.unflushed_bytes = 0;
        self.unflushed_commits = 0;
        Ok(())
    }
}

/// The entries of a store in key order. See [`TaskStores::scan`].
pub struct Scan<'a> {
    stores: &'a mut TaskStores,
    store: usize,
    from: Bound<Bytes>,
    to: Bound<Bytes>,
    chunk: std::vec::IntoIter<(Bytes, StateValue)>,
    done: bool,
}

impl Iterator for Scan<'_> {
    type Item = Result<(Bytes, StateValue)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.chunk.len() == 0 && !self.done {
            let (from, to) = (self.from.as_ref().map(Bytes::as_ref), self.to.as_ref().map(Bytes::as_ref));
            match self.stores.scan_limited(self.store, from, to, SCAN_CHUNK) {
                Ok(chunk) => {
                    self.done = chunk.len() < SCAN_CHUNK;
                    if let Some((key, _)) = chunk.last() {
                        self.from = Bound::Excluded(key.clone());
                    }
                    self.chunk = chunk.into_iter();
                }
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        self.chunk.next().map(Ok)
    }
}

/// About what a record adds to a batch.
fn record_bytes(record: &LogRecord) -> usize {
    16 + record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

/// Whether no key lies between the two.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}
