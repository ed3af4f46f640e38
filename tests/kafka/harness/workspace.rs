//! A temporary directory for one test: removed when the test passes, kept and named when it fails.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::reaper;

pub(crate) struct Workspace {
    directory: tempfile::TempDir,
}

impl Workspace {
    pub(crate) fn new(name: &str) -> Workspace {
        let directory = tempfile::Builder::new().prefix(&format!("signalstream-{name}-")).tempdir().unwrap();
        reaper::watch_directory(directory.path());
        Workspace { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.directory.disable_cleanup(true);
            let _ignored = writeln!(std::io::stderr(), "kept for a look: {}", self.path().display());
        }
        reaper::keep_directory(self.directory.path());
    }
}

/// The last `lines` lines of a file; what cannot be read says why.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}
