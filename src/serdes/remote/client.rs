//! What a registry can be asked; the names and codes are those of Confluent's Schema Registry API.

use serde_json::{Value as Json, json};

use super::transport::{Question, Refusal, Transport};
use super::{RegistryError, RegistrySettings, Subject, WriterId};
use crate::serdes::error::shortened;

/// The codes by which a registry says that it does not have a subject, a version or a schema; the last two: not any more,
/// as subject or version were deleted, and could be brought back.
const MISSING: [i64; 5] = [40401, 40402, 40403, 40404, 40406];

/// The code by which a registry says that what it was sent is no schema, or none that it takes.
const INVALID: i64 = 42201;

/// The statuses by which a server says that it does not know a path, or not with such an id in it. Jersey, on which
/// Confluent's registry stands, says so of an id that is no number of its own, and of paths that are younger than it is.
const UNKNOWN_PATH: [u16; 5] = [400, 404, 405, 422, 501];

/// The most schemas that one may be made of.
const MAX_REFERENCES: usize = 100;
/// The most bytes that these may have together: a schema has at most 4 MiB.
const MAX_REFERENCED: usize = 4 << 20;

/// Talks to a registry and waits for its answers.
pub struct RegistryClient {
    transport: Transport,
}

/// A schema as a registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaText {
    /// The schema.
    pub schema: String,
    /// Its language: `AVRO`, `PROTOBUF` or `JSON`.
    pub language: String,
    /// The other schemas that it names.
    pub references: Vec<Reference>,
}

/// A schema that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name by which it is named.
    pub name: String,
    /// The subject that it stands under.
    pub subject: String,
    /// Which of its versions.
    pub version: i64,
}

/// One version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// The id that records carry.
    pub id: u32,
    /// Which version of its subject it is.
    pub version: i64,
    /// The schema.
    pub text: SchemaText,
}

impl RegistryClient {
    /// For the registry of these settings.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: &RegistrySettings) -> Result<RegistryClient, RegistryError> {
        Ok(RegistryClient { transport: Transport::new(settings)? })
    }

    /// The schema of an id.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] if there is none, else when the registry does not answer as it should.
    pub fn by_id(&self, id: u32) -> Result<SchemaText, RegistryError> {
        self.get(&["schemas", "ids", &id.to_string()], &format!("schema of id {id}"))
    }

    /// The schema of a globally unique id (Confluent's registry from version 8 on), written with dashes.
    ///
    /// # Errors
    /// As [`RegistryClient::by_id`].
    pub fn by_guid(&self, guid: &str) -> Result<SchemaText, RegistryError> {
        self.get(&["schemas", "guids", guid], &format!("schema of id {guid}"))
    }

    /// The schema that a record names, without another attempt if the registry does not answer; the URL of the number
    /// `first` is asked first. That something is missing is the word of that URL alone: where it gives none,
    /// another may not have heard yet of what it has. Where a registry refuses the question itself, there is no such schema:
    /// to go on asking would be waiting for ever.
    pub(super) fn writer(&self, id: WriterId, first: usize) -> Result<SchemaText, RegistryError> {
        let (text, what) = (id.to_string(), format!("schema of id {id}"));
        let kind = match id {
            WriterId::Number(_) => "ids",
            WriterId::Guid(_) => "guids",
        };
        match self.once_from(Some(first), &["schemas", kind, &text], &[], &what) {
            Ok(answer) => text_of(&answer, &what),
            Err(RegistryError::Answered { status, message, .. })
                if UNKNOWN_PATH.contains(&status) && self.is_registry(first) =>
            {
                Err(RegistryError::Missing { what, message })
            }
            Err(RegistryError::Malformed { detail, .. }) if kind == "guids" && self.is_registry(first) => {
                Err(RegistryError::Missing { what, message: format!("it does not know such ids ({detail})") })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the URL that was asked is a registry's: a proxy or a wrong path answers questions about ids too.
    fn is_registry(&self, first: usize) -> bool {
        let types = self.once_from(Some(first), &["schemas", "types"], &[], "languages of schemas");
        types.is_ok_and(|types| types.as_array().is_some_and(|types| types.iter().any(|language| language == "AVRO")))
    }

    /// The number of the URL that answered last.
    pub(super) fn preferred(&self) -> usize {
        self.transport.preferred()
    }

    /// How many URLs there are.
    pub(super) fn urls(&self) -> usize {
        self.transport.urls()
    }

    /// Asks each URL once. What is no success counts only if it comes from the one that was to be asked first.
    fn once_from(
        &self,
        first: Option<usize>,
        path: &[&str],
        query: &[(&str, &str)],
        what: &str,
    ) -> Result<Json, RegistryError> {
        let question = Question { path, query, body: None, first };
        self.transport.ask_once(question)?.map_err(|refusal| {
            if refusal.unheard.is_empty() {
                return refused(refusal, what, None);
            }
            let Refusal { url, status, message, mut unheard, .. } = refusal;
            unheard.push(format!("{url} has no {what} (status {status}, {message})"));
            RegistryError::Away(unheard.join("; "))
        })
    }

    fn get(&self, path: &[&str], what: &str) -> Result<SchemaText, RegistryError> {
        text_of(&self.ask(path, &[], None, what)?, what)
    }

    /// The names of the subjects, sorted.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn subjects(&self) -> Result<Vec<Subject>, RegistryError> {
        let answer = self.ask(&["subjects"], &[], None, "subjects")?;
        let names = answer.as_array().ok_or_else(|| odd("subjects", "expected a list of names"))?;
        let mut subjects: Vec<Subject> = names.iter().filter_map(Json::as_str).map(Subject::named).collect();
        subjects.sort();
        Ok(subjects)
    }

    /// The numbers of a subject's versions, the oldest first; empty where there is no such subject.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn versions(&self, subject: &Subject) -> Result<Vec<i64>, RegistryError> {
        let what = format!("subject `{subject}`");
        match self.ask(&["subjects", subject.as_str(), "versions"], &[], None, &what) {
            Err(RegistryError::Missing { .. }) => Ok(Vec::new()),
            answer => {
                let answer = answer?;
                let versions = answer.as_array().ok_or_else(|| odd(&what, "expected a list of versions"))?;
                Ok(versions.iter().filter_map(Json::as_i64).collect())
            }
        }
    }

    /// A version of a subject; `None`: the latest.
    ///
    /// # Errors
    /// As [`RegistryClient::by_id`].
    pub fn version(&self, subject: &Subject, version: Option<i64>) -> Result<RegisteredSchema, RegistryError> {
        let number = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let what = match version {
            Some(_) => format!("version {number} of subject `{subject}`"),
            None => format!("latest version of subject `{subject}`"),
        };
        registered(&self.ask(&["subjects", subject.as_str(), "versions", &number], &[], None, &what)?, &what)
    }

    /// The latest version of a subject; `None` where there is no such subject.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn latest(&self, subject: &Subject) -> Result<Option<RegisteredSchema>, RegistryError> {
        match self.version(subject, None) {
            Err(RegistryError::Missing { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The id under which a schema stands under a subject; `None`: it does not.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn lookup(&self, subject: &Subject, text: &SchemaText) -> Result<Option<u32>, RegistryError> {
        let what = format!("such schema under `{subject}`");
        // What differs in its form alone is the same schema; registries that do not know the parameter pass over it.
        let normalize = [("normalize", "true")];
        match self.ask(&["subjects", subject.as_str()], &normalize, Some(&body(text)), &what) {
            Err(RegistryError::Missing { .. }) => Ok(None),
            answer => id_of(&answer?, &what).map(Some),
        }
    }

    /// Registers a schema under a subject, or finds it there. Returns its id.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] if it does not fit those before it, [`RegistryError::Invalid`] if it is none that the
    /// registry takes, else when the registry does not answer as it should.
    pub fn register(&self, subject: &Subject, text: &SchemaText) -> Result<u32, RegistryError> {
        let what = format!("place for a schema under `{subject}`");
        id_of(&self.ask(&["subjects", subject.as_str(), "versions"], &[], Some(&body(text)), &what)?, &what)
    }

    /// Whether a schema may become the next version of a subject, by the subject's own level of compatibility. Else what
    /// the registry says against it.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn is_compatible(&self, subject: &Subject, text: &SchemaText) -> Result<Result<(), String>, RegistryError> {
        // Asked about all versions, some registries compare with all of them, whatever the level.
        if !self.compatibility(subject)?.ends_with("_TRANSITIVE") {
            return self.compare(subject, "latest", text);
        }
        match self.compare(subject, "", text) {
            // Older registries compare with one version at a time.
            Err(RegistryError::Answered { status: 404 | 405, .. } | RegistryError::Malformed { .. }) => {}
            compared => return compared,
        }
        for version in self.versions(subject)?.into_iter().rev() {
            if let Err(said) = self.compare(subject, &version.to_string(), text)? {
                return Ok(Err(said));
            }
        }
        Ok(Ok(()))
    }

    /// Compares with a version of a subject, or with all that its level asks for ("").
    fn compare(
        &self,
        subject: &Subject,
        version: &str,
        text: &SchemaText,
    ) -> Result<Result<(), String>, RegistryError> {
        let what = format!("subject `{subject}`");
        let path = ["compatibility", "subjects", subject.as_str(), "versions", version];
        let path = if version.is_empty() { &path[..4] } else { &path[..] };
        let answer = match self.ask(path, &[("verbose", "true")], Some(&body(text)), &what) {
            // Nothing stands there yet that it could break.
            Err(RegistryError::Missing { .. }) => return Ok(Ok(())),
            Err(RegistryError::Invalid { message, .. }) => return Ok(Err(message)),
            answer => answer?,
        };
        match answer["is_compatible"].as_bool() {
            Some(true) => Ok(Ok(())),
            Some(false) => {
                let messages = answer["messages"].as_array().into_iter().flatten().filter_map(Json::as_str);
                Ok(Err(self.transport.cleaned(&messages.collect::<Vec<_>>().join("; "))))
            }
            None => Err(odd(&what, "expected `is_compatible`")),
        }
    }

    /// The level of compatibility that holds for a subject, such as `BACKWARD`.
    ///
    /// # Errors
    /// When the registry does not answer as it should.
    pub fn compatibility(&self, subject: &Subject) -> Result<String, RegistryError> {
        let what = "level of compatibility".to_owned();
        let path = ["config", subject.as_str()];
        let answer = match self.ask(&path, &[("defaultToGlobal", "true")], None, &what) {
            // Code 40408 says that the subject has none of its own; some registries know no `defaultToGlobal`.
            Err(RegistryError::Missing { .. }) => self.ask(&["config"], &[], None, &what)?,
            Err(RegistryError::Answered { status: 404, .. }) => self.ask(&["config"], &[], None, &what)?,
            answer => answer?,
        };
        let level = answer["compatibilityLevel"].as_str().ok_or_else(|| odd(&what, "expected `compatibilityLevel`"))?;
        Ok(level.to_owned())
    }

    /// The schemas that a schema names, and those that these name, each with the name that it is named by; in an order in
    /// which each comes before who names it.
    ///
    /// # Errors
    /// When one is missing, there are too many, or the registry does not answer as it should.
    pub fn references(&self, text: &SchemaText) -> Result<Vec<(String, String)>, RegistryError> {
        let ask = |path: &[&str], query: &[(&str, &str)], what: &str| self.ask(path, query, None, what);
        let mut following = Following::default();
        following.follow(text, &ask)?;
        Ok(following.found)
    }

    /// As [`RegistryClient::references`], asked as [`RegistryClient::writer`] asks.
    pub(super) fn references_once(
        &self,
        text: &SchemaText,
        first: Option<usize>,
    ) -> Result<Vec<(String, String)>, RegistryError> {
        let mut following = Following::default();
        following.follow(text, &|path, query, what| self.once_from(first, path, query, what))?;
        Ok(following.found)
    }

    fn ask(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Json>,
        what: &str,
    ) -> Result<Json, RegistryError> {
        let question = Question { path, query, body, first: None };
        self.transport.ask(question)?.map_err(|refusal| refused(refusal, what, body))
    }
}

impl SchemaText {
    /// An Avro schema that names no other one.
    pub fn avro(schema: impl Into<String>) -> SchemaText {
        SchemaText { schema: schema.into(), language: "AVRO".to_owned(), references: Vec::new() }
    }
}

/// Asks for what stands at a path, with a query; the last says what that is, for messages.
type Ask<'a> = dyn Fn(&[&str], &[(&str, &str)], &str) -> Result<Json, RegistryError> + 'a;

/// The schemas that one names, and those that these name.
#[derive(Default)]
struct Following {
    /// The names of those that are being followed.
    around: Vec<String>,
    found: Vec<(String, String)>,
    /// How many bytes all of them have.
    bytes: usize,
}

impl Following {
    /// Adds the schemas that a schema names. Those that were deleted since are still what it was registered with.
    fn follow(&mut self, text: &SchemaText, ask: &Ask<'_>) -> Result<(), RegistryError> {
        for Reference { name, subject, version } in &text.references {
            if self.found.iter().any(|(known, _)| known == name) {
                continue;
            }
            let unusable =
                |message| RegistryError::Unusable { what: format!("the schema `{}`", shortened(name)), message };
            if self.around.contains(name) {
                return Err(unusable("it refers to itself, by way of others".to_owned()));
            }
            if self.found.len() + self.around.len() >= MAX_REFERENCES {
                return Err(unusable(format!("with it there would be more than {MAX_REFERENCES} that one refers to")));
            }
            let what = format!("version {version} of subject `{}`", shortened(subject));
            let number = version.to_string();
            let path = ["subjects", subject.as_str(), "versions", &number];
            let referred = registered(&ask(&path, &[("deleted", "true")], &what)?, &what)?;
            self.bytes += referred.text.schema.len();
            if self.bytes > MAX_REFERENCED {
                let message = format!("with it there are more than {MAX_REFERENCED} bytes that one refers to");
                return Err(unusable(message));
            }
            self.around.push(name.clone());
            self.follow(&referred.text, ask)?;
            self.around.pop();
            self.found.push((name.clone(), referred.text.schema));
        }
        Ok(())
    }
}

/// What a refusal says; `sent` is what was sent along with the question.
fn refused(refusal: Refusal, what: &str, sent: Option<&Json>) -> RegistryError {
    let Refusal { url, status, code, message, .. } = refusal;
    let subject = || what.split('`').nth(1).unwrap_or(what).to_owned();
    match (status, code, sent) {
        (404, code, _) if MISSING.contains(&code) => RegistryError::Missing { what: what.to_owned(), message },
        (409, ..) => RegistryError::Incompatible { subject: subject(), message },
        (422, INVALID, Some(sent)) => RegistryError::Invalid { schema: name_of(sent), subject: subject(), message },
        _ => RegistryError::Answered { url, status, code, message },
    }
}

/// The name of a schema that was sent.
fn name_of(sent: &Json) -> String {
    let schema = sent["schema"].as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
    let name = schema.as_ref().and_then(|schema| schema["name"].as_str());
    name.unwrap_or("without a name").to_owned()
}

fn odd(what: &str, detail: &str) -> RegistryError {
    RegistryError::Malformed { url: "the schema registry".to_owned(), detail: format!("asked for {what}: {detail}") }
}

fn body(text: &SchemaText) -> Json {
    let reference = |reference: &Reference| json!({ "name": reference.name, "subject": reference.subject, "version": reference.version });
    let mut body = json!({ "schema": text.schema });
    // Registries older than the other languages do not know the field.
    if text.language != "AVRO" {
        body["schemaType"] = text.language.as_str().into();
    }
    if !text.references.is_empty() {
        body["references"] = text.references.iter().map(reference).collect();
    }
    body
}

fn id_of(answer: &Json, what: &str) -> Result<u32, RegistryError> {
    let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| odd(what, "expected an `id` of 32 bits"))
}

fn text_of(answer: &Json, what: &str) -> Result<SchemaText, RegistryError> {
    let schema = answer["schema"].as_str().ok_or_else(|| odd(what, "expected a `schema`"))?.to_owned();
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let reference = |json: &Json| {
        let (name, subject) = (text(&json["name"])?, text(&json["subject"])?);
        Some(Reference { name, subject, version: json["version"].as_i64()? })
    };
    let references = answer["references"].as_array().into_iter().flatten();
    let references = references.map(|json| reference(json).ok_or_else(|| odd(what, "a reference is incomplete")));
    let references = references.collect::<Result<_, _>>()?;
    // Registries leave it out for Avro.
    let language = text(&answer["schemaType"]).unwrap_or_else(|| "AVRO".to_owned());
    Ok(SchemaText { schema, language, references })
}

fn registered(answer: &Json, what: &str) -> Result<RegisteredSchema, RegistryError> {
    let version = answer["version"].as_i64().ok_or_else(|| odd(what, "expected a `version`"))?;
    Ok(RegisteredSchema { id: id_of(answer, what)?, version, text: text_of(answer, what)? })
}
