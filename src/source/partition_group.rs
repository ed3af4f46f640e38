//! The input partitions of a task, and the choice among their next records.

use std::collections::VecDeque;

use super::decode::{DecodeError, SourceDecoder};
use crate::log::LogRecord;
use crate::record::{Origin, Record};
use crate::time::Timestamp;

/// The next record of a task, or the one that could not be decoded.
pub struct Chosen {
    /// The source it came from: its position in the sub-topology's sources.
    pub source: usize,
    /// Where it was read.
    pub origin: Origin,
    /// The record as it was read.
    pub raw: LogRecord,
    /// The record as operators see it.
    pub record: Result<Record, DecodeError>,
}

/// What a task could process next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A record of this time; one that cannot be decoded has the earliest there is.
    Ready(Timestamp),
    /// Nothing yet: a partition is empty of which records are known to be on their way.
    Awaited,
    /// Nothing yet: of a partition that is empty it is not known whether it holds records.
    Unknown,
    /// Nothing yet: the first record of a partition waits for the schema it was written with.
    Held,
    /// Nothing.
    Nothing,
}

/// For how long a record that waits for its schema is not looked at again if the registry has said nothing, in
/// milliseconds. After that it is said once more that the schema is needed.
const HELD: Timestamp = 1_000;

struct RecordQueue {
    decoder: SourceDecoder,
    waiting: VecDeque<LogRecord>,
    /// The first of them, decoded: its timestamp is what the partitions are compared by.
    head: Option<Result<Record, DecodeError>>,
    /// What the first of them waits for, if it waits for its schema.
    held: Option<Held>,
    /// The offset after the last record that was processed.
    position: i64,
    /// The offset after the last record that was queued.
    fetched: i64,
    /// The end of the partition as it was last known; `None` while nothing has been heard of it.
    end: Option<i64>,
    /// What waits, in bytes of memory, about.
    bytes: usize,
}

/// What is seen of the next record of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The record of this offset waits for its schema.
    Held(i64),
    /// That of this offset can be read, or never will be.
    Readable(i64),
    /// There is none.
    Empty,
    /// It has not been fetched, or it is not known whether there is one.
    Unknown,
}

/// What a record waits for.
struct Held {
    /// The id of its schema.
    schema: String,
    /// How many answers of the registry there were when it was last looked at, and when that was.
    answers: u64,
    at: Timestamp,
}

/// About how many bytes of memory a record takes while it waits.
fn size(record: &LogRecord) -> usize {
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.as_slice().iter().map(|header| header.name.len() + bytes(&header.value));
    size_of::<LogRecord>() + bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>()
}

impl RecordQueue {
    fn fill_head(&mut self, now: Timestamp) {
        if self.head.is_none()
            && let Some(raw) = self.waiting.front()
        {
            let answers = self.decoder.answers();
            let is_recent = |held: &Held| held.answers == answers && (0..HELD).contains(&now.saturating_sub(held.at));
            if self.held.as_ref().is_some_and(is_recent) {
                return;
            }
            // One whose schema is being asked for stays where it is.
            let decoded = self.decoder.decode(raw, now);
            let schema = decoded.as_ref().err().and_then(DecodeError::awaited_schema).map(str::to_owned);
            self.held = schema.map(|schema| Held { schema, answers, at: now });
            self.head = self.held.is_none().then_some(decoded);
        }
    }

    fn sight(&self) -> Sight {
        match (self.waiting.front(), &self.held) {
            (Some(next), Some(_)) => Sight::Held(next.offset),
            (Some(next), None) if self.head.is_some() => Sight::Readable(next.offset),
            (None, _) if self.end.is_some_and(|end| self.fetched >= end) => Sight::Empty,
            _ => Sight::Unknown,
        }
    }

    /// A record that cannot be decoded has no time; it is dealt with at once.
    fn head_timestamp(&self) -> Option<Timestamp> {
        self.head.as_ref().map(|record| record.as_ref().map_or(Timestamp::MIN, |record| record.timestamp))
    }

    /// What has to come before a record of another partition may be taken: nothing is queued although the log is known to
    /// hold more, or may hold more for all that is known; or what is queued cannot be read yet.
    fn awaits(&self) -> Option<Awaits> {
        match self.end {
            _ if !self.waiting.is_empty() => self.head.is_none().then_some(Awaits::Schema),
            None => Some(Awaits::News),
            Some(end) => (self.fetched < end).then_some(Awaits::Fetch),
        }
    }
}

/// Why no record can be taken although some are queued. Where there are several reasons, the greatest counts: others are
/// held up by a fetch only where it is all that is missing, and have to know of a schema that is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Awaits {
    /// A partition is empty whose records are known to be on their way.
    Fetch,
    /// A partition is empty of which it is not known where it ends.
    News,
    /// The first record of a partition cannot be read before the schema registry has answered.
    Schema,
}

/// One queue per source; all are of the same partition number.
pub struct PartitionGroup {
    queues: Vec<RecordQueue>,
    queued: usize,
}

impl PartitionGroup {
    /// Queues for these sources, each read from the position given (the next offset to process).
    pub fn new(sources: Vec<(SourceDecoder, i64)>) -> Self {
        let queues = sources
            .into_iter()
            .map(|(decoder, position)| RecordQueue {
                decoder,
                waiting: VecDeque::new(),
                head: None,
                held: None,
                position,
                fetched: position,
                end: Some(position),
                bytes: 0,
            })
            .collect();
        PartitionGroup { queues, queued: 0 }
    }

    /// Queues records of a source; `next` is the offset that the fetch after them starts at. Returns whether that
    /// alone moved the source's position: over offsets that hold no record any more, with nothing queued before.
    pub fn add(&mut self, source: usize, records: Vec<LogRecord>, next: i64) -> bool {
        let Some(queue) = self.queues.get_mut(source) else { return false };
        self.queued += records.len();
        queue.bytes += records.iter().map(size).sum::<usize>();
        queue.waiting.extend(records);
        queue.fetched = next;
        queue.end = queue.end.max(Some(next));
        let moves = queue.waiting.is_empty() && queue.position < next;
        if moves {
            queue.position = next;
        }
        moves
    }

    /// Notes where the log of a source ends, so that the choice can wait for records known to be there, or that this is not
    /// known yet, which is waited for (Kafka Streams' `max.task.idle.ms = 0`).
    pub fn set_end(&mut self, source: usize, end: Option<i64>) {
        if let Some(queue) = self.queues.get_mut(source) {
            queue.end = end;
        }
    }

    /// How many records are queued.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many records of one source are queued.
    pub fn queued_of(&self, source: usize) -> usize {
        self.queues.get(source).map_or(0, |queue| queue.waiting.len())
    }

    /// What [`PartitionGroup::peek`] has last seen of the next record of one source.
    pub fn sight(&self, source: usize) -> Sight {
        self.queues.get(source).map_or(Sight::Unknown, RecordQueue::sight)
    }

    /// The id of the schema that the next record of one source waits for.
    pub fn awaited_schema(&self, source: usize) -> Option<&str> {
        self.queues.get(source)?.held.as_ref().map(|held| held.schema.as_str())
    }

    /// About how many bytes of memory the queued records of one source take.
    pub fn queued_bytes_of(&self, source: usize) -> usize {
        self.queues.get(source).map_or(0, |queue| queue.bytes)
    }

    /// Takes the record with the lowest timestamp; on a tie that of the first source. `None` when nothing is
    /// queued, or a partition is empty whose records are known to be on their way, or may be.
    pub fn next(&mut self, now: Timestamp) -> Option<Chosen> {
        let (_, source) = self.lowest(now).ok()??;
        let queue = self.queues.get_mut(source)?;
        let record = queue.head.take()?;
        let raw = queue.waiting.pop_front()?;
        queue.position = raw.offset + 1;
        queue.bytes = queue.bytes.saturating_sub(size(&raw));
        if queue.waiting.is_empty() {
            queue.position = queue.fetched;
        }
        self.queued -= 1;
        Some(Chosen { source, origin: queue.decoder.origin(raw.offset), raw, record })
    }

    /// What [`PartitionGroup::next`] would take.
    pub fn peek(&mut self, now: Timestamp) -> Next {
        match self.lowest(now) {
            Ok(Some((timestamp, _))) => Next::Ready(timestamp),
            Ok(None) => Next::Nothing,
            Err(Awaits::Fetch) => Next::Awaited,
            Err(Awaits::News) => Next::Unknown,
            Err(Awaits::Schema) => Next::Held,
        }
    }

    /// The lowest timestamp and its source.
    fn lowest(&mut self, now: Timestamp) -> Result<Option<(Timestamp, usize)>, Awaits> {
        let mut lowest: Option<(Timestamp, usize)> = None;
        let mut awaited: Option<Awaits> = None;
        for (source, queue) in self.queues.iter_mut().enumerate() {
            queue.fill_head(now);
            if let Some(awaits) = queue.awaits() {
                // The others go on to be looked at: they may need schemas, too, which are then asked for at once.
                awaited = awaited.max(Some(awaits));
                continue;
            }
            if let Some(timestamp) = queue.head_timestamp()
                && lowest.is_none_or(|(seen, _)| timestamp < seen)
            {
                lowest = Some((timestamp, source));
            }
        }
        awaited.map_or(Ok(lowest), Err)
    }

    /// The next offset to process of a source.
    pub fn position(&self, source: usize) -> i64 {
        self.queues.get(source).map_or(0, |queue| queue.position)
    }

    /// Drops what is queued and goes back to these positions.
    pub fn rewind(&mut self, positions: &[i64]) {
        for (queue, position) in self.queues.iter_mut().zip(positions) {
            queue.waiting.clear();
            queue.head = None;
            queue.held = None;
            queue.bytes = 0;
            queue.position = *position;
            queue.fetched = *position;
        }
        self.queued = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::record::Headers;
    use crate::serdes::SchemaRegistry;
    use crate::serdes::remote::{RegistrySettings, RemoteRegistry};
    use crate::time::SystemClock;
    use crate::topology::{PlanOptions, load};
    use std::net::TcpListener;
    use std::sync::Arc;

    const TOPOLOGY: &str = "
topology: t
defaults: {key: string, value: json}
sources:
  a: {topic: a}
sinks:
  - {from: a, topic: out}
";

    fn group_of(sources: usize) -> PartitionGroup {
        group(TOPOLOGY, &SchemaRegistry::new(), sources)
    }

    fn group(text: &str, registry: &SchemaRegistry, sources: usize) -> PartitionGroup {
        let options = PlanOptions { registry, agents: &Agents::local(), projection: true };
        let topology = load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let source = || (SourceDecoder::new(&topology.subtopologies[0].sources[0], 0, None), 0);
        PartitionGroup::new((0..sources).map(|_| source()).collect())
    }

    fn record(offset: i64) -> LogRecord {
        LogRecord { offset, timestamp: 1, key: None, value: Some("1".into()), headers: Headers::default() }
    }

    #[test]
    fn offsets_without_records_move_the_position_once_nothing_waits() {
        let mut group = group_of(1);
        assert!(group.add(0, Vec::new(), 3));
        assert_eq!(group.position(0), 3);
        assert!(!group.add(0, vec![record(3)], 4));
        assert!(!group.add(0, Vec::new(), 9), "the record before has not been processed");
        assert_eq!(group.position(0), 3);
        assert!(group.queued_bytes_of(0) > 0);
        assert!(group.next(2).is_some());
        assert_eq!((group.position(0), group.queued_bytes_of(0)), (9, 0));
    }

    #[test]
    fn a_partition_is_waited_for_that_holds_more_or_of_which_that_is_not_known() {
        let mut group = group_of(2);
        group.set_end(1, None);
        group.add(0, vec![record(0), record(1)], 2);
        assert_eq!(group.peek(2), Next::Unknown);
        assert!(group.next(2).is_none());
        group.set_end(1, Some(1));
        assert_eq!(group.peek(2), Next::Awaited);
        group.add(1, vec![LogRecord { timestamp: 0, ..record(0) }], 1);
        assert_eq!(group.next(2).map(|chosen| chosen.source), Some(1));
        assert_eq!(group.next(2).map(|chosen| chosen.source), Some(0), "nothing more is known to come");
        group.set_end(1, None);
        assert_eq!(group.peek(2), Next::Unknown, "after the log was given up and is asked anew");
        group.set_end(1, Some(1));
        assert_eq!(group.peek(2), Next::Ready(1));
    }

    #[test]
    fn a_record_that_waits_for_its_schema_is_told_of_whatever_else_is_missing() {
        // A registry that takes questions and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = RegistrySettings::new(&format!("http://{}", silent.local_addr().unwrap()));
        let remote = RemoteRegistry::open(settings, Arc::new(SystemClock::new())).unwrap();
        let mut registry = SchemaRegistry::beside(remote);
        registry.add("Order.avsc", r#"{"type": "record", "name": "Order", "fields": []}"#).unwrap();
        let text = TOPOLOGY.replace("{topic: a}", "{topic: a, value: {avro: Order}}");
        let mut group = group(&text, &registry, 3);
        assert_eq!((group.peek(2), group.sight(2)), (Next::Nothing, Sight::Empty));
        group.set_end(0, None);
        group.set_end(1, Some(9));
        assert_eq!(group.peek(2), Next::Unknown, "one that cannot go on for long holds up no other");
        let value = Some(vec![0, 0, 0, 0, 7].into());
        group.add(2, vec![LogRecord { value: value.clone(), ..record(0) }], 1);
        assert_eq!(group.peek(2), Next::Held);
        assert_eq!([0, 1, 2].map(|source| group.sight(source)), [Sight::Unknown, Sight::Unknown, Sight::Held(0)]);
        assert_eq!((group.awaited_schema(1), group.awaited_schema(2)), (None, Some("7")));
        group.rewind(&[0, 0, 0]);
        group.peek(2);
        assert_eq!(group.sight(2), Sight::Unknown, "it has to be fetched anew");
        group.add(2, vec![LogRecord { value: None, ..record(0) }], 1);
        group.peek(2);
        assert_eq!((group.sight(2), group.awaited_schema(2)), (Sight::Readable(0), None));
    }

    #[test]
    fn a_partition_that_runs_dry_is_waited_for_if_it_was_known_to_hold_more() {
        let mut group = group_of(2);
        group.add(0, vec![record(0), LogRecord { timestamp: 9, ..record(1) }], 2);
        group.add(1, vec![LogRecord { timestamp: 2, ..record(0) }], 1);
        group.set_end(1, Some(5));
        assert_eq!(group.next(10).map(|chosen| chosen.source), Some(0));
        assert_eq!(group.next(10).map(|chosen| chosen.source), Some(1));
        assert_eq!(group.peek(10), Next::Awaited, "what comes may be earlier than 9");
    }
}
