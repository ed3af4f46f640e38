//! Global tables: read whole by every process before its tasks begin, kept up to date, and found again at a restart.

use std::collections::BTreeSet;

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
