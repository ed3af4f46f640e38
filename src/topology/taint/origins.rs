//! What is personal data where records come in.

use std::collections::{BTreeMap, BTreeSet};

use super::traces::Traces;
use super::{PersonalOrigin, named};
use crate::expression::{Mark, Part, Path, Taint};
use crate::serdes::catalogue::{Parts, TypeDescription};
use crate::serdes::{Format, SchemaRegistry};
use crate::topology::plan::{Sink, Topology, Verb};
use crate::topology::spec::{PersonalDataSpec, TopologySpec};

use super::verbs::Contents;

/// Who says what is personal data.
#[derive(Debug)]
pub(in crate::topology) struct Origins<'a> {
    registry: &'a SchemaRegistry,
    /// What the sources of the file say, by name.
    sources: BTreeMap<&'a str, &'a PersonalDataSpec>,
}

impl<'a> Origins<'a> {
    /// The schemas, and the sources of a file.
    pub(in crate::topology) fn new(registry: &'a SchemaRegistry, spec: &'a TopologySpec) -> Self {
        let sources = spec.sources.iter().flat_map(|sources| sources.iter());
        let sources = sources.filter_map(|(name, source)| Some((name.text.as_str(), source.personal_data.as_ref()?)));
        Origins { registry, sources: sources.collect() }
    }

    /// The parts of keys or values of a format that its schema marks, and the schema's file.
    pub(super) fn marked(&self, format: &Format) -> (Vec<Path>, &str) {
        let Format::Avro(name) = format else { return (Vec::new(), "") };
        let Some(schema) = self.registry.description(name) else { return (Vec::new(), "") };
        let mut found = Vec::new();
        collect(&schema.root, &mut Path::default(), &mut found);
        (found, &schema.file)
    }

    /// What of the records of a source is personal data.
    pub(super) fn of_source(
        &self,
        name: &str,
        topic: &str,
        (key, value): (&Format, &Format),
        written: &BTreeSet<String>,
        into: &mut (Traces, Vec<PersonalOrigin>),
    ) -> Contents {
        let mut note = |part: String, said_by: String| {
            let mark = into.0.origin(format!("`{part}` of the topic {topic} ({said_by})"));
            into.1.push(PersonalOrigin { topic: topic.to_owned(), part, said_by });
            mark
        };
        let mut by_schema = |of: &str, format: &Format| {
            let (paths, file) = self.marked(format);
            let mark = |path: Path| (note(named(of, &path), format!("{file} marks it `pii`")), path);
            paths.into_iter().map(mark).fold(Taint::clean(), |all, (mark, path)| all.joined(&at(&path, mark)))
        };
        let (key, mut values) = (by_schema("key", key), by_schema("value", value));
        match self.sources.get(name) {
            Some(PersonalDataSpec::Fields(fields)) => {
                for field in fields {
                    let said_by = format!("the source `{name}` says so");
                    let mark = note(format!("value.{}", field.name.text), said_by);
                    values.join(&at(&field.path, mark));
                }
            }
            Some(PersonalDataSpec::Anywhere(true)) if values.is_clean() && key.is_clean() => {
                values = Taint::whole(note("value".to_owned(), format!("the source `{name}` says `personal_data`")));
            }
            _ if written.contains(topic) && values.is_clean() && key.is_clean() => {
                let said_by = "the sink that writes it says `personal_data`".to_owned();
                values = Taint::whole(note("value".to_owned(), said_by));
            }
            _ => {}
        }
        Contents { key, value: values, ..Contents::default() }
    }
}

/// A value of which only the part at the path is personal data.
pub(super) fn at(path: &Path, mark: Mark) -> Taint {
    path.0.iter().rev().fold(Taint::whole(mark), |inner, part| Taint::clean().with(part.clone(), inner))
}

/// The topics by name that sinks declare for personal data.
pub(super) fn written(topology: &Topology) -> BTreeSet<String> {
    let nodes = topology.subtopologies.iter().flat_map(|part| &part.nodes);
    let declared = nodes.filter_map(|node| match &node.verb {
        Verb::Sink(sink @ Sink { personal_data: true, .. }) => Some(sink),
        _ => None,
    });
    declared.flat_map(|sink| sink.topic.names()).map(ToString::to_string).collect()
}

fn collect(kind: &TypeDescription, path: &mut Path, found: &mut Vec<Path>) {
    if kind.personal_data {
        found.push(path.clone());
        return;
    }
    match &kind.parts {
        Parts::None => {}
        Parts::Elements(element) => {
            path.0.push(Part::Element);
            collect(element, path, found);
            path.0.pop();
        }
        Parts::Fields(fields) => {
            for field in fields {
                path.0.push(Part::Field(field.name.clone()));
                collect(&field.kind, path, found);
                path.0.pop();
            }
        }
        Parts::OneOf(types) => types.iter().for_each(|kind| collect(kind, path, found)),
    }
}
