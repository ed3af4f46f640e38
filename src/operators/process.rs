//! `process`: hands records to a processor of the program, and does for it what it asks.
//!
//! A call of a processor takes effect as a whole or not at all: what it stores is noted with what was there before, and
//! taken back when the call fails. Schedules follow Kafka Streams' `PunctuationQueue`; the task says when it is time.

use std::any::Any;
use std::borrow::Cow;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::map::encode_key;
use super::{Operator, OperatorContext, OperatorError, Result};
use crate::processor::{
    Context, ContextError, Moment, Processor, ProcessorError, PunctuationType, Record, Schedules, StoreLayout, Work,
};
use crate::record::{self, Headers, Key, Origin, Value, conform};
use crate::state::{StateError, StateValue};
use crate::time::{MAX_TIMESTAMP, Timestamp};
use crate::topology::process::{Process as Plan, ProcessOutput};

/// A processor at work.
pub(super) struct Process {
    plan: Arc<Plan>,
    processor: Box<dyn Processor>,
    schedules: Schedules,
    /// Whether it has begun and may be told that it ends.
    open: bool,
    /// Work in progress; kept for its capacity only.
    journal: Vec<Undo>,
    buffer: Vec<u8>,
}

/// What a store held before a call changed it.
struct Undo {
    store: usize,
    key: Bytes,
    before: Option<StateValue>,
}

/// Why a processor is called.
#[derive(Clone, Copy)]
enum Call<'a> {
    /// It begins.
    Init,
    /// A record has come.
    Process(&'a record::Record),
    /// A time has come.
    Punctuate(Timestamp),
}

impl Process {
    pub(super) fn new(plan: &Plan) -> Self {
        Process {
            processor: plan.factory.make(),
            plan: Arc::new(plan.clone()),
            schedules: Schedules::default(),
            open: false,
            journal: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Calls the processor; undoes what it did when that fails.
    fn call(
        &mut self,
        call: Call<'_>,
        context: &mut OperatorContext<'_>,
        processor: impl FnOnce(&mut dyn Processor, &mut Context<'_>) -> Result<(), ProcessorError>,
    ) -> Result<()> {
        let emitted = context.emitted.len();
        let moment = moment(call, context);
        let (at_hand, timestamp) = match call {
            Call::Init => (None, moment.now.stream_time.unwrap_or(0)),
            Call::Process(record) => (Some(record), record.timestamp),
            Call::Punctuate(timestamp) => (None, timestamp),
        };
        let mut work = Working {
            plan: &self.plan,
            context,
            schedules: &mut self.schedules,
            schedules_before: None,
            journal: &mut self.journal,
            buffer: &mut self.buffer,
            moment,
            at_hand,
            timestamp,
            fault: None,
        };
        // A panic would stop the application too, but without saying where.
        let called = AssertUnwindSafe(|| processor(self.processor.as_mut(), &mut Context::new(&mut work)));
        let outcome = catch_unwind(called);
        let (fault, schedules_before) = (work.fault, work.schedules_before);
        // What a store failed with stops the task, even if the processor makes nothing of it.
        let outcome = match (fault, outcome) {
            (Some(fault), _) => Err(OperatorError::State(fault)),
            (None, Ok(Ok(()))) => Ok(()),
            (None, Ok(Err(error))) => Err(self.failed(&error)),
            (None, Err(panic)) => {
                // It may be in the middle of anything.
                self.open = false;
                Err(self.panicked(panic.as_ref()))
            }
        };
        if outcome.is_err() {
            context.emitted.truncate(emitted);
            for undo in self.journal.drain(..).rev() {
                context.stores.put(undo.store, &undo.key, undo.before);
            }
            if let Some(before) = schedules_before {
                self.schedules = before;
            }
        }
        self.journal.clear();
        outcome
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> OperatorError {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given");
        OperatorError::Panicked { processor: self.plan.processor.clone(), message: text.to_owned() }
    }

    fn failed(&self, error: &ProcessorError) -> OperatorError {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        OperatorError::Processor { processor: self.plan.processor.clone(), message }
    }
}

fn moment(call: Call<'_>, context: &OperatorContext<'_>) -> Moment {
    let metadata = match call {
        Call::Process(record) if record.origin.is_record() => {
            let origin = &record.origin;
            Some((origin.topic().clone(), origin.partition(), origin.offset))
        }
        _ => None,
    };
    let initialising = matches!(call, Call::Init);
    Moment {
        now: context.now(initialising, matches!(call, Call::Punctuate(..))),
        metadata,
        partition: context.partition,
    }
}

impl Operator for Process {
    fn process(&mut self, _input: usize, record: record::Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let given = Record {
            key: record.key.as_ref().map_or(Value::Null, |key| key.value.clone()),
            // No more than it reads: what comes out is judged by that.
            value: record.value.restricted(&self.plan.reads),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
            window: record.window,
        };
        self.call(Call::Process(&record), context, |processor, context| processor.process(given, context))
    }

    fn is_punctuated(&self) -> bool {
        true
    }

    fn init(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.open = true;
        let outcome = self.call(Call::Init, context, |processor, context| processor.init(context));
        self.schedules.initialised();
        outcome
    }

    fn due(&self, kind: PunctuationType) -> Option<Timestamp> {
        self.schedules.due(kind)
    }

    fn punctuate(&mut self, kind: PunctuationType, time: Timestamp, context: &mut OperatorContext<'_>) {
        let Some(name) = self.schedules.take_due(kind, time) else { return };
        let outcome =
            self.call(Call::Punctuate(time), context, |processor, context| processor.punctuate(&name, time, context));
        if let Err(error) = outcome {
            let nothing = nothing_at(time, context.partition);
            context.fail(nothing, error);
        }
    }

    fn progress(&self) -> Vec<(Cow<'static, str>, i64)> {
        self.schedules.progress()
    }

    fn restore_progress(&mut self, name: &str, value: i64) {
        self.schedules.restore(name, value);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.open && !std::thread::panicking() {
            self.processor.close();
        }
    }
}

/// What stands for the record of a call that has none.
fn nothing_at(timestamp: Timestamp, partition: i32) -> record::Record {
    record::Record {
        key: None,
        window: None,
        value: Value::Null,
        old: None,
        latest: true,
        timestamp,
        headers: Headers::default(),
        origin: Origin::of_no_record(partition),
    }
}

/// What the engine does for a processor during one call.
struct Working<'w, 'c> {
    plan: &'w Plan,
    context: &'w mut OperatorContext<'c>,
    schedules: &'w mut Schedules,
    /// The schedules before this call changed them.
    schedules_before: Option<Schedules>,
    journal: &'w mut Vec<Undo>,
    buffer: &'w mut Vec<u8>,
    moment: Moment,
    /// The record at hand.
    at_hand: Option<&'w record::Record>,
    /// The time of what is stored.
    timestamp: Timestamp,
    /// What a store failed with.
    fault: Option<StateError>,
}

impl Working<'_, '_> {
    /// The record as the rest of the engine knows it.
    fn made(&mut self, output: &ProcessOutput, record: Record) -> Result<record::Record, ContextError> {
        let Record { key, value, timestamp, headers, window } = record;
        if !(0..=MAX_TIMESTAMP).contains(&timestamp) {
            return Err(ContextError::Timestamp(timestamp));
        }
        if output.keeps_timestamp && timestamp != self.timestamp {
            return Err(ContextError::TimestampChanged);
        }
        let misfit = |part, message| {
            let place = output.name.as_ref().map_or("what is forwarded".to_owned(), |name| format!("`{name}`"));
            ContextError::Misfit { part, place, message }
        };
        let came = self.at_hand.and_then(|record| record.key.as_ref());
        let is_same = self.at_hand.is_some() && came.map_or(&Value::Null, |key| &key.value) == &key;
        if output.keeps_key && self.at_hand.is_some() && !is_same {
            return Err(ContextError::KeyChanged);
        }
        let key: Option<Key> = match came {
            Some(came) if is_same && output.same_format => Some(came.clone()),
            _ => {
                let key = conform(key, &output.key).map_err(|message| misfit("the key", message))?;
                let encoded = encode_key(key, &output.key_writer, self.buffer);
                encoded.map_err(|error| misfit("the key", error.to_string()))?
            }
        };
        let value = conform(value, &output.value).map_err(|message| misfit("the value", message))?;
        let origin = self.at_hand.map(|record| record.origin.clone());
        Ok(record::Record {
            key,
            window: window.filter(|_| output.keeps_key),
            value,
            old: None,
            latest: true,
            timestamp,
            headers,
            origin: origin.unwrap_or_else(|| Origin::of_no_record(self.moment.partition)),
        })
    }

    /// The store of the task behind one of the processor's.
    fn store(&self, position: usize) -> Result<usize, ContextError> {
        let store = self.plan.stores.get(position).copied();
        store.ok_or_else(|| ContextError::Store("the step has no such store".to_owned()))
    }

    /// Notes a failure of the stores, of which the processor is only told.
    fn noted<T>(&mut self, outcome: std::result::Result<T, StateError>) -> Result<T, ContextError> {
        outcome.map_err(|error| {
            let message = error.to_string();
            self.fault.get_or_insert(error);
            ContextError::Store(message)
        })
    }
}

impl Work for Working<'_, '_> {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    fn forward(&mut self, child: Option<&str>, record: Record) -> Result<(), ContextError> {
        if self.moment.now.initialising {
            return Err(ContextError::TooEarly);
        }
        let plan = self.plan;
        let Some(child) = child else {
            // To all or to none.
            let outputs = plan.outputs.iter();
            let made = outputs.map(|output| self.made(output, record.clone())).collect::<Result<Vec<_>, _>>()?;
            made.into_iter().enumerate().for_each(|(output, record)| self.context.forward_to(output, record));
            return Ok(());
        };
        let named = |output: &ProcessOutput| output.name.as_deref() == Some(child);
        let Some(position) = plan.outputs.iter().position(named) else {
            let known = plan.outputs.iter().filter_map(|output| output.name.as_deref());
            return Err(ContextError::UnknownChild { name: child.to_owned(), known: crate::processor::listed(known) });
        };
        let made = self.made(&plan.outputs[position], record)?;
        self.context.forward_to(position, made);
        Ok(())
    }

    fn stores(&self) -> &[Arc<StoreLayout>] {
        &self.plan.layouts
    }

    fn get(&mut self, store: usize, key: &[u8]) -> Result<Option<(Timestamp, Value)>, ContextError> {
        let store = self.store(store)?;
        let row = self.context.stores.get(store, key);
        Ok(self.noted(row)?.map(|row| (row.timestamp, row.value)))
    }

    fn put(&mut self, store: usize, key: &[u8], value: Value) -> Result<(), ContextError> {
        let store = self.store(store)?;
        let before = self.context.stores.get(store, key);
        let before = self.noted(before)?;
        if value.is_null() && before.is_none() {
            return Ok(());
        }
        self.journal.push(Undo { store, key: Bytes::copy_from_slice(key), before });
        let row = StateValue { timestamp: self.timestamp, value };
        self.context.stores.put(store, key, Some(row).filter(|row| !row.value.is_null()));
        Ok(())
    }

    fn page(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Timestamp, Value)>, ContextError> {
        let store = self.store(store)?;
        let rows = self.context.stores.scan_limited(store, from, to, limit);
        Ok(self.noted(rows)?.into_iter().map(|(key, row)| (key, row.timestamp, row.value)).collect())
    }

    fn schedules(&mut self) -> &mut Schedules {
        self.schedules_before.get_or_insert_with(|| self.schedules.clone());
        self.schedules
    }
}
