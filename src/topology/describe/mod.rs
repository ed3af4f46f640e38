//! Pictures of a plan: text for terminals, Mermaid and DOT for documents, JSON for tools.

mod catalogue;
mod graph;
mod json;
mod text;

use std::collections::BTreeMap;

pub use catalogue::{schema_json, schema_lines};

use super::partitioning;
use super::plan::{
    Aggregate, AggregateKind, Emit, Function, HeaderChange, JoinKind, OnError, Sink, SinkTopic, Subtopology, Suppress,
    Topic, TopicRole, Topology, Until, Verb, WhenFull,
};
use super::process::Process;
use super::stream_join::{JoinWindow, StreamJoin};
use crate::expression::{Expression, Projection};
use crate::log::TopicConfig;
use crate::record::Fields;
use crate::time::format_duration;
use crate::window::Windows;

/// How a plan is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DescribeFormat {
    /// For people, in a terminal.
    #[default]
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
    /// For tools.
    Json,
}

/// Describes a plan: sub-topologies, sources, nodes, stores, and topics with their partitions.
pub fn describe(topology: &Topology, format: DescribeFormat) -> String {
    match format {
        DescribeFormat::Text => text::render(topology),
        DescribeFormat::Mermaid => graph::mermaid(topology),
        DescribeFormat::Dot => graph::dot(topology),
        DescribeFormat::Json => json::render(topology),
    }
}

/// The topics as they would be created on an empty log; where inputs do not fit together, as declared.
fn resolved(topology: &Topology) -> BTreeMap<String, TopicConfig> {
    partitioning::resolve(topology, &BTreeMap::new())
        .unwrap_or_else(|_| topology.topics.iter().map(|topic| (topic.name.clone(), topic.config.clone())).collect())
}

/// What an aggregation does.
fn aggregate(plan: &Aggregate, store: &str) -> String {
    let windows = plan.windows.map(|windows| format!(" per {}", self::windows(&windows))).unwrap_or_default();
    let emit = match plan.emit {
        Emit::OnUpdate => String::new(),
        Emit::OnClose => ", on close".to_owned(),
        Emit::Every { interval } => format!(", every {}", format_duration(interval)),
    };
    format!("{} in {store}{windows}{emit}{}", function(&plan.function), old(plan.sends_old))
}

/// What a node does, in a few words.
fn summary(part: &Subtopology, verb: &Verb) -> String {
    let store = |id: &usize| part.stores.get(*id).map_or("?", |store| store.name.as_str()).to_owned();
    match verb {
        Verb::Filter { condition, negate: false, .. } => format!("filter {}", source(condition)),
        Verb::Filter { condition, negate: true, .. } => format!("filter_not {}", source(condition)),
        Verb::Map { key, value, .. } => {
            let key = key.as_ref().map(|key| format!("key = {} ({})", source(&key.expression), key.format));
            let value = value.as_ref().map(|value| format!("value = {}", projection(value)));
            let parts: Vec<String> = key.into_iter().chain(value).collect();
            format!("map {}", parts.join(", "))
        }
        Verb::FlatMap { items, .. } => format!("flat_map {}", source(items)),
        Verb::FlatMapValues { items } => format!("flat_map_values {}", source(items)),
        Verb::Peek { message } => format!("peek {}", projection(message)),
        Verb::Branch { conditions, default } => {
            let conditions: Vec<String> = conditions.iter().map(source).collect();
            format!("branch {}{}", conditions.join(" | "), if *default { " | default" } else { "" })
        }
        Verb::Merge => "merge".to_owned(),
        Verb::Call { agent, .. } => format!("call {}", agent.name()),
        Verb::Process(plan) => process(plan, plan.stores.iter().map(store).collect()),
        Verb::Deduplicate { by, within, store: id } => {
            let by = by.as_ref().map(|by| format!(" by {}", source(&by.expression))).unwrap_or_default();
            format!("deduplicate{by} within {} in {}", format_duration(*within), store(id))
        }
        Verb::ToTable { store: id, sends_old, .. } => format!("to_table in {}{}", store(id), old(*sends_old)),
        Verb::VersionedTable { versions, sends_old } => {
            let kept = format_duration(versions.retention);
            format!("to_table in {}, versions of {kept}{}", store(&versions.latest), old(*sends_old))
        }
        Verb::StreamVersionedJoin(plan) => {
            let grace = plan.wait.map(|(_, grace)| format!(", grace {}", format_duration(grace))).unwrap_or_default();
            let table = store(&plan.versions.latest);
            format!("{} join with {table} as of its time{grace}: {}", join(plan.kind), projection(&plan.value))
        }
        Verb::ToStream => "to_stream".to_owned(),
        Verb::GroupBy(group) => {
            let value = group.value.as_ref().map(|value| format!(", value = {}", projection(value)));
            let (key, value) = (&group.key, value.unwrap_or_default());
            format!("group_by {} ({}){value}", source(&key.expression), key.format)
        }
        Verb::Aggregate(plan) => aggregate(plan, &store(&plan.store)),
        Verb::Suppress(suppress) => self::suppress(suppress, &store(&suppress.buffer)),
        Verb::StreamTableJoin { kind, table, value } => {
            format!("{} join with {}: {}", join(*kind), store(table), projection(value))
        }
        Verb::StreamGlobalJoin(plan) => {
            let (kind, on) = (join(plan.kind), source(&plan.on));
            format!("{kind} join with the global table {} on {on}: {}", plan.name, projection(&plan.value))
        }
        Verb::StreamStreamJoin(plan) => stream_join(plan, plan.rows.map(|id| store(&id))),
        Verb::TableTableJoin { kind, stores, value, sends_old } => {
            let stores: Vec<String> = stores.iter().map(store).collect();
            format!("{} join of {}: {}{}", join(*kind), stores.join(", "), projection(value), old(*sends_old))
        }
        Verb::ForeignKeySubscribe(plan) => format!("{} join on {}: subscribe", join(plan.kind), source(&plan.on)),
        Verb::ForeignKeyAnswer(plan) => {
            format!("answer {} with {}", store(&plan.subscriptions), store(&plan.rows))
        }
        Verb::ForeignKeyResolve(plan) => {
            format!("{} join of {} with the answers: {}", join(plan.kind), store(&plan.rows), projection(&plan.value))
        }
        Verb::SetHeaders { changes } => format!("set_headers {}", headers(changes)),
        Verb::Sink(sink) => write(sink),
    }
}

fn write(sink: &Sink) -> String {
    let map = sink.map.as_ref().map(|map| format!(": {}", projection(map))).unwrap_or_default();
    let headers = match sink.headers.as_slice() {
        [] => String::new(),
        changes => format!(", headers {}", headers(changes)),
    };
    format!("write {}{map}{headers}", target(&sink.topic))
}

/// Where a sink writes.
fn target(topic: &SinkTopic) -> String {
    match topic {
        SinkTopic::One { topic, .. } => topic.to_string(),
        SinkTopic::Chosen(chosen) => {
            let names: Vec<&str> = chosen.topics.keys().map(|topic| &**topic).collect();
            let among = match &chosen.pattern {
                Some(pattern) => format!("topics that match {pattern}"),
                None => names.join(", "),
            };
            format!("{} (one of {among})", source(&chosen.expression))
        }
    }
}

fn process(plan: &Process, stores: Vec<String>) -> String {
    let about = if plan.description.is_empty() { String::new() } else { format!(" ({})", plan.description) };
    let children: Vec<&str> = plan.outputs.iter().filter_map(|output| output.name.as_deref()).collect();
    let children = if children.is_empty() { String::new() } else { format!(" to {}", children.join(" | ")) };
    let stores = if stores.is_empty() { String::new() } else { format!(" with {}", stores.join(", ")) };
    format!("process {}{about}{stores}{children}", plan.processor)
}

fn headers(changes: &[HeaderChange]) -> String {
    let one = |change: &HeaderChange| {
        let value = change.value.as_ref().map_or_else(|| "null".to_owned(), source);
        format!("{} = {value}", change.name)
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn suppress(suppress: &Suppress, buffer: &str) -> String {
    let until = match suppress.until {
        Until::WindowCloses { after } => format!("its window closes, {} after its end", format_duration(after)),
        Until::TimeLimit { limit } => format!("{} have passed", format_duration(limit)),
    };
    let records = suppress.max_records.map(|most| format!("{most} records"));
    let bytes = suppress.max_bytes.map(|most| format!("{most} bytes"));
    let most: Vec<String> = records.into_iter().chain(bytes).collect();
    let when_full = match suppress.when_full {
        WhenFull::EmitEarly => "early changes go on",
        WhenFull::Stop => "stop",
    };
    match most.is_empty() {
        true => format!("suppress in {buffer} until {until}"),
        false => format!("suppress in {buffer} until {until}; beyond {}: {when_full}", most.join(" or ")),
    }
}

fn windows(windows: &Windows) -> String {
    let with_grace = |kind: String, grace: i64| format!("{kind}, grace {}", format_duration(grace));
    match windows {
        Windows::Time(windows) => {
            let (size, advance) = (format_duration(windows.size()), format_duration(windows.advance()));
            let kind = match windows.size() == windows.advance() {
                true => format!("tumbling {size}"),
                false => format!("hopping {size} every {advance}"),
            };
            with_grace(kind, windows.grace())
        }
        Windows::Sliding(windows) => {
            with_grace(format!("sliding {}", format_duration(windows.difference())), windows.grace())
        }
        Windows::Session(windows) => {
            with_grace(format!("session with gap {}", format_duration(windows.gap())), windows.grace())
        }
        Windows::Unlimited(window) => format!("unlimited window from {}", window.window().start),
    }
}

fn old(sends_old: bool) -> &'static str {
    if sends_old { ", with old values" } else { "" }
}

fn stream_join(plan: &StreamJoin, [left, right]: [String; 2]) -> String {
    let JoinWindow { before, after, grace } = plan.window;
    format!(
        "{} join of {left} and {right} within {} before, {} after, grace {}: {}",
        join(plan.kind),
        format_duration(before),
        format_duration(after),
        format_duration(grace),
        projection(&plan.value)
    )
}

fn join(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Outer => "outer",
    }
}

fn function(function: &Function) -> String {
    match function {
        Function::Named { aggregates, .. } => {
            let parts: Vec<String> = aggregates
                .iter()
                .map(|aggregate| {
                    let argument = aggregate.argument.as_ref().map(source).unwrap_or_default();
                    format!("{} = {}", aggregate.name, call(aggregate.kind, &argument))
                })
                .collect();
            format!("aggregate {}", parts.join(", "))
        }
        Function::Reduce { expression, .. } => format!("reduce {}", projection(expression)),
        Function::Cogroup(cogroup) => {
            let add: Vec<String> = cogroup.add.iter().map(projection).collect();
            format!("cogroup {}", add.join(" | "))
        }
        Function::Fold { add, call, merge, .. } => {
            let call = call.as_ref().map(|call| format!(", call {}", call.agent.name())).unwrap_or_default();
            let merge = merge.as_ref().map(|merge| format!(", merge {}", projection(merge))).unwrap_or_default();
            format!("fold {}{call}{merge}", projection(add))
        }
    }
}

fn call(kind: AggregateKind, argument: &str) -> String {
    match kind {
        AggregateKind::Count => "count()".to_owned(),
        AggregateKind::CountIf => format!("count_if({argument})"),
        AggregateKind::Sum => format!("sum({argument})"),
        AggregateKind::Min => format!("min({argument})"),
        AggregateKind::Max => format!("max({argument})"),
        AggregateKind::Avg => format!("avg({argument})"),
        AggregateKind::Stddev => format!("stddev({argument})"),
        AggregateKind::First => format!("first({argument})"),
        AggregateKind::Last => format!("last({argument})"),
        AggregateKind::Collect { limit } => format!("collect({argument}, {limit})"),
        AggregateKind::CollectSet { limit } => format!("collect_set({argument}, {limit})"),
        AggregateKind::ApproxDistinct => format!("approx_distinct({argument})"),
        AggregateKind::ApproxQuantile { millionths } => {
            format!("approx_quantile({argument}, {})", f64::from(millionths) / 1e6)
        }
        AggregateKind::TopK { k } => format!("top_k({argument}, {k})"),
    }
}

/// A projection: an expression's source, of structs only the names of the fields.
fn projection(projection: &Projection) -> String {
    match projection {
        Projection::Expression(expression) => source(expression),
        Projection::Struct { shape, .. } | Projection::List { shape, .. } => match shape {
            crate::record::Shape::Struct(shape) => {
                let names: Vec<&str> = shape.fields().iter().map(|field| &*field.name).collect();
                format!("{{{}}}", names.join(", "))
            }
            other => other.to_string(),
        },
    }
}

/// An expression on one line.
fn source(expression: &Expression) -> String {
    expression.source().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fields that are decoded, as `{a, b.c}`.
fn fields(fields: &Fields) -> String {
    match fields {
        Fields::All => "all fields".to_owned(),
        Fields::Some(parts) if parts.is_empty() => "no fields".to_owned(),
        Fields::Some(_) => {
            let mut paths = Vec::new();
            collect_paths(fields, "", &mut paths);
            paths.join(", ")
        }
    }
}

fn collect_paths(fields: &Fields, prefix: &str, paths: &mut Vec<String>) {
    match fields {
        Fields::Some(parts) if !parts.is_empty() => {
            for (name, part) in parts {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                collect_paths(part, &path, paths);
            }
        }
        _ => paths.push(prefix.to_owned()),
    }
}

/// What a topic is to the application, as a word.
fn role(topic: &Topic) -> &'static str {
    match topic.role {
        TopicRole::Source => "source",
        TopicRole::Sink => "sink",
        TopicRole::SourceAndSink => "source and sink",
        TopicRole::Repartition => "repartition",
        TopicRole::Changelog => "changelog",
        TopicRole::DeadLetters => "dead letters",
    }
}

/// How a topic's values are written.
fn value_format(topic: &Topic) -> String {
    topic.value.as_ref().map_or_else(|| "internal".to_owned(), ToString::to_string)
}

/// What happens to old records of a topic.
fn cleanup(config: &TopicConfig) -> &'static str {
    match (config.compacted, config.retention) {
        (true, Some(_)) => "compact,delete",
        (true, None) => "compact",
        (false, _) => "delete",
    }
}

/// How long records of a topic are kept.
fn retention(config: &TopicConfig) -> String {
    config.retention.map_or_else(|| "forever".to_owned(), format_duration)
}

/// An error policy as the language writes it.
fn policy(policy: OnError) -> &'static str {
    match policy {
        OnError::DeadLetter => "dlq",
        OnError::Skip => "skip",
        OnError::Fail => "fail",
    }
}
