//! What can go wrong with a task's state.

use std::path::{Path, PathBuf};

use crate::error::{Classified, ErrorClass};

/// What can go wrong with a task's state. Every variant says where, what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A name cannot be that of a directory or a store.
    #[error("`{name}` cannot be the name of {what}: use letters, digits, `.`, `_` and `-`, at most 200 of them")]
    IllegalName {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Another process, or another task of this one, has the directory open.
    #[error(
        "the state directory {path} is in use by another process; only one may work on it at a time: stop the other one first"
    )]
    InUse {
        /// The task's directory.
        path: PathBuf,
    },
    /// There is no state of that task.
    #[error("there is no state in {path}: check the directory, the application's name and the task's name")]
    NotFound {
        /// The task's directory.
        path: PathBuf,
    },
    /// The directory was written by another format version.
    #[error(
        "the state directory {path} was written in format {found}, this program reads format {expected}; \
             use the program that wrote it, or move the directory away to have it restored from the changelog topics"
    )]
    FormatVersion {
        /// The task's directory.
        path: PathBuf,
        /// The version found.
        found: u8,
        /// The version this program writes.
        expected: u8,
    },
    /// The directory belongs to another application or task.
    #[error(
        "the state directory {path} was written by task {found_task} of application `{found_application}`, not by \
             task {task} of `{application}`; give each application its own state directory"
    )]
    OtherOwner {
        /// The task's directory.
        path: PathBuf,
        /// The application that wrote it.
        found_application: String,
        /// The task that wrote it.
        found_task: String,
        /// The application that opens it.
        application: String,
        /// The task that opens it.
        task: String,
    },
    /// A store was written with other values or keys than the topology now declares.
    #[error(
        "store `{store}` in {path} was written as {found}, the topology now declares {expected}; \
             run the topology that wrote it, give the store another name, or start under another application name"
    )]
    OtherShape {
        /// The task's directory.
        path: PathBuf,
        /// The store.
        store: String,
        /// The kind and shape found.
        found: String,
        /// The kind and shape declared.
        expected: String,
    },
    /// The task has no such store.
    #[error("there is no store `{store}` in {path}; it has: {}", known.join(", "))]
    NoSuchStore {
        /// The task's directory.
        path: PathBuf,
        /// The name asked for.
        store: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// What is stored cannot be read.
    #[error(
        "the state in {path} cannot be read: {detail}; move the directory away to have it restored from the changelog topics"
    )]
    Corrupt {
        /// The task's directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A stored value does not decode.
    #[error(
        "store `{store}` in {path}: the value of key {key} does not decode: {detail}; \
             move the directory away to have it restored from the changelog topics"
    )]
    Undecodable {
        /// The task's directory.
        path: PathBuf,
        /// The store.
        store: String,
        /// The key, printable.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A row is none that the operator which owns the store has written.
    #[error("the state of {owner} holds the row {key}, which is damaged: {detail}; it is restored from its changelog")]
    Damaged {
        /// Whose state it is.
        owner: &'static str,
        /// The row's key, printable.
        key: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A global table cannot be read.
    #[error(
        "the global tables in {path} cannot be read: {detail}; stop the application and remove that directory, then start \
             again: they are read anew from their topics"
    )]
    Globals {
        /// The tables' directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The global tables are being read anew, and do not hold yet what their topics do.
    #[error("the global tables in {path} are being read anew; what looks them up waits until they are there again")]
    GlobalsBehind {
        /// The tables' directory.
        path: PathBuf,
    },
    /// The disk is full.
    #[error(
        "no space is left for the state in {path}: {detail}; free space, or raise the limit in the way, and start again: nothing committed is lost, \
             the missing tail is restored from the changelog topics"
    )]
    DiskFull {
        /// The task's directory.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The process may not use the directory.
    #[error(
        "the state directory {path} may not be written: {detail}; give the user of this process read and write access, \
             or choose another directory"
    )]
    Permission {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The disk or RocksDB said no for another reason.
    #[error("the state in {path} failed: {detail}; check the disk, then start again: nothing committed is lost")]
    Storage {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A changelog record cannot be applied to its store.
    #[error("the changelog of store `{store}` cannot be restored: {detail}")]
    Changelog {
        /// The store.
        store: String,
        /// What is wrong with the record, and which one.
        detail: String,
    },
    /// The call does not fit the state of the object it was made on; a defect of the engine.
    #[error("{0}")]
    IllegalState(String),
}

impl StateError {
    /// The error for a row that reads as none of those that `owner` writes.
    pub fn damaged_row(owner: &'static str, key: &[u8], detail: &'static str) -> StateError {
        StateError::Damaged { owner, key: printable(key), detail }
    }

    /// The same without keys and values: where these may be personal data.
    #[must_use]
    pub fn without_values(self) -> StateError {
        let hidden = || "(not shown, as it may be personal data)".to_owned();
        match self {
            StateError::Undecodable { path, store, .. } => {
                StateError::Undecodable { path, store, key: hidden(), detail: "it is none of the store's".to_owned() }
            }
            StateError::Damaged { owner, detail, .. } => StateError::Damaged { owner, key: hidden(), detail },
            // It names the row.
            StateError::Globals { path, .. } => StateError::Globals { path, detail: hidden() },
            other => other,
        }
    }
}

impl Classified for StateError {
    fn class(&self) -> ErrorClass {
        match self {
            StateError::Corrupt { .. } | StateError::Undecodable { .. } | StateError::Damaged { .. } => {
                ErrorClass::TaskCorrupted
            }
            // Whoever has it open, such as the task's former thread, will close it.
            StateError::InUse { .. } | StateError::GlobalsBehind { .. } => ErrorClass::Retry,
            _ => ErrorClass::Fatal,
        }
    }
}

/// What the calls of this module return.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// The error for what the file system said about `path`.
pub(super) fn from_io(path: &Path, error: &std::io::Error) -> StateError {
    use std::io::ErrorKind;
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StateError::Permission { path, detail },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StateError::DiskFull { path, detail }
        }
        ErrorKind::NotFound => StateError::NotFound { path },
        _ => StateError::Storage { path, detail },
    }
}

/// A key as messages show it: its text where it is printable, else its bytes in hexadecimal; at most 64 bytes.
pub(super) fn printable(key: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = key.get(..SHOWN).unwrap_or(key);
    let more = if key.len() > SHOWN { "…" } else { "" };
    match std::str::from_utf8(shown) {
        Ok(text) if !text.chars().any(char::is_control) => format!("`{text}{more}`"),
        _ => {
            let digits: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{digits}{more}")
        }
    }
}
