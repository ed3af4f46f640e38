//! When committed results become visible: the pauses that whoever reads them sees.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

/// A reader of one topic that notes when records of which partition arrive.
pub(crate) struct Watch {
    arrivals: Arc<Mutex<Vec<(Instant, i32)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Reads what is committed from now on.
    pub(crate) fn start(servers: &str, topic: &str, partitions: usize) -> Watch {
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
        for partition in 0..i32::try_from(partitions).unwrap() {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let arrivals: Arc<Mutex<Vec<(Instant, i32)>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (noted, stopped) = (Arc::clone(&arrivals), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                // An error is a broker that is away: nothing arrives, which is what is measured.
                if let Some(Ok(record)) = consumer.poll(Duration::from_millis(50)) {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.push((Instant::now(), record.partition()));
                }
            }
        });
        Watch { arrivals, stop, thread: Some(thread) }
    }

    /// The longest time without a record of this partition, or of all if none is given, from `from` until `until`.
    pub(crate) fn longest_gap(&self, partition: Option<i32>, from: Instant, until: Instant) -> Duration {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut last, mut longest) = (from, Duration::ZERO);
        let of_it = arrivals.iter().filter(|(_, number)| partition.is_none_or(|wanted| wanted == *number));
        for &(at, _) in of_it.filter(|(at, _)| *at > from && *at < until) {
            longest = longest.max(at - last);
            last = at;
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
