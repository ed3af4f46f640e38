//! What is left after a crash, and how it is made whole.

use std::fs;
use std::ops::Bound::Unbounded;
use std::path::Path;

use bytes::Bytes;

use super::super::*;
use super::{COUNTS, NAMES, WINDOWS, at, int, keys, logged, open, text};

/// Copies a state directory as a crash would leave it: what is in memory only is not in the copy.
fn crash(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            crash(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

fn contents(stores: &mut TaskStores, store: usize) -> Vec<(Bytes, StateValue)> {
    stores.scan(store, Unbounded, Unbounded).map(Result::unwrap).collect()
}

#[test]
fn a_graceful_close_leaves_nothing_to_restore() {
    let (path, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = open(path.path());
    stores.put(COUNTS, b"a", int(1));
    stores.commit(&at(1)).unwrap();
    stores.put(COUNTS, b"uncommitted", int(2));
    stores.flush().unwrap();
    crash(path.path(), copy.path());
    stores.close().unwrap();
    for path in [path.path(), copy.path()] {
        let mut stores = open(path);
        assert_eq!(stores.checkpoint(), Some(&at(1)));
        assert_eq!(keys(&mut stores, COUNTS), ["a"]);
    }
}

#[test]
fn a_crash_loses_the_unflushed_tail_of_all_stores_and_of_the_checkpoint_together() {
    let (path, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = open(path.path());
    for n in 1..=10_i64 {
        stores.put(COUNTS, &n.to_be_bytes(), int(n));
        stores.put(NAMES, &n.to_be_bytes(), text("x"));
        stores.put(WINDOWS, &n.to_be_bytes(), int(n));
        stores.commit(&at(n)).unwrap();
        if n == 6 {
            stores.flush().unwrap();
        }
    }
    crash(path.path(), copy.path());
    let mut found = open(copy.path());
    assert_eq!(found.checkpoint(), Some(&at(6)));
    for store in [COUNTS, NAMES, WINDOWS] {
        assert_eq!(keys(&mut found, store).len(), 6);
    }
    assert_eq!(keys(&mut stores, COUNTS).len(), 10);
}

#[test]
fn a_crash_before_the_first_flush_leaves_an_empty_store_that_knows_whose_it_is() {
    let (path, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = open(path.path());
    stores.put(COUNTS, b"a", int(1));
    stores.commit(&at(1)).unwrap();
    crash(path.path(), copy.path());
    let mut found = open(copy.path());
    assert_eq!(found.checkpoint(), None);
    assert!(keys(&mut found, COUNTS).is_empty());
}

#[test]
fn flushes_happen_by_themselves_so_that_the_tail_stays_short() {
    let path = tempfile::tempdir().unwrap();
    let options = StateOptions { flush_commits: 5, ..StateOptions::default() };
    let directory = StateDirectory::open(path.path(), "app", options).unwrap();
    let mut stores = directory.open_task("0_0", &super::specs()).unwrap();
    for n in 1..=7_i64 {
        stores.put(COUNTS, b"a", int(n));
        stores.put(NAMES, b"a", text("x"));
        stores.commit(&at(n)).unwrap();
    }
    // The flush after the fifth commit runs in the background; it may take the sixth and seventh with it.
    let flushed = (0..1_000).find_map(|_| {
        crate::time::pause(std::time::Duration::from_millis(5));
        let reader = TaskReader::open(path.path(), "app", "0_0").ok()?;
        Some((reader.checkpoint()?.clone(), reader.get("counts", b"a").ok()??))
    });
    let (checkpoint, value) = flushed.expect("a flush within five seconds");
    let value = Codec::new(&Shape::Int).decode(&value).unwrap().0;
    assert!((5..=7).contains(&value) && checkpoint == at(value), "{value}");
}

#[test]
fn restoring_the_changelog_gives_the_same_bytes() {
    let (path, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = open(path.path());
    let mut log = Vec::new();
    for n in 0..300_i64 {
        stores.put(NAMES, &(n % 100).to_be_bytes(), text(&n.to_string()));
        stores.put(NAMES, &(n * 7 % 100).to_be_bytes(), None);
        if n % 10 == 9 {
            let records = stores.changelog().unwrap();
            log.extend(
                records
                    .into_iter()
                    .enumerate()
                    .map(|(at, record)| logged(n * 100 + at as i64, &record.key, record.value.as_ref())),
            );
            stores.commit(&at(n)).unwrap();
        }
    }
    let mut fold = Fold::new();
    log.iter().for_each(|record| fold.apply(record));
    let mut rebuilt = open(restored.path());
    let (first, second) = log.split_at(log.len() / 2);
    rebuilt.restore(NAMES, first, first.last().unwrap().offset + 1).unwrap();
    let offset = |stores: &TaskStores| stores.checkpoint().unwrap().changelog_offsets["app-names-changelog"];
    assert_eq!(offset(&rebuilt), first.last().unwrap().offset + 1);
    assert_eq!(rebuilt.get(NAMES, b"nobody").unwrap(), None);
    rebuilt.restore(NAMES, second, 40_000).unwrap();
    assert_eq!(offset(&rebuilt), 40_000);
    for stores in [&stores, &rebuilt] {
        let verification = stores.verify(NAMES, &fold, 5).unwrap();
        assert!(verification.is_equal() && verification.entries > 10, "{verification:?}");
    }
    assert_eq!(contents(&mut stores, NAMES), contents(&mut rebuilt, NAMES));
}

#[test]
fn an_interrupted_restore_goes_on_where_it_was() {
    let (path, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut source = super::in_memory();
    source.put(COUNTS, b"a", int(1));
    source.put(COUNTS, b"b", int(2));
    let records = source.changelog().unwrap();
    let log: Vec<_> =
        records.iter().zip(0..).map(|(record, n)| logged(n, &record.key, record.value.as_ref())).collect();
    let mut stores = open(path.path());
    stores.restore(COUNTS, &log[..1], 1).unwrap();
    stores.flush().unwrap();
    stores.restore(COUNTS, &log[1..], 2).unwrap();
    crash(path.path(), copy.path());
    let mut found = open(copy.path());
    assert_eq!(found.checkpoint().unwrap().changelog_offsets["app-counts-changelog"], 1);
    assert_eq!(keys(&mut found, COUNTS), ["a"]);
    found.restore(COUNTS, &log[1..], 2).unwrap();
    assert_eq!(keys(&mut found, COUNTS), ["a", "b"]);
}

#[test]
fn a_restored_record_replaces_what_the_read_cache_knew() {
    let mut source = super::in_memory();
    source.put(COUNTS, b"a", int(1));
    let record = source.changelog().unwrap().remove(0);
    let mut stores = super::in_memory();
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), None);
    stores.restore(COUNTS, &[logged(0, &record.key, record.value.as_ref())], 1).unwrap();
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), int(1));
}

#[test]
fn differences_between_a_store_and_its_changelog_are_shown() {
    let mut stores = super::in_memory();
    for (key, n) in [(b"extra", 1), (b"other", 2), (b"equal", 3)] {
        stores.put(COUNTS, key, int(n));
    }
    let records = stores.changelog().unwrap();
    stores.commit(&at(1)).unwrap();
    let mut fold = Fold::new();
    fold.apply(&logged(0, &records[2].key, records[2].value.as_ref()));
    fold.apply(&logged(1, &records[1].key, records[0].value.as_ref()));
    fold.apply(&logged(2, &Bytes::from_static(b"missing"), records[0].value.as_ref()));
    let verification = stores.verify(COUNTS, &fold, 2).unwrap();
    assert_eq!((verification.entries, verification.differing, verification.first.len()), (3, 3, 2));
    assert_eq!(verification.first[0].to_string(), "key `extra` is in the store and not in the changelog");
    assert_eq!(verification.first[1].to_string(), "key `missing` is in the changelog and missing in the store");
    let all = stores.verify(COUNTS, &fold, 10).unwrap();
    assert!(matches!(&all.first[2], Difference::Different { key, .. } if key == "other"), "{all:?}");
}

#[test]
fn a_reader_looks_at_the_flushed_state_beside_the_task() {
    let path = tempfile::tempdir().unwrap();
    let mut stores = open(path.path());
    stores.put(COUNTS, b"a", int(1));
    stores.put(COUNTS, b"b", int(2));
    stores.commit(&at(2)).unwrap();
    stores.flush().unwrap();
    assert_eq!(list_applications(path.path()).unwrap(), ["app"]);
    assert_eq!(list_tasks(path.path(), "app").unwrap(), ["0_0"]);
    let reader = TaskReader::open(path.path(), "app", "0_0").unwrap();
    assert_eq!(reader.checkpoint(), Some(&at(2)));
    let summaries = reader.summaries().unwrap();
    let seen: Vec<_> =
        summaries.iter().map(|store| (store.name.as_str(), store.kind.as_str(), store.entries)).collect();
    assert_eq!(seen, [("counts", "key-value", 2), ("names", "key-value", 0), ("windows", "window", 0)]);
    let bytes = reader.get("counts", b"b").unwrap().unwrap();
    assert_eq!(Some(reader.decode("counts", &Codec::new(&Shape::Int), b"b", &bytes).unwrap()), int(2));
    assert!(reader.decode("counts", &Codec::new(&Shape::String), b"b", &bytes).is_err());
    assert_eq!(reader.scan("counts", Unbounded, Unbounded, 1).unwrap().len(), 1);
    let error = reader.get("count", b"b").unwrap_err();
    assert!(error.to_string().contains("it has: counts, names, windows"), "{error}");
    assert!(matches!(TaskReader::open(path.path(), "app", "0_9"), Err(StateError::NotFound { .. })));
}

#[test]
fn cleared_stores_are_empty_and_restored_from_the_first_record_on() {
    let (path, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = open(path.path());
    for n in 1..=10_i64 {
        stores.put(COUNTS, &n.to_be_bytes(), int(n));
        stores.put(WINDOWS, &n.to_be_bytes(), int(n));
    }
    let mut checkpoint = at(1);
    checkpoint.changelog_offsets.insert("app-counts-changelog".into(), 10);
    stores.commit(&checkpoint).unwrap();
    stores.put(COUNTS, b"uncommitted", int(1));
    stores.clear(7).unwrap();
    stores.flush().unwrap();
    crash(path.path(), copy.path());
    for stores in [&mut stores, &mut open(copy.path())] {
        assert!(keys(stores, COUNTS).is_empty());
        assert_eq!(stores.get(COUNTS, &3_i64.to_be_bytes()).unwrap(), None);
        assert_eq!(keys(stores, WINDOWS).len(), 10, "what has no changelog cannot be restored, so it stays");
        let found = stores.checkpoint().unwrap();
        assert_eq!((found.wall_clock, found.changelog_offsets.len()), (7, 0));
        assert_eq!(found.input_offsets, checkpoint.input_offsets);
        let key = Bytes::from_static(b"restored");
        stores.restore(COUNTS, &[logged(0, &key, None)], 1).unwrap();
        assert_eq!(stores.checkpoint().unwrap().changelog_offsets.len(), 1);
    }
}
