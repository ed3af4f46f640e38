//! The engine against Kafka Streams, record by record (`README.md` beside this file).
//!
//! `scenarios/` holds topologies, each with sequences of records by hand; `generate` adds random ones. What Kafka
//! Streams makes of them is in `golden/`, written by `make parity`; these tests compare it with what the engine makes
//! of them, and need no Java.

mod canonical;
mod engine;
mod generate;
mod golden;
mod kafka_streams;
mod known;
mod processors;
mod scenarios;
mod spread;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::Engine;
use golden::Golden;
use known::{DECIDED, PENDING, SEQUENCES, is_pending};
use scenarios::{Scenario, Sequence};

/// What differs, for people to read: at most this many lines of one sequence, and sequences of one scenario.
const SHOWN: usize = 3;

/// Rows of both, of the first sequences that differ, and how many do.
fn differences(
    scenario: &Scenario,
    engine: &Engine,
    golden: &Golden,
    sequences: &[Sequence],
    of: &dyn Fn(&Sequence) -> bool,
) -> Option<String> {
    let mut text = String::new();
    let mut count = 0;
    assert_eq!(golden.len(), sequences.len(), "{}: run `make parity`: sequences were added or removed", scenario.name);
    for (position, sequence) in sequences.iter().enumerate().filter(|(_, sequence)| of(sequence)) {
        let ours = engine.run(sequence);
        let Some(difference) = golden.difference(position, &ours) else { continue };
        count += 1;
        if count <= SHOWN {
            text.push_str(&format!("{}, {}:\n{difference}", scenario.name, sequence.name));
        }
    }
    (count > 0).then(|| format!("{}: {count} of {} sequences differ\n{text}", scenario.name, sequences.len()))
}

/// What differs between the engine and Kafka Streams; a topology that is refused differs.
fn compared(
    scenario: &Scenario,
    golden: &Golden,
    sequences: &[Sequence],
    of: &dyn Fn(&Sequence) -> bool,
) -> Option<String> {
    match Engine::new(scenario) {
        Ok(engine) => differences(scenario, &engine, golden, sequences, of),
        Err(problems) => Some(format!("{} is refused:\n{problems}", scenario.name)),
    }
}

fn compared_by_hand(scenario: &Scenario) -> Option<String> {
    compared(scenario, &Golden::by_hand(&scenario.name), &scenario.by_hand(), &is_to_be_equal)
}

/// Whether nothing is known of this one sequence.
fn is_to_be_equal(sequence: &Sequence) -> bool {
    known::reason(sequence).is_none()
}

/// Does something for every scenario, and fails with everything that is wrong.
fn check(wrong: impl Fn(&Scenario) -> Option<String> + Sync) {
    let scenarios = scenarios::all();
    let next = Mutex::new(scenarios.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |threads| threads.get().min(8)) {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = next.lock().unwrap().next() else { return };
                    // Other scenarios run on when one panics.
                    let wrong = std::panic::catch_unwind(AssertUnwindSafe(|| wrong(scenario)));
                    let wrong = wrong.unwrap_or_else(|_| Some(format!("{}: see the panic above", scenario.name)));
                    failures.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} scenarios:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_was_written_by_hand_comes_out_as_in_kafka_streams() {
    check(|scenario| compared_by_hand(scenario).filter(|_| !is_pending(scenario)));
}

#[test]
fn random_sequences_come_out_as_in_kafka_streams() {
    let (equal, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
    check(|scenario| {
        let sequences = generate::sequences(scenario);
        all.fetch_add(sequences.len(), Ordering::Relaxed);
        equal.fetch_add(sequences.iter().filter(|one| is_to_be_equal(one)).count(), Ordering::Relaxed);
        let different = compared(scenario, &Golden::random(&scenario.name), &sequences, &is_to_be_equal);
        if !is_pending(scenario) {
            return different;
        }
        let equal = compared_by_hand(scenario).is_none() && different.is_none();
        equal.then(|| format!("{} is as in Kafka Streams: take it from PENDING in known.rs", scenario.name))
    });
    let (equal, all) = (equal.into_inner(), all.into_inner());
    eprintln!("{equal} of {all} random sequences were compared");
    assert!(equal >= 10_000 || std::env::var_os("PARITY_ONLY").is_some(), "only {equal} sequences were compared");
}

/// What is done differently on purpose shows in a sequence that it covers, and covers few in which it does not.
#[test]
fn what_is_decided_shows_where_it_is_said_to() {
    check(|scenario| {
        let decided = DECIDED.iter().find(|decided| decided.scenario == scenario.name)?;
        let engine = Engine::new(scenario).unwrap();
        let mut covered = 0;
        let mut different = 0;
        let by_hand = (scenario.by_hand(), Golden::by_hand(&scenario.name));
        let random = (generate::sequences(scenario), Golden::random(&scenario.name));
        for (sequences, golden) in [by_hand, random] {
            for (position, sequence) in sequences.iter().enumerate().filter(|(_, one)| (decided.covers)(one)) {
                covered += 1;
                different += usize::from(golden.difference(position, &engine.run(sequence)).is_some());
            }
        }
        eprintln!("{}: {covered} sequences are covered, {different} differ ({})", scenario.name, decided.reason);
        (different * 4 < covered * 3 || different == 0)
            .then(|| format!("{}: {different} of the {covered} sequences that are covered differ", scenario.name))
    });
}

/// Over three partitions, with two threads, killed on the way.
#[test]
fn a_killed_application_of_several_threads_ends_where_kafka_streams_does() {
    let killed = AtomicUsize::new(0);
    let ran = AtomicUsize::new(0);
    check(|scenario| {
        let sequence = spread::sequence(scenario).filter(|one| !is_pending(scenario) && is_to_be_equal(one))?;
        let (ours, kills) = spread::run(scenario, &sequence);
        killed.fetch_add(kills, Ordering::Relaxed);
        ran.fetch_add(1, Ordering::Relaxed);
        let theirs: Vec<String> = golden::read(golden::SPREAD, &scenario.name).lines().map(str::to_owned).collect();
        let ours: Vec<String> = ours.lines().map(str::to_owned).collect();
        (ours != theirs)
            .then(|| format!("{}: {} keys\n{}", scenario.name, ours.len(), golden::compared(&theirs, &ours)))
    });
    let (killed, ran) = (killed.into_inner(), ran.into_inner());
    assert!(killed >= ran, "{ran} scenarios were killed {killed} times only: the kills come too late");
}

/// What `signalstream drive --cache off` prints: the binary does what the library does.
#[test]
fn the_binary_prints_what_kafka_streams_gives() {
    for name in ["filter", "tumbling", "hopping_on_close", "join_tables_outer", "join_chain_outer_inner"] {
        let scenarios = scenarios::all();
        let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == name) else { continue };
        let golden = Golden::by_hand(name);
        for (position, sequence) in scenario.by_hand().iter().enumerate() {
            let printed = engine::drive(scenario, sequence);
            assert_eq!(golden.without_steps(position), printed, "{name}, {}", sequence.name);
        }
    }
}

/// Every name in a table is a scenario, and every scenario is in one of them at most.
#[test]
fn what_is_known_to_differ_is_there() {
    let decided = DECIDED.iter().map(|decided| (decided.scenario, decided.reason));
    for (name, reason) in PENDING.iter().copied().chain(decided) {
        let file = scenarios::directory().join(format!("scenarios/{name}.yaml"));
        assert!(file.exists(), "there is no scenario `{name}`");
        assert!(!reason.is_empty(), "{name}");
    }
    assert!(PENDING.iter().all(|(name, _)| DECIDED.iter().all(|decided| decided.scenario != *name)));
    for (name, reason) in PENDING {
        use std::io::Write;
        writeln!(std::io::stderr(), "skipped: parity of {name}: {reason}").unwrap();
    }
}

/// A single sequence that does not differ must leave its list.
#[test]
fn single_sequences_that_are_known_differ() {
    let scenarios = scenarios::all();
    for (name, sequence, reason) in SEQUENCES {
        let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == *name) else {
            assert!(std::env::var_os("PARITY_ONLY").is_some(), "there is no scenario `{name}`");
            continue;
        };
        let by_hand = (scenario.by_hand(), Golden::by_hand(name));
        let random = (generate::sequences(scenario), Golden::random(name));
        let found = [by_hand, random].into_iter().find_map(|(sequences, golden)| {
            let position = sequences.iter().position(|one| one.name == *sequence)?;
            let ours = Engine::new(scenario).unwrap().run(&sequences[position]);
            Some(golden.difference(position, &ours).is_some())
        });
        let differs = found.unwrap_or_else(|| panic!("{name} has no sequence `{sequence}`"));
        assert!(differs, "{name}, {sequence} is as in Kafka Streams: take it from SEQUENCES in known.rs ({reason})");
    }
}

/// Runs Kafka Streams, and with `UPDATE_GOLDENS=1` writes what it gives to `golden/`.
fn check_goldens(what: &str, sequences: &[Sequence]) {
    let outputs = kafka_streams::run(sequences);
    let stale = golden::write(what, sequences, &outputs);
    assert!(stale.is_empty(), "not what Kafka Streams gives: {stale:?}; `make parity` writes it");
}

#[test]
#[ignore = "needs a Java compiler: `make parity`"]
fn goldens_by_hand_are_what_kafka_streams_gives() {
    let sequences: Vec<Sequence> = scenarios::all().iter().flat_map(Scenario::by_hand).collect();
    check_goldens(golden::BY_HAND, &sequences);
}

#[test]
#[ignore = "needs a Java compiler: `make parity`"]
fn goldens_of_applications_are_what_kafka_streams_gives() {
    let sequences: Vec<Sequence> = scenarios::all().iter().filter_map(spread::sequence).collect();
    check_goldens(golden::SPREAD, &sequences);
}

#[test]
#[ignore = "needs a Java compiler, and minutes: `make parity`"]
fn random_goldens_are_what_kafka_streams_gives() {
    let sequences: Vec<Sequence> = scenarios::all().iter().flat_map(generate::sequences).collect();
    let count = sequences.len();
    assert!(count >= 10_000 || std::env::var_os("PARITY_ONLY").is_some(), "only {count} random sequences");
    check_goldens(golden::RANDOM, &sequences);
}

/// Shows a random sequence: `PARITY_ONLY=NAME PARITY_NUMBER=7`.
#[test]
#[ignore = "shows a sequence, and checks nothing"]
fn show() {
    let number: usize = std::env::var("PARITY_NUMBER").map_or(0, |number| number.parse().unwrap());
    for scenario in scenarios::all() {
        let sequence = &generate::sequences(&scenario)[number];
        eprintln!("{}, {}", scenario.name, sequence.name);
        sequence.lines.iter().enumerate().for_each(|(at, line)| eprintln!("{at:3} {line}"));
    }
}
