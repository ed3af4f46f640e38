//! The names in a schema, checked before the Avro library sees them: it does not survive all that are wrong.

use serde_json::{Map, Value as Json};

/// How long a name may be, in bytes. Errors of records quote names, and each is kept with its record.
pub(super) const MAX_LENGTH: usize = 1_024;

/// The first name in a schema that is none; `None` when all are.
///
/// A name is letters, digits and `_`, not a digit first; with a namespace it is several of these with dots between (Avro
/// 1.12 specification, "Names"). It has at most [`MAX_LENGTH`] bytes.
pub(super) fn wrong_name(schema: &Json) -> Option<&str> {
    match schema {
        Json::Array(branches) => branches.iter().find_map(wrong_name),
        Json::Object(object) => wrong_in(object),
        _ => None,
    }
}

fn wrong_in(object: &Map<String, Json>) -> Option<&str> {
    let named = object.get("name").and_then(Json::as_str);
    let aliases = object.get("aliases").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let symbols = object.get("symbols").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let namespace = object.get("namespace").and_then(Json::as_str).filter(|namespace| !namespace.is_empty());
    let wrong = named.into_iter().chain(aliases).chain(namespace).find(|name| !is_full_name(name));
    let parts = ["type", "items", "values"].into_iter().filter_map(|key| object.get(key));
    let fields = object.get("fields").and_then(Json::as_array).into_iter().flatten();
    wrong
        .or_else(|| symbols.into_iter().find(|symbol| !is_name(symbol)))
        .or_else(|| parts.chain(fields).find_map(wrong_name))
}

fn is_full_name(name: &str) -> bool {
    name.len() <= MAX_LENGTH && name.split('.').all(is_name)
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_LENGTH
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_wrong_name_is_found() {
        for (schema, wrong) in [
            (json!({"type": "fixed", "name": "a.b.C_1", "size": 2}), None),
            (json!({"type": "fixed", "name": "a-b", "size": 2}), Some("a-b")),
            (json!({"type": "fixed", "name": "", "size": 2}), Some("")),
            (json!({"type": "fixed", "name": "A", "namespace": "x..y", "size": 2}), Some("x..y")),
            (json!({"type": "fixed", "name": "A", "aliases": ["B", "1"], "size": 2}), Some("1")),
            (json!({"type": "enum", "name": "A", "symbols": ["B", "so so"]}), Some("so so")),
            (json!({"type": "record", "name": "R", "fields": [{"name": "a b", "type": "int"}]}), Some("a b")),
            (json!({"type": "array", "items": ["null", {"type": "fixed", "name": "?", "size": 1}]}), Some("?")),
            (
                json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": {"name": "?"}}]}),
                None,
            ),
        ] {
            assert_eq!(wrong_name(&schema), wrong, "{schema}");
        }
    }
}
