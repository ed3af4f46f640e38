//! One application's state on this machine: `<directory>/<application>/<task>/`, a RocksDB per task.
//!
//! A task's directory says who wrote it and what its stores are; opening it as something else is refused, and
//! nothing is wiped but by [`StateDirectory::remove_task`]. The application's directory has an owner, one process, and
//! a name that outlives it: see [`instance`](super::instance).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checkpoint::{Identity, StoreIdentity};
use super::error::from_io;
use super::instance::Instance;
use super::task_stores::CHECKPOINT_KEY;
use super::{
    Batch, Checkpoint, Codec, Database, GlobalTables, MemoryUsage, Resources, Result, StateError, StateOptions,
    StoreSpec, TaskStores,
};

/// The key of the identity in the metadata.
pub(super) const IDENTITY_KEY: &[u8] = b"identity";

/// The directory of the global tables: no task has such a name.
const GLOBAL: &str = "global";

/// One application's state in this process. Cloning shares it.
#[derive(Clone)]
pub struct StateDirectory {
    shared: Arc<Shared>,
    /// The application's directory.
    path: PathBuf,
    application: String,
    /// Keeps other processes out for as long as it lives.
    instance: Arc<Instance>,
    /// Whether what the log says of the state has been found to fit.
    accepted: bool,
}

/// What the tasks of the process share.
pub(super) struct Shared {
    pub(super) options: StateOptions,
    pub(super) resources: Resources,
    /// The tasks whose directories are open, or being opened, closed or removed.
    held: Mutex<BTreeSet<String>>,
    /// How many these are: asked for at every read.
    held_count: AtomicUsize,
}

/// The right to work on a task's directory; of its process, one at a time has it.
pub(super) struct Reservation {
    shared: Arc<Shared>,
    task: String,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        held.remove(&self.task);
        self.shared.held_count.store(held.len(), Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) fn new(options: StateOptions, in_memory: bool, path: &Path) -> Result<Shared> {
        let resources = Resources::new(&options, in_memory, path)?;
        Ok(Shared { options, resources, held: Mutex::default(), held_count: AtomicUsize::new(0) })
    }

    /// One task's part of a limit that holds for the process.
    pub(super) fn share(&self, limit: usize) -> usize {
        limit / self.held_count.load(Ordering::Relaxed).max(1)
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateDirectory {
    /// The state of `application` under `path`. The directory is made when it is not there.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another process, or another part of this one, has it open.
    pub fn open(path: &Path, application: &str, options: StateOptions) -> Result<StateDirectory> {
        check_name("an application", application)?;
        let shared = Arc::new(Shared::new(options, false, path)?);
        let path = path.join(application);
        std::fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
        let instance = Arc::new(Instance::claim(&path)?);
        Ok(StateDirectory { shared, path, application: application.to_owned(), instance, accepted: false })
    }

    /// A state in memory, gone with the last clone and the last task; for tests and the driver.
    pub fn in_memory(application: &str, options: StateOptions) -> Result<StateDirectory> {
        check_name("an application", application)?;
        let path = Path::new("/state").join(application);
        let shared = Arc::new(Shared::new(options, true, &path)?);
        Ok(StateDirectory {
            shared,
            path,
            application: application.to_owned(),
            instance: Arc::new(Instance::passing()),
            accepted: false,
        })
    }

    /// The same, for a topology that the log's description of the state has been found to fit. That is then what counts:
    /// a store with a changelog that was written as something else is not refused, but dropped, and restored from there.
    /// Another instance may have laid it out anew, when nothing was in it.
    #[must_use]
    pub fn accepted(self) -> StateDirectory {
        StateDirectory { accepted: true, ..self }
    }

    /// The application's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of this instance of the application: random, and the same as long as the directory is there.
    pub fn instance(&self) -> &str {
        self.instance.id()
    }

    /// The memory that RocksDB uses for the tasks that are open.
    pub fn memory_usage(&self) -> MemoryUsage {
        let (block_cache, write_buffers) = self.shared.resources.usage();
        MemoryUsage { block_cache, write_buffers }
    }

    /// Opens the stores of a task, named as in Kafka Streams `<sub-topology>_<partition>`. A new store is added; one that
    /// is not among `specs` is dropped, as its changelog has its rows; a directory that was written by somebody else, or
    /// that holds other values than `specs` says, is refused (see [`StateDirectory::accepted`]).
    pub fn open_task(&self, task: &str, specs: &[StoreSpec]) -> Result<TaskStores> {
        let (database, reservation) = self.open_database(task, specs, self.accepted)?;
        TaskStores::new(database, specs, Arc::clone(&self.shared), reservation)
    }

    /// Opens the global tables, in a directory of their own beside those of the tasks; otherwise as
    /// [`StateDirectory::open_task`].
    pub fn open_globals(&self, specs: &[StoreSpec]) -> Result<GlobalTables> {
        let (database, reservation) = self.open_database(GLOBAL, specs, false)?;
        Ok(GlobalTables::new(database, specs, self.shared.options.flush_bytes, reservation))
    }

    /// Removes the global tables, to have them read again from their topics; fine when there are none.
    pub fn remove_globals(&self) -> Result<()> {
        self.remove_task(GLOBAL)
    }

    /// Opens a database, as that of a task, with its stores. With `renew`, those of another layout are dropped whose
    /// changelogs have their rows.
    fn open_database(&self, task: &str, specs: &[StoreSpec], renew: bool) -> Result<(Database, Reservation)> {
        check_name("a task", task)?;
        specs.iter().try_for_each(|spec| check_name("a store", &spec.name))?;
        let path = self.path.join(task);
        let reservation = self.reserve(task)?;
        let Shared { options, resources, .. } = &*self.shared;
        if !resources.in_memory() {
            std::fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
        }
        let mut present = Database::stores(resources, options, &path)?.unwrap_or_default();
        let mut database = Database::open(resources, options, &path, &present)?;
        let identity = self.identity(task, specs);
        let found = read_identity(&database)?;
        let mut renewed = Vec::new();
        match &found {
            Some(found) => renewed = check_identity(found, &identity, &path, renew)?,
            None if present.is_empty() => {}
            None => {
                let detail = format!("it holds stores ({}) but does not say whose", present.join(", "));
                return Err(StateError::Corrupt { path, detail });
            }
        }
        // What is to stay is in both identities: of one that only the new one has, the drop was cut off.
        let is_kept = |name: &String| {
            let named = |identity: &Identity| identity.stores.iter().any(|store| store.name == *name);
            named(&identity) && found.as_ref().is_some_and(named) && !renewed.contains(name)
        };
        let (kept, left): (Vec<String>, Vec<String>) = present.drain(..).partition(is_kept);
        // The identity first, and on disk: a store without an identity could be anybody's.
        if found.as_ref() != Some(&identity) {
            let mut batch = Batch::with_capacity(256);
            // Without those that are made anew, until they are: what is dropped below could be taken for them.
            let mut first = identity.clone();
            first.stores.retain(|store| !renewed.contains(&store.name));
            batch.put(database.metadata()?, IDENTITY_KEY, &first.encode()?);
            let gone = found.iter().flat_map(|found| &found.stores).filter(|store| !is_kept(&store.name));
            forget_changelogs(&database, gone.filter_map(|store| store.changelog.as_deref()), &mut batch)?;
            database.write(batch)?;
            database.flush(&kept.iter().chain(&left).map(String::as_str).collect::<Vec<_>>(), true)?;
        }
        for store in &left {
            let reason = if renewed.contains(store) { "is laid out anew" } else { "is not in the topology any more" };
            tracing::info!(store, path = %path.display(), "the store {reason}; its local copy is dropped");
            database.drop_store(store)?;
        }
        for spec in specs.iter().filter(|spec| !kept.contains(&spec.name)) {
            database.create_store(resources, options, &spec.name)?;
        }
        if !renewed.is_empty() {
            let mut batch = Batch::with_capacity(256);
            batch.put(database.metadata()?, IDENTITY_KEY, &identity.encode()?);
            database.write(batch)?;
            database.flush(&specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), true)?;
        }
        Ok((database, reservation))
    }

    /// The tasks that have state in this directory, open or not.
    pub fn tasks(&self) -> Result<Vec<String>> {
        if self.shared.resources.in_memory() {
            return Ok(Vec::new());
        }
        super::reader::tasks_in(&self.path)
    }

    /// Removes the state of a task, to have it restored from its changelogs when it is opened again; fine when there
    /// is none.
    ///
    /// # Errors
    /// [`StateError::InUse`] if the task is open.
    pub fn remove_task(&self, task: &str) -> Result<()> {
        check_name("a task", task)?;
        let path = self.path.join(task);
        let _reservation = self.reserve(task)?;
        let Shared { options, resources, .. } = &*self.shared;
        if resources.in_memory() {
            return Database::destroy(resources, options, &path);
        }
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(from_io(&path, &error)),
            _ => Ok(()),
        }
    }

    fn reserve(&self, task: &str) -> Result<Reservation> {
        let mut held = self.shared.held();
        if !held.insert(task.to_owned()) {
            return Err(StateError::InUse { path: self.path.join(task) });
        }
        self.shared.held_count.store(held.len(), Ordering::Relaxed);
        drop(held);
        Ok(Reservation { shared: Arc::clone(&self.shared), task: task.to_owned() })
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

/// Returns the names of the stores that are to be made anew: none unless `renew`.
fn check_identity(found: &Identity, expected: &Identity, path: &Path, renew: bool) -> Result<Vec<String>> {
    let mut renewed = Vec::new();
    if (&found.application, &found.task) != (&expected.application, &expected.task) {
        return Err(StateError::OtherOwner {
            path: path.to_owned(),
            found_application: found.application.clone(),
            found_task: found.task.clone(),
            application: expected.application.clone(),
            task: expected.task.clone(),
        });
    }
    for store in &found.stores {
        let same = expected.stores.iter().find(|expected| expected.name == store.name);
        let differs = |same: &&StoreIdentity| (&store.kind, store.fingerprint) != (&same.kind, same.fingerprint);
        if let Some(same) = same.filter(differs) {
            if renew && same.changelog.is_some() {
                renewed.push(store.name.clone());
                continue;
            }
            return Err(StateError::OtherShape {
                path: path.to_owned(),
                store: store.name.clone(),
                found: describe(store),
                expected: describe(same),
            });
        }
    }
    Ok(renewed)
}

/// Has stores that are dropped be restored from the beginning, should they ever come back.
fn forget_changelogs<'a>(
    database: &Database,
    changelogs: impl Iterator<Item = &'a str>,
    batch: &mut Batch,
) -> Result<()> {
    let Some(stored) = database.get(database.metadata()?, CHECKPOINT_KEY)? else { return Ok(()) };
    let mut checkpoint = Checkpoint::decode(&stored, database.path())?;
    for changelog in changelogs {
        checkpoint.changelog_offsets.remove(changelog);
    }
    batch.put(database.metadata()?, CHECKPOINT_KEY, &checkpoint.encode()?);
    Ok(())
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
