//! What a source or a sink says of personal data in the records of its topic.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::lower::{Lower, Name};
use crate::expression::{Part, Path};
use crate::yaml::{Content, Diagnostic, Node, Problems};

/// Whether records hold personal data, and where.
#[derive(Clone, Debug)]
pub(crate) enum PersonalDataSpec {
    /// They do, or they do not. Which parts, their schema says, if it says anything.
    Anywhere(bool),
    /// In these parts; at least one.
    Parts(Vec<PersonalPart>),
}

/// A part of a record.
#[derive(Clone, Debug)]
pub(crate) struct PersonalPart {
    /// How it is written, and where.
    pub(crate) name: Name,
    /// What it is a part of.
    pub(crate) of: RecordPart,
    /// The way to it from there: elements of lists where `[]` stands.
    pub(crate) path: Path,
}

/// What records are made of, as far as it may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The headers, each a part of its own by its name.
    Headers,
}

impl RecordPart {
    /// As topologies and messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordPart::Key => "key",
            RecordPart::Value => "value",
            RecordPart::Headers => "headers",
        }
    }
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PersonalDataSpec {
    /// Whether there may be any.
    pub(crate) fn any(&self) -> bool {
        !matches!(self, PersonalDataSpec::Anywhere(false))
    }
}

impl Lower for PersonalDataSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Scalar(_) => bool::lower(node, problems).map(PersonalDataSpec::Anywhere),
            Content::Sequence(items) => {
                let parts: Vec<PersonalPart> = items.iter().filter_map(|item| part(item, problems)).collect();
                if items.is_empty() {
                    let problem = Diagnostic::new(node.place(), "the list of fields is empty");
                    problems
                        .report(problem.help("name the fields that hold personal data, or write `true` or `false`"));
                }
                (!items.is_empty() && parts.len() == items.len()).then_some(PersonalDataSpec::Parts(parts))
            }
            Content::Mapping(_) => {
                let problem =
                    Diagnostic::new(node.place(), "expected true, false or a list of fields, found a mapping");
                problems.report(
                    problem.help(
                        "name the parts: `personal_data: [email, address.street, items[].note, key, headers.user]`",
                    ),
                );
                None
            }
        }
    }
}

/// `address.street`, `items[].note`, `value.address`: of the value. `key`, `key.id`; `headers`, `headers.user-name`.
fn part(node: &Node, problems: &mut Problems) -> Option<PersonalPart> {
    let text = node.scalar().filter(|_| !node.is_null()).map(|scalar| scalar.text.clone()).unwrap_or_default();
    let (of, path) = match text.strip_prefix("headers.") {
        Some(name) if !name.is_empty() => (RecordPart::Headers, Some(Path(vec![Part::Field(name.to_owned())]))),
        _ => of_record(&text),
    };
    let Some(path) = path else {
        let message = format!("`{text}` is not the path of a field");
        let problem = Diagnostic::new(node.place(), message);
        let help = "write names with `.` between them, and `[]` after a list: `items[].note`; or `key`, `headers`, \
                    `headers.NAME`";
        problems.report(problem.help(help));
        return None;
    };
    Some(PersonalPart { name: Name { text, span: node.place() }, of, path })
}

/// What a text names that is no header, and the way to it; `None`: it names nothing.
fn of_record(text: &str) -> (RecordPart, Option<Path>) {
    let Some(mut parts) = steps(text) else { return (RecordPart::Value, None) };
    let of = match parts.first() {
        Some(Part::Field(name)) if name == "key" => RecordPart::Key,
        Some(Part::Field(name)) if name == "value" => RecordPart::Value,
        Some(Part::Field(name)) if name == "headers" => RecordPart::Headers,
        _ => return (RecordPart::Value, Some(Path(parts))),
    };
    parts.remove(0);
    let is_path = of != RecordPart::Headers || parts.is_empty();
    (of, is_path.then_some(Path(parts)))
}

fn steps(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for step in text.split('.') {
        let name = step.trim_end_matches("[]");
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(legal) {
            return None;
        }
        parts.push(Part::Field(name.to_owned()));
        parts.extend(std::iter::repeat_n(Part::Element, (step.len() - name.len()) / 2));
    }
    Some(parts)
}

impl JsonSchema for PersonalDataSpec {
    fn schema_name() -> Cow<'static, str> {
        "PersonalData".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether records hold personal data: true, false, or the parts that do: fields of the value, \
                            `key`, `key.FIELD`, `headers`, `headers.NAME`.",
            "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
        })
    }
}
