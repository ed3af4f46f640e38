//! `emit: {every: …}` with more changed rows than are known without looking at the store.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::agents::Agents;
use crate::serdes::SchemaRegistry;
use crate::testing::{DriverOptions, InputRecord, TopologyDriver};
use crate::topology::{PlanOptions, load};

const TOPOLOGY: &str = "
topology: every
sources:
  in: {topic: in, key: string, value: json}
tables:
  counted:
    from: in
    aggregate: {n: count()}
    emit: {every: 10s}
sinks:
  - {from: counted, topic: out, key: string, value: json}
";

fn driver() -> TopologyDriver {
    let (registry, agents) = (SchemaRegistry::new(), Agents::local());
    let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
    let topology = load("every.yaml", TOPOLOGY, &options).unwrap_or_else(|problems| panic!("{problems}"));
    TopologyDriver::new(Arc::new(topology), &registry, DriverOptions::default()).unwrap()
}

fn pipe(driver: &mut TopologyDriver, keys: impl Iterator<Item = u32>) {
    for key in keys {
        let record = InputRecord {
            topic: "in".to_owned(),
            partition: None,
            key: json!(format!("{key:05}")),
            value: json!(1),
            value_base64: None,
            timestamp: Some(0),
            headers: serde_json::Map::new(),
        };
        driver.pipe(&record).unwrap();
    }
}

/// The keys and counts that come when the interval has passed.
fn interval(driver: &mut TopologyDriver) -> Vec<(String, i64)> {
    driver.advance_wall_clock(Duration::from_secs(10)).unwrap();
    let outputs = driver.take_outputs().into_iter();
    outputs.map(|record| (record.key.as_str().unwrap().to_owned(), record.value["n"].as_i64().unwrap())).collect()
}

fn expected(keys: impl Iterator<Item = u32>, count: i64) -> Vec<(String, i64)> {
    keys.map(|key| (format!("{key:05}"), count)).collect()
}

#[test]
fn each_row_that_has_changed_comes_once_in_order_however_many_there_are() {
    let mut driver = driver();
    driver.advance_wall_clock(Duration::from_secs(1)).unwrap();
    // Backwards, and more than are known without looking.
    pipe(&mut driver, (0..20_000).rev());
    assert_eq!(interval(&mut driver), expected(0..20_000, 1));
    assert_eq!(interval(&mut driver), []);
    pipe(&mut driver, 0..20_000);
    assert_eq!(interval(&mut driver), expected(0..20_000, 2));
    pipe(&mut driver, [7, 3, 19_999, 3].into_iter());
    let rows = [("00003", 4), ("00007", 3), ("19999", 3)];
    assert_eq!(interval(&mut driver), rows.map(|(key, count)| (key.to_owned(), count)));
    // What is known is forgotten with the task.
    pipe(&mut driver, (100..200).rev());
    driver.finish().unwrap();
    driver.crash().unwrap();
    pipe(&mut driver, 150..151);
    let mut rows = expected(100..200, 3);
    rows[50].1 = 4;
    assert_eq!(interval(&mut driver), rows);
    pipe(&mut driver, 150..152);
    assert_eq!(interval(&mut driver), [("00150".to_owned(), 5), ("00151".to_owned(), 4)]);
}
