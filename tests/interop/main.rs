//! Records are exchanged with other people's serializers: Python's confluent-kafka and fastavro, and Apicurio's for Java, over
//! a real Kafka and a real registry. `cases.json` has the types and values.

#[path = "../kafka/harness/mod.rs"]
mod harness;
mod headers;
#[path = "../registry_state/small.rs"]
#[allow(dead_code, reason = "what it can do besides is for others")]
mod small;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::command::{Finished, run};
use harness::workspace::Workspace;
use harness::{Cluster, Registry, report};
use serde_json::Value as Json;

/// Longer than any command takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(300);
/// Who writes every value: confluent-kafka, fastavro, fastavro with the schema's id in a header, and Apicurio's serializer.
const WRITERS: [&str; 4] = ["confluent", "fastavro", "header", "apicurio"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

fn cases() -> Vec<Json> {
    serde_json::from_str(&fs::read_to_string(directory().join("cases.json")).unwrap()).unwrap()
}

/// The name under which a topology has the schema of a case: its own, if it has one.
fn schema_of(case: &Json) -> String {
    let record = || format!("R_{}", case["name"].as_str().unwrap());
    let name = case["type"]["name"].as_str().filter(|_| case["whole"] == true);
    name.map_or_else(record, str::to_owned)
}

/// Who writes the values of a case. Who does not is named in it with the version for which that holds.
fn writers(case: &Json) -> Vec<&'static str> {
    let pom = fs::read_to_string(directory().join("java/pom.xml")).unwrap();
    let apicurio = pom.split("<apicurio.version>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let left_out = |writer: &&str| case["not_by"].get(writer).map(|reason| reason.as_str().unwrap().to_owned());
    WRITERS
        .into_iter()
        .filter(|writer| {
            let reason = left_out(writer);
            assert!(reason.iter().all(|reason| *writer == "apicurio" && reason.starts_with(apicurio)), "{case}");
            reason.is_none()
        })
        .collect()
}

/// What a script of this directory prints, which fetches what is not there yet: the Python of the environment that has the
/// clients, or the class path of the Java ones.
fn fetched(script: &str) -> String {
    let output = Command::new("bash").arg(directory().join(script)).stdin(Stdio::null()).output();
    let output = output.expect("bash did not start");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the clients could not be fetched: {errors}`bash .ci/setup tests` says more.");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A topology that writes what each topic holds in three ways: as JSON, as Avro with the registry's ids, as Avro alone. The
/// schemas are those of the registry: there are no files.
fn topology() -> String {
    let (mut sources, mut sinks) = (String::new(), String::new());
    for case in cases() {
        let (name, schema) = (case["name"].as_str().unwrap(), schema_of(&case));
        sources += &format!("  {name}: {{topic: in-{name}, value: {{avro: {schema}}}}}\n");
        sinks += &format!("  - {{from: {name}, topic: json-{name}, value: json}}\n");
        sinks += &format!("  - {{from: {name}, topic: out-{name}, value: {{avro: {schema}}}}}\n");
        sinks += &format!("  - {{from: {name}, topic: raw-{name}, value: {{avro: {schema}, framing: none}}}}\n");
    }
    format!("topology: interop\ndefaults: {{key: string}}\nsources:\n{sources}sinks:\n{sinks}")
}

#[test]
fn records_are_exchanged_with_other_serializers_in_every_type() {
    let workspace = Workspace::new("interop");
    let (cluster, registry) = (Cluster::start(1), Registry::start());
    let (servers, url) = (cluster.bootstrap_servers(), registry.url());
    let (python, classes) = (fetched("fetch"), fetched("java/build"));
    let script = |name: &str| -> Finished {
        let mut command = Command::new(&python);
        // Nothing is written beside the scripts.
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(directory().join(name)).args([&servers, &url]);
        run(&mut command, None, workspace.path(), WITHIN)
    };
    let java = |what: &str| -> Finished {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", &classes, "interop.Interop"]);
        command.args([what, &servers, &registry.own_url()]).arg(directory().join("cases.json"));
        run(&mut command, None, workspace.path(), WITHIN)
    };
    script("write.py").succeeded();
    java("write").succeeded();

    fs::write(workspace.join("interop.yaml"), topology()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
    command.current_dir(workspace.path()).env_remove("RUST_LOG");
    command.args(["run", "interop.yaml", "--until-end", "--create-topics", "--bootstrap-servers", &servers]);
    run(command.args(["--registry", &url]), None, workspace.path(), WITHIN).succeeded();

    let mut values = 0;
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let expected = case.get("json").unwrap_or(&case["values"]).as_array().unwrap();
        let seen = cluster.kcat().read(&format!("json-{name}"));
        assert_eq!(seen.len(), writers(&case).len() * expected.len(), "{name}");
        for record in seen {
            let (_, number) = record.key_text().rsplit_once('-').unwrap();
            let value = &expected[number.parse::<usize>().unwrap()];
            let found = if case["whole"] == true { record.json() } else { record.json()["v"].clone() };
            assert_eq!(&found, value, "{name}, written by {}", record.key_text());
            values += 1;
        }
    }
    let python = script("read.py").succeeded().text();
    let java = java("read").succeeded().text();
    let (types, python, java) = (cases().len(), python.trim(), java.trim());
    report(&format!(
        "{values} values of {types} types were read; of what was written, for Python {python}, for Java {java}"
    ));
}
