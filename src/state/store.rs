//! One store of a task: its overlay, and how its values are written.

use std::path::Path;

use bytes::Bytes;

use super::absence::Absence;
use super::error::printable;
use super::overlay::Overlay;
use super::size::shares_buffers;
use super::window::{parse_window_key, window_bound};
use super::{Codec, Result, StateError, StateValue, StoreKind, StoreSpec};
use crate::time::Timestamp;

/// One store of a task, without its place in RocksDB.
pub(super) struct Store {
    pub(super) spec: StoreSpec,
    pub(super) codec: Codec,
    pub(super) overlay: Overlay,
    /// Which keys RocksDB cannot hold.
    pub(super) absence: Absence,
    /// The windows that start before this have expired since the last commit, and RocksDB may still hold them. 0: none.
    pub(super) expired: Timestamp,
    /// RocksDB holds no row of a window that starts before this: what was deleted there is not walked over again.
    pub(super) empty_before: Timestamp,
    /// Values share the buffer they were decoded from: after a commit they are decoded from the encoded bytes,
    /// so that a small value does not keep a large input payload in memory.
    pub(super) detach: bool,
}

impl Store {
    /// A store with nothing in memory; `last` is the last key that RocksDB holds of it.
    pub(super) fn new(spec: &StoreSpec, last: Option<&[u8]>) -> Store {
        Store {
            codec: Codec::new(&spec.shape),
            overlay: Overlay::new(),
            absence: Absence::after(spec.kind, last),
            expired: 0,
            empty_before: 0,
            detach: shares_buffers(&spec.shape),
            spec: spec.clone(),
        }
    }

    /// Whether a key is of a window that has expired since the last commit: RocksDB may hold it, but it counts as
    /// deleted.
    pub(super) fn is_expired(&self, key: &[u8]) -> bool {
        self.expired > 0 && key < window_bound(self.expired).as_slice()
    }

    /// Forgets one clean entry; `false` when there is none.
    pub(super) fn evict(&mut self) -> bool {
        let evicted = self.overlay.evict();
        if let Some((key, Some(_))) = &evicted {
            self.absence.is_stored(key);
        }
        evicted.is_some()
    }

    /// Forgets all changes.
    pub(super) fn rollback(&mut self) {
        if self.expired > 0 {
            // Clean entries, too, that were read as expired.
            self.overlay = Overlay::new();
            self.expired = 0;
            // From here on nobody watches where rows are written.
            self.empty_before = 0;
        } else {
            self.overlay.rollback();
        }
        self.absence.forget();
    }

    /// Turns the changes into clean entries. Deleted windows are forgotten: nobody asks for them again.
    pub(super) fn committed(&mut self, encoded: &[Option<Bytes>]) {
        // Rows may have been written to windows that have expired.
        let least = self.overlay.least_held().map(|key| parse_window_key(key).map_or(0, |(start, _)| start));
        self.empty_before = self.empty_before.max(self.expired).min(least.unwrap_or(Timestamp::MAX));
        if self.expired > 0 {
            self.overlay.forget_before(&window_bound(self.expired));
            self.expired = 0;
        }
        let Store { spec, codec, overlay, absence, detach, .. } = self;
        let mut unreadable = false;
        let keep_absent = matches!(spec.kind, StoreKind::KeyValue | StoreKind::Internal);
        overlay.committed(|position, value| match (value, encoded.get(position)) {
            (Some(_), Some(Some(bytes))) if *detach => {
                let decoded = codec.decode(bytes).ok();
                unreadable |= decoded.is_none();
                let (timestamp, value) = decoded?;
                Some(Some(StateValue { timestamp, value }))
            }
            (Some(value), _) => Some(Some(value)),
            (None, _) => keep_absent.then_some(None),
        });
        if unreadable {
            // Such a row is left to whoever reads it from RocksDB and tells: it must not count as absent.
            absence.forget();
        }
    }
}

/// Decodes what RocksDB holds under a key.
pub(super) fn decode(codec: &Codec, spec: &StoreSpec, path: &Path, key: &[u8], value: &[u8]) -> Result<StateValue> {
    let decoded = codec.decode(&Bytes::copy_from_slice(value));
    decoded.map(|(timestamp, value)| StateValue { timestamp, value }).map_err(|error| StateError::Undecodable {
        path: path.to_owned(),
        store: spec.name.clone(),
        key: printable(key),
        detail: error.to_string(),
    })
}
