//! Processors: steps written in Rust, for what the language has no verb for.
//!
//! A [`Processor`] is handed one record at a time and a [`Context`]: by it, it forwards any number of records, reads and
//! writes stores, and has itself called at times of the stream or of the wall clock ([`Context::schedule`]). A
//! [`ProcessorSupplier`] makes processors for the tasks of a topology, of which each has its own, and says what the
//! planner needs to know: the shapes of what comes out, the stores, the names of several outputs. [`Processors`] are the
//! suppliers that a program knows by name; `crate::cli::main_with` hands them to the command line. This follows the
//! Processor API of Kafka Streams (KIP-478, KIP-820).
//!
//! What holds of a processor as of any step:
//!
//! - A record is worked off in one piece. When [`Processor::process`] or [`Processor::punctuate`] fails, what that call has
//!   forwarded, stored and scheduled is undone, and the record goes where `on_error: process` says. The fields of the
//!   processor itself are its own affair.
//! - Stores belong to the task: they are committed with the outputs and the offsets, restored from their changelogs, and
//!   undone when a transaction is aborted. Then the processor is made anew, as after a start, and
//!   [`Processor::init`] is called: whatever must outlive that belongs in a store.
//! - A panic stops the application, with the reason, whatever `on_error` says.
//! - A processor is called by one thread at a time, and must not wait for anything outside: it holds up the stream thread.

mod blueprint;
mod context;
mod layout;
mod record;
mod registry;
mod schedules;
mod store;

pub use blueprint::{Blueprint, Output, Request, StoreDeclaration};
pub(crate) use blueprint::{Factory, OutputKey};
pub use context::{Context, ContextError, RecordMetadata};
pub(crate) use context::{Moment, Work, listed};
pub(crate) use layout::StoreLayout;
pub use record::Record;
pub use registry::Processors;
pub use schedules::PunctuationType;
pub(crate) use schedules::{Now, Schedules};
pub use store::{KeyValueStore, Row, Rows};

use crate::time::Timestamp;

/// Why a processor failed: any error. Its text is what a dead letter or the log says, beside the node and the
/// processor; a text by itself is one too (`Err("no such customer".into())`).
pub type ProcessorError = Box<dyn std::error::Error + Send + Sync>;

/// A step of a topology, at work on one partition.
///
/// ```
/// use signalstream::processor::{Context, Processor, ProcessorError, Record};
/// use signalstream::record::Value;
///
/// /// Numbers the records of each key.
/// struct Numbering;
///
/// impl Processor for Numbering {
///     fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
///         let mut numbers = context.store("numbers")?;
///         let number = match numbers.get(&record.key)? {
///             Some(Value::Int(last)) => last + 1,
///             _ => 1,
///         };
///         numbers.put(&record.key, Value::Int(number))?;
///         context.forward(record.with_value(Value::Int(number)))?;
///         Ok(())
///     }
/// }
/// ```
pub trait Processor: Send {
    /// Called once before anything else, when the task begins: after a start, a change of owner, and whenever the task
    /// goes back to its last commit. Here schedules are made. Nothing can be forwarded yet.
    ///
    /// # Errors
    /// Any stops the application.
    fn init(&mut self, _context: &mut Context<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Takes a record. Null keys and null values are records like others.
    ///
    /// # Errors
    /// Any is an error of the record: `on_error: process` says what becomes of it.
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError>;

    /// Called when it is time for the schedule of this name. `timestamp` is the time that it is, stream time or wall-clock
    /// time as the schedule asks; that for which it was due may lie before.
    ///
    /// # Errors
    /// As of [`Processor::process`]; a dead letter of it has no record.
    fn punctuate(
        &mut self,
        schedule: &str,
        _timestamp: Timestamp,
        _context: &mut Context<'_>,
    ) -> Result<(), ProcessorError> {
        Err(format!("`{schedule}` is scheduled, and the processor has no `punctuate`").into())
    }

    /// Called at the end, whatever it is: the task is closed, lost or taken back to its last commit. Nothing can be
    /// forwarded or stored any more. After a panic in the processor it is not called.
    fn close(&mut self) {}
}

/// Makes the processors of one name.
///
/// ```
/// use serde::Deserialize;
/// use signalstream::processor::{
///     Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Record, Request,
/// };
/// use signalstream::record::Shape;
///
/// /// What stands under `config` in the topology.
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     most: usize,
/// }
///
/// struct Shorten {
///     most: usize,
/// }
///
/// impl Processor for Shorten {
///     fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
///         let text = record.value.as_str().ok_or("the value is not text")?;
///         let short: String = text.chars().take(self.most).collect();
///         context.forward(record.with_value(short))?;
///         Ok(())
///     }
/// }
///
/// struct Shortening;
///
/// impl ProcessorSupplier for Shortening {
///     fn name(&self) -> &str {
///         "shorten"
///     }
///
///     fn description(&self) -> &str {
///         "Cuts texts to a length"
///     }
///
///     fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
///         let Settings { most } = request.config()?;
///         Ok(Blueprint::new(move || Shorten { most }).gives(Output::new().values(Shape::String).keeps_key()))
///     }
/// }
/// ```
pub trait ProcessorSupplier: Send + Sync {
    /// The name that topologies call it by: `- process: {processor: NAME}`.
    fn name(&self) -> &str;

    /// What its processors do, in a sentence, for people.
    fn description(&self) -> &str {
        ""
    }

    /// The names of its outputs, where it has several: in the topology each is a stream, read as `stream.name`. Empty: it
    /// has one output, and steps may follow.
    fn children(&self) -> &[&str] {
        &[]
    }

    /// Looks at what stands in the topology and at the shapes that arrive, and says what comes of it. Called whenever a
    /// topology is planned, `validate` and `describe` included.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the shapes: reported at its place in the topology.
    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError>;
}
