//! What is said: of a leak, with the way that it took, and of a topology's data.

use std::fs;
use std::path::Path;

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::topology::{DescribeFormat, PlanOptions, describe, load};

use super::{directory, plan};

/// A topology with one leak of each kind, and one whose personal data stays where it may.
const LEAKS: &str = "leaks";
const DECLARED: &str = "declared";

fn topology(name: &str) -> String {
    fs::read_to_string(directory().join(format!("{name}.yaml"))).expect("the topology is there")
}

fn assert_golden(name: &str, text: &str) {
    let golden = directory().join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&golden, text).expect("the golden can be written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(text, expected, "UPDATE_GOLDENS=1 accepts it");
}

#[test]
fn a_leak_is_shown_where_it_is_with_the_way_it_took() {
    let found = plan(&topology(LEAKS)).expect_err("it is refused");
    assert_golden("leaks.txt", &found.render(false));
}

#[test]
fn the_catalogue_and_where_personal_data_lies_are_described() {
    let planned = plan(&topology(DECLARED)).unwrap_or_else(|found| panic!("{found}"));
    let text = describe(&planned, DescribeFormat::Text);
    let at = text.find("\nschemas\n").expect("the catalogue");
    assert_golden("declared.txt", text[at..].trim_start());
    let json: serde_json::Value = serde_json::from_str(&describe(&planned, DescribeFormat::Json)).expect("JSON");
    let wanted = serde_json::json!({"schemas": json["schemas"], "personal_data": json["personal_data"]});
    assert_golden("declared.json", &format!("{wanted:#}\n"));
}

#[test]
fn a_source_of_marked_records_is_one_of_personal_data_whatever_it_says() {
    let planned = plan(&topology(DECLARED)).unwrap_or_else(|found| panic!("{found}"));
    let sources: Vec<(&str, bool, bool)> = planned
        .subtopologies
        .iter()
        .flat_map(|part| &part.sources)
        .map(|source| (source.name.as_str(), source.personal_data, source.personal_keys))
        .collect();
    let expected = [
        ("people", true, false),
        ("visits", false, false),
        ("by-name-repartition", true, true),
        ("pages-repartition", false, false),
    ];
    assert_eq!(sources, expected, "dead letters hold no keys where keys are names");
}

#[test]
fn a_declared_field_that_nothing_reads_is_told_of() {
    let text = "topology: t\ndefaults: {key: string, value: json}\nsources:\n  people: {topic: people, personal_data: [email, emial, key]}\n\
                sinks: [{from: people, topic: out, map: {mail: value.email}, personal_data: true}]\n";
    let planned = plan(text).unwrap_or_else(|found| panic!("{found}"));
    let unknown: Vec<&str> = planned.personal_data.unknown.iter().map(|origin| origin.part.as_str()).collect();
    assert_eq!(unknown, ["value.emial"]);
    // What a schema describes is checked, and need not be read.
    let described = text.replace("value: json", "value: {avro: Person}").replace(", emial", "");
    let described = described.replace("topic: out", "topic: out, value: json").replace("value.email", "value.id");
    assert!(plan(&described).unwrap_or_else(|found| panic!("{found}")).personal_data.unknown.is_empty());
}

#[test]
fn an_agent_that_looks_for_what_nobody_declares_is_told_of() {
    let undeclared = |declared: &str| {
        let text = format!(
            "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  chats: {{topic: chats{declared}}}\nstreams:\n  found:\n    \
             from: chats\n    steps:\n      - call: {{name: redaction, agent: pii, input: {{text: string(value.text)}}}}\n\
             sinks: [{{from: found, topic: out, personal_data: true}}]\n"
        );
        plan(&text).unwrap_or_else(|found| panic!("{found}")).personal_data.undeclared
    };
    assert_eq!(undeclared(""), ["found/redaction"]);
    assert!(undeclared(", personal_data: [text]").is_empty());
}

#[test]
fn mistakes_in_what_is_declared_are_shown() {
    let source = |declared: &str, format: &str| {
        let text = format!(
            "topology: t\ndefaults: {{key: string, value: {format}}}\nsources:\n  people:\n    topic: people\n    personal_data: {declared}\n\
             sinks: [{{from: people, topic: out, personal_data: true}}]\n"
        );
        plan(&text).err().map(|found| found.iter().map(|mistake| mistake.message().to_owned()).collect::<Vec<_>>())
    };
    let person = "{avro: Person}";
    let said = |message: &str| Some(vec![message.to_owned()]);
    assert_eq!(source("[name, 'orders[].note', address.street, contacts.home]", person), None);
    assert_eq!(source("[nmae]", person), said("the value has no field `nmae`"));
    assert_eq!(source("[orders.note]", person), said("the value has no field `orders.note`"));
    assert_eq!(source("[value.name, key, headers, headers.user-name, 'headers.x y']", person), None);
    assert_eq!(source("[key.name]", person), said("the key has no field `key.name`"));
    assert_eq!(source("[value.nmae]", person), said("the value has no field `value.nmae`"));
    assert_eq!(source("['headers.']", "json"), said("`headers.` is not the path of a field"));
    assert_eq!(source("['headers[]']", "json"), said("`headers[]` is not the path of a field"));
    assert_eq!(source("[]", "json"), said("the list of fields is empty"));
    assert_eq!(source("['a..b']", "json"), said("`a..b` is not the path of a field"));
    assert_eq!(source("{name: true}", "json"), said("expected true, false or a list of fields, found a mapping"));
    assert_eq!(source("false", person), said("`personal_data` is false, and the schema marks fields as personal data"));
}

#[test]
fn parts_of_unions_and_of_records_within_themselves_can_be_named() {
    let mistakes = |format: &str, declared: &str| {
        let text = format!(
            "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  events: {{topic: events, value: {{avro: {format}}}, \
             personal_data: {declared}}}\nsinks: [{{from: events, topic: out, map: {{k: key}}}}]\n"
        );
        plan(&text).err().map(|found| found.iter().map(|mistake| mistake.message().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(mistakes("Event", "[payload.email, payload.reason]"), None);
    assert_eq!(mistakes("Node", "[next.next.city]"), None);
    let said = |message: &str| Some(vec![message.to_owned()]);
    assert_eq!(mistakes("Event", "[payload.emial]"), said("the value has no field `payload.emial`"));
    assert_eq!(mistakes("Node", "[next.next.town]"), said("the value has no field `next.next.town`"));
}

#[test]
fn what_would_help_is_said_of_each_part() {
    let help = |source: &str, sink: &str| {
        let text = format!(
            "topology: t\ndefaults: {{key: string, value: json}}\nsources: {{one: {source}}}\nsinks: [{sink}]\n"
        );
        plan(&text).expect_err("it is refused").render(false)
    };
    let all = help("{topic: secret, personal_data: true}", "{from: one, topic: out}");
    for said in [
        "of the key and the value, leave it out, put `redact(.., 'kind')` in its place; of the headers, name the parts of the \
         source",
        "or declare the topic with `personal_data: true` on this sink",
    ] {
        assert!(all.contains(said), "{all}");
    }
    assert!(!all.contains("set_headers"), "it cannot take away what counts as a whole: {all}");
    let time = help(
        "{topic: births, value: {avro: Person}, timestamp: value.born}",
        "{from: one, topic: out, personal_data: [name], map: {name: value.name}}",
    );
    assert!(time.contains("for other parts only") && time.contains("for all of it: `personal_data: true`"), "{time}");
}

/// The product's promise (`docs/dsl.md`, and the comments of the topology): one topic keeps what was found, and nothing else
/// holds any of it.
#[test]
fn the_support_topology_keeps_personal_data_in_one_topic() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut schemas = SchemaRegistry::new();
    schemas.load_directory(&top.join("schemas")).expect("the schemas are valid");
    let text = fs::read_to_string(top.join("topologies/support-intelligence.yaml")).expect("the topology is there");
    let plan = |text: &str| {
        let agents = Agents::local();
        load("support.yaml", text, &PlanOptions { registry: &schemas, agents: &agents, projection: true })
    };
    let planned = plan(&text).unwrap_or_else(|found| panic!("{found}"));
    let origins: Vec<(&str, &str)> =
        planned.personal_data.origins.iter().map(|origin| (origin.topic.as_str(), origin.part.as_str())).collect();
    assert_eq!(origins, [("support.messages.raw", "value.message")]);
    let places: Vec<(&str, &[String])> =
        planned.personal_data.places.iter().map(|place| (place.name.as_str(), place.parts.as_slice())).collect();
    assert_eq!(places, [("support.ai.pii", &["value.entities[].value".to_owned()][..])]);
    // The check bites: without the redaction, everything after it is refused.
    let without = text.replace("text: value.pii.redacted", "text: value.message");
    assert!(plan(&without).is_err_and(|found| found.count() >= 4));
}
