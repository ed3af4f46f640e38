//! The last entries of a range of a store.

use std::ops::Bound;

use bytes::Bytes;

use super::{Result, StateValue, Store, TaskStores, decode, is_empty};

impl TaskStores {
    /// The greatest key of a store from `from` on, uncommitted changes included; `None` when there is none. Not for
    /// stores whose rows expire.
    ///
    /// Keys deleted at the end of the store cost time until RocksDB has compacted them.
    pub fn last_key(&mut self, store: usize, from: &[u8]) -> Result<Option<Bytes>> {
        let last = self.scan_back_limited(store, Bound::Included(from), Bound::Unbounded, 1)?;
        Ok(last.into_iter().next().map(|(key, _)| key))
    }

    /// As [`TaskStores::scan_limited`], from the end: the greatest key first. Not for stores whose rows expire.
    pub fn scan_back_limited(
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
        let Store { spec, codec, overlay, .. } = &mut self.stores[store];
        let mut stored = self.database.cursor_from_last(self.database.store(&spec.name)?, from, to);
        let mut changed = overlay.range(from, to).rev().peekable();
        while found.len() < limit {
            let at = stored.entry()?;
            match (changed.peek(), at) {
                (None, None) => break,
                (Some(entry), at) if at.is_none_or(|(key, _)| entry.key >= key) => {
                    if let Some(value) = &entry.value {
                        found.push((entry.key.clone(), value.clone()));
                    }
                    if at.is_some_and(|(key, _)| entry.key == key) {
                        stored.retreat();
                    }
                    changed.next();
                }
                (_, Some((key, value))) => {
                    let value = decode(codec, spec, self.database.path(), key, value)?;
                    found.push((Bytes::copy_from_slice(key), value));
                    stored.retreat();
                }
                // The guard above takes every change when RocksDB has no more entries.
                (Some(_), None) => break,
            }
        }
        Ok(found)
    }
}
