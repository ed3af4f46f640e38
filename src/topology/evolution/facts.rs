//! What the rows of a store depend on, beside the layout of keys and values: read off the node that makes them.

use std::collections::BTreeMap;

use crate::expression::{Expression, Projection};
use crate::time::format_duration;
use crate::topology::plan::{
    Aggregate, AggregateKind, Edge, Emit, Function, NodeId, StoreId, Subtopology, Suppress, Topology, Until, Verb,
};
use crate::topology::stream_join::StreamJoin;
use crate::window::Windows;

/// What made the rows.
pub(super) const MADE_BY: &str = "made by";
/// The topic that a table has its rows from, as they come.
pub(super) const READS: &str = "reads";
/// What is aggregated: records, or the rows of a grouped table.
pub(super) const OF: &str = "made of";
/// Kind and size of the windows.
pub(super) const WINDOWS: &str = "windows";
/// How long windows are open after their end.
pub(super) const GRACE: &str = "grace";
/// How long rows are kept.
pub(super) const RETENTION: &str = "retention";
/// When changes are handed on.
pub(super) const EMIT: &str = "emit";
/// Followed by the name of a field: the aggregate that it is of.
pub(super) const AGGREGATE: &str = "aggregate ";
/// Followed by the name of a field: what is aggregated in it.
pub(super) const ARGUMENT: &str = "argument of ";
/// Followed by the name of a field: how many values are kept.
pub(super) const LIMIT: &str = "limit of ";
/// The expressions that are computed again of old rows.
pub(super) const TAKEN_BACK_BY: &str = "taken back by";
/// How far apart alike records are.
pub(super) const WITHIN: &str = "within";
/// What makes records alike.
pub(super) const BY: &str = "by";
/// How far before and after a record its matches lie.
pub(super) const MATCHES: &str = "matches";
/// How long the span of a record's matches is.
pub(super) const SPAN: &str = "span of matches";
/// Which input of a join.
pub(super) const SIDE: &str = "side";
/// How far back versions are kept.
pub(super) const HISTORY: &str = "history";
/// Until when changes are held back.
pub(super) const UNTIL: &str = "held back until";
/// For how long they are.
pub(super) const HELD_FOR: &str = "held back for";
/// The expression of a foreign key.
pub(super) const FOREIGN_KEY: &str = "foreign key";
/// Whether rows wait to be handed on, and which.
pub(super) const HOLDS: &str = "holds";

/// What is known of a store.
type Facts = BTreeMap<String, String>;
/// What is known of stores, by their names.
pub(super) type FactsOfStores = BTreeMap<String, Facts>;

/// The facts of all stores of a topology.
pub(super) fn of(topology: &Topology) -> FactsOfStores {
    let mut all = FactsOfStores::new();
    for part in &topology.subtopologies {
        for (id, node) in part.nodes.iter().enumerate() {
            for (store, fact, value) in of_node(topology, part, id, &node.verb) {
                if let Some(store) = part.stores.get(store) {
                    all.entry(store.name.clone()).or_default().insert(fact, value);
                }
            }
        }
    }
    all
}

type Found = Vec<(StoreId, String, String)>;

fn of_node(topology: &Topology, part: &Subtopology, id: NodeId, verb: &Verb) -> Found {
    let mut found = Found::new();
    let mut note = |store: StoreId, fact: &str, value: String| found.push((store, fact.to_owned(), value));
    match verb {
        Verb::ToTable { store, .. } => {
            note(*store, MADE_BY, "to_table".to_owned());
            topic_of(part, id).into_iter().for_each(|topic| note(*store, READS, topic));
        }
        Verb::VersionedTable { versions, .. } => {
            note(versions.latest, MADE_BY, "to_table".to_owned());
            topic_of(part, id).into_iter().for_each(|topic| note(versions.latest, READS, topic));
            note(versions.history, HISTORY, format_duration(versions.retention));
        }
        Verb::Deduplicate { by, within, store } => {
            note(*store, MADE_BY, "deduplicate".to_owned());
            note(*store, WITHIN, format_duration(*within));
            note(*store, BY, by.as_ref().map_or_else(|| "key".to_owned(), |by| source(&by.expression)));
        }
        Verb::Aggregate(plan) => return of_aggregate(topology, part, id, plan),
        Verb::Suppress(plan) => return of_suppress(plan),
        Verb::StreamStreamJoin(plan) => return of_stream_join(plan),
        Verb::StreamVersionedJoin(plan) => {
            if let Some((store, grace)) = plan.wait {
                note(store, GRACE, format_duration(grace));
                note(store, HOLDS, "records that wait to be joined".to_owned());
            }
        }
        Verb::ForeignKeyAnswer(plan) => {
            let subscribe = feeder(topology, part, Edge { node: id, input: 0 });
            if let Some(Verb::ForeignKeySubscribe(subscribe)) = subscribe.and_then(|(part, node)| verb_of(part, node)) {
                note(plan.subscriptions, FOREIGN_KEY, source(&subscribe.on));
            }
        }
        _ => {}
    }
    found
}

fn of_aggregate(topology: &Topology, part: &Subtopology, id: NodeId, plan: &Aggregate) -> Found {
    let mut found = Found::new();
    let mut note = |fact: &str, value: String| found.push((plan.store, fact.to_owned(), value));
    let made_by = match &plan.function {
        Function::Named { .. } => "aggregate",
        Function::Reduce { .. } => "reduce",
        Function::Fold { .. } => "fold",
        Function::Cogroup(_) => "cogroup",
    };
    note(MADE_BY, made_by.to_owned());
    note(OF, if plan.changes { "the rows of a table" } else { "records" }.to_owned());
    if let Some(windows) = &plan.windows {
        let (windows, grace) = kind_of(windows);
        note(WINDOWS, windows);
        note(GRACE, format_duration(grace));
        if plan.retention < i64::MAX {
            note(RETENTION, format_duration(plan.retention));
        }
    }
    let emit = match plan.emit {
        Emit::OnUpdate => "on_update",
        Emit::OnClose => "on_close",
        Emit::Every { .. } => "every",
    };
    note(EMIT, emit.to_owned());
    if let Function::Named { aggregates, .. } = &plan.function {
        for one in aggregates {
            let (kind, limit) = aggregate(one.kind);
            note(&format!("{AGGREGATE}{}", one.name), kind.to_owned());
            // Of grouped tables it is among what is taken back.
            if let (Some(argument), false) = (&one.argument, plan.changes) {
                note(&format!("{ARGUMENT}{}", one.name), source(argument));
            }
            if let Some(limit) = limit {
                note(&format!("{LIMIT}{}", one.name), limit.to_string());
            }
        }
    }
    if plan.changes {
        note(TAKEN_BACK_BY, taken_back_by(topology, part, id, &plan.function));
    }
    if let Some(pending) = plan.pending {
        found.push((pending, HOLDS.to_owned(), "which rows have changed and were not handed on".to_owned()));
    }
    found
}

/// Kind and size of windows, and their grace.
fn kind_of(windows: &Windows) -> (String, i64) {
    match windows {
        Windows::Time(windows) if windows.size() == windows.advance() => {
            (format!("tumbling {}", format_duration(windows.size())), windows.grace())
        }
        Windows::Time(windows) => {
            let (size, advance) = (format_duration(windows.size()), format_duration(windows.advance()));
            (format!("hopping {size} every {advance}"), windows.grace())
        }
        Windows::Sliding(windows) => (format!("sliding {}", format_duration(windows.difference())), windows.grace()),
        Windows::Session(windows) => (format!("session {}", format_duration(windows.gap())), windows.grace()),
        Windows::Unlimited(window) => (format!("unlimited from {}", window.window().start), 0),
    }
}

/// The name of an aggregate, and its number.
fn aggregate(kind: AggregateKind) -> (&'static str, Option<usize>) {
    match kind {
        AggregateKind::Count => ("count", None),
        AggregateKind::CountIf => ("count_if", None),
        AggregateKind::Sum => ("sum", None),
        AggregateKind::Min => ("min", None),
        AggregateKind::Max => ("max", None),
        AggregateKind::Avg => ("avg", None),
        AggregateKind::Stddev => ("stddev", None),
        AggregateKind::First => ("first", None),
        AggregateKind::Last => ("last", None),
        AggregateKind::Collect { limit } => ("collect", Some(limit)),
        AggregateKind::CollectSet { limit } => ("collect_set", Some(limit)),
        AggregateKind::TopK { k } => ("top_k", Some(k)),
        AggregateKind::ApproxDistinct => ("approx_distinct", None),
        // What is kept gives any quantile.
        AggregateKind::ApproxQuantile { .. } => ("approx_quantile", None),
    }
}

fn of_suppress(plan: &Suppress) -> Found {
    let mut found = Found::new();
    let mut note = |fact: &str, value: String| found.push((plan.buffer, fact.to_owned(), value));
    note(MADE_BY, "suppress".to_owned());
    match plan.until {
        Until::WindowCloses { after } => {
            note(UNTIL, "its window closes".to_owned());
            note(GRACE, format_duration(after));
        }
        Until::TimeLimit { limit } => {
            note(UNTIL, "a time has passed".to_owned());
            note(HELD_FOR, format_duration(limit));
        }
    }
    note(HOLDS, "changes that are held back".to_owned());
    found
}

fn of_stream_join(plan: &StreamJoin) -> Found {
    let mut found = Found::new();
    let sides = ["first", "second"];
    for (store, side) in plan.rows.into_iter().zip(sides) {
        let window = plan.window;
        let span = format_duration(window.before.saturating_add(window.after));
        let matches = format!("{} before, {} after", format_duration(window.before), format_duration(window.after));
        let facts = [(MADE_BY, "join".to_owned()), (SIDE, side.to_owned()), (SPAN, span), (MATCHES, matches)];
        found.extend(facts.map(|(fact, value)| (store, fact.to_owned(), value)));
        found.push((store, GRACE.to_owned(), format_duration(window.grace)));
    }
    for (store, side) in plan.unmatched.into_iter().zip(sides) {
        let Some(store) = store else { continue };
        found.push((store, SIDE.to_owned(), side.to_owned()));
        found.push((store, HOLDS.to_owned(), "records that have no match yet".to_owned()));
    }
    found
}

/// The expressions by which a row is taken out of its group again, from where rows are stored.
fn taken_back_by(topology: &Topology, part: &Subtopology, id: NodeId, function: &Function) -> String {
    let mut said = Vec::new();
    if let Some((part, node)) = feeder(topology, part, Edge { node: id, input: 0 }) {
        let mut at = Some(node);
        while let Some(verb) = at.and_then(|node| verb_of(part, node)) {
            match verb {
                Verb::GroupBy(group) => {
                    said.extend(group.value.as_ref().map(|value| format!("group_value {}", projection(value))));
                    said.push(format!("group_by {}", source(&group.key.expression)));
                }
                Verb::Filter { condition, negate, table: true, .. } => {
                    said.push(format!("{} {}", if *negate { "filter_not" } else { "filter" }, source(condition)));
                }
                Verb::Map { value: Some(value), table: true, .. } => {
                    said.push(format!("map_values {}", projection(value)));
                }
                Verb::Aggregate(Aggregate { function, .. }) => {
                    said.extend(result(function).map(|result| format!("result {}", projection(result))));
                    break;
                }
                _ => break,
            }
            at = at.and_then(|node| before(part, node));
        }
    }
    said.reverse();
    match function {
        Function::Named { aggregates, .. } => {
            let arguments = aggregates.iter().filter_map(|one| Some((one, one.argument.as_ref()?)));
            said.extend(arguments.map(|(one, argument)| format!("{} of {}", one.name, source(argument))));
        }
        Function::Reduce { subtract, .. } | Function::Fold { subtract, .. } => {
            said.extend(subtract.as_ref().map(|subtract| format!("subtract {}", projection(subtract))));
        }
        Function::Cogroup(_) => {}
    }
    said.join("; ")
}

/// What makes a row of a state.
fn result(function: &Function) -> Option<&Projection> {
    match function {
        Function::Fold { result, .. } => result.as_ref(),
        Function::Cogroup(cogroup) => cogroup.result.as_ref(),
        Function::Named { .. } | Function::Reduce { .. } => None,
    }
}

/// The node whose records come to an input of another through a repartition topic, and its part.
fn feeder<'t>(topology: &'t Topology, part: &Subtopology, input: Edge) -> Option<(&'t Subtopology, NodeId)> {
    let source = part.sources.iter().find(|source| source.internal && source.outputs.contains(&input))?;
    topology.subtopologies.iter().find_map(|part| {
        let writes =
            |verb: &Verb| matches!(verb, Verb::Sink(sink) if sink.topic.names().any(|topic| *topic == source.topic));
        let sink = part.nodes.iter().position(|node| writes(&node.verb))?;
        Some((&**part, before(part, sink)?))
    })
}

/// The topic, not one of the engine's own, that hands its records to a node.
fn topic_of(part: &Subtopology, node: NodeId) -> Option<String> {
    let leads = |edges: &[Edge]| edges.iter().any(|edge| edge.node == node);
    let source = part.sources.iter().find(|source| !source.internal && leads(&source.outputs))?;
    Some(source.topic.to_string())
}

/// The first node that hands records to another.
fn before(part: &Subtopology, node: NodeId) -> Option<NodeId> {
    part.nodes.iter().position(|other| other.outputs.iter().flatten().any(|edge| edge.node == node))
}

fn verb_of(part: &Subtopology, node: NodeId) -> Option<&Verb> {
    part.nodes.get(node).map(|node| &node.verb)
}

/// An expression on one line.
fn source(expression: &Expression) -> String {
    expression.source().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn projection(projection: &Projection) -> String {
    match projection {
        Projection::Expression(expression) => source(expression),
        Projection::List { parts, .. } => {
            format!("[{}]", parts.iter().map(self::projection).collect::<Vec<_>>().join(", "))
        }
        Projection::Struct { shape, parts } => {
            let crate::record::Shape::Struct(shape) = shape else { return String::new() };
            let fields = shape.fields().iter().zip(parts);
            let fields: Vec<String> =
                fields.map(|(field, part)| format!("{}: {}", field.name, self::projection(part))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}
