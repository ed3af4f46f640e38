//! Tables: aggregates, the last values of streams, joins, and tables derived from tables.

use super::Planner;
use super::graph::{Flow, FlowKind};
use super::repartition::Repartitioning;
use super::steps::Place;
use crate::topology::plan::OnError;
use crate::topology::spec::{EmitKind, Name, Origins, Step, TableSpec, WindowKind};
use crate::yaml::Span;
use crate::yaml::{Diagnostic, list};

/// Whether it is made of a table's changes.
fn starts_with_changes(table: &TableSpec) -> bool {
    let first = table.steps.iter().flatten().next();
    first.is_some_and(|step| matches!(step.step, Step::ToStream(_)))
}

impl Planner<'_> {
    /// Whether a name is a table's.
    fn is_table(&self, name: &Name) -> bool {
        self.names.get(&name.text).and_then(|entity| entity.flow.as_ref()).is_some_and(Flow::is_table)
    }

    /// Builds a table.
    pub(super) fn table(&mut self, name: &str, table: &TableSpec) -> Flow {
        let on_error = self.process_policy(table.on_error.as_ref(), "a table");
        self.check_combination(name, table);
        let mut flow = match (&table.join, &table.from) {
            (Some(join), _) => self.table_join(name, join, table.map_values.as_ref(), on_error),
            (None, Some(from)) => {
                let read = match from.single() {
                    Some(from) => self.names.read(from, self.problems),
                    None => {
                        let (node, span) = (format!("{name}/merge"), &table.span);
                        self.merge(None, &from.0, &Place { owner: name, node, span, on_error, last: false })
                    }
                };
                let steps = table.steps.as_deref().unwrap_or_default();
                let changes = matches!(steps.first().map(|step| &step.step), Some(Step::ToStream(_)));
                let made_of_table = read.is_table() && !changes;
                let flow = self.steps(name, steps, read, on_error);
                if made_of_table {
                    self.table_of_table(name, table, flow, on_error)
                } else {
                    self.table_of_stream(name, table, flow, on_error)
                }
            }
            (None, None) => match &table.cogroup {
                Some(cogroup) => self.cogroup(name, table, cogroup, on_error),
                None => Flow::unknown(),
            },
        };
        let place =
            |node: &str| Place { owner: name, node: format!("{name}/{node}"), span: &table.span, on_error, last: true };
        if let (Some(map), None) = (&table.map_values, &table.join) {
            flow = self.map_values(flow, map, &place("map_values"));
        }
        if let Some(condition) = &table.filter {
            flow = self.filter(flow, condition, false, &place("filter"));
        }
        if let Some(condition) = &table.filter_not {
            flow = self.filter(flow, condition, true, &place("filter_not"));
        }
        if let Some(suppress) = &table.suppress {
            flow = self.suppress(flow, suppress, &place("suppress"));
        }
        match flow.kind {
            FlowKind::Table(None) if table.store.is_some() && flow.windows.is_none() => {
                self.rows_of(name, flow, on_error, &table.span)
            }
            FlowKind::Stream => Flow::unknown(),
            _ => flow,
        }
    }

    /// Puts the rows of a table that has none stored into a store. Its name is the table's, unless an
    /// aggregation's state has that already.
    pub(super) fn rows_of(&mut self, name: &str, flow: Flow, on_error: OnError, span: &Span) -> Flow {
        let own = self.store_name(name);
        let taken = self.graph.stores.iter().any(|store| store.spec.name == own);
        let store = if taken { format!("{own}-rows") } else { own };
        self.materialize(flow, name, &store, on_error, span)
    }

    /// The name of a table's store: the one it is given, else its own.
    pub(super) fn store_name(&self, name: &str) -> String {
        let table = self.spec.tables.iter().flat_map(|tables| tables.iter()).find(|(own, _)| own.text == name);
        let given = table.and_then(|(_, table)| table.store.as_ref()?.name.as_ref());
        given.map_or_else(|| name.to_owned(), |given| given.text.clone())
    }

    /// Reports fields that make no sense together.
    fn check_combination(&mut self, name: &str, table: &TableSpec) {
        let functions = [
            ("aggregate", table.aggregate.is_some()),
            ("reduce", table.reduce.is_some()),
            ("fold", table.fold.is_some()),
            ("to_table", table.to_table.is_some()),
            ("join", table.join.is_some()),
            ("cogroup", table.cogroup.is_some()),
        ];
        let given: Vec<&str> = functions.iter().filter(|(_, given)| *given).map(|(field, _)| *field).collect();
        if given.len() > 1 {
            let message = format!("the table `{name}` is made in {} ways: {}", given.len(), list(&given));
            self.problems.report(Diagnostic::new(table.span.clone(), message).help("define a table for each"));
        }
        if table.join.is_none() && table.from.is_none() && table.cogroup.is_none() {
            let problem = Diagnostic::new(table.span.clone(), format!("the table `{name}` is made from nothing"));
            self.problems.report(problem.help("give it `from`, `join` or `cogroup`"));
        }
        if table.join.is_some() {
            let others = [
                ("from", table.from.is_some()),
                ("steps", table.steps.is_some()),
                ("group_by", table.group_by.is_some()),
                ("group_value", table.group_value.is_some()),
                ("window", table.window.is_some()),
            ];
            for (field, _) in others.iter().filter(|(_, given)| *given) {
                let problem = Diagnostic::new(table.span.clone(), format!("a join of tables has no `{field}`"));
                self.problems.report(problem.help("define another table or stream for it"));
            }
        }
        if table.cogroup.is_some() {
            let others = [
                ("from", table.from.is_some()),
                ("steps", table.steps.is_some()),
                ("group_by", table.group_by.is_some()),
                ("group_value", table.group_value.is_some()),
            ];
            for (field, _) in others.iter().filter(|(_, given)| *given) {
                let problem = Diagnostic::new(table.span.clone(), format!("a table with `cogroup` has no `{field}`"));
                self.problems.report(problem.help("each of its `inputs` has its own"));
            }
        }
        let aggregates =
            table.aggregate.is_some() || table.reduce.is_some() || table.fold.is_some() || table.cogroup.is_some();
        if !aggregates && let Some(window) = &table.window {
            let problem = Diagnostic::new(window.span.clone(), "a window needs an aggregation");
            self.problems.report(problem.help("add `aggregate`, `reduce`, `fold` or `cogroup`"));
        }
        self.check_emission(table, aggregates);
        let computed = given.iter().any(|field| *field != "to_table") || table.group_by.is_some() && aggregates;
        self.check_versions(table, computed);
        if let Some(grace) = table.join.as_ref().and_then(|join| join.grace.as_ref()) {
            let problem = Diagnostic::new(grace.span.clone(), "tables are joined as they are: there is no `grace`");
            self.problems.report(problem.help("leave it out"));
        }
        if let Some(retention) = table.store.as_ref().and_then(|store| store.retention.as_ref())
            && table.window.is_none()
        {
            let problem = Diagnostic::new(retention.span.clone(), "`retention` is for the stores of windowed tables");
            self.problems.report(problem.help("rows of other tables are kept until they are deleted"));
        }
    }

    /// Reports changes handed on at times that never come.
    fn check_emission(&mut self, table: &TableSpec, aggregates: bool) {
        if let Some(EmitKind::Every(interval)) = table.emit.as_ref().map(|emit| &emit.kind) {
            if !aggregates {
                let problem = Diagnostic::new(interval.span.clone(), "`emit: {every: …}` is for aggregations");
                self.problems.report(problem.help("add `aggregate`, `reduce` or `fold`, or leave it out"));
            }
            if interval.value <= 0 {
                self.problems.report(Diagnostic::new(interval.span.clone(), "the interval must be longer than zero"));
            }
        }
        if let Some(emit) = table.emit.as_ref().filter(|emit| emit.is_on_close())
            && table.window.is_none()
        {
            let problem =
                Diagnostic::new(emit.span.clone(), "`emit: on_close` needs a window: nothing else ever closes");
            self.problems.report(problem.help("add a `window`, or write `on_update`"));
        }
        if let Some(emit) = table.emit.as_ref().filter(|emit| emit.is_on_close())
            && table.window.as_ref().is_some_and(|window| matches!(window.kind, WindowKind::Unlimited(_)))
        {
            let problem = Diagnostic::new(emit.span.clone(), "an unlimited window never closes");
            self.problems.report(problem.help("write `on_update`, or use windows that end"));
        }
    }

    /// Reports versions of a table that is computed, or made of a table.
    fn check_versions(&mut self, table: &TableSpec, computed: bool) {
        if let Some(versioned) = table.store.as_ref().and_then(|store| store.versioned.as_ref())
            && (computed
                || table
                    .from
                    .as_ref()
                    .and_then(Origins::single)
                    .is_some_and(|from| self.is_table(from) && !starts_with_changes(table)))
        {
            let message = "versions are kept of tables that are the last values of a stream, and of sources";
            let help = "make a stream of this one's changes, and a table with `versioned` of that";
            self.problems.report(Diagnostic::new(versioned.span.clone(), message).help(help));
        }
    }

    fn table_of_stream(&mut self, name: &str, table: &TableSpec, flow: Flow, on_error: OnError) -> Flow {
        let span = &table.span;
        let mut flow = flow;
        if let Some(value) = &table.group_value {
            let problem = Diagnostic::new(value.0.label.clone(), "`group_value` is for grouped tables");
            self.problems.report(problem.help("make it a step: `- map_values: ...`"));
        }
        if let Some(key) = &table.group_by {
            let node = format!("{name}/group_by");
            flow = self.select_key(flow, key, &Place { owner: name, node, span, on_error, last: false });
        }
        if flow.windows.is_some() {
            let problem = Diagnostic::new(
                span.clone(),
                "the keys of this stream have windows, and a table of it would mix them up",
            );
            self.problems.report(problem.help("say what to group by, such as `group_by: key`"));
            return Flow::unknown();
        }
        if flow.rekeyed {
            let what = Repartitioning { name, owner: name, partitions: None, key: None, keeps_null_keys: false, span };
            flow = self.repartition(flow, &what);
        }
        if table.aggregate.is_some() || table.reduce.is_some() || table.fold.is_some() {
            return self.aggregation(name, table, flow, &[], on_error);
        }
        if table.window.is_some() || flow.is_unknown() {
            return Flow::unknown();
        }
        let store = self.store_name(name);
        let versioned = table.store.as_ref().and_then(|store| store.versioned.as_ref());
        self.materialize_versions(flow, name, &store, versioned, on_error, span)
    }
}
