//! I2, I3 with much state: an instance that is killed goes on from its checkpoint. What it would cost to build the state
//! anew is measured beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::alone;
use crate::harness::workspace::Workspace;
use crate::harness::{Cluster, Instance, Random, eventually, report};
use crate::watch::Watch;

const TEXTS: &str = "state.texts";
const TIMES: &str = "state.times";
/// The size of each row's text, which no compression makes much smaller.
const TEXT: usize = 1_000;
/// Rows that are changed after each start.
const CHANGED: u64 = 1_000;
/// The most rows of one call of kcat.
const BATCH: u64 = 50_000;
const WITHIN: Duration = Duration::from_secs(900);

fn text(row: u64, round: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = Random::new(row * 3 + round + 1);
    let mut text = String::with_capacity(TEXT);
    while text.len() < TEXT {
        let mut bits = random.below(1 << 48);
        for _ in 0..8 {
            text.push(char::from(LETTERS[usize::try_from(bits % 64).unwrap()]));
            bits /= 64;
        }
    }
    text
}

fn size_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => size_of(&entry.path()),
        false => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries.map(size).sum()
}

struct Bench {
    instance: Instance,
    watch: Watch,
    cluster: Cluster,
    rows: u64,
    partitions: usize,
    /// How many results are to have come.
    expected: usize,
    _workspace: Workspace,
}

impl Bench {
    fn set(rows: u64, partitions: usize) -> Bench {
        let workspace = Workspace::new("state");
        let cluster = Cluster::start(1);
        for topic in [TEXTS, TIMES] {
            cluster.create_topic(topic, partitions, &[("retention.ms", "-1")]);
        }
        let topology = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/large-state.yaml");
        let servers = cluster.bootstrap_servers();
        // A member that comes back under its name is not waited for until its session ends.
        let settings = ["static_membership=on"];
        Bench {
            instance: Instance::new("one", workspace.path(), &topology, &servers, &settings),
            watch: Watch::start(&cluster.internal_servers(), &[TIMES], partitions),
            cluster,
            rows,
            partitions,
            expected: 0,
            _workspace: workspace,
        }
    }

    fn write(&mut self, rows: u64, round: u64) {
        let kcat = self.cluster.kcat();
        for from in (0..rows).step_by(usize::try_from(BATCH).unwrap()) {
            let batch = from..rows.min(from + BATCH);
            let line = |row: u64| (format!("row-{row}"), format!(r#"{{"text":"{}"}}"#, text(row, round)));
            kcat.write(TEXTS, batch.map(line));
        }
        self.expected += usize::try_from(rows).unwrap();
    }

    fn await_results(&mut self, wanted: usize) {
        let (watch, instance) = (&self.watch, &mut self.instance);
        eventually("results", WITHIN, || {
            instance.assert_running();
            (watch.count() >= wanted).then_some(())
        });
    }

    /// Starts the instance, which has some rows to change; returns how long it took until the first was changed, and
    /// how many changelog records were restored.
    fn resume(&mut self, round: u64) -> (Duration, u64) {
        let before = self.expected;
        self.write(CHANGED, round);
        let (logged, started) = (self.instance.log().len(), Instant::now());
        self.instance.start();
        self.await_results(before + 1);
        let took = started.elapsed();
        self.await_results(self.expected);
        (took, self.instance.restored(logged))
    }

    /// Every row was counted as often as it was written, and no result came twice.
    fn assert_exact(&self, rounds: u64) {
        let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for record in self.cluster.kcat().read(TIMES) {
            times.entry(record.key_text().to_owned()).or_default().push(record.json()["times"].as_u64().unwrap());
        }
        assert_eq!(times.len() as u64, self.rows);
        for row in 0..self.rows {
            let expected: Vec<u64> = (1..=if row < CHANGED { rounds } else { 1 }).collect();
            assert_eq!(times[&format!("row-{row}")], expected, "the times of row {row}");
        }
    }
}

fn killed_with_state_of(rows: u64, partitions: usize, most_restored: u64) {
    let mut bench = Bench::set(rows, partitions);
    bench.instance.start();
    let started = Instant::now();
    bench.write(rows, 1);
    bench.await_results(bench.expected);
    let filled = started.elapsed();
    bench.instance.kill();
    let size = size_of(&bench.instance.state);
    report(&format!(
        "{rows} rows of {TEXT} bytes in {} tasks, written and processed in {filled:.1?}; {} MiB in files",
        bench.partitions,
        size >> 20
    ));

    let (resumed, restored) = bench.resume(2);
    report(&format!("killed and started again: the first result after {resumed:.2?}, {restored} records restored"));
    bench.instance.kill();
    std::fs::remove_dir_all(&bench.instance.state).unwrap();
    let (rebuilt, all) = bench.resume(3);
    report(&format!(
        "killed and started without its state: the first result after {rebuilt:.2?}, {all} records restored: {:.0} MB/s",
        all as f64 * TEXT as f64 / rebuilt.as_secs_f64() / 1e6
    ));
    bench.instance.stop();
    bench.assert_exact(3);
    bench.instance.verify_stores();
    assert!(restored <= most_restored, "{restored} of {rows} records were restored although the state was there");
    assert!(all >= rows, "only {all} of {rows} records were restored although no state was there");
}

#[test]
fn an_instance_that_was_killed_goes_on_from_its_checkpoint() {
    let _alone = alone();
    killed_with_state_of(50_000, 1, 25_000);
}

#[test]
#[ignore = "writes a few gigabytes: make large-state"]
fn an_instance_that_was_killed_with_a_gigabyte_of_state_goes_on_from_its_checkpoint() {
    let _alone = alone();
    killed_with_state_of(1_000_000, 4, 100_000);
}
