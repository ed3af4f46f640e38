//! A plan as a picture: Mermaid and DOT, from the same boxes and arrows.

use std::collections::{BTreeMap, BTreeSet};

use super::{resolved, summary};
use crate::topology::TopicPattern;
use crate::topology::pattern;
use crate::topology::plan::{Edge, Topology, Verb};

/// What a box stands for; each kind has its own outline.
#[derive(Clone, Copy, PartialEq)]
enum Outline {
    Topic,
    Node,
    Store,
}

struct Shape {
    id: String,
    label: String,
    outline: Outline,
}

struct Picture {
    /// Topics stand outside of the sub-topologies.
    topics: Vec<Shape>,
    parts: Vec<(String, Vec<Shape>)>,
    arrows: Vec<(String, String)>,
    /// Stores that nodes use, without direction.
    uses: Vec<(String, String)>,
}

fn picture(topology: &Topology) -> Picture {
    let resolved = resolved(topology);
    let mut ids = BTreeMap::new();
    let mut picture = Picture { topics: Vec::new(), parts: Vec::new(), arrows: Vec::new(), uses: Vec::new() };
    let shown = topology.topics.iter().filter(|topic| topic.role != crate::topology::plan::TopicRole::Changelog);
    for (number, topic) in shown.enumerate() {
        let partitions = resolved.get(&topic.name).map_or(0, |config| config.partitions);
        let id = format!("topic{number}");
        let label = format!("{} ({partitions})", topic.name);
        picture.topics.push(Shape { id: id.clone(), label, outline: Outline::Topic });
        ids.insert(topic.name.as_str(), id);
    }
    let patterns: BTreeSet<&str> = pattern::patterns(topology).map(TopicPattern::as_str).collect();
    for (number, pattern) in patterns.into_iter().enumerate() {
        let id = format!("pattern{number}");
        picture.topics.push(Shape { id: id.clone(), label: pattern.to_owned(), outline: Outline::Topic });
        ids.insert(pattern, id);
    }
    let topic = |name: &str| ids.get(name).cloned().unwrap_or_default();
    for part in &topology.subtopologies {
        let node_id = |node: usize| format!("s{}n{node}", part.id);
        let mut shapes = Vec::new();
        let mut connect = |from: &str, edges: &[Edge]| {
            picture.arrows.extend(edges.iter().map(|edge| (from.to_owned(), node_id(edge.node))));
        };
        for source in part.sources.iter().chain(part.patterns.iter().map(|pattern| &pattern.source)) {
            connect(&topic(&source.topic), &source.outputs);
        }
        for (number, node) in part.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|edges| connect(&node_id(number), edges));
        }
        for (number, node) in part.nodes.iter().enumerate() {
            let label = format!("{}\n{}", node.name, shortened(&summary(part, &node.verb)));
            shapes.push(Shape { id: node_id(number), label, outline: Outline::Node });
            let stores = match &node.verb {
                Verb::Sink(sink) => {
                    let names = sink.topic.names().map(|name| &**name);
                    let targets = names.chain(sink.topic.pattern().map(TopicPattern::as_str));
                    picture.arrows.extend(targets.map(|target| (node_id(number), topic(target))));
                    Vec::new()
                }
                Verb::ToTable { store, .. } | Verb::Deduplicate { store, .. } => vec![*store],
                Verb::Aggregate(aggregate) => vec![aggregate.store],
                Verb::StreamTableJoin { table, .. } => vec![*table],
                Verb::TableTableJoin { stores, .. } => stores.clone(),
                Verb::Process(process) => process.stores.clone(),
                Verb::ForeignKeyAnswer(answer) => vec![answer.subscriptions, answer.rows],
                Verb::ForeignKeyResolve(resolve) => std::iter::once(resolve.rows).chain(resolve.joined).collect(),
                Verb::StreamStreamJoin(join) => join.stores().collect(),
                Verb::VersionedTable { versions, .. } => vec![versions.latest, versions.history],
                Verb::StreamVersionedJoin(join) => {
                    let wait = join.wait.map(|(store, _)| store);
                    [join.versions.latest, join.versions.history].into_iter().chain(wait).collect()
                }
                Verb::StreamGlobalJoin(join) => {
                    let read = topology.globals.get(join.table).map(|table| topic(&table.source.topic));
                    picture.arrows.extend(read.map(|topic| (topic, node_id(number))));
                    Vec::new()
                }
                _ => Vec::new(),
            };
            picture.uses.extend(stores.iter().map(|store| (node_id(number), format!("s{}t{store}", part.id))));
        }
        for (number, store) in part.stores.iter().enumerate() {
            let id = format!("s{}t{number}", part.id);
            shapes.push(Shape { id, label: store.name.clone(), outline: Outline::Store });
        }
        picture.parts.push((format!("sub-topology {}", part.id), shapes));
    }
    picture
}

/// A Mermaid flowchart.
pub(super) fn mermaid(topology: &Topology) -> String {
    let picture = picture(topology);
    let mut text = "flowchart LR\n".to_owned();
    let shape = |shape: &Shape| {
        let label = shape.label.replace('"', "#quot;").replace('\n', "<br/>");
        match shape.outline {
            Outline::Topic => format!("{}([\"{label}\"])\n", shape.id),
            Outline::Node => format!("{}[\"{label}\"]\n", shape.id),
            Outline::Store => format!("{}[(\"{label}\")]\n", shape.id),
        }
    };
    for topic in &picture.topics {
        text.push_str(&format!("  {}", shape(topic)));
    }
    for (number, (name, shapes)) in picture.parts.iter().enumerate() {
        text.push_str(&format!("  subgraph part{number}[\"{name}\"]\n"));
        shapes.iter().for_each(|inner| text.push_str(&format!("    {}", shape(inner))));
        text.push_str("  end\n");
    }
    picture.arrows.iter().for_each(|(from, to)| text.push_str(&format!("  {from} --> {to}\n")));
    picture.uses.iter().for_each(|(node, store)| text.push_str(&format!("  {node} -.- {store}\n")));
    text
}

/// A Graphviz digraph.
pub(super) fn dot(topology: &Topology) -> String {
    let picture = picture(topology);
    let quoted = |label: &str| label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let shape = |shape: &Shape| {
        let outline = match shape.outline {
            Outline::Topic => "cds",
            Outline::Node => "box",
            Outline::Store => "cylinder",
        };
        format!("{} [label=\"{}\", shape={outline}];\n", shape.id, quoted(&shape.label))
    };
    let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", quoted(&topology.name));
    picture.topics.iter().for_each(|topic| text.push_str(&format!("  {}", shape(topic))));
    for (number, (name, shapes)) in picture.parts.iter().enumerate() {
        text.push_str(&format!("  subgraph cluster_{number} {{\n    label=\"{name}\";\n"));
        shapes.iter().for_each(|inner| text.push_str(&format!("    {}", shape(inner))));
        text.push_str("  }\n");
    }
    picture.arrows.iter().for_each(|(from, to)| text.push_str(&format!("  {from} -> {to};\n")));
    picture
        .uses
        .iter()
        .for_each(|(node, store)| text.push_str(&format!("  {node} -> {store} [dir=none, style=dashed];\n")));
    text.push_str("}\n");
    text
}

/// A label that fits into a box.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MOST).collect();
    format!("{kept}..")
}
