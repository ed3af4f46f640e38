//! Writes records in transactions of bounded size.

use crate::log::{Log, LogError, ProducerRecord, TransactionalProducer};

/// The most records of one transaction.
const MAX_RECORDS: usize = 500;
/// The bytes of keys and values that end a transaction.
const MAX_BYTES: usize = 4 << 20;

/// Writes records in transactions of bounded size.
pub(super) struct Feeder {
    producer: Box<dyn TransactionalProducer>,
    records: usize,
    bytes: usize,
    committed: u64,
}

impl Feeder {
    /// A feeder with its own transactional id.
    pub(super) fn new(log: &dyn Log, transactional_id: &str) -> Result<Feeder, LogError> {
        let producer = log.transactional_producer(transactional_id)?;
        Ok(Feeder { producer, records: 0, bytes: 0, committed: 0 })
    }

    /// Adds a record; commits when the transaction is large enough. Returns whether it did.
    pub(super) fn send(&mut self, record: ProducerRecord) -> Result<bool, LogError> {
        if self.records == 0 {
            self.producer.begin()?;
        }
        let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
        self.bytes += size(&record.key) + size(&record.value);
        self.records += 1;
        self.producer.send(record)?;
        let full = self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES;
        if full {
            self.commit()?;
        }
        Ok(full)
    }

    /// Commits what is open.
    pub(super) fn commit(&mut self) -> Result<(), LogError> {
        if self.records > 0 {
            self.producer.commit()?;
            self.committed += self.records as u64;
            (self.records, self.bytes) = (0, 0);
        }
        Ok(())
    }

    /// Drops what is open and returns how many records that were.
    pub(super) fn abort(&mut self) -> Result<usize, LogError> {
        let dropped = std::mem::take(&mut self.records);
        self.bytes = 0;
        if dropped > 0 {
            self.producer.abort()?;
        }
        Ok(dropped)
    }

    /// How many records have been committed.
    pub(super) fn committed(&self) -> u64 {
        self.committed
    }
}
