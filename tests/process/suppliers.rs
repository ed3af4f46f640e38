//! The processors of these tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalstream::processor::{
    Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Processors, PunctuationType, Record,
    Request, StoreDeclaration,
};
use signalstream::record::{Shape, Value};
use signalstream::serdes::Format;

type Done = Result<(), ProcessorError>;

/// All of them.
pub(crate) fn all() -> Processors {
    Processors::new()
        .with(Numbering)
        .with(Ticking)
        .with(Routing)
        .with(Tracing)
        .with(Careless)
        .with(Renaming)
        .with(Remembering)
        .with(Recalling)
        .with(Pausing)
}

/// Counts how often processors begin and end.
#[derive(Clone, Default)]
pub(crate) struct Lives(pub(crate) Arc<[AtomicUsize; 2]>);

impl Lives {
    pub(crate) fn begun(&self) -> usize {
        self.0[0].load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }
}

/// Numbers the records of each key, in a store of its own.
struct Numbering;

impl ProcessorSupplier for Numbering {
    fn name(&self) -> &str {
        "number"
    }

    fn description(&self) -> &str {
        "numbers the records of each key"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let value = Shape::structure("", [("number", Shape::Int), ("value", request.value().clone().optional())]);
        Ok(Blueprint::new(|| NumberRecords)
            .store(StoreDeclaration::key_value("numbers", Format::String, Shape::Int))
            .gives(Output::new().values(value).keeps_key()))
    }
}

struct NumberRecords;

impl Processor for NumberRecords {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let mut numbers = context.store("numbers")?;
        let number = match numbers.get(&record.key)? {
            Some(Value::Int(last)) => last + 1,
            _ => 1,
        };
        numbers.put(&record.key, number)?;
        let row = numbers.get_row(&record.key)?.ok_or("what was put is there")?;
        assert_eq!((row.value, row.timestamp), (Value::Int(number), record.timestamp));
        let value = serde_json::json!({"value": record.read_value::<serde_json::Value>()?, "number": number});
        context.forward(record.with_value_of(&value)?)?;
        Ok(())
    }
}

/// Counts records by key and hands the counts on at times, then forgets them.
struct Ticking;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticks {
    #[serde(default)]
    stream_ms: Option<u64>,
    #[serde(default)]
    wall_clock_ms: Option<u64>,
    #[serde(default)]
    anchored_ms: Option<(i64, u64)>,
    /// After so many calls no more.
    #[serde(default)]
    most: Option<usize>,
}

impl ProcessorSupplier for Ticking {
    fn name(&self) -> &str {
        "tick"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let ticks: Ticks = request.config()?;
        let value = Shape::structure("", [("by", Shape::String), ("at", Shape::Timestamp), ("count", Shape::Int)]);
        Ok(Blueprint::new(move || Tick { ticks: ticks.clone() })
            .store(StoreDeclaration::key_value("counts", Format::String, Shape::Int))
            .store(StoreDeclaration::key_value("calls", Format::String, Shape::Int))
            .gives(Output::new().keys(Shape::String).values(value)))
    }
}

struct Tick {
    ticks: Ticks,
}

#[derive(Serialize)]
struct Ticked<'a> {
    by: &'a str,
    at: i64,
    count: i64,
}

impl Processor for Tick {
    fn init(&mut self, context: &mut Context<'_>) -> Done {
        assert_eq!(context.metadata(), None);
        // A cancellation is not known any more after a restart, but what is in the store is.
        let calls = context.store("calls")?.get(&Value::text("stream"))?;
        let calls = if let Some(Value::Int(calls)) = calls { calls } else { 0 };
        let is_done = self.ticks.most.is_some_and(|most| usize::try_from(calls).is_ok_and(|calls| calls >= most));
        if let Some(millis) = self.ticks.stream_ms.filter(|_| !is_done) {
            context.schedule("stream", Duration::from_millis(millis), PunctuationType::StreamTime)?;
        }
        if let Some(millis) = self.ticks.wall_clock_ms {
            context.schedule("wall", Duration::from_millis(millis), PunctuationType::WallClockTime)?;
        }
        if let Some((start, millis)) = self.ticks.anchored_ms {
            let interval = Duration::from_millis(millis);
            context.schedule_from("anchored", start, interval, PunctuationType::WallClockTime)?;
        }
        Ok(())
    }

    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let mut counts = context.store("counts")?;
        let count = match counts.get(&record.key)? {
            Some(Value::Int(count)) => count,
            _ => 0,
        };
        counts.put(&record.key, count + 1)?;
        Ok(())
    }

    fn punctuate(&mut self, schedule: &str, timestamp: i64, context: &mut Context<'_>) -> Done {
        assert_eq!(context.metadata(), None, "no record is at hand");
        let clock = match schedule {
            "stream" => context.stream_time(),
            _ => Some(context.wall_clock_time()),
        };
        assert_eq!(clock, Some(timestamp));
        let rows: Vec<_> = context.store("counts")?.all().collect::<Result<_, _>>()?;
        for row in &rows {
            context.store("counts")?.delete(&row.key)?;
            let Value::Int(count) = row.value else { return Err("a count is a number".into()) };
            let ticked = Ticked { by: schedule, at: timestamp, count };
            let record = Record::new(row.key.clone(), Value::Null, timestamp).with_value_of(&ticked)?;
            context.forward(record)?;
        }
        let calls = Value::text(schedule);
        let mut stored = context.store("calls")?;
        let count = match stored.get(&calls)? {
            Some(Value::Int(count)) => count + 1,
            _ => 1,
        };
        stored.put(&calls, count)?;
        if rows.is_empty() {
            let ticked = Ticked { by: schedule, at: timestamp, count: 0 };
            context.forward(Record::new("nothing", Value::Null, timestamp).with_value_of(&ticked)?)?;
        }
        if self.ticks.most.is_some_and(|most| usize::try_from(count).is_ok_and(|count| count >= most)) {
            assert!(context.cancel(schedule));
        }
        Ok(())
    }
}

/// Sends records to one of two outputs, or to both.
struct Routing;

impl ProcessorSupplier for Routing {
    fn name(&self) -> &str {
        "route"
    }

    fn children(&self) -> &[&str] {
        &["small", "large"]
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        let large = Shape::structure("", [("large", Shape::Int)]);
        Ok(Blueprint::new(|| Route).gives(Output::new().keeps_key()).child("large", Output::new().values(large)))
    }
}

struct Route;

impl Processor for Route {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let large = |amount: i64| serde_json::json!({"large": amount});
        match record.value.get("amount") {
            Some(Value::Int(amount)) if *amount > 100 => {
                let amount = *amount;
                context.forward_to("large", record.with_value_of(&large(amount))?)?;
            }
            // What fits both goes to both.
            Some(Value::Int(100)) => context.forward(record.with_value_of(&large(100))?)?,
            Some(Value::Int(_)) => context.forward_to("small", record)?,
            Some(_) => context.forward_to("middle", record)?,
            None => context.forward_to("large", record)?,
        }
        Ok(())
    }
}

/// Reads and writes headers, and says where records come from.
struct Tracing;

impl ProcessorSupplier for Tracing {
    fn name(&self) -> &str {
        "trace"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Trace))
    }
}

struct Trace;

impl Processor for Trace {
    fn process(&mut self, mut record: Record, context: &mut Context<'_>) -> Done {
        let trace = record.header("trace").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let place = context.metadata().ok_or("a record has its place")?;
        let place = format!("{}-{}@{}", place.topic, place.partition, place.offset);
        record.remove_header("trace");
        record.add_header("place", place);
        let value = serde_json::json!({
            "trace": trace, "stream_time": context.stream_time(), "wall_clock": context.wall_clock_time(),
        });
        let timestamp = record.timestamp + 1;
        context.forward(record.with_value_of(&value)?.with_timestamp(timestamp))?;
        Ok(())
    }
}

/// Does everything, and then fails where the value says so.
struct Careless;

#[derive(Clone, Deserialize)]
struct Fails {
    #[serde(default)]
    on_schedule: bool,
    #[serde(default)]
    in_init: bool,
}

impl ProcessorSupplier for Careless {
    fn name(&self) -> &str {
        "careless"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        let fails: Fails = request.config()?;
        Ok(Blueprint::new(move || FailAtTheEnd { fails: fails.clone() })
            .store(StoreDeclaration::key_value("kept", Format::String, Shape::Any))
            .gives(Output::new().values(Shape::Any)))
    }
}

struct FailAtTheEnd {
    fails: Fails,
}

impl Processor for FailAtTheEnd {
    fn init(&mut self, context: &mut Context<'_>) -> Done {
        if self.fails.in_init {
            context.forward(Record::new("too", "early", 0))?;
        }
        if self.fails.on_schedule {
            context.schedule("often", Duration::from_secs(10), PunctuationType::WallClockTime)?;
        }
        Ok(())
    }

    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let mut kept = context.store("kept")?;
        kept.put(&record.key, record.value.clone())?;
        kept.put(&Value::text("last"), record.key.clone())?;
        kept.delete(&Value::text("gone"))?;
        context.forward(record.clone())?;
        match record.value.get("fail").and_then(Value::as_str) {
            Some("panic") => panic!("the processor panics"),
            Some("shape") => context.store("kept")?.put(&Value::Int(1), 1)?,
            Some("schedule") => context.schedule("never", Duration::ZERO, PunctuationType::StreamTime)?,
            Some(reason) => return Err(format!("it was told to: {reason}").into()),
            None => {}
        }
        Ok(())
    }

    fn punctuate(&mut self, _schedule: &str, timestamp: i64, context: &mut Context<'_>) -> Done {
        context.store("kept")?.put(&Value::text("punctuated"), timestamp)?;
        context.forward(Record::new("never", "seen", timestamp))?;
        Err("it fails at times".into())
    }
}

/// New keys from the values.
struct Renaming;

impl ProcessorSupplier for Renaming {
    fn name(&self) -> &str {
        "rename"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Rename).gives(Output::new().keys(Shape::Int)))
    }
}

struct Rename;

impl Processor for Rename {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let key = record.value.get("customer").cloned().unwrap_or_default();
        context.forward(record.with_key(key))?;
        Ok(())
    }
}

/// Remembers values in a store that the topology gives.
struct Remembering;

impl ProcessorSupplier for Remembering {
    fn name(&self) -> &str {
        "remember"
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        request.store("memory").ok_or("it needs a store `memory`")?;
        Ok(Blueprint::new(|| Remember).gives(Output::new().keeps_key()))
    }
}

struct Remember;

impl Processor for Remember {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        context.store("memory")?.put(&record.key, record.value.clone())?;
        Ok(())
    }
}

/// Recalls what another step remembers.
struct Recalling;

impl ProcessorSupplier for Recalling {
    fn name(&self) -> &str {
        "recall"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Recall))
    }
}

struct Recall;

impl Processor for Recall {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        let mut memory = context.store("memory")?;
        let text = |row: signalstream::processor::Row| row.value.as_str().unwrap_or_default().to_owned();
        let mut recalled = Vec::new();
        match record.value.as_str() {
            Some("all") => {
                for row in memory.all() {
                    recalled.push(text(row?));
                }
            }
            Some(range) if range.contains("..") => {
                let (from, to) = range.split_once("..").ok_or("a range")?;
                for row in memory.range(Value::text(from.to_owned())..Value::text(to.to_owned()))? {
                    recalled.push(text(row?));
                }
            }
            Some(prefix) => {
                for row in memory.prefix(&Value::text(prefix.to_owned()))? {
                    recalled.push(text(row?));
                }
            }
            None => recalled.extend(memory.get_row(&record.key)?.map(text)),
        }
        context.forward(record.with_value(recalled.join(",")))?;
        Ok(())
    }
}

/// Hands a value on when its key has been silent for a time: schedules made while records come.
struct Pausing;

impl ProcessorSupplier for Pausing {
    fn name(&self) -> &str {
        "pause"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        Ok(Blueprint::new(|| Pause))
    }
}

struct Pause;

impl Processor for Pause {
    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        match (record.key.as_str(), record.value.as_str()) {
            (Some(name), Some("stop")) => {
                context.cancel(name);
            }
            (Some(name), Some("stream")) => {
                context.schedule(name, Duration::from_millis(10), PunctuationType::StreamTime)?;
            }
            (Some(name), _) => context.schedule(name, Duration::from_secs(1), PunctuationType::WallClockTime)?,
            (None, _) => {}
        }
        Ok(())
    }

    fn punctuate(&mut self, schedule: &str, timestamp: i64, context: &mut Context<'_>) -> Done {
        context.forward(Record::new(schedule.to_owned(), timestamp, timestamp))?;
        Ok(())
    }
}

/// Passes records on, and counts its lives.
pub(crate) struct Counted(pub(crate) Lives);

impl ProcessorSupplier for Counted {
    fn name(&self) -> &str {
        "counted"
    }

    fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
        let lives = self.0.clone();
        Ok(Blueprint::new(move || Count { lives: lives.clone(), since: 0 }).gives(Output::new().values(Shape::Int)))
    }
}

struct Count {
    lives: Lives,
    /// Records since it was made: what no rollback brings back.
    since: i64,
}

impl Processor for Count {
    fn init(&mut self, _context: &mut Context<'_>) -> Done {
        self.lives.0[0].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn process(&mut self, record: Record, context: &mut Context<'_>) -> Done {
        self.since += 1;
        let since = self.since;
        context.forward(record.with_value(since))?;
        Ok(())
    }

    fn close(&mut self) {
        self.lives.0[1].fetch_add(1, Ordering::SeqCst);
    }
}
