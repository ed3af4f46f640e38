//! When committed results become visible: the pauses that whoever reads them sees.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

/// When a record arrived, and from which topic and partition.
type Arrival = (Instant, usize, i32);

/// A reader of some topics that notes when records arrive.
pub(crate) struct Watch {
    topics: Vec<String>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Reads what is committed from now on.
    pub(crate) fn start(servers: &str, topics: &[&str], partitions: usize) -> Watch {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", "watch")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..i32::try_from(partitions).unwrap() {
                assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
            }
        }
        consumer.assign(&assignment).unwrap();
        let arrivals: Arc<Mutex<Vec<Arrival>>> = Arc::default();
        let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        let names = topics.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let (noted, stopped) = (Arc::clone(&arrivals), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                // An error is a broker that is away: nothing arrives, which is what is measured.
                if let Some(Ok(record)) = consumer.poll(Duration::from_millis(50)) {
                    let topic = names.iter().position(|name| name == record.topic()).unwrap();
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.push((Instant::now(), topic, record.partition()));
                }
            }
        });
        Watch { topics, arrivals, stop, thread: Some(thread) }
    }

    /// How many records have arrived so far.
    pub(crate) fn count(&self) -> usize {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The longest time without a record, of one partition or of all, from `from` until `until`.
    pub(crate) fn longest_gap(&self, of: Option<(&str, i32)>, from: Instant, until: Instant) -> Duration {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut last, mut longest) = (from, Duration::ZERO);
        for &(at, topic, partition) in arrivals.iter().filter(|(at, ..)| *at > from && *at < until) {
            if of.is_none_or(|wanted| wanted == (self.topics[topic].as_str(), partition)) {
                longest = longest.max(at - last);
                last = at;
            }
        }
        longest.max(until - last)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
