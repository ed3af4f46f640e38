//! A topology built in Rust runs on a log, with its state, over a restart.

use std::path::Path;
use std::sync::Arc;

use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, TopicSettings};
use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
use signalstream::log::{Log, ProducerRecord};
use signalstream::record::{Headers, TopicPartition};
use signalstream::runtime::{Application, ApplicationOptions};
use signalstream::topology::Topology;

fn topology() -> Topology {
    let builder = StreamsBuilder::new("lengths");
    builder.topic("words", TopicSettings::new().partitions(3));
    builder
        .stream("words", Consumed::with(Serdes::string(), Serdes::string()))
        .group_by(|_, word| i64::try_from(word.len()).unwrap_or(i64::MAX))
        .aggregate("together", String::new, |_, word, all: String| all + &word)
        .to_stream()
        .to("together", Produced::with(Serdes::long(), Serdes::string()));
    builder.build().unwrap()
}

fn write(log: &EmbeddedLog, words: &[&str]) {
    let mut producer = log.transactional_producer("input").unwrap();
    producer.begin().unwrap();
    for (number, word) in words.iter().enumerate() {
        let record = ProducerRecord {
            topic: Arc::from("words"),
            partition: i32::try_from(number % 3).unwrap(),
            timestamp: 0,
            key: Some("k".into()),
            value: Some(word.as_bytes().to_vec().into()),
            headers: Headers::default(),
        };
        producer.send(record).unwrap();
    }
    producer.commit().unwrap();
}

/// The last value of each key, by the bytes of the key.
fn results(log: &EmbeddedLog) -> Vec<(Vec<u8>, String)> {
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&TopicPartition::new("together", 0), 0).unwrap();
    let mut last = std::collections::BTreeMap::new();
    for batch in consumer.poll(1_000, std::time::Duration::ZERO).unwrap().batches {
        for record in batch.records {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            last.insert(record.key.unwrap().to_vec(), value);
        }
    }
    last.into_iter().collect()
}

fn run(topology: &Topology, directory: &Path, words: &[&str], before: bool) -> Vec<(Vec<u8>, String)> {
    let log = EmbeddedLog::open(&directory.join("log"), EmbeddedOptions::default()).unwrap();
    if !before {
        write(&log, words);
    }
    let options = ApplicationOptions { threads: 2, ..ApplicationOptions::default() };
    let application = Application::embedded(topology, log.clone(), &directory.join("state"), &options).unwrap();
    if before {
        write(&log, words);
    }
    application.wait_until_caught_up(|_| true).unwrap();
    application.stop().unwrap();
    results(&log)
}

#[test]
fn an_application_goes_on_from_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let key = |length: i64| length.to_be_bytes().to_vec();
    // The topics are created by the first start.
    let first = run(&topology(), directory.path(), &["ab", "cde", "fgh"], true);
    assert_eq!(first.len(), 2);
    assert_eq!(first[0], (key(2), "ab".to_owned()));
    let second = run(&topology(), directory.path(), &["xy"], false);
    assert_eq!(second[0], (key(2), "abxy".to_owned()));
    assert_eq!(second[1], first[1]);
}
