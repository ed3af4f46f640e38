//! Personal data: which sources may hold it, which topics are for it, and the report of where it must not go.

use std::sync::Arc;

use super::Planner;
use super::shapes::node_at;
use crate::expression::{Part, Path};
use crate::record::Shape;
use crate::serdes::{Format, SchemaRegistry, Serde};
use crate::topology::plan::{Source, Topology};
use crate::topology::spec::scalars::FormatSpec;
use crate::topology::spec::{Name, PersonalDataSpec, PersonalPart, RecordPart, SinkSpec, SourceSpec, TopologySpec};
use crate::topology::taint::{Analysis, Handles, Offence, Origins, PersonalParts, Written, analyse, marked};
use crate::yaml::{Content, Diagnostic, Node, Problems, Span, list, suggest};

impl Planner<'_> {
    /// Whether records of a source may hold personal data: it says so, a schema does, or a sink that writes its topic.
    pub(super) fn may_hold_personal_data(&mut self, source: &SourceSpec, (key, value): (&Serde, &Serde)) -> bool {
        if let Some(PersonalDataSpec::Parts(parts)) = &source.personal_data {
            parts.iter().for_each(|part| self.check_part(part, (key.shape(), value.shape())));
        }
        let declared = source.personal_data.as_ref().is_some_and(PersonalDataSpec::any);
        let registry = self.options.registry;
        // Of a schema that is not described nothing is known.
        let marked = |format: &Format| {
            let schema = format.schema().map(|name| registry.description(name));
            schema.is_some_and(|schema| schema.is_none_or(|schema| schema.holds_personal_data()))
        };
        let is_declared = |sink: &&SinkSpec| sink.personal_data.as_ref().is_some_and(PersonalDataSpec::any);
        let sinks = self.spec.sinks.iter().flatten().filter(is_declared);
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

    /// A part that is said to hold personal data must be one of the record, as far as that is known. Headers never are.
    fn check_part(&mut self, named: &PersonalPart, (key, value): (&Shape, &Shape)) {
        let (shape, of) = match named.of {
            RecordPart::Key => (key, "key"),
            RecordPart::Value => (value, "value"),
            RecordPart::Headers => return,
        };
        if let Err(help) = find(&named.path.0, shape) {
            let message = format!("the {of} has no field `{}`", named.name.text);
            self.problems.report(Diagnostic::new(named.name.span.clone(), message).help_if(help));
        }
    }

    /// What personal data a sink's topics are for: what it says, or what the sources that read them say, if each of its
    /// topics has one that says that it holds some. `shapes` are those of the keys and values that are written.
    pub(super) fn personal_parts(
        &mut self,
        sink: &SinkSpec,
        shapes: (&Shape, &Shape),
        formats: [(RecordPart, Option<&FormatSpec>); 2],
    ) -> PersonalParts {
        match &sink.personal_data {
            Some(PersonalDataSpec::Anywhere(true)) => PersonalParts::All,
            Some(PersonalDataSpec::Anywhere(false)) => PersonalParts::None,
            Some(PersonalDataSpec::Parts(parts)) => {
                parts.iter().for_each(|part| self.check_part(part, shapes));
                PersonalParts::Some(parts.iter().map(|part| (part.of, part.path.clone())).collect())
            }
            None => {
                let topics = sink.topic.names().iter().map(|topic| self.declared_by_sources(topic));
                match topics.reduce(PersonalParts::common).unwrap_or_default() {
                    // What schemas mark counts beside what a source names.
                    PersonalParts::Some(parts) => PersonalParts::Some(parts).together(self.marked_parts(formats)),
                    parts => parts,
                }
            }
        }
    }

    /// What the schemas of keys and values mark.
    fn marked_parts(&self, formats: [(RecordPart, Option<&FormatSpec>); 2]) -> PersonalParts {
        let described = formats.into_iter().filter_map(|(of, spec)| {
            let name = spec?.format.schema()?;
            Some((of, self.options.registry.description(name)?))
        });
        let marked =
            described.flat_map(|(of, schema)| marked(&schema.root).into_iter().map(move |part| (of, part.path)));
        PersonalParts::Some(marked.collect())
    }

    /// What the sources that read a topic say that it holds.
    fn declared_by_sources(&self, topic: &Name) -> PersonalParts {
        let sources = self.spec.sources.iter().flat_map(|sources| sources.iter());
        let declared = sources.filter(|(_, source)| names(source.topic.names(), topic));
        let declared = declared.filter_map(|(_, source)| source.personal_data.as_ref());
        let parts = declared.map(|declared| match declared {
            PersonalDataSpec::Anywhere(true) => PersonalParts::All,
            PersonalDataSpec::Anywhere(false) => PersonalParts::None,
            PersonalDataSpec::Parts(parts) => {
                PersonalParts::Some(parts.iter().map(|part| (part.of, part.path.clone())).collect())
            }
        });
        parts.fold(PersonalParts::None, PersonalParts::together)
    }
}

/// Whether something of a shape may have a part there; else what would help.
fn find(path: &[Part], shape: &Shape) -> Result<(), Option<String>> {
    let Some((part, rest)) = path.split_first() else { return Ok(()) };
    match (part, shape.resolved()) {
        (_, Shape::Any | Shape::Never) => Ok(()),
        // Any of several may have it.
        (_, Shape::Union(union)) => {
            let mut found = union.branches().iter().map(|branch| find(path, branch));
            let first = found.next().unwrap_or(Err(None));
            found.fold(first, |found, next| found.or_else(|help| next.map_err(|other| help.or(other))))
        }
        (_, Shape::Map(element)) | (Part::Element, Shape::List(element)) => find(rest, &element),
        (Part::Field(name), Shape::Struct(fields)) => match fields.field(name) {
            Some(field) => find(rest, &field.shape),
            None => Err(suggest(name, fields.fields().iter().map(|field| &*field.name))),
        },
        (Part::Field(_), Shape::List(_)) => Err(Some("write `[]` behind the name of a list".to_owned())),
        _ => Err(None),
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
    registry: &SchemaRegistry,
    problems: &mut Problems,
) {
    let analysis = analyse(topology, &Origins::new(registry, spec));
    let report = Report { spec, root };
    let mut found: Vec<(Span, Vec<&Offence>)> = Vec::new();
    for offence in &analysis.offences {
        let place = report.place(offence);
        let alike = |(other, group): &&mut (Span, Vec<&Offence>)| {
            *other == place && group.iter().all(|first| (&first.at, &first.to) == (&offence.at, &offence.to))
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
    note(topology, &analysis);
    topology.personal_data = analysis.personal_data;
    let topics = topology.topics.iter().flat_map(|topic| [Some(&topic.key), topic.value.as_ref()]).flatten();
    let patterns = topology.subtopologies.iter().flat_map(|part| &part.patterns);
    let patterns = patterns.flat_map(|pattern| [&pattern.key, &pattern.value]);
    let schemas = topics.chain(patterns).filter_map(|format| {
        let name = format.schema()?;
        Some((name.to_owned(), Arc::clone(registry.description(name)?)))
    });
    topology.catalogue = schemas.collect();
}

/// Notes in the plan where errors and dead letters must say nothing of records. What the file says of a source counts also
/// where nobody reads it.
fn note(topology: &mut Topology, analysis: &Analysis) {
    let of_source = |source: &mut Source, handles: &Handles| {
        source.personal_data |= handles.any;
        source.personal_keys |= handles.keys;
        source.personal_times |= handles.times;
    };
    for (part, (sources, nodes)) in topology.subtopologies.iter_mut().zip(analysis.sources.iter().zip(&analysis.nodes))
    {
        let part = Arc::make_mut(part);
        let patterns = part.patterns.iter_mut().map(|pattern| &mut pattern.source);
        part.sources.iter_mut().chain(patterns).zip(sources).for_each(|(source, handles)| of_source(source, handles));
        part.nodes.iter_mut().zip(nodes).for_each(|(node, handles)| node.handles = *handles);
    }
    topology
        .globals
        .iter_mut()
        .zip(&analysis.globals)
        .for_each(|(table, handles)| of_source(&mut table.source, handles));
}

/// How many parts a message names.
const MOST_PARTS: usize = 16;

/// Where things stand in the file.
struct Report<'a> {
    spec: &'a TopologySpec,
    root: &'a Node,
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
                advice(group, "declare the topic with `personal_data: true` on this sink"),
            ),
            Written::OtherParts(topic) => (
                format!("{part} {be} personal data, and the topic `{topic}` is declared for other parts only"),
                match group.iter().any(|offence| matter(offence) == Matter::Time) {
                    // Times have no name.
                    true => advice(group, "declare the topic for all of it: `personal_data: true` on this sink"),
                    false => advice(group, "name it under `personal_data` of this sink"),
                },
            ),
            Written::Unmarked(file) => (
                format!("{part} {be} personal data, and {file} does not mark it so"),
                "leave it out, put `redact(.., 'kind')` in its place, or mark the field, all of it, with `\"pii\": true`, \
                 so that readers know".to_owned(),
            ),
            Written::TopicName => (
                "a topic would be named after personal data, and everybody sees the names of topics".to_owned(),
                "name topics after what is no personal data".to_owned(),
            ),
            Written::Log => (
                format!("`peek` would write personal data to the log of the process: {part}"),
                "show what holds none, such as `- peek: offset`".to_owned(),
            ),
            Written::Agent(agent) => (
                format!("the agent `{agent}` would be given personal data: {part}"),
                "ask the agent `pii` first, and give it what that has redacted, or `redact(...)`".to_owned(),
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
        let sink = offence.sink.and_then(|position| self.spec.sinks.iter().flatten().nth(position));
        match (sink, offence.of) {
            (Some(SinkSpec { map: Some(map), .. }), "value") => node_at(&map.0, &fields(&offence.path)).place(),
            (Some(sink), "headers") => header(sink, &offence.path).unwrap_or_else(|| sink.topic.span()),
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

/// What can be done about a part of a record hangs on what it is.
#[derive(Clone, Copy, PartialEq)]
enum Matter {
    /// Something of the key or value.
    Content,
    /// A header.
    Header,
    /// All headers, because they count as a whole.
    Headers,
    /// The timestamp.
    Time,
}

fn matter(offence: &Offence) -> Matter {
    match offence.of {
        "headers" if offence.path.0.is_empty() => Matter::Headers,
        "headers" => Matter::Header,
        "timestamp" => Matter::Time,
        _ => Matter::Content,
    }
}

impl Matter {
    /// What it is, and what would keep it out of a topic.
    fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Matter::Content => ("of the key and the value", "leave it out, put `redact(.., 'kind')` in its place"),
            Matter::Header => ("of a header", "remove it with `set_headers`"),
            Matter::Headers => (
                "of the headers",
                "name the parts of the source that hold some instead of `personal_data: true`, or say of the processor that \
                 made them what it clears",
            ),
            Matter::Time => (
                "of the time",
                "compute the time of the source from what is no personal data, take the record's own, or have the processor \
                 that made it keep timestamps",
            ),
        }
    }
}

/// What would help against all of them, and what else would.
fn advice(group: &[&Offence], otherwise: &str) -> String {
    let mut matters: Vec<Matter> = Vec::new();
    for offence in group {
        let matter = matter(offence);
        if !matters.contains(&matter) {
            matters.push(matter);
        }
    }
    match matters.as_slice() {
        [one] => format!("{}, or {otherwise}", one.remedy().1),
        several => {
            let each = several.iter().map(|matter| matter.remedy()).map(|(what, remedy)| format!("{what}, {remedy}; "));
            format!("{}or {otherwise}", each.collect::<String>())
        }
    }
}

/// The parts, the first few by name.
fn parts(group: &[&Offence]) -> String {
    let names: Vec<String> = group.iter().take(MOST_PARTS).map(|offence| offence.part()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match group.len().saturating_sub(MOST_PARTS) {
        0 => list(&names),
        more => format!("`{}` and {more} more", names.join("`, `")),
    }
}

/// Where a sink sets a header.
fn header(sink: &SinkSpec, path: &Path) -> Option<Span> {
    let Some(Part::Field(name)) = path.0.first() else { return None };
    let set = sink.headers.iter().flat_map(|headers| &headers.headers).find(|(header, _)| header.text == *name);
    set.map(|(header, _)| header.span.clone())
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
