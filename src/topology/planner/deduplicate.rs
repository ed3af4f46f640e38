//! `deduplicate`: where the records that are alike meet, and where it is kept which of them passed.

use super::Planner;
use super::expressions::record_scope;
use super::graph::{Flow, FlowKind};
use super::repartition::Repartitioning;
use super::steps::Place;
use crate::record::Shape;
use crate::state::StoreKind;
use crate::topology::plan::{DEDUPLICATE_RETENTION, Verb};
use crate::topology::spec::DeduplicateSpec;
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// The step `deduplicate`.
    pub(super) fn deduplicate(&mut self, mut flow: Flow, spec: &DeduplicateSpec, place: &Place<'_>) -> Flow {
        let within = spec.within.value;
        if within <= 0 {
            let problem = Diagnostic::new(spec.within.span.clone(), "`within` must be longer than zero");
            self.problems.report(problem.help("say how far apart in time records that are alike can be"));
            return flow;
        }
        let by = match &spec.by {
            None => None,
            Some(by) => {
                let expression = self.expression(&by.0, &record_scope(&flow));
                match expression.and_then(|expression| self.key_mapping(expression, &by.0.place())) {
                    Some(by) => Some(by),
                    None => return flow,
                }
            }
        };
        if by.is_none() && flow.windows.is_some() {
            let message = "the keys of this stream have windows, and would be alike in all of them";
            let problem = Diagnostic::new(place.span.clone(), message);
            self.problems.report(problem.help("say what makes records alike: `by`"));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        if flow.is_unknown() {
            return flow;
        }
        let store = match &spec.name {
            Some(name) => name.text.clone(),
            None => format!("{}-deduplicate", place.owner),
        };
        if self.graph.stores.iter().any(|other| other.spec.name == store) {
            let problem = Diagnostic::new(place.span.clone(), format!("there is a store `{store}` already"));
            self.problems.report(problem.help("give this one a `name`"));
            return flow;
        }
        if by.is_none() && flow.rekeyed {
            let (owner, span) = (place.owner, place.span);
            let what =
                Repartitioning { name: &store, owner, partitions: None, key: None, keeps_null_keys: false, span };
            flow = self.repartition(flow, &what);
        }
        let format = by.as_ref().map_or(&flow.key.format, |by| &by.format).clone();
        let retention = within.saturating_mul(DEDUPLICATE_RETENTION);
        let kind = StoreKind::Window { retention };
        let store = self.new_store(&store, Shape::Timestamp, &format, kind, place.span);
        self.chain(&mut flow, Verb::Deduplicate { by, within, store }, place);
        flow
    }
}
