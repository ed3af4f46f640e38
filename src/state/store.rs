//! One store of a task: its overlay, and how its values are written.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::error::printable;
use super::overlay::Overlay;
use super::size::shares_buffers;
use super::{Codec, Result, StateError, StateValue, StoreKind, StoreSpec};

/// One store of a task, without its place in RocksDB.
pub(super) struct Store {
    pub(super) spec: StoreSpec,
    pub(super) codec: Codec,
    pub(super) overlay: Overlay,
    /// Values share the buffer they were decoded from: after a commit they are decoded from the encoded bytes,
    /// so that a small value does not keep a large input payload in memory.
    detach: bool,
}

impl Store {
    /// A store with nothing in memory.
    pub(super) fn new(spec: &StoreSpec) -> Store {
        Store {
            codec: Codec::new(&spec.shape),
            overlay: Overlay::new(),
            detach: shares_buffers(&spec.shape),
            spec: spec.clone(),
        }
    }

    /// The values of the changes as they are stored, in the order of the changes. They share one buffer per commit, but
    /// where the decoded values are going to share it too, each has its own.
    pub(super) fn encode(&self) -> Vec<Option<Bytes>> {
        let mut buffer = Vec::new();
        let mut ranges: Vec<Option<Range<usize>>> = Vec::with_capacity(self.overlay.dirty_count());
        for entry in self.overlay.dirty() {
            let start = buffer.len();
            if let Some(value) = &entry.value {
                self.codec.encode(value.timestamp, &value.value, &mut buffer);
            }
            ranges.push(entry.value.as_ref().map(|_| start..buffer.len()));
        }
        let buffer = Bytes::from(buffer);
        let part = |range: Range<usize>| {
            if self.detach { Bytes::copy_from_slice(&buffer[range]) } else { buffer.slice(range) }
        };
        ranges.into_iter().map(|range| range.map(part)).collect()
    }

    /// Turns the changes into clean entries. Deleted windows are forgotten: nobody asks for them again.
    pub(super) fn committed(&mut self, encoded: &[Option<Bytes>]) {
        let Store { spec, codec, overlay, detach } = self;
        let keep_absent = matches!(spec.kind, StoreKind::KeyValue);
        overlay.committed(|position, value| match (value, encoded.get(position)) {
            (Some(_), Some(Some(bytes))) if *detach => {
                let (timestamp, value) = codec.decode(bytes).ok()?;
                Some(Some(StateValue { timestamp, value }))
            }
            (Some(value), _) => Some(Some(value)),
            (None, _) => keep_absent.then_some(None),
        });
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
