//! Processors: what comes out is made of all that they are given and keep, unless they say otherwise.

use signalstream::agents::Agents;
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Processors, Record, Request,
};
use signalstream::topology::taint::PlaceKind;
use signalstream::topology::{PlanOptions, Topology, load_with};

use super::schemas;

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
    clears: bool,
}

impl ProcessorSupplier for Supplier {
    fn name(&self) -> &str {
        self.name
    }

    fn plan(&self, _: &Request) -> Result<Blueprint, ProcessorError> {
        let output = Output::new().keeps_key();
        let output = if self.clears { output.clears_personal_data() } else { output };
        Ok(Blueprint::new(|| Passing).gives(output))
    }
}

fn plan(steps: &str, sink: &str) -> Result<Topology, Vec<String>> {
    let mut processors = Processors::new();
    for (name, clears) in [("pass", false), ("redact", true)] {
        processors.add(Supplier { name, clears });
    }
    let text = format!(
        "topology: t\ndefaults: {{key: string, value: json}}\nsources:\n  people: {{topic: people, value: {{avro: Person}}}}\n  \
         visits: {{topic: visits}}\nstreams:\n  done:\n    from: people\n    steps:\n{steps}  other:\n    from: visits\n    \
         steps:\n      - process: {{processor: pass, stores: [{{name: shared, key: string, value: json}}]}}\n\
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
    assert_eq!(refused, ["`value` and `headers` are personal data, and the topic `out` is not declared for it"]);
    assert!(plan(steps, ", personal_data: true").is_ok());
    let without = "      - map_values: {id: value.id}\n      - process: {processor: pass}\n";
    assert!(plan(without, "").is_ok(), "nothing went in");
}

#[test]
fn a_processor_may_say_that_nothing_comes_out() {
    assert!(plan("      - process: {processor: redact}\n", "").is_ok());
}

#[test]
fn what_one_processor_stores_another_may_give() {
    let stores = "stores: [{name: shared, key: string, value: json}]";
    let refused = plan(&format!("      - process: {{processor: redact, {stores}}}\n"), "").expect_err("it is refused");
    assert!(refused.len() == 1 && refused[0].contains("the topic `out2`"), "{refused:?}");
    let planned = plan("      - map_values: {id: value.id}\n      - process: {processor: pass}\n", "").expect("a plan");
    let stores: Vec<_> = planned.personal_data.places.iter().filter(|place| place.kind == PlaceKind::Store).collect();
    assert!(stores.is_empty(), "{stores:?}");
}
