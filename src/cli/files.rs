//! Files that people name: read up to a limit, with errors that say what to do.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::anyhow;

/// The most that is read of a topology or a schema, in bytes. Both have smaller limits of their own or none; this
/// one keeps a device or a file of another kind from filling the memory.
const MAX_TEXT: u64 = 16 << 20;

/// Opens a file for reading; a directory is refused.
pub(super) fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path).map_err(explained)?;
    if file.metadata().map_err(explained)?.is_dir() {
        return Err(anyhow!("it is a directory; name a file"));
    }
    Ok(file)
}

/// The text of a file.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(explained)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(anyhow!("it is longer than {} MiB; is it the right file?", MAX_TEXT >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        anyhow!("line {line} is not UTF-8 from its byte {column} on; save the file as UTF-8")
    })
}

/// What the system says, with what to do where that is known.
pub(super) fn explained(error: io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "give the user of this process the right to read it",
        io::ErrorKind::IsADirectory => "name a file",
        io::ErrorKind::NotADirectory => "name a directory",
        _ => return error.into(),
    };
    anyhow!("{error}; {advice}")
}
