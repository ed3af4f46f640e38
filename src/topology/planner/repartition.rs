//! Keys: how new ones are written, and where records must travel to meet others of their key.

use super::Planner;
use super::graph::{DraftPayload, DraftSource, Flow, FlowKind, KeyInfo, Port};
use crate::expression::Expression;
use crate::log::TopicConfig;
use crate::record::Shape;
use crate::serdes::{Format, Serializer};
use crate::state::StoreKind;
use crate::topology::plan::{
    Asks, Encoding, KeyMapping, OffsetReset, OnError, Sink, SinkTopic, StoreId, Topic, TopicRole, Verb,
};
use crate::topology::spec::scalars::FormatSpec;
use crate::topology::taint::PersonalParts;
use crate::yaml::Diagnostic;
use crate::yaml::Span;

/// What a repartition topic is for.
pub(super) struct Repartitioning<'s> {
    /// Its name is `<application>-<name>-repartition`.
    pub(super) name: &'s str,
    /// The node it belongs to.
    pub(super) owner: &'s str,
    /// How many partitions; `None`: as many as its input.
    pub(super) partitions: Option<i32>,
    /// The format that keys must have afterwards; `None`: the one they have.
    pub(super) key: Option<Format>,
    /// Whether records without a key are of use to what follows.
    pub(super) keeps_null_keys: bool,
    /// Where it was asked for.
    pub(super) span: &'s Span,
}

/// The format in which new keys of a shape are written.
pub(super) fn key_format(shape: &Shape) -> Format {
    match shape.required() {
        Shape::String | Shape::Enum(_) => Format::String,
        Shape::Int => Format::Long,
        Shape::Double => Format::Double,
        Shape::Bytes => Format::Bytes,
        _ => Format::Json,
    }
}

impl Planner<'_> {
    /// How keys of a shape are written from here on.
    pub(super) fn key_serializer(&mut self, shape: &Shape, format: &Format, span: &Span) -> Option<Serializer> {
        match self.serde_of(format, span)?.serializer(shape.required()) {
            Ok(serializer) => Some(serializer),
            Err(mismatches) => {
                for mismatch in mismatches {
                    let message = format!("this cannot be a key in {format}: {}", mismatch.message);
                    self.problems.report(Diagnostic::new(span.clone(), message));
                }
                None
            }
        }
    }

    /// Writes keys as others write them, where these are other bytes than those inside the application.
    fn partition_key(&mut self, shape: &Shape, format: &Format, span: &Span) -> Option<Serializer> {
        if !matches!(format, Format::Avro(_)) || self.options.registry.remote().is_none() {
            return None;
        }
        self.serde(&FormatSpec { format: format.clone(), span: span.clone() })?.serializer(shape.required()).ok()
    }

    /// A key computed by an expression.
    pub(super) fn key_mapping(&mut self, expression: Expression, span: &Span) -> Option<KeyMapping> {
        let format = key_format(expression.shape());
        let serializer = self.key_serializer(expression.shape(), &format, span)?;
        Some(KeyMapping { expression, serializer, format })
    }

    /// Sends a stream through an internal topic.
    pub(super) fn repartition(&mut self, flow: Flow, what: &Repartitioning<'_>) -> Flow {
        self.repartition_to(flow, what, None)
    }

    /// Sends a stream through an internal topic; `partition` is the field of the values that says to which partition,
    /// where it is not the key's.
    pub(super) fn repartition_to(
        &mut self,
        flow: Flow,
        what: &Repartitioning<'_>,
        partition: Option<&'static str>,
    ) -> Flow {
        let topic = format!("{}-{}-repartition", self.application, what.name);
        if self.topics.used.contains_key(&topic) {
            let message = format!("there is a repartition topic `{topic}` already");
            self.problems.report(Diagnostic::new(what.span.clone(), message).help("give this one a `name`"));
            return flow;
        }
        let format = what.key.clone().unwrap_or_else(|| flow.key.format.clone());
        let Some(serde) = self.serde_of(&format, what.span) else { return flow };
        let key = match format == flow.key.format {
            true => None,
            false => match self.key_serializer(&flow.key.shape, &format, what.span) {
                Some(serializer) => Some(serializer),
                None => return flow,
            },
        };
        let partition_key = self.partition_key(&flow.key.shape, &format, what.span);
        let config = TopicConfig::new(what.partitions.unwrap_or(0));
        let role = TopicRole::Repartition;
        // Its records have the timestamps of events, so that a retention would delete what is still to be read.
        let asks = Asks { partitions: what.partitions.is_some(), ..Asks::ALL };
        let description = Topic { name: topic.clone(), role, config, asks, key: format.clone(), value: None };
        self.topics.used.insert(topic.clone(), description);
        let sink = Verb::Sink(Sink {
            topic: SinkTopic::One { topic: topic.as_str().into(), read_back: true },
            internal: true,
            position: None,
            personal_data: if flow.personal_data { PersonalParts::All } else { PersonalParts::None },
            headers: Vec::new(),
            key,
            map: None,
            value: Encoding::Internal(flow.value.clone()),
            on_produce_error: OnError::Fail,
            partition_key,
            drops_null_keys: !what.keeps_null_keys,
            partition,
        });
        self.graph.node(format!("{}/repartition", what.owner), sink, OnError::Fail, &[flow.port]);
        let shape = serde.shape().clone();
        let port = self.graph.source(DraftSource {
            name: format!("{}-repartition", what.name),
            topics: vec![topic.clone()],
            pattern: None,
            personal_data: flow.personal_data,
            key: serde,
            value: DraftPayload::Internal(flow.value.clone()),
            timestamp: None,
            offset_reset: OffsetReset::Earliest,
            on_decode_error: OnError::Fail,
            outputs: Vec::new(),
        });
        let partitions = what.partitions.map(|count| (topic, count));
        Flow { port, key: KeyInfo { shape, format }, rekeyed: false, windows: None, partitions, ..flow }
    }

    /// Keeps the last value of each key of a stream, or the rows of a table, in a store.
    pub(super) fn materialize(&mut self, flow: Flow, owner: &str, store: &str, on_error: OnError, span: &Span) -> Flow {
        if flow.windows.is_some() {
            let problem =
                Diagnostic::new(span.clone(), "the rows of a windowed table cannot be kept as a table of keys");
            self.problems.report(problem.help("aggregate them, or give them a new key with `select_key`"));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        let store = self.new_store(store, flow.value.clone(), &flow.key.format, StoreKind::KeyValue, span);
        let before = if let Port::Node(node, _) = flow.port { self.graph.nodes.get(node) } else { None };
        let filtered = before.is_some_and(|node| matches!(node.verb, Verb::Filter { table: true, .. }));
        let verb = Verb::ToTable { store, sends_old: false, filtered };
        let port = self.graph.node(format!("{owner}/to_table"), verb, on_error, &[flow.port]);
        Flow { port, kind: FlowKind::Table(Some(store)), ..flow }
    }

    /// A store with a name of its own.
    pub(super) fn new_store(
        &mut self,
        name: &str,
        shape: Shape,
        key: &Format,
        kind: StoreKind,
        span: &Span,
    ) -> StoreId {
        if self.graph.stores.iter().any(|store| store.spec.name == name) {
            let message = format!("there is a store `{name}` already");
            let help = "give this one another name: `store: {name: ...}`";
            self.problems.report(Diagnostic::new(span.clone(), message).help(help));
        }
        self.graph.places.insert(name.to_owned(), self.problems.line(span).to_string());
        self.graph.store(&self.application, name, shape, key.clone(), kind)
    }
}
