//! The records of one side: what records of the other side are joined with.
//!
//! A record is kept until one of its own side has come whose timestamp is higher by the retention, as in the window
//! stores of Kafka Streams' joins. The store drops whole buckets; a record that is over is not found before that.

use std::ops::Bound;

use bytes::Bytes;

use crate::record::Record;
use crate::state::{JoinRow, StateValue, TaskStores, join_key, parse_join_key};
use crate::time::{StreamTime, Timestamp};
use crate::topology::stream_join::JoinWindow;

use super::Result;

/// How many records are read at a time.
const CHUNK: usize = 256;

/// The records of one side.
pub(super) struct Rows {
    store: usize,
    window: JoinWindow,
    /// The highest timestamp of this side.
    newest: StreamTime,
    store_key: Vec<u8>,
}

impl Rows {
    pub(super) fn new(store: usize, window: JoinWindow) -> Self {
        Rows { store, window, newest: StreamTime::UNKNOWN, store_key: Vec::new() }
    }

    /// The highest timestamp of this side.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest.get()
    }

    /// Sets the highest timestamp to what it was.
    pub(super) fn restore(&mut self, newest: Timestamp) {
        self.newest = StreamTime::restored(Some(newest));
    }

    /// The first timestamp that is kept, given the highest.
    fn kept_from(&self, newest: Timestamp) -> Timestamp {
        newest.saturating_sub(self.window.retention()).saturating_add(1).max(0)
    }

    /// Keeps a record. Returns false when it is too old to be kept.
    pub(super) fn put(&mut self, key: &[u8], number: u64, record: &Record, stores: &mut TaskStores) -> bool {
        let before = self.newest.get();
        let newest = self.newest.observe(record.timestamp);
        let kept_from = self.kept_from(newest);
        if before != Some(newest) {
            let bucket = self.window.bucket(kept_from);
            if before.is_none_or(|before| self.window.bucket(self.kept_from(before)) < bucket) {
                stores.expire(self.store, bucket);
            }
        }
        if record.timestamp < kept_from {
            return false;
        }
        self.store_key.clear();
        join_key(self.window.bucket(record.timestamp), key, record.timestamp, number, &mut self.store_key);
        let row = StateValue { timestamp: record.timestamp, value: record.value.clone() };
        stores.put(self.store, &self.store_key, Some(row));
        true
    }
}

/// Walks over the records of a key between two timestamps, in the order of their timestamps, then as they came.
pub(super) struct Matches {
    store: usize,
    window: JoinWindow,
    /// The buckets left to look at: the first, and the last.
    buckets: Option<(Timestamp, Timestamp)>,
    from: Timestamp,
    to: Timestamp,
    key: Bytes,
    /// In the first bucket, the last row that was read.
    after: Option<Bytes>,
}

impl Matches {
    /// The records of `rows` with this key and a timestamp between `from` and `to`, both included.
    pub(super) fn new(rows: &Rows, key: &Bytes, from: Timestamp, to: Timestamp) -> Self {
        let window = rows.window;
        let span = rows.newest.get().map(|newest| (from.max(rows.kept_from(newest)), to.min(newest)));
        let span = span.filter(|(from, to)| from <= to);
        let (from, to) = span.unwrap_or_default();
        let buckets = span.map(|(from, to)| (window.bucket(from), window.bucket(to)));
        Matches { store: rows.store, window, buckets, from, to, key: key.clone(), after: None }
    }

    /// The next records, a bounded number of them; `None` after the last.
    pub(super) fn next_rows(&mut self, stores: &mut TaskStores) -> Result<Option<Vec<(JoinRow, StateValue)>>> {
        while let Some((bucket, last)) = self.buckets {
            let (mut from, mut to) = (Vec::new(), Vec::new());
            join_key(bucket, &self.key, self.from.max(bucket), 0, &mut from);
            join_key(bucket, &self.key, self.to, u64::MAX, &mut to);
            let from = self.after.as_ref().map_or(Bound::Included(&from[..]), |after| Bound::Excluded(&after[..]));
            let rows = stores.scan_limited(self.store, from, Bound::Included(&to), CHUNK)?;
            if rows.len() < CHUNK {
                self.buckets = (bucket < last).then(|| (self.window.next_bucket(bucket), last));
                self.after = None;
            } else {
                self.after = rows.last().map(|(stored, _)| stored.clone());
            }
            if !rows.is_empty() {
                let parsed = rows.into_iter().filter_map(|(stored, state)| Some((parse_join_key(&stored)?, state)));
                return Ok(Some(parsed.collect()));
            }
        }
        Ok(None)
    }
}
