//! What an application and a check need of the registry before anything runs, and what a registry does not have any more.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use signalstream::agents::Agents;
use signalstream::config::SubjectStrategy;
use signalstream::log::ProducerRecord;
use signalstream::record::{Header, Headers};
use signalstream::runtime::{Application, ApplicationOptions, RuntimeError};
use signalstream::serdes::SchemaRegistry;
use signalstream::serdes::remote::{
    Reference, RegistryClient, RegistryError, RegistrySettings, RemoteRegistry, SchemaText, Subject,
};
use signalstream::time::SystemClock;
use signalstream::topology::{PlanOptions, load};

use super::harness::Registry;
use super::{KEYED, Shop, amount, key, log, order, reader};

fn settings(registry: &Registry) -> RegistrySettings {
    RegistrySettings::new(&registry.direct_url())
}

/// Starts an application on a registry with these settings.
fn start(shop: &Shop, text: &str, settings: RegistrySettings, state: &str) -> Result<Application, RuntimeError> {
    let remote = RemoteRegistry::open(settings, Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    for (name, schema) in [("Order", reader()), ("Amount", amount()), ("Key", key("id"))] {
        schemas.add(&format!("{name}.avsc"), &schema.to_string()).unwrap();
    }
    let options = PlanOptions { registry: &schemas, agents: &Agents::local(), projection: true };
    let topology = load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    Application::embedded(&topology, shop.log.clone(), &shop.workspace.join(state), &ApplicationOptions::default())
}

fn subjects(registry: &Registry) -> Vec<String> {
    let subjects = registry.ask("GET", "/subjects", None);
    let mut subjects: Vec<String> =
        subjects.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

#[test]
fn schemas_stand_under_the_subjects_of_the_strategy_and_only_if_they_may() {
    let shop = Shop::new();
    let registry = &shop.registry;
    let writes = format!("{KEYED}  - {{from: priced, topic: amounts, value: {{avro: Amount}}}}\n");
    let mut before: Vec<String> = Vec::new();
    for (strategy, expected) in [
        (SubjectStrategy::Topic, &["amounts-key", "amounts-value", "counts-key", "priced-key"][..]),
        (SubjectStrategy::Record, &["Key", "shop.Amount"]),
        (SubjectStrategy::TopicRecord, &["amounts-Key", "amounts-shop.Amount", "counts-Key", "priced-Key"]),
    ] {
        let strict = || RegistrySettings { auto_register: false, strategy, ..settings(registry) };
        let error = start(&shop, &writes, strict(), "one").err().unwrap();
        assert!(matches!(error, RuntimeError::Registry(RegistryError::Unregistered { .. })), "{error}");
        assert_eq!(subjects(registry), before, "nothing was registered");
        start(&shop, &writes, RegistrySettings { strategy, ..settings(registry) }, "one").unwrap().stop().unwrap();
        let now = subjects(registry);
        let added: Vec<&String> = now.iter().filter(|name| !before.contains(name)).collect();
        assert_eq!(added, expected);
        start(&shop, &writes, strict(), "one").unwrap().stop().unwrap();
        before = now;
    }
}

#[test]
fn a_globally_unique_id_of_a_registry_that_has_none_is_the_records_fault() {
    let shop = Shop::new();
    let known = shop.registry.register("orders-value", &order(json!([{ "name": "id", "type": "string" }])));
    let application = shop.start().unwrap();
    let guid = [&[1][..], &[7; 16]].concat();
    let number = [&[0][..], &known.to_be_bytes()].concat();
    for header in [guid, number] {
        let header = Header { name: "__value_schema_id".into(), value: Some(header.into()) };
        let record = log::record("orders", 0, b"k", &[4, b'o', b'1'], 1_700_000_000_000);
        log::send(&shop.log, ProducerRecord { headers: Headers::new(vec![header]), ..record });
    }
    let failures = shop.failures(1);
    assert!(failures[0].contains("07070707-0707-0707-0707-070707070707, which no known schema has"), "{failures:?}");
    assert_eq!(shop.copies(1), [json!({ "id": "o1", "amount": 7, "state": "NEW" })]);
    application.stop().unwrap();
}

#[test]
fn what_was_deleted_is_still_read_and_refers_to_what_was_deleted_with_it() {
    let shop = Shop::new();
    let registry = &shop.registry;
    let client = RegistryClient::new(&settings(registry)).unwrap();
    let money = json!({ "type": "record", "name": "Money", "namespace": "shop", "fields": [{ "name": "cents", "type": "long" }] });
    registry.register("money", &money);
    let fields = json!([{ "name": "id", "type": "string" }, { "name": "price", "type": "shop.Money" }]);
    let reference = Reference { name: "shop.Money".to_owned(), subject: "money".to_owned(), version: 1 };
    let text = SchemaText { references: vec![reference], ..SchemaText::avro(order(fields).to_string()) };
    let subject = Subject::named("others-value");
    let id = client.register(&subject, &text).unwrap();
    assert_eq!(client.lookup(&subject, &text).unwrap(), Some(id));

    let application = shop.start().unwrap();
    registry.ask("DELETE", "/subjects/others-value", None);
    assert_eq!((client.latest(&subject).unwrap(), client.versions(&subject).unwrap()), (None, Vec::new()));
    assert_eq!(client.lookup(&subject, &text).unwrap(), None);
    shop.write(0, id, &[4, b'o', b'1', 2]);
    assert_eq!(shop.copies(1), [json!({ "id": "o1", "amount": 7, "state": "NEW" })]);
    application.stop().unwrap();
}

#[test]
fn a_level_that_asks_for_all_versions_is_that_of_the_registry_too() {
    let registry = Registry::start();
    let client = RegistryClient::new(&settings(&registry)).unwrap();
    let subject = Subject::named("orders-value");
    let field = |name: &str, default: Option<&str>| {
        let mut field = json!({ "name": name, "type": "string" });
        if let Some(default) = default {
            field["default"] = default.into();
        }
        field
    };
    let of = |fields: Vec<Json>| order(fields.into());
    registry.register("orders-value", &of(vec![field("id", None)]));
    registry.register("orders-value", &of(vec![field("id", None), field("note", Some(""))]));
    // What the last version wrote can be read with it, what the first one wrote cannot.
    let next = SchemaText::avro(of(vec![field("id", None), field("note", None)]).to_string());
    for (level, fits) in [("BACKWARD", true), ("BACKWARD_TRANSITIVE", false)] {
        registry.ask("PUT", "/config/orders-value", Some(&json!({ "compatibility": level })));
        assert_eq!(client.compatibility(&subject).unwrap(), level);
        assert_eq!(client.is_compatible(&subject, &next).unwrap().is_ok(), fits, "{level}");
    }
    let error = client.register(&subject, &next).unwrap_err();
    assert!(matches!(error, RegistryError::Incompatible { .. }), "{error}");

    registry.ask("PUT", "/config/orders-value", Some(&json!({ "compatibility": "BACKWARD" })));
    client.register(&subject, &next).unwrap();

    let broken =
        SchemaText::avro(r#"{"type": "record", "name": "Broken", "fields": [{"name": "a", "type": "nothing"}]}"#);
    let error = client.register(&Subject::named("broken"), &broken).unwrap_err();
    assert!(matches!(&error, RegistryError::Invalid { schema, .. } if schema == "Broken"), "{error}");
}
