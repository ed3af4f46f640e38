//! Sources of several topics and of patterns, sinks that choose their topic, and headers, on a real Kafka.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::command::{Finished, run};
use harness::workspace::Workspace;

use harness::{Cluster, Fault, Options, Process, eventually};
use serde_json::Value as Json;

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

const SHOPS: &str = r"
topology: shops
defaults: {key: string, value: json, dlq: failed, on_error: {produce: dlq}}
sources:
  both: {topic: [orders, returns]}
  some: {topic: {pattern: 'shop\..*'}}
streams:
  marked:
    from: both
    steps:
      - set_headers: {from: topic, trace: null}
  all:
    merge: [marked, some]
tables:
  counts: {from: both, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: counts}
  - from: all
    topic: {expression: string(value.to), topics: [left, right]}
    headers: {to: string(value.to)}
";

struct Machine {
    workspace: Workspace,
    servers: String,
}

impl Machine {
    fn of(cluster: &Cluster) -> Machine {
        let machine = Machine { workspace: Workspace::new("machine"), servers: cluster.bootstrap_servers() };
        fs::write(machine.workspace.join("shops.yaml"), SHOPS).unwrap();
        machine
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.current_dir(self.workspace.path()).env_remove("RUST_LOG");
        command.args(arguments.split(' ')).args(["--bootstrap-servers", &self.servers]);
        command
    }

    fn run(&self, arguments: &str) -> Finished {
        run(&mut self.command(arguments), None, self.workspace.path(), WITHIN)
    }

    /// Writes a record for `to`, with headers, by the command.
    fn produce(&self, topic: &str, key: &str, to: &str) {
        let line = format!(
            "{{\"key\": \"{key}\", \"value\": {{\"to\": \"{to}\"}}, \"headers\": {{\"trace\": \"t\", \"kept\": \"k\"}}}}\n"
        );
        fs::write(self.workspace.join("lines.jsonl"), line).unwrap();
        let command = format!("produce {topic} --key-format string --value-format json --input lines.jsonl");
        self.run(&command).succeeded();
    }

    /// The records of a topic, as the command shows them.
    fn lines(&self, topic: &str) -> Vec<Json> {
        let shown = self.run(&format!("consume {topic} --from-beginning --topology shops.yaml")).succeeded().text();
        shown.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()).collect()
    }

    /// Keys and headers of the records of a topic.
    fn seen(&self, topic: &str) -> Vec<(String, Json)> {
        let lines = self.lines(topic).into_iter();
        let mut seen: Vec<(String, Json)> =
            lines.map(|line| (line["key"].as_str().unwrap().to_owned(), line["headers"].clone())).collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        seen
    }
}

fn lines_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn several_topics_and_patterns_are_read_headers_travel_and_sinks_choose_their_topics() {
    let cluster = Cluster::start(1);
    let machine = Machine::of(&cluster);
    for (topic, partitions) in [("orders", 2), ("returns", 2), ("shop.a", 2), ("shop.a-changelog", 5)] {
        cluster.create_topic(topic, partitions, &[]);
    }
    let plan = machine.run("topics plan shops.yaml --output json").succeeded().text();
    let plan: Json = serde_json::from_str(&plan).unwrap();
    let planned: Vec<&str> = plan.as_array().unwrap().iter().map(|step| step["topic"].as_str().unwrap()).collect();
    assert!(["left", "right", "shop.a"].iter().all(|topic| planned.contains(topic)), "{planned:?}");
    assert!(!planned.contains(&"shop.a-changelog"), "{planned:?}");
    cluster.create_topic("right", 1, &[("max.message.bytes", "20000")]);
    machine.run("topics apply shops.yaml").succeeded();
    machine.produce("orders", "1", "left");
    machine.produce("returns", "1", "right");
    machine.produce("shop.a", "3", "left");
    machine.produce("shop.a", "4", "nowhere");
    machine.produce("shop.a", "6", &format!("right\", \"much\": \"{}", "x".repeat(30_000)));

    let log = machine.workspace.join("instance.err");
    let mut command = machine.command("run shops.yaml --state-dir ./state --set topics.refresh_interval=500ms");
    let mut instance = Process::spawn("signalstream", &mut command, &log);
    eventually("what is there is processed", WITHIN, || {
        let written = cluster.kcat().read("left").len() + cluster.kcat().read("right").len();
        (written == 3 && cluster.kcat().read("failed").len() == 2).then_some(())
    });
    // A topic that comes later is taken in, without a restart.
    cluster.create_topic("shop.later", 2, &[]);
    machine.produce("shop.later", "5", "right");
    eventually("a topic that came later is read", WITHIN, || (cluster.kcat().read("right").len() == 2).then_some(()));
    instance.assert_running();
    assert!(instance.terminate(Duration::from_secs(60)).success(), "{}", lines_of(&log));

    let headers = |text: &str| serde_json::from_str::<Json>(text).unwrap();
    let left = [
        ("1".to_owned(), headers(r#"{"kept": "k", "from": "orders", "to": "left"}"#)),
        ("3".to_owned(), headers(r#"{"trace": "t", "kept": "k", "to": "left"}"#)),
    ];
    let right = [
        ("1".to_owned(), headers(r#"{"kept": "k", "from": "returns", "to": "right"}"#)),
        ("5".to_owned(), headers(r#"{"trace": "t", "kept": "k", "to": "right"}"#)),
    ];
    assert_eq!((machine.seen("left").as_slice(), machine.seen("right").as_slice()), (&left[..], &right[..]));
    let counts = cluster.kcat().last_by_key("counts");
    assert_eq!(counts.get(&b"1"[..]), Some(&Some(br#"{"n":2}"#.to_vec())), "both topics are counted together");
    let failed = machine.lines("failed");
    let said = |line: &Json| line["value"]["error_message"].as_str().unwrap().to_owned();
    for line in &failed {
        let value = &line["value"];
        assert_eq!(
            (value["original_topic"].as_str(), value["error_class"].as_str()),
            (Some("shop.a"), Some("produce"))
        );
        assert_eq!(line["headers"]["__streams.errors.exception"], "produce");
    }
    for part in ["`nowhere` is no topic that this sink may write to", "the limit is 19872"] {
        assert_eq!(failed.iter().filter(|line| said(line).contains(part)).count(), 1, "{part}: {failed:?}");
    }
}

/// Copies what comes; what a topic does not take is a dead letter.
const COPIED: &str = r"
topology: copied
defaults: {key: string, value: json, dlq: failed}
sources:
  orders: {topic: orders}
sinks:
  - {from: orders, topic: copies, on_error: {produce: dlq}}
";

/// While answers of the broker are lost, records are sent again and their transaction is done again, and none is written
/// twice. A record that no attempt would help goes where the sink says, at once.
#[test]
fn what_comes_of_the_network_is_tried_again_and_what_a_record_is_to_blame_for_is_a_dead_letter() {
    let cluster = Cluster::with(Options::brokers(1).proxied());
    let machine = Machine::of(&cluster);
    fs::write(machine.workspace.join("copied.yaml"), COPIED).unwrap();
    cluster.create_topic("orders", 1, &[]);
    cluster.create_topic("copies", 1, &[("max.message.bytes", "20000")]);
    cluster.create_topic("failed", 1, &[]);
    let record = |number: usize| match number % 5_000 {
        2_500 => (number.to_string(), format!("\"{}\"", "x".repeat(30_000))),
        _ => (number.to_string(), number.to_string()),
    };
    cluster.kcat().write("orders", (0..20_000).map(record));

    // A whole batch that is too large is nobody's fault alone: it is no use to try it again, and the setting helps.
    let refused = machine.run("run copied.yaml --state-dir ./state --until-end");
    let said = lines_of(&refused.errors);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("set `kafka.batch.size` below it"), "{said}");

    let log = machine.workspace.join("instance.err");
    let mut command = machine.command(
        "run copied.yaml --state-dir ./state --set kafka.batch.size=15000 --set fetch_records=50 \
         --set transaction_timeout=10s --set delivery_timeout=2s --set retry_backoff=50ms",
    );
    let mut instance = Process::spawn("signalstream", &mut command, &log);
    eventually("something is copied", WITHIN, || (!cluster.kcat().read("copies").is_empty()).then_some(()));
    cluster.proxy(1).set(Fault::AnswersLost);
    eventually("somebody has waited in vain", WITHIN, || (!lines_of(&log).is_empty()).then_some(()));
    cluster.proxy(1).set(Fault::None);
    cluster.proxy(1).cut();
    eventually("all is copied, or told", WITHIN, || {
        (cluster.kcat().read("copies").len() == 19_996 && cluster.kcat().read("failed").len() == 4).then_some(())
    });
    instance.assert_running();
    assert!(instance.terminate(Duration::from_secs(60)).success(), "{}", lines_of(&log));
    let copied: Vec<usize> =
        cluster.kcat().read("copies").iter().map(|seen| seen.key_text().parse().unwrap()).collect();
    let expected: Vec<usize> = (0..20_000).filter(|number| number % 5_000 != 2_500).collect();
    assert_eq!(copied, expected, "each once, in order; the instance said:\n{}", lines_of(&log));
    let failed = cluster.kcat().read("failed");
    let failed: Vec<&str> = failed.iter().map(|seen| seen.key_text()).collect();
    assert_eq!(failed, ["2500", "7500", "12500", "17500"]);
}
