//! The steps of a stream, each a node.

use super::Planner;
use super::expressions::record_scope;
use super::graph::{Flow, FlowKind, KeyInfo, Port};
use super::repartition::{Repartitioning, key_format};
use super::shapes::misfits;
use crate::expression::Binding;
use crate::record::Shape;
use crate::topology::plan::{KeyMapping, OnError, Verb};
use crate::topology::spec::scalars::{Formula, Message, Template};
use crate::topology::spec::{BranchSpec, CallSpec, MapSpec, Name, Step, StepSpec};
use crate::yaml::Span;
use crate::yaml::{Diagnostic, suggest};

/// Where a step stands.
pub(super) struct Place<'p> {
    /// The stream or table.
    pub(super) owner: &'p str,
    /// The name of the node.
    pub(super) node: String,
    /// The verb in the file.
    pub(super) span: &'p Span,
    /// What to do with a record on which it fails.
    pub(super) on_error: OnError,
    /// Whether nothing follows.
    pub(super) last: bool,
}

impl Planner<'_> {
    /// Applies the steps of a stream or table, in order.
    pub(super) fn steps(&mut self, owner: &str, steps: &[StepSpec], mut flow: Flow, on_error: OnError) -> Flow {
        for (index, step) in steps.iter().enumerate() {
            let node = format!("{owner}/{}-{}", step.step.verb(), index + 1);
            let place = Place { owner, node, span: &step.span, on_error, last: index + 1 == steps.len() };
            if flow.is_table() && !self.works_on_tables(step, index, &place) {
                return Flow::unknown();
            }
            flow = self.step(flow, &step.step, index, &place);
        }
        flow
    }

    fn works_on_tables(&mut self, step: &StepSpec, index: usize, place: &Place<'_>) -> bool {
        match step.step {
            Step::Filter(_) | Step::FilterNot(_) | Step::MapValues(_) | Step::ToTable(_) => true,
            Step::ToStream(_) if index == 0 => true,
            Step::ToStream(_) => {
                let problem = Diagnostic::new(place.span.clone(), "`to_stream` must be the first step");
                self.problems.report(problem.help("put it first, or define a stream: `from` this table"));
                false
            }
            _ => {
                let message = format!("`{}` works on streams, and this is a table", step.step.verb());
                let help = "make a stream of its changes first: `- to_stream`";
                self.problems.report(Diagnostic::new(place.span.clone(), message).help(help));
                false
            }
        }
    }

    fn step(&mut self, flow: Flow, step: &Step, index: usize, place: &Place<'_>) -> Flow {
        match step {
            Step::Filter(condition) => self.filter(flow, condition, false, place),
            Step::FilterNot(condition) => self.filter(flow, condition, true, place),
            Step::Map(map) => self.map(flow, map, place),
            Step::MapValues(value) => self.map_values(flow, value, place),
            Step::FlatMap(items) => self.flat_map(flow, items, place),
            Step::FlatMapValues(items) => self.flat_map_values(flow, items, place),
            Step::SelectKey(key) => self.select_key(flow, key, place),
            Step::Peek(message) => self.peek(flow, message, place),
            Step::SetHeaders(headers) => self.set_headers(flow, headers, place),
            Step::Merge(names) => self.merge(Some(flow), names, place),
            Step::Branch(branches) => self.branch(flow, branches, place),
            Step::Repartition(spec) => {
                let name = spec.name.as_ref().map_or(place.owner, |name| name.text.as_str());
                let partitions = spec.partitions.as_ref().map(|count| count.value);
                let (owner, span) = (place.owner, place.span);
                let what = Repartitioning { name, owner, partitions, key: None, keeps_null_keys: false, span };
                self.repartition(flow, &what)
            }
            Step::ToTable(_) => self.table_step(flow, place),
            Step::ToStream(_) => self.stream_of_changes(flow, index, place),
            Step::Deduplicate(spec) => self.deduplicate(flow, spec, place),
            Step::Call(call) => self.call(flow, call, place),
            Step::Process(spec) => self.process(flow, spec, place),
        }
    }

    /// Adds a node whose output replaces the flow's.
    pub(super) fn chain(&mut self, flow: &mut Flow, verb: Verb, place: &Place<'_>) {
        flow.port = self.graph.node(place.node.clone(), verb, place.on_error, &[flow.port]);
        if let FlowKind::Table(store) = &mut flow.kind {
            *store = None;
        }
    }

    /// `filter` and `filter_not`.
    pub(super) fn filter(&mut self, mut flow: Flow, condition: &Formula, negate: bool, place: &Place<'_>) -> Flow {
        if let Some(condition) = self.condition(condition, &record_scope(&flow)) {
            let table = flow.is_table();
            let versioned = table && self.is_versioned(flow.port);
            self.chain(&mut flow, Verb::Filter { condition, negate, table, versioned }, place);
        }
        flow
    }

    /// `map_values`.
    pub(super) fn map_values(&mut self, mut flow: Flow, value: &Template, place: &Place<'_>) -> Flow {
        let table = flow.is_table();
        match self.template(value, &record_scope(&flow)) {
            Some(value) => {
                let shape = value.shape().clone();
                self.chain(&mut flow, Verb::Map { key: None, value: Some(value), table }, place);
                flow.value = shape;
            }
            None => flow.value = Shape::Any,
        }
        flow
    }

    fn map(&mut self, mut flow: Flow, map: &MapSpec, place: &Place<'_>) -> Flow {
        if map.key.is_none() && map.value.is_none() {
            let problem = Diagnostic::new(place.span.clone(), "`map` changes nothing");
            self.problems.report(problem.help("give it a `key`, a `value` or both"));
        }
        let scope = record_scope(&flow);
        let key = map.key.as_ref().map(|key| (key, self.expression(&key.0, &scope)));
        let value = map.value.as_ref().map(|value| self.template(value, &scope));
        let key = match key {
            Some((formula, Some(expression))) => Some(self.key_mapping(expression, &formula.0.place())),
            Some((_, None)) => Some(None),
            None => None,
        };
        let shape = value.as_ref().map(|value| value.as_ref().map_or(Shape::Any, |value| value.shape().clone()));
        self.rekey(&mut flow, key.as_ref().map(Option::as_ref));
        if let (Some(key), Some(value)) = (transposed(key), transposed(value)) {
            self.chain(&mut flow, Verb::Map { key, value, table: false }, place);
        }
        if let Some(shape) = shape {
            flow.value = shape;
        }
        flow
    }

    /// `select_key` and `group_by`.
    pub(super) fn select_key(&mut self, mut flow: Flow, key: &Formula, place: &Place<'_>) -> Flow {
        let expression = self.expression(&key.0, &record_scope(&flow));
        let mapping = expression.and_then(|expression| self.key_mapping(expression, &key.0.place()));
        self.rekey(&mut flow, Some(mapping.as_ref()));
        if let Some(mapping) = mapping {
            self.chain(&mut flow, Verb::Map { key: Some(mapping), value: None, table: false }, place);
        }
        flow
    }

    /// Notes that a stream has a new key. The window belonged to the old one.
    fn rekey(&self, flow: &mut Flow, key: Option<Option<&KeyMapping>>) {
        let Some(key) = key else { return };
        flow.key = match key {
            Some(mapping) => KeyInfo { shape: mapping.expression.shape().clone(), format: mapping.format.clone() },
            None => Flow::unknown().key,
        };
        flow.rekeyed = true;
        flow.windows = None;
    }

    fn flat_map(&mut self, mut flow: Flow, items: &Formula, place: &Place<'_>) -> Flow {
        let Some(expression) = self.expression(&items.0, &record_scope(&flow)) else {
            flow.value = Shape::Any;
            self.rekey(&mut flow, Some(None));
            return flow;
        };
        let span = items.0.place();
        let parts = match expression.shape().required() {
            Shape::Any | Shape::Never => Some((Shape::Any, Shape::Any)),
            Shape::List(element) => match element.required() {
                Shape::Any | Shape::Never => Some((Shape::Any, Shape::Any)),
                Shape::Map(value) => Some(((**value).clone(), (**value).clone())),
                Shape::Struct(item) if item.fields().len() == 2 => item
                    .field("key")
                    .zip(item.field("value"))
                    .map(|(key, value)| (key.shape.clone(), value.shape.clone())),
                _ => None,
            },
            _ => None,
        };
        let Some((key, value)) = parts else {
            let message =
                format!("`flat_map` needs a list of {{'key': .., 'value': ..}}; this is {}", expression.shape());
            self.problems.report(Diagnostic::new(span, message));
            return Flow::unknown();
        };
        let format = key_format(&key);
        if let Some(serializer) = self.key_serializer(&key, &format, &span) {
            self.chain(&mut flow, Verb::FlatMap { items: expression, key: serializer }, place);
        }
        self.rekey(&mut flow, Some(None));
        Flow { key: KeyInfo { shape: key, format }, value, ..flow }
    }

    fn flat_map_values(&mut self, mut flow: Flow, items: &Formula, place: &Place<'_>) -> Flow {
        let Some(expression) = self.expression(&items.0, &record_scope(&flow)) else {
            return Flow { value: Shape::Any, ..flow };
        };
        let value = match expression.shape().required() {
            Shape::Any => Shape::Any,
            Shape::List(element) => (**element).clone(),
            other => {
                let message = format!("`flat_map_values` needs a list; this is {other}");
                self.problems.report(Diagnostic::new(items.0.place(), message));
                return Flow { value: Shape::Any, ..flow };
            }
        };
        self.chain(&mut flow, Verb::FlatMapValues { items: expression }, place);
        Flow { value, ..flow }
    }

    fn peek(&mut self, mut flow: Flow, message: &Message, place: &Place<'_>) -> Flow {
        let whole = Template(crate::yaml::Node::text("value", place.span.clone()));
        let shown = message.0.as_ref().unwrap_or(&whole);
        if let Some(message) = self.template(shown, &record_scope(&flow)) {
            self.chain(&mut flow, Verb::Peek { message }, place);
        }
        flow
    }

    /// `merge`, as a step or as what a stream starts from.
    pub(super) fn merge(&mut self, first: Option<Flow>, names: &[Name], place: &Place<'_>) -> Flow {
        let mut ports: Vec<Port> = Vec::new();
        let mut merged = first;
        ports.extend(merged.as_ref().map(|flow| flow.port));
        for name in names {
            let other = self.names.read(name, self.problems);
            if other.is_table() {
                let message = format!("`{}` is a table; `merge` takes streams", name.text);
                let help = "make a stream of its changes first: `from` it with `- to_stream`";
                self.problems.report(Diagnostic::new(name.span.clone(), message).help(help));
                continue;
            }
            if ports.contains(&other.port) && other.port != Port::Nowhere {
                let message = format!("`{}` is merged with itself", name.text);
                self.problems.report(Diagnostic::new(name.span.clone(), message).help("its records would come twice"));
                continue;
            }
            ports.push(other.port);
            merged = Some(match merged {
                Some(flow) => self.merge_two(flow, other, name),
                None => other,
            });
        }
        let Some(mut flow) = merged else {
            self.problems.report(Diagnostic::new(place.span.clone(), "`merge` needs at least one stream"));
            return Flow::unknown();
        };
        flow.port = self.graph.node(place.node.clone(), Verb::Merge, place.on_error, &ports);
        flow
    }

    fn merge_two(&mut self, flow: Flow, other: Flow, name: &Name) -> Flow {
        if flow.is_unknown() || other.is_unknown() {
            return Flow { port: flow.port, ..Flow::unknown() };
        }
        if flow.key.format != other.key.format {
            let message = format!(
                "the keys of `{}` are {}, those of the others {}",
                name.text, other.key.format, flow.key.format
            );
            self.problems
                .report(Diagnostic::new(name.span.clone(), message).help("merged streams have keys of one format"));
        }
        let value = flow.value.unify(&other.value).unwrap_or_else(|| {
            let message =
                format!("the values of `{}` are {}, those of the others {}", name.text, other.value, flow.value);
            let help = "give them the same fields with `map_values` first";
            self.problems.report(Diagnostic::new(name.span.clone(), message).help(help));
            Shape::Any
        });
        let key = KeyInfo { shape: flow.key.shape.unify(&other.key.shape).unwrap_or(Shape::Any), ..flow.key };
        Flow {
            key,
            value,
            rekeyed: flow.rekeyed || other.rekeyed,
            windows: flow.windows.filter(|_| flow.windows == other.windows),
            personal_data: flow.personal_data || other.personal_data,
            partitions: flow.partitions.filter(|own| other.partitions.as_ref().is_some_and(|others| others.1 == own.1)),
            ..flow
        }
    }

    /// Refuses a step with several outputs in a table, of which nobody could read the others.
    pub(super) fn refuse_in_tables(&mut self, what: &str, place: &Place<'_>) -> bool {
        if !self.is_owned_by_table(place) {
            return false;
        }
        let message = format!("`{what}` has several outputs, and a table is made of one");
        let help = "define a stream that ends with it, and the table `from` one of its outputs";
        self.problems.report(Diagnostic::new(place.span.clone(), message).help(help));
        true
    }

    fn is_owned_by_table(&self, place: &Place<'_>) -> bool {
        self.spec.tables.iter().flat_map(|tables| &tables.0).any(|(name, _)| name.text == place.owner)
    }

    fn branch(&mut self, mut flow: Flow, spec: &BranchSpec, place: &Place<'_>) -> Flow {
        if self.refuse_in_tables("branch", place) {
            return Flow::unknown();
        }
        if !place.last {
            let problem = Diagnostic::new(place.span.clone(), "`branch` must be the last step");
            self.problems.report(problem.help("go on with the branches: `from: stream.branch`"));
        }
        let scope = record_scope(&flow);
        let conditions: Vec<_> = spec.branches.iter().map(|(_, formula)| self.condition(formula, &scope)).collect();
        let conditions: Option<Vec<_>> = conditions.into_iter().collect();
        let complete = conditions.filter(|conditions| conditions.len() == spec.branches.0.len());
        let node = match complete {
            Some(conditions) => {
                let default = spec.default.is_some();
                self.chain(&mut flow, Verb::Branch { conditions, default }, place);
                flow.port
            }
            None => Port::Nowhere,
        };
        for (output, name) in spec.names().enumerate() {
            let port = match node {
                Port::Node(node, _) => Port::Node(node, output),
                other => other,
            };
            self.names.built(&format!("{}.{}", place.owner, name.text), Flow { port, ..flow.clone() });
        }
        flow
    }

    fn table_step(&mut self, flow: Flow, place: &Place<'_>) -> Flow {
        let message = match (self.is_owned_by_table(place), place.last) {
            (true, true) => return flow,
            (true, false) => "`to_table` must be the last step",
            (false, _) => "`to_table` makes a table, and this is a stream",
        };
        let help = "define a table: `tables: {NAME: {from: STREAM}}`";
        self.problems.report(Diagnostic::new(place.span.clone(), message).help(help));
        Flow::unknown()
    }

    fn stream_of_changes(&mut self, mut flow: Flow, index: usize, place: &Place<'_>) -> Flow {
        if flow.is_unknown() {
            return flow;
        }
        if !flow.is_table() || index > 0 {
            let problem =
                Diagnostic::new(place.span.clone(), "`to_stream` is for tables, and this is a stream already");
            self.problems.report(problem.help("leave it out"));
            return flow;
        }
        self.chain(&mut flow, Verb::ToStream, place);
        Flow { kind: FlowKind::Stream, ..flow }
    }

    fn call(&mut self, mut flow: Flow, call: &CallSpec, place: &Place<'_>) -> Flow {
        let scope = record_scope(&flow);
        let input = self.template(&call.input, &scope);
        let Some(agent) = self.agent(&call.agent) else { return Flow { value: Shape::Any, ..flow } };
        if let Some(input) = &input {
            for (path, message) in misfits(input.shape(), agent.input()) {
                self.report_within(&call.input.0, &path, &format!("`{}` cannot take this: {message}", call.agent.text));
            }
        }
        let answer = scope.with("answer", Binding::Local(0), agent.output().clone());
        let into = call.into.as_ref().map(|field| self.with_field("value", field, &answer));
        let value = match &into {
            Some(Some(into)) => into.shape().clone(),
            Some(None) => Shape::Any,
            None => agent.output().clone(),
        };
        let node =
            call.name.as_ref().map_or_else(|| place.node.clone(), |name| format!("{}/{}", place.owner, name.text));
        let place = Place { node, owner: place.owner, span: place.span, ..*place };
        if let (Some(input), Some(into)) = (input, transposed(into)) {
            self.chain(&mut flow, Verb::Call { agent, input, into }, &place);
        }
        Flow { value, ..flow }
    }

    /// An agent by name. One that does not exist is reported, with the nearest.
    pub(super) fn agent(&mut self, name: &Name) -> Option<std::sync::Arc<dyn crate::agents::Agent>> {
        let agents = self.options.agents;
        let found = agents.get(&name.text).cloned();
        if found.is_none() {
            let problem = Diagnostic::new(name.span.clone(), format!("there is no agent `{}`", name.text));
            self.problems.report(problem.help_if(suggest(&name.text, agents.names())));
        }
        found
    }
}

/// A part that may be absent, may have failed, or is there: `None` where it failed.
fn transposed<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(Some(part)) => Some(Some(part)),
        Some(None) => None,
        None => Some(None),
    }
}
