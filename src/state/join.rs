//! The keys of the stores of a stream–stream join.
//!
//! A row is one record of an input; no row takes the place of another. Its key is
//!
//! ```text
//! bucket (8 bytes) | the record's key, terminated | timestamp (8 bytes) | number (8 bytes)
//! ```
//!
//! The bucket is a span of time, by its start: what has expired is one range from the front of the store. Within a
//! bucket, the rows of a key stand together in order of time, so that what a record is joined with is one range too.
//! The number counts the records of the join: it tells rows of one key and timestamp apart and keeps them in order.
//! Numbers of eight bytes are unsigned and big-endian.

use crate::time::Timestamp;

use super::window::window_bound;

const NUMBER_BYTES: usize = size_of::<u64>();

/// A zero byte in a key is followed by this, so that the terminator, two zeros, is found, and keys sort as they do
/// by themselves.
const ESCAPE: u8 = 0xff;

/// What the key of a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRow {
    /// The record's key.
    pub key: Vec<u8>,
    /// The record's timestamp, in milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// Which record of the join it was.
    pub number: u64,
}

/// Appends the key of a row to `out`. `bucket` is the start of the span of time that the timestamp falls into; a
/// negative time counts as 0.
pub fn join_key(bucket: Timestamp, key: &[u8], timestamp: Timestamp, number: u64, out: &mut Vec<u8>) {
    out.reserve(3 * NUMBER_BYTES + key.len() + 2);
    out.extend_from_slice(&window_bound(bucket));
    for byte in key {
        out.push(*byte);
        if *byte == 0 {
            out.push(ESCAPE);
        }
    }
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&window_bound(timestamp));
    out.extend_from_slice(&number.to_be_bytes());
}

/// Reads the key of a row; `None` when it is none.
pub fn parse_join_key(stored: &[u8]) -> Option<JoinRow> {
    let (_bucket, rest) = stored.split_first_chunk::<NUMBER_BYTES>()?;
    let (rest, number) = rest.split_last_chunk::<NUMBER_BYTES>()?;
    let (escaped, timestamp) = rest.split_last_chunk::<NUMBER_BYTES>()?;
    let escaped = escaped.strip_suffix(&[0, 0])?;
    let mut key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        key.push(*byte);
        if *byte == 0 && bytes.next() != Some(&ESCAPE) {
            return None;
        }
    }
    let timestamp = Timestamp::try_from(u64::from_be_bytes(*timestamp)).ok()?;
    Some(JoinRow { key, timestamp, number: u64::from_be_bytes(*number) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyed(bucket: Timestamp, key: &[u8], timestamp: Timestamp, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        join_key(bucket, key, timestamp, number, &mut out);
        out
    }

    #[test]
    fn what_is_no_key_of_a_row_is_refused() {
        assert_eq!(parse_join_key(b""), None);
        assert_eq!(parse_join_key(&[0; 25]), None);
        let mut unescaped = keyed(0, b"ab", 1, 2);
        unescaped[8] = 0;
        assert_eq!(parse_join_key(&unescaped), None);
    }

    fn parts() -> impl Strategy<Value = (i64, Vec<u8>, i64, u64)> {
        let byte = prop_oneof![Just(0_u8), Just(1), Just(0xff)];
        (0_i64..3, prop::collection::vec(byte, 0..4), 0_i64..300, 0_u64..300)
    }

    proptest! {
        #[test]
        fn keys_of_rows_are_read_back_and_sort_by_their_parts(a in parts(), b in parts()) {
            let (stored_a, stored_b) = (keyed(a.0, &a.1, a.2, a.3), keyed(b.0, &b.1, b.2, b.3));
            prop_assert_eq!(stored_a.cmp(&stored_b), a.cmp(&b));
            let row = parse_join_key(&stored_a).expect("it is the key of a row");
            prop_assert_eq!((row.key, row.timestamp, row.number), (a.1, a.2, a.3));
        }
    }
}
