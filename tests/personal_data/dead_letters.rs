//! Dead letters of personal data: where a record is found and why it failed, and nothing of what it held.

use std::sync::Arc;

use signalstream::testing::{DriverOptions, OutputRecord, TopologyDriver};

use super::soundness::record;
use super::{plan, schemas};

/// A name that no recognizer knows for one.
const NAME: &str = "Quentin";

const TOPOLOGY: &str = "
topology: t
defaults: {key: string, value: json, dlq: failed}
sources:
  people: {topic: people, value: {avro: Person}}
streams:
  numbers:
    from: people
    steps:
      - map_values: {number: int(value.name)}
  by_name:
    from: people
    steps:
      - select_key: value.name
      - repartition
      - map_values: {number: \"{'a': 1}[key]\"}
sinks:
  - {from: numbers, topic: out, personal_data: true}
  - {from: by_name, topic: out2, personal_data: true}
";

fn dead_letters(topology: &str) -> Vec<OutputRecord> {
    let planned = plan(topology).unwrap_or_else(|found| panic!("{found}"));
    let mut driver = TopologyDriver::new(Arc::new(planned), schemas(), DriverOptions::default()).expect("a driver");
    let mut person = record("people", NAME, 0);
    person.value["name"] = NAME.into();
    driver.pipe(&person).expect("it is taken");
    driver.finish().expect("it ends");
    let mut outputs = driver.take_outputs();
    outputs.retain(|output| output.topic == "failed");
    outputs
}

#[test]
fn dead_letters_hold_nothing_of_what_failed() {
    let found = dead_letters(TOPOLOGY);
    assert_eq!(found.len(), 2, "{found:?}");
    let all = format!("{found:?}");
    let in_base64 = "UXVlbnRpbg";
    assert!(!all.contains(NAME) && !all.contains(in_base64), "{all}");
    let messages: Vec<&str> = found.iter().filter_map(|event| event.value["error_message"].as_str()).collect();
    assert_eq!(
        messages,
        ["`int(value.name)`: the value cannot be converted to int", "`{'a': 1}[key]`: there is no such field or entry"]
    );
    assert!(found.iter().all(|event| event.key.is_null() && event.value["original_topic"].is_string()), "{all}");
}

#[test]
fn what_holds_none_is_kept_whole() {
    // The same without the name: the key is that of the topic, and no personal data.
    let topology = TOPOLOGY.replace("select_key: value.name", "select_key: value.id");
    let found = dead_letters(&topology);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|event| !event.key.is_null()), "{found:?}");
}
