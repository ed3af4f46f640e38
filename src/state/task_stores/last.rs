//! The last entry of a range of a store.

use std::ops::Bound;

use bytes::Bytes;

use super::{Result, Store, TaskStores};

impl TaskStores {
    /// The greatest key of a store from `from` on, uncommitted changes included; `None` when there is none. Not for
    /// stores whose rows expire.
    ///
    /// Keys deleted at the end of the store cost time until RocksDB has compacted them.
    pub fn last_key(&mut self, store: usize, from: &[u8]) -> Result<Option<Bytes>> {
        let Store { spec, overlay, .. } = &mut self.stores[store];
        let family = self.database.store(&spec.name)?;
        let mut stored = self.database.cursor_from_last(family, Bound::Included(from));
        let mut changed = overlay.range(Bound::Included(from), Bound::Unbounded).rev().peekable();
        loop {
            let at = stored.entry()?.map(|(key, _)| key);
            match (changed.peek(), at) {
                (None, None) => return Ok(None),
                (Some(entry), at) if at.is_none_or(|key| entry.key >= key) => {
                    if entry.value.is_some() {
                        return Ok(Some(entry.key.clone()));
                    }
                    if at.is_some_and(|key| entry.key == key) {
                        stored.retreat();
                    }
                    changed.next();
                }
                (_, Some(key)) => return Ok(Some(Bytes::copy_from_slice(key))),
                // The guard above takes every change when RocksDB has no more entries.
                (Some(_), None) => return Ok(None),
            }
        }
    }
}
