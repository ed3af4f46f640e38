//! What the plan needs: the fields of each source, and the old values of tables.

use super::graph::Graph;
use crate::expression::{Binding, Expression, Projection};
use crate::record::Fields;
use crate::topology::plan::{Aggregate, Edge, Function, HeaderChange, JoinKind, SinkTopic, Verb};

/// Which part of its values each source must decode, in order of the sources.
pub(super) fn needed(graph: &Graph) -> Vec<Fields> {
    let mut of_nodes: Vec<Fields> = vec![Fields::none(); graph.nodes.len()];
    // Nodes come after those they take records from, and after the repartition topics these come through, so
    // that going backwards each knows what follows it.
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if let Verb::Sink(sink) = &node.verb
            && sink.internal
        {
            // The internal encoding takes null where a shape has none: what nobody reads is null in there.
            let reads =
                |topic: &str| graph.sources.iter().find(|source| source.topics.iter().any(|read| read == topic));
            let reader = sink.topic.names().next().and_then(|topic| reads(topic));
            let fields = reader.map_or(Fields::All, |source| of_outputs(graph, &of_nodes, &source.outputs));
            if let Some(slot) = of_nodes.get_mut(index) {
                *slot = fields;
            }
            continue;
        }
        let after = of_outputs(graph, &of_nodes, node.outputs.iter().flatten());
        if let Some(slot) = of_nodes.get_mut(index) {
            *slot = of_verb(&node.verb, after);
        }
    }
    let of_source = |source: &super::graph::DraftSource| {
        let mut fields = of_outputs(graph, &of_nodes, &source.outputs);
        add(&mut fields, source.timestamp.as_ref().and_then(|timestamp| timestamp.uses(&Binding::Value).cloned()));
        fields
    };
    graph.sources.iter().map(of_source).collect()
}

fn of_outputs<'e>(graph: &Graph, of_nodes: &[Fields], edges: impl IntoIterator<Item = &'e Edge>) -> Fields {
    let mut fields = Fields::none();
    edges.into_iter().for_each(|edge| fields.merge(&of_input(graph, of_nodes, edge)));
    fields
}

fn of_input(graph: &Graph, of_nodes: &[Fields], edge: &Edge) -> Fields {
    match graph.nodes.get(edge.node).map(|node| &node.verb) {
        Some(Verb::TableTableJoin { value, .. }) => {
            value.uses(&Binding::Local(edge.input)).unwrap_or_else(Fields::none)
        }
        Some(Verb::Aggregate(Aggregate { function: Function::Cogroup(cogroup), .. })) => {
            let add = cogroup.add.get(edge.input);
            add.and_then(|add| add.uses(&Binding::Value)).unwrap_or_else(Fields::none)
        }
        _ => of_nodes.get(edge.node).cloned().unwrap_or(Fields::All),
    }
}

/// What a node reads of its input, given what those after it read of its output.
fn of_verb(verb: &Verb, after: Fields) -> Fields {
    let of_expression = |expression: &Expression| expression.uses(&Binding::Value).cloned();
    let of_projection = |projection: &Projection| projection.uses(&Binding::Value);
    let mut fields = Fields::none();
    match verb {
        Verb::Filter { condition, .. } => {
            add(&mut fields, of_expression(condition));
            fields.merge(&after);
        }
        Verb::Map { key, value, .. } => {
            add(&mut fields, key.as_ref().and_then(|key| of_expression(&key.expression)));
            match value {
                Some(value) => add(&mut fields, of_projection(value)),
                None => fields.merge(&after),
            }
        }
        Verb::FlatMap { items, .. } | Verb::FlatMapValues { items } => add(&mut fields, of_expression(items)),
        Verb::Peek { message } => {
            add(&mut fields, of_projection(message));
            fields.merge(&after);
        }
        Verb::Branch { conditions, .. } => {
            conditions.iter().for_each(|condition| add(&mut fields, of_expression(condition)));
            fields.merge(&after);
        }
        Verb::Merge | Verb::ToStream => fields.merge(&after),
        Verb::SetHeaders { changes } => {
            add(&mut fields, of_headers(changes));
            fields.merge(&after);
        }
        Verb::Call { input, into, .. } => {
            add(&mut fields, of_projection(input));
            add(&mut fields, into.as_ref().and_then(of_projection));
        }
        Verb::Process(process) => return process.reads.clone(),
        Verb::Deduplicate { by, .. } => {
            add(&mut fields, by.as_ref().and_then(|by| of_expression(&by.expression)));
            fields.merge(&after);
        }
        // Rows are stored, and serve queries: whole. So are the changes of those that are grouped.
        Verb::ToTable { .. }
        | Verb::VersionedTable { .. }
        | Verb::GroupBy(_)
        | Verb::StreamStreamJoin(_)
        | Verb::Suppress(_) => return Fields::All,
        Verb::Aggregate(aggregate) if aggregate.changes => return Fields::All,
        Verb::Aggregate(aggregate) => return of_function(&aggregate.function),
        Verb::StreamVersionedJoin(join) => add(&mut fields, join.value.uses(&Binding::Local(0))),
        Verb::StreamTableJoin { value, .. } => add(&mut fields, value.uses(&Binding::Local(0))),
        Verb::StreamGlobalJoin(join) => {
            add(&mut fields, join.on.uses(&Binding::Local(0)).cloned());
            add(&mut fields, join.value.uses(&Binding::Local(0)));
        }
        // What is hashed and what is sent are whole rows.
        Verb::TableTableJoin { .. }
        | Verb::ForeignKeySubscribe(_)
        | Verb::ForeignKeyAnswer(_)
        | Verb::ForeignKeyResolve(_) => return Fields::All,
        Verb::Sink(sink) => {
            let Some(map) = &sink.map else { return Fields::All };
            add(&mut fields, of_projection(map));
            add(&mut fields, of_headers(&sink.headers));
            if let SinkTopic::Chosen(chosen) = &sink.topic {
                add(&mut fields, of_expression(&chosen.expression));
            }
        }
    }
    fields
}

fn of_headers(changes: &[HeaderChange]) -> Option<Fields> {
    let values = changes.iter().filter_map(|change| change.value.as_ref());
    values.filter_map(|value| value.uses(&Binding::Value).cloned()).reduce(|mut all, part| {
        all.merge(&part);
        all
    })
}

fn of_function(function: &Function) -> Fields {
    let mut fields = Fields::none();
    match function {
        Function::Named { aggregates, .. } => {
            for argument in aggregates.iter().filter_map(|aggregate| aggregate.argument.as_ref()) {
                add(&mut fields, argument.uses(&Binding::Value).cloned());
            }
        }
        // The first value becomes the state. What a cogroup reads differs by input.
        Function::Reduce { .. } | Function::Cogroup(_) => return Fields::All,
        Function::Fold { init, add: next, call, result, .. } => {
            add(&mut fields, init.uses(&Binding::Value));
            add(&mut fields, next.uses(&Binding::Value));
            add(&mut fields, call.as_ref().and_then(|call| call.input.uses(&Binding::Value)));
            add(&mut fields, result.as_ref().and_then(|result| result.uses(&Binding::Value)));
        }
    }
    fields
}

fn add(fields: &mut Fields, used: Option<Fields>) {
    if let Some(used) = used {
        fields.merge(&used);
    }
}

/// Has old values sent along where something after needs them, as Kafka Streams does: the sides of a left or
/// outer join from which unmatched rows may come, filters, groupings and foreign keys of tables, and whatever stands between them and the
/// rows.
pub(super) fn send_old_values(graph: &mut Graph) {
    let mut wanted = vec![false; graph.nodes.len()];
    for index in (0..graph.nodes.len()).rev() {
        let Some(node) = graph.nodes.get(index) else { continue };
        let after = node.outputs.iter().flatten().any(|edge| {
            let follows = wanted.get(edge.node).copied().unwrap_or(false);
            match graph.nodes.get(edge.node).map(|node| &node.verb) {
                Some(Verb::TableTableJoin { kind, .. }) => follows || *kind != JoinKind::Inner,
                // A filter knows by them which rows never passed, and hands on no deletion of one. Held back, several
                // changes become one, which is from the row before the first of them.
                Some(
                    Verb::GroupBy(_)
                    | Verb::ForeignKeySubscribe(_)
                    | Verb::Suppress(_)
                    | Verb::Filter { table: true, .. },
                ) => true,
                Some(Verb::Map { table: true, .. }) => follows,
                _ => false,
            }
        });
        if let Some(slot) = wanted.get_mut(index) {
            *slot = after;
        }
        match graph.nodes.get_mut(index).map(|node| &mut node.verb) {
            Some(
                Verb::ToTable { sends_old, .. }
                | Verb::VersionedTable { sends_old, .. }
                | Verb::TableTableJoin { sends_old, .. },
            ) => *sends_old = after,
            Some(Verb::Aggregate(aggregate)) => aggregate.sends_old = after,
            _ => {}
        }
    }
}
