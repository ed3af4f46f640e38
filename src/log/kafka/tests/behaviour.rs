//! What only Kafka does: control records, transactions that stay open, members that are declared dead.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::super::contract::{Member, SOON, at, create, eventually, read, record, values, write};
use super::super::super::{Log, LogConsumer, LogError, ProducerRecord, TransactionalProducer};
use super::super::{KafkaLog, KafkaSettings};
use super::harness::Cluster;
use super::prefixed::Prefixed;
use super::{fresh, settings};
use crate::error::{Classified, ErrorClass};
use crate::record::TopicPartition;

fn open_transaction(log: &dyn Log, id: &str, topic: &str) -> Box<dyn TransactionalProducer> {
    let mut producer = log.transactional_producer(id).unwrap();
    producer.begin().unwrap();
    let end = || log.consumer(None).unwrap().end_offset(&TopicPartition::new(topic, 0)).unwrap();
    let before = end();
    producer.send(record(topic, 0, "k", "open")).unwrap();
    eventually("the record of the open transaction", || (end() > before).then_some(()));
    producer
}

fn position_reaches(consumer: &mut dyn LogConsumer, partition: &TopicPartition, end: i64) {
    eventually("the end", || {
        consumer.poll(100, Duration::from_millis(50)).unwrap();
        (consumer.position(partition).unwrap() >= end).then_some(())
    });
    assert_eq!(consumer.position(partition), Some(end));
}

#[test]
fn the_position_passes_what_is_never_delivered() {
    let log = fresh("position");
    create(&*log, "a", 1);
    let partition = TopicPartition::new("a", 0);
    write(&*log, [record("a", 0, "k", "kept")]);
    let mut producer = log.transactional_producer("t").unwrap();
    for _ in 0..3 {
        producer.begin().unwrap();
        (0..5).for_each(|_| producer.send(record("a", 0, "k", "dropped")).unwrap());
        producer.abort().unwrap();
    }
    assert_eq!(values(&*log, "a"), ["kept"]);
    let mut consumer = log.consumer(None).unwrap();
    let end = consumer.end_offset(&partition).unwrap();
    consumer.assign(&partition, 0).unwrap();
    position_reaches(&mut *consumer, &partition, end);
    assert_eq!(consumer.known_end(&partition), Some(end));
    // From within what was dropped, too.
    consumer.assign(&partition, 4).unwrap();
    position_reaches(&mut *consumer, &partition, end);
    consumer.assign(&partition, end).unwrap();
    position_reaches(&mut *consumer, &partition, end);
}

#[test]
fn an_open_transaction_belongs_to_the_end_but_is_not_waited_for() {
    let log = fresh("open");
    create(&*log, "a", 1);
    let partition = TopicPartition::new("a", 0);
    write(&*log, [record("a", 0, "k", "1")]);
    let mut producer = open_transaction(&*log, "open", "a");
    let mut consumer = log.consumer(None).unwrap();
    assert_eq!(consumer.end_offset(&partition).unwrap(), 3);
    consumer.assign(&partition, 0).unwrap();
    position_reaches(&mut *consumer, &partition, 2);
    eventually("the end for readers of what is committed", || {
        consumer.poll(100, Duration::from_millis(50)).unwrap();
        (consumer.known_end(&partition) == Some(2)).then_some(())
    });
    producer.commit().unwrap();
    position_reaches(&mut *consumer, &partition, 4);
}

#[test]
fn a_restarted_producer_ends_the_transaction_that_its_predecessor_left_open() {
    let log = fresh("restart");
    create(&*log, "a", 1);
    // Forgotten rather than dropped: a process that is killed aborts nothing.
    std::mem::forget(open_transaction(&*log, "t", "a"));
    let successor = log.transactional_producer("t").unwrap();
    assert!(read(&*log, "a", 0).is_empty());
    drop(successor);
}

#[test]
fn what_was_fetched_before_a_move_never_comes_after_it() {
    let log = fresh("moves");
    create(&*log, "a", 1);
    let mut producer = log.producer().unwrap();
    producer.begin().unwrap();
    (0..20_000).for_each(|n| producer.send(record("a", 0, "k", &n.to_string())).unwrap());
    producer.commit().unwrap();
    let partition = TopicPartition::new("a", 0);
    let mut consumer = log.consumer(None).unwrap();
    let mut place = 7;
    for _ in 0..200 {
        place = (place * 7_919 + 13) % 20_000;
        consumer.assign(&partition, place).unwrap();
        let first = eventually("a record", || {
            let batches = consumer.poll(50, SOON).unwrap().batches;
            Some(batches.first()?.records.first()?.offset)
        });
        assert_eq!(first, place);
    }
}

#[test]
fn where_a_partition_ended_before_it_was_left_is_not_known_when_it_comes_back() {
    let log = fresh("returns");
    create(&*log, "a", 1);
    let partition = TopicPartition::new("a", 0);
    write(&*log, (0..10).map(|n| record("a", 0, "k", &n.to_string())));
    let mut consumer = log.consumer(None).unwrap();
    let (mut place, mut end) = (0, 11);
    // Away for a while, in which others write; then moved while it is read, as by a rollback; then nothing is new.
    for (leaves, new) in [(true, 90), (true, 50), (false, 50), (true, 0)] {
        consumer.assign(&partition, place).unwrap();
        position_reaches(&mut *consumer, &partition, end);
        assert_eq!(consumer.known_end(&partition), consumer.position(&partition));
        if leaves {
            consumer.unassign(&partition);
            assert_eq!(consumer.known_end(&partition), None);
        }
        if new > 0 {
            write(&*log, (0..new).map(|n| record("a", 0, "k", &n.to_string())));
            // The transaction's marker comes a moment after its commit.
            end += new + 1;
        }
        eventually("the marker", || (consumer.end_offset(&partition).unwrap() == end).then_some(()));
        // Where its records were processed meanwhile, but for the last few: beyond what was known.
        place = end - 20;
        consumer.assign(&partition, place).unwrap();
        let known = eventually("the first answer", || {
            let known = consumer.known_end(&partition);
            consumer.poll(1, Duration::from_millis(20)).unwrap();
            known
        });
        assert_eq!(known, end);
    }
    // Where nothing is left to read, the brokers say so too.
    consumer.unassign(&partition);
    consumer.assign(&partition, end).unwrap();
    assert_eq!(consumer.known_end(&partition), None);
    let known = eventually("that there is nothing", || {
        consumer.poll(1, Duration::from_millis(20)).unwrap();
        consumer.known_end(&partition)
    });
    assert_eq!(known, end);
}

#[test]
fn a_paused_partition_loses_nothing_and_holds_up_nobody() {
    let log = fresh("pause");
    create(&*log, "a", 2);
    write(&*log, (0..2_000).map(|n| record("a", n % 2, "k", &n.to_string())));
    let [first, second] = [0, 1].map(|number| TopicPartition::new("a", number));
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&first, 0).unwrap();
    consumer.assign(&second, 0).unwrap();
    let mut read: [Vec<i64>; 2] = Default::default();
    let mut turn = 0;
    eventually("all", || {
        turn += 1;
        if turn % 2 == 0 {
            consumer.pause(&first)
        } else {
            consumer.resume(&first)
        }
        for batch in consumer.poll(37, Duration::from_millis(20)).unwrap().batches {
            assert!(turn % 2 == 1 || batch.partition != first, "it is paused");
            read[batch.partition.partition as usize].extend(batch.records.iter().map(|record| record.offset));
        }
        read.iter().all(|offsets| offsets.len() == 1_000).then_some(())
    });
    assert!(read.iter().all(|offsets| offsets.iter().copied().eq(0..1_000)));
}

#[test]
fn a_member_that_does_not_poll_loses_what_it_owned_and_cannot_commit() {
    let mut settings = settings();
    settings.session_timeout = Duration::from_secs(2);
    settings.max_poll_interval = Duration::from_secs(2);
    let log = Prefixed::new(KafkaLog::open(settings).unwrap(), "lost");
    create(&*log, "in", 1);
    let mut first = Member::join(&*log);
    first.own(1);
    let group = first.consumer.group_metadata().unwrap();
    let mut second = Member::join(&*log);
    second.own(1);
    let partition = TopicPartition::new("in", 0);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let sent = producer.send_offsets(&[(partition.clone(), at(1))], &group);
    assert_eq!(sent.unwrap_err().class(), ErrorClass::TaskMigrated);
    producer.abort().unwrap();
    let lost = eventually("the loss", || first.consumer.poll(1, Duration::from_millis(20)).unwrap().rebalance);
    assert_eq!(lost.lost, [partition]);
    assert!(lost.revoked.is_empty());
}

#[test]
fn a_static_member_that_comes_back_finds_what_it_owned_unmoved() {
    let log = fresh("static");
    create(&*log, "in", 2);
    let join = |instance| {
        let mut consumer = log.member("group", Some(instance)).unwrap();
        consumer.subscribe(&["in"]).unwrap();
        Member { consumer, owned: Default::default() }
    };
    let mut first = join("first");
    first.own(2);
    let owned = first.owned.clone();
    drop(first);
    let mut again = join("first");
    again.own(2);
    assert_eq!(again.owned, owned);
    assert_eq!(again.consumer.group_metadata().unwrap().instance.as_deref(), Some("first"));
}

#[test]
fn records_that_kafka_would_not_take_are_refused_with_the_reason() {
    let log = fresh("refused");
    create(&*log, "a", 1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let early = producer.send(ProducerRecord { timestamp: -1, ..record("a", 0, "k", "v") });
    assert!(matches!(early, Err(LogError::InvalidRecord { .. })));
    let large = ProducerRecord { value: Some(Bytes::from(vec![0; 1_000_000])), ..record("a", 0, "k", "") };
    assert!(matches!(producer.send(large), Err(LogError::RecordTooLarge { .. })));
    producer.send(ProducerRecord { timestamp: 0, ..record("a", 0, "k", "epoch") }).unwrap();
    producer.commit().unwrap();
    let records = read(&*log, "a", 0);
    // librdkafka has no timestamp 0: it would be the present.
    assert_eq!(records.iter().map(|record| record.timestamp).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_record_larger_than_its_topic_takes_ends_the_transaction_with_the_reason() {
    let mut settings = settings();
    settings.max_record_bytes = 3 << 20;
    let log: Arc<dyn Log> = Prefixed::new(KafkaLog::open(settings).unwrap(), "large");
    create(&*log, "a", 1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let large = ProducerRecord { value: Some(Bytes::from(vec![b'x'; 2 << 20])), ..record("a", 0, "k", "") };
    producer.send(large).unwrap();
    let error = producer.commit().unwrap_err();
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    drop(producer);
    write(&*log, [record("a", 0, "k", "small")]);
    assert_eq!(values(&*log, "a"), ["small"]);
}

#[test]
fn a_batch_larger_than_its_topic_takes_is_told_with_the_setting_that_helps() {
    let cluster = Cluster::start(1);
    cluster.create_topic("a", 1, &[("max.message.bytes", "20000")]);
    let fill = |settings: KafkaSettings| {
        let log = KafkaLog::open(settings).unwrap();
        let mut producer = log.transactional_producer("t").unwrap();
        producer.begin().unwrap();
        let sent = (0..2_000).try_for_each(|number| producer.send(record("a", 0, "k", &format!("{number:0>100}"))));
        sent.and_then(|()| producer.commit().map(drop))
    };
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
    // Enough come together to be one batch.
    settings.properties.insert("linger.ms".to_owned(), "500".to_owned());
    let text = fill(settings.clone()).unwrap_err().to_string();
    assert!(text.contains("max.message.bytes") && text.contains("kafka.batch.size"), "{text}");
    settings.properties.insert("batch.size".to_owned(), "15000".to_owned());
    fill(settings).unwrap();
}

#[test]
fn a_transaction_that_the_brokers_gave_up_is_told_and_its_work_can_be_done_again() {
    let cluster = Cluster::start(1);
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
    settings.transaction_timeout = Duration::from_secs(1);
    let log = KafkaLog::open(settings).unwrap();
    create(&*log, "a", 1);
    let mut producer = open_transaction(&*log, "t", "a");
    eventually("the brokers' abort", || (cluster.transaction("t").1 == "CompleteAbort").then_some(()));
    let error = producer.commit().unwrap_err();
    assert_eq!(error.class(), ErrorClass::TaskMigrated);
    assert!(error.to_string().contains("`transaction_timeout`"), "{error}");
    drop(producer);
    let mut successor = log.transactional_producer("t").unwrap();
    successor.begin().unwrap();
    successor.send(record("a", 0, "k", "again")).unwrap();
    successor.commit().unwrap();
    assert_eq!(values(&*log, "a"), ["again"]);
}
