//! What is kept with committed offsets: the operators' stream times.
//!
//! They stand in the offsets' metadata, in the transaction that commits the offsets, so that a task that
//! lost its local state closes the same windows and drops the same late records as if it had not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PROGRESS;
use crate::operators;
use crate::time::Timestamp;
use crate::topology::plan::Subtopology;

/// How long the metadata of an offset may be, in bytes: what Kafka's brokers take unless they are told otherwise
/// (`offset.metadata.max.bytes`).
pub const METADATA_BYTES: usize = 4_096;
/// As long in writing as a time of this millennium, or a count of all that is likely to come.
const LONG: i64 = 9_999_999_999_999;

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

    /// The longest metadata that the tasks of a sub-topology may come to.
    pub fn longest_of(subtopology: &Subtopology) -> Self {
        let mut times = BTreeMap::new();
        for node in &subtopology.nodes {
            let operator = operators::build(node);
            times.extend(operator.keeps_stream_time().then(|| (node.name.clone(), LONG)));
            let progress = operator.progress_names().iter();
            times.extend(progress.map(|name| (format!("{}{PROGRESS}{name}", node.name), LONG)));
        }
        OffsetMetadata { times }
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
    use std::sync::Arc;

    use super::*;
    use crate::agents::Agents;
    use crate::serdes::SchemaRegistry;
    use crate::testing::{DriverOptions, TopologyDriver};
    use crate::topology::{PlanOptions, load};

    #[test]
    fn times_survive_writing_and_reading() {
        let metadata = OffsetMetadata { times: BTreeMap::from([("mood".to_owned(), 42)]) };
        assert_eq!(OffsetMetadata::parse(&metadata.format()), metadata);
        assert_eq!(OffsetMetadata::parse("somebody else's"), OffsetMetadata::default());
        assert_eq!(OffsetMetadata::default().format(), "");
    }

    /// So many joins in a row, each with two stream times and more.
    fn joins(count: usize) -> Result<(), String> {
        let mut text = "
topology: t
defaults: {key: string, value: json}
sources: {a: {topic: a}, b: {topic: b}}
streams:
"
        .to_owned();
        for n in 0..count {
            let from = if n == 0 { "a".to_owned() } else { format!("joined-{}", n - 1) };
            text += &format!("  joined-{n}: {{join: {{inputs: {{l: {from}, r: b}}, within: 1s}}, map_values: l}}\n");
        }
        text += &format!("sinks: [{{from: joined-{}, topic: out}}]\n", count - 1);
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        let topology = load("t.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let options = DriverOptions::default();
        TopologyDriver::new(Arc::new(topology), &registry, options).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn more_numbers_than_an_offset_has_room_for_are_refused_at_the_start() {
        joins(10).expect("there is room for ten");
        let error = joins(60).expect_err("there is none for sixty");
        assert!(error.contains("300 numbers") && error.contains("`offset.metadata.max.bytes`"), "{error}");
    }
}
