//! Tests of the stores as their callers see them.

mod model;
mod recovery;
mod refusals;
mod versioned;

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::log::LogRecord;
use crate::record::{Headers, TopicPartition};

pub(super) const COUNTS: usize = 0;
pub(super) const NAMES: usize = 1;
pub(super) const WINDOWS: usize = 2;

pub(super) fn specs() -> Vec<StoreSpec> {
    let spec = |name: &str, changelog: Option<&str>, shape, kind| StoreSpec {
        name: name.to_owned(),
        changelog: changelog.map(Arc::from),
        shape,
        kind,
    };
    vec![
        spec("counts", Some("app-counts-changelog"), Shape::Int, StoreKind::KeyValue),
        spec("names", Some("app-names-changelog"), Shape::String, StoreKind::KeyValue),
        spec("windows", None, Shape::Int, StoreKind::Window { retention: 1_000 }),
    ]
}

pub(super) fn in_memory() -> TaskStores {
    StateDirectory::in_memory("app", StateOptions::default()).unwrap().open_task("0_0", &specs()).unwrap()
}

pub(super) fn open(path: &Path) -> TaskStores {
    StateDirectory::open(path, "app", StateOptions::default()).unwrap().open_task("0_0", &specs()).unwrap()
}

pub(super) fn int(n: i64) -> Option<StateValue> {
    Some(StateValue { timestamp: n, value: Value::Int(n) })
}

pub(super) fn text(text: &str) -> Option<StateValue> {
    Some(StateValue { timestamp: 5, value: Value::text(text.to_owned()) })
}

/// A checkpoint that says: so many input records are processed.
pub(super) fn at(offset: i64) -> Checkpoint {
    let mut checkpoint = Checkpoint { wall_clock: 1_700_000_000_000 + offset, ..Checkpoint::default() };
    checkpoint.input_offsets.insert(TopicPartition::new("in", 0), offset);
    checkpoint
}

/// A changelog record as it is read back from the log.
pub(super) fn logged(offset: i64, key: &Bytes, value: Option<&Bytes>) -> LogRecord {
    LogRecord { offset, timestamp: 0, key: Some(key.clone()), value: value.cloned(), headers: Headers::default() }
}

pub(super) fn keys(stores: &mut TaskStores, store: usize) -> Vec<Bytes> {
    stores.scan(store, Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect()
}

#[test]
fn reads_see_uncommitted_changes_and_a_rollback_drops_them() {
    let mut stores = in_memory();
    stores.put(COUNTS, b"a", int(1));
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), int(1));
    stores.rollback();
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), None);
    stores.put(COUNTS, b"a", int(1));
    stores.commit(&at(1)).unwrap();
    stores.put(COUNTS, b"a", None);
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), None);
    stores.rollback();
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), int(1));
    assert_eq!(stores.overlay_bytes(), 0);
}

#[test]
fn an_update_reads_and_writes_and_a_failed_one_changes_nothing() {
    let mut stores = in_memory();
    for _ in 0..3 {
        stores
            .update(COUNTS, b"a", |value| {
                let count = value.as_ref().map_or(0, |value| value.timestamp) + 1;
                *value = int(count);
                Ok::<_, StateError>(())
            })
            .unwrap();
    }
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), int(3));
    stores.commit(&at(3)).unwrap();
    let failed: Result<()> = stores.update(COUNTS, b"a", |_| Err(StateError::IllegalState("no".to_owned())));
    assert!(failed.is_err());
    assert_eq!(stores.changelog().unwrap(), []);
}

#[test]
fn the_changelog_has_one_record_per_key_in_first_touched_order() {
    let mut stores = in_memory();
    stores.put(COUNTS, b"b", int(1));
    stores.put(NAMES, b"n", text("x"));
    stores.put(COUNTS, b"a", int(2));
    stores.put(COUNTS, b"b", int(3));
    stores.put(COUNTS, b"c", None);
    stores.put(WINDOWS, b"not logged", int(9));
    let records = stores.changelog().unwrap();
    let seen: Vec<_> = records.iter().map(|record| (record.store, record.key.as_ref(), record.timestamp)).collect();
    let expected: [(usize, &[u8], _); 4] =
        [(COUNTS, b"b", Some(3)), (COUNTS, b"a", Some(2)), (COUNTS, b"c", None), (NAMES, b"n", Some(5))];
    assert_eq!(seen, expected);
    assert_eq!(records[2].value, None);
    stores.commit(&at(1)).unwrap();
    assert_eq!(stores.changelog().unwrap(), []);
}

#[test]
fn a_change_after_the_changelog_was_taken_is_still_committed() {
    let mut stores = in_memory();
    stores.put(COUNTS, b"a", int(1));
    assert_eq!(stores.changelog().unwrap().len(), 1);
    stores.put(COUNTS, b"a", int(2));
    stores.put(COUNTS, b"b", int(3));
    stores.commit(&at(1)).unwrap();
    let found: Vec<_> =
        stores.scan(COUNTS, Unbounded, Unbounded).map(Result::unwrap).map(|(_, value)| Some(value)).collect();
    assert_eq!(found, [int(2), int(3)]);
}

#[test]
fn deleting_what_is_known_to_be_absent_is_no_change() {
    let mut stores = in_memory();
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), None);
    stores.put(COUNTS, b"a", None);
    assert_eq!(stores.changelog().unwrap(), []);
}

#[test]
fn a_scan_merges_changes_with_what_is_committed_in_key_order() {
    let mut stores = in_memory();
    for key in ["a", "c", "e", "g"] {
        stores.put(NAMES, key.as_bytes(), text(key));
    }
    stores.commit(&at(1)).unwrap();
    stores.put(NAMES, b"b", text("B"));
    stores.put(NAMES, b"c", None);
    stores.put(NAMES, b"e", text("E"));
    let found = stores.scan_limited(NAMES, Excluded(b"a"), Included(b"g"), 10).unwrap();
    let found: Vec<_> = found.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let expected = [("b", text("B")), ("e", text("E")), ("g", text("g"))];
    assert_eq!(found, expected.map(|(key, value)| (Bytes::from(key), value)));
    assert_eq!(stores.scan_limited(NAMES, Unbounded, Unbounded, 2).unwrap().len(), 2);
    assert_eq!(stores.scan_limited(NAMES, Included(b"e"), Excluded(b"b"), 10).unwrap(), []);
    assert_eq!(stores.scan_limited(NAMES, Excluded(b"e"), Excluded(b"e"), 10).unwrap(), []);
}

#[test]
fn windows_can_be_deleted_while_they_are_scanned() {
    let mut stores = in_memory();
    let mut key = Vec::new();
    for start in 0..1_000 {
        key.clear();
        window_key(start, b"k", &mut key);
        stores.put(WINDOWS, &key, int(start));
        if start % 100 == 0 {
            stores.commit(&at(start)).unwrap();
        }
    }
    let (mut from, limit) = (Vec::new(), window_bound(700));
    loop {
        let chunk = stores.scan_limited(WINDOWS, Excluded(&from), Excluded(&limit), 64).unwrap();
        let Some((last, _)) = chunk.last() else { break };
        from = last.to_vec();
        for (key, _) in &chunk {
            stores.put(WINDOWS, key, None);
        }
    }
    assert_eq!(keys(&mut stores, WINDOWS).len(), 300);
    stores.commit(&at(2_000)).unwrap();
    let left = keys(&mut stores, WINDOWS);
    assert_eq!(
        left.iter().map(|key| parse_window_key(key).unwrap().0).collect::<Vec<_>>(),
        (700..1_000).collect::<Vec<_>>()
    );
}

#[test]
fn the_read_cache_stays_within_its_limit_and_gives_the_right_values() {
    let options = StateOptions { read_cache_bytes: 20_000, ..StateOptions::default() };
    let directory = StateDirectory::in_memory("app", options).unwrap();
    let mut stores = directory.open_task("0_0", &specs()).unwrap();
    for n in 0..1_000_i64 {
        stores.put(COUNTS, &n.to_be_bytes(), int(n));
    }
    assert!(stores.overlay_bytes() > 100_000);
    stores.commit(&at(1)).unwrap();
    assert_eq!(stores.overlay_bytes(), 0);
    for n in (0..1_200_i64).rev() {
        assert_eq!(stores.get(COUNTS, &n.to_be_bytes()).unwrap(), if n < 1_000 { int(n) } else { None });
        assert!(stores.read_cache_bytes() < 20_500);
    }
    let other = directory.open_task("0_1", &specs()).unwrap();
    stores.get(COUNTS, b"unknown").unwrap();
    assert!(stores.read_cache_bytes() < 10_500, "the limit is shared by the open tasks");
    drop(other);
}

#[test]
fn a_full_overlay_says_so() {
    let options = StateOptions { overlay_bytes: 10_000, ..StateOptions::default() };
    let mut stores = StateDirectory::in_memory("app", options).unwrap().open_task("0_0", &specs()).unwrap();
    let mut puts = 0_i64;
    while !stores.is_overlay_full() {
        puts += 1;
        stores.put(COUNTS, &puts.to_be_bytes(), int(puts));
    }
    assert!((20..200).contains(&puts), "{puts}");
}

#[test]
fn a_committed_value_does_not_hold_on_to_the_payload_it_came_from() {
    let mut stores = in_memory();
    let payload = Bytes::from(vec![b'x'; 1 << 20]);
    let small = crate::record::Text::try_from(payload.slice(..50)).unwrap();
    stores.put(NAMES, b"a", Some(StateValue { timestamp: 0, value: Value::String(small) }));
    assert!(!payload.is_unique());
    stores.commit(&at(1)).unwrap();
    assert!(payload.is_unique());
    assert_eq!(stores.get(NAMES, b"a").unwrap().unwrap().value, Value::text("x".repeat(50)));
}

#[test]
fn memory_stays_bounded_whatever_the_number_of_tasks() {
    let options = StateOptions {
        block_cache_bytes: 2 << 20,
        write_buffer_bytes: 4 << 20,
        read_cache_bytes: 1 << 20,
        ..StateOptions::default()
    };
    let path = tempfile::tempdir().unwrap();
    let directory = StateDirectory::open(path.path(), "app", options).unwrap();
    let mut tasks: Vec<_> =
        (0..24).map(|partition| directory.open_task(&format!("0_{partition}"), &specs()).unwrap()).collect();
    let mut highest = 0;
    for n in 0..20_i64 {
        for stores in &mut tasks {
            for key in n * 500..(n + 1) * 500 {
                stores.put(COUNTS, &key.to_be_bytes(), int(key));
                stores.put(NAMES, &key.to_be_bytes(), text("a name"));
            }
            stores.commit(&at(n)).unwrap();
            assert!(stores.get(COUNTS, &(n * 250).to_be_bytes()).unwrap().is_some());
        }
        highest = highest.max(directory.memory_usage().write_buffers);
    }
    let decoded: usize = tasks.iter().map(TaskStores::read_cache_bytes).sum();
    // Each task may be above its share by the entry that it read last.
    assert!(decoded <= (1 << 20) + 24 * 300, "{decoded}");
    assert!(highest <= 6 << 20, "{highest}");
    assert!(directory.memory_usage().block_cache <= 3 << 20, "{:?}", directory.memory_usage());
}

#[test]
fn values_of_every_kind_are_read_back_from_the_files() {
    let fields = [("text", Shape::String.optional()), ("tags", Shape::list(Shape::String)), ("score", Shape::Double)];
    let shape = Shape::structure("Row", fields);
    let Shape::Struct(row) = &shape else { panic!("it is a struct") };
    let values = [Value::Null, Value::list(vec![Value::from("a"), Value::from("b")]), Value::Double(-0.5)];
    let value = Value::Struct(crate::record::StructValue::new(Arc::clone(row), values.into()));
    let value = Some(StateValue { timestamp: 42, value });
    let rows =
        [StoreSpec { name: "rows".to_owned(), changelog: None, shape: shape.clone(), kind: StoreKind::KeyValue }];
    let directory = StateDirectory::in_memory("app", StateOptions::default()).unwrap();
    let mut stores = directory.open_task("1_0", &rows).unwrap();
    stores.put(0, b"k", value.clone());
    stores.commit(&at(1)).unwrap();
    assert_eq!(stores.get(0, b"k").unwrap(), value);
    drop(stores);
    assert_eq!(directory.open_task("1_0", &rows).unwrap().get(0, b"k").unwrap(), value);
}

#[test]
fn a_task_can_be_handed_to_a_thread() {
    fn send<T: Send>() {}
    send::<TaskStores>();
    send::<StateDirectory>();
}
