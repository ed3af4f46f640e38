//! The project keeps its own rules: layers, owners, sizes, and a page for every verb.
//!
//! Each check is a function from texts to violations, so that a test beside it can show that it bites. The
//! layers are read from the table in `docs/architecture.md`: that document is the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Files of `src/` that may have more than [`MAX_LINES`] lines, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];
const MAX_LINES: usize = 500;

/// Files of `src/operators/` that are no verb of the language, each with what it is instead.
const NOT_VERBS: &[(&str, &str)] = &[
    ("mod", "the interface of operators"),
    ("accumulator", "what `aggregate` adds up with"),
    ("aggregate_changes", "how `aggregate`, `reduce` and `fold` work on grouped tables"),
    ("emission", "when a table emits, whatever made it"),
    ("sink", "the end of a stream; `sinks` is no step"),
    ("tests", "operators by themselves"),
];

/// Files of `src/operators/` that implement one verb together: a file and its verb.
const SHARED_VERBS: &[(&str, &str)] = &[
    ("join_foreign_key", "join"),
    ("join_stream_global", "join"),
    ("join_stream_table", "join"),
    ("join_stream_versioned", "join"),
    ("join_streams", "join"),
    ("join_tables", "join"),
    ("versioned", "to_table"),
];

/// What only its owners may name: a pattern, the owners' paths, and whom to ask instead.
const OWNERS: &[(&str, &[&str], &str)] = &[
    (
        r"\bunsafe\b",
        &["src/log/kafka/native/", "src/record/utf8.rs"],
        "find a safe way; the native calls of librdkafka and text of checked bytes are the exceptions",
    ),
    (r"\brdkafka\b", &["src/log/kafka/"], "go through the traits of `log`"),
    (
        r"\breqwest\b",
        &["src/agents/", "src/serdes/remote/"],
        "calls to the outside belong to `agents`, those to a registry to `serdes/remote`",
    ),
    (r"\b(axum|hyper|tower_http)\b", &["src/http/"], "the web framework belongs to `http`"),
    (r"\banyhow\b", &["src/cli/", "src/main.rs"], "define an error type for the module"),
    (r"\b(SystemTime|Instant|Timestamp|Zoned|Utc|Local)::now\b", &["src/time.rs"], "take a `Clock` or a `Timestamp`"),
    (r"\bthread::sleep\b", &["src/time.rs"], "wait on what you wait for, or use `time::pause`"),
    (r"\b(describe_)?(counter|gauge|histogram)!", &["src/metrics.rs"], "add the metric to `metrics.rs`"),
];

/// Who may name the `rocksdb` crate.
const ROCKSDB_OWNERS: &[&str] = &["src/state/rocksdb.rs", "src/log/embedded/"];

/// A file: its path from the top of the project, with `/`, and its text.
#[derive(Clone)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// The module that the file belongs to: `log` for `src/log/embedded/mod.rs`; `None` for `lib.rs`.
    fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let module = rest.split('/').next()?.trim_end_matches(".rs");
        (module != "lib").then_some(module)
    }

    /// How many `super::` lead from the file to the crate's root.
    fn depth(&self) -> usize {
        let rest = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if rest == "main" { 0 } else { rest.split('/').count() }
    }

    /// Whether the whole file is test code: by its name, or because its module is declared under `cfg(test)`.
    fn is_test(&self) -> bool {
        let modules = ["log/contract.rs", "log/contract/", "serdes/avro/reference/"];
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || modules.iter().any(|module| self.path.trim_start_matches("src/").starts_with(module))
    }

    /// The code that ships: without comments, the contents of literals, and `#[cfg(test)]` items.
    fn shipped(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&without_comments(&self.text)) }
    }

    fn is_owner(&self, owners: &[&str]) -> bool {
        owners.iter().any(|owner| self.path == *owner || owner.ends_with('/') && self.path.starts_with(owner))
    }
}

/// Blanks comments and the contents of string and character literals; keeps line breaks.
fn without_comments(text: &str) -> String {
    let token = Regex::new(concat!(
        r##"(?s)//[^\n]*|/\*.*?\*/|b?r"[^"]*"|b?r#".*?"#|"##,
        r##"b?"(?:\\.|[^"\\])*"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])'"##,
    ))
    .unwrap();
    let blank = |found: &regex::Captures<'_>| "\n".repeat(found[0].matches('\n').count()) + " ";
    token.replace_all(text, blank).into_owned()
}

/// Removes items marked `#[cfg(test)]`. Expects text that went through [`without_comments`].
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut shipped = String::new();
    while let Some(at) = rest.find("#[cfg(test)]") {
        shipped.push_str(&rest[..at]);
        let item = &rest[at..];
        let mut depth = 0usize;
        let end = item.char_indices().find(|(_, character)| match character {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            ';' => depth == 0,
            _ => false,
        });
        let skipped = end.map_or(item.len(), |(index, _)| index + 1);
        shipped.push_str(&"\n".repeat(item[..skipped].matches('\n').count()));
        rest = &item[skipped..];
    }
    shipped + rest
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The layer of each module, read from the first table of the architecture whose rows start with a number.
fn layers(architecture: &str) -> BTreeMap<String, u32> {
    let name = Regex::new(r"`([a-z_]+)(?:\.rs|/)`").unwrap();
    let mut layers = BTreeMap::new();
    for line in architecture.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(layer), Some(modules)) = (cells.next().and_then(|cell| cell.parse().ok()), cells.next()) else {
            continue;
        };
        layers.extend(name.captures_iter(modules).map(|found| (found[1].to_owned(), layer)));
    }
    layers
}

/// The modules that shipped code names, with the line of each mention.
fn used_modules(source: &Source) -> Vec<(String, usize)> {
    let code = source.shipped();
    let mut used = Vec::new();
    let path = Regex::new(r"\b((?:super::)+|crate::|signalstream::)(\{|[a-z_][a-z0-9_]*)").unwrap();
    for found in path.captures_iter(&code) {
        let supers = found[1].matches("super::").count();
        if supers > 0 && supers != source.depth() {
            continue;
        }
        let line = line_of(&code, found.get(0).unwrap().start());
        if &found[2] == "{" {
            let group = &code[found.get(2).unwrap().end()..];
            used.extend(group_heads(group).into_iter().map(|name| (name, line)));
        } else {
            used.push((found[2].to_owned(), line));
        }
    }
    used
}

/// The first names of the entries of a `use` group, given the text after its opening brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0usize;
    let mut entries = vec![String::new()];
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => entries.push(String::new()),
            _ if depth == 0 => entries.last_mut().unwrap().push(character),
            _ => {}
        }
    }
    let head = |entry: &String| entry.trim().split("::").next().unwrap_or_default().trim().to_owned();
    entries.iter().map(head).filter(|name| !name.is_empty()).collect()
}

fn check_layers(sources: &[Source], layers: &BTreeMap<String, u32>) -> Vec<String> {
    let mut violations = BTreeSet::new();
    for source in sources {
        let Some(module) = source.module() else { continue };
        let Some(layer) = layers.get(module) else {
            violations.insert(format!("module `{module}` is not in the table of docs/architecture.md"));
            continue;
        };
        for (used, line) in used_modules(source) {
            if used == module || used == "self" {
                continue;
            }
            let at = format!("{}:{line}", source.path);
            match layers.get(&used) {
                Some(lower) if lower < layer => {}
                Some(other) => {
                    violations.insert(format!("{at}: `{module}` (layer {layer}) uses `{used}` (layer {other})"));
                }
                None => {
                    violations.insert(format!("{at}: `{used}` is not in the table of docs/architecture.md"));
                }
            }
        }
    }
    violations.into_iter().collect()
}

fn check_owners(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let code = source.shipped();
        for (pattern, owners, instead) in OWNERS {
            if source.is_owner(owners) {
                continue;
            }
            for found in Regex::new(pattern).unwrap().find_iter(&code) {
                let line = line_of(&code, found.start());
                violations.push(format!("{}:{line}: `{}` has its owner: {instead}", source.path, found.as_str()));
            }
        }
        violations.extend(check_rocksdb(source, &code));
    }
    violations
}

/// `state/rocksdb.rs` bears the crate's name; a mention that means that module is fine.
fn check_rocksdb(source: &Source, code: &str) -> Vec<String> {
    if source.is_owner(ROCKSDB_OWNERS) {
        return Vec::new();
    }
    let declares_module = code.contains("mod rocksdb;");
    let names_module = |at: usize| {
        let before = code[..at].trim_end();
        let qualified = ["mod", "self::", "super::", "state::"].iter().any(|prefix| before.ends_with(prefix));
        qualified || declares_module && !before.ends_with("::")
    };
    let mentions = Regex::new(r"\brocksdb\b").unwrap();
    mentions
        .find_iter(code)
        .filter(|found| !names_module(found.start()))
        .map(|found| format!("{}:{}: `rocksdb` has its owners: use `state`", source.path, line_of(code, found.start())))
        .collect()
}

fn check_sizes(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let listed = allowed.iter().any(|(path, _)| *path == source.path);
        if lines > MAX_LINES && !listed {
            violations.push(format!("{} has {lines} lines: look for the second thing it does", source.path));
        }
        if lines <= MAX_LINES && listed {
            violations.push(format!("{} is short again: take it off the list of long files", source.path));
        }
    }
    violations
}

fn check_unfinished(sources: &[Source]) -> Vec<String> {
    let pattern = Regex::new(r"\.unwrap\(\)|\.unwrap_err\(\)|\b(todo|unimplemented|dbg)!").unwrap();
    let mut violations = Vec::new();
    for source in sources {
        let code = source.shipped();
        for found in pattern.find_iter(&code) {
            let line = line_of(&code, found.start());
            violations.push(format!("{}:{line}: `{}` outside tests", source.path, found.as_str()));
        }
    }
    violations
}

/// Every verb needs a heading that names it, in backticks, in one of the reference's pages.
fn check_verbs(sources: &[Source], reference: &str) -> Vec<String> {
    let verbs: BTreeSet<&str> = sources
        .iter()
        .filter_map(|source| source.path.strip_prefix("src/operators/")?.split('/').next())
        .map(|name| name.trim_end_matches(".rs"))
        .filter(|name| !NOT_VERBS.iter().any(|(other, _)| other == name))
        .map(|name| SHARED_VERBS.iter().find(|(file, _)| *file == name).map_or(name, |(_, verb)| verb))
        .collect();
    let documented =
        |verb: &str| reference.lines().any(|line| line.starts_with('#') && line.contains(&format!("`{verb}`")));
    verbs
        .into_iter()
        .filter(|verb| !documented(verb))
        .map(|verb| {
            format!("`{verb}` has no section in docs/reference/ or docs/dsl.md (a heading with its name in backticks)")
        })
        .collect()
}

/// What would tie the project to where or how it was written. The patterns are put together so that this
/// file does not contain what it looks for.
fn check_speaks_of_itself(files: &[Source]) -> Vec<String> {
    let patterns = [
        concat!(r"(^|[^\w./-])/wo", r"rk/"),
        concat!(r"/tmp/", r"(wt|brief)\b"),
        concat!(r"(?i)helper ses", r"sion"),
        concat!(r"\bissues sh", r"ow\b"),
        concat!(r"\.\./sha", r"red/[A-Z]"),
        concat!(r"\b(index|static)\.crates", r"\.io\b"),
        concat!(r"\bregistry\.npm", r"js\.org\b"),
        concat!(r"\bpypi", r"\.org\b"),
        concat!(r"\bproxy\.gol", r"ang\.org\b"),
    ]
    .map(|pattern| Regex::new(pattern).unwrap());
    let mut violations = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(found) = patterns.iter().find_map(|pattern| pattern.find(line)) {
                violations.push(format!("{}:{}: `{}`", file.path, number + 1, found.as_str().trim()));
            }
        }
    }
    violations
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text files under a directory of the project; nothing where it does not exist.
fn files_under(directory: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut directories = vec![top().join(directory)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // `.git` is a file in a linked worktree.
            if matches!(name.as_str(), "target" | ".git" | "proptest-regressions") {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(Source { path: relative(&path), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn relative(path: &Path) -> String {
    path.strip_prefix(top()).unwrap().to_string_lossy().replace('\\', "/")
}

fn rust_files() -> Vec<Source> {
    files_under("src").into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

#[track_caller]
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn modules_use_lower_layers_only() {
    let layers = layers(&fs::read_to_string(top().join("docs/architecture.md")).unwrap());
    assert!(layers.len() > 20, "the table of docs/architecture.md was not understood: {layers:?}");
    assert_none(check_layers(&rust_files(), &layers));
}

#[test]
fn what_has_an_owner_is_named_by_its_owner_only() {
    assert_none(check_owners(&rust_files()));
}

#[test]
fn files_do_one_thing() {
    assert!(LONG_FILES.iter().all(|(_, reason)| !reason.is_empty()));
    assert_none(check_sizes(&rust_files(), LONG_FILES));
}

#[test]
fn nothing_unfinished_ships() {
    assert_none(check_unfinished(&rust_files()));
}

#[test]
fn every_verb_has_its_section_in_the_reference() {
    let mut pages = files_under("docs/reference");
    pages.extend(files_under("docs").into_iter().filter(|file| file.path == "docs/dsl.md"));
    let reference: Vec<String> = pages.into_iter().map(|page| page.text).collect();
    assert_none(check_verbs(&rust_files(), &reference.join("\n")));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let files = files_under("").into_iter().filter(|file| file.path != "Cargo.lock").collect::<Vec<_>>();
    assert_none(check_speaks_of_itself(&files));
}

/// The checks bite: each finds the bad example and leaves the good one.
mod self_tests {
    use super::*;

    const TABLE: &str =
        "| 0 | `time.rs` | . |\n| 2 | `log/` | . |\n| 3 | `state/` | . |\n| 9 | `cli/`, `main.rs` | . |";

    fn layer_violations(path: &str, text: &str) -> usize {
        check_layers(&[Source::new(path, text)], &layers(TABLE)).len()
    }

    #[test]
    fn a_use_of_the_same_or_a_higher_layer_is_found() {
        assert_eq!(layers(TABLE)["main"], 9);
        assert_eq!(layer_violations("src/log/mod.rs", "use crate::state::Store;"), 1);
        assert_eq!(layer_violations("src/log/mod.rs", "fn f() { crate::cli::run() }"), 1);
        assert_eq!(layer_violations("src/log/mod.rs", "use super::state::Store;"), 1);
        assert_eq!(layer_violations("src/log/embedded/mod.rs", "use super::super::state::Store;"), 1);
        assert_eq!(layer_violations("src/log/mod.rs", "use crate::{time::Clock, state::{A, B}, cli};"), 2);
        assert_eq!(layer_violations("src/main.rs", "use signalstream::nowhere;"), 1);
        assert_eq!(layer_violations("src/unknown.rs", ""), 1);
    }

    #[test]
    fn a_use_of_a_lower_layer_or_in_a_test_is_fine() {
        assert_eq!(layer_violations("src/state/mod.rs", "use crate::{log::{Log, X}, time};"), 0);
        assert_eq!(layer_violations("src/log/embedded/mod.rs", "use super::LogError; use crate::log::Log;"), 0);
        assert_eq!(layer_violations("src/log/mod.rs", "#[cfg(test)]\nmod tests { use crate::state::{A}; }"), 0);
        assert_eq!(layer_violations("src/log/tests.rs", "use crate::state::A;"), 0);
        assert_eq!(
            layer_violations("src/log/mod.rs", "// crate::state\n/* crate::cli */ const A: &str = \"crate::cli\";"),
            0
        );
    }

    #[test]
    fn code_after_a_test_module_is_still_checked() {
        let text = "#[cfg(test)]\nmod tests { fn f() { if '{' == '\\'' {} } }\nuse crate::cli::run;";
        assert_eq!(
            check_layers(&[Source::new("src/log/mod.rs", text)], &layers(TABLE)),
            ["src/log/mod.rs:3: `log` (layer 2) uses `cli` (layer 9)"]
        );
    }

    #[test]
    fn a_name_outside_its_owner_is_found() {
        let violations = |path: &str, text: &str| check_owners(&[Source::new(path, text)]).len();
        for bad in
            ["use rdkafka::X;", "use reqwest::X;", "use anyhow::Result;", "let t = Instant::now();", "counter!(\"x\");"]
        {
            assert_eq!(violations("src/task/mod.rs", bad), 1, "{bad}");
        }
        assert_eq!(violations("src/log/kafka/mod.rs", "use rdkafka::X;"), 0);
        assert_eq!(violations("src/cli/run.rs", "use anyhow::Result;"), 0);
        assert_eq!(violations("src/time.rs", "Instant::now(); SystemTime::now(); thread::sleep(d);"), 0);
    }

    #[test]
    fn the_rocksdb_crate_is_told_from_the_module_of_that_name() {
        let violations = |path: &str, text: &str| check_owners(&[Source::new(path, text)]).len();
        assert_eq!(violations("src/state/mod.rs", "mod rocksdb;\nuse self::rocksdb::Database; rocksdb::open();"), 0);
        assert_eq!(violations("src/state/overlay.rs", "use super::rocksdb::Database;"), 0);
        assert_eq!(violations("src/state/rocksdb.rs", "use rocksdb::DB;"), 0);
        assert_eq!(violations("src/state/mod.rs", "mod rocksdb;\nuse ::rocksdb::DB;"), 1);
        assert_eq!(violations("src/state/overlay.rs", "use rocksdb::DB;"), 1);
    }

    #[test]
    fn a_long_file_and_a_stale_exception_are_found() {
        let long = Source::new("src/a.rs", &"\n".repeat(MAX_LINES + 1));
        assert_eq!(check_sizes(std::slice::from_ref(&long), &[]).len(), 1);
        assert_eq!(check_sizes(std::slice::from_ref(&long), &[("src/a.rs", "generated")]).len(), 0);
        assert_eq!(check_sizes(&[Source::new("src/a.rs", "")], &[("src/a.rs", "generated")]).len(), 1);
    }

    #[test]
    fn unfinished_code_is_found_outside_tests_only() {
        let violations = |text: &str| check_unfinished(&[Source::new("src/a.rs", text)]).len();
        assert_eq!(violations("fn f() { x.unwrap(); todo!(); dbg!(x); }"), 3);
        assert_eq!(violations("/// `x.unwrap()`\n#[cfg(test)] mod tests { fn f() { x.unwrap() } }"), 0);
    }

    #[test]
    fn a_verb_without_its_section_is_found() {
        let sources = ["mod", "filter", "map_values"].map(|name| Source::new(&format!("src/operators/{name}.rs"), ""));
        assert_eq!(check_verbs(&sources, "## `filter`, `filter_not`\n`map_values` in passing").len(), 1);
        assert_eq!(check_verbs(&sources, "## `filter`\n### `map_values`").len(), 0);
        assert_eq!(check_verbs(&sources[..1], "").len(), 0);
        assert_eq!(check_verbs(&[Source::new("src/operators/join_tables.rs", "")], "## `join`").len(), 0);
    }

    #[test]
    fn a_file_that_speaks_of_where_it_was_written_is_found() {
        let violations = |text: &str| check_speaks_of_itself(&[Source::new("README.md", text)]).len();
        for bad in [
            concat!("see /wo", "rk/main/src"),
            concat!("in /tmp/", "wt/core"),
            concat!("a helper ses", "sion wrote it"),
            concat!("../sha", "red/DSL.md"),
            concat!("https://static.crates", ".io/crates"),
        ] {
            assert_eq!(violations(bad), 1, "{bad}");
        }
        assert_eq!(violations("frame/work/units in ../shared/data/support-messages.jsonl"), 0);
    }
}
