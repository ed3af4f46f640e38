//! Kafka goes away and comes back.

use std::time::Duration;

use super::super::super::contract::{SOON, create, eventually, read, record, values, write};
use super::super::super::{Log, LogError};
use super::super::{KafkaLog, KafkaSettings};
use super::harness::Cluster;
use crate::record::TopicPartition;

#[test]
fn a_broker_that_is_killed_and_comes_back_is_waited_for() {
    let mut cluster = Cluster::start(1);
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
    settings.request_timeout = Duration::from_secs(5);
    let log = KafkaLog::open(settings).unwrap();
    create(&*log, "a", 1);
    write(&*log, [record("a", 0, "k", "1")]);
    let partition = TopicPartition::new("a", 0);
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&partition, 0).unwrap();
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    producer.send(record("a", 0, "k", "2")).unwrap();

    cluster.kill(1);
    let error = log.ping(Duration::from_secs(3)).unwrap_err();
    assert!(matches!(error, LogError::Unreachable { .. }), "{error}");
    assert!(matches!(consumer.end_offset(&partition), Err(LogError::Unreachable { .. })));
    // Reading and waiting go on meanwhile.
    let mut seen = Vec::new();
    for batch in consumer.poll(10, Duration::from_millis(100)).unwrap().batches {
        seen.extend(batch.records);
    }

    let committing = std::thread::spawn(move || {
        let outcome = producer.commit();
        (producer, outcome)
    });
    cluster.start_again(1);
    let (producer, outcome) = committing.join().unwrap();
    let expected: &[&str] = match outcome {
        Ok(_) => &["1", "2"],
        // Said to be undone, and it is.
        Err(LogError::Aborted(_)) => &["1"],
        Err(error) => panic!("{error}"),
    };
    drop(producer);
    // A client may have waited a while since it last tried.
    log.ping(Duration::from_secs(60)).unwrap();
    assert_eq!(values(&*log, "a"), expected);
    eventually("what was written before and after", || {
        for batch in consumer.poll(10, Duration::from_millis(100)).unwrap().batches {
            seen.extend(batch.records);
        }
        (seen.len() >= expected.len()).then_some(())
    });
    assert_eq!(seen, read(&*log, "a", 0));
    assert!(log.ping(SOON).is_ok());
}

/// A broker that is paused answers nothing and closes nothing.
#[test]
fn a_record_is_tried_again_until_the_delivery_timeout_and_then_its_transaction_is() {
    let mut cluster = Cluster::start(1);
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
    (settings.transaction_timeout, settings.request_timeout) = (Duration::from_secs(60), Duration::from_secs(60));
    let patient = KafkaLog::open(settings.clone()).unwrap();
    settings.delivery_timeout = Some(Duration::from_secs(3));
    let hasty = KafkaLog::open(settings.clone()).unwrap();
    create(&*patient, "a", 1);
    let mut producers = [(&patient, "patient"), (&hasty, "hasty")].map(|(log, id)| {
        let mut producer = log.transactional_producer(id).unwrap();
        producer.begin().unwrap();
        producer.send(record("a", 0, "k", id)).unwrap();
        producer.commit().unwrap();
        producer
    });

    cluster.process(1).pause();
    for (producer, value) in producers.iter_mut().zip(["waited", "lost"]) {
        producer.begin().unwrap();
        producer.send(record("a", 0, "k", value)).unwrap();
    }
    let [mut patient, mut hasty] = producers;
    let error = hasty.commit().unwrap_err();
    assert!(matches!(error, LogError::Aborted(_)), "{error}");
    assert!(error.to_string().contains("within 3s (`delivery_timeout`"), "{error}");
    // By now the other one has waited as long.
    cluster.process(1).resume();
    patient.commit().unwrap();
    hasty.abort().unwrap();
    hasty.begin().unwrap();
    hasty.send(record("a", 0, "k", "again")).unwrap();
    hasty.commit().unwrap();
    drop((patient, hasty));
    let log = KafkaLog::open(settings).unwrap();
    assert_eq!(values(&*log, "a"), ["patient", "hasty", "waited", "again"]);
}
