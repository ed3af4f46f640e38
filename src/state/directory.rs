//! One application's state on this machine: `<directory>/<application>/<task>/`, a RocksDB per task.
//!
//! A task's directory says who wrote it and what its stores are; opening it as something else is refused, and
//! nothing is ever wiped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::checkpoint::{Identity, StoreIdentity};
use super::error::from_io;
use super::{Batch, Codec, Database, MemoryUsage, Resources, Result, StateError, StateOptions, StoreSpec, TaskStores};

/// The key of the identity in the metadata.
pub(super) const IDENTITY_KEY: &[u8] = b"identity";

/// One application's state in this process. Cloning shares it.
#[derive(Clone)]
pub struct StateDirectory {
    shared: Arc<Shared>,
    /// The application's directory.
    path: PathBuf,
    application: String,
}

/// What the tasks of the process share.
pub(super) struct Shared {
    pub(super) options: StateOptions,
    pub(super) resources: Resources,
    open_tasks: AtomicUsize,
}

impl Shared {
    pub(super) fn new(options: StateOptions, in_memory: bool, path: &Path) -> Result<Shared> {
        let resources = Resources::new(&options, in_memory, path)?;
        Ok(Shared { options, resources, open_tasks: AtomicUsize::new(0) })
    }

    pub(super) fn task_opened(&self) {
        self.open_tasks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn task_closed(&self) {
        self.open_tasks.fetch_sub(1, Ordering::Relaxed);
    }

    /// One task's part of a limit that holds for the process.
    pub(super) fn share(&self, limit: usize) -> usize {
        limit / self.open_tasks.load(Ordering::Relaxed).max(1)
    }
}

impl StateDirectory {
    /// The state of `application` under `path`. The directory is made when it is not there.
    pub fn open(path: &Path, application: &str, options: StateOptions) -> Result<StateDirectory> {
        check_name("an application", application)?;
        let shared = Arc::new(Shared::new(options, false, path)?);
        let path = path.join(application);
        std::fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
        Ok(StateDirectory { shared, path, application: application.to_owned() })
    }

    /// A state in memory, gone with the last clone and the last task; for tests and the driver.
    pub fn in_memory(application: &str, options: StateOptions) -> Result<StateDirectory> {
        check_name("an application", application)?;
        let path = Path::new("/state").join(application);
        let shared = Arc::new(Shared::new(options, true, &path)?);
        Ok(StateDirectory { shared, path, application: application.to_owned() })
    }

    /// The application's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The memory that RocksDB uses for the tasks that are open.
    pub fn memory_usage(&self) -> MemoryUsage {
        let (block_cache, write_buffers) = self.shared.resources.usage();
        MemoryUsage { block_cache, write_buffers }
    }

    /// Opens the stores of a task, named as in Kafka Streams `<sub-topology>_<partition>`. A new store is added; a
    /// directory that was written by somebody else, or that holds other stores or other values than `specs`, is refused.
    pub fn open_task(&self, task: &str, specs: &[StoreSpec]) -> Result<TaskStores> {
        check_name("a task", task)?;
        specs.iter().try_for_each(|spec| check_name("a store", &spec.name))?;
        let path = self.path.join(task);
        let Shared { options, resources, .. } = &*self.shared;
        if !resources.in_memory() {
            std::fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
        }
        let present = Database::stores(resources, options, &path)?.unwrap_or_default();
        let mut database = Database::open(resources, options, &path, &present)?;
        let identity = self.identity(task, specs);
        let found = read_identity(&database)?;
        match &found {
            Some(found) => check_identity(found, &identity, &path)?,
            None if present.is_empty() => {}
            None => {
                let detail = format!("it holds stores ({}) but does not say whose", present.join(", "));
                return Err(StateError::Corrupt { path, detail });
            }
        }
        // The identity first, and on disk: a store without an identity could be anybody's.
        if found.as_ref() != Some(&identity) {
            let mut batch = Batch::with_capacity(256);
            batch.put(database.metadata()?, IDENTITY_KEY, &identity.encode()?);
            database.write(batch)?;
            database.flush(&present.iter().map(String::as_str).collect::<Vec<_>>(), true)?;
        }
        for spec in specs.iter().filter(|spec| !present.contains(&spec.name)) {
            database.create_store(resources, options, &spec.name)?;
        }
        TaskStores::new(database, specs, Arc::clone(&self.shared))
    }

    /// Writes a task's identity as it is, for tests of what cannot be read.
    #[cfg(test)]
    pub(super) fn write_identity_for_test(&self, task: &str, bytes: &[u8]) -> Result<()> {
        let Shared { options, resources, .. } = &*self.shared;
        let database = Database::open(resources, options, &self.path.join(task), &[])?;
        let mut batch = Batch::with_capacity(16);
        batch.put(database.metadata()?, IDENTITY_KEY, bytes);
        database.write(batch)
    }

    fn identity(&self, task: &str, specs: &[StoreSpec]) -> Identity {
        let stores = specs.iter().map(|spec| StoreIdentity {
            name: spec.name.clone(),
            kind: spec.kind.as_str().to_owned(),
            shape: spec.shape.to_string(),
            fingerprint: Codec::new(&spec.shape).fingerprint(),
            changelog: spec.changelog.as_deref().map(str::to_owned),
        });
        Identity { application: self.application.clone(), task: task.to_owned(), stores: stores.collect() }
    }
}

/// Who wrote the database; `None` when it has just been made.
pub(super) fn read_identity(database: &Database) -> Result<Option<Identity>> {
    let stored = database.get(database.metadata()?, IDENTITY_KEY)?;
    stored.map(|bytes| Identity::decode(&bytes, database.path())).transpose()
}

fn check_identity(found: &Identity, expected: &Identity, path: &Path) -> Result<()> {
    if (&found.application, &found.task) != (&expected.application, &expected.task) {
        return Err(StateError::OtherOwner {
            path: path.to_owned(),
            found_application: found.application.clone(),
            found_task: found.task.clone(),
            application: expected.application.clone(),
            task: expected.task.clone(),
        });
    }
    let mut unknown = Vec::new();
    for store in &found.stores {
        match expected.stores.iter().find(|expected| expected.name == store.name) {
            None => unknown.push(format!("`{}`", store.name)),
            Some(expected) if (&store.kind, store.fingerprint) != (&expected.kind, expected.fingerprint) => {
                return Err(StateError::OtherShape {
                    path: path.to_owned(),
                    store: store.name.clone(),
                    found: describe(store),
                    expected: describe(expected),
                });
            }
            Some(_) => {}
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(StateError::UnknownStores { path: path.to_owned(), stores: unknown }) }
}

fn describe(store: &StoreIdentity) -> String {
    format!("a {} store of {} (layout {:016x})", store.kind, store.shape, store.fingerprint)
}

/// Names become parts of paths: what Kafka allows in a topic's name, shorter, and no `.` or `..`.
fn check_name(what: &'static str, name: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 200 || matches!(name, "." | "..") || !name.bytes().all(legal) {
        return Err(StateError::IllegalName { what, name: name.to_owned() });
    }
    Ok(())
}
