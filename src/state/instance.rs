//! Who an instance of an application is, across its restarts: a random name in the application's state directory.
//!
//! The names of transactions are made of it, so that an instance that comes back after a crash meets its own
//! transaction and aborts it at once, instead of waiting for its timeout. The file that holds it is locked
//! while the instance runs: two processes on one directory would fence each other and open the same stores. The lock
//! goes with its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::from_io;
use super::{Result, StateError};

/// The file's name in the application's directory.
const FILE: &str = "instance";
/// How many hexadecimal digits a name has.
const DIGITS: usize = 16;

/// An instance's name, and the lock on it.
pub(super) struct Instance {
    id: String,
    _locked: Option<File>,
}

impl Instance {
    /// An instance that is gone with its process.
    pub(super) fn passing() -> Instance {
        Instance { id: random(), _locked: None }
    }

    /// Locks an application's directory, and reads the instance's name or gives it one.
    pub(super) fn claim(directory: &Path) -> Result<Instance> {
        let path = directory.join(FILE);
        let failed = |error: std::io::Error| from_io(&path, &error);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path: directory.to_owned() }),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "the file system knows no locks: see to it that no other process uses the directory");
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut stored = Vec::new();
        file.read_to_end(&mut stored).map_err(failed)?;
        let known = String::from_utf8(stored).ok().map(|text| text.trim().to_owned());
        let id = match known.filter(|id| id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(id) => id,
            // None yet, or one that a loss of power has cut short.
            None => write(&mut file, random()).map_err(failed)?,
        };
        Ok(Instance { id, _locked: Some(file) })
    }

    /// The instance's name: letters and digits.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

fn write(file: &mut File, id: String) -> std::io::Result<String> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    Ok(id)
}

/// 64 random bits: the standard library's hash is keyed by the system's random numbers.
fn random() -> String {
    format!("{:0DIGITS$x}", RandomState::new().hash_one("instance"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_name_and_is_alone() {
        let directory = tempfile::tempdir().unwrap();
        let first = Instance::claim(directory.path()).unwrap();
        assert!(matches!(Instance::claim(directory.path()), Err(StateError::InUse { .. })));
        let id = first.id().to_owned();
        drop(first);
        assert_eq!(Instance::claim(directory.path()).unwrap().id(), id);
        std::fs::write(directory.path().join(FILE), &id[..7]).unwrap();
        let renamed = Instance::claim(directory.path()).unwrap();
        assert_ne!(renamed.id(), id, "a name that was cut short is no name");
        assert_ne!(Instance::passing().id(), Instance::passing().id());
    }
}
