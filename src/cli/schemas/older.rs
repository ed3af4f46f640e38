//! Schemas as they were: in a directory, or in a revision of the repository that has them, and those before it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};

use super::super::files;

/// The most revisions of a history that are looked at.
const MAX_REVISIONS: usize = 1_000;
/// How many characters of a revision's hash are shown.
const SHOWN: usize = 12;

/// The schema files of one place.
pub(super) struct SchemaFiles {
    /// Where they are, for messages.
    pub(super) place: String,
    /// Their texts, by file name without `.avsc`.
    pub(super) texts: BTreeMap<String, String>,
    /// Whether what is no usable schema is passed over: in a history it stays for ever, and no record was written with it.
    pub(super) forgiving: bool,
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
    Ok(SchemaFiles { place, texts, forgiving: false })
}

/// The schema files that a directory had in a revision; with `history`, then those that it had in each revision before in
/// which they changed, the newest first. Of a merge, what was merged into is followed: what a branch tried out was never
/// there.
pub(super) fn of_revision(revision: &str, directory: &Path, history: bool) -> anyhow::Result<Vec<SchemaFiles>> {
    if revision.starts_with('-') {
        return Err(anyhow!("`{revision}` is no revision"));
    }
    let mut texts = HashMap::new();
    let mut all = vec![in_revision(revision, revision, directory, &mut texts)?];
    if !history {
        return Ok(all);
    }
    if git(directory, &["rev-parse", "--is-shallow-repository"])?.trim() == "true" {
        return Err(anyhow!(
            "the repository of {} does not have its history (it is a shallow clone); fetch it with `git fetch --unshallow`, \
             or compare with the last version only",
            directory.display()
        ));
    }
    let most = format!("--max-count={}", MAX_REVISIONS + 1);
    let changed = git(directory, &["log", "--first-parent", "--format=%H", &most, revision, "--", "."])?;
    let changed: Vec<&str> = changed.lines().collect();
    if changed.len() > MAX_REVISIONS {
        return Err(anyhow!(
            "{} has changed in more than {MAX_REVISIONS} revisions; compare with directories of the released versions \
             (--against DIR, which may be repeated)",
            directory.display()
        ));
    }
    // The first of them has what the revision itself has.
    for hash in changed.into_iter().skip(1) {
        let shown = hash.get(..SHOWN).unwrap_or(hash);
        let files = in_revision(hash, shown, directory, &mut texts)?;
        all.push(SchemaFiles { forgiving: true, ..files });
    }
    Ok(all)
}

/// The schema files of one revision. `texts` has those that are known, by their hashes.
fn in_revision(
    revision: &str,
    shown: &str,
    directory: &Path,
    texts: &mut HashMap<String, String>,
) -> anyhow::Result<SchemaFiles> {
    let listed = git(directory, &["ls-tree", "-z", revision, "./"])?;
    let mut found = BTreeMap::new();
    for entry in listed.split('\0') {
        let Some((entry, file)) = entry.split_once('\t') else { continue };
        let (Some(name), Some(hash)) = (schema_name(file), entry.rsplit(' ').next()) else { continue };
        let text = match texts.get(hash) {
            Some(text) => text.clone(),
            None => git(directory, &["cat-file", "blob", hash])?,
        };
        texts.insert(hash.to_owned(), text.clone());
        found.insert(name.to_owned(), text);
    }
    Ok(SchemaFiles { place: format!("{} at {shown}", directory.display()), texts: found, forgiving: false })
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
