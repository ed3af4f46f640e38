//! I1, I3 on a real Kafka: instances and brokers are killed, stopped, paused, added and removed under load, and every
//! event is counted exactly once by a reader that is not ours.
//!
//! The small form belongs to `make test`; the full one, a million events and more than thirty kills, is `make chaos`.
//! `SIGNALSTREAM_CHAOS_SEED` repeats the choices of a run, though not its timing.

#[path = "../kafka/harness/mod.rs"]
mod harness;

mod large_state;
mod outage;
mod scene;
mod verdict;
mod watch;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::instances::SESSION_TIMEOUT;
use harness::{Fault, Options, Random};
use scene::{PARTITIONS, Scene};
use workload::{PER_ACCOUNT, PER_REGION, Workload};

/// What is done to the application and its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGTERM, and a new start.
    Stop,
    /// SIGSTOP until others have its tasks, then SIGCONT: it does not know yet.
    Zombie,
    KillBroker,
    StopBroker,
}

/// How often each is done.
struct Plan {
    kills: usize,
    stops: usize,
    zombies: usize,
    broker_kills: usize,
    broker_stops: usize,
}

impl Plan {
    /// The actions in an order that follows from the seed.
    fn actions(&self, random: &mut Random) -> Vec<Action> {
        let mut actions = vec![Action::Kill; self.kills];
        actions.extend(vec![Action::Stop; self.stops]);
        actions.extend(vec![Action::KillBroker; self.broker_kills]);
        actions.extend(vec![Action::StopBroker; self.broker_stops]);
        shuffle(&mut actions, random);
        // Zombies want others that take over: they come while all three instances run.
        let middle = actions.len() / 4 + 1;
        for number in 0..self.zombies {
            actions.insert(middle + number * actions.len() / 2 / self.zombies.max(1), Action::Zombie);
        }
        actions
    }
}

fn shuffle(actions: &mut [Action], random: &mut Random) {
    for last in (1..actions.len()).rev() {
        actions.swap(last, usize::try_from(random.below(last as u64 + 1)).unwrap());
    }
}

fn seed() -> u64 {
    let given = std::env::var("SIGNALSTREAM_CHAOS_SEED").ok();
    given.map_or(20_261_121, |text| text.parse().expect("SIGNALSTREAM_CHAOS_SEED is no number"))
}

/// Does all of the plan to the scene: first one instance, then three, in the end one.
fn disturb(scene: &mut Scene, plan: &Plan) {
    let mut random = Random::new(scene.workload.seed + 1);
    let actions = plan.actions(&mut random);
    let count = actions.len();
    for (number, action) in actions.into_iter().enumerate() {
        let wanted = if number < count / 4 || number + 1 >= count - count / 8 { 1 } else { 3 };
        if scene.running().len() != wanted {
            scene.say(&format!("from {} to {wanted} instances", scene.running().len()));
            scene.scale_to(wanted);
        }
        let before = scene.watch.count();
        scene.feed_up_to(number as u64 + 1, count as u64 + 1);
        // Most often in the middle of work, sometimes earlier: in a restore, a rebalance, a start.
        if random.below(4) > 0 {
            scene.await_results(before);
        }
        scene.pause_for(0, 700, &mut random);
        scene.say(&format!("{}/{count}: {action:?}; {} events written", number + 1, scene.feeder().written()));
        act(scene, action, &mut random);
    }
    scene.scale_to(1);
}

fn act(scene: &mut Scene, action: Action, random: &mut Random) {
    let victim = scene.any();
    match action {
        Action::Kill => {
            scene.instances[victim].kill();
            scene.pause_for(0, 500, random);
            scene.instances[victim].start();
        }
        Action::Stop => {
            let took = scene.instances[victim].stop();
            scene.say(&format!("instance {} stopped after {took:.1?}", scene.instances[victim].name));
            scene.instances[victim].start();
        }
        Action::Zombie => {
            let running = scene.running().len();
            // Without tasks it would have nothing to be fenced from.
            harness::eventually("tasks of the zombie", SESSION_TIMEOUT * 10, || {
                scene.instances[victim].assert_running();
                (!scene.instances[victim].tasks().is_empty()).then_some(())
            });
            scene.await_members(running, SESSION_TIMEOUT * 10);
            scene.instances[victim].pause();
            scene.await_members(running - 1, SESSION_TIMEOUT * 5);
            scene.say(&format!("the others have the tasks of {}", scene.instances[victim].name));
            std::thread::sleep(Duration::from_secs(1)); // For them to go on where it was.
            let logged = scene.instances[victim].log().len();
            scene.instances[victim].resume();
            scene.await_members(running, SESSION_TIMEOUT * 10);
            scene.instances[victim].assert_running();
            let complaints = scene.instances[victim].complaints(logged);
            // It either hears that its tasks are gone, or meets it when it commits.
            let fenced = ["its tasks are dropped", "joining the group anew"];
            assert!(
                complaints.iter().any(|line| fenced.iter().any(|said| line.contains(said))),
                "the zombie {} was not fenced; it said: {complaints:#?}",
                scene.instances[victim].name
            );
            scene.say(&format!("{} is back: {}", scene.instances[victim].name, complaints.join(" | ")));
        }
        Action::KillBroker => {
            scene.cluster.kill(1);
            scene.pause_for(0, 2_000, random);
            scene.cluster.restart(1);
        }
        Action::StopBroker => {
            scene.cluster.stop(1);
            scene.cluster.restart(1);
        }
    }
}

/// One run at a time: each has brokers and instances for all cores of a small machine.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_hundred_thousand_events_are_counted_exactly_through_crashes() {
    let _alone = alone();
    let workload = Workload { events: 100_000, seed: seed() };
    let mut scene = Scene::set(Options::brokers(1), workload);
    disturb(&mut scene, &Plan { kills: 6, stops: 1, zombies: 1, broker_kills: 1, broker_stops: 0 });
    scene.end();
}

#[test]
#[ignore = "takes minutes: make chaos"]
fn a_million_events_are_counted_exactly_through_crashes() {
    let _alone = alone();
    let workload = Workload { events: 1_000_000, seed: seed() };
    let mut scene = Scene::set(Options::brokers(1), workload);
    disturb(&mut scene, &Plan { kills: 32, stops: 4, zombies: 3, broker_kills: 2, broker_stops: 1 });
    scene.end();
}

/// Each time, some of the work reaches the broker and nobody learns of it: the answers are lost, and then either the
/// connections break or the instance dies.
fn lose_answers(scene: &mut Scene, times: u64) {
    let mut random = Random::new(scene.workload.seed + 2);
    for time in 1..=times {
        let before = scene.watch.count();
        scene.feed_up_to(time, times + 1);
        scene.await_results(before);
        scene.cluster.proxy(1).set(Fault::AnswersLost);
        scene.pause_for(300, 1_200, &mut random);
        let dies = time % 2 == 0;
        if dies {
            scene.instances[0].kill();
        }
        scene.cluster.proxy(1).set(Fault::None);
        scene.cluster.proxy(1).cut();
        if dies {
            scene.instances[0].start();
        }
        scene.say(&format!("{time}/{times}: answers lost, then {}", if dies { "a kill" } else { "a cut" }));
    }
}

#[test]
#[ignore = "takes a minute: make chaos"]
fn commits_of_which_no_answer_came_count_once() {
    let _alone = alone();
    let workload = Workload { events: 200_000, seed: seed() };
    let mut scene = Scene::set(Options::brokers(1).proxied(), workload);
    lose_answers(&mut scene, 8);
    scene.end();
}

/// A reader that sees nothing amiss where something is would prove nothing by seeing nothing.
#[test]
#[ignore = "about the tests, not the engine: make chaos"]
fn without_transactions_the_witness_sees_what_was_done_twice() {
    let _alone = alone();
    let workload = Workload { events: 200_000, seed: seed() };
    let mut scene = Scene::set_with(Options::brokers(1).proxied(), workload, &["guarantee=at_least_once"]);
    lose_answers(&mut scene, 4);
    let results = scene.settle();
    let differences = results.differences(&workload);
    scene.say(&format!("{} differences, such as {:?}", differences.len(), differences.first()));
    assert!(!differences.is_empty(), "answers lost and kills without transactions, and nothing came twice");
}

/// Feeds evenly for a while, from one part of the whole to another; parts are hundredths.
fn feed(scene: &Scene, parts: std::ops::Range<u64>, over: Duration) {
    let steps = u64::try_from(over.as_millis() / 100).unwrap().max(1);
    for step in 1..=steps {
        std::thread::sleep(over / u32::try_from(steps).unwrap());
        scene.feed_up_to(parts.start * steps + (parts.end - parts.start) * step, 100 * steps);
    }
}

#[test]
#[ignore = "three brokers want more than half a minute of two cores: make chaos"]
fn a_broker_of_three_dies_and_nothing_is_lost() {
    let _alone = alone();
    let mut scene = Scene::set(Options::brokers(3), Workload { events: 200_000, seed: seed() });
    scene.scale_to(2);
    scene.await_members(2, Duration::from_secs(60));
    feed(&scene, 0..20, Duration::from_secs(5));

    // The coordinator of an instance's transactions; then another broker.
    let coordinator = |scene: &Scene| {
        let ids = scene.cluster.transactional_ids();
        *ids.values().next().unwrap_or_else(|| panic!("no instance has a transactional id"))
    };
    let first = coordinator(&scene);
    let other = if first == 1 { 2 } else { 1 };
    for (broker, what, parts) in
        [(other, "not the coordinator", 20..55), (first, "the coordinator of transactions", 55..95)]
    {
        let killed = Instant::now();
        scene.cluster.kill(broker);
        scene.say(&format!("broker {broker} killed: {what}"));
        feed(&scene, parts, Duration::from_secs(15));
        let pause = scene.watch.longest_gap(None, killed, Instant::now());
        scene.say(&format!("broker {broker} ({what}) killed: the longest pause of results was {pause:.1?}"));
        scene.cluster.restart(broker);
    }
    feed(&scene, 95..100, Duration::from_secs(2));
    scene.end();
}

#[test]
#[ignore = "takes two minutes: make chaos"]
fn a_broker_that_stops_again_and_again_holds_nobody_up() {
    const TIMES: u64 = 15;
    let _alone = alone();
    let mut scene = Scene::set(Options::brokers(1), Workload { events: 300_000, seed: seed() });
    let mut random = Random::new(scene.workload.seed + 3);
    for time in 1..=TIMES {
        let before = scene.watch.count();
        scene.feed_up_to(time, TIMES + 1);
        scene.await_results(before);
        scene.pause_for(0, 300, &mut random);
        act(&mut scene, if time % 3 == 0 { Action::KillBroker } else { Action::StopBroker }, &mut random);
        scene.say(&format!("{time}/{TIMES}: the broker is back"));
    }
    scene.end();
}

#[test]
#[ignore = "takes two minutes: make chaos"]
fn a_minute_without_a_broker_costs_a_minute() {
    const AWAY: Duration = Duration::from_secs(60);
    let _alone = alone();
    let mut scene = Scene::set(Options::brokers(1), Workload { events: 200_000, seed: seed() });
    let before = scene.watch.count();
    scene.feed_up_to(1, 2);
    scene.await_results(before);
    let (memory, logged) = (scene.instances[0].resident(), scene.instances[0].log().len());
    scene.cluster.kill(1);
    std::thread::sleep(AWAY);
    let complaints = scene.instances[0].complaints(logged);
    let grown = scene.instances[0].resident().saturating_sub(memory);
    scene.say(&format!("{AWAY:?} without a broker: {} MiB more memory, {complaints:#?}", grown >> 20));
    assert!(!complaints.is_empty(), "nobody was told that the broker is away");
    assert!(complaints.len() <= 30, "{} lines of complaint in a minute", complaints.len());
    assert!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);

    let before = scene.watch.count();
    let back = Instant::now();
    scene.cluster.restart(1);
    scene.say(&format!("the broker answers after {:.1?}", back.elapsed()));
    scene.feed_up_to(1, 1);
    scene.await_results(before);
    scene.say(&format!("results come again {:.1?} after its start", back.elapsed()));
    scene.end();
}

#[test]
#[ignore = "takes a minute: make chaos"]
fn an_instance_that_starts_before_its_broker_waits_for_it() {
    let _alone = alone();
    let mut scene = Scene::set(Options::brokers(1), Workload { events: 50_000, seed: seed() });
    scene.scale_to(0);
    scene.cluster.kill(1);
    scene.instances[0].start();
    std::thread::sleep(Duration::from_secs(10));
    scene.instances[0].assert_running();
    scene.cluster.restart(1);
    scene.end();
}

/// The longest gap of each task's output since `from`. Sub-topology 0 counts by account and 1 by region; the task of a
/// partition writes that partition of its output, or others too.
fn gaps(scene: &Scene, from: Instant) -> BTreeMap<String, Duration> {
    let outputs = [(PER_ACCOUNT, 0), (PER_REGION, 1)];
    let partitions = 0..i32::try_from(PARTITIONS).unwrap();
    let tasks = outputs.into_iter().flat_map(|output| partitions.clone().map(move |partition| (output, partition)));
    tasks
        .map(|((topic, subtopology), partition)| {
            let gap = scene.watch.longest_gap(Some((topic, partition)), from, Instant::now());
            (format!("{subtopology}_{partition}"), gap)
        })
        .collect()
}

#[test]
#[ignore = "measures time, for which it wants the machine to itself: make chaos"]
fn tasks_that_stay_go_on_while_instances_come_and_go() {
    let _alone = alone();
    let mut scene = Scene::set(Options::brokers(1), Workload { events: 60_000, seed: seed() });
    scene.scale_to(2);
    feed(&scene, 0..20, Duration::from_secs(10));
    let calm = Instant::now();
    feed(&scene, 20..40, Duration::from_secs(6));
    scene.say(&format!("longest gaps by task, undisturbed: {:.0?}", gaps(&scene, calm)));

    let added = Instant::now();
    scene.instances[2].start();
    feed(&scene, 40..70, Duration::from_secs(9));
    let moved = scene.instances[2].opened();
    let while_adding = gaps(&scene, added);
    scene.say(&format!("a third instance: tasks {moved:?} moved; longest gaps: {while_adding:.0?}"));

    let opened = |scene: &Scene, number: usize| scene.instances[number].opened();
    let before = [opened(&scene, 0).len(), opened(&scene, 1).len()];
    let removed = Instant::now();
    scene.instances[2].stop();
    feed(&scene, 70..100, Duration::from_secs(9));
    let mut returned = opened(&scene, 0).split_off(before[0]);
    returned.extend(opened(&scene, 1).split_off(before[1]));
    let while_removing = gaps(&scene, removed);
    scene.say(&format!("it stopped: tasks {returned:?} moved; longest gaps: {while_removing:.0?}"));

    for (what, tasks, gaps) in [("adding", &moved, &while_adding), ("removing", &returned, &while_removing)] {
        assert!(!tasks.is_empty(), "{what} an instance moved nothing");
        // What a task of sub-topology 1 counts comes from all of 0: it waits for those that move.
        let stayed = gaps.iter().filter(|(task, _)| task.starts_with("0_") && !tasks.contains(task));
        for (task, gap) in stayed {
            assert!(*gap <= Duration::from_secs(1), "{what}: task {task} did not move and paused for {gap:.1?}");
        }
    }
    scene.end();
}
