//! Processors: what comes out is made of all that they are given and keep, unless they say otherwise.

use std::sync::Arc;

use signalstream::agents::Agents;
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Processors, Record, Request,
};
use signalstream::record::{Fields, Shape};
use signalstream::testing::{DriverOptions, TopologyDriver};
use signalstream::topology::taint::PlaceKind;
use signalstream::topology::{PlanOptions, Topology, load_with};

use super::schemas;
use super::soundness::record;

/// Hands on what it is given.
struct Passing;

impl Processor for Passing {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        Ok(context.forward(record)?)
    }
}

/// Makes processors that say, or do not, that no personal data comes out.
struct Supplier {
    name: &'static str,
    output: fn() -> Output,
}

impl ProcessorSupplier for Supplier {
    fn name(&self) -> &str {
        self.name
    }

    fn plan(&self, _: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Passing).gives((self.output)()))
    }
}

/// A processor's name, and what it says of its output.
type Named = (&'static str, fn() -> Output);

fn plan(steps: &str, sink: &str) -> Result<Topology, Vec<String>> {
    plan_with(steps, sink, "pass")
}

/// The same with another processor beside it, which has the same store.
fn plan_with(steps: &str, sink: &str, other: &str) -> Result<Topology, Vec<String>> {
    let mut processors = Processors::new();
    let outputs: [Named; 5] = [
        ("pass", || Output::new().keeps_key()),
        ("redact", || Output::new().keeps_key().clears_personal_data()),
        ("clear", || Output::new().clears_personal_data()),
        ("name", || Output::new().keys(Shape::String).clears_personal_data()),
        ("in-time", || Output::new().keeps_key().keeps_timestamp()),
    ];
    for (name, output) in outputs {
        processors.add(Supplier { name, output });
    }
    let text = format!(
        "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  people: {{topic: people, value: {{avro: Person}}}}\n  \
         visits: {{topic: visits}}\nstreams:\n  done:\n    from: people\n    steps:\n{steps}  other:\n    from: visits\n    \
         steps:\n      - process: {{processor: {other}, stores: [{{name: shared, key: string, value: json}}]}}\n\
         sinks:\n  - {{from: done, topic: out{sink}}}\n  - {{from: other, topic: out2}}\n"
    );
    let agents = Agents::local();
    let options = PlanOptions { registry: schemas(), agents: &agents, projection: true };
    let planned = load_with("topology.yaml", &text, &options, &processors);
    planned.map_err(|found| found.iter().map(|mistake| mistake.message().to_owned()).collect())
}

#[test]
fn what_a_processor_gives_is_personal_data_if_what_it_is_given_is() {
    let steps = "      - process: {processor: pass}\n";
    let refused = plan(steps, "").expect_err("it is refused");
    assert_eq!(
        refused,
        ["`value`, `headers` and `timestamp` are personal data, and the topic `out` is not declared for it"]
    );
    assert!(plan(steps, ", personal_data: true").is_ok());
    let without = "      - map_values: {id: value.id}\n      - process: {processor: pass}\n";
    assert!(plan(without, "").is_ok(), "nothing went in");
}

#[test]
fn a_processor_may_say_that_nothing_comes_out() {
    assert!(plan("      - process: {processor: redact}\n", "").is_ok());
}

/// What it clears is what it makes. A key that may be the one that came is what that was.
#[test]
fn a_processor_that_clears_hands_on_keys_as_they_came() {
    let keyed =
        |processor: &str| format!("      - select_key: value.name\n      - process: {{processor: {processor}}}\n");
    for processor in ["redact", "clear"] {
        let refused = plan(&keyed(processor), "").expect_err("it is refused");
        assert_eq!(refused, ["`key` is personal data, and the topic `out` is not declared for it"], "{processor}");
    }
    assert!(plan(&keyed("name"), "").is_ok(), "new keys are cleared");
}

#[test]
fn timestamps_hold_what_a_processor_is_given_unless_it_keeps_them() {
    let refused = plan("      - process: {processor: in-time}\n", "").expect_err("it is refused");
    assert_eq!(refused, ["`value` and `headers` are personal data, and the topic `out` is not declared for it"]);
}

#[test]
fn what_one_processor_stores_another_may_give() {
    let stores = "stores: [{name: shared, key: string, value: json}]";
    let refused = plan(&format!("      - process: {{processor: redact, {stores}}}\n"), "").expect_err("it is refused");
    assert!(refused.len() == 1 && refused[0].contains("the topic `out2`"), "{refused:?}");
    // A key that is stored may be handed on later.
    assert!(refused[0].starts_with("`key`, `value`"), "{refused:?}");
    let planned = plan("      - map_values: {id: value.id}\n      - process: {processor: pass}\n", "").expect("a plan");
    let stores: Vec<_> = planned.personal_data.places.iter().filter(|place| place.kind == PlaceKind::Store).collect();
    assert!(stores.is_empty(), "{stores:?}");
}

/// One that clears answers for what it makes; a key that came to another, and is stored, is what it was.
#[test]
fn a_key_that_came_and_is_stored_may_be_handed_on_by_another() {
    let stores = "stores: [{name: shared, key: string, value: json}]";
    let keyed = format!(
        "      - select_key: value.name\n      - map_values: {{id: value.id}}\n      - process: {{processor: redact, {stores}}}\n"
    );
    let with = |other: &str| plan_with(&keyed, ", personal_data: [key]", other).err();
    let refused = with("redact").expect("it is refused");
    assert_eq!(refused, ["`key` is personal data, and the topic `out2` is not declared for it"]);
    assert_eq!(with("name"), None, "new keys are cleared");
}

/// Hands on what it was given, of which it reads the id.
struct ReadingSupplier;

impl ProcessorSupplier for ReadingSupplier {
    fn name(&self) -> &str {
        "read-id"
    }

    fn plan(&self, _: &Request) -> Result<Blueprint, ProcessorError> {
        let output = Output::new().keeps_key().keeps_timestamp();
        Ok(Blueprint::new(|| Passing).reads(Fields::path(&["id"])).gives(output))
    }
}

/// What is not read has been decoded for another, and does not come out all the same.
#[test]
fn a_processor_is_given_what_it_reads_and_no_more() {
    let text = "
topology: t
defaults: {key: string, value: json}
sources: {people: {topic: people, value: {avro: Person}}}
streams: {read: {from: people, steps: [{process: {processor: read-id}}]}}
sinks:
  - {from: read, topic: out}
  - {from: people, topic: kept, personal_data: true}
";
    let agents = Agents::local();
    let options = PlanOptions { registry: schemas(), agents: &agents, projection: true };
    let planned = load_with("topology.yaml", text, &options, &Processors::new().with(ReadingSupplier));
    let planned = planned.unwrap_or_else(|found| panic!("{found}"));
    let mut driver = TopologyDriver::new(Arc::new(planned), schemas(), DriverOptions::default()).expect("a driver");
    driver.pipe(&record("people", "k", 5)).expect("it is taken");
    driver.finish().expect("it ends");
    let outputs = driver.take_outputs();
    let (read, kept): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.topic == "out");
    assert!(read.len() == 1 && read[0].value["id"] == "1" && !format!("{read:?}").contains("sentinel"), "{read:?}");
    assert!(format!("{kept:?}").contains("sentinel"), "{kept:?}");
}

/// Forwards later than it was given.
struct Late;

impl Processor for Late {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let timestamp = record.timestamp + 1;
        Ok(context.forward(record.with_timestamp(timestamp))?)
    }
}

/// Makes them, and says that they keep timestamps.
struct LateSupplier;

impl ProcessorSupplier for LateSupplier {
    fn name(&self) -> &str {
        "late"
    }

    fn plan(&self, _: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Late).gives(Output::new().keeps_timestamp()))
    }
}

#[test]
fn a_processor_that_keeps_timestamps_cannot_forward_another_one() {
    let text = "
topology: t
defaults: {key: string, value: json, dlq: failed}
sources: {people: {topic: people}}
streams: {late: {from: people, steps: [{process: {processor: late}}]}}
sinks: [{from: late, topic: out}]
";
    let agents = Agents::local();
    let options = PlanOptions { registry: schemas(), agents: &agents, projection: true };
    let planned = load_with("topology.yaml", text, &options, &Processors::new().with(LateSupplier));
    let planned = planned.unwrap_or_else(|found| panic!("{found}"));
    let mut driver = TopologyDriver::new(Arc::new(planned), schemas(), DriverOptions::default()).expect("a driver");
    driver.pipe(&record("people", "k", 5)).expect("it is taken");
    driver.finish().expect("it ends");
    let outputs = driver.take_outputs();
    assert!(outputs.iter().all(|output| output.topic == "failed") && outputs.len() == 1, "{outputs:?}");
    assert!(outputs[0].value["error_message"].to_string().contains("keeps timestamps"), "{outputs:?}");
}
