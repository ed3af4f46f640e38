//! What a task's RocksDB knows about itself: whose it is, and up to where its stores have come.
//!
//! Both are kept in the metadata column family, each as one byte of format version followed by bincode 2
//! (standard configuration). The identity is written when the directory is made and when a store is added;
//! the checkpoint with every commit, in the same batch as the data it describes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bincode::{Decode, Encode};

use super::{Result, StateError};
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// The version of the layout of a state directory: keys, values, metadata.
pub(super) const FORMAT_VERSION: u8 = 1;

/// Up to where the stores of a task have come. Written atomically with the changes it describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// By changelog topic, the offset of the next record that the store does not hold yet.
    pub changelog_offsets: BTreeMap<Arc<str>, i64>,
    /// By input partition, the offset of the next record to process.
    pub input_offsets: BTreeMap<TopicPartition, i64>,
    /// By operator, its stream time.
    pub stream_times: Vec<(String, Timestamp)>,
    /// The time of day of the commit, or of the start of a restore from scratch that no commit has followed, in
    /// milliseconds since the epoch; 0: unknown. A directory older than its changelog's `delete.retention.ms` may
    /// lack tombstones that are gone from the topic.
    pub wall_clock: Timestamp,
}

/// Who wrote a state directory, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Identity {
    pub(super) application: String,
    pub(super) task: String,
    pub(super) stores: Vec<StoreIdentity>,
}

/// What a store was written as.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct StoreIdentity {
    pub(super) name: String,
    pub(super) kind: String,
    /// The shape in words, for messages.
    pub(super) shape: String,
    /// The fingerprint of the codec that wrote the values.
    pub(super) fingerprint: u64,
    pub(super) changelog: Option<String>,
}

/// The checkpoint as it is stored.
#[derive(Encode, Decode)]
struct StoredCheckpoint {
    changelog_offsets: Vec<(String, i64)>,
    input_offsets: Vec<(String, i32, i64)>,
    stream_times: Vec<(String, i64)>,
    wall_clock: i64,
}

impl Checkpoint {
    /// The bytes that are stored.
    ///
    /// # Errors
    /// [`StateError::IllegalState`] where they cannot be made, which no checkpoint is known to cause.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let offsets = self.changelog_offsets.iter();
        let inputs = self.input_offsets.iter();
        encode(&StoredCheckpoint {
            changelog_offsets: offsets.map(|(topic, offset)| (topic.as_ref().to_owned(), *offset)).collect(),
            input_offsets: inputs.map(|(at, offset)| (at.topic.as_ref().to_owned(), at.partition, *offset)).collect(),
            stream_times: self.stream_times.clone(),
            wall_clock: self.wall_clock,
        })
    }

    /// Reads what [`Checkpoint::encode`] wrote; `path` is for messages.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] or [`StateError::FormatVersion`] where the bytes are no checkpoint of this version.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Checkpoint> {
        let stored: StoredCheckpoint = decode(bytes, "checkpoint", path)?;
        let inputs = stored.input_offsets.into_iter();
        Ok(Checkpoint {
            changelog_offsets: stored.changelog_offsets.into_iter().map(|(topic, at)| (topic.into(), at)).collect(),
            input_offsets: inputs.map(|(topic, n, at)| (TopicPartition::new(topic, n), at)).collect(),
            stream_times: stored.stream_times,
            wall_clock: stored.wall_clock,
        })
    }
}

impl Identity {
    /// The bytes that are stored.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }

    /// Reads what [`Identity::encode`] wrote; `path` is for messages.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Identity> {
        decode(bytes, "identity", path)
    }
}

fn encode<T: Encode>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![FORMAT_VERSION];
    bincode::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|error| StateError::IllegalState(format!("the state's metadata cannot be written: {error}")))?;
    Ok(bytes)
}

fn decode<T: Decode<()>>(bytes: &[u8], what: &str, path: &Path) -> Result<T> {
    let corrupt = |detail: String| StateError::Corrupt { path: path.to_owned(), detail };
    let (version, body) = bytes.split_first().ok_or_else(|| corrupt(format!("its {what} is empty")))?;
    if *version != FORMAT_VERSION {
        return Err(StateError::FormatVersion { path: path.to_owned(), found: *version, expected: FORMAT_VERSION });
    }
    // The metadata is small; the limit keeps damaged lengths from asking for memory.
    let configuration = bincode::config::standard().with_limit::<{ 16 << 20 }>();
    let (value, read) = bincode::decode_from_slice(body, configuration)
        .map_err(|error| corrupt(format!("its {what} does not decode: {error}")))?;
    if read != body.len() {
        return Err(corrupt(format!("its {what} has {} bytes too many", body.len() - read)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint {
            changelog_offsets: BTreeMap::from([("app-counts-changelog".into(), 42)]),
            input_offsets: BTreeMap::from([(TopicPartition::new("in", 3), 7)]),
            stream_times: vec![("count".to_owned(), 1_000)],
            wall_clock: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_checkpoint_is_read_back() {
        let bytes = sample().encode().unwrap();
        assert_eq!(Checkpoint::decode(&bytes, Path::new("d")).unwrap(), sample());
    }

    #[test]
    fn another_format_version_is_named() {
        let mut bytes = sample().encode().unwrap();
        bytes[0] = 9;
        let error = Checkpoint::decode(&bytes, Path::new("d")).unwrap_err();
        assert!(matches!(error, StateError::FormatVersion { found: 9, .. }), "{error}");
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_at_every_length() {
        let bytes = sample().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..length], Path::new("d")).is_err(), "{length}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Checkpoint::decode(&longer, Path::new("d")).is_err());
    }
}
