//! The agent `pii`: finds personal data and gives the text without it.

use std::sync::Arc;

use crate::agents::fields::{self, Input, structure};
use crate::agents::{Agent, AgentError};
use crate::pii;
use crate::record::{Shape, StructShape, Value};

const NAME: &str = "pii";

/// Finds personal data in a text.
///
/// Reads `{text: string}`. Gives `{has_pii: bool, redacted: string, entities: list<{type: string, value:
/// string, redacted: string, start: int, end: int, confidence: double}>}`. `type` is
/// [`pii::Kind::as_str`], `value` the text found, `redacted` what stands for it (`[REDACTED:email]`).
/// `start` and `end` (exclusive) count characters (Unicode scalar values) of `text`, not bytes, so that
/// readers in other languages need not know how text is encoded here. `confidence` is from 0 to 1.
pub struct PiiAgent {
    input: Shape,
    output: Shape,
    answer: Arc<StructShape>,
    entity: Arc<StructShape>,
}

impl PiiAgent {
    /// The agent.
    pub fn new() -> Self {
        let entity = Shape::structure(
            "PiiEntity",
            [
                ("type", Shape::String),
                ("value", Shape::String),
                ("redacted", Shape::String),
                ("start", Shape::Int),
                ("end", Shape::Int),
                ("confidence", Shape::Double),
            ],
        );
        let output = Shape::structure(
            "PiiAnswer",
            [("has_pii", Shape::Bool), ("redacted", Shape::String), ("entities", Shape::list(entity.clone()))],
        );
        PiiAgent {
            input: Shape::structure("PiiQuestion", [("text", Shape::String)]),
            answer: fields::of(&output),
            entity: fields::of(&entity),
            output,
        }
    }

    fn entities(&self, text: &str, findings: &[pii::Finding]) -> Vec<Value> {
        let mut entities = Vec::with_capacity(findings.len());
        let mut bytes = 0;
        let mut characters = 0;
        let mut position = |at: usize| {
            characters += text.get(bytes..at).unwrap_or_default().chars().count();
            bytes = at;
            i64::try_from(characters).unwrap_or(i64::MAX)
        };
        for finding in findings {
            let value = text.get(finding.start..finding.end).unwrap_or_default();
            let (start, end) = (position(finding.start), position(finding.end));
            entities.push(structure(
                &self.entity,
                vec![
                    Value::from(finding.kind.as_str()),
                    Value::text(value),
                    Value::from(finding.kind.mask()),
                    Value::Int(start),
                    Value::Int(end),
                    Value::Double(finding.confidence),
                ],
            ));
        }
        entities
    }
}

impl Default for PiiAgent {
    fn default() -> Self {
        PiiAgent::new()
    }
}

impl Agent for PiiAgent {
    fn name(&self) -> &str {
        NAME
    }

    fn input(&self) -> &Shape {
        &self.input
    }

    fn output(&self) -> &Shape {
        &self.output
    }

    fn takes_personal_data(&self) -> bool {
        true
    }

    fn personal_answers(&self) -> Vec<Vec<&str>> {
        vec![vec!["entities", "[]", "value"]]
    }

    fn redacted_answers(&self) -> Vec<Vec<&str>> {
        vec![vec!["redacted"]]
    }

    fn answer(&self, input: &Value) -> Result<Value, AgentError> {
        let text = Input::new(NAME, input).text("text")?;
        let findings = pii::find(text);
        let redacted = pii::redact(text, &findings);
        let entities = self.entities(text, &findings);
        let values = vec![Value::Bool(!findings.is_empty()), Value::text(redacted), Value::list(entities)];
        Ok(structure(&self.answer, values))
    }
}
