//! Applications with a real schema registry: schemas that change while they run, a registry that is away.

mod checks;
mod commands;
mod deployment;
#[path = "../kafka/harness/mod.rs"]
mod harness;
mod log;

use std::sync::Arc;
use std::time::Duration;

use harness::registry::{copying_orders, framed};
use harness::workspace::Workspace;
use harness::{Fault, Registry, eventually};
use serde_json::{Value as Json, json};
use signalstream::agents::Agents;
use signalstream::log::LogRecord;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::runtime::{Application, ApplicationOptions, RuntimeError};
use signalstream::serdes::SchemaRegistry;
use signalstream::serdes::remote::{RegistryError, RegistrySettings, RemoteRegistry};
use signalstream::time::SystemClock;
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load};

/// Longer than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// Of orders that are copied, the amount is written as Avro, too.
const AMOUNTS: &str = "  - {from: orders, topic: amounts, value: {avro: Amount}, map: {amount: value.amount}}\n";

/// Orders are counted by a key of Avro, and looked up in a global table of Avro.
const KEYED: &str = "
topology: keyed
defaults: {key: {avro: Key}, value: json}
sources:
  orders: {topic: orders}
  prices: {topic: prices, kind: global_table, key: string, value: {avro: Order}}
tables:
  counts: {from: orders, aggregate: {n: count()}}
streams:
  priced:
    join: {inputs: {order: orders, price: prices}, on: string(order.item)}
    map_values: {amount: price.amount}
sinks:
  - {from: counts, topic: counts}
  - {from: priced, topic: priced}
";

fn order(fields: Json) -> Json {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": fields })
}

/// What the application reads orders as.
fn reader() -> Json {
    order(json!([
        { "name": "id", "type": "string" },
        { "name": "amount", "type": "long", "default": 7, "aliases": ["sum"] },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["NEW", "OTHER"], "default": "OTHER" }, "default": "NEW" }
    ]))
}

fn amount() -> Json {
    json!({ "type": "record", "name": "Amount", "namespace": "shop", "fields": [{ "name": "amount", "type": "long" }] })
}

/// A key of one text.
fn key(field: &str) -> Json {
    json!({ "type": "record", "name": "Key", "fields": [{ "name": field, "type": "string", "aliases": ["name"] }] })
}

/// An application, its log, and the registry that it works with.
struct Shop {
    registry: Registry,
    log: Arc<EmbeddedLog>,
    workspace: Workspace,
}

impl Shop {
    fn new() -> Shop {
        let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
        Shop { registry: Registry::start(), log, workspace: Workspace::new("shop") }
    }

    fn topology(&self) -> Topology {
        let partitions = "topics: {orders: {partitions: 2}, copies: {partitions: 2}}\n";
        self.plan(&copying_orders("orders", &(AMOUNTS.to_owned() + partitions)))
    }

    fn plan(&self, text: &str) -> Topology {
        let settings =
            RegistrySettings { timeout: Duration::from_secs(5), ..RegistrySettings::new(&self.registry.url()) };
        let remote = RemoteRegistry::open(settings, Arc::new(SystemClock::new())).unwrap();
        let mut schemas = SchemaRegistry::beside(remote);
        schemas.add("Order.avsc", &reader().to_string()).unwrap();
        schemas.add("Amount.avsc", &amount().to_string()).unwrap();
        schemas.add("Key.avsc", &key("id").to_string()).unwrap();
        let options = PlanOptions { registry: &schemas, agents: &Agents::local(), projection: true };
        load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn start(&self) -> Result<Application, RuntimeError> {
        self.run(&self.topology())
    }

    fn run(&self, topology: &Topology) -> Result<Application, RuntimeError> {
        let state = self.workspace.join("state");
        Application::embedded(topology, self.log.clone(), &state, &ApplicationOptions::default())
    }

    /// Writes a record whose value is framed by this id.
    fn write(&self, partition: i32, id: u32, body: &[u8]) {
        self.send("orders", partition, b"k", &framed(id, body));
    }

    fn send(&self, topic: &str, partition: i32, key: &[u8], value: &[u8]) {
        log::send(&self.log, log::record(topic, partition, key, value, 1_700_000_000_000));
    }

    fn read(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        log::read(&self.log, topic, partition)
    }

    /// The records of the first partition of a topic, once there are so many.
    fn await_records(&self, topic: &str, count: usize) -> Vec<LogRecord> {
        eventually(topic, WITHIN, || Some(self.read(topic, 0)).filter(|records| records.len() >= count))
    }

    /// The copies of orders, once there are so many. They have one key, and so are in one partition, in order.
    fn copies(&self, count: usize) -> Vec<Json> {
        let records = eventually("copies", WITHIN, || {
            let records: Vec<LogRecord> = (0..2).flat_map(|partition| self.read("copies", partition)).collect();
            (records.len() >= count).then_some(records)
        });
        records.into_iter().map(|record| serde_json::from_slice(&record.value.unwrap()).unwrap()).collect()
    }

    /// What was said of the orders that failed, once there are so many.
    fn failures(&self, count: usize) -> Vec<String> {
        let records = self.await_records("failed", count);
        let message = |record: &LogRecord| {
            let header = record.headers.last("__streams.errors.message").unwrap();
            String::from_utf8(header.value.clone().unwrap().to_vec()).unwrap()
        };
        records.iter().map(message).collect()
    }
}

#[test]
fn producers_change_their_schema_while_the_application_runs() {
    let shop = Shop::new();
    let first = shop.registry.register("orders-value", &order(json!([{ "name": "id", "type": "string" }])));
    let application = shop.start().unwrap();
    shop.write(0, first, &[4, b'o', b'1']);
    assert_eq!(shop.copies(1), [json!({ "id": "o1", "amount": 7, "state": "NEW" })]);
    let second = shop.registry.register("orders-value", &order(json!([
        { "name": "note", "type": ["null", "string"], "default": null },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["NEW", "PAID"] }, "default": "NEW" },
        { "name": "sum", "type": "int", "default": 0 },
        { "name": "id", "type": "string" }
    ])));
    shop.write(0, second, &[2, 2, b'!', 2, 10, 4, b'o', b'2']);
    assert_eq!(shop.copies(2)[1], json!({ "id": "o2", "amount": 5, "state": "OTHER" }));
    application.stop().unwrap();

    // What it writes has the id under which the start has registered the schema.
    let latest = shop.registry.ask("GET", "/subjects/amounts-value/versions/latest", None);
    assert_eq!(serde_json::from_str::<Json>(latest["schema"].as_str().unwrap()).unwrap(), amount());
    let id = u32::try_from(latest["id"].as_u64().unwrap()).unwrap();
    let written: Vec<Vec<u8>> =
        shop.read("amounts", 0).into_iter().map(|record| record.value.unwrap().to_vec()).collect();
    assert_eq!(written, [7, 5].map(|amount: u8| [&[0][..], &id.to_be_bytes(), &[amount * 2]].concat()));
}

#[test]
fn a_registry_that_is_away_holds_up_those_records_only_whose_schema_is_not_known() {
    let shop = Shop::new();
    let known = shop.registry.register("orders-value", &order(json!([{ "name": "id", "type": "string" }])));
    let application = shop.start().unwrap();
    let unknown = shop.registry.register(
        "orders-value",
        &order(json!([
        { "name": "id", "type": "string" }, { "name": "amount", "type": "int", "default": 0 }])),
    );
    shop.registry.proxy().set(Fault::Refuse);
    shop.registry.proxy().cut();
    shop.write(1, unknown, &[4, b'u', b'1', 8]);
    shop.write(1, known, &[4, b'k', b'2']);
    shop.write(0, known, &[4, b'k', b'1']);
    assert_eq!(shop.copies(1), [json!({ "id": "k1", "amount": 7, "state": "NEW" })], "known ids keep working");

    let status = eventually("the application says that it is held", WITHIN, || {
        Some(application.status()).filter(|status| status.held_by().is_some_and(|wait| wait.problem.is_some()))
    });
    assert!(!status.is_ready());
    let wait = status.held_by().unwrap();
    assert_eq!(wait.id, unknown.to_string());
    assert!(wait.problem.as_ref().unwrap().contains("does not answer"), "{wait:?}");
    shop.write(0, known, &[4, b'k', b'3']);
    assert_eq!(shop.copies(2).len(), 2, "while records of another partition wait");
    assert_eq!(shop.read("failed", 0).len(), 0, "nothing is wrong with a record whose schema is not to be had");

    shop.registry.proxy().set(Fault::None);
    let copies = shop.copies(4);
    assert_eq!(
        copies[2..],
        [json!({ "id": "u1", "amount": 4, "state": "NEW" }), json!({ "id": "k2", "amount": 7, "state": "NEW" })]
    );
    eventually("the application is well again", WITHIN, || application.status().is_ready().then_some(()));
    application.stop().unwrap();
}

#[test]
fn records_that_lie_or_do_not_fit_are_dead_letters_with_the_reason() {
    let shop = Shop::new();
    let application = shop.start().unwrap();
    let other = shop.registry.register(
        "other-value",
        &order(json!([
        { "name": "id", "type": "string" }, { "name": "amount", "type": "string" }])),
    );
    shop.write(0, 4_000_000, &[4, b'o', b'1']);
    shop.write(0, other, &[4, b'o', b'2', 2, b'!']);
    let failures = shop.failures(2);
    let expected = "the value cannot be read: it was written with schema id 4000000, which no known schema has";
    assert!(failures[0].starts_with(expected), "{}", failures[0]);
    let expected = format!(
        "the value cannot be read: a payload written as Order (id {other}) cannot be read as Order: amount: the writer has \
         string, the reader expects long"
    );
    assert_eq!(failures[1], expected);
    application.stop().unwrap();
}

#[test]
fn a_start_without_the_registry_says_so() {
    let shop = Shop::new();
    shop.registry.proxy().set(Fault::Refuse);
    let error = shop.start().err().unwrap();
    assert!(matches!(error, RuntimeError::Registry(RegistryError::Away(_))), "{error}");
    assert!(error.to_string().contains("`schema_registry.url`"), "{error}");
}

#[test]
fn keys_of_several_schemas_are_one_row_and_global_tables_wait_for_schemas_too() {
    let shop = Shop::new();
    let (old, new) =
        (shop.registry.register("other-key", &key("name")), shop.registry.register("orders-key", &key("id")));
    let price = shop.registry.register("prices-value", &order(json!([{ "name": "id", "type": "string" }])));
    let application = shop.run(&shop.plan(KEYED)).unwrap();
    let later = order(json!([{ "name": "id", "type": "string" }, { "name": "amount", "type": "int", "default": 0 }]));
    let later = shop.registry.register("prices-value", &later);
    shop.send("prices", 0, b"pen", &framed(price, &[4, b'p', b'1']));
    shop.send("orders", 0, &framed(old, &[2, b'k']), br#"{"item": "pen"}"#);
    let first = shop.await_records("counts", 1);
    shop.send("orders", 0, &framed(new, &[2, b'k']), br#"{"item": "pen"}"#);
    let counts = shop.await_records("counts", 2);
    assert_eq!(counts[1].value.as_deref(), Some(&br#"{"n":2}"#[..]), "both are the key `k`");
    let keys: Vec<_> = counts.iter().map(|record| record.key.clone().unwrap().to_vec()).collect();
    assert_eq!((keys[0].clone(), keys[1].clone()), (framed(new, &[2, b'k']), framed(new, &[2, b'k'])), "{first:?}");

    shop.registry.proxy().set(Fault::Refuse);
    shop.registry.proxy().cut();
    shop.send("prices", 0, b"pen", &framed(later, &[4, b'p', b'1', 18]));
    eventually("the table waits", WITHIN, || application.status().held_by().map(drop));
    shop.registry.proxy().set(Fault::None);
    eventually("the table goes on", WITHIN, || application.status().is_ready().then_some(()));
    let priced = eventually("a price of the new schema", WITHIN, || {
        shop.send("orders", 0, &framed(new, &[2, b'k']), br#"{"item": "pen"}"#);
        let priced = shop.read("priced", 0);
        priced.iter().any(|record| record.value.as_deref() == Some(&br#"{"amount":9}"#[..])).then_some(priced)
    });
    assert_eq!(priced[0].value.as_deref(), Some(&br#"{"amount":7}"#[..]));
    application.stop().unwrap();
}
