//! Tables that keep the versions of their rows, and streams that look them up.

use super::Planner;
use super::graph::{Flow, FlowKind, Port};
use crate::expression::Projection;
use crate::record::{Fields, Shape};
use crate::serdes::Format;
use crate::state::{StoreKind, Versions};
use crate::topology::plan::{JoinKind, OnError, StoreId, Verb, VersionedJoin};
use crate::topology::spec::JoinSpec;
use crate::topology::spec::scalars::Millis;
use crate::yaml::{Diagnostic, Span};

impl Planner<'_> {
    /// Keeps the last values of a stream, with the versions before them if `versioned` says for how long.
    pub(super) fn materialize_versions(
        &mut self,
        flow: Flow,
        owner: &str,
        store: &str,
        versioned: Option<&Millis>,
        on_error: OnError,
        span: &Span,
    ) -> Flow {
        let Some(versioned) = versioned else { return self.materialize(flow, owner, store, on_error, span) };
        if versioned.value <= 0 {
            let problem = Diagnostic::new(versioned.span.clone(), "versions must be kept for longer than zero");
            self.problems.report(problem.help("say how far back in time the table is looked up"));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        if flow.is_unknown() || flow.windows.is_some() {
            return self.materialize(flow, owner, store, on_error, span);
        }
        let retention = versioned.value;
        let latest = self.new_store(store, flow.value.clone(), &flow.key.format, StoreKind::KeyValue, span);
        let history = format!("{store}-history");
        // The keys there are followed by a time.
        let kind = StoreKind::Window { retention };
        let history = self.new_store(&history, flow.value.clone().optional(), &Format::Bytes, kind, span);
        let verb = Verb::VersionedTable { versions: Versions { latest, history, retention }, sends_old: false };
        let port = self.graph.node(format!("{owner}/to_table"), verb, on_error, &[flow.port]);
        Flow { port, kind: FlowKind::Table(Some(latest)), ..flow }
    }

    /// Whether what comes out of a port are the rows of a versioned table, filtered or mapped at the most.
    pub(super) fn is_versioned(&self, port: Port) -> bool {
        let Port::Node(mut index, _) = port else { return false };
        loop {
            match self.graph.nodes.get(index).map(|node| &node.verb) {
                Some(Verb::VersionedTable { .. }) => return true,
                Some(Verb::Filter { table: true, .. } | Verb::Map { table: true, .. }) => {}
                _ => return false,
            }
            match self.graph.before(index) {
                Some(before) => index = before,
                None => return false,
            }
        }
    }

    /// The versions of the table that has its rows in a store, if it keeps them.
    fn versions_of(&self, store: StoreId) -> Option<Versions> {
        self.graph.nodes.iter().find_map(|node| match &node.verb {
            Verb::VersionedTable { versions, .. } if versions.latest == store => Some(*versions),
            _ => None,
        })
    }

    /// The node of a stream that looks up a table.
    pub(super) fn lookup(
        &mut self,
        name: &str,
        join: &JoinSpec,
        kind: JoinKind,
        stream: &Flow,
        table: StoreId,
        value: Projection,
    ) -> Verb {
        let versions = self.versions_of(table);
        let grace = join.grace.as_ref().filter(|grace| self.check_grace(grace, versions));
        let Some(versions) = versions else { return Verb::StreamTableJoin { kind, table, value } };
        let text = Shape::list(Shape::Any);
        let shape = Shape::structure(
            "",
            [
                ("value", stream.value.clone()),
                ("headers", Shape::list(text)),
                ("topic", Shape::String),
                ("partition", Shape::Int),
                ("offset", Shape::Int),
            ],
        );
        let plain = Verb::StreamTableJoin { kind, table, value: value.clone() };
        let Some(serde) = self.serde_of(&stream.key.format, &join.span) else { return plain };
        let Shape::Struct(waiting) = &shape else { return plain };
        let waiting = waiting.clone();
        let wait = grace.map(|grace| {
            let kind = StoreKind::Window { retention: grace.value };
            let store = self.new_store(&format!("{name}-waiting"), shape, &Format::Bytes, kind, &join.span);
            (store, grace.value)
        });
        let key = serde.deserializer(&Fields::All);
        Verb::StreamVersionedJoin(VersionedJoin { kind, versions, value, wait, waiting, key })
    }

    fn check_grace(&mut self, grace: &Millis, versions: Option<Versions>) -> bool {
        let problem = match versions {
            None => Some(("`grace` needs a versioned table: another knows its rows as they are now alone", {
                "give the table a `store: {versioned: ...}`".to_owned()
            })),
            Some(_) if grace.value < 0 => Some(("`grace` cannot be negative", "write 0s to join at once".to_owned())),
            Some(versions) if grace.value > versions.retention => Some((
                "records would wait for longer than the table keeps its versions",
                format!("write {} or less", crate::time::format_duration(versions.retention)),
            )),
            Some(_) => None,
        };
        if let Some((message, help)) = &problem {
            self.problems.report(Diagnostic::new(grace.span.clone(), *message).help(help.clone()));
        }
        problem.is_none()
    }
}
