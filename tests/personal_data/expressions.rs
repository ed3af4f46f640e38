//! Expressions: a table of them, with what of their results is personal data.

use std::collections::BTreeSet;

use super::leaks;

const TABLE: &str = include_str!("expressions.txt");

/// Expressions, and the parts of their results.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    rows.map(|line| {
        let (expression, parts) = line.split_once(" =>").unwrap_or_else(|| panic!("no `=>` in {line}"));
        (expression, parts.split_whitespace().collect())
    })
}

/// A topology that writes the result of an expression, in a step or in the sink.
fn topology(expression: &str, in_sink: bool) -> String {
    let (step, map) = match in_sink {
        true => (String::new(), format!("    map:\n      out: |-\n        {expression}\n")),
        false => {
            (format!("    steps:\n      - map_values:\n          out: |-\n            {expression}\n"), String::new())
        }
    };
    format!(
        "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  people: {{topic: people, value: {{avro: Person}}}}\n\
         streams:\n  derived:\n    from: people\n{step}sinks:\n  - from: derived\n    topic: out\n{map}"
    )
}

#[test]
fn what_of_a_result_is_personal_data_is_known() {
    let mut wrong = Vec::new();
    for (expression, expected) in rows() {
        for in_sink in [false, true] {
            let expected: Vec<String> = expected.iter().map(|part| format!("out: {part}")).collect();
            let mut found = leaks(&topology(expression, in_sink));
            found.sort();
            if found != expected {
                wrong.push(format!("{expression}: expected {expected:?}, found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_function_has_a_row() {
    let called = |name: &str| {
        rows().any(|(expression, _)| {
            expression.contains(&format!("{name}(")) || expression.contains(&format!(".{name}("))
        })
    };
    let missing: BTreeSet<&str> = signalstream::expression::function_names().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "expressions.txt has no row for {missing:?}");
}
