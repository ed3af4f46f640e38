//! The steps of a stream: one verb each.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::lower::{Lower, Name, Named, check_name, mapping, verbs};
use super::nodes::TableSpec;
use super::scalars::{Count, FormatSpec, Formula, Literal, Message, Millis, Nothing, Template};
use super::topics::HeadersSpec;
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems, suggest};

verbs! {
    /// A step.
    Step {
        /// Keeps the records for which the condition holds.
        Filter = "filter"(Formula),
        /// Drops the records for which the condition holds.
        FilterNot = "filter_not"(Formula),
        /// A new key, a new value, or both.
        Map = "map"(MapSpec),
        /// A new value.
        MapValues = "map_values"(Template),
        /// A list of {key, value}: one record for each.
        FlatMap = "flat_map"(Formula),
        /// A list: one record for each element, under the same key.
        FlatMapValues = "flat_map_values"(Formula),
        /// A new key.
        SelectKey = "select_key"(Formula),
        /// Shows each record, or a message about it, in the log of the process.
        Peek = "peek"(Message),
        /// Sets headers, or removes them.
        SetHeaders = "set_headers"(HeadersSpec),
        /// Adds the records of other streams, as they come.
        Merge = "merge"(Vec<Name>),
        /// Sends each record to the first branch whose condition holds; `default: name` takes the rest. Must come
        /// last. Others read a branch as `stream.branch`.
        Branch = "branch"(BranchSpec),
        /// Sends records through an internal topic, so that records of one key meet.
        Repartition = "repartition"(RepartitionSpec),
        /// Makes a table of a stream.
        ToTable = "to_table"(Nothing),
        /// Makes a stream of a table's changes. Must come first.
        ToStream = "to_stream"(Nothing),
        /// Keeps the first record of each key, or of what `by` gives, within a time.
        Deduplicate = "deduplicate"(DeduplicateSpec),
        /// Asks an agent.
        Call = "call"(CallSpec),
        /// Hands records to a processor, which is written in Rust.
        Process = "process"(ProcessSpec),
    }
    later ["process_values", "flat_transform", "transform", "print"]
}

mapping! {
    /// A new key, a new value, or both.
    MapSpec = "`map`" {
        /// The new key; the old one if not given.
        optional key: Formula,
        /// The new value; the old one if not given.
        optional value: Template,
    }
    later []
}

mapping! {
    /// An internal topic between two steps.
    RepartitionSpec = "`repartition`" {
        /// How many partitions it has; as many as its input if not given.
        optional partitions: Count,
        /// What it is called, between the application's name and `-repartition`; the stream's name if not given.
        optional name: Name,
    }
    later ["key", "partitioner"]
}

mapping! {
    /// Keeps the first record of several like it.
    DeduplicateSpec = "`deduplicate`" {
        /// What makes records alike; the key if not given.
        optional by: Formula,
        /// How far apart in event time they are at the most.
        required within: Millis,
        /// The name of its store; `STREAM-deduplicate` if not given.
        optional name: Name,
    }
    later []
}

mapping! {
    /// Asks an agent.
    CallSpec = "`call`" {
        /// The call's name; the agent's if not given.
        optional name: Name,
        /// The agent.
        required agent: Name,
        /// What it is asked.
        required input: Template,
        /// The field of the value that takes the answer; without it, the answer is the value.
        optional into: Name,
    }
    later ["retry", "timeout", "on_failure", "max_in_flight", "ordered", "http", "url"]
}

mapping! {
    /// Hands records to a processor, which is written in Rust.
    ProcessSpec = "`process`" {
        /// The processor, by the name that the program has registered it under.
        required processor: Name,
        /// The name of the step; `process` and its position if not given.
        optional name: Name,
        /// What the processor is to know; it says what may stand here.
        optional config: Literal,
        /// Stores that it is given, beside those it has itself.
        optional stores: Vec<ProcessStoreSpec>,
    }
    later ["retry"]
}

mapping! {
    /// A key-value store. Steps that name the same one share it.
    ProcessStoreSpec = "a store" {
        /// Its name, also for the processor.
        required name: Name,
        /// How its keys are written.
        required key: FormatSpec,
        /// What its values are.
        required value: FormatSpec,
    }
    later ["kind", "retention", "versioned", "changelog"]
}

/// A step where it stands.
#[derive(Clone, Debug)]
pub(crate) struct StepSpec {
    /// The verb in the file.
    pub(crate) span: Span,
    /// What it does.
    pub(crate) step: Step,
}

impl Lower for StepSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let absent = Node::null(node.span.clone());
        let (verb, span, argument) = match &node.content {
            Content::Scalar(scalar) if !node.is_null() => (scalar.text.as_str(), node.span.clone(), &absent),
            Content::Mapping(entries) if !entries.is_empty() => {
                if let Some((second, _)) = entries.get(1) {
                    let message = format!("a step has one verb; `{}` is a second one", second.text);
                    problems.report(Diagnostic::new(second.span.clone(), message).help("start a new step with `- `"));
                }
                let (key, value) = entries.first()?;
                (key.text.as_str(), key.span.clone(), value)
            }
            _ => {
                problems.report(Diagnostic::new(node.place(), format!("expected a step, found {}", node.kind())));
                return None;
            }
        };
        if Step::LATER.contains(&verb) {
            problems.report(Diagnostic::new(span, format!("`{verb}` is not supported yet")));
            return None;
        }
        if !Step::VERBS.contains(&verb) {
            let of_a_table = TableSpec::FIELDS.contains(&verb).then(|| format!("`{verb}` is a field of a table"));
            let problem = Diagnostic::new(span, format!("there is no step `{verb}`"));
            problems.report(problem.help_if(of_a_table.or_else(|| suggest(verb, Step::VERBS.iter().copied()))));
            return None;
        }
        let step = Step::lower_verb(verb, argument, problems)?;
        Some(StepSpec { span, step })
    }
}

impl JsonSchema for StepSpec {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "StepSpec".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Step>()
    }
}

/// The branches of a stream: conditions by name, and the name of what takes the rest.
#[derive(Clone, Debug)]
pub(crate) struct BranchSpec {
    /// The branches, in order.
    pub(crate) branches: Named<Formula>,
    /// Takes the records that no branch takes.
    pub(crate) default: Option<Name>,
}

impl BranchSpec {
    /// The names of all outputs, in the order of the outputs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.branches.0.iter().map(|(name, _)| name).chain(&self.default)
    }
}

impl Lower for BranchSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let entries = super::lower::entries(node, "branches and their conditions", problems)?;
        if entries.is_empty() {
            let problem = Diagnostic::new(node.place(), "`branch` needs at least one branch");
            problems.report(problem.help("write `{NAME: condition}`; `default: NAME` takes the rest"));
            return None;
        }
        let mut spec = BranchSpec { branches: Named::default(), default: None };
        for (key, value) in entries {
            let name = Name { text: key.text.clone(), span: key.span.clone() };
            if name.text == "default" {
                spec.default = Name::lower(value, problems);
                continue;
            }
            check_name(&name, problems);
            spec.branches.0.push((name, Formula::lower(value, problems)));
        }
        if let Some((first, _)) =
            spec.branches.0.iter().find(|(name, _)| spec.default.as_ref().is_some_and(|it| it.text == name.text))
            && let Some(default) = spec.default.take()
        {
            let message = format!("the default branch `{}` has the name of another branch", default.text);
            let problem = Diagnostic::new(default.span, message);
            problems.report(problem.related(first.span.clone(), "the other one"));
        }
        Some(spec)
    }
}

impl JsonSchema for BranchSpec {
    fn schema_name() -> Cow<'static, str> {
        "Branches".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Formula>();
        schemars::json_schema!({
            "type": "object",
            "description": "Conditions by the names of the branches; `default` names the branch that takes the rest.",
            "properties": {"default": {"type": "string"}},
            "additionalProperties": condition
        })
    }
}
