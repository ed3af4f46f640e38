//! Global tables: read whole by every process before its tasks begin, kept up to date, and found again at a restart.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use signalstream::error::{Classified, ErrorClass};
use signalstream::state::GlobalTables;
use signalstream::task::{GlobalReader, open_globals};

use super::*;

/// Each record of `a` looks up the row that it names.
const LOOKED_UP: &str = "
topology: looked-up
defaults: {key: string, value: json}
sources:
  a: {topic: a}
  rows: {topic: rows, kind: global_table}
streams:
  found:
    join: {kind: left, inputs: {record: a, row: rows}, on: string(record)}
    map_values: row
    steps:
      - filter: value != null
sinks:
  - {from: found, topic: out}
";

/// The partitions of `a` and of `rows`: as different as they may be.
const SIZES: [(&str, i32); 3] = [("a", 2), ("rows", 3), ("out", 1)];

fn look_up(log: &EmbeddedLog, partition: i32, row: &str) {
    write(log, "a", partition, &format!("\"{row}\""));
}

fn found(log: &EmbeddedLog) -> Vec<String> {
    let values = read(log, "out", 1).into_iter().filter_map(|record| record.value);
    values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[test]
fn tasks_begin_when_the_global_tables_hold_what_there_is() {
    let (topology, inner) = (plan(LOOKED_UP), log(&SIZES));
    for partition in 0..3 {
        let rows: Vec<String> = (0..100).map(|n| format!("r{partition}-{n}")).collect();
        write_keys(&inner, "rows", partition, &rows, &partition.to_string());
    }
    (0..2).for_each(|partition| look_up(&inner, partition, "r2-99"));
    let log = FaultyLog::new(&inner);
    log.faults.held.lock().unwrap().insert(TopicPartition::new("rows", 2));
    let clock = Arc::new(TestClock(SystemClock::new(), Some(NOW)));
    let application = Application::start(&topology, log.clone(), in_memory(&topology), clock, &options()).unwrap();
    eventually("what is not held is read", || log.faults.fetched.lock().unwrap().get("rows") == Some(&200));
    assert_eq!(log.faults.fetched.lock().unwrap().get("a"), None, "no task has begun");
    log.faults.held.lock().unwrap().clear();
    eventually("both find the row", || found(&inner) == ["2", "2"]);
    application.stop().unwrap();
}

#[test]
fn a_change_of_a_global_table_is_found_by_what_comes_later() {
    let (topology, log) = (plan(LOOKED_UP), log(&SIZES));
    write_keys(&log, "rows", 1, &["r".to_owned()], "1");
    let application = start(&topology, &log, in_memory(&topology), &options());
    look_up(&log, 0, "r");
    eventually("the row is found", || found(&log) == ["1"]);
    write_keys(&log, "rows", 1, &["r".to_owned()], "2");
    eventually("the new row is found", || {
        look_up(&log, 1, "r");
        found(&log).last().is_some_and(|row| row == "2")
    });
    let known: BTreeSet<String> = found(&log).into_iter().collect();
    assert_eq!(known.len(), 2);
    application.stop().unwrap();
}

#[test]
fn a_global_table_is_found_again_and_goes_on_from_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (topology, log) = (plan(LOOKED_UP), log(&SIZES));
    let state = || StateDirectory::open(directory.path(), &topology.name, StateOptions::default()).unwrap();
    write_keys(&log, "rows", 0, &["old".to_owned()], "1");
    look_up(&log, 0, "old");
    run_to_the_end(&topology, &log, state(), &options());
    assert_eq!(found(&log), ["1"]);
    // What it has seen may go: it holds it.
    let end = log.consumer(None).unwrap().end_offset(&TopicPartition::new("rows", 0)).unwrap();
    log.admin().delete_records(&TopicPartition::new("rows", 0), end).unwrap();
    write_keys(&log, "rows", 0, &["new".to_owned()], "2");
    look_up(&log, 0, "old");
    look_up(&log, 0, "new");
    run_to_the_end(&topology, &log, state(), &options());
    assert_eq!(found(&log), ["1", "1", "2"]);
    // What it has not seen is gone: then it is what its topic now says.
    write_keys(&log, "rows", 0, &["unseen".to_owned()], "3");
    let end = log.consumer(None).unwrap().end_offset(&TopicPartition::new("rows", 0)).unwrap();
    log.admin().delete_records(&TopicPartition::new("rows", 0), end).unwrap();
    write_keys(&log, "rows", 0, &["newest".to_owned()], "4");
    look_up(&log, 0, "old");
    look_up(&log, 0, "newest");
    run_to_the_end(&topology, &log, state(), &options());
    assert_eq!(found(&log), ["1", "1", "2", "4"]);
}

/// Runs [`LOOKED_UP`] at a time of day until a record more has found a row, or none has.
fn run_at(now: Timestamp, log: &Arc<EmbeddedLog>, state: StateDirectory) {
    let clock = Arc::new(TestClock(SystemClock::new(), Some(now)));
    let application = Application::start(&plan(LOOKED_UP), log.clone(), state, clock, &options()).unwrap();
    look_up(log, 0, "old");
    let started = Instant::now();
    application.wait_until_caught_up(|_| started.elapsed() < Duration::from_secs(30)).unwrap();
    application.stop().unwrap();
}

#[test]
fn a_global_table_away_for_longer_than_its_topic_keeps_tombstones_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (topology, log) = (plan(LOOKED_UP), log(&SIZES));
    let state = || StateDirectory::open(directory.path(), &topology.name, StateOptions::default()).unwrap();
    write_keys(&log, "rows", 0, &["old".to_owned()], "1");
    run_at(NOW, &log, state());
    // A row that is gone from the topic shows which of both it was.
    let end = log.consumer(None).unwrap().end_offset(&TopicPartition::new("rows", 0)).unwrap();
    log.admin().delete_records(&TopicPartition::new("rows", 0), end).unwrap();
    run_at(NOW + DAY - 1, &log, state());
    run_at(NOW + 2 * DAY - 2, &log, state());
    assert_eq!(found(&log).len(), 3);
    run_at(NOW + 3 * DAY - 2, &log, state());
    assert_eq!(found(&log).len(), 3);
}

#[test]
fn a_global_table_of_other_values_than_before_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&SIZES);
    write_keys(&log, "rows", 0, &["old".to_owned()], "1");
    for format in ["json", "string"] {
        let text = LOOKED_UP.replace("kind: global_table", &format!("kind: global_table, value: {format}"));
        let topology = plan(&text);
        let state = StateDirectory::open(directory.path(), &topology.name, StateOptions::default()).unwrap();
        look_up(&log, 0, "old");
        run_to_the_end(&topology, &log, state, &options());
    }
    assert_eq!(found(&log), ["1", "\"1\""]);
}

#[test]
fn what_a_global_table_cannot_read_stops_the_application_and_says_where_it_is() {
    let (topology, log) = (plan(LOOKED_UP), log(&SIZES));
    write_keys(&log, "rows", 1, &["r".to_owned()], "no JSON");
    let application = start(&topology, &log, in_memory(&topology), &options());
    application.wait(|| true);
    let error = application.stop().unwrap_err();
    assert!(matches!(error, RuntimeError::Global(_)), "{error:?}");
    assert!(error.to_string().contains("offset 0 of rows-1"), "{error}");
}

/// A reader of [`LOOKED_UP`]'s table, and the table, as of `now`.
fn reader(log: &FaultyLog, state: &StateDirectory, now: Timestamp) -> (GlobalReader, Arc<GlobalTables>) {
    let topology = plan(LOOKED_UP);
    let tables = open_globals(&topology, state).unwrap().expect("there is a global table");
    let topics = log.admin().topics().unwrap();
    (GlobalReader::new(&topology, &topics, tables.clone(), log, now, None).unwrap(), tables)
}

#[test]
fn a_global_table_of_which_nothing_is_left_to_read_is_there_at_once() {
    let log = FaultyLog::new(&log(&SIZES));
    let state = in_memory(&plan(LOOKED_UP));
    let (_reader, tables) = reader(&log, &state, NOW);
    assert!(tables.is_caught_up());
}

#[test]
fn a_global_table_does_not_count_as_fresh_while_the_log_is_away() {
    const LATER: i64 = 10 * 60_000;
    let log = FaultyLog::new(&log(&SIZES));
    write_keys(&log.inner, "rows", 0, &["r".to_owned()], "1");
    let state = in_memory(&plan(LOOKED_UP));
    let (mut reader, tables) = reader(&log, &state, NOW);
    let mut counters = Default::default();
    while reader.poll(100, Duration::from_millis(10), NOW, &mut counters).unwrap() == 0 {}
    let fresh_at = |tables: &GlobalTables| tables.checkpoint().unwrap().map(|checkpoint| checkpoint.wall_clock);
    // As a client of Kafka: it is given nothing, and does not hear that there is nobody to give it anything.
    log.faults.mute.store(true, Ordering::SeqCst);
    write_keys(&log.inner, "rows", 0, &["r".to_owned()], "2");
    reader.poll(100, Duration::ZERO, NOW + LATER, &mut counters).unwrap();
    assert_eq!(fresh_at(&tables), Some(NOW));
    log.faults.mute.store(false, Ordering::SeqCst);
    while reader.poll(100, Duration::from_millis(10), NOW + LATER, &mut counters).unwrap() == 0 {}
    reader.poll(100, Duration::ZERO, NOW + 2 * LATER, &mut counters).unwrap();
    assert_eq!(fresh_at(&tables), Some(NOW + 2 * LATER));
    log.faults.mute.store(true, Ordering::SeqCst);
    reader.close(NOW + 3 * LATER).unwrap();
    assert_eq!(fresh_at(&tables), Some(NOW + 2 * LATER));
}

#[test]
fn nobody_looks_a_row_up_while_the_tables_are_read_anew() {
    let log = FaultyLog::new(&log(&SIZES));
    write_keys(&log.inner, "rows", 0, &["r".to_owned()], "1");
    let state = in_memory(&plan(LOOKED_UP));
    let (mut first, tables) = reader(&log, &state, NOW);
    let mut counters = Default::default();
    while first.poll(100, Duration::from_millis(10), NOW, &mut counters).unwrap() == 0 {}
    assert!(tables.get(0, b"r").unwrap().is_some());
    // A reader begins anew after an outage, while tasks run, and finds that tombstones may be gone.
    let topology = plan(LOOKED_UP);
    let topics = log.admin().topics().unwrap();
    let mut second = GlobalReader::new(&topology, &topics, tables.clone(), log.as_ref(), NOW + 9 * DAY, None).unwrap();
    let error = tables.get(0, b"r").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    while second.poll(100, Duration::from_millis(10), NOW + 9 * DAY, &mut counters).unwrap() == 0 {}
    assert!(tables.get(0, b"r").unwrap().is_some());
}
