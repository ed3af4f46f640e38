//! What is refused, with a reason and a remedy, and without touching what is there.

use std::fs;
use std::path::Path;

use super::super::*;
use super::{COUNTS, NAMES, WINDOWS, at, int, open, specs, text};

fn reopen(path: &Path, application: &str, task: &str, specs: &[StoreSpec]) -> Result<TaskStores> {
    StateDirectory::open(path, application, StateOptions::default())?.open_task(task, specs)
}

fn message(result: Result<TaskStores>) -> String {
    result.err().expect("it is refused").to_string()
}

fn written() -> tempfile::TempDir {
    let path = tempfile::tempdir().unwrap();
    let mut stores = open(path.path());
    stores.put(COUNTS, b"a", int(1));
    stores.commit(&at(1)).unwrap();
    stores.close().unwrap();
    path
}

fn still_there(path: &Path) {
    assert_eq!(open(path).get(COUNTS, b"a").unwrap(), int(1));
}

#[test]
fn a_directory_of_another_application_is_refused() {
    let path = written();
    fs::rename(path.path().join("app"), path.path().join("other")).unwrap();
    let error = message(reopen(path.path(), "other", "0_0", &specs()));
    assert!(error.contains("application `app`") && error.contains("not by task 0_0 of `other`"), "{error}");
    fs::rename(path.path().join("other"), path.path().join("app")).unwrap();
    still_there(path.path());
}

#[test]
fn a_store_of_another_shape_or_kind_is_refused() {
    let path = written();
    let mut changed = specs();
    changed[COUNTS].shape = Shape::Double;
    let error = message(reopen(path.path(), "app", "0_0", &changed));
    assert!(
        error.contains("`counts`") && error.contains("store of int") && error.contains("store of double"),
        "{error}"
    );
    changed = specs();
    changed[COUNTS].kind = StoreKind::Window { retention: 5 };
    let error = message(reopen(path.path(), "app", "0_0", &changed));
    assert!(error.contains("a key-value store") && error.contains("a window store"), "{error}");
    still_there(path.path());
}

#[test]
fn a_store_of_another_shape_is_made_anew_where_the_log_says_so_and_no_other_is() {
    let path = written();
    let mut stores = open(path.path());
    stores.put(NAMES, b"n", text("name"));
    let mut checkpoint = at(2);
    let offsets = [("app-counts-changelog", 7), ("app-names-changelog", 5)];
    checkpoint.changelog_offsets = offsets.into_iter().map(|(topic, offset)| (topic.into(), offset)).collect();
    stores.commit(&checkpoint).unwrap();
    stores.close().unwrap();
    let accepted = |specs: &[StoreSpec]| {
        StateDirectory::open(path.path(), "app", StateOptions::default()).unwrap().accepted().open_task("0_0", specs)
    };
    let mut changed = specs();
    changed[NAMES].shape = Shape::Int;
    let mut stores = accepted(&changed).unwrap();
    assert_eq!((stores.get(COUNTS, b"a").unwrap(), stores.get(NAMES, b"n").unwrap()), (int(1), None));
    checkpoint.changelog_offsets.remove("app-names-changelog");
    assert_eq!(stores.checkpoint(), Some(&checkpoint), "it is restored from the beginning, the other is not");
    drop(stores);
    // From here on it is the new one, without anybody's leave too.
    assert!(reopen(path.path(), "app", "0_0", &changed).is_ok());
    assert!(reopen(path.path(), "app", "0_0", &specs()).is_err());
    // What has no changelog cannot come back.
    changed[WINDOWS].shape = Shape::String;
    assert!(message(accepted(&changed)).contains("`windows`"));
    changed[WINDOWS] = specs().swap_remove(WINDOWS);
    assert_eq!(accepted(&changed).unwrap().get(COUNTS, b"a").unwrap(), int(1));
}

#[test]
fn a_store_that_left_the_topology_is_dropped_and_is_restored_from_the_beginning_when_it_comes_back() {
    let path = written();
    let mut stores = open(path.path());
    stores.put(NAMES, b"n", text("name"));
    let mut checkpoint = at(2);
    let offsets = [("app-counts-changelog", 7), ("app-names-changelog", 5)];
    checkpoint.changelog_offsets = offsets.into_iter().map(|(topic, offset)| (topic.into(), offset)).collect();
    stores.commit(&checkpoint).unwrap();
    stores.close().unwrap();
    drop(reopen(path.path(), "app", "0_0", &specs()[..1]).unwrap());
    let mut stores = open(path.path());
    assert_eq!((stores.get(COUNTS, b"a").unwrap(), stores.get(NAMES, b"n").unwrap()), (int(1), None));
    checkpoint.changelog_offsets.remove("app-names-changelog");
    assert_eq!(stores.checkpoint(), Some(&checkpoint));
}

#[test]
fn a_store_that_is_new_is_added() {
    let path = written();
    let mut more = specs();
    more.push(StoreSpec { name: "added".to_owned(), ..specs().remove(0) });
    let mut stores = reopen(path.path(), "app", "0_0", &more).unwrap();
    stores.put(3, b"new", int(7));
    stores.commit(&at(2)).unwrap();
    drop(stores);
    let mut stores = reopen(path.path(), "app", "0_0", &more).unwrap();
    assert_eq!((stores.get(3, b"new").unwrap(), stores.get(COUNTS, b"a").unwrap()), (int(7), int(1)));
}

#[test]
fn an_open_directory_is_refused_to_others() {
    let path = tempfile::tempdir().unwrap();
    let _stores = open(path.path());
    let error = reopen(path.path(), "app", "0_0", &specs()).err().unwrap();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
}

#[test]
fn another_format_version_is_refused() {
    let path = tempfile::tempdir().unwrap();
    let task = path.path().join("app/0_0");
    let directory = StateDirectory::open(path.path(), "app", StateOptions::default()).unwrap();
    directory.write_identity_for_test("0_0", &[2, 0, 0]).unwrap();
    let error = message(directory.open_task("0_0", &specs()));
    assert!(error.contains("format 2") && error.contains(&*task.to_string_lossy()), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_that_calls_for_a_restore() {
    use crate::error::{Classified, ErrorClass};
    let path = written();
    let task = path.path().join("app/0_0");
    for entry in fs::read_dir(&task).unwrap() {
        let entry = entry.unwrap().path();
        if entry.file_name().unwrap().to_string_lossy().starts_with("MANIFEST") {
            let mut bytes = fs::read(&entry).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            fs::write(&entry, bytes).unwrap();
        }
    }
    let error = reopen(path.path(), "app", "0_0", &specs()).err().unwrap();
    assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::TaskCorrupted);
    assert!(task.join("CURRENT").exists());
}

#[test]
fn names_that_would_leave_the_directory_are_refused() {
    let path = tempfile::tempdir().unwrap();
    for name in ["", ".", "..", "a/b", "ü"] {
        assert!(matches!(reopen(path.path(), name, "0_0", &[]), Err(StateError::IllegalName { .. })), "{name}");
        assert!(matches!(reopen(path.path(), "app", name, &[]), Err(StateError::IllegalName { .. })), "{name}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let path = tempfile::tempdir().unwrap();
    fs::write(path.path().join("file"), b"").unwrap();
    let error = message(reopen(&path.path().join("file"), "app", "0_0", &specs()));
    assert!(error.contains("file/app"), "{error}");
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = super::super::error::from_io(Path::new("/state/app"), &denied);
    assert!(matches!(error, StateError::Permission { .. }) && error.to_string().contains("read and write access"));
}

#[test]
fn a_changelog_record_without_a_key_is_refused() {
    let mut stores = super::in_memory();
    let mut record = super::logged(7, &bytes::Bytes::new(), None);
    record.key = None;
    let error = stores.restore(COUNTS, &[record], 8).unwrap_err();
    assert!(error.to_string().contains("offset 7"), "{error}");
    assert_eq!(stores.checkpoint(), None);
}

/// Needs a small file system: `mount -t tmpfs -o size=3m tmpfs DIR`, then
/// `SIGNALSTREAM_SMALL_DISK=DIR cargo test --release --lib a_full_disk -- --ignored`.
#[test]
#[ignore = "needs SIGNALSTREAM_SMALL_DISK, a directory on a file system of a few megabytes"]
fn a_full_disk_is_an_error_and_loses_nothing_that_was_flushed() {
    let path = std::env::var("SIGNALSTREAM_SMALL_DISK").expect("SIGNALSTREAM_SMALL_DISK is set");
    let path = tempfile::tempdir_in(path).unwrap();
    let options = StateOptions { flush_bytes: 256 << 10, ..StateOptions::default() };
    let directory = StateDirectory::open(path.path(), "app", options).unwrap();
    let mut stores = directory.open_task("0_0", &specs()).unwrap();
    stores.put(COUNTS, b"a", int(1));
    stores.commit(&at(1)).unwrap();
    stores.flush().unwrap();
    let mut random = 1_u64;
    let error = (2..10_000_i64).find_map(|n| {
        for _ in 0..1_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            stores.put(COUNTS, &random.to_be_bytes(), int(random.cast_signed()));
        }
        stores.commit(&at(n)).err()
    });
    let error = error.expect("the disk is full");
    assert!(matches!(error, StateError::DiskFull { .. }), "{error}");
    drop(stores);
    let mut stores = open(path.path());
    assert!(stores.checkpoint().is_some());
    assert_eq!(stores.get(COUNTS, b"a").unwrap(), int(1));
}
