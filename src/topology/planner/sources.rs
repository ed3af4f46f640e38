//! Sources: topics become streams or tables.

use super::graph::{DraftPayload, DraftSource, Flow, FlowKind, KeyInfo};
use super::names::Definition;
use super::{Planner, Possible};
use crate::expression::{Binding, Expression, Scope};
use crate::record::{Shape, TemporalKind};
use crate::serdes::{Format, Serde};
use crate::topology::plan::{OffsetReset, TopicRole};
use crate::topology::spec::scalars::FormatSpec;
use crate::topology::spec::{OffsetResetSpec, SourceKind, SourceSpec, SourceTopics};
use crate::yaml::Diagnostic;
use crate::yaml::Span;

impl Planner<'_> {
    /// Builds a source, if `name` is one.
    pub(super) fn build_source(&mut self, name: &str) {
        let Some(entity) = self.names.get(name) else { return };
        let (definition, span) = (entity.definition, entity.span.clone());
        if let Definition::Source(Some(source)) = definition {
            let flow = self.source(name, source, &span).unwrap_or_else(Flow::unknown);
            self.names.built(name, flow);
        }
    }

    fn source(&mut self, name: &str, source: &SourceSpec, span: &Span) -> Option<Flow> {
        let defaults = self.spec.defaults.as_ref();
        let key = self.format_or(source.key.as_ref(), defaults.and_then(|defaults| defaults.key.as_ref()), "key", span);
        let value =
            self.format_or(source.value.as_ref(), defaults.and_then(|defaults| defaults.value.as_ref()), "value", span);
        let possible = Possible { what: "a source", decode: true, process: false, produce: false };
        let policies = self.policies(source.on_error.as_ref(), &possible);
        let (key, value) = (key?, value?);
        self.check_source(source)?;
        let timestamp = self.timestamp(source, key.shape(), value.shape());
        for topic in source.topic.names() {
            self.use_topic(topic, TopicRole::Source, &key.format, &value.format);
        }
        if let (Some(SourceKind::GlobalTable), Some(topic)) = (source.kind, source.topic.single()) {
            return Some(self.global_table(name, (topic, source), (&key, &value), timestamp, policies.decode));
        }
        let personal_data = self.may_hold_personal_data(source, (&key, &value));
        let port = self.graph.source(DraftSource {
            name: name.to_owned(),
            topics: source.topic.names().iter().map(|topic| topic.text.clone()).collect(),
            pattern: match &source.topic {
                SourceTopics::Matching(pattern) => Some(pattern.pattern.matcher.clone()),
                SourceTopics::Named(_) => None,
            },
            personal_data,
            key: key.clone(),
            value: DraftPayload::Serde(value.clone()),
            timestamp,
            offset_reset: match source.offset_reset {
                Some(OffsetResetSpec::Latest) => OffsetReset::Latest,
                Some(OffsetResetSpec::Earliest) | None => OffsetReset::Earliest,
            },
            on_decode_error: policies.decode,
            outputs: Vec::new(),
        });
        let flow = Flow {
            port,
            kind: FlowKind::Stream,
            key: KeyInfo { shape: key.shape().clone(), format: key.format.clone() },
            value: value.shape().clone(),
            rekeyed: false,
            windows: None,
            personal_data,
            partitions: self.declared_partitions(&source.topic),
        };
        match source.kind {
            Some(SourceKind::Table) => {
                let store = source.store.as_ref().and_then(|store| store.name.as_ref());
                let store = store.map_or(name, |store| store.text.as_str());
                let versioned = source.store.as_ref().and_then(|store| store.versioned.as_ref());
                Some(self.materialize_versions(flow, name, store, versioned, policies.process, span))
            }
            Some(SourceKind::Stream | SourceKind::GlobalTable) | None => Some(flow),
        }
    }

    /// Checks what a source says of its topics and its store. `None`: it reads nothing that it could read.
    fn check_source(&mut self, source: &SourceSpec) -> Option<()> {
        for topic in source.topic.names() {
            if let Some(other) = self.graph.reader_of(&topic.text).map(str::to_owned) {
                let message = format!("the topic `{}` is read by the source `{other}` already", topic.text);
                self.problems.report(Diagnostic::new(topic.span.clone(), message).help(format!("use `{other}`")));
                return None;
            }
        }
        if let SourceTopics::Matching(matching) = &source.topic {
            let (matcher, span) = (&matching.pattern.matcher, &matching.pattern.span);
            let same = self.graph.sources.iter().find(|other| other.pattern.as_ref() == Some(matcher));
            if let Some(other) = same.map(|other| &other.name) {
                let message = format!(
                    "`{matcher}` is the pattern of the source `{other}` already; a topic is read by one source"
                );
                self.problems.report(Diagnostic::new(span.clone(), message).help(format!("use `{other}`")));
                return None;
            }
        }
        if let Some(store) = &source.store {
            let refused = match source.kind {
                Some(SourceKind::Table) => None,
                Some(SourceKind::GlobalTable) => {
                    Some(("the store of a global table has no settings", "leave it out, or write `kind: table`"))
                }
                Some(SourceKind::Stream) | None => {
                    Some(("a stream has no store", "write `kind: table`, or leave it out"))
                }
            };
            if let Some((message, help)) = refused {
                self.problems.report(Diagnostic::new(store.span.clone(), message).help(help));
            }
            if let Some(retention) = &store.retention {
                let problem =
                    Diagnostic::new(retention.span.clone(), "`retention` is for the stores of windowed tables");
                self.problems.report(problem.help("to keep the versions of rows, write `versioned`"));
            }
        }
        if let Some(SourceKind::Table | SourceKind::GlobalTable) = source.kind
            && source.topic.single().is_none()
        {
            let problem = Diagnostic::new(source.topic.span(), "a table is the last values of one topic");
            let help = "read several as a stream, and make a table of it: `tables: {NAME: {from: STREAM}}`";
            self.problems.report(problem.help(help));
            return None;
        }
        Some(())
    }

    /// The topic that determines the partitions, and how many these are; `None` where that is not known, or differs.
    fn declared_partitions(&self, topics: &SourceTopics) -> Option<(String, i32)> {
        let mut declared =
            topics.names().iter().map(|topic| (topic.text.clone(), self.config_of(&topic.text).0.partitions));
        let first = declared.next()?;
        declared.all(|(_, partitions)| partitions == first.1).then_some(first)
    }

    /// The serde of a source's or sink's keys or values: its own format or the default.
    fn format_or(
        &mut self,
        own: Option<&FormatSpec>,
        default: Option<&FormatSpec>,
        part: &str,
        span: &Span,
    ) -> Option<Serde> {
        match own.or(default) {
            Some(format) => self.serde(format),
            None => {
                let message = format!("how are the {part}s written? `{part}` is missing, and so is `defaults.{part}`");
                self.problems.report(
                    Diagnostic::new(span.clone(), message)
                        .help(format!("write `{part}: string`, `json`, `{{avro: Name}}`, ..")),
                );
                None
            }
        }
    }

    fn timestamp(&mut self, source: &SourceSpec, key: &Shape, value: &Shape) -> Option<Expression> {
        let formula = source.timestamp.as_ref()?;
        let scope = Scope::new()
            .with("key", Binding::Key, key.clone())
            .with("value", Binding::Value, value.clone())
            .with_record();
        let expression = self.expression(&formula.0, &scope)?;
        let is_time = |shape: &Shape| match shape {
            Shape::Int | Shape::Timestamp | Shape::Any => true,
            Shape::Temporal(unit) => unit.kind() == TemporalKind::Timestamp,
            _ => false,
        };
        if !expression.shape().alternatives().iter().any(is_time) {
            let message =
                format!("a timestamp must be a timestamp or an int in milliseconds; this is {}", expression.shape());
            self.problems.report(Diagnostic::new(formula.0.place(), message));
            return None;
        }
        Some(expression)
    }

    /// The serde of keys inside the application, whose format needs no schema or one that has been used before.
    pub(super) fn serde_of(&mut self, format: &Format, span: &Span) -> Option<Serde> {
        Some(self.serde(&FormatSpec { format: format.clone(), span: span.clone() })?.internal())
    }
}
