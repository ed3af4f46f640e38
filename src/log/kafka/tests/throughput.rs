//! How much of librdkafka's speed is left behind the traits of the log.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::super::super::contract::{create, record};
use super::super::super::{Log, ProducerRecord};
use super::super::{KafkaLog, KafkaSettings};
use super::settings;
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};

const RECORDS: usize = 1_000_000;
const PARTITIONS: i32 = 4;
const TRANSACTION: usize = 20_000;

fn fill(log: &dyn Log, topic: &str) {
    create(log, topic, PARTITIONS);
    let value = "v".repeat(100);
    let mut producer = log.producer().unwrap();
    producer.begin().unwrap();
    for n in 0..RECORDS {
        producer.send(record(topic, n as i32 % PARTITIONS, &n.to_string(), &value)).unwrap();
    }
    producer.commit().unwrap();
}

fn through_the_traits(log: &dyn Log, input: &str, output: &Arc<str>) -> Duration {
    let clock = SystemClock::new();
    let mut consumer = log.consumer(None).unwrap();
    (0..PARTITIONS).for_each(|number| consumer.assign(&TopicPartition::new(input, number), 0).unwrap());
    let mut producer = log.transactional_producer(&format!("{output}-traits")).unwrap();
    let (mut read, mut open) = (0, 0);
    while read < RECORDS {
        if open == 0 {
            producer.begin().unwrap();
        }
        for batch in consumer.poll(2_000, Duration::from_secs(1)).unwrap().batches {
            for record in batch.records {
                read += 1;
                open += 1;
                let partition = batch.partition.partition;
                let (timestamp, key, value, headers) = (record.timestamp, record.key, record.value, record.headers);
                producer
                    .send(ProducerRecord { topic: Arc::clone(output), partition, timestamp, key, value, headers })
                    .unwrap();
            }
        }
        if open >= TRANSACTION || read == RECORDS {
            producer.commit().unwrap();
            open = 0;
        }
    }
    clock.elapsed()
}

fn plainly(settings: &KafkaSettings, input: &str, output: &str) -> Duration {
    let clock = SystemClock::new();
    let bootstrap = &settings.bootstrap_servers;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("{output}-plain"))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "2")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for number in 0..PARTITIONS {
        list.add_partition_offset(input, number, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", format!("{output}-plain"))
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
    let mut read = 0;
    while read < RECORDS {
        producer.begin_transaction().unwrap();
        for _ in 0..TRANSACTION.min(RECORDS - read) {
            let message = loop {
                if let Some(message) = consumer.poll(Duration::from_secs(1)) {
                    break message.unwrap();
                }
            };
            let record = BaseRecord::to(output)
                .partition(message.partition())
                .key(message.key().unwrap())
                .payload(message.payload().unwrap())
                .timestamp(message.timestamp().to_millis().unwrap());
            producer.send(record).map_err(|(error, _)| error).unwrap();
            read += 1;
        }
        producer.commit_transaction(Duration::from_secs(60)).unwrap();
    }
    clock.elapsed()
}

#[test]
#[ignore = "measures; run it by hand, with `--nocapture`, on an idle machine"]
fn the_traits_keep_the_speed_of_librdkafka() {
    let settings = settings();
    let log = KafkaLog::open(settings.clone()).unwrap();
    let run = format!("throughput-{}", std::process::id());
    let (input, output): (String, Arc<str>) = (format!("{run}-in"), format!("{run}-out").into());
    fill(&*log, &input);
    create(&*log, &output, PARTITIONS);
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let plain = plainly(&settings, &input, &output).as_secs_f64();
        let ours = through_the_traits(&*log, &input, &output).as_secs_f64();
        println!("plain {:.0} records/s, traits {:.0}", RECORDS as f64 / plain, RECORDS as f64 / ours);
        ratios.push(plain / ours);
    }
    log.admin().delete_topic(&input).unwrap();
    log.admin().delete_topic(&output).unwrap();
    assert!(ratios.iter().any(|ratio| *ratio > 0.9), "{ratios:?}");
}
