//! Which schemas the topics of a topology are read and written with.

use crate::serdes::Format;
use crate::serdes::remote::Side;
use crate::yaml::{self, Problems};

use super::plan::{TopicRole, Topology};
use super::spec::scalars::FormatSpec;
use super::spec::{Lower, TopologySpec};

/// The schema of a topic's keys or values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaUse {
    /// The topic.
    pub topic: String,
    /// Keys or values.
    pub side: Side,
    /// The schema's name.
    pub schema: String,
    /// Whether the application writes them.
    pub written: bool,
    /// Whether the application reads them.
    pub read: bool,
}

/// The schemas of a topology's own topics, those without framing excepted: they have no id.
pub fn uses(topology: &Topology) -> Vec<SchemaUse> {
    let mut uses = Vec::new();
    for topic in &topology.topics {
        let (read, written) = match topic.role {
            TopicRole::Source => (true, false),
            TopicRole::SourceAndSink => (true, true),
            TopicRole::Sink | TopicRole::DeadLetters => (false, true),
            TopicRole::Repartition | TopicRole::Changelog => continue,
        };
        for (side, format) in [(Side::Key, Some(&topic.key)), (Side::Value, topic.value.as_ref())] {
            if let Some(Format::Avro(schema)) = format {
                uses.push(SchemaUse { topic: topic.name.clone(), side, schema: schema.clone(), written, read });
            }
        }
    }
    uses
}

/// The schemas that a topology's text names, with the topics that it names them for: what has to be there before it can
/// be checked. A text with mistakes names as many as can be read.
pub fn mentioned(text: &str) -> Vec<SchemaUse> {
    let mut problems = Problems::new(text);
    let spec =
        yaml::parse(text, yaml::TOPOLOGY, &mut problems).and_then(|root| TopologySpec::lower(&root, &mut problems));
    let Some(spec) = spec else { return Vec::new() };
    let defaults = spec.defaults.as_ref();
    let default_key = defaults.and_then(|defaults| defaults.key.as_ref());
    let default_value = defaults.and_then(|defaults| defaults.value.as_ref());
    let mut uses = Vec::new();
    let mut note = |topics: Vec<String>, formats: [(Side, Option<&FormatSpec>); 2], written: bool| {
        for (side, format) in formats {
            let Some(schema) = format.and_then(|format| format.format.schema()) else { continue };
            let of = |topic: &String| SchemaUse {
                topic: topic.clone(),
                side,
                schema: schema.to_owned(),
                written,
                read: !written,
            };
            uses.extend(topics.iter().map(of));
        }
    };
    for (_, source) in spec.sources.iter().flat_map(|sources| sources.iter()) {
        let topics = source.topic.names().iter().map(|name| name.text.clone()).collect();
        let (key, value) = (source.key.as_ref().or(default_key), source.value.as_ref().or(default_value));
        note(topics, [(Side::Key, key), (Side::Value, value)], false);
    }
    for sink in spec.sinks.iter().flatten() {
        let topics = sink.topic.names().iter().map(|name| name.text.clone()).collect();
        let (key, value) = (sink.key.as_ref().or(default_key), sink.value.as_ref().or(default_value));
        note(topics, [(Side::Key, key), (Side::Value, value)], true);
    }
    uses
}
