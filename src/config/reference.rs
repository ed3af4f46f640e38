//! The reference of all settings and their JSON Schema, made from the definitions.

use serde_json::{Map, Value as Json, json};

use super::{Config, Kind, SETTINGS, Setting};

/// The reference of all settings, in Markdown: a table for each section.
pub fn reference() -> String {
    let defaults = Config::default();
    let mut text = String::new();
    let mut section = None;
    for (index, setting) in SETTINGS.iter().enumerate() {
        let place = setting.place().0;
        if index == 0 || place != section {
            section = place;
            let title = section.map_or_else(|| "### The whole process".to_owned(), |name| format!("### `{name}`"));
            text.push_str(&format!(
                "{}{title}\n\n| setting | default | values | meaning |\n|---|---|---|---|\n",
                if index == 0 { "" } else { "\n" },
            ));
        }
        text.push_str(&format!(
            "| `{}` | `{}` | {} | {} |\n",
            setting.name(),
            setting.value(&defaults),
            values(setting),
            setting.documentation()
        ));
    }
    text
}

fn values(setting: &Setting) -> String {
    let values = match setting.kind() {
        Kind::Count(max) => format!("1 to {max}"),
        Kind::Bytes => "a size".to_owned(),
        Kind::Duration => "a duration".to_owned(),
        Kind::Switch => "`on`, `off`".to_owned(),
        Kind::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Directory | Kind::File => "a path".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Socket => "address and port".to_owned(),
    };
    if setting.is_optional() { format!("{values}, `none`") } else { values }
}

/// The JSON Schema (draft 2020-12) of configuration files.
pub fn json_schema() -> Json {
    let defaults = Config::default();
    let mut properties = Map::new();
    for setting in SETTINGS {
        let mut schema = value_schema(setting);
        schema["description"] = setting.documentation().into();
        schema["default"] = setting.value(&defaults).into();
        let (section, name) = setting.place();
        let target = match section {
            None => &mut properties,
            Some(section) => {
                let entry = properties.entry(section).or_insert_with(
                    || json!({ "type": ["object", "null"], "additionalProperties": false, "properties": {} }),
                );
                match entry.get_mut("properties").and_then(Json::as_object_mut) {
                    Some(inside) => inside,
                    None => continue,
                }
            }
        };
        target.insert(name.to_owned(), schema);
    }
    let kafka = json!({
        "type": ["object", "null"],
        "description": "Properties of the Kafka client, as librdkafka names them.",
        "additionalProperties": { "type": ["string", "number", "boolean"] },
    });
    properties.insert("kafka".to_owned(), kafka);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "signalstream configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// What an editor accepts. References may stand everywhere, so that text is not refused for its pattern.
fn value_schema(setting: &Setting) -> Json {
    let mut types = match setting.kind() {
        Kind::Count(_) => vec!["integer", "string"],
        Kind::Bytes => vec!["string", "integer"],
        Kind::Duration | Kind::Directory | Kind::File | Kind::Text | Kind::Socket | Kind::Words(_) => vec!["string"],
        Kind::Switch => vec!["boolean", "string"],
    };
    if setting.is_optional() {
        types.push("null");
    }
    let mut schema = json!({ "type": types });
    match setting.kind() {
        Kind::Count(max) => {
            schema["minimum"] = 1.into();
            schema["maximum"] = max.into();
        }
        Kind::Words(words) => schema["examples"] = words.into(),
        Kind::Switch => schema["examples"] = json!(["on", "off"]),
        Kind::Bytes => schema["examples"] = json!(["16MiB"]),
        Kind::Duration => schema["examples"] = json!(["100ms", "30s", "1h"]),
        Kind::Directory | Kind::File | Kind::Text | Kind::Socket => {}
    }
    schema
}
