//! Topics by pattern: which are read at the start, which are taken in while the application runs, and which are not.

use super::*;

/// Counts by key what comes from any shop, and copies it to where it says.
const SHOPS: &str = r"
topology: shops
defaults: {key: string, value: json, on_error: {produce: skip}}
sources:
  some: {topic: {pattern: 'shop\..*'}}
tables:
  counts: {from: some, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: counts}
  - {from: some, topic: {expression: string(value), pattern: 'copies\..*'}}
";

fn options() -> ApplicationOptions {
    ApplicationOptions { topics_refresh: Duration::from_millis(20), ..super::options() }
}

/// The last count of the key that every record has.
fn counted(log: &EmbeddedLog) -> i64 {
    let records = read(log, "counts", 1);
    let value = records.last().and_then(|record| record.value.clone());
    value.map_or(0, |value| serde_json::from_slice::<serde_json::Value>(&value).unwrap()["n"].as_i64().unwrap())
}

#[test]
fn topics_that_match_are_taken_in_while_the_application_runs() {
    let (topology, log) = (plan(SHOPS), log(&[("shop.a", 2), ("counts", 1), ("copies.x", 1)]));
    write(&log, "shop.a", 0, "\"copies.x\"");
    let application = start(&topology, &log, in_memory(&topology), &options());
    eventually("the first topic is read", || counted(&log) == 1);
    log.admin().create_topic("copies.y", &TopicConfig::new(1)).unwrap();
    log.admin().create_topic("shop.b", &TopicConfig::new(2)).unwrap();
    write(&log, "shop.b", 0, "\"copies.x\"");
    eventually("the second topic is read, and counted with the first", || counted(&log) == 2);
    write(&log, "shop.a", 0, "\"copies.y\"");
    eventually("what is new is written to", || read(&log, "copies.y", 1).len() == 1);
    assert_eq!(read(&log, "copies.x", 1).len(), 2, "each record once");
    application.wait_until_caught_up(|_| true).unwrap();
    application.stop().unwrap();
    // The next start knows them from the beginning.
    write(&log, "shop.b", 0, "\"copies.x\"");
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!((counted(&log), read(&log, "copies.x", 1).len()), (4, 3));
}

#[test]
fn a_topic_with_more_partitions_than_there_are_tasks_waits_for_a_start_and_nothing_else_does() {
    let stateless = SHOPS.replace("tables:\n  counts: {from: some, aggregate: {n: count()}}\n", "");
    let stateless = stateless.replace("  - {from: counts, topic: counts}\n", "");
    let (topology, log) = (plan(&stateless), log(&[("shop.a", 1), ("copies.x", 1)]));
    let application = start(&topology, &log, in_memory(&topology), &options());
    log.admin().create_topic("shop.wide", &TopicConfig::new(2)).unwrap();
    write(&log, "shop.wide", 0, "\"copies.x\"");
    write(&log, "shop.a", 0, "\"copies.x\"");
    eventually("what is known is read", || read(&log, "copies.x", 1).len() == 1);
    application.stop().unwrap();
    let refused = prepare_topics(&topology, log.admin().as_ref(), CreateTopics::None).map(|_| ());
    let Err(error) = refused else { panic!("two tasks on a topic of one") };
    assert!(error.to_string().contains("`shops-tasks` has a partition for each task"), "{error}");
    // A start that may makes room for them.
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!(read(&log, "copies.x", 1).len(), 2);
}

#[test]
fn a_pattern_that_nothing_matches_is_refused_at_the_start() {
    let (topology, log) = (plan(SHOPS), log(&[("counts", 1), ("shop.a-changelog", 1)]));
    let refused = prepare_topics(&topology, log.admin().as_ref(), CreateTopics::All).map(|_| ());
    let Err(error) = refused else { panic!("a topology without a topic") };
    assert!(error.to_string().contains("no topic matches `shop\\..*`"), "{error}");
    assert!(!log.admin().topics().unwrap().contains_key("shops-counts-changelog"), "nothing was created");
}

#[test]
fn a_topic_that_is_taken_in_survives_commits_that_fail() {
    let (topology, inner) = (plan(SHOPS), log(&[("shop.a", 1), ("counts", 1), ("copies.x", 1)]));
    let log = FaultyLog::new(&inner);
    write(&inner, "shop.a", 0, "\"copies.x\"");
    let clock = Arc::new(TestClock(SystemClock::new(), Some(NOW)));
    let application = Application::start(&topology, log.clone(), in_memory(&topology), clock, &options()).unwrap();
    eventually("the first topic is read", || counted(&inner) == 1);
    let faults = [doubles::CommitFault::Aborted, doubles::CommitFault::InDoubtAndTaken];
    log.faults.commits.lock().unwrap().extend(faults);
    inner.admin().create_topic("shop.b", &TopicConfig::new(1)).unwrap();
    for n in 0..10 {
        write(&inner, if n % 2 == 0 { "shop.a" } else { "shop.b" }, 0, "\"copies.x\"");
    }
    eventually("all are counted", || counted(&inner) == 11);
    application.wait_until_caught_up(|_| true).unwrap();
    application.stop().unwrap();
    assert_eq!((counted(&inner), read(&inner, "copies.x", 1).len()), (11, 11), "each once");
}

/// Copies what comes from any shop.
fn copies() -> String {
    let stateless = SHOPS.replace("tables:\n  counts: {from: some, aggregate: {n: count()}}\n", "");
    stateless.replace("  - {from: counts, topic: counts}\n", "")
}

#[test]
fn a_topic_that_cannot_be_taken_in_keeps_no_other_out() {
    let (topology, log) = (plan(&copies()), log(&[("shop.a", 1), ("copies.x", 1)]));
    let application = start(&topology, &log, in_memory(&topology), &options());
    for (topic, partitions) in [("shop.wide", 2), ("shop.b", 1)] {
        log.admin().create_topic(topic, &TopicConfig::new(partitions)).unwrap();
        write(&log, topic, 0, "\"copies.x\"");
    }
    eventually("the topic that fits is read", || read(&log, "copies.x", 1).len() == 1);
    log.admin().create_topic("shop.c", &TopicConfig::new(1)).unwrap();
    write(&log, "shop.c", 0, "\"copies.x\"");
    eventually("so is one that comes later", || read(&log, "copies.x", 1).len() == 2);
    application.stop().unwrap();
}

#[test]
fn a_start_beside_others_works_on_the_tasks_that_they_work_on() {
    let (topology, log) = (plan(&copies()), log(&[("shop.a", 1), ("copies.x", 1)]));
    let first = start(&topology, &log, in_memory(&topology), &options());
    eventually("it is a member", || log.admin().group_members("shops").unwrap() > 0);
    log.admin().create_topic("shop.wide", &TopicConfig::new(2)).unwrap();
    write(&log, "shop.wide", 1, "\"copies.x\"");
    let second = start(&topology, &log, in_memory(&topology), &options());
    assert_eq!(log.admin().topics().unwrap()["shops-tasks"].partitions, 1, "nobody has made other tasks");
    write(&log, "shop.a", 0, "\"copies.x\"");
    eventually("what both know is read", || read(&log, "copies.x", 1).len() == 1);
    first.stop().unwrap();
    second.stop().unwrap();
    // Alone, a start makes room.
    run_to_the_end(&topology, &log, in_memory(&topology), &options());
    assert_eq!(read(&log, "copies.x", 1).len(), 2);
}
