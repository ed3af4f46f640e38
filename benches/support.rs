//! The whole support topology, in one process, on an embedded log in a temporary directory: records per second,
//! and where the time goes.
//!
//! Repeat with `cargo bench --bench support`. Input: the real conversations where they are at hand
//! (`../shared/data/support-messages.jsonl`), else the samples; repeated with new ids and later times.
#![allow(missing_docs, reason = "a benchmark has no public interface")]

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use serde_json::Value as Json;
use signalstream::agents::Agents;
use signalstream::config::CreateTopics;
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, ProducerRecord};
use signalstream::record::{Headers, Shape, StructShape, StructValue, Text, Value};
use signalstream::runtime::{Application, ApplicationOptions, prepare_topics};
use signalstream::serdes::{Format, SchemaRegistry, TopicSerde};
use signalstream::sink::partition_for;
use signalstream::state::{StateDirectory, StateOptions};
use signalstream::time::SystemClock;
use signalstream::topology::plan::Topology;
use signalstream::topology::{PlanOptions, load};

const MESSAGES: usize = 24_220;
const INPUT: &str = "support.messages.raw";

struct Setting {
    registry: SchemaRegistry,
    topology: Topology,
    messages: Vec<Json>,
}

fn setting() -> Setting {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut registry = SchemaRegistry::new();
    registry.load_directory(&manifest.join("schemas")).unwrap();
    let text = fs::read_to_string(manifest.join("topologies/support-intelligence.yaml")).unwrap();
    let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
    let topology = load("support-intelligence.yaml", &text, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let lines = fs::read_to_string(input_file(manifest)).unwrap();
    let once: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let repeat = |n: usize| {
        let mut message = once[n % once.len()].clone();
        let round = n / once.len();
        let later = message["timestamp"].as_i64().unwrap() + round as i64 * 86_400_000;
        let conversation = format!("{}-{round}", message["value"]["conversation_id"].as_str().unwrap());
        message["key"] = format!("{}|{conversation}", message["value"]["tenant_id"].as_str().unwrap()).into();
        message["value"]["message_id"] = format!("{n}").into();
        message["value"]["conversation_id"] = conversation.into();
        message["value"]["timestamp"] = later.into();
        message["timestamp"] = later.into();
        message
    };
    Setting { registry, topology, messages: (0..MESSAGES).map(repeat).collect() }
}

fn input_file(manifest: &Path) -> PathBuf {
    let real = manifest.join("../shared/data/support-messages.jsonl");
    if real.exists() { real } else { manifest.join("topologies/samples/support-conversations.jsonl") }
}

fn produce(log: &EmbeddedLog, setting: &Setting) {
    let serde =
        TopicSerde::new(&Format::String, &Format::Avro("MessageCreated".to_owned()), &setting.registry).unwrap();
    let partitions = log.admin().topics().unwrap()[INPUT].partitions;
    let mut producer = log.transactional_producer("input").unwrap();
    for batch in setting.messages.chunks(1_000) {
        producer.begin().unwrap();
        for message in batch {
            let key = serde.encode_key(&message["key"]).unwrap();
            producer
                .send(ProducerRecord {
                    topic: Arc::from(INPUT),
                    partition: partition_for(key.as_ref().unwrap(), partitions),
                    timestamp: message["timestamp"].as_i64().unwrap(),
                    key,
                    value: serde.encode_value(&message["value"]).unwrap(),
                    headers: Headers::default(),
                })
                .unwrap();
        }
        producer.commit().unwrap();
    }
}

fn run(setting: &Setting, threads: usize) -> (Duration, u64) {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&directory.path().join("log"), EmbeddedOptions::default()).unwrap();
    prepare_topics(&setting.topology, log.admin().as_ref(), CreateTopics::All).unwrap();
    produce(&log, setting);
    let state = StateDirectory::open(&directory.path().join("state"), &setting.topology.name, StateOptions::default());
    let options = ApplicationOptions { threads, ..ApplicationOptions::default() };
    let started = Instant::now();
    let clock = Arc::new(SystemClock::new());
    let application = Application::start(&setting.topology, log, state.unwrap(), clock, &options).unwrap();
    application.wait_until_caught_up(|_| true).unwrap();
    let took = started.elapsed();
    let counters = application.stop().unwrap();
    assert_eq!(counters.dead_letters, 0);
    (took, counters.records_out)
}

/// How long an agent takes for all messages, alone.
fn agent(setting: &Setting, name: &str) -> Duration {
    let agents = Agents::local();
    let agent = agents.get(name).unwrap();
    let questions: Vec<Value> = setting.messages.iter().map(|message| question(agent.input(), message)).collect();
    let started = Instant::now();
    for question in &questions {
        std::hint::black_box(agent.answer(question).unwrap());
    }
    started.elapsed()
}

/// A question of the agent's shape about one message.
fn question(shape: &Shape, message: &Json) -> Value {
    let Shape::Struct(shape) = shape else { panic!("agents read structs") };
    let text = Value::text(message["value"]["message"].as_str().unwrap().to_owned());
    let values: Vec<Value> = shape
        .fields()
        .iter()
        .map(|field| match &*field.name {
            "text" => text.clone(),
            "messages" => {
                let names = vec![("sender", Shape::String), ("text", Shape::String)];
                let Shape::Struct(shape) = Shape::structure("", names) else { panic!("a struct") };
                let said = |shape: &Arc<StructShape>| {
                    let sender = Value::String(Text::from_static("customer"));
                    Value::Struct(StructValue::new(shape.clone(), [sender, text.clone()].into()))
                };
                Value::list((0..5).map(|_| said(&shape)).collect())
            }
            "history" => Value::list(vec![text.clone(); 2]),
            "previous" => text.clone(),
            _ => Value::Int(5),
        })
        .collect();
    Value::Struct(StructValue::new(shape.clone(), values.into()))
}

fn main() {
    let setting = setting();
    let mut out = stdout();
    writeln!(out, "support topology, {MESSAGES} messages, embedded log").unwrap();
    let mut whole = Duration::ZERO;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("support topology");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for threads in [1, 2] {
        let mut runs = Vec::new();
        group.bench_function(format!("{threads} thread(s)"), |bencher| {
            bencher.iter_custom(|iterations| {
                let took: Vec<Duration> = (0..iterations).map(|_| run(&setting, threads).0).collect();
                runs.extend(&took);
                took.iter().sum()
            });
        });
        runs.sort();
        if threads == 1 {
            whole = runs.get(runs.len() / 2).copied().unwrap_or_default();
        }
    }
    group.finish();
    if whole.is_zero() {
        return;
    }
    let mut agents = Duration::ZERO;
    for name in ["pii", "sentiment", "insights", "summary"] {
        let took = agent(&setting, name);
        agents += took;
        let share = 100.0 * took.as_secs_f64() / whole.as_secs_f64();
        writeln!(out, "  agent {name}: {:.1?} per message, {share:.0}% of one thread's run", took / MESSAGES as u32)
            .unwrap();
    }
    let rest = whole.saturating_sub(agents);
    let share = 100.0 * rest.as_secs_f64() / whole.as_secs_f64();
    let per = rest / MESSAGES as u32;
    writeln!(out, "  engine, stores and log: {per:.1?} per message, {share:.0}% of one thread's run").unwrap();
}
