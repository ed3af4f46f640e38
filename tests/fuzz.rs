//! The fuzz targets of `fuzz/`, without a fuzzer: seeds, and what mutations make of them, for a moment each. With
//! `FUZZ_SECONDS` for longer; `cargo fuzz` looks further, as docs/testing.md says.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "in the workspace of the fuzzer it is a library")]
mod fuzz_targets;

/// What every second mutation may insert: words of the languages that are fuzzed.
const WORDS: &str = "null true [] {} \"\" 0 -1 9223372036854775807 1e308 value. value.ns .map(x, ) && || == in ? : \
    {\"type\":\"record\",\"name\":\"R\",\"fields\":[]} \"int\" \"string\" [\"null\",\"int\"] from: steps: window: \
    {session: 5ms} {tumbling: 1m} aggregate: count() join: - map: - filter: sinks: &a *a <<: | > # - ";

/// How many inputs are kept to be mutated.
const KEPT: usize = 5_000;

/// A small generator of numbers, so that a run can be repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Steele, Lea, Flood: SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str, extension: &str, found: &mut Vec<Vec<u8>>) {
    let entries = fs::read_dir(top().join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let wanted = |path: &&PathBuf| extension.is_empty() || path.extension().is_some_and(|has| has == extension);
    found.extend(paths.iter().filter(wanted).map(|path| fs::read(path).unwrap()));
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    files(&format!("fuzz/seeds/{target}"), "", &mut seeds);
    if target == "topology_yaml" {
        ["topologies", "tests/plans", "tests/scenarios"].iter().for_each(|from| files(from, "yaml", &mut seeds));
    }
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let at = random.below(input.len() + 1);
    let end = (at + random.below(24)).min(input.len());
    match random.below(8) {
        0 => drop(input.drain(at..end)),
        1 => {
            let part = input[at..end].to_vec();
            let to = random.below(input.len() + 1);
            input.splice(to..to, part);
        }
        2 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let part = other[from..(from + random.below(64)).min(other.len())].to_vec();
            input.splice(at..end, part);
        }
        3 | 4 => drop(input.splice(at..at, words[random.below(words.len())].bytes())),
        5 => input.insert(at, random.next() as u8),
        6 if at < input.len() => input[at] ^= 1 << random.below(8),
        _ if at < input.len() => input[at] = random.next() as u8,
        _ => {}
    }
    input.truncate(1 << 15);
}

fn fuzz(target: &str) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().map_or(2, |text| text.parse().unwrap());
    let seed = std::env::var("FUZZ_SEED").ok().map_or(4, |text| text.parse().unwrap());
    let (_, run) = fuzz_targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    fuzz_targets::forgive_parsers();
    let (mut seeds, mut random) = (seeds(target), Random(seed));
    let mut seen: HashSet<u64> = seeds.iter().map(|seed| run(seed)).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut inputs = 0_u64;
    while Instant::now() < end {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, &seeds, &mut random);
        }
        match std::panic::catch_unwind(|| run(&input)) {
            // What led somewhere new is mutated further.
            Ok(outcome) if seen.insert(outcome) && seeds.len() < KEPT => seeds.push(input),
            Ok(_) => {}
            Err(_) => {
                let file = std::env::temp_dir().join(format!("{target}-{seed}-{inputs}"));
                fs::write(&file, &input).unwrap();
                panic!("{target}: the input is in {}", file.display());
            }
        }
        inputs += 1;
    }
    println!("{target}: {inputs} inputs with {} outcomes, of seed {seed} in {seconds} s", seen.len());
    assert!(inputs > 0, "{target} did not run");
}

#[test]
fn any_text_is_a_topology_or_a_list_of_mistakes() {
    fuzz("topology_yaml");
}

#[test]
fn any_text_is_an_expression_or_a_list_of_mistakes() {
    fuzz("expression");
}

#[test]
fn any_bytes_are_avro_or_an_error() {
    fuzz("avro_decode");
}

#[test]
fn any_bytes_are_json_or_an_error() {
    fuzz("json_decode");
}

#[test]
fn any_bytes_are_a_row_of_a_changelog_or_an_error() {
    fuzz("changelog_decode");
}

#[test]
fn any_sequence_of_records_makes_the_sessions_of_a_model() {
    fuzz("session_merge");
}
