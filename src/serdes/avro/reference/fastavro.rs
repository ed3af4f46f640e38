//! Resolution against fastavro's, on pairs of random schemas, a hundred thousand values in all.
//!
//! One process of Python reads the values of one pair after the other. It gets the schemas without logical types, which
//! fastavro does not resolve: what is read with them is compared by what is under it. Where the two part, the case has a
//! name in [`known`]; nothing else may differ.

mod compare;
mod known;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value as Json, json};

use self::compare::Comparison;
use super::plain::rename_types;
use super::samples::{Kind, Random};
use super::{framed, schema, sent, serde_of};
use crate::record::{Fields, Value};
use crate::serdes::SerdeError;

/// Pairs of schemas.
const PAIRS: u64 = 6_300;
/// Values for each: the most that is handed over at once.
const VALUES: usize = 20;

/// What one of the two makes of a payload.
type Answer<T, E> = Result<T, E>;

/// A process of Python that reads values. It ends with its value.
struct Fastavro {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Fastavro {
    fn start() -> Fastavro {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let fetched = Command::new("bash").arg(directory.join("fetch")).stdin(Stdio::null()).output();
        let fetched = fetched.expect("bash did not start");
        let errors = String::from_utf8_lossy(&fetched.stderr);
        assert!(fetched.status.success(), "fastavro could not be fetched: {errors}`bash .ci/setup tests` says more.");
        let mut command = Command::new(String::from_utf8(fetched.stdout).unwrap().trim());
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(directory.join("resolve.py"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Fastavro { process, input, output }
    }

    /// What it reads of payloads. `prepared`: with values for the defaults of fields, and not their JSON.
    fn read(
        &mut self,
        writer: &Json,
        reader: &Json,
        payloads: &[Vec<u8>],
        prepared: bool,
    ) -> Vec<Answer<Json, String>> {
        let hexadecimal = |payload: &Vec<u8>| payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let values: Vec<String> = payloads.iter().map(hexadecimal).collect();
        let case = json!({ "writer": writer, "reader": reader, "values": values, "prepared": prepared });
        writeln!(self.input, "{case}").unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "Python has ended; what it said stands above");
        let answers: Vec<(String, Json)> = serde_json::from_str(&line).unwrap();
        assert_eq!(answers.len(), payloads.len());
        let answer = |(kind, value): (String, Json)| match kind.as_str() {
            "value" => Ok(value),
            _ => Err(value.as_str().unwrap_or_default().to_owned()),
        };
        answers.into_iter().map(answer).collect()
    }
}

impl Drop for Fastavro {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// What the engine reads of payloads.
fn read(writer: &Kind, schemas: (&Json, &Json), payloads: &[Vec<u8>]) -> Vec<Answer<Value, SerdeError>> {
    let (serde, frame) = serde_of(schemas.0, schemas.1);
    let deserializer = serde.deserializer(&Fields::All);
    payloads.iter().map(|payload| deserializer.deserialize(&framed(&frame, sent(writer, payload)))).collect()
}

/// A writer's schema, a reader's, and the latter's JSON, in which some types have another name.
struct Pair {
    writer: Kind,
    reader: Kind,
    json: Json,
}

impl Pair {
    fn random(random: &mut Random) -> Pair {
        let writer = Kind::random(random);
        let reader = writer.evolve(random);
        let mut json = reader.json();
        rename_types(&mut json, random);
        Pair { writer, reader, json }
    }

    /// The same without logical types.
    fn plain(&self) -> Pair {
        let (writer, reader, mut json) = (self.writer.plain(), self.reader.plain(), self.json.clone());
        forget_logical_types(&mut json);
        Pair { writer, reader, json }
    }

    fn read(&self, payloads: &[Vec<u8>]) -> Vec<Answer<Value, SerdeError>> {
        read(&self.writer, (&self.writer.json(), &self.json), payloads)
    }
}

fn forget_logical_types(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(forget_logical_types),
        Json::Object(object) => {
            ["logicalType", "precision", "scale"].iter().for_each(|key| drop(object.remove(*key)));
            object.values_mut().for_each(forget_logical_types);
        }
        _ => {}
    }
}

#[test]
fn resolution_agrees_with_fastavro_on_a_hundred_thousand_values() {
    let mut fastavro = Fastavro::start();
    let mut comparison = Comparison::default();
    let mut forbidden = 0;
    for seed in 0..PAIRS {
        let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
        let pair = Pair::random(&mut random);
        if !pair.writer.is_allowed() || !pair.reader.is_allowed() {
            forbidden += 1;
            continue;
        }
        let written = schema(&pair.writer);
        let payload = |_| apache_avro::to_avro_datum(&written, pair.writer.value(&mut random)).unwrap();
        let payloads: Vec<Vec<u8>> = (0..VALUES).map(payload).collect();
        let plain = pair.plain();
        let theirs = fastavro.read(&plain.writer.json(), &plain.json, &payloads, true);
        let ours = pair.read(&payloads);
        // What logical types alone keep apart, or join, is compared without them.
        let parted =
            |(ours, theirs): (&Answer<Value, SerdeError>, &Answer<Json, String>)| ours.is_ok() != theirs.is_ok();
        let without = ours.iter().zip(&theirs).any(parted).then(|| plain.read(&payloads));
        for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let found = match &without {
                Some(without) if parted((ours, theirs)) => {
                    if without[place].is_ok() != ours.is_ok() {
                        comparison.note(known::LOGICAL_TYPES);
                    }
                    comparison.compare(&without[place], theirs, &plain.reader)
                }
                _ => comparison.compare(ours, theirs, &pair.reader),
            };
            assert!(
                found,
                "{seed}: value {place} is read as {ours:?}, by fastavro as {theirs:?}\n{}\n{}",
                pair.writer.json(),
                pair.json
            );
        }
    }
    println!("{comparison}, {forbidden} pairs left out");
    assert!(comparison.alike >= 100_000, "{comparison}");
    assert!(forbidden < PAIRS / 4, "{forbidden} pairs are none that the specification allows");
    for (name, count) in &comparison.known {
        assert!(*count < comparison.alike / 20, "{name}: {count}");
    }
}
