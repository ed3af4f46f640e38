//! Personal data: which sources may hold it, which topics are for it, and the report of where it must not go.

use std::sync::Arc;

use super::Planner;
use super::shapes::node_at;
use crate::expression::{Part, Path};
use crate::record::Shape;
use crate::serdes::{Format, SchemaRegistry, Serde};
use crate::topology::plan::{Sink, Topology, Verb};
use crate::topology::spec::{Name, PersonalDataSpec, PersonalField, SinkSpec, SourceSpec, TopologySpec};
use crate::topology::taint::{Offence, Origins, Written, analyse};
use crate::yaml::{Content, Diagnostic, Node, Problems, Span, list, suggest};

impl Planner<'_> {
    /// Whether records of a source may hold personal data: it says so, a schema does, or a sink that writes its topic.
    pub(super) fn may_hold_personal_data(&mut self, source: &SourceSpec, (key, value): (&Serde, &Serde)) -> bool {
        if let Some(PersonalDataSpec::Fields(fields)) = &source.personal_data {
            fields.iter().for_each(|field| self.check_field(field, value.shape()));
        }
        let declared = source.personal_data.as_ref().is_some_and(PersonalDataSpec::any);
        let registry = self.options.registry;
        let marked = |format: &Format| match format {
            Format::Avro(name) => registry.description(name).is_some_and(|schema| schema.holds_personal_data()),
            _ => false,
        };
        let sinks = self.spec.sinks.iter().flatten().filter(|sink| sink.personal_data == Some(true));
        let written = |topic: &Name| sinks.clone().any(|sink| names(sink.topic.names(), topic));
        if source.personal_data.as_ref().is_some_and(|declared| !declared.any())
            && [&key.format, &value.format].into_iter().any(marked)
        {
            let place = source.topic.span();
            let message = "`personal_data` is false, and the schema marks fields as personal data";
            let help = "leave `personal_data` out, or unmark the fields: remove `pii` from the schema";
            self.problems.report(Diagnostic::new(place, message).help(help));
        }
        declared || marked(&key.format) || marked(&value.format) || source.topic.names().iter().any(written)
    }

    /// A field that is said to hold personal data must be one of the value, as far as that is known.
    fn check_field(&mut self, field: &PersonalField, value: &Shape) {
        let mut shape = value.required();
        for part in &field.path.0 {
            let inner = match (part, shape) {
                (_, Shape::Any | Shape::Never) => return,
                (Part::Element, Shape::List(element) | Shape::Map(element)) => Ok(&**element),
                (Part::Field(_), Shape::Map(element)) => Ok(&**element),
                (Part::Field(name), Shape::Struct(fields)) => match fields.field(name) {
                    Some(field) => Ok(&field.shape),
                    None => Err(suggest(name, fields.fields().iter().map(|field| &*field.name))),
                },
                (Part::Field(_), Shape::List(_)) => Err(Some("write `[]` behind the name of a list".to_owned())),
                _ => Err(None),
            };
            match inner {
                Ok(inner) => shape = inner.required(),
                Err(help) => {
                    let message = format!("the value has no field `{}`", field.name.text);
                    self.problems.report(Diagnostic::new(field.name.span.clone(), message).help_if(help));
                    return;
                }
            }
        }
    }

    /// Whether what a sink writes to is for personal data: it says so, or of each of its topics a source that reads it.
    pub(super) fn is_for_personal_data(&self, sink: &SinkSpec) -> bool {
        let sources = self.spec.sources.iter().flat_map(|sources| sources.iter());
        let declared: Vec<&Name> = sources
            .filter(|(_, source)| source.personal_data.as_ref().is_some_and(PersonalDataSpec::any))
            .flat_map(|(_, source)| source.topic.names())
            .collect();
        let written = sink.topic.names();
        let is_declared = |topic: &Name| declared.iter().any(|other| other.text == topic.text);
        sink.personal_data.unwrap_or_else(|| !written.is_empty() && written.iter().all(is_declared))
    }

    /// The nodes of the sinks, in the order of the file.
    pub(super) fn sink_nodes(&self) -> Vec<String> {
        let nodes = self.graph.nodes.iter();
        let sinks = nodes.filter(|node| matches!(&node.verb, Verb::Sink(Sink { internal: false, .. })));
        sinks.map(|node| node.name.clone()).collect()
    }
}

fn names(topics: &[Name], topic: &Name) -> bool {
    topics.iter().any(|other| other.text == topic.text)
}

/// Follows personal data through a plan, notes where it lies, and reports where it must not go.
pub(super) fn check(
    topology: &mut Topology,
    spec: &TopologySpec,
    root: &Node,
    sinks: &[String],
    registry: &SchemaRegistry,
    problems: &mut Problems,
) {
    let analysis = analyse(topology, &Origins::new(registry, spec));
    let report = Report { spec, root, sinks };
    let mut found: Vec<(Span, Vec<&Offence>)> = Vec::new();
    for offence in &analysis.offences {
        let place = report.place(offence);
        let alike = |(other, group): &&mut (Span, Vec<&Offence>)| {
            *other == place && group.iter().all(|first| (&first.node, &first.to) == (&offence.node, &offence.to))
        };
        match found.iter_mut().find(alike) {
            Some((_, group)) => group.push(offence),
            None => found.push((place, vec![offence])),
        }
    }
    for (place, group) in found {
        if let Some(problem) = report.diagnostic(place, &group, problems) {
            problems.report(problem);
        }
    }
    for part in &mut topology.subtopologies {
        if analysis.personal_keys.contains(&part.id) {
            Arc::make_mut(part).personal_keys = true;
        }
    }
    topology.personal_data = analysis.personal_data;
    let topics = topology.topics.iter().flat_map(|topic| [Some(&topic.key), topic.value.as_ref()]).flatten();
    let patterns = topology.subtopologies.iter().flat_map(|part| &part.patterns);
    let patterns = patterns.flat_map(|pattern| [&pattern.key, &pattern.value]);
    let schemas = topics.chain(patterns).filter_map(|format| match format {
        Format::Avro(name) => Some((name.clone(), Arc::clone(registry.description(name)?))),
        _ => None,
    });
    topology.catalogue = schemas.collect();
}

/// How many parts a message names.
const MOST_PARTS: usize = 12;

/// Where things stand in the file.
struct Report<'a> {
    spec: &'a TopologySpec,
    root: &'a Node,
    /// The nodes of the sinks, in the order of the file.
    sinks: &'a [String],
}

impl Report<'_> {
    /// What goes from one node to one place, together.
    fn diagnostic(&self, place: Span, group: &[&Offence], problems: &Problems) -> Option<Diagnostic> {
        let offence = group.first()?;
        let (part, way) = (parts(group), self.way(offence, problems));
        let be = if group.len() == 1 { "is" } else { "are" };
        let (message, advice) = match &offence.to {
            Written::Undeclared(topic) => (
                format!("{part} {be} personal data, and the topic `{topic}` is not declared for it"),
                "leave it out, redact it before, or declare the topic with `personal_data: true` on this sink",
            ),
            Written::Unmarked(file) => (
                format!("{part} {be} personal data, and {file} does not mark it so"),
                "leave it out, redact it before, or mark the field with `\"pii\": true`, so that readers know",
            ),
            Written::TopicName => (
                "a topic would be named after personal data, and everybody sees the names of topics".to_owned(),
                "name topics after what is no personal data",
            ),
            Written::Log => (
                format!("`peek` would write personal data to the log of the process: {part}"),
                "show what holds none: `- peek: key`, or what `redact` leaves",
            ),
            Written::Agent(agent) => (
                format!("the agent `{agent}` would be given personal data: {part}"),
                "ask the agent `pii` first, and give it what that has redacted, or `redact(...)`",
            ),
        };
        let which = if group.len() == 1 { "it" } else { "the first" };
        Some(Diagnostic::new(place, message).help(format!("{which} comes from {way}: {advice}")))
    }

    /// The way that it took, with the lines of the steps.
    fn way(&self, offence: &Offence, problems: &Problems) -> String {
        let step = |node: &String| match self.step(node) {
            Some(span) => format!(" → {node} (line {})", problems.line(&span)),
            None => format!(" → {node}"),
        };
        let steps: String = offence.way.iter().map(step).collect();
        format!("{}{steps} → {}", offence.origin, offence.node)
    }

    /// Where to point: at the field that makes it, at the topic of the sink, or at the step.
    fn place(&self, offence: &Offence) -> Span {
        let sinks = self.spec.sinks.iter().flatten();
        let sink = self.sinks.iter().zip(sinks).find(|(node, _)| **node == offence.node).map(|(_, sink)| sink);
        match (sink, &offence.path) {
            (Some(SinkSpec { map: Some(map), .. }), Some(path)) => node_at(&map.0, &fields(path)).place(),
            (Some(sink), _) => sink.topic.span(),
            (None, _) => self.step(&offence.node).unwrap_or(0..0),
        }
    }

    /// Where a node stands in the file: the verb of the step, else the name of what it belongs to.
    fn step(&self, node: &str) -> Option<Span> {
        let (owner, step) = node.split_once('/')?;
        let owner = |section: &str| match &self.root.get(section)?.content {
            Content::Mapping(entries) => entries.iter().find(|(key, _)| key.text == owner),
            _ => None,
        };
        let (key, body) = owner("streams").or_else(|| owner("tables"))?;
        Some(verb(body, step).unwrap_or_else(|| key.span.clone()))
    }
}

/// The parts, the first few by name.
fn parts(group: &[&Offence]) -> String {
    let names: Vec<&str> = group.iter().take(MOST_PARTS).map(|offence| offence.part.as_str()).collect();
    match group.len().saturating_sub(MOST_PARTS) {
        0 => list(&names),
        more => format!("`{}` and {more} more", names.join("`, `")),
    }
}

/// The verb of the step that made a node: by its position and verb, or by the name that it was given.
fn verb(body: &Node, step: &str) -> Option<Span> {
    let Content::Sequence(steps) = &body.get("steps")?.content else { return None };
    let (name, number) = step.rsplit_once('-').unwrap_or((step, ""));
    let numbered = number.parse::<usize>().ok().and_then(|number| steps.get(number.checked_sub(1)?));
    let is_so = |node: &&Node| match &node.content {
        Content::Mapping(entries) => entries.iter().any(|(key, _)| key.text == name),
        Content::Scalar(scalar) => scalar.text == name,
        Content::Sequence(_) => false,
    };
    let is_named = |node: &&Node| match &node.content {
        Content::Mapping(entries) => entries
            .iter()
            .any(|(_, body)| body.get("name").and_then(Node::scalar).is_some_and(|given| given.text == step)),
        _ => false,
    };
    let found = numbered.filter(is_so).or_else(|| steps.iter().find(is_named))?;
    match &found.content {
        Content::Mapping(entries) => entries.first().map(|(key, _)| key.span.clone()),
        _ => Some(found.place()),
    }
}

/// The names on the way to a part, down to the first list.
fn fields(path: &Path) -> Vec<String> {
    let names = path.0.iter().map_while(|part| match part {
        Part::Field(name) => Some(name.clone()),
        Part::Element => None,
    });
    names.collect()
}
