//! Aggregations of a stream by its key: named aggregates, `reduce`, `fold`; windows and emission.

use super::Planner;
use super::expressions::record_scope;
use super::graph::{Flow, FlowKind};
use super::grouped::is_subtractable;
use super::shapes::difference;
use crate::expression::{Binding, CallArgument, Expression, Scope, split_call};
use crate::record::{Fields, Shape};
use crate::serdes::Format;
use crate::state::StoreKind;
use crate::topology::plan::{Aggregate, AggregateKind, Emit, Function, NamedAggregate, OnError, Verb};
use crate::topology::spec::scalars::{AggregateCall, Template};
use crate::topology::spec::{EmitKind, Name, Named, TableSpec};
use crate::window::Windows;
use crate::yaml::{Content, Node};
use crate::yaml::{Diagnostic, suggest};

/// The aggregates of the language.
const AGGREGATES: &[&str] = &[
    "count",
    "count_if",
    "sum",
    "min",
    "max",
    "avg",
    "stddev",
    "first",
    "last",
    "collect",
    "collect_set",
    "top_k",
    "approx_distinct",
    "approx_quantile",
];
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
    /// `others` are the other inputs of a cogroup.
    pub(super) fn aggregation(
        &mut self,
        name: &str,
        table: &TableSpec,
        mut flow: Flow,
        others: &[Flow],
        on_error: OnError,
    ) -> Flow {
        let before = self.problems.count();
        let windows = table.window.as_ref().and_then(|window| self.windows(window));
        let kind = windows.map_or(StoreKind::KeyValue, |windows| self.store_of_windows(table, &windows));
        let sound = self.problems.count() == before;
        // The window of a key belongs to the aggregation that made it, not to one that follows.
        flow.windows = None;
        let computed = if let Some(aggregates) = &table.aggregate {
            self.named(aggregates, &record_scope(&flow), table, false)
        } else if let Some(reduce) = &table.reduce {
            self.reduce(reduce, &flow)
        } else if let Some(fold) = &table.fold {
            self.fold_stream(fold, &flow, table.window.as_ref())
        } else if let Some(cogroup) = &table.cogroup {
            let inputs: Vec<&Flow> = std::iter::once(&flow).chain(others).collect();
            self.cogrouped(cogroup, &inputs, table.window.as_ref())
        } else {
            Computed::unknown()
        };
        flow.personal_data |= others.iter().any(|other| other.personal_data);
        let (key, partitions, personal_data) = (flow.key.clone(), flow.partitions.clone(), flow.personal_data);
        let broken = Flow { kind: FlowKind::Unknown, value: computed.result.clone(), windows, ..flow.clone() };
        if flow.is_unknown() || !sound {
            return broken;
        }
        let store_name = self.store_name(name);
        let store = self.new_store(&store_name, computed.state, &key.format, kind, &table.span);
        let index = matches!(windows, Some(Windows::Session(_) | Windows::Sliding(_))).then(|| {
            let index = format!("{store_name}-index");
            // A session's entry says where it ends.
            let shape = if matches!(windows, Some(Windows::Session(_))) { Shape::Int } else { Shape::Null };
            self.new_store(&index, shape, &Format::Bytes, StoreKind::Internal, &table.span)
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
            StoreKind::KeyValue | StoreKind::Internal | StoreKind::Join { .. } => 0,
        };
        let verb = Verb::Aggregate(Aggregate {
            store,
            windows,
            index,
            emit,
            pending,
            function,
            sends_old: false,
            changes: false,
            retention,
            key: serde.deserializer(&Fields::All),
        });
        let ports: Vec<_> = std::iter::once(flow.port).chain(others.iter().map(|other| other.port)).collect();
        let port = self.graph.node(format!("{name}/aggregate"), verb, on_error, &ports);
        let kind = FlowKind::Table(Some(store));
        Flow { port, kind, key, value: computed.result, rekeyed: false, windows, personal_data, partitions }
    }

    /// Named aggregates, of a stream or (`changes`) of the groups of a table, from which rows are subtracted too.
    pub(super) fn named(
        &mut self,
        aggregates: &Named<AggregateCall>,
        scope: &Scope,
        table: &TableSpec,
        changes: bool,
    ) -> Computed {
        if aggregates.0.is_empty() {
            let problem = Diagnostic::new(table.span.clone(), "`aggregate` computes nothing");
            self.problems.report(problem.help("name at least one, such as `count: count()`"));
        }
        let mut complete = true;
        let mut computed = Vec::new();
        let (mut state, mut result) = (Vec::new(), Vec::new());
        for (name, call) in &aggregates.0 {
            let one = call.as_ref().and_then(|call| self.one(&call.0, name, scope, changes));
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
    fn one(&mut self, node: &Node, name: &Name, scope: &Scope, changes: bool) -> Option<NamedAggregate> {
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
        let known = AGGREGATES.contains(&call.name.as_str());
        if !known {
            let problem = Diagnostic::new(place, format!("there is no aggregate `{}`", call.name));
            self.problems.report(problem.help_if(suggest(&call.name, AGGREGATES.iter().copied())));
            return None;
        }
        let expected = match call.name.as_str() {
            "count" => 0,
            "collect" | "collect_set" | "top_k" | "approx_quantile" => 2,
            _ => 1,
        };
        if call.arguments.len() != expected {
            let form = match expected {
                0 => format!("{}()", call.name),
                1 => format!("{}(x)", call.name),
                _ if call.name == "approx_quantile" => "approx_quantile(x, 0.95)".to_owned(),
                _ => format!("{}(x, 10)", call.name),
            };
            let plural = if expected == 1 { "" } else { "s" };
            let message = format!("`{}` takes {expected} argument{plural}, not {}", call.name, call.arguments.len());
            self.problems.report(Diagnostic::new(place.clone(), message).help(format!("write `{form}`")));
            return None;
        }
        let limit = call.arguments.get(1).map(|argument| match call.name.as_str() {
            "approx_quantile" => self.quantile(node, argument),
            _ => self.limit(node, argument),
        });
        let argument = match call.arguments.first() {
            Some(argument) => Some(self.compile_part(node, argument.range.start, &argument.source, scope)?),
            None => None,
        };
        let kind = kind(&call.name, limit.unwrap_or(Some(0))?)?;
        if changes && !is_subtractable(kind) {
            let message = format!("`{}` cannot be corrected when a row leaves its group", call.name);
            let help =
                "write a `fold` with `subtract`, or aggregate the table's changes: start the steps with `- to_stream`";
            self.problems.report(Diagnostic::new(place, message).help(help));
            return None;
        }
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

    /// A quantile, in millionths.
    fn quantile(&mut self, node: &Node, argument: &CallArgument) -> Option<usize> {
        let millionths = argument.source.parse::<f64>().ok().map(|q| q * 1e6);
        match millionths.filter(|q| (0.0..=1e6).contains(q) && (q - q.round()).abs() < 1e-3) {
            Some(millionths) => Some(millionths.round() as usize),
            None => {
                let place = node.locate(&self.problems.source(), &argument.range);
                let message = format!("`{}` is not a quantile: a number from 0 to 1", argument.source);
                self.problems.report(Diagnostic::new(place, message).help("write 0.5 for the median, 0.95, 0.999"));
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
            (
                AggregateKind::Sum | AggregateKind::Avg | AggregateKind::Stddev | AggregateKind::ApproxQuantile { .. },
                Shape::Int | Shape::UInt | Shape::Double,
            ) => return Some(()),
            (
                AggregateKind::Sum | AggregateKind::Avg | AggregateKind::Stddev | AggregateKind::ApproxQuantile { .. },
                _,
            ) => "a number",
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
        if let Content::Mapping(entries) = &reduce.0.content
            && let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "subtract")
            && !has_field(&flow.value, "subtract")
        {
            let problem = Diagnostic::new(key.span.clone(), "`subtract` is for grouped tables");
            self.problems.report(problem.help("from a stream nothing leaves; write the new state alone"));
            return Computed::unknown();
        }
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
                    function: Some(Function::Reduce { expression, subtract: None }),
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

fn has_field(shape: &Shape, name: &str) -> bool {
    matches!(shape.required(), Shape::Struct(fields) if fields.field(name).is_some())
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
        "stddev" => AggregateKind::Stddev,
        "first" => AggregateKind::First,
        "last" => AggregateKind::Last,
        "collect" => AggregateKind::Collect { limit },
        "collect_set" => AggregateKind::CollectSet { limit },
        "top_k" => AggregateKind::TopK { k: limit },
        "approx_distinct" => AggregateKind::ApproxDistinct,
        "approx_quantile" => AggregateKind::ApproxQuantile { millionths: u32::try_from(limit).ok()? },
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
        AggregateKind::Stddev => {
            let state = [("count", Shape::Int), ("mean", Shape::Double), ("squares", Shape::Double)];
            (Shape::structure("", state), Shape::Double.optional())
        }
        AggregateKind::Collect { .. } | AggregateKind::CollectSet { .. } => same(Shape::list(argument)),
        AggregateKind::ApproxDistinct => (Shape::Bytes.optional(), Shape::Int),
        AggregateKind::ApproxQuantile { .. } => (Shape::Bytes.optional(), Shape::Double.optional()),
        AggregateKind::TopK { .. } => {
            let counted = Shape::structure("", [("value", argument.clone()), ("count", Shape::Int)]);
            (Shape::list(counted), Shape::list(argument))
        }
    }
}
