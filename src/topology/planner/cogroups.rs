//! `cogroup`: several streams, each partitioned by its group, and the state that they build up together.

use super::Planner;
use super::aggregates::Computed;
use super::expressions::record_scope;
use super::folds::merge_scope;
use super::graph::{Flow, FlowKind};
use super::repartition::Repartitioning;
use super::shapes::difference;
use super::steps::Place;
use crate::expression::{Binding, Projection, Scope};
use crate::record::Shape;
use crate::topology::plan::{Cogroup, Function, OnError};
use crate::topology::spec::scalars::Template;
use crate::topology::spec::{CogroupInputSpec, CogroupSpec, Name, TableSpec, WindowSpec};
use crate::yaml::Diagnostic;

/// Widening a state that does not settle within so many rounds never will.
const MAX_ROUNDS: usize = 8;

impl Planner<'_> {
    /// A table made by a cogroup.
    pub(super) fn cogroup(&mut self, name: &str, table: &TableSpec, cogroup: &CogroupSpec, on_error: OnError) -> Flow {
        if cogroup.inputs.0.is_empty() {
            let problem = Diagnostic::new(cogroup.span.clone(), "a cogroup needs at least one input");
            self.problems.report(problem.help("write `inputs: {NAME: {from: STREAM, add: ...}}`"));
            return Flow::unknown();
        }
        let mut flows = Vec::new();
        for (alias, input) in cogroup.inputs.iter() {
            flows.push(self.cogroup_input(name, alias, input, on_error));
        }
        self.check_cogrouped_keys(cogroup, &flows);
        let complete = flows.len() == cogroup.inputs.0.len() && !flows.iter().any(Flow::is_unknown);
        let Some((first, others)) = flows.split_first() else { return Flow::unknown() };
        let mut first = first.clone();
        if !complete {
            first.kind = FlowKind::Unknown;
        }
        self.aggregation(name, table, first, others, on_error)
    }

    /// An input, partitioned by its group.
    fn cogroup_input(&mut self, name: &str, alias: &Name, input: &CogroupInputSpec, on_error: OnError) -> Flow {
        let span = &input.from.span;
        let mut flow = self.names.read(&input.from, self.problems);
        if flow.is_table() {
            let message = format!("`{}` is a table; `cogroup` takes streams", input.from.text);
            let help = "make a stream of its changes first: `from` it with `- to_stream`";
            self.problems.report(Diagnostic::new(span.clone(), message).help(help));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        if let Some(key) = &input.group_by {
            let node = format!("{name}/group_by-{}", alias.text);
            flow = self.select_key(flow, key, &Place { owner: name, node, span, on_error, last: false });
        }
        if flow.windows.is_some() {
            let message = "the keys of this stream have windows, and a table of it would mix them up";
            let problem = Diagnostic::new(span.clone(), message);
            self.problems.report(problem.help("say what to group by, such as `group_by: key`"));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        if flow.rekeyed && !flow.is_unknown() {
            let topic = format!("{name}-{}", alias.text);
            let what =
                Repartitioning { name: &topic, owner: name, partitions: None, key: None, keeps_null_keys: false, span };
            flow = self.repartition(flow, &what);
        }
        flow
    }

    /// Groups are one only where keys are written alike and topics have as many partitions.
    fn check_cogrouped_keys(&mut self, cogroup: &CogroupSpec, flows: &[Flow]) {
        let known = || cogroup.inputs.iter().zip(flows).filter(|(_, flow)| !flow.is_unknown());
        let Some(((_, first_input), first)) = known().next() else { return };
        for ((_, input), flow) in known().skip(1) {
            let (ours, theirs) = (&input.from, &first_input.from.text);
            if flow.key.format != first.key.format {
                let (a, b) = (&flow.key.format, &first.key.format);
                let message = format!("the keys of `{}` are {a}, those of `{theirs}` {b}", ours.text);
                let help = "the inputs of a cogroup have keys of one format; `group_by` makes new ones";
                self.problems.report(Diagnostic::new(ours.span.clone(), message).help(help));
            }
            if let (Some((topic, count)), Some((first_topic, first_count))) = (&flow.partitions, &first.partitions)
                && count != first_count
            {
                let message = format!(
                    "topic `{topic}` has partitions: {count}, and topic `{first_topic}` has {first_count}; records of one key would not meet"
                );
                let help = "give both topics as many in `topics`, or put `- repartition` before";
                self.problems.report(Diagnostic::new(ours.span.clone(), message).help(help));
            }
        }
    }

    /// What a cogroup computes. `flows` are its inputs, in order.
    pub(super) fn cogrouped(
        &mut self,
        cogroup: &CogroupSpec,
        flows: &[&Flow],
        window: Option<&WindowSpec>,
    ) -> Computed {
        if !self.check_merge(cogroup.merge.as_ref(), &cogroup.span, "a cogroup", window) {
            return Computed::unknown();
        }
        let key = flows.first().map_or(Shape::Any, |flow| flow.key.shape.clone());
        let scope = Scope::new().with("key", Binding::Key, key);
        let Some(init) = self.template(&cogroup.init, &scope) else { return Computed::unknown() };
        let mut state = init.shape().clone();
        for _ in 0..MAX_ROUNDS {
            let Some((add, mut wider)) = self.cogrouped_round(cogroup, flows, &state) else {
                return Computed::unknown();
            };
            let merge = cogroup.merge.as_ref().map(|merge| self.template(merge, &merge_scope(&scope, &state)));
            if matches!(merge, Some(None)) {
                return Computed::unknown();
            }
            let merge = merge.flatten();
            if let (Some(merge), Some(template)) = (&merge, &cogroup.merge) {
                let Some(widest) = wider.unify(merge.shape()) else {
                    self.no_cogrouped_state(cogroup, "merge", template, &wider, merge.shape());
                    return Computed::unknown();
                };
                wider = widest;
            }
            if wider != state {
                state = wider;
                continue;
            }
            let row = scope.clone().with("acc", Binding::Local(0), state.clone());
            let result = cogroup.result.as_ref().map(|result| self.template(result, &row));
            if matches!(result, Some(None)) || add.len() != cogroup.inputs.0.len() {
                return Computed::unknown();
            }
            let result = result.flatten();
            let shape = result.as_ref().map_or_else(|| state.clone(), |result| result.shape().clone());
            let function = Function::Cogroup(Cogroup { init, add, merge, result });
            return Computed { function: Some(function), state, result: shape };
        }
        let problem = Diagnostic::new(cogroup.span.clone(), "the shape of the cogroup's state does not settle");
        self.problems.report(problem);
        Computed::unknown()
    }

    /// The `add` of each input, given the state's shape, and the shape that holds what they give.
    fn cogrouped_round(
        &mut self,
        cogroup: &CogroupSpec,
        flows: &[&Flow],
        state: &Shape,
    ) -> Option<(Vec<Projection>, Shape)> {
        let mut wider = state.clone();
        let mut adds = Vec::new();
        for ((_, input), flow) in cogroup.inputs.iter().zip(flows) {
            let scope = record_scope(flow).with("acc", Binding::Local(0), state.clone());
            adds.push(self.template(&input.add, &scope));
        }
        let adds: Vec<Projection> = adds.into_iter().collect::<Option<_>>()?;
        for ((_, input), add) in cogroup.inputs.iter().zip(&adds) {
            let Some(widest) = wider.unify(add.shape()) else {
                self.no_cogrouped_state(cogroup, "add", &input.add, &wider, add.shape());
                return None;
            };
            wider = widest;
        }
        Some((adds, wider))
    }

    fn no_cogrouped_state(
        &mut self,
        cogroup: &CogroupSpec,
        part: &str,
        template: &Template,
        state: &Shape,
        given: &Shape,
    ) {
        let message = format!("`{part}` must give the state that `init` starts: {}", difference(state, given));
        let problem = Diagnostic::new(template.0.place(), message);
        self.problems.report(problem.related(cogroup.init.0.label.clone(), "the state starts here"));
    }
}
