//! Joins: a stream that looks up a table, and tables joined by their common key.

use super::Planner;
use super::graph::{Flow, FlowKind, KeyInfo, Port};
use super::repartition::Repartitioning;
use crate::expression::{Binding, Projection, Scope};
use crate::record::Shape;
use crate::topology::plan::{Function, JoinKind, OnError, StoreId, Verb};
use crate::topology::spec::scalars::Template;
use crate::topology::spec::{JoinKindSpec, JoinSpec, Name};
use crate::yaml::Diagnostic;

/// An input of a join.
pub(super) struct JoinInput<'s> {
    pub(super) alias: &'s Name,
    pub(super) name: &'s Name,
    pub(super) flow: Flow,
}

impl Planner<'_> {
    /// Reads the inputs of a join. `None`: there are not enough of them, which has been reported.
    pub(super) fn inputs<'s>(&mut self, join: &'s JoinSpec) -> Option<Vec<JoinInput<'s>>> {
        let mut inputs: Vec<JoinInput<'s>> = Vec::new();
        for (alias, name) in join.inputs.iter() {
            let flow = self.names.read_input(name, self.problems);
            // A stream may: its records lie apart in time. Rows of a table may name others of it.
            let itself = flow.kind != FlowKind::Stream && join.on.is_none();
            if let Some(other) = inputs.iter().find(|other| itself && other.name.text == name.text) {
                let message = format!("`{}` is joined with itself", name.text);
                let problem = Diagnostic::new(name.span.clone(), message);
                self.problems.report(problem.help(format!("use the alias `{}` for both", other.alias.text)));
                continue;
            }
            let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if matches!(alias.text.as_str(), "key" | "value" | "timestamp") || !alias.text.chars().all(identifier) {
                let message = format!("`{}` cannot be an alias", alias.text);
                let problem = Diagnostic::new(alias.span.clone(), message);
                self.problems.report(
                    problem.help(
                        "expressions use it as a name: letters, digits and `_`, not `key`, `value` or `timestamp`",
                    ),
                );
            }
            inputs.push(JoinInput { alias, name, flow });
        }
        if join.inputs.0.len() < 2 {
            self.problems.report(Diagnostic::new(join.span.clone(), "a join needs at least two inputs"));
            return None;
        }
        (inputs.len() == join.inputs.0.len()).then_some(inputs)
    }

    /// A stream that looks up a table by its key.
    pub(super) fn stream_table_join(
        &mut self,
        name: &str,
        join: &JoinSpec,
        mut inputs: Vec<JoinInput<'_>>,
        value: Option<&Template>,
        on_error: OnError,
    ) -> Flow {
        let kind = kind_of(join);
        if kind == JoinKind::Outer {
            let problem = Diagnostic::new(join.span.clone(), "a stream joins a table as `inner` or `left`");
            self.problems
                .report(problem.help("only the stream's records trigger it, so the table's side cannot be outer"));
        }
        if !self.is_stream_and_table(&inputs, join) {
            return self.joined_unknown(&inputs, value, &[false, kind == JoinKind::Left]);
        }
        let (Some(mut table), Some(stream)) = (inputs.pop(), inputs.pop()) else { return Flow::unknown() };
        if stream.flow.is_unknown() || table.flow.is_unknown() {
            return self.joined_unknown(&[stream, table], value, &[false, kind == JoinKind::Left]);
        }
        let mut flow = stream.flow.clone();
        if flow.rekeyed {
            let what = Repartitioning {
                name,
                owner: name,
                partitions: None,
                key: Some(table.flow.key.format.clone()),
                keeps_null_keys: kind == JoinKind::Left,
                span: &stream.name.span,
            };
            flow = self.repartition(flow, &what);
        }
        self.check_windows(&table);
        table.flow = self.with_store(&table, on_error);
        let stream = JoinInput { flow: flow.clone(), ..stream };
        let inputs = [stream, table];
        self.check_keys(&inputs);
        let projection = self.joined_value(&inputs, value, &[false, kind == JoinKind::Left]);
        let shape = projection.as_ref().map_or(Shape::Any, |projection| projection.shape().clone());
        let [_, table] = inputs;
        if let (Some(value), FlowKind::Table(Some(store))) = (projection, table.flow.kind) {
            let verb = self.lookup(name, join, kind, &flow, store, value);
            flow.port = self.graph.node(format!("{name}/join"), verb, on_error, &[flow.port]);
        }
        flow.personal_data |= table.flow.personal_data;
        Flow { value: shape, ..flow }
    }

    /// Whether the inputs are a stream and a table; other combinations are refused by what they are.
    fn is_stream_and_table(&mut self, inputs: &[JoinInput<'_>], join: &JoinSpec) -> bool {
        let streams = inputs.iter().filter(|input| input.flow.kind == FlowKind::Stream).count();
        let tables = inputs.iter().filter(|input| input.flow.is_table()).count();
        let (message, help) = match (inputs, streams, tables) {
            (_, 0, 2..) => ("only tables are joined here", "define the join under `tables`"),
            ([first, _], 1, 1) if first.flow.is_table() => {
                ("the first input of a join in `streams` is the stream, the second the table", "swap them")
            }
            ([_, _], ..) => return true,
            _ => ("a stream joins one table at a time", "define a stream for each join"),
        };
        self.problems.report(Diagnostic::new(join.span.clone(), message).help(help));
        false
    }

    /// Tables joined by their common key.
    pub(super) fn table_join(
        &mut self,
        name: &str,
        join: &JoinSpec,
        value: Option<&Template>,
        on_error: OnError,
    ) -> Flow {
        let kind = kind_of(join);
        self.refuse_within(join);
        if let Some(on) = &join.on {
            return self.foreign_key_join(name, join, on, value, on_error);
        }
        let Some(mut inputs) = self.inputs(join) else { return Flow::unknown() };
        let nullable: Vec<bool> = (0..inputs.len())
            .map(|position| match kind {
                JoinKind::Inner => false,
                JoinKind::Left => position > 0,
                JoinKind::Outer => true,
            })
            .collect();
        self.stored_tables(&mut inputs, on_error);
        self.check_keys(&inputs);
        let stores: Option<Vec<StoreId>> = inputs
            .iter()
            .map(|input| match input.flow.kind {
                FlowKind::Table(store) => store,
                _ => None,
            })
            .collect();
        let Some(stores) = stores else { return self.joined_unknown(&inputs, value, &nullable) };
        let projection = self.joined_value(&inputs, value, &nullable);
        let shape = projection.as_ref().map_or(Shape::Any, |projection| projection.shape().clone());
        let key = inputs.iter().map(|input| input.flow.key.clone()).reduce(|all, key| KeyInfo {
            shape: all.shape.unify(&key.shape).unwrap_or(Shape::Any),
            format: all.format,
        });
        let (Some(key), Some(value)) = (key, projection) else { return Flow { value: shape, ..Flow::unknown() } };
        let ports: Vec<_> = inputs.iter().map(|input| input.flow.port).collect();
        let verb = Verb::TableTableJoin { kind, stores, value, sends_old: false };
        Flow {
            port: self.graph.node(format!("{name}/join"), verb, on_error, &ports),
            kind: FlowKind::Table(None),
            key,
            value: shape,
            rekeyed: false,
            windows: None,
            personal_data: inputs.iter().any(|input| input.flow.personal_data),
            partitions: inputs.iter().find_map(|input| input.flow.partitions.clone()),
        }
    }

    /// Sees to it that the rows of all inputs can be looked up. What is no table is refused.
    pub(super) fn stored_tables(&mut self, inputs: &mut [JoinInput<'_>], on_error: OnError) {
        for position in 0..inputs.len() {
            let (before, rest) = inputs.split_at_mut(position);
            let Some(input) = rest.first_mut() else { continue };
            if let Some(same) = before.iter().find(|other| other.name.text == input.name.text) {
                input.flow = same.flow.clone();
                continue;
            }
            let refused = match input.flow.kind {
                FlowKind::Stream => Some(("stream", "make a table of it, or define the join under `streams`")),
                FlowKind::Global(_) => Some(("global table", "make it a `table`, or join a stream with it")),
                _ => None,
            };
            if let Some((what, help)) = refused {
                let message = format!("`{}` is a {what}; a join under `tables` joins tables", input.name.text);
                self.problems.report(Diagnostic::new(input.name.span.clone(), message).help(help));
                input.flow = Flow { kind: FlowKind::Unknown, ..input.flow.clone() };
                continue;
            }
            self.check_windows(input);
            input.flow = self.with_store(input, on_error);
        }
    }

    fn check_windows(&mut self, input: &JoinInput<'_>) {
        if input.flow.windows.is_some() {
            let message = format!("`{}` is windowed; joining windowed tables is not supported yet", input.name.text);
            self.problems.report(Diagnostic::new(input.name.span.clone(), message));
        }
    }

    /// Whether a store of an aggregation holds states that are not its rows, such as sum and count of a mean.
    fn holds_states(&self, port: Port) -> bool {
        let Port::Node(node, _) = port else { return false };
        match self.graph.nodes.get(node).map(|node| &node.verb) {
            Some(Verb::Aggregate(aggregate)) => match &aggregate.function {
                Function::Named { state, result, .. } => state != result,
                Function::Reduce { .. } => false,
                Function::Fold { result, .. } => result.is_some(),
                Function::Cogroup(cogroup) => cogroup.result.is_some(),
            },
            _ => false,
        }
    }

    /// A table whose rows can be looked up. One that has none stored gets a store, which later readers share.
    fn with_store(&mut self, input: &JoinInput<'_>, on_error: OnError) -> Flow {
        match input.flow.kind {
            FlowKind::Table(store)
                if input.flow.windows.is_none() && (store.is_none() || self.holds_states(input.flow.port)) =>
            {
                let flow = self.rows_of(&input.name.text, input.flow.clone(), on_error, &input.name.span);
                self.names.built(&input.name.text, flow.clone());
                flow
            }
            _ => input.flow.clone(),
        }
    }

    /// Rows meet only where keys are written alike and topics have as many partitions.
    pub(super) fn check_keys(&mut self, inputs: &[JoinInput<'_>]) {
        let known: Vec<&JoinInput<'_>> = inputs.iter().filter(|input| !input.flow.is_unknown()).collect();
        let Some((first, others)) = known.split_first() else { return };
        for other in others {
            if other.flow.key.format != first.flow.key.format {
                let (a, b) = (&first.flow.key.format, &other.flow.key.format);
                let message = format!("the keys of `{}` are {b}, those of `{}` {a}", other.name.text, first.name.text);
                let help = "joined inputs have keys of one format; `select_key` makes new ones";
                self.problems.report(Diagnostic::new(other.name.span.clone(), message).help(help));
            }
            if let (Some((topic, count)), Some((first_topic, first_count))) =
                (&other.flow.partitions, &first.flow.partitions)
                && count != first_count
            {
                let message = format!(
                    "topic `{topic}` of `{}` has partitions: {count}, and topic `{first_topic}` of `{}` has {first_count}; records of one key would not meet",
                    other.name.text, first.name.text
                );
                let help = format!(
                    "give both topics as many in `topics`, or put `- repartition: {{partitions: {first_count}}}` before"
                );
                self.problems.report(Diagnostic::new(other.name.span.clone(), message).help(help));
            }
        }
    }

    /// The value of a joined record or row.
    pub(super) fn joined_value(
        &mut self,
        inputs: &[JoinInput<'_>],
        value: Option<&Template>,
        nullable: &[bool],
    ) -> Option<Projection> {
        let key = inputs.first().map_or(Shape::Any, |input| input.flow.key.shape.clone());
        let mut scope =
            Scope::new().with("key", Binding::Key, key).with("timestamp", Binding::Timestamp, Shape::Timestamp);
        for (position, (input, nullable)) in inputs.iter().zip(nullable).enumerate() {
            let shape = input.flow.value.clone();
            let shape = if *nullable { shape.optional() } else { shape };
            scope = scope.with(&input.alias.text, Binding::Local(position), shape);
        }
        if let Some(value) = value {
            return self.template(value, &scope);
        }
        let parts: Option<Vec<_>> = inputs
            .iter()
            .map(|input| {
                let part = self.compile_part(
                    &crate::yaml::Node::null(input.alias.span.clone()),
                    0,
                    &input.alias.text,
                    &scope,
                )?;
                Some((input.alias.text.as_str(), Projection::Expression(part)))
            })
            .collect();
        parts.map(Projection::structure)
    }

    /// Checks the value of a join whose inputs have mistakes.
    pub(super) fn joined_unknown(
        &mut self,
        inputs: &[JoinInput<'_>],
        value: Option<&Template>,
        nullable: &[bool],
    ) -> Flow {
        let value = self.joined_value(inputs, value, nullable);
        Flow { value: value.map_or(Shape::Any, |value| value.shape().clone()), ..Flow::unknown() }
    }
}

pub(super) fn kind_of(join: &JoinSpec) -> JoinKind {
    match join.kind {
        None | Some(JoinKindSpec::Inner) => JoinKind::Inner,
        Some(JoinKindSpec::Left) => JoinKind::Left,
        Some(JoinKindSpec::Outer) => JoinKind::Outer,
    }
}
