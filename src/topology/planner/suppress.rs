//! `suppress`: holds the changes of a table back.

use super::Planner;
use super::graph::{Flow, FlowKind};
use super::steps::Place;
use crate::record::{Fields, Shape};
use crate::serdes::Format;
use crate::state::StoreKind;
use crate::topology::plan::{Suppress, Until, Verb, WhenFull};
use crate::topology::spec::{SuppressSpec, UntilSpec, WhenFullSpec};
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// Holds the changes of a table back.
    pub(super) fn suppress(&mut self, flow: Flow, spec: &SuppressSpec, place: &Place<'_>) -> Flow {
        let before = self.problems.count();
        let until = self.until(&flow, spec);
        let when_full = self.when_full(spec);
        if flow.is_unknown() || self.problems.count() > before {
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        let (Some(until), Some(serde)) = (until, self.serde_of(&flow.key.format, place.span)) else { return flow };
        let name = format!("{}-suppress", self.store_name(place.owner));
        let shape = Suppress::shape(&flow.value);
        let buffer = self.new_store(&name, shape, &Format::Bytes, StoreKind::Internal, place.span);
        // The window of a key tells when it is over; when a time began, nothing but the index does.
        let index = matches!(until, Until::TimeLimit { .. }).then(|| {
            let name = format!("{name}-index");
            self.new_store(&name, Shape::Int, &Format::Bytes, StoreKind::Internal, place.span)
        });
        let suppress = Suppress {
            buffer,
            index,
            until,
            max_records: spec.max_records.as_ref().map(|most| most.value),
            max_bytes: spec.max_bytes.as_ref().map(|most| most.value),
            when_full,
            windows: flow.windows,
            key: serde.deserializer(&Fields::All),
        };
        let mut flow = flow;
        self.chain(&mut flow, Verb::Suppress(suppress), place);
        flow
    }

    fn until(&mut self, flow: &Flow, spec: &SuppressSpec) -> Option<Until> {
        match &spec.until {
            UntilSpec::For(limit) if limit.value < 0 => {
                self.problems.report(Diagnostic::new(limit.span.clone(), "a time to hold back cannot be negative"));
                None
            }
            UntilSpec::For(limit) => Some(Until::TimeLimit { limit: limit.value }),
            UntilSpec::WindowCloses(_) if flow.is_unknown() => None,
            UntilSpec::WindowCloses(place) => match flow.windows.map(|windows| windows.closes_after()) {
                Some(Some(after)) => Some(Until::WindowCloses { after }),
                Some(None) => {
                    let problem = Diagnostic::new(place.clone(), "an unlimited window never closes");
                    self.problems.report(problem.help("hold back for a time: `until: 10s`"));
                    None
                }
                None => {
                    let problem = Diagnostic::new(place.clone(), "this table has no windows that could close");
                    self.problems.report(problem.help("add a `window`, or hold back for a time: `until: 10s`"));
                    None
                }
            },
        }
    }

    fn when_full(&mut self, spec: &SuppressSpec) -> WhenFull {
        let limited = spec.max_records.is_some() || spec.max_bytes.is_some();
        let closes = matches!(spec.until, UntilSpec::WindowCloses(_));
        if spec.when_full.is_some() && !limited {
            let problem = Diagnostic::new(spec.span.clone(), "`when_full` needs a limit");
            self.problems.report(problem.help("add `max_records` or `max_bytes`"));
        }
        match spec.when_full {
            Some(WhenFullSpec::EmitEarly) if closes => {
                let message = "until windows close, nothing may go on early: it would not be final";
                let problem = Diagnostic::new(spec.span.clone(), message);
                self.problems.report(problem.help("write `when_full: stop`, or hold back for a time: `until: 10s`"));
                WhenFull::EmitEarly
            }
            Some(WhenFullSpec::EmitEarly) => WhenFull::EmitEarly,
            Some(WhenFullSpec::Stop) => WhenFull::Stop,
            None if closes => WhenFull::Stop,
            None => WhenFull::EmitEarly,
        }
    }
}
