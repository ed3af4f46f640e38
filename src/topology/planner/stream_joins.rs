//! Joins of two streams.

use super::Planner;
use super::graph::{Flow, FlowKind, KeyInfo};
use super::joins::{JoinInput, kind_of};
use super::repartition::Repartitioning;
use crate::record::{Fields, Shape};
use crate::serdes::Format;
use crate::state::StoreKind;
use crate::topology::plan::{JoinKind, OnError, Verb};
use crate::topology::spec::scalars::{Millis, Template};
use crate::topology::spec::{JoinSpec, WithinSpec};
use crate::topology::stream_join::{JoinWindow, StreamJoin};
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// A join under `streams`: of two streams, or of a stream with a table or a global table.
    pub(super) fn stream_join(
        &mut self,
        name: &str,
        join: &JoinSpec,
        value: Option<&Template>,
        on_error: OnError,
    ) -> Flow {
        let Some(inputs) = self.inputs(join) else { return Flow::unknown() };
        if inputs.iter().any(|input| matches!(input.flow.kind, FlowKind::Global(_))) {
            return self.stream_global_join(name, join, inputs, value, on_error);
        }
        self.refuse_on(join);
        let streams = inputs.iter().filter(|input| input.flow.kind == FlowKind::Stream).count();
        let tables = inputs.iter().filter(|input| input.flow.is_table()).count();
        if streams < 2 && (tables > 0 || join.within.is_none()) {
            self.refuse_within(join);
            return self.stream_table_join(name, join, inputs, value, on_error);
        }
        let kind = kind_of(join);
        let nullable = [kind == JoinKind::Outer, kind != JoinKind::Inner];
        if let Some(grace) = &join.grace {
            let problem =
                Diagnostic::new(grace.span.clone(), "the `grace` of a join of two streams stands in `within`");
            self.problems.report(problem.help("write `within: {before: 5m, after: 5m, grace: 1m}`"));
        }
        let window = self.join_window(join);
        let [first, second] = match <[JoinInput<'_>; 2]>::try_from(inputs) {
            Ok(inputs) if tables == 0 => inputs,
            Ok(inputs) => return self.joined_unknown(&inputs, value, &nullable),
            Err(inputs) => {
                let message = match tables {
                    0 => "two streams are joined at a time",
                    _ => "a join is of two streams, or of a stream and a table",
                };
                let problem = Diagnostic::new(join.span.clone(), message);
                self.problems.report(problem.help("define a stream for each join"));
                let nullable: Vec<bool> = (0..inputs.len()).map(|position| nullable[position.min(1)]).collect();
                return self.joined_unknown(&inputs, value, &nullable);
            }
        };
        let mut inputs = [first, second];
        for input in inputs.iter_mut().filter(|input| input.flow.windows.is_some()) {
            let message = format!("the keys of `{}` are windows'; a stream is joined by plain keys", input.name.text);
            let problem = Diagnostic::new(input.name.span.clone(), message);
            self.problems.report(problem.help("give it a new key with `select_key`"));
            input.flow = Flow { kind: FlowKind::Unknown, ..input.flow.clone() };
        }
        let (Some(window), false) = (window, inputs.iter().any(|input| input.flow.is_unknown())) else {
            return self.joined_unknown(&inputs, value, &nullable);
        };
        let inputs = self.brought_together(name, inputs, nullable);
        self.check_keys(&inputs);
        match self.join_streams(name, &inputs, value, kind, window, on_error) {
            Some(flow) => flow,
            None => Flow::unknown(),
        }
    }

    /// `within` says something about two streams only.
    pub(super) fn refuse_within(&mut self, join: &JoinSpec) {
        if let Some(within) = &join.within {
            let problem = Diagnostic::new(within.span.clone(), "`within` is for joins of two streams");
            self.problems.report(problem.help("a table is joined as it is when a record comes; leave `within` out"));
        }
    }

    /// The window of a join of streams. `None`: it has a mistake, which has been reported.
    fn join_window(&mut self, join: &JoinSpec) -> Option<JoinWindow> {
        let Some(WithinSpec { before, after, grace, span }) = &join.within else {
            let message = "how far apart may records that are joined lie? `within` is missing";
            let problem = Diagnostic::new(join.span.clone(), message);
            self.problems.report(
                problem.help("add `within: 5m`, or make a table of one of the streams to join with its last value"),
            );
            return None;
        };
        if before.is_none() && after.is_none() {
            let problem = Diagnostic::new(span.clone(), "`within` says neither `before` nor `after`");
            self.problems.report(problem.help("write `within: 5m`, or one of both"));
            return None;
        }
        let mut given = |millis: &Option<Millis>, what: &str| match millis {
            None => Some(0),
            Some(millis) if millis.value < 0 => {
                let message = format!("{what} cannot be negative");
                self.problems.report(Diagnostic::new(millis.span.clone(), message));
                None
            }
            Some(millis) => Some(millis.value),
        };
        let (before, after) = (given(before, "a distance in time"), given(after, "a distance in time"));
        let grace = given(grace, "a grace period");
        Some(JoinWindow { before: before?, after: after?, grace: grace? })
    }

    /// Sends inputs with new keys through internal topics, so that equal keys meet in one task. A stream that is
    /// joined with itself goes through one.
    fn brought_together<'s>(
        &mut self,
        name: &str,
        mut inputs: [JoinInput<'s>; 2],
        outer: [bool; 2],
    ) -> [JoinInput<'s>; 2] {
        // Unmatched records of the first count where the second may be null, and the other way round.
        let keeps_null_keys = [outer[1], outer[0]];
        let itself = inputs[0].name.text == inputs[1].name.text;
        let mut format: Option<Format> =
            inputs.iter().find(|input| !input.flow.rekeyed).map(|input| input.flow.key.format.clone());
        for side in 0..2 {
            let [first, second] = &mut inputs;
            let (input, other) = if side == 0 { (first, second) } else { (second, first) };
            if !input.flow.rekeyed {
                continue;
            }
            let what = Repartitioning {
                name: &format!("{name}-{}", input.alias.text),
                owner: &format!("{name}/{}", input.alias.text),
                partitions: None,
                key: format.clone(),
                keeps_null_keys: keeps_null_keys[side] || (itself && keeps_null_keys[1 - side]),
                span: &input.name.span,
            };
            input.flow = self.repartition(input.flow.clone(), &what);
            format.get_or_insert_with(|| input.flow.key.format.clone());
            if itself {
                other.flow = input.flow.clone();
            }
        }
        inputs
    }

    /// The node, with its stores.
    fn join_streams(
        &mut self,
        name: &str,
        inputs: &[JoinInput<'_>; 2],
        value: Option<&Template>,
        kind: JoinKind,
        window: JoinWindow,
        on_error: OnError,
    ) -> Option<Flow> {
        let nullable = [kind == JoinKind::Outer, kind != JoinKind::Inner];
        let value = self.joined_value(inputs, value, &nullable);
        let [first, second] = inputs;
        let key = KeyInfo {
            shape: first.flow.key.shape.unify(&second.flow.key.shape).unwrap_or(Shape::Any),
            format: first.flow.key.format.clone(),
        };
        let reader = self.serde_of(&key.format, &first.name.span)?.deserializer(&Fields::All);
        let mut store = |input: &JoinInput<'_>, suffix: &str| {
            let kind = StoreKind::Join { retention: window.retention() };
            let store = format!("{name}-{}{suffix}", input.alias.text);
            self.new_store(&store, input.flow.value.clone(), &input.flow.key.format, kind, &input.alias.span)
        };
        let rows = [store(first, ""), store(second, "")];
        let unmatched = [
            (kind != JoinKind::Inner).then(|| store(first, "-unmatched")),
            (kind == JoinKind::Outer).then(|| store(second, "-unmatched")),
        ];
        let value = value?;
        let shape = value.shape().clone();
        let ports = [first.flow.port, second.flow.port];
        let verb = Verb::StreamStreamJoin(StreamJoin { kind, window, rows, unmatched, value, key: reader });
        Some(Flow {
            port: self.graph.node(format!("{name}/join"), verb, on_error, &ports),
            kind: FlowKind::Stream,
            key,
            value: shape,
            rekeyed: false,
            windows: None,
            personal_data: first.flow.personal_data || second.flow.personal_data,
            partitions: first.flow.partitions.clone().or_else(|| second.flow.partitions.clone()),
        })
    }
}
