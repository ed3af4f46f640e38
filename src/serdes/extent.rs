//! How much a schema holds, looked at before the Avro library sees it.
//!
//! The library keeps each type that has a name with all that stands within it, and once more for each alias. So a text of a
//! few bytes a level, or of many aliases, could take any amount of memory.

use serde_json::{Map, Value as Json};

/// How many parts a schema may have the library keep: some hundred bytes each.
const MAX_PARTS: usize = 1_000_000;

/// How many types and fields a schema may have. The types are counted once more, and exactly, when what they refer to is
/// followed.
const MAX_TYPES: usize = 40_000;

/// What a schema holds.
#[derive(Default)]
struct Extent {
    /// Types and fields.
    types: usize,
    /// The parts of the types that have a name, as often as the library keeps them.
    kept: usize,
}

/// Whether a schema holds so much that it is not read, and how much that is.
pub(super) fn too_much(schema: &Json) -> Result<(), String> {
    let mut extent = Extent::default();
    let parts = extent.count(schema).saturating_add(extent.kept);
    if extent.types > MAX_TYPES {
        return Err(format!("the schema has {} types and fields; at most {MAX_TYPES} are read", extent.types));
    }
    if parts > MAX_PARTS {
        return Err(format!(
            "the schema has {parts} parts, those within types that have a name counted with each of these and their aliases; \
             at most {MAX_PARTS} are read"
        ));
    }
    Ok(())
}

impl Extent {
    /// The parts of a value of JSON.
    fn count(&mut self, schema: &Json) -> usize {
        match schema {
            Json::Array(items) => items.iter().fold(1, |sum: usize, item| sum.saturating_add(self.count(item))),
            Json::Object(object) => {
                self.types += usize::from(object.contains_key("type"));
                let parts = object.values().fold(1, |sum: usize, part| sum.saturating_add(self.count(part)));
                self.kept = self.kept.saturating_add(parts.saturating_mul(copies(object)));
                parts
            }
            _ => 1,
        }
    }
}

/// How often the library keeps a type.
fn copies(object: &Map<String, Json>) -> usize {
    let has_parts = ["fields", "symbols"].iter().any(|key| object.contains_key(*key));
    let aliases = object.get("aliases").and_then(Json::as_array).map_or(0, Vec::len);
    if has_parts { aliases.saturating_add(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(aliases: usize, inner: &Json) -> Json {
        let aliases: Vec<String> = (0..aliases).map(|number| format!("A{number}")).collect();
        json!({ "type": "record", "name": "R", "aliases": aliases, "fields": [{ "name": "f", "type": inner }] })
    }

    #[test]
    fn what_stands_within_counts_with_each_name_around_it() {
        let many = |count: usize| json!({ "type": "enum", "name": "E", "symbols": vec!["S"; count] });
        assert_eq!(too_much(&record(0, &many(200_000))), Ok(()));
        assert_eq!(too_much(&record(500, &many(100))), Ok(()));
        let mut nested = many(100_000);
        for _ in 0..10 {
            nested = record(0, &nested);
        }
        for schema in [many(1_000_000), nested, record(1_000, &many(1_000))] {
            assert!(too_much(&schema).unwrap_err().contains("at most 1000000 are read"));
        }
    }
}
