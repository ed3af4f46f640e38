//! A log in one local directory, or in memory: topics, partitions, offsets, headers, retention, compaction,
//! consumer groups among the threads of this process, and transactions.
//!
//! Everything lies in one RocksDB database. A transaction is held in memory until it commits; its records, its
//! consumer offsets and the partitions' next offsets are then one write batch, so that a crash at any instant
//! leaves all of them or none (I1), and readers only ever see whole transactions. One process at a time may write.

mod admin;
mod catalogue;
mod clean;
mod consumer;
mod encoding;
mod group;
mod producer;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Log, LogAdmin, LogConsumer, LogError, Result, TransactionalProducer};
use crate::config::Config;
use admin::EmbeddedAdmin;
use catalogue::Catalogue;
use consumer::EmbeddedConsumer;
use group::Groups;
use producer::EmbeddedProducer;
use storage::{Place, Storage};

/// Settings of an embedded log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// Bytes of stored blocks kept in memory for reading.
    pub block_cache_bytes: usize,
    /// Bytes of fresh records kept in memory before they go to table files.
    pub write_buffer_bytes: usize,
    /// The largest record that is taken: bytes of key, value and headers together.
    pub max_record_bytes: usize,
    /// Whether a commit waits for the disk, so that it survives a loss of power. Without, it survives the end of the
    /// process in any manner, `kill -9` included.
    pub fsync: bool,
}

impl From<&Config> for EmbeddedOptions {
    fn from(config: &Config) -> Self {
        EmbeddedOptions {
            block_cache_bytes: config.log_block_cache_bytes,
            write_buffer_bytes: config.log_write_buffer_bytes,
            max_record_bytes: config.max_record_bytes,
            fsync: config.log_fsync,
        }
    }
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions {
            block_cache_bytes: 16 << 20,
            write_buffer_bytes: 32 << 20,
            max_record_bytes: 64 << 20,
            fsync: false,
        }
    }
}

/// A log in one directory, or in memory.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

impl EmbeddedLog {
    /// Opens the log in a directory for reading and writing; makes the directory and the log if there is none. It
    /// stays open until this and all its consumers, producers and admins are dropped.
    ///
    /// # Errors
    /// [`LogError::InUse`] if another process (or this one) has it open for writing; [`LogError::Corrupt`] if the
    /// directory holds something else, or another format; [`LogError::Storage`] if the system says no.
    pub fn open(directory: &Path, options: EmbeddedOptions) -> Result<Arc<EmbeddedLog>> {
        EmbeddedLog::at(&Place::Directory(directory), options)
    }

    /// An empty log in memory, by the same code.
    ///
    /// # Errors
    /// [`LogError::Storage`] if RocksDB cannot start.
    pub fn in_memory(options: EmbeddedOptions) -> Result<Arc<EmbeddedLog>> {
        EmbeddedLog::at(&Place::Memory, options)
    }

    /// Opens the log in a directory for reading only, also while another process writes to it; what that process
    /// commits is seen. Consumers do not join groups; producers and changes of topics are refused with
    /// [`LogError::ReadOnly`].
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if the directory holds no log; [`LogError::Storage`] if the system says no.
    pub fn open_reader(directory: &Path) -> Result<Arc<EmbeddedLog>> {
        EmbeddedLog::at(&Place::Follow(directory), EmbeddedOptions::default())
    }

    fn at(place: &Place<'_>, options: EmbeddedOptions) -> Result<Arc<EmbeddedLog>> {
        let storage = Storage::open(place, &options)?;
        let mut state = State::default();
        storage.retrying(|| state.catalogue.load(&storage))?;
        let shared = Shared {
            storage,
            options,
            maintenance: Mutex::default(),
            commits: Mutex::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Ok(Arc::new(EmbeddedLog { shared: Arc::new(shared) }))
    }
}

impl Log for EmbeddedLog {
    fn consumer(&self, group: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        Ok(Box::new(EmbeddedConsumer::new(Arc::clone(&self.shared), group)))
    }

    fn member(&self, group: &str, _instance: Option<&str>) -> Result<Box<dyn LogConsumer>> {
        // Members live in this process: none comes back after it has ended, so there is nothing to keep for it.
        self.consumer(Some(group))
    }

    fn transactional_producer(&self, transactional_id: &str) -> Result<Box<dyn TransactionalProducer>> {
        self.shared.writable("write records")?;
        // Waits for a commit under way: after this call the older producer has committed, or never will.
        let _commits = lock(&self.shared.commits);
        let mut state = lock(&self.shared.state);
        let newest = Arc::clone(state.producers.entry(transactional_id.to_owned()).or_default());
        let epoch = newest.fetch_add(1, Ordering::AcqRel) + 1;
        drop(state);
        Ok(Box::new(EmbeddedProducer::new(Arc::clone(&self.shared), transactional_id, epoch, newest)))
    }

    fn producer(&self) -> Result<Box<dyn TransactionalProducer>> {
        self.shared.writable("write records")?;
        // More than is asked for: what is sent becomes visible at the commit, whole.
        Ok(Box::new(EmbeddedProducer::nameless(Arc::clone(&self.shared))))
    }

    fn admin(&self) -> Box<dyn LogAdmin> {
        Box::new(EmbeddedAdmin::new(Arc::clone(&self.shared)))
    }
}

/// What all consumers, producers and admins of one log share. Locks are taken in the order of the fields.
struct Shared {
    storage: Storage,
    options: EmbeddedOptions,
    /// Held while the log is cleaned or a topic deleted: that compacts files, and one at a time is enough.
    maintenance: Mutex<()>,
    /// Held while a transaction is written, and while what decides on its validity changes: offsets are contiguous,
    /// and nobody is fenced half-way through a commit.
    commits: Mutex<()>,
    state: Mutex<State>,
    /// Signalled at every change of `state` or of a partition's end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    catalogue: Catalogue,
    groups: Groups,
    /// Per transactional id, the epoch of its newest producer.
    producers: BTreeMap<String, Arc<AtomicU64>>,
}

impl Shared {
    /// Refuses to change a log that is open for reading only.
    fn writable(&self, action: &'static str) -> Result<()> {
        if self.storage.follows() {
            return Err(LogError::ReadOnly { path: self.storage.path().to_owned(), action });
        }
        Ok(())
    }

    /// Shows what another process has committed, if this log follows one.
    fn refresh(&self) -> Result<()> {
        if !self.storage.follows() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        self.storage.catch_up()?;
        self.storage.retrying(|| state.catalogue.load(&self.storage))?;
        // Twice, as the first may have missed records before the partitions' ends that it has shown.
        self.storage.catch_up()
    }
}

/// Locks; a thread that panicked while it held the lock left nothing half-done that matters here, as every change
/// is made after the write that it stands for.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
