//! Agents that answer what a test says, failures too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value as Json;

use super::spec::{MockSpec, ReplySpec};
use crate::agents::{Agent, AgentError, Agents};
use crate::record::{Shape, Value};
use crate::serdes::json::from_json;
use crate::topology::spec::{Name, Named};
use crate::yaml::{Diagnostic, Problems, suggest};

#[derive(Clone, Debug)]
enum Reply {
    Answer(Value),
    Fail(String),
}

/// Stands in for an agent and has its shapes.
#[derive(Debug)]
struct Mock {
    original: Arc<dyn Agent>,
    replies: Vec<Reply>,
    calls: AtomicUsize,
}

impl Agent for Mock {
    fn name(&self) -> &str {
        self.original.name()
    }

    fn input(&self) -> &Shape {
        self.original.input()
    }

    fn output(&self) -> &Shape {
        self.original.output()
    }

    fn answer(&self, _input: &Value) -> Result<Value, AgentError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let unavailable = |reason: String| AgentError::Unavailable { agent: self.name().to_owned(), reason };
        match self.replies.get(call).or(self.replies.last()) {
            Some(Reply::Answer(answer)) => Ok(answer.clone()),
            Some(Reply::Fail(reason)) => Err(unavailable(reason.clone())),
            None => Err(unavailable("its mock has no replies".to_owned())),
        }
    }
}

/// The agents with mocks instead of those named; later ones in `mocks` replace earlier ones.
pub(super) fn with_mocks<'a>(agents: &Agents, mocks: impl IntoIterator<Item = &'a Named<MockSpec>>) -> Agents {
    let mut mocked = agents.clone();
    for (name, spec) in mocks.into_iter().flat_map(Named::iter) {
        let Some(original) = agents.get(&name.text) else { continue };
        let replies = replies(spec).filter_map(|reply| read(reply, original.output()).ok()).collect();
        mocked.add(Arc::new(Mock { original: original.clone(), replies, calls: AtomicUsize::new(0) }));
    }
    mocked
}

/// Reports mocks of agents that do not exist and answers that do not have the agent's shape.
pub(super) fn check(agents: &Agents, mocks: &Named<MockSpec>, problems: &mut Problems) {
    for (name, spec) in mocks.iter() {
        let Some(original) = agents.get(&name.text) else {
            report_unknown(agents, name, problems);
            continue;
        };
        let given = [spec.answer.is_some(), spec.fail.is_some(), spec.sequence.is_some()];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message = "a mock has one of `answer`, `fail` and `sequence`";
            problems.report(Diagnostic::new(name.span.clone(), message));
        }
        if spec.sequence.as_ref().is_some_and(Vec::is_empty) {
            problems.report(Diagnostic::new(spec.span.clone(), "a sequence needs at least one reply"));
        }
        for reply in spec.sequence.iter().flatten() {
            if reply.answer.is_some() == reply.fail.is_some() {
                problems.report(Diagnostic::new(reply.span.clone(), "a reply has either `answer` or `fail`"));
            }
        }
        for reply in replies(spec) {
            if let (Err(message), ReplyRef::Answer(_, span)) = (read(reply, original.output()), reply) {
                let message = format!("this is no answer of `{}`: {message}", name.text);
                let help = format!("`{}` answers with {}", name.text, describe(original.output()));
                problems.report(Diagnostic::new(span.clone(), message).help(help));
            }
        }
    }
}

fn report_unknown(agents: &Agents, name: &Name, problems: &mut Problems) {
    let problem = Diagnostic::new(name.span.clone(), format!("there is no agent `{}`", name.text));
    problems.report(problem.help_if(suggest(&name.text, agents.names())));
}

/// The fields of a shape with their own shapes, for help.
fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Struct(shape) => {
            let fields: Vec<String> =
                shape.fields().iter().map(|field| format!("{}: {}", field.name, field.shape)).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
enum ReplyRef<'a> {
    Answer(&'a Json, &'a crate::yaml::Span),
    Fail(&'a str),
}

fn replies(spec: &MockSpec) -> impl Iterator<Item = ReplyRef<'_>> {
    let single = spec.answer.iter().map(|answer| ReplyRef::Answer(&answer.json, &answer.span));
    let failure = spec.fail.iter().map(|fail| ReplyRef::Fail(&fail.text));
    single.chain(failure).chain(spec.sequence.iter().flatten().filter_map(reply_of))
}

fn reply_of(reply: &ReplySpec) -> Option<ReplyRef<'_>> {
    match (&reply.answer, &reply.fail) {
        (Some(answer), _) => Some(ReplyRef::Answer(&answer.json, &answer.span)),
        (None, Some(fail)) => Some(ReplyRef::Fail(&fail.text)),
        (None, None) => None,
    }
}

fn read(reply: ReplyRef<'_>, shape: &Shape) -> Result<Reply, String> {
    match reply {
        ReplyRef::Fail(reason) => Ok(Reply::Fail(reason.to_owned())),
        ReplyRef::Answer(json, _) => from_json(json, shape).map(Reply::Answer).map_err(|error| error.to_string()),
    }
}
