//! Tasks are restored beside those that run, can be taken away meanwhile, and read only what their state lacks.

use std::time::Instant;

use signalstream::runtime::{ApplicationOptions, TaskState};

use super::doubles::FaultyLog;
use super::*;

/// A log on which [`BOTH`] has run over an input of two partitions, with 100 keys in each.
fn log_to_restore() -> Arc<FaultyLog> {
    let log = log_of_both(2);
    (0..2).for_each(|partition| write_keys(&log.inner, "a", partition, &keys(100), "1"));
    let application = start_both(&log, state_in_memory(), &one_thread());
    eventually("it is done", || made(&log.inner).0 == 200);
    application.stop().unwrap();
    log
}

fn hold(log: &FaultyLog, partition: i32) {
    log.faults.held.lock().unwrap().insert(TopicPartition::new(COUNTS_CHANGELOG, partition));
}

fn states(application: &Application) -> Vec<TaskState> {
    application.status().own_tasks().map(|(_, task)| task.state).collect()
}

#[test]
fn a_task_that_is_restored_for_long_keeps_nobody_waiting() {
    let log = log_to_restore();
    hold(&log, 1);
    let application = start_both(&log, state_in_memory(), &one_thread());
    eventually("one of two runs", || states(&application) == [TaskState::Running, TaskState::Restoring]);
    let status = application.status();
    let restore = status.own_tasks().find_map(|(_, task)| task.restores.first()).unwrap();
    assert_eq!((restore.start, restore.position, restore.end, restore.left()), (0, 0, 100, 100));
    assert!(!status.is_ready());
    // It has waited a moment for the task that it was given together with.
    write(&log.inner, "a", 0, "1");
    eventually("the other begins", || made(&log.inner).0 == 201);
    for n in 2..20 {
        let started = Instant::now();
        write(&log.inner, "a", 0, "1");
        eventually("the other goes on", || made(&log.inner).0 == 200 + n);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    write(&log.inner, "a", 1, "1");
    log.faults.held.lock().unwrap().clear();
    eventually("then both run", || states(&application) == [TaskState::Running, TaskState::Running]);
    eventually("and all is done", || made(&log.inner).0 == 220);
    application.stop().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_a_restore() {
    let log = log_to_restore();
    hold(&log, 0);
    hold(&log, 1);
    let application = start_both(&log, state_in_memory(), &one_thread());
    eventually("it restores", || states(&application) == [TaskState::Restoring, TaskState::Restoring]);
    let started = Instant::now();
    application.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_task_that_is_taken_away_while_it_is_restored_is_given_up_at_once() {
    let log = log_to_restore();
    hold(&log, 0);
    hold(&log, 1);
    let slow = start_both(&log, state_in_memory(), &one_thread());
    eventually("it restores", || states(&slow) == [TaskState::Restoring, TaskState::Restoring]);
    let quick = start_both(&FaultyLog::new(&log.inner), state_in_memory(), &one_thread());
    let started = Instant::now();
    eventually("one has moved", || states(&quick) == [TaskState::Running]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    eventually("one is left", || states(&slow) == [TaskState::Restoring]);
    slow.stop().unwrap();
    eventually("and the other", || states(&quick) == [TaskState::Running, TaskState::Running]);
    quick.stop().unwrap();
}

#[test]
fn a_restore_that_the_log_interrupts_goes_on() {
    let log = log_to_restore();
    hold(&log, 0);
    let application = start_both(&log, state_in_memory(), &one_thread());
    eventually("it restores", || states(&application) == [TaskState::Restoring, TaskState::Running]);
    log.faults.away.store(true, std::sync::atomic::Ordering::SeqCst);
    eventually("it is noticed", || application.status().threads[0].failing_for.is_some());
    log.faults.held.lock().unwrap().clear();
    log.faults.away.store(false, std::sync::atomic::Ordering::SeqCst);
    write(&log.inner, "a", 0, "1");
    eventually("it is done", || made(&log.inner).0 == 201);
    application.stop().unwrap();
}

#[test]
fn a_task_that_comes_back_restores_only_what_its_state_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_of_both(2);
    (0..2).for_each(|partition| write_keys(&log.inner, "a", partition, &keys(100), "1"));
    let first = start_both(&log, on_disk(directory.path()), &one_thread());
    eventually("it is done", || made(&log.inner).0 == 200);
    assert_eq!(log.faults.fetched(COUNTS_CHANGELOG), 0);

    let elsewhere = FaultyLog::new(&log.inner);
    let second = start_both(&elsewhere, state_in_memory(), &one_thread());
    eventually("one has moved", || states(&second) == [TaskState::Running]);
    assert_eq!(elsewhere.faults.fetched(COUNTS_CHANGELOG), 100, "who never had it reads all");
    (0..2).for_each(|partition| write_keys(&log.inner, "a", partition, &keys(3), "1"));
    eventually("both go on", || made(&log.inner).0 == 206);
    second.stop().unwrap();
    eventually("it is back", || states(&first) == [TaskState::Running, TaskState::Running]);
    assert_eq!(log.faults.fetched(COUNTS_CHANGELOG), 3, "who had it reads what came since");
    write_keys(&log.inner, "a", 1, &keys(1), "1");
    eventually("it goes on", || made(&log.inner).0 == 207);
    first.stop().unwrap();
}

#[test]
fn more_tasks_than_threads_to_restore_them_come_one_after_another() {
    let log = log_of_both(6);
    (0..6).for_each(|partition| write_keys(&log.inner, "a", partition, &keys(10), "1"));
    start_and_finish(&log, 60);
    (0..6).for_each(|partition| write_keys(&log.inner, "a", partition, &keys(10), "1"));
    start_and_finish(&log, 120);
    let (_, counts) = made(&log.inner);
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| *count == 2), "{counts:?}");
}

fn start_and_finish(log: &Arc<FaultyLog>, copies: usize) {
    let options = ApplicationOptions { restore_threads: 1, ..options() };
    let application = start_both(log, state_in_memory(), &options);
    eventually("it is done", || made(&log.inner).0 == copies);
    application.stop().unwrap();
}
