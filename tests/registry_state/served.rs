//! What a process says of itself over HTTP and in its log while records wait for the registry.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::harness::command;
use super::harness::process::Process;
use super::*;

const SHOP: &str = "
topology: shop
defaults: {key: string, dlq: failed}
sources:
  orders: {topic: orders, value: {avro: Order}}
sinks:
  - {from: orders, topic: copies, value: json}
";
const OTHER: &str = "
topology: other
defaults: {key: string, value: json}
sources:
  notes: {topic: notes}
sinks:
  - {from: notes, topic: noted}
";

/// Secrets as a file of settings, the environment and the command line may have them.
const SECRETS: [&str; 3] = ["wow77", "hunter2", "YW5uOmh1bnRlcjI"];

struct Running {
    process: Process,
    address: String,
}

impl Running {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn health(&self) -> Json {
        serde_json::from_str(&self.get("/health")).unwrap()
    }
}

/// A command in a directory, with the user of the registry in its environment.
fn signalstream(workspace: &Workspace, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
    command.current_dir(workspace.path()).args(arguments.split(' '));
    command.env("SIGNALSTREAM_SCHEMA_REGISTRY_USERNAME", "ann").env("SIGNALSTREAM_SCHEMA_REGISTRY_PASSWORD", "hunter2");
    command.env("RUST_LOG", "debug");
    command
}

#[test]
fn health_and_metrics_say_which_application_waits_and_nothing_shows_a_secret() {
    let (workspace, registry) = (Workspace::new("served"), SmallRegistry::start(1));
    let unknown = registry.register("others-value", &bare());
    registry.set_away(true);
    fs::create_dir(workspace.join("schemas")).unwrap();
    let line = r#"{"key": "k", "value_base64": "AAAAAAE="}"#;
    assert_eq!(unknown, 1, "as in the record");
    for (file, text) in [
        ("shop.yaml", SHOP),
        ("other.yaml", OTHER),
        ("schemas/Order.avsc", &order().to_string()),
        ("orders.jsonl", line),
    ] {
        fs::write(workspace.join(file), text).unwrap();
    }
    let produce = "produce orders --value-format bytes --partitions 1 --embedded data --input orders.jsonl";
    let mut producing = signalstream(&workspace, produce);
    command::run(&mut producing, None, workspace.path(), WITHIN).succeeded();

    let url = format!("{}/?key=wow77", registry.url());
    let arguments = format!("run shop.yaml other.yaml --embedded data --http 127.0.0.1:0 --registry {url}");
    let log = workspace.join("log");
    let process = Process::spawn_alone("run", &mut signalstream(&workspace, &arguments), &log);
    let address = eventually("the process says where it listens", WITHIN, || {
        let text = fs::read_to_string(&log).unwrap();
        let address = text.lines().find_map(|line| line.strip_prefix("metrics and health on http://"));
        address.map(str::to_owned)
    });
    let mut running = Running { process, address };
    let health = eventually("it waits", WITHIN, || {
        Some(running.health()).filter(|health| health["status"] == "waiting_for_schema")
    });
    let reason = health["reason"].as_str().unwrap();
    assert!(reason.starts_with("shop: records wait for the schema of id 1 since"), "{reason}");
    assert!(reason.contains("(orders-0): the schema registry does not answer: http://127.0.0.1:"), "{reason}");
    let metrics = running.get("/metrics");
    for expected in [
        "signalstream_schemas_awaited{application=\"shop\"} 1",
        "signalstream_schemas_awaited{application=\"other\"} 0",
    ] {
        assert!(metrics.contains(expected), "{expected} in\n{metrics}");
    }
    registry.set_away(false);
    eventually("it goes on", WITHIN, || (running.health()["status"] == "running").then_some(()));
    assert!(running.process.terminate(WITHIN).success());

    let said = [health.to_string(), metrics, fs::read_to_string(&log).unwrap()].concat();
    assert!(said.contains("records wait for a schema"), "{said}");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in\n{said}");
    }
}
