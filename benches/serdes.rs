//! MessageCreated decoded, filtered by its sender and encoded: by compiled plans, and by apache-avro's
//! generic reader and writer, on the same payloads in one run. Ends with the ratio of the two.

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::types::Value as Generic;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use signalstream::record::{Fields, Value};
use signalstream::serdes::{Deserializer, Format, SchemaRegistry, Serde, Serializer};

const SCHEMA: &str = include_str!("../schemas/MessageCreated.avsc");
const MESSAGES: usize = 1_000;
/// The frame in front of a payload: a zero byte and the schema's id.
const FRAME: usize = 5;
const TEXTS: [&str; 4] = [
    "Where is my order? It was supposed to arrive on Monday and nobody answers the phone.",
    "Thanks!",
    "I have been charged twice for the same subscription. Please refund one of the payments, my reference is in \
     the email I sent yesterday, and I would like a confirmation in writing this time.",
    "Let me check that for you.",
];

fn message(schema: &Schema, index: usize) -> Generic {
    let mut record = apache_avro::types::Record::new(schema).expect("a record");
    let (sender, symbol) = if index.is_multiple_of(2) { (0, "customer") } else { (1, "agent") };
    record.put("message_id", format!("msg-{index:012}"));
    record.put("conversation_id", format!("conversation-{:08}", index / 6));
    record.put("tenant_id", format!("tenant-{}", index % 7));
    record.put("sender", Generic::Enum(sender, symbol.to_owned()));
    record.put("message", TEXTS[index % TEXTS.len()]);
    record.put("channel", Generic::Enum(0, "chat".to_owned()));
    record.put("timestamp", Generic::TimestampMillis(1_700_000_000_000 + index as i64));
    record.into()
}

/// Bytes written for the messages that pass.
fn compiled(payloads: &[Bytes], reader: &Deserializer, writer: &Serializer, sender: usize, out: &mut Vec<u8>) -> usize {
    let mut written = 0;
    for payload in payloads {
        let value = reader.deserialize(payload).expect("a message");
        let Value::Struct(fields) = &value else { continue };
        if fields.values().get(sender).and_then(Value::as_str) == Some("customer") {
            out.clear();
            writer.serialize(&value, out).expect("a message");
            written += black_box(&out).len() - FRAME;
        }
    }
    written
}

fn generic(payloads: &[Bytes], schema: &Schema, sender: usize) -> usize {
    let mut written = 0;
    for payload in payloads {
        let value = from_avro_datum(schema, &mut &payload[FRAME..], None).expect("a message");
        let passes = match &value {
            Generic::Record(fields) => matches!(&fields[sender].1, Generic::Enum(_, symbol) if symbol == "customer"),
            _ => false,
        };
        if passes {
            written += black_box(to_avro_datum(schema, value).expect("a message")).len();
        }
    }
    written
}

/// The median time of a pass of each, with the two kinds of pass in turns so that both see the same machine.
fn compare(mut first: impl FnMut() -> usize, mut second: impl FnMut() -> usize) -> (Duration, Duration) {
    let time = |pass: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        black_box(pass());
        start.elapsed()
    };
    let mut times: Vec<(Duration, Duration)> = (0..101).map(|_| (time(&mut first), time(&mut second))).collect();
    times.sort_by_key(|pair| pair.0);
    let median = times[times.len() / 2].0;
    times.sort_by_key(|pair| pair.1);
    (median, times[times.len() / 2].1)
}

fn main() {
    let mut registry = SchemaRegistry::new();
    registry.add("MessageCreated.avsc", SCHEMA).expect("a schema");
    let serde = Serde::new(&Format::Avro("MessageCreated".to_owned()), &registry).expect("a serde");
    let schema = Schema::parse_str(SCHEMA).expect("a schema");
    let mut frame = vec![0];
    frame.extend_from_slice(&registry.id("MessageCreated").expect("an id").to_be_bytes());
    let payloads: Vec<Bytes> = (0..MESSAGES)
        .map(|index| to_avro_datum(&schema, message(&schema, index)).expect("a message"))
        .map(|datum| Bytes::from([frame.as_slice(), datum.as_slice()].concat()))
        .collect();
    // All fields are needed: what passes is written whole.
    let reader = serde.deserializer(&Fields::All);
    let sender_only = serde.deserializer(&Fields::path(&["sender"]));
    let writer = serde.serializer(serde.shape()).expect("a serializer");
    let sender = 3;
    let mut out = Vec::new();
    let expected = generic(&payloads, &schema, sender);
    assert_eq!(compiled(&payloads, &reader, &writer, sender, &mut out), expected, "both write the same bytes");

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("MessageCreated");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("compiled", |bencher| {
        bencher.iter(|| compiled(&payloads, &reader, &writer, sender, &mut out));
    });
    group.bench_function("compiled, sender only, no encode", |bencher| {
        bencher.iter(|| payloads.iter().map(|payload| sender_only.deserialize(payload)).filter(Result::is_ok).count());
    });
    group.bench_function("apache-avro", |bencher| bencher.iter(|| generic(&payloads, &schema, sender)));
    group.finish();

    let (ours, theirs) =
        compare(|| compiled(&payloads, &reader, &writer, sender, &mut out), || generic(&payloads, &schema, sender));
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!(
        "compiled {:.0} ns, apache-avro {:.0} ns per message: {ratio:.1} times as fast (at least 5 wanted)",
        ours.as_nanos() as f64 / MESSAGES as f64,
        theirs.as_nanos() as f64 / MESSAGES as f64
    );
}
