//! Every verb and option of the language has a form in the builder, which has been compared with the YAML one.
//!
//! What there is comes from the language's own JSON Schema; what has been compared, from the YAML that the builder wrote
//! in the cases of the other files. A verb or option that is new fails here until it has a form and a case, or a reason
//! in [`EXCEPTIONS`] to have none.

use std::collections::BTreeSet;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value as Json};
use signalstream::topology::json_schema;

use crate::harness::compared_by;

/// What has no form, and why: a definition of the schema with its field, or with `=` and a word.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Cleanup=delete", "what a topic is that is not said to be compacted"),
    ("Defaults.key", "a serde is given to each source and sink"),
    ("Defaults.value", "a serde is given to each source and sink"),
    ("Format.framing=registry", "what Avro is that is not said to be raw"),
    ("OffsetResetSpec=earliest", "what a source does that is not said to start at the end"),
    ("Process.config", "a supplier holds what it is to know"),
    ("Process.name", "the step has a stream of its own, of its name"),
    ("Sink.map", "`map_values` before it"),
    ("SourceKind=stream", "what a source is that is no table"),
    ("Step.merge", "`merge` gives a stream that starts from both"),
    ("Step.to_table", "`to_table` gives a table of its own"),
    ("Step=peek", "short for `peek: value`"),
    ("Step=repartition", "short for `repartition: {}`, and what is kept has a name"),
    ("Step=to_stream", "short for `to_stream: {}`"),
    ("Step=to_table", "short for `to_table: {}`"),
];

/// All parts of the language, by their names in [`EXCEPTIONS`].
fn parts(schema: &Json) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    let definitions = schema["$defs"].as_object().expect("definitions");
    parts_of("topology", schema, &mut parts);
    definitions.iter().for_each(|(name, definition)| parts_of(name, definition, &mut parts));
    parts
}

/// The parts of a definition, without those that it refers to.
fn parts_of(name: &str, schema: &Json, parts: &mut BTreeSet<String>) {
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        parts.insert(format!("{name}.{field}"));
        parts_of(&format!("{name}.{field}"), property, parts);
    }
    parts.extend(words(schema).map(|word| format!("{name}={word}")));
    parts.extend(aggregates(schema).map(|aggregate| format!("{name}={aggregate}")));
    for way in ["anyOf", "oneOf"].iter().flat_map(|kind| schema[kind].as_array()).flatten() {
        parts_of(name, way, parts);
    }
}

/// The words that may stand somewhere.
fn words(schema: &Json) -> impl Iterator<Item = &str> {
    schema["const"].as_str().into_iter().chain(schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str))
}

/// The aggregates that may stand somewhere.
fn aggregates(schema: &Json) -> impl Iterator<Item = &str> {
    let names = schema["pattern"].as_str().and_then(|pattern| pattern.strip_prefix("^(")?.split_once(")\\("));
    names.into_iter().flat_map(|(names, _)| names.split('|'))
}

/// Follows a topology through the schema, and notes the parts that it has.
struct Walk<'s> {
    definitions: &'s Map<String, Json>,
    found: BTreeSet<String>,
}

impl<'s> Walk<'s> {
    /// A definition by its name, where one is referred to.
    fn resolved(&self, name: &str, schema: &'s Json) -> (String, &'s Json) {
        match schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            Some(definition) => (definition.to_owned(), &self.definitions[definition]),
            None => (name.to_owned(), schema),
        }
    }

    fn walk(&mut self, name: &str, schema: &'s Json, value: &Json) {
        let (name, schema) = self.resolved(name, schema);
        for way in ["anyOf", "oneOf"].iter().flat_map(|kind| schema[kind].as_array()).flatten() {
            if self.takes(way, value) {
                self.walk(&name, way, value);
            }
        }
        match value {
            Json::Object(fields) => {
                for (field, value) in fields {
                    if let Some(property) = schema["properties"].get(field) {
                        self.found.insert(format!("{name}.{field}"));
                        self.walk(&format!("{name}.{field}"), property, value);
                    } else if schema["additionalProperties"].is_object() {
                        self.walk(&name, &schema["additionalProperties"], value);
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.walk(&name, &schema["items"], item)),
            Json::String(text) => {
                if words(schema).any(|word| word == text) {
                    self.found.insert(format!("{name}={text}"));
                }
                let called = text.split_once('(').map_or("", |(called, _)| called);
                if aggregates(schema).any(|aggregate| aggregate == called) {
                    self.found.insert(format!("{name}={called}"));
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    /// Whether a value may be what one of several ways describes.
    fn takes(&self, schema: &'s Json, value: &Json) -> bool {
        let (_, schema) = self.resolved("", schema);
        let has_word = schema.get("const").is_none() && schema.get("enum").is_none()
            || value.as_str().is_some_and(|text| words(schema).any(|word| word == text));
        let known =
            |field: &String| schema["additionalProperties"] != false || schema["properties"].get(field).is_some();
        let shaped = match (value, schema["type"].as_str()) {
            (Json::Object(fields), Some("object")) => {
                let required = schema["required"].as_array();
                let complete = required.is_none_or(|required| {
                    required.iter().filter_map(Json::as_str).all(|field| fields.contains_key(field))
                });
                complete && fields.keys().all(known)
            }
            (Json::Array(_), Some(kind)) => kind == "array",
            (Json::String(_), Some(kind)) => kind == "string",
            (_, Some(kind)) => kind != "object" && kind != "array",
            (_, None) => true,
        };
        has_word && shaped
    }
}

/// YAML as JSON; enough for what a builder writes.
fn json_of(yaml: &str) -> Json {
    let mut open: Vec<(Json, Option<String>)> = Vec::new();
    let mut finished = Json::Null;
    for event in Parser::new_from_str(yaml) {
        let value = match event.expect("YAML").0 {
            Event::MappingStart(..) => {
                open.push((Json::Object(Map::new()), None));
                continue;
            }
            Event::SequenceStart(..) => {
                open.push((Json::Array(Vec::new()), None));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop().expect("an open one").0,
            Event::Scalar(text, style, ..) => {
                if let Some((Json::Object(_), key @ None)) = open.last_mut() {
                    *key = Some(text.into_owned());
                    continue;
                }
                match serde_json::from_str(&text) {
                    Ok(plain) if style == ScalarStyle::Plain => plain,
                    _ => Json::String(text.into_owned()),
                }
            }
            _ => continue,
        };
        match open.last_mut() {
            Some((Json::Object(fields), key)) => {
                fields.insert(key.take().expect("a key"), value);
            }
            Some((Json::Array(items), _)) => items.push(value),
            _ => finished = value,
        }
    }
    finished
}

#[test]
fn each_verb_and_option_of_the_language_has_a_form_that_was_compared() {
    let schema = json_schema();
    let parts = parts(&schema);
    let mut walk = Walk { definitions: schema["$defs"].as_object().expect("definitions"), found: BTreeSet::new() };
    let cases = [
        crate::aggregates::CASES,
        crate::calls::CASES,
        crate::joins::CASES,
        crate::named::CASES,
        crate::personal_data::CASES,
        crate::process::CASES,
        crate::stateless::CASES,
        crate::tables::CASES,
        crate::topics::CASES,
    ];
    let compared_by_all = |cases: &'static [fn()]| {
        let each = cases.iter().map(|case| compared_by(*case));
        each.inspect(|compared| assert!(!compared.is_empty(), "a case compares nothing")).flatten().collect::<Vec<_>>()
    };
    let compared: Vec<String> = std::thread::scope(|scope| {
        let files = cases.map(|cases| scope.spawn(move || compared_by_all(cases)));
        files.into_iter().flat_map(|file| file.join().expect("its cases pass")).collect()
    });
    compared.iter().for_each(|yaml| walk.walk("topology", &schema, &json_of(yaml)));
    let excepted: BTreeSet<String> = EXCEPTIONS.iter().map(|(part, _)| (*part).to_owned()).collect();
    let unknown: Vec<&String> = excepted.difference(&parts).collect();
    assert!(unknown.is_empty(), "these exceptions are no part of the language: {unknown:#?}");
    let missing: Vec<&String> =
        parts.iter().filter(|part| !walk.found.contains(*part) && !excepted.contains(*part)).collect();
    assert!(missing.is_empty(), "these have no form in the builder, or no case that compares it: {missing:#?}");
    let spare: Vec<&String> = excepted.intersection(&walk.found).collect();
    assert!(spare.is_empty(), "these have a form by now, and are exceptions no more: {spare:#?}");
}

#[test]
fn a_part_that_no_case_has_is_found() {
    let schema = json_schema();
    let parts = parts(&schema);
    for part in ["topology.sinks", "Step.filter", "Cleanup=compact,delete", "AggregateCall=top_k", "Emit=on_close"] {
        assert!(parts.contains(part), "{part}: {parts:#?}");
    }
    let mut walk = Walk { definitions: schema["$defs"].as_object().unwrap(), found: BTreeSet::new() };
    let yaml =
        "topology: a\nsources: {s: {topic: [x, y], kind: table}}\nstreams: {t: {from: s, steps: [{filter: 'true'}]}}";
    walk.walk("topology", &schema, &json_of(yaml));
    let found = [
        "Source.kind",
        "Source.topic",
        "SourceKind=table",
        "Step.filter",
        "Stream.from",
        "Stream.steps",
        "topology.sources",
        "topology.streams",
        "topology.topology",
    ];
    assert_eq!(walk.found.iter().map(String::as_str).collect::<Vec<_>>(), found);
}

/// The types that `src/builder/` exports, and whether their documentation has an example, which `cargo test` runs.
fn exported() -> Vec<(String, bool)> {
    let files = files("src/builder");
    let text: String = files.iter().map(|(_, text)| text.as_str()).collect();
    let module = files.iter().find(|(name, _)| name == "mod.rs").map(|(_, text)| text.as_str()).unwrap_or_default();
    let exports = module.lines().filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"));
    let names = exports.flat_map(|(_, names)| names.trim_matches(['{', '}', ';']).split(", "));
    names.map(|name| (name.to_owned(), has_example(&text, name))).collect()
}

/// Whether what is defined under a name has an example before it. Another name of a type needs none.
fn has_example(text: &str, name: &str) -> bool {
    let mut example = false;
    for line in text.lines().map(str::trim) {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let defines = match words.next() {
            Some("pub") => matches!(words.next(), Some("struct" | "enum" | "trait")) && words.next() == Some(name),
            // In a macro that makes the type.
            Some(word) => word == name && words.next().is_none(),
            None => false,
        };
        if defines && example || line.starts_with(&format!("pub type {name}<")) {
            return true;
        }
        example = line.starts_with("///") && (example || line == "/// ```") || line.starts_with("#[") && example;
    }
    false
}

/// The files of a directory of the project, by their names.
fn files(directory: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// So that what two forms share a verb with, such as `try_map` and `map`, is compared, too.
#[test]
fn each_method_is_called_by_these_tests() {
    let tests: String = files("tests/builder").into_iter().map(|(_, text)| text).collect();
    let called = |name: &str| {
        [".", "::"]
            .iter()
            .any(|before| ["(", "::<"].iter().any(|after| tests.contains(&format!("{before}{name}{after}"))))
    };
    let mut methods = 0;
    let mut uncalled = Vec::new();
    for (file, text) in files("src/builder") {
        for name in text.lines().filter_map(|line| line.strip_prefix("    pub fn ")) {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            methods += 1;
            if !called(name) {
                uncalled.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(methods > 100, "{methods}");
    assert_eq!(uncalled, Vec::<String>::new());
    assert!(!called("unheard_of"));
}

#[test]
fn each_type_has_an_example_that_is_run() {
    let exported = exported();
    assert!(exported.len() > 30, "{exported:?}");
    let without: Vec<&str> = exported.iter().filter(|(_, example)| !example).map(|(name, _)| name.as_str()).collect();
    assert!(without.is_empty(), "these types have no example in their documentation: {without:?}");
    assert!(!has_example("/// No example.\npub struct Data;", "Data"));
}
