//! One record after the other through the operators.

use std::sync::Arc;

use super::{Task, TaskError};
use crate::log::LogRecord;
use crate::metrics::DropReason;
use crate::operators::{Operator, OperatorContext, OperatorError};
use crate::record::{Headers, Key, Origin, Record};
use crate::sink::Failure;
use crate::source::Chosen;
use crate::time::Timestamp;
use crate::topology::plan::{Edge, NodeId, OnError, Verb};

/// What a record that fails is known by.
struct Failed<'a> {
    policy: OnError,
    failure: Failure,
    origin: &'a Origin,
    raw: &'a LogRecord,
}

impl Task {
    /// Processes up to `limit` records, fewer when none are ready or a commit is due. `now` is the wall
    /// clock. Returns how many were processed.
    pub fn process(&mut self, limit: usize, now: Timestamp) -> Result<usize, TaskError> {
        let mut processed = 0;
        while processed < limit && !self.is_full() {
            let Some(chosen) = self.inputs.next(now) else { break };
            self.process_one(chosen, now)?;
            processed += 1;
        }
        Ok(processed)
    }

    fn process_one(&mut self, chosen: Chosen, now: Timestamp) -> Result<(), TaskError> {
        self.dirty = true;
        self.counters.records_in += 1;
        let subtopology = self.subtopology.clone();
        let Some(source) = subtopology.sources.get(chosen.source) else { return Ok(()) };
        match chosen.record {
            Ok(record) => {
                self.push(&source.outputs, record);
                self.run(Some((&chosen.raw, source.personal_data)), now)
            }
            Err(error) => {
                let origin = Origin {
                    topic: source.topic.clone(),
                    partition: self.id.partition,
                    offset: chosen.raw.offset,
                };
                let failure = Failure {
                    class: "decode",
                    node: source.name.clone(),
                    message: error.to_string(),
                    personal_data: source.personal_data,
                };
                let policy = source.on_decode_error;
                self.handle(Failed { policy, failure, origin: &origin, raw: &chosen.raw }, now)
            }
        }
    }

    /// Queues a record for each edge, so that the first edge is worked off first.
    fn push(&mut self, edges: &[Edge], record: Record) {
        let Some((first, rest)) = edges.split_first() else { return };
        for edge in rest.iter().rev() {
            self.pending.push((*edge, record.clone()));
        }
        self.pending.push((*first, record));
    }

    /// Works off everything that is pending, depth first: what an operator hands on is taken all the way
    /// down before its next record is, as in Kafka Streams.
    pub(super) fn run(&mut self, input: Option<(&LogRecord, bool)>, now: Timestamp) -> Result<(), TaskError> {
        while let Some((edge, record)) = self.pending.pop() {
            let origin = record.origin.clone();
            let key = record.key.clone();
            let timestamp = record.timestamp;
            let outcome = self.with_operator(edge.node, |operator, context| {
                operator.process(edge.input, record, context)
            });
            self.distribute(edge.node, now)?;
            let Some(Err(error)) = outcome else { continue };
            match input {
                Some((raw, personal_data)) if raw.offset == origin.offset => {
                    self.operator_failed(edge.node, error, &origin, raw, personal_data, now)?;
                }
                _ => self.derived_failed(edge.node, error, &origin, key, timestamp, now)?,
            }
        }
        Ok(())
    }

    /// Deals with the failure of a record whose input record is no longer at hand: it was held back since
    /// an earlier one. Of that one, key and time are still known.
    fn derived_failed(
        &mut self,
        node: NodeId,
        error: OperatorError,
        origin: &Arc<Origin>,
        key: Option<Key>,
        timestamp: Timestamp,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        let raw = LogRecord {
            offset: origin.offset,
            timestamp,
            key: key.map(|key| key.encoded),
            value: None,
            headers: Headers::default(),
        };
        self.operator_failed(node, error, origin, &raw, true, now)
    }

    /// Lets an operator work in the context of this task.
    pub(super) fn with_operator<R>(
        &mut self,
        node: NodeId,
        work: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> R,
    ) -> Option<R> {
        let operator = self.operators.get_mut(node)?;
        let mut context = OperatorContext {
            stores: &mut self.stores,
            collector: &mut self.collector,
            counters: &mut self.counters,
            caching: self.options.caching,
            emitted: &mut self.emitted,
            failed: &mut self.failed,
        };
        Some(work(operator.as_mut(), &mut context))
    }

    /// Queues what a node handed on, so that its first record is worked off first, and deals with what it
    /// reported as failed.
    pub(super) fn distribute(&mut self, node: NodeId, now: Timestamp) -> Result<(), TaskError> {
        for (record, error) in std::mem::take(&mut self.failed) {
            self.derived_failed(node, error, &record.origin, record.key, record.timestamp, now)?;
        }
        if self.emitted.is_empty() {
            return Ok(());
        }
        let subtopology = self.subtopology.clone();
        let mut emitted = std::mem::take(&mut self.emitted);
        if let Some(node) = subtopology.nodes.get(node) {
            for (output, record) in emitted.drain(..).rev() {
                self.push(node.outputs.get(output).map_or(&[], Vec::as_slice), record);
            }
        }
        self.emitted = emitted;
        Ok(())
    }

    /// Deals with the failure of an operator on a record.
    fn operator_failed(
        &mut self,
        node: NodeId,
        error: OperatorError,
        origin: &Arc<Origin>,
        raw: &LogRecord,
        personal_data: bool,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        let subtopology = self.subtopology.clone();
        let Some(plan) = subtopology.nodes.get(node) else { return Ok(()) };
        let (class, policy) = match (&error, &plan.verb) {
            (OperatorError::State(_), _) => ("state", OnError::Fail),
            (OperatorError::Serde(_) | OperatorError::Collect(_), Verb::Sink(sink)) => {
                ("produce", sink.on_produce_error)
            }
            _ => ("process", plan.on_process_error),
        };
        if let OperatorError::State(source) = error {
            return Err(TaskError::State { task: self.id, source });
        }
        let failure = Failure { class, node: plan.name.clone(), message: error.to_string(), personal_data };
        self.handle(Failed { policy, failure, origin, raw }, now)
    }

    /// Deals with a record that failed as its policy says (invariant I4).
    fn handle(&mut self, failed: Failed<'_>, now: Timestamp) -> Result<(), TaskError> {
        let Failed { policy, failure, origin, raw } = failed;
        match (policy, &self.dead_letters) {
            (OnError::Skip, _) => {
                tracing::warn!(task = %self.id, %origin, node = failure.node, "skipped a record that failed");
                self.counters.dropped(DropReason::Skipped);
                Ok(())
            }
            (OnError::DeadLetter, Some(writer)) => {
                writer.write(&failure, origin, raw, now, &mut self.collector).map_err(|error| {
                    TaskError::DeadLetter { task: self.id, origin: origin.clone(), message: error.to_string() }
                })?;
                self.counters.dead_letters += 1;
                Ok(())
            }
            (OnError::Fail, _) | (OnError::DeadLetter, None) => Err(TaskError::Failed {
                task: self.id,
                origin: origin.clone(),
                node: failure.node,
                class: failure.class,
                message: failure.message,
            }),
        }
    }
}
