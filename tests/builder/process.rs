//! Processors as steps of what is built.

use std::sync::Arc;

use signalstream::builder::{Consumed, Data, Produced, Serdes, StateStore, StreamsBuilder};
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Processors, Record, Request,
    StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::Format;
use signalstream::testing::TopologyTestDriver;

use crate::harness::{Case, Input, built, json, lines};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[processors_in_both_forms];

/// Numbers the records of each key, from a number on; hands them on whole, or by whether they are even.
#[derive(Clone, Copy)]
struct Numbering {
    name: &'static str,
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
        self.name
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

/// Hands on how often a key has come to any step that has its store.
struct Counting;

impl Processor for Counting {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let mut seen = context.store("seen")?;
        let times = match seen.get(&record.key)? {
            Some(Value::Int(times)) => times + 1,
            _ => 1,
        };
        seen.put(&record.key, Value::Int(times))?;
        context.forward(record.with_value(times))?;
        Ok(())
    }
}

struct CountingAll;

impl ProcessorSupplier for CountingAll {
    fn name(&self) -> &str {
        "counting"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Counting).gives(Output::new().values(i64::shape()).keeps_key()))
    }
}

#[test]
fn processors_in_both_forms() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources:
  words: {topic: in, key: string, value: string}
  more: {topic: more, key: string, value: string}
streams:
  one: {from: words, steps: [{process: {processor: whole}}]}
  two: {from: words, steps: [{process: {processor: parts}}]}
  counted: {from: words, steps: [{process: {processor: counting, stores: [{name: seen, key: string, value: long}]}}]}
  again: {from: more, steps: [{process: {processor: counting, stores: [{name: seen, key: string, value: long}]}}]}
sinks:
  - {from: one, topic: one}
  - {from: two.even, topic: even}
  - {from: two.odd, topic: odd}
  - {from: counted, topic: counted}
  - {from: again, topic: again}
";
    let whole = Numbering { name: "whole", from: 1, parts: false };
    let parts = Numbering { name: "parts", from: 100, parts: true };
    let build = |builder: &StreamsBuilder| {
        let texts = |name| Consumed::with(Serdes::string(), Serdes::string()).named(name);
        let (words, more) = (builder.stream("in", texts("words")), builder.stream("more", texts("more")));
        words.process::<String, i64>("one", whole).to("one", json());
        let two = words.process_to_outputs("two", parts, &[]);
        two.stream::<String, i64>("even").to("even", json());
        two.stream::<String, i64>("odd").to("odd", json());
        let seen = [StateStore::key_value("seen", Serdes::string(), Serdes::long())];
        words.process_with_stores::<String, i64>("counted", CountingAll, &seen).to("counted", json());
        more.process_with_stores::<String, i64>("again", CountingAll, &seen).to("again", json());
    };
    let word = r#""word""#;
    let input: [Input<'_>; 4] =
        [("in", r#""a""#, word, 0), ("in", r#""a""#, word, 1), ("more", r#""a""#, word, 2), ("in", r#""b""#, word, 3)];
    let processors = Processors::new().with(whole).with(parts).with(CountingAll);
    let out = lines(&Case::new(yaml, &input).processors(processors).assert_same(build));
    for line in [r#"one "a"=2 @1"#, r#"odd "a"=101 @1"#, r#"counted "a"=2 @1"#, r#"again "a"=3 @2"#] {
        assert!(out.contains(&line.to_owned()), "{line}: {out:?}");
    }
}

#[test]
fn steps_are_processors_with_stores_of_their_own() {
    let builder = StreamsBuilder::new("app");
    let words = builder.stream("in", Consumed::with(Serdes::string(), Serdes::string()));
    let out = || Produced::with(Serdes::string(), Serdes::long());
    words
        .process::<String, i64>("one", Numbering { name: "n", from: 1, parts: false })
        .map_values(|n| n * 10)
        .to("out", out());
    let parts = words.process_to_outputs("two", Numbering { name: "n", from: 100, parts: true }, &[]);
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
