//! Values as large as any, and larger.

use std::fs;

use super::command::{NOTES, Place, good};

/// A value as large as the engine must bear, in bytes.
const LARGE: usize = 50_000_000;
/// What a run over one large value may take: its copies on the way from the input to two outputs, not more.
const MEMORY: u64 = 24 * LARGE as u64;

fn lines(text: &str) -> String {
    [good("a", "before", 1), good("b", text, 2), good("c", "after", 3)].concat()
}

#[test]
fn a_value_of_50_megabytes_goes_through_drive() {
    let place = Place::new();
    place.write("in.jsonl", lines(&"x".repeat(LARGE)));
    let driven = place.run("drive notes.yaml --input in.jsonl").success();
    let copies: Vec<&str> = driven.stdout.lines().filter(|line| line.starts_with("{\"topic\":\"copies\"")).collect();
    assert_eq!(copies.len(), 3);
    assert!(copies[1].len() > LARGE && copies[2].contains("AFTER"));
    assert!(driven.peak < MEMORY, "{} MB", driven.peak >> 20);
}

#[test]
fn a_value_of_50_megabytes_goes_through_the_log() {
    let place = Place::new();
    let ran = place.produce_and_run("data", &lines(&"x".repeat(LARGE)));
    assert!(ran.peak < MEMORY, "{} MB", ran.peak >> 20);
    let copies = place.run("consume copies --topology notes.yaml --from-beginning --embedded data").success();
    let lengths: Vec<usize> = copies.stdout.lines().map(str::len).collect();
    assert!(lengths.len() == 3 && lengths[1] > LARGE, "{lengths:?}");
    assert!(copies.peak < MEMORY, "{} MB", copies.peak >> 20);
}

#[test]
fn a_record_beyond_the_limit_is_refused_with_its_line_and_both_sizes() {
    let place = Place::new();
    place.write("in.jsonl", lines(&"x".repeat(70_000_000)));
    let said = ["in.jsonl:2: ", "a record of 70000", "the limit of 67108864 bytes; split it"];
    let driven = place.run("drive notes.yaml --input in.jsonl").fails(1, &said);
    assert!(driven.stdout.contains("BEFORE"));
    place.run("produce notes --topology notes.yaml --input in.jsonl --embedded data").fails(1, &said);
    assert_eq!(place.consume("data", "notes").len(), 0);
}

#[test]
fn a_result_beyond_the_limit_is_a_dead_letter_and_the_others_go_on() {
    let place = Place::new();
    place.write("notes.yaml", NOTES.replace("value.text.upperAscii()", "value.text + value.text"));
    let input = lines(&"x".repeat(40_000_000));
    place.run_with("produce notes --topology notes.yaml --embedded data", input).success();
    // Unless the topology says otherwise: what was processed and cannot be written is not left out in silence.
    let said = ["notes-0 offset 1", "has 80000011 bytes, the limit is 67108864", "`on_error: {produce: dlq}`"];
    place.run("run notes.yaml --until-end --embedded data").fails(1, &said);
    let doubling = fs::read_to_string(place.path("notes.yaml")).unwrap();
    place.write("notes.yaml", doubling.replace("dlq: dead", "dlq: dead, on_error: {produce: dlq}"));
    let ran = place.run("run notes.yaml --until-end --embedded data").success();
    assert!(ran.peak < MEMORY, "{} MB", ran.peak >> 20);
    let copies = place.consume("data", "copies");
    let texts: Vec<&str> = copies.iter().map(|record| record["value"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["beforebefore", "afterafter"]);
    let dead = place.consume("data", "dead");
    assert_eq!((dead.len(), &dead[0]["value"]["original_offset"]), (1, &serde_json::json!(1)));
    let message = dead[0]["value"]["error_message"].as_str().unwrap();
    assert!(message.contains("the limit is 67108864; hand on less of it"), "{message}");
}
