//! The embedded log of a test, in memory, as producers and readers of topics see it.

use std::time::Duration;

use signalstream::log::embedded::EmbeddedLog;
use signalstream::log::{Log, LogRecord, ProducerRecord};
use signalstream::record::{Headers, TopicPartition};

/// Longer than a read takes on a busy machine.
const READ: Duration = Duration::from_secs(60);

/// A record without headers.
pub(crate) fn record(topic: &str, partition: i32, key: &[u8], value: &[u8], timestamp: i64) -> ProducerRecord {
    let (key, value) = (Some(key.to_vec().into()), Some(value.to_vec().into()));
    ProducerRecord { topic: topic.into(), partition, timestamp, key, value, headers: Headers::default() }
}

/// Writes a record, by itself in a transaction.
pub(crate) fn send(log: &EmbeddedLog, record: ProducerRecord) {
    let mut producer = log.transactional_producer("test").unwrap();
    producer.begin().unwrap();
    producer.send(record).unwrap();
    producer.commit().unwrap();
}

/// All that a partition holds.
pub(crate) fn read(log: &EmbeddedLog, topic: &str, partition: i32) -> Vec<LogRecord> {
    let mut consumer = log.consumer(None).unwrap();
    let partition = TopicPartition::new(topic, partition);
    let end = consumer.end_offset(&partition).unwrap();
    consumer.assign(&partition, 0).unwrap();
    let mut records = Vec::new();
    while consumer.position(&partition).unwrap() < end {
        records.extend(consumer.poll(1_000, READ).unwrap().batches.into_iter().flat_map(|batch| batch.records));
    }
    records
}
