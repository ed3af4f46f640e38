//! What is kept with committed offsets: the operators' stream times.
//!
//! They stand in the offsets' metadata, in the transaction that commits the offsets, so that a task that
//! lost its local state closes the same windows and drops the same late records as if it had not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::topology::plan::{Node, Subtopology, Verb};

/// Between the name of an operator and that of a number it goes on from. No such name has it.
const PROGRESS: char = '#';

/// The metadata of a committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetMetadata {
    /// Stream time of each operator that keeps one, by [`name_of`], in milliseconds since the epoch, and what else
    /// it goes on from, by that name and its own.
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

/// The name under which an operator's times are kept: that of its store, which stays when steps are put before the
/// operator; that of its node where it has none.
pub(super) fn name_of<'p>(part: &'p Subtopology, node: &'p Node) -> &'p str {
    let store = match &node.verb {
        Verb::Aggregate(plan) => Some(plan.store),
        Verb::Deduplicate { store, .. } => Some(*store),
        Verb::Suppress(plan) => Some(plan.buffer),
        Verb::StreamStreamJoin(plan) => plan.rows.first().copied(),
        _ => None,
    };
    let store = store.and_then(|store| part.stores.get(store));
    store.map_or(node.name.as_str(), |store| store.name.as_str())
}

/// The name under which a number is kept.
pub(super) fn progress_name(operator: &str, name: &str) -> String {
    format!("{operator}{PROGRESS}{name}")
}

/// The numbers that are kept of an operator, with their own names.
pub(super) fn progress_of<'t>(
    times: &'t BTreeMap<String, Timestamp>,
    operator: &str,
) -> impl Iterator<Item = (&'t str, i64)> {
    let prefix = progress_name(operator, "");
    let saved = times.range(prefix.clone()..);
    saved.map_while(move |(name, value)| Some((name.strip_prefix(&prefix)?, *value)))
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
