//! Sinks: what is written, and whether the topic's format can take it.

use super::expressions::record_scope;
use super::graph::Flow;
use super::shapes::node_at;
use super::{Planner, Possible};
use crate::record::Shape;
use crate::serdes::{Format, Serializer, ShapeMismatch};
use crate::topology::plan::{ChosenTopic, Encoding, Sink, SinkTopic, TopicRole, Verb};
use crate::topology::spec::scalars::FormatSpec;
use crate::topology::spec::{RecordPart, SinkSpec, SinkTopicSpec};
use crate::yaml::{Diagnostic, nearest};

impl Planner<'_> {
    /// Builds a sink, the one at this position of the file's.
    pub(super) fn sink(&mut self, position: usize, sink: &SinkSpec) {
        let possible = Possible { what: "a sink", decode: false, process: true, produce: true };
        let policies = self.policies(sink.on_error.as_ref(), &possible);
        let flow = self.names.read(&sink.from, self.problems);
        let map = sink.map.as_ref().map(|map| self.template(map, &record_scope(&flow)));
        let value = match &map {
            Some(Some(map)) => map.shape().clone(),
            Some(None) => Shape::Any,
            None => flow.value.clone(),
        };
        let defaults = self.spec.defaults.as_ref();
        let default_key = defaults.and_then(|defaults| defaults.key.as_ref());
        let default_value = defaults.and_then(|defaults| defaults.value.as_ref());
        let inherited = FormatSpec { format: flow.key.format.clone(), span: sink.topic.span() };
        let key_spec = sink.key.as_ref().or(default_key).unwrap_or(&inherited);
        let key = self.sink_key(&flow, key_spec);
        let value_spec = sink.value.as_ref().or(default_value);
        let formats = [(RecordPart::Key, Some(key_spec)), (RecordPart::Value, value_spec)];
        let personal_data = self.personal_parts(sink, (&flow.key.shape, &value), formats);
        let Some(value_spec) = value_spec else {
            let problem = Diagnostic::new(
                sink.span.clone(),
                "how are the values written? `value` is missing, and so is `defaults.value`",
            );
            self.problems.report(problem.help("write `value: json`, `{avro: Name}`, .."));
            return;
        };
        let serializer = self.sink_value(sink, value_spec, &value);
        for topic in sink.topic.names() {
            self.use_topic(topic, TopicRole::Sink, &key_spec.format, &value_spec.format);
        }
        let topic = self.sink_topic(&sink.topic, &flow, (&key_spec.format, &value_spec.format));
        let headers = match &sink.headers {
            Some(headers) => self.header_changes(headers, &record_scope(&flow)),
            None => Some(Vec::new()),
        };
        let (Some(key), Some(serializer), Some(map)) = (key, serializer, whole(map)) else { return };
        let (Some(topic), Some(headers)) = (topic, headers) else { return };
        if flow.is_unknown() {
            return;
        }
        let verb = Verb::Sink(Sink {
            topic,
            internal: false,
            position: Some(position),
            personal_data,
            headers,
            key,
            map,
            value: Encoding::Serde(serializer),
            on_produce_error: policies.produce,
            partition_key: None,
            drops_null_keys: false,
            partition: None,
        });
        let name = match &sink.topic {
            SinkTopicSpec::One(topic) => format!("{}/sink-{}", sink.from.text, topic.text),
            SinkTopicSpec::Chosen(_) => format!("{}/sink", sink.from.text),
        };
        self.graph.node(name, verb, policies.process, &[flow.port]);
    }

    /// Where a sink writes.
    fn sink_topic(&mut self, spec: &SinkTopicSpec, flow: &Flow, (key, value): (&Format, &Format)) -> Option<SinkTopic> {
        let spec = match spec {
            SinkTopicSpec::One(topic) => {
                return Some(SinkTopic::One { topic: topic.text.as_str().into(), read_back: false });
            }
            SinkTopicSpec::Chosen(spec) => spec,
        };
        if spec.topics.is_some() == spec.pattern.is_some() {
            let problem = Diagnostic::new(spec.span.clone(), "say which topics the expression may name, in one way");
            let help = "give it `topics`, a list, or `pattern`, for topics that are there when the application starts";
            self.problems.report(problem.help(help));
        }
        let expression = self.expression(&spec.expression.0, &record_scope(flow))?;
        if !matches!(expression.shape().required(), Shape::String | Shape::Enum(_) | Shape::Any | Shape::Never) {
            let message = format!("the name of a topic is text; this is {}", expression.shape());
            self.problems.report(Diagnostic::new(spec.expression.0.place(), message));
            return None;
        }
        let topics = spec.topics.iter().flat_map(|topics| &topics.0);
        Some(SinkTopic::Chosen(ChosenTopic {
            expression,
            topics: topics.map(|topic| (topic.text.as_str().into(), false)).collect(),
            pattern: spec.pattern.as_ref().map(|pattern| pattern.matcher.clone()),
            key: key.clone(),
            value: value.clone(),
        }))
    }

    /// How keys are written. `Some(None)`: they are already.
    fn sink_key(&mut self, flow: &Flow, spec: &FormatSpec) -> Option<Option<Serializer>> {
        // Inside the application keys do not carry a registry's ids.
        let has_id = matches!(spec.format, Format::Avro(_)) && self.options.registry.remote().is_some();
        if spec.format == flow.key.format && !has_id && !flow.is_unknown() {
            return Some(None);
        }
        let serde = self.serde(spec)?;
        match serde.serializer(flow.key.shape.required()) {
            Ok(serializer) => Some(Some(serializer)),
            Err(mismatches) => {
                for mismatch in mismatches {
                    let message = format!("keys cannot be written as {}: {mismatch}", spec.format);
                    let help = match &flow.key.format {
                        Format::Avro(name) | Format::RawAvro(name) => {
                            format!("they are {{avro: {name}}} so far; `select_key` makes new ones")
                        }
                        format => format!("write `key: {format}`, or make new keys with `select_key`"),
                    };
                    self.problems.report(Diagnostic::new(spec.span.clone(), message).help(help));
                }
                None
            }
        }
    }

    fn sink_value(&mut self, sink: &SinkSpec, spec: &FormatSpec, value: &Shape) -> Option<Serializer> {
        let serde = self.serde(spec)?;
        let mismatches = match serde.serializer(value.required()) {
            Ok(serializer) => return Some(serializer),
            Err(mismatches) => mismatches,
        };
        for mismatch in mismatches {
            self.report_mismatch(sink, spec, &serde.shape().clone(), &mismatch);
        }
        None
    }

    /// Reports what does not fit at the field of the map that makes it, else at the map, else at the format.
    fn report_mismatch(&mut self, sink: &SinkSpec, spec: &FormatSpec, shape: &Shape, mismatch: &ShapeMismatch) {
        let place = match &sink.map {
            Some(map) => node_at(&map.0, &mismatch.path).label.clone(),
            None => spec.span.clone(),
        };
        let hint = mismatch.path.split_last().and_then(|(last, parents)| {
            let fields = match shape_at(shape, parents)? {
                Shape::Struct(fields) if fields.field(last).is_none() => fields,
                _ => return None,
            };
            let near = nearest(last, fields.fields().iter().map(|field| &*field.name))?;
            Some(format!("did you mean `{near}`?"))
        });
        let hint = hint.or_else(|| sink.map.is_none().then(|| "choose the fields with `map`".to_owned()));
        let message = format!("values cannot be written as {}: {mismatch}", spec.format);
        self.problems.report(Diagnostic::new(place, message).help_if(hint));
    }
}

/// A part of a shape.
fn shape_at<'s>(shape: &'s Shape, path: &[String]) -> Option<&'s Shape> {
    let Some((first, rest)) = path.split_first() else { return Some(shape.required()) };
    match shape.required() {
        Shape::Struct(fields) => shape_at(&fields.field(first)?.shape, rest),
        Shape::List(element) | Shape::Map(element) => shape_at(element, rest),
        _ => None,
    }
}

/// A part that may be absent: `None` where it has a mistake.
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |part| part.map(Some))
}
