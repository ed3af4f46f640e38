//! What schemas say of themselves for people: documentation, tags, who owns them, and which fields are personal data.
//!
//! Read are attributes that Avro keeps and does not use: `doc`, `owner` (of a record), `confluent:tags` (lists of words, of
//! records and fields, as Confluent's Stream Governance writes them) and `pii` (true or false, of fields and types). The
//! tag `PII` says the same as `pii: true`. None of them is part of a schema's canonical form: marking a field changes
//! neither its id nor what it can read.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::inline::PRIMITIVES;

/// How many types of a schema are described, names followed, and how deep; a part beyond counts as personal data where
/// anything in the schema does.
const MAX_TYPES: usize = 20_000;
const MAX_DEPTH: usize = 64;

/// The attribute that says that something is personal data.
const PII: &str = "pii";
/// The attribute with the tags.
const TAGS: &str = "confluent:tags";

/// What a schema says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDescription {
    /// Its name: that of its file, without `.avsc`.
    pub name: String,
    /// The file that it was read from, as its path was given.
    pub file: String,
    /// What it is for; may be empty.
    pub doc: String,
    /// Who answers for it, where that is said.
    pub owner: Option<String>,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// What its values are.
    pub root: TypeDescription,
}

/// A type of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDescription {
    /// Its name, as people read it: `string`, `list of PIIEntity`, `string or null`.
    pub name: String,
    /// Whether all of it is personal data.
    pub personal_data: bool,
    /// What it is made of.
    pub parts: Parts,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Nothing that is told apart.
    None,
    /// Elements of a list, or values of a map.
    Elements(Box<TypeDescription>),
    /// Fields of a record.
    Fields(Vec<FieldDescription>),
    /// One of several types.
    OneOf(Vec<TypeDescription>),
    /// Of a type that is not described again, or no more.
    Untold {
        /// A record around it, so many outwards: 1 is the innermost. `None`: it lies too deep, or there is too much.
        around: Option<usize>,
        /// Whether anything in the schema is marked: then this counts as personal data where it is read.
        marked: bool,
    },
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDescription {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub doc: String,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// What it holds, and whether that is personal data.
    pub kind: TypeDescription,
}

impl SchemaDescription {
    /// Whether any part of it is marked as personal data.
    pub fn holds_personal_data(&self) -> bool {
        self.root.holds_personal_data()
    }
}

impl TypeDescription {
    /// Whether any part of it is marked as personal data.
    pub fn holds_personal_data(&self) -> bool {
        self.personal_data
            || match &self.parts {
                Parts::None => false,
                Parts::Elements(element) => element.holds_personal_data(),
                Parts::Fields(fields) => fields.iter().any(|field| field.kind.holds_personal_data()),
                Parts::OneOf(types) => types.iter().any(TypeDescription::holds_personal_data),
                Parts::Untold { marked, .. } => *marked,
            }
    }
}

/// Reads what a schema says of itself. Names in it are defined in it, once each.
///
/// # Errors
/// An attribute that cannot be understood: the path of the field that has it, "" for the schema itself, and what is wrong.
pub(super) fn describe(name: &str, file: &str, schema: &Json) -> Result<SchemaDescription, (String, String)> {
    let mut definitions = BTreeMap::new();
    collect(schema, "", 0, &mut definitions);
    let mut reader = Reader { definitions, open: Vec::new(), types: 0, marked: mentions_personal_data(schema, 0) };
    let root = reader.read(schema, "")?;
    let attributes = schema.as_object();
    Ok(SchemaDescription {
        name: name.to_owned(),
        file: file.to_owned(),
        doc: attributes.map(|attributes| text(attributes, "doc")).transpose()?.flatten().unwrap_or_default(),
        owner: attributes.map(|attributes| text(attributes, "owner")).transpose()?.flatten(),
        tags: attributes.map(tags).transpose()?.unwrap_or_default(),
        root,
    })
}

struct Reader<'a> {
    /// The named types, by full name, each with the namespace within it.
    definitions: BTreeMap<String, (&'a Map<String, Json>, String)>,
    /// The named types around the current position.
    open: Vec<String>,
    types: usize,
    /// Whether anything in the schema is marked: what counts for parts that are not described.
    marked: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self, schema: &'a Json, namespace: &str) -> Result<TypeDescription, (String, String)> {
        self.types += 1;
        if self.types > MAX_TYPES || self.open.len() > MAX_DEPTH {
            return Ok(self.untold("more", None));
        }
        match schema {
            Json::String(name) if PRIMITIVES.contains(&name.as_str()) => Ok(plain(name)),
            Json::String(name) => {
                let full = qualify(name, namespace);
                let around = self.open.iter().rev().position(|open| *open == full).map(|outwards| outwards + 1);
                match self.definitions.get(&full).cloned() {
                    Some((_, _)) if around.is_some() => Ok(self.untold(short(&full), around)),
                    Some((definition, outer)) => self.object(definition, &outer),
                    None => Ok(plain(name)),
                }
            }
            Json::Array(branches) => {
                let types =
                    branches.iter().map(|branch| self.read(branch, namespace)).collect::<Result<Vec<_>, _>>()?;
                Ok(union(types))
            }
            Json::Object(object) => self.object(object, namespace),
            _ => Ok(plain("unknown")),
        }
    }

    /// A part that is not described again, or no more.
    fn untold(&self, name: &str, around: Option<usize>) -> TypeDescription {
        let parts = Parts::Untold { around, marked: self.marked };
        TypeDescription { name: name.to_owned(), personal_data: false, parts }
    }

    fn object(&mut self, object: &'a Map<String, Json>, namespace: &str) -> Result<TypeDescription, (String, String)> {
        let personal_data = is_personal(object)?;
        let kind = object.get("type").unwrap_or(&Json::Null);
        let mut described = match kind.as_str() {
            Some("array" | "map") => {
                let (part, what) = if kind == "array" { ("items", "list") } else { ("values", "map") };
                let element = self.read(object.get(part).unwrap_or(&Json::Null), namespace)?;
                let name = format!("{what} of {}", element.name);
                TypeDescription { name, personal_data: false, parts: Parts::Elements(Box::new(element)) }
            }
            Some("record" | "error") => self.record(object, namespace)?,
            Some("enum" | "fixed") => {
                let name = object.get("name").and_then(Json::as_str).unwrap_or_default();
                plain(&format!("{} {}", kind.as_str().unwrap_or_default(), short(name)))
            }
            // A type of its own may stand within one that a logical type names.
            _ => {
                let described = self.read(kind, namespace)?;
                match object.get("logicalType").and_then(Json::as_str) {
                    Some(logical) => TypeDescription { name: logical.to_owned(), ..described },
                    None => described,
                }
            }
        };
        described.personal_data |= personal_data;
        Ok(described)
    }

    fn record(&mut self, object: &'a Map<String, Json>, namespace: &str) -> Result<TypeDescription, (String, String)> {
        let full = full_name(object, namespace);
        let inner = namespace_of(&full).to_owned();
        self.open.push(full.clone());
        let mut fields = Vec::new();
        for field in object.get("fields").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object) {
            let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
            let described = self.field(field, name, &inner).map_err(|(path, message)| match path.as_str() {
                "" => (name.to_owned(), message),
                inner => (format!("{name}.{inner}"), message),
            });
            fields.push(described?);
        }
        self.open.pop();
        Ok(TypeDescription { name: short(&full).to_owned(), personal_data: false, parts: Parts::Fields(fields) })
    }

    fn field(
        &mut self,
        field: &'a Map<String, Json>,
        name: &str,
        namespace: &str,
    ) -> Result<FieldDescription, (String, String)> {
        let mut kind = self.read(field.get("type").unwrap_or(&Json::Null), namespace)?;
        kind.personal_data |= is_personal(field)?;
        let (doc, tags) = (text(field, "doc")?.unwrap_or_default(), tags(field)?);
        Ok(FieldDescription { name: name.to_owned(), doc, tags, kind })
    }
}

fn plain(name: &str) -> TypeDescription {
    TypeDescription { name: name.to_owned(), personal_data: false, parts: Parts::None }
}

/// A union as one type: of null and one other, that one.
fn union(mut types: Vec<TypeDescription>) -> TypeDescription {
    let name = types.iter().filter(|kind| kind.name != "null").chain(types.iter().filter(|kind| kind.name == "null"));
    let name = name.map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(" or ");
    types.retain(|kind| kind.name != "null");
    match types.len() {
        1 => types.pop().map_or_else(|| plain(&name), |kind| TypeDescription { name: name.clone(), ..kind }),
        _ => TypeDescription { name, personal_data: false, parts: Parts::OneOf(types) },
    }
}

/// Whether a type or field is marked.
fn is_personal(object: &Map<String, Json>) -> Result<bool, (String, String)> {
    let wrong = |message: String| Err((String::new(), message));
    if let Some(other) = object.keys().find(|name| name.as_str() != PII && name.eq_ignore_ascii_case(PII)) {
        return wrong(format!("`{other}` is written `{PII}`"));
    }
    let tagged = tags(object)?.iter().any(|tag| tag.eq_ignore_ascii_case(PII));
    match object.get(PII) {
        None => Ok(tagged),
        Some(Json::Bool(false)) if tagged => wrong(format!("`{PII}` is false, and the tag `PII` says the opposite")),
        Some(Json::Bool(marked)) => Ok(*marked || tagged),
        Some(other) => wrong(format!("`{PII}` is true or false, and this is {other}")),
    }
}

fn tags(object: &Map<String, Json>) -> Result<Vec<String>, (String, String)> {
    let wrong = || (String::new(), format!("`{TAGS}` is a list of words, and this is none"));
    match object.get(TAGS) {
        None => Ok(Vec::new()),
        Some(Json::Array(tags)) => tags.iter().map(|tag| Ok(tag.as_str().ok_or_else(wrong)?.to_owned())).collect(),
        Some(_) => Err(wrong()),
    }
}

fn text(object: &Map<String, Json>, name: &str) -> Result<Option<String>, (String, String)> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        // Nobody but people reads documentation, and Avro's own tools take anything here.
        Some(_) if name == "doc" => Ok(None),
        Some(_) => Err((String::new(), format!("`{name}` is text, and this is none"))),
    }
}

/// Whether anything in a schema is marked.
fn mentions_personal_data(schema: &Json, depth: usize) -> bool {
    let beyond = depth > MAX_DEPTH * 4;
    match schema {
        Json::Array(parts) => beyond || parts.iter().any(|part| mentions_personal_data(part, depth + 1)),
        Json::Object(object) => {
            beyond
                || is_personal(object).unwrap_or(true)
                || object.values().any(|part| mentions_personal_data(part, depth + 1))
        }
        _ => false,
    }
}

fn collect<'a>(
    schema: &'a Json,
    namespace: &str,
    depth: usize,
    definitions: &mut BTreeMap<String, (&'a Map<String, Json>, String)>,
) {
    if depth > MAX_DEPTH * 4 {
        return;
    }
    match schema {
        Json::Array(branches) => branches.iter().for_each(|branch| collect(branch, namespace, depth + 1, definitions)),
        Json::Object(object) => {
            let named =
                matches!(object.get("type").and_then(Json::as_str), Some("record" | "error" | "enum" | "fixed"));
            let full = full_name(object, namespace);
            let inner = if named { namespace_of(&full).to_owned() } else { namespace.to_owned() };
            if named {
                definitions.entry(full).or_insert_with(|| (object, namespace.to_owned()));
            }
            let fields = object.get("fields").and_then(Json::as_array).into_iter().flatten();
            let parts = fields.filter_map(|field| field.get("type"));
            let parts = parts.chain(["type", "items", "values"].into_iter().filter_map(|part| object.get(part)));
            parts.for_each(|part| collect(part, &inner, depth + 1, definitions));
        }
        _ => {}
    }
}

fn full_name(object: &Map<String, Json>, namespace: &str) -> String {
    let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
    qualify(object.get("name").and_then(Json::as_str).unwrap_or_default(), namespace)
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn namespace_of(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

fn short(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(schema: &str) -> Result<SchemaDescription, (String, String)> {
        describe("Order", "schemas/Order.avsc", &serde_json::from_str(schema).unwrap())
    }

    const ORDER: &str = r#"{
        "type": "record", "name": "Order", "namespace": "shop", "doc": "What somebody bought.", "owner": "team-orders",
        "confluent:tags": ["GOLD"],
        "fields": [
            {"name": "id", "type": "string", "doc": "Which."},
            {"name": "email", "type": ["null", "string"], "pii": true, "confluent:tags": ["CONTACT"]},
            {"name": "phone", "type": "string", "confluent:tags": ["PII"]},
            {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
                {"name": "sku", "type": "string"}, {"name": "engraving", "type": {"type": "string", "pii": true}}]}}},
            {"name": "gift", "type": ["null", "Item"]},
            {"name": "next", "type": ["null", "shop.Order"]}
        ]}"#;

    #[test]
    fn what_a_schema_says_of_itself_is_read() {
        let order = read(ORDER).unwrap();
        assert_eq!((order.doc.as_str(), order.owner.as_deref()), ("What somebody bought.", Some("team-orders")));
        assert_eq!(order.tags, ["GOLD"]);
        let Parts::Fields(fields) = &order.root.parts else { panic!("a record") };
        let shown: Vec<String> = fields
            .iter()
            .map(|field| format!("{}: {} {}", field.name, field.kind.name, field.kind.personal_data))
            .collect();
        assert_eq!(
            shown,
            [
                "id: string false",
                "email: string or null true",
                "phone: string true",
                "items: list of Item false",
                "gift: Item or null false",
                "next: Order or null false"
            ]
        );
        assert_eq!(fields[5].kind.parts, Parts::Untold { around: Some(1), marked: true });
        assert!(fields[5].kind.holds_personal_data());
        assert_eq!((fields[0].doc.as_str(), fields[1].tags.as_slice()), ("Which.", &["CONTACT".to_owned()][..]));
        let Parts::Elements(item) = &fields[3].kind.parts else { panic!("a list") };
        let Parts::Fields(item) = &item.parts else { panic!("of records") };
        assert_eq!((item[0].kind.personal_data, item[1].kind.personal_data), (false, true));
        assert_eq!(fields[4].kind.parts, Parts::Fields(item.clone()));
        assert!(order.holds_personal_data());
    }

    #[test]
    fn marks_within_a_type_that_a_logical_type_names_are_read() {
        let of = |kind: &str| {
            let schema = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "x", "type": {kind}}}]}}"#);
            let described = read(&schema).unwrap();
            let Parts::Fields(fields) = described.root.parts else { panic!("a record") };
            (fields[0].kind.name.clone(), fields[0].kind.holds_personal_data())
        };
        let inner = r#"{"type": "array", "items": {"type": "string", "pii": true}}"#;
        assert_eq!(of(&format!(r#"{{"type": {inner}, "logicalType": "names"}}"#)), ("names".to_owned(), true));
        let text = r#"{"type": {"type": "string", "pii": true}, "logicalType": "name"}"#;
        assert_eq!(of(text), ("name".to_owned(), true));
        let plain = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;
        assert_eq!(of(plain), ("timestamp-millis".to_owned(), false));
    }

    #[test]
    fn a_mark_that_cannot_be_understood_is_refused() {
        for (attributes, said) in [
            (r#""pii": "yes""#, "`pii` is true or false, and this is \"yes\""),
            (r#""PII": true"#, "`PII` is written `pii`"),
            (r#""confluent:tags": "PII""#, "`confluent:tags` is a list of words, and this is none"),
            (r#""pii": false, "confluent:tags": ["PII"]"#, "`pii` is false, and the tag `PII` says the opposite"),
        ] {
            let record = |kind: &str, attributes: &str| {
                let name = if kind == "\"string\"" { "note" } else { "orders" };
                let field = format!(r#"{{"name": "{name}", "type": {kind}{attributes}}}"#);
                format!(r#"{{"type": "record", "name": "Of{name}", "fields": [{field}]}}"#)
            };
            let inner = record("\"string\"", &format!(", {attributes}"));
            assert_eq!(read(&inner), Err(("note".to_owned(), said.to_owned())));
            assert_eq!(read(&record(&inner, "")), Err(("orders.note".to_owned(), said.to_owned())));
        }
        let owner = read(r#"{"type": "record", "name": "R", "owner": 5, "fields": []}"#);
        assert_eq!(owner, Err((String::new(), "`owner` is text, and this is none".to_owned())));
    }

    #[test]
    fn what_is_too_large_to_be_described_counts_as_marked_if_anything_in_it_is() {
        let mut fields = vec![r#"{"name": "x", "type": {"type": "record", "name": "L0", "fields": [{"name": "y", "type": "string", "pii": true}]}}"#.to_owned()];
        for level in 1..40 {
            let below = level - 1;
            fields.push(format!(
                r#"{{"name": "x{level}", "type": {{"type": "record", "name": "L{level}", "fields": [
                    {{"name": "a", "type": "L{below}"}}, {{"name": "b", "type": "L{below}"}}]}}}}"#
            ));
        }
        let schema =
            read(&format!(r#"{{"type": "record", "name": "Top", "fields": [{}]}}"#, fields.join(","))).unwrap();
        let Parts::Fields(fields) = &schema.root.parts else { panic!("a record") };
        assert!(fields.last().unwrap().kind.holds_personal_data());
    }
}
