//! What came out against what was expected: equal, contained, and how both differ.

use std::fmt::Write;

use serde_json::{Map, Value as Json};

use super::spec::ExpectedRecord;
use crate::testing::OutputRecord;

/// How many records are shown of a topic that differs.
const SHOWN: usize = 40;
/// How many differing fields are shown of one record.
const FIELDS_SHOWN: usize = 12;

/// Whether two values are equal. Numbers are compared by what they amount to: 2 equals 2.0.
pub(super) fn equal(expected: &Json, actual: &Json) -> bool {
    match (expected, actual) {
        (Json::Number(a), Json::Number(b)) => a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64())),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => expected == actual,
    }
}

/// Whether everything that is expected is there; objects may have more fields, at any depth.
pub(super) fn contains(expected: &Json, actual: &Json) -> bool {
    match (expected, actual) {
        (Json::Object(a), Json::Object(b)) => a.iter().all(|(name, a)| b.get(name).is_some_and(|b| contains(a, b))),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| contains(a, b)),
        _ => equal(expected, actual),
    }
}

/// Whether a record is as expected; `part`: of the value and the headers, only what is given.
pub(super) fn matches(expected: &ExpectedRecord, actual: &OutputRecord, part: bool) -> bool {
    let value_fits = |expected: &Json| match part {
        true => contains(expected, &actual.value),
        false => equal(expected, &actual.value),
    };
    let headers_fit = |expected: &Map<String, Json>| match part {
        true => expected.iter().all(|(name, text)| actual.headers.get(name) == Some(text)),
        false => *expected == actual.headers,
    };
    expected.key.as_ref().is_none_or(|key| equal(&key.json, &actual.key))
        && expected.value.as_ref().is_none_or(|value| value_fits(&value.json))
        && expected.timestamp.is_none_or(|moment| moment.0 == actual.timestamp)
        && expected.partition.as_ref().is_none_or(|whole| i32::try_from(whole.value) == Ok(actual.partition))
        && expected.headers.as_ref().is_none_or(|headers| headers_fit(&headers.0))
}

/// The expected record as a line.
pub(super) fn show_expected(record: &ExpectedRecord) -> String {
    let mut line = Map::new();
    let mut put = |name: &str, json: Option<Json>| {
        if let Some(json) = json {
            line.insert(name.to_owned(), json);
        }
    };
    put("key", record.key.as_ref().map(|key| key.json.clone()));
    put("value", record.value.as_ref().map(|value| value.json.clone()));
    put("timestamp", record.timestamp.map(|moment| moment.0.into()));
    put("partition", record.partition.as_ref().map(|whole| whole.value.into()));
    put("headers", record.headers.as_ref().map(|headers| Json::Object(headers.0.clone())));
    Json::Object(line).to_string()
}

/// A record that came out as a line that could stand in a test: only what `like` gives, or key, value and
/// timestamp.
pub(super) fn show_actual(record: &OutputRecord, like: Option<&ExpectedRecord>) -> String {
    let mut line = Map::new();
    line.insert("key".to_owned(), record.key.clone());
    line.insert("value".to_owned(), record.value.clone());
    if like.is_none_or(|like| like.timestamp.is_some()) {
        line.insert("timestamp".to_owned(), record.timestamp.into());
    }
    if like.is_some_and(|like| like.partition.is_some()) {
        line.insert("partition".to_owned(), record.partition.into());
    }
    if like.is_some_and(|like| like.headers.is_some()) {
        line.insert("headers".to_owned(), Json::Object(record.headers.clone()));
    }
    Json::Object(line).to_string()
}

/// Expected and actual records side by side: ` ` both, `-` expected only, `+` came out only.
pub(super) fn diff(expected: &[ExpectedRecord], actual: &[&OutputRecord]) -> String {
    let mut text = String::new();
    let mut shown = 0;
    let mut put = |mark: char, line: String| {
        shown += 1;
        match shown.cmp(&SHOWN) {
            std::cmp::Ordering::Less => text.push_str(&format!("    {mark} {line}\n")),
            std::cmp::Ordering::Equal => text.push_str("    … more\n"),
            std::cmp::Ordering::Greater => {}
        }
    };
    let mut missing: Vec<&ExpectedRecord> = Vec::new();
    let mut surplus: Vec<&OutputRecord> = Vec::new();
    let steps = align(expected, actual);
    for step in steps.into_iter().map(Some).chain([None]) {
        match step {
            Some(Aligned::Expected(record)) => missing.push(record),
            Some(Aligned::Actual(record)) => surplus.push(record),
            Some(Aligned::Both(_)) | None => {
                show_change(&missing, &surplus, &mut put);
                missing.clear();
                surplus.clear();
                if let Some(Aligned::Both(record)) = step {
                    put(' ', show_expected(record));
                }
            }
        }
    }
    text
}

/// A run of records that differ: pairs by position with the fields that differ, then the rest.
fn show_change(missing: &[&ExpectedRecord], surplus: &[&OutputRecord], put: &mut impl FnMut(char, String)) {
    for position in 0..missing.len().max(surplus.len()) {
        let (expected, actual) = (missing.get(position), surplus.get(position));
        if let Some(expected) = expected {
            put('-', show_expected(expected));
        }
        if let Some(actual) = actual {
            put('+', show_actual(actual, expected.copied()));
        }
        if let (Some(expected), Some(actual)) = (expected, actual) {
            for line in differences(expected, actual) {
                put(' ', format!("    {line}"));
            }
        }
    }
}

/// The fields in which a record differs from the one expected in its place.
fn differences(expected: &ExpectedRecord, actual: &OutputRecord) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |path: &str, wanted: Option<Json>, got: Json| {
        if let Some(wanted) = wanted {
            differing_fields(path, &wanted, &got, &mut found);
        }
    };
    compare("key", expected.key.as_ref().map(|key| key.json.clone()), actual.key.clone());
    compare("value", expected.value.as_ref().map(|value| value.json.clone()), actual.value.clone());
    compare("timestamp", expected.timestamp.map(|moment| moment.0.into()), actual.timestamp.into());
    compare("partition", expected.partition.as_ref().map(|whole| whole.value.into()), actual.partition.into());
    compare(
        "headers",
        expected.headers.as_ref().map(|headers| Json::Object(headers.0.clone())),
        Json::Object(actual.headers.clone()),
    );
    if found.len() > FIELDS_SHOWN {
        found.truncate(FIELDS_SHOWN);
        found.push("…".to_owned());
    }
    found
}

/// Says for each field that differs what was expected and what came.
pub(super) fn differing_fields(path: &str, expected: &Json, actual: &Json, found: &mut Vec<String>) {
    if equal(expected, actual) {
        return;
    }
    match (expected, actual) {
        (Json::Object(a), Json::Object(b)) => {
            for (name, wanted) in a {
                match b.get(name) {
                    Some(got) => differing_fields(&format!("{path}.{name}"), wanted, got, found),
                    None => found.push(format!("{path}.{name}: expected {wanted}, there is no such field")),
                }
            }
            for (name, got) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                found.push(format!("{path}.{name}: not expected, came as {got}"));
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (index, (wanted, got)) in a.iter().zip(b).enumerate() {
                differing_fields(&format!("{path}[{index}]"), wanted, got, found);
            }
        }
        _ => found.push(format!("{path}: expected {expected}, came {actual}")),
    }
}

/// The value that is expected and the one that came, and where they differ.
pub(super) fn value_diff(expected: &Json, actual: &Json) -> String {
    let mut fields = Vec::new();
    differing_fields("value", expected, actual, &mut fields);
    let mut text = format!("    - {expected}\n    + {actual}\n");
    for field in fields.iter().take(FIELDS_SHOWN) {
        // Writing to a string does not fail.
        writeln!(text, "          {field}").unwrap_or_default();
    }
    text
}

/// One step of walking along the expected and the actual records.
enum Aligned<'a> {
    Both(&'a ExpectedRecord),
    Expected(&'a ExpectedRecord),
    Actual(&'a OutputRecord),
}

/// The longest run of records, not necessarily adjacent, that are as expected and in order; and what lies
/// between. Beyond a few hundred records they are only compared by position.
fn align<'a>(expected: &'a [ExpectedRecord], actual: &[&'a OutputRecord]) -> Vec<Aligned<'a>> {
    const ALIGNED: usize = 500;
    let (rows, columns) = (expected.len(), actual.len());
    if rows > ALIGNED || columns > ALIGNED {
        return by_position(expected, actual);
    }
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    let mut lengths = vec![0u32; (rows + 1) * (columns + 1)];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            lengths[at(row, column)] = if matches(&expected[row], actual[column], false) {
                lengths[at(row + 1, column + 1)] + 1
            } else {
                lengths[at(row + 1, column)].max(lengths[at(row, column + 1)])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut steps = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && matches(&expected[row], actual[column], false) {
            steps.push(Aligned::Both(&expected[row]));
            (row, column) = (row + 1, column + 1);
        } else if row < rows && (column == columns || lengths[at(row + 1, column)] >= lengths[at(row, column + 1)]) {
            steps.push(Aligned::Expected(&expected[row]));
            row += 1;
        } else {
            steps.push(Aligned::Actual(actual[column]));
            column += 1;
        }
    }
    steps
}

fn by_position<'a>(expected: &'a [ExpectedRecord], actual: &[&'a OutputRecord]) -> Vec<Aligned<'a>> {
    let mut steps = Vec::new();
    for position in 0..expected.len().max(actual.len()) {
        match (expected.get(position), actual.get(position)) {
            (Some(wanted), Some(got)) if matches(wanted, got, false) => steps.push(Aligned::Both(wanted)),
            (wanted, got) => {
                steps.extend(wanted.map(Aligned::Expected));
                steps.extend(got.copied().map(Aligned::Actual));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::literal::Literal;
    use super::*;

    fn expected(key: &str, value: Json) -> ExpectedRecord {
        let literal = |json| Some(Literal { json, span: 0..0 });
        let (key, value) = (literal(key.into()), literal(value));
        ExpectedRecord { span: 0..0, key, value, timestamp: None, partition: None, headers: None }
    }

    fn actual(key: &str, value: Json) -> OutputRecord {
        let headers = Map::new();
        OutputRecord { topic: "t".to_owned(), partition: 0, key: key.into(), value, timestamp: 7, headers }
    }

    #[test]
    fn numbers_are_equal_by_what_they_amount_to() {
        assert!(equal(&json!({"a": [2, 2.5]}), &json!({"a": [2.0, 2.5]})));
        assert!(!equal(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
        assert!(!equal(&json!("2"), &json!(2)));
        assert!(!equal(&json!({"a": 1}), &json!({"a": 1, "b": null})));
    }

    #[test]
    fn a_part_of_a_value_is_found_at_any_depth() {
        assert!(contains(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(!contains(&json!({"a": {"b": 2}}), &json!({"a": {"b": 1, "c": 2}})));
        assert!(!contains(&json!([1]), &json!([1, 2])));
    }

    #[test]
    fn a_difference_is_shown_where_it_is() {
        let wanted = [expected("a", json!({"n": 1})), expected("a", json!({"n": 2})), expected("b", json!(null))];
        let came = [actual("a", json!({"n": 1})), actual("a", json!({"n": 3})), actual("b", json!(null))];
        let text = diff(&wanted, &came.iter().collect::<Vec<_>>());
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                r#"      {"key":"a","value":{"n":1}}"#,
                r#"    - {"key":"a","value":{"n":2}}"#,
                r#"    + {"key":"a","value":{"n":3}}"#,
                "          value.n: expected 2, came 3",
                r#"      {"key":"b","value":null}"#,
            ]
        );
    }

    #[test]
    fn a_record_too_many_is_shown_alone() {
        let wanted = [expected("a", json!(1)), expected("c", json!(3))];
        let came = [actual("a", json!(1)), actual("b", json!(2)), actual("c", json!(3))];
        let text = diff(&wanted, &came.iter().collect::<Vec<_>>());
        assert!(text.contains(r#"    + {"key":"b","value":2,"timestamp":7}"#), "{text}");
        assert_eq!(text.matches("\n    + ").count() + text.matches("\n    - ").count(), 1, "{text}");
    }
}
