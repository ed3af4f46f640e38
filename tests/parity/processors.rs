//! The processors of `ProcessScenarios.java`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use signalstream::processor::{
    Blueprint, Context, Processor, ProcessorError, ProcessorSupplier, Processors, PunctuationType, Record, Request,
    Row, StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::Format;
use signalstream::time::Timestamp;

/// All of them.
pub(crate) fn all() -> Processors {
    Processors::new().with(CountingSupplier)
}

struct CountingSupplier;

impl ProcessorSupplier for CountingSupplier {
    fn name(&self) -> &str {
        "counting"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let Settings { stream_time_only } = request.config()?;
        let blueprint = Blueprint::new(move || Counting { stream_time_only });
        Ok(blueprint.store(StoreDeclaration::key_value("counts", Format::String, Shape::Int)))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Not called by the wall clock.
    stream_time_only: bool,
}

/// Counts the records of each key, and tells and forgets the counts at times.
struct Counting {
    stream_time_only: bool,
}

impl Processor for Counting {
    fn init(&mut self, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        context.schedule("stream", Duration::from_secs(10), PunctuationType::StreamTime)?;
        if self.stream_time_only {
            return Ok(());
        }
        context.schedule("wall", Duration::from_secs(7), PunctuationType::WallClockTime)?;
        context.schedule_from("anchored", 2_500, Duration::from_secs(60), PunctuationType::WallClockTime)?;
        Ok(())
    }

    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let mut count = 0;
        if !record.key.is_null() {
            let mut counts = context.store("counts")?;
            count = match counts.get(&record.key)? {
                Some(Value::Int(before)) => before + 1,
                _ => 1,
            };
            counts.put(&record.key, count)?;
        }
        let offset = context.metadata().ok_or("a record has its place")?.offset;
        let value = json!({"count": count, "stream_time": context.stream_time(), "offset": offset});
        context.forward(record.with_value_of(&value)?)?;
        Ok(())
    }

    fn punctuate(&mut self, by: &str, time: Timestamp, context: &mut Context<'_>) -> Result<(), ProcessorError> {
        let rows: Vec<Row> = context.store("counts")?.all().collect::<Result<_, _>>()?;
        for Row { key, value, .. } in rows {
            context.store("counts")?.delete(&key)?;
            let Value::Int(count) = value else { return Err("counts are numbers".into()) };
            let told = json!({"by": by, "count": count});
            context.forward(Record::new(key, Value::Null, time).with_value_of(&told)?)?;
        }
        // Kafka Streams has -1 for a stream time that there is none of.
        let told = json!({"by": by, "stream_time": context.stream_time().unwrap_or(-1)});
        context.forward(Record::new("told", Value::Null, time).with_value_of(&told)?)?;
        Ok(())
    }
}
