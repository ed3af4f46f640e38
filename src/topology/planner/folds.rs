//! `fold`: the shape of its state is the smallest that holds what `init` and `add` give.

use super::Planner;
use super::aggregates::Computed;
use super::expressions::record_scope;
use super::graph::Flow;
use super::shapes::{difference, misfits};
use crate::expression::{Binding, Projection, Scope};
use crate::record::Shape;
use crate::topology::plan::{FoldCall, Function};
use crate::topology::spec::{FoldCallSpec, FoldSpec, WindowKind, WindowSpec};
use crate::yaml::Diagnostic;

/// Widening a state that does not settle within so many rounds never will.
const MAX_ROUNDS: usize = 8;

impl Planner<'_> {
    /// A fold over a stream.
    pub(super) fn fold(&mut self, fold: &FoldSpec, flow: &Flow, window: Option<&WindowSpec>) -> Computed {
        if !self.check_merge(fold, window) {
            return Computed::unknown();
        }
        let scope = record_scope(flow);
        let init = self.template(&fold.init, &scope);
        let mut state = init.as_ref().map_or(Shape::Any, |init| init.shape().clone());
        for _ in 0..MAX_ROUNDS {
            let with_state = scope.clone().with("acc", Binding::Local(0), state.clone());
            let Some(add) = self.template(&fold.add, &with_state) else { return Computed::unknown() };
            let Some(mut wider) = state.unify(add.shape()) else {
                return self.unsettled(fold, "add", &state, add.shape());
            };
            let call = match &fold.call {
                Some(call) => {
                    let Some(call) = self.fold_call(call, flow, add.shape()) else { return Computed::unknown() };
                    let Some(widest) = wider.unify(call.into.shape()) else {
                        return self.unsettled(fold, "call", &wider, call.into.shape());
                    };
                    wider = widest;
                    Some(call)
                }
                None => None,
            };
            let merge = match &fold.merge {
                Some(template) => {
                    let both = Scope::new().with("key", Binding::Key, flow.key.shape.clone());
                    let both = both.with("acc", Binding::Local(0), state.clone());
                    let both = both.with("other", Binding::Local(1), state.clone());
                    let Some(merge) = self.template(template, &both) else { return Computed::unknown() };
                    let Some(widest) = wider.unify(merge.shape()) else {
                        return self.unsettled(fold, "merge", &wider, merge.shape());
                    };
                    wider = widest;
                    Some(merge)
                }
                None => None,
            };
            if wider != state {
                state = wider;
                continue;
            }
            // The result is also computed when a window closes, where no record is at hand.
            let row = Scope::new().with("key", Binding::Key, flow.key.shape.clone());
            let row = row.with("acc", Binding::Local(0), state.clone());
            let result = fold.result.as_ref().map(|result| self.template(result, &row));
            if matches!(result, Some(None)) {
                return Computed::unknown();
            }
            let result = result.flatten();
            let shape = result.as_ref().map_or_else(|| state.clone(), |result| result.shape().clone());
            let Some(init) = init else { return Computed { function: None, state, result: shape } };
            let function = Function::Fold { init, add, call, merge, result };
            return Computed { function: Some(function), state, result: shape };
        }
        self.problems.report(Diagnostic::new(fold.add.0.place(), "the shape of the fold's state does not settle"));
        Computed::unknown()
    }

    /// Two sessions may become one, whose state only the author can tell; other windows never do.
    fn check_merge(&mut self, fold: &FoldSpec, window: Option<&WindowSpec>) -> bool {
        let session = window.filter(|window| matches!(window.kind, WindowKind::Session(_)));
        match (&fold.merge, session) {
            (None, Some(_)) => {
                let problem = Diagnostic::new(fold.span.clone(), "a fold over sessions needs `merge`");
                self.problems
                    .report(problem.help("say what two sessions come to: `merge: {count: acc.count + other.count}`"));
                false
            }
            (Some(merge), None) => {
                let problem = Diagnostic::new(merge.0.place(), "`merge` is for session windows: no others become one");
                self.problems.report(problem.help("leave it out, or group by `window: {session: ...}`"));
                false
            }
            _ => true,
        }
    }

    fn unsettled(&mut self, fold: &FoldSpec, part: &str, state: &Shape, given: &Shape) -> Computed {
        let message = format!("`{part}` must give the state that `init` starts: {}", difference(state, given));
        let place = fold.merge.as_ref().filter(|_| part == "merge").unwrap_or(&fold.add);
        let problem = Diagnostic::new(place.0.place(), message);
        self.problems.report(problem.related(fold.init.0.label.clone(), "the state starts here"));
        Computed::unknown()
    }

    /// The call of a fold. `state` is what it finds, the shape that `add` gives.
    fn fold_call(&mut self, call: &FoldCallSpec, flow: &Flow, state: &Shape) -> Option<FoldCall> {
        let scope = record_scope(flow).with("acc", Binding::Local(0), state.clone());
        let agent = self.agent(&call.agent);
        let input = self.template(&call.input, &scope);
        let agent = agent?;
        if let Some(input) = &input {
            for (path, message) in misfits(input.shape(), agent.input()) {
                self.report_within(&call.input.0, &path, &format!("`{}` cannot take this: {message}", call.agent.text));
            }
        }
        let scope = scope.with("answer", Binding::Local(1), agent.output().clone());
        let into: Projection = self.with_field("acc", &call.into, &scope)?;
        Some(FoldCall { agent, input: input?, into })
    }
}
