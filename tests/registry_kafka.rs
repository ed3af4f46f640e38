//! A record that waits for its schema on a real Kafka, with a real registry: its instance is killed meanwhile.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness::registry::framed;
use harness::workspace::Workspace;
use harness::{Cluster, Fault, Feed, Instance, Registry, eventually};
use serde_json::{Value as Json, json};

/// Longer than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
const KEYS: usize = 8;

const TOTALS: &str = "
topology: totals
defaults: {key: string, dlq: failed}
topics: {orders: {partitions: 2}, totals: {partitions: 2}, failed: {partitions: 1}}
sources:
  orders: {topic: orders, value: {avro: Order}}
tables:
  totals: {from: orders, aggregate: {orders: count(), amount: sum(value.amount)}}
sinks:
  - {from: totals, topic: totals, value: json}
";

fn order(fields: Json) -> Json {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": fields })
}

/// Two instances on a cluster, and the registry that they ask.
struct Shop {
    cluster: Cluster,
    registry: Registry,
    workspace: Workspace,
    feed: Feed,
}

impl Shop {
    fn new() -> Shop {
        let (cluster, registry, workspace) = (Cluster::start(1), Registry::start(), Workspace::new("totals"));
        fs::create_dir(workspace.join("schemas")).unwrap();
        fs::write(workspace.join("totals.yaml"), TOTALS).unwrap();
        let amount = json!([{ "name": "amount", "type": "long", "default": 1 }]);
        fs::write(workspace.join("schemas/Order.avsc"), order(amount).to_string()).unwrap();
        for (topic, partitions) in [("orders", 2), ("totals", 2), ("failed", 1)] {
            cluster.create_topic(topic, partitions, &[]);
        }
        let feed = cluster.feed("orders", None, &[]);
        Shop { cluster, registry, workspace, feed }
    }

    fn instance(&self, name: &str) -> Instance {
        let url = format!("schema_registry.url={}", self.registry.url());
        // Longer than a machine with other work lets a member wait: who is not heard loses its tasks.
        let settings = [&*url, "schema_registry.request_timeout=1s", "caching=off", "session_timeout=10s"];
        let topology = self.workspace.join("totals.yaml");
        Instance::new(name, self.workspace.path(), &topology, &self.cluster.bootstrap_servers(), &settings)
    }

    /// Writes orders of a key, all at once, each framed by the id of its schema.
    fn write(&self, key: &str, orders: &[(u32, &[u8])]) {
        for (id, body) in orders {
            self.feed.send(key, std::str::from_utf8(&framed(*id, body)).expect("small ids and amounts are text"));
        }
        self.feed.flush();
    }

    /// What was written of each key: how many orders, and what they come to, change by change.
    fn totals(&self) -> BTreeMap<String, Vec<(i64, i64)>> {
        let mut totals: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        for record in self.cluster.kcat().read("totals") {
            let (value, number) = (record.json(), |value: &Json| value.as_i64().unwrap());
            let row = (number(&value["orders"]), number(&value["amount"]));
            totals.entry(record.key_text().to_owned()).or_default().push(row);
        }
        totals
    }

    /// Waits until the last change of a key is this one.
    fn await_total(&self, key: &str, total: (i64, i64)) {
        eventually(&format!("{key} comes to {total:?}"), WITHIN, || {
            (self.totals().get(key)?.last() == Some(&total)).then_some(())
        });
    }

    fn committed(&self, partition: i32) -> Option<i64> {
        self.cluster.committed("totals").get(&("orders".to_owned(), partition)).copied()
    }
}

fn is_held(instance: &Instance, skip: usize) -> Option<()> {
    instance.log()[skip..].contains("records wait for a schema").then_some(())
}

#[test]
fn a_task_that_waits_for_a_schema_is_killed_and_waits_elsewhere_at_the_same_record() {
    let shop = Shop::new();
    let known = shop.registry.register("orders-value", &order(json!([])));
    let mut instances = [shop.instance("one"), shop.instance("two")];
    instances.iter_mut().for_each(Instance::start);
    eventually("each has a task", WITHIN, || {
        instances.iter_mut().for_each(Instance::assert_running);
        instances.iter().all(|instance| instance.tasks().len() == 1).then_some(())
    });
    (0..KEYS).for_each(|key| shop.write(&format!("k{key}"), &[(known, &[])]));
    (0..KEYS).for_each(|key| shop.await_total(&format!("k{key}"), (1, 1)));

    // One that has a key that waits in its partition, and one whose partition goes on.
    let written = shop.cluster.kcat().read("orders");
    let key_in = |partition: i32| {
        let found = written.iter().find(|record| record.partition == partition);
        found.expect("both partitions have keys").key_text().to_owned()
    };
    let (held, other) = (key_in(0), key_in(1));
    let amount = json!([{ "name": "amount", "type": "int" }]);
    let unknown = shop.registry.register("others-value", &order(amount));
    assert_ne!(unknown, known);
    shop.registry.proxy().set(Fault::Refuse);
    shop.registry.proxy().cut();
    // Fetched at once, so that the commit of the first comes when the second is there.
    shop.write(&held, &[(known, &[]), (unknown, &[10]), (known, &[])]);
    shop.write(&other, &[(known, &[])]);
    shop.await_total(&held, (2, 2));
    shop.await_total(&other, (2, 2));
    let waits = shop.cluster.kcat().read("orders").into_iter();
    let waits = waits.filter(|record| record.partition == 0).map(|record| record.offset).max().unwrap() - 1;
    let owner = instances.iter().position(|instance| instance.tasks().contains("0_0")).expect("somebody has the task");
    eventually("the task waits", WITHIN, || is_held(&instances[owner], 0));
    eventually("what comes before is committed", WITHIN, || (shop.committed(0) == Some(waits)).then_some(()));

    instances[owner].kill();
    let heir = 1 - owner;
    let skip = instances[heir].log().len();
    eventually("the other has taken it over", WITHIN, || {
        instances[heir].assert_running();
        (instances[heir].tasks().len() == 2).then_some(())
    });
    eventually("the task waits again", WITHIN, || is_held(&instances[heir], skip));
    shop.write(&other, &[(known, &[])]);
    shop.await_total(&other, (3, 3));
    assert_eq!(shop.committed(0), Some(waits), "not past the record that waits");
    assert_eq!(shop.totals()[&held], [(1, 1), (2, 2)], "nothing of what comes behind it either");

    shop.registry.proxy().set(Fault::None);
    shop.await_total(&held, (4, 8));
    assert_eq!(shop.totals()[&held], [(1, 1), (2, 2), (3, 7), (4, 8)], "each once, in order");
    assert_eq!(shop.totals()[&other], [(1, 1), (2, 2), (3, 3)]);
    eventually("all is committed", WITHIN, || (shop.committed(0) == Some(waits + 2)).then_some(()));
    assert_eq!(shop.cluster.kcat().read("failed"), [], "nothing was wrong with any of them");
    instances[heir].stop();
    instances[heir].verify_stores();
}
