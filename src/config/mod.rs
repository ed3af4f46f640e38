//! Settings of a deployment. The documentation of a field is the documentation of the setting.
//!
//! Every queue, cache and buffer of the engine takes its limit from here (invariant I9). The parts that a
//! setting concerns make their own options of it.

use std::time::Duration;

/// Settings of one process, with the defaults that suit a small machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Stream threads of each application. Tasks are shared out among them; more threads than tasks idle.
    pub threads: usize,
    /// Time between commits. A longer one makes fewer, larger transactions and later results.
    pub commit_interval: Duration,
    /// Whether a table or aggregate hands on one change per key and commit, or every update.
    pub caching: bool,
    /// The most records that one fetch of a thread brings.
    pub fetch_records: usize,
    /// The most records that wait per input partition; beyond, the partition is paused.
    pub queued_records: usize,
    /// The most bytes of records that wait per input partition; beyond, the partition is paused.
    pub queued_bytes: usize,
    /// Bytes of output records that a task collects before it commits ahead of time.
    pub uncommitted_output_bytes: usize,
    /// The largest record that is written, in bytes of key and value.
    pub max_record_bytes: usize,
    /// How far ahead of the clock a record's timestamp may lie; further ones are treated as undecodable, since
    /// they would make every other record late. `None`: any distance.
    pub max_timestamp_ahead: Option<Duration>,
    /// Time between two cleanings of an embedded log (retention, compaction, repartition topics).
    pub clean_interval: Duration,
    /// State: RocksDB's cache of blocks, indexes and filters, in bytes, for the whole process.
    pub state_block_cache_bytes: usize,
    /// State: committed changes that RocksDB has not written to files yet, in bytes, for the whole process.
    pub state_write_buffer_bytes: usize,
    /// State: decoded values kept for reading, in bytes, for the whole process.
    pub state_read_cache_bytes: usize,
    /// State: uncommitted changes, in bytes, for the whole process; a task that reaches its share commits.
    pub state_uncommitted_bytes: usize,
    /// Embedded log: stored blocks kept for reading, in bytes.
    pub log_block_cache_bytes: usize,
    /// Embedded log: fresh records kept in memory before they go to table files, in bytes.
    pub log_write_buffer_bytes: usize,
    /// Embedded log: whether a commit waits for the disk, so that it survives a loss of power and not only the
    /// end of the process.
    pub log_fsync: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            threads: 1,
            commit_interval: Duration::from_millis(100),
            caching: true,
            fetch_records: 2_000,
            queued_records: 4_000,
            queued_bytes: 16 << 20,
            uncommitted_output_bytes: 8 << 20,
            max_record_bytes: 64 << 20,
            max_timestamp_ahead: Some(Duration::from_secs(86_400)),
            clean_interval: Duration::from_secs(30),
            state_block_cache_bytes: 16 << 20,
            state_write_buffer_bytes: 16 << 20,
            state_read_cache_bytes: 16 << 20,
            state_uncommitted_bytes: 16 << 20,
            log_block_cache_bytes: 16 << 20,
            log_write_buffer_bytes: 16 << 20,
            log_fsync: false,
        }
    }
}

impl Config {
    /// Checks that the engine can work with these settings.
    ///
    /// # Errors
    /// Names the setting that cannot be, and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        let counts = [
            ("threads", self.threads),
            ("fetch_records", self.fetch_records),
            ("queued_records", self.queued_records),
            ("queued_bytes", self.queued_bytes),
            ("uncommitted_output_bytes", self.uncommitted_output_bytes),
            ("max_record_bytes", self.max_record_bytes),
            ("state_block_cache_bytes", self.state_block_cache_bytes),
            ("state_write_buffer_bytes", self.state_write_buffer_bytes),
            ("state_read_cache_bytes", self.state_read_cache_bytes),
            ("state_uncommitted_bytes", self.state_uncommitted_bytes),
            ("log_block_cache_bytes", self.log_block_cache_bytes),
            ("log_write_buffer_bytes", self.log_write_buffer_bytes),
        ];
        match counts.into_iter().find(|(_, value)| *value == 0) {
            Some((setting, _)) => Err(format!("`{setting}` is 0; it must be at least 1")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_would_stop_the_engine_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let broken = Config { queued_records: 0, ..Config::default() };
        assert!(broken.validate().unwrap_err().contains("`queued_records`"));
    }
}
