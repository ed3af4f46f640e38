//! The commands on a real Kafka: topics planned and applied, health and metrics, a reset, users and what they may do.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::command::{Finished, run};
use harness::http::{self, get};
use harness::ports::free_port;
use harness::security::{PASSWORD, USER};
use harness::workspace::Workspace;
use harness::{Cluster, Fault, Options, Process, Security, eventually};
use serde_json::Value as Json;

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// Orders are counted by customer: by a new key, so that there is a repartition topic, and in a store.
const SHOP: &str = "\
topology: shop
topics:
  orders: {partitions: 2, retention: 30d}
sources:
  orders: {topic: orders, key: string, value: json}
streams:
  by_customer:
    from: orders
    steps:
      - select_key: string(value.customer)
tables:
  totals:
    from: by_customer
    aggregate: {n: count()}
sinks:
  - {from: totals, topic: totals, key: string, value: json}
";

/// A machine: a directory with the topology and the settings, in which commands run.
struct Machine {
    workspace: Workspace,
    servers: String,
}

impl Machine {
    /// A machine that reaches the cluster as its client, with its secrets in files.
    fn of(cluster: &Cluster) -> Machine {
        let machine = Machine { workspace: Workspace::new("machine"), servers: cluster.bootstrap_servers() };
        let mut settings = format!("kafka:\n  bootstrap.servers: {}\n", machine.servers);
        for (property, value) in cluster.client_settings() {
            let value = match property.as_str() {
                "sasl.password" => {
                    fs::write(machine.path("password"), format!("{value}\n")).unwrap();
                    format!("${{file:{}}}", machine.path("password").display())
                }
                _ => value,
            };
            settings.push_str(&format!("  {property}: {value}\n"));
        }
        fs::write(machine.path("settings.yaml"), settings).unwrap();
        fs::write(machine.path("shop.yaml"), SHOP).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workspace.join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.current_dir(self.workspace.path()).env_remove("RUST_LOG");
        command.args(arguments.split(' ')).args(["--config", "settings.yaml"]);
        command
    }

    fn run(&self, arguments: &str) -> Finished {
        run(&mut self.command(arguments), None, self.workspace.path(), WITHIN)
    }

    /// Runs a command that fails, and returns what it said.
    #[track_caller]
    fn fails(&self, arguments: &str, said: &[&str]) {
        let finished = self.run(arguments);
        let text = format!("{}{}", finished.text(), fs::read_to_string(&finished.errors).unwrap());
        assert_eq!(finished.status.code(), Some(1), "{arguments}: {text}");
        for part in said {
            assert!(text.contains(part), "`{part}` is missing in what `{arguments}` said:\n{text}");
        }
    }

    fn produce(&self, customers: &[&str]) {
        let lines: String = customers
            .iter()
            .enumerate()
            .map(|(number, name)| format!("{{\"key\": \"{number}\", \"value\": {{\"customer\": \"{name}\"}}}}\n"))
            .collect();
        fs::write(self.path("orders.jsonl"), lines).unwrap();
        self.run("produce orders --topology shop.yaml --input orders.jsonl").succeeded();
    }

    /// What every command said, to be searched for what it must not say.
    fn said(&self) -> String {
        let said = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let files = fs::read_dir(self.workspace.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "out" || extension == "err"));
        logs.map(|path| said(&path).unwrap()).collect()
    }

    /// Starts an instance that serves health and metrics; returns it and its address.
    fn start(&self, arguments: &str) -> (Process, String) {
        let log = self.path("instance.err");
        let process =
            Process::spawn("signalstream", &mut self.command(&format!("{arguments} --http 127.0.0.1:0")), &log);
        let address = eventually("an address of metrics and health", WITHIN, || {
            http::address(&fs::read_to_string(&log).unwrap_or_default())
        });
        (process, address)
    }
}

/// The last value of each key, by kcat.
fn totals(cluster: &Cluster) -> BTreeMap<String, i64> {
    let last = cluster.kcat().last_by_key("totals");
    let number =
        |value: Option<Vec<u8>>| serde_json::from_slice::<Json>(&value.unwrap()).unwrap()["n"].as_i64().unwrap();
    last.into_iter().map(|(key, value)| (String::from_utf8(key).unwrap(), number(value))).collect()
}

fn counts(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn topics_are_planned_and_applied_and_an_application_runs_reports_and_starts_over() {
    let cluster = Cluster::start(1);
    let machine = Machine::of(&cluster);
    machine.fails("run shop.yaml --until-end", &["these topics do not exist: orders, totals", "--create-topics"]);
    let plan = machine.run("topics plan shop.yaml --output json").succeeded().text();
    let plan: Json = serde_json::from_str(&plan).unwrap();
    assert!(plan.as_array().unwrap().iter().all(|step| step["change"] == "create"), "{plan}");
    // A changelog that somebody made by hand, with Kafka's defaults.
    cluster.create_topic("shop-totals-changelog", 2, &[("cleanup.policy", "delete")]);
    machine.fails("topics plan shop.yaml", &["BREAKS: cleanup.policy is delete, wanted is compact"]);
    machine.fails("run shop.yaml --create-topics --until-end", &["is a changelog but is not compacted"]);
    machine.run("topics apply shop.yaml").succeeded();
    let plan = machine.run("topics plan shop.yaml --output json").succeeded().text();
    let plan: Json = serde_json::from_str(&plan).unwrap();
    assert!(plan.as_array().unwrap().iter().all(|step| step["change"] == "none"), "{plan}");
    let described =
        cluster.tool("org.apache.kafka.tools.TopicCommand", &["--describe", "--topic", "shop-totals-changelog"]);
    for setting in ["cleanup.policy=compact", "max.compaction.lag.ms=86400000", "segment.ms=86400000"] {
        assert!(described.contains(setting), "{setting} in {described}");
    }

    machine.produce(&["ann", "bob", "ann", "ann"]);
    let (mut instance, address) = machine.start("run shop.yaml");
    let lag = "signalstream_lag_records{application=\"shop\",task=\"0_0\",topic=\"orders\",partition=\"0\"} 0";
    // What is shown may be a second old.
    eventually("a ready instance without lag", WITHIN, || {
        let health: Json = serde_json::from_str(&get(&address, "/health").1).unwrap();
        let done = health["lag"] == 0 && totals(&cluster) == counts(&[("ann", 3), ("bob", 1)]);
        let metrics = get(&address, "/metrics").1;
        let shown = metrics.contains(lag) && metrics.contains("signalstream_rebalances_total{application=\"shop\"");
        (get(&address, "/health/ready").0 == 200 && done && shown).then_some(())
    });
    machine.fails("reset shop.yaml --execute", &["`shop` is running (1 members in its group)"]);
    assert!(instance.terminate(Duration::from_secs(30)).success());
    machine.run("stores verify").succeeded();

    machine.run("reset shop.yaml --execute").succeeded();
    assert!(cluster.committed("shop").is_empty());
    machine.run("run shop.yaml --until-end").succeeded();
    assert_eq!(totals(&cluster), counts(&[("ann", 3), ("bob", 1)]), "counted anew, once");
    machine.run("stores verify").succeeded();
}

#[test]
fn an_input_that_is_repartitioned_before_any_state_grows_in_place() {
    let cluster = Cluster::start(1);
    let machine = Machine::of(&cluster);
    machine.run("topics apply shop.yaml").succeeded();
    machine.produce(&["ann", "bob", "ann"]);
    machine.run("run shop.yaml --until-end").succeeded();
    fs::write(machine.path("shop.yaml"), SHOP.replace("partitions: 2", "partitions: 5")).unwrap();
    machine.fails("topics apply shop.yaml", &["kept as it is: partitions is 2, wanted is 5"]);
    machine.run("topics apply shop.yaml --grow").succeeded();
    machine.produce(&["ann", "bob", "cid", "cid", "cid", "cid", "cid", "cid"]);
    machine.run("run shop.yaml --until-end").succeeded();
    assert_eq!(totals(&cluster), counts(&[("ann", 3), ("bob", 2), ("cid", 6)]));
    machine.run("stores verify").succeeded();
}

/// A machine that has never run the application finds out from the log.
#[test]
fn a_changed_topology_is_refused_or_goes_on_on_a_machine_with_an_empty_disk() {
    let cluster = Cluster::start(1);
    let first = Machine::of(&cluster);
    first.run("topics apply shop.yaml").succeeded();
    first.produce(&["ann", "bob", "ann"]);
    first.run("run shop.yaml --until-end").succeeded();
    let second = Machine::of(&cluster);
    let write = |text: String| fs::write(second.path("shop.yaml"), text).unwrap();
    for (changed, said) in [
        (SHOP.replace("{n: count()}", "{n: max(timestamp)}"), "values: `n` was int, is timestamp or null"),
        (SHOP.replace("string(value.customer)", "value.customer"), "keys: was string, is json"),
        (
            SHOP.replace("    from: by_customer\n", "    from: by_customer\n    window: {tumbling: 1h}\n"),
            "kind: was key-value",
        ),
    ] {
        write(changed);
        let told =
            ["`shop` cannot go on with the state that it has", "store `totals` (shop.yaml:", said, "another name"];
        second.fails("run shop.yaml --until-end", &told);
        second.fails("topics plan shop.yaml", &["REFUSED: store `totals`", said]);
    }
    // A new sub-topology with a store, before the one that is there; an old one that reads differently.
    let more = "\
sources:
  visits: {topic: visits, key: string, value: json}
";
    let tables = "\
tables:
  seen:
    from: visits
    aggregate: {n: count()}
";
    let changed = SHOP
        .replace("sources:\n", more)
        .replace("tables:\n", tables)
        .replace("      - select_key", "      - filter: value.customer != 'bob'\n      - select_key")
        .replace("sinks:\n", "sinks:\n  - {from: seen, topic: seen, key: string, value: json}\n");
    write(changed);
    cluster.create_topic("visits", 3, &[]);
    cluster.create_topic("seen", 1, &[]);
    cluster.kcat().write("visits", [("x", "1"), ("x", "2")]);
    let plan = second.run("topics plan shop.yaml").succeeded().text();
    assert!(plan.contains("partitions is 4, wanted is 7"), "{plan}");
    // The tasks have other numbers: not beside somebody who works on the old ones.
    let (mut old, address) = first.start("run shop.yaml");
    eventually("a member of the group", WITHIN, || (get(&address, "/health/ready").0 == 200).then_some(()));
    let told = ["the tasks of `shop` are not those that its 1 running members work on", "gave up after"];
    second.fails("run shop.yaml --until-end --set startup_timeout=3s", &told);
    assert!(old.terminate(Duration::from_secs(30)).success());
    second.produce(&["ann", "bob", "cid"]);
    second.run("run shop.yaml --until-end").succeeded();
    assert_eq!(totals(&cluster), counts(&[("ann", 3), ("bob", 1), ("cid", 1)]));
    second.run("stores verify").succeeded();
    // Back again: the new store is left over.
    write(SHOP.to_owned());
    second.produce(&["bob"]);
    let noted = second.run("run shop.yaml --until-end").succeeded();
    let noted = fs::read_to_string(&noted.errors).unwrap();
    assert!(noted.contains("store `seen`: is gone. Its rows stay in the topic `shop-seen-changelog`"), "{noted}");
    assert_eq!(totals(&cluster), counts(&[("ann", 3), ("bob", 2), ("cid", 1)]));
    assert!(second.run("topics prune shop.yaml").succeeded().text().contains("shop-seen-changelog"));
    second.run("topics prune shop.yaml --execute").succeeded();
    assert!(second.run("topics prune shop.yaml").succeeded().text().contains("Nothing is left over"));
    second.run("reset shop.yaml --execute").succeeded();
}

/// The permissions are those of docs/operations.md.
#[test]
fn a_user_with_the_documented_permissions_runs_an_application_and_a_missing_one_is_named() {
    let cluster = Cluster::with(Options::brokers(1).security(Security::SaslSsl).access_control());
    let machine = Machine::of(&cluster);
    cluster.create_topic("orders", 2, &[("retention.ms", "2592000000")]);
    cluster.create_topic("totals", 1, &[]);
    let orders: Vec<(String, &str)> = (0..3).map(|number| (number.to_string(), "{\"customer\": \"ann\"}")).collect();
    cluster.kcat().write("orders", orders);
    let principal = format!("User:{USER}");
    let grant = |operations: &[&str], resource: &[&str]| cluster.grant(&principal, operations, resource);
    machine.fails("run shop.yaml --until-end", &["do not exist: orders, totals", "may not Describe"]);
    grant(&["Describe", "DescribeConfigs"], &["--topic", "orders"]);
    grant(&["Describe", "DescribeConfigs"], &["--topic", "totals"]);
    machine.fails("run shop.yaml --until-end", &["`shop-", "add an ACL: allow Create"]);
    let internal = ["Read", "Write", "Describe", "DescribeConfigs", "Create", "Delete"];
    grant(&internal, &["--topic", "shop-", "--resource-pattern-type", "prefixed"]);
    machine.fails("run shop.yaml --until-end", &["transactional id `shop-", "add an ACL"]);
    grant(&["Write", "Describe"], &["--transactional-id", "shop-", "--resource-pattern-type", "prefixed"]);
    machine.fails("run shop.yaml --until-end", &["group `shop`", "add an ACL"]);
    grant(&["Read", "Describe", "Delete"], &["--group", "shop"]);
    machine.fails("run shop.yaml --until-end", &["add an ACL: allow Read on topic `orders`"]);
    grant(&["Read"], &["--topic", "orders"]);
    machine.fails("run shop.yaml --until-end", &["totals", "add an ACL", "Write"]);
    grant(&["Write"], &["--topic", "totals"]);
    machine.run("run shop.yaml --until-end").succeeded();
    assert_eq!(totals(&cluster), counts(&[("ann", 3)]));
    machine.run("reset shop.yaml --execute").succeeded();
    let shown = machine.run("run shop.yaml --print-config").succeeded().text();
    assert!(shown.contains("****** from ${file:"), "{shown}");

    fs::write(machine.path("password"), "wrong-one").unwrap();
    machine.fails("run shop.yaml --until-end", &["user and password"]);
    let said = machine.said();
    assert!(!said.contains(PASSWORD) && !said.contains("wrong-one"), "a password is shown");
}

/// Orders joined with the customers that placed them.
const JOINED: &str = "\
topology: joined
sources:
  orders: {topic: orders, key: string, value: json}
  customers: {topic: customers, kind: table, key: string, value: json}
streams:
  named:
    join: {inputs: {order: orders, customer: customers}}
    map_values: {order: order.id, name: customer.name}
sinks:
  - {from: named, topic: totals, key: string, value: json}
";

/// Texts are written twice as long as they came.
const TWICE: &str = "\
topology: twice
sources:
  texts: {topic: texts, key: string, value: json}
streams:
  twice:
    from: texts
    steps:
      - map_values: {text: string(value.text) + string(value.text)}
sinks:
  - {from: twice, topic: copies, key: string, value: json}
";

#[test]
fn wrong_addresses_and_topics_that_are_missing_or_too_small_are_told_with_the_remedy() {
    let cluster = Cluster::start(1);
    let machine = Machine::of(&cluster);
    let nobody = format!("127.0.0.1:{}", free_port());
    for command in ["run shop.yaml --until-end", "topics plan shop.yaml", "consume orders"] {
        let there = |servers: &str| format!("{command} --bootstrap-servers {servers} --set startup_timeout=2s");
        let told = [nobody.as_str(), "check the address in `--bootstrap-servers`", "gave up after"];
        machine.fails(&there(&nobody), &told);
        machine.fails(&there("no-such-host.invalid:9092"), &["no-such-host.invalid", "check the host's name"]);
    }

    machine.fails("consume orders", &["`orders`", "does not exist"]);
    cluster.create_topic("orders", 2, &[]);
    cluster.create_topic("customers", 3, &[]);
    cluster.create_topic("totals", 1, &[]);
    fs::write(machine.path("joined.yaml"), JOINED).unwrap();
    for command in ["run joined.yaml --until-end", "topics plan joined.yaml"] {
        let told = ["`orders` has 2 partitions and `customers` has 3", "give both the same number", "`repartition`"];
        machine.fails(command, &told);
    }
    cluster.create_topic("shop-totals-changelog", 1, &[("cleanup.policy", "compact")]);
    machine.fails("run shop.yaml --until-end", &["is a changelog with 1 partitions", "are now 2"]);
    fs::write(machine.path("other.yaml"), SHOP.replace("topology: shop", "topology: other")).unwrap();
    cluster.create_topic("other-tasks", 1, &[]);
    let told = ["`other-tasks` has a partition for each task", "now has more tasks", "topics apply"];
    machine.fails("run other.yaml --until-end --set topics.create=none", &told);
}

#[test]
fn records_too_large_for_the_producer_or_their_topic_are_told_with_the_remedy() {
    let cluster = Cluster::start(1);
    let machine = Machine::of(&cluster);
    cluster.create_topic("texts", 1, &[]);
    cluster.create_topic("copies", 1, &[("max.message.bytes", "20000")]);
    fs::write(machine.path("twice.yaml"), TWICE).unwrap();
    let write = |size: usize| cluster.kcat().write("texts", [("k", format!(r#"{{"text":"{}"}}"#, "x".repeat(size)))]);
    write(5_000);
    machine.run("run twice.yaml --until-end").succeeded();
    write(15_000);
    machine.fails(
        "run twice.yaml --until-end",
        &["the record for `copies` has 300", "the limit is 19872", "`max.message.bytes`"],
    );
    let larger = ["--alter", "--entity-type", "topics", "--entity-name", "copies"];
    cluster.tool("kafka.admin.ConfigCommand", &[&larger[..], &["--add-config", "max.message.bytes=2000000"]].concat());
    machine.run("run twice.yaml --until-end").succeeded();
    write(600_000);
    machine.fails("run twice.yaml --until-end", &["the record for `copies`", "the limit is 1000000", "`map_values`"]);
    let lengths: Vec<usize> =
        cluster.kcat().read("copies").iter().map(|record| record.json()["text"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [10_000, 30_000], "what can be written is written once");
}

#[test]
fn transactions_that_take_too_long_are_told_and_done_again() {
    let cluster = Cluster::with(Options::brokers(1).proxied());
    let machine = Machine::of(&cluster);
    machine.run("topics apply shop.yaml").succeeded();
    let (mut instance, _) = machine.start("run shop.yaml --set transaction_timeout=1s");
    let order = |number: u32| (number.to_string(), r#"{"customer": "ann"}"#);
    cluster.kcat().write("orders", [order(0)]);
    eventually("a first result", WITHIN, || (totals(&cluster) == counts(&[("ann", 1)])).then_some(()));
    // No answer comes within the time that a transaction has.
    cluster.proxy(1).set(Fault::Delay(Duration::from_millis(1_500)));
    cluster.kcat().write("orders", (1..10).map(order));
    eventually("a line that names the setting", WITHIN, || {
        instance.assert_running();
        fs::read_to_string(machine.path("instance.err")).unwrap().contains("`transaction_timeout`").then_some(())
    });
    cluster.proxy(1).set(Fault::None);
    eventually("all results", WITHIN, || (totals(&cluster) == counts(&[("ann", 10)])).then_some(()));
    assert!(instance.terminate(Duration::from_secs(30)).success());
    machine.run("stores verify").succeeded();
}

#[test]
fn a_client_comes_in_by_its_certificate_and_waits_for_a_broker_that_is_down() {
    let mut cluster = Cluster::with(Options::brokers(1).security(Security::MutualTls));
    let machine = Machine::of(&cluster);
    machine.run("topics apply shop.yaml").succeeded();
    machine.produce(&["ann", "bob", "ann"]);
    cluster.stop(1);
    let (mut instance, address) = machine.start("run shop.yaml");
    let health: Json = serde_json::from_str(&get(&address, "/health").1).unwrap();
    assert_eq!((&health["status"], &health["kafka_ready"]), (&Json::from("starting"), &Json::from(false)));
    assert_eq!((get(&address, "/health/live").0, get(&address, "/health/ready").0), (200, 503));
    let log = machine.path("instance.err");
    eventually("a line that says that nobody answers", WITHIN, || {
        fs::read_to_string(&log).unwrap().contains("trying again for").then_some(())
    });
    cluster.restart(1);
    eventually("results", WITHIN, || (totals(&cluster) == counts(&[("ann", 2), ("bob", 1)])).then_some(()));
    assert!(instance.terminate(Duration::from_secs(30)).success());
}
