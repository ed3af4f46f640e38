//! Ids of schemas in headers, as newer clients of Confluent write them: globally unique ones, which the real registry of the
//! other tests does not give (Apicurio Registry 3.0.9), and so one of a few lines does.

use std::fs;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::harness::Cluster;
use super::harness::command::run;
use super::harness::workspace::Workspace;
use super::small::SmallRegistry;
use super::{WITHIN, directory, fetched};

const TOPOLOGY: &str = "
topology: headers
defaults: {key: {avro: Key}, value: {avro: Order}}
sources:
  orders: {topic: orders}
tables:
  counts: {from: orders, aggregate: {n: count()}}
sinks:
  - {from: orders, topic: copies}
  - {from: orders, topic: shown, key: json, value: json}
  - {from: counts, topic: counts, key: json, value: json}
";

/// What `schemas/` has: the amount is wider than what is written, and another field is there.
fn schemas() -> [(&'static str, Json); 2] {
    let key = json!({ "type": "record", "name": "Key", "namespace": "interop", "fields": [{ "name": "id", "type": "string" }] });
    let order = json!({ "type": "record", "name": "Order", "namespace": "interop", "fields": [
        { "name": "amount", "type": "long" }, { "name": "unit", "type": "string", "default": "EUR" }] });
    [("Key", key), ("Order", order)]
}

#[test]
fn keys_and_values_are_read_whose_schemas_confluents_client_names_in_headers() {
    let workspace = Workspace::new("headers");
    let (cluster, registry) = (Cluster::start(1), SmallRegistry::start(1));
    let (servers, url) = (cluster.bootstrap_servers(), registry.url());
    let python = fetched("fetch");
    let script = |what: &str| {
        let mut command = Command::new(&python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(directory().join("headers.py")).args([what, &servers, &url]);
        run(&mut command, None, workspace.path(), WITHIN).succeeded();
    };
    cluster.create_topic("orders", 1, &[]);
    script("write");

    fs::create_dir(workspace.join("schemas")).unwrap();
    for (name, schema) in schemas() {
        fs::write(workspace.join(&format!("schemas/{name}.avsc")), schema.to_string()).unwrap();
    }
    fs::write(workspace.join("headers.yaml"), TOPOLOGY).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
    command.current_dir(workspace.path()).env_remove("RUST_LOG");
    command.args(["run", "headers.yaml", "--until-end", "--create-topics", "--bootstrap-servers", &servers]);
    run(command.args(["--registry", &url]), None, workspace.path(), WITHIN).succeeded();

    let shown: Vec<Json> = cluster.kcat().read("shown").iter().map(|record| record.json()).collect();
    let order = |amount: i64| json!({ "amount": amount, "unit": "EUR" });
    assert_eq!(shown, [1, 1, -2, -2, 300, 300].map(order));
    // A key is the same whether its id stands in a header or in front.
    let mut counts = std::collections::BTreeMap::new();
    for record in cluster.kcat().read("counts") {
        counts.insert(record.key_text().to_owned(), record.json()["n"].clone());
    }
    let expected = [(r#"{"id":"a"}"#, json!(4)), (r#"{"id":"b"}"#, json!(2))];
    assert_eq!(counts, expected.map(|(key, count)| (key.to_owned(), count)).into());
    script("read");
}
