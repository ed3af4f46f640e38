//! The keys of window stores.
//!
//! A window's start stands before the key, as an unsigned 64-bit big-endian number, so that RocksDB's order of
//! bytes is the order of time: what expires or closes is one range from the front of the store. A store
//! has one window size, so the end follows from the start.

use crate::time::Timestamp;

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
    fn what_is_not_a_window_key_is_refused() {
        assert_eq!(parse_window_key(b"short"), None);
        assert_eq!(parse_window_key(&[0xff; 12]), None);
    }
}
