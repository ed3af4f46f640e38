//! Global tables: whole topics, of all partitions, that every task of the process looks up.
//!
//! One writer applies records as they come; tasks read beside it, without a lock. There is no changelog: the topic
//! is one, and the checkpoint, written in the batch of the rows it describes, says up to where it has been applied.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use super::directory::Reservation;
use super::store::decode;
use super::task_stores::CHECKPOINT_KEY;
use super::{Batch, Checkpoint, Codec, Database, Result, StateError, StateValue, StoreSpec};

/// The new row of a key; `None` deletes it.
pub type GlobalChange = (Bytes, Option<StateValue>);

/// The global tables of an application. A table is named by its position in the specs that they were opened with;
/// another number is a defect of the caller and panics.
pub struct GlobalTables {
    tables: Vec<(StoreSpec, Codec)>,
    database: Database,
    flush_bytes: usize,
    unflushed: AtomicUsize,
    caught_up: AtomicBool,
    /// Behind the database, so that it is closed when another may open it.
    _reservation: Reservation,
}

impl GlobalTables {
    /// Takes over an opened database.
    pub(super) fn new(
        database: Database,
        specs: &[StoreSpec],
        flush_bytes: usize,
        reservation: Reservation,
    ) -> GlobalTables {
        GlobalTables {
            tables: specs.iter().map(|spec| (spec.clone(), Codec::new(&spec.shape))).collect(),
            database,
            flush_bytes,
            unflushed: AtomicUsize::new(0),
            caught_up: AtomicBool::new(false),
            _reservation: reservation,
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// Whether the tables hold what their topics held when their reader began: no task begins before, nor looks a row up.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Notes that they do.
    pub fn set_caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }

    /// What a table holds under a key.
    ///
    /// # Errors
    /// [`StateError::GlobalsBehind`] while the tables do not hold what their topics held: nobody must take a row for
    /// missing that has only not been read yet.
    pub fn get(&self, table: usize, key: &[u8]) -> Result<Option<StateValue>> {
        let found = self.read(table, key).map_err(|error| self.unreadable(error))?;
        // After the row: what empties the tables says so before.
        if !self.is_caught_up() {
            return Err(StateError::GlobalsBehind { path: self.path().to_owned() });
        }
        Ok(found)
    }

    fn read(&self, table: usize, key: &[u8]) -> Result<Option<StateValue>> {
        let (spec, codec) = &self.tables[table];
        let stored = self.database.get(self.database.store(&spec.name)?, key)?;
        stored.map(|value| decode(codec, spec, self.database.path(), key, &value)).transpose()
    }

    /// A damaged table is not the state of the task that looks it up, which must not be built anew for it.
    fn unreadable(&self, error: StateError) -> StateError {
        let detail = match error {
            StateError::Corrupt { detail, .. } => detail,
            StateError::Undecodable { store, key, detail, .. } => {
                format!("the row of key {key} in table `{store}` does not decode: {detail}")
            }
            other => return other,
        };
        StateError::Globals { path: self.path().to_owned(), detail }
    }

    /// Up to where the topics have been applied; `None` before the first record.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let stored = self.database.get(self.database.metadata()?, CHECKPOINT_KEY)?;
        stored.map(|bytes| Checkpoint::decode(&bytes, self.database.path())).transpose()
    }

    /// Applies changes of a table, in their order, with the checkpoint: all or nothing.
    pub fn apply(&self, table: usize, changes: &[GlobalChange], checkpoint: &Checkpoint) -> Result<()> {
        let (spec, codec) = &self.tables[table];
        let family = self.database.store(&spec.name)?;
        let mut batch = Batch::with_capacity(1024);
        let mut encoded = Vec::new();
        for (key, row) in changes {
            match row {
                Some(row) => {
                    encoded.clear();
                    codec.encode(row.timestamp, &row.value, &mut encoded);
                    batch.put(family, key, &encoded);
                }
                None => batch.delete(family, key),
            }
        }
        batch.put(self.database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
        let bytes = batch.bytes();
        self.database.write(batch)?;
        if self.unflushed.fetch_add(bytes, Ordering::Relaxed) + bytes >= self.flush_bytes {
            self.start_flush(false)?;
        }
        Ok(())
    }

    /// Empties all tables, to be filled from the beginning of their topics. From now on they are not caught up.
    pub fn clear(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.caught_up.store(false, Ordering::Release);
        let mut batch = Batch::with_capacity(1024);
        for (spec, _) in &self.tables {
            let family = self.database.store(&spec.name)?;
            if let Some(last) = self.database.last_key(family)? {
                batch.delete_upto(family, &last);
            }
        }
        batch.put(self.database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
        self.database.write(batch)
    }

    /// Writes everything that is applied to files and returns when that is done.
    pub fn flush(&self) -> Result<()> {
        self.start_flush(true)
    }

    fn start_flush(&self, wait: bool) -> Result<()> {
        self.unflushed.store(0, Ordering::Relaxed);
        let names: Vec<&str> = self.tables.iter().map(|(spec, _)| spec.name.as_str()).collect();
        self.database.flush(&names, wait)
    }
}
