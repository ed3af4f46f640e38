//! What every implementation of [`Log`](super::Log) must do, as functions that a test of an implementation calls
//! with a fresh log of it. Where a broker needs a moment, they wait.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{CommittedOffset, Log, LogConsumer, LogError, LogRecord, ProducerRecord, TopicConfig};
use crate::error::{Classified, ErrorClass};
use crate::record::{Header, Headers, TopicPartition};
use crate::time::{Clock, SystemClock};
pub(crate) use groups::*;

/// Long enough for anything that happens at all.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// For what shall not happen.
const NOW: Duration = Duration::ZERO;

/// How long one of several members polls before the next one has its turn.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(20);

/// Calls again until it is as expected.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(clock.elapsed() < SOON, "never came: {what}");
    }
}

pub(crate) fn create(log: &dyn Log, topic: &str, partitions: i32) {
    log.admin().create_topic(topic, &TopicConfig::new(partitions)).unwrap();
}

pub(crate) fn record(topic: &str, partition: i32, key: &str, value: &str) -> ProducerRecord {
    ProducerRecord {
        topic: topic.into(),
        partition,
        timestamp: 1_000,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::default(),
    }
}

pub(crate) fn tombstone(topic: &str, key: &str) -> ProducerRecord {
    ProducerRecord { value: None, ..record(topic, 0, key, "") }
}

/// Commits these records in one transaction.
pub(crate) fn write(log: &dyn Log, records: impl IntoIterator<Item = ProducerRecord>) -> BTreeMap<TopicPartition, i64> {
    let mut producer = log.transactional_producer("writer").unwrap();
    producer.begin().unwrap();
    records.into_iter().for_each(|record| producer.send(record).unwrap());
    producer.commit().unwrap()
}

/// All records of a partition, from its beginning.
pub(crate) fn read(log: &dyn Log, topic: &str, partition: i32) -> Vec<LogRecord> {
    let mut consumer = log.consumer(None).unwrap();
    let partition = TopicPartition::new(topic, partition);
    let end = consumer.end_offset(&partition).unwrap();
    consumer.assign(&partition, consumer.beginning_offset(&partition).unwrap()).unwrap();
    let mut records = Vec::new();
    while consumer.position(&partition).unwrap() < end {
        for batch in consumer.poll(100, SOON).unwrap().batches {
            records.extend(batch.records);
        }
    }
    records
}

pub(crate) fn text(bytes: &Option<Bytes>) -> &str {
    bytes.as_ref().map_or("null", |bytes| str::from_utf8(bytes).unwrap())
}

pub(crate) fn values(log: &dyn Log, topic: &str) -> Vec<String> {
    read(log, topic, 0).iter().map(|record| text(&record.value).to_owned()).collect()
}

pub(crate) fn at(offset: i64) -> CommittedOffset {
    CommittedOffset { offset, metadata: format!("before {offset}") }
}

fn polled_values(consumer: &mut dyn LogConsumer, timeout: Duration) -> Vec<String> {
    let batches = consumer.poll(100, timeout).unwrap().batches;
    batches.iter().flat_map(|batch| &batch.records).map(|record| text(&record.value).to_owned()).collect()
}

/// Polls until as many values have come.
fn next_values(consumer: &mut dyn LogConsumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    eventually("values", || {
        values.extend(polled_values(consumer, BRIEFLY));
        (values.len() >= count).then_some(())
    });
    values
}

pub(crate) fn transactions_are_seen_whole_or_not_at_all(log: &dyn Log) {
    create(log, "a", 1);
    create(log, "b", 2);
    let mut consumer = log.consumer(None).unwrap();
    for (topic, partition) in [("a", 0), ("b", 0), ("b", 1)] {
        consumer.assign(&TopicPartition::new(topic, partition), 0).unwrap();
    }
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    producer.send(record("a", 0, "k", "1")).unwrap();
    producer.send(record("b", 1, "k", "2")).unwrap();
    producer.send(record("b", 1, "k", "3")).unwrap();
    assert!(polled_values(&mut *consumer, NOW).is_empty());
    let ends = producer.commit().unwrap();
    assert_eq!(ends, BTreeMap::from([(TopicPartition::new("a", 0), 1), (TopicPartition::new("b", 1), 2)]));
    let mut seen = next_values(&mut *consumer, 3);
    seen.sort();
    assert_eq!(seen, ["1", "2", "3"]);
    assert!(polled_values(&mut *consumer, NOW).is_empty());
}

pub(crate) fn an_aborted_transaction_leaves_nothing(log: &dyn Log) {
    create(log, "a", 1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    producer.send(record("a", 0, "k", "dropped")).unwrap();
    producer.abort().unwrap();
    producer.begin().unwrap();
    producer.send(record("a", 0, "k", "left open")).unwrap();
    drop(producer);
    write(log, [record("a", 0, "k", "kept")]);
    assert_eq!(values(log, "a"), ["kept"]);
}

/// What a group committed; a group that is new may have to wait for its coordinator.
fn committed(consumer: &dyn LogConsumer, partition: &TopicPartition) -> Option<CommittedOffset> {
    eventually("the group's coordinator", || match consumer.committed(partition) {
        Err(error) if error.class() == ErrorClass::Retry => None,
        answer => Some(answer.unwrap()),
    })
}

pub(crate) fn offsets_are_committed_with_the_records(log: &dyn Log) {
    create(log, "in", 1);
    create(log, "out", 1);
    let input = TopicPartition::new("in", 0);
    let consumer = log.consumer(Some("group")).unwrap();
    let group = consumer.group_metadata().unwrap();
    let mut producer = log.transactional_producer("t").unwrap();
    for commit in [false, true] {
        producer.begin().unwrap();
        producer.send(record("out", 0, "k", "v")).unwrap();
        assert_eq!(committed(&*consumer, &input), None);
        producer.send_offsets(&[(input.clone(), at(7))], &group).unwrap();
        if commit {
            producer.commit().unwrap();
        } else {
            producer.abort().unwrap();
        }
    }
    assert_eq!(committed(&*consumer, &input), Some(at(7)));
    assert_eq!(committed(&*log.consumer(Some("other")).unwrap(), &input), None);
    assert_eq!(values(log, "out"), ["v"]);
}

pub(crate) fn a_newer_producer_fences_the_older(log: &dyn Log) {
    create(log, "a", 1);
    let mut older = log.transactional_producer("t").unwrap();
    older.begin().unwrap();
    older.send(record("a", 0, "k", "old")).unwrap();
    let mut newer = log.transactional_producer("t").unwrap();
    let mut other = log.transactional_producer("other").unwrap();
    // It may take until the commit to be noticed.
    let commit = older.send(record("a", 0, "k", "old")).and_then(|()| older.commit().map(drop));
    assert!(matches!(commit, Err(LogError::Fenced(_))), "{commit:?}");
    assert_eq!(older.begin().unwrap_err().class(), ErrorClass::TaskMigrated);
    for producer in [&mut newer, &mut other] {
        producer.begin().unwrap();
        producer.send(record("a", 0, "k", "new")).unwrap();
        producer.commit().unwrap();
    }
    assert_eq!(values(log, "a"), ["new", "new"]);
}

pub(crate) fn headers_nulls_and_order_are_kept(log: &dyn Log) {
    create(log, "a", 1);
    let headers = Headers::new(vec![
        Header { name: "h".into(), value: Some(Bytes::from_static(b"1")) },
        Header { name: "h".into(), value: None },
    ]);
    let mut written: Vec<_> = (0..500).map(|n| record("a", 0, &n.to_string(), "v")).collect();
    written[1].headers = headers;
    written[2].key = None;
    written[3].value = None;
    written[4].value = Some(Bytes::new());
    written[5].timestamp = 5;
    write(log, written.clone());
    let records = read(log, "a", 0);
    assert_eq!(records.len(), written.len());
    for (offset, (read, written)) in records.into_iter().zip(written).enumerate() {
        let expected = LogRecord {
            offset: offset as i64,
            timestamp: written.timestamp,
            key: written.key,
            value: written.value,
            headers: written.headers,
        };
        assert_eq!(read, expected);
    }
}

pub(crate) fn partitions_are_read_fairly(log: &dyn Log) {
    create(log, "a", 3);
    write(log, (0..300).map(|n| record("a", n % 3, "k", &n.to_string())));
    let partitions: Vec<_> = (0..3).map(|partition| TopicPartition::new("a", partition)).collect();
    // Where a partition ends may be known before enough of it has been fetched.
    eventually("a fair share of each", || {
        let mut consumer = log.consumer(None).unwrap();
        partitions.iter().for_each(|partition| consumer.assign(partition, 0).unwrap());
        eventually("something of each", || {
            consumer.poll(0, BRIEFLY).unwrap();
            partitions.iter().all(|partition| consumer.known_end(partition) >= Some(100)).then_some(())
        });
        consumer.poll(0, BRIEFLY).unwrap();
        let mut firsts = BTreeSet::new();
        for _ in 0..3 {
            let batches = consumer.poll(10, SOON).unwrap().batches;
            let lengths: Vec<_> = batches.iter().map(|batch| batch.records.len()).collect();
            let is_fair = lengths.iter().sum::<usize>() == 10 && lengths.iter().all(|length| *length >= 3);
            firsts.extend(is_fair.then(|| batches[0].partition.partition));
        }
        (firsts.len() == 3).then_some(())
    });
}

pub(crate) fn a_paused_partition_keeps_its_position(log: &dyn Log) {
    create(log, "a", 1);
    write(log, [record("a", 0, "k", "1"), record("a", 0, "k", "2")]);
    let partition = TopicPartition::new("a", 0);
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&partition, 1).unwrap();
    consumer.pause(&partition);
    assert!(polled_values(&mut *consumer, NOW).is_empty());
    assert_eq!(consumer.position(&partition), Some(1));
    consumer.resume(&partition);
    assert_eq!(next_values(&mut *consumer, 1), ["2"]);
    // The end of the transaction may count for one.
    assert!(matches!(consumer.position(&partition), Some(2 | 3)));
    // Back to the beginning: nothing that was fetched before comes after.
    consumer.assign(&partition, 0).unwrap();
    assert_eq!(next_values(&mut *consumer, 2), ["1", "2"]);
    consumer.unassign(&partition);
    assert_eq!(consumer.position(&partition), None);
}

pub(crate) fn a_waiting_poll_is_woken_by_a_commit(log: &Arc<dyn Log>) {
    create(&**log, "a", 1);
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&TopicPartition::new("a", 0), 0).unwrap();
    let reader = std::thread::spawn(move || {
        eventually("news", || {
            Some(polled_values(&mut *consumer, Duration::from_secs(60))).filter(|news| !news.is_empty())
        })
    });
    write(&**log, [record("a", 0, "k", "news")]);
    assert_eq!(reader.join().unwrap(), ["news"]);
}

pub(crate) fn what_does_not_exist_is_an_error(log: &dyn Log) {
    create(log, "conversations", 1);
    let mut consumer = log.consumer(None).unwrap();
    let error = consumer.assign(&TopicPartition::new("conversation", 0), 0).unwrap_err();
    assert!(error.to_string().contains("did you mean `conversations`?"), "{error}");
    let missing = TopicPartition::new("conversations", 1);
    assert!(matches!(consumer.assign(&missing, 0), Err(LogError::UnknownPartition(_))));
    assert!(matches!(consumer.end_offset(&TopicPartition::new("x", 0)), Err(LogError::UnknownTopic { .. })));
    let beyond = consumer.assign(&TopicPartition::new("conversations", 0), 1);
    assert!(matches!(beyond, Err(LogError::OffsetOutOfRange { .. })));
    let mut producer = log.transactional_producer("t").unwrap();
    assert!(matches!(producer.send(record("conversations", 0, "k", "v")), Err(LogError::IllegalState(_))));
    producer.begin().unwrap();
    assert!(matches!(producer.begin(), Err(LogError::IllegalState(_))));
    assert!(matches!(producer.send(record("x", 0, "k", "v")), Err(LogError::UnknownTopic { .. })));
    assert!(matches!(producer.send(record("conversations", -1, "k", "v")), Err(LogError::UnknownPartition(_))));
}

pub(crate) fn a_topic_is_created_once(log: &dyn Log) {
    create(log, "a", 2);
    create(log, "a", 2);
    let admin = log.admin();
    let error = admin.create_topic("a", &TopicConfig::new(3)).unwrap_err();
    assert!(error.to_string().contains("it has 2 partitions, not 3"), "{error}");
    assert!(matches!(admin.create_topic("a b", &TopicConfig::new(1)), Err(LogError::InvalidTopic { .. })));
    assert!(matches!(admin.create_topic("c", &TopicConfig::new(0)), Err(LogError::InvalidTopic { .. })));
    assert_eq!(admin.topics().unwrap(), BTreeMap::from([("a".to_owned(), TopicConfig::new(2))]));
}

pub(crate) fn a_deleted_topic_is_gone_and_may_come_back_empty(log: &dyn Log) {
    create(log, "a", 1);
    let partition = TopicPartition::new("a", 0);
    write(log, [record("a", 0, "k", "v")]);
    let mut consumer = log.consumer(Some("group")).unwrap();
    consumer.assign(&partition, 0).unwrap();
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    producer.send_offsets(&[(partition.clone(), at(1))], &consumer.group_metadata().unwrap()).unwrap();
    producer.commit().unwrap();
    log.admin().delete_topic("a").unwrap();
    let error = eventually("an error", || consumer.poll(1, BRIEFLY).err());
    assert!(matches!(error, LogError::UnknownTopic { .. }), "{error}");
    assert!(matches!(log.admin().delete_topic("a"), Err(LogError::UnknownTopic { .. })));
    create(log, "a", 1);
    assert!(values(log, "a").is_empty());
    eventually("no offset", || consumer.committed(&partition).unwrap().is_none().then_some(()));
    write(log, [record("a", 0, "k", "anew")]);
    assert_eq!(values(log, "a"), ["anew"]);
}

pub(crate) fn a_topic_can_be_changed_and_grow(log: &dyn Log) {
    create(log, "a", 1);
    write(log, [record("a", 0, "k", "before")]);
    let admin = log.admin();
    admin.add_partitions("a", 3).unwrap();
    assert!(matches!(admin.add_partitions("a", 2), Err(LogError::InvalidTopic { .. })));
    let config = TopicConfig { compacted: true, delete_retention: 5_000, ..TopicConfig::new(1) };
    admin.alter_topic("a", &config).unwrap();
    assert_eq!(admin.topics().unwrap()["a"], TopicConfig { partitions: 3, ..config });
    write(log, [record("a", 2, "k", "after")]);
    assert_eq!(values(log, "a"), ["before"]);
    assert_eq!(read(log, "a", 2).len(), 1);
    assert!(matches!(admin.add_partitions("x", 2), Err(LogError::UnknownTopic { .. })));
}

pub(crate) fn a_producer_without_transactions_writes_at_its_commit(log: &dyn Log) {
    create(log, "a", 1);
    let mut producer = log.producer().unwrap();
    for value in ["1", "2"] {
        producer.begin().unwrap();
        producer.send(record("a", 0, "k", value)).unwrap();
        let ends = producer.commit().unwrap();
        assert_eq!(ends.into_keys().collect::<Vec<_>>(), [TopicPartition::new("a", 0)]);
    }
    assert_eq!(values(log, "a"), ["1", "2"]);
}

pub(crate) fn deleted_records_are_skipped(log: &dyn Log) {
    create(log, "a", 1);
    write(log, (0..10).map(|n| record("a", 0, "k", &n.to_string())));
    let partition = TopicPartition::new("a", 0);
    let mut consumer = log.consumer(None).unwrap();
    log.admin().delete_records(&partition, 7).unwrap();
    log.admin().delete_records(&partition, 3).unwrap();
    assert!(matches!(log.admin().delete_records(&partition, 100), Err(LogError::OffsetOutOfRange { .. })));
    assert_eq!(consumer.beginning_offset(&partition).unwrap(), 7);
    consumer.assign(&partition, 0).unwrap();
    assert_eq!(next_values(&mut *consumer, 3), ["7", "8", "9"]);
    log.admin().clean(0).unwrap();
    assert_eq!(values(log, "a"), ["7", "8", "9"]);
}

pub(crate) fn retention_deletes_from_the_front(log: &dyn Log) {
    let config = TopicConfig { retention: Some(1_000), ..TopicConfig::new(1) };
    log.admin().create_topic("a", &config).unwrap();
    let timestamps = [100, 300, 200, 900, 250];
    write(log, timestamps.map(|timestamp| ProducerRecord { timestamp, ..record("a", 0, "k", &timestamp.to_string()) }));
    log.admin().clean(1_250).unwrap();
    // 200 is old, but stands behind one that is not.
    assert_eq!(values(log, "a"), ["300", "200", "900", "250"]);
    log.admin().clean(1_301).unwrap();
    assert_eq!(values(log, "a"), ["900", "250"]);
    log.admin().clean(10_000).unwrap();
    assert!(values(log, "a").is_empty());
    let consumer = log.consumer(None).unwrap();
    assert_eq!(consumer.beginning_offset(&TopicPartition::new("a", 0)).unwrap(), 5);
    write(log, [record("a", 0, "k", "next")]);
    assert_eq!(read(log, "a", 0)[0].offset, 5);
}

pub(crate) fn compaction_keeps_the_last_record_of_each_key(log: &dyn Log) {
    let config = TopicConfig { compacted: true, delete_retention: 1_000, ..TopicConfig::new(1) };
    log.admin().create_topic("a", &config).unwrap();
    let contents = || -> Vec<(i64, String)> {
        read(log, "a", 0)
            .iter()
            .map(|record| (record.offset, format!("{}={}", text(&record.key), text(&record.value))))
            .collect()
    };
    write(log, [record("a", 0, "x", "1"), record("a", 0, "y", "1"), record("a", 0, "x", "2"), tombstone("a", "y")]);
    log.admin().clean(5_000).unwrap();
    assert_eq!(contents(), [(2, "x=2".to_owned()), (3, "y=null".to_owned())]);
    write(log, [record("a", 0, "z", "1"), record("a", 0, "x", "3"), record("a", 0, "x", "4")]);
    log.admin().clean(5_999).unwrap();
    assert_eq!(contents(), [(3, "y=null".to_owned()), (4, "z=1".to_owned()), (6, "x=4".to_owned())]);
    log.admin().clean(6_000).unwrap();
    assert_eq!(contents(), [(4, "z=1".to_owned()), (6, "x=4".to_owned())]);
    write(log, [tombstone("a", "x"), tombstone("a", "z")]);
    log.admin().clean(7_000).unwrap();
    log.admin().clean(8_000).unwrap();
    assert!(contents().is_empty());
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let keyless = ProducerRecord { key: None, ..record("a", 0, "", "v") };
    assert!(matches!(producer.send(keyless), Err(LogError::InvalidRecord { .. })));
}

pub(crate) fn large_records_pass_and_larger_ones_are_refused(log: &dyn Log, limit: usize) {
    create(log, "a", 2);
    let large = Bytes::from(vec![b'x'; 50 << 20]);
    let sized = |partition, value: Bytes| ProducerRecord { value: Some(value), ..record("a", partition, "k", "") };
    write(log, [sized(0, large.clone()), sized(1, large.clone()), record("a", 0, "k", "small")]);
    let records = read(log, "a", 0);
    assert_eq!(records[0].value, Some(large));
    assert_eq!(text(&records[1].value), "small");
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let refused = producer.send(sized(0, Bytes::from(vec![0; limit])));
    assert!(matches!(refused, Err(LogError::RecordTooLarge { .. })));
    producer.send(record("a", 0, "k", "still open")).unwrap();
    producer.commit().unwrap();
    assert_eq!(read(log, "a", 0).len(), 3);
}
