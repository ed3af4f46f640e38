//! What a source says of personal data in its records.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::lower::{Lower, Name};
use crate::expression::{Part, Path};
use crate::yaml::{Content, Diagnostic, Node, Problems};

/// Whether records hold personal data, and where.
#[derive(Clone, Debug)]
pub(crate) enum PersonalDataSpec {
    /// They do, or they do not. Which parts, their schema says, if it says anything.
    Anywhere(bool),
    /// In these fields of the value; at least one.
    Fields(Vec<PersonalField>),
}

/// A field of the value, by its path.
#[derive(Clone, Debug)]
pub(crate) struct PersonalField {
    /// How it is written, and where.
    pub(crate) name: Name,
    /// What that says: elements of lists where `[]` stands.
    pub(crate) path: Path,
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
                let fields: Vec<PersonalField> = items.iter().filter_map(|item| field(item, problems)).collect();
                if items.is_empty() {
                    let problem = Diagnostic::new(node.place(), "the list of fields is empty");
                    problems
                        .report(problem.help("name the fields that hold personal data, or write `true` or `false`"));
                }
                (!items.is_empty() && fields.len() == items.len()).then_some(PersonalDataSpec::Fields(fields))
            }
            Content::Mapping(_) => {
                let problem =
                    Diagnostic::new(node.place(), "expected true, false or a list of fields, found a mapping");
                problems
                    .report(problem.help("name the fields: `personal_data: [email, address.street, items[].note]`"));
                None
            }
        }
    }
}

/// `address.street`, `items[].note`.
fn field(node: &Node, problems: &mut Problems) -> Option<PersonalField> {
    let text = node.scalar().filter(|_| !node.is_null()).map(|scalar| scalar.text.clone()).unwrap_or_default();
    let mut parts = Vec::new();
    for step in text.split('.') {
        let name = step.trim_end_matches("[]");
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(legal) {
            let message = format!("`{text}` is not the path of a field");
            let problem = Diagnostic::new(node.place(), message);
            problems.report(problem.help("write names with `.` between them, and `[]` after a list: `items[].note`"));
            return None;
        }
        parts.push(Part::Field(name.to_owned()));
        parts.extend(std::iter::repeat_n(Part::Element, (step.len() - name.len()) / 2));
    }
    Some(PersonalField { name: Name { text, span: node.place() }, path: Path(parts) })
}

impl JsonSchema for PersonalDataSpec {
    fn schema_name() -> Cow<'static, str> {
        "PersonalData".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether records hold personal data: true, false, or the fields of the value that do.",
            "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
        })
    }
}
