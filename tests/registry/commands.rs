//! The commands, with a registry and with schemas as they were.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::harness::command::{Finished, run};
use super::harness::registry::copying_orders;
use super::harness::workspace::Workspace;
use super::harness::{Fault, Registry};
use super::{AMOUNTS, order};

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// A directory with a topology and schemas, and what commands make of them.
pub(super) struct Shop(Workspace);

impl Shop {
    pub(super) fn new() -> Shop {
        let shop = Shop(Workspace::new("commands"));
        fs::create_dir(shop.0.join("schemas")).unwrap();
        fs::write(shop.0.join("shop.yaml"), copying_orders("shop", AMOUNTS)).unwrap();
        shop.amount(json!([{ "name": "amount", "type": "long" }]));
        shop
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn schema(&self, file: &str, schema: &Json) {
        fs::write(self.0.join(file), format!("{schema:#}")).unwrap();
    }

    pub(super) fn amount(&self, fields: Json) {
        let schema = json!({ "type": "record", "name": "Amount", "namespace": "shop", "fields": fields });
        self.schema("schemas/Amount.avsc", &schema);
    }

    pub(super) fn command(&self, program: &str, arguments: &str) -> Finished {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).env_remove("RUST_LOG").args(arguments.split(' '));
        run(&mut command, None, self.0.path(), WITHIN)
    }

    pub(super) fn signalstream(&self, arguments: &str) -> Finished {
        self.command(env!("CARGO_BIN_EXE_signalstream"), arguments)
    }

    /// The exit status of a command and what it wrote as JSON.
    pub(super) fn json(&self, arguments: &str) -> (Option<i32>, Json) {
        let finished = self.signalstream(&format!("{arguments} --output json"));
        let text = finished.text();
        let json = serde_json::from_str(&text);
        (finished.status.code(), json.unwrap_or_else(|_| panic!("{text}{}", said(&finished))))
    }
}

pub(super) fn said(finished: &Finished) -> String {
    fs::read_to_string(&finished.errors).unwrap()
}

#[test]
fn schemas_are_compared_with_those_of_a_directory_and_of_a_revision() {
    let shop = Shop::new();
    for arguments in ["init -q", "config user.email t@t", "config user.name t", "add .", "commit -q -m first"] {
        shop.command("git", arguments).succeeded();
    }
    fs::create_dir(shop.0.join("released")).unwrap();
    fs::copy(shop.0.join("schemas/Amount.avsc"), shop.0.join("released/Amount.avsc")).unwrap();
    for against in ["--against released", "--against-revision HEAD"] {
        shop.amount(json!([{ "name": "amount", "type": "long" }]));
        let (status, same) = shop.json(&format!("schemas check {against}"));
        assert_eq!((status, &same["schemas"][0]["status"]), (Some(0), &json!("same")), "{same}");

        shop.amount(json!([{ "name": "amount", "type": "long" }, { "name": "currency", "type": "string" }]));
        let (status, broken) = shop.json(&format!("schemas check {against}"));
        assert_eq!((status, &broken["compatible"]), (Some(1), &json!(false)));
        let found = &broken["schemas"][0]["breaks"][0];
        assert_eq!((&found["field"], &found["direction"]), (&json!("currency"), &json!("backward")), "{broken}");
        let (status, forward) = shop.json(&format!("schemas check {against} --level forward"));
        assert_eq!((status, &forward["schemas"][0]["status"]), (Some(0), &json!("fits")), "{forward}");
    }
    let finished = shop.signalstream("schemas check --against released");
    let expected = "Amount: does not fit released (backward)\n  released: the new schema cannot read what the old one wrote: \
                    currency: ";
    assert!(finished.text().starts_with(expected), "{}", finished.text());
    assert_eq!(shop.signalstream("schemas check").status.code(), Some(2));
    assert_eq!(shop.signalstream("schemas check --against-revision nothing").status.code(), Some(1));
}

#[test]
fn schemas_are_registered_when_they_fit_and_only_when_asked_to() {
    let shop = Shop::new();
    let registry = Registry::start();
    let old = json!([{ "name": "id", "type": "string" }, { "name": "amount", "type": "long" }]);
    registry.register("orders-value", &order(old));
    let place = format!("--registry {} --topology shop.yaml", registry.url());

    let (status, dry) = shop.json(&format!("schemas register {place}"));
    assert_eq!((status, &dry["schemas"][0]["action"]), (Some(0), &json!("create")), "{dry}");
    assert_eq!(registry.ask("GET", "/subjects", None), json!(["orders-value"]), "nothing was done");
    let (status, done) = shop.json(&format!("schemas register {place} --apply"));
    assert_eq!((status, &done["schemas"][0]["action"]), (Some(0), &json!("registered")), "{done}");
    assert_eq!(registry.ask("GET", "/subjects/amounts-value/versions", None), json!([1]));
    let (_, again) = shop.json(&format!("schemas register {place} --apply"));
    assert_eq!(again["schemas"][0]["action"], "keep", "{again}");

    registry.ask("PUT", "/config/amounts-value", Some(&json!({ "compatibility": "FULL" })));
    shop.amount(json!([{ "name": "amount", "type": "double" }]));
    let (status, refused) = shop.json(&format!("schemas register {place} --apply"));
    assert_eq!((status, &refused["schemas"][0]["action"]), (Some(1), &json!("refuse")), "{refused}");
    assert_eq!(registry.ask("GET", "/subjects/amounts-value/versions", None), json!([1]));

    // The same is found before deployment, by the topology; and what a source reads with must read every version.
    let validate = format!("validate shop.yaml --registry {}", registry.url());
    let (status, report) = shop.json(&validate);
    assert_eq!(status, Some(1), "{report}");
    let schemas = report["files"][0]["schemas"].as_array().unwrap();
    let amount = schemas.iter().find(|schema| schema["schema"] == "Amount").unwrap();
    assert_eq!((&amount["level"], &amount["breaks"][0]["field"]), (&json!("full"), &json!("amount")), "{amount}");
    shop.amount(json!([{ "name": "amount", "type": "long" }]));
    assert_eq!(shop.json(&validate).0, Some(0));
    shop.schema("schemas/Order.avsc", &order(json!([{ "name": "amount", "type": "int" }])));
    let (status, report) = shop.json(&validate);
    let order = report["files"][0]["schemas"].as_array().unwrap().iter().find(|schema| schema["schema"] == "Order");
    assert_eq!((status, &order.unwrap()["breaks"][0]["version"]), (Some(1), &json!("version 1")), "{report}");
}

#[test]
fn a_schema_without_a_file_is_the_latest_of_the_registry_and_ids_are_its_own() {
    let shop = Shop::new();
    let registry = Registry::start();
    let fields = json!([{ "name": "id", "type": "string" }, { "name": "amount", "type": "long", "default": 0 }]);
    registry.register("orders-value", &order(fields));
    let url = registry.url();
    fs::write(shop.0.join("orders.jsonl"), "{\"key\": \"k\", \"value\": {\"id\": \"o1\", \"amount\": 5}}\n").unwrap();
    let finished = shop.signalstream("validate shop.yaml");
    assert!(
        finished.status.code() == Some(1) && finished.text().contains("there is no schema `Order`"),
        "{}",
        finished.text()
    );

    let place = format!("--embedded data --topology shop.yaml --registry {url}");
    shop.signalstream(&format!("produce orders --input orders.jsonl {place}")).succeeded();
    shop.signalstream(&format!("run shop.yaml --embedded data --until-end --registry {url}")).succeeded();
    for topic in ["orders", "amounts"] {
        let line = shop.signalstream(&format!("consume {topic} --from-beginning {place}")).succeeded().text();
        let line: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(line["value"]["amount"], 5, "{line}");
    }
    let latest = registry.ask("GET", "/subjects/amounts-value/versions/latest", None);
    assert_eq!(latest["version"], 1);

    // Without leave to register, a new schema is no surprise in production.
    shop.amount(json!([{ "name": "amount", "type": "long" }, { "name": "unit", "type": "string", "default": "EUR" }]));
    let strict =
        format!("run shop.yaml --embedded data --until-end --registry {url} --set schema_registry.auto_register=off");
    let finished = shop.signalstream(&strict);
    let said = said(&finished);
    assert!(
        finished.status.code() == Some(1) && said.contains("`Amount` is not registered under `amounts-value`"),
        "{said}"
    );
}

#[test]
fn a_run_whose_registry_is_away_ends_and_says_so() {
    let shop = Shop::new();
    let registry = Registry::start();
    shop.schema("schemas/Order.avsc", &order(json!([{ "name": "amount", "type": "long" }])));
    registry.proxy().set(Fault::Refuse);
    let arguments = format!("run shop.yaml --embedded data --registry {} --startup-timeout 1s", registry.url());
    for _ in ["the start registers the schemas", "the schema is to be fetched"] {
        let finished = shop.signalstream(&arguments);
        let said = said(&finished);
        assert_eq!(finished.status.code(), Some(1), "{said}");
        assert!(said.contains("the schema registry does not answer") && said.contains("`startup_timeout`"), "{said}");
        fs::remove_file(shop.0.join("schemas/Order.avsc")).unwrap_or_default();
    }
}

#[test]
fn who_writes_records_registers_their_schemas_only_if_he_is_asked_to() {
    let shop = Shop::new();
    let registry = Registry::start();
    shop.schema("schemas/Order.avsc", &order(json!([{ "name": "amount", "type": "long" }])));
    fs::write(shop.0.join("orders.jsonl"), "{\"key\": \"k\", \"value\": {\"amount\": 5}}\n").unwrap();
    let url = registry.url();
    let produce = format!(
        "produce orders --input orders.jsonl --partitions 1 --embedded data --topology shop.yaml --registry {url}"
    );
    let refused = shop.signalstream(&produce);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("`Order` is not registered under `orders-value`; `--register-schemas`"), "{text}");
    assert_eq!(registry.ask("GET", "/subjects", None), json!([]));
    shop.signalstream(&format!("{produce} --register-schemas")).succeeded();
    assert_eq!(registry.ask("GET", "/subjects", None), json!(["orders-value"]));
    shop.signalstream(&produce).succeeded();
    registry.ask("DELETE", "/subjects/orders-value", None);
    shop.signalstream(&format!("{produce} --set schema_registry.auto_register=on")).succeeded();
    assert_eq!(registry.ask("GET", "/subjects", None), json!(["orders-value"]), "a setting asks for it, too");
}

#[test]
fn the_schemas_of_files_and_of_the_registry_are_listed_and_shown() {
    let shop = Shop::new();
    let registry = Registry::start();
    let fields = json!([{ "name": "id", "type": "string", "doc": "who buys", "pii": true }]);
    registry.register("orders-value", &order(fields.clone()));
    let fields = json!([fields[0], { "name": "amount", "type": "long", "default": 0 }]);
    let id = registry.register("orders-value", &order(fields));
    let url = registry.url();

    let (status, listed) = shop.json("schemas list --schemas schemas");
    let amount = listed["schemas"].as_array().unwrap().iter().find(|schema| schema["name"] == "Amount").unwrap();
    assert_eq!((status, &amount["full_name"], &listed["subjects"]), (Some(0), &json!("shop.Amount"), &Json::Null));
    let (_, listed) = shop.json(&format!("schemas list --registry {url}"));
    let expected = json!([{ "subject": "orders-value", "versions": [1, 2], "id": id, "language": "AVRO", "schema": "shop.Order" }]);
    assert_eq!(listed["subjects"], expected);
    let text = shop.signalstream(&format!("schemas list --registry {url}")).succeeded().text();
    assert!(text.contains("schemas/Amount.avsc") && text.contains("shop.Order"), "{text}");

    let (_, shown) = shop.json("schemas show Amount");
    assert_eq!((&shown["id"], &shown["schema"]["name"]), (&amount["id"], &json!("Amount")), "{shown}");
    let (_, shown) = shop.json(&format!("schemas show orders-value --version 1 --registry {url}"));
    assert_eq!((&shown["version"], &shown["schema"]["fields"].as_array().unwrap().len()), (&json!(1), &1), "{shown}");
    let text = shop.signalstream(&format!("schemas show orders-value --registry {url}")).succeeded().text();
    let expected = format!("version 2 of subject `orders-value`, id {id}\n  id      string, personal data: who buys\n");
    assert!(text.starts_with(&expected), "{text}");
    for (arguments, status) in [
        (format!("schemas show nothing --registry {url}"), 1),
        ("schemas show Amuont".to_owned(), 2),
        ("schemas show Amount --version 1".to_owned(), 2),
        (format!("schemas show :.old:orders-value --registry {url}"), 2),
        (format!("schemas check --subject Amount=:.old:amounts --registry {url}"), 2),
    ] {
        let finished = shop.signalstream(&arguments);
        assert_eq!(finished.status.code(), Some(status), "{arguments}: {}", said(&finished));
    }
}
