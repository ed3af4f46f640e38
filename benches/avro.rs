//! Avro against apache-avro's generic reader and writer, on what the support topology wrote, in one run: a whole
//! AggregatedIntelligence read, two of its fields read, one written; and how large the messages of each schema are beside
//! their JSON. The exit status is 1 where a ratio is below what is wanted.
//!
//! Repeat with `cargo bench --bench avro`. Input: the real conversations where they are at hand
//! (`../shared/data/support-messages.jsonl`), else the samples.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

#[path = "common/processor_time.rs"]
mod processor_time;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use apache_avro::types::Value as Generic;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use bytes::Bytes;
use signalstream::agents::Agents;
use signalstream::record::{Fields, Value};
use signalstream::serdes::{Format, SchemaRegistry, Serde, TopicSerde};
use signalstream::testing::{DriverOptions, InputLine, OutputRecord, TopologyDriver, parse_line};
use signalstream::topology::{PlanOptions, load};
use tikv_jemallocator::Jemalloc;

use processor_time::processor_time;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const SCHEMA: &str = include_str!("../schemas/AggregatedIntelligence.avsc");
/// The frame in front of a payload: a zero byte and the schema's id.
const FRAME: usize = 5;
/// How many messages a pass reads or writes.
const MESSAGES: usize = 1_000;
const PASSES: usize = 101;
/// The schemas of the topics, by topic.
const TOPICS: [(&str, &str); 8] = [
    ("support.messages.raw", "MessageCreated"),
    ("support.ai.pii", "PIIDetectionResult"),
    ("support.ai.sentiment", "SentimentResult"),
    ("support.ai.insights", "InsightsResult"),
    ("support.ai.summary", "SummaryResult"),
    ("support.conversations.state", "ConversationState"),
    ("support.ai.aggregated", "AggregatedIntelligence"),
    ("support.ai.escalations", "Escalation"),
];

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn input_file() -> PathBuf {
    let real = manifest().join("../shared/data/support-messages.jsonl");
    if real.exists() { real } else { manifest().join("topologies/samples/support-conversations.jsonl") }
}

/// What goes in and what comes out, as JSON, by topic.
fn messages(registry: &SchemaRegistry) -> BTreeMap<String, Vec<serde_json::Value>> {
    let text = fs::read_to_string(manifest().join("topologies/support-intelligence.yaml")).unwrap();
    let options = PlanOptions { registry, agents: &Agents::local(), projection: true };
    let topology = load("support-intelligence.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let mut driver = TopologyDriver::new(Arc::new(topology), registry, DriverOptions::default()).unwrap();
    let mut found: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    let mut note = |outputs: Vec<OutputRecord>| {
        for output in outputs.into_iter().filter(|output| !output.value.is_null()) {
            found.entry(output.topic).or_default().push(output.value);
        }
    };
    let mut inputs = Vec::new();
    for line in fs::read_to_string(input_file()).unwrap().lines() {
        if let Some(InputLine::Record(record)) = parse_line(line).unwrap() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            inputs.push(json["value"].clone());
            driver.pipe(&record).unwrap();
            note(driver.take_outputs());
        }
    }
    driver.finish().unwrap();
    note(driver.take_outputs());
    found.insert("support.messages.raw".to_owned(), inputs);
    found
}

fn sizes(registry: &SchemaRegistry, messages: &BTreeMap<String, Vec<serde_json::Value>>) {
    let mut out = stdout();
    let mut total = (0, 0);
    for (topic, schema) in TOPICS {
        let serde = TopicSerde::new(&Format::String, &Format::Avro(schema.to_owned()), registry).unwrap();
        let (mut avro, mut json) = (0, 0);
        let values = messages.get(topic).map(Vec::as_slice).unwrap_or_default();
        for value in values {
            avro += serde.encode_value(value).unwrap().map_or(0, |bytes| bytes.len());
            json += serde_json::to_vec(value).unwrap().len();
        }
        total = (total.0 + avro, total.1 + json);
        assert!(!values.is_empty(), "no {schema} was written");
        let (count, smaller) = (values.len(), 100.0 * (1.0 - avro as f64 / json as f64));
        let each = |bytes: usize| bytes / count;
        writeln!(
            out,
            "  {schema:22} {count:6} messages, {:4} bytes as Avro with its frame, {:4} as JSON: {smaller:.0}% smaller",
            each(avro),
            each(json)
        )
        .unwrap();
    }
    let smaller = 100.0 * (1.0 - total.0 as f64 / total.1 as f64);
    writeln!(out, "  all together {} bytes as Avro, {} as JSON: {smaller:.0}% smaller", total.0, total.1).unwrap();
}

/// The median processor times of passes of two, which take turns so that both see the same machine. What a pass is given is made
/// outside the time.
fn compare<A, B>(
    (mut give_first, mut first): (impl FnMut() -> A, impl FnMut(A)),
    (mut give_second, mut second): (impl FnMut() -> B, impl FnMut(B)),
) -> (Duration, Duration) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        let given = give_first();
        let started = processor_time();
        first(given);
        times.0.push(processor_time() - started);
        let given = give_second();
        let started = processor_time();
        second(given);
        times.1.push(processor_time() - started);
    }
    times.0.sort();
    times.1.sort();
    (times.0[PASSES / 2], times.1[PASSES / 2])
}

/// Says what came out, and whether it is as much as is wanted.
fn report(what: &str, (ours, theirs): (Duration, Duration), wanted: f64) -> bool {
    let per = |time: Duration| time.as_nanos() as f64 / MESSAGES as f64;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    writeln!(
        stdout(),
        "  {what}: {:.0} ns, apache-avro {:.0} ns per message: {ratio:.1} times as fast (at least {wanted} wanted)",
        per(ours),
        per(theirs)
    )
    .unwrap();
    ratio >= wanted
}

/// Says how fast reading and writing are, and whether that is as fast as is wanted.
fn speed(registry: &SchemaRegistry, values: &[serde_json::Value]) -> bool {
    let format = Format::Avro("AggregatedIntelligence".to_owned());
    let topic = TopicSerde::new(&Format::String, &format, registry).unwrap();
    let payloads: Vec<Bytes> =
        values.iter().cycle().take(MESSAGES).map(|value| topic.encode_value(value).unwrap().unwrap()).collect();
    let serde = Serde::new(&format, registry).unwrap();
    let whole = serde.deserializer(&Fields::All);
    let mut two = Fields::path(&["tenant_id"]);
    two.merge(&Fields::path(&["sentiment", "confidence"]));
    let two = serde.deserializer(&two);
    let writer = serde.serializer(serde.shape()).unwrap();
    let schema = Schema::parse_str(SCHEMA).unwrap();
    let read: Vec<Value> = payloads.iter().map(|payload| whole.deserialize(payload).unwrap()).collect();
    let generic: Vec<Generic> =
        payloads.iter().map(|payload| from_avro_datum(&schema, &mut &payload[FRAME..], None).unwrap()).collect();
    for (value, (generic, payload)) in read.iter().zip(generic.iter().zip(&payloads)) {
        let mut out = Vec::new();
        writer.serialize(value, &mut out).unwrap();
        assert_eq!(out[..], payload[..], "what was read is written as it was");
        assert_eq!(to_avro_datum(&schema, generic.clone()).unwrap(), payload[FRAME..], "and so by apache-avro");
    }
    let theirs = || {
        for payload in &payloads {
            black_box(from_avro_datum(&schema, &mut &payload[FRAME..], None).unwrap());
        }
    };
    let ours = |reader: &signalstream::serdes::Deserializer| {
        for payload in &payloads {
            black_box(reader.deserialize(payload).unwrap());
        }
    };
    let read_whole = report("read, whole", compare((|| (), |()| ours(&whole)), (|| (), |()| theirs())), 4.0);
    let read_two = report("read, two fields", compare((|| (), |()| ours(&two)), (|| (), |()| theirs())), 10.0);
    let mut out = Vec::new();
    let write = |()| {
        for value in &read {
            out.clear();
            writer.serialize(value, &mut out).unwrap();
            black_box(&out);
        }
    };
    let write_theirs = |values: Vec<Generic>| {
        for value in values {
            black_box(to_avro_datum(&schema, value).unwrap());
        }
    };
    report("write", compare((|| (), write), (|| generic.clone(), write_theirs)), 3.0) && read_whole && read_two
}

fn main() -> ExitCode {
    let mut registry = SchemaRegistry::new();
    registry.load_directory(&manifest().join("schemas")).unwrap();
    let messages = messages(&registry);
    writeln!(stdout(), "Avro, of {}", input_file().display()).unwrap();
    sizes(&registry, &messages);
    let aggregated = messages.get("support.ai.aggregated").expect("the topology writes some");
    if speed(&registry, aggregated) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
