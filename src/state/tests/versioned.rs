//! Versioned tables against a model that remembers everything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const RETENTION: i64 = 20;
const TABLE: Versions = Versions { latest: 0, history: 1, retention: RETENTION };

fn stores() -> TaskStores {
    let spec = |name: &str, shape, kind| StoreSpec {
        name: name.to_owned(),
        changelog: Some(format!("app-{name}-changelog").into()),
        shape,
        kind,
    };
    let history = StoreKind::Window { retention: RETENTION };
    let specs = [spec("latest", Shape::Int, StoreKind::KeyValue), spec("history", Shape::Int.optional(), history)];
    StateDirectory::in_memory("app", StateOptions::default()).unwrap().open_task("0_0", &specs).unwrap()
}

fn version(timestamp: Timestamp, value: Option<i64>) -> StateValue {
    StateValue { timestamp, value: value.map_or(Value::Null, Value::Int) }
}

#[derive(Default)]
struct Model {
    versions: BTreeMap<Bytes, BTreeMap<Timestamp, Option<i64>>>,
    time: Option<Timestamp>,
}

impl Model {
    fn put(&mut self, key: &Bytes, at: Timestamp, value: Option<i64>) -> Written {
        let now = self.time.map_or(at, |time| time.max(at));
        self.time = Some(now);
        if at < now - RETENTION {
            return Written::Late;
        }
        let versions = self.versions.entry(key.clone()).or_default();
        versions.insert(at, value);
        if versions.last_key_value().is_some_and(|(last, _)| *last == at) { Written::Latest } else { Written::Old }
    }

    fn get(&self, key: &Bytes, at: Timestamp) -> Option<StateValue> {
        let versions = self.versions.get(key)?;
        let (last, value) = versions.last_key_value()?;
        if *last <= at && value.is_some() {
            return Some(version(*last, *value));
        }
        if at < self.time? - RETENTION {
            return None;
        }
        let (from, value) = versions.range(..=at).next_back()?;
        value.map(|value| version(*from, Some(value)))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, i64, Option<i64>),
    Commit,
    Rollback,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..3_u8, -25..6_i64, prop::option::weighted(0.7, 0..100_i64))
            .prop_map(|(key, behind, value)| Step::Put(key, behind, value)),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn a_versioned_table_is_what_a_model_that_remembers_everything_says(steps in steps()) {
        // One key is the beginning of another.
        let keys = [Bytes::from_static(b"a"), Bytes::from_static(b"a\0\0"), Bytes::from_static(b"")];
        let mut stores = stores();
        let mut model = Model::default();
        let mut committed: Vec<(Bytes, i64, Option<i64>)> = Vec::new();
        let mut pending = committed.clone();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(key, behind, value) => {
                    let key = &keys[usize::from(key)];
                    let timestamp = (model.time.unwrap_or(50) + behind).max(0);
                    pending.push((key.clone(), timestamp, value));
                    let expected = model.put(key, timestamp, value);
                    prop_assert_eq!(TABLE.put(&mut stores, key, version(timestamp, value)).unwrap(), expected);
                }
                Step::Commit => {
                    stores.changelog().unwrap();
                    stores.commit(&at(n as i64)).unwrap();
                    committed = pending.clone();
                }
                Step::Rollback => {
                    stores.rollback();
                    pending = committed.clone();
                    model = Model::default();
                    for (key, timestamp, value) in &committed {
                        model.put(key, *timestamp, *value);
                    }
                }
            }
            let now = model.time.unwrap_or(50);
            for key in &keys {
                for at in (now - RETENTION - 5)..=(now + 2) {
                    let found = TABLE.get(&mut stores, key, at).unwrap();
                    prop_assert_eq!(found, model.get(key, at), "{:?} as of {}, at {}", key, at, now);
                }
            }
        }
    }
}

#[test]
fn history_that_is_over_is_deleted() {
    let mut stores = stores();
    for n in 0..10_000 {
        let value = if n % 3 == 0 { None } else { Some(n) };
        TABLE.put(&mut stores, b"a", version(n, value)).unwrap();
        if n % 100 == 0 {
            stores.commit(&at(n)).unwrap();
        }
    }
    stores.commit(&at(10_000)).unwrap();
    let rows = keys(&mut stores, TABLE.history).len();
    assert!(rows <= 3 * RETENTION as usize, "{rows} rows are left");
}
