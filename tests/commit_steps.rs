//! I1, I2, I3 under a crash at every step of every commit: the pure task, its stores and the log end up as
//! if nothing had happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::task::transaction::CommitStep;
use signalstream::testing::{DriverOptions, InputRecord, TopologyDriver};
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load};

const TOPOLOGY: &str = "
topology: commit-steps
defaults: {key: string, value: json}
sources:
  orders: {topic: orders}
  customers: {topic: customers, kind: table}
streams:
  named:
    join: {kind: left, inputs: {order: orders, customer: customers}}
    map_values: {amount: order.amount, region: \"customer == null ? 'nowhere' : string(customer.region)\"}
  by_region:
    from: named
    steps:
      - select_key: value.region
tables:
  totals:
    from: by_region
    window: {tumbling: 10s, grace: 5s}
    aggregate: {orders: count(), amount: sum(value.amount)}
  closed:
    from: by_region
    window: {hopping: {size: 10s, advance: 5s}, grace: 0s}
    emit: on_close
    aggregate: {orders: count()}
  latest:
    from: orders
    fold:
      init: {seen: 0, amounts: []}
      add: {seen: acc.seen + 1, amounts: 'take_last(acc.amounts + [value.amount], 3)'}
sinks:
  - {from: totals, topic: totals, map: {start: window.start, orders: value.orders, amount: value.amount}}
  - {from: closed, topic: closed, map: {start: window.start, orders: value.orders}}
  - {from: latest, topic: latest}
";

type Rows = BTreeMap<String, Vec<String>>;

fn topology() -> Arc<Topology> {
    let registry = SchemaRegistry::new();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    match load("commit-steps.yaml", TOPOLOGY, &options) {
        Ok(topology) => Arc::new(topology),
        Err(problems) => panic!("{problems}"),
    }
}

fn input() -> Vec<InputRecord> {
    let record = |topic: &str, key: String, value, timestamp| InputRecord {
        topic: topic.to_owned(),
        partition: None,
        key: key.into(),
        value,
        value_base64: None,
        timestamp: Some(timestamp),
        headers: Default::default(),
    };
    // A stream–table join depends on which input a record is taken from first; what is fetched anew after a crash
    // is taken in order of time. So the table is complete before the stream begins, in time and in arrival.
    let mut records = Vec::new();
    for (n, region) in ["north", "south", "south", "north"].into_iter().enumerate() {
        records.push(record("customers", format!("c{}", n % 3), json!({"region": region}), n as i64));
    }
    for n in 0..30_i64 {
        // Every seventh record is out of order, some of them too late.
        let time = if n % 7 == 6 { n * 1_000 - 12_000 } else { n * 1_000 };
        records.push(record("orders", format!("c{}", n % 5), json!({"amount": n}), time.max(0) + 1_000));
    }
    records
}

fn run(topology: &Arc<Topology>, caching: bool, crash: Option<(u64, CommitStep)>) -> (Rows, Rows, u64) {
    let partitions = BTreeMap::from([("orders".to_owned(), 2), ("customers".to_owned(), 2)]);
    let options = DriverOptions { caching, partitions, ..DriverOptions::default() };
    let mut driver = TopologyDriver::new(topology.clone(), &SchemaRegistry::new(), options).unwrap();
    if let Some((commit, step)) = crash {
        driver.crash_at(commit, step);
    }
    for (n, record) in input().iter().enumerate() {
        driver.pipe(record).unwrap();
        if caching && n % 10 == 9 {
            driver.finish().unwrap();
        }
    }
    driver.finish().unwrap();
    let mut outputs = Rows::new();
    for record in driver.take_outputs() {
        // Order holds within a key, not between the keys of different tasks.
        let key = format!("{} {}", record.topic, record.key);
        outputs.entry(key).or_default().push(record.to_json().to_string());
    }
    let mut stores = Rows::new();
    for store in ["totals", "closed", "latest", "customers"] {
        let mut rows: Vec<String> = driver.store_rows(store).unwrap().iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        stores.insert(store.to_owned(), rows);
    }
    (outputs, stores, driver.commits())
}

#[test]
fn a_crash_at_any_step_of_any_commit_changes_nothing() {
    let topology = topology();
    for caching in [false, true] {
        let (outputs, stores, commits) = run(&topology, caching, None);
        assert!(commits > 4, "there is something to crash");
        assert!(outputs.values().flatten().count() > 20, "there is something to lose: {outputs:?}");
        for commit in 0..commits {
            for step in [
                CommitStep::Prepared,
                CommitStep::Sent,
                CommitStep::OffsetsSent,
                CommitStep::Committed,
                CommitStep::StoresWritten,
            ] {
                let (after, after_stores, _) = run(&topology, caching, Some((commit, step)));
                for (rows, expected) in [(&after_stores, &stores), (&after, &outputs)] {
                    for (name, expected) in expected {
                        assert_eq!(rows.get(name), Some(expected), "{name}: a crash at {step:?} of commit {commit}");
                    }
                    assert_eq!(rows.len(), expected.len(), "a crash at {step:?} of commit {commit}");
                }
            }
        }
    }
}
