//! Names of stores, and what is kept beside them, stay when steps come and go around them; what a topology has dropped
//! is not taken up again as if nothing had been.

use super::World;

/// What is dropped as late, or alike, shows that the step knows its time and what it kept.
const ONCE: &str = "
sources:
  a: {topic: a}
streams:
  once:
    from: a
    steps:
      - deduplicate: {within: 1m}
sinks:
  - {from: once, topic: out}
";

#[test]
fn a_step_before_a_deduplication_takes_neither_its_memory_nor_its_time() {
    let world = World::new();
    world.write("a", &[("k", "1", 1_000), ("l", "1", 200_000)]);
    world.runs(ONCE);
    let after = ONCE.replace("      - dedup", "      - filter: int(value) < 9\n      - dedup");
    assert_eq!(world.findings(&after), Vec::<String>::new());
    // A late one, one that is alike, one that is not, and one that the filter drops.
    world.write("a", &[("k", "2", 70_000), ("l", "2", 210_000), ("m", "2", 210_000), ("n", "9", 210_000)]);
    world.runs(&after);
    assert_eq!(world.out(), ["k=1", "l=1", "m=2"]);
}

/// Windows that are over are not opened again when their table gets another name and keeps its store.
#[test]
fn the_time_of_a_store_stays_with_it_when_its_table_is_renamed() {
    let text = "
sources:
  a: {topic: a}
tables:
  t: {from: a, window: {tumbling: 1s}, aggregate: {n: count()}, emit: on_close, store: {name: windows, retention: 1h}}
sinks:
  - {from: t, topic: out, map: {start: window.start, n: value.n}}
";
    let world = World::new();
    world.write("a", &[("k", "1", 100), ("k", "1", 5_000)]);
    world.runs(text);
    assert_eq!(world.out(), [r#"k={"start":0,"n":1}"#]);
    let renamed = text.replace("  t: {", "  u: {").replace("from: t,", "from: u,");
    assert_eq!(world.findings(&renamed), Vec::<String>::new());
    // Late for the window that was handed on, and one for the window that is open.
    world.write("a", &[("k", "1", 200), ("k", "1", 5_100), ("k", "1", 9_000)]);
    world.runs(&renamed);
    assert_eq!(world.out(), [r#"k={"start":0,"n":1}"#, r#"k={"start":5000,"n":2}"#]);
}

const BOTH: &str = "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}}
  u: {from: a, aggregate: {n: count()}}
sinks:
  - {from: t, topic: out}
  - {from: u, topic: elsewhere}
";

#[test]
fn a_store_that_was_dropped_does_not_come_back_with_its_old_rows() {
    let one =
        BOTH.replace("  u: {from: a, aggregate: {n: count()}}\n", "").replace("  - {from: u, topic: elsewhere}\n", "");
    let mut world = World::new();
    world.write("a", &[("k", "1", 1)]);
    world.runs(BOTH);
    world.write("a", &[("k", "1", 2)]);
    world.runs(&one);
    let left = |world: &World, text: &str| -> Vec<String> {
        let existing = signalstream::log::Log::admin(&*world.log).topics().unwrap();
        world.evolution(text).left_over(&existing).into_iter().map(|one| one.topic).collect()
    };
    for disk in ["its disk", "an empty disk"] {
        let error = world.run(BOTH).unwrap_err().to_string();
        for part in ["store `u` (evo.yaml:8): comes back", "missing in them", "topics prune"] {
            assert!(error.contains(part), "on {disk}: `{part}` is missing in {error}");
        }
        assert_eq!(left(&world, BOTH), ["evo-u-changelog"]);
        assert_eq!(left(&world, &one), ["evo-u-changelog"]);
        world.empty_disk();
    }
    signalstream::log::Log::admin(&*world.log).delete_topic("evo-u-changelog").unwrap();
    assert_eq!(left(&world, BOTH), Vec::<String>::new());
    world.write("a", &[("k", "1", 3)]);
    world.runs(BOTH);
    assert_eq!(world.out(), [r#"k={"n":1}"#, r#"k={"n":2}"#, r#"k={"n":3}"#]);
    let of_u: Vec<i64> = world.read("elsewhere").iter().map(|(_, value)| value["n"].as_i64().unwrap()).collect();
    assert_eq!(of_u, [1, 1], "it begins anew");
}

#[test]
fn changes_that_are_held_back_are_named_when_their_store_goes() {
    let text = "
sources:
  a: {topic: a}
tables:
  t: {from: a, aggregate: {n: count()}, suppress: {until: 1m}}
sinks:
  - {from: t, topic: out}
";
    let world = World::new();
    world.write("a", &[("k", "1", 1)]);
    world.runs(text);
    let found = world.findings(&text.replace(", suppress: {until: 1m}", ""));
    let said =
        "note: store `t-suppress`: is gone. It held changes that are held back: they are not handed on any more.";
    assert!(found.iter().any(|line| line.starts_with(said)), "{found:#?}");
}

#[test]
fn a_table_of_a_topic_that_was_read_before_is_said_to_begin_empty() {
    let before = "
sources:
  a: {topic: a}
sinks:
  - {from: a, topic: elsewhere}
";
    let after = "
sources:
  a: {topic: a, kind: table}
  b: {topic: b}
streams:
  t:
    join: {kind: left, inputs: {x: b, y: a}}
    map_values: {y: y}
sinks:
  - {from: t, topic: out}
";
    let world = World::new();
    world.write("a", &[("k", "1", 1)]);
    world.runs(before);
    let found = world.findings(after);
    let said = "note: store `a` (evo.yaml:5): begins empty. `a` is read on from where the application has come to";
    assert!(found.len() == 1 && found[0].starts_with(said), "{found:#?}");
    world.write("a", &[("l", "2", 2)]);
    world.write("b", &[("k", "0", 3), ("l", "0", 3)]);
    world.runs(after);
    assert_eq!(world.out(), [r#"k={"y":null}"#, r#"l={"y":2}"#]);
}
