//! Dead letters of personal data: where a record is found and why it failed, and nothing of what it held.

use std::sync::Arc;

use signalstream::testing::{DriverOptions, InputRecord, OutputRecord, TopologyDriver};

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

/// The keys `k1` and `1`, as JSON shows their bytes.
const K1: &str = "azE=";
const ONE: &str = "MQ==";

/// A topology that makes something of what these sources read, which fails.
fn failing(sources: &str, made: &str) -> String {
    format!(
        "
topology: t
defaults: {{key: string, value: json, dlq: failed}}
sources:
{sources}
streams:
  made: {made}
sinks: [{{from: made, topic: out, personal_data: true}}]
"
    )
}

/// What a topology makes of records; the first error.
fn run(topology: &str, records: &[InputRecord]) -> Result<Vec<OutputRecord>, String> {
    let planned = plan(topology).unwrap_or_else(|found| panic!("{found}"));
    let mut driver = TopologyDriver::new(Arc::new(planned), schemas(), DriverOptions::default()).expect("a driver");
    for record in records {
        driver.pipe(record).map_err(|error| format!("{error} {error:?}"))?;
    }
    driver.finish().map_err(|error| format!("{error} {error:?}"))?;
    let mut outputs = driver.take_outputs();
    outputs.retain(|output| output.topic == "failed");
    Ok(outputs)
}

fn person() -> InputRecord {
    let mut person = record("people", "k1", 0);
    person.value["name"] = NAME.into();
    person
}

fn json(topic: &str, value: serde_json::Value) -> InputRecord {
    InputRecord { value, ..record(topic, "k1", 0) }
}

fn dead_letters(topology: &str) -> Vec<OutputRecord> {
    run(topology, &[person()]).unwrap_or_else(|error| panic!("{error}"))
}

/// Neither the name nor its bytes as JSON shows them.
fn assert_nameless(found: &str) {
    assert!(!found.contains(NAME) && !found.contains("UXVlbnRpb"), "{found}");
}

fn messages(found: &[OutputRecord]) -> Vec<&str> {
    found.iter().filter_map(|event| event.value["error_message"].as_str()).collect()
}

#[test]
fn dead_letters_hold_nothing_of_what_failed() {
    let found = dead_letters(TOPOLOGY);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_nameless(&format!("{found:?}"));
    assert_eq!(
        messages(&found),
        ["`int(value.name)`: the value cannot be converted to int", "`{'a': 1}[key]`: there is no such field or entry"]
    );
    // A key that came with a clean record is kept, also where another part of the topology makes keys of names.
    let keys: Vec<&serde_json::Value> = found.iter().map(|event| &event.key).collect();
    assert!(keys == [&serde_json::json!(K1), &serde_json::Value::Null], "{keys:?}");
    assert!(found.iter().all(|event| event.value["original_topic"].is_string()), "{found:?}");
}

#[test]
fn a_topology_that_stops_says_nothing_of_what_failed() {
    let stops = TOPOLOGY.replace("dlq: failed}", "on_error: {process: fail}}");
    let error = run(&stops, &[person()]).expect_err("it stops");
    assert_nameless(&error);
    assert!(error.contains("the value cannot be converted to int"), "{error}");
}

/// The order holds nothing, the customer who is looked up does.
#[test]
fn what_is_looked_up_is_not_in_the_message_of_a_clean_record() {
    let topology = failing(
        "  orders: {topic: orders}\n  customers: {topic: customers, kind: table, personal_data: [phone]}",
        "{join: {inputs: {order: orders, customer: customers}}, map_values: {number: int(customer.phone)}}",
    );
    let records = [json("customers", serde_json::json!({"phone": NAME})), json("orders", serde_json::json!({"n": 1}))];
    let found = run(&topology, &records).expect("it goes on");
    assert_nameless(&format!("{found:?}"));
    assert_eq!(messages(&found), ["`int(customer.phone)`: the value cannot be converted to int"]);
    assert!(found.iter().all(|event| event.value["value"].is_string()), "the order is kept: {found:?}");
}

/// What an agent finds is personal data, also in an internal topic whose source nobody has declared.
#[test]
fn what_an_agent_finds_is_not_in_the_dead_letters_of_an_internal_topic() {
    let topology = failing(
        "  chats: {topic: chats}",
        "
    from: chats
    steps:
      - call: {agent: pii, input: {text: string(value.text)}, into: found}
      - repartition: {name: between}
      - map_values: {number: 'int(value.found.entities[0].value)'}",
    );
    let chat = json("chats", serde_json::json!({"text": "write to sentinel.person@example.com"}));
    let found = run(&topology, &[chat]).expect("it goes on");
    assert_eq!(found.len(), 1, "{found:?}");
    let event = &found[0].value;
    assert_eq!(event["original_topic"], "t-between-repartition", "{found:?}");
    assert!(event["value"].is_null() && !event["error_message"].to_string().contains("sentinel"), "{found:?}");
}

/// A key that a source declares is in no dead letter, nor does an error quote it.
#[test]
fn a_declared_key_is_in_no_dead_letter() {
    let topology = failing(
        "  visits: {topic: visits, personal_data: [key]}",
        "{from: visits, steps: [{map_values: {number: int(key)}}]}",
    );
    let mut visit = json("visits", serde_json::json!({"page": 1}));
    visit.key = NAME.into();
    let found = run(&topology, &[visit]).expect("it goes on");
    assert_nameless(&format!("{found:?}"));
    assert_eq!(messages(&found), ["`int(key)`: the value cannot be converted to int"]);
}

/// A time that is made of personal data goes through repartition topics, and to no dead letter.
#[test]
fn a_time_that_is_personal_data_is_in_no_dead_letter() {
    const BORN: i64 = 77_000;
    let topology = |time: &str| {
        format!(
            "
topology: t
defaults: {{key: string, value: json, dlq: failed}}
sources:
  people: {{topic: people, value: {{avro: Person}}{time}}}
streams:
  early: {{from: people, steps: [{{map_values: {{number: int(value.name)}}}}]}}
  late:
    from: people
    steps:
      - repartition
      - map_values: {{number: int(value.name)}}
sinks: [{{from: early, topic: out, personal_data: true}}, {{from: late, topic: out2, personal_data: true}}]
"
        )
    };
    let mut born = person();
    born.value["born"] = BORN.into();
    born.timestamp = Some(4000);
    let times = |time: &str| {
        let found = run(&topology(time), &[born.clone()]).expect("it goes on");
        found.iter().map(|event| event.timestamp).collect::<Vec<_>>()
    };
    assert_eq!(times(""), [4000, 4000], "the records' own");
    // The first is of the record as it came; the second has the time of the failure, which is 0 here.
    assert_eq!(times(", timestamp: value.born"), [4000, 0]);
}

#[test]
fn keys_that_hold_none_are_kept() {
    // The same without the name: the key is that of the topic, and no personal data.
    let topology = TOPOLOGY.replace("select_key: value.name", "select_key: value.id");
    let found = dead_letters(&topology);
    let keys: Vec<&serde_json::Value> = found.iter().map(|event| &event.key).collect();
    assert_eq!(keys, [K1, ONE], "{found:?}");
}
