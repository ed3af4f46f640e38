//! Random changes against a model that keeps two maps.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::*;
use super::{NAMES, at, logged, text};
use crate::window::Window;

const ROWS: usize = 3;
const SESSIONS: usize = 4;
const JOINED: usize = 5;

fn specs() -> Vec<StoreSpec> {
    let mut specs = super::specs();
    let spec = |name: &str, kind| StoreSpec {
        name: name.to_owned(),
        changelog: Some(format!("app-{name}-changelog").into()),
        shape: Shape::String,
        kind,
    };
    specs.push(spec("rows", StoreKind::Window { retention: 1_000 }));
    specs.push(spec("sessions", StoreKind::Session { retention: 1_000 }));
    specs.push(spec("joined", StoreKind::Join { retention: 1_000 }));
    specs
}

/// Whether rows of a store expire by the time that its keys begin with. Sessions are deleted one by one.
fn expires(store: usize) -> bool {
    matches!(store, ROWS | JOINED)
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, String),
    Delete(Vec<u8>),
    Append(Vec<u8>, char),
    Get(Vec<u8>),
    Scan(Bound<Vec<u8>>, Bound<Vec<u8>>, usize),
    Expire(Timestamp),
    Commit,
    Rollback,
    Reopen,
}

fn key() -> BoxedStrategy<Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4).boxed()
}

/// The key of a row in one of few windows.
fn row() -> BoxedStrategy<Vec<u8>> {
    let row = |(start, key): (Timestamp, Vec<u8>)| {
        let mut row = Vec::new();
        window_key(start * 100, &key, &mut row);
        row
    };
    (0_i64..6, prop::collection::vec(0_u8..3, 0..2)).prop_map(row).boxed()
}

/// The key of one of few sessions.
fn session() -> BoxedStrategy<Vec<u8>> {
    let session = |(start, length, key): (Timestamp, Timestamp, Vec<u8>)| {
        let mut row = Vec::new();
        session_key(Window { start, end: start + length }, &key, &mut row);
        row
    };
    (0_i64..4, 0_i64..3, prop::collection::vec(0_u8..3, 0..2)).prop_map(session).boxed()
}

/// The key of one of few records that are to be joined.
fn joined() -> BoxedStrategy<Vec<u8>> {
    let joined = |(time, number, key): (Timestamp, u64, Vec<u8>)| {
        let mut row = Vec::new();
        join_key(time / 2 * 200, &key, time * 100, number, &mut row);
        row
    };
    (0_i64..6, 0_u64..2, prop::collection::vec(0_u8..2, 0..2)).prop_map(joined).boxed()
}

fn bound(key: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![key.clone().prop_map(Bound::Included), key.prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn step(key: fn() -> BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), "[a-z]{0,8}").prop_map(|(key, value)| Step::Put(key, value)),
        3 => key().prop_map(Step::Delete),
        6 => (key(), prop::char::range('a', 'z')).prop_map(|(key, letter)| Step::Append(key, letter)),
        3 => key().prop_map(Step::Get),
        3 => (bound(key()), bound(key()), 0_usize..12).prop_map(|(from, to, limit)| Step::Scan(from, to, limit)),
        1 => (0_i64..700).prop_map(Step::Expire),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ]
}

type Map = BTreeMap<Vec<u8>, String>;

fn within(key: &[u8], from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    let after = match from {
        Bound::Included(from) => key >= from.as_slice(),
        Bound::Excluded(from) => key > from.as_slice(),
        Bound::Unbounded => true,
    };
    let before = match to {
        Bound::Included(to) => key <= to.as_slice(),
        Bound::Excluded(to) => key < to.as_slice(),
        Bound::Unbounded => true,
    };
    after && before
}

struct Run {
    store: usize,
    directory: StateDirectory,
    stores: Option<TaskStores>,
    current: Map,
    committed: Map,
    log: Fold,
    commits: i64,
}

impl Run {
    fn stores(&mut self) -> &mut TaskStores {
        let directory = &self.directory;
        self.stores.get_or_insert_with(|| directory.open_task("0_0", &specs()).unwrap())
    }

    fn step(&mut self, step: Step) {
        let store = self.store;
        match step {
            Step::Put(key, value) => {
                self.stores().put(store, &key, text(&value));
                self.current.insert(key, value);
            }
            Step::Delete(key) => {
                self.stores().put(store, &key, None);
                self.current.remove(&key);
            }
            Step::Append(key, letter) => {
                let value = self.current.entry(key.clone()).or_default();
                value.push(letter);
                let value = value.clone();
                let append = |slot: &mut Option<StateValue>| {
                    let old = slot.as_ref().and_then(|value| value.value.as_str()).unwrap_or_default().to_owned();
                    *slot = text(&(old + &letter.to_string()));
                    Ok::<_, StateError>(slot.clone())
                };
                assert_eq!(self.stores().update(store, &key, append).unwrap(), text(&value));
            }
            Step::Get(key) => {
                let expected = self.current.get(&key).and_then(|value| text(value));
                assert_eq!(self.stores().get(store, &key).unwrap(), expected);
            }
            Step::Scan(from, to, limit) => self.scan(from, to, limit),
            Step::Expire(start) => {
                if expires(store) {
                    self.stores().expire(store, start);
                    self.current.retain(|key, _| parse_window_key(key).unwrap().0 >= start);
                }
            }
            Step::Commit => self.commit(),
            Step::Rollback => {
                self.stores().rollback();
                self.current = self.committed.clone();
            }
            Step::Reopen => {
                self.stores = None;
                self.current = self.committed.clone();
                let expected = (self.commits > 0).then(|| at(self.commits));
                assert_eq!(self.stores().checkpoint(), expected.as_ref());
            }
        }
    }

    fn scan(&mut self, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>, limit: usize) {
        let store = self.store;
        let inside = self.current.iter().filter(|(key, _)| within(key, &from, &to));
        let row = |(key, value): (&Vec<u8>, &String)| (Bytes::copy_from_slice(key), text(value).unwrap());
        let expected: Vec<_> = inside.clone().take(limit).map(row).collect();
        let last: Vec<_> = inside.rev().take(limit).map(row).collect();
        let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        assert_eq!(self.stores().scan_limited(store, from, to, limit).unwrap(), expected);
        // Stores whose rows expire are not read from their end.
        if !expires(store) {
            assert_eq!(self.stores().scan_back_limited(store, from, to, limit).unwrap(), last);
        }
    }

    fn commit(&mut self) {
        let store = self.store;
        self.commits += 1;
        let checkpoint = at(self.commits);
        for record in self.stores().changelog().unwrap() {
            self.log.apply(&logged(0, &record.key, record.value.as_ref()));
        }
        self.stores().commit(&checkpoint).unwrap();
        self.committed = self.current.clone();
        let log = std::mem::take(&mut self.log);
        let verification = self.stores().verify(store, &log, 3).unwrap();
        assert!(verification.is_equal(), "{verification:?}");
        assert_eq!(verification.entries, self.committed.len() as u64);
        self.log = log;
    }
}

fn check(store: usize, steps: Vec<Step>, read_cache_bytes: usize) {
    let options = StateOptions { read_cache_bytes, flush_commits: 3, ..StateOptions::default() };
    let directory = StateDirectory::in_memory("app", options).unwrap();
    let (current, committed) = (Map::new(), Map::new());
    let mut run = Run { store, directory, stores: None, current, committed, log: Fold::new(), commits: 0 };
    for step in steps {
        run.step(step);
    }
}

fn read_cache_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), Just(600), Just(1 << 20)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stores_behave_as_a_map_and_equal_the_fold_of_their_changelog(
        steps in prop::collection::vec(step(key), 1..80),
        read_cache_bytes in read_cache_bytes(),
    ) {
        check(NAMES, steps, read_cache_bytes);
    }

    #[test]
    fn window_stores_do_so_while_windows_expire(
        steps in prop::collection::vec(step(row), 1..120),
        read_cache_bytes in read_cache_bytes(),
    ) {
        check(ROWS, steps, read_cache_bytes);
    }

    #[test]
    fn session_stores_do_so(
        steps in prop::collection::vec(step(session), 1..120),
        read_cache_bytes in read_cache_bytes(),
    ) {
        check(SESSIONS, steps, read_cache_bytes);
    }

    #[test]
    fn stores_of_stream_joins_do_so_while_buckets_expire(
        steps in prop::collection::vec(step(joined), 1..120),
        read_cache_bytes in read_cache_bytes(),
    ) {
        check(JOINED, steps, read_cache_bytes);
    }
}
