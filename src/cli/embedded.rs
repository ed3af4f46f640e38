//! The directory of an embedded log: `DIR/log` holds topics and records, `DIR/state` the stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;

use crate::config::Config;
use crate::log::embedded::{EmbeddedLog, EmbeddedOptions};
use crate::state::{StateDirectory, StateOptions};

/// The limits on what the log and the stores keep in memory (I9).
#[derive(Clone)]
pub(super) struct Memory {
    log: EmbeddedOptions,
    state: StateOptions,
}

impl From<&Config> for Memory {
    fn from(config: &Config) -> Memory {
        Memory { log: EmbeddedOptions::from(config), state: StateOptions::from(config) }
    }
}

impl Memory {
    /// For one of several applications that share what one would have.
    pub(super) fn shared_by(config: &Config, applications: usize) -> Memory {
        let mut memory = Memory::from(config);
        let state = &mut memory.state;
        for bytes in [
            &mut state.block_cache_bytes,
            &mut state.write_buffer_bytes,
            &mut state.read_cache_bytes,
            &mut state.overlay_bytes,
        ] {
            *bytes /= applications.max(1);
        }
        memory
    }

    /// Opens the state of an application under a path.
    pub(super) fn open_state(&self, path: &Path, application: &str) -> anyhow::Result<StateDirectory> {
        Ok(StateDirectory::open(path, application, self.state.clone())?)
    }

    /// So little that a short run already needs all of it, and a long one not much more.
    pub(super) fn small() -> Memory {
        let log =
            EmbeddedOptions { block_cache_bytes: 512 << 10, write_buffer_bytes: 1 << 20, ..EmbeddedOptions::default() };
        let state = StateOptions {
            block_cache_bytes: 1 << 20,
            write_buffer_bytes: 2 << 20,
            read_cache_bytes: 1 << 20,
            overlay_bytes: 1 << 20,
            ..StateOptions::default()
        };
        Memory { log, state }
    }
}

/// A directory with a log and state.
#[derive(Clone)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at a path, which need not exist yet.
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned() }
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the stores are.
    pub(super) fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Whether somebody has made a log here.
    pub(super) fn has_log(&self) -> bool {
        // A directory that may not be looked into is tried, so that opening it says why.
        self.log_path().join("CURRENT").try_exists().unwrap_or(true)
    }

    /// Opens the log for reading and writing; makes one where there is none. One process at a time.
    pub(super) fn open_log(&self, memory: &Memory) -> anyhow::Result<Arc<EmbeddedLog>> {
        Ok(EmbeddedLog::open(&self.log_path(), memory.log.clone())?)
    }

    /// Opens the log for reading, also beside a process that writes to it.
    pub(super) fn open_reader(&self) -> anyhow::Result<Arc<EmbeddedLog>> {
        let path = self.path.display();
        if self.path.is_file() {
            return Err(anyhow!("{path} is a file; name the directory of an embedded log with --embedded DIR"));
        }
        if !self.has_log() {
            return Err(anyhow!(
                "there is no log in {path}; `signalstream run FILE --embedded {path}` or `signalstream topics apply` makes one"
            ));
        }
        Ok(EmbeddedLog::open_reader(&self.log_path())?)
    }

    /// Opens the state of an application.
    pub(super) fn open_state(&self, application: &str, memory: &Memory) -> anyhow::Result<StateDirectory> {
        memory.open_state(&self.state_path(), application)
    }
}
