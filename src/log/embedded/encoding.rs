//! How the log lays out its keys and values in RocksDB.
//!
//! Keys are fixed-width big-endian numbers (or length-prefixed names), so that the records of a partition lie
//! together in offset order. Records are laid out by hand, because every byte of the log passes through here;
//! the few small structures about topics and partitions are bincode.

use bincode::config::Configuration;
use bytes::Bytes;

use super::super::{CommittedOffset, LogRecord, TopicConfig};
use crate::record::{Header, Headers, Text};
use crate::time::Timestamp;

/// The version of everything in this file. A directory of another version is refused at open.
pub(super) const FORMAT_VERSION: u32 = 1;

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const HAS_HEADERS: u8 = 4;
const KNOWN_FLAGS: u8 = HAS_KEY | HAS_VALUE | HAS_HEADERS;

/// The key of a record; a partition's records sort by offset.
pub(super) fn record_key(topic: u32, partition: u32, offset: i64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..8].copy_from_slice(&partition.to_be_bytes());
    key[8..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset in a record's key.
pub(super) fn record_offset(key: &[u8]) -> Option<i64> {
    let (_, offset) = key.split_last_chunk::<8>()?;
    Some(i64::from_be_bytes(*offset))
}

/// What is stored about a partition, under a key each, so that commits and cleaning never write the same one.
#[derive(Clone, Copy)]
pub(super) enum PartitionPart {
    /// The next offset: written by commits.
    Next = 0,
    /// A [`Kept`]: written by cleaning.
    Kept = 1,
}

/// The key of something stored about a partition.
pub(super) fn partition_key(topic: u32, partition: u32, part: PartitionPart) -> [u8; 9] {
    let mut key = [0; 9];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..8].copy_from_slice(&partition.to_be_bytes());
    key[8] = part as u8;
    key
}

/// The key of a group's committed offset.
pub(super) fn committed_key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut key = Vec::with_capacity(group.len() + topic.len() + 12);
    for name in [group, topic] {
        key.extend_from_slice(&(name.len() as u32).to_be_bytes());
        key.extend_from_slice(name.as_bytes());
    }
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// The topic in a committed offset's key.
pub(super) fn committed_topic(key: &[u8]) -> Option<&[u8]> {
    let (group, rest) = key.split_first_chunk::<4>()?;
    let rest = rest.get(u32::from_be_bytes(*group) as usize..)?;
    let (topic, rest) = rest.split_first_chunk::<4>()?;
    rest.get(..u32::from_be_bytes(*topic) as usize)
}

/// The group in a committed offset's key.
pub(super) fn committed_group(key: &[u8]) -> Option<&[u8]> {
    let (group, rest) = key.split_first_chunk::<4>()?;
    rest.get(..u32::from_be_bytes(*group) as usize)
}

/// A topic as stored.
#[derive(bincode::Encode, bincode::Decode)]
pub(super) struct StoredTopic {
    /// Names the topic in keys; never used again after the topic is deleted.
    pub(super) id: u32,
    partitions: i32,
    retention: Option<i64>,
    compacted: bool,
    delete_retention: i64,
}

impl StoredTopic {
    pub(super) fn new(id: u32, config: &TopicConfig) -> Self {
        StoredTopic {
            id,
            partitions: config.partitions,
            retention: config.retention,
            compacted: config.compacted,
            delete_retention: config.delete_retention,
        }
    }

    pub(super) fn config(&self) -> TopicConfig {
        TopicConfig {
            retention: self.retention,
            compacted: self.compacted,
            delete_retention: self.delete_retention,
            ..TopicConfig::new(self.partitions)
        }
    }
}

/// A committed offset as stored.
#[derive(bincode::Encode, bincode::Decode)]
pub(super) struct StoredOffset {
    offset: i64,
    metadata: String,
}

impl StoredOffset {
    pub(super) fn new(committed: &CommittedOffset) -> Self {
        StoredOffset { offset: committed.offset, metadata: committed.metadata.clone() }
    }

    pub(super) fn committed(self) -> CommittedOffset {
        CommittedOffset { offset: self.offset, metadata: self.metadata }
    }
}

/// How far a partition has been cleaned.
#[derive(Clone, Debug, Default, PartialEq, bincode::Encode, bincode::Decode)]
pub(super) struct Kept {
    /// The log start offset: readers see nothing before it.
    pub(super) start: i64,
    /// Records before this offset are deleted from RocksDB, too; at most `start`.
    pub(super) purged: i64,
    /// Before this offset every key occurs once only.
    pub(super) compacted: i64,
    /// The lowest offset before `compacted` that holds a tombstone.
    pub(super) first_tombstone: Option<i64>,
    /// (offset, time of day): the tombstones before `offset` were all seen by the compaction at that time.
    /// Both rise. Their age counts from there (KIP-534), as record timestamps may lie far in the past.
    pub(super) horizons: Vec<(i64, Timestamp)>,
    /// From offset, to offset: something in this range was deleted but may still be in RocksDB's files.
    pub(super) unerased: Option<(i64, i64)>,
}

const BINCODE: Configuration = bincode::config::standard();

/// Encodes one of the small structures above.
pub(super) fn to_bytes<T: bincode::Encode>(value: &T) -> Result<Vec<u8>, String> {
    bincode::encode_to_vec(value, BINCODE).map_err(|error| error.to_string())
}

/// Decodes one of the small structures above; what went wrong as text.
pub(super) fn from_bytes<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, String> {
    let limited = BINCODE.with_limit::<{ 1 << 20 }>();
    let (value, read) = bincode::decode_from_slice(bytes, limited).map_err(|error| error.to_string())?;
    if read == bytes.len() { Ok(value) } else { Err(format!("{} bytes too many", bytes.len() - read)) }
}

/// Appends a record's stored form: flags, timestamp, key, headers, value.
pub(super) fn encode_record(
    timestamp: Timestamp,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &Headers,
    out: &mut Vec<u8>,
) {
    let headers = headers.as_slice();
    let mut flags = 0;
    flags |= if key.is_some() { HAS_KEY } else { 0 };
    flags |= if value.is_some() { HAS_VALUE } else { 0 };
    flags |= if headers.is_empty() { 0 } else { HAS_HEADERS };
    out.push(flags);
    out.extend_from_slice(&timestamp.to_le_bytes());
    if let Some(key) = key {
        put_slice(key, out);
    }
    if !headers.is_empty() {
        put_varint(headers.len() as u64, out);
        for header in headers {
            put_slice(header.name.as_bytes(), out);
            match &header.value {
                None => out.push(0),
                Some(value) => {
                    out.push(1);
                    put_slice(value, out);
                }
            }
        }
    }
    out.extend_from_slice(value.unwrap_or_default());
}

/// Decodes a record; `None` if it is damaged.
pub(super) fn decode_record(offset: i64, stored: &[u8]) -> Option<LogRecord> {
    // One allocation holds the record's key, headers and value. It is the record's own: a value that outlives its
    // batch in a state store must not keep the whole batch in memory.
    let buffer = Bytes::copy_from_slice(stored.get(9..)?);
    let mut cursor = Cursor { bytes: &buffer, at: 0 };
    let (flags, timestamp) = flags_and_timestamp(stored)?;
    let key = if flags & HAS_KEY == 0 { None } else { Some(buffer.slice_ref(cursor.slice()?)) };
    let mut headers = Vec::new();
    if flags & HAS_HEADERS != 0 {
        for _ in 0..cursor.varint()? {
            let name = Text::try_from(buffer.slice_ref(cursor.slice()?)).ok()?;
            let value = match cursor.take(1)? {
                [0] => None,
                _ => Some(buffer.slice_ref(cursor.slice()?)),
            };
            headers.push(Header { name, value });
        }
    }
    let rest = buffer.slice(cursor.at..);
    let value = match flags & HAS_VALUE {
        0 if rest.is_empty() => None,
        0 => return None,
        _ => Some(rest),
    };
    Some(LogRecord { offset, timestamp, key, value, headers: Headers::new(headers) })
}

/// What cleaning needs to know of a record.
pub(super) struct RecordView<'a> {
    /// Milliseconds since the epoch.
    pub(super) timestamp: Timestamp,
    /// The key; `None` is the null key.
    pub(super) key: Option<&'a [u8]>,
    /// Whether the value is null.
    pub(super) tombstone: bool,
}

/// Looks at a record without copying it; `None` if it is damaged.
pub(super) fn view_record(stored: &[u8]) -> Option<RecordView<'_>> {
    let (flags, timestamp) = flags_and_timestamp(stored)?;
    let mut cursor = Cursor { bytes: stored, at: 9 };
    let key = if flags & HAS_KEY == 0 { None } else { Some(cursor.slice()?) };
    Some(RecordView { timestamp, key, tombstone: flags & HAS_VALUE == 0 })
}

fn flags_and_timestamp(stored: &[u8]) -> Option<(u8, Timestamp)> {
    let (&flags, rest) = stored.split_first()?;
    let (timestamp, _) = rest.split_first_chunk::<8>()?;
    (flags & !KNOWN_FLAGS == 0).then(|| (flags, i64::from_le_bytes(*timestamp)))
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_slice(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Reads stored bytes front to back; every method gives `None` where they end too early.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut number = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let length = self.varint()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let headers = Headers::new(vec![
            Header { name: "a".into(), value: Some(Bytes::from_static(b"1")) },
            Header { name: "a".into(), value: None },
        ]);
        let mut stored = Vec::new();
        encode_record(-5, Some(&[7; 200]), Some(b"value"), &headers, &mut stored);
        stored
    }

    #[test]
    fn records_come_back_as_they_were() {
        let record = decode_record(9, &sample()).unwrap();
        assert_eq!((record.offset, record.timestamp), (9, -5));
        assert_eq!(record.key.as_deref(), Some(&[7; 200][..]));
        assert_eq!(record.value.as_deref(), Some(&b"value"[..]));
        assert_eq!(record.headers.as_slice().len(), 2);
        assert_eq!(record.headers.last("a").unwrap().value, None);
    }

    #[test]
    fn null_and_empty_are_not_the_same() {
        for (key, value) in
            [(None, None), (Some(&b""[..]), None), (None, Some(&b""[..])), (Some(&b""[..]), Some(&b""[..]))]
        {
            let mut stored = Vec::new();
            encode_record(1, key, value, &Headers::default(), &mut stored);
            let record = decode_record(0, &stored).unwrap();
            assert_eq!((record.key.as_deref(), record.value.as_deref()), (key, value));
        }
    }

    #[test]
    fn damaged_records_are_refused_without_a_panic() {
        let stored = sample();
        for length in 0..stored.len() {
            // Cutting the value only shortens it, as its length is what is left; all else must be noticed.
            assert!(decode_record(0, &stored[..length]).is_none() || length >= stored.len() - 5, "{length}");
        }
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 0xff;
            let _ = decode_record(0, &changed);
            let _ = view_record(&changed);
        }
    }

    #[test]
    fn keys_sort_by_topic_partition_and_offset() {
        let keys = [
            record_key(0, 1, i64::MAX),
            record_key(0, 2, 0),
            record_key(0, 2, 255),
            record_key(0, 2, 256),
            record_key(1, 0, 0),
        ];
        assert!(keys.is_sorted());
        assert_eq!(record_offset(&keys[3]), Some(256));
        assert_eq!(committed_topic(&committed_key("group", "topic", 3)), Some(&b"topic"[..]));
        assert_eq!(committed_group(&committed_key("group", "topic", 3)), Some(&b"group"[..]));
    }
}
