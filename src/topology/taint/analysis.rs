//! Follows personal data through a plan until nothing new is learnt, and finds where it must not go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::origins::{Origins, at, written};
use super::traces::{At, Traces};
use super::verbs::{Contents, Step, asked, sent};
use super::{PersonalData, PersonalOrigin, PersonalPlace, PlaceKind, named};
use crate::expression::{Mark, Part, Path, Taint};
use crate::serdes::Format;
use crate::topology::plan::{Edge, Node, Sink, SinkTopic, Source, Subtopology, Topology, Verb};

/// What is found out about a plan.
#[derive(Debug)]
pub(in crate::topology) struct Analysis {
    /// Where personal data lies, for people.
    pub(in crate::topology) personal_data: PersonalData,
    /// The sub-topologies in which keys hold some.
    pub(in crate::topology) personal_keys: BTreeSet<usize>,
    /// Where it must not go.
    pub(in crate::topology) offences: Vec<Offence>,
}

/// Personal data where it must not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) struct Offence {
    /// The node that would take it there.
    pub(in crate::topology) node: String,
    /// Where to.
    pub(in crate::topology) to: Written,
    /// The part of what is written: `value.note`.
    pub(in crate::topology) part: String,
    /// The way to it from the value, where the part is one of the value.
    pub(in crate::topology) path: Option<Path>,
    /// Where the data comes from, in words.
    pub(in crate::topology) origin: String,
    /// The nodes on the way, in order; the one that takes it there comes after them.
    pub(in crate::topology) way: Vec<String>,
}

/// Where personal data would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) enum Written {
    /// To a topic that is not declared for it.
    Undeclared(String),
    /// To a topic that is, by a schema, in this file, that does not mark it.
    Unmarked(String),
    /// Into the name of a topic.
    TopicName,
    /// To the log of the process.
    Log,
    /// To an agent that does not take it.
    Agent(String),
}

/// Follows personal data through a plan.
pub(in crate::topology) fn analyse(topology: &Topology, origins: &Origins<'_>) -> Analysis {
    let mut run = Run::new(topology, origins);
    while run.round() {}
    run.finish(origins)
}

/// What is known so far.
struct Run<'t> {
    topology: &'t Topology,
    traces: Traces,
    origins: Vec<PersonalOrigin>,
    /// What the sources of each sub-topology give, those by name first, then those by pattern.
    sources: Vec<Vec<Contents>>,
    /// What comes to each node of each sub-topology, by input.
    inputs: Vec<Vec<Vec<Contents>>>,
    stores: Vec<Vec<Contents>>,
    internal: BTreeMap<Arc<str>, Contents>,
    globals: Vec<Contents>,
}

impl<'t> Run<'t> {
    fn new(topology: &'t Topology, origins: &Origins<'_>) -> Self {
        let written = written(topology);
        let mut known = (Traces::default(), Vec::new());
        let formats: BTreeMap<&str, (&Format, Option<&Format>)> =
            topology.topics.iter().map(|topic| (topic.name.as_str(), (&topic.key, topic.value.as_ref()))).collect();
        let mut of = |source: &Source, formats: Option<(&Format, &Format)>| match formats {
            Some(formats) if !source.internal => {
                let mut all = origins.of_source(&source.name, &source.topic, formats, &written, &mut known);
                // What nobody reads is not decoded.
                all.value = all.value.restricted(&source.fields);
                all
            }
            _ => Contents::default(),
        };
        let of_topic = |topic: &str| formats.get(topic).and_then(|(key, value)| Some((*key, (*value)?)));
        let mut sources = Vec::new();
        for part in &topology.subtopologies {
            let named = part.sources.iter().map(|source| (source, of_topic(&source.topic)));
            let matching = part.patterns.iter().map(|found| (&found.source, Some((&found.key, &found.value))));
            sources.push(named.chain(matching).map(|(source, formats)| of(source, formats)).collect());
        }
        let globals = topology.globals.iter().map(|table| of(&table.source, of_topic(&table.source.topic))).collect();
        let (traces, origins) = known;
        let stores = topology.subtopologies.iter().map(|part| vec![Contents::default(); part.stores.len()]).collect();
        let inputs = topology.subtopologies.iter().map(|part| vec![Vec::new(); part.nodes.len()]).collect();
        Run { topology, traces, origins, sources, inputs, stores, internal: BTreeMap::new(), globals }
    }

    /// Goes through the plan once; whether anything new was learnt.
    fn round(&mut self) -> bool {
        let mut more = false;
        for (number, part) in self.topology.subtopologies.iter().enumerate() {
            more |= self.read(number, part);
            for (position, node) in part.nodes.iter().enumerate() {
                more |= self.run(number, position, node);
            }
        }
        more
    }

    /// Hands on what the sources of a sub-topology give.
    fn read(&mut self, number: usize, part: &Subtopology) -> bool {
        let mut more = false;
        let sources = part.sources.iter().chain(part.patterns.iter().map(|pattern| &pattern.source));
        for (position, source) in sources.enumerate() {
            let mut contents = match source.internal {
                true => self.internal.get(&source.topic).cloned().unwrap_or_default(),
                false => self.sources.get(number).and_then(|all| all.get(position)).cloned().unwrap_or_default(),
            };
            if let Some(timestamp) = &source.timestamp {
                contents.timestamp = timestamp.flow(&contents.given(Vec::new())).flattened();
            }
            more |= self.hand_on(number, &source.outputs, &contents);
        }
        more
    }

    fn run(&mut self, number: usize, position: usize, node: &Node) -> bool {
        let inputs = self.inputs.get(number).and_then(|nodes| nodes.get(position)).cloned().unwrap_or_default();
        let mut none = Vec::new();
        let mut step = Step {
            at: (number, position),
            node,
            inputs: &inputs,
            stores: self.stores.get_mut(number).unwrap_or(&mut none),
            internal: &mut self.internal,
            globals: &self.globals,
            traces: &mut self.traces,
            more: false,
        };
        let outputs = step.outputs();
        let mut more = step.more;
        for (edges, contents) in node.outputs.iter().zip(&outputs) {
            more |= self.hand_on(number, edges, contents);
        }
        more
    }

    fn hand_on(&mut self, number: usize, edges: &[Edge], contents: &Contents) -> bool {
        let mut more = false;
        for edge in edges {
            let Some(inputs) = self.inputs.get_mut(number).and_then(|nodes| nodes.get_mut(edge.node)) else { continue };
            if inputs.len() <= edge.input {
                inputs.resize(edge.input + 1, Contents::default());
            }
            if let Some(input) = inputs.get_mut(edge.input) {
                more |= input.join(contents);
            }
        }
        more
    }

    fn finish(mut self, origins: &Origins<'_>) -> Analysis {
        let mut offences = Vec::new();
        let mut places = Vec::new();
        for (number, part) in self.topology.subtopologies.iter().enumerate() {
            for (position, node) in part.nodes.iter().enumerate() {
                let inputs = self.inputs.get(number).and_then(|nodes| nodes.get(position)).cloned().unwrap_or_default();
                self.offences_of(node, &inputs, origins, &mut offences);
                if let (Verb::Sink(sink @ Sink { internal: false, .. }), Some(input)) = (&node.verb, inputs.first()) {
                    let parts = parts(&sent(sink, input));
                    let names = sink.topic.names().map(ToString::to_string);
                    let pattern = sink.topic.pattern().map(|pattern| format!("topics that match {pattern}"));
                    places.extend(names.chain(pattern).map(|name| (PlaceKind::Topic, name, parts.clone())));
                }
            }
            for (store, held) in part.stores.iter().zip(self.stores.get(number).into_iter().flatten()) {
                places.push((PlaceKind::Store, store.name.clone(), parts(held)));
            }
        }
        let internal = self.internal.iter();
        places.extend(internal.map(|(topic, held)| (PlaceKind::InternalTopic, topic.to_string(), parts(held))));
        let globals = self.topology.globals.iter().zip(&self.globals);
        places.extend(globals.map(|(table, held)| (PlaceKind::GlobalTable, table.source.name.clone(), parts(held))));
        Analysis { personal_keys: self.personal_keys(), personal_data: self.described(places), offences }
    }

    fn described(&self, mut places: Vec<(PlaceKind, String, Vec<String>)>) -> PersonalData {
        places.sort();
        let mut merged: Vec<PersonalPlace> = Vec::new();
        for (kind, name, parts) in places.into_iter().filter(|(_, _, parts)| !parts.is_empty()) {
            match merged.last_mut().filter(|last| last.kind == kind && last.name == name) {
                Some(last) => {
                    last.parts.extend(parts);
                    last.parts.sort();
                    last.parts.dedup();
                }
                None => merged.push(PersonalPlace { kind, name, parts }),
            }
        }
        PersonalData { origins: self.origins.clone(), places: merged }
    }

    /// Where any record that a task handles may have personal data in its key: what becomes of it as a dead letter.
    fn personal_keys(&self) -> BTreeSet<usize> {
        let has = |number: &usize| {
            let inputs = self.inputs.get(*number).into_iter().flatten().flatten();
            let sources = self.sources.get(*number).into_iter().flatten();
            inputs.chain(sources).any(|contents| !contents.key.is_clean())
        };
        (0..self.topology.subtopologies.len()).filter(has).collect()
    }

    fn offences_of(&mut self, node: &Node, inputs: &[Contents], origins: &Origins<'_>, found: &mut Vec<Offence>) {
        let none = Contents::default();
        let input = inputs.first().unwrap_or(&none);
        match &node.verb {
            Verb::Peek { message } => {
                let shown = message.flow(&input.given(Vec::new()));
                self.refuse(node, &Written::Log, "value", &shown, found);
            }
            Verb::Sink(sink) if !sink.internal => self.offences_of_sink(node, sink, input, origins, found),
            verb => {
                let asked = asked(verb, inputs, &mut self.traces);
                if let Some((agent, given)) = asked.filter(|(agent, _)| !agent.takes_personal_data()) {
                    self.refuse(node, &Written::Agent(agent.name().to_owned()), "input", &given, found);
                }
            }
        }
    }

    fn offences_of_sink(
        &self,
        node: &Node,
        sink: &Sink,
        input: &Contents,
        origins: &Origins<'_>,
        found: &mut Vec<Offence>,
    ) {
        if let SinkTopic::Chosen(chosen) = &sink.topic {
            let name = chosen.expression.flow(&input.given(Vec::new()));
            self.refuse(node, &Written::TopicName, "topic", &name, found);
        }
        let sent = sent(sink, input);
        if !sink.personal_data {
            let names: Vec<&str> = sink.topic.names().map(|topic| &**topic).collect();
            let to = Written::Undeclared(match sink.topic.pattern() {
                Some(pattern) => pattern.to_string(),
                None => names.join(", "),
            });
            let all = [("key", &sent.key), ("value", &sent.value), ("headers", &sent.headers)];
            for (of, taint) in all.into_iter().chain([("timestamp", &sent.timestamp)]) {
                self.refuse(node, &to, of, taint, found);
            }
            return;
        }
        let topic = |name: &str| self.topology.topics.iter().find(|topic| topic.name == name);
        let formats = match &sink.topic {
            SinkTopic::One { topic: name, .. } => {
                topic(name).and_then(|topic| Some((&topic.key, topic.value.as_ref()?)))
            }
            SinkTopic::Chosen(chosen) => Some((&chosen.key, &chosen.value)),
        };
        let Some((key, value)) = formats else { return };
        for (of, taint, format) in [("key", &sent.key, key), ("value", &sent.value, value)] {
            let Format::Avro(_) = format else { continue };
            let (marked, file) = origins.marked(format);
            let unmarked = unmarked(taint, &marked);
            self.refuse(node, &Written::Unmarked(file.to_owned()), of, &unmarked, found);
        }
    }

    /// Refuses every part of something that is personal data.
    fn refuse(&self, node: &Node, to: &Written, of: &str, taint: &Taint, found: &mut Vec<Offence>) {
        for (path, mark) in taint.paths() {
            let (origin, way) = self.traces.way(mark);
            let name = |at: &At| self.topology.subtopologies.get(at.0)?.nodes.get(at.1).map(|node| node.name.clone());
            found.push(Offence {
                node: node.name.clone(),
                to: to.clone(),
                part: named(of, &path),
                origin: origin.to_owned(),
                way: way.iter().filter_map(name).collect(),
                path: (of == "value").then_some(path),
            });
        }
    }
}

/// What of it is personal data and not marked. Of what counts as a whole, such as what a function of Rust has made, only
/// its author knows which parts hold some: there the marks of the schema are believed.
fn unmarked(taint: &Taint, marked: &[Path]) -> Taint {
    let allowed = marked.iter().fold(Taint::clean(), |all, path| all.joined(&at(path, Mark(0))));
    let is_allowed = |path: &Path| {
        let reached = path.0.iter().fold(allowed.clone(), |taint, part| match part {
            Part::Field(name) => taint.field(name),
            Part::Element => taint.element(),
        });
        !reached.is_clean()
    };
    let left = taint.paths().into_iter().filter(|(path, _)| !is_allowed(path));
    left.fold(Taint::clean(), |all, (path, mark)| all.joined(&at(&path, mark)))
}

/// The parts of a record that are personal data, as people name them.
fn parts(contents: &Contents) -> Vec<String> {
    let all = [("key", &contents.key), ("value", &contents.value), ("headers", &contents.headers)];
    let all = all.into_iter().chain([("timestamp", &contents.timestamp)]);
    all.flat_map(|(of, taint)| taint.paths().into_iter().map(move |(path, _)| named(of, &path))).collect()
}
