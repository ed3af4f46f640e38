//! What the state of an application was written with, as it is kept in the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts;
use super::layout::{self, Layout};
use crate::log::TopicConfig;
use crate::topology::partitioning;
use crate::topology::plan::{Payload, Source, Subtopology, Topology};

/// The version of what is written. One that is higher was written by a newer program.
const FORMAT: u32 = 1;

/// What the state of an application was written with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    format: u32,
    /// The application.
    pub application: String,
    /// Its sub-topologies, in the order of their numbers.
    pub parts: Vec<Part>,
    /// What earlier versions had and this one has not, whose topics are still there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
}

/// A sub-topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many tasks it has, on the topics that its patterns match too.
    #[serde(default)]
    pub tasks: i32,
    /// What it reads; what patterns match is left out, as it comes and goes.
    pub inputs: Vec<Input>,
    /// What it keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<KeptStore>,
}

/// A topic that a sub-topology reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name.
    pub topic: String,
    /// How many partitions it has: a task for each.
    pub partitions: i32,
    /// What its records look like, where it is a repartition topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<Passage>,
}

/// The records of a repartition topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The format of the keys.
    pub key: String,
    /// The layout of the values.
    pub value: Layout,
    /// The fields that are read of them, by their paths; what nobody reads is null in there. `*` is all.
    pub fields: Vec<String>,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStore {
    /// Its name.
    pub name: String,
    /// The topic that its changes go to.
    pub changelog: String,
    /// How its keys are laid out, such as `window`.
    pub kind: String,
    /// The format of the keys within that.
    pub key: String,
    /// The layout of the values.
    pub value: Layout,
    /// What else its rows depend on, by name: what made them, with which windows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// What is not there any more, but for its topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Removed {
    /// The topic: a changelog or a repartition topic.
    pub topic: String,
    /// The store, if it is a changelog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// A description that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDescription {
    /// It is not one.
    #[error("it is no description of state: {0}")]
    Malformed(String),
    /// A newer program wrote it.
    #[error("it was written in format {0} by a newer program; run that one")]
    Newer(u32),
}

impl Description {
    /// What a topology would write, on topics of these sizes; `resolved` is the topology with the topics that match its
    /// patterns.
    pub fn of(topology: &Topology, resolved: &Topology, topics: &BTreeMap<String, TopicConfig>) -> Description {
        let facts = facts::of(topology);
        let part = |part: &Subtopology| Part {
            tasks: resolved.subtopologies.get(part.id).map_or(0, |part| partitioning::tasks(part, topics)),
            inputs: part.sources.iter().map(|source| input(topology, topics, source)).collect(),
            stores: stores(topology, part, &facts),
        };
        Description {
            format: FORMAT,
            application: topology.name.clone(),
            parts: topology.subtopologies.iter().map(|one| part(one)).collect(),
            removed: Vec::new(),
        }
    }

    /// Writes it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Description::to_text`] wrote.
    pub fn parse(text: &[u8]) -> Result<Description, UnreadableDescription> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let malformed = |error: serde_json::Error| UnreadableDescription::Malformed(error.to_string());
        match serde_json::from_slice::<Versioned>(text).map_err(malformed)?.format {
            FORMAT => serde_json::from_slice(text).map_err(malformed),
            other => Err(UnreadableDescription::Newer(other)),
        }
    }

    /// All stores.
    pub fn stores(&self) -> impl Iterator<Item = &KeptStore> {
        self.parts.iter().flat_map(|part| &part.stores)
    }

    /// All inputs.
    pub fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.parts.iter().flat_map(|part| &part.inputs)
    }

    /// The topics of the engine's own that this version or an earlier one has made, the tasks topic excluded.
    pub fn internal_topics(&self) -> impl Iterator<Item = &str> {
        let changelogs = self.stores().map(|store| store.changelog.as_str());
        let passages = self.inputs().filter(|input| input.passage.is_some()).map(|input| input.topic.as_str());
        changelogs.chain(passages).chain(self.removed.iter().map(|removed| removed.topic.as_str()))
    }

    /// Whether the tasks are the same in both: what each number stands for, and what it reads.
    pub fn has_tasks_of(&self, other: &Description) -> bool {
        let same_inputs = |one: &Part, other: &Part| {
            let inputs = one.inputs.iter().map(|input| (&input.topic, input.partitions));
            inputs.eq(other.inputs.iter().map(|input| (&input.topic, input.partitions)))
        };
        let mut parts = self.parts.iter().zip(&other.parts);
        self.parts.len() == other.parts.len()
            && parts.all(|(one, other)| one.tasks == other.tasks && same_inputs(one, other))
    }
}

fn input(topology: &Topology, topics: &BTreeMap<String, TopicConfig>, source: &Source) -> Input {
    let passage = match &source.value {
        Payload::Internal(shape) => Some(Passage {
            key: key_format(topology, &source.topic),
            value: Layout::from(shape),
            fields: layout::paths(&source.fields),
        }),
        Payload::Serde(_) => None,
    };
    let partitions = topics.get(&*source.topic).map_or(1, |config| config.partitions);
    Input { topic: source.topic.to_string(), partitions, passage }
}

fn stores(topology: &Topology, part: &Subtopology, facts: &facts::FactsOfStores) -> Vec<KeptStore> {
    let logged = part.stores.iter().filter_map(|store| Some((store, store.changelog.as_deref()?)));
    logged
        .map(|(store, changelog)| KeptStore {
            name: store.name.clone(),
            changelog: changelog.to_owned(),
            kind: store.kind.as_str().to_owned(),
            key: key_format(topology, changelog),
            value: Layout::from(&store.shape),
            facts: facts.get(&store.name).cloned().unwrap_or_default(),
        })
        .collect()
}

/// The format of the keys of one of the engine's own topics.
fn key_format(topology: &Topology, topic: &str) -> String {
    let topic = topology.topics.iter().find(|known| known.name == topic);
    topic.map(|topic| topic.key.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_come_of_patterns_count_as_those_of_named_inputs_do() {
        let part = |tasks, inputs: &[(&str, i32)]| {
            let input = |(topic, partitions): &(&str, i32)| Input {
                topic: (*topic).to_owned(),
                partitions: *partitions,
                passage: None,
            };
            Part { tasks, inputs: inputs.iter().map(input).collect(), stores: Vec::new() }
        };
        let of = |parts: &[Part]| Description {
            format: FORMAT,
            application: "app".to_owned(),
            parts: parts.to_vec(),
            removed: Vec::new(),
        };
        let one = of(&[part(4, &[]), part(4, &[("passage", 4)])]);
        assert!(one.has_tasks_of(&one.clone()));
        for other in [
            of(&[part(8, &[]), part(4, &[("passage", 4)])]),
            of(&[part(4, &[]), part(4, &[("other", 4)])]),
            of(&[part(4, &[])]),
        ] {
            assert!(!one.has_tasks_of(&other) && !other.has_tasks_of(&one), "{other:?}");
        }
    }

    #[test]
    fn a_description_of_a_newer_program_is_told_from_a_damaged_one() {
        let newer = Description::parse(br#"{"format": 2, "other": true}"#);
        assert_eq!(newer, Err(UnreadableDescription::Newer(2)));
        assert!(matches!(Description::parse(b"{"), Err(UnreadableDescription::Malformed(_))));
        assert!(matches!(Description::parse(br#"{"format": 1}"#), Err(UnreadableDescription::Malformed(_))));
    }
}
