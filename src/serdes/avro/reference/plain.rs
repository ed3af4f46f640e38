//! Random schemas as they are without logical types, and whether the specification allows them.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::samples::{Field, Kind, Random};

impl Kind {
    /// Whether values are bytes of any number.
    pub(super) fn is_bytes(&self) -> bool {
        matches!(self, Kind::Bytes | Kind::Decimal { size: None, .. })
    }

    /// The same without logical types.
    pub(super) fn plain(&self) -> Kind {
        let boxed = |inner: &Kind| Box::new(inner.plain());
        match self {
            Kind::Timestamp => Kind::Long,
            Kind::Temporal(unit) if unit.is_int() => Kind::Int,
            Kind::Temporal(_) => Kind::Long,
            Kind::Decimal { size: None, .. } => Kind::Bytes,
            Kind::Decimal { name, size: Some(size), .. } => Kind::Fixed { name: name.clone(), size: *size },
            Kind::Duration { name } => Kind::Fixed { name: name.clone(), size: 12 },
            Kind::Uuid => Kind::String,
            Kind::Array(inner) => Kind::Array(boxed(inner)),
            Kind::Map(inner) => Kind::Map(boxed(inner)),
            Kind::Nullable { null_first, other } => Kind::Nullable { null_first: *null_first, other: boxed(other) },
            Kind::Union(branches) => Kind::Union(branches.iter().map(Kind::plain).collect()),
            Kind::Record { name, fields } => {
                let field = |field: &Field| Field { kind: field.kind.plain(), ..field.clone() };
                Kind::Record { name: name.clone(), fields: fields.iter().map(field).collect() }
            }
            other => other.clone(),
        }
    }

    /// Whether no union has two types that differ by their logical types alone ("Unions": not more than one schema of
    /// the same type, except for those with names). The engine reads such, as apache-avro does.
    pub(super) fn is_allowed(&self) -> bool {
        match self {
            Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => inner.is_allowed(),
            Kind::Record { fields, .. } => fields.iter().all(|field| field.kind.is_allowed()),
            Kind::Union(branches) => {
                let mut types = BTreeSet::new();
                branches.iter().all(|branch| branch.is_allowed() && types.insert(branch.plain().tag()))
            }
            _ => true,
        }
    }

    /// What may stand in a union once: the name of a type that has one, else its type.
    fn tag(&self) -> String {
        let json = self.json();
        let name = ["name", "type"].iter().find_map(|key| json.get(key).and_then(Json::as_str));
        name.or(json.as_str()).unwrap_or_default().to_owned()
    }
}

/// What becomes of a type's name.
enum Rename {
    Keep,
    /// The old one becomes an alias.
    Alias,
    /// Nothing is left of the old one.
    Forget,
}

/// Gives some types of a reader's schema another name, mostly with the old one as an alias.
pub(super) fn rename_types(schema: &mut Json, random: &mut Random) {
    let mut choose = || match (random.below(12), random.below(8)) {
        (0, 0) => Rename::Forget,
        (0, _) => Rename::Alias,
        _ => Rename::Keep,
    };
    rename_within(schema, &mut choose, &mut Vec::new());
}

/// Gives the type of a reader's whole schema another name, if it has one, with the old one as an alias.
pub(super) fn rename_whole(schema: &mut Json) {
    let mut is_whole = schema.get("name").is_some();
    let mut choose = || if std::mem::take(&mut is_whole) { Rename::Alias } else { Rename::Keep };
    rename_within(schema, &mut choose, &mut Vec::new());
}

fn rename_within(schema: &mut Json, choose: &mut dyn FnMut() -> Rename, renamed: &mut Vec<(String, String)>) {
    match schema {
        Json::String(name) => {
            if let Some((_, new)) = renamed.iter().find(|(old, _)| old == name) {
                name.clone_from(new);
            }
        }
        Json::Array(branches) => branches.iter_mut().for_each(|branch| rename_within(branch, choose, renamed)),
        Json::Object(object) => {
            let old = object.get("name").and_then(Json::as_str).map(str::to_owned);
            if let Some((old, rename)) = old.map(|old| (old, choose()))
                && !matches!(rename, Rename::Keep)
            {
                let new = format!("New{old}");
                object.insert("name".to_owned(), json!(new));
                if let Rename::Alias = rename {
                    object.insert("aliases".to_owned(), json!(["Older", old]));
                }
                renamed.push((old, new));
            }
            for key in ["items", "values"] {
                object.get_mut(key).into_iter().for_each(|inner| rename_within(inner, choose, renamed));
            }
            for field in object.get_mut("fields").and_then(Json::as_array_mut).into_iter().flatten() {
                rename_within(&mut field["type"], choose, renamed);
            }
        }
        _ => {}
    }
}
