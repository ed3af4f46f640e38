//! Schemas as they were: in a directory, or in a revision of the repository that has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};

use super::super::files;

/// The schema files of one place.
pub(super) struct SchemaFiles {
    /// Where they are, for messages.
    pub(super) place: String,
    /// Their texts, by file name without `.avsc`.
    pub(super) texts: BTreeMap<String, String>,
}

/// The schema files of a directory.
pub(super) fn of_directory(directory: &Path) -> anyhow::Result<SchemaFiles> {
    let place = directory.display().to_string();
    let entries = std::fs::read_dir(directory).map_err(files::explained);
    let mut texts = BTreeMap::new();
    for entry in entries.with_context(|| format!("the schemas in {place} cannot be read"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(schema_name) {
            texts.insert(name.to_owned(), files::text(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(SchemaFiles { place, texts })
}

/// The schema files that a directory had in a revision.
pub(super) fn of_revision(revision: &str, directory: &Path) -> anyhow::Result<SchemaFiles> {
    if revision.starts_with('-') {
        return Err(anyhow!("`{revision}` is no revision"));
    }
    let listed = git(directory, &["ls-tree", "--name-only", revision, "./"])?;
    let mut texts = BTreeMap::new();
    for file in listed.lines() {
        if let Some(name) = schema_name(file) {
            texts.insert(name.to_owned(), git(directory, &["show", &format!("{revision}:./{file}")])?);
        }
    }
    Ok(SchemaFiles { place: format!("{} at {revision}", directory.display()), texts })
}

fn schema_name(file: &str) -> Option<&str> {
    file.strip_suffix(".avsc")
}

/// What git says of a directory's repository.
fn git(directory: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(directory).args(arguments).stdin(Stdio::null()).output();
    let output = output.context("git cannot be run; install it, or compare with a directory (--against DIR)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(anyhow!("git {} in {}: {said}", arguments.join(" "), directory.display()));
    }
    String::from_utf8(output.stdout).context("a schema is not UTF-8")
}
