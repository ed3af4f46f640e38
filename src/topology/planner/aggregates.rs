//! Aggregations of a stream by its key: named aggregates, `reduce`, `fold`; windows and emission.

use super::Planner;
use super::expressions::record_scope;
use super::graph::{Flow, FlowKind};
use super::shapes::difference;
use crate::expression::{Binding, CallArgument, Expression, Scope, split_call};
use crate::record::{Fields, Shape};
use crate::serdes::Format;
use crate::state::StoreKind;
use crate::topology::plan::{Aggregate, AggregateKind, Emit, Function, NamedAggregate, OnError, Verb};
use crate::topology::spec::scalars::{AggregateCall, Template};
use crate::topology::spec::{EmitKind, Name, Named, TableSpec};
use crate::window::Windows;
use crate::yaml::Node;
use crate::yaml::{Diagnostic, suggest};

/// The aggregates of the language.
const AGGREGATES: &[&str] = &["count", "count_if", "sum", "min", "max", "avg", "first", "last", "collect", "top_k"];
/// Those that this version does not know yet.
const LATER: &[&str] = &["stddev", "collect_set", "approx_distinct", "approx_quantile"];
/// The most elements that `collect` and `top_k` keep.
const MAX_KEPT: usize = 10_000;

/// What an aggregation computes, with the shapes of its state and its result.
pub(super) struct Computed {
    pub(super) function: Option<Function>,
    pub(super) state: Shape,
    pub(super) result: Shape,
}

impl Computed {
    /// What stands for an aggregation with a mistake.
    pub(super) fn unknown() -> Self {
        Computed { function: None, state: Shape::Any, result: Shape::Any }
    }
}

impl Planner<'_> {
    /// The aggregation of a table that is made of a stream, which has been partitioned by its key.
    pub(super) fn aggregation(&mut self, name: &str, table: &TableSpec, mut flow: Flow, on_error: OnError) -> Flow {
        let before = self.problems.count();
        let windows = table.window.as_ref().and_then(|window| self.windows(window));
        let kind = windows.map_or(StoreKind::KeyValue, |windows| self.store_of_windows(table, &windows));
        let sound = self.problems.count() == before;
        // The window of a key belongs to the aggregation that made it, not to one that follows.
        flow.windows = None;
        let computed = if let Some(aggregates) = &table.aggregate {
            self.named(aggregates, &flow, table)
        } else if let Some(reduce) = &table.reduce {
            self.reduce(reduce, &flow)
        } else if let Some(fold) = &table.fold {
            self.fold(fold, &flow, table.window.as_ref())
        } else {
            Computed::unknown()
        };
        let (key, partitions, personal_data) = (flow.key.clone(), flow.partitions.clone(), flow.personal_data);
        let broken = Flow { kind: FlowKind::Unknown, value: computed.result.clone(), windows, ..flow.clone() };
        if flow.is_unknown() || !sound {
            return broken;
        }
        let store_name = self.store_name(name);
        let store = self.new_store(&store_name, computed.state, &key.format, kind, &table.span);
        let index = matches!(windows, Some(Windows::Session(_) | Windows::Sliding(_))).then(|| {
            let index = format!("{store_name}-index");
            self.new_store(&index, Shape::Null, &Format::Bytes, StoreKind::Internal, &table.span)
        });
        let Some(function) = computed.function else { return broken };
        let emit = match table.emit.as_ref().map(|emit| &emit.kind) {
            Some(EmitKind::OnClose) => Emit::OnClose,
            Some(EmitKind::Every(interval)) => Emit::Every { interval: interval.value },
            Some(EmitKind::OnUpdate) | None => Emit::OnUpdate,
        };
        let pending = matches!(emit, Emit::Every { .. }).then(|| {
            let pending = format!("{store_name}-changed");
            self.new_store(&pending, Aggregate::pending_shape(), &key.format, kind, &table.span)
        });
        let Some(serde) = self.serde_of(&key.format, &table.span) else { return broken };
        let retention = match kind {
            StoreKind::Window { retention } | StoreKind::Session { retention } => retention,
            StoreKind::KeyValue | StoreKind::Internal => 0,
        };
        let verb = Verb::Aggregate(Aggregate {
            store,
            windows,
            index,
            emit,
            pending,
            function,
            sends_old: false,
            retention,
            key: serde.deserializer(&Fields::All),
        });
        let port = self.graph.node(format!("{name}/aggregate"), verb, on_error, &[flow.port]);
        let kind = FlowKind::Table(Some(store));
        Flow { port, kind, key, value: computed.result, rekeyed: false, windows, personal_data, partitions }
    }

    fn named(&mut self, aggregates: &Named<AggregateCall>, flow: &Flow, table: &TableSpec) -> Computed {
        let scope = record_scope(flow);
        if aggregates.0.is_empty() {
            let problem = Diagnostic::new(table.span.clone(), "`aggregate` computes nothing");
            self.problems.report(problem.help("name at least one, such as `count: count()`"));
        }
        let mut complete = true;
        let mut computed = Vec::new();
        let (mut state, mut result) = (Vec::new(), Vec::new());
        for (name, call) in &aggregates.0 {
            let one = call.as_ref().and_then(|call| self.one(&call.0, name, &scope));
            complete &= one.is_some();
            let argument = one.as_ref().and_then(|one| one.argument.as_ref());
            let argument = argument.map_or(Shape::Any, |argument| argument.shape().required().clone());
            let (of_state, of_result) = match &one {
                Some(one) => shapes(one.kind, argument),
                None => (Shape::Any, Shape::Any),
            };
            state.push((name.text.as_str(), of_state));
            result.push((name.text.as_str(), of_result));
            computed.extend(one);
        }
        let (state, result) = (Shape::structure("", state), Shape::structure("", result));
        let function = Function::Named { aggregates: computed, state: state.clone(), result: result.clone() };
        Computed { function: complete.then_some(function), state, result }
    }

    /// One of the named aggregates.
    fn one(&mut self, node: &Node, name: &Name, scope: &Scope) -> Option<NamedAggregate> {
        let source = &node.scalar()?.text;
        let file = self.problems.source();
        let call = match split_call(source) {
            Ok(call) => call,
            Err(error) => {
                let problem = Diagnostic::new(node.locate(&file, &error.range), error.message);
                self.problems.report(problem.help_if(error.hint));
                return None;
            }
        };
        let place = node.locate(&file, &call.name_range);
        if LATER.contains(&call.name.as_str()) {
            self.problems.report(Diagnostic::new(place, format!("`{}` is not supported yet", call.name)));
            return None;
        }
        let known = AGGREGATES.contains(&call.name.as_str());
        if !known {
            let problem = Diagnostic::new(place, format!("there is no aggregate `{}`", call.name));
            self.problems.report(problem.help_if(suggest(&call.name, AGGREGATES.iter().copied())));
            return None;
        }
        let expected = match call.name.as_str() {
            "count" => 0,
            "collect" | "top_k" => 2,
            _ => 1,
        };
        if call.arguments.len() != expected {
            let form = match expected {
                0 => format!("{}()", call.name),
                1 => format!("{}(x)", call.name),
                _ => format!("{}(x, 10)", call.name),
            };
            let message = format!("`{}` takes {expected} arguments, not {}", call.name, call.arguments.len());
            self.problems.report(Diagnostic::new(place, message).help(format!("write `{form}`")));
            return None;
        }
        let limit = call.arguments.get(1).map(|argument| self.limit(node, argument));
        let argument = match call.arguments.first() {
            Some(argument) => Some(self.compile_part(node, argument.range.start, &argument.source, scope)?),
            None => None,
        };
        let kind = kind(&call.name, limit.unwrap_or(Some(0))?)?;
        if let (Some(argument), Some(written)) = (&argument, call.arguments.first()) {
            self.check_argument(kind, argument, node, written)?;
        }
        Some(NamedAggregate { name: name.text.clone(), kind, argument })
    }

    fn limit(&mut self, node: &Node, argument: &CallArgument) -> Option<usize> {
        match argument.source.parse::<usize>() {
            Ok(limit) if (1..=MAX_KEPT).contains(&limit) => Some(limit),
            _ => {
                let place = node.locate(&self.problems.source(), &argument.range);
                let message = format!("`{}` is not a number from 1 to {MAX_KEPT}", argument.source);
                self.problems.report(Diagnostic::new(place, message));
                None
            }
        }
    }

    fn check_argument(
        &mut self,
        kind: AggregateKind,
        argument: &Expression,
        node: &Node,
        written: &CallArgument,
    ) -> Option<()> {
        let shape = argument.shape().required();
        let expected = match (kind, shape) {
            (_, Shape::Any) => return Some(()),
            (AggregateKind::CountIf, Shape::Bool) => return Some(()),
            (AggregateKind::CountIf, _) => "a condition: true or false",
            (AggregateKind::Sum | AggregateKind::Avg, Shape::Int | Shape::UInt | Shape::Double) => return Some(()),
            (AggregateKind::Sum | AggregateKind::Avg, _) => "a number",
            (
                AggregateKind::Min | AggregateKind::Max,
                Shape::List(_) | Shape::Map(_) | Shape::Struct(_) | Shape::Null,
            ) => "something that has an order: a number, text, a timestamp",
            _ => return Some(()),
        };
        let place = node.locate(&self.problems.source(), &written.range);
        let message = format!("this aggregate needs {expected}; `{}` is {}", written.source, argument.shape());
        self.problems.report(Diagnostic::new(place, message));
        None
    }

    /// `reduce`: the first value is the first state, so that the state may need to hold more than values do.
    fn reduce(&mut self, reduce: &Template, flow: &Flow) -> Computed {
        let mut state = flow.value.clone();
        for _ in 0..8 {
            let scope = record_scope(flow).with("acc", Binding::Local(0), state.clone());
            let Some(expression) = self.template(reduce, &scope) else { return Computed::unknown() };
            let Some(wider) = state.unify(expression.shape()) else {
                let message = format!("`reduce` must give what it takes: {}", difference(&state, expression.shape()));
                let problem = Diagnostic::new(reduce.0.place(), message);
                self.problems.report(problem.help("use `fold` for a state of another shape"));
                return Computed::unknown();
            };
            if wider == state {
                return Computed {
                    function: Some(Function::Reduce { expression }),
                    state: state.clone(),
                    result: state,
                };
            }
            state = wider;
        }
        self.problems.report(Diagnostic::new(reduce.0.place(), "the shape of `reduce` does not settle"));
        Computed::unknown()
    }
}

/// An aggregate by its name.
fn kind(name: &str, limit: usize) -> Option<AggregateKind> {
    Some(match name {
        "count" => AggregateKind::Count,
        "count_if" => AggregateKind::CountIf,
        "sum" => AggregateKind::Sum,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "avg" => AggregateKind::Avg,
        "first" => AggregateKind::First,
        "last" => AggregateKind::Last,
        "collect" => AggregateKind::Collect { limit },
        "top_k" => AggregateKind::TopK { k: limit },
        _ => return None,
    })
}

/// The shapes of an aggregate's state and result, of its argument's shape without null.
fn shapes(kind: AggregateKind, argument: Shape) -> (Shape, Shape) {
    let same = |shape: Shape| (shape.clone(), shape);
    match kind {
        AggregateKind::Count | AggregateKind::CountIf => same(Shape::Int),
        AggregateKind::Sum | AggregateKind::Min | AggregateKind::Max | AggregateKind::First | AggregateKind::Last => {
            same(argument.optional())
        }
        AggregateKind::Avg => {
            (Shape::structure("", [("sum", Shape::Double), ("count", Shape::Int)]), Shape::Double.optional())
        }
        AggregateKind::Collect { .. } => same(Shape::list(argument)),
        AggregateKind::TopK { .. } => {
            let counted = Shape::structure("", [("value", argument.clone()), ("count", Shape::Int)]);
            (Shape::list(counted), Shape::list(argument))
        }
    }
}
