//! A plan as text.

use std::fmt::Write;

use super::{catalogue, cleanup, fields, policy, resolved, retention, role, summary, value_format};
use crate::state::StoreKind;
use crate::time::format_duration;
use crate::topology::partitioning;
use crate::topology::plan::{Edge, Payload, Subtopology, Topology};

/// The whole plan.
pub(super) fn render(topology: &Topology) -> String {
    let mut text = String::new();
    let topics = resolved(topology);
    push(&mut text, 0, &format!("topology {}", topology.name));
    if !topology.description.is_empty() {
        push(&mut text, 1, &topology.description);
    }
    if !topology.globals.is_empty() {
        text.push('\n');
        push(&mut text, 0, "in every process");
    }
    for table in &topology.globals {
        let source = &table.source;
        let personal = if source.personal_data { ", personal data" } else { "" };
        let errors = policy(source.on_decode_error);
        let line = format!("global table {}: read {}{personal}, decode errors: {errors}", source.name, source.topic);
        push(&mut text, 1, &line);
    }
    for part in &topology.subtopologies {
        text.push('\n');
        let tasks = partitioning::tasks(part, &topics);
        let tasks = match tasks {
            0 => "as many tasks as its topics have partitions".to_owned(),
            1 => "1 task".to_owned(),
            tasks => format!("{tasks} tasks"),
        };
        push(&mut text, 0, &format!("sub-topology {}: {tasks}", part.id));
        subtopology(&mut text, part);
    }
    text.push_str("\ntopics\n");
    let width = topology.topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    for topic in &topology.topics {
        let config = topics.get(&topic.name).unwrap_or(&topic.config);
        let line = format!(
            "{:width$}  {}, {} {}, key {}, value {}, {}, kept {}",
            topic.name,
            role(topic),
            config.partitions,
            if config.partitions == 1 { "partition" } else { "partitions" },
            topic.key,
            value_format(topic),
            cleanup(config),
            retention(config),
        );
        push(&mut text, 1, &line);
    }
    catalogue::text(&mut text, topology);
    text
}

fn subtopology(text: &mut String, part: &Subtopology) {
    let patterns = part.patterns.iter().map(|pattern| (&pattern.source, "topics that match "));
    for (source, what) in part.sources.iter().map(|source| (source, "")).chain(patterns) {
        let decoded = match &source.value {
            Payload::Serde(_) => fields(&source.fields),
            Payload::Internal(_) => "internal".to_owned(),
        };
        let mut line = format!("source {}: read {what}{} ({decoded})", source.name, source.topic);
        if let Some(timestamp) = &source.timestamp {
            line.push_str(&format!(", time = {}", timestamp.source()));
        }
        if source.personal_data {
            line.push_str(", personal data");
        }
        line.push_str(&format!(", decode errors: {}", policy(source.on_decode_error)));
        push(text, 1, &line);
        arrows(text, part, std::slice::from_ref(&source.outputs));
    }
    for node in &part.nodes {
        push(text, 1, &format!("{}: {}", node.name, summary(part, &node.verb)));
        arrows(text, part, &node.outputs);
    }
    for store in &part.stores {
        let kind = match store.kind {
            StoreKind::KeyValue | StoreKind::Internal => store.kind.as_str().to_owned(),
            StoreKind::Window { retention: i64::MAX } => "window, kept forever".to_owned(),
            StoreKind::Window { retention } | StoreKind::Session { retention } | StoreKind::Join { retention } => {
                format!("{}, kept {}", store.kind, format_duration(retention))
            }
        };
        let changelog = store.changelog.as_deref().unwrap_or("none");
        push(text, 1, &format!("store {}: {kind}, changelog {changelog}", store.name));
    }
}

fn arrows(text: &mut String, part: &Subtopology, outputs: &[Vec<Edge>]) {
    for (number, edges) in outputs.iter().enumerate() {
        let names: Vec<&str> =
            edges.iter().filter_map(|edge| part.nodes.get(edge.node)).map(|node| node.name.as_str()).collect();
        if outputs.len() > 1 {
            push(text, 2, &format!("{number} -> {}", names.join(", ")));
        } else if !names.is_empty() {
            push(text, 2, &format!("-> {}", names.join(", ")));
        }
    }
}

pub(super) fn push(text: &mut String, depth: usize, line: &str) {
    // Writing to a string cannot fail.
    if writeln!(text, "{:indent$}{line}", "", indent = depth * 2).is_err() {
        text.push('\n');
    }
}
