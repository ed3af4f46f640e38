//! The last step: the graph is cut into sub-topologies, and its sources learn which fields are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Planner;
use super::fields::{needed, send_old_values};
use super::graph::{DraftPayload, DraftSource, Graph};
use crate::log::TopicConfig;
use crate::record::Fields;
use crate::topology::partitioning;
use crate::topology::plan::{
    Asks, DeadLetters, Edge, Node, PatternSource, Payload, Source, StoreId, Subtopology, Topic, TopicRole, Topology,
    Verb,
};
use crate::topology::process::Process;
use crate::topology::taint::{Handles, PersonalData};
use crate::yaml::Diagnostic;

/// Which sub-topology everything belongs to, and its position there.
struct Cut {
    sources: Vec<usize>,
    nodes: Vec<(usize, usize)>,
    stores: Vec<(usize, usize)>,
    count: usize,
}

impl Planner<'_> {
    /// The plan, of a graph without mistakes.
    pub(super) fn assemble(mut self, dead_letters: Option<DeadLetters>) -> Option<Topology> {
        send_old_values(&mut self.graph);
        self.add_changelogs();
        let fields = match self.options.projection {
            true => needed(&self.graph),
            false => vec![Fields::All; self.graph.sources.len()],
        };
        let cut = cut(&self.graph);
        let graph = std::mem::take(&mut self.graph);
        let read: BTreeSet<String> = graph.sources.iter().flat_map(|source| &source.topics).cloned().collect();
        let mut parts: Vec<Subtopology> = (0..cut.count)
            .map(|id| Subtopology {
                id,
                sources: Vec::new(),
                patterns: Vec::new(),
                nodes: Vec::new(),
                stores: Vec::new(),
            })
            .collect();
        for ((source, part), fields) in graph.sources.into_iter().zip(&cut.sources).zip(&fields) {
            finish_source(source, fields, &cut, parts.get_mut(*part)?);
        }
        for (node, (part, _)) in graph.nodes.into_iter().zip(&cut.nodes) {
            let outputs = node.outputs.iter().map(|edges| local_edges(edges, &cut)).collect();
            let mut verb = node.verb;
            for store in stores_of(&mut verb) {
                *store = cut.stores.get(*store)?.1;
            }
            if let Verb::Sink(sink) = &mut verb {
                sink.topic.note_read(|topic| read.contains(topic));
                let meets_others = |name: &Arc<str>| {
                    let reader = parts.iter().find(|part| part.sources.iter().any(|source| source.topic == *name));
                    reader.is_some_and(|part| {
                        !part.patterns.is_empty() || part.sources.iter().any(|source| !source.internal)
                    })
                };
                if !sink.topic.names().any(meets_others) {
                    sink.partition_key = None;
                }
            }
            let handles = Handles::default();
            let node = Node { name: node.name, verb, on_process_error: node.on_process_error, handles, outputs };
            parts.get_mut(*part)?.nodes.push(node);
        }
        for (store, (part, _)) in graph.stores.into_iter().zip(&cut.stores) {
            parts.get_mut(*part)?.stores.push(store.spec);
        }
        let topology = Topology {
            name: self.application,
            description: self.spec.description.as_ref().map(|text| text.0.clone()).unwrap_or_default(),
            subtopologies: parts.into_iter().map(Arc::new).collect(),
            globals: graph.globals,
            topics: self.topics.used.into_values().collect(),
            dead_letters,
            schemas: self.options.registry.clone(),
            places: graph.places,
            catalogue: BTreeMap::new(),
            personal_data: PersonalData::default(),
        };
        if let Err(error) = partitioning::resolve(&topology, &BTreeMap::new()) {
            let place = self.spec.topology.as_ref().map_or(0..0, |name| name.span.clone());
            self.problems.report(Diagnostic::new(place, error.to_string()));
            return None;
        }
        Some(topology)
    }

    /// The changelogs of all stores, and how strictly topics of personal data are kept. No changelog has a retention, windows' included: its records carry event time, so
    /// that what is live may be of any age. What has expired gets a tombstone, and compaction takes it away.
    fn add_changelogs(&mut self) {
        let sources = self.graph.sources.iter();
        let sources =
            sources.flat_map(|source| source.topics.iter().map(|topic| (source.personal_data, topic.as_str())));
        let globals = self.graph.globals.iter().map(|table| (table.source.personal_data, &*table.source.topic));
        let sinks = self.graph.nodes.iter().filter_map(|node| match &node.verb {
            Verb::Sink(sink) => Some(sink.topic.names().map(|topic| (sink.personal_data.any(), &**topic))),
            _ => None,
        });
        for (_, topic) in sources.chain(globals).chain(sinks.flatten()).filter(|(personal_data, _)| *personal_data) {
            let topic = self.topics.used.get_mut(topic);
            if let Some(topic) = topic.filter(|topic| topic.config.compacted) {
                topic.config = strict(topic.config.clone());
                topic.asks.delete_retention = true;
            }
        }
        for store in &self.graph.stores {
            let Some(name) = store.spec.changelog.as_deref().map(str::to_owned) else { continue };
            let config = strict(TopicConfig { compacted: true, ..TopicConfig::new(0) });
            let (role, asks) = (TopicRole::Changelog, Asks::ALL);
            let topic = Topic { name: name.clone(), role, config, asks, key: store.key.clone(), value: None };
            self.topics.used.insert(name, topic);
        }
    }
}

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// How a compacted topic is kept whose overwritten and deleted values must be gone in time, because they may be
/// somebody's personal data: a day after they were overwritten, and their tombstones a day later.
fn strict(config: TopicConfig) -> TopicConfig {
    TopicConfig {
        delete_retention: config.delete_retention.min(DAY),
        max_compaction_lag: Some(DAY),
        segment: Some(DAY),
        ..config
    }
}

/// A source of several topics becomes one for each: they differ in nothing but the topic.
fn finish_source(draft: DraftSource, fields: &Fields, cut: &Cut, part: &mut Subtopology) {
    let (topics, pattern) = (draft.topics.clone(), draft.pattern.clone());
    let (key, value) = (draft.key.format.clone(), draft.value.format());
    let text = pattern.as_ref().map(ToString::to_string).unwrap_or_default();
    let source = one_source(draft, &text, fields, cut);
    if let Some(pattern) = pattern {
        part.patterns.push(PatternSource { pattern, source, key, value });
        return;
    }
    part.sources.extend(topics.iter().map(|topic| Source { topic: topic.as_str().into(), ..source.clone() }));
}

fn one_source(source: DraftSource, topic: &str, fields: &Fields, cut: &Cut) -> Source {
    let (internal, value) = match source.value {
        DraftPayload::Serde(serde) => (false, Payload::Serde(serde.deserializer(fields))),
        DraftPayload::Internal(shape) => (true, Payload::Internal(shape)),
    };
    Source {
        name: source.name,
        topic: topic.into(),
        internal,
        personal_data: source.personal_data,
        personal_keys: false,
        personal_times: false,
        key: source.key.deserializer(&Fields::All),
        value,
        fields: fields.clone(),
        timestamp: source.timestamp,
        offset_reset: source.offset_reset,
        on_decode_error: source.on_decode_error,
        outputs: local_edges(&source.outputs, cut),
    }
}

fn local_edges(edges: &[Edge], cut: &Cut) -> Vec<Edge> {
    let local = |edge: &Edge| cut.nodes.get(edge.node).map(|(_, node)| Edge { node: *node, input: edge.input });
    edges.iter().filter_map(local).collect()
}

/// The stores that a node uses.
fn stores_of(verb: &mut Verb) -> Vec<&mut StoreId> {
    match verb {
        Verb::ToTable { store, .. } | Verb::Deduplicate { store, .. } => vec![store],
        Verb::Aggregate(aggregate) => {
            std::iter::once(&mut aggregate.store).chain(&mut aggregate.index).chain(&mut aggregate.pending).collect()
        }
        Verb::Suppress(suppress) => std::iter::once(&mut suppress.buffer).chain(&mut suppress.index).collect(),
        Verb::StreamTableJoin { table, .. } => vec![table],
        Verb::ForeignKeyAnswer(answer) => vec![&mut answer.subscriptions, &mut answer.rows],
        Verb::ForeignKeyResolve(resolve) => std::iter::once(&mut resolve.rows).chain(&mut resolve.joined).collect(),
        Verb::StreamStreamJoin(join) => join.stores_mut().collect(),
        Verb::TableTableJoin { stores, .. } | Verb::Process(Process { stores, .. }) => stores.iter_mut().collect(),
        Verb::VersionedTable { versions, .. } => vec![&mut versions.latest, &mut versions.history],
        Verb::StreamVersionedJoin(join) => {
            let wait = join.wait.as_mut().map(|(store, _)| store);
            [&mut join.versions.latest, &mut join.versions.history].into_iter().chain(wait).collect()
        }
        _ => Vec::new(),
    }
}

/// Sources, nodes and stores that are connected belong together.
fn cut(graph: &Graph) -> Cut {
    let (sources, nodes) = (graph.sources.len(), graph.nodes.len());
    let mut sets = Sets((0..sources + nodes + graph.stores.len()).collect());
    for (index, source) in graph.sources.iter().enumerate() {
        source.outputs.iter().for_each(|edge| sets.join(index, sources + edge.node));
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        node.outputs.iter().flatten().for_each(|edge| sets.join(sources + index, sources + edge.node));
        for store in stores_of(&mut node.verb.clone()) {
            sets.join(sources + index, sources + nodes + *store);
        }
    }
    let mut roots: Vec<usize> = Vec::new();
    let mut part_of = |element: usize| {
        let root = sets.root(element);
        roots.iter().position(|known| *known == root).unwrap_or_else(|| {
            roots.push(root);
            roots.len() - 1
        })
    };
    let of_sources: Vec<usize> = (0..sources).map(&mut part_of).collect();
    let of_nodes: Vec<usize> = (0..nodes).map(|node| part_of(sources + node)).collect();
    let of_stores: Vec<usize> = (0..graph.stores.len()).map(|store| part_of(sources + nodes + store)).collect();
    let count = roots.len();
    Cut { sources: of_sources, nodes: numbered(&of_nodes, count), stores: numbered(&of_stores, count), count }
}

/// Gives each element its position among those of its part.
fn numbered(parts: &[usize], count: usize) -> Vec<(usize, usize)> {
    let mut next = vec![0; count];
    let number = |part: &usize| {
        let slot = next.get_mut(*part).map(|slot| std::mem::replace(slot, *slot + 1));
        (*part, slot.unwrap_or_default())
    };
    parts.iter().map(number).collect()
}

/// Disjoint sets; every element points towards its set's smallest.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&self, mut element: usize) -> usize {
        while let Some(&above) = self.0.get(element)
            && above != element
        {
            element = above;
        }
        element
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
