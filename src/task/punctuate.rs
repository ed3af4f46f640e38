//! Calls operators at the times that they have asked for: those of the stream, and those of the wall clock.
//!
//! What is due first comes first, whichever operator it is of, and what follows from one call is worked off before the
//! next, as in Kafka Streams. Stream time is that of the task: the highest timestamp of the records that it has taken.

use super::process::message;
use super::{OffsetMetadata, Task, TaskError};
use crate::operators::OperatorError;
use crate::processor::PunctuationType;
use crate::time::Timestamp;
use crate::topology::plan::{NodeId, Subtopology};

impl Task {
    /// Lets operators begin that are called at times, if they have not: after a start, and after going back to the last
    /// commit.
    pub(super) fn initialise(&mut self, now: Timestamp) -> Result<(), TaskError> {
        if self.initialised {
            return Ok(());
        }
        self.initialised = true;
        // What they ask for and store is to be committed, even if no record comes.
        self.dirty = true;
        for node in self.punctuated.clone() {
            let outcome = self.with_operator(node, now, |operator, context| operator.init(context));
            let plan = self.subtopology.nodes.get(node);
            let (node, handles) = plan.map(|node| (node.name.clone(), node.handles)).unwrap_or_default();
            match outcome {
                None | Some(Ok(())) => {}
                Some(Err(OperatorError::State(source))) => return Err(self.state_failed(source, handles)),
                Some(Err(error)) => {
                    return Err(TaskError::Init { task: self.id, node, message: message(&error, handles.any) });
                }
            }
        }
        // Now rather than at a commit: what processors go on from is known by now.
        let longest = OffsetMetadata::longest_with(&self.subtopology, &self.operators);
        TaskError::check_metadata(self.id, &longest).map(drop)
    }

    /// Calls what is due at stream time; to be done whenever a record has been worked off.
    pub(super) fn punctuate_stream_time(&mut self, plan: &Subtopology, now: Timestamp) -> Result<(), TaskError> {
        let Some(time) = self.stream_time.get().filter(|_| !self.punctuated.is_empty()) else { return Ok(()) };
        while self.punctuate(plan, PunctuationType::StreamTime, time, now)? {}
        Ok(())
    }

    /// Calls what is due at the wall clock, until a commit is due. Returns whether there was anything.
    pub(super) fn punctuate_wall_clock(&mut self, plan: &Subtopology, now: Timestamp) -> Result<bool, TaskError> {
        let mut any = false;
        while !self.punctuated.is_empty() && self.punctuate(plan, PunctuationType::WallClockTime, now, now)? {
            any = true;
            if self.is_full() {
                break;
            }
        }
        self.dirty |= any;
        Ok(any)
    }

    /// Calls the operator that is due first, if one is due at `time`.
    fn punctuate(
        &mut self,
        plan: &Subtopology,
        kind: PunctuationType,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<bool, TaskError> {
        let due = |node: &NodeId| Some((self.operators.get(*node)?.due(kind)?, *node));
        let Some((_, node)) = self.punctuated.iter().filter_map(due).min().filter(|(due, _)| *due <= time) else {
            return Ok(false);
        };
        self.with_operator(node, now, |operator, context| operator.punctuate(kind, time, context));
        self.distribute(plan, node, None, now)?;
        self.run(plan, None, now)?;
        Ok(true)
    }
}
