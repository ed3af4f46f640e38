//! A look at a task's state from outside: which applications, tasks and stores a directory has, and what is in them.
//!
//! Nothing is locked or changed, so it also works beside the process that writes; what is seen is what had been
//! flushed when the reader was opened.

use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;

use super::checkpoint::Identity;
use super::directory::{Shared, read_identity};
use super::error::{from_io, printable};
use super::task_stores::CHECKPOINT_KEY;
use super::{Checkpoint, Codec, Database, Result, StateError, StateOptions, StateValue};

/// What a store is and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSummary {
    /// Its name.
    pub name: String,
    /// `key-value` or `window`.
    pub kind: String,
    /// The shape of its values, in words.
    pub shape: String,
    /// Its changelog topic, if its changes are logged.
    pub changelog: Option<String>,
    /// How many entries it has, counted.
    pub entries: u64,
    /// The size of its keys and values, in bytes.
    pub bytes: u64,
    /// The size of its files, in bytes.
    pub file_bytes: u64,
}

/// The flushed state of one task, read-only.
pub struct TaskReader {
    database: Database,
    identity: Identity,
    checkpoint: Option<Checkpoint>,
}

impl TaskReader {
    /// Opens `<directory>/<application>/<task>`.
    pub fn open(directory: &Path, application: &str, task: &str) -> Result<TaskReader> {
        let path = directory.join(application).join(task);
        let options = StateOptions { block_cache_bytes: 8 << 20, ..StateOptions::default() };
        let shared = Shared::new(options, false, &path)?;
        // RocksDB does not tell what is not there from what may not be looked into.
        std::fs::read_dir(&path).map_err(|error| from_io(&path, &error))?;
        let not_found = || StateError::NotFound { path: path.clone() };
        let stores = Database::stores(&shared.resources, &shared.options, &path)?.ok_or_else(not_found)?;
        let database = Database::open_read_only(&shared.resources, &shared.options, &path, &stores)?;
        let identity = read_identity(&database)?.ok_or_else(not_found)?;
        let stored = database.get(database.metadata()?, CHECKPOINT_KEY)?;
        let checkpoint = stored.map(|bytes| Checkpoint::decode(&bytes, &path)).transpose()?;
        Ok(TaskReader { database, identity, checkpoint })
    }

    /// Up to where the stores had come; `None` before the first commit or restore.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// The names of the stores.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        self.identity.stores.iter().map(|store| store.name.as_str())
    }

    /// What each store is and how large; reads them through.
    pub fn summaries(&self) -> Result<Vec<StoreSummary>> {
        self.identity
            .stores
            .iter()
            .map(|store| {
                let family = self.database.store(&store.name)?;
                let mut cursor = self.database.cursor(family, Bound::Unbounded, Bound::Unbounded);
                let (mut entries, mut bytes) = (0, 0);
                while let Some((key, value)) = cursor.entry()? {
                    entries += 1;
                    bytes += (key.len() + value.len()) as u64;
                    cursor.advance();
                }
                Ok(StoreSummary {
                    name: store.name.clone(),
                    kind: store.kind.clone(),
                    shape: store.shape.clone(),
                    changelog: store.changelog.clone(),
                    entries,
                    bytes,
                    file_bytes: self.database.file_bytes(family)?,
                })
            })
            .collect()
    }

    /// The bytes that a store holds under a key.
    pub fn get(&self, store: &str, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.database.get(self.database.store(self.known(store)?)?, key)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Up to `limit` entries of a store between two keys, in the order of their keys' bytes.
    pub fn scan(&self, store: &str, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<(Bytes, Bytes)>> {
        let mut cursor = self.database.cursor(self.database.store(self.known(store)?)?, from, to);
        let mut found = Vec::new();
        while let Some((key, value)) = cursor.entry()?.filter(|_| found.len() < limit) {
            found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            cursor.advance();
        }
        Ok(found)
    }

    /// Decodes bytes of a store with the codec of its shape; refuses a codec other than the one that wrote them.
    pub fn decode(&self, store: &str, codec: &Codec, key: &[u8], value: &Bytes) -> Result<StateValue> {
        let undecodable = |detail: String| StateError::Undecodable {
            path: self.database.path().to_owned(),
            store: store.to_owned(),
            key: printable(key),
            detail,
        };
        let identity = self.identity.stores.iter().find(|identity| identity.name == store);
        if let Some(identity) = identity.filter(|identity| identity.fingerprint != codec.fingerprint()) {
            return Err(undecodable(format!(
                "the store was written as {}, not as the topology declares it",
                identity.shape
            )));
        }
        let (timestamp, value) = codec.decode(value).map_err(|error| undecodable(error.to_string()))?;
        Ok(StateValue { timestamp, value })
    }

    /// The database, for comparisons.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    fn known<'a>(&self, store: &'a str) -> Result<&'a str> {
        if self.stores().any(|name| name == store) {
            return Ok(store);
        }
        Err(StateError::NoSuchStore {
            path: self.database.path().to_owned(),
            store: store.to_owned(),
            known: self.stores().map(str::to_owned).collect(),
        })
    }
}

/// The applications that have state under `directory`, by name.
pub fn list_applications(directory: &Path) -> Result<Vec<String>> {
    let mut applications = Vec::new();
    for name in subdirectories(directory)? {
        if !list_tasks(directory, &name)?.is_empty() {
            applications.push(name);
        }
    }
    Ok(applications)
}

/// The tasks of an application that have state under `directory`, by sub-topology and partition.
pub fn list_tasks(directory: &Path, application: &str) -> Result<Vec<String>> {
    tasks_in(&directory.join(application))
}

/// The tasks that have state in an application's directory, by sub-topology and partition.
pub(super) fn tasks_in(path: &Path) -> Result<Vec<String>> {
    let mut tasks = subdirectories(path)?;
    // What may not be looked into is tried, so that opening it says why.
    tasks.retain(|name| path.join(name).join("CURRENT").try_exists().unwrap_or(true));
    tasks.sort_by_key(|name| {
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        name.split_once('_').map(|(subtopology, partition)| (number(subtopology), number(partition)))
    });
    Ok(tasks)
}

fn subdirectories(path: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| from_io(path, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}
