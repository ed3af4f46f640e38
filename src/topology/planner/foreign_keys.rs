//! Foreign-key joins of tables: rows of the first name rows of the second, which lie in other tasks.

use std::sync::Arc;

use super::Planner;
use super::graph::{Flow, FlowKind};
use super::joins::{JoinInput, kind_of};
use super::repartition::Repartitioning;
use crate::expression::{Binding, Expression, Scope};
use crate::record::{Shape, StructShape};
use crate::serdes::{Format, Serializer};
use crate::state::StoreKind;
use crate::topology::foreign_key::{
    Answer, PARTITION, Resolve, Subscribe, answer_shape, remembered_shape, subscription_shape,
};
use crate::topology::plan::{JoinKind, OnError, Verb};
use crate::topology::spec::JoinSpec;
use crate::topology::spec::scalars::{Formula, Template};
use crate::yaml::Diagnostic;

/// What is known of a join before it has nodes.
struct Draft<'a> {
    name: &'a str,
    kind: JoinKind,
    on: Expression,
    key: Serializer,
    on_error: OnError,
}

impl Planner<'_> {
    /// A join of two tables by a key that the rows of the first have in them.
    pub(super) fn foreign_key_join(
        &mut self,
        name: &str,
        join: &JoinSpec,
        formula: &Formula,
        value: Option<&Template>,
        on_error: OnError,
    ) -> Flow {
        let kind = kind_of(join);
        if kind == JoinKind::Outer {
            let problem = Diagnostic::new(join.span.clone(), "a foreign-key join is `inner` or `left`");
            self.problems.report(
                problem.help("a row of the second table that no row names has no key in the result; write `left`"),
            );
        }
        let Some(mut inputs) = self.inputs(join) else { return Flow::unknown() };
        let nullable: Vec<bool> = (0..inputs.len()).map(|position| position > 0 && kind != JoinKind::Inner).collect();
        if inputs.len() > 2 {
            let problem = Diagnostic::new(join.span.clone(), "a foreign key joins two tables");
            self.problems.report(problem.help("define a table for each join"));
            return self.joined_unknown(&inputs, value, &nullable);
        }
        self.stored_tables(&mut inputs, on_error);
        let key = inputs.first().and_then(|left| self.foreign_key(formula, left));
        let Ok([left, right]) = <[JoinInput<'_>; 2]>::try_from(inputs) else { return Flow::unknown() };
        let (Some(on), false) = (key, left.flow.is_unknown() || right.flow.is_unknown()) else {
            return self.joined_unknown(&[left, right], value, &nullable);
        };
        let Some(key) = self.key_serializer(on.shape(), &right.flow.key.format, &formula.0.place()) else {
            return self.joined_unknown(&[left, right], value, &nullable);
        };
        self.connected(&Draft { name, kind, on, key, on_error }, &[left, right], value).unwrap_or_else(Flow::unknown)
    }

    /// The key that a row names. It is computed again of the old row when the row changes, so that nothing of the change
    /// may be part of it.
    fn foreign_key(&mut self, on: &Formula, left: &JoinInput<'_>) -> Option<Expression> {
        let scope = Scope::new()
            .with("key", Binding::Key, left.flow.key.shape.clone())
            .with("timestamp", Binding::Timestamp, Shape::Timestamp)
            .with(&left.alias.text, Binding::Local(0), left.flow.value.clone());
        let key = self.expression(&on.0, &scope)?;
        if key.uses(&Binding::Timestamp).is_some() {
            let message =
                "a foreign key cannot depend on `timestamp`: it is not known of the old row when a row changes";
            let problem = Diagnostic::new(on.0.place(), message);
            self.problems.report(problem.help("put it into the rows first: `map_values` of a table before this one"));
            return None;
        }
        Some(key)
    }

    /// The nodes, with the topics and stores between them.
    fn connected(&mut self, draft: &Draft<'_>, inputs: &[JoinInput<'_>; 2], value: Option<&Template>) -> Option<Flow> {
        let Draft { name, kind, on_error, .. } = *draft;
        let [left, right] = inputs;
        let value = self.joined_value(inputs, value, &[false, kind == JoinKind::Left])?;
        let (FlowKind::Table(Some(left_rows)), FlowKind::Table(Some(right_rows))) = (left.flow.kind, right.flow.kind)
        else {
            return None;
        };
        let row = left.flow.value.clone();
        let subscriptions = self.subscriptions(draft, left, right)?;
        let (span, own) = (&right.name.span, format!("{name}-subscriptions"));
        let store = self.new_store(&own, remembered_shape(), &Format::Bytes, StoreKind::Internal, span);
        let shape = answer_shape(right.flow.value.clone());
        let answer = Answer {
            subscriptions: store,
            rows: right_rows,
            remembered: structure(&remembered_shape())?,
            answer: structure(&shape)?,
        };
        let ports = [subscriptions.port, right.flow.port];
        // Its topics are the engine's own: nothing in them is anybody's mistake.
        let port = self.graph.node(format!("{name}/answer"), Verb::ForeignKeyAnswer(answer), OnError::Fail, &ports);
        let personal_data = left.flow.personal_data || right.flow.personal_data;
        let answers = Flow { port, kind: FlowKind::Stream, value: shape, personal_data, ..left.flow.clone() };
        let what = Repartitioning {
            name: &format!("{name}-response"),
            owner: &format!("{name}/response"),
            partitions: None,
            key: None,
            keeps_null_keys: false,
            span: &left.name.span,
        };
        let answers = self.repartition_to(answers, &what, Some(PARTITION));
        let joined = (kind == JoinKind::Inner).then(|| {
            let (own, key) = (format!("{name}-joined"), &left.flow.key.format);
            self.new_store(&own, Shape::Null, key, StoreKind::Internal, &left.name.span)
        });
        let shape = value.shape().clone();
        let verb = Verb::ForeignKeyResolve(Resolve { kind, rows: left_rows, joined, row, value });
        Some(Flow {
            port: self.graph.node(format!("{name}/join"), verb, on_error, &[answers.port]),
            kind: FlowKind::Table(None),
            value: shape,
            partitions: left.flow.partitions.clone(),
            ..answers
        })
    }

    /// What the first table tells the second one, where it arrives.
    fn subscriptions(&mut self, draft: &Draft<'_>, left: &JoinInput<'_>, right: &JoinInput<'_>) -> Option<Flow> {
        let Draft { name, kind, on_error, .. } = *draft;
        let shape = subscription_shape();
        let subscribe = Subscribe {
            kind,
            on: draft.on.clone(),
            key: draft.key.clone(),
            row: left.flow.value.clone(),
            subscription: structure(&shape)?,
        };
        let verb = Verb::ForeignKeySubscribe(subscribe);
        let flow = Flow {
            port: self.graph.node(format!("{name}/subscribe"), verb, on_error, &[left.flow.port]),
            kind: FlowKind::Stream,
            key: right.flow.key.clone(),
            value: shape,
            ..left.flow.clone()
        };
        let what = Repartitioning {
            name: &format!("{name}-subscription"),
            owner: &format!("{name}/subscription"),
            partitions: None,
            key: None,
            // A row that names none asks all the same.
            keeps_null_keys: true,
            span: &left.name.span,
        };
        Some(self.repartition(flow, &what))
    }
}

fn structure(shape: &Shape) -> Option<Arc<StructShape>> {
    match shape {
        Shape::Struct(shape) => Some(shape.clone()),
        _ => None,
    }
}
