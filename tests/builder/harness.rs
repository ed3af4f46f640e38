//! Holds a topology in YAML and the same one built in Rust against each other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use signalstream::agents::Agents;
use signalstream::builder::{Consumed, Data, Produced, Serdes, StreamsBuilder};
use signalstream::metrics::Counters;
use signalstream::processor::Processors;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::{DriverOptions, InputRecord, OutputRecord, TopologyDriver};
use signalstream::topology::plan::{Source, Topology, Verb};
use signalstream::topology::{PlanOptions, load_with};

thread_local! {
    /// What has been built and compared on this thread, as YAML.
    static COMPARED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A record of the input: topic, key, value (JSON) and timestamp.
pub(crate) type Input<'a> = (&'a str, &'a str, &'a str, i64);

/// Texts with numbers, the source called so.
pub(crate) fn longs(name: &str) -> Consumed<String, i64> {
    Consumed::with(Serdes::string(), Serdes::long()).named(name)
}

/// All as JSON.
pub(crate) fn json<K: Data, V: Data>() -> Produced<K, V> {
    Produced::with(Serdes::json(), Serdes::json())
}

/// The same of keys with windows, which are written without.
pub(crate) fn windowed<V: Data>() -> Produced<signalstream::builder::Windowed<String>, V> {
    Produced::with(Serdes::json::<String>().windowed(), Serdes::json())
}

/// The plan of what a builder was told.
pub(crate) fn built(builder: &StreamsBuilder) -> Topology {
    builder.build().unwrap_or_else(|error| panic!("{error}\n{}", builder.to_yaml()))
}

/// What was built and compared by a test.
pub(crate) fn compared_by(test: fn()) -> Vec<String> {
    COMPARED.take();
    test();
    COMPARED.take()
}

/// What is kept, what tasks read and write, and what becomes of what fails: all of a plan but its expressions.
fn skeleton(topology: &Topology) -> Vec<BTreeSet<String>> {
    let source = |what: &str, topic: &str, source: &Source| {
        let (from, errors) = (source.offset_reset, source.on_decode_error);
        let (personal, timed) = (source.personal_data, source.timestamp.is_some());
        format!("{what} {topic}, {from:?}, {errors:?}, personal {personal}, timed {timed}")
    };
    let mut parts: Vec<BTreeSet<String>> = topology
        .subtopologies
        .iter()
        .map(|part| {
            let sources = part.sources.iter().map(|one| source("reads", &one.topic, one));
            let patterns = part.patterns.iter().map(|one| source("matches", one.pattern.as_str(), &one.source));
            let stores = part
                .stores
                .iter()
                .map(|store| format!("keeps {} ({:?}) in {:?}", store.name, store.kind, store.changelog));
            let sinks = part.nodes.iter().filter_map(|node| match &node.verb {
                Verb::Sink(sink) => {
                    let topics: Vec<_> = sink.topic.names().collect();
                    let policies = (node.on_process_error, sink.on_produce_error);
                    let headers: Vec<_> = sink.headers.iter().map(|header| &header.name).collect();
                    Some(format!("writes {topics:?}, {policies:?}, {headers:?}"))
                }
                _ => None,
            });
            sources.chain(patterns).chain(stores).chain(sinks).collect()
        })
        .collect();
    parts.sort();
    let globals = topology.globals.iter().map(|table| source("keeps all of", &table.source.topic, &table.source));
    let topics = topology.topics.iter();
    let topics = topics.map(|topic| format!("{} {:?} {:?} {}", topic.name, topic.role, topic.config, topic.key));
    let about = [topology.description.clone(), format!("{:?}", topology.dead_letters.as_ref().map(|dead| &dead.topic))];
    parts.push(topics.chain(globals).chain(about).collect());
    parts
}

fn parsed(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn records(input: &[Input<'_>]) -> Vec<InputRecord> {
    let record = |(topic, key, value, timestamp): &Input<'_>| InputRecord {
        topic: (*topic).to_owned(),
        partition: None,
        key: parsed(key),
        value: parsed(value),
        value_base64: None,
        timestamp: Some(*timestamp),
        headers: serde_json::Map::new(),
    };
    input.iter().map(record).collect()
}

/// What comes out of a topology.
pub(crate) fn driven(topology: Topology, input: &[Input<'_>], caching: bool) -> Vec<OutputRecord> {
    let options = DriverOptions { caching, ..DriverOptions::default() };
    run(topology, &records(input), &SchemaRegistry::new(), options).0
}

/// What comes out of a topology, with a crash half-way, and ten seconds of the wall clock at the end; and what was counted,
/// such as records that were dropped, and why.
fn run(
    topology: Topology,
    input: &[InputRecord],
    schemas: &SchemaRegistry,
    options: DriverOptions,
) -> (Vec<OutputRecord>, Counters) {
    let mut driver = TopologyDriver::new(Arc::new(topology), schemas, options).expect("a driver");
    for (number, record) in input.iter().enumerate() {
        driver.pipe(record).unwrap_or_else(|error| panic!("record {number}: {error}"));
        if number == input.len() / 2 {
            driver.crash().expect("it comes back");
        }
    }
    driver.finish().expect("it ends");
    driver.advance_wall_clock(10 * SECOND).expect("it goes on");
    (driver.take_outputs(), driver.counters().clone())
}

/// A topology in YAML, and what it is given.
pub(crate) struct Case<'a> {
    yaml: &'a str,
    input: Vec<InputRecord>,
    topics: BTreeMap<String, i32>,
    processors: Processors,
    schemas: SchemaRegistry,
    settings: fn(StreamsBuilder) -> StreamsBuilder,
}

impl<'a> Case<'a> {
    pub(crate) fn new(yaml: &'a str, input: &[Input<'_>]) -> Self {
        let (input, topics) = (records(input), BTreeMap::new());
        let (processors, schemas) = (Processors::new(), SchemaRegistry::new());
        Case { yaml, input, topics, processors, schemas, settings: |builder| builder }
    }

    /// A record comes with these headers, too.
    pub(crate) fn headers(mut self, record: usize, headers: &[(&str, &str)]) -> Self {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).into());
        self.input[record].headers.extend(headers.iter().map(header));
        self
    }

    /// The value of a record is these bytes, in base64.
    pub(crate) fn bytes(mut self, record: usize, base64: &str) -> Self {
        self.input[record].value_base64 = Some(base64.to_owned());
        self
    }

    /// Topics that are there, for patterns to match.
    pub(crate) fn topics<const N: usize>(mut self, topics: [&str; N]) -> Self {
        self.topics = topics.into_iter().map(|topic| (topic.to_owned(), 1)).collect();
        self
    }

    /// What the YAML may name.
    pub(crate) fn processors(self, processors: Processors) -> Self {
        Case { processors, ..self }
    }

    /// There is an Avro schema.
    pub(crate) fn schema(mut self, file: &str, schema: &str) -> Self {
        self.schemas.add(file, schema).expect("a schema");
        self
    }

    /// What is said of the builder as a whole.
    pub(crate) fn settings(self, settings: fn(StreamsBuilder) -> StreamsBuilder) -> Self {
        Case { settings, ..self }
    }

    /// Both are the same: what they keep, what they read and write, and what comes out of them, with a cache and without.
    /// Gives what comes out without.
    pub(crate) fn assert_same(self, build: impl Fn(&StreamsBuilder)) -> Vec<OutputRecord> {
        let agents = Agents::local();
        let options = PlanOptions { registry: &self.schemas, agents: &agents, projection: true };
        let written = load_with("this.yaml", self.yaml, &options, &self.processors);
        let written = written.unwrap_or_else(|problems| panic!("{problems}"));
        let builder = (self.settings)(StreamsBuilder::new(&written.name));
        build(&builder);
        let made = built(&builder);
        assert_eq!(skeleton(&made), skeleton(&written), "{}", builder.to_yaml());
        let [_, last] = [true, false].map(|caching| {
            let [made, written] = [&made, &written].map(|topology| {
                let options = DriverOptions { caching, partitions: self.topics.clone(), ..DriverOptions::default() };
                run(topology.clone(), &self.input, &self.schemas, options)
            });
            assert_eq!(made, written, "caching {caching}\n{}", builder.to_yaml());
            assert!(!made.0.is_empty(), "nothing came out\n{}", builder.to_yaml());
            made.0
        });
        COMPARED.with_borrow_mut(|compared| compared.push(builder.to_yaml()));
        last
    }
}

/// Records of output as text.
pub(crate) fn lines(records: &[OutputRecord]) -> Vec<String> {
    let line =
        |record: &OutputRecord| format!("{} {}={} @{}", record.topic, record.key, record.value, record.timestamp);
    records.iter().map(line).collect()
}

/// Both are the same. Gives what comes out without a cache, as text.
pub(crate) fn assert_same(yaml: &str, build: impl Fn(&StreamsBuilder), input: &[Input<'_>]) -> Vec<String> {
    lines(&Case::new(yaml, input).assert_same(build))
}
