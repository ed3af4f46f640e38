//! What is done beside the stream: purging, cleaning up, keeping offsets alive, and telling how it goes.

use std::sync::atomic::Ordering;

use signalstream::runtime::{ApplicationOptions, TaskState};

use super::doubles::FaultyLog;
use super::*;

const REKEYED: &str = "
topology: rekeyed
defaults: {key: string, value: json}
sources:
  a: {topic: a}
streams:
  rekeyed:
    from: a
    steps:
      - select_key: string(value.id)
tables:
  counts: {from: rekeyed, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: out}
";

#[test]
fn repartition_topics_are_purged_of_what_is_committed_and_a_failure_only_warns() {
    let (topology, inner) = (plan(REKEYED), log(&[("a", 1), ("out", 1)]));
    let internal = topology.subtopologies.iter().flat_map(|part| &part.sources).find(|source| source.internal).unwrap();
    let internal = TopicPartition::new(internal.topic.clone(), 0);
    let log = FaultyLog::new(&inner);
    log.faults.deletions.store(2, Ordering::SeqCst);
    let options = ApplicationOptions {
        purge_interval: Duration::from_millis(20),
        clean_interval: Duration::from_secs(3_600),
        ..options()
    };
    let clock = Arc::new(TestClock(SystemClock::new(), Some(NOW)));
    let application = Application::start(&topology, log.clone(), in_memory(&topology), clock, &options).unwrap();
    for n in 1..4 {
        write(&inner, "a", 0, "{\"id\": 1}");
        eventually("it is purged", || log.consumer(None).unwrap().beginning_offset(&internal).unwrap() == n);
    }
    assert_eq!(log.faults.deletions.load(Ordering::SeqCst), 0, "some had failed");
    application.stop().unwrap();
    assert_eq!(read(&inner, "out", 1).len(), 3);
}

#[test]
fn state_is_removed_some_time_after_its_task_has_moved_away_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_of_both(2);
    (0..2).for_each(|partition| write(&log.inner, "a", partition, "1"));
    std::fs::create_dir_all(directory.path().join("both/0_7.bak")).unwrap();
    std::fs::create_dir_all(directory.path().join("both/0_8")).unwrap();
    let options = ApplicationOptions { state_cleanup_delay: Duration::from_millis(200), ..one_thread() };
    let first = start_both(&log, on_disk(directory.path()), &options);
    eventually("it is done", || made(&log.inner).0 == 2);
    let has = |task: &str| directory.path().join("both").join(task).join("CURRENT").exists();
    assert!(has("0_0") && has("0_1"));
    let second = start_both(&FaultyLog::new(&log.inner), state_in_memory(), &one_thread());
    eventually("one has moved", || second.status().own_tasks().any(|(_, task)| task.state == TaskState::Running));
    eventually("its state is removed", || !has("0_0") || !has("0_1"));
    let left: Vec<_> = first.status().own_tasks().map(|(_, task)| task.task.to_string()).collect();
    assert_eq!(left.len(), 1);
    assert!(has(&left[0]), "the other is at work");
    assert!(directory.path().join("both/0_7.bak").exists() && directory.path().join("both/0_8").exists());
    second.stop().unwrap();
    write(&log.inner, "a", 0, "1");
    write(&log.inner, "a", 1, "1");
    eventually("it is built anew when it comes back", || made(&log.inner) == (4, [("k".to_owned(), 2)].into()));
    first.stop().unwrap();
}

#[test]
fn offsets_of_inputs_without_records_are_committed_again_and_again() {
    let log = log_of_both(1);
    let options = ApplicationOptions { offsets_refresh: Duration::from_millis(50), ..one_thread() };
    let application = start_both(&log, state_in_memory(), &options);
    eventually("they are", || log.faults.offsets_sent.load(Ordering::SeqCst) >= 5);
    application.stop().unwrap();

    let (log, hour) = (log_of_both(1), Duration::from_secs(3_600));
    let application =
        start_both(&log, state_in_memory(), &ApplicationOptions { offsets_refresh: hour, ..one_thread() });
    eventually("it starts", || application.status().threads[0].counts.commits == 1);
    write(&log.inner, "a", 0, "1");
    eventually("it is done", || made(&log.inner).0 == 1);
    application.stop().unwrap();
    assert_eq!(log.faults.offsets_sent.load(Ordering::SeqCst), 2, "once at the start, once for the record");
}

#[test]
fn the_status_tells_threads_tasks_lag_and_sizes() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_of_both(2);
    let application = start_both(&log, on_disk(directory.path()), &options());
    eventually("it is ready", || application.status().is_ready() && application.status().own_tasks().count() == 2);
    let status = application.status();
    assert_eq!((status.application.as_str(), status.tasks, status.threads.len()), ("both", 2, 2));
    assert_eq!(status.instance.len(), 16);
    assert!(status.threads.iter().all(|thread| thread.tasks.len() == 1 && thread.counts.rebalances == 1));

    *log.faults.stuck.lock().unwrap() = true;
    write_keys(&log.inner, "a", 0, &keys(5), "1");
    eventually("a thread stands still", || !application.status().is_alive(Duration::from_millis(200)));
    log.faults.release();
    eventually("it is done", || application.status().lag() == 0 && made(&log.inner).0 == 5);
    eventually("it is seen", || {
        let status = application.status();
        let input = status.own_tasks().flat_map(|(_, task)| &task.inputs).find(|input| input.partition.partition == 0);
        input.is_some_and(|input| (input.position, input.end, input.lag(), input.queued) == (5, Some(5), Some(0), 0))
    });
    let status = application.status();
    let stores: Vec<_> = status.own_tasks().flat_map(|(_, task)| &task.stores).map(|store| &*store.name).collect();
    assert_eq!(stores, ["counts", "counts"]);
    let commits: u64 = status.threads.iter().map(|thread| thread.counts.commits).sum();
    assert!(commits >= 3 && status.threads.iter().any(|thread| thread.counts.last_commit.is_some()));
    application.stop().unwrap();
}

#[test]
fn a_group_of_static_members_that_leaves_a_task_to_nobody_is_visited_and_the_tasks_go_on() {
    let log = log_of_both(2);
    let options = ApplicationOptions { static_membership: true, ..one_thread() };
    let owned = |numbers: &[i32]| {
        let partitions = numbers.iter().map(|number| TopicPartition::new("both-tasks", *number));
        *log.faults.owned.lock().unwrap() = Some(partitions.collect());
    };
    // What the group says of tasks that this process owns does not count.
    owned(&[]);
    let application = start_both(&log, state_in_memory(), &options);
    eventually("it is ready", || application.status().is_ready() && application.status().own_tasks().count() == 2);
    let mut other = log.inner.member("both", None).unwrap();
    other.subscribe(&["both-tasks"]).unwrap();
    let mut theirs = Vec::new();
    eventually("another one has a task", || {
        theirs.extend(other.poll(0, Duration::ZERO).unwrap().rebalance.into_iter().flat_map(|change| change.assigned));
        theirs.len() == 1
    });
    let ours = 1 - theirs[0].partition;
    owned(&[ours]);
    let before = application.status().threads[0].counts;
    eventually("somebody comes by", || log.faults.members.lock().unwrap().len() == 2);
    owned(&[0, 1]);
    eventually("and goes", || log.admin().group_members("both").unwrap() == 2);
    assert_eq!(log.faults.members.lock().unwrap()[1], None, "not as a static member, which would stay");
    write(&log.inner, "a", ours, "1");
    eventually("it is read", || made(&log.inner).0 == 1);
    let counts = application.status().threads[0].counts;
    assert_eq!((counts.rebalances, counts.rejoins), (before.rebalances, 0), "nothing was taken from who owns it");
    application.stop().unwrap();
}
