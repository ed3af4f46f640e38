//! Grouped tables: rows join and leave groups, and what is computed of a group is corrected.

use super::Planner;
use super::aggregates::Computed;
use super::expressions::record_scope;
use super::graph::{Flow, FlowKind, KeyInfo, Port};
use super::repartition::Repartitioning;
use super::shapes::difference;
use crate::expression::{Binding, Expression, Projection, Scope};
use crate::record::{Fields, Shape};
use crate::state::StoreKind;
use crate::topology::plan::{Aggregate, AggregateKind, Emit, Function, GroupBy, NEW, OLD, OnError, Verb};
use crate::topology::spec::scalars::{Formula, Template};
use crate::topology::spec::{EmitKind, Origins, TableSpec};
use crate::yaml::{Content, Diagnostic, Span};

/// What a record has beside key and value. It is that of the change, so that nothing that depends on it can be computed
/// again of the old row.
const OF_THE_CHANGE: [(&str, Binding); 5] = [
    ("timestamp", Binding::Timestamp),
    ("headers", Binding::Headers),
    ("topic", Binding::Topic),
    ("partition", Binding::Partition),
    ("offset", Binding::Offset),
];

impl Planner<'_> {
    /// A table made of a table: its rows, or what is computed of groups of them.
    pub(super) fn table_of_table(&mut self, name: &str, table: &TableSpec, flow: Flow, on_error: OnError) -> Flow {
        let aggregates = table.aggregate.is_some() || table.reduce.is_some() || table.fold.is_some();
        let changes = "or aggregate its changes: start the steps with `- to_stream`";
        match &table.group_by {
            Some(key) if aggregates => self.grouped(name, table, key, flow, on_error),
            Some(key) => {
                let problem = Diagnostic::new(key.0.place(), "the groups of a table need an aggregation");
                self.problems.report(problem.help("add `aggregate`, `reduce` or `fold`"));
                Flow::unknown()
            }
            None if aggregates => {
                let message = "a table is aggregated by groups of its rows, and `group_by` is missing";
                let problem = Diagnostic::new(table.span.clone(), message);
                self.problems.report(problem.help(format!("say what to group by, {changes}")));
                Flow::unknown()
            }
            None => {
                if let Some(value) = &table.group_value {
                    let problem = Diagnostic::new(value.0.label.clone(), "`group_value` needs `group_by`");
                    self.problems.report(problem.help("use `map_values` for the rows of a table without groups"));
                }
                flow
            }
        }
    }

    fn grouped(&mut self, name: &str, table: &TableSpec, key: &Formula, flow: Flow, on_error: OnError) -> Flow {
        if let Some(window) = &table.window {
            let problem = Diagnostic::new(window.span.clone(), "the groups of a table have no windows");
            self.problems.report(problem.help("aggregate its changes: start the steps with `- to_stream`"));
        }
        if let Some(EmitKind::Every(interval)) = table.emit.as_ref().map(|emit| &emit.kind) {
            let message = "the groups of a table are handed on as they change: there is no `every`";
            let problem = Diagnostic::new(interval.span.clone(), message);
            self.problems.report(problem.help("hold the changes back: `suppress: {until: 10s}`"));
        }
        let flow = self.with_exact_old_rows(name, table, flow, on_error);
        let scope = record_scope(&flow);
        let group = self.expression(&key.0, &scope);
        if let Some(group) = &group {
            self.forbid_the_change(|binding| uses(group, binding), &key.0.place());
        }
        let shape = group.as_ref().map_or(Shape::Any, |group| group.shape().clone());
        let group = group.and_then(|group| self.key_mapping(group, &key.0.place()));
        let value = table.group_value.as_ref().map(|value| self.template(value, &scope));
        if let (Some(Some(value)), Some(written)) = (&value, &table.group_value) {
            self.forbid_the_change(|binding| projection_uses(value, binding), &written.0.label);
        }
        let member = match &value {
            None => flow.value.required().clone(),
            Some(Some(value)) => value.shape().required().clone(),
            Some(None) => Shape::Any,
        };
        let of_group = Scope::new()
            .with("key", Binding::Key, shape.required().clone())
            .with("value", Binding::Value, member.clone())
            .with_record();
        let computed = self.of_group(table, &of_group, &member);
        if let Some(function) = &computed.function {
            self.forbid_the_change(|binding| function_uses(function, binding), &table.span);
        }
        let unknown = Flow { value: computed.result.clone(), ..Flow::unknown() };
        let (Some(key), Some(value)) = (group, value.map_or(Some(None), |value| value.map(Some))) else {
            return unknown;
        };
        if flow.is_unknown() || table.window.is_some() {
            return unknown;
        }
        let change = Shape::structure("change", [(NEW, member.clone().optional()), (OLD, member.optional())]);
        let Shape::Struct(fields) = &change else { return unknown };
        let info = KeyInfo { shape, format: key.format.clone() };
        let verb = Verb::GroupBy(GroupBy { key, value, change: fields.clone() });
        let port = self.graph.node(format!("{name}/group_by"), verb, on_error, &[flow.port]);
        let changes = Flow { port, kind: FlowKind::Stream, key: info, value: change, windows: None, ..flow };
        self.of_changes(name, table, changes, computed, on_error)
    }

    /// The aggregation of changes that have yet to travel to the tasks of their groups.
    fn of_changes(
        &mut self,
        name: &str,
        table: &TableSpec,
        changes: Flow,
        computed: Computed,
        on_error: OnError,
    ) -> Flow {
        let span = &table.span;
        let what = Repartitioning { name, owner: name, partitions: None, key: None, keeps_null_keys: false, span };
        let flow = self.repartition(changes, &what);
        let unknown = Flow { value: computed.result.clone(), ..Flow::unknown() };
        let store_name = self.store_name(name);
        let store = self.new_store(&store_name, computed.state, &flow.key.format, StoreKind::KeyValue, span);
        let Some(function) = computed.function else { return unknown };
        let Some(serde) = self.serde_of(&flow.key.format, span) else { return unknown };
        let verb = Verb::Aggregate(Aggregate {
            store,
            windows: None,
            index: None,
            emit: Emit::OnUpdate,
            pending: None,
            function,
            sends_old: false,
            changes: true,
            retention: 0,
            key: serde.deserializer(&Fields::All),
        });
        let port = self.graph.node(format!("{name}/aggregate"), verb, on_error, &[flow.port]);
        Flow { port, kind: FlowKind::Table(Some(store)), value: computed.result, ..flow }
    }

    /// Reports what of the change an expression uses that must be computed again of the old row.
    fn forbid_the_change(&mut self, uses: impl Fn(&Binding) -> bool, span: &Span) {
        for (name, _) in OF_THE_CHANGE.iter().filter(|(_, binding)| uses(binding)) {
            let message = format!("`{name}` is not known of the old row when a row of a grouped table changes");
            let help = "put it into the rows first: `map_values` of a table before this one";
            self.problems.report(Diagnostic::new(span.clone(), message).help(help));
        }
    }

    fn of_group(&mut self, table: &TableSpec, scope: &Scope, member: &Shape) -> Computed {
        if let Some(aggregates) = &table.aggregate {
            self.named(aggregates, scope, table, true)
        } else if let Some(reduce) = &table.reduce {
            self.reduce_group(reduce, scope, member)
        } else if let Some(fold) = &table.fold {
            if fold.subtract.is_none() {
                let problem = Diagnostic::new(fold.span.clone(), "the fold of a grouped table needs `subtract`");
                self.problems.report(problem.help("say what the state is without a row that left its group"));
            }
            if let Some(merge) = &fold.merge {
                let problem = Diagnostic::new(merge.0.label.clone(), "`merge` is for session windows");
                self.problems.report(problem.help("the groups of a table have no windows; leave it out"));
            }
            if let Some(call) = &fold.call {
                let message = "the fold of a grouped table cannot ask an agent";
                let help = "its answer could not be taken back when a row leaves; aggregate the table's changes";
                self.problems.report(Diagnostic::new(call.span.clone(), message).help(help));
            }
            self.fold(fold, scope)
        } else {
            Computed::unknown()
        }
    }

    /// `reduce: {add, subtract}`.
    fn reduce_group(&mut self, reduce: &Template, scope: &Scope, member: &Shape) -> Computed {
        let entries = match &reduce.0.content {
            Content::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        let part = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node.clone());
        let (Some(add), Some(subtract), 2) = (part("add"), part("subtract"), entries.len()) else {
            let problem = Diagnostic::new(reduce.0.place(), "the `reduce` of a grouped table has `add` and `subtract`");
            self.problems.report(problem.help("write `reduce: {add: acc + value, subtract: acc - value}`"));
            return Computed::unknown();
        };
        let scope = scope.clone().with("acc", Binding::Local(0), member.clone());
        let (add, subtract) = (self.template(&Template(add), &scope), self.template(&Template(subtract), &scope));
        let (Some(add), Some(subtract)) = (add, subtract) else { return Computed::unknown() };
        // The first row is the first state; a state of null deletes the group.
        for (part, given) in [("add", add.shape()), ("subtract", subtract.shape())] {
            if member.unify(given.required()).as_ref() != Some(member) && *given != Shape::Null {
                let message = format!("`{part}` must give what it takes: {}", difference(member, given));
                let problem = Diagnostic::new(reduce.0.place(), message);
                self.problems.report(problem.help("use `fold` for a state of another shape"));
                return Computed::unknown();
            }
        }
        let function = Function::Reduce { expression: add, subtract: Some(subtract) };
        Computed { function: Some(function), state: member.clone(), result: member.clone() }
    }

    /// A table that tells its old rows as they were when they were new. Rows that are computed when they are asked for
    /// do if they depend on the row before alone; others are kept in a store.
    fn with_exact_old_rows(&mut self, name: &str, table: &TableSpec, flow: Flow, on_error: OnError) -> Flow {
        if flow.is_unknown() || self.tells_old_rows(flow.port) {
            return flow;
        }
        if flow.windows.is_some() {
            let message = "rows that depend on more than key and value of a windowed table cannot be grouped";
            let problem = Diagnostic::new(table.span.clone(), message);
            let help =
                "leave `timestamp`, `headers`, `topic`, `partition` and `offset` out of its `map_values` and filters";
            self.problems.report(problem.help(help));
            return Flow { kind: FlowKind::Unknown, ..flow };
        }
        match (table.from.as_ref().and_then(Origins::single), table.steps.as_deref().unwrap_or_default()) {
            (Some(from), []) => {
                let flow = self.rows_of(&from.text, flow, on_error, &table.span);
                self.names.built(&from.text, flow.clone());
                flow
            }
            _ => {
                let store = format!("{}-rows", self.store_name(name));
                self.materialize(flow, name, &store, on_error, &table.span)
            }
        }
    }

    /// Whether what comes out of a port tells old rows as they were.
    fn tells_old_rows(&self, port: Port) -> bool {
        let Port::Node(mut index, _) = port else { return false };
        loop {
            let repeats = match self.graph.nodes.get(index).map(|node| &node.verb) {
                Some(Verb::ToTable { .. } | Verb::VersionedTable { .. } | Verb::Aggregate(_)) => return true,
                Some(Verb::Filter { condition, table: true, .. }) => repeats(|binding| uses(condition, binding)),
                Some(Verb::Map { key: None, value: Some(value), table: true }) => {
                    repeats(|binding| projection_uses(value, binding))
                }
                _ => false,
            };
            match self.graph.before(index) {
                Some(before) if repeats => index = before,
                _ => return false,
            }
        }
    }
}

/// Whether an expression gives the same for an old row as it did when the row was new.
fn repeats(uses: impl Fn(&Binding) -> bool) -> bool {
    !OF_THE_CHANGE.iter().any(|(_, binding)| uses(binding))
}

fn function_uses(function: &Function, binding: &Binding) -> bool {
    let any = |projections: &[Option<&Projection>]| {
        projections.iter().flatten().any(|projection| projection_uses(projection, binding))
    };
    match function {
        Function::Named { aggregates, .. } => {
            let mut arguments = aggregates.iter().filter_map(|aggregate| aggregate.argument.as_ref());
            arguments.any(|argument| uses(argument, binding))
        }
        // Cogroups are of streams.
        Function::Cogroup(_) => false,
        Function::Reduce { expression, subtract } => any(&[Some(expression), subtract.as_ref()]),
        Function::Fold { init, add, subtract, result, .. } => {
            any(&[Some(init), Some(add), subtract.as_ref(), result.as_ref()])
        }
    }
}

fn uses(expression: &Expression, binding: &Binding) -> bool {
    expression.uses(binding).is_some()
}

fn projection_uses(projection: &Projection, binding: &Binding) -> bool {
    projection.uses(binding).is_some()
}

/// Whether an aggregate can be corrected when a row leaves its group.
pub(super) fn is_subtractable(kind: AggregateKind) -> bool {
    matches!(
        kind,
        AggregateKind::Count | AggregateKind::CountIf | AggregateKind::Sum | AggregateKind::Avg | AggregateKind::Stddev
    )
}
