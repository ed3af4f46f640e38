//! Static members of a group on a real Kafka: what becomes of a task whose way from one to another is cut off.

#[path = "kafka/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use harness::workspace::Workspace;
use harness::{Cluster, Fault, Instance, Options, eventually, http, report};

/// Longer than anything takes on a busy machine, and shorter than a session.
const WITHIN: Duration = Duration::from_secs(60);
/// The request by which a member joins its group, as Kafka's protocol numbers them.
const JOIN_GROUP: i16 = 11;
const KEYS: usize = 40;
/// What is said of tasks that nobody owns.
const NO_OWNER: &str = "tasks have no owner";

const TALLY: &str = "
topology: tally
defaults: {key: string, value: json}
topics: {words: {partitions: 4}, counts: {partitions: 4}}
sources: {words: {topic: words}}
tables: {counts: {from: words, aggregate: {n: count()}}}
sinks: [{from: counts, topic: counts}]
";

/// The application, and how often each word was written.
struct Tally {
    cluster: Cluster,
    workspace: Workspace,
    rounds: i64,
}

impl Tally {
    fn new() -> Tally {
        let cluster = Cluster::with(Options::brokers(1).proxied());
        let workspace = Workspace::new("tally");
        fs::write(workspace.join("tally.yaml"), TALLY).unwrap();
        for topic in ["words", "counts"] {
            cluster.create_topic(topic, 4, &[]);
        }
        Tally { cluster, workspace, rounds: 0 }
    }

    fn instance(&self, name: &str) -> Instance {
        let settings =
            ["static_membership=on", "session_timeout=120s", "threads=1", "caching=off", "http.listen=127.0.0.1:0"];
        let (directory, topology) = (self.workspace.path(), self.workspace.join("tally.yaml"));
        Instance::new(name, directory, &topology, &self.cluster.bootstrap_servers(), &settings)
    }

    /// Writes every word once more.
    fn write(&mut self) {
        self.rounds += 1;
        self.cluster.kcat().write("words", (0..KEYS).map(|number| (format!("w{number}"), "1")));
    }

    /// Waits until every word is counted as often as it was written, and each time once.
    fn await_counts(&self, instances: &mut [&mut Instance]) {
        eventually("every word is counted", WITHIN, || {
            instances.iter_mut().for_each(|instance| instance.assert_running());
            let mut counts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for record in self.cluster.kcat().read("counts") {
                counts.entry(record.key_text().to_owned()).or_default().push(record.json()["n"].as_i64().unwrap());
            }
            assert!(counts.values().all(|seen| seen.iter().copied().eq(1..=seen.len() as i64)), "{counts:?}");
            let complete = |seen: &Vec<i64>| seen.last() == Some(&self.rounds);
            (counts.len() == KEYS && counts.values().all(complete)).then_some(())
        });
    }
}

/// How many rebalances an instance counts that it brought about since it was started last.
fn forced(instance: &Instance) -> usize {
    let address = http::address(&instance.present_log()).expect("it has said where it listens");
    let (status, metrics) = http::get(&address, "/metrics");
    assert_eq!(status, 200, "{metrics}");
    let name = "signalstream_forced_rebalances_total{application=\"tally\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
}

/// How often an instance has said since it was started last that tasks have no owner.
fn told(instance: &Instance) -> usize {
    instance.present_log().matches(NO_OWNER).count()
}

/// Two members, the first killed between the two steps of the rebalance in which the second joins: it has given up two of
/// its four tasks, and is not heard when it joins again for them to be handed on.
fn cut_off(tally: &Tally) -> [Instance; 2] {
    let (mut first, mut second) = (tally.instance("first"), tally.instance("second"));
    first.start();
    eventually("the first has all tasks", WITHIN, || (first.tasks().len() == 4).then_some(()));
    tally.await_counts(&mut [&mut first]);
    // The second joins, and the first for it; then the first would once more.
    let proxy = tally.cluster.proxy(1);
    proxy.set(Fault::Withhold { request: JOIN_GROUP, after: 2 });
    second.start();
    eventually("the first has given up what it was told to", WITHIN, || {
        second.assert_running();
        (first.tasks().len() == 2 && proxy.met() >= 3).then_some(())
    });
    first.kill();
    proxy.cut();
    proxy.set(Fault::None);
    assert!(second.tasks().is_empty(), "nothing has come to the second");
    [first, second]
}

/// Back within its session, the first is to the brokers the one that it was, and nobody would be given those tasks.
#[test]
fn tasks_that_were_on_their_way_when_a_static_member_was_killed_find_an_owner() {
    let mut tally = Tally::new();
    tally.write();
    let [mut first, mut second] = cut_off(&tally);
    let back = Instant::now();
    first.start();
    tally.write();
    tally.await_counts(&mut [&mut first, &mut second]);
    report(&format!("every task was at work {:.1?} after the member was back", back.elapsed()));

    assert!(told(&first) + told(&second) >= 1, "it was not by itself that the tasks found an owner");
    eventually("what is said of rebalances is counted", WITHIN, || {
        [&first, &second].iter().all(|instance| forced(instance) == told(instance)).then_some(())
    });
    eventually("each has half of the tasks", WITHIN, || {
        [&mut first, &mut second].into_iter().for_each(Instance::assert_running);
        let (one, other) = (first.tasks(), second.tasks());
        (one.len() == 2 && other.len() == 2 && one.is_disjoint(&other)).then_some(())
    });
    let closed = first.log().matches("task closed").count();
    assert_eq!(closed, 2, "those of the first that had an owner went on");
    for instance in [&mut first, &mut second] {
        instance.stop();
        instance.verify_stores();
    }
}

/// The group cannot rebalance before the session of the first ends, which the second does not wait for when it is stopped.
#[test]
fn a_stop_does_not_wait_for_a_group_that_waits_for_a_member() {
    let mut tally = Tally::new();
    tally.write();
    let [_, mut second] = cut_off(&tally);
    eventually("the second has the group rebalance", WITHIN, || {
        second.assert_running();
        second.log().contains(NO_OWNER).then_some(())
    });
    eventually("the group waits for the first", WITHIN, || {
        (tally.cluster.group_state("tally") == ("PreparingRebalance".to_owned(), 3)).then_some(())
    });
    let took = second.stop();
    report(&format!("the stop took {took:.1?}"));
    assert!(took < Duration::from_secs(15), "{took:?}");
}
