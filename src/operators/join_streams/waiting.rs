//! Records for which no match has come yet.
//!
//! They go out as in Kafka Streams, with its waiting for work worth doing: a record that reaches stream time lets out
//! everything that is over, in order of timestamp, side (the second before the first) and key, but only if the row at
//! which the last such pass stopped (or an earlier one that has come since) is over by the window of the record's own
//! side. What is over may therefore stay for another window; nothing goes out early. Kafka Streams' passes are a
//! second of the wall clock apart, too; these are not.

use std::ops::Bound;

use bytes::Bytes;

use crate::record::{Record, Value};
use crate::state::{StateError, StateValue, TaskStores, join_key, parse_join_key, window_bound};
use crate::time::Timestamp;
use crate::topology::stream_join::JoinWindow;

use super::Result;

/// How many rows of a side are read and handed on at a time.
const CHUNK: usize = 1_000;

/// The rows of both sides; a side whose unmatched records do not count has none.
pub(super) struct Waiting {
    stores: [Option<usize>; 2],
    window: JoinWindow,
    /// What must be over before it is worth looking; `None`: nothing waits.
    since: Option<Timestamp>,
    /// No row of a side lies before this. Not kept: it saves walking over what was deleted.
    empty_before: [Timestamp; 2],
    store_key: Vec<u8>,
}

/// A row's place in the order in which rows go out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    timestamp: Timestamp,
    /// The second side goes first.
    first_side: bool,
    key: Vec<u8>,
    number: u64,
}

impl Place {
    fn of(side: usize, stored: &[u8]) -> Option<Place> {
        let row = parse_join_key(stored)?;
        Some(Place { timestamp: row.timestamp, first_side: side == 0, key: row.key, number: row.number })
    }

    fn side(&self) -> usize {
        usize::from(!self.first_side)
    }
}

/// A record that goes out unmatched.
pub(super) struct Unmatched {
    /// Whose it is.
    pub(super) side: usize,
    /// Its key, as it is written.
    pub(super) key: Bytes,
    /// Its timestamp.
    pub(super) timestamp: Timestamp,
    /// Its value.
    pub(super) value: Value,
}

/// How far the records that are over have been taken out.
pub(super) struct Pass {
    open_from: [Timestamp; 2],
    from: [Bound<Bytes>; 2],
    /// The last timestamp that went out.
    taken: Option<Timestamp>,
}

impl Waiting {
    pub(super) fn new(stores: [Option<usize>; 2], window: JoinWindow) -> Self {
        Waiting { stores, window, since: None, empty_before: [0; 2], store_key: Vec::new() }
    }

    /// What must be over before it is worth looking.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Sets that to what it was.
    pub(super) fn restore(&mut self, since: Timestamp) {
        self.since = Some(since);
    }

    /// Keeps a record until a match comes.
    pub(super) fn put(&mut self, side: usize, key: &[u8], number: u64, record: &Record, stores: &mut TaskStores) {
        let Some(store) = self.stores[side] else { return };
        self.since = Some(self.since.map_or(record.timestamp, |since| since.min(record.timestamp)));
        self.store_key.clear();
        join_key(record.timestamp, key, record.timestamp, number, &mut self.store_key);
        let row = StateValue { timestamp: record.timestamp, value: record.value.clone() };
        stores.put(store, &self.store_key, Some(row));
    }

    /// Forgets a record: a match has come.
    pub(super) fn matched(
        &mut self,
        side: usize,
        key: &[u8],
        timestamp: Timestamp,
        number: u64,
        stores: &mut TaskStores,
    ) -> Result<()> {
        let Some(store) = self.stores[side].filter(|_| timestamp >= self.empty_before[side]) else { return Ok(()) };
        self.store_key.clear();
        join_key(timestamp, key, timestamp, number, &mut self.store_key);
        if stores.get_ref(store, &self.store_key)?.is_some() {
            stores.put(store, &self.store_key, None);
        }
        Ok(())
    }

    /// Begins to take out the records that are over, if it is worth looking when a record of `side` has brought stream time
    /// to `now`.
    pub(super) fn pass(&self, side: usize, now: Timestamp) -> Option<Pass> {
        if self.since.is_none_or(|since| since >= self.window.open_from(side, now)) {
            return None;
        }
        let begin = |side: usize| Bound::Included(Bytes::copy_from_slice(&window_bound(self.empty_before[side])));
        let open_from = [0, 1].map(|side| self.window.open_from(side, now).max(0));
        Some(Pass { open_from, from: [begin(0), begin(1)], taken: None })
    }

    /// Takes out the next records that are over, in order, and says whether there may be more.
    pub(super) fn take_over(&mut self, pass: &mut Pass, stores: &mut TaskStores) -> Result<(Vec<Unmatched>, bool)> {
        let mut over: Vec<(Place, Bytes, Value)> = Vec::new();
        // Up to where all rows of both sides are at hand; `None`: there are no more.
        let mut known_to: Option<Place> = None;
        for side in 0..2 {
            let Some(store) = self.stores[side] else { continue };
            let (from, to) = (pass.from[side].as_ref().map(Bytes::as_ref), window_bound(pass.open_from[side]));
            let rows = stores.scan_limited(store, from, Bound::Excluded(&to), CHUNK)?;
            let more = rows.len() == CHUNK;
            for (stored, row) in rows {
                let damaged = || StateError::damaged_row("a stream–stream join", &stored, "it is none that waits");
                over.push((Place::of(side, &stored).ok_or_else(damaged)?, stored, row.value));
            }
            if let Some((last, ..)) = over.last().filter(|_| more) {
                known_to = Some(known_to.map_or_else(|| last.clone(), |known| known.min(last.clone())));
            }
        }
        over.retain(|(place, ..)| known_to.as_ref().is_none_or(|known| place <= known));
        over.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut unmatched = Vec::with_capacity(over.len());
        for (place, stored, value) in over {
            let side = place.side();
            if let Some(store) = self.stores[side] {
                stores.put(store, &stored, None);
            }
            pass.from[side] = Bound::Excluded(stored);
            pass.taken = Some(place.timestamp);
            unmatched.push(Unmatched { side, timestamp: place.timestamp, key: place.key.into(), value });
        }
        if known_to.is_none() {
            for (empty_before, open_from) in self.empty_before.iter_mut().zip(pass.open_from) {
                *empty_before = open_from.max(*empty_before);
            }
            self.since = self.stopped_at(pass.taken, stores)?;
        }
        Ok((unmatched, known_to.is_some()))
    }

    /// Where Kafka Streams' pass over what waits stops: one row past the first that still waits on each side, or at
    /// the last. `taken` is the last timestamp that went out.
    fn stopped_at(&self, taken: Option<Timestamp>, stores: &mut TaskStores) -> Result<Option<Timestamp>> {
        if let (Some(first), Some(second)) = (self.first(0, None, stores)?, self.first(1, None, stores)?) {
            let later = first.max(second);
            let next = [self.first(0, Some(&later), stores)?, self.first(1, Some(&later), stores)?];
            return Ok(Some(next.into_iter().flatten().min().unwrap_or(later).timestamp));
        }
        let mut last = taken;
        for side in 0..2 {
            let Some(store) = self.stores[side] else { continue };
            let stored = stores.last_key(store, &window_bound(self.empty_before[side]))?;
            last = last.max(stored.and_then(|stored| Place::of(side, &stored)).map(|place| place.timestamp));
        }
        Ok(last)
    }

    /// The first row of a side, or the first after a place.
    fn first(&self, side: usize, after: Option<&Place>, stores: &mut TaskStores) -> Result<Option<Place>> {
        let Some(store) = self.stores[side] else { return Ok(None) };
        let mut key = Vec::new();
        let from = match after {
            None => {
                key.extend_from_slice(&window_bound(self.empty_before[side]));
                Bound::Included(&key[..])
            }
            Some(place) if place.side() == side => {
                join_key(place.timestamp, &place.key, place.timestamp, place.number, &mut key);
                Bound::Excluded(&key[..])
            }
            // At the same timestamp, the first side comes after the second.
            Some(place) => {
                key.extend_from_slice(&window_bound(place.timestamp + i64::from(place.first_side)));
                Bound::Included(&key[..])
            }
        };
        let rows = stores.scan_limited(store, from, Bound::Unbounded, 1)?;
        Ok(rows.first().and_then(|(stored, _)| Place::of(side, stored)))
    }
}
