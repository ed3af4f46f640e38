//! A producer that stays while other things happen to its cluster, and whose transactions can be left open.
//!
//! It is rdkafka by itself, without our code. kcat would be another's code still, but holds lines back until more
//! come, and has one transaction for all that it is given; what is counted in the end is written by it all the same
//! (see [`super::kcat::Kcat::write`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, message::Message};

const PATIENCE: Duration = Duration::from_secs(90);

/// What became of the records.
#[derive(Clone, Default)]
struct Deliveries {
    acknowledged: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err((error, record)) => {
                let failure = format!("{:?}: {error}", record.key().map(String::from_utf8_lossy));
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
            }
        }
    }
}

/// An idempotent or transactional producer to one topic.
pub(crate) struct Feed {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
    topic: String,
}

impl Feed {
    pub(crate) fn start(
        servers: &str,
        topic: &str,
        transactional_id: Option<&str>,
        settings: &[(String, String)],
    ) -> Feed {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("enable.idempotence", "true");
        config.set("partitioner", "murmur2_random").set("linger.ms", "5");
        if let Some(name) = transactional_id {
            config.set("transactional.id", name);
        }
        for (key, value) in settings {
            config.set(key, value);
        }
        let deliveries = Deliveries::default();
        let producer: ThreadedProducer<Deliveries> = config.create_with_context(deliveries.clone()).unwrap();
        if transactional_id.is_some() {
            producer.init_transactions(PATIENCE).unwrap();
        }
        Feed { producer, deliveries, topic: topic.to_owned() }
    }

    /// Hands a record over; waits while the producer's queue is full.
    pub(crate) fn send(&self, key: &str, value: &str) {
        super::eventually("room in the producer's queue", PATIENCE, || {
            match self.producer.send(BaseRecord::to(&self.topic).key(key).payload(value)) {
                Ok(()) => Some(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => None,
                Err((error, _)) => panic!("{key} was not sent: {error}"),
            }
        });
    }

    /// How many records a broker has acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.deliveries.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until every record is acknowledged; fails when one is not.
    pub(crate) fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
        let failed = self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(failed.is_empty(), "not delivered: {failed:?}");
    }

    /// Whether every record was acknowledged, once it is decided.
    pub(crate) fn try_flush(&self) -> bool {
        let flushed = self.producer.flush(PATIENCE).is_ok();
        flushed && self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub(crate) fn commit(&self) {
        self.try_commit().unwrap();
    }

    pub(crate) fn try_commit(&self) -> KafkaResult<()> {
        self.producer.commit_transaction(PATIENCE)
    }

    pub(crate) fn abort(&self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
    }
}
