//! Kafka, through librdkafka.
//!
//! Each stream thread has three clients: a [member] of the application's group, which owns tasks and fetches nothing; a
//! [fetcher](consumer), which reads the partitions it is told to and is in no group; and a transactional [producer].
//! What is asked about topics and offsets goes through one client of the whole log. Nothing waits for ever: every
//! question to the brokers has a timeout, and what fails says whether it is worth trying again.

mod admin;
mod assignment;
mod connection;
mod consumer;
mod error;
mod member;
mod native;
mod offsets;
mod producer;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::{Log, LogAdmin, LogConsumer, Result, TransactionalProducer};
use admin::KafkaAdmin;
use connection::Outage;
use consumer::KafkaConsumer;
use member::KafkaMember;
use offsets::Offsets;
use producer::KafkaProducer;
pub use settings::KafkaSettings;

use crate::time::{Clock, SystemClock, pause};

/// How long Kafka has to answer before it is said to be lost. Clients reconnect within less.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// How often it is looked whether Kafka is back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A log kept by Kafka's brokers.
pub struct KafkaLog {
    shared: Arc<Shared>,
}

impl KafkaLog {
    /// A log on these brokers. Does not wait for them: a broker that is away now may be there when it is needed.
    ///
    /// # Errors
    /// [`super::LogError::Setting`] if the settings are wrong.
    pub fn open(settings: KafkaSettings) -> Result<Arc<KafkaLog>> {
        settings.check()?;
        let outage = Arc::new(Outage::default());
        let offsets = Offsets::open(&settings, &outage)?;
        let shared = Shared { settings, outage, offsets, admin: Mutex::default(), hurried: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let watched = Arc::downgrade(&shared);
        shared.outage.on_suspicion(move || watch(watched.clone()));
        Ok(Arc::new(KafkaLog { shared }))
    }

    /// Waits until a broker answers, at most `timeout`.
    ///
    /// # Errors
    /// [`super::LogError::Unreachable`] with the address and the cause, [`super::LogError::Authentication`] if who we
    /// are is not believed.
    pub fn ping(&self, timeout: Duration) -> Result<()> {
        self.shared.offsets.ping(timeout)
    }
}

impl Log for KafkaLog {
    fn consumer(&self, group: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        Ok(Box::new(KafkaConsumer::open(Arc::clone(&self.shared), group)?))
    }

    fn member(&self, group: &str, instance: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        Ok(Box::new(KafkaMember::open(Arc::clone(&self.shared), group, instance)?))
    }

    fn transactional_producer(&self, transactional_id: &str) -> Result<Box<dyn TransactionalProducer>> {
        Ok(Box::new(KafkaProducer::transactional(Arc::clone(&self.shared), transactional_id)?))
    }

    fn producer(&self) -> Result<Box<dyn TransactionalProducer>> {
        Ok(Box::new(KafkaProducer::idempotent(Arc::clone(&self.shared))?))
    }

    fn admin(&self) -> Box<dyn LogAdmin> {
        Box::new(KafkaAdmin::new(Arc::clone(&self.shared)))
    }

    fn hurry(&self) {
        self.shared.hurried.store(true, Ordering::Release);
    }
}

/// Asks the brokers, beside everything else, until they answer or the log is closed.
fn watch(shared: Weak<Shared>) {
    let watched = shared.clone();
    let look = move || {
        let clock = SystemClock::new();
        let mut answered = Duration::ZERO;
        while let Some(shared) = shared.upgrade() {
            let Shared { outage, offsets, settings, .. } = &*shared;
            let patience = if outage.is_down() { settings.request_timeout } else { FIRST_LOOK };
            outage.ask();
            match offsets.ping(patience) {
                Ok(()) => {
                    outage.found(clock.elapsed().saturating_sub(answered));
                    answered = clock.elapsed();
                    if outage.rest() {
                        return;
                    }
                }
                Err(error) => outage.lost(&error),
            }
            drop(shared);
            pause(LOOK_AGAIN);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("kafka-outage".to_owned()).spawn(look) {
        tracing::warn!(%error, "nobody looks whether Kafka is there");
        if let Some(shared) = watched.upgrade() {
            shared.outage.unwatched();
        }
    }
}

/// What all clients of one log share.
struct Shared {
    settings: KafkaSettings,
    outage: Arc<Outage>,
    /// Asks about topics and offsets.
    offsets: Offsets,
    /// Changes topics; connected when it is needed first.
    admin: Mutex<Option<Arc<admin::Client>>>,
    /// Nothing is to be waited for any longer.
    hurried: AtomicBool,
}
