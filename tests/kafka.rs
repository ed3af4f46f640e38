//! The harness does what the tests that stand on it believe: brokers that stop, die and come back with their data,
//! transactions, proxies that break connections, users and what they may do.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::security::{PASSWORD, USER};
use harness::{Cluster, Fault, Isolation, Kcat, Options, Security, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// A record per number, the key and the value its digits.
fn numbers(count: usize) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|number| (number.to_string(), number.to_string()))
}

fn values(kcat: &Kcat, topic: &str) -> BTreeSet<String> {
    let records = kcat.read(topic);
    let values: BTreeSet<String> = records.iter().map(|record| record.value_text().to_owned()).collect();
    assert_eq!(values.len(), records.len(), "a record of {topic} came twice");
    values
}

#[test]
fn a_broker_starts_and_ten_thousand_records_are_read_as_written() {
    harness::fetch::Kafka::get();
    let started = Instant::now();
    let cluster = Cluster::start(1);
    let took = started.elapsed();
    harness::report(&format!("one broker answered after {took:.1?}"));
    cluster.create_topic("numbers", 3, &[("cleanup.policy", "compact")]);
    let kcat = cluster.kcat();
    kcat.write("numbers", numbers(10_000));

    let records = kcat.read("numbers");
    assert_eq!(records.len(), 10_000);
    assert!(records.iter().all(|record| record.key == record.value && record.timestamp > 0));
    let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
    assert_eq!(partitions, BTreeSet::from([0, 1, 2]));
    assert_eq!(values(&kcat, "numbers"), numbers(10_000).map(|(_, value)| value).collect());
}

#[test]
fn keys_and_values_of_any_bytes_are_told_apart_from_none() {
    let cluster = Cluster::start(1);
    cluster.create_topic("bytes", 1, &[]);
    let kcat = cluster.kcat();
    kcat.write("bytes", [("k", "a value"), ("", "")]);
    // With -Z what is empty is written as null.
    kcat.try_write("bytes", &["-Z"], [("deleted", "")]).succeeded();
    let seen: Vec<_> = kcat.read("bytes").into_iter().map(|record| (record.key, record.value)).collect();
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(seen, [(some("k"), some("a value")), (some(""), some("")), (some("deleted"), None)]);
}

#[test]
fn what_a_transaction_wrote_is_seen_once_it_commits_and_never_when_it_aborts() {
    let cluster = Cluster::start(1);
    cluster.create_topic("numbers", 2, &[]);
    let kcat = cluster.kcat();
    let uncommitted = |kcat: &Kcat| {
        let mut count = 0;
        kcat.for_each("numbers", Isolation::ReadUncommitted, |_| count += 1);
        count
    };

    let one = cluster.feed("numbers", Some("one"), &[]);
    one.begin();
    (0..100).for_each(|number| one.send(&number.to_string(), "one"));
    one.flush();
    assert_eq!((uncommitted(&kcat), kcat.read("numbers").len()), (100, 0));
    assert_eq!(cluster.transaction("one").1, "Ongoing");
    one.commit();
    assert_eq!(kcat.read("numbers").len(), 100);
    one.begin();
    (0..10).for_each(|number| one.send(&number.to_string(), "aborted"));
    one.flush();
    one.abort();

    // Left open, and ended by the next producer of its name, which commits nothing of it.
    let two = cluster.feed("numbers", Some("two"), &[]);
    two.begin();
    (0..50).for_each(|number| two.send(&number.to_string(), "two"));
    two.flush();
    let next = ["-X", "transactional.id=two", "-X", "message.timeout.ms=30000"];
    kcat.try_write("numbers", &next, [("last", "three")]).succeeded();
    assert!(two.try_commit().is_err(), "the older producer of a name was not fenced");

    let seen = kcat.read("numbers");
    assert_eq!(seen.len(), 101);
    assert_eq!(seen.iter().filter(|record| record.value_text() == "one").count(), 100);
    assert_eq!(seen.iter().filter(|record| record.value_text() == "two").count(), 0);
    assert_eq!(seen.iter().filter(|record| record.value_text() == "three").count(), 1);
    assert_eq!(cluster.transaction("two").1, "CompleteCommit");
}

#[test]
fn a_broker_keeps_its_data_over_kill_stop_and_pause() {
    let mut cluster = Cluster::start(1);
    cluster.create_topic("numbers", 1, &[]);
    let kcat = cluster.kcat();
    let feed = cluster.feed("numbers", None, &[]);
    let send =
        |from: usize| (from..from + 1_000).for_each(|number| feed.send(&number.to_string(), &number.to_string()));
    send(0);
    cluster.kill(1);
    assert!(kcat.metadata().is_none_or(|metadata| metadata.brokers.is_empty()));
    send(1_000);
    let started = Instant::now();
    cluster.restart(1);
    harness::report(&format!("a killed broker answered again after {:.1?}", started.elapsed()));
    send(2_000);
    cluster.stop(1);
    cluster.restart(1);
    send(3_000);
    cluster.process(1).pause();
    send(4_000);
    cluster.process(1).resume();
    cluster.await_ready();
    feed.flush();
    assert_eq!(values(&kcat, "numbers"), numbers(5_000).map(|(_, value)| value).collect());
}

#[test]
fn three_brokers_go_on_without_one() {
    let mut cluster = Cluster::start(3);
    cluster.create_topic("numbers", 3, &[]);
    let kcat = cluster.kcat();
    kcat.write("numbers", numbers(1_000));
    cluster.kill(2);
    kcat.write("numbers", (1_000..2_000).map(|number| (number.to_string(), number.to_string())));
    assert_eq!(values(&kcat, "numbers").len(), 2_000);
    cluster.restart(2);
    assert_eq!(kcat.metadata().unwrap().brokers.len(), 3);
}

#[test]
fn a_proxy_cuts_delays_swallows_and_refuses() {
    let cluster = Cluster::with(Options::brokers(1).proxied());
    cluster.create_topic("numbers", 1, &[]);
    let (kcat, proxy) = (cluster.kcat(), cluster.proxy(1));
    let written = |count: usize| {
        eventually(&format!("{count} records"), 60 * SECOND, || (values(&kcat, "numbers").len() == count).then_some(()))
    };

    let feed = cluster.feed("numbers", None, &[("socket.timeout.ms", "2000"), ("reconnect.backoff.max.ms", "500")]);
    let mut number = 0;
    let mut send = || {
        feed.send(&number.to_string(), &number.to_string());
        number += 1;
    };
    send();
    written(1);
    assert!(proxy.open() >= 1 && proxy.accepted() >= 1);

    assert!(proxy.cut() >= 1);
    send();
    written(2);

    proxy.set(Fault::BlackHole);
    send();
    std::thread::sleep(SECOND); // Nothing is to happen, for a while.
    assert_eq!(values(&kcat, "numbers").len(), 2);
    proxy.set(Fault::None);
    written(3);

    // The broker does what it is asked, and asked again because no answer came: not twice, being told the same number.
    proxy.set(Fault::AnswersLost);
    send();
    written(4);
    proxy.set(Fault::None);

    proxy.set(Fault::Refuse);
    let accepted = proxy.accepted();
    proxy.cut();
    eventually("another attempt to connect", 30 * SECOND, || (proxy.accepted() > accepted).then_some(()));
    proxy.set(Fault::None);
    send();
    written(5);

    assert!(proxy.half_close() >= 1);
    send();
    written(6);

    let delay = Duration::from_millis(400);
    proxy.set(Fault::Delay(delay));
    let started = Instant::now();
    send();
    written(7);
    assert!(started.elapsed() >= delay, "nothing was delayed");
    proxy.set(Fault::None);
    feed.flush();
    assert_eq!(values(&kcat, "numbers").len(), 7);
    assert!(proxy.cuts() >= 1);
}

#[test]
fn users_come_in_by_password_and_do_what_they_may() {
    let cluster = Cluster::with(Options::brokers(1).security(Security::SaslSsl).access_control());
    cluster.create_topic("numbers", 1, &[]);
    let stranger = cluster.feed("numbers", None, &[("message.timeout.ms", "5000")]);
    stranger.send("0", "0");
    assert!(!stranger.try_flush(), "written without a grant");
    cluster.grant(&format!("User:{USER}"), &["Write"], &["--topic", "numbers"]);
    let by_scram = cluster.feed("numbers", None, &[]);
    by_scram.send("1", "1");
    by_scram.flush();
    cluster.kcat_as_client().write("numbers", [("2", "2")]);
    assert_eq!(values(&cluster.kcat(), "numbers"), BTreeSet::from(["1", "2"].map(str::to_owned)));

    let wrong: Vec<(String, String)> = cluster
        .client_settings()
        .into_iter()
        .map(|(key, value)| match key.as_str() {
            "sasl.mechanism" => (key, "PLAIN".to_owned()),
            "sasl.password" => (key, format!("not {PASSWORD}")),
            _ => (key, value),
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let stranger = Kcat::new(&cluster.bootstrap_servers(), &wrong, directory.path());
    assert!(stranger.metadata().is_none());
}

#[test]
fn users_come_in_by_certificate() {
    let cluster = Cluster::with(Options::brokers(1).security(Security::MutualTls).access_control());
    cluster.create_topic("numbers", 1, &[]);
    cluster.grant(&format!("User:{USER}"), &["Write"], &["--topic", "numbers"]);
    cluster.kcat_as_client().write("numbers", numbers(10));
    assert_eq!(values(&cluster.kcat(), "numbers").len(), 10);
}

#[test]
fn a_million_records_are_written_and_read_in_seconds() {
    let cluster = Cluster::start(1);
    cluster.create_topic("numbers", 4, &[]);
    let kcat = cluster.kcat();
    let started = Instant::now();
    kcat.write("numbers", numbers(1_000_000));
    let written = started.elapsed();
    let (mut count, mut sum) = (0_u64, 0_u64);
    let started = Instant::now();
    kcat.for_each("numbers", Isolation::ReadCommitted, |record| {
        count += 1;
        sum += record.value_text().parse::<u64>().unwrap();
    });
    harness::report(&format!("a million records: written in {written:.1?}, read in {:.1?}", started.elapsed()));
    assert_eq!((count, sum), (1_000_000, 999_999 * 1_000_000 / 2));
}

/// Not a test: what [`a_killed_test_leaves_nothing_behind`] runs in a process of its own, and kills.
#[test]
#[ignore = "never ends by itself"]
fn victim() {
    let workspace = harness::workspace::Workspace::new("victim");
    let mut sleeper = std::process::Command::new("sleep");
    let process = harness::Process::spawn_alone("sleeper", sleeper.arg("600"), &workspace.join("log"));
    let place = std::env::var("SIGNALSTREAM_TEST_PLACE").expect("run by its test only");
    std::fs::write(place, format!("{} {}", process.id(), workspace.path().display())).unwrap();
    std::thread::sleep(600 * SECOND);
}

#[test]
fn a_killed_test_leaves_nothing_behind() {
    let workspace = harness::workspace::Workspace::new("killed");
    let place = workspace.join("place");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "victim", "--ignored"]).env("SIGNALSTREAM_TEST_PLACE", &place);
    let mut test = harness::Process::spawn_alone("victim", &mut command, &workspace.join("log"));
    let written = eventually("the victim's process", 30 * SECOND, || {
        test.assert_running();
        std::fs::read_to_string(&place).ok().filter(|text| text.contains('/'))
    });
    let (process, directory) = written.split_once(' ').unwrap();
    let process = rustix::process::Pid::from_raw(process.parse().unwrap()).unwrap();
    let runs = || rustix::process::test_kill_process(process).is_ok();
    assert!(runs() && std::path::Path::new(directory).exists());
    test.kill();
    eventually("the end of what the killed test had started", 30 * SECOND, || {
        (!runs() && !std::path::Path::new(directory).exists()).then_some(())
    });
}
