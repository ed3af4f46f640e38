//! One file per verb of the language: its semantics and nothing else.
//!
//! An operator is handed one record at a time and hands on any number. It does no I/O and reads no clock;
//! what it remembers is in the task's stores, save for its own stream time, which the task keeps with the
//! committed offsets.

mod accumulator;
mod aggregate;
mod aggregate_changes;
mod branch;
mod call;
mod cogroup;
mod deduplicate;
mod emission;
mod filter;
mod flat_map;
mod fold;
mod group_by;
mod join_stream_table;
mod join_stream_versioned;
mod join_tables;
mod map;
mod merge;
mod peek;
mod reduce;
mod sink;
mod to_stream;
mod to_table;
mod versioned;

use crate::agents::AgentError;
use crate::expression::EvaluationError;
use crate::metrics::{Counters, DropReason};
use crate::record::{Key, Record, Value};
use crate::serdes::SerdeError;
use crate::sink::{CollectError, RecordCollector};
use crate::state::{StateError, TaskStores};
use crate::time::Timestamp;
use crate::topology::plan::{Aggregate, Function, Node, Verb};
use aggregate::{Aggregation, Combine};
use aggregate_changes::{ChangeAggregation, Subtract};

/// What an operator works with beside the record.
pub struct OperatorContext<'a> {
    /// The stores of the task.
    pub stores: &'a mut TaskStores,
    /// What is written to topics.
    pub collector: &'a mut RecordCollector,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// Whether an aggregate or a table hands on every update or one per key and commit.
    pub caching: bool,
    /// Records handed on: which output, and the record.
    pub emitted: &'a mut Vec<(usize, Record)>,
    /// Records that failed although the one at hand did not: held back earlier, or windows that closed.
    pub failed: &'a mut Vec<(Record, OperatorError)>,
}

impl OperatorContext<'_> {
    /// Hands a record on.
    pub fn forward(&mut self, record: Record) {
        self.emitted.push((0, record));
    }

    /// Hands a record on through one of several outputs.
    pub fn forward_to(&mut self, output: usize, record: Record) {
        self.emitted.push((output, record));
    }

    /// Reports a record other than the one at hand that cannot go on; what else there is to do goes on.
    pub fn fail(&mut self, record: Record, error: OperatorError) {
        self.failed.push((record, error));
    }

    /// Counts a record that goes no further.
    pub fn drop_record(&mut self, reason: DropReason) {
        self.counters.dropped(reason);
    }
}

/// What can go wrong in an operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// An expression failed on the record.
    #[error(transparent)]
    Expression(#[from] EvaluationError),
    /// A key or value could not be written.
    #[error(transparent)]
    Serde(#[from] SerdeError),
    /// An agent could not answer.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// An expression gave something that the verb cannot work with.
    #[error("{0}")]
    Value(String),
    /// A record could not be written to its topic.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// A store failed. Never the record's fault: it stops the task.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What operators return.
pub type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// One verb at work on one partition.
pub trait Operator: Send {
    /// Takes a record that arrives on an input (only joins have more than one).
    fn process(&mut self, input: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()>;

    /// Hands on what was held back since the last commit.
    fn flush(&mut self, _context: &mut OperatorContext<'_>) {}

    /// The operator's own stream time, if it keeps one.
    fn stream_time(&self) -> Option<Timestamp> {
        None
    }

    /// Sets the operator's own stream time to what it was at the last commit.
    fn restore_stream_time(&mut self, _timestamp: Timestamp) {}
}

/// Makes the operator of a node.
pub fn build(node: &Node) -> Box<dyn Operator> {
    match &node.verb {
        Verb::Filter { condition, negate, table, sends_old, versioned } => Box::new(filter::Filter {
            condition: condition.clone(),
            negate: *negate,
            table: *table,
            sends_old: *sends_old,
            versioned: *versioned,
        }),
        Verb::Map { key, value, table } => {
            Box::new(map::Map { key: key.clone(), value: value.clone(), table: *table, buffer: Vec::new() })
        }
        Verb::FlatMap { items, key } => {
            Box::new(flat_map::FlatMap { items: items.clone(), key: key.clone(), buffer: Vec::new() })
        }
        Verb::FlatMapValues { items } => Box::new(flat_map::FlatMapValues { items: items.clone() }),
        Verb::Peek { message } => Box::new(peek::Peek { message: message.clone() }),
        Verb::Branch { conditions, default } => {
            Box::new(branch::Branch { conditions: conditions.clone(), default: *default })
        }
        Verb::Merge => Box::new(merge::Merge),
        Verb::Call { agent, input, into } => {
            Box::new(call::Call { agent: agent.clone(), input: input.clone(), into: into.clone() })
        }
        Verb::Deduplicate { by, within, store } => Box::new(deduplicate::Deduplicate::new(by.clone(), *within, *store)),
        Verb::ToTable { store, sends_old, filtered } => Box::new(to_table::ToTable::new(*store, *sends_old, *filtered)),
        Verb::VersionedTable { versions, sends_old } => {
            Box::new(versioned::VersionedTable { versions: *versions, sends_old: *sends_old })
        }
        Verb::StreamVersionedJoin(plan) => Box::new(join_stream_versioned::StreamVersionedJoin::new(plan.clone())),
        Verb::ToStream => Box::new(to_stream::ToStream),
        Verb::GroupBy(plan) => Box::new(group_by::GroupBy::new(plan.clone())),
        Verb::Aggregate(plan) => {
            // A table that is kept for queries only has nobody to hand changes on to.
            let has_readers = node.outputs.iter().any(|output| !output.is_empty());
            build_aggregate(plan, has_readers)
        }
        Verb::StreamTableJoin { kind, table, value } => {
            Box::new(join_stream_table::StreamTableJoin { kind: *kind, table: *table, value: value.clone() })
        }
        Verb::TableTableJoin { kind, stores, value, sends_old } => {
            Box::new(join_tables::TableTableJoin::new(*kind, stores.clone(), value.clone(), *sends_old))
        }
        Verb::Sink(plan) => Box::new(sink::Sink::new(plan.clone())),
    }
}

fn build_aggregate(plan: &Aggregate, has_readers: bool) -> Box<dyn Operator> {
    match &plan.function {
        Function::Named { aggregates, state, result } => {
            aggregation(plan, has_readers, accumulator::Named::new(aggregates, state, result))
        }
        Function::Cogroup(cogroup) => {
            Box::new(Aggregation::new(plan, has_readers, cogroup::Cogroup::new(cogroup.clone())))
        }
        Function::Reduce { expression, subtract } => {
            let (expression, subtract) = (expression.clone(), subtract.clone());
            aggregation(plan, has_readers, reduce::Reduce { expression, subtract })
        }
        Function::Fold { init, add, subtract, call, result } => {
            let (init, add, subtract) = (init.clone(), add.clone(), subtract.clone());
            aggregation(
                plan,
                has_readers,
                fold::Fold { init, add, subtract, call: call.clone(), result: result.clone() },
            )
        }
    }
}

/// What adds up the records of a stream, or the changes of a grouped table.
fn aggregation<F: Combine + Subtract + 'static>(plan: &Aggregate, has_readers: bool, function: F) -> Box<dyn Operator> {
    match plan.changes {
        true => Box::new(ChangeAggregation::new(plan, has_readers, function)),
        false => Box::new(Aggregation::new(plan, has_readers, function)),
    }
}

/// The value that expressions see as `key`.
fn key_value(key: &Option<Key>) -> &Value {
    key.as_ref().map_or(&Value::Null, |key| &key.value)
}
