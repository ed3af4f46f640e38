//! The keys of window stores.
//!
//! A window's start stands before the key, as an unsigned 64-bit big-endian number, so that RocksDB's order of
//! bytes is the order of time: what expires or closes is one range from the front of the store. A store
//! has one window size, so the end follows from the start.
//!
//! Sessions are of any length: their end comes first, then their start, then the key. Where windows lie anywhere, as
//! sessions and sliding windows do, an index tells which of them a key has: its keys are the length of the record's key
//! (so that no key is the beginning of another), the record's key, and the window's start. A session that grows keeps its
//! start for as long as records come in order, and with it its entry, whose value is the end.

use crate::time::Timestamp;
use crate::window::Window;

const START_BYTES: usize = size_of::<u64>();

/// Appends the key of a window store to `out`: the window's start (milliseconds since the epoch; a negative
/// one counts as 0, which no window has) and the record's key.
pub fn window_key(start: Timestamp, key: &[u8], out: &mut Vec<u8>) {
    out.reserve(START_BYTES + key.len());
    out.extend_from_slice(&window_bound(start));
    out.extend_from_slice(key);
}

/// The least key of the windows that start at `start`: a bound for scans.
pub fn window_bound(start: Timestamp) -> [u8; START_BYTES] {
    u64::try_from(start).unwrap_or(0).to_be_bytes()
}

/// The window's start and the record's key; `None` when `key` is not the key of a window store.
pub fn parse_window_key(key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (start, key) = key.split_first_chunk::<START_BYTES>()?;
    let start = Timestamp::try_from(u64::from_be_bytes(*start)).ok()?;
    Some((start, key))
}

/// Appends the key of a session store to `out`: the session's end, its start and the record's key.
pub fn session_key(session: Window, key: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * START_BYTES + key.len());
    out.extend_from_slice(&window_bound(session.end));
    out.extend_from_slice(&window_bound(session.start));
    out.extend_from_slice(key);
}

/// The session and the record's key; `None` when `key` is not the key of a session store.
pub fn parse_session_key(key: &[u8]) -> Option<(Window, &[u8])> {
    let (end, rest) = parse_window_key(key)?;
    let (start, key) = parse_window_key(rest)?;
    Some((Window { start, end }, key))
}

/// Appends the key of an index to `out`: the record's key, and where a window of it starts. Keys of one record's key are
/// neighbours, in the order of time.
pub fn index_key(key: &[u8], start: Timestamp, out: &mut Vec<u8>) {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    out.reserve(size_of::<u32>() + key.len() + START_BYTES);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&window_bound(start));
}

/// The start that stands in the key of an index behind the record's key, of which `key_bytes` is the length; `None` when
/// there is none.
pub fn index_start(index_key: &[u8], key_bytes: usize) -> Option<Timestamp> {
    match parse_window_key(index_key.get(size_of::<u32>() + key_bytes..)?) {
        Some((start, [])) => Some(start),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(start: Timestamp, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        window_key(start, key, &mut out);
        out
    }

    #[test]
    fn a_window_key_is_read_back() {
        assert_eq!(parse_window_key(&keyed(300_000, b"acme")), Some((300_000, b"acme".as_slice())));
        assert_eq!(parse_window_key(&keyed(0, b"")), Some((0, b"".as_slice())));
    }

    #[test]
    fn window_keys_sort_by_time_first() {
        assert!(keyed(255, b"z") < keyed(256, b"a"));
        assert!(window_bound(256).as_slice() <= keyed(256, b"").as_slice());
    }

    #[test]
    fn a_session_key_is_read_back_and_sorts_by_its_end() {
        let keyed = |start, end, key: &[u8]| {
            let mut out = Vec::new();
            session_key(Window { start, end }, key, &mut out);
            out
        };
        assert_eq!(
            parse_session_key(&keyed(3, 400, b"acme")),
            Some((Window { start: 3, end: 400 }, b"acme".as_slice()))
        );
        assert!(keyed(9, 255, b"z") < keyed(0, 256, b"a") && keyed(0, 256, b"z") < keyed(1, 256, b"a"));
        assert_eq!(parse_session_key(&[0; 15]), None);
    }

    #[test]
    fn the_entries_of_one_key_are_neighbours_in_an_index() {
        let entry = |key: &[u8], start: Timestamp| {
            let mut out = Vec::new();
            index_key(key, start, &mut out);
            out
        };
        // Another key that begins with this one, and with what may follow it.
        let longer = entry(&[b'a', 0, 0, 0, 0, 0, 0, 0, 7], 1);
        let of_a = [entry(b"a", 3), entry(b"a", 7), entry(b"a", 256)];
        assert!(of_a.is_sorted() && of_a.iter().all(|own| *own < longer));
        assert_eq!(index_start(&of_a[2], 1), Some(256));
        assert_eq!(index_start(&of_a[2], 2), None);
    }

    #[test]
    fn what_is_not_a_window_key_is_refused() {
        assert_eq!(parse_window_key(b"short"), None);
        assert_eq!(parse_window_key(&[0xff; 12]), None);
    }
}
