//! Avro schemas out of the fuzzer's bytes, of every type there is.

use serde_json::{Value as Json, json};

use super::feed::Feed;

/// How deep they nest.
const DEPTH: usize = 5;

/// A schema of these bytes, and how many types have a name already.
pub(crate) fn schema(feed: &mut Feed<'_>) -> Json {
    nested(feed, 0, &mut 0)
}

/// A schema as it may have become: types promoted, branches in another order, fields gone and one added. Bytes that are used
/// up change nothing.
pub(crate) fn evolved(schema: &Json, feed: &mut Feed<'_>) -> Json {
    match schema {
        Json::String(name) => json!(match (name.as_str(), feed.below(4)) {
            ("int", 1) => "long",
            ("int" | "long", 2) => "double",
            ("string", 1) => "bytes",
            ("bytes", 1) => "string",
            (same, _) => same,
        }),
        Json::Array(branches) => {
            let mut branches = branches.clone();
            if feed.below(4) == 1 {
                branches.reverse();
            }
            branches.iter().map(|branch| evolved(branch, feed)).collect()
        }
        Json::Object(object) => {
            let mut object = object.clone();
            for part in ["items", "values"] {
                if let Some(kind) = object.get_mut(part) {
                    *kind = evolved(kind, feed);
                }
            }
            if let Some(Json::Array(fields)) = object.get_mut("fields") {
                fields.retain(|_| feed.below(4) != 1);
                for field in fields.iter_mut() {
                    field["type"] = evolved(&field["type"], feed);
                }
                if feed.below(2) == 1 {
                    fields.push(json!({"name": "added", "type": "long", "default": 7}));
                }
            }
            Json::Object(object)
        }
        other => other.clone(),
    }
}

fn nested(feed: &mut Feed<'_>, depth: usize, names: &mut usize) -> Json {
    let kinds = if depth < DEPTH { 26 } else { 20 };
    match feed.below(kinds) {
        0 => json!("null"),
        1 => json!("boolean"),
        2 => json!("int"),
        3 => json!("long"),
        4 => json!("float"),
        5 => json!("double"),
        6 => json!("bytes"),
        7 => json!("string"),
        8 => json!({"type": "int", "logicalType": "date"}),
        9 => json!({"type": "int", "logicalType": "time-millis"}),
        10 => json!({"type": "long", "logicalType": "time-micros"}),
        11 => json!({"type": "long", "logicalType": "timestamp-millis"}),
        12 => json!({"type": "long", "logicalType": "timestamp-nanos"}),
        13 => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
        14 => json!({"type": "string", "logicalType": "uuid"}),
        15 => decimal(feed, json!("bytes")),
        16 => {
            let size = feed.below(20);
            let fixed = json!({"type": "fixed", "name": name(names), "size": size});
            match feed.below(3) {
                0 => fixed,
                1 => decimal(feed, fixed),
                _ => logical(fixed, if size == 12 { "duration" } else { "uuid" }),
            }
        }
        17 => json!({"type": "fixed", "name": name(names), "size": 12, "logicalType": "duration"}),
        18 => {
            let symbols: Vec<String> = (0..=feed.below(3)).map(|n| format!("S{n}")).collect();
            json!({"type": "enum", "name": name(names), "symbols": symbols})
        }
        // Whatever has that name by then; the record around it, perhaps.
        19 => json!(format!("N{}", feed.below(*names + 1))),
        20 => json!({"type": "array", "items": nested(feed, depth + 1, names)}),
        21 => json!({"type": "map", "values": nested(feed, depth + 1, names)}),
        22 => json!(["null", nested(feed, depth + 1, names)]),
        23 => Json::Array((0..feed.below(5)).map(|_| nested(feed, depth + 1, names)).collect()),
        _ => {
            let name = name(names);
            let fields: Vec<Json> = (0..feed.below(5))
                .map(|n| json!({"name": format!("f{n}"), "type": nested(feed, depth + 1, names)}))
                .collect();
            json!({"type": "record", "name": name, "fields": fields})
        }
    }
}

fn name(names: &mut usize) -> String {
    *names += 1;
    format!("N{}", *names - 1)
}

fn logical(mut schema: Json, name: &str) -> Json {
    schema["logicalType"] = json!(name);
    schema
}

fn decimal(feed: &mut Feed<'_>, schema: Json) -> Json {
    let mut schema = if schema.is_string() { json!({"type": schema}) } else { schema };
    schema["precision"] = json!(feed.below(45));
    schema["scale"] = json!(feed.below(45));
    logical(schema, "decimal")
}
