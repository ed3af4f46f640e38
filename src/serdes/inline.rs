//! Makes a schema self-contained: what it refers to in other files is put where it is first named.
//!
//! So a schema's fingerprint covers all that decides how its payloads are laid out, in whichever file it
//! stands, and the parser needs to see one text at a time.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

/// The types that have no definition.
pub(super) const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// How deep a schema may nest before it is refused, which also stops files that contain each other.
const MAX_DEPTH: usize = 200;

/// The named types of all files, by full name, each with the namespace it stands in.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions(HashMap<String, (Json, String)>);

impl Definitions {
    /// Collects the named types of a schema. The first definition of a name stays.
    pub(super) fn collect(&mut self, schema: &Json) {
        self.visit(schema, "");
    }

    fn visit(&mut self, schema: &Json, namespace: &str) {
        match schema {
            Json::Array(branches) => branches.iter().for_each(|branch| self.visit(branch, namespace)),
            Json::Object(object) => {
                let full = full_name_of(object, namespace);
                let inner = full.as_deref().map_or(namespace, namespace_of).to_owned();
                if let Some(full) = full {
                    self.0.entry(full).or_insert_with(|| (schema.clone(), namespace.to_owned()));
                }
                for key in ["type", "items", "values"] {
                    object.get(key).into_iter().for_each(|part| self.visit(part, &inner));
                }
                for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
                    field.get("type").into_iter().for_each(|kind| self.visit(kind, &inner));
                }
            }
            _ => {}
        }
    }

    /// The full names known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The schema with everything it refers to inside it.
    ///
    /// # Errors
    /// The name that nothing defines, as it is written in the schema.
    pub(super) fn inline(&self, schema: &Json) -> Result<Json, String> {
        Inliner { definitions: self, defined: HashSet::new(), depth: 0 }.visit(schema, "")
    }
}

struct Inliner<'a> {
    definitions: &'a Definitions,
    defined: HashSet<String>,
    depth: usize,
}

impl Inliner<'_> {
    fn visit(&mut self, schema: &Json, namespace: &str) -> Result<Json, String> {
        // The parser that comes next says what is wrong with a schema this deep.
        if self.depth > MAX_DEPTH {
            return Ok(schema.clone());
        }
        self.depth += 1;
        let visited = match schema {
            Json::String(name) => self.name(name, namespace)?,
            Json::Array(branches) => {
                Json::Array(branches.iter().map(|branch| self.visit(branch, namespace)).collect::<Result<_, _>>()?)
            }
            Json::Object(object) => Json::Object(self.object(object, namespace)?),
            other => other.clone(),
        };
        self.depth -= 1;
        Ok(visited)
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<Map<String, Json>, String> {
        let mut object = object.clone();
        let full = full_name_of(&object, namespace);
        let inner = full.as_deref().map_or(namespace, namespace_of).to_owned();
        if let Some(full) = full {
            self.defined.insert(full);
        } else if let Some(kind) = object.get_mut("type")
            && kind.as_str().is_none_or(|kind| !["array", "map"].contains(&kind))
        {
            *kind = self.visit(kind, &inner)?;
        }
        for key in ["items", "values"] {
            if let Some(part) = object.get_mut(key) {
                *part = self.visit(part, &inner)?;
            }
        }
        for field in object.get_mut("fields").and_then(Json::as_array_mut).into_iter().flatten() {
            if let Some(kind) = field.get_mut("type") {
                *kind = self.visit(kind, &inner)?;
            }
        }
        Ok(object)
    }

    fn name(&mut self, name: &str, namespace: &str) -> Result<Json, String> {
        if PRIMITIVES.contains(&name) {
            return Ok(Json::from(name));
        }
        let full = qualify(name, namespace);
        if self.defined.contains(&full) {
            return Ok(Json::from(full));
        }
        let (definition, outer) = self.definitions.0.get(&full).ok_or_else(|| name.to_owned())?;
        let mut definition = definition.clone();
        if let Some(object) = definition.as_object_mut() {
            object.insert("namespace".to_owned(), Json::from(namespace_of(&full)));
        }
        self.visit(&definition, outer)
    }
}

/// The full name of a record, enum or fixed; `None` for any other schema.
fn full_name_of(object: &Map<String, Json>, namespace: &str) -> Option<String> {
    let kind = object.get("type")?.as_str()?;
    if !["record", "error", "enum", "fixed"].contains(&kind) {
        return None;
    }
    let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
    Some(qualify(object.get("name")?.as_str()?, namespace))
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn namespace_of(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}
