//! The catalogue of a topology's data: what the schemas of its topics say, and where personal data comes from and lies.

use serde_json::{Value, json};

use super::text::push;
use crate::serdes::Format;
use crate::serdes::catalogue::{FieldDescription, Parts, SchemaDescription, TypeDescription};
use crate::topology::plan::Topology;
use crate::topology::taint::PersonalOrigin;

/// A field of a schema: the way to it, and what is said of it.
struct Row<'a> {
    path: String,
    field: &'a FieldDescription,
    /// Whether it is personal data, by itself or as a part.
    personal_data: bool,
}

/// Adds the catalogue to a description, where there is something to say.
pub(super) fn text(text: &mut String, topology: &Topology) {
    if !topology.catalogue.is_empty() {
        text.push_str("\nschemas\n");
    }
    for schema in topology.catalogue.values() {
        let owner = schema.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
        let topics = topics(topology, &schema.name).join(", ");
        push(text, 1, &format!("{} ({}){owner}{}: {topics}", schema.name, schema.file, tags(&schema.tags)));
        schema_lines(schema).iter().for_each(|line| push(text, 2, line));
    }
    let personal = &topology.personal_data;
    if personal.origins.is_empty() && personal.places.is_empty() {
        return;
    }
    text.push_str("\npersonal data\n");
    for origin in &personal.origins {
        let unread = if origin.is_read { "" } else { ", not read" };
        push(text, 1, &format!("comes from {} of {} ({}){unread}", origin.part, origin.topic, origin.said_by));
    }
    for place in &personal.places {
        push(text, 1, &format!("is in the {} {}: {}", place.kind.as_str(), place.name, place.parts.join(", ")));
    }
    if personal.places.is_empty() {
        push(text, 1, "is written nowhere");
    }
}

/// What a schema says of itself and of its fields, for people, in lines.
pub fn schema_lines(schema: &SchemaDescription) -> Vec<String> {
    let mut lines = Vec::new();
    if !schema.doc.is_empty() {
        lines.push(schema.doc.clone());
    }
    let rows = rows(schema);
    let width = rows.iter().map(|row| row.path.chars().count()).max().unwrap_or(0);
    for Row { path, field, personal_data } in rows {
        let personal = if personal_data { ", personal data" } else { "" };
        let doc = if field.doc.is_empty() { String::new() } else { format!(": {}", field.doc) };
        lines.push(format!("{path:width$}  {}{personal}{}{doc}", field.kind.name, tags(&field.tags)));
    }
    lines
}

fn tags(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!(" [{}]", tags.join(", ")) }
}

/// The topics, and patterns of topics, whose keys or values are of a schema.
fn topics(topology: &Topology, name: &str) -> Vec<String> {
    let is_of = |format: &Format| format.schema() == Some(name);
    let named = topology.topics.iter().filter(|topic| is_of(&topic.key) || topic.value.as_ref().is_some_and(is_of));
    let patterns = topology.subtopologies.iter().flat_map(|part| &part.patterns);
    let patterns = patterns.filter(|found| is_of(&found.key) || is_of(&found.value));
    named.map(|topic| topic.name.clone()).chain(patterns.map(|found| found.pattern.to_string())).collect()
}

/// The fields of a schema, those of records within it after the field that holds them.
fn rows(schema: &SchemaDescription) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    collect(&schema.root, "", schema.root.personal_data, &mut rows);
    rows
}

fn collect<'a>(kind: &'a TypeDescription, path: &str, personal_data: bool, rows: &mut Vec<Row<'a>>) {
    match &kind.parts {
        Parts::None | Parts::Untold { .. } => {}
        Parts::Elements(element) => {
            collect(element, &format!("{path}[]"), personal_data || element.personal_data, rows);
        }
        Parts::OneOf(types) => {
            types.iter().for_each(|kind| collect(kind, path, personal_data || kind.personal_data, rows));
        }
        Parts::Fields(fields) => {
            for field in fields {
                let separator = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{separator}{}", field.name);
                let personal_data = personal_data || is_personal(&field.kind);
                rows.push(Row { path: path.clone(), field, personal_data });
                collect(&field.kind, &path, personal_data, rows);
            }
        }
    }
}

/// Whether all that a type holds is personal data.
fn is_personal(kind: &TypeDescription) -> bool {
    kind.personal_data
        || match &kind.parts {
            Parts::Elements(element) => is_personal(element),
            Parts::Untold { marked, .. } => *marked,
            Parts::None | Parts::Fields(_) | Parts::OneOf(_) => false,
        }
}

/// The schemas, for tools.
pub(super) fn schemas(topology: &Topology) -> Vec<Value> {
    let schema = |schema: &SchemaDescription| {
        let mut json = schema_json(schema);
        json["topics"] = topics(topology, &schema.name).into();
        json
    };
    topology.catalogue.values().map(|found| schema(found)).collect()
}

/// What a schema says of itself and of its fields, for tools.
pub fn schema_json(schema: &SchemaDescription) -> Value {
    let fields: Vec<Value> = rows(schema)
        .iter()
        .map(|row| {
            json!({
                "path": row.path,
                "type": row.field.kind.name,
                "doc": row.field.doc,
                "tags": row.field.tags,
                "personal_data": row.personal_data,
            })
        })
        .collect();
    json!({
        "name": schema.name,
        "file": schema.file,
        "doc": schema.doc,
        "owner": schema.owner,
        "tags": schema.tags,
        "topics": Value::Null,
        "fields": fields,
    })
}

/// Where personal data comes from and lies, for tools.
pub(super) fn personal_data(topology: &Topology) -> Value {
    let personal = &topology.personal_data;
    let origins: Vec<Value> = personal
        .origins
        .iter()
        .map(|origin| {
            let PersonalOrigin { topic, part, said_by, is_read } = origin;
            json!({"topic": topic, "part": part, "said_by": said_by, "is_read": is_read})
        })
        .collect();
    let places: Vec<Value> = personal
        .places
        .iter()
        .map(|place| json!({"kind": place.kind.as_str(), "name": place.name, "parts": place.parts}))
        .collect();
    json!({"comes_from": origins, "is_in": places})
}
