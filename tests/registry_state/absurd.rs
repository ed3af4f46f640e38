//! Schemas and values that nobody should send: each such record is a dead letter with its reason, the next one goes on, and
//! what the process takes of memory has a bound.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};

use super::harness::command::{Finished, run};
use super::harness::process::Process;
use super::harness::registry::{copying_orders, framed};
use super::harness::workspace::{Workspace, tail};
use super::harness::{Registry, eventually, report};
use super::small::SmallRegistry;

/// Longer than everything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(240);
/// What the process may take more than one that reads good records only. The largest answer that is read has 16 MiB, the
/// largest schema 4 MiB; each is there a few times while it is looked at.
const MEMORY: u64 = 256 << 20;
/// How deep is deep.
const LEVELS: usize = 1_000;

/// A record, and what is said of it; `None`: it is read.
struct Case {
    id: u32,
    body: Vec<u8>,
    says: Option<&'static str>,
}

fn reader() -> Json {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": [
        { "name": "number", "type": "long" },
        { "name": "tags", "type": { "type": "array", "items": "string" }, "default": [] },
        { "name": "notes", "type": { "type": "map", "values": "string" }, "default": {} },
        { "name": "tree", "type": ["null", { "type": "record", "name": "Node", "fields": [
            { "name": "next", "type": ["null", "Node"] }] }], "default": null }
    ] })
}

/// A schema that writes a number, and what else.
fn with(fields: &str) -> String {
    format!(
        r#"{{"type": "record", "name": "Order", "namespace": "shop", "fields": [{{"name": "number", "type": "long"}}{fields}]}}"#
    )
}

fn with_field(kind: &str) -> String {
    with(&format!(r#", {{"name": "junk", "type": {kind}}}"#))
}

/// So many lists in each other.
fn lists(levels: usize) -> String {
    format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(levels), "}".repeat(levels))
}

fn zigzag(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// Values of the reader's own schema that are none.
fn bodies() -> Vec<(Vec<u8>, &'static str)> {
    let tags = |bytes: &[u8]| [&[2][..], bytes].concat();
    let notes = |bytes: &[u8]| [&[2, 0][..], bytes].concat();
    vec![
        (vec![], "number: the payload ends where 1 more bytes were expected"),
        (vec![2, 2, 10, b'x'], "tags[0]: 5 bytes announced but only 1 remain"),
        (vec![2, 0, 0, 0, 7, 7], "2 bytes are left over after the value"),
        (vec![0xff; 200_000], "number: an integer longer than 64 bits"),
        (tags(&zigzag(i64::MAX)), "tags: 9223372036854775807 items announced but only 0 bytes remain"),
        (tags(&zigzag(1 << 40)), "tags: 1099511627776 items announced but only 0 bytes remain"),
        (tags(&[zigzag(i64::MIN), vec![0]].concat()), "items announced but only 0 bytes remain"),
        (tags(&[zigzag(-1), zigzag(-5)].concat()), "tags: a length of -5 announced"),
        (tags(&[zigzag(-1), zigzag(i64::MAX)].concat()), "bytes announced but only 0 remain"),
        (
            tags(&[zigzag(-1), zigzag(1), vec![2, b'x', 0, 0, 0]].concat()),
            "a block of 1 bytes announced, but its items take 2",
        ),
        (tags(&[2, 1]), "tags[0]: a length of -1 announced"),
        (notes(&zigzag(i64::MAX)), "notes: 9223372036854775807 items announced but only 0 bytes remain"),
        ([vec![2, 0, 0], vec![2; 1_000_000], vec![0]].concat(), "nested more than 128 levels deep"),
    ]
}

/// A schema, a value of it, and what is said of that.
type Absurd = (String, Vec<u8>, Option<&'static str>);

/// Schemas that are no help.
fn schemas() -> Vec<Absurd> {
    let mut all = large();
    all.extend(endless());
    all.extend(odd());
    all
}

fn fields(count: usize) -> String {
    (0..count).map(|number| format!(r#",{{"name":"f{number}","type":"int"}}"#)).collect()
}

/// A schema within so many records.
fn within(levels: usize, inner: String) -> String {
    (0..levels).fold(inner, |inner, level| {
        format!(r#"{{"type":"record","name":"N{level}","fields":[{{"name":"n","type":{inner}}}]}}"#)
    })
}

fn large() -> Vec<Absurd> {
    let symbols: String = (0..300_000).map(|number| format!(r#","S{number}""#)).collect();
    let symbols = format!(r#"{{"type": "enum", "name": "E", "symbols": ["S"{symbols}]}}"#);
    let many = format!(r#"{{"type":"record","name":"M","fields":[{{"name":"n","type":"int"}}{}]}}"#, fields(60_000));
    let aliases: String = (0..20_000).map(|number| format!(r#","A{number}""#)).collect();
    let aliased = format!(
        r#"{{"type":"record","name":"M","aliases":["A"{aliases}],"fields":[{{"name":"n","type":"int"}}{}]}}"#,
        fields(10_000)
    );
    let documented = |bytes: usize| with(&format!(r#"], "doc": "{}", "more": ["#, "x".repeat(bytes)));
    let parts = Some("at most 1000000 are read");
    vec![
        (documented(3_900_000), vec![2], None),
        (documented(10_000_000), vec![2], Some("at most 4194304 are read")),
        (with(&fields(15_000)), [vec![2], vec![0; 15_000]].concat(), None),
        (with(&fields(30_000)), vec![2], Some("more than 20000 types")),
        (with(&fields(100_000)), vec![2], Some("100002 types and fields; at most 40000 are read")),
        (with_field(&within(30, many)), vec![2], Some("at most 40000 are read")),
        (with_field(&symbols), vec![2, 0], None),
        (with_field(&within(10, symbols)), vec![2], parts),
        (with_field(&aliased), vec![2], parts),
        (with_field(&format!(r#""{}""#, "x".repeat(3_000_000))), vec![2], Some("there is no type")),
        (
            with_field(&format!(r#"{{"type": "fixed", "name": "{}", "size": 1}}"#, "x".repeat(3_000_000))),
            vec![2],
            Some("is no name; it has 3000000 bytes, and a name may have 1024"),
        ),
    ]
}

fn endless() -> Vec<Absurd> {
    let doubled = |number: usize| {
        let before = number - 1;
        let fields = format!(r#"{{"name":"x","type":"shop.D{before}"}},{{"name":"y","type":"shop.D{before}"}}"#);
        format!(r#",{{"name":"a{number}","type":{{"type":"record","name":"D{number}","fields":[{fields}]}}}}"#)
    };
    let doubled: String = (1..=40).map(doubled).collect();
    let doubled = with(&format!(r#",{{"name":"a0","type":{{"type":"record","name":"D0","fields":[]}}}}{doubled}"#));
    vec![
        (with_field(&lists(40)), vec![2, 0], None),
        (with_field(&lists(100)), vec![2, 0], Some("nests more than 64 levels deep")),
        (with_field(&lists(LEVELS)), vec![2, 0], Some("recursion limit exceeded")),
        ("[".repeat(LEVELS * 1_000), vec![2], Some("recursion limit exceeded")),
        (with_field(r#""Order""#), vec![2], Some("contains itself wherever it is")),
        (with_field(r#"["null", "Order"]"#), vec![2, 0], None),
        (doubled, vec![2], Some("more than 20000 types")),
    ]
}

fn odd() -> Vec<Absurd> {
    let huge = r#"{"type": "fixed", "name": "F", "size": 9000000000000000000}"#;
    let list = |items: &str| with_field(&format!(r#"{{"type": "array", "items": {items}}}"#));
    let endless = [vec![2], zigzag(i64::MAX)].concat();
    vec![
        (with_field(huge), vec![2], Some("bytes were expected")),
        (list(huge), vec![2, 2], Some("items announced")),
        (list("\"null\""), endless.clone(), Some("items that take no bytes")),
        (list(r#"{"type": "array", "items": "null"}"#), endless, Some("items announced")),
        (with_field(r#"["int", "int"]"#), vec![2, 0, 0], Some("cannot be used")),
        ("{".to_owned(), vec![2], Some("not JSON")),
        (String::new(), vec![2], Some("not JSON")),
    ]
}

/// Registers a chain of so many schemas, each of which refers to the next, and returns what the first is referred to by.
fn chain(count: usize, name: &str, keep: &mut dyn FnMut(&str, &Json)) -> Json {
    let mut references = json!([]);
    for level in (0..count).rev() {
        let next = format!("{name}{}", level + 1);
        let field = if level + 1 == count { String::new() } else { format!(r#"{{"name": "next", "type": "{next}"}}"#) };
        let text = format!(r#"{{"type": "record", "name": "{name}{level}", "fields": [{field}]}}"#);
        keep(&format!("{name}{level}"), &json!({ "schema": text, "references": references }));
        references = json!([{ "name": format!("{name}{level}"), "subject": format!("{name}{level}"), "version": 1 }]);
    }
    references
}

/// A topology, the records that it gets, and what becomes of them.
struct Place(Workspace);

impl Place {
    fn new() -> Place {
        let place = Place(Workspace::new("absurd"));
        fs::create_dir(place.0.join("schemas")).unwrap();
        fs::write(place.0.join("schemas/Order.avsc"), reader().to_string()).unwrap();
        fs::write(place.0.join("absurd.yaml"), copying_orders("absurd", "")).unwrap();
        place
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.current_dir(self.0.path()).env_remove("RUST_LOG").args(arguments.split(' '));
        command
    }

    fn finish(&self, arguments: &str) -> Finished {
        run(&mut self.command(arguments), None, self.0.path(), WITHIN).succeeded()
    }

    /// Has these payloads processed, and returns the most memory that was taken, and how long it took.
    fn process(&self, payloads: &[Vec<u8>], data: &str, url: &str) -> (u64, Duration) {
        let line = |payload: &Vec<u8>| {
            let line = json!({ "topic": "orders", "key": "k", "value_base64": BASE64.encode(payload), "timestamp": 1 });
            format!("{line}\n")
        };
        fs::write(self.0.join("in.jsonl"), payloads.iter().map(line).collect::<String>()).unwrap();
        self.finish(&format!("produce orders --topology absurd.yaml --input in.jsonl --embedded {data}"));
        let mut command = self.command(&format!(
            "run absurd.yaml --until-end --embedded {data} --registry {url} --set schema_registry.miss_ttl=60s"
        ));
        let (log, started) = (self.0.join("run.log"), Instant::now());
        let mut process = Process::spawn_alone("run", &mut command, &log);
        let mut peak = 0;
        let status = eventually("the run ends", WITHIN, || {
            peak = peak.max(peak_memory(process.id()).unwrap_or_default());
            process.exited()
        });
        assert!(status.success(), "{status}: {}", tail(&log, 20));
        assert!(peak > 0, "how much memory the process took could not be read from /proc");
        assert!(!fs::read_to_string(&log).unwrap().contains("panicked"), "{}", tail(&log, 20));
        (peak, started.elapsed())
    }

    fn consume(&self, topic: &str, data: &str) -> Vec<Json> {
        let finished =
            self.finish(&format!("consume {topic} --topology absurd.yaml --from-beginning --embedded {data}"));
        finished.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Processes the cases, each before a good record, and compares what is said of them.
    fn check(&self, good: u32, cases: &[Case], url: &str) -> (u64, Duration) {
        let fine = |number: usize| framed(good, &[zigzag(number as i64), vec![0, 0, 0]].concat());
        let payloads = cases.iter().enumerate().flat_map(|(place, case)| [framed(case.id, &case.body), fine(place)]);
        let taken = self.process(&payloads.collect::<Vec<_>>(), "data", url);
        let numbers: Vec<Json> =
            self.consume("copies", "data").iter().map(|copy| copy["value"]["number"].clone()).collect();
        let expected = cases.iter().enumerate().flat_map(|(place, case)| {
            let read = case.says.is_none().then(|| json!(1));
            read.into_iter().chain([json!(place)])
        });
        let letters = self.consume("failed", "data");
        let said: Vec<String> = letters.iter().map(message).collect();
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "{said:#?}");
        let wanted: Vec<(usize, &str)> =
            cases.iter().enumerate().filter_map(|(place, case)| Some((place, case.says?))).collect();
        assert_eq!(said.len(), wanted.len(), "{said:#?}");
        for ((place, says), (letter, said)) in wanted.into_iter().zip(letters.iter().zip(&said)) {
            assert!(said.contains(says), "`{says}` is not in: {said}");
            assert!(said.len() < 2_000, "what is said has {} bytes", said.len());
            assert!(letter.to_string().contains(&format!("\"{}\"", 2 * place)), "{letter}");
        }
        taken
    }
}

fn message(letter: &Json) -> String {
    let headers = letter["headers"].to_string();
    let value = &letter["headers"]["__streams.errors.message"];
    value.as_str().map_or(headers, str::to_owned)
}

/// The most memory that a process has taken, in bytes; `None` once it has ended.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

#[test]
fn absurd_schemas_and_values_are_dead_letters_each_and_memory_is_bounded() {
    let registry = SmallRegistry::start(1);
    let good = registry.register("orders-value", &reader());
    let mut cases: Vec<Case> =
        bodies().into_iter().map(|(body, says)| Case { id: good, body, says: Some(says) }).collect();
    for (place, (schema, body, says)) in schemas().into_iter().enumerate() {
        // Half of them are there at the start, when what is known of a subject is fetched.
        let subject = if place % 2 == 0 { "orders-value".to_owned() } else { format!("other-{place}") };
        cases.push(Case { id: registry.keep(&subject, &json!({ "schema": schema })), body, says });
    }
    let mut keep = |subject: &str, schema: &Json| {
        registry.keep(subject, schema);
    };
    let chains =
        [(30, None), (100, Some("nests more than 64 levels deep")), (101, Some("more than 100 that one refers to"))];
    let mut tops = Vec::new();
    for (count, says) in chains {
        let name = format!("chain.C{count}x");
        let references = chain(count, &name, &mut keep);
        tops.push((json!({ "schema": with_field(&format!("\"{name}0\"")), "references": references }), says));
    }
    let reference = |name: &str| json!([{ "name": name, "subject": name, "version": 1 }]);
    for (one, other) in [("loop.A", "loop.B"), ("loop.B", "loop.A")] {
        let text =
            format!(r#"{{"type": "record", "name": "{one}", "fields": [{{"name": "other", "type": "{other}"}}]}}"#);
        keep(one, &json!({ "schema": text, "references": reference(other) }));
    }
    tops.push((
        json!({ "schema": with_field("\"loop.A\""), "references": reference("loop.A") }),
        Some("refers to itself"),
    ));
    let many: Vec<Json> = (0..90)
        .map(|number| json!({ "name": format!("L{number}"), "subject": format!("L{number}"), "version": 1 }))
        .collect();
    for number in 0..90 {
        let doc = "x".repeat(3_000_000);
        keep(
            &format!("L{number}"),
            &json!({ "schema": format!(r#"{{"type": "fixed", "name": "L{number}", "size": 1, "doc": "{doc}"}}"#) }),
        );
    }
    tops.push((json!({ "schema": with(""), "references": many }), Some("more than 4194304 bytes that one refers to")));
    tops.push((json!({ "schema": with(""), "more": "x".repeat(17 << 20) }), Some("has more than 16777216 bytes")));
    tops.push((json!({ "schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF" }), Some("only Avro can be read")));
    for (schema, says) in tops {
        cases.push(Case { id: registry.keep("orders-value", &schema), body: vec![2], says });
    }
    cases.push(Case { id: 4_000_000, body: vec![2], says: Some("schema id 4000000, which no known schema has") });

    let plain = SmallRegistry::start(1);
    let small = Place::new().check(plain.register("orders-value", &reader()), &[], &plain.url()).0;
    let (peak, took) = Place::new().check(good, &cases, &registry.url());
    report(&format!("{} absurd records: {} MB, without them {} MB, in {took:?}", cases.len(), peak >> 20, small >> 20));
    assert!(peak < small + MEMORY, "{} MB, without absurd schemas {} MB", peak >> 20, small >> 20);
}

#[test]
fn what_a_real_registry_takes_of_absurd_schemas_is_dead_letters_too() {
    let registry = Registry::start();
    let good = registry.register("orders-value", &reader());
    let mut taken = Vec::new();
    let mut cases = Vec::new();
    for (place, (schema, body, says)) in schemas().into_iter().enumerate() {
        // What is not JSON it takes for a schema of another language; over large ones it takes long.
        let path = format!("/subjects/absurd-{place}/versions");
        if says == Some("not JSON") || schema.len() > 2_000_000 {
            continue;
        }
        let Some((200, answer)) = registry.try_ask("POST", &path, Some(&json!({ "schema": schema }))) else { continue };
        taken.push(place);
        cases.push(Case { id: u32::try_from(answer["id"].as_u64().unwrap()).unwrap(), body, says });
    }
    let mut keep = |subject: &str, schema: &Json| {
        drop(registry.ask("POST", &format!("/subjects/{subject}/versions"), Some(schema)))
    };
    for (count, says) in [(20, None), (66, Some("nests more than 64 levels deep"))] {
        let name = format!("chain.C{count}x");
        let references = chain(count, &name, &mut keep);
        let top = json!({ "schema": with_field(&format!("\"{name}0\"")), "references": references });
        let answer = registry.ask("POST", &format!("/subjects/top-{count}/versions"), Some(&top));
        cases.push(Case { id: u32::try_from(answer["id"].as_u64().unwrap()).unwrap(), body: vec![2], says });
    }
    cases.push(Case { id: 4_000_000, body: vec![2], says: Some("schema id 4000000, which no known schema has") });
    let (peak, took) = Place::new().check(good, &cases, &registry.url());
    report(&format!("it takes {taken:?}; {} MB, in {took:?}", peak >> 20));
    assert!(taken.len() >= 10, "it takes {taken:?} only");
}
