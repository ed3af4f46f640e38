//! Streams: what they start from.

use super::Planner;
use super::graph::Flow;
use super::steps::Place;
use crate::topology::spec::{Origins, Step, StreamSpec};
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// Builds a stream.
    pub(super) fn stream(&mut self, name: &str, stream: &StreamSpec) -> Flow {
        let on_error = self.process_policy(stream.on_error.as_ref(), "a stream");
        let span = &stream.span;
        let starts = [stream.from.is_some(), stream.merge.is_some(), stream.join.is_some()];
        if starts.iter().filter(|given| **given).count() > 1 {
            let problem = Diagnostic::new(span.clone(), "a stream starts from one of `from`, `merge` and `join`");
            self.problems.report(problem.help("add the others as steps, or define a stream of its own"));
        }
        if let (Some(map), None) = (&stream.map_values, &stream.join) {
            let problem = Diagnostic::new(map.0.label.clone(), "`map_values` beside `steps` is for joins");
            self.problems.report(problem.help("make it a step: `- map_values: ...`"));
        }
        let steps = stream.steps.as_deref().unwrap_or_default();
        let merged = stream.from.as_ref().filter(|from| from.single().is_none()).map(|from| &from.0);
        let flow = if let Some(from) = stream.from.as_ref().and_then(Origins::single) {
            let flow = self.names.read(from, self.problems);
            if flow.is_table() && !matches!(steps.first().map(|step| &step.step), Some(Step::ToStream(_))) {
                let message = format!("`{}` is a table, and this is a stream", from.text);
                let help = "make a stream of its changes: start the steps with `- to_stream`";
                self.problems.report(Diagnostic::new(from.span.clone(), message).help(help));
                Flow::unknown()
            } else {
                flow
            }
        } else if let Some(names) = merged.or(stream.merge.as_ref()) {
            let place = Place { owner: name, node: format!("{name}/merge"), span, on_error, last: steps.is_empty() };
            self.merge(None, names, &place)
        } else if let Some(join) = &stream.join {
            self.stream_join(name, join, stream.map_values.as_ref(), on_error)
        } else {
            let problem = Diagnostic::new(span.clone(), format!("the stream `{name}` starts from nothing"));
            self.problems.report(problem.help("give it `from`, `merge` or `join`"));
            Flow::unknown()
        };
        self.steps(name, steps, flow, on_error)
    }
}
