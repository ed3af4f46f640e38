//! The schemas known to the engine: the `.avsc` files of directories, and schemas given as text.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use apache_avro::rabin::Rabin;
use serde_json::Value as Json;
use thiserror::Error;

use super::avro::{Schema, SharedSchema, Type};
use super::catalogue::{self, SchemaDescription};
use super::error::{nearest, prefix, suggestion};
use super::inline::{Definitions, PRIMITIVES};
use super::names::wrong_name;
use crate::record::Shape;

/// Schemas by name and by id. Cloning shares the schemas.
///
/// A schema's name is its file's without `.avsc`. Files may refer to each other's types by full name.
#[derive(Clone, Debug, Default)]
pub struct SchemaRegistry {
    schemas: BTreeMap<String, Registered>,
    definitions: Arc<Definitions>,
}

#[derive(Clone, Debug)]
struct Registered {
    schema: SharedSchema,
    /// The schema's own full name, with its namespace; "" where it has none.
    full_name: String,
    canonical: Arc<str>,
    /// What it says of itself.
    description: Arc<SchemaDescription>,
}

/// A file that is not a usable schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct SchemaError {
    /// The file, as its path was given.
    pub file: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The column, counted from 1, where it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A file's text on its way to a schema.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
    json: Json,
}

impl SchemaRegistry {
    /// A registry without schemas.
    pub fn new() -> Self {
        SchemaRegistry::default()
    }

    /// Adds every `*.avsc` file of a directory, in any order of references between them.
    ///
    /// # Errors
    /// One for every file that cannot be read or used; the other files are added.
    pub fn load_directory(&mut self, dir: &Path) -> Result<(), Vec<SchemaError>> {
        let failed = |path: &Path, error: std::io::Error| SchemaError {
            file: path.display().to_string(),
            line: None,
            column: None,
            message: format!("cannot be read: {error}"),
        };
        let entries = std::fs::read_dir(dir).map_err(|error| vec![failed(dir, error)])?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| vec![failed(dir, error)])?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "avsc"));
        paths.sort();
        let mut errors = Vec::new();
        let mut files = Vec::new();
        for path in paths {
            match std::fs::read_to_string(&path) {
                Ok(text) => files.push((path.display().to_string(), text)),
                Err(error) => errors.push(failed(&path, error)),
            }
        }
        errors.extend(self.add_all(&files));
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Adds a schema given as text, which may refer to schemas added before.
    ///
    /// # Errors
    /// Where the text is not JSON or not a schema, uses something not supported, or another schema of the
    /// same name or id is there already.
    pub fn add(&mut self, file_name: &str, json: &str) -> Result<(), SchemaError> {
        match self.add_all(&[(file_name.to_owned(), json.to_owned())]).pop() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Adds schemas given as file names and texts, in any order of references between them. Returns what is
    /// wrong with those that cannot be used; the others are added.
    pub fn add_all(&mut self, files: &[(String, String)]) -> Vec<SchemaError> {
        let mut errors = Vec::new();
        let mut sources = Vec::new();
        for (file, text) in files {
            match serde_json::from_str(text) {
                Ok(json) => sources.push(Source { file, text, json }),
                Err(error) => errors.push(SchemaError {
                    file: file.clone(),
                    line: Some(error.line()),
                    column: Some(error.column()),
                    message: format!("not JSON: {}", without_position(&error.to_string())),
                }),
            }
        }
        // A file named for the type it defines is its home; another version of the type in another file is not.
        sources.sort_by_key(|source| !defines_its_name(source));
        let definitions = Arc::make_mut(&mut self.definitions);
        sources.iter().for_each(|source| definitions.collect(&source.json));
        for source in &sources {
            errors.extend(self.register(source).err());
        }
        errors
    }

    fn register(&mut self, source: &Source<'_>) -> Result<(), SchemaError> {
        let name = stem(source.file);
        let json = self.definitions.inline(&source.json).map_err(|unknown| {
            let short = |full: &'_ str| full.rsplit('.').next().unwrap_or_default().to_owned();
            let known: Vec<String> =
                PRIMITIVES.iter().map(|name| (*name).to_owned()).chain(self.definitions.names().map(short)).collect();
            let hint = suggestion(&nearest(&unknown, known.iter().map(String::as_str)));
            source.error_at(&unknown, format!("there is no type `{unknown}`{hint}"))
        })?;
        if let Some(wrong) = wrong_name(&json) {
            let rule = "a name is letters, digits and `_`, and does not begin with a digit";
            return Err(source.error_at(wrong, format!("`{wrong}` is no name; {rule}")));
        }
        let (parsed, canonical) = parse(&json).map_err(|message| source.error(message))?;
        let kind = Type::new(&parsed).map_err(|(path, message)| {
            source.error_at(path.rsplit('.').next().unwrap_or_default(), prefix(&path) + &message)
        })?;
        let id = id(&parsed);
        let existing = self.schemas.get(name);
        if existing.is_some_and(|existing| existing.canonical != canonical) {
            return Err(source.error(format!("another schema of the name `{name}` is registered already")));
        }
        let same_id = |other: &&Registered| other.schema.id == id && other.canonical != canonical;
        if let Some(other) = self.schemas.values().find(same_id) {
            let message = format!("has the same id, {id}, as the schema {}; change either a little", other.schema.name);
            return Err(source.error(message));
        }
        let description =
            catalogue::describe(name, source.file, &json).map_err(|(path, message)| match path.as_str() {
                "" => source.error(message),
                path => source.error_at(path.rsplit('.').next().unwrap_or_default(), prefix(path) + &message),
            })?;
        let full_name = parsed.name().map(|name| name.fullname(None)).unwrap_or_default();
        let schema = Arc::new(Schema { name: name.to_owned(), id, kind });
        self.schemas
            .insert(name.to_owned(), Registered { schema, full_name, canonical, description: Arc::new(description) });
        Ok(())
    }

    /// The names of the schemas, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// The shape of a schema's values, by its name or full name.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.schema(name).map(|schema| schema.kind.shape())
    }

    /// The id that a schema's payloads carry: the low 31 bits of the CRC-64-AVRO fingerprint (Avro 1.12
    /// specification, "Schema Fingerprints") of its canonical form.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.schema(name).map(|schema| schema.id)
    }

    /// What a schema says of itself, by its name or full name.
    pub fn description(&self, name: &str) -> Option<&Arc<SchemaDescription>> {
        self.registered(name).map(|registered| &registered.description)
    }

    pub(super) fn schema(&self, name: &str) -> Option<&SharedSchema> {
        self.registered(name).map(|registered| &registered.schema)
    }

    fn registered(&self, name: &str) -> Option<&Registered> {
        let by_full_name = || self.schemas.values().find(|registered| registered.full_name == name);
        self.schemas.get(name).or_else(by_full_name)
    }

    pub(super) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        self.schemas.values().map(|registered| registered.schema.as_ref())
    }
}

/// A schema and its canonical form.
///
/// The library panics on some schemas that are wrong. In a thread of its own that is one more error.
fn parse(json: &Json) -> Result<(apache_avro::Schema, Arc<str>), String> {
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("schema-parser".to_owned()).spawn_scoped(scope, || {
            let parsed = apache_avro::Schema::parse(json).map_err(|error| error.to_string())?;
            let canonical = parsed.canonical_form().into();
            Ok((parsed, canonical))
        });
        match parser.map(|parser| parser.join()) {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(_)) => Err("this cannot be read as an Avro schema".to_owned()),
            Err(_) => Err("there is not enough memory to parse this schema".to_owned()),
        }
    })
}

fn id(schema: &apache_avro::Schema) -> u32 {
    let fingerprint = schema.fingerprint::<Rabin>();
    // The digest is little-endian, so the low bits come first.
    let low = fingerprint.bytes.first_chunk::<4>().map_or(0, |low| u32::from_le_bytes(*low));
    low & 0x7fff_ffff
}

fn stem(file: &str) -> &str {
    Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(file)
}

fn defines_its_name(source: &Source<'_>) -> bool {
    let name = source.json.get("name").and_then(Json::as_str).unwrap_or_default();
    name.rsplit('.').next() == Some(stem(source.file))
}

fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

impl Source<'_> {
    /// An error of the whole file, or of the name the message quotes where that is found in the text.
    fn error(&self, message: String) -> SchemaError {
        let quoted: Vec<&str> = message.split(['"', '`', '\'']).skip(1).step_by(2).collect();
        let known = quoted.into_iter().find(|name| !name.is_empty() && self.text.contains(&format!("\"{name}\"")));
        match known.map(str::to_owned) {
            Some(name) => self.error_at(&name, message),
            None => SchemaError { file: self.file.to_owned(), line: None, column: None, message },
        }
    }

    /// An error at the first place where the text has this name in quotes.
    fn error_at(&self, name: &str, message: String) -> SchemaError {
        let at = self.text.find(&format!("\"{name}\"")).and_then(|at| self.text.get(..at));
        let line = at.map(|before| before.matches('\n').count() + 1);
        let column = at.map(|before| before.chars().rev().take_while(|c| *c != '\n').count() + 1);
        SchemaError { file: self.file.to_owned(), line, column, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = include_str!("../../schemas/MessageCreated.avsc");

    fn refused(text: &str) -> String {
        SchemaRegistry::new().add("Bad.avsc", text).unwrap_err().to_string()
    }

    #[test]
    fn a_name_that_is_none_is_refused_at_its_place() {
        assert_eq!(
            refused("{\"type\": \"map\",\n \"values\": {\"type\": \"fixed\", \"name\": \"count()\", \"size\": 2}}"),
            "Bad.avsc:2:38: `count()` is no name; a name is letters, digits and `_`, and does not begin with a digit"
        );
    }

    #[test]
    fn a_schema_that_the_library_does_not_survive_is_refused() {
        let found = parse(&serde_json::json!({"type": "fixed", "name": "?", "size": 2})).unwrap_err();
        assert_eq!(found, "this cannot be read as an Avro schema");
    }

    #[test]
    fn a_schema_is_found_by_file_name_and_full_name() {
        let mut registry = SchemaRegistry::new();
        registry.add("schemas/MessageCreated.avsc", MESSAGE).unwrap();
        assert_eq!(registry.names().collect::<Vec<_>>(), ["MessageCreated"]);
        let shape = registry.shape("ai.signalstream.events.MessageCreated").unwrap();
        assert_eq!(Some(&shape), registry.shape("MessageCreated").as_ref());
        let Shape::Struct(fields) = shape else { panic!("a record") };
        let shown: Vec<String> =
            fields.fields().iter().map(|field| format!("{}: {}", field.name, field.shape)).collect();
        assert_eq!(
            shown,
            [
                "message_id: string",
                "conversation_id: string",
                "tenant_id: string",
                "sender: enum Sender",
                "message: string",
                "channel: enum Channel",
                "timestamp: timestamp"
            ]
        );
        assert_eq!(registry.shape("Message"), None);
    }

    #[test]
    fn an_id_is_the_low_bits_of_the_fingerprint_of_the_canonical_form() {
        let mut registry = SchemaRegistry::new();
        // The specification gives this fingerprint of "int": 7275c51a3f395c8f.
        registry.add("Number.avsc", r#"{"type": "int", "doc": "not part of the canonical form"}"#).unwrap();
        assert_eq!(registry.id("Number"), Some(0x3f39_5c8f));
    }

    #[test]
    fn files_may_refer_to_each_other_in_any_order() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "A.avsc",
            r#"{"type": "record", "name": "A", "namespace": "n", "fields": [
            {"name": "b", "type": "B"}, {"name": "again", "type": ["null", "n.B"]}, {"name": "mood", "type": "n.Mood"}]}"#,
        );
        write(
            "B.avsc",
            r#"{"type": "record", "name": "B", "namespace": "n", "fields": [
            {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["GOOD", "BAD"]}}]}"#,
        );
        write("notes.txt", "not a schema");
        let mut registry = SchemaRegistry::new();
        registry.load_directory(directory.path()).unwrap();
        assert_eq!(registry.names().collect::<Vec<_>>(), ["A", "B"]);
        let Some(Shape::Struct(a)) = registry.shape("A") else { panic!("a record") };
        assert_eq!(a.field("b").map(|field| &field.shape), registry.shape("B").as_ref());
        assert_eq!(a.field("again").map(|field| field.shape.clone()), registry.shape("B").map(Shape::optional));
    }

    #[test]
    fn every_file_that_is_not_a_schema_is_reported_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("Broken.avsc", "{\"type\": \"record\",\n  \"name\": }");
        write("Good.avsc", "\"string\"");
        write(
            "Unknown.avsc",
            "{\"type\": \"record\", \"name\": \"U\", \"fields\": [\n  {\"name\": \"f\", \"type\": \"strnig\"}]}",
        );
        let mut registry = SchemaRegistry::new();
        let errors = registry.load_directory(directory.path()).unwrap_err();
        let said: Vec<String> = errors
            .iter()
            .map(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
            .collect();
        assert_eq!(
            said,
            [
                "Broken.avsc:2:11: not JSON: expected value",
                "Unknown.avsc:2:25: there is no type `strnig`; did you mean `string`?"
            ]
        );
        assert!(registry.shape("Good").is_some());
        assert!(registry.load_directory(&directory.path().join("absent")).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name_and_place() {
        let record = |kind: &str| {
            format!("{{\"type\": \"record\", \"name\": \"R\", \"fields\": [\n{{\"name\": \"f\", \"type\": {kind}}}]}}")
        };
        assert_eq!(
            refused(&record(r#"["null", "R"]"#)),
            "Bad.avsc:2:10: f: `R` refers to itself; recursive schemas are not supported yet"
        );
        assert_eq!(
            refused(&record(r#"["string", "long"]"#)),
            "Bad.avsc:2:10: f: unions other than of null and one type are not supported yet"
        );
        let date = refused(&record(r#"{"type": "int", "logicalType": "date"}"#));
        assert!(date.starts_with("Bad.avsc:2:10: f: the logical type Date"), "{date}");
        assert!(refused(r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#).starts_with("Bad.avsc"));
        assert!(refused("[]").starts_with("Bad.avsc"));
        assert!(
            refused(&format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(90), "}".repeat(90)))
                .contains("deep")
        );
    }

    #[test]
    fn schemas_that_double_at_every_level_are_refused() {
        let mut fields = vec![r#"{"name": "x", "type": {"type": "record", "name": "L0", "fields": []}}"#.to_owned()];
        for level in 1..60 {
            let below = level - 1;
            fields.push(format!(
                r#"{{"name": "x{level}", "type": {{"type": "record", "name": "L{level}", "fields": [
                    {{"name": "a", "type": "L{below}"}}, {{"name": "b", "type": "L{below}"}}]}}}}"#
            ));
        }
        let text = format!(r#"{{"type": "record", "name": "Top", "fields": [{}]}}"#, fields.join(","));
        assert!(refused(&text).contains("more than 20000 types"));
    }

    #[test]
    fn a_mark_that_cannot_be_understood_is_refused_at_its_field() {
        let marked = |mark: &str| {
            format!(
                "{{\"type\": \"record\", \"name\": \"R\", \"fields\": [\n{{\"name\": \"a\", \"type\": \"string\", \"pii\": true}},\n\
                 {{\"name\": \"b\", \"type\": \"string\", {mark}}}]}}"
            )
        };
        assert_eq!(refused(&marked("\"pii\": 1")), "Bad.avsc:3:10: b: `pii` is true or false, and this is 1");
        let mut registry = SchemaRegistry::new();
        registry.add("R.avsc", &marked("\"pii\": false")).unwrap();
        assert!(registry.description("R").is_some_and(|schema| schema.holds_personal_data()));
        let unmarked = marked("\"doc\": \"\"").replace(", \"pii\": true", "");
        let mut other = SchemaRegistry::new();
        other.add("R.avsc", &unmarked).unwrap();
        assert_eq!(other.id("R"), registry.id("R"), "marks do not change what a schema is");
    }

    #[test]
    fn two_schemas_of_one_name_are_refused() {
        let mut registry = SchemaRegistry::new();
        registry.add("a/X.avsc", "\"string\"").unwrap();
        registry.add("b/X.avsc", "\"string\"").unwrap();
        let error = registry.add("c/X.avsc", "\"long\"").unwrap_err().to_string();
        assert_eq!(error, "c/X.avsc: another schema of the name `X` is registered already");
    }
}
