//! Static members of a group on a real Kafka: what becomes of a task whose way from one to another is cut off.

#[path = "kafka/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "used in part")]
#[path = "chaos/instances.rs"]
mod instances;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use harness::workspace::Workspace;
use harness::{Cluster, Fault, Options, eventually, report};
use instances::Instance;

/// Longer than anything takes on a busy machine, and shorter than a session.
const WITHIN: Duration = Duration::from_secs(60);
/// The request by which a member joins its group, as Kafka's protocol numbers them.
const JOIN_GROUP: i16 = 11;
const KEYS: usize = 40;

const TALLY: &str = "
topology: tally
defaults: {key: string, value: json}
topics: {words: {partitions: 4}, counts: {partitions: 4}}
sources:
  words: {topic: words}
tables:
  counts: {from: words, aggregate: {n: count()}}
sinks:
  - {from: counts, topic: counts}
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
        let settings = ["static_membership=on", "session_timeout=120s", "threads=1", "caching=off"];
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

fn names(tasks: &[&str]) -> BTreeSet<String> {
    tasks.iter().map(|task| (*task).to_owned()).collect()
}

/// A member that has given up tasks joins again, so that others get them. Here it is killed in between, and back within
/// its session: to the brokers, all is as it was, and nobody is given those tasks.
#[test]
fn tasks_that_were_on_their_way_when_a_static_member_was_killed_find_an_owner() {
    let mut tally = Tally::new();
    let (mut first, mut second) = (tally.instance("first"), tally.instance("second"));
    tally.write();
    first.start();
    eventually("the first has all tasks", WITHIN, || (first.tasks().len() == 4).then_some(()));
    tally.await_counts(&mut [&mut first]);

    // The second joins, the first does again and is told to give up two tasks; that it joins once more is not heard.
    let proxy = tally.cluster.proxy(1);
    proxy.set(Fault::Withhold { request: JOIN_GROUP, after: 2 });
    second.start();
    eventually("the first has given up what it was told to", WITHIN, || {
        second.assert_running();
        (first.tasks().len() == 2 && proxy.met() == 3).then_some(())
    });
    first.kill();
    proxy.cut();
    proxy.set(Fault::None);
    assert_eq!(second.tasks(), names(&[]), "nothing has come to the second");
    let back = Instant::now();
    first.start();
    tally.write();
    tally.await_counts(&mut [&mut first, &mut second]);
    report(&format!("every task was at work {:.1?} after the member was back", back.elapsed()));

    let told = [&first, &second].map(|instance| instance.log().matches("tasks have no owner").count());
    assert!(told.iter().sum::<usize>() >= 1, "it was not by itself that the tasks found an owner");
    assert_eq!((first.tasks().len(), second.tasks().len()), (2, 2));
    assert!(first.tasks().is_disjoint(&second.tasks()));
    let closed = first.log().matches("task closed").count();
    assert_eq!(closed, 2, "those of the first that had an owner went on");
    for instance in [&mut first, &mut second] {
        instance.stop();
        instance.verify_stores();
    }
}
