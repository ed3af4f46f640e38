//! The schemas known to the engine: the `.avsc` files of directories, and schemas given as text.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use apache_avro::rabin::Rabin;
use serde_json::Value as Json;
use thiserror::Error;

use super::avro::{Schema, SharedSchema, Type, put_aside};
use super::catalogue::{self, SchemaDescription};
use super::error::{nearest, prefix, shortened, suggestion};
use super::extent;
use super::inline::{Definitions, PRIMITIVES};
use super::names::{self, wrong_name};
use super::remote::{RemoteRegistry, SchemaText};
use crate::record::Shape;

/// How large the text of a schema may be.
const MAX_BYTES: usize = 4 << 20;

/// Schemas by name and by id. Cloning shares the schemas.
///
/// A schema's name is its file's without `.avsc`. Files may refer to each other's types by full name.
#[derive(Clone, Debug, Default)]
pub struct SchemaRegistry {
    schemas: BTreeMap<String, Registered>,
    definitions: Arc<Definitions>,
    /// Who gives out the ids that payloads carry, if it is not this one.
    remote: Option<Arc<RemoteRegistry>>,
}

#[derive(Clone, Debug)]
struct Registered {
    schema: SharedSchema,
    /// The schema's own full name, with its namespace; "" where it has none.
    full_name: String,
    canonical: Arc<str>,
    /// The schema as it was written, if it is whole; else with all that it refers to.
    text: Arc<str>,
    /// The schema as the remote registry has it, where it came from there.
    fetched: Option<Arc<SchemaText>>,
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

    /// A registry without schemas of its own beside a remote one, which gives out the ids: what is added gets its id by
    /// [`SchemaRegistry::assign`].
    pub fn beside(remote: Arc<RemoteRegistry>) -> Self {
        SchemaRegistry { remote: Some(remote), ..SchemaRegistry::default() }
    }

    /// The remote registry, if there is one.
    pub fn remote(&self) -> Option<&Arc<RemoteRegistry>> {
        self.remote.as_ref()
    }

    /// One schema by itself, with those that it refers to, each with its name.
    pub(super) fn standalone(
        origin: &str,
        text: &str,
        references: &[(String, String)],
    ) -> Result<SharedSchema, SchemaError> {
        SchemaRegistry::alone(origin, text, references).map(|registered| registered.schema)
    }

    /// Adds a schema of a remote registry under a name, with those that it refers to.
    ///
    /// # Errors
    /// As [`SchemaRegistry::add`], or when it is a schema of another name.
    pub fn add_fetched(
        &mut self,
        name: &str,
        origin: &str,
        text: &SchemaText,
        references: &[(String, String)],
    ) -> Result<(), SchemaError> {
        let registered = SchemaRegistry::alone(origin, &text.schema, references)?;
        let full_name = &registered.full_name;
        if !full_name.is_empty() && full_name != name && full_name.rsplit('.').next() != Some(name) {
            let message = format!("it has the schema `{full_name}`, not `{name}`");
            return Err(SchemaError::whole(origin, message));
        }
        self.add(&format!("{name}.avsc"), &registered.text)
            .map_err(|error| SchemaError::whole(origin, error.message))?;
        if let Some(registered) = self.schemas.get_mut(name) {
            registered.fetched = Some(Arc::new(text.clone()));
        }
        Ok(())
    }

    /// A schema as a registry is to know it: as it has it already, where it came from there, else as it was written. In
    /// another form it would stand there a second time.
    pub fn announcement(&self, name: &str) -> Option<SchemaText> {
        let registered = self.find(name)?;
        Some(match &registered.fetched {
            Some(fetched) => fetched.as_ref().clone(),
            None => SchemaText::avro(&*registered.text),
        })
    }

    /// As [`SchemaRegistry::standalone`], with its whole text and its canonical form.
    pub(super) fn version(
        origin: &str,
        text: &str,
        references: &[(String, String)],
    ) -> Result<(SharedSchema, String, Arc<str>), SchemaError> {
        let Registered { schema, text, canonical, .. } = SchemaRegistry::alone(origin, text, references)?;
        Ok((schema, text.to_string(), canonical))
    }

    fn alone(origin: &str, text: &str, references: &[(String, String)]) -> Result<Registered, SchemaError> {
        let mut registry = SchemaRegistry::new();
        let mut definitions = Definitions::default();
        for (name, text) in references {
            definitions.collect(&read(name, text)?);
        }
        let json = read(origin, text)?;
        definitions.collect(&json);
        registry.definitions = Arc::new(definitions);
        let name = match json.get("name").and_then(Json::as_str) {
            Some(name) => format!("{} ({origin})", name.rsplit('.').next().unwrap_or(name)),
            None => origin.to_owned(),
        };
        registry.register_as(&name, &Source { file: origin, text, json })?;
        let registered = registry.schemas.pop_first().map(|(_, registered)| registered);
        registered.ok_or_else(|| SchemaError::whole(origin, "there is no schema in it".to_owned()))
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
            match read(file, text) {
                Ok(json) => sources.push(Source { file, text, json }),
                Err(error) => errors.push(error),
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
        self.register_as(stem(source.file), source)
    }

    fn register_as(&mut self, name: &str, source: &Source<'_>) -> Result<(), SchemaError> {
        let too_much = |message| SchemaError::whole(source.file, message);
        extent::too_much(&source.json).map_err(too_much)?;
        let json = self.definitions.inline(&source.json).map_err(|unknown| {
            let short = |full: &'_ str| full.rsplit('.').next().unwrap_or_default().to_owned();
            let known: Vec<String> =
                PRIMITIVES.iter().map(|name| (*name).to_owned()).chain(self.definitions.names().map(short)).collect();
            let hint = suggestion(&nearest(&unknown, known.iter().map(String::as_str)));
            source.error_at(&unknown, format!("there is no type `{}`{hint}", shortened(&unknown)))
        })?;
        if let Some(wrong) = wrong_name(&json) {
            let rule = match wrong.len() {
                ..=names::MAX_LENGTH => "a name is letters, digits and `_`, and does not begin with a digit".to_owned(),
                length => format!("it has {length} bytes, and a name may have {}", names::MAX_LENGTH),
            };
            return Err(source.error_at(wrong, format!("`{}` is no name; {rule}", shortened(wrong))));
        }
        // With what it refers to.
        extent::too_much(&json).map_err(too_much)?;
        let (parsed, canonical) = parse(&json).map_err(|message| source.error(message))?;
        let kind = Type::new(&parsed).map_err(|(path, message)| {
            source.error_at(path.rsplit('.').next().unwrap_or_default(), prefix(&path) + &message)
        })?;
        let id = id(&parsed);
        let full_name = parsed.name().map(|name| name.fullname(None)).unwrap_or_default();
        if let Some(message) = self.clash(name, id, &canonical, &full_name, &kind) {
            return Err(source.error(message));
        }
        let description =
            catalogue::describe(name, source.file, &json).map_err(|(path, message)| match path.as_str() {
                "" => source.error(message),
                path => source.error_at(path.rsplit('.').next().unwrap_or_default(), prefix(path) + &message),
            })?;
        let wire = match &self.remote {
            Some(_) => OnceLock::new(),
            None => OnceLock::from(id),
        };
        let schema = Arc::new(Schema { name: name.to_owned(), id, wire, kind });
        let is_whole = parse(&source.json).is_ok_and(|(_, alone)| alone == canonical);
        let text = if is_whole { source.text.into() } else { json.to_string().into() };
        let description = Arc::new(description);
        let registered = Registered { schema, full_name, canonical, text, fetched: None, description };
        self.schemas.insert(name.to_owned(), registered);
        Ok(())
    }

    /// Why a schema cannot stand beside those that are there.
    fn clash(&self, name: &str, id: u32, canonical: &str, full_name: &str, kind: &Type) -> Option<String> {
        if self.schemas.get(name).is_some_and(|existing| *existing.canonical != *canonical) {
            return Some(format!("another schema of the name `{name}` is registered already"));
        }
        let of_id = |other: &&Registered| other.schema.id == id;
        if let Some(other) = self.schemas.values().filter(of_id).find(|other| *other.canonical != *canonical) {
            let name = &other.schema.name;
            return Some(format!("has the same id, {id}, as the schema {name}; change either a little"));
        }
        // By a registry's ids they are told apart; and who has no name is one type among many of its kind.
        let reads_else = |other: &&Registered| other.full_name == full_name && !other.schema.kind.is_read_as(kind);
        let told_apart = self.remote.is_some() || full_name.is_empty();
        let other = self.schemas.values().filter(of_id).find(reads_else).filter(|_| !told_apart)?;
        Some(format!(
            "has the same id, {id}, as the schema {}, from which it differs in logical types only: records cannot say which \
             they were written with. Rename the type in either, or leave one out",
            other.schema.name
        ))
    }

    /// Says which id payloads of a schema carry. The first one stays.
    pub fn assign(&self, name: &str, id: u32) {
        if let Some(schema) = self.schema(name) {
            schema.wire.get_or_init(|| id);
        }
    }

    /// The id that payloads of a schema carry, once that is known.
    pub fn wire_id(&self, name: &str) -> Option<u32> {
        self.schema(name)?.wire.get().copied()
    }

    /// A schema's text, whole, and its full name.
    pub fn text(&self, name: &str) -> Option<(&str, &str)> {
        self.find(name).map(|registered| (&*registered.text, &*registered.full_name))
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
        self.find(name).map(|registered| &registered.description)
    }

    pub(super) fn schema(&self, name: &str) -> Option<&SharedSchema> {
        self.find(name).map(|registered| &registered.schema)
    }

    fn find(&self, name: &str) -> Option<&Registered> {
        let by_full_name = || self.schemas.values().find(|registered| registered.full_name == name);
        self.schemas.get(name).or_else(by_full_name)
    }

    pub(super) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        self.schemas.values().map(|registered| registered.schema.as_ref())
    }
}

/// The JSON of a file.
fn read(file: &str, text: &str) -> Result<Json, SchemaError> {
    if text.len() > MAX_BYTES {
        let message = format!("the schema has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(SchemaError::whole(file, message));
    }
    serde_json::from_str(text).map_err(|error| SchemaError {
        file: file.to_owned(),
        line: Some(error.line()),
        column: Some(error.column()),
        message: format!("not JSON: {}", without_position(&error.to_string())),
    })
}

impl SchemaError {
    /// An error of the whole file.
    fn whole(file: &str, message: String) -> SchemaError {
        SchemaError { file: file.to_owned(), line: None, column: None, message }
    }
}

/// A schema and its canonical form.
///
/// The library panics on some schemas that are wrong. In a thread of its own that is one more error.
fn parse(json: &Json) -> Result<(apache_avro::Schema, Arc<str>), String> {
    let mut json = json.clone();
    put_aside(&mut json);
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("schema-parser".to_owned()).spawn_scoped(scope, || {
            let parsed = apache_avro::Schema::parse(&json).map_err(|error| error.to_string())?;
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
