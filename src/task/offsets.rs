//! What is kept with committed offsets: the operators' stream times.
//!
//! They stand in the offsets' metadata, in the transaction that commits the offsets, so that a task that
//! lost its local state closes the same windows and drops the same late records as if it had not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::operators::{self, Operator};
use crate::time::Timestamp;
use crate::topology::plan::{Node, StoreId, Subtopology, Verb};

/// How long the metadata of an offset may be, in bytes: what Kafka's brokers take unless they are told otherwise
/// (`offset.metadata.max.bytes`).
pub const METADATA_BYTES: usize = 4_096;
/// As long in writing as a time of this millennium, or a count of all that is likely to come.
const LONG: i64 = 9_999_999_999_999;
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

    /// The longest metadata that the tasks of a sub-topology may come to, but for what processors ask for.
    pub fn longest_of(subtopology: &Subtopology) -> Self {
        let operators: Vec<_> = subtopology.nodes.iter().map(operators::build).collect();
        OffsetMetadata::longest_with(subtopology, &operators)
    }

    /// The longest metadata that these operators of a sub-topology may come to. Of processors that have begun, all that
    /// they go on from is known.
    pub(super) fn longest_with(subtopology: &Subtopology, operators: &[Box<dyn Operator>]) -> Self {
        let mut times = BTreeMap::new();
        for (node, operator) in subtopology.nodes.iter().zip(operators) {
            let own = name_of(subtopology, node);
            let keeps_time = operator.keeps_stream_time() || operator.is_punctuated();
            times.extend(keeps_time.then(|| (own.to_owned(), LONG)));
            let progress = operator.progress_names().iter();
            times.extend(progress.map(|name| (progress_name(own, name), LONG)));
            let asked = operator.progress().into_iter();
            times.extend(asked.map(|(name, value)| (progress_name(own, &name), value.max(LONG))));
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

/// The name under which an operator's times are kept: that of its store, which stays when steps are put before the
/// operator; that of its node where it has none. Of processors that share a store none has its name.
pub(super) fn name_of<'p>(part: &'p Subtopology, node: &'p Node) -> &'p str {
    let store = match &node.verb {
        Verb::Process(plan) => plan.stores.iter().copied().find(|store| processors_with(part, *store) == 1),
        _ => first_store(node),
    };
    named(part, node, store)
}

/// The names under which an operator's times may have been kept, the one that counts most as the last: programs kept them
/// by the names of nodes once, and a processor's were kept by its first store as long as no other processor had that.
pub(super) fn names_of<'p>(part: &'p Subtopology, node: &'p Node) -> [&'p str; 3] {
    [named(part, node, first_store(node)), node.name.as_str(), name_of(part, node)]
}

fn first_store(node: &Node) -> Option<StoreId> {
    match &node.verb {
        Verb::Aggregate(plan) => Some(plan.store),
        Verb::Deduplicate { store, .. } => Some(*store),
        Verb::Suppress(plan) => Some(plan.buffer),
        Verb::StreamStreamJoin(plan) => plan.rows.first().copied(),
        Verb::Process(plan) => plan.stores.first().copied(),
        _ => None,
    }
}

/// How many processors have a store. Other verbs share none.
fn processors_with(part: &Subtopology, store: StoreId) -> usize {
    let has = |node: &&Node| matches!(&node.verb, Verb::Process(plan) if plan.stores.contains(&store));
    part.nodes.iter().filter(has).count()
}

fn named<'p>(part: &'p Subtopology, node: &'p Node, store: Option<StoreId>) -> &'p str {
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
