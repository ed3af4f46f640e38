//! Processors as steps of what is built.

use std::sync::Arc;

use signalstream::builder::{Consumed, Data, Produced, Serdes, StreamsBuilder};
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Record, Request, StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::Format;
use signalstream::testing::TopologyTestDriver;

use crate::harness::built;

/// Numbers the records of each key, from a number on; hands them on whole, or by whether they are even.
#[derive(Clone, Copy)]
struct Numbering {
    from: i64,
    parts: bool,
}

impl Processor for Numbering {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let mut numbers = context.store("numbers")?;
        let number = match numbers.get(&record.key)? {
            Some(Value::Int(last)) => last + 1,
            _ => self.from,
        };
        numbers.put(&record.key, Value::Int(number))?;
        let record = record.with_value(number);
        match self.parts {
            true => context.forward_to(if number % 2 == 0 { "even" } else { "odd" }, record)?,
            false => context.forward(record)?,
        }
        Ok(())
    }
}

impl ProcessorSupplier for Numbering {
    fn name(&self) -> &str {
        "numbering"
    }

    fn children(&self) -> &[&str] {
        if self.parts { &["even", "odd"] } else { &[] }
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        let processor = *self;
        let output = Output::new().values(i64::shape()).keeps_key();
        let store = StoreDeclaration::key_value("numbers", Format::String, Shape::Int);
        let blueprint = Blueprint::new(move || processor).gives(output.clone()).store(store);
        Ok(if self.parts { blueprint.child("even", output.clone()).child("odd", output) } else { blueprint })
    }
}

#[test]
fn steps_are_processors_with_stores_of_their_own() {
    let builder = StreamsBuilder::new("app");
    let words = builder.stream("in", Consumed::with(Serdes::string(), Serdes::string()));
    let out = || Produced::with(Serdes::string(), Serdes::long());
    words.process::<String, i64>("one", Numbering { from: 1, parts: false }).map_values(|n| n * 10).to("out", out());
    let parts = words.process_to_outputs("two", Numbering { from: 100, parts: true });
    parts.stream::<String, i64>("even").to("even", out());
    parts.stream::<String, i64>("odd").map_values(|number| -number).to("odd", out());
    let topology = built(&builder);
    let stores: Vec<&str> = topology.subtopologies[0].stores.iter().map(|store| store.name.as_str()).collect();
    assert_eq!(stores, ["one-numbers", "two-numbers"]);

    let mut driver = TopologyTestDriver::new(&Arc::new(topology), builder.schemas()).unwrap();
    for time in 0..3 {
        driver.pipe("in", "k", "word", time).unwrap();
        driver.crash().unwrap();
    }
    let mut numbers = |topic| -> Vec<i64> {
        driver.read::<String, i64>(topic).unwrap().into_iter().map(|(_, number)| number).collect()
    };
    assert_eq!(numbers("out"), [10, 20, 30]);
    assert_eq!((numbers("even"), numbers("odd")), (vec![100, 102], vec![-101]));
}
