//! Whether the versions of a schema fit each other, and where they part.
//!
//! Whether one schema can read what another writes is asked of the engine's own plans: what is said here is what happens to
//! records. A plan leaves two things to the record: a symbol that the reader's enum does not have, and a branch of a union
//! that the reader has nothing for. A check may not: some record will have it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::avro::SharedSchema;
use super::error::prefix;
use super::registry::{SchemaError, SchemaRegistry};

/// Which way the versions of a schema must fit each other; the levels are those of Confluent's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// The new schema reads what the old one wrote.
    pub backward: bool,
    /// The old schema reads what the new one writes.
    pub forward: bool,
    /// With all older versions, not only the last.
    pub transitive: bool,
}

/// The levels, by the names that a registry gives them.
const LEVELS: [(&str, Compatibility); 7] = [
    ("none", Compatibility { backward: false, forward: false, transitive: false }),
    ("backward", Compatibility { backward: true, forward: false, transitive: false }),
    ("backward_transitive", Compatibility { backward: true, forward: false, transitive: true }),
    ("forward", Compatibility { backward: false, forward: true, transitive: false }),
    ("forward_transitive", Compatibility { backward: false, forward: true, transitive: true }),
    ("full", Compatibility { backward: true, forward: true, transitive: false }),
    ("full_transitive", Compatibility { backward: true, forward: true, transitive: true }),
];

impl FromStr for Compatibility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase().replace('-', "_");
        let level = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
        level.ok_or_else(|| {
            let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no level of compatibility; expected one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LEVELS.iter().find(|(_, level)| level == self).map_or("none", |(name, _)| name))
    }
}

/// Which of two versions cannot read the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The new one cannot read what the old one wrote.
    Backward,
    /// The old one cannot read what the new one writes.
    Forward,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Backward => "backward",
            Direction::Forward => "forward",
        })
    }
}

/// Where two versions of a schema part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Which cannot read the other.
    pub direction: Direction,
    /// The field, such as `order.items[].price`; empty: the whole.
    pub path: String,
    /// How they part.
    pub message: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.direction {
            Direction::Backward => "the new schema cannot read what the old one wrote",
            Direction::Forward => "the old schema cannot read what the new one writes",
        };
        write!(f, "{who}: {}{}", prefix(&self.path), self.message)
    }
}

/// One version of a schema, to be compared with others.
#[derive(Clone, Debug)]
pub struct SchemaVersion {
    schema: SharedSchema,
    canonical: Arc<str>,
    text: String,
}

impl SchemaVersion {
    /// A schema from its text, with those that it refers to, each with its name. `origin` is where it is from, for messages.
    ///
    /// # Errors
    /// When it is none that can be used.
    pub fn new(origin: &str, text: &str, references: &[(String, String)]) -> Result<SchemaVersion, SchemaError> {
        let (schema, text, canonical) = SchemaRegistry::version(origin, text, references)?;
        Ok(SchemaVersion { schema, canonical, text })
    }

    /// The schema with all that it refers to inside it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether both are laid out alike, whatever else they say.
    pub fn is_same(&self, other: &SchemaVersion) -> bool {
        self.canonical == other.canonical
    }

    /// Where this version does not fit an older one.
    pub fn breaks(&self, older: &SchemaVersion, level: Compatibility) -> Vec<Break> {
        let backward = level.backward.then(|| lost(older, self, Direction::Backward));
        let forward = level.forward.then(|| lost(self, older, Direction::Forward));
        backward.into_iter().chain(forward).flatten().collect()
    }
}

/// What of the writer's the reader cannot read.
fn lost(writer: &SchemaVersion, reader: &SchemaVersion, direction: Direction) -> Vec<Break> {
    let found = reader.schema.cannot_read(&writer.schema).into_iter();
    found.map(|(path, message)| Break { direction, path, message }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Compatibility = Compatibility { backward: true, forward: true, transitive: false };

    fn record(fields: &str) -> SchemaVersion {
        let text = format!("{{\"type\": \"record\", \"name\": \"R\", \"fields\": [{fields}]}}");
        SchemaVersion::new("R", &text, &[]).unwrap_or_else(|error| panic!("{error}"))
    }

    fn field(name: &str, kind: &str) -> String {
        format!("{{\"name\": \"{name}\", \"type\": {kind}}}")
    }

    fn breaks(old: &str, new: &str) -> Vec<String> {
        record(new)
            .breaks(&record(old), FULL)
            .iter()
            .map(|found| format!("{} {}: {}", found.direction, found.path, found.message))
            .collect()
    }

    #[test]
    fn what_every_record_needs_is_missed_at_its_field() {
        let (int, id) = (field("n", "\"int\""), field("id", "\"string\""));
        assert_eq!(breaks(&int, &int), Vec::<String>::new());
        let found = breaks(&int, &format!("{int}, {id}"));
        assert!(found.len() == 1 && found[0].starts_with("backward id: "), "{found:?}");
        let found = breaks(&format!("{int}, {id}"), &int);
        assert!(found.len() == 1 && found[0].starts_with("forward id: "), "{found:?}");
        let with_default = "{\"name\": \"id\", \"type\": \"string\", \"default\": \"\"}";
        assert_eq!(breaks(&int, &format!("{int}, {with_default}")), Vec::<String>::new());
        let found = breaks(&int, &field("n", "\"long\""));
        assert_eq!(found, ["forward n: the writer has long, the reader expects int"]);
    }

    #[test]
    fn what_some_record_may_have_is_missed_too() {
        let mood = |symbols: &str, default: &str| {
            field("m", &format!("{{\"type\": \"enum\", \"name\": \"M\", \"symbols\": [{symbols}]{default}}}"))
        };
        let found = breaks(&mood("\"A\", \"B\"", ""), &mood("\"A\"", ""));
        assert_eq!(found, ["backward m: the reader's enum M has neither the writer's symbol `B` nor a default"]);
        assert_eq!(breaks(&mood("\"A\", \"B\"", ""), &mood("\"A\"", ", \"default\": \"A\"")), Vec::<String>::new());
        let found = breaks(&field("n", "[\"null\", \"int\"]"), &field("n", "\"int\""));
        assert_eq!(found, ["backward n: the writer may have null, for which the reader has nothing"]);
        let list = |kind: &str| field("l", &format!("{{\"type\": \"array\", \"items\": {kind}}}"));
        let found = breaks(&list("[\"null\", \"int\"]"), &list("\"int\""));
        assert_eq!(found, ["backward l[]: the writer may have null, for which the reader has nothing"]);
    }

    #[test]
    fn levels_go_by_the_names_that_registries_give_them() {
        for (name, level) in LEVELS {
            assert_eq!(name.to_uppercase().parse(), Ok(level));
            assert_eq!(level.to_string(), name);
        }
        assert_eq!("full-transitive".parse::<Compatibility>().map(|level| level.transitive), Ok(true));
        assert!("sideways".parse::<Compatibility>().unwrap_err().contains("expected one of none, backward"));
    }
}
