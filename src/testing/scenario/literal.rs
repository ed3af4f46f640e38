//! The leaves of a test file: JSON written as YAML, points in time, whole numbers, headers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use crate::time::{Timestamp, parse_duration};
use crate::topology::spec::Lower;
use crate::yaml::{Diagnostic, Problems};
use crate::yaml::{Node, Span};

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

/// Text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Lower for Text {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some(scalar) if !node.is_null() && !scalar.text.trim().is_empty() => {
                Some(Text { text: scalar.text.trim().to_owned(), span: node.span.clone() })
            }
            _ => {
                problems.report(Diagnostic::new(node.place(), format!("expected text, found {}", node.kind())));
                None
            }
        }
    }
}
leaf_schema!(Text, "Text", {"type": "string"});

/// A key or value as JSON. Plain scalars are what YAML 1.2 says they are; quoted ones are text.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) json: Json,
    /// Where to point when the whole is meant.
    pub(super) span: Span,
}

impl Lower for Literal {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        Some(Literal { json: node.to_json(problems)?, span: node.place() })
    }
}
leaf_schema!(Literal, "Value", {"description": "Any JSON value."});

/// A point in time, in milliseconds since the epoch: written so, as a duration since the epoch (`5m`), or as in
/// `2026-01-31T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Lower for Moment {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.scalar().map(|scalar| scalar.text.trim()).unwrap_or_default();
        let millis = text.parse::<i64>().ok().or_else(|| parse_duration(text).ok());
        let moment = millis.or_else(|| text.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_millisecond()));
        if moment.is_none() {
            let written = if text.is_empty() { node.kind().to_owned() } else { format!("`{text}`") };
            let problem = Diagnostic::new(node.place(), format!("expected a point in time, found {written}"));
            problems.report(problem.help(
                "write milliseconds since 1970 (60000), a duration since then (1m), or a time such as 2026-01-31T12:00:00Z",
            ));
        }
        moment.map(Moment)
    }
}
leaf_schema!(Moment, "Time", {
    "type": ["integer", "string"],
    "description": "Milliseconds since 1970-01-01T00:00:00Z, a duration since then (5m), or a time such as 2026-01-31T12:00:00Z."
});

/// How many, or which, from 0.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) value: usize,
    pub(super) span: Span,
}

impl Lower for Whole {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.scalar().map(|scalar| scalar.text.trim()).unwrap_or_default();
        match text.parse::<usize>() {
            Ok(value) => Some(Whole { value, span: node.span.clone() }),
            Err(_) => {
                let message = format!("expected a whole number from 0, found {}", node.kind());
                problems.report(Diagnostic::new(node.place(), message));
                None
            }
        }
    }
}
leaf_schema!(Whole, "Whole", {"type": "integer", "minimum": 0});

/// A value by each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Literals(pub(super) Vec<(Text, Json)>);

impl Lower for Literals {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let entries = crate::topology::spec::lower::entries(node, "keys and values", problems)?;
        let values = entries.iter().filter_map(|(key, value)| {
            Some((Text { text: key.text.clone(), span: key.span.clone() }, value.to_json(problems)?))
        });
        Some(Literals(values.collect()))
    }
}
leaf_schema!(Literals, "Values", {"type": "object"});

/// Headers: name to text.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadersSpec(pub(super) Map<String, Json>);

impl Lower for HeadersSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let entries = crate::topology::spec::lower::entries(node, "header names and texts", problems)?;
        let mut headers = Map::new();
        for (key, value) in entries {
            let text = match value.scalar() {
                _ if value.is_null() => Json::Null,
                Some(scalar) => Json::String(scalar.text.clone()),
                None => {
                    let message = format!("a header is text or null, not {}", value.kind());
                    problems.report(Diagnostic::new(value.place(), message));
                    continue;
                }
            };
            headers.insert(key.text.clone(), text);
        }
        Some(HeadersSpec(headers))
    }
}
leaf_schema!(HeadersSpec, "Headers", {"type": "object", "additionalProperties": {"type": ["string", "null"]}});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn lowered<T: Lower>(yaml: &str) -> (Option<T>, Vec<String>) {
        let mut problems = Problems::new(yaml);
        let node = parse(yaml, crate::yaml::TOPOLOGY, &mut problems).unwrap();
        let value = T::lower(node.get("x").unwrap(), &mut problems);
        let messages = problems.finish("f").map(|all| all.iter().map(|one| one.message().to_owned()).collect());
        (value, messages.unwrap_or_default())
    }

    #[test]
    fn values_are_what_yaml_says_and_quotes_make_text() {
        let (value, _) = lowered::<Literal>("x: {a: 1, b: '1', c: 1.50, d: true, e: ~, f: [x, 1e3], g: v1.2, h: +1}\n");
        let expected = serde_json::json!({"a": 1, "b": "1", "c": 1.5, "d": true, "e": null, "f": ["x", 1000.0], "g": "v1.2", "h": 1});
        assert_eq!(value.unwrap().json, expected);
    }

    #[test]
    fn a_point_in_time_is_written_in_three_ways() {
        for (text, millis) in [("1500", 1_500), ("1m30s", 90_000), ("1970-01-01T00:00:02Z", 2_000), ("-5", -5)] {
            assert_eq!(lowered::<Moment>(&format!("x: {text}\n")).0, Some(Moment(millis)), "{text}");
        }
        assert!(lowered::<Moment>("x: soon\n").1[0].starts_with("expected a point in time"));
        assert!(lowered::<Moment>("x: [1]\n").1[0].starts_with("expected a point in time, found a list"));
    }

    #[test]
    fn numbers_that_json_lacks_and_headers_that_are_no_text_are_refused() {
        assert_eq!(lowered::<Literal>("x: [.nan]\n").1, ["JSON has no number `.nan`"]);
        assert_eq!(lowered::<HeadersSpec>("x: {a: [1]}\n").1, ["a header is text or null, not a list"]);
    }
}
