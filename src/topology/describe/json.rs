//! A plan as JSON.

use serde_json::{Value, json};

use super::{catalogue, cleanup, fields, policy, resolved, role, summary};
use crate::state::StoreKind;
use crate::topology::partitioning;
use crate::topology::plan::{Edge, Subtopology, Topology};

/// The whole plan, indented.
pub(super) fn render(topology: &Topology) -> String {
    let topics = resolved(topology);
    let parts: Vec<Value> = topology
        .subtopologies
        .iter()
        .map(|part| {
            json!({
                "id": part.id,
                "tasks": partitioning::tasks(part, &topics),
                "sources": sources(part),
                "nodes": nodes(part),
                "stores": stores(part),
            })
        })
        .collect();
    let topics: Vec<Value> = topology
        .topics
        .iter()
        .map(|topic| {
            let config = topics.get(&topic.name).unwrap_or(&topic.config);
            json!({
                "name": topic.name,
                "role": role(topic),
                "partitions": config.partitions,
                "key": topic.key.to_string(),
                "value": topic.value.as_ref().map(ToString::to_string),
                "cleanup": cleanup(config),
                "retention_ms": config.retention,
            })
        })
        .collect();
    let globals: Vec<Value> = topology
        .globals
        .iter()
        .map(|table| {
            json!({
                "name": table.source.name,
                "topic": &*table.source.topic,
                "timestamp": table.source.timestamp.as_ref().map(|timestamp| timestamp.source()),
                "personal_data": table.source.personal_data,
                "on_decode_error": policy(table.source.on_decode_error),
            })
        })
        .collect();
    let dead_letters = topology.dead_letters.as_ref().map(|dead_letters| dead_letters.topic.to_string());
    let plan = json!({
        "topology": topology.name,
        "description": topology.description,
        "dead_letters": dead_letters,
        "global_tables": globals,
        "subtopologies": parts,
        "topics": topics,
        "schemas": catalogue::schemas(topology),
        "personal_data": catalogue::personal_data(topology),
    });
    format!("{plan:#}\n")
}

fn names(part: &Subtopology, edges: &[Edge]) -> Vec<Value> {
    let nodes = edges.iter().filter_map(|edge| part.nodes.get(edge.node));
    nodes.map(|node| node.name.clone().into()).collect()
}

fn sources(part: &Subtopology) -> Vec<Value> {
    let patterns = part.patterns.iter().map(|pattern| (&pattern.source, "pattern"));
    let sources = part.sources.iter().map(|source| (source, "topic")).chain(patterns);
    sources
        .map(|(source, what)| {
            json!({
                "name": source.name,
                what: &*source.topic,
                "internal": source.internal,
                "personal_data": source.personal_data,
                "fields": fields(&source.fields),
                "timestamp": source.timestamp.as_ref().map(|timestamp| timestamp.source()),
                "on_decode_error": policy(source.on_decode_error),
                "outputs": names(part, &source.outputs),
            })
        })
        .collect()
}

fn nodes(part: &Subtopology) -> Vec<Value> {
    part.nodes
        .iter()
        .map(|node| {
            let outputs: Vec<Vec<Value>> = node.outputs.iter().map(|edges| names(part, edges)).collect();
            json!({
                "name": node.name,
                "does": summary(part, &node.verb),
                "on_process_error": policy(node.on_process_error),
                "outputs": outputs,
            })
        })
        .collect()
}

fn stores(part: &Subtopology) -> Vec<Value> {
    part.stores
        .iter()
        .map(|store| {
            let kind = store.kind.as_str();
            let retention = match store.kind {
                StoreKind::KeyValue | StoreKind::Internal => None,
                StoreKind::Window { retention } | StoreKind::Session { retention } | StoreKind::Join { retention } => {
                    Some(retention).filter(|retention| *retention < i64::MAX)
                }
            };
            let changelog = store.changelog.as_deref();
            json!({"name": store.name, "kind": kind, "retention_ms": retention, "changelog": changelog})
        })
        .collect()
}
