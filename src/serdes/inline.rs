//! Makes a schema self-contained: what it refers to in other files is put where it is first named.
//!
//! So a schema's fingerprint covers all that decides how its payloads are laid out, in whichever file it
//! stands, and the parser needs to see one text at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// The types that have no definition.
pub(super) const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// How deep a schema may nest before it is refused, which also stops files that contain each other.
const MAX_DEPTH: usize = 200;

/// The named types of all files, by full name.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions(HashMap<String, Definition>);

/// A named type. What stands within another is not kept a second time: a schema that nests would be there once a level.
#[derive(Clone, Debug)]
struct Definition {
    file: Arc<Json>,
    /// Where in the file it is: a JSON pointer.
    place: String,
    /// The namespace it stands in.
    namespace: String,
}

impl Definitions {
    /// Collects the named types of a schema. The first definition of a name stays.
    pub(super) fn collect(&mut self, schema: &Json) {
        let file = Arc::new(schema.clone());
        self.visit(&file, &file, "", "");
    }

    fn visit(&mut self, file: &Arc<Json>, schema: &Json, place: &str, namespace: &str) {
        match schema {
            Json::Array(branches) => {
                for (number, branch) in branches.iter().enumerate() {
                    self.visit(file, branch, &format!("{place}/{number}"), namespace);
                }
            }
            Json::Object(object) => {
                let full = full_name_of(object, namespace);
                let inner = full.as_deref().map_or(namespace, namespace_of).to_owned();
                if let Some(full) = full {
                    let (file, place, namespace) = (Arc::clone(file), place.to_owned(), namespace.to_owned());
                    self.0.entry(full).or_insert(Definition { file, place, namespace });
                }
                for key in ["type", "items", "values"] {
                    object
                        .get(key)
                        .into_iter()
                        .for_each(|part| self.visit(file, part, &format!("{place}/{key}"), &inner));
                }
                let fields = object.get("fields").and_then(Json::as_array).into_iter().flatten();
                for (number, field) in fields.enumerate() {
                    if let Some(kind) = field.get("type").filter(|kind| !kind.is_string()) {
                        self.visit(file, kind, &format!("{place}/fields/{number}/type"), &inner);
                    }
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
        let full = full_name_of(object, namespace);
        let inner = full.as_deref().map_or(namespace, namespace_of).to_owned();
        let is_named = full.is_some();
        self.defined.extend(full);
        // Part by part: to copy the whole at each level would have it there once a level.
        let mut inlined = Map::new();
        for (key, part) in object {
            let part = match (key.as_str(), part) {
                ("type", kind) if !is_named && kind.as_str().is_none_or(|kind| !["array", "map"].contains(&kind)) => {
                    self.visit(kind, &inner)?
                }
                ("items" | "values", part) => self.visit(part, &inner)?,
                ("fields", Json::Array(fields)) => {
                    Json::Array(fields.iter().map(|field| self.field(field, &inner)).collect::<Result<_, _>>()?)
                }
                _ => part.clone(),
            };
            inlined.insert(key.clone(), part);
        }
        Ok(inlined)
    }

    fn field(&mut self, field: &Json, namespace: &str) -> Result<Json, String> {
        let Json::Object(field) = field else { return Ok(field.clone()) };
        let mut inlined = Map::new();
        for (key, part) in field {
            let part = if key == "type" { self.visit(part, namespace)? } else { part.clone() };
            inlined.insert(key.clone(), part);
        }
        Ok(Json::Object(inlined))
    }

    fn name(&mut self, name: &str, namespace: &str) -> Result<Json, String> {
        if PRIMITIVES.contains(&name) {
            return Ok(Json::from(name));
        }
        let full = qualify(name, namespace);
        if self.defined.contains(&full) {
            return Ok(Json::from(full));
        }
        let known = self.definitions.0.get(&full);
        let found = known.and_then(|known| Some((known.file.pointer(&known.place)?, known.namespace.as_str())));
        let (definition, outer) = found.ok_or_else(|| name.to_owned())?;
        let mut inlined = self.visit(definition, outer)?;
        if let Some(object) = inlined.as_object_mut() {
            object.insert("namespace".to_owned(), Json::from(namespace_of(&full)));
        }
        Ok(inlined)
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
