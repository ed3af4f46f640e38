//! Directories of another topology or version, damaged ones, full ones, and those of somebody else.

use std::fs::{self, Permissions};
use std::io::{Write, stderr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::command::{Ended, NOTES, Place, good, start};

const RUN: &str = "run notes.yaml --until-end --embedded data";
const PRODUCE: &str = "produce notes --topology notes.yaml --embedded data --input in.jsonl";
/// Somebody without rights.
const NOBODY: u32 = 65_534;

/// Whether every record of the input came out once, in order, and the stores are what their changelogs say.
#[track_caller]
fn assert_complete(place: &Place, data: &str, records: usize) {
    let count = |topic: &str| {
        let arguments = format!("consume {topic} --topology notes.yaml --from-beginning --embedded {data}");
        place.run(&arguments).success().stdout.lines().count()
    };
    assert_eq!((count("notes"), count("copies"), count("dead")), (records, records, 0));
    place.run(&format!("stores verify --topology notes.yaml --embedded {data}")).success();
}

fn many(records: usize) -> String {
    let text = "0123456789".repeat(20);
    (0..records).map(|n| good(&format!("k{n}"), &text, 1_000 + n as i64)).collect()
}

#[test]
fn state_of_another_shape_is_refused_until_the_topology_is_the_old_one_again() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    place.run_with("produce notes --topology notes.yaml --embedded data", good("a", "two", 2)).success();
    for (changed, said) in [
        (
            NOTES.replace("{n: count()}", "{n: count(), last: last(value.text)}"),
            "values: `last` is new (string or null)",
        ),
        (NOTES.replace("{n: count()}", "{n: max(timestamp)}"), "values: `n` was int, is timestamp or null"),
    ] {
        place.write("notes.yaml", changed);
        let declared = "store `totals` (notes.yaml:11)";
        place.run(RUN).fails(1, &[declared, said, "Go back to what it was", "give the store another name"]);
        place.run("topics plan notes.yaml --embedded data").fails(1, &["REFUSED: store `totals`", said]);
    }
    place.write("notes.yaml", NOTES);
    place.run(RUN).success();
    assert_complete(&place, "data", 2);
    assert_eq!(place.consume("data", "totals").last().unwrap()["value"]["n"], 2);
}

#[test]
fn state_of_another_application_is_refused() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    fs::rename(place.path("data/state/notes"), place.path("data/state/others")).unwrap();
    place.write("notes.yaml", NOTES.replace("topology: notes", "topology: others"));
    let said = ["was written by task 0_0 of application `notes`", "give each application its own state directory"];
    place.run(RUN).fails(1, &said);
}

#[test]
fn state_of_another_version_is_refused_and_restored_when_it_is_moved_away() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    let task = place.path("data/state/notes/0_0");
    edit_metadata(&task, b"identity", 9);
    place.run_with("produce notes --topology notes.yaml --embedded data", good("a", "two", 2)).success();
    let said = ["data/state/notes/0_0 was written in format 9, this program reads format 1", "move the directory away"];
    place.run(RUN).fails(1, &said);
    place.run("stores list --embedded data").fails(1, &said);
    fs::rename(&task, place.path("aside")).unwrap();
    place.run(RUN).success();
    assert_complete(&place, "data", 2);
}

/// Changes the first byte, the version, of an entry of a database's metadata.
fn edit_metadata(directory: &Path, key: &[u8], version: u8) {
    let options = rocksdb::Options::default();
    let families = rocksdb::DB::list_cf(&options, directory).unwrap();
    let database = rocksdb::DB::open_cf(&options, directory, families).unwrap();
    let mut value = database.get(key).unwrap().unwrap();
    value[0] = version;
    database.put(key, value).unwrap();
}

#[test]
fn damaged_state_is_built_anew_and_a_damaged_log_is_named() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    place.run_with("produce notes --topology notes.yaml --embedded data", good("a", "two", 2)).success();
    damage(&place.path("data/state/notes/0_0"));
    let said = place.run(RUN).success().stderr;
    for part in ["the state in data/state/notes/0_0 cannot be read", "is removed and built anew"] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    assert_complete(&place, "data", 2);
    damage(&place.path("data/log"));
    let said = ["the log in data/log cannot be read", "put a copy of the directory in its place"];
    place.run(RUN).fails(1, &said);
    place.run("topics --embedded data").fails(1, &said[..1]);
}

/// Flips bytes in the middle of a database's list of files.
fn damage(directory: &Path) {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let manifest = entries.into_iter().find(|path| path.to_string_lossy().contains("MANIFEST-")).unwrap();
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(manifest, bytes).unwrap();
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path("data/log")).unwrap();
    place.write("data/log/thesis.txt", "twelve years of work");
    place.run(RUN).fails(1, &["data/log", "does not hold a signalstream log", "name one that does"]);
    assert_eq!(fs::read_dir(place.path("data/log")).unwrap().count(), 1);
}

#[test]
fn a_file_that_may_not_grow_stops_produce_and_run_and_loses_nothing() {
    let place = Place::new();
    place.write("in.jsonl", many(12_000));
    let binary = env!("CARGO_BIN_EXE_signalstream");
    // Without the signal, a write beyond the limit (in blocks of 512 bytes) fails as on a full disk.
    let limited = |blocks: u32, arguments: &str| {
        let mut command = place.command("sh");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec {binary} {arguments}")]);
        place.finish(command, "")
    };
    let said =
        ["data/log failed", "File too large", "raise it (ulimit -f) and start again; what was committed is safe"];
    let stopped = limited(100, PRODUCE).fails(1, &said);
    let written = written(&stopped);
    assert_eq!(place.consume("data", "notes").len(), written, "what was said to be written is there");
    fs::remove_dir_all(place.path("data")).unwrap();
    place.run(PRODUCE).success();
    // Wherever the limit strikes: in the log or the state, at the start or in the middle.
    for blocks in [2, 40, 300, 1_000, 2_500] {
        limited(blocks, RUN).fails(1, &["data/", "File too large", "start again"]);
    }
    place.run(RUN).success();
    assert_complete(&place, "data", 12_000);
}

/// How many records `produce` said that it had written when it failed.
fn written(ended: &Ended) -> usize {
    let (before, _) = ended.stderr.split_once(" records of in.jsonl before it were written").unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A small file system in memory, unmounted in the end.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(directory: &Path) -> Option<SmallDisk<'_>> {
        fs::create_dir(directory).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=5m", "tmpfs"]).arg(directory).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(directory))
    }

    fn enlarge(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=200m"]).arg(self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _status = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_produce_and_run_and_loses_nothing() {
    let place = Place::new();
    let path = place.path("data");
    let Some(disk) = SmallDisk::mount(&path) else {
        writeln!(stderr(), "skipped: a file system cannot be mounted here").unwrap();
        return;
    };
    place.write("in.jsonl", many(20_000));
    let said = ["data/", "No space left on device", "free some space and start again; what was committed is safe"];
    let stopped = place.run(PRODUCE).fails(1, &said);
    let written = written(&stopped);
    assert!((1..20_000).contains(&written), "{}", stopped.stderr);
    place.run(RUN).fails(1, &["data/", "No space left on device", "start again"]);
    disk.enlarge();
    place.run(RUN).success();
    assert_complete(&place, "data", written);
}

/// Runs the binary as somebody who is not root, for whom permissions count.
fn as_nobody(place: &Place, arguments: &str) -> Ended {
    let binary = place.path("signalstream");
    let mut command = place.command(binary);
    command.args(arguments.split_whitespace());
    if is_root(place) {
        command.uid(NOBODY).gid(NOBODY);
    }
    place.finish(command, "")
}

fn is_root(place: &Place) -> bool {
    fs::metadata(place.root()).unwrap().uid() == 0
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn directories_without_permission_are_named_with_what_to_do() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    place.run_with("produce notes --topology notes.yaml --embedded data", good("a", "two", 2)).success();
    fs::copy(env!("CARGO_BIN_EXE_signalstream"), place.path("signalstream")).unwrap();
    permit(&place.path("signalstream"), 0o755);
    permit(place.root(), 0o755);
    if is_root(&place) {
        let owner = format!("{NOBODY}:{NOBODY}");
        let status = Command::new("chown").args(["-R", &owner]).arg(place.path("data")).status();
        assert!(status.unwrap().success());
    }
    let (log, state) = ("data/log", "data/state/notes/0_0");
    let remedy_of_log = "give this process the right to read and write the directory, or name another";
    let remedy_of_state = "give the user of this process read and write access, or choose another directory";
    for (locked, mode, command, remedy) in [
        ("data", 0o000, RUN, remedy_of_log),
        ("data", 0o000, "topics --embedded data", remedy_of_log),
        ("data", 0o000, "stores list --embedded data", remedy_of_state),
        (log, 0o500, RUN, remedy_of_log),
        (log, 0o000, RUN, remedy_of_log),
        (log, 0o000, "consume notes --embedded data", remedy_of_log),
        ("data/state", 0o000, RUN, remedy_of_state),
        ("data/state", 0o000, "stores list --embedded data", remedy_of_state),
        (state, 0o500, RUN, remedy_of_state),
        (state, 0o000, RUN, remedy_of_state),
        (state, 0o000, "stores verify --topology notes.yaml --embedded data", remedy_of_state),
        ("schemas", 0o000, "validate notes.yaml", "give the user of this process the right to read it"),
    ] {
        let path = place.path(locked);
        let was = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        permit(&path, mode);
        if locked == "schemas" && is_root(&place) {
            permit(&path, 0o700);
        }
        let ended = as_nobody(&place, command);
        permit(&path, was);
        ended.fails(1, &[locked, "ermission denied", remedy]);
    }
    permit(&place.path("notes.yaml"), 0o000);
    let said = ["notes.yaml", "Permission denied", "give the user of this process the right to read it"];
    as_nobody(&place, "validate notes.yaml").fails(1, &said);
    permit(&place.path("notes.yaml"), 0o644);
    as_nobody(&place, RUN).success();
    assert_complete(&place, "data", 2);
}

#[test]
fn a_second_process_on_a_directory_is_refused_whatever_it_wants_to_write() {
    let place = Place::new();
    let mut command = place.command(env!("CARGO_BIN_EXE_signalstream"));
    command.args(["run", "notes.yaml", "--embedded", "data"]);
    let mut first = start(command);
    let started = Instant::now();
    while !place.run("topics --embedded data").stdout.contains("totals") {
        assert!(started.elapsed() < Duration::from_secs(20), "the first process does not come up");
        thread::sleep(Duration::from_millis(20));
    }
    place.write("in.jsonl", good("a", "one", 1));
    let (second, produced) = (place.run(RUN), place.run(PRODUCE));
    first.kill().unwrap();
    first.wait().unwrap();
    let said = ["data/log", "in use already"];
    second.fails(1, &said);
    produced.fails(1, &said);
    place.run(PRODUCE).success();
    place.run(RUN).success();
    assert_complete(&place, "data", 1);
}
