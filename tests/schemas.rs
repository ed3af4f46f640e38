//! The schemas of the topics: they parse, name what they should, and stay within what the engine decodes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use apache_avro::Schema;
use serde_json::Value;

const EVENTS: &str = "ai.signalstream.events";
const INTELLIGENCE: &str = "ai.signalstream.intelligence";

/// Every schema, its namespace and its fields in order: the contract with those who read the topics.
const CONTRACT: [(&str, &str, &str); 10] = [
    ("MessageCreated", EVENTS, "message_id conversation_id tenant_id sender message channel timestamp"),
    (
        "ConversationState",
        EVENTS,
        "conversation_id tenant_id customer_messages agent_messages channels first_message_at last_message_at \
         last_messages summary status",
    ),
    (
        "ErrorEvent",
        EVENTS,
        "original_topic original_partition original_offset key value headers error_class error_message node \
         retry_count first_failure last_failure",
    ),
    (
        "SentimentResult",
        INTELLIGENCE,
        "message_id conversation_id tenant_id sentiment emotion confidence reasoning timestamp",
    ),
    ("PIIDetectionResult", INTELLIGENCE, "pii_id message_id conversation_id tenant_id has_pii entities timestamp"),
    (
        "InsightsResult",
        INTELLIGENCE,
        "message_id conversation_id tenant_id intent urgency suggested_actions requires_escalation timestamp",
    ),
    (
        "SummaryResult",
        INTELLIGENCE,
        "message_id conversation_id tenant_id tldr customer_issue key_points follow_up_needed messages_covered \
         tokens_used tokens_saved timestamp",
    ),
    (
        "AggregatedIntelligence",
        INTELLIGENCE,
        "conversation_id tenant_id sentiment pii insights summary quality_score timestamp",
    ),
    (
        "TenantMood",
        INTELLIGENCE,
        "tenant_id window_start window_end messages negative share_negative confidence emotions",
    ),
    ("Escalation", INTELLIGENCE, "conversation_id tenant_id message_id urgency intent sentiment reason tldr timestamp"),
];

fn texts() -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "avsc"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Calls `visit` with every object of the document.
fn objects(document: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match document {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| objects(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| objects(value, visit)),
        _ => {}
    }
}

#[test]
fn every_schema_parses_alone_and_holds_what_the_contract_says() {
    let texts = texts();
    assert_eq!(texts.len(), CONTRACT.len(), "a schema without a line in the contract, or the other way round");
    for (name, namespace, fields) in CONTRACT {
        let schema = Schema::parse_str(&texts[name]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Schema::Record(record) = schema else { panic!("{name} is not a record") };
        assert_eq!(record.name.fullname(None), format!("{namespace}.{name}"));
        let names: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, fields.split_whitespace().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_name_means_the_same_type_in_every_schema() {
    let mut meaning: BTreeMap<String, (String, Value)> = BTreeMap::new();
    for (file, text) in texts() {
        let document: Value = serde_json::from_str(&text).unwrap();
        objects(&document, &mut |object| {
            let Some(symbols) = object.get("symbols") else { return };
            let name = object["name"].as_str().unwrap().to_owned();
            let (first, known) = meaning.entry(name.clone()).or_insert_with(|| (file.clone(), symbols.clone()));
            assert_eq!(known, symbols, "enum {name} of {file} differs from that of {first}");
        });
    }
    assert_eq!(meaning["Sentiment"].1, serde_json::json!(["positive", "neutral", "negative"]));
    assert_eq!(meaning["Urgency"].1, serde_json::json!(["low", "medium", "high", "critical"]));
    assert_eq!(meaning["Channel"].1, serde_json::json!(["chat", "email", "voice", "sms"]));
    assert_eq!(meaning["Sender"].1, serde_json::json!(["customer", "agent"]));
}

#[test]
fn every_record_field_and_enum_says_what_it_is() {
    for (file, text) in texts() {
        let document: Value = serde_json::from_str(&text).unwrap();
        objects(&document, &mut |object| {
            if let Some(name) = object.get("name") {
                let documented = object.get("doc").and_then(Value::as_str).is_some_and(|doc| !doc.is_empty());
                assert!(documented, "{file}: {name} has no `doc`");
            }
        });
    }
}

#[test]
fn only_what_the_engine_decodes_is_used() {
    for (file, text) in texts() {
        let document: Value = serde_json::from_str(&text).unwrap();
        objects(&document, &mut |object| {
            if let Some(logical) = object.get("logicalType") {
                assert_eq!(logical, "timestamp-millis", "{file}");
            }
            if let Some(Value::Array(branches)) = object.get("type") {
                assert!(branches.len() == 2 && branches[0] == "null", "{file}: {branches:?} is not [null, T]");
                assert_eq!(object.get("default"), Some(&Value::Null), "{file}: a nullable field defaults to null");
            }
        });
    }
}
