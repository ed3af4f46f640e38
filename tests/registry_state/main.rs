//! What applications keep while a schema registry changes, goes away and comes back: rows, offsets, order.

mod absurd;
mod behind;
#[path = "../kafka/harness/mod.rs"]
mod harness;
#[path = "../registry/log.rs"]
mod log;
mod served;
mod small;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::eventually;
use harness::registry::{copying_orders, framed};
use harness::workspace::Workspace;
use serde_json::{Value as Json, json};
use signalstream::agents::Agents;
use signalstream::config::SchemaHold;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, LogRecord, TopicConfig};
use signalstream::metrics::DropReason;
use signalstream::record::TopicPartition;
use signalstream::runtime::{Application, ApplicationOptions, RuntimeError};
use signalstream::serdes::SchemaRegistry;
use signalstream::serdes::remote::{RegistryError, RegistrySettings, RemoteRegistry};
use signalstream::sink::partition_for;
use signalstream::time::SystemClock;
use signalstream::topology::{PlanOptions, load};
use small::SmallRegistry;

/// Longer than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

fn key(note: &str) -> Json {
    json!({ "type": "record", "name": "Key", "namespace": "shop", "doc": note, "fields": [{ "name": "id", "type": "string" }] })
}

fn order() -> Json {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": [{ "name": "amount", "type": "long", "default": 7 }] })
}

/// As another producer has it: without amounts.
fn bare() -> Json {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": [] })
}

/// A log, and where applications on it keep their state.
struct Shop {
    log: Arc<EmbeddedLog>,
    workspace: Workspace,
}

impl Shop {
    fn new() -> Shop {
        let log = EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap();
        Shop { log, workspace: Workspace::new("shop") }
    }

    fn state(&self, name: &str) -> std::path::PathBuf {
        self.workspace.join(name)
    }

    /// Writes a record, by itself in a transaction.
    fn write(&self, topic: &str, partition: i32, key: &[u8], value: &[u8], timestamp: i64) {
        log::send(&self.log, log::record(topic, partition, key, value, timestamp));
    }

    fn read(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        log::read(&self.log, topic, partition)
    }

    /// The records of a topic, once there are so many.
    fn eventually(&self, topic: &str, partitions: i32, count: usize) -> Vec<LogRecord> {
        eventually(topic, WITHIN, || {
            let records: Vec<LogRecord> = (0..partitions).flat_map(|number| self.read(topic, number)).collect();
            (records.len() >= count).then_some(records)
        })
    }
}

fn settings(registry: &SmallRegistry) -> RegistrySettings {
    RegistrySettings { timeout: Duration::from_secs(5), ..RegistrySettings::new(&registry.url()) }
}

fn start_with(
    settings: RegistrySettings,
    shop: &Shop,
    topology: &str,
    note: &str,
    state: &Path,
) -> Result<Application, RuntimeError> {
    start_as(&ApplicationOptions::default(), settings, shop, topology, note, state)
}

fn start_as(
    application: &ApplicationOptions,
    settings: RegistrySettings,
    shop: &Shop,
    topology: &str,
    note: &str,
    state: &Path,
) -> Result<Application, RuntimeError> {
    let remote = RemoteRegistry::open(settings, Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Key.avsc", &key(note).to_string()).unwrap();
    schemas.add("Order.avsc", &order().to_string()).unwrap();
    let options = PlanOptions { registry: &schemas, agents: &Agents::local(), projection: true };
    let topology = load("shop.yaml", topology, &options).unwrap_or_else(|problems| panic!("{problems}"));
    Application::embedded(&topology, shop.log.clone(), state, application)
}

fn start(registry: &SmallRegistry, shop: &Shop, topology: &str, note: &str, state: &Path) -> Application {
    start_with(settings(registry), shop, topology, note, state).unwrap()
}

const COUNTS: &str = "
topology: counts
defaults: {key: {avro: Key}, value: {avro: Order}, dlq: failed}
topics: {orders: {partitions: 1}, counts: {partitions: 3}}
sources:
  orders: {topic: orders}
tables:
  counts: {from: orders, aggregate: {orders: count()}}
sinks:
  - {from: counts, topic: counts, value: json}
";

#[test]
fn rows_of_avro_keys_are_found_whatever_the_registry_calls_their_schema() {
    let shop = Shop::new();
    let (first, moved) = (SmallRegistry::start(1), SmallRegistry::start(1_000));
    let body = [4, b'k', b'1'];
    let mut ids = BTreeSet::new();
    // Another id: at a registry that was moved, of a schema that was described anew, on the first disk and on an empty one.
    let starts = [
        (&first, "", "one"),
        (&moved, "", "one"),
        (&moved, "described anew", "one"),
        (&first, "described anew", "two"),
    ];
    for (count, (registry, note, state)) in (1..).zip(starts) {
        let application = start(registry, &shop, COUNTS, note, &shop.state(state));
        let id = registry.register("orders-key", &key(note));
        let value = registry.register("orders-value", &order());
        shop.write("orders", 0, &framed(id, &body), &framed(value, &[2]), 1_700_000_000_000 + count);
        let written = eventually("counts", WITHIN, || {
            let written =
                (0..3).flat_map(|number| shop.read("counts", number).into_iter().map(move |one| (number, one)));
            written.filter(|(_, one)| one.value.as_deref() == Some(format!("{{\"orders\":{count}}}").as_bytes())).last()
        });
        // What goes out is what anybody else would write, and stands where he would have put it.
        let key = written.1.key.unwrap();
        assert_eq!(key, framed(id, &body));
        assert_eq!(written.0, partition_for(&key, 3));
        ids.insert(id);
        application.stop().unwrap();
    }
    assert_eq!(ids.len(), 4);
    let changelog = shop.read("counts-counts-changelog", 0);
    let keys: BTreeSet<_> = changelog.iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys.len(), 1, "one row has one key: {keys:?}");
    assert!(first.subjects().iter().all(|subject| ["counts-key", "orders-key", "orders-value"].contains(&&**subject)));
}

/// Orders are copied in two partitions.
fn copies() -> String {
    copying_orders("copies", "topics: {orders: {partitions: 2}, copies: {partitions: 2}}\n")
}

/// Starts copying, and takes the registry away before a record comes whose schema nobody knows.
fn held(shop: &Shop, registry: &SmallRegistry) -> (Application, u32) {
    let known = registry.register("orders-value", &order());
    let application = start(registry, shop, &copies(), "", &shop.state("one"));
    let unknown = registry.register("others-value", &bare());
    registry.set_away(true);
    shop.write("orders", 1, b"k", &framed(unknown, &[]), 1_700_000_000_000);
    shop.write("orders", 1, b"k", &framed(known, &[2]), 1_700_000_000_001);
    shop.write("orders", 0, b"j", &framed(known, &[4]), 1_700_000_000_000);
    shop.eventually("copies", 2, 1);
    eventually("the application says that it is held", WITHIN, || {
        application.status().schemas.first().is_some_and(|wait| wait.problem.is_some()).then_some(())
    });
    (application, unknown)
}

fn values(records: &[LogRecord], key: &str) -> Vec<Json> {
    let of_key = records.iter().filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    of_key.map(|record| serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()).collect()
}

#[test]
fn a_held_task_stops_at_once_and_goes_on_where_it_was_after_a_restart() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let (application, _) = held(&shop, &registry);
    let (stopping, bound) = (Instant::now(), ApplicationOptions::default().shutdown_timeout);
    application.stop().unwrap();
    assert!(stopping.elapsed() < bound / 3, "{:?}, where {bound:?} is the most that a stop takes", stopping.elapsed());
    let consumer = shop.log.consumer(Some("copies")).unwrap();
    let committed = |number| consumer.committed(&TopicPartition::new("orders", number)).unwrap();
    assert_eq!(committed(0).map(|offset| offset.offset), Some(1));
    assert!(committed(1).is_none_or(|offset| offset.offset == 0), "not past the record that waits");
    registry.set_away(false);
    let application = start(&registry, &shop, &copies(), "", &shop.state("one"));
    let records = shop.eventually("copies", 2, 3);
    assert_eq!(values(&records, "k"), [json!({ "amount": 7 }), json!({ "amount": 1 })]);
    application.wait_until_caught_up(|_| true).unwrap();
    application.stop().unwrap();
    assert_eq!(shop.eventually("copies", 2, 3).len(), 3);
    assert_eq!(shop.read("failed", 0).len(), 0);
}

#[test]
fn a_held_task_that_moves_to_another_instance_is_held_there_and_loses_nothing() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let (first, _) = held(&shop, &registry);
    let second = start(&registry, &shop, &copies(), "", &shop.state("two"));
    eventually("each has a task", WITHIN, || {
        let count = |application: &Application| application.status().own_tasks().count();
        (count(&first) == 1 && count(&second) == 1).then_some(())
    });
    registry.set_away(false);
    let records = shop.eventually("copies", 2, 3);
    assert_eq!(values(&records, "k"), [json!({ "amount": 7 }), json!({ "amount": 1 })]);
    first.stop().unwrap();
    second.wait_until_caught_up(|_| true).unwrap();
    second.stop().unwrap();
    assert_eq!(shop.eventually("copies", 2, 3).len(), 3);
}

const WINDOWS: &str = "
topology: windows
defaults: {key: string, value: {avro: Order}, dlq: failed}
topics: {orders: {partitions: 2}, counts: {partitions: 1}}
sources: {orders: {topic: orders}}
streams: {all: {from: orders, steps: [{select_key: string('all')}]}}
tables: {counts: {from: all, window: {tumbling: 1s, grace: 0s}, aggregate: {n: count()}, emit: on_close}}
sinks: [{from: counts, topic: counts, value: json, map: {n: value.n}}]
";

#[test]
fn windows_close_behind_a_task_that_waits_unless_the_others_wait_with_it() {
    for (hold, threads, counted) in
        [(SchemaHold::Task, 1, 1), (SchemaHold::Subtopology, 1, 2), (SchemaHold::Subtopology, 2, 2)]
    {
        let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
        let known = registry.register("orders-value", &order());
        let options = ApplicationOptions { schema_hold: hold, threads, ..ApplicationOptions::default() };
        let application = start_as(&options, settings(&registry), &shop, WINDOWS, "", &shop.state("one")).unwrap();
        let unknown = registry.register("others-value", &bare());
        registry.set_away(true);
        let start = 1_700_000_000_000;
        shop.write("orders", 1, b"k", &framed(unknown, &[]), start);
        eventually("the application says that it is held", WITHIN, || {
            application.status().schemas.first().is_some_and(|wait| wait.problem.is_some()).then_some(())
        });
        shop.write("orders", 0, b"j", &framed(known, &[4]), start + 1);
        shop.write("orders", 0, b"j", &framed(known, &[4]), start + 10_000);
        if hold == SchemaHold::Task {
            shop.eventually("counts", 1, 1);
        } else {
            eventually("the other task waits, too", WITHIN, || {
                let status = application.status();
                let inputs: Vec<usize> =
                    status.own_tasks().flat_map(|(_, task)| &task.inputs).map(|input| input.queued).collect();
                inputs.contains(&2).then_some(())
            });
        }
        registry.set_away(false);
        let counts = shop.eventually("counts", 1, 1);
        assert_eq!(values(&counts, "all"), [json!({ "n": counted })], "{hold:?}");
        application.wait_until_caught_up(|_| true).unwrap();
        let late = application.stop().unwrap().dropped_for(DropReason::Late);
        assert_eq!(late, 2 - counted, "{hold:?}");
    }
}

const JOINED: &str = "
topology: joined
defaults: {key: string, value: {avro: Order}, dlq: failed}
topics: {orders: {partitions: 1}, prices: {partitions: 1}, pairs: {partitions: 1}}
sources:
  orders: {topic: orders}
  prices: {topic: prices, kind: table}
streams:
  pairs:
    join: {kind: inner, inputs: {order: orders, price: prices}}
    map_values: {order: order.amount, price: price.amount}
sinks:
  - {from: pairs, topic: pairs, value: json}
";

#[test]
fn a_join_waits_for_the_side_that_is_held() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let known = registry.register("orders-value", &order());
    let application = start(&registry, &shop, JOINED, "", &shop.state("one"));
    let unknown = registry.register("others-value", &bare());
    registry.set_away(true);
    shop.write("prices", 0, b"k", &framed(unknown, &[]), 1_700_000_000_000);
    eventually("the application says that it is held", WITHIN, || application.status().schemas.first().map(drop));
    shop.write("orders", 0, b"k", &framed(known, &[4]), 1_700_000_000_001);
    registry.set_away(false);
    let records = shop.eventually("pairs", 1, 1);
    assert_eq!(values(&records, "k"), [json!({ "order": 2, "price": 7 })]);
    application.stop().unwrap();
}

const GLOBAL: &str = "
topology: looked-up
defaults: {key: string, value: {avro: Order}, dlq: failed}
topics: {orders: {partitions: 1}, prices: {partitions: 2}, pairs: {partitions: 1}}
sources:
  orders: {topic: orders}
  prices: {topic: prices, kind: global_table}
streams:
  pairs:
    join: {kind: inner, inputs: {order: orders, price: prices}, on: string(order.amount)}
    map_values: {order: order.amount, price: price.amount}
sinks:
  - {from: pairs, topic: pairs, value: json}
";

#[test]
fn a_row_that_waits_holds_up_no_other_partition_of_a_global_table() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let known = registry.register("orders-value", &order());
    let application = start(&registry, &shop, GLOBAL, "", &shop.state("one"));
    // Before it has read what was there at the start, no task begins.
    eventually("the task runs", WITHIN, || application.status().own_tasks().next().map(drop));
    eventually("the application is ready", WITHIN, || application.status().is_ready().then_some(()));
    let unknown = registry.register("others-value", &bare());
    registry.set_away(true);
    shop.write("prices", 0, b"1", &framed(unknown, &[]), 1_700_000_000_000);
    eventually("the application says that it is held", WITHIN, || application.status().schemas.first().map(drop));
    shop.write("prices", 1, b"2", &framed(known, &[10]), 1_700_000_000_000);
    let pairs = |amount: u8, timestamp: i64| {
        eventually("a pair", WITHIN, || {
            shop.write("orders", 0, b"k", &framed(known, &[amount * 2]), timestamp);
            values(&shop.read("pairs", 0), "k").pop().filter(|pair| pair["order"] == amount)
        })
    };
    assert_eq!(pairs(2, 1_700_000_000_001), json!({ "order": 2, "price": 5 }));
    registry.set_away(false);
    assert_eq!(pairs(1, 1_700_000_000_002), json!({ "order": 1, "price": 7 }));
    application.stop().unwrap();
}

const PATTERNS: &str = r#"
topology: patterns
defaults: {key: {avro: Key}, value: {avro: Order}, dlq: failed}
sources:
  orders: {topic: {pattern: 'in\..*'}}
sinks:
  - {from: orders, topic: {expression: "'out.' + key.id", pattern: 'out\..*'}}
"#;

#[test]
fn topics_of_patterns_have_ids_for_what_is_written_to_them() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let admin = shop.log.admin();
    for topic in ["in.a", "out.k1"] {
        admin.create_topic(topic, &TopicConfig::new(1)).unwrap();
    }
    let (id, value) = (registry.register("in.a-key", &key("")), registry.register("in.a-value", &order()));
    let application = start(&registry, &shop, PATTERNS, "", &shop.state("one"));
    let record = (framed(id, &[4, b'k', b'1']), framed(value, &[2]));
    shop.write("in.a", 0, &record.0, &record.1, 1_700_000_000_000);
    let records = shop.eventually("out.k1", 1, 1);
    assert_eq!((records[0].key.as_deref(), records[0].value.as_deref()), (Some(&*record.0), Some(&*record.1)));
    assert_eq!(shop.read("failed", 0).len(), 0);
    application.stop().unwrap();
    let expected = ["failed-value", "in.a-key", "in.a-value", "out.k1-key", "out.k1-value"];
    assert!(registry.subjects().iter().all(|subject| expected.contains(&&**subject)), "{:?}", registry.subjects());
    assert!(registry.subjects().contains(&"out.k1-value".to_owned()));
}

#[test]
fn a_start_that_may_not_register_names_what_is_missing_and_takes_what_is_there() {
    let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
    let strict = || RegistrySettings { auto_register: false, ..settings(&registry) };
    let error = start_with(strict(), &shop, COUNTS, "", &shop.state("one")).err().unwrap();
    assert!(
        matches!(&error, RuntimeError::Registry(RegistryError::Unregistered { schema, subject }) if schema == "Key" && subject == "counts-key"),
        "{error}"
    );
    assert_eq!(registry.subjects(), [""; 0]);
    registry.register("counts-key", &key(""));
    start_with(strict(), &shop, COUNTS, "", &shop.state("one")).unwrap().stop().unwrap();
    assert_eq!(registry.subjects(), ["counts-key"]);
}
