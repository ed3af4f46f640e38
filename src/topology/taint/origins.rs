//! What is personal data where records come in.

use std::collections::BTreeMap;

use super::marks::{Marked, at, is_in, marked};
use super::traces::Traces;
use super::verbs::Contents;
use super::{PersonalOrigin, PersonalParts, named};
use crate::expression::{Mark, Path, Taint};
use crate::serdes::catalogue::SchemaDescription;
use crate::serdes::{Format, SchemaRegistry};
use crate::topology::plan::{Sink, Source, Topology, Verb};
use crate::topology::spec::{PersonalDataSpec, RecordPart, TopologySpec};

/// Who says what is personal data.
#[derive(Debug)]
pub(in crate::topology) struct Origins<'a> {
    registry: &'a SchemaRegistry,
    /// What the sources of the file say, by name.
    sources: BTreeMap<&'a str, &'a PersonalDataSpec>,
}

/// What of the records of a source is personal data.
#[derive(Clone, Debug, Default)]
pub(super) struct Incoming {
    /// All that counts.
    pub(super) all: Contents,
    /// What somebody has said part by part: without what counts only because nobody has.
    pub(super) stated: Contents,
}

/// Notes where personal data comes from.
struct Notes<'n> {
    source: &'n Source,
    traces: &'n mut Traces,
    origins: &'n mut Vec<PersonalOrigin>,
    unknown: &'n mut Vec<PersonalOrigin>,
}

/// What is found out about sources.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) traces: Traces,
    pub(super) origins: Vec<PersonalOrigin>,
    /// What nothing reads, and no schema describes.
    pub(super) unknown: Vec<PersonalOrigin>,
}

impl Notes<'_> {
    fn mark(&mut self, of: RecordPart, path: &Path, said_by: String) -> Mark {
        let (mark, origin) = self.origin(of, path, said_by);
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
        mark
    }

    fn origin(&mut self, of: RecordPart, path: &Path, said_by: String) -> (Mark, PersonalOrigin) {
        let (part, topic) = (named(of.as_str(), path), self.source.topic.to_string());
        let mark = self.traces.origin(format!("`{part}` of the topic {topic} ({said_by})"));
        let is_read = of != RecordPart::Value || !at(path, mark).restricted(&self.source.fields).is_clean();
        (mark, PersonalOrigin { topic, part, said_by, is_read })
    }

    /// The mark of what a source declares.
    fn declared(&mut self, of: RecordPart, path: &Path, value: &Format) -> Mark {
        let said_by = format!("the source `{}` says so", self.source.name);
        let (_, origin) = self.origin(of, path, said_by.clone());
        if !origin.is_read && value.schema().is_none() {
            self.unknown.push(origin);
        }
        self.mark(of, path, said_by)
    }

    fn whole(&mut self, of: RecordPart, said_by: &str) -> Taint {
        Taint::whole(self.mark(of, &Path::default(), said_by.to_owned()))
    }

    /// What the schema of a key or value marks. Of one that is not described nothing is known.
    fn by_schema(&mut self, origins: &Origins<'_>, of: RecordPart, format: &Format) -> Taint {
        let Some(name) = format.schema() else { return Taint::clean() };
        let Some(schema) = origins.schema(format) else {
            return self.whole(of, &format!("the schema {name} is not known"));
        };
        marked(&schema.root).into_iter().fold(Taint::clean(), |all, Marked { path, told }| {
            let mark = self.mark(of, &path, format!("{} marks it `pii`", schema.file));
            // Where the schema says no more, it is believed again where it is written.
            let mark = if told { mark } else { mark.unknown_within() };
            all.joined(&at(&path, mark))
        })
    }
}

impl<'a> Origins<'a> {
    /// The schemas, and the sources of a file.
    pub(in crate::topology) fn new(registry: &'a SchemaRegistry, spec: &'a TopologySpec) -> Self {
        let sources = spec.sources.iter().flat_map(|sources| sources.iter());
        let sources = sources.filter_map(|(name, source)| Some((name.text.as_str(), source.personal_data.as_ref()?)));
        Origins { registry, sources: sources.collect() }
    }

    /// What is known of the schema of a format.
    pub(super) fn schema(&self, format: &Format) -> Option<&SchemaDescription> {
        self.registry.description(format.schema()?).map(AsRef::as_ref)
    }

    /// What of the records of a source is personal data.
    pub(super) fn of_source(
        &self,
        source: &Source,
        (key, value): (&Format, &Format),
        written: &Written,
        known: &mut Known,
    ) -> Incoming {
        let (name, topic) = (source.name.as_str(), &*source.topic);
        let Known { traces, origins, unknown } = known;
        let mut notes = Notes { source, traces, origins, unknown };
        let by_schema = Contents {
            key: notes.by_schema(self, RecordPart::Key, key),
            value: notes.by_schema(self, RecordPart::Value, value),
            ..Contents::default()
        };
        let mut all = by_schema.clone();
        let declared = self.sources.get(name).copied();
        if let Some(PersonalDataSpec::Parts(parts)) = declared {
            for part in parts {
                let mark = notes.declared(part.of, &part.path, value);
                all.part(part.of).join(&at(&part.path, mark));
            }
        }
        for (of, path) in written.parts(topic) {
            // What is said twice is told of once. Of a part that is marked because something in it is, a sink may say more.
            let is_said = |(part, mark): &(Path, Mark)| part == path || is_in(path, part) && !mark.is_made_by_code();
            if all.part(*of).paths().iter().any(is_said) {
                continue;
            }
            let mark = notes.mark(*of, path, "the sink that writes it says so".to_owned());
            all.part(*of).join(&at(path, mark));
        }
        let stated = all.clone();
        // Parts that sinks name are no less than all of it: only a schema says that the rest holds none.
        if matches!(declared, Some(PersonalDataSpec::Anywhere(true))) && by_schema.value.is_clean() {
            let said_by = format!("the source `{name}` says `personal_data`");
            all.value = notes.whole(RecordPart::Value, &said_by);
            all.headers.join(&notes.whole(RecordPart::Headers, &said_by));
            if key.schema().is_none() {
                all.key.join(&notes.whole(RecordPart::Key, &said_by));
            }
        } else if declared.is_none() && written.all(topic) && value.schema().is_none() {
            all.value = notes.whole(RecordPart::Value, "the sink that writes it says `personal_data`");
        }
        Incoming { all, stated }
    }
}

/// What sinks declare the topics for that they write by name.
#[derive(Debug, Default)]
pub(super) struct Written(BTreeMap<String, Vec<PersonalParts>>);

impl Written {
    /// What the sinks of a plan say.
    pub(super) fn new(topology: &Topology) -> Self {
        let mut written = Written::default();
        for node in topology.subtopologies.iter().flat_map(|part| &part.nodes) {
            if let Verb::Sink(sink @ Sink { internal: false, .. }) = &node.verb {
                for topic in sink.topic.names() {
                    written.0.entry(topic.to_string()).or_default().push(sink.personal_data.clone());
                }
            }
        }
        written
    }

    fn of(&self, topic: &str) -> impl Iterator<Item = &PersonalParts> {
        self.0.get(topic).into_iter().flatten()
    }

    /// Whether one says that a topic is for personal data, without saying which.
    fn all(&self, topic: &str) -> bool {
        self.of(topic).any(|parts| *parts == PersonalParts::All)
    }

    /// The parts that they name.
    fn parts(&self, topic: &str) -> impl Iterator<Item = &(RecordPart, Path)> {
        self.of(topic).flat_map(|parts| match parts {
            PersonalParts::Some(parts) => parts.as_slice(),
            PersonalParts::None | PersonalParts::All => &[],
        })
    }
}
