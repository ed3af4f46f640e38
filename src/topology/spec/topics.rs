//! The topics of sources and sinks, the inputs of streams and tables, and the headers of records.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::lower::{Lower, Name, entries, mapping};
use super::scalars::Formula;
use crate::topology::TopicPattern;
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems};

/// The topics that a source reads: one, several, or those whose names match.
#[derive(Clone, Debug)]
pub(crate) enum SourceTopics {
    /// By name; at least one.
    Named(Vec<Name>),
    /// Those that match.
    Matching(PatternSpec),
}

impl SourceTopics {
    /// Those that are named.
    pub(crate) fn names(&self) -> &[Name] {
        match self {
            SourceTopics::Named(names) => names,
            SourceTopics::Matching(_) => &[],
        }
    }

    /// The one topic, if it is one.
    pub(crate) fn single(&self) -> Option<&Name> {
        match self.names() {
            [name] => Some(name),
            _ => None,
        }
    }

    /// Where they stand.
    pub(crate) fn span(&self) -> Span {
        match self {
            SourceTopics::Named(names) => names.first().map_or(0..0, |name| name.span.clone()),
            SourceTopics::Matching(pattern) => pattern.pattern.span.clone(),
        }
    }
}

impl Lower for SourceTopics {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Scalar(_) => Name::lower(node, problems).map(|name| SourceTopics::Named(vec![name])),
            Content::Mapping(_) => PatternSpec::lower(node, problems).map(SourceTopics::Matching),
            Content::Sequence(_) => topic_names(node, problems).map(SourceTopics::Named),
        }
    }
}

impl JsonSchema for SourceTopics {
    fn schema_name() -> Cow<'static, str> {
        "SourceTopics".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        let pattern = generator.subschema_for::<PatternSpec>();
        json_schema!({
            "description": "A topic, a list of topics, or {pattern: ...}.",
            "anyOf": [name, {"type": "array", "items": name, "minItems": 1}, pattern]
        })
    }
}

/// What a stream or table takes records from: one name, or several.
#[derive(Clone, Debug)]
pub(crate) struct Origins(pub(crate) Vec<Name>);

impl Origins {
    /// The one name, if it is one.
    pub(crate) fn single(&self) -> Option<&Name> {
        match self.0.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

impl Lower for Origins {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let names = match &node.content {
            Content::Sequence(_) => Vec::lower(node, problems)?,
            Content::Scalar(_) | Content::Mapping(_) => vec![Name::lower(node, problems)?],
        };
        // What takes no stream at all is told where they are merged.
        Some(Origins(names))
    }
}

impl JsonSchema for Origins {
    fn schema_name() -> Cow<'static, str> {
        "Origins".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        json_schema!({"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]})
    }
}

/// A list of topics: at least one, each once.
fn topic_names(node: &Node, problems: &mut Problems) -> Option<Vec<Name>> {
    let names: Vec<Name> = Vec::lower(node, problems)?;
    if names.is_empty() {
        problems.report(Diagnostic::new(node.place(), "the list of topics is empty").help("name at least one"));
        return None;
    }
    for (position, name) in names.iter().enumerate() {
        if let Some(first) = names.iter().take(position).find(|other| other.text == name.text) {
            let problem = Diagnostic::new(name.span.clone(), format!("the topic `{}` is listed twice", name.text));
            problems.report(problem.related(first.span.clone(), "the first time"));
            return None;
        }
    }
    Some(names)
}

mapping! {
    /// The topics whose names match.
    PatternSpec = "a pattern of topics" {
        /// A regular expression that the whole name matches.
        required pattern: Pattern,
    }
    later ["except"]
}

/// A regular expression over names of topics.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// The expression.
    pub(crate) matcher: TopicPattern,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for Pattern {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.scalar().filter(|_| !node.is_null()).map(|scalar| scalar.text.trim()).unwrap_or_default();
        if text.is_empty() {
            let message = format!("expected a regular expression, found {}", node.kind());
            problems.report(Diagnostic::new(node.place(), message));
            return None;
        }
        match TopicPattern::parse(text) {
            Ok(matcher) => Some(Pattern { matcher, span: node.place() }),
            Err(reason) => {
                let problem = Diagnostic::new(node.place(), format!("this is not a regular expression: {reason}"));
                problems.report(problem.help("write it as for RE2, such as 'shop\\.orders-.*'"));
                None
            }
        }
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A regular expression that the whole name matches."})
    }
}

/// The topic that a sink writes to: one, or the one that an expression names.
#[derive(Clone, Debug)]
pub(crate) enum SinkTopicSpec {
    /// One, by name.
    One(Name),
    /// As an expression says.
    Chosen(ChosenTopicSpec),
}

impl SinkTopicSpec {
    /// Those that are named.
    pub(crate) fn names(&self) -> &[Name] {
        match self {
            SinkTopicSpec::One(name) => std::slice::from_ref(name),
            SinkTopicSpec::Chosen(chosen) => chosen.topics.as_ref().map_or(&[], |topics| &topics.0),
        }
    }

    /// Where it stands.
    pub(crate) fn span(&self) -> Span {
        match self {
            SinkTopicSpec::One(name) => name.span.clone(),
            SinkTopicSpec::Chosen(chosen) => chosen.span.clone(),
        }
    }
}

impl Lower for SinkTopicSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Mapping(_) => ChosenTopicSpec::lower(node, problems).map(SinkTopicSpec::Chosen),
            Content::Scalar(_) => Name::lower(node, problems).map(SinkTopicSpec::One),
            Content::Sequence(_) => {
                let problem = Diagnostic::new(node.place(), "a sink writes each record to one topic");
                problems.report(problem.help("define a sink for each, or write {expression: ..., topics: [...]}"));
                None
            }
        }
    }
}

impl JsonSchema for SinkTopicSpec {
    fn schema_name() -> Cow<'static, str> {
        "SinkTopic".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        let chosen = generator.subschema_for::<ChosenTopicSpec>();
        json_schema!({"description": "A topic, or {expression: ..., topics: [...]}.", "anyOf": [name, chosen]})
    }
}

mapping! {
    /// The topic that an expression names, for each record.
    ChosenTopicSpec = "a topic by expression" {
        /// Gives the name of the topic.
        required expression: Formula,
        /// The topics that it may name.
        optional topics: TopicNames,
        /// The topics that it may name: those that are there and match.
        optional pattern: Pattern,
    }
    later []
}

/// A list of topics.
#[derive(Clone, Debug)]
pub(crate) struct TopicNames(pub(crate) Vec<Name>);

impl Lower for TopicNames {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        topic_names(node, problems).map(TopicNames)
    }
}

impl JsonSchema for TopicNames {
    fn schema_name() -> Cow<'static, str> {
        "TopicNames".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        json_schema!({"type": "array", "items": name, "minItems": 1})
    }
}

/// Headers by name: an expression for the value, or null to remove them.
#[derive(Clone, Debug)]
pub(crate) struct HeadersSpec {
    /// Name and value, in order. No value: the headers of that name go.
    pub(crate) headers: Vec<(Name, Option<Formula>)>,
}

impl Lower for HeadersSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, "headers and their values", problems)?;
        if entries.is_empty() {
            let problem = Diagnostic::new(node.place(), "no header is named");
            problems.report(problem.help("write `{name: expression}`; `null` removes a header"));
            return None;
        }
        let mut headers = Vec::new();
        for (key, value) in entries {
            let name = Name { text: key.text.clone(), span: key.span.clone() };
            if name.text.is_empty() {
                problems.report(Diagnostic::new(name.span.clone(), "a header needs a name"));
            }
            let removes = value.is_null() && value.scalar().is_some_and(|scalar| !scalar.text.trim().is_empty());
            let formula = if removes { None } else { Some(Formula::lower(value, problems)?) };
            headers.push((name, formula));
        }
        Some(HeadersSpec { headers })
    }
}

impl JsonSchema for HeadersSpec {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Formula>();
        json_schema!({
            "type": "object",
            "description": "Headers by name: an expression that gives text or bytes, or null to remove them.",
            "additionalProperties": {"anyOf": [value, {"type": "null"}]},
            "minProperties": 1
        })
    }
}
