//! The only place of the state that knows RocksDB: options, column families, batches, cursors, errors.
//!
//! One database per task. The default column family holds the metadata; each store has one of its own. The
//! write-ahead log is off, flushes are atomic over the column families: after a crash all stores and the
//! checkpoint are at one and the same commit (I2).

use std::ops::Bound;
use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBPinnableSlice,
    DBRawIterator, Env, FlushOptions, LogLevel, LruCacheOptions, Options, ReadOptions, WriteBatch, WriteBufferManager,
    WriteOptions,
};

/// The handle of a store.
pub(super) use rocksdb::ColumnFamily;

use super::{Result, StateError, StateOptions};

/// The column family of the metadata: the one that every RocksDB has.
const METADATA: &str = "default";
/// What the column family of a store starts with, so that no store can take the metadata's name.
const STORE_PREFIX: &str = "store.";

/// What all databases of the process share, so that their number does not matter for memory (I9).
pub(super) struct Resources {
    cache: Cache,
    write_buffers: WriteBufferManager,
    env: Env,
    in_memory: bool,
}

impl Resources {
    /// The caches and buffers of `options`, over the disk or in memory.
    pub(super) fn new(options: &StateOptions, in_memory: bool, path: &Path) -> Result<Resources> {
        let env = if in_memory { Env::mem_env() } else { Env::new() };
        let mut cache_options = LruCacheOptions::default();
        cache_options.set_capacity(options.block_cache_bytes);
        Ok(Resources {
            cache: Cache::new_lru_cache_opts(&cache_options),
            // Stalling is off: a stalled writer would wait for buffers that only another, idle task can
            // flush. Tasks flush their share themselves instead, see `TaskStores::flush_if_due`.
            write_buffers: WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes, false),
            env: env.map_err(|error| from_rocksdb(path, &error))?,
            in_memory,
        })
    }

    /// Whether nothing is written to disk.
    pub(super) fn in_memory(&self) -> bool {
        self.in_memory
    }

    /// What is in use: of the block cache, and of the write buffers, in bytes.
    pub(super) fn usage(&self) -> (usize, usize) {
        (self.cache.get_usage(), self.write_buffers.get_usage())
    }

    fn database_options(&self, options: &StateOptions) -> Options {
        let mut database = self.family_options(options);
        database.set_env(&self.env);
        database.create_if_missing(true);
        database.set_atomic_flush(true);
        // RocksDB's defaults are 2 MiB per file that a compaction reads and 1 MiB per file that it writes, beside
        // the budget.
        database.set_compaction_readahead_size(64 << 10);
        database.set_writable_file_max_buffer_size(128 << 10);
        database.set_write_buffer_manager(&self.write_buffers);
        database.set_max_open_files(options.max_open_files);
        database.set_keep_log_file_num(2);
        database.set_max_log_file_size(1 << 20);
        database.set_log_level(LogLevel::Warn);
        database.set_stats_dump_period_sec(0);
        database
    }

    fn family_options(&self, options: &StateOptions) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_bloom_filter(10.0, false);
        // In parts: whole, those of a large file take more than a share of the cache holds, and were read, in full, for
        // nearly every key.
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_metadata_block_size(4 << 10);
        table.set_pin_top_level_index_and_filter(true);
        table.set_format_version(5);
        let mut family = Options::default();
        family.set_block_based_table_factory(&table);
        family.set_write_buffer_size(options.write_buffer_bytes.max(1 << 20));
        // An arena is allocated as soon as a store is written to; small ones keep many stores cheap.
        family.set_arena_block_size(16 << 10);
        // A compaction holds the index and the filter of the file that it writes, so files go with the budget.
        let file_bytes = (4 * options.write_buffer_bytes as u64).clamp(2 << 20, 64 << 20);
        family.set_target_file_size_base(file_bytes);
        family.set_max_bytes_for_level_base(4 * file_bytes);
        family.set_compression_type(DBCompressionType::Lz4);
        family.set_bottommost_compression_type(DBCompressionType::Zstd);
        // Expired windows leave a run of tombstones at the front of a store, which the next expiry would
        // walk over; files with many of them are compacted early.
        family.add_compact_on_deletion_collector_factory(4_096, 2_048, 0.5);
        family
    }
}

/// One task's database.
pub(super) struct Database {
    db: DB,
    path: PathBuf,
}

impl Database {
    /// The stores that the database in `path` holds; `None` when there is no database.
    pub(super) fn stores(resources: &Resources, options: &StateOptions, path: &Path) -> Result<Option<Vec<String>>> {
        if !resources.in_memory && !path.join("CURRENT").exists() {
            return Ok(None);
        }
        match DB::list_cf(&resources.database_options(options), path) {
            Ok(families) => Ok(Some(families.iter().filter_map(|name| store_of(name)).collect())),
            // Nothing was written under that path of the memory environment.
            Err(_) if resources.in_memory => Ok(None),
            Err(error) => Err(from_rocksdb(path, &error)),
        }
    }

    /// Opens the database with the stores that it holds, and makes it when it is not there.
    pub(super) fn open(
        resources: &Resources,
        options: &StateOptions,
        path: &Path,
        stores: &[String],
    ) -> Result<Database> {
        let db =
            DB::open_cf_descriptors(&resources.database_options(options), path, families(resources, options, stores));
        db.map(|db| Database { db, path: path.to_owned() }).map_err(|error| from_rocksdb(path, &error))
    }

    /// Opens the database to look at it, also while another process works on it: what is read is what had
    /// been flushed by then.
    pub(super) fn open_read_only(
        resources: &Resources,
        options: &StateOptions,
        path: &Path,
        stores: &[String],
    ) -> Result<Database> {
        let mut database = resources.database_options(options);
        database.create_if_missing(false);
        let db = DB::open_cf_descriptors_read_only(&database, path, families(resources, options, stores), false);
        db.map(|db| Database { db, path: path.to_owned() }).map_err(|error| from_rocksdb(path, &error))
    }

    /// Removes the files of the database in `path`.
    pub(super) fn destroy(resources: &Resources, options: &StateOptions, path: &Path) -> Result<()> {
        DB::destroy(&resources.database_options(options), path).map_err(|error| from_rocksdb(path, &error))
    }

    /// Adds a store.
    pub(super) fn create_store(&mut self, resources: &Resources, options: &StateOptions, store: &str) -> Result<()> {
        let created = self.db.create_cf(family_name(store), &resources.family_options(options));
        created.map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// Removes a store with all that it holds.
    pub(super) fn drop_store(&mut self, store: &str) -> Result<()> {
        self.db.drop_cf(&family_name(store)).map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The handle of a store, for the calls below.
    pub(super) fn store(&self, name: &str) -> Result<&ColumnFamily> {
        self.family(&family_name(name))
    }

    /// The handle of the metadata.
    pub(super) fn metadata(&self) -> Result<&ColumnFamily> {
        self.family(METADATA)
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily> {
        self.db.cf_handle(name).ok_or_else(|| StateError::Corrupt {
            path: self.path.clone(),
            detail: format!("it has no column family `{name}`"),
        })
    }

    /// The value of a key.
    pub(super) fn get(&self, family: &ColumnFamily, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        self.db.get_pinned_cf(family, key).map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// Applies a batch: all of it, or nothing.
    pub(super) fn write(&self, batch: Batch) -> Result<()> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch.0, &options).map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// Writes what is in memory to files, all column families at one point; with `wait`, returns when
    /// that is done, else leaves it to the background.
    pub(super) fn flush(&self, stores: &[&str], wait: bool) -> Result<()> {
        let mut families = vec![self.metadata()?];
        for store in stores {
            families.push(self.store(store)?);
        }
        let mut options = FlushOptions::default();
        options.set_wait(wait);
        self.db.flush_cfs_opt(&families, &options).map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// The entries of a store between two keys, in the order of their bytes.
    pub(super) fn cursor(&self, family: &ColumnFamily, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Cursor<'_> {
        let mut options = ReadOptions::default();
        match to {
            Bound::Included(key) => options.set_iterate_upper_bound(successor(key)),
            Bound::Excluded(key) => options.set_iterate_upper_bound(key),
            Bound::Unbounded => {}
        }
        let mut iterator = self.db.raw_iterator_cf_opt(family, options);
        match from {
            Bound::Included(key) => iterator.seek(key),
            Bound::Excluded(key) => iterator.seek(successor(key)),
            Bound::Unbounded => iterator.seek_to_first(),
        }
        Cursor { iterator, path: &self.path }
    }

    /// As [`Database::cursor`], but standing on the last entry.
    pub(super) fn cursor_from_last(&self, family: &ColumnFamily, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Cursor<'_> {
        let mut options = ReadOptions::default();
        match from {
            Bound::Included(key) => options.set_iterate_lower_bound(key),
            Bound::Excluded(key) => options.set_iterate_lower_bound(successor(key)),
            Bound::Unbounded => {}
        }
        match to {
            Bound::Included(key) => options.set_iterate_upper_bound(successor(key)),
            Bound::Excluded(key) => options.set_iterate_upper_bound(key),
            Bound::Unbounded => {}
        }
        let mut iterator = self.db.raw_iterator_cf_opt(family, options);
        iterator.seek_to_last();
        Cursor { iterator, path: &self.path }
    }

    /// The greatest key of a store; `None` when it is empty.
    pub(super) fn last_key(&self, family: &ColumnFamily) -> Result<Option<Vec<u8>>> {
        let mut iterator = self.db.raw_iterator_cf(family);
        iterator.seek_to_last();
        let key = iterator.key().map(<[u8]>::to_vec);
        iterator.status().map(|()| key).map_err(|error| from_rocksdb(&self.path, &error))
    }

    /// The size of a store's files, in bytes.
    pub(super) fn file_bytes(&self, family: &ColumnFamily) -> Result<u64> {
        let size = self.db.property_int_value_cf(family, "rocksdb.total-sst-files-size");
        Ok(size.map_err(|error| from_rocksdb(&self.path, &error))?.unwrap_or(0))
    }
}

/// The changes of one commit.
pub(super) struct Batch(WriteBatch);

impl Batch {
    /// An empty batch with room for `bytes`.
    pub(super) fn with_capacity(bytes: usize) -> Batch {
        Batch(WriteBatch::with_capacity_bytes(bytes))
    }

    /// Sets a key.
    pub(super) fn put(&mut self, family: &ColumnFamily, key: &[u8], value: &[u8]) {
        self.0.put_cf(family, key, value);
    }

    /// Removes a key.
    pub(super) fn delete(&mut self, family: &ColumnFamily, key: &[u8]) {
        self.0.delete_cf(family, key);
    }

    /// Removes every key from `from` up to, but without, `to`.
    pub(super) fn delete_range(&mut self, family: &ColumnFamily, from: &[u8], to: &[u8]) {
        self.0.delete_range_cf(family, from, to);
    }

    /// Removes every key up to and with `last`.
    pub(super) fn delete_upto(&mut self, family: &ColumnFamily, last: &[u8]) {
        self.delete_range(family, &[], last);
        self.delete(family, last);
    }

    /// The size of the changes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.size_in_bytes()
    }
}

/// Stands on an entry of a store, or past the last.
pub(super) struct Cursor<'a> {
    iterator: DBRawIterator<'a>,
    path: &'a Path,
}

impl Cursor<'_> {
    /// The entry it stands on; `None` past the last.
    pub(super) fn entry(&self) -> Result<Option<(&[u8], &[u8])>> {
        match self.iterator.item() {
            Some(entry) => Ok(Some(entry)),
            None => self.iterator.status().map(|()| None).map_err(|error| from_rocksdb(self.path, &error)),
        }
    }

    /// Goes to the next entry.
    pub(super) fn advance(&mut self) {
        if self.iterator.valid() {
            self.iterator.next();
        }
    }

    /// Goes to the entry before.
    pub(super) fn retreat(&mut self) {
        if self.iterator.valid() {
            self.iterator.prev();
        }
    }
}

fn families(resources: &Resources, options: &StateOptions, stores: &[String]) -> Vec<ColumnFamilyDescriptor> {
    let names = std::iter::once(METADATA.to_owned()).chain(stores.iter().map(|store| family_name(store)));
    names.map(|name| ColumnFamilyDescriptor::new(name, resources.family_options(options))).collect()
}

fn family_name(store: &str) -> String {
    format!("{STORE_PREFIX}{store}")
}

fn store_of(family: &str) -> Option<String> {
    family.strip_prefix(STORE_PREFIX).map(str::to_owned)
}

/// The least key after `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// The error for what RocksDB said about `path`. Its errors carry the system's text only, so that is looked at.
fn from_rocksdb(path: &Path, error: &rocksdb::Error) -> StateError {
    classify(path, error.kind() == rocksdb::ErrorKind::Corruption, error.as_ref())
}

fn classify(path: &Path, corruption: bool, message: &str) -> StateError {
    let (path, detail) = (path.to_owned(), message.to_owned());
    let has = |text: &str| message.contains(text);
    if has("Permission denied") || has("Read-only file system") {
        StateError::Permission { path, detail }
    } else if has("No space left on device") || has("Disk quota exceeded") || has("File too large") {
        StateError::DiskFull { path, detail }
    } else if has("LOCK") && (has("lock hold by current process") || has("While lock file")) {
        StateError::InUse { path }
    } else if corruption {
        StateError::Corrupt { path, detail }
    } else {
        StateError::Storage { path, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rocksdb_says_becomes_an_error_with_a_remedy() {
        let said = |message: &str| classify(Path::new("/state/app/0_1"), false, message);
        let full = said("IO error: No space left on device: While appending to file: /state/app/0_1/000012.sst");
        assert!(matches!(full, StateError::DiskFull { .. }));
        assert!(full.to_string().contains("free space"), "{full}");
        let denied = said("IO error: While open a file for appending: /state/app/0_1/LOG: Permission denied");
        assert!(matches!(denied, StateError::Permission { .. }));
        assert!(denied.to_string().contains("/state/app/0_1"), "{denied}");
        let locked = said("IO error: While lock file: /state/app/0_1/LOCK: Resource temporarily unavailable");
        assert!(matches!(locked, StateError::InUse { .. }));
        assert!(matches!(said("IO error: something else"), StateError::Storage { .. }));
        assert!(matches!(classify(Path::new("d"), true, "Corruption: bad"), StateError::Corrupt { .. }));
    }
}
