//! Tasks that wait with one whose record waits for its schema, while that one has trouble of its own.

#[allow(dead_code, reason = "used in part")]
#[path = "../registry_state/small.rs"]
mod small;

use signalstream::config::SchemaHold;
use signalstream::log::LogError;
use signalstream::runtime::{InputStatus, TaskState};
use signalstream::serdes::remote::{RegistrySettings, RemoteRegistry};

use super::doubles::FaultyLog;
use super::*;
use small::SmallRegistry;

const WINDOWS: &str = "
topology: windows
defaults: {key: string, value: {avro: Order}, dlq: failed}
sources:
  orders: {topic: orders}
streams:
  all: {from: orders, steps: [{select_key: string('all')}]}
tables:
  counts: {from: all, window: {tumbling: 1s, grace: 0s}, aggregate: {n: count()}, emit: on_close}
sinks:
  - {from: counts, topic: counts, value: json, map: {n: value.n}}
";

/// So often the task that waits cannot commit.
const FAILURES: u64 = 4;

/// A record of the schema of an id, without fields.
fn order(log: &EmbeddedLog, partition: i32, schema: u32, timestamp: Timestamp) {
    let mut producer = log.transactional_producer("test").unwrap();
    producer.begin().unwrap();
    let value = Some([&[0][..], &schema.to_be_bytes()].concat().into());
    let (key, headers) = (Some("k".into()), Headers::default());
    producer.send(ProducerRecord { topic: "orders".into(), partition, timestamp, key, value, headers }).unwrap();
    producer.commit().unwrap();
}

fn input(application: &Application, number: i32) -> Option<InputStatus> {
    let (status, wanted) = (application.status(), TopicPartition::new("orders", number));
    status.own_tasks().flat_map(|(_, task)| &task.inputs).find(|input| input.partition == wanted).cloned()
}

fn aborts(application: &Application) -> u64 {
    application.status().threads.iter().map(|thread| thread.counts.aborts).sum()
}

/// Has the task of one partition wait for a schema while its commits fail, and then that of the other partition have
/// something to do.
fn the_others_wait_although_its_commits_fail(fault: fn() -> LogError) {
    let registry = SmallRegistry::start(1);
    let schema = |doc: &str| json!({ "type": "record", "name": "Order", "doc": doc, "fields": [] });
    let known = registry.register("orders-value", &schema(""));
    let remote = RemoteRegistry::open(RegistrySettings::new(&registry.url()), Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Order.avsc", &schema("").to_string()).unwrap();
    let planning = PlanOptions { registry: &schemas, agents: &Agents::local(), projection: true };
    let topology = load("t.yaml", WINDOWS, &planning).unwrap_or_else(|problems| panic!("{problems}"));
    let log = FaultyLog::new(&log(&[("orders", 2), ("counts", 1), ("failed", 1)]));
    // A thread for each task.
    let options = ApplicationOptions { threads: 4, schema_hold: SchemaHold::Subtopology, ..options() };
    let clock = Arc::new(SystemClock::new());
    let application = Application::start(&topology, log.clone(), in_memory(&topology), clock, &options).unwrap();
    eventually("each thread has a task", || {
        let threads = application.status().threads;
        threads.iter().all(|thread| matches!(&thread.tasks[..], [task] if task.state == TaskState::Running))
    });

    let unknown = registry.register("others-value", &schema("others write it"));
    registry.set_away(true);
    log.faults.uncommitted.lock().unwrap().insert(TopicPartition::new("orders", 1), fault);
    order(&log.inner, 1, known, NOW);
    order(&log.inner, 1, unknown, NOW);
    eventually("a record waits", || application.status().schemas.iter().any(|wait| wait.problem.is_some()));
    order(&log.inner, 0, known, NOW);
    order(&log.inner, 0, known, NOW + 10_000);
    let before = aborts(&application);
    eventually("its commits fail", || aborts(&application) >= before + FAILURES);
    eventually("the other task waits with it", || input(&application, 0).is_some_and(|input| input.queued == 2));
    assert_eq!(input(&application, 0).map(|input| input.position), Some(0));

    log.faults.uncommitted.lock().unwrap().clear();
    registry.set_away(false);
    for number in [0, 1] {
        eventually("both go on", || input(&application, number).is_some_and(|input| input.position == 2));
    }
    application.stop().unwrap();
}

#[test]
fn a_task_that_goes_back_to_its_last_commit_still_waits_and_the_others_with_it() {
    the_others_wait_although_its_commits_fail(|| LogError::Unreachable {
        action: "this".to_owned(),
        detail: "the test says so".to_owned(),
    });
}

#[test]
fn a_task_that_is_opened_anew_each_time_still_waits_and_the_others_with_it() {
    the_others_wait_although_its_commits_fail(|| LogError::Fenced("this producer".to_owned()));
}
