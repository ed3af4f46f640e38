//! Headers that are set: by the step `set_headers`, and by sinks.

use super::Planner;
use super::expressions::record_scope;
use super::graph::Flow;
use super::steps::Place;
use crate::expression::Scope;
use crate::record::{Shape, Text};
use crate::topology::plan::{HeaderChange, Verb};
use crate::topology::spec::HeadersSpec;
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// The step `set_headers`.
    pub(super) fn set_headers(&mut self, mut flow: Flow, spec: &HeadersSpec, place: &Place<'_>) -> Flow {
        if let Some(changes) = self.header_changes(spec, &record_scope(&flow)) {
            self.chain(&mut flow, Verb::SetHeaders { changes }, place);
        }
        flow
    }

    /// What becomes of headers. `None`: there is a mistake, which has been reported.
    pub(super) fn header_changes(&mut self, spec: &HeadersSpec, scope: &Scope) -> Option<Vec<HeaderChange>> {
        let mut changes = Some(Vec::new());
        for (name, formula) in &spec.headers {
            let value = match formula {
                None => None,
                Some(formula) => {
                    let Some(expression) = self.expression(&formula.0, scope) else {
                        changes = None;
                        continue;
                    };
                    if !is_header(expression.shape().required()) {
                        let message = format!("a header is text or bytes; this is {}", expression.shape());
                        let problem = Diagnostic::new(formula.0.place(), message);
                        self.problems.report(problem.help(format!("write `string({})`", expression.source())));
                        changes = None;
                        continue;
                    }
                    Some(expression)
                }
            };
            if let Some(changes) = &mut changes {
                changes.push(HeaderChange { name: Text::from(name.text.as_str()), value });
            }
        }
        changes
    }
}

/// Whether a value of this shape may be a header's; what is only known at run time is looked at then.
fn is_header(shape: &Shape) -> bool {
    matches!(shape, Shape::String | Shape::Bytes | Shape::Enum(_) | Shape::Null | Shape::Any | Shape::Never)
}
