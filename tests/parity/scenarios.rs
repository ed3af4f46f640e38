//! The scenarios: topologies in `scenarios/NAME.yaml`, sequences of records by hand in `scenarios/NAME.jsonl`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;

/// A topology; `Scenarios.java` has the same one under the same name.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) yaml: String,
}

/// Lines of `signalstream drive`.
pub(crate) struct Sequence {
    pub(crate) scenario: String,
    pub(crate) name: String,
    pub(crate) lines: Vec<Json>,
}

/// `tests/parity/` of this checkout.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// All scenarios, by name; of those named in `PARITY_ONLY` alone, where that is set.
pub(crate) fn all() -> Vec<Scenario> {
    let only = std::env::var("PARITY_ONLY").ok();
    let mut scenarios: Vec<Scenario> = fs::read_dir(directory().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| Scenario {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            yaml: fs::read_to_string(&path).unwrap(),
        })
        .filter(|scenario| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == scenario.name)))
        .collect();
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!scenarios.is_empty());
    scenarios
}

impl Scenario {
    /// The topics that it reads: `a`, `b` and `c`, as far as its sources say so, one by one, as `[a, b]` or by a pattern.
    pub(crate) fn inputs(&self) -> Vec<&'static str> {
        let named = |name: &&str| self.yaml.contains(&format!("\n  {name}: {{topic: {name}"));
        let both = ["{topic: [a, b]}", "{topic: {pattern: '[ab]'}}"];
        let listed = |name: &&str| **name != *"c" && both.iter().any(|both| self.yaml.contains(both));
        ["a", "b", "c"].into_iter().filter(|name| named(name) || listed(name)).collect()
    }

    /// The sequences of `NAME.jsonl`; a line `# NAME` begins one.
    pub(crate) fn by_hand(&self) -> Vec<Sequence> {
        let path = directory().join("scenarios").join(format!("{}.jsonl", self.name));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut sequences: Vec<Sequence> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix("# ") {
                let (scenario, name) = (self.name.clone(), name.to_owned());
                sequences.push(Sequence { scenario, name, lines: Vec::new() });
                continue;
            }
            let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
            sequences.last_mut().expect("a sequence begins with its name").lines.push(line);
        }
        sequences
    }
}
