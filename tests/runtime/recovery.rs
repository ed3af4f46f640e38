//! What fails and comes back: every record takes effect once, and the process goes on.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use signalstream::runtime::{Application, ApplicationOptions, Guarantee, RuntimeError, ThreadCounts, ThreadState};

use super::doubles::{CommitFault, FaultyLog};
use super::*;

const RECORDS: i64 = 40;

/// Writes records one after another while `disturb` is told how many there were, and returns what was counted when all
/// of them have taken effect once.
fn undisturbed_in_effect(log: &Arc<FaultyLog>, mut disturb: impl FnMut(i64)) -> ThreadCounts {
    let application = start_both(log, state_in_memory(), &one_thread());
    for n in 0..RECORDS {
        disturb(n);
        write(&log.inner, "a", 0, "1");
        eventually("the record is read", || made(&log.inner).0 as i64 > n || n % 4 != 0);
    }
    has_taken_effect_once(log, &application)
}

fn has_taken_effect_once(log: &Arc<FaultyLog>, application: &Application) -> ThreadCounts {
    eventually("all is done", || application.is_stopping() || made(&log.inner).0 as i64 >= RECORDS);
    assert!(!application.is_stopping(), "it goes on");
    let (copies, counts) = made(&log.inner);
    assert_eq!((copies as i64, counts.get("k")), (RECORDS, Some(&RECORDS)));
    // A thread tells now and then what it has counted, and how far it is with it.
    eventually("it has told of all", || {
        let status = application.status();
        let mut inputs = status.own_tasks().flat_map(|(_, task)| &task.inputs);
        inputs.any(|input| input.position == RECORDS)
    });
    application.status().threads[0].counts
}

fn disturbed_by(fault: CommitFault) -> (Arc<FaultyLog>, ThreadCounts) {
    let log = log_of_both(1);
    let faults = log.faults.clone();
    let counts = undisturbed_in_effect(&log, |n| {
        if n % 10 == 5 {
            faults.commits.lock().unwrap().push_back(fault);
        }
    });
    (log, counts)
}

#[test]
fn an_aborted_transaction_is_done_again_without_a_look_at_the_stores() {
    let (log, counts) = disturbed_by(CommitFault::Aborted);
    assert_eq!((counts.aborts, counts.rejoins, counts.rebuilds), (4, 0, 0));
    assert_eq!(log.faults.fetched(COUNTS_CHANGELOG), 0, "nothing was restored");
    assert_eq!(log.faults.producers.lock().unwrap().len(), 1);
}

#[test]
fn a_commit_in_doubt_that_was_taken_is_not_done_again() {
    let (log, counts) = disturbed_by(CommitFault::InDoubtAndTaken);
    assert_eq!((counts.aborts, counts.rejoins), (4, 0));
    assert!(log.faults.fetched(COUNTS_CHANGELOG) >= 4, "the stores take in what they missed");
    assert_eq!(log.faults.producers.lock().unwrap().len(), 5, "a new producer each time");
}

#[test]
fn a_commit_in_doubt_that_was_lost_is_done_again() {
    let (log, counts) = disturbed_by(CommitFault::InDoubtAndLost);
    assert_eq!((counts.aborts, counts.rejoins), (4, 0));
    assert_eq!(log.faults.producers.lock().unwrap().len(), 5, "a new producer each time");
}

#[test]
fn who_is_fenced_joins_anew() {
    let (log, counts) = disturbed_by(CommitFault::Fenced);
    assert_eq!(counts.rejoins, 4);
    assert_eq!(log.faults.members.lock().unwrap().len(), 5);
}

#[test]
fn tasks_that_are_lost_are_dropped_without_a_commit_and_taken_on_again() {
    let log = log_of_both(1);
    let faults = log.faults.clone();
    let counts = undisturbed_in_effect(&log, |n| {
        if n % 10 == 5 {
            faults.lose.store(true, Ordering::SeqCst);
        }
    });
    assert_eq!((counts.aborts, counts.rejoins), (0, 0));
    assert!(counts.rebalances > 4, "{counts:?}");
}

#[test]
fn what_was_sent_ahead_of_a_commit_that_never_came_is_not_seen() {
    let log = log_of_both(1);
    let hour = Duration::from_secs(3_600);
    let application = start_both(
        &log,
        state_in_memory(),
        &ApplicationOptions { commit_interval: hour, sends_ahead: true, ..one_thread() },
    );
    // The start describes the application in a topic of its own.
    let before = log.faults.sent.load(Ordering::SeqCst);
    let sent = || log.faults.sent.load(Ordering::SeqCst) - before;
    write(&log.inner, "a", 0, "1");
    eventually("the first copy is sent", || sent() == 1);
    log.faults.lose.store(true, Ordering::SeqCst);
    // Wakes the thread, which loses its task thereupon, and does everything again.
    write(&log.inner, "a", 0, "1");
    eventually("both copies are sent anew", || sent() >= 3 && application.status().is_ready());
    assert_eq!(made(&log.inner).0, 0, "nothing was committed");
    application.stop().unwrap();
    let (copies, counts) = made(&log.inner);
    assert_eq!((copies, counts.get("k")), (2, Some(&2)));
}

#[test]
fn a_log_that_goes_away_and_comes_back_loses_nothing() {
    let log = log_of_both(1);
    (0..RECORDS / 2).for_each(|_| write(&log.inner, "a", 0, "1"));
    // Topics and state are looked at before; the threads wait for the rest.
    log.faults.refuses_members.store(true, Ordering::SeqCst);
    let application = start_both(&log, state_in_memory(), &one_thread());
    assert_eq!(application.status().threads[0].state, ThreadState::Starting);
    eventually("it is noticed", || application.status().threads[0].state == ThreadState::Disconnected);
    assert!(application.status().is_alive(Duration::from_secs(15)) && !application.status().is_ready());
    log.faults.refuses_members.store(false, Ordering::SeqCst);
    eventually("it goes on", || made(&log.inner).0 as i64 == RECORDS / 2);
    log.faults.away.store(true, Ordering::SeqCst);
    (0..RECORDS / 2).for_each(|_| write(&log.inner, "a", 0, "1"));
    eventually("it is noticed again", || application.status().threads[0].failing_for.is_some());
    log.faults.away.store(false, Ordering::SeqCst);
    has_taken_effect_once(&log, &application);
    eventually("all is well", || application.status().is_ready() && application.status().lag() == 0);
    application.stop().unwrap();
}

#[test]
fn a_stop_while_the_log_is_away_comes_soon_and_in_good_order() {
    let log = log_of_both(1);
    let application = start_both(&log, state_in_memory(), &one_thread());
    write(&log.inner, "a", 0, "1");
    eventually("it works", || made(&log.inner).0 == 1);
    log.faults.away.store(true, Ordering::SeqCst);
    write(&log.inner, "a", 0, "1");
    eventually("it is noticed", || application.status().threads[0].failing_for.is_some());
    let started = Instant::now();
    application.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_stop_that_takes_too_long_is_given_up() {
    let log = log_of_both(1);
    let options = ApplicationOptions { shutdown_timeout: Duration::from_millis(300), ..one_thread() };
    let application = start_both(&log, state_in_memory(), &options);
    eventually("it runs", || application.status().own_tasks().count() == 1 && application.status().is_ready());
    *log.faults.stuck.lock().unwrap() = true;
    write(&log.inner, "a", 0, "1");
    eventually("it is stuck", || !application.status().is_alive(Duration::from_millis(100)));
    let stopped = application.stop();
    log.faults.release();
    let Err(RuntimeError::StillBusy { threads, .. }) = stopped else { panic!("{stopped:?}") };
    assert_eq!(threads, ["both-0"]);
    assert!(log.faults.hurried.load(Ordering::SeqCst));
}

#[test]
fn a_stop_does_not_wait_for_long_for_a_log_that_does_not_answer() {
    let log = log_of_both(1);
    let options = ApplicationOptions { shutdown_timeout: Duration::from_secs(2), ..one_thread() };
    let application = start_both(&log, state_in_memory(), &options);
    eventually("it runs", || application.status().own_tasks().count() == 1 && application.status().is_ready());
    log.faults.obedient.store(true, Ordering::SeqCst);
    *log.faults.stuck.lock().unwrap() = true;
    write(&log.inner, "a", 0, "1");
    eventually("it is stuck", || application.status().threads[0].state == ThreadState::Disconnected);
    application.stop().unwrap();
    assert_eq!(made(&log.inner).0, 0, "nothing was committed");
}

#[test]
fn a_state_that_is_ahead_of_its_changelog_is_built_anew_once() {
    let directory = tempfile::tempdir().unwrap();
    let old = log_of_both(1);
    write_keys(&old.inner, "a", 0, &keys(50), "1");
    let application = start_both(&old, on_disk(directory.path()), &one_thread());
    eventually("it is done", || made(&old.inner).1.len() == 50);
    application.stop().unwrap();

    let log = log_of_both(1);
    write_keys(&log.inner, "a", 0, &keys(3), "1");
    let application = start_both(&log, on_disk(directory.path()), &one_thread());
    eventually("it is done", || made(&log.inner).1.len() == 3);
    let expected = keys(3).into_iter().map(|key| (key, 1)).collect();
    assert_eq!(made(&log.inner).1, expected, "what another log has counted is gone");
    eventually("it is counted", || application.status().threads[0].counts.rebuilds == 1);
    application.stop().unwrap();
}

#[test]
fn an_instance_keeps_its_transactional_ids_and_its_name_in_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_of_both(1);
    let instance = on_disk(directory.path()).instance().to_owned();
    for static_membership in [false, true] {
        let options = ApplicationOptions { static_membership, threads: 2, ..options() };
        start_both(&log, on_disk(directory.path()), &options).stop().unwrap();
    }
    let ids = [format!("both-{instance}-0"), format!("both-{instance}-1")];
    assert_eq!(*log.faults.producers.lock().unwrap(), [&ids[..], &ids[..]].concat());
    let names = [None, None, Some(format!("{instance}-0")), Some(format!("{instance}-1"))];
    assert_eq!(*log.faults.members.lock().unwrap(), names);
}

#[test]
fn at_least_once_does_again_what_was_written_without_its_offsets() {
    let log = log_of_both(1);
    let options = ApplicationOptions { guarantee: Guarantee::AtLeastOnce, ..one_thread() };
    let application = start_both(&log, state_in_memory(), &options);
    write(&log.inner, "a", 0, "1");
    eventually("it works", || made(&log.inner).0 == 1);
    log.faults.refused_offsets.store(true, Ordering::SeqCst);
    write(&log.inner, "a", 0, "1");
    eventually("it is there twice", || made(&log.inner).0 == 3);
    write(&log.inner, "a", 0, "1");
    eventually("it goes on", || made(&log.inner) == (4, [("k".to_owned(), 3)].into()));
    assert_eq!(*log.faults.producers.lock().unwrap(), [""; 0], "no transactions");
    let progress = application.progress().unwrap();
    assert!(progress.is_complete(), "{progress:?}");
    application.stop().unwrap();
}
