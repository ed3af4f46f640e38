//! Mistakes in topologies: what is said, and where. All mistakes of a file are reported at once.

use std::fs;
use std::path::{Path, PathBuf};

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::topology::{Diagnostics, PlanOptions, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn mistakes(text: &str) -> Option<Diagnostics> {
    let mut registry = SchemaRegistry::new();
    registry.load_directory(&directory().join("plans/schemas")).expect("the schemas are valid");
    let agents = Agents::local();
    let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
    load("topology.yaml", text, &options).err()
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    let text = fs::read_to_string(directory().join("diagnostics/many-mistakes.yaml")).expect("the file is there");
    let found = mistakes(&text).expect("the file has mistakes");
    let golden = directory().join("diagnostics/many-mistakes.txt");
    let rendered = found.render(false);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&golden, &rendered).expect("the golden can be written");
    }
    assert_eq!(rendered, fs::read_to_string(&golden).unwrap_or_default());
    assert!(found.count() >= 20, "{} mistakes", found.count());
}

mod mutations {
    //! Whatever stands in a file, it is planned or refused: never a panic, and never without a reason.

    use proptest::prelude::*;

    use super::{directory, fs, mistakes};

    /// What mutations put in: pieces of the language, in wrong places.
    const PIECES: &[&str] = &[
        "",
        " ",
        "\n",
        "  ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "#",
        "|",
        ">-",
        "&a",
        "*a",
        "!t",
        "null",
        "0",
        "-1",
        "5m",
        "from",
        "steps",
        "filter",
        "map_values",
        "value.",
        "key",
        "acc",
        "window.start",
        "count()",
        "branch",
        "default",
        "é",
        "\u{0}",
        "\t",
        "join",
        "inputs",
        "store",
        "tumbling: 0s",
        "999999999999d",
        "merge",
        "---\n",
        "<<: ",
        "orders",
        "call",
        "{}",
        "to_stream",
        "emit: {every: 10s}",
        "suppress: {until: 10s}",
        "group_by: key",
        "default: rest",
    ];

    fn topologies() -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(directory().join("plans"))
            .expect("there are plans")
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).expect("the topology is there")).collect()
    }

    /// Replaces what stands between two places by a piece.
    fn mutate(text: &str, start: usize, length: usize, piece: &str) -> String {
        let mut start = start % (text.len() + 1);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        format!("{}{piece}{}", &text[..start], &text[end..])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn a_mutated_topology_is_planned_or_refused_with_reasons(
            which in any::<prop::sample::Index>(),
            edits in prop::collection::vec((any::<u16>(), 0..12usize, prop::sample::select(PIECES)), 1..4),
        ) {
            let topologies = topologies();
            let mut text = which.get(&topologies).clone();
            for (start, length, piece) in edits {
                text = mutate(&text, start.into(), length, piece);
            }
            if let Some(found) = mistakes(&text) {
                prop_assert!(found.count() > 0);
                prop_assert!(!found.render(true).is_empty());
                for mistake in found.iter() {
                    let message = mistake.message();
                    prop_assert!(message != "the topology could not be planned", "{}", text);
                    prop_assert!(mistake.span().end <= text.len());
                }
            }
        }
    }
}

/// One mistake each: a topology, a marker `^` under the line before it that shows where the mistake is
/// reported, and the beginning of what is said.
const SINGLE_MISTAKES: &str = include_str!("diagnostics/single-mistakes.txt");

/// What every case of [`SINGLE_MISTAKES`] starts with that does not itself begin with the name of a topology.
const PREAMBLE: &str = "\
topology: t
defaults: {key: string, value: json}
sources:
  orders: {topic: orders, value: {avro: Order}}
  customers: {topic: customers, kind: table}
";

/// The cases that [`SINGLE_MISTAKES`] holds.
fn cases() -> impl Iterator<Item = &'static str> {
    SINGLE_MISTAKES.split("\n---\n").filter(|case| !case.trim().is_empty())
}

#[test]
fn each_mistake_is_reported_where_it_is() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (text, expected) = taken_apart(case);
        let found = mistakes(&text);
        let reported: Vec<String> = found
            .iter()
            .flat_map(Diagnostics::iter)
            .map(|problem| format!("{}:{} {}", problem.line(), problem.column(), problem.message()))
            .collect();
        let as_expected = reported.len() == expected.len()
            && expected.iter().all(|expected| reported.iter().any(|reported| reported.starts_with(expected)));
        if !as_expected {
            wrong.push(format!("{case}\nexpected {expected:#?}\nreported {reported:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Splits a case into the topology and what is expected of it, as `line:column message`.
fn taken_apart(case: &str) -> (String, Vec<String>) {
    let mut text = if case.starts_with("topology:") { String::new() } else { PREAMBLE.to_owned() };
    let mut expected = Vec::new();
    for line in case.lines() {
        match line.trim_start().strip_prefix("^ ") {
            Some(message) if line.trim_start().starts_with('^') => {
                let column = line.chars().take_while(|c| *c == ' ').count() + 1;
                expected.push(format!("{}:{column} {message}", text.lines().count()));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    (text, expected)
}

mod verbs {
    //! Every verb of the language has a mistake that is made in it.

    use std::collections::BTreeSet;

    use saphyr_parser::{Event, Parser};
    use serde_json::Value as Json;
    use signalstream::topology::json_schema;

    use super::{Diagnostics, cases, mistakes, taken_apart};

    /// A line and a column, from 1.
    type Place = (usize, usize);

    /// What the language has names for: the steps, the kinds of windows, the fields of streams, tables and what they
    /// consist of; the aggregates with a parenthesis.
    fn all() -> BTreeSet<String> {
        let schema = json_schema();
        let definitions = &schema["$defs"];
        let fields =
            |of: &str| -> Vec<String> { definitions[of]["properties"].as_object().unwrap().keys().cloned().collect() };
        let steps = definitions["Step"]["anyOf"].as_array().unwrap().iter();
        let steps = steps.filter_map(|step| Some(step["required"][0].as_str()?.to_owned()));
        let windows = definitions["Window"]["anyOf"].as_array().unwrap().iter().map(|kind| {
            let name = kind["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            definitions[name]["required"][0].as_str().unwrap().to_owned()
        });
        let parts = ["Stream", "Table", "Join", "Cogroup", "Fold", "Suppress", "Source", "Sink", "Topic", "Defaults"];
        let aggregates = definitions["AggregateCall"]["pattern"].as_str().unwrap();
        let aggregates = aggregates.trim_start_matches("^(").split(')').next().unwrap().split('|');
        let aggregates = aggregates.map(|name| format!("{name}("));
        steps.chain(windows).chain(aggregates).chain(parts.iter().flat_map(|of| fields(of))).collect()
    }

    /// Everything that has a name in a file, with where it begins and ends: keys with their values, and steps that are
    /// words.
    fn named(text: &str) -> Vec<(String, Place, Place)> {
        /// An open list, or an open mapping with the key that waits for its value.
        enum Open {
            List,
            Mapping(Option<(String, Place)>),
        }
        let (mut found, mut open) = (Vec::new(), Vec::new());
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let begin = (span.start.line(), span.start.col() + 1);
            let end = (span.end.line(), span.end.col() + 1);
            match event {
                Event::MappingStart(..) => open.push(Open::Mapping(None)),
                Event::SequenceStart(..) => open.push(Open::List),
                Event::Scalar(word, ..) => match open.last_mut() {
                    Some(Open::Mapping(key @ None)) => *key = Some((word.into_owned(), begin)),
                    Some(Open::Mapping(key)) => found.extend(key.take().map(|(name, begin)| (name, begin, end))),
                    Some(Open::List) => found.push((word.into_owned(), begin, end)),
                    None => {}
                },
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                    if let Some(Open::Mapping(key)) = open.last_mut() {
                        found.extend(key.take().map(|(name, begin)| (name, begin, end)));
                    }
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn every_verb_has_a_mistake() {
        let mut without = all();
        for case in cases() {
            let (text, _) = taken_apart(case);
            let named = named(&text);
            for mistake in mistakes(&text).iter().flat_map(Diagnostics::iter) {
                let place = (mistake.line(), mistake.column());
                for (name, ..) in named.iter().filter(|(_, begin, end)| (begin..=end).contains(&&place)) {
                    without.remove(name);
                }
                without.retain(|verb| !verb.ends_with('(') || !text.contains(verb));
                without.retain(|verb| !mistake.message().contains(&format!("`{verb}`")));
            }
        }
        assert!(without.is_empty(), "single-mistakes.txt has no mistake in {without:?}");
    }

    /// Every field of every definition refuses what it does not know, in whatever mapping it stands.
    #[test]
    fn every_mapping_of_the_language_is_closed() {
        let schema = json_schema();
        let open: Vec<&String> = schema["$defs"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, definition)| definition.get("properties").is_some_and(Json::is_object))
            .filter(|(_, definition)| definition["additionalProperties"] != false)
            .map(|(name, _)| name)
            .collect();
        // The names of branches are the author's.
        assert_eq!(open, ["Branches"]);
    }
}
