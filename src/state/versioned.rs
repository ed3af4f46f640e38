//! Tables that remember: the versions of each key over a time.
//!
//! A versioned table has two stores. *Latest* holds the newest version of each key, as any table does, so that lookups of
//! the current row are what they always are. *History* is a window store; a row of it is either
//!
//! - a version that was replaced: it held from its timestamp up to, and without, the time in its key, or
//! - a deletion, at the time in its key.
//!
//! Every point at which a key's value changed is the start of a version, the timestamp of the latest, or a deletion. History
//! rows lie in windows by the time in their key, so that what is too old is one range at the front. The time that the table
//! has come to stands in a row of its own, behind all windows.
//!
//! Kafka Streams' rules (KIP-889): what is older than the history is not written; the same timestamp replaces; a lookup as of
//! a time includes that time.

use std::ops::Bound;

use bytes::Bytes;

use super::window::{parse_window_key, window_bound, window_key};
use super::{Result, StateValue, TaskStores};
use crate::record::Value;
use crate::time::Timestamp;

/// Into how many windows the history is cut; a lookup scans no more of them, and one at either end.
const WINDOWS: i64 = 2;
const TIME_BYTES: usize = size_of::<u64>();
/// The last byte of the key of a replaced version; before that of a deletion at the same time.
const REPLACED: u8 = 0;
/// The last byte of the key of a deletion.
const DELETION: u8 = 1;

/// The stores of a versioned table, and how far back it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The position of the store of the latest versions.
    pub latest: usize,
    /// The position of the store of the others.
    pub history: usize,
    /// How far behind the table's time versions are kept and written, in milliseconds.
    pub retention: i64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is the key's newest version.
    Latest,
    /// There is a newer version of the key.
    Old,
    /// It was older than the history, and is not written.
    Late,
}

/// A row of the history.
struct Past {
    /// Where it stands.
    key: Bytes,
    /// A replaced version's end, or the time of a deletion.
    time: Timestamp,
    deletion: bool,
    row: StateValue,
}

impl Versions {
    /// Writes a version of a key; null deletes it at that time.
    pub fn put(&self, stores: &mut TaskStores, key: &[u8], version: StateValue) -> Result<Written> {
        let at = version.timestamp;
        let before = self.time(stores)?;
        let now = before.map_or(at, |time| time.max(at));
        if before != Some(now) {
            self.set_time(stores, now);
        }
        if at < now.saturating_sub(self.retention) {
            return Ok(Written::Late);
        }
        let latest = stores.get(self.latest, key)?;
        let written = match &latest {
            Some(latest) if latest.timestamp <= at => {
                if latest.timestamp < at {
                    self.put_past(stores, key, at, REPLACED, Some(latest.clone()));
                }
                self.put_latest(stores, key, version)?;
                Written::Latest
            }
            None if version.value.is_null() && self.next(stores, key, at)?.is_none() => {
                self.mark(stores, key, at, true)?;
                Written::Latest
            }
            _ => self.put_old(stores, key, version, latest.map(|latest| latest.timestamp))?,
        };
        let kept_from = |now: Timestamp| self.window(now.saturating_sub(self.retention));
        if before.is_some_and(|before| kept_from(before) < kept_from(now)) {
            stores.expire(self.history, kept_from(now));
        }
        Ok(written)
    }

    /// The version of a key that held at a time, that time included; `None` where there was none, or nobody knows any more.
    pub fn get(&self, stores: &mut TaskStores, key: &[u8], at: Timestamp) -> Result<Option<StateValue>> {
        if let Some(latest) = stores.get_ref(self.latest, key)?.filter(|latest| latest.timestamp <= at) {
            return Ok(Some(latest.clone()));
        }
        if self.time(stores)?.is_none_or(|time| at < time.saturating_sub(self.retention)) {
            return Ok(None);
        }
        let next = self.next(stores, key, at)?;
        Ok(next.filter(|past| !past.deletion && past.row.timestamp <= at).map(|past| past.row))
    }

    /// A write that is newer than all others, or older than some of them.
    fn put_old(
        &self,
        stores: &mut TaskStores,
        key: &[u8],
        version: StateValue,
        latest: Option<Timestamp>,
    ) -> Result<Written> {
        let at = version.timestamp;
        let until = match self.next(stores, key, at)? {
            None => match latest {
                Some(latest) => latest,
                None => {
                    self.mark(stores, key, at, false)?;
                    self.put_latest(stores, key, version)?;
                    return Ok(Written::Latest);
                }
            },
            Some(next) if next.deletion => next.time,
            // The next version begins later.
            Some(next) if next.row.timestamp > at => next.row.timestamp,
            // The version that held then ends here.
            Some(next) => {
                stores.put(self.history, &next.key, None);
                if next.row.timestamp < at {
                    self.put_past(stores, key, at, REPLACED, Some(next.row));
                }
                next.time
            }
        };
        self.mark(stores, key, at, version.value.is_null())?;
        if !version.value.is_null() {
            self.put_past(stores, key, until, REPLACED, Some(version));
        }
        Ok(Written::Old)
    }

    fn put_latest(&self, stores: &mut TaskStores, key: &[u8], version: StateValue) -> Result<()> {
        if version.value.is_null() {
            self.mark(stores, key, version.timestamp, true)?;
            stores.put(self.latest, key, None);
        } else {
            stores.put(self.latest, key, Some(version));
        }
        Ok(())
    }

    /// Notes that the key was deleted at a time, or that it was not, after all.
    fn mark(&self, stores: &mut TaskStores, key: &[u8], at: Timestamp, deleted: bool) -> Result<()> {
        let mut place = Vec::new();
        self.past_key(key, at, DELETION, &mut place);
        if deleted {
            stores.put(self.history, &place, Some(StateValue { timestamp: at, value: Value::Null }));
        } else if stores.get_ref(self.history, &place)?.is_some() {
            stores.put(self.history, &place, None);
        }
        Ok(())
    }

    fn put_past(&self, stores: &mut TaskStores, key: &[u8], time: Timestamp, kind: u8, row: Option<StateValue>) {
        let mut place = Vec::new();
        self.past_key(key, time, kind, &mut place);
        stores.put(self.history, &place, row);
    }

    /// The first row of a key's history whose time is after `at`.
    fn next(&self, stores: &mut TaskStores, key: &[u8], at: Timestamp) -> Result<Option<Past>> {
        let Some(now) = self.time(stores)? else { return Ok(None) };
        let size = self.window_size();
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let mut start = self.window(at.saturating_add(1));
        while start <= now {
            from.clear();
            to.clear();
            window_key(start, &[], &mut from);
            put_key(key, &mut from);
            to.extend_from_slice(&from);
            from.extend_from_slice(&window_bound(at.saturating_add(1)));
            to.extend_from_slice(&[0xff; TIME_BYTES]);
            let bounds = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
            let found = stores.scan_limited(self.history, bounds.0, bounds.1, 1)?;
            if let Some((key, row)) = found.into_iter().next()
                && let Some((time, deletion)) = parse_past(&key)
            {
                return Ok(Some(Past { key, time, deletion, row }));
            }
            start = start.saturating_add(size);
        }
        Ok(None)
    }

    /// The key of a history row.
    fn past_key(&self, key: &[u8], time: Timestamp, kind: u8, out: &mut Vec<u8>) {
        window_key(self.window(time), &[], out);
        put_key(key, out);
        out.extend_from_slice(&window_bound(time));
        out.push(kind);
    }

    fn window_size(&self) -> i64 {
        (self.retention / WINDOWS).saturating_add(1)
    }

    /// The start of the window that a time falls into.
    fn window(&self, time: Timestamp) -> Timestamp {
        time.max(0) / self.window_size() * self.window_size()
    }

    /// The highest timestamp that was written; `None` before the first.
    fn time(&self, stores: &mut TaskStores) -> Result<Option<Timestamp>> {
        Ok(stores.get_ref(self.history, &time_key())?.map(|row| row.timestamp))
    }

    fn set_time(&self, stores: &mut TaskStores, time: Timestamp) {
        stores.put(self.history, &time_key(), Some(StateValue { timestamp: time, value: Value::Null }));
    }
}

/// The key of the row with the table's time.
fn time_key() -> [u8; TIME_BYTES] {
    window_bound(Timestamp::MAX)
}

/// A key and how long it is, so that no key's rows lie among another's.
fn put_key(key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as u64).to_be_bytes());
    out.extend_from_slice(key);
}

/// The time of a history row, and whether it is a deletion.
fn parse_past(key: &[u8]) -> Option<(Timestamp, bool)> {
    let (kind, rest) = key.split_last()?;
    let (_, time) = rest.split_at_checked(rest.len().checked_sub(TIME_BYTES)?)?;
    let (time, _) = parse_window_key(time)?;
    Some((time, *kind == DELETION))
}
