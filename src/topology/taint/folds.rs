//! What becomes of personal data in aggregations: in their states, and in what they hand on.

use super::verbs::{Contents, not_redacted};
use crate::expression::{Given, Part, Projection, Taint};
use crate::topology::plan::{Aggregate, AggregateKind, Cogroup, FoldCall, Function, NEW, NamedAggregate, OLD};
use crate::window::Windows;

/// What an aggregation does with what it takes.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// What its store holds.
    pub(super) state: Taint,
    /// What it hands on.
    pub(super) result: Taint,
    /// What it asks an agent, where it asks one.
    pub(super) asked: Option<Taint>,
}

/// What the values of an aggregation are, of whatever comes in.
pub(super) fn fold(plan: &Aggregate, inputs: &[Contents], answer: &mut dyn FnMut(&FoldCall) -> Taint) -> Folded {
    let mut all = Contents::default();
    inputs.iter().for_each(|input| {
        all.join(input);
    });
    if plan.changes {
        // What is taken from a group is a row like the one that is added.
        let value = all.value.field(NEW).joined(&all.value.field(OLD));
        all.value = value;
    }
    let given = all.given(Vec::new());
    match &plan.function {
        Function::Named { aggregates, .. } => named(aggregates, &given),
        Function::Reduce { expression, subtract } => {
            let steps = std::iter::once(expression).chain(subtract);
            // Of sessions that become one, the later state takes the place of a value.
            let merges = matches!(plan.windows, Some(Windows::Session(_)));
            let state = settled(all.value.clone(), |state| {
                let mut given = with_state(&given, state);
                if merges {
                    given.value.join(state);
                }
                steps.clone().fold(Taint::clean(), |next, step| next.joined(&step.flow(&given)))
            });
            Folded { result: state.clone(), state, asked: None }
        }
        Function::Fold { init, add, subtract, call, merge, result } => {
            let steps: Vec<&Projection> = std::iter::once(add).chain(subtract).chain(merge).collect();
            let answer = call.as_ref().map(&mut *answer).unwrap_or_default();
            let into = |state: &Taint| {
                let call = call.as_ref()?;
                let changed = call.input.flow_of_changed(&with_state(&given, state));
                let answer = answer.clone().joined(&not_redacted(call.agent.as_ref(), &changed));
                Some(call.into.flow(&Given { locals: vec![state.clone(), answer], ..given.clone() }))
            };
            let state = settled(init.flow(&given), |state| {
                let given = with_state(&given, state);
                let mut next = steps.iter().fold(Taint::clean(), |next, step| next.joined(&step.flow(&given)));
                into(state).iter().for_each(|with_answer| {
                    next.join(with_answer);
                });
                next
            });
            let asked = call.as_ref().map(|call| call.input.flow(&with_state(&given, &state)));
            Folded { result: outcome(result.as_ref(), &given, &state), state, asked }
        }
        Function::Cogroup(cogroup) => cogrouped(cogroup, inputs, &given),
    }
}

fn cogrouped(cogroup: &Cogroup, inputs: &[Contents], given: &Given) -> Folded {
    let state = settled(cogroup.init.flow(given), |state| {
        let mut next = Taint::clean();
        for (add, input) in cogroup.add.iter().zip(inputs) {
            next.join(&add.flow(&input.given(vec![state.clone()])));
        }
        cogroup.merge.iter().for_each(|merge| {
            next.join(&merge.flow(&with_state(given, state)));
        });
        next
    });
    Folded { result: outcome(cogroup.result.as_ref(), given, &state), state, asked: None }
}

/// `acc`, and for sessions `other`, which is a state like it.
fn with_state(given: &Given, state: &Taint) -> Given {
    Given { locals: vec![state.clone(), state.clone()], ..given.clone() }
}

fn outcome(result: Option<&Projection>, given: &Given, state: &Taint) -> Taint {
    result.map_or_else(|| state.clone(), |result| result.flow(&with_state(given, state)))
}

/// Goes on until the state says nothing new. Joining bounds it, so that this comes to an end.
fn settled(first: Taint, next: impl Fn(&Taint) -> Taint) -> Taint {
    let mut state = first;
    while state.join(&next(&state)) {}
    state
}

fn named(aggregates: &[NamedAggregate], given: &Given) -> Folded {
    let (mut state, mut result) = (Taint::clean(), Taint::clean());
    for aggregate in aggregates {
        let argument = aggregate.argument.as_ref().map(|argument| argument.flow(given)).unwrap_or_default();
        let (kept, given) = match aggregate.kind {
            AggregateKind::Count | AggregateKind::CountIf => (Taint::clean(), Taint::clean()),
            // A count goes on. What it is counted by may be small enough to be told from the store.
            AggregateKind::ApproxDistinct => (argument.flattened(), Taint::clean()),
            AggregateKind::First | AggregateKind::Last | AggregateKind::Min | AggregateKind::Max => {
                (argument.clone(), argument)
            }
            AggregateKind::Collect { .. } | AggregateKind::CollectSet { .. } => {
                (Taint::elements(argument.clone()), Taint::elements(argument))
            }
            AggregateKind::TopK { .. } => (argument.flattened(), Taint::elements(argument)),
            // Of one record the sum is the number itself.
            AggregateKind::Sum | AggregateKind::Avg | AggregateKind::Stddev | AggregateKind::ApproxQuantile { .. } => {
                (argument.flattened(), argument.flattened())
            }
        };
        let field = Part::Field(aggregate.name.clone());
        state = state.with(field.clone(), kept);
        result = result.with(field, given);
    }
    Folded { state, result, asked: None }
}
