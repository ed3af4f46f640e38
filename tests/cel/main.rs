//! Expressions against what the CEL specification says of them, as data: `tests/cel/*.cel`.
//!
//! A line is an expression and, behind ` => `, its value, or `error: ` and a part of the message of a record's error, or
//! `refused: ` and a part of what validation says. Between them stand `== section` and `let name: shape = value` lines;
//! what a section binds ends with it. A `⏎` is a line break. Every case is checked, compiled and evaluated as an
//! expression of a topology is; values are compared with their kinds, `1`, `1u` and `1.0` being three different ones.

mod literal;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use signalstream::expression::{Binding, Expression, Input, Scope};
use signalstream::record::{Shape, Value};

use literal::{shape_of, value_of, written};

/// A line of a file.
struct Case {
    place: String,
    section: String,
    source: String,
    expected: String,
    bindings: Vec<(String, Shape, Value)>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cel")
}

fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "cel"));
    files.sort();
    files.iter().flat_map(|path| cases_of(path)).collect()
}

fn cases_of(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (mut cases, mut section, mut bindings) = (Vec::new(), String::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}.cel:{}", number + 1);
        if line.trim().is_empty() || line.starts_with("# ") {
        } else if let Some(title) = line.strip_prefix("== ") {
            section = format!("{name}: {title}");
            bindings.clear();
        } else if let Some(binding) = line.strip_prefix("let ") {
            let (name, rest) = binding.split_once(": ").unwrap_or_else(|| panic!("{place}: no shape"));
            let (shape, value) = rest.split_once(" = ").unwrap_or_else(|| panic!("{place}: no value"));
            let shape = shape_of(shape);
            let value = value_of(value, &shape);
            bindings.push((name.to_owned(), shape, value));
        } else {
            let (source, expected) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("{place}: nothing is expected"));
            let (section, bindings) = (section.clone(), bindings.clone());
            let source = source.trim().replace('⏎', "\n");
            cases.push(Case { place, section, source, expected: expected.trim().to_owned(), bindings });
        }
    }
    cases
}

/// What a case comes to, in the words of the files.
fn outcome(case: &Case) -> String {
    let scope =
        case.bindings.iter().enumerate().fold(Scope::new(), |scope, (place, (name, shape, _))| {
            scope.with(name, Binding::Local(place), shape.clone())
        });
    let expression = match Expression::compile(&case.source, &scope) {
        Ok(expression) => expression,
        Err(mistakes) => {
            let messages: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            return format!("refused: {}", messages.join("; "));
        }
    };
    let locals: Vec<Value> = case.bindings.iter().map(|(_, _, value)| value.clone()).collect();
    let input = Input { key: &Value::Null, value: &Value::Null, record: None, locals: &locals };
    match expression.evaluate(&input) {
        Ok(value) => written(&value),
        Err(error) => format!("error: {}", error.reason()),
    }
}

fn agrees(found: &str, expected: &str) -> bool {
    for kind in ["error: ", "refused: "] {
        if let Some(part) = expected.strip_prefix(kind) {
            return found.strip_prefix(kind).is_some_and(|message| message.contains(part));
        }
    }
    found == expected
}

#[test]
fn expressions_give_what_the_specification_says() {
    let cases = cases();
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, outcome(case)))
        .filter(|(case, found)| !agrees(found, &case.expected))
        .map(|(case, found)| format!("{} {}\n    gives {found}\n    not   {}", case.place, case.source, case.expected))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let distinct: BTreeSet<(&str, &str)> =
        cases.iter().map(|case| (case.section.as_str(), case.source.as_str())).collect();
    assert_eq!(distinct.len(), cases.len(), "a case stands twice in its section");
    assert!(cases.len() >= 600, "there are only {} cases", cases.len());
}

/// The first column of each table of a page, without its formatting.
fn first_cells(page: &str) -> BTreeSet<String> {
    let cell = |line: &str| line.strip_prefix("| ")?.split(" | ").next().map(|cell| cell.replace('`', ""));
    page.lines().filter_map(cell).flat_map(|cell| cell.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_function_is_documented_and_tried() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/expressions.md")).unwrap();
    let documented = first_cells(&page);
    let sources: String = cases()
        .iter()
        .filter(|case| !case.expected.starts_with("refused"))
        .map(|case| case.source.clone() + "\n")
        .collect();
    let mut missing = Vec::new();
    for name in signalstream::expression::function_names() {
        if !documented.contains(name) {
            missing.push(format!("docs/expressions.md has no row for `{name}`"));
        }
        if !sources.contains(&format!("{name}(")) {
            missing.push(format!("no case of tests/cel calls `{name}`"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn what_the_page_calls_left_out_is_refused() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/expressions.md")).unwrap();
    let (_, rest) = page.split_once("## What is left out").expect("a section of what is left out");
    let part = rest.split("\n## ").next().unwrap();
    let refused: BTreeSet<String> =
        cases().into_iter().filter(|case| case.expected.starts_with("refused")).map(|case| case.source).collect();
    let mut examples = 0;
    for line in part.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let example = line.trim_end_matches('|').trim().rsplit(" | ").next().unwrap().trim_matches('`');
        assert!(
            refused.contains(&example.replace("\\|", "|")),
            "no case of tests/cel says that `{example}` is refused"
        );
        examples += 1;
    }
    assert!(examples >= 10, "{examples}");
}

#[test]
fn what_the_page_says_differs_has_its_cases() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/expressions.md")).unwrap();
    let (_, rest) = page.split_once("## What differs").expect("a section of what differs");
    let rows = rest.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter(|row| !row.starts_with('|') && !row.starts_with("---"));
    let documented: BTreeSet<String> = rows
        .map(|row| row.split(" | ").next().unwrap().replace('`', ""))
        .filter(|row| !row.trim().is_empty())
        .collect();
    let tried: BTreeSet<String> =
        cases().iter().filter_map(|case| case.section.strip_prefix("departures: ").map(str::to_owned)).collect();
    assert_eq!(documented, tried, "docs/expressions.md and tests/cel/departures.cel name the same");
}
