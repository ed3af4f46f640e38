//! What a process says of itself over HTTP and in its log while records wait for the registry.

use std::fs;
use std::process::Command;

use super::harness::process::Process;
use super::harness::{command, http};
use super::*;

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
        http::get(&self.address, path).1
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
        ("shop.yaml", &*copying_orders("shop", "")),
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
    let address =
        eventually("the process says where it listens", WITHIN, || http::address(&fs::read_to_string(&log).unwrap()));
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

    // All of them were sent, and what is said of that was logged as far as it goes.
    let asked = registry.asked();
    let authorization = Some(format!("Basic {}=", SECRETS[2]));
    assert!(!asked.is_empty() && asked.iter().all(|(_, sent)| *sent == authorization), "{asked:?}");
    assert!(asked.iter().all(|(question, _)| question.contains("key=wow77")), "{asked:?}");
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains(" DEBUG ") && logged.contains("records wait for a schema"), "{logged}");
    let said = [health.to_string(), metrics, logged].concat();
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in\n{said}");
    }
}
