//! I4, I9 while Kafka is away: at the start, and in the middle of the work for longer than a session lasts.

use std::time::{Duration, Instant};

use crate::harness::{Fault, Options, eventually};
use crate::scene::Scene;
use crate::workload::Workload;
use crate::{alone, seed};

/// What an outage may add to the memory of an instance. What waits meanwhile stays with Kafka; what comes then at once
/// fills queues that were emptier before.
const GROWTH: u64 = 96 << 20;
const WITHIN: Duration = Duration::from_secs(120);
const LOST: &str = "Kafka cannot be reached";
const BACK: &str = "Kafka is back";

fn count(log: &str, line: &str) -> usize {
    log.lines().filter(|logged| logged.contains(line)).count()
}

/// Takes Kafka away from a single instance, first before it starts, then for a while under load.
fn outage(events: u64, lasts: Duration) {
    let mut scene = Scene::set(Options::brokers(1).proxied(), Workload { events, seed: seed() });

    scene.instances[0].stop();
    let logged = scene.instances[0].log().len();
    scene.cluster.proxy(1).set(Fault::Refuse);
    scene.cluster.proxy(1).cut();
    scene.instances[0].start();
    eventually("a line that says that nobody answers", WITHIN, || {
        scene.instances[0].log()[logged..].contains("trying again for").then_some(())
    });
    scene.cluster.proxy(1).set(Fault::None);
    scene.feed_up_to(1, 4);
    scene.await_counted(events / 4, WITHIN);

    let logged = scene.instances[0].log().len();
    let before = scene.instances[0].resident();
    scene.cluster.proxy(1).set(Fault::Refuse);
    scene.cluster.proxy(1).cut();
    let lost = Instant::now();
    // The writer is not cut off: what it writes waits.
    scene.feed_up_to(3, 4);
    let mut most = before;
    while lost.elapsed() < lasts {
        scene.instances[0].assert_running();
        most = most.max(scene.instances[0].resident());
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = scene.instances[0].log().split_off(logged);
    assert_eq!((count(&log, LOST), count(&log, BACK)), (1, 0), "during the outage was said:\n{log}");

    scene.cluster.proxy(1).set(Fault::None);
    let back = Instant::now();
    scene.await_counted(events / 4 + 1, WITHIN);
    let resumed = back.elapsed();
    scene.await_counted(events / 2, WITHIN);
    let after = scene.instances[0].resident();
    let log = scene.instances[0].log().split_off(logged);
    assert_eq!((count(&log, LOST), count(&log, BACK)), (1, 1), "of the outage was said:\n{log}");
    for complaint in scene.instances[0].complaints(logged) {
        scene.say(&complaint);
    }
    scene.say(&format!(
        "Kafka was away for {lasts:?}: input resumed {resumed:.1?} after its return; memory was {} MiB before, at most \
         {} MiB meanwhile, {} MiB after",
        before >> 20,
        most >> 20,
        after >> 20
    ));
    assert!(most.max(after) <= before + GROWTH, "memory grew from {before} to {most}, then {after} bytes");
    scene.end();
}

#[test]
fn kafka_is_away_at_the_start_and_for_fifteen_seconds_and_nothing_is_lost() {
    let _alone = alone();
    outage(40_000, Duration::from_secs(15));
}

#[test]
#[ignore = "takes minutes: make chaos"]
fn kafka_is_away_at_the_start_and_for_a_minute_and_nothing_is_lost() {
    let _alone = alone();
    outage(400_000, Duration::from_secs(60));
}
