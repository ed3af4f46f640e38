//! Global tables, and their joins with streams.

use super::Planner;
use super::graph::{Flow, FlowKind, KeyInfo, Port};
use super::joins::{JoinInput, kind_of};
use crate::expression::{Binding, Expression, Scope};
use crate::record::{Fields, Shape};
use crate::serdes::Serde;
use crate::state::{StoreKind, StoreSpec};
use crate::topology::global::{GlobalJoin, GlobalTable};
use crate::topology::plan::{JoinKind, OffsetReset, OnError, Payload, Source, Verb};
use crate::topology::spec::scalars::Template;
use crate::topology::spec::{ErrorPolicy, JoinSpec, Name, OffsetResetSpec, SourceSpec};
use crate::yaml::Diagnostic;

impl Planner<'_> {
    /// Builds a source that every process reads whole.
    pub(super) fn global_table(
        &mut self,
        name: &str,
        (topic, source): (&Name, &SourceSpec),
        (key, value): (&Serde, &Serde),
        timestamp: Option<Expression>,
        on_decode_error: OnError,
    ) -> Flow {
        if source.offset_reset == Some(OffsetResetSpec::Latest) {
            let problem = Diagnostic::new(topic.span.clone(), "a global table is read from the beginning of its topic");
            self.problems.report(problem.help("leave `offset_reset` out"));
        }
        if let Some(own) = source.on_error.as_ref().filter(|own| own.decode == Some(ErrorPolicy::DeadLetter)) {
            let message = "a global table sends nothing to the dead letter topic: it is read outside of transactions";
            let problem = Diagnostic::new(own.span.clone(), message);
            self.problems.report(problem.help("write `decode: skip` or `decode: fail`"));
        }
        let personal_data = self.may_hold_personal_data(source, (key, value));
        let plan = Source {
            name: name.to_owned(),
            topic: topic.text.as_str().into(),
            internal: false,
            personal_data,
            personal_keys: false,
            personal_times: false,
            key: key.deserializer(&Fields::All),
            value: Payload::Serde(value.deserializer(&Fields::All)),
            fields: Fields::All,
            timestamp,
            offset_reset: OffsetReset::Earliest,
            on_decode_error: match on_decode_error {
                OnError::Skip => OnError::Skip,
                OnError::DeadLetter | OnError::Fail => OnError::Fail,
            },
            outputs: Vec::new(),
        };
        let (shape, kind) = (value.shape().clone(), StoreKind::KeyValue);
        let store = StoreSpec { name: name.to_owned(), changelog: None, shape: shape.clone(), kind };
        self.graph.globals.push(GlobalTable { source: plan, store });
        Flow {
            port: Port::Nowhere,
            kind: FlowKind::Global(self.graph.globals.len() - 1),
            key: KeyInfo { shape: key.shape().clone(), format: key.format.clone() },
            value: shape,
            rekeyed: false,
            windows: None,
            personal_data,
            partitions: None,
        }
    }

    /// A stream that looks up a global table.
    pub(super) fn stream_global_join(
        &mut self,
        name: &str,
        join: &JoinSpec,
        inputs: Vec<JoinInput<'_>>,
        value: Option<&Template>,
        on_error: OnError,
    ) -> Flow {
        self.refuse_within(join);
        if let Some(grace) = &join.grace {
            let problem = Diagnostic::new(grace.span.clone(), "a global table is joined as it is: there is no `grace`");
            self.problems.report(problem.help("leave it out, or make it a `table` with `store: {versioned: ...}`"));
        }
        let kind = kind_of(join);
        if kind == JoinKind::Outer {
            let problem = Diagnostic::new(join.span.clone(), "a stream joins a global table as `inner` or `left`");
            self.problems
                .report(problem.help("only the stream's records trigger it, so the table's side cannot be outer"));
        }
        let nullable: Vec<bool> = (0..inputs.len()).map(|position| position > 0 && kind != JoinKind::Inner).collect();
        let table = match inputs.as_slice() {
            [stream, table] if stream.flow.kind == FlowKind::Stream => match table.flow.kind {
                FlowKind::Global(table) => Some(table),
                _ => None,
            },
            [stream, _] if stream.flow.is_unknown() => None,
            _ => {
                let message = "a global table is joined by one stream, the stream first";
                let problem = Diagnostic::new(join.span.clone(), message);
                self.problems.report(problem.help("define a stream for each join"));
                None
            }
        };
        let on = inputs.first().map(|stream| self.looked_up_key(join, stream));
        let projection = self.joined_value(&inputs, value, &nullable);
        let (Some(table), Some(Some(on)), Some(projection)) = (table, on, projection) else { return Flow::unknown() };
        let [stream, other] = inputs.as_slice() else { return Flow::unknown() };
        let place = join.on.as_ref().map_or(&join.span, |on| &on.0.label);
        let Some(key) = self.key_serializer(on.shape(), &other.flow.key.format, place) else { return Flow::unknown() };
        let shape = projection.shape().clone();
        let plan = GlobalJoin { kind, table, name: other.name.text.clone(), on, key, value: projection };
        let port = self.graph.node(format!("{name}/join"), Verb::StreamGlobalJoin(plan), on_error, &[stream.flow.port]);
        let personal_data = stream.flow.personal_data || other.flow.personal_data;
        Flow { port, value: shape, personal_data, ..stream.flow.clone() }
    }

    /// The key that is looked up: `on`, else the record's own.
    fn looked_up_key(&mut self, join: &JoinSpec, stream: &JoinInput<'_>) -> Option<Expression> {
        let scope = Scope::new()
            .with("key", Binding::Key, stream.flow.key.shape.clone())
            .with("timestamp", Binding::Timestamp, Shape::Timestamp)
            .with(&stream.alias.text, Binding::Local(0), stream.flow.value.clone());
        match &join.on {
            Some(on) => self.expression(&on.0, &scope),
            None => self.compile_part(&crate::yaml::Node::null(join.span.clone()), 0, "key", &scope),
        }
    }

    /// `on` says something about global tables, and under `tables`.
    pub(super) fn refuse_on(&mut self, join: &JoinSpec) {
        if let Some(on) = &join.on {
            let problem = Diagnostic::new(on.0.label.clone(), "`on` is for joins with a global table, and of tables");
            self.problems.report(problem.help("streams are joined by their keys; `select_key` makes new ones"));
        }
    }
}
