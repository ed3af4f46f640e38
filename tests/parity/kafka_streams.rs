//! Sequences through Kafka Streams, in one JVM.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::scenarios::{Sequence, directory};

/// What comes out of each sequence. Compiles the module when its sources have changed.
pub(crate) fn run(sequences: &[Sequence]) -> Vec<Vec<Json>> {
    let built = Command::new("bash").arg(directory().join("build")).stdin(Stdio::null()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let class_path = String::from_utf8(built.stdout).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (input, output) = (scratch.path().join("sequences.jsonl"), scratch.path().join("outputs.jsonl"));
    let mut writer = BufWriter::new(File::create(&input).unwrap());
    for sequence in sequences {
        writeln!(writer, "{}", json!({"scenario": sequence.scenario, "lines": sequence.lines})).unwrap();
    }
    writer.into_inner().unwrap();
    let ran = Command::new("java")
        .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(format!("-Dparity.state={}", scratch.path().join("state").display()))
        .args(["-cp", class_path.trim(), "signalstream.parity.Main"])
        .args([&input, &output])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}", errors.chars().take(4_000).collect::<String>());
    let lines = BufReader::new(File::open(&output).unwrap()).lines();
    let outputs: Vec<Vec<Json>> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(outputs.len(), sequences.len());
    fs::remove_dir_all(scratch.path()).unwrap();
    outputs
}
