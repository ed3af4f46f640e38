//! What the documentation shows works: every topology in it is planned, every test file in it runs.
//!
//! Checked are the fenced `yaml` blocks of README.md, CONTRIBUTING.md, docs/*.md and docs/verbs/*.md:
//!
//! - a block that starts with `topology:` and is no test file is a whole topology, and must plan against `schemas/`;
//! - a block with a file's name (```` ```yaml mood.yaml ````) is written under that name into one directory for all
//!   pages, where test files find the topologies beside them; each `NAME.test.yaml` must run and pass;
//! - a block that starts with `- ` and a verb is a list of steps, and one that starts with a field of a table is a
//!   table's body: both are put into a small topology and must plan there.
//!
//! Links, and the tests, settings and metrics that pages name, are checked too.

/// Pages show a topology with its processor.
#[allow(dead_code, unreachable_pub, reason = "a program of its own, of which the processor is taken")]
#[path = "../examples/processor/main.rs"]
mod example;

use std::fs;
use std::path::{Path, PathBuf};

use signalstream::agents::Agents;
use signalstream::config::{Effective, Setting, Sources, reference};
use signalstream::metrics::METRICS;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::scenario::{ScenarioOptions, run_file};
use signalstream::topology::{PlanOptions, load_with};

/// The surroundings of a fragment: what examples may read.
const AROUND: &str = "
topology: fragment
defaults: {key: string, value: json, dlq: fragment.dlq}
sources:
  orders: {topic: shop.orders}
  returns: {topic: shop.returns}
  refunds: {topic: shop.refunds}
  customers: {topic: shop.customers, kind: table}
";

/// What stands around the reference of settings.
const SETTINGS: (&str, &str) = ("writes them -->\n", "<!-- end of settings -->");

/// A fenced block of a page.
struct Block {
    /// The page and the line of the block's first line.
    place: String,
    /// What stands behind `yaml` on the fence.
    name: String,
    text: String,
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["docs", "docs/verbs"]
        .iter()
        .flat_map(|directory| fs::read_dir(top().join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.extend([top().join("README.md"), top().join("CONTRIBUTING.md")]);
    pages.sort();
    pages
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks_of(page)).collect()
}

fn blocks_of(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                if let Some(name) = info.strip_prefix("yaml") {
                    let place = format!("{}:{}", page.strip_prefix(top()).unwrap().display(), number + 2);
                    blocks.push(Block { place, name: name.trim().to_owned(), text: String::new() });
                    open = true;
                }
            }
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "{}: a block is never closed", page.display());
    blocks
}

fn schemas() -> SchemaRegistry {
    let mut schemas = SchemaRegistry::new();
    schemas.load_directory(&top().join("schemas")).unwrap();
    schemas
}

/// What is wrong with a topology, save that nobody reads what an example derives if `unread` allows that.
fn mistakes(text: &str, unread: bool) -> Vec<String> {
    let (schemas, agents) = (schemas(), Agents::local());
    let options = PlanOptions { registry: &schemas, agents: &agents, projection: true };
    let Err(found) = load_with("example.yaml", text, &options, &example::processors()) else { return Vec::new() };
    let counts = |message: &str| !(unread && message.starts_with("nothing reads"));
    found
        .iter()
        .filter(|mistake| counts(mistake.message()))
        .map(|mistake| format!("line {}: {}", mistake.line(), mistake.message()))
        .collect()
}

/// A fragment in its surroundings; `None` when the block is none.
fn wrapped(block: &Block) -> Option<String> {
    let indented: String = block.text.lines().map(|line| format!("      {line}\n")).collect();
    let first = block.text.trim_start();
    if first.starts_with("- to_stream") {
        return Some(format!("{AROUND}streams:\n  example:\n    from: customers\n    steps:\n{indented}"));
    }
    let verb = |prefix: &&str| first.starts_with(&format!("- {prefix}"));
    let verbs = ["filter", "map", "select_key", "flat_map", "peek", "merge", "branch", "repartition", "call"];
    if verbs.iter().any(verb) {
        return Some(format!("{AROUND}streams:\n  example:\n    from: orders\n    steps:\n{indented}"));
    }
    let fields = ["reduce:", "fold:", "aggregate:", "window:", "group_by:", "store:", "suppress:"];
    let table = fields.iter().any(|field| first.starts_with(field));
    table.then(|| format!("{AROUND}tables:\n  example:\n      from: orders\n{indented}"))
}

#[test]
fn every_topology_in_the_documentation_plans() {
    let mut failures = Vec::new();
    let (mut whole, mut fragments) = (0, 0);
    for block in blocks().iter().filter(|block| !block.name.ends_with(".test.yaml")) {
        let found = if block.text.starts_with("topology:") {
            whole += 1;
            mistakes(&block.text, false)
        } else if let Some(text) = wrapped(block) {
            fragments += 1;
            mistakes(&text, true)
        } else {
            continue;
        };
        failures.extend(found.iter().map(|mistake| format!("{}: {mistake}", block.place)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(whole >= 3 && fragments >= 10, "found only {whole} topologies and {fragments} fragments");
}

#[test]
fn every_test_file_in_the_documentation_passes() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = blocks();
    for block in blocks.iter().filter(|block| !block.name.is_empty()) {
        let file = directory.path().join(&block.name);
        assert!(!file.exists(), "{}: `{}` is the name of another block", block.place, block.name);
        fs::write(file, &block.text).unwrap();
    }
    let (schemas, agents) = (schemas(), Agents::local());
    let mut ran = 0;
    for block in blocks.iter().filter(|block| block.name.ends_with(".test.yaml")) {
        let options = ScenarioOptions::new(&schemas, &agents);
        let report = run_file(&directory.path().join(&block.name), &options);
        let report = report.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", block.place));
        for case in &report.cases {
            assert!(case.failures.is_empty(), "{}: {}: {}", block.place, case.name, case.failures.join("\n"));
            ran += 1;
        }
    }
    assert!(ran > 0, "the documentation shows no test");
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for piece in text.split("](").skip(1) {
            let Some((target, _)) = piece.split_once(')') else { continue };
            let path = target.split('#').next().unwrap_or_default();
            let external = target.contains("://") || path.is_empty() || path.contains(char::is_whitespace);
            if !external && !page.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// All shipped and test code, as one text.
fn code(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Rows of the table of what differs from Kafka Streams that name no test, or one that is not there.
fn differences_without_a_test(architecture: &str, code: &str) -> Vec<String> {
    let (_, table) = architecture.split_once("| what | why | shown by |\n|---|---|---|\n").unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in table.lines().take_while(|line| line.starts_with("| ")) {
        rows += 1;
        let shown = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let is_there = |name: &&str| match (name.split_once(".test.yaml: "), name.strip_prefix("parity/")) {
            (Some((file, case)), _) => ["tests/scenarios", "tests/process/scenarios"].iter().any(|directory| {
                let cases = fs::read_to_string(top().join(directory).join(format!("{file}.test.yaml")));
                cases.is_ok_and(|cases| cases.contains(&format!("- name: {case}\n")))
            }),
            (None, Some(scenario)) => top().join(format!("tests/parity/scenarios/{scenario}.yaml")).exists(),
            (None, None) => code.contains(&format!("#[test]\nfn {name}(")) || code.contains(&format!("    fn {name}(")),
        };
        if names.is_empty() || !names.iter().all(is_there) {
            wrong.push(format!("docs/architecture.md: nothing shows: {row}"));
        }
    }
    assert!(rows >= 30, "only {rows} differences are found");
    wrong
}

#[test]
fn tests_and_settings_that_pages_name_exist() {
    let mut all = String::new();
    ["src", "tests"].iter().for_each(|directory| code(&top().join(directory), &mut all));
    let mut missing = Vec::new();
    let architecture = fs::read_to_string(top().join("docs/architecture.md")).unwrap();
    for name in architecture.split('`').skip(1).step_by(2) {
        let is_test = name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_path = ["tests/", "state/tests/"].iter().any(|start| name.starts_with(start));
        let exists = || top().join(name).exists() || top().join("src").join(name).exists();
        if is_test && !all.contains(&format!("fn {name}(")) || is_path && !exists() {
            missing.push(format!("docs/architecture.md: `{name}`"));
        }
    }
    missing.extend(differences_without_a_test(&architecture, &all));
    let operations = fs::read_to_string(top().join("docs/operations.md")).unwrap();
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let row = format!("| `{}` | {kind} | {} | ", metric.name, labels.join(", "));
        if !operations.contains(&row) {
            missing.push(format!("docs/operations.md lacks `{row}`"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_reference_of_settings_is_what_their_definitions_say() {
    let path = top().join("docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(SETTINGS.0).unwrap();
    let (found, after) = rest.split_once(SETTINGS.1).unwrap();
    let expected = format!("\n{}\n", reference());
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&path, format!("{before}{}{expected}{}{after}", SETTINGS.0, SETTINGS.1)).unwrap();
        return;
    }
    assert_eq!(found, expected, "UPDATE_GOLDENS=1 writes it");
}

#[test]
fn configurations_in_the_documentation_can_be_read() {
    let secrets = tempfile::tempdir().unwrap();
    for name in ["kafka-password", "key-password"] {
        fs::write(secrets.path().join(name), "secret").unwrap();
    }
    let environment = [("KAFKA_USER".to_owned(), "shop".to_owned())].into();
    let mut read = 0;
    for block in blocks().iter().filter(|block| block.place.starts_with("docs/configuration.md")) {
        let text = block.text.replace("/run/secrets", &secrets.path().display().to_string());
        let sources = Sources { file: Some((&block.place, &text)), environment: &environment, flags: &[] };
        Effective::load(&sources).unwrap_or_else(|error| panic!("{error}"));
        read += 1;
    }
    assert!(read >= 4, "{read}");
}

#[test]
fn settings_that_operations_name_exist() {
    let operations = fs::read_to_string(top().join("docs/operations.md")).unwrap();
    for section in ["state.", "log.", "topics.", "http."] {
        for name in operations.split('`').filter(|text| text.starts_with(section)) {
            let name = name.split(':').next().unwrap();
            assert!(Setting::find(name).is_some(), "`{name}`");
        }
    }
    for name in ["shutdown_timeout", "session_timeout", "transaction_timeout", "startup_timeout", "purge_interval"] {
        assert!(Setting::find(name).is_some() && operations.contains(&format!("`{name}`")), "`{name}`");
    }
}
