//! The bare loop: what is consumed is written again, in transactions, and nothing is done with it.
//!
//! It is rdkafka by itself, told the same as the engine tells it (src/log/kafka/settings.rs): the same batching, the
//! same interval between commits, offsets in the transaction.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::topics::ends;

const TIMEOUT: Duration = Duration::from_secs(60);
/// How long one look takes while something is waited for.
const STEP: Duration = Duration::from_millis(1);
/// After how many records deliveries are looked at.
const SERVE_EVERY: u64 = 256;

/// What the loop is to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Bare {
    #[arg(long)]
    servers: String,
    /// The group, and the name of the transactions
    #[arg(long)]
    name: String,
    #[arg(long)]
    input: String,
    #[arg(long)]
    output: String,
    #[arg(long)]
    commit_millis: u64,
}

impl Bare {
    pub(crate) fn arguments(servers: &str, name: &str, input: &str, output: &str, commit: Duration) -> Vec<String> {
        let millis = commit.as_millis().to_string();
        let options = [
            ("--servers", servers),
            ("--name", name),
            ("--input", input),
            ("--output", output),
            ("--commit-millis", &millis),
        ];
        std::iter::once("bare".to_owned())
            .chain(options.into_iter().flat_map(|(option, value)| [option.to_owned(), value.to_owned()]))
            .collect()
    }

    fn consumer(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("group.id", &self.name)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.wait.max.ms", "50")
            .set("queued.min.messages", "100000")
            .set("queued.max.messages.kbytes", "1024")
            .set("socket.nagle.disable", "true")
            .create()
            .unwrap()
    }

    fn producer(&self) -> BaseProducer {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("transactional.id", &self.name)
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "32768")
            .set("socket.nagle.disable", "true")
            .create()
            .unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        producer
    }

    /// Runs until the end that the input has now.
    pub(crate) fn run(&self) {
        let (consumer, producer) = (self.consumer(), self.producer());
        let ends = ends(&consumer, &self.input);
        let mut list = TopicPartitionList::new();
        (0..ends.len()).for_each(|number| {
            list.add_partition_offset(&self.input, number as i32, Offset::Beginning).unwrap();
        });
        consumer.assign(&list).unwrap();
        let group = consumer.group_metadata().unwrap();
        let mut positions = vec![0; ends.len()];
        while positions != ends {
            producer.begin_transaction().unwrap();
            let begun = Instant::now();
            let mut sent = 0;
            while positions != ends && (sent == 0 || begun.elapsed() < Duration::from_millis(self.commit_millis)) {
                let Some(message) = consumer.poll(STEP) else { continue };
                let message = message.unwrap();
                positions[message.partition() as usize] = message.offset() + 1;
                self.copy(&producer, &message);
                sent += 1;
                if u64::is_multiple_of(sent, SERVE_EVERY) {
                    producer.poll(Duration::ZERO);
                }
            }
            let mut offsets = TopicPartitionList::new();
            for (number, position) in (0..).zip(&positions) {
                offsets.add_partition_offset(&self.input, number, Offset::Offset(*position)).unwrap();
            }
            producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT).unwrap();
            // The crate's own flush looks every 100 ms only, which would halve the loop's speed.
            while producer.in_flight_count() > 0 {
                producer.poll(STEP);
            }
            producer.commit_transaction(TIMEOUT).unwrap();
        }
    }

    fn copy(&self, producer: &BaseProducer, message: &impl Message) {
        let mut record = BaseRecord::to(&self.output)
            .partition(message.partition())
            .key(message.key().unwrap())
            .payload(message.payload().unwrap())
            .timestamp(message.timestamp().to_millis().unwrap());
        loop {
            record = match producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => record,
                Err((error, _)) => panic!("not written: {error}"),
            };
            producer.poll(STEP);
        }
    }
}
