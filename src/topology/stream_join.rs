//! The kinds of joins, the plan of a join of two streams, and the arithmetic of its window; part of [`super::plan`].

use crate::expression::Projection;
use crate::serdes::Deserializer;
use crate::time::Timestamp;

use super::plan::StoreId;

/// Inner, left or outer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Both sides.
    Inner,
    /// The first side, with or without the others.
    Left,
    /// Any side.
    Outer,
}

/// Two streams joined by their common key. Both sides are in the order of the inputs.
#[derive(Clone, Debug)]
pub struct StreamJoin {
    /// Inner, left (unmatched records of the first stream too) or outer (of both).
    pub kind: JoinKind,
    /// Which timestamps match.
    pub window: JoinWindow,
    /// The records of each side, under [`crate::state::join_key`]s.
    pub rows: [StoreId; 2],
    /// The records of each side for which no match has come yet, where unmatched ones are handed on.
    pub unmatched: [Option<StoreId>; 2],
    /// The joined value; the first stream's value is local 0, the second's local 1 (null where there is none).
    pub value: Projection,
    /// Reads keys back from the stores.
    pub key: Deserializer,
}

impl StreamJoin {
    /// All stores.
    pub fn stores(&self) -> impl Iterator<Item = StoreId> {
        self.rows.into_iter().chain(self.unmatched.into_iter().flatten())
    }

    /// All stores, to be numbered anew.
    pub fn stores_mut(&mut self) -> impl Iterator<Item = &mut StoreId> {
        self.rows.iter_mut().chain(self.unmatched.iter_mut().flatten())
    }
}

/// A record of the second stream matches one of the first at `t` if its timestamp lies in `[t - before, t + after]`.
/// All in milliseconds, none negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindow {
    /// How far the second may lie before the first.
    pub before: i64,
    /// How far the second may lie after the first.
    pub after: i64,
    /// How much longer matches that come late are waited for.
    pub grace: i64,
}

impl JoinWindow {
    /// How far before its own timestamp a record of a side finds matches.
    pub fn behind(&self, side: usize) -> i64 {
        if side == 0 { self.before } else { self.after }
    }

    /// How far after its own timestamp a record of a side finds matches.
    pub fn ahead(&self, side: usize) -> i64 {
        if side == 0 { self.after } else { self.before }
    }

    /// The first timestamp of a side whose records may still be matched, at a stream time: what lies before is over.
    pub fn open_from(&self, side: usize, stream_time: Timestamp) -> Timestamp {
        stream_time.saturating_sub(self.ahead(side)).saturating_sub(self.grace)
    }

    /// How long a record is kept, by the highest timestamp of its side: Kafka Streams' retention of a join's stores,
    /// but at least a millisecond, without which records of one timestamp would not meet.
    pub fn retention(&self) -> i64 {
        self.size().saturating_add(self.grace).max(1)
    }

    /// The start of the bucket that a timestamp falls into. Buckets are as long as what one record is matched with,
    /// so that this lies in two of them at most.
    pub fn bucket(&self, timestamp: Timestamp) -> Timestamp {
        timestamp - timestamp.rem_euclid(self.bucket_size())
    }

    /// The start of the next bucket.
    pub fn next_bucket(&self, bucket: Timestamp) -> Timestamp {
        bucket.saturating_add(self.bucket_size())
    }

    fn size(&self) -> i64 {
        self.before.saturating_add(self.after)
    }

    fn bucket_size(&self) -> i64 {
        self.size().saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_is_matched_with_lies_in_two_buckets_at_most() {
        let window = JoinWindow { before: 3, after: 6, grace: 5 };
        for timestamp in 3..100 {
            let (first, last) = (window.bucket(timestamp - 3), window.bucket(timestamp + 6));
            assert!(first == last || window.next_bucket(first) == last, "{timestamp}");
        }
    }

    #[test]
    fn a_side_is_open_for_what_may_still_match_it() {
        let window = JoinWindow { before: 3, after: 6, grace: 5 };
        assert_eq!((window.open_from(0, 100), window.open_from(1, 100)), (89, 92));
        assert_eq!(window.retention(), 14);
        assert_eq!(JoinWindow { before: 0, after: 0, grace: 0 }.retention(), 1);
    }
}
