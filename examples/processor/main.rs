//! A program with a processor of its own: `waiting` tells of conversations in which nobody answers.
//!
//! It is the whole command line of `signalstream`, and knows one processor more:
//!
//! ```sh
//! cargo run --release --example processor -- test examples/processor/
//! cargo run --release --example processor -- run examples/processor/waiting.yaml --embedded ./data
//! ```

use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Processors, PunctuationType, Record,
    Request, StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::Format;
use signalstream::time::Timestamp;

/// What stands under `config` in the topology.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How long a customer may wait, in seconds.
    longest_wait: u32,
    /// How often to look, in seconds of stream time.
    #[serde(default = "ten")]
    look_every: u32,
}

fn ten() -> u32 {
    10
}

/// Tells of conversations in which a customer has waited for too long, once each.
struct Waiting {
    settings: Settings,
}

impl Processor for Waiting {
    fn init(&mut self, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let interval = Duration::from_secs(self.settings.look_every.into());
        context.schedule("look", interval, PunctuationType::StreamTime)?;
        Ok(())
    }

    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let sender = record.value.get("sender").and_then(Value::as_str).ok_or("the message has no sender")?;
        let mut since = context.store("since")?;
        match sender {
            "customer" => since.put_if_absent(&record.key, record.timestamp)?,
            _ => since.delete(&record.key)?,
        };
        Ok(())
    }

    fn punctuate(
        &mut self,
        _schedule: &str,
        timestamp: Timestamp,
        context: &mut Context<'_>,
    ) -> Result<(), ProcessorError> {
        let limit = i64::from(self.settings.longest_wait) * 1_000;
        let mut overdue = Vec::new();
        for row in context.store("since")?.all() {
            let row = row?;
            match row.value {
                Value::Int(since) if timestamp - since >= limit => overdue.push((row.key, since)),
                _ => {}
            }
        }
        for (conversation, since) in overdue {
            context.store("since")?.delete(&conversation)?;
            let told = serde_json::json!({"since": since, "seconds": (timestamp - since) / 1_000});
            context.forward(Record::new(conversation, Value::Null, timestamp).with_value_of(&told)?)?;
        }
        Ok(())
    }
}

/// Makes them.
struct WaitingSupplier;

impl ProcessorSupplier for WaitingSupplier {
    fn name(&self) -> &str {
        "waiting"
    }

    fn description(&self) -> &str {
        "tells of conversations in which nobody answers"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let settings: Settings = request.config()?;
        if settings.look_every == 0 {
            return Err("`look_every` must be a second at the least".into());
        }
        let told = Shape::structure("", [("since", Shape::Timestamp), ("seconds", Shape::Int)]);
        Ok(Blueprint::new(move || Waiting { settings: settings.clone() })
            .store(StoreDeclaration::key_value("since", Format::String, Shape::Int))
            .gives(Output::new().values(told).keeps_key()))
    }
}

/// The processors of this program.
pub(crate) fn processors() -> Processors {
    Processors::new().with(WaitingSupplier)
}

fn main() -> ExitCode {
    signalstream::cli::main_with(processors())
}
