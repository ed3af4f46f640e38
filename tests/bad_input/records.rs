//! Records that cannot be read or processed: dead letters with their reasons, or a stop that names them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};

use super::command::{NOTES, Place, framed, good};

/// A record that is not processed: what it is, its line, its error class, and what the reason says.
struct Bad {
    line: String,
    class: &'static str,
    reason: &'static str,
    /// Its bytes, where a test gave them.
    bytes: Option<String>,
}

fn payload(bytes: &[u8], reason: &'static str) -> Bad {
    let bytes = BASE64.encode(bytes);
    let line = json!({"topic": "notes", "key": "bad", "value_base64": bytes, "timestamp": 20});
    Bad { line: line.to_string(), class: "decode", reason, bytes: Some(bytes) }
}

fn line(line: Json, class: &'static str, reason: &'static str) -> Bad {
    Bad { line: line.to_string(), class, reason, bytes: None }
}

fn bad_records() -> Vec<Bad> {
    let note = |body: &[u8]| framed("Note", body);
    let value = json!({"text": "x", "mood": "good"});
    vec![
        payload(&note(b"\x0ahel"), "only 3 remain"),
        payload(&note(b""), "the payload ends where 1 more bytes were expected"),
        payload(b"", "the payload ends where"),
        payload(b"\x00\x00", "the payload ends where 3 more bytes were expected"),
        payload(
            b"{\"text\": \"json\"}",
            "expected the byte 0, or 1, that starts a payload with a schema id, found 123",
        ),
        payload(b"\x00\x00\x00\x00\x09\x02x\x00", "schema id 9, which no known schema has; add the writer's schema"),
        payload(&note(b"\x02x\x12"), "mood: enum"),
        payload(&framed("NewerNote", b"\x02x\x04"), "`mixed` is not a symbol of the reader's enum"),
        payload(&note(b"\x04\xff\xfe\x00"), "text: the text is not valid UTF-8"),
        payload(&note(b"\x80\x80\x80\x80\x80\x80\x80\x10x"), "bytes announced but only"),
        payload(&note(b"\x01"), "a length of -1 announced"),
        payload(&note(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "longer than 64 bits"),
        payload(&note(b"\x02x\x00rest"), "4 bytes are left over after the value"),
        line(json!({"topic": "notes", "key": "bad", "value": null, "timestamp": 20}), "process", "the value is null"),
        line(
            json!({"topic": "notes", "key": "bad", "value": value, "timestamp": -5}),
            "decode",
            "the timestamp -5 is negative; timestamps are milliseconds since 1970",
        ),
        line(
            json!({"topic": "notes", "key": "bad", "value": value, "timestamp": 9_999_999_999_999_999_i64}),
            "decode",
            "the latest that is accepted; is its unit milliseconds?",
        ),
    ]
}

/// Each bad record stands between two good ones.
fn input(bad: &[Bad]) -> String {
    let mut input = good("a", "first", 10);
    for (index, bad) in bad.iter().enumerate() {
        input.push_str(&bad.line);
        input.push('\n');
        input.push_str(&good("a", &format!("after {index}"), 30));
    }
    input
}

#[track_caller]
fn assert_nothing_is_lost(bad: &[Bad], copies: &[Json], dead: &[Json]) {
    let texts: Vec<&str> = copies.iter().map(|record| record["value"]["text"].as_str().unwrap()).collect();
    let mut expected = vec!["FIRST".to_owned()];
    expected.extend((0..bad.len()).map(|index| format!("AFTER {index}")));
    assert_eq!(texts, expected);
    assert_eq!(dead.len(), bad.len(), "{dead:#?}");
    for (index, (bad, record)) in bad.iter().zip(dead).enumerate() {
        let letter = &record["value"];
        let message = letter["error_message"].as_str().unwrap();
        assert!(message.contains(bad.reason), "`{}` is missing in: {message}", bad.reason);
        assert_eq!(letter["error_class"], bad.class, "{message}");
        assert_eq!(letter["original_topic"], "notes");
        assert_eq!(letter["original_offset"], json!(2 * index + 1), "{message}");
        if let Some(bytes) = &bad.bytes {
            assert_eq!(letter["value"], json!(bytes), "{message}");
        }
    }
}

fn of_topic(records: &[Json], topic: &str) -> Vec<Json> {
    records.iter().filter(|record| record["topic"] == topic).cloned().collect()
}

#[test]
fn drive_makes_dead_letters_of_bad_records_and_processes_the_good_ones() {
    let (place, bad) = (Place::new(), bad_records());
    let output = place.run_with("drive notes.yaml --cache off", input(&bad)).success();
    let records = output.lines();
    assert_nothing_is_lost(&bad, &of_topic(&records, "copies"), &of_topic(&records, "dead"));
    // The tombstone has no text to shout, but counts for nothing in the table.
    let totals = of_topic(&records, "totals");
    assert!(totals.iter().any(|record| record["key"] == "a" && record["value"]["n"] == json!(bad.len() + 1)));
}

#[test]
fn run_makes_dead_letters_of_bad_records_and_processes_the_good_ones() {
    let (place, bad) = (Place::new(), bad_records());
    let ran = place.produce_and_run("data", &input(&bad));
    assert!(ran.stderr.contains(&format!("{} dead letters", bad.len())), "{}", ran.stderr);
    assert_nothing_is_lost(&bad, &place.consume("data", "copies"), &place.consume("data", "dead"));
}

#[test]
fn a_null_key_is_processed_where_none_is_needed_and_counted_where_one_is() {
    let place = Place::new();
    let without = "{\"topic\": \"notes\", \"key\": null, \"value\": {\"text\": \"nobody\", \"mood\": \"bad\"}, \"timestamp\": 20}\n";
    let ran = place.produce_and_run("data", &format!("{}{without}{}", good("a", "one", 10), good("a", "two", 30)));
    let copies = place.consume("data", "copies");
    let texts: Vec<&Json> = copies.iter().map(|record| &record["value"]["text"]).collect();
    assert_eq!(texts, ["ONE", "NOBODY", "TWO"]);
    assert_eq!(copies[1]["key"], Json::Null);
    assert!(ran.stderr.contains("1 dropped (null"), "{}", ran.stderr);
    let totals = place.consume("data", "totals");
    assert_eq!(totals.last().unwrap()["value"], json!({"n": 2}));
}

#[test]
fn without_a_dead_letter_topic_a_bad_record_stops_the_run_and_nothing_is_passed_over() {
    let place = Place::new();
    let mending = NOTES.replace("value: {avro: Note}}\nstreams", "value: {avro: Note}, on_error: dlq}\nstreams");
    place.write("notes.yaml", NOTES.replace(", dlq: dead", ""));
    let bad = payload(&framed("Note", b"\x0ahel"), "only 3 remain");
    let input = input(std::slice::from_ref(&bad));
    place.run_with("produce notes --topology notes.yaml --embedded data", input).success();
    for _ in 0..2 {
        place.run("run notes.yaml --until-end --embedded data").fails(
            1,
            &[
                "notes-0 offset 1",
                "decode failed in `notes`",
                "only 3 remain",
                "Mend the topology or the record",
                "on_error",
            ],
        );
    }
    place.write("notes.yaml", mending.replace(", on_error: dlq", ""));
    place.run("run notes.yaml --until-end --embedded data").success();
    assert_nothing_is_lost(&[bad], &place.consume("data", "copies"), &place.consume("data", "dead"));
}

#[test]
fn a_line_that_does_not_fit_its_topic_ends_drive_and_produce_with_its_place() {
    let place = Place::new();
    let record =
        |value: &str| format!("{{\"topic\": \"notes\", \"key\": \"k\", \"value\": {value}, \"timestamp\": 5}}");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (record(r#"{"text": "x", "mood": "mixed"}"#).into(), r#"mood: expected one of good, bad, found "mixed""#),
        (record(r#"{"text": 5, "mood": "bad"}"#).into(), "text: expected a string, found"),
        (record(r#"{"mood": "bad"}"#).into(), "text"),
        (record(r#"{"text": "x", "mod": "bad"}"#).into(), "mod"),
        (record("[1]").into(), "expected"),
        (record("{\"text\": ").into(), "this is not JSON"),
        (b"{\"topic\": \"notes\", \"value\": nul}".to_vec(), "this is not JSON"),
        (b"{\"topic\": \"notes\", \"value\": \"\xff\"}".to_vec(), "not UTF-8 from its byte 30 on"),
        (br#"{"topic": "notes", "key": "k", "value_base64": "%%"}"#.to_vec(), "base64"),
        (br#"{"topic": "notes", "key": 5, "value": null}"#.to_vec(), "key"),
        (br#"{"topic": "notes", "partition": 10000000, "key": "k", "value": null}"#.to_vec(), "partition"),
        (br#"{"topic": "nots", "key": "k", "value": null}"#.to_vec(), "nots"),
        (br#"{"topic": "notes", "key": "k", "value": null, "timestamp": 1e99}"#.to_vec(), "expected i64"),
        (br#"{"topic": "notes", "key": "k", "value": null, "offst": 1}"#.to_vec(), "unknown field `offst`"),
    ];
    for (number, (bad, said)) in cases.iter().enumerate() {
        let input = [good("a", "first", 1).as_bytes(), bad, b"\n", good("a", "later", 9).as_bytes()].concat();
        place.write("in.jsonl", input);
        let driven = place.run("drive notes.yaml --input in.jsonl").fails(1, &["in.jsonl:2: ", said]);
        assert_eq!(of_topic(&driven.lines(), "copies").len(), 1, "what came before is shown");
        let data = format!("data{number}");
        let produce = format!("produce notes --topology notes.yaml --input in.jsonl --embedded {data}");
        place.run(&produce).fails(1, &["in.jsonl:2: ", said, "the 1 after those were not"]);
        assert_eq!(place.consume(&data, "notes").len(), 0, "a transaction is written whole or not at all");
    }
}
