//! The command line as a user meets it: what goes to stdout, what to stderr, and the exit status.

mod configuration;
mod http;
mod schemas_show;
mod topics;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

const COUNTS: &str = "\
topology: counts
sources:
  orders: {topic: orders, key: string, value: json}
tables:
  totals:
    from: orders
    aggregate: {n: count()}
sinks:
  - {from: totals, topic: totals, key: string, value: json}
";

fn signalstream(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
    command.current_dir(directory).env_remove("RUST_LOG");
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("SIGNALSTREAM_"));
    ours.for_each(|name| _ = command.env_remove(name));
    command
}

fn run(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = signalstream(directory);
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read its input may end before this does.
    let _written = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A directory with the topology `counts.yaml`.
fn with_counts() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("counts.yaml"), COUNTS).unwrap();
    directory
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{:?}\n{}", output.status, stderr(output));
}

#[test]
fn every_command_has_help() {
    let directory = tempfile::tempdir().unwrap();
    let commands = [
        "demo", "run", "drive", "validate", "describe", "test", "schema", "topics", "produce", "consume", "stores",
        "reset",
    ];
    for command in commands {
        let output = run(directory.path(), &[command, "--help"], "");
        assert_success(&output);
        assert!(stdout(&output).contains("Usage: signalstream"), "{command}");
    }
}

#[test]
fn wrong_usage_has_exit_status_2() {
    let directory = with_counts();
    for arguments in [
        &["surprise"][..],
        &["validate"],
        &["topics"],
        &["run", "counts.yaml"],
        &["run", "counts.yaml", "--bootstrap-servers", "localhost:9092", "--embedded", "data"],
        &[
            "run",
            "counts.yaml",
            "--bootstrap-servers",
            "localhost:9092",
            "--set",
            "kafka.isolation.level=read_uncommitted",
        ],
        &["run", "counts.yaml", "--embedded", "data", "--threads", "0"],
        &["run", "counts.yaml", "./counts.yaml", "--embedded", "data"],
        &["produce", "unknown", "--embedded", "data"],
        &["schema", "--log-level", "very=loud=indeed"],
    ] {
        let output = run(directory.path(), arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn validate_shows_the_mistakes_of_all_files() {
    let directory = with_counts();
    let broken = COUNTS.replace("from: orders", "from: ordrs").replace("count()", "cont()");
    fs::write(directory.path().join("broken.yaml"), broken).unwrap();
    assert_success(&run(directory.path(), &["validate", "counts.yaml"], ""));
    let output = run(directory.path(), &["validate", "broken.yaml", "counts.yaml", "absent.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    for part in ["broken.yaml:6:11", "did you mean `orders`?", "counts.yaml: valid", "absent.yaml"] {
        assert!(stdout(&output).contains(part), "{part} in\n{}", stdout(&output));
    }
    let output = run(directory.path(), &["validate", "broken.yaml", "--output", "json"], "");
    let report: Json = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!((&report["valid"], &report["files"][0]["errors"][0]["line"]), (&json!(false), &json!(6)));
}

#[test]
fn validate_tells_of_declared_fields_that_nothing_reads() {
    let directory = with_counts();
    let declared = "value: json, personal_data: [emial, email]}";
    let text = COUNTS
        .replacen("value: json}", declared, 1)
        .replace("count()", "\"collect(redact(string(value.email), 'email'), 2)\"");
    fs::write(directory.path().join("declared.yaml"), text).unwrap();
    let output = run(directory.path(), &["validate", "declared.yaml"], "");
    assert_success(&output);
    let hint =
        "nothing reads `value.emial` of orders, which is declared for personal data: is it spelt as in the records?";
    assert!(stdout(&output).lines().any(|line| line.trim() == hint), "{}", stdout(&output));
    assert_eq!(stdout(&output).matches("nothing reads").count(), 1, "{}", stdout(&output));
    let output = run(directory.path(), &["validate", "declared.yaml", "--output", "json"], "");
    let report: Json = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!((&report["valid"], &report["files"][0]["hints"]), (&json!(true), &json!([hint])));
}

#[test]
fn drive_writes_what_comes_out_and_nothing_else() {
    let directory = with_counts();
    let input = "\
{\"topic\": \"orders\", \"key\": \"a\", \"value\": {\"x\": 1}, \"timestamp\": 5}
{\"topic\": \"orders\", \"key\": \"a\", \"value\": {\"x\": 2}, \"timestamp\": 7, \"partition\": 1, \"headers\": {\"h\": \"v\"}}
";
    let output = run(directory.path(), &["drive", "counts.yaml", "--cache", "off"], input);
    assert_success(&output);
    assert_eq!(
        lines(&output),
        [
            json!({"topic": "totals", "partition": 0, "key": "a", "value": {"n": 1}, "timestamp": 5}),
            json!({"topic": "totals", "partition": 0, "key": "a", "value": {"n": 1}, "timestamp": 7, "headers": {"h": "v"}}),
        ]
    );
    assert_eq!(stderr(&output), "");
    let again = run(directory.path(), &["drive", "counts.yaml", "--cache", "off", "--input", "-"], input);
    assert_eq!(again.stdout, output.stdout);
}

#[test]
fn a_broken_line_ends_drive_with_its_place_after_what_came_before() {
    let directory = with_counts();
    let good = "{\"topic\": \"orders\", \"key\": \"a\", \"value\": {}, \"timestamp\": 5}\n";
    for broken in ["{broken", "{\"topic\": \"unknown\"}", "{\"topic\": \"orders\", \"key\": 5, \"value\": {}}", "[]"] {
        fs::write(directory.path().join("in.jsonl"), format!("{good}\n{broken}\n{good}")).unwrap();
        for cache in ["on", "off"] {
            let output = run(directory.path(), &["drive", "counts.yaml", "--input", "in.jsonl", "--cache", cache], "");
            assert_eq!(output.status.code(), Some(1), "{broken}");
            assert!(stderr(&output).contains("in.jsonl:3: "), "{broken}: {}", stderr(&output));
            assert_eq!(lines(&output).len(), 1, "{broken}");
        }
    }
}

#[test]
fn the_demo_prints_one_json_object_with_the_totals() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["demo", "--output", "json"], "");
    assert_success(&output);
    let totals: Json = serde_json::from_str(stdout(&output)).unwrap();
    let samples = fs::read_to_string("topologies/samples/support-conversations.jsonl").unwrap();
    let messages = samples.lines().count();
    let keys: Vec<&String> = totals.as_object().unwrap().keys().collect();
    let expected =
        ["records_in", "topics", "conversations", "dead_lettered", "late", "elapsed_ms", "records_per_second"];
    assert_eq!(keys, expected);
    assert_eq!(totals["records_in"], json!(messages));
    for topic in ["support.messages.raw", "support.ai.sentiment", "support.ai.insights", "support.ai.pii"] {
        assert_eq!(totals["topics"][topic], json!(messages), "{topic}");
    }
    assert_eq!(totals["dead_lettered"], json!(0));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn the_demo_names_a_broken_line_of_its_input_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["demo", "--input", "-"], "\n{\"topic\": \"support.messages.raw\", \"key\"\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("stdin:2: this is not JSON"), "{}", stderr(&output));
}

#[test]
fn records_go_through_a_directory_and_the_stores_match_their_changelogs() {
    let directory = with_counts();
    let at = |arguments: &[&str], input: &str| {
        run(directory.path(), &[arguments, &["--embedded", "data"][..]].concat(), input)
    };
    assert_success(&at(&["topics", "apply", "counts.yaml"], ""));
    let input = "{\"key\": \"a\", \"value\": 1, \"timestamp\": 5}\n{\"key\": \"b\", \"value\": 2}\n{\"key\": \"a\", \"value\": 3}\n";
    assert_success(&at(&["produce", "orders", "--topology", "counts.yaml"], input));
    assert_success(&at(&["run", "counts.yaml", "--until-end"], ""));
    let totals = at(&["consume", "totals", "--from-beginning", "--topology", "counts.yaml"], "");
    assert_success(&totals);
    let counts: Vec<(Json, Json)> =
        lines(&totals).into_iter().map(|line| (line["key"].clone(), line["value"]["n"].clone())).collect();
    assert!(counts.contains(&(json!("a"), json!(2))) && counts.contains(&(json!("b"), json!(1))), "{counts:?}");
    assert_eq!(lines(&at(&["consume", "orders", "--from-beginning", "--max", "2"], "")).len(), 2);
    let row = at(&["stores", "get", "totals", "a", "--topology", "counts.yaml"], "");
    assert_eq!(lines(&row)[0]["value"], json!({"n": 2}));
    assert_eq!(lines(&at(&["stores", "scan", "totals", "--topology", "counts.yaml"], "")).len(), 2);
    assert_success(&at(&["stores", "verify"], ""));
    assert_eq!(at(&["stores", "get", "totals", "c", "--topology", "counts.yaml"], "").status.code(), Some(1));
}

#[test]
fn a_broken_line_of_produce_is_named_with_what_was_written() {
    let directory = with_counts();
    let mut input = "{\"key\": \"a\", \"value\": 1}\n".repeat(502);
    input.push_str("{\"key\": \"a\", \"vale\": 1}\n");
    let arguments = ["produce", "orders", "--embedded", "data", "--topology", "counts.yaml"];
    let output = run(directory.path(), &arguments, &input);
    assert_eq!(output.status.code(), Some(1));
    for part in ["stdin:503: ", "500 records of stdin", "the 2 after those were not"] {
        assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
    }
}

#[test]
fn a_second_process_on_a_directory_is_told_so_and_a_reader_is_not_in_the_way() {
    let directory = with_counts();
    let arguments = ["run", "counts.yaml", "--embedded", "data"];
    let mut first = signalstream(directory.path()).args(arguments).stderr(Stdio::null()).spawn().unwrap();
    let topics = || run(directory.path(), &["topics", "--embedded", "data"], "");
    while !stdout(&topics()).contains("totals") {
        thread::sleep(Duration::from_millis(20));
    }
    let second = run(directory.path(), &arguments, "");
    let stopped = Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap();
    let status = first.wait().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("in use already"), "{}", stderr(&second));
    assert!(stopped.success() && status.success(), "a stop on SIGTERM is a success: {status}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = signalstream(directory.path());
    let mut child = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}
