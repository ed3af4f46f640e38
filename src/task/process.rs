//! One record after the other through the operators.

use super::{Task, TaskError, Work};
use crate::error::{Classified, ErrorClass};
use crate::log::LogRecord;
use crate::metrics::DropReason;
use crate::operators::{Operator, OperatorContext, OperatorError, Passage};
use crate::record::{Headers, Origin, Record};
use crate::sink::Failure;
use crate::source::{Chosen, Next};
use crate::state::StateError;
use crate::time::Timestamp;
use crate::topology::plan::{Edge, NodeId, OnError, Source, Subtopology, Verb};
use crate::topology::taint::Handles;

/// The input record at hand, from which everything in progress derives.
#[derive(Clone)]
pub(super) struct InHand {
    origin: Origin,
    raw: LogRecord,
    /// Where it may hold personal data; `None` of what was held back, of which no more is known than of the node.
    personal: Option<Handles>,
}

impl Task {
    /// Processes up to `limit` records, fewer when none are ready or a commit is due. `now` is the wall
    /// clock. Returns how many were processed.
    pub fn process(&mut self, limit: usize, now: Timestamp) -> Result<usize, TaskError> {
        self.process_until(limit, Timestamp::MAX, now)
    }

    /// As [`Task::process`], but takes no record that is later than `until`.
    pub fn process_until(&mut self, limit: usize, until: Timestamp, now: Timestamp) -> Result<usize, TaskError> {
        let plan = self.subtopology.clone();
        self.initialise(now)?;
        let mut processed = 0;
        while processed < limit && !self.is_full() {
            if until < Timestamp::MAX && !matches!(self.inputs.peek(now), Next::Ready(time) if time <= until) {
                break;
            }
            let Some(chosen) = self.inputs.next(now) else { break };
            self.process_one(&plan, chosen, now)?;
            processed += 1;
        }
        Ok(processed)
    }

    fn process_one(&mut self, plan: &Subtopology, chosen: Chosen, now: Timestamp) -> Result<(), TaskError> {
        self.dirty = true;
        self.counters.records_in += 1;
        let Some(source) = plan.sources.get(chosen.source) else { return Ok(()) };
        let Source { personal_data, personal_keys, personal_times, .. } = *source;
        let personal = Handles { any: personal_data, keys: personal_keys, times: personal_times };
        let input = InHand { origin: chosen.origin, raw: chosen.raw, personal: Some(personal) };
        match chosen.record {
            Ok(record) => {
                self.stream_time.observe(record.timestamp);
                self.hand_on(plan, &source.outputs, record, Some(&input), now)?;
                self.run(plan, Some(&input), now)?;
                self.punctuate_stream_time(plan, now)
            }
            Err(error) => {
                let failure = Failure {
                    class: "decode",
                    node: source.name.clone(),
                    message: if personal_data { error.without_values() } else { error.to_string() },
                    personal_data,
                    personal_keys,
                    personal_times,
                };
                self.handle(source.on_decode_error, failure, &input, now)
            }
        }
    }

    /// Queues a record for each edge, so that the first edge is worked off first.
    fn push(&mut self, edges: &[Edge], record: Record) {
        let Some((first, rest)) = edges.split_first() else { return };
        for edge in rest.iter().rev() {
            self.pending.push(Work::Take(*edge, record.clone()));
        }
        self.pending.push(Work::Take(*first, record));
    }

    /// Works off everything that is pending, depth first: what an operator hands on is taken all the way
    /// down before its next record is, as in Kafka Streams.
    pub(super) fn run(&mut self, plan: &Subtopology, input: Option<&InHand>, now: Timestamp) -> Result<(), TaskError> {
        while let Some(work) = self.pending.pop() {
            match work {
                Work::Take(edge, record) => self.hand_on(plan, &[edge], record, input, now)?,
                Work::GoOn(node, derived) => self.go_on(plan, node, derived, input, now)?,
            }
        }
        Ok(())
    }

    /// Lets an operator do the next part of what a record called for. Its failures are those of that record, which
    /// derives from the input at hand or, held back until now, from another.
    fn go_on(
        &mut self,
        plan: &Subtopology,
        node: NodeId,
        derived: Option<Box<InHand>>,
        input: Option<&InHand>,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        let outcome = self.with_operator(node, now, |operator, context| operator.go_on(context));
        let derived = derived.as_deref();
        self.distribute(plan, node, derived, now)?;
        match (outcome, input.or(derived)) {
            (Some(Err(error)), Some(input)) => self.operator_failed(node, error, input, now),
            (Some(Err(error)), None) => Err(self.failed_at_its_time(node, error)),
            _ => Ok(()),
        }
    }

    /// Takes a record down along edges: where there is one only, through as many operators as work on it where it lies.
    /// What they hand on beside it, or where there are several edges, is then pending.
    fn hand_on<'a>(
        &mut self,
        plan: &'a Subtopology,
        mut edges: &'a [Edge],
        mut record: Record,
        input: Option<&InHand>,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        while let [edge] = edges {
            // A record that was held back derives from an input that is no longer at hand.
            let derived = if input.is_none() { Some(derived_from(&record)) } else { None };
            let at_hand = input.or(derived.as_ref());
            let pass =
                |operator: &mut dyn Operator, context: &mut OperatorContext<'_>| operator.pass(&mut record, context);
            let Some(passage) = self.with_operator(edge.node, now, pass) else {
                return Ok(());
            };
            let outcome = match passage {
                Ok(Passage::To(output)) => {
                    edges =
                        plan.nodes.get(edge.node).and_then(|node| node.outputs.get(output)).map_or(&[], Vec::as_slice);
                    continue;
                }
                Ok(Passage::Ended) => return Ok(()),
                Ok(Passage::Whole) => {
                    let process = |operator: &mut dyn Operator, context: &mut OperatorContext<'_>| {
                        operator.process(edge.input, record, context)
                    };
                    let outcome = self.with_operator(edge.node, now, process);
                    self.distribute(plan, edge.node, derived.as_ref(), now)?;
                    outcome
                }
                Err(error) => Some(Err(error)),
            };
            if let (Some(Err(error)), Some(input)) = (outcome, at_hand) {
                self.operator_failed(edge.node, error, input, now)?;
            }
            return Ok(());
        }
        self.push(edges, record);
        Ok(())
    }

    /// Tells the wall clock to the operators that follow it, and works off what they hand on. Returns whether they did
    /// anything: then there may be more, and they are to be told again, after a commit if one is due.
    pub fn advance_wall_clock(&mut self, now: Timestamp) -> Result<bool, TaskError> {
        let plan = self.subtopology.clone();
        self.initialise(now)?;
        let mut any = self.punctuate_wall_clock(&plan, now)?;
        for node in 0..self.operators.len() {
            if !self.operators.get(node).is_some_and(|operator| operator.follows_wall_clock()) {
                continue;
            }
            let outcome = self.with_operator(node, now, |operator, context| operator.wall_clock(now, context));
            self.distribute(&plan, node, None, now)?;
            self.run(&plan, None, now)?;
            match outcome {
                Some(Ok(did)) => any |= did,
                Some(Err(error)) => return Err(self.failed_at_its_time(node, error)),
                None => {}
            }
        }
        self.dirty |= any;
        Ok(any)
    }

    /// The failure of an operator while no record was at hand.
    fn failed_at_its_time(&self, node: NodeId, error: OperatorError) -> TaskError {
        let plan = self.subtopology.nodes.get(node);
        let (node, handles) = plan.map(|node| (node.name.clone(), node.handles)).unwrap_or_default();
        match error {
            OperatorError::State(source) => self.state_failed(source, handles),
            OperatorError::Serde(source) if source.class() == ErrorClass::Fatal => {
                TaskError::Unannounced { task: self.id, node, source }
            }
            error => TaskError::Timed { task: self.id, node, message: message(&error, handles.any) },
        }
    }

    /// The failure of a store of a node.
    pub(super) fn state_failed(&self, source: StateError, handles: Handles) -> TaskError {
        let source = if handles.any { source.without_values() } else { source };
        TaskError::State { task: self.id, source }
    }

    /// Lets an operator work in the context of this task.
    pub(super) fn with_operator<R>(
        &mut self,
        node: NodeId,
        now: Timestamp,
        work: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> R,
    ) -> Option<R> {
        let operator = self.operators.get_mut(node)?;
        let mut context = OperatorContext {
            stores: &mut self.stores,
            globals: self.globals.as_deref(),
            collector: &mut self.collector,
            counters: &mut self.counters,
            caching: self.options.caching,
            partition: self.id.partition,
            wall_clock: now,
            stream_time: self.stream_time.get(),
            emitted: &mut self.emitted,
            failed: &mut self.failed,
            unfinished: &mut self.unfinished,
        };
        Some(work(operator.as_mut(), &mut context))
    }

    /// Queues what a node handed on, so that its first record is worked off first and the node goes on after the last, and
    /// deals with what it reported as failed. `derived`: what the record at hand derives from, if it was held back.
    pub(super) fn distribute(
        &mut self,
        plan: &Subtopology,
        node: NodeId,
        derived: Option<&InHand>,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        if !self.failed.is_empty() {
            for (record, error) in std::mem::take(&mut self.failed) {
                self.operator_failed(node, error, &derived_from(&record), now)?;
            }
        }
        if std::mem::take(&mut self.unfinished) {
            self.pending.push(Work::GoOn(node, derived.cloned().map(Box::new)));
        }
        if self.emitted.is_empty() {
            return Ok(());
        }
        let mut emitted = std::mem::take(&mut self.emitted);
        if let Some(node) = plan.nodes.get(node) {
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
        input: &InHand,
        now: Timestamp,
    ) -> Result<(), TaskError> {
        let subtopology = self.subtopology.clone();
        let Some(plan) = subtopology.nodes.get(node) else { return Ok(()) };
        let (class, policy) = match (&error, &plan.verb) {
            (OperatorError::State(_), _) => ("state", OnError::Fail),
            (OperatorError::Serde(_) | OperatorError::Collect(_), Verb::Sink(sink)) => {
                ("produce", sink.on_produce_error)
            }
            (OperatorError::Stop(_) | OperatorError::Panicked { .. }, _) => ("process", OnError::Fail),
            _ => ("process", plan.on_process_error),
        };
        match error {
            OperatorError::State(source) => return Err(self.state_failed(source, plan.handles)),
            // Nothing is wrong with the record (invariant I4).
            OperatorError::Serde(source) if source.class() == ErrorClass::Fatal => {
                return Err(TaskError::Unannounced { task: self.id, node: plan.name.clone(), source });
            }
            _ => {}
        }
        // Of what was held back it is not known whether it holds personal data, but whether the node may see some.
        let may_hold = plan.handles.any || input.personal.is_some_and(|personal| personal.any);
        let personal = input.personal.unwrap_or(Handles { any: true, ..plan.handles });
        let failure = Failure {
            class,
            node: plan.name.clone(),
            message: message(&error, may_hold),
            personal_data: personal.any,
            personal_keys: personal.keys,
            personal_times: personal.times,
        };
        self.handle(policy, failure, input, now)
    }

    /// Deals with a record that failed as its policy says (invariant I4).
    fn handle(&mut self, policy: OnError, failure: Failure, input: &InHand, now: Timestamp) -> Result<(), TaskError> {
        let InHand { origin, raw, .. } = input;
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

/// What an error says; where there may be personal data, without values.
pub(super) fn message(error: &OperatorError, personal_data: bool) -> String {
    if personal_data { error.without_values() } else { error.to_string() }
}

/// What is still known of the input of a record that was held back: key and time, not its bytes. Whether those
/// held personal data is not known either, so errors about it are kept as if they had.
fn derived_from(record: &Record) -> InHand {
    let raw = LogRecord {
        offset: record.origin.offset,
        timestamp: record.timestamp,
        key: record.key.as_ref().map(|key| key.encoded.clone()),
        value: None,
        headers: Headers::default(),
    };
    InHand { origin: record.origin.clone(), raw, personal: None }
}
