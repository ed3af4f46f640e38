//! The leaves of the language: expressions, names, durations, counts, words.

use std::borrow::Cow;

use saphyr_parser::ScalarStyle;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::lower::{Lower, Name, check_name, mapping};
use crate::serdes::Format;
use crate::time::{Timestamp, parse_duration};
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems, list, nearest};

/// Implements the JSON Schema of a leaf.
macro_rules! leaf_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// What to write instead of a word that is not supported yet, where something comes to the same.
fn instead(word: &str) -> Option<&'static str> {
    match word {
        "right" => Some("swap the inputs, and write `left`"),
        "cross" => Some("give the records of both inputs one key: `select_key: \"'all'\"`"),
        _ => None,
    }
}

/// Reports a word that is not one of the words that may stand there.
pub(crate) fn refuse_word(node: &Node, what: &str, words: &[&str], later: &[&str], problems: &mut Problems) {
    let written = match &node.content {
        Content::Scalar(scalar) => scalar.text.clone(),
        Content::Mapping(entries) => entries.first().map(|(key, _)| key.text.clone()).unwrap_or_default(),
        Content::Sequence(_) => String::new(),
    };
    if later.contains(&written.as_str()) {
        let problem = Diagnostic::new(node.place(), format!("`{written}` is not supported yet"));
        problems.report(problem.help_if(instead(&written).map(str::to_owned)));
        return;
    }
    let message = match written.is_empty() {
        false => format!("`{written}` is not {what}"),
        true => format!("expected {what}, found {}", node.kind()),
    };
    let help = match nearest(&written, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of {}", list(words)),
    };
    problems.report(Diagnostic::new(node.place(), message).expected(format!("expected {what}")).help(help));
}

/// The text of a scalar that is not empty; anything else is reported.
fn text<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    match node.scalar() {
        Some(scalar) if !node.is_null() && !scalar.text.trim().is_empty() => Some(&scalar.text),
        _ => {
            problems.report(Diagnostic::new(node.place(), format!("expected {what}, found {}", node.kind())));
            None
        }
    }
}

impl Lower for Name {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let name = Name { text: text(node, "a name", problems)?.to_owned(), span: node.span.clone() };
        check_name(&name, problems);
        Some(name)
    }
}
leaf_schema!(Name, "Name", {"type": "string", "pattern": "^[a-zA-Z0-9._-]+$"});

/// Text for people.
#[derive(Clone, Debug)]
pub(crate) struct Prose(pub(crate) String);

impl Lower for Prose {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        text(node, "text", problems).map(|text| Prose(text.trim().to_owned()))
    }
}
leaf_schema!(Prose, "Text", {"type": "string"});

/// One CEL expression.
#[derive(Clone, Debug)]
pub(crate) struct Formula(pub(crate) Node);

impl Lower for Formula {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        text(node, "an expression", problems).map(|_| Formula(node.clone()))
    }
}
leaf_schema!(Formula, "Expression", {
    "type": ["string", "number", "boolean"],
    "description": "An expression in CEL, the Common Expression Language. Text within it is quoted: \"value.kind == 'order'\"."
});

/// What a value is made of: expressions, nested in mappings and lists.
#[derive(Clone, Debug)]
pub(crate) struct Template(pub(crate) Node);

impl Lower for Template {
    fn lower(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(Template(node.clone()))
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let nested = generator.subschema_for::<Template>();
        json_schema!({
            "description": "An expression in CEL, or a mapping or list of these: it becomes a struct or a list.",
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "object", "additionalProperties": nested},
                {"type": "array", "items": nested}
            ]
        })
    }
}

/// Whatever a part that is not of the language itself is given.
#[derive(Clone, Debug)]
pub(crate) struct Literal {
    /// What stands there, as JSON.
    pub(crate) json: serde_json::Value,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for Literal {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        Some(Literal { json: node.to_json(problems)?, span: node.place() })
    }
}
leaf_schema!(Literal, "Anything", {"description": "Any value."});

/// What to show of a record: nothing said, an expression, or `{message: ...}`.
#[derive(Clone, Debug)]
pub(crate) struct Message(pub(crate) Option<Template>);

mapping! {
    /// What is shown of each record.
    PeekSpec = "`peek`" {
        /// An expression, or a mapping or list of expressions; the value if not given.
        optional message: Template,
    }
    later []
}

impl Lower for Message {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Mapping(_) => PeekSpec::lower(node, problems).map(|peek| Message(peek.message)),
            Content::Scalar(_) if node.is_null() => Some(Message(None)),
            Content::Scalar(_) | Content::Sequence(_) => {
                Formula::lower(node, problems).map(|formula| Message(Some(Template(formula.0))))
            }
        }
    }
}

impl JsonSchema for Message {
    fn schema_name() -> Cow<'static, str> {
        "Message".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ways = [generator.subschema_for::<Formula>(), generator.subschema_for::<PeekSpec>()];
        json_schema!({"description": "An expression, or {message: ...}.", "anyOf": [ways[0], ways[1], {"type": "null"}]})
    }
}

/// Nothing needs to be said; `{}`, nothing or `true` may stand there.
#[derive(Clone, Debug)]
pub(crate) struct Nothing;

impl Lower for Nothing {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let accepted = match &node.content {
            Content::Mapping(entries) => entries.is_empty(),
            Content::Scalar(scalar) => node.is_null() || scalar.text == "true",
            Content::Sequence(_) => false,
        };
        if !accepted {
            problems.report(Diagnostic::new(node.place(), "this takes no arguments").help("write `{}` or nothing"));
        }
        accepted.then_some(Nothing)
    }
}
leaf_schema!(Nothing, "Nothing", {"enum": [null, true, {}]});

/// A span of time, in milliseconds. It may have been written with a minus sign; who uses it says what that means.
#[derive(Clone, Debug)]
pub(crate) struct Millis {
    /// Milliseconds.
    pub(crate) value: i64,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for Millis {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "a duration such as 30s, 5m or 1h30m", problems)?.trim();
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        match parse_duration(digits) {
            Ok(value) => Some(Millis { value: sign * value, span: node.span.clone() }),
            Err(_) if digits == "0" => Some(Millis { value: 0, span: node.span.clone() }),
            Err(message) => {
                problems.report(Diagnostic::new(node.span.clone(), message));
                None
            }
        }
    }
}
leaf_schema!(Millis, "Duration", {
    "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "description": "A duration such as 500ms, 30s, 5m, 1h30m or 7d."
});

/// A point in time.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Milliseconds since 1970.
    pub(crate) value: Timestamp,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for Moment {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "a point in time", problems)?.trim();
        let written = || Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond());
        let Some(value) = text.parse().ok().or_else(written) else {
            let problem = Diagnostic::new(node.place(), format!("`{text}` is not a point in time"));
            problems.report(problem.help("write milliseconds since 1970, or a time such as 2026-01-31T12:00:00Z"));
            return None;
        };
        Some(Moment { value, span: node.place() })
    }
}
leaf_schema!(Moment, "Moment", {
    "type": ["integer", "string"],
    "description": "Milliseconds since 1970-01-01T00:00:00Z, or a time such as 2026-01-31T12:00:00Z."
});

/// How long a topic keeps records.
#[derive(Clone, Debug)]
pub(crate) enum Retention {
    /// Without limit.
    Forever,
    /// For a time.
    For(Millis),
}

impl Lower for Retention {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some(scalar) if scalar.text == "forever" => Some(Retention::Forever),
            _ => Millis::lower(node, problems).map(Retention::For),
        }
    }
}
leaf_schema!(Retention, "Retention", {"type": "string", "description": "A duration such as 7d, or `forever`."});

/// The most of something.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// At least 1.
    pub(crate) value: u64,
}

impl Lower for Limit {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "a number", problems)?;
        match text.parse::<u64>() {
            Ok(value) if value > 0 => Some(Limit { value }),
            _ => {
                problems.report(Diagnostic::new(node.place(), format!("`{text}` is not a whole number from 1 on")));
                None
            }
        }
    }
}
leaf_schema!(Limit, "Limit", {"type": "integer", "minimum": 1});

/// A whole number.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    /// From 1 to 10,000.
    pub(crate) value: i32,
}

impl Lower for Count {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "a number", problems)?;
        match text.parse::<i32>() {
            Ok(value @ 1..=10_000) => Some(Count { value }),
            _ => {
                let message = format!("`{text}` is not a number from 1 to 10000");
                problems.report(Diagnostic::new(node.span.clone(), message));
                None
            }
        }
    }
}
leaf_schema!(Count, "Count", {"type": "integer", "minimum": 1, "maximum": 10000});

impl Lower for bool {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar().filter(|scalar| scalar.style == ScalarStyle::Plain).map(|scalar| scalar.text.as_str()) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                let message = format!("expected true or false, found {}", node.kind());
                problems.report(Diagnostic::new(node.place(), message));
                None
            }
        }
    }
}

/// How keys or values are written: a word, or `{avro: Name}`.
#[derive(Clone, Debug)]
pub(crate) struct FormatSpec {
    /// The format.
    pub(crate) format: Format,
    /// Where to point when it does not fit: the schema's name, or the word.
    pub(crate) span: Span,
}

impl Lower for FormatSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Content::Mapping(entries) = &node.content
            && let Some(value) = node.get("avro")
        {
            for (key, _) in entries.iter().filter(|(key, _)| key.text != "avro") {
                let problem = Diagnostic::new(key.span.clone(), format!("a format has no field `{}`", key.text));
                problems.report(problem.help("write {avro: Name}"));
            }
            let name = Name::lower(value, problems)?;
            return Some(FormatSpec { format: Format::Avro(name.text), span: name.span });
        }
        let format = match node.scalar().map(|scalar| scalar.text.as_str()) {
            Some("string") => Format::String,
            Some("long") => Format::Long,
            Some("double") => Format::Double,
            Some("bytes") => Format::Bytes,
            Some("json") => Format::Json,
            Some("avro") => {
                let problem = Diagnostic::new(node.place(), "`avro` needs the name of a schema");
                problems.report(problem.help("write {avro: Name}"));
                return None;
            }
            _ => {
                let words = ["string", "long", "double", "bytes", "json", "{avro: Name}"];
                refuse_word(node, "a format", &words, &["protobuf", "json_schema"], problems);
                return None;
            }
        };
        Some(FormatSpec { format, span: node.place() })
    }
}
leaf_schema!(FormatSpec, "Format", {
    "description": "How keys or values are written.",
    "anyOf": [
        {"enum": ["string", "long", "double", "bytes", "json"]},
        {"type": "object", "properties": {"avro": {"type": "string", "description": "The name of an Avro schema: schemas/NAME.avsc."}},
         "required": ["avro"], "additionalProperties": false}
    ]
});

/// One aggregate: `count()`, `sum(value.amount)`, `top_k(value.emotion, 3)`.
#[derive(Clone, Debug)]
pub(crate) struct AggregateCall(pub(crate) Node);

impl Lower for AggregateCall {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        text(node, "an aggregate such as count() or sum(value.amount)", problems).map(|_| AggregateCall(node.clone()))
    }
}
leaf_schema!(AggregateCall, "AggregateCall", {
    "type": "string",
    "pattern": "^(count|count_if|sum|min|max|avg|stddev|first|last|collect|collect_set|top_k|approx_distinct|approx_quantile)\\(.*\\)$",
    "description": "count(), count_if(condition), sum(x), min(x), max(x), avg(x), stddev(x), first(x), last(x), collect(x, limit), collect_set(x, limit), top_k(x, k), approx_distinct(x) or approx_quantile(x, q)."
});
