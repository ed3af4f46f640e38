//! Wrong usage, and topologies, schemas and inputs that are not what they should be.

use super::command::{NOTES, Place, good};

#[test]
fn wrong_usage_has_exit_status_2_and_says_what_is_right() {
    let place = Place::new();
    for (arguments, said) in [
        ("validate --outptu json notes.yaml", "a similar argument exists: '--output'"),
        ("validat notes.yaml", "a similar subcommand exists: 'validate'"),
        ("validate", "Usage: signalstream validate"),
        ("drive", "<FILE>"),
        ("drive notes.yaml --cache maybe", "[possible values: on, off]"),
        ("run notes.yaml", "Give the directory of an embedded one with --embedded DIR"),
        ("run notes.yaml --embedded data --threads many", "--threads"),
        ("run notes.yaml --embedded data --commit-interval soon", "--commit-interval"),
        ("run notes.yaml --embedded data --commit-interval 0s", "such as 100ms"),
        ("run notes.yaml notes.yaml --embedded data", "an application id is for one topology"),
        ("consume copies", "--embedded DIR"),
        ("consume --embedded data", "<TOPIC>"),
        (
            "consume copies --embedded data --value-format xml",
            "expected string, long, double, bytes, json, avro:SCHEMA or raw-avro:SCHEMA",
        ),
        ("produce surprise --embedded data", "Give --value-format, or --topology"),
        ("stores --embedded data", "subcommands: list, get, scan, verify"),
        ("demo --messages -5", "--messages"),
    ] {
        let ended = place.run(arguments).fails(2, &[said]);
        assert!(ended.stdout.is_empty(), "{arguments}: {}", ended.stdout);
    }
    assert!(!place.path("data").exists(), "wrong usage leaves nothing behind");
}

#[test]
fn files_that_are_not_there_or_not_files_are_named_with_what_to_do() {
    let place = Place::new();
    place.run("topics apply notes.yaml --embedded data").success();
    place.write("file", "");
    let directory = "is a directory; name a file";
    for (arguments, said) in [
        ("validate absent.yaml", &["absent.yaml", "No such file", "check the path"][..]),
        ("validate schemas", &["schemas", directory]),
        ("run schemas --embedded data", &["the topology schemas cannot be read", directory]),
        ("run absent.yaml --embedded data", &["the topology absent.yaml cannot be read", "check the path"]),
        ("describe absent.yaml", &["absent.yaml", "check the path"]),
        ("test absent.test.yaml", &["absent.test.yaml", "No such file"]),
        ("test schemas", &["schemas holds no test", ".test.yaml"]),
        ("drive notes.yaml --input absent", &["absent cannot be read", "check the path"]),
        ("drive notes.yaml --input schemas", &["schemas cannot be read", directory]),
        ("produce notes --topology notes.yaml --embedded data --input schemas", &["schemas cannot be read", directory]),
        ("demo --input absent", &["absent cannot be read", "check the path"]),
        ("validate notes.yaml --schemas absent", &["the schemas in absent cannot be read", "check the path"]),
        ("validate notes.yaml --schemas file", &["the schemas in file cannot be read", "name a directory"]),
        ("run notes.yaml --embedded file", &["file/log", "a file is in the way: name a directory"]),
        ("topics --embedded file", &["file is a file; name the directory"]),
        ("topics --embedded absent", &["there is no log in absent", "signalstream topics apply"]),
        ("run notes.yaml --embedded schemas/Note.avsc/data", &["Not a directory", "name a directory"]),
        ("stores list --embedded absent", &["there is no state in absent", "signalstream run FILE"]),
        ("consume copys --embedded data", &["`copys` does not exist", "did you mean `copies`?"]),
        ("consume copies --partition 9 --embedded data", &["`copies` has 1 partitions"]),
    ] {
        place.run(arguments).fails(1, said);
    }
}

#[test]
fn an_unknown_store_or_task_is_answered_with_those_there_are() {
    let place = Place::new();
    place.produce_and_run("data", &good("a", "one", 1));
    let get = "--topology notes.yaml --embedded data";
    place.run(&format!("stores get totls a {get}")).fails(1, &["no store `totls`", "did you mean `totals`?"]);
    place.run(&format!("stores scan xyz {get}")).fails(1, &["no store `xyz`, but totals"]);
    place.run(&format!("stores get totals b {get}")).fails(1, &["`totals` holds nothing under b"]);
    place.run(&format!("stores list --application other {get}")).fails(1, &["no state of `other`, but of notes"]);
}

#[test]
fn topologies_that_are_not_text_as_it_should_be() {
    let place = Place::new();
    let latin = [NOTES.as_bytes(), b"# caf\xe9\n"].concat();
    let wide: Vec<u8> = NOTES.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let garbage: Vec<u8> = (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let control: Vec<u8> = garbage.iter().map(|byte| byte & 0x1f).collect();
    let huge = [NOTES.as_bytes(), "# and so on\n".repeat(100_000_000 / 12).as_bytes()].concat();
    let long = [NOTES.as_bytes(), "# and so on\n".repeat(1_200_000 / 12).as_bytes()].concat();
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (Vec::new(), &["bad.yaml:1:1", "the file is empty", "start with `topology: NAME`"]),
        (b"\n# nothing\n".to_vec(), &["bad.yaml:1:1", "the file is empty"]),
        (b"just words".to_vec(), &["bad.yaml:1:1", "expected"]),
        (NOTES.replace("  notes:", "\tnotes:").into(), &["bad.yaml:4:2", "tabs", "indent with spaces"]),
        (latin, &["bad.yaml", "line 15 is not UTF-8 from its byte 6 on; save the file as UTF-8"]),
        ([&b"\xff\xfe"[..], &wide].concat(), &["line 1 is not UTF-8 from its byte 1 on"]),
        (wide, &["bad.yaml:1:2", "unprintable character"]),
        (garbage, &["bad.yaml", "is not UTF-8"]),
        (control, &["bad.yaml:1:1", "is it the right file?"]),
        (long, &["bad.yaml:1:1", "a topology may have 1048576", "is it the right file?"]),
        (huge, &["bad.yaml", "longer than 16 MiB; is it the right file?"]),
        ("[".repeat(100_000).into(), &["bad.yaml:1:"]),
    ];
    for (text, said) in cases {
        place.write("bad.yaml", text);
        let ended = place.run("validate bad.yaml").fails(1, said);
        assert!(ended.stdout.len() < 4_000, "a message is for people: {} bytes", ended.stdout.len());
        place.run("run bad.yaml --embedded data").fails(1, said);
    }
    assert!(!place.path("data").exists(), "a topology with mistakes leaves nothing behind");
    // What is no end of a file is not read to its end.
    place.run("validate /dev/zero").fails(1, &["/dev/zero", "longer than 16 MiB"]);
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_fine() {
    let place = Place::new();
    for text in [format!("\u{feff}{NOTES}"), NOTES.replace('\n', "\r\n")] {
        place.write("notes.yaml", text);
        let driven = place.run_with("drive notes.yaml", good("a", "one", 1).replace('\n', "\r\n")).success();
        assert_eq!(driven.lines()[0]["value"]["text"], "ONE");
    }
}

#[test]
fn all_mistakes_of_a_topology_are_shown_at_once() {
    let place = Place::new();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/many-mistakes.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    place.write("twenty.yaml", text);
    let ended = place.run("validate twenty.yaml").fails(1, &["twenty.yaml:", "mistakes"]);
    let mistakes = ended.stdout.lines().filter(|line| line.starts_with("error: ")).count();
    assert!(mistakes >= 20, "{}", ended.stdout);
    let count = format!("twenty.yaml: {mistakes} mistakes");
    assert!(ended.stdout.contains(&count), "{}", ended.stdout);
    let run = place.run("run twenty.yaml --embedded data").fails(1, &[&count]);
    assert!(run.stdout.is_empty());
}

#[test]
fn schemas_that_do_not_parse_are_all_named_with_line_and_column() {
    let place = Place::new();
    place.write(
        "schemas/Typo.avsc",
        "{\"type\": \"record\", \"name\": \"Typo\",\n \"fields\": [{\"name\": \"x\", \"type\": \"strng\"}]}",
    );
    place.write("schemas/Comma.avsc", "{\"type\": \"record\"\n \"name\": \"Comma\"}");
    place.write("schemas/Empty.avsc", "");
    let said = [
        "schemas/Typo.avsc:2:",
        "there is no type `strng`; did you mean `string`?",
        "schemas/Comma.avsc:2:",
        "not JSON: expected `,` or `}`",
        "schemas/Empty.avsc:1:",
    ];
    for command in ["validate notes.yaml", "drive notes.yaml", "run notes.yaml --embedded data"] {
        place.run(command).fails(1, &said);
    }
    place.write("schemas/Typo.avsc", b"{\n\"\xff");
    place.run("validate notes.yaml").fails(1, &["schemas/Typo.avsc: line 2 is not UTF-8 from its byte 2 on"]);
    place.run("validate notes.yaml --schemas data").fails(1, &["the schemas in data cannot be read"]);
    std::fs::create_dir(place.path("none")).unwrap();
    let unknown = ["there is no schema `Note`", "notes.yaml:4:", "there is `AggregatedIntelligence`"];
    place.run("validate notes.yaml --schemas none").fails(1, &unknown);
    assert!(!place.path("data").exists());
}

#[test]
fn input_for_a_topic_that_is_not_read_is_refused_with_those_that_are() {
    let place = Place::new();
    let input = good("a", "one", 1).replace("\"notes\"", "\"copies\"");
    place.run_with("drive notes.yaml", input).fails(1, &["stdin:1: ", "does not read `copies`; it reads `notes`"]);
}

#[test]
fn the_demo_names_what_is_wrong_with_its_input() {
    let place = Place::new();
    for (line, said) in [("{broken", "this is not JSON"), ("{\"topic\": \"x\"}", "x"), ("\u{0}", "this is not JSON")] {
        place.run_with("demo --input -", format!("\n{line}\n")).fails(1, &["stdin:2: ", said]);
    }
}
