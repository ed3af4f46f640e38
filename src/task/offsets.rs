//! What is kept with committed offsets: the operators' stream times.
//!
//! They stand in the offsets' metadata, in the transaction that commits the offsets, so that a task that
//! lost its local state closes the same windows and drops the same late records as if it had not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The metadata of a committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetMetadata {
    /// Stream time of each operator that keeps one, by node name, in milliseconds since the epoch, and what else
    /// it goes on from, by node name and name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<String, Timestamp>,
}

impl OffsetMetadata {
    /// Reads metadata; what other tools wrote there is no error, it holds no times.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Writes metadata; nothing to say is the empty text.
    pub fn format(&self) -> String {
        if self.times.is_empty() { String::new() } else { serde_json::to_string(self).unwrap_or_default() }
    }

    /// Takes the later of both times of each operator.
    pub fn merge(&mut self, other: OffsetMetadata) {
        for (operator, time) in other.times {
            self.times.entry(operator).and_modify(|seen| *seen = (*seen).max(time)).or_insert(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_writing_and_reading() {
        let metadata = OffsetMetadata { times: BTreeMap::from([("mood".to_owned(), 42)]) };
        assert_eq!(OffsetMetadata::parse(&metadata.format()), metadata);
        assert_eq!(OffsetMetadata::parse("somebody else's"), OffsetMetadata::default());
        assert_eq!(OffsetMetadata::default().format(), "");
    }
}
