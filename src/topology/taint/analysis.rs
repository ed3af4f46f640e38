//! Follows personal data through a plan until nothing new is learnt, and finds where it must not go.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::offences::Offence;
use super::origins::{Incoming, Known, Origins, Written};
use super::traces::Traces;
use super::verbs::{Contents, Step, asked, sent};
use super::{Handles, PersonalData, PersonalOrigin, PersonalPlace, PlaceKind, named};
use crate::serdes::Format;
use crate::topology::plan::{Edge, Node, Sink, Source, Subtopology, Topology, Verb};

/// What is found out about a plan.
#[derive(Debug)]
pub(in crate::topology) struct Analysis {
    /// Where personal data lies, for people.
    pub(in crate::topology) personal_data: PersonalData,
    /// What the sources of each sub-topology bring, in their order, those by pattern last.
    pub(in crate::topology) sources: Vec<Vec<Handles>>,
    /// What the global tables hold.
    pub(in crate::topology) globals: Vec<Handles>,
    /// What the nodes of each sub-topology come to see.
    pub(in crate::topology) nodes: Vec<Vec<Handles>>,
    /// Where it must not go.
    pub(in crate::topology) offences: Vec<Offence>,
}

/// Follows personal data through a plan.
pub(in crate::topology) fn analyse(topology: &Topology, origins: &Origins<'_>) -> Analysis {
    let mut run = Run::new(topology, origins);
    while run.round() {}
    run.finish(origins)
}

/// What is known so far.
pub(super) struct Run<'t> {
    pub(super) topology: &'t Topology,
    pub(super) traces: Traces,
    origins: Vec<PersonalOrigin>,
    unknown: Vec<PersonalOrigin>,
    /// What the sources of each sub-topology give by what is said of them, those by name first, then those by pattern.
    sources: Vec<Vec<Incoming>>,
    /// What they have given so far.
    given: Vec<Vec<Contents>>,
    /// What comes to each node of each sub-topology, by input.
    pub(super) inputs: Vec<Vec<Vec<Contents>>>,
    /// What each node of each sub-topology has seen.
    handles: Vec<Vec<Handles>>,
    stores: Vec<Vec<Contents>>,
    topics: Topics,
    /// What the global tables hold by what is said of them, and with what the topology itself writes.
    globals: Vec<Contents>,
}

/// What the application itself writes.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// To its internal topics.
    pub(super) internal: BTreeMap<Arc<str>, Contents>,
    /// To topics by name.
    pub(super) named: BTreeMap<Arc<str>, Contents>,
}

impl Topics {
    /// What may come back from a topic. What is written by pattern never does, nor does anything from topics that are read
    /// by pattern: patterns leave out what the topology names, and sinks what a source reads by pattern.
    fn of_name(&self, topic: &str) -> Contents {
        self.named.get(topic).cloned().unwrap_or_default()
    }
}

impl<'t> Run<'t> {
    fn new(topology: &'t Topology, origins: &Origins<'_>) -> Self {
        let written = Written::new(topology);
        let mut known = Known::default();
        let formats: BTreeMap<&str, (&Format, Option<&Format>)> =
            topology.topics.iter().map(|topic| (topic.name.as_str(), (&topic.key, topic.value.as_ref()))).collect();
        let mut of = |source: &Source, formats: Option<(&Format, &Format)>| match formats {
            Some(formats) if !source.internal => origins.of_source(source, formats, &written, &mut known),
            _ => Incoming::default(),
        };
        let of_topic = |topic: &str| formats.get(topic).and_then(|(key, value)| Some((*key, (*value)?)));
        let mut sources = Vec::new();
        for part in &topology.subtopologies {
            let named = part.sources.iter().map(|source| (source, of_topic(&source.topic)));
            let matching = part.patterns.iter().map(|found| (&found.source, Some((&found.key, &found.value))));
            sources.push(named.chain(matching).map(|(source, formats)| of(source, formats)).collect());
        }
        let globals =
            topology.globals.iter().map(|table| of(&table.source, of_topic(&table.source.topic)).all).collect();
        let Known { traces, origins, unknown } = known;
        let parts = || topology.subtopologies.iter();
        Run {
            topology,
            traces,
            origins,
            unknown,
            sources,
            given: parts().map(|part| vec![Contents::default(); part.sources.len() + part.patterns.len()]).collect(),
            inputs: parts().map(|part| vec![Vec::new(); part.nodes.len()]).collect(),
            handles: parts().map(|part| vec![Handles::default(); part.nodes.len()]).collect(),
            stores: parts().map(|part| vec![Contents::default(); part.stores.len()]).collect(),
            topics: Topics::default(),
            globals,
        }
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
        for (table, held) in self.topology.globals.iter().zip(&mut self.globals) {
            more |= held.join(&self.topics.of_name(&table.source.topic));
        }
        more
    }

    /// Hands on what the sources of a sub-topology give: what is said of their topics, and what the topology itself writes
    /// to them.
    fn read(&mut self, number: usize, part: &Subtopology) -> bool {
        let mut more = false;
        let named = part.sources.iter().map(|source| (source, false));
        let matching = part.patterns.iter().map(|found| (&found.source, true));
        for (position, (source, by_pattern)) in named.chain(matching).enumerate() {
            let own = match source {
                _ if by_pattern => Contents::default(),
                Source { internal: true, topic, .. } => self.topics.internal.get(topic).cloned().unwrap_or_default(),
                Source { topic, .. } => self.topics.of_name(topic),
            };
            let said = self.sources.get(number).and_then(|all| all.get(position)).cloned().unwrap_or_default();
            let (mut contents, mut stated) = (said.all, said.stated);
            contents.join(&own);
            if !source.internal {
                // What nobody reads is not decoded.
                contents.value = contents.value.restricted(&source.fields);
            }
            // With the time at which it came: a dead letter has that, not the one that is computed.
            if let Some(given) = self.given.get_mut(number).and_then(|all| all.get_mut(position)) {
                more |= given.join(&contents);
            }
            if let Some(timestamp) = &source.timestamp {
                // That a whole value counts says nothing of its times.
                stated.join(&own);
                contents.timestamp = timestamp.flow(&stated.given(Vec::new())).flattened();
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
            topics: &mut self.topics,
            globals: &self.globals,
            traces: &mut self.traces,
            more: false,
            saw: Cell::default(),
        };
        let outputs = step.outputs();
        let (mut more, saw) = (step.more, step.saw.get());
        if let Some(handles) = self.handles.get_mut(number).and_then(|nodes| nodes.get_mut(position)) {
            *handles = inputs.iter().chain(&outputs).fold(saw, |all, contents| all.and(contents.handles()));
        }
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
        let (mut offences, mut undeclared) = (Vec::new(), Vec::new());
        let mut places = Vec::new();
        for (number, part) in self.topology.subtopologies.iter().enumerate() {
            for (position, node) in part.nodes.iter().enumerate() {
                let inputs = self.inputs.get(number).and_then(|nodes| nodes.get(position)).cloned().unwrap_or_default();
                self.offences_of((number, position), node, &inputs, origins, &mut offences);
                let asked = asked(&node.verb, &inputs, &mut self.traces);
                if asked.is_some_and(|(agent, given)| agent.takes_personal_data() && given.is_clean()) {
                    undeclared.push(node.name.clone());
                }
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
        let internal = self.topics.internal.iter();
        places.extend(internal.map(|(topic, held)| (PlaceKind::InternalTopic, topic.to_string(), parts(held))));
        let globals = self.topology.globals.iter().zip(&self.globals);
        places.extend(globals.map(|(table, held)| (PlaceKind::GlobalTable, table.source.name.clone(), parts(held))));
        let personal_data = PersonalData { undeclared, ..self.described(places) };
        let handles = |all: &Vec<Contents>| all.iter().map(Contents::handles).collect::<Vec<_>>();
        Analysis {
            personal_data,
            sources: self.given.iter().map(handles).collect(),
            globals: handles(&self.globals),
            nodes: self.handles,
            offences,
        }
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
        PersonalData {
            origins: self.origins.clone(),
            places: merged,
            unknown: self.unknown.clone(),
            undeclared: Vec::new(),
        }
    }
}

/// The parts of a record that are personal data, as people name them.
fn parts(contents: &Contents) -> Vec<String> {
    let all = [("key", &contents.key), ("value", &contents.value), ("headers", &contents.headers)];
    let all = all.into_iter().chain([("timestamp", &contents.timestamp)]);
    all.flat_map(|(of, taint)| taint.paths().into_iter().map(move |(path, _)| named(of, &path))).collect()
}
