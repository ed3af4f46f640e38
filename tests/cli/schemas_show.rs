//! `signalstream schemas show` of schemas that the engine does not take.

#[allow(dead_code, reason = "used in part")]
#[path = "../registry_state/small.rs"]
mod small;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use small::SmallRegistry;

#[test]
fn a_schema_that_no_record_can_be_read_with_is_shown_with_the_reason() {
    let (directory, registry) = (TempDir::new().unwrap(), SmallRegistry::start(1));
    let order = |field: &str| {
        let schema = json!({ "type": "record", "name": "Order", "fields": [{ "name": "price", "type": field }] });
        schema.to_string()
    };
    registry.keep("odd-value", &json!({ "schema": order("nothing") }));
    let references = json!([{ "name": "Money", "subject": "gone", "version": 1 }]);
    registry.keep("lost-value", &json!({ "schema": order("Money"), "references": references }));
    registry.keep("good-value", &json!({ "schema": order("long") }));
    for (subject, field, reason) in [
        ("odd-value", "nothing", Some("there is no type `nothing`")),
        ("lost-value", "Money", Some("it refers to others: the schema registry has no version 1 of subject `gone`")),
        ("good-value", "long", None),
    ] {
        let show = ["schemas", "show", subject, "--registry", &registry.url()];
        let shown = run(directory.path(), &show, "");
        assert!(shown.status.success(), "{}", stderr(&shown));
        assert!(stdout(&shown).contains(&format!("\"type\": \"{field}\"")), "{}", stdout(&shown));
        let said = stdout(&shown).lines().find_map(|line| line.strip_prefix("  cannot be used: "));
        assert_eq!(said.is_some(), reason.is_some(), "{}", stdout(&shown));
        let shown = run(directory.path(), &[&show[..], &["--output", "json"]].concat(), "");
        let shown: Json = serde_json::from_str(stdout(&shown)).unwrap();
        let unusable = shown["unusable"].as_str();
        assert!(said == unusable && unusable.zip(reason).is_none_or(|(said, reason)| said.contains(reason)), "{shown}");
    }
}
