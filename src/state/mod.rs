//! The stores of a task: an overlay of uncommitted changes over RocksDB.
//!
//! A [`StateDirectory`] is one application's state in this process. It opens the [`TaskStores`] of each task:
//! all stores of one sub-topology and partition, in one RocksDB with a column family per store. Between
//! commits, changes live decoded in memory; [`TaskStores::commit`] writes them, with the [`Checkpoint`], as one
//! atomic batch, so that RocksDB never holds an uncommitted change (I2). The values written are the bytes
//! that [`TaskStores::changelog`] handed out, so a store is the fold of its changelog (I3). RocksDB's own
//! log is off: the changelog is the log, and [`TaskStores::restore`] replays what a crash took.
//!
//! Memory is bounded by [`StateOptions`] for the whole process, whatever the number of stores (I9).

mod absence;
mod cache;
mod checkpoint;
mod directory;
mod encoded;
mod error;
mod global;
mod instance;
mod join;
mod overlay;
mod reader;
mod rocksdb;
mod size;
mod store;
mod task_stores;
mod verify;
mod versioned;
mod window;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Config;
use crate::record::{Shape, Value};
use crate::serdes::internal::Codec;
use crate::time::Timestamp;

use self::rocksdb::{Batch, ColumnFamily, Database, Resources};

pub use checkpoint::Checkpoint;
pub use directory::StateDirectory;
pub use error::{Result, StateError};
pub use global::{GlobalChange, GlobalTables};
pub use join::{JoinRow, join_key, parse_join_key};
pub use reader::{StoreSummary, TaskReader, list_applications, list_tasks};
pub use task_stores::{Scan, TaskStores};
pub use verify::{Difference, Fold, Verification, verify};
pub use versioned::{Versions, Written};
pub use window::{index_key, index_start, parse_session_key, parse_window_key, session_key, window_bound, window_key};

/// A store as the topology declares it.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    /// The store's name, unique within its task: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The topic that its changes go to; `None`: changes are not logged, and a crash may lose them.
    pub changelog: Option<Arc<str>>,
    /// The shape of its values.
    pub shape: Shape,
    /// How its keys are laid out.
    pub kind: StoreKind,
}

/// How the keys of a store are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A value per key.
    KeyValue,
    /// A value per window and key, under [`window_key`].
    Window {
        /// How long a window is kept after its start, in milliseconds of stream time. Who writes the store
        /// deletes what is older.
        retention: i64,
    },
    /// A value per session and key, under [`session_key`].
    Session {
        /// How long a session is kept after its end, in milliseconds of stream time. Who writes the store deletes
        /// what is older.
        retention: i64,
    },
    /// What the engine keeps to find its way: the keys are laid out as the operator that owns the store needs them.
    Internal,
    /// The records of an input of a stream–stream join, under [`join_key`].
    Join {
        /// How long a record is kept, in milliseconds of the input's time. Who writes the store deletes what is older.
        retention: i64,
    },
}

impl StoreKind {
    /// The layout's name, as it stands in messages and in the state directory.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreKind::KeyValue => "key-value",
            StoreKind::Window { .. } => "window",
            StoreKind::Session { .. } => "session",
            StoreKind::Internal => "internal",
            StoreKind::Join { .. } => "join",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a store holds under a key.
#[derive(Clone, Debug, PartialEq)]
pub struct StateValue {
    /// The timestamp of the record that last changed it, in milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// The value.
    pub value: Value,
}

/// A change to be written to a store's changelog topic.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangelogRecord {
    /// The store, by its position among the task's.
    pub store: usize,
    /// The key, as the store holds it.
    pub key: Bytes,
    /// The value, as the store holds it; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The timestamp of the value, in milliseconds since the epoch. `None` for a tombstone: the task gives it
    /// the time of the commit that writes it.
    pub timestamp: Option<Timestamp>,
}

/// The limits on memory and on the unflushed tail. All sizes are bytes and hold for the whole process,
/// shared by the tasks that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOptions {
    /// RocksDB's cache of blocks, indexes and filters. Default: 32 MiB.
    pub block_cache_bytes: usize,
    /// Committed changes that RocksDB has not yet written to files. Default: 32 MiB.
    pub write_buffer_bytes: usize,
    /// Decoded values of committed entries, kept so that a hot key is not read from RocksDB. Default: 32 MiB.
    pub read_cache_bytes: usize,
    /// Uncommitted changes; a task that reaches its share should commit. Default: 32 MiB.
    pub overlay_bytes: usize,
    /// A task flushes when it has committed this many bytes since its last flush, which bounds what a
    /// restart after a crash must restore. Default: 8 MiB.
    pub flush_bytes: usize,
    /// A task flushes when it has made this many commits since its last flush. Default: 600, a minute's
    /// worth at the default commit interval.
    pub flush_commits: u32,
    /// Files that one task's RocksDB keeps open. Default: 128.
    pub max_open_files: i32,
}

impl From<&Config> for StateOptions {
    fn from(config: &Config) -> Self {
        StateOptions {
            block_cache_bytes: config.state_block_cache_bytes,
            write_buffer_bytes: config.state_write_buffer_bytes,
            read_cache_bytes: config.state_read_cache_bytes,
            overlay_bytes: config.state_uncommitted_bytes,
            ..StateOptions::default()
        }
    }
}

impl Default for StateOptions {
    fn default() -> Self {
        StateOptions {
            block_cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            read_cache_bytes: 32 << 20,
            overlay_bytes: 32 << 20,
            flush_bytes: 8 << 20,
            flush_commits: 600,
            max_open_files: 128,
        }
    }
}

/// The memory that RocksDB uses, for all tasks of a [`StateDirectory`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Of [`StateOptions::block_cache_bytes`].
    pub block_cache: usize,
    /// Of [`StateOptions::write_buffer_bytes`].
    pub write_buffers: usize,
}
