//! The language of test files as types: what `NAME.test.yaml` may say.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::literal::{HeadersSpec, Literal, Literals, Moment, Text, Whole};
use crate::topology::spec::lower::{choice, mapping};
use crate::topology::spec::scalars::{Count, Millis};
use crate::topology::spec::{Lower, Name, Named};
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems, suggest};

mapping! {
    /// The tests of a topology.
    FileSpec = "a test file" {
        /// The topology's file, relative to this one; `NAME.yaml` beside `NAME.test.yaml` if not given.
        optional topology: Text,
        /// What the tests are about, for people.
        optional description: Text,
        /// What holds where a test says nothing.
        optional defaults: DefaultsSpec,
        /// The tests.
        required tests: Vec<CaseSpec>,
    }
    later []
}

mapping! {
    /// What holds where a test says nothing.
    DefaultsSpec = "defaults" {
        /// Whether aggregates and tables hand on one change per key and commit, or each one.
        optional cache: Cache,
        /// Time between commits while the cache is on; 100ms if not given.
        optional commit_interval: Millis,
        /// How many partitions topics have; those that are not named have one.
        optional partitions: Named<Count>,
        /// Answers instead of agents.
        optional mocks: Named<MockSpec>,
    }
    later []
}

choice! {
    /// Whether changes are held back until the commit.
    Cache = "a setting of the cache" {
        /// Aggregates and tables hand on one change per key and commit. Commits come as the wall clock
        /// advances, at `commit`, and at the end.
        On = "on",
        /// Every change is handed on, and every record is committed.
        Off = "off",
    }
    later []
}

mapping! {
    /// One test: what happens, and what is expected to come of it.
    CaseSpec = "a test" {
        /// What it shows.
        required name: Text,
        /// Whether aggregates and tables hand on one change per key and commit, or each one.
        optional cache: Cache,
        /// How many partitions topics have, over those of `defaults`.
        optional partitions: Named<Count>,
        /// Answers instead of agents, over those of `defaults`.
        optional mocks: Named<MockSpec>,
        /// What happens, in order.
        required steps: Vec<StepSpec>,
        /// What the error says that a step is expected to stop the application with, in part.
        optional fails: Text,
        /// What is expected on topics.
        optional expect: Vec<TopicExpectation>,
        /// What is expected in stores.
        optional stores: Vec<StoreExpectation>,
        /// How many records are expected to have been dropped, by reason; 0 for reasons that are not named.
        optional dropped: Named<Whole>,
    }
    later ["only", "skip"]
}

impl CaseSpec {
    /// The topics that the test names: records go to them, or are expected there.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        let records = self.steps.iter().flat_map(|step| match &step.step {
            Step::Records(records) => records.as_slice(),
            _ => &[],
        });
        let expected = self.expect.iter().flatten().map(|expectation| &expectation.topic);
        let sized = self.partitions.iter().flat_map(Named::iter).map(|(name, _)| name);
        records.map(|record| &record.topic).chain(expected).chain(sized).map(|name| name.text.as_str())
    }

    /// Whether records go in by ascending timestamps, each after the one before.
    pub(super) fn in_order(&self) -> bool {
        let records = self.steps.iter().flat_map(|step| match &step.step {
            Step::Records(records) => records.as_slice(),
            _ => &[],
        });
        let timestamps: Vec<_> = records.map(|record| record.timestamp).collect();
        timestamps.is_sorted_by(|a, b| matches!((a, b), (Some(a), Some(b)) if a.0 < b.0))
    }
}

mapping! {
    /// What stands in for an agent: one of `answer`, `fail` and `sequence`.
    MockSpec = "a mock" {
        /// What it answers.
        optional answer: Literal,
        /// Why it gives no answer.
        optional fail: Text,
        /// One after the other for each call; the last one stays.
        optional sequence: Vec<ReplySpec>,
    }
    later ["delay", "when"]
}

mapping! {
    /// One reply of a mock: `answer` or `fail`.
    ReplySpec = "a reply" {
        /// What it answers.
        optional answer: Literal,
        /// Why it gives no answer.
        optional fail: Text,
    }
    later ["delay", "when"]
}

mapping! {
    /// A record that arrives.
    RecordSpec = "a record" {
        /// The topic.
        required topic: Name,
        /// The key; null if not given.
        optional key: Literal,
        /// The value; null, a tombstone, if not given.
        optional value: Literal,
        /// The bytes of the value in base64, instead of `value`: for what no serializer would write.
        optional value_base64: Text,
        /// Its timestamp; the wall clock, which starts at 0, if not given.
        optional timestamp: Moment,
        /// The partition; the one that the key goes to if not given.
        optional partition: Whole,
        /// Headers: name to text.
        optional headers: HeadersSpec,
    }
    later []
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Records arrive.
    Records(Vec<RecordSpec>),
    /// The wall clock moves forward.
    AdvanceWallClock(Duration),
    /// What is not committed is lost, and the application starts again.
    Crash,
    /// A commit, and everything that follows from it.
    Commit,
}

/// A step where it stands.
#[derive(Clone, Debug)]
pub(super) struct StepSpec {
    pub(super) span: Span,
    pub(super) step: Step,
}

const VERBS: [&str; 5] = ["record", "records", "advance_wall_clock", "crash", "commit"];

impl Lower for StepSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let absent = Node::null(node.span.clone());
        let (verb, span, argument) = match &node.content {
            Content::Mapping(entries) if !entries.is_empty() => {
                if let Some((second, _)) = entries.get(1) {
                    let message = format!("a step is one thing; `{}` is a second one", second.text);
                    problems.report(Diagnostic::new(second.span.clone(), message).help("start a new step with `- `"));
                }
                let (key, value) = entries.first()?;
                (key.text.as_str(), key.span.clone(), value)
            }
            Content::Scalar(scalar) if !node.is_null() => (scalar.text.as_str(), node.span.clone(), &absent),
            _ => {
                problems.report(Diagnostic::new(node.place(), format!("expected a step, found {}", node.kind())));
                return None;
            }
        };
        let step = match verb {
            "record" => Step::Records(vec![RecordSpec::lower(argument, problems)?]),
            "records" => Step::Records(Vec::lower(argument, problems)?),
            "advance_wall_clock" => {
                let by = Millis::lower(argument, problems)?;
                let Ok(millis) = u64::try_from(by.value) else {
                    problems.report(Diagnostic::new(by.span, "the wall clock only goes forward"));
                    return None;
                };
                Step::AdvanceWallClock(Duration::from_millis(millis))
            }
            "crash" => Step::Crash,
            "commit" => Step::Commit,
            _ => {
                let problem = Diagnostic::new(span, format!("there is no step `{verb}`"));
                problems.report(problem.help_if(suggest(verb, VERBS)));
                return None;
            }
        };
        Some(StepSpec { span, step })
    }
}

impl JsonSchema for StepSpec {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let record = generator.subschema_for::<RecordSpec>();
        let duration = generator.subschema_for::<Millis>();
        let step = |name: &str, argument: serde_json::Value| {
            serde_json::json!({"type": "object", "required": [name], "additionalProperties": false,
                "properties": {name: argument}})
        };
        let steps = [
            step("record", record.clone().to_value()),
            step("records", serde_json::json!({"type": "array", "items": record})),
            step("advance_wall_clock", duration.to_value()),
            serde_json::json!({"enum": ["crash", "commit"]}),
        ];
        schemars::json_schema!({"description": "Something that happens.", "anyOf": steps})
    }
}

mapping! {
    /// What is expected on a topic. Several of the checks may stand side by side.
    TopicExpectation = "an expectation" {
        /// The topic.
        required topic: Name,
        /// All records of the topic, in order. The fields that are given must be equal.
        optional exactly: Vec<ExpectedRecord>,
        /// Records that are among those of the topic, of whose values and headers only a part need be given.
        optional contains: Vec<ExpectedRecord>,
        /// Whether nothing is expected there.
        optional none: bool,
        /// How many records are expected.
        optional count: Whole,
        /// The value of the last record of each key that is given.
        optional last: Literals,
    }
    later ["any_order"]
}

mapping! {
    /// A record that is expected.
    ExpectedRecord = "an expected record" {
        /// Its key.
        optional key: Literal,
        /// Its value; null is a tombstone.
        optional value: Literal,
        /// Its timestamp.
        optional timestamp: Moment,
        /// Its partition.
        optional partition: Whole,
        /// Its headers, all of them; under `contains`, those that are given.
        optional headers: HeadersSpec,
    }
    later []
}

mapping! {
    /// What is expected in a store: a row by its key, or how many rows there are.
    StoreExpectation = "an expectation" {
        /// The store.
        required store: Name,
        /// The key of the row.
        optional key: Literal,
        /// The window of the row, where the store has windows.
        optional window: WindowStart,
        /// Its value.
        optional value: Literal,
        /// Its timestamp.
        optional timestamp: Moment,
        /// Whether there is no such row.
        optional absent: bool,
        /// How many rows the store has over all partitions.
        optional count: Whole,
    }
    later []
}

mapping! {
    /// Which window.
    WindowStart = "a window" {
        /// Its start.
        required start: Moment,
        /// The end of a session, its last moment. That of other windows follows from the start.
        optional end: Moment,
    }
    later []
}
