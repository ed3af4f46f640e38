//! A piece of a file as JSON.

use saphyr_parser::ScalarStyle;
use serde_json::{Map, Number, Value as Json};

use super::{Content, Diagnostic, Node, Problems, Scalar};

impl Node {
    /// The piece as JSON. Plain scalars are what YAML 1.2 says they are; quoted ones are text. What JSON cannot hold is
    /// reported.
    pub(crate) fn to_json(&self, problems: &mut Problems) -> Option<Json> {
        match &self.content {
            Content::Scalar(_) if self.is_null() => Some(Json::Null),
            Content::Scalar(scalar) if scalar.style != ScalarStyle::Plain => Some(Json::String(scalar.text.clone())),
            Content::Scalar(scalar) => plain(self, scalar, problems),
            Content::Sequence(items) => {
                let items: Vec<Option<Json>> = items.iter().map(|item| item.to_json(problems)).collect();
                items.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
            }
            Content::Mapping(entries) => {
                let entries: Vec<Option<(String, Json)>> =
                    entries.iter().map(|(key, value)| Some((key.text.clone(), value.to_json(problems)?))).collect();
                entries.into_iter().collect::<Option<Map<String, Json>>>().map(Json::Object)
            }
        }
    }
}

/// A scalar without quotes: true, false, a number, else text.
fn plain(node: &Node, scalar: &Scalar, problems: &mut Problems) -> Option<Json> {
    let text = scalar.text.as_str();
    match text {
        "true" | "True" | "TRUE" => return Some(Json::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Json::Bool(false)),
        ".nan" | ".NaN" | ".inf" | "-.inf" | "+.inf" => {
            let problem = Diagnostic::new(node.place(), format!("JSON has no number `{text}`"));
            problems.report(problem.help("put it in quotes if text is meant"));
            return None;
        }
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
    match text.parse::<f64>().ok().filter(|_| numeric).and_then(Number::from_f64) {
        Some(number) => Some(Json::Number(number)),
        None => Some(Json::String(text.to_owned())),
    }
}
