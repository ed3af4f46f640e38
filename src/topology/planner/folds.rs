//! `fold`: the shape of its state is the smallest that holds what `init` and `add` give.

use super::Planner;
use super::aggregates::Computed;
use super::expressions::record_scope;
use super::graph::Flow;
use super::shapes::{difference, misfits};
use crate::expression::{Binding, Projection, Scope};
use crate::record::Shape;
use crate::topology::plan::{FoldCall, Function};
use crate::topology::spec::scalars::Template;
use crate::topology::spec::{FoldCallSpec, FoldSpec, WindowKind, WindowSpec};
use crate::yaml::{Diagnostic, Span};

/// Widening a state that does not settle within so many rounds never will.
const MAX_ROUNDS: usize = 8;

/// What `merge` sees: the key, and the states of two sessions. `scope` is that of a record.
pub(super) fn merge_scope(scope: &Scope, state: &Shape) -> Scope {
    let both = Scope::new().with("key", Binding::Key, scope.shape("key").cloned().unwrap_or(Shape::Any));
    both.with("acc", Binding::Local(0), state.clone()).with("other", Binding::Local(1), state.clone())
}

impl Planner<'_> {
    /// A fold over a stream.
    pub(super) fn fold_stream(&mut self, fold: &FoldSpec, flow: &Flow, window: Option<&WindowSpec>) -> Computed {
        if !self.check_merge(fold.merge.as_ref(), &fold.span, "a fold", window) {
            return Computed::unknown();
        }
        if let Some(subtract) = &fold.subtract {
            let problem = Diagnostic::new(subtract.0.label.clone(), "`subtract` is for grouped tables");
            self.problems.report(problem.help("leave it out: nothing leaves a stream"));
        }
        self.fold(fold, &record_scope(flow))
    }

    /// A fold; `scope` is what its expressions see beside the state.
    pub(super) fn fold(&mut self, fold: &FoldSpec, scope: &Scope) -> Computed {
        let init = self.template(&fold.init, scope);
        let mut state = init.as_ref().map_or(Shape::Any, |init| init.shape().clone());
        for _ in 0..MAX_ROUNDS {
            let with_state = scope.clone().with("acc", Binding::Local(0), state.clone());
            let Some(add) = self.template(&fold.add, &with_state) else { return Computed::unknown() };
            let Some(mut wider) = state.unify(add.shape()) else {
                return self.unsettled(fold, "add", &state, add.shape());
            };
            let call = match &fold.call {
                Some(call) => {
                    let Some(call) = self.fold_call(call, scope, add.shape()) else { return Computed::unknown() };
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
                    let Some(merge) = self.template(template, &merge_scope(scope, &state)) else {
                        return Computed::unknown();
                    };
                    let Some(widest) = wider.unify(merge.shape()) else {
                        return self.unsettled(fold, "merge", &wider, merge.shape());
                    };
                    wider = widest;
                    Some(merge)
                }
                None => None,
            };
            let subtract = fold.subtract.as_ref().map(|subtract| self.template(subtract, &with_state));
            if matches!(subtract, Some(None)) {
                return Computed::unknown();
            }
            let subtract = subtract.flatten();
            if let Some(subtract) = &subtract {
                // Null deletes the group; it is no state.
                let given = if *subtract.shape() == Shape::Null { &Shape::Never } else { subtract.shape().required() };
                let Some(widest) = wider.unify(given) else {
                    return self.unsettled(fold, "subtract", &wider, given);
                };
                wider = widest;
            }
            if wider != state {
                state = wider;
                continue;
            }
            // The result is also computed when a window closes, where no record is at hand.
            let row = Scope::new().with("key", Binding::Key, scope.shape("key").cloned().unwrap_or(Shape::Any));
            let row = row.with("acc", Binding::Local(0), state.clone());
            let result = fold.result.as_ref().map(|result| self.template(result, &row));
            if matches!(result, Some(None)) {
                return Computed::unknown();
            }
            let result = result.flatten();
            let shape = result.as_ref().map_or_else(|| state.clone(), |result| result.shape().clone());
            let Some(init) = init else { return Computed { function: None, state, result: shape } };
            let function = Function::Fold { init, add, subtract, call, merge, result };
            return Computed { function: Some(function), state, result: shape };
        }
        self.problems.report(Diagnostic::new(fold.add.0.place(), "the shape of the fold's state does not settle"));
        Computed::unknown()
    }

    /// Two sessions may become one, whose state only the author can tell; other windows never do. `owner` is what has
    /// this `merge`, or has none.
    pub(super) fn check_merge(
        &mut self,
        merge: Option<&Template>,
        span: &Span,
        owner: &str,
        window: Option<&WindowSpec>,
    ) -> bool {
        let session = window.filter(|window| matches!(window.kind, WindowKind::Session(_)));
        match (merge, session) {
            (None, Some(_)) => {
                let problem = Diagnostic::new(span.clone(), format!("{owner} over sessions needs `merge`"));
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
    fn fold_call(&mut self, call: &FoldCallSpec, scope: &Scope, state: &Shape) -> Option<FoldCall> {
        let scope = scope.clone().with("acc", Binding::Local(0), state.clone());
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
