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
mod join_foreign_key;
mod join_stream_global;
mod join_stream_table;
mod join_stream_versioned;
mod join_streams;
mod join_tables;
mod map;
mod merge;
mod peek;
mod process;
mod reduce;
mod set_headers;
mod sink;
mod suppress;
mod to_stream;
mod to_table;
mod versioned;

use std::borrow::Cow;
use std::sync::Arc;
#[cfg(test)]
mod tests;

use crate::agents::AgentError;
use crate::expression::EvaluationError;
use crate::metrics::{Counters, DropReason};
use crate::processor::{Now, PunctuationType};
use crate::record::{Key, Record, Value};
use crate::serdes::SerdeError;
use crate::sink::{CollectError, RecordCollector};
use crate::state::{GlobalTables, StateError, StateValue, TaskStores};
use crate::time::Timestamp;
use crate::topology::plan::{Aggregate, Function, Node, Verb};
use aggregate::{Aggregation, Combine};
use aggregate_changes::{ChangeAggregation, Subtract};

/// What an operator works with beside the record.
pub struct OperatorContext<'a> {
    /// The stores of the task.
    pub stores: &'a mut TaskStores,
    /// The global tables, where the application has any.
    pub globals: Option<&'a GlobalTables>,
    /// What is written to topics.
    pub collector: &'a mut RecordCollector,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// Whether an aggregate or a table hands on every update or one per key and commit.
    pub caching: bool,
    /// The partition of the task.
    pub partition: i32,
    /// The wall clock, as the task was told it.
    pub wall_clock: Timestamp,
    /// The highest timestamp of the records that the task has taken.
    pub stream_time: Option<Timestamp>,
    /// Records handed on: which output, and the record.
    pub emitted: &'a mut Vec<(usize, Record)>,
    /// Records that failed although the one at hand did not: held back earlier, or windows that closed.
    pub failed: &'a mut Vec<(Record, OperatorError)>,
    /// Whether the operator has more to do about the record at hand: see [`OperatorContext::ask_again`].
    pub unfinished: &'a mut bool,
}

impl OperatorContext<'_> {
    /// Hands a record on.
    pub fn forward(&mut self, record: Record) {
        self.emitted.push((0, record));
    }

    /// What a global table holds under a key.
    pub fn global_row(&self, table: usize, key: &[u8]) -> Result<Option<StateValue>> {
        let missing = || StateError::IllegalState("a task was opened without the global tables it looks up".to_owned());
        Ok(self.globals.ok_or_else(missing)?.get(table, key)?)
    }

    /// Hands a record on through one of several outputs.
    pub fn forward_to(&mut self, output: usize, record: Record) {
        self.emitted.push((output, record));
    }

    /// The moment, as schedules see it.
    fn now(&self, initialising: bool, punctuating: bool) -> Now {
        Now { wall_clock: self.wall_clock, stream_time: self.stream_time, initialising, punctuating }
    }

    /// Reports a record other than the one at hand that cannot go on; what else there is to do goes on.
    pub fn fail(&mut self, record: Record, error: OperatorError) {
        self.failed.push((record, error));
    }

    /// Has [`Operator::go_on`] called when everything that is handed on has been worked off: for an operator of which a
    /// single record may call for any number of others, as when a leap of stream time closes many windows.
    pub fn ask_again(&mut self) {
        *self.unfinished = true;
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
    /// A processor failed.
    #[error("processor `{processor}`: {message}")]
    Processor {
        /// The name that it is registered under.
        processor: Arc<str>,
        /// What it says.
        message: String,
    },
    /// A processor panicked: it may be in the middle of anything, and the task stops.
    #[error("processor `{processor}` panicked: {message}")]
    Panicked {
        /// The name that it is registered under.
        processor: Arc<str>,
        /// What the panic says.
        message: String,
    },
    /// The author wants the task to stop here, whatever else is said about errors.
    #[error("{0}")]
    Stop(String),
    /// A store failed. Never the record's fault: it stops the task.
    #[error(transparent)]
    State(#[from] StateError),
}

impl OperatorError {
    /// What failed, in words that hold nothing of the record: for records that may hold personal data.
    pub fn without_values(&self) -> String {
        match self {
            OperatorError::Expression(error) => error.without_values(),
            OperatorError::Serde(_) => "the key or value does not fit the format of the topic".to_owned(),
            OperatorError::Value(_) => "an expression gave something that the step cannot work with".to_owned(),
            OperatorError::Processor { processor, .. } => format!("processor `{processor}` failed"),
            OperatorError::Panicked { processor, .. } => format!("processor `{processor}` panicked"),
            // What an agent answers from elsewhere may quote what it was asked.
            OperatorError::Agent(AgentError::Unavailable { agent, .. }) => format!("agent `{agent}` gave no answer"),
            OperatorError::State(_) => "a store failed".to_owned(),
            OperatorError::Agent(_) | OperatorError::Collect(_) | OperatorError::Stop(_) => self.to_string(),
        }
    }
}

/// What operators return.
pub type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// What a verb did with a record where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes on through this output.
    To(usize),
    /// It goes no further.
    Ended,
    /// Nothing: the verb takes records whole, by [`Operator::process`].
    Whole,
}

/// One verb at work on one partition. It works on records where they lie, or takes them whole.
pub trait Operator: Send {
    /// Works on a record where it lies, for a verb that hands on no other one: a chain of such verbs moves no record.
    fn pass(&mut self, _record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        Ok(Passage::Whole)
    }

    /// Takes a record that arrives on an input (only joins have more than one).
    fn process(&mut self, _input: usize, mut record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        if let Passage::To(output) = self.pass(&mut record, context)? {
            context.forward_to(output, record);
        }
        Ok(())
    }

    /// Does the next part of what a record called for; comes before the next record, if [`OperatorContext::ask_again`]
    /// was called.
    fn go_on(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Hands on what was held back since the last commit.
    fn flush(&mut self, _context: &mut OperatorContext<'_>) {}

    /// Whether the operator does something at times of the wall clock.
    fn follows_wall_clock(&self) -> bool {
        false
    }

    /// Tells the wall clock to an operator that follows it, which does what is due; a part of it, where that is much.
    /// Returns whether it did anything: then it is to be told again, as soon as there is room for what it hands on.
    fn wall_clock(&mut self, _now: Timestamp, _context: &mut OperatorContext<'_>) -> Result<bool> {
        Ok(false)
    }

    /// Whether it is called at times of the stream or the wall clock that it asks for: then the task follows both for it.
    fn is_punctuated(&self) -> bool {
        false
    }

    /// Begins, before anything else that is asked of an operator that [is punctuated](Operator::is_punctuated).
    fn init(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// When it is first to be called by one of the clocks.
    fn due(&self, _kind: PunctuationType) -> Option<Timestamp> {
        None
    }

    /// Tells that it is time for what is due first. What fails is among the failed.
    fn punctuate(&mut self, _kind: PunctuationType, _time: Timestamp, _context: &mut OperatorContext<'_>) {}

    /// Whether the operator keeps a stream time of its own.
    fn keeps_stream_time(&self) -> bool {
        false
    }

    /// The operator's own stream time, if it keeps one and has seen a record.
    fn stream_time(&self) -> Option<Timestamp> {
        None
    }

    /// Sets the operator's own stream time to what it was at the last commit.
    fn restore_stream_time(&mut self, _timestamp: Timestamp) {}

    /// Numbers beside stream time that the operator goes on from, by name; kept as stream time is.
    fn progress(&self) -> Vec<(Cow<'static, str>, i64)> {
        Vec::new()
    }

    /// The names of all numbers that [`Operator::progress`] may ever give.
    fn progress_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// Sets a number to what it was at the last commit.
    fn restore_progress(&mut self, _name: &str, _value: i64) {}
}

/// Makes the operator of a node.
pub fn build(node: &Node) -> Box<dyn Operator> {
    match &node.verb {
        Verb::Filter { condition, negate, table, versioned } => {
            let condition = condition.clone();
            Box::new(filter::Filter { condition, negate: *negate, table: *table, versioned: *versioned })
        }
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
        Verb::SetHeaders { changes } => Box::new(set_headers::SetHeaders { changes: changes.clone() }),
        Verb::Call { agent, input, into } => {
            Box::new(call::Call { agent: agent.clone(), input: input.clone(), into: into.clone() })
        }
        Verb::Process(plan) => Box::new(process::Process::new(plan)),
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
        Verb::Suppress(plan) => Box::new(suppress::SuppressChanges::new(plan)),
        Verb::StreamTableJoin { kind, table, value } => {
            Box::new(join_stream_table::StreamTableJoin { kind: *kind, table: *table, value: value.clone() })
        }
        Verb::StreamGlobalJoin(plan) => Box::new(join_stream_global::StreamGlobalJoin::new(plan.clone())),
        Verb::StreamStreamJoin(plan) => Box::new(join_streams::StreamStreamJoin::new(plan.clone())),
        Verb::TableTableJoin { kind, stores, value, sends_old } => {
            Box::new(join_tables::TableTableJoin::new(*kind, stores.clone(), value.clone(), *sends_old))
        }
        Verb::ForeignKeySubscribe(plan) => Box::new(join_foreign_key::Subscribe::new(plan.clone())),
        Verb::ForeignKeyAnswer(plan) => Box::new(join_foreign_key::Answer::new(plan.clone())),
        Verb::ForeignKeyResolve(plan) => Box::new(join_foreign_key::Resolve::new(plan.clone())),
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
        Function::Fold { init, add, subtract, call, merge, result } => {
            let (init, add, subtract, call) = (init.clone(), add.clone(), subtract.clone(), call.clone());
            let (merge, result) = (merge.clone(), result.clone());
            aggregation(plan, has_readers, fold::Fold { init, add, subtract, call, merge, result })
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
