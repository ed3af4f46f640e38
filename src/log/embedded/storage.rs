//! The RocksDB database under the log: how it is opened, read, written, and what its errors mean to a person.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB,
    DBCompressionType, Env, ErrorKind, FlushOptions, Options, ReadOptions, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};

use super::super::{LogError, Result};
use super::EmbeddedOptions;
use super::encoding::{FORMAT_VERSION, record_key, record_offset};

/// The column families.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Family {
    /// Topic name → its id and configuration.
    Topics,
    /// Topic id, partition, offset → record.
    Records,
    /// Group, topic, partition → committed offset.
    Offsets,
    /// Topic id, partition → next offset; how far it is cleaned.
    Partitions,
    /// The format's version; the next topic id.
    Meta,
}

impl Family {
    const ALL: [Family; 5] = [Family::Topics, Family::Records, Family::Offsets, Family::Partitions, Family::Meta];

    fn name(self) -> &'static str {
        match self {
            Family::Topics => "topics",
            Family::Records => "records",
            Family::Offsets => "offsets",
            Family::Partitions => "partitions",
            Family::Meta => "meta",
        }
    }
}

/// How often a follower looks again when the writer changes the files under its hands.
const ATTEMPTS: usize = 10;

const FORMAT_KEY: &[u8] = b"format";

/// Room for a batch of a few keys, in bytes.
pub(super) const SMALL_BATCH: usize = 1 << 10;

/// Where the database is.
pub(super) enum Place<'a> {
    /// In a directory, for this process to write.
    Directory(&'a Path),
    /// In memory.
    Memory,
    /// In a directory that another process may be writing.
    Follow(&'a Path),
}

/// The open database.
pub(super) struct Storage {
    opened: RwLock<Arc<Opened>>,
    path: String,
    sync: bool,
    /// The directory and options to open it anew with, if another process writes it.
    follows: Option<(PathBuf, EmbeddedOptions)>,
}

/// RocksDB's handle. The fields are dropped in this order: the database first, then its scratch directory.
struct Opened {
    database: DB,
    _scratch: Option<ScratchDirectory>,
}

impl Opened {
    fn family(&self, family: Family, path: &str) -> Result<&ColumnFamily> {
        let handle = self.database.cf_handle(family.name());
        handle.ok_or_else(|| LogError::Corrupt {
            path: path.to_owned(),
            detail: format!("the column family `{}` is missing", family.name()),
        })
    }
}

impl Storage {
    /// Opens the database, creating it if `place` is for writing and there is none.
    pub(super) fn open(place: &Place<'_>, options: &EmbeddedOptions) -> Result<Storage> {
        let storage = match place {
            Place::Directory(directory) => Storage::open_directory(directory, options)?,
            Place::Memory => Storage::open_memory(options)?,
            Place::Follow(directory) => {
                let follows = Some((directory.to_path_buf(), options.clone()));
                let opened = Storage::follow(directory, options)?;
                Storage::new(opened, directory.display().to_string(), false, follows)
            }
        };
        storage.check_format()?;
        Ok(storage)
    }

    fn open_directory(directory: &Path, options: &EmbeddedOptions) -> Result<Storage> {
        let path = directory.display().to_string();
        std::fs::create_dir_all(directory).map_err(|error| io_error(&path, &error))?;
        if directory.join("CURRENT").exists() {
            // An error here is one that opening will report better.
            let families = DB::list_cf(&Options::default(), directory).unwrap_or_default();
            let foreign = |name: &String| name != "default" && Family::ALL.iter().all(|family| family.name() != name);
            if families.iter().any(foreign) {
                return Err(not_a_log(&path));
            }
        } else {
            refuse_foreign_files(directory, &path)?;
        }
        let mut database_options = database_options(options);
        database_options.create_if_missing(true);
        database_options.create_missing_column_families(true);
        // Table files stay open up to this many; beyond, they are opened when needed.
        database_options.set_max_open_files(512);
        let database = DB::open_cf_descriptors(&database_options, directory, families(options, None))
            .map_err(|error| storage_error(&path, &error))?;
        Ok(Storage::new(Opened { database, _scratch: None }, path, options.fsync, None))
    }

    fn open_memory(options: &EmbeddedOptions) -> Result<Storage> {
        let path = "memory".to_owned();
        let environment = Env::mem_env().map_err(|error| storage_error(&path, &error))?;
        let mut database_options = database_options(options);
        database_options.create_if_missing(true);
        database_options.create_missing_column_families(true);
        database_options.set_env(&environment);
        let families = families(options, Some(&environment));
        let database = DB::open_cf_descriptors(&database_options, "/log", families)
            .map_err(|error| storage_error(&path, &error))?;
        Ok(Storage::new(Opened { database, _scratch: None }, path, false, None))
    }

    fn new(opened: Opened, path: String, sync: bool, follows: Option<(PathBuf, EmbeddedOptions)>) -> Storage {
        Storage { opened: RwLock::new(Arc::new(opened)), path, sync, follows }
    }

    fn follow(directory: &Path, options: &EmbeddedOptions) -> Result<Opened> {
        let path = directory.display().to_string();
        std::fs::read_dir(directory).map_err(|error| io_error(&path, &error))?;
        if !directory.join("CURRENT").exists() {
            return Err(not_a_log(&path));
        }
        let scratch = ScratchDirectory::create().map_err(|error| io_error(&path, &error))?;
        let mut database_options = database_options(options);
        // A follower must hold every file open, so that it can read on when the writer deletes one.
        database_options.set_max_open_files(-1);
        let open = || {
            let families = families(options, None);
            let database = DB::open_cf_descriptors_as_secondary(&database_options, directory, &scratch.0, families)?;
            // Opening, too, misses what moves from a log to a table meanwhile.
            database.try_catch_up_with_primary()?;
            Ok::<_, rocksdb::Error>(database)
        };
        // The writer may delete a file between our reading of its name and our opening of it: look again.
        let mut opened = open();
        for _ in 0..ATTEMPTS {
            if opened.is_ok() {
                break;
            }
            opened = open();
        }
        let database = opened.map_err(|error| match error.kind() {
            ErrorKind::InvalidArgument => not_a_log(&path),
            _ => storage_error(&path, &error),
        })?;
        Ok(Opened { database, _scratch: Some(scratch) })
    }

    fn check_format(&self) -> Result<()> {
        let expected = FORMAT_VERSION.to_string();
        let mut version = self.retrying(|| self.get(Family::Meta, FORMAT_KEY))?;
        for _ in 0..ATTEMPTS {
            if version.is_some() || self.follows.is_none() {
                break;
            }
            self.catch_up()?;
            version = self.retrying(|| self.get(Family::Meta, FORMAT_KEY))?;
        }
        match version {
            Some(version) if version == expected.as_bytes() => Ok(()),
            Some(version) => Err(self.corrupt(format!(
                "it was written in format {}, and this version of signalstream reads format {expected}; use the version \
                 that wrote it, or another directory",
                String::from_utf8_lossy(&version)
            ))),
            None if self.follows() => Err(not_a_log(&self.path)),
            None => self.write(Durability::Configured, SMALL_BATCH, |batch| {
                batch.put(Family::Meta, FORMAT_KEY, expected.as_bytes());
            }),
        }
    }

    /// Whether another process writes, and [`Storage::catch_up`] shows what.
    pub(super) fn follows(&self) -> bool {
        self.follows.is_some()
    }

    /// The directory, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Shows a follower what was written since. RocksDB reads the list of table files first and then its write-ahead
    /// logs; of what moves from a log to a table in between, nothing is seen until the next call.
    pub(super) fn catch_up(&self) -> Result<()> {
        self.retrying(|| {
            self.opened().database.try_catch_up_with_primary().map_err(|error| storage_error(&self.path, &error))
        })
    }

    /// Reads; a follower reads again when a file that it was about to open was just deleted by the writer.
    pub(super) fn retrying<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        let mut done = read();
        let Some((directory, options)) = &self.follows else { return done };
        for _ in 0..ATTEMPTS {
            if !matches!(done, Err(LogError::Storage { .. })) {
                break;
            }
            // Catching up does not always help: RocksDB may hold on to the file that is gone.
            let opened = Arc::new(Storage::follow(directory, options)?);
            *self.opened.write().unwrap_or_else(PoisonError::into_inner) = opened;
            done = read();
        }
        done
    }

    /// What is stored under a key.
    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let opened = self.opened();
        opened
            .database
            .get_cf(opened.family(family, &self.path)?, key)
            .map_err(|error| storage_error(&self.path, &error))
    }

    /// Writes what `fill` puts in a batch: all of it, or nothing. Survives the end of the process from the moment
    /// this returns, and the loss of power as `durability` says. `bytes`: about the batch's size, so
    /// that it is not copied time and again while it grows.
    pub(super) fn write(&self, durability: Durability, bytes: usize, fill: impl FnOnce(&mut Batch<'_>)) -> Result<()> {
        let opened = self.opened();
        let mut families = Vec::with_capacity(Family::ALL.len());
        for family in Family::ALL {
            families.push(opened.family(family, &self.path)?);
        }
        let mut batch = Batch { families, batch: WriteBatch::with_capacity_bytes(bytes) };
        fill(&mut batch);
        let mut options = WriteOptions::default();
        options.set_sync(self.sync && durability == Durability::Configured);
        opened.database.write_opt(batch.batch, &options).map_err(|error| storage_error(&self.path, &error))
    }

    /// Visits all keys of a family.
    pub(super) fn each(&self, family: Family, mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let opened = self.opened();
        let mut iterator = opened.database.raw_iterator_cf(opened.family(family, &self.path)?);
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            visit(key, value)?;
            iterator.next();
        }
        iterator.status().map_err(|error| storage_error(&self.path, &error))
    }

    /// Visits the records of a partition with `from <= offset < to`, until `visit` breaks.
    pub(super) fn records(
        &self,
        (topic, partition): (u32, u32),
        from: i64,
        to: i64,
        mut visit: impl FnMut(i64, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (from, to) = (record_key(topic, partition, from), record_key(topic, partition, to));
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from.to_vec());
        options.set_iterate_upper_bound(to.to_vec());
        let opened = self.opened();
        let records = opened.family(Family::Records, &self.path)?;
        let mut iterator = opened.database.raw_iterator_cf_opt(records, options);
        iterator.seek(from);
        while let Some((key, value)) = iterator.item() {
            let offset = record_offset(key).ok_or_else(|| self.corrupt("a record's key is too short".to_owned()))?;
            if visit(offset, value)?.is_break() {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| storage_error(&self.path, &error))
    }

    /// Removes what was deleted, and what was overwritten, from the database's files; `ranges` are of records.
    /// Returns when the bytes are gone.
    pub(super) fn erase(&self, ranges: &[([u8; 16], [u8; 16])]) -> Result<()> {
        let opened = self.opened();
        let failed = |error| storage_error(&self.path, &error);
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        // All families, because RocksDB's write-ahead log goes only when none needs it any more.
        for family in Family::ALL {
            opened.database.flush_cf_opt(opened.family(family, &self.path)?, &flush).map_err(failed)?;
        }
        let mut compact = CompactOptions::default();
        compact.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        compact.set_exclusive_manual_compaction(false);
        let records = opened.family(Family::Records, &self.path)?;
        for (from, to) in ranges {
            opened.database.compact_range_cf_opt(records, Some(from), Some(to), &compact);
        }
        opened.database.wait_for_compact(&WaitForCompactOptions::default()).map_err(failed)
    }

    /// The error for something stored that makes no sense.
    pub(super) fn corrupt(&self, detail: String) -> LogError {
        LogError::Corrupt { path: self.path.clone(), detail }
    }

    fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a write survives the loss of power.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Durability {
    /// If the log's options say so.
    Configured,
    /// Not for certain: it would be done again.
    Repeatable,
}

/// Changes that are written together.
pub(super) struct Batch<'a> {
    families: Vec<&'a ColumnFamily>,
    batch: WriteBatch,
}

impl Batch<'_> {
    pub(super) fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        if let Some(handle) = self.families.get(family as usize) {
            self.batch.put_cf(handle, key, value);
        }
    }

    pub(super) fn delete(&mut self, family: Family, key: &[u8]) {
        if let Some(handle) = self.families.get(family as usize) {
            self.batch.delete_cf(handle, key);
        }
    }

    /// Deletes the keys with `from <= key < to`.
    pub(super) fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        if let Some(handle) = self.families.get(family as usize) {
            self.batch.delete_range_cf(handle, from, to);
        }
    }
}

fn database_options(options: &EmbeddedOptions) -> Options {
    let mut database = Options::default();
    database.set_db_write_buffer_size(options.write_buffer_bytes);
    database.set_max_total_wal_size(options.write_buffer_bytes.saturating_mul(2) as u64);
    database.set_max_background_jobs(2);
    // RocksDB's defaults are 2 MiB per file that a compaction reads and 1 MiB per file that it writes, beside the budget.
    database.set_compaction_readahead_size(64 << 10);
    database.set_writable_file_max_buffer_size(128 << 10);
    database.set_keep_log_file_num(2);
    database.set_max_log_file_size(1 << 20);
    database.set_stats_dump_period_sec(0);
    database
}

fn families(options: &EmbeddedOptions, environment: Option<&Env>) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let describe = |family: Family| {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_format_version(5);
        let mut settings = Options::default();
        if family == Family::Records {
            blocks.set_block_size(32 << 10);
            settings.set_write_buffer_size((options.write_buffer_bytes / 2).max(1 << 16));
            // RocksDB's 64 MiB a file go with write buffers of 64 MiB; beside small ones, compactions rewrite too much.
            let file_bytes = options.write_buffer_bytes.saturating_mul(4).clamp(2 << 20, 64 << 20) as u64;
            settings.set_target_file_size_base(file_bytes);
            settings.set_max_bytes_for_level_base(4 * file_bytes);
        } else {
            settings.set_write_buffer_size(1 << 20);
        }
        settings.set_block_based_table_factory(&blocks);
        settings.set_compression_type(DBCompressionType::Lz4);
        if let Some(environment) = environment {
            settings.set_env(environment);
        }
        ColumnFamilyDescriptor::new(family.name(), settings)
    };
    Family::ALL.into_iter().map(describe).collect()
}

/// A directory of its own for a follower, which RocksDB needs to write its diagnostics to.
struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    fn create() -> std::io::Result<ScratchDirectory> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("signalstream-reader-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(ScratchDirectory(path))
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "a reader's scratch directory stays behind");
        }
    }
}

/// Refuses a directory that holds anything but the first files of a database whose creation was cut short.
fn refuse_foreign_files(directory: &Path, path: &str) -> Result<()> {
    for entry in std::fs::read_dir(directory).map_err(|error| io_error(path, &error))? {
        let entry = entry.map_err(|error| io_error(path, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = ["LOCK", "LOG", "IDENTITY", "MANIFEST-", "OPTIONS-"].iter().any(|start| name.starts_with(start))
            || [".log", ".dbtmp", ".sst"].iter().any(|end| name.ends_with(end));
        if !ours {
            return Err(not_a_log(path));
        }
    }
    Ok(())
}

fn not_a_log(path: &str) -> LogError {
    LogError::Corrupt {
        path: path.to_owned(),
        detail: "the directory does not hold a signalstream log; name one that does, or an empty or new directory to \
                 start a log in"
            .to_owned(),
    }
}

fn io_error(path: &str, error: &std::io::Error) -> LogError {
    LogError::Storage { path: path.to_owned(), detail: advised(&error.to_string()) }
}

/// What an error of RocksDB means to a person. RocksDB gives a class and a text, no code.
pub(super) fn storage_error(path: &str, error: &rocksdb::Error) -> LogError {
    let text = error.as_ref();
    let path = path.to_owned();
    if text.contains("LOCK: ") && !text.contains("Permission denied") || text.contains("lock hold by current process") {
        return LogError::InUse { path };
    }
    match error.kind() {
        ErrorKind::Corruption => {
            let advice = "check the disk, and put a copy of the directory in its place";
            LogError::Corrupt { path, detail: format!("{text} ({advice})") }
        }
        _ => LogError::Storage { path, detail: advised(text) },
    }
}

fn advised(text: &str) -> String {
    let advice = if text.contains("No space left") {
        "the disk is full: free some space and start again; what was committed is safe"
    } else if text.contains("File too large") {
        "a limit on the size of files is in the way: raise it (ulimit -f) and start again; what was committed is safe"
    } else if text.contains("Permission denied") || text.contains("Read-only file system") {
        "give this process the right to read and write the directory, or name another"
    } else if text.contains("Not a directory") || text.contains("File exists") {
        "a file is in the way: name a directory"
    } else if text.contains("No such file") {
        "check the path"
    } else if text.contains("Too many open files") {
        "raise the limit of open files (ulimit -n)"
    } else {
        "check the disk, then start again; what was committed is safe"
    };
    format!("{text} ({advice})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let text = advised("IO error: No space left on device: While appending to file: /x/000012.log");
        assert!(text.contains("free some space"), "{text}");
    }
}
