//! Holds a topology in YAML and the same one built in Rust against each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use signalstream::agents::Agents;
use signalstream::builder::StreamsBuilder;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::{DriverOptions, InputRecord, OutputRecord, TopologyDriver};
use signalstream::topology::{PlanOptions, Topology, load};

/// A record of the input: topic, key, value (JSON) and timestamp.
pub(crate) type Input<'a> = (&'a str, &'a str, &'a str, i64);

/// The plan of a topology in YAML.
pub(crate) fn planned(yaml: &str) -> Topology {
    let (registry, agents) = (SchemaRegistry::new(), Agents::local());
    let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
    load("this.yaml", yaml, &options).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The plan of what a builder was told.
pub(crate) fn built(builder: &StreamsBuilder) -> Topology {
    builder.build().unwrap_or_else(|error| panic!("{error}\n{}", builder.to_yaml()))
}

/// What is kept and what tasks read and write: all of a plan that outlives a process.
pub(crate) fn skeleton(topology: &Topology) -> Vec<BTreeSet<String>> {
    let mut parts: Vec<BTreeSet<String>> = topology
        .subtopologies
        .iter()
        .map(|part| {
            let sources = part.sources.iter().map(|source| format!("reads {}", source.topic));
            let stores = part
                .stores
                .iter()
                .map(|store| format!("keeps {} ({:?}) in {:?}", store.name, store.kind, store.changelog));
            sources.chain(stores).collect()
        })
        .collect();
    parts.sort();
    let topics = topology.topics.iter();
    parts.push(
        topics.map(|topic| format!("{} {:?} {:?} {}", topic.name, topic.role, topic.config, topic.key)).collect(),
    );
    parts
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What comes out of a topology, with a crash half-way.
pub(crate) fn driven(topology: Topology, input: &[Input<'_>], caching: bool) -> Vec<OutputRecord> {
    let options = DriverOptions { caching, ..DriverOptions::default() };
    let mut driver = TopologyDriver::new(Arc::new(topology), &SchemaRegistry::new(), options).expect("a driver");
    for (number, (topic, key, value, timestamp)) in input.iter().enumerate() {
        let record = InputRecord {
            topic: (*topic).to_owned(),
            partition: None,
            key: json(key),
            value: json(value),
            value_base64: None,
            timestamp: Some(*timestamp),
            headers: serde_json::Map::new(),
        };
        driver.pipe(&record).unwrap_or_else(|error| panic!("record {number}: {error}"));
        if number == input.len() / 2 {
            driver.crash().expect("it comes back");
        }
    }
    driver.finish().expect("it ends");
    driver.take_outputs()
}

/// Both are the same: what they keep, what they read and write, and what comes out of them. Gives what comes out without a
/// cache, as text.
pub(crate) fn assert_same(yaml: &str, build: impl Fn(&StreamsBuilder), input: &[Input<'_>]) -> Vec<String> {
    let written = planned(yaml);
    let builder = StreamsBuilder::new(&written.name);
    build(&builder);
    let made = built(&builder);
    assert_eq!(skeleton(&made), skeleton(&written), "{}", builder.to_yaml());
    for caching in [true, false] {
        let (made, written) = (driven(made.clone(), input, caching), driven(written.clone(), input, caching));
        assert_eq!(made, written, "caching {caching}\n{}", builder.to_yaml());
        assert!(!made.is_empty(), "nothing came out\n{}", builder.to_yaml());
    }
    let lines = driven(made, input, false);
    lines
        .iter()
        .map(|record| format!("{} {}={} @{}", record.topic, record.key, record.value, record.timestamp))
        .collect()
}
