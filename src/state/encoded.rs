//! What a commit writes of one store, as bytes.

use std::collections::HashSet;
use std::ops::{Bound, Range};

use bytes::Bytes;

use super::store::Store;
use super::window::window_bound;
use super::{Batch, ColumnFamily, Database, Result};

/// Up to how many expired rows are deleted one by one. RocksDB remembers a deleted range for longer than the rows it
/// covers, and looks at it in every read and flush meanwhile.
const FEW: usize = 256;

/// The changes of one store, encoded.
pub(super) struct Encoded {
    /// The values of the changed entries, in the order of the changes.
    pub(super) values: Vec<Option<Bytes>>,
    /// The keys of the rows that RocksDB holds of windows that have expired, one after the other.
    expired: Bytes,
    expired_ends: Vec<usize>,
    /// The first of these rows, also in a store without a changelog, which needs no more of them.
    first_expired: Option<Bytes>,
}

impl Encoded {
    /// The changes of a store.
    pub(super) fn of(store: &Store, database: &Database) -> Result<Encoded> {
        let mut encoded =
            Encoded { values: values(store), expired: Bytes::new(), expired_ends: Vec::new(), first_expired: None };
        if store.expired > 0 {
            encoded.find_expired(store, database)?;
        }
        Ok(encoded)
    }

    /// Takes the keys that RocksDB holds of windows that have expired since the last commit, without those that are
    /// changed: these have a changelog record already.
    fn find_expired(&mut self, store: &Store, database: &Database) -> Result<()> {
        let (from, to) = (window_bound(store.empty_before), window_bound(store.expired));
        if to <= from {
            return Ok(());
        }
        let changed = store.overlay.dirty().map(|entry| &entry.key[..]).filter(|key| *key < &to[..]);
        let changed: HashSet<&[u8], ahash::RandomState> = changed.collect();
        let family = database.store(&store.spec.name)?;
        let mut cursor = database.cursor(family, Bound::Included(&from), Bound::Excluded(&to));
        let mut keys = Vec::new();
        while let Some((key, _)) = cursor.entry()? {
            if changed.is_empty() || !changed.contains(key) {
                if self.first_expired.is_none() {
                    self.first_expired = Some(Bytes::copy_from_slice(key));
                }
                if store.spec.changelog.is_none() {
                    break;
                }
                keys.extend_from_slice(key);
                self.expired_ends.push(keys.len());
            }
            cursor.advance();
        }
        self.expired = Bytes::from(keys);
        Ok(())
    }

    /// Deletes the rows of expired windows. To come before the changes: what was written to an expired window since it
    /// expired stays.
    pub(super) fn delete_expired(&self, store: &Store, family: &ColumnFamily, batch: &mut Batch) {
        match &self.first_expired {
            Some(_) if store.spec.changelog.is_some() && self.expired_ends.len() <= FEW => {
                self.expired().for_each(|key| batch.delete(family, &key));
            }
            Some(first) => batch.delete_range(family, first, &window_bound(store.expired)),
            None => {}
        }
    }

    /// How many changelog records that makes.
    pub(super) fn len(&self) -> usize {
        self.values.len() + self.expired_ends.len()
    }

    /// The rows of expired windows, in the order of their keys.
    pub(super) fn expired(&self) -> impl Iterator<Item = Bytes> {
        let starts = std::iter::once(0).chain(self.expired_ends.iter().copied());
        starts.zip(&self.expired_ends).map(|(start, end)| self.expired.slice(start..*end))
    }
}

/// The values of the changes as they are stored. They share one buffer per commit, but where the decoded values are
/// going to share it too, each has its own.
fn values(store: &Store) -> Vec<Option<Bytes>> {
    let mut buffer = Vec::new();
    let mut ranges: Vec<Option<Range<usize>>> = Vec::with_capacity(store.overlay.dirty_count());
    for entry in store.overlay.dirty() {
        let start = buffer.len();
        if let Some(value) = &entry.value {
            store.codec.encode(value.timestamp, &value.value, &mut buffer);
        }
        ranges.push(entry.value.as_ref().map(|_| start..buffer.len()));
    }
    let buffer = Bytes::from(buffer);
    let part = |range: Range<usize>| {
        if store.detach { Bytes::copy_from_slice(&buffer[range]) } else { buffer.slice(range) }
    };
    ranges.into_iter().map(|range| range.map(part)).collect()
}

/// Changes in the order of their keys: RocksDB's skip list takes neighbouring keys several times faster than scattered
/// ones. The bytes after what all keys have in common are compared as one number, where that decides.
pub(super) fn by_key<'a>(
    changes: impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>,
) -> impl Iterator<Item = (&'a Bytes, Option<&'a Bytes>)> {
    let mut changes: Vec<(u64, &Bytes, Option<&Bytes>)> =
        changes.map(|(key, value)| (0, key, value.as_ref())).collect();
    let first = changes.first().map_or(&[][..], |(_, key, _)| key);
    let common = changes.iter().fold(first.len(), |common, (_, key, _)| {
        first[..common].iter().zip(key.iter()).take_while(|(a, b)| a == b).count()
    });
    for (number, key, _) in &mut changes {
        let mut bytes = [0; size_of::<u64>()];
        let rest = &key[common..];
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        *number = u64::from_be_bytes(bytes);
    }
    // A shorter key is filled up with zeros; where that makes two numbers equal, the keys decide.
    changes.sort_unstable_by(|(a, left, _), (b, right, _)| a.cmp(b).then_with(|| left.cmp(right)));
    changes.into_iter().map(|(_, key, value)| (key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_in_the_order_of_their_keys() {
        let keys = ["p", "", "prefix", "prefix\0", "prefix-9", "prefix-10000000001", "prefix-10000000000", "q", "\0"];
        let check = |keys: &[&'static str]| {
            let given: Vec<(Bytes, Option<Bytes>)> = keys.iter().map(|key| (Bytes::from(*key), None)).collect();
            let mut expected: Vec<Bytes> = given.iter().map(|(key, _)| key.clone()).collect();
            expected.sort();
            let sorted: Vec<Bytes> =
                by_key(given.iter().map(|(key, value)| (key, value))).map(|(key, _)| key.clone()).collect();
            assert_eq!(sorted, expected);
        };
        check(&keys);
        check(&keys[2..7]);
        check(&[]);
    }
}
