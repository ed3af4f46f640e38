//! Where personal data must not go.

use super::analysis::Run;
use super::marks::{outside, unmarked};
use super::origins::Origins;
use super::traces::At;
use super::verbs::{Contents, asked, sent};
use super::{PersonalParts, named};
use crate::expression::{Path, Taint};
use crate::serdes::Format;
use crate::topology::plan::{Node, Sink, SinkTopic, Verb};
use crate::topology::spec::RecordPart;

/// Personal data where it must not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) struct Offence {
    /// The node that would take it there, by its sub-topology and position there.
    pub(in crate::topology) at: (usize, usize),
    /// Its name.
    pub(in crate::topology) node: String,
    /// Which of the file's sinks it is, if it is one.
    pub(in crate::topology) sink: Option<usize>,
    /// Where to.
    pub(in crate::topology) to: Written,
    /// What it is a part of: `value`, `timestamp`.
    pub(in crate::topology) of: &'static str,
    /// The way to it from there.
    pub(in crate::topology) path: Path,
    /// Where the data comes from, in words.
    pub(in crate::topology) origin: String,
    /// The nodes on the way, in order; the one that takes it there comes after them.
    pub(in crate::topology) way: Vec<String>,
}

impl Offence {
    /// The part of what is written: `value.note`.
    pub(in crate::topology) fn part(&self) -> String {
        named(self.of, &self.path)
    }
}

/// Where personal data would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) enum Written {
    /// To a topic that is not declared for it.
    Undeclared(String),
    /// To a topic that is declared for other parts only.
    OtherParts(String),
    /// To a topic that is, by a schema, in this file, that does not mark it.
    Unmarked(String),
    /// Into the name of a topic.
    TopicName,
    /// To the log of the process.
    Log,
    /// To an agent that does not take it.
    Agent(String),
}

/// A node, with where it stands.
#[derive(Clone, Copy)]
struct Place<'n> {
    at: At,
    node: &'n Node,
}

impl Run<'_> {
    pub(super) fn offences_of(
        &mut self,
        at: At,
        node: &Node,
        inputs: &[Contents],
        origins: &Origins<'_>,
        found: &mut Vec<Offence>,
    ) {
        let none = Contents::default();
        let (input, place) = (inputs.first().unwrap_or(&none), Place { at, node });
        match &node.verb {
            Verb::Peek { message } => {
                let shown = message.flow(&input.given(Vec::new()));
                self.refuse(place, &Written::Log, "message", &shown, found);
            }
            Verb::Sink(sink) if !sink.internal => self.offences_of_sink(place, sink, input, origins, found),
            verb => {
                let asked = asked(verb, inputs, &mut self.traces);
                if let Some((agent, given)) = asked.filter(|(agent, _)| !agent.takes_personal_data()) {
                    self.refuse(place, &Written::Agent(agent.name().to_owned()), "input", &given, found);
                }
            }
        }
    }

    fn offences_of_sink(
        &self,
        place: Place<'_>,
        sink: &Sink,
        input: &Contents,
        origins: &Origins<'_>,
        found: &mut Vec<Offence>,
    ) {
        if let SinkTopic::Chosen(chosen) = &sink.topic {
            let name = chosen.expression.flow(&input.given(Vec::new()));
            self.refuse(place, &Written::TopicName, "topic", &name, found);
        }
        let sent = sent(sink, input);
        let parts =
            [(RecordPart::Key, &sent.key), (RecordPart::Value, &sent.value), (RecordPart::Headers, &sent.headers)];
        let topics = || {
            let names: Vec<&str> = sink.topic.names().map(|topic| &**topic).collect();
            sink.topic.pattern().map_or_else(|| names.join(", "), ToString::to_string)
        };
        match &sink.personal_data {
            PersonalParts::None => {
                let to = Written::Undeclared(topics());
                parts.iter().for_each(|(of, taint)| self.refuse(place, &to, of.as_str(), taint, found));
                self.refuse(place, &to, "timestamp", &sent.timestamp, found);
                return;
            }
            PersonalParts::Some(declared) => {
                let to = Written::OtherParts(topics());
                for (of, taint) in parts {
                    let declared = declared.iter().filter(|(part, _)| *part == of).map(|(_, path)| path);
                    self.refuse(place, &to, of.as_str(), &outside(taint, declared), found);
                }
                // Times have no name by which they could be declared.
                self.refuse(place, &to, "timestamp", &sent.timestamp, found);
            }
            PersonalParts::All => {}
        }
        let Some((key, value)) = self.formats(sink) else { return };
        for (of, taint, format) in [("key", &sent.key, key), ("value", &sent.value, value)] {
            let Some(name) = format.schema() else { continue };
            let schema = origins.schema(format);
            let file = schema.map_or(name, |schema| &schema.file).to_owned();
            let unmarked = unmarked(taint, schema.map(|schema| &schema.root));
            self.refuse(place, &Written::Unmarked(file), of, &unmarked, found);
        }
    }

    /// How a sink writes keys and values.
    fn formats<'s>(&'s self, sink: &'s Sink) -> Option<(&'s Format, &'s Format)> {
        match &sink.topic {
            SinkTopic::One { topic: name, .. } => {
                let topic = self.topology.topics.iter().find(|topic| topic.name == **name)?;
                Some((&topic.key, topic.value.as_ref()?))
            }
            SinkTopic::Chosen(chosen) => Some((&chosen.key, &chosen.value)),
        }
    }

    /// Refuses every part of something that is personal data.
    fn refuse(&self, place: Place<'_>, to: &Written, of: &'static str, taint: &Taint, found: &mut Vec<Offence>) {
        let Place { at, node } = place;
        let sink = match &node.verb {
            Verb::Sink(sink) => sink.position,
            _ => None,
        };
        for (path, mark) in taint.paths() {
            let (origin, way) = self.traces.way(mark);
            let name = |at: &At| self.topology.subtopologies.get(at.0)?.nodes.get(at.1).map(|node| node.name.clone());
            found.push(Offence {
                at,
                node: node.name.clone(),
                sink,
                to: to.clone(),
                of,
                path,
                origin: origin.to_owned(),
                way: way.iter().filter_map(name).collect(),
            });
        }
    }
}
