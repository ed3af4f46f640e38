//! How the keys and values of a topic are written, from what is known: options, a topology, or the bytes.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use crate::config::Config;
use crate::log::TopicConfig;
use crate::record::Fields;
use crate::serdes::internal::Codec;
use crate::serdes::remote::Side;
use crate::serdes::{Format, Serde, TopicSerde};
use crate::state::StoreSpec;
use crate::topology::pattern;
use crate::topology::plan::{Encoding, Topic, Topology, Verb};

use super::load::{self, Loaded, SchemaArguments};
use super::records::{Part, RecordReader};

/// How to read or write records.
#[derive(Args)]
pub(super) struct FormatArguments {
    /// The topology that says how the topic is written; without it, the support topology's topics are known
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,

    /// How keys are written: string, long, double, bytes, json, avro:SCHEMA or raw-avro:SCHEMA (no schema id in front)
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    key_format: Option<Format>,

    /// How values are written: string, long, double, bytes, json, avro:SCHEMA or raw-avro:SCHEMA (no schema id in front)
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    value_format: Option<Format>,

    #[command(flatten)]
    schemas: SchemaArguments,
}

/// Reads the name of a format.
pub(super) fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "string" => Ok(Format::String),
        "long" => Ok(Format::Long),
        "double" => Ok(Format::Double),
        "bytes" => Ok(Format::Bytes),
        "json" => Ok(Format::Json),
        _ => match text.split_once([':', ' ']) {
            Some(("avro", schema)) if !schema.trim().is_empty() => Ok(Format::Avro(schema.trim().to_owned())),
            Some(("raw-avro", schema)) if !schema.trim().is_empty() => Ok(Format::RawAvro(schema.trim().to_owned())),
            _ => Err("expected string, long, double, bytes, json, avro:SCHEMA or raw-avro:SCHEMA".to_owned()),
        },
    }
}

impl FormatArguments {
    /// Loads what the options name.
    pub(super) fn load(&self, config: &Config) -> anyhow::Result<Formats> {
        Ok(Formats {
            loaded: load::topology_or_support(self.topology.as_deref(), &self.schemas.live(config)?)?,
            key: self.key_format.clone(),
            value: self.value_format.clone(),
        })
    }
}

/// What is known of topics.
pub(super) struct Formats {
    loaded: Loaded,
    key: Option<Format>,
    value: Option<Format>,
}

impl Formats {
    /// What a topology says, and nothing else.
    pub(super) fn of(loaded: Loaded) -> Formats {
        Formats { loaded, key: None, value: None }
    }

    /// The topology.
    pub(super) fn topology(&self) -> &Topology {
        &self.loaded.topology
    }

    /// How the topology wants a topic to be created.
    pub(super) fn config(&self, topic: &str) -> Option<&TopicConfig> {
        self.topic(topic).map(|topic| &topic.config)
    }

    fn topic(&self, name: &str) -> Option<&Topic> {
        self.topology().topics.iter().find(|topic| topic.name == name)
    }

    /// How the keys and values of a topic are written that the topology names, or takes by a pattern.
    fn known(&self, name: &str) -> (Option<Format>, Option<Format>) {
        let on_topics = pattern::on_topics(self.topology(), [name]);
        let topics = on_topics.as_ref().map_or(self.topology().topics.as_slice(), |on_topics| &on_topics.topics);
        let known = topics.iter().find(|topic| topic.name == name);
        (known.map(|topic| topic.key.clone()), known.and_then(|topic| topic.value.clone()))
    }

    /// Writes and reads the JSON of a topic. With a registry it must have the schemas; `register`: it gets what is missing.
    pub(super) fn writer(&self, topic: &str, register: bool) -> anyhow::Result<TopicSerde> {
        let (key, value) = self.known(topic);
        let key = self.key.clone().or(key).unwrap_or(Format::String);
        let value = self.value.clone().or(value);
        let Some(value) = value else {
            return Err(super::failure::Usage::error(format!(
                "how are the values of `{topic}` written? Give --value-format, or --topology with a topology that uses the topic"
            )));
        };
        self.announce(topic, [(Side::Key, &key), (Side::Value, &value)], register)?;
        Ok(TopicSerde::new(&key, &value, &self.loaded.schemas)?)
    }

    /// Finds the ids that the registry has for the schemas that are to be written, if there is one.
    fn announce(&self, topic: &str, formats: [(Side, &Format); 2], register: bool) -> anyhow::Result<()> {
        let schemas = &self.loaded.schemas;
        let Some(remote) = schemas.remote() else { return Ok(()) };
        for (side, format) in formats {
            let Format::Avro(name) = format else { continue };
            let (Some((_, full_name)), Some(text)) = (schemas.text(name), schemas.announcement(name)) else { continue };
            let subject = remote.subject(topic, side, if full_name.is_empty() { name } else { full_name });
            let id = match remote.client().lookup(&subject, &text)? {
                Some(id) => id,
                None if register => remote.client().register(&subject, &text)?,
                None => {
                    return Err(anyhow!(
                        "the schema `{name}` is not registered under `{subject}`; `--register-schemas` registers it, and \
                         `signalstream schemas register` shows first what would change"
                    ));
                }
            };
            schemas.assign(name, id);
        }
        Ok(())
    }

    /// Reads the records of a topic. What nothing is known of is read as what its bytes look like.
    pub(super) fn reader(&self, topic: &str) -> anyhow::Result<RecordReader> {
        let (key_format, value_format) = self.known(topic);
        let mut key = self.part(self.key.as_ref().or(key_format.as_ref()))?;
        let mut value = self.part(self.value.as_ref().or(value_format.as_ref()))?;
        if let Some(store) = stores(self.topology()).find(|store| store.changelog.as_deref() == Some(topic)) {
            key = Part::of_store(store.kind, self.internal_key(self.key.as_ref().or(key_format.as_ref()))?);
            value = Part::Internal(Codec::new(&store.shape));
        } else if let Some(codec) = repartition_codec(self.topology(), topic) {
            key = self.internal_key(self.key.as_ref().or(key_format.as_ref()))?;
            value = Part::Internal(codec);
        }
        Ok(RecordReader::new(key, value))
    }

    /// Reads the keys of a store: written as in its changelog.
    pub(super) fn store_key(&self, store: &StoreSpec) -> anyhow::Result<Part> {
        let key = self.internal_key(self.store_key_format(store))?;
        Ok(Part::of_store(store.kind, key))
    }

    /// How the keys of a store are written.
    pub(super) fn store_key_format(&self, store: &StoreSpec) -> Option<&Format> {
        let globals = self.topology().globals.iter();
        let of_global = globals.filter(|table| table.store.name == store.name).map(|table| &*table.source.topic);
        let topic = store.changelog.as_deref().or_else(|| of_global.into_iter().next());
        topic.and_then(|topic| self.topic(topic)).map(|topic| &topic.key)
    }

    /// The schemas.
    pub(super) fn schemas(&self) -> &crate::serdes::SchemaRegistry {
        &self.loaded.schemas
    }

    /// Reads keys as they stand in stores and internal topics.
    fn internal_key(&self, format: Option<&Format>) -> anyhow::Result<Part> {
        match format {
            Some(format) => {
                Ok(Part::Serde(Serde::new(format, &self.loaded.schemas)?.internal().deserializer(&Fields::All)))
            }
            None => Part::guess(&self.loaded.schemas),
        }
    }

    fn part(&self, format: Option<&Format>) -> anyhow::Result<Part> {
        match format {
            Some(format) => Ok(Part::Serde(Serde::new(format, &self.loaded.schemas)?.deserializer(&Fields::All))),
            None => Part::guess(&self.loaded.schemas),
        }
    }
}

/// All stores of a topology.
pub(super) fn stores(topology: &Topology) -> impl Iterator<Item = &StoreSpec> {
    let globals = topology.globals.iter().map(|table| &table.store);
    topology.subtopologies.iter().flat_map(|subtopology| &subtopology.stores).chain(globals)
}

fn repartition_codec(topology: &Topology, topic: &str) -> Option<Codec> {
    let nodes = topology.subtopologies.iter().flat_map(|subtopology| &subtopology.nodes);
    nodes.into_iter().find_map(|node| match &node.verb {
        Verb::Sink(sink) if sink.topic.names().any(|name| **name == *topic) => match &sink.value {
            Encoding::Internal(shape) => Some(Codec::new(shape)),
            Encoding::Serde(_) => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_and_others_refused() {
        assert_eq!(parse_format("json"), Ok(Format::Json));
        assert_eq!(parse_format("avro:Order"), Ok(Format::Avro("Order".to_owned())));
        assert!(["avro", "avro:", "xml", ""].iter().all(|text| parse_format(text).is_err()));
    }
}
