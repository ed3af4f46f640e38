//! Settings from file, environment and command line, as a user meets them.

use std::fs;

use serde_json::Value as Json;

use super::{assert_success, run, signalstream, stderr, stdout, with_counts};

#[test]
fn print_config_shows_every_setting_with_its_origin_and_no_secret() {
    let directory = with_counts();
    let file = "\
threads: 2
commit_interval: 1s
state: {read_cache_bytes: 1MiB}
kafka:
  bootstrap.servers: localhost:9092
  sasl.password: ${env:BROKER_PASSWORD}
  ssl.key.password: ${file:key-password}
schema_registry: {url: 'https://host:8081/api?key=wow7', token: t0ken}
";
    fs::write(directory.path().join("settings.yaml"), file).unwrap();
    fs::write(directory.path().join("key-password"), "topsecret\n").unwrap();
    let mut command = signalstream(directory.path());
    command.args([
        "run",
        "counts.yaml",
        "--config",
        "settings.yaml",
        "--threads",
        "3",
        "--print-config",
        "--output",
        "json",
    ]);
    command.env("BROKER_PASSWORD", "hunter2").env("SIGNALSTREAM_COMMIT_INTERVAL", "2s");
    command.env("SIGNALSTREAM_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", "plain7");
    let output = command.output().unwrap();
    assert_success(&output);
    for secret in ["hunter2", "topsecret", "plain7", "wow7", "t0ken"] {
        assert!(!stdout(&output).contains(secret), "{}", stdout(&output));
    }
    let settings: Json = serde_json::from_str(stdout(&output)).unwrap();
    for (setting, value, origin) in [
        ("threads", "3", "--threads"),
        ("commit_interval", "2s", "SIGNALSTREAM_COMMIT_INTERVAL"),
        ("state.read_cache_bytes", "1MiB", "settings.yaml:3"),
        ("caching", "on", "default"),
        ("schema_registry.url", "https://host:8081/api", "settings.yaml:8"),
        ("kafka.sasl.password", "****** from ${env:BROKER_PASSWORD}", "settings.yaml:6"),
        ("kafka.ssl.key.password", "****** from ${file:key-password}", "settings.yaml:7"),
        ("kafka.sasl.oauthbearer.client.secret", "******", "SIGNALSTREAM_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"),
    ] {
        let found = settings.as_array().unwrap().iter().find(|one| one["setting"] == setting).unwrap();
        assert_eq!((&found["value"], &found["origin"]), (&Json::from(value), &Json::from(origin)), "{setting}");
    }
    let text = run(directory.path(), &["run", "counts.yaml", "--print-config"], "");
    assert!(stdout(&text).contains("max_poll_interval"), "{}", stdout(&text));
    for option in ["--registry=http://ann:hunter2@host:8081", "--set=schema_registry.url=http://hunter2@host"] {
        let refused = run(directory.path(), &["run", "counts.yaml", "--print-config", option], "");
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("has a user in it") && !stderr(&refused).contains("hunter2"), "{refused:?}");
    }
}

#[test]
fn what_cannot_be_is_said_with_its_place_and_what_would_be_right() {
    let directory = with_counts();
    fs::write(directory.path().join("bad.yaml"), "treads: 2\nkafka: {sasl.password: '${file:/no/such}'}\n").unwrap();
    let output = run(directory.path(), &["run", "counts.yaml", "--embedded", "d", "--config", "bad.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    for part in ["bad.yaml:1:1", "did you mean `threads`?", "bad.yaml:2:24", "/no/such cannot be read", "2 mistakes"] {
        assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
    }
    for (arguments, variable, said) in [
        (&["--set", "comit_interval=1s"][..], "X=1", "did you mean `commit_interval`?"),
        (&["--set", "commit_interval=soon"], "X=1", "`soon` is not a duration"),
        (&[], "SIGNALSTREAM_TREADS=2", "did you mean `SIGNALSTREAM_THREADS`?"),
        (&[], "SIGNALSTREAM_THREADS=lots", "SIGNALSTREAM_THREADS: expected a whole number"),
        (&["--config", "absent.yaml"], "X=1", "the configuration absent.yaml cannot be read"),
    ] {
        let mut command = signalstream(directory.path());
        let (name, value) = variable.split_once('=').unwrap();
        command.args(["run", "counts.yaml", "--embedded", "d"]).args(arguments).env(name, value);
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{said} in {}", stderr(&output));
    }
}

#[test]
fn a_stronger_place_decides_between_the_embedded_log_and_kafka() {
    let directory = with_counts();
    let topics = |variable: (&str, &str), arguments: &[&str]| {
        let mut command = signalstream(directory.path());
        command.args(["topics", "plan", "counts.yaml"]).args(arguments).env(variable.0, variable.1);
        command.output().unwrap()
    };
    let kafka = ("SIGNALSTREAM_KAFKA_BOOTSTRAP_SERVERS", "localhost:1");
    assert_success(&topics(kafka, &["--embedded", "d"]));
    fs::write(directory.path().join("s.yaml"), "embedded: d\n").unwrap();
    let output =
        topics(("SIGNALSTREAM_EMBEDDED", "d"), &["--set", "kafka.bootstrap.servers=localhost:1", "--embedded", "d"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("are both given"), "{}", stderr(&output));
}

#[test]
fn a_broker_that_is_not_there_is_waited_for_and_then_given_up() {
    let directory = with_counts();
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let arguments = ["run", "counts.yaml", "--bootstrap-servers", &address, "--startup-timeout", "3s"];
    let output = run(directory.path(), &arguments, "");
    assert_eq!(output.status.code(), Some(1));
    for part in [address.as_str(), "trying again for 3s", "check the address", "gave up after"] {
        assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
    }
}

#[test]
fn properties_that_the_engine_sets_or_that_do_not_exist_are_refused_with_their_place() {
    let directory = with_counts();
    for (property, said) in [
        ("kafka.isolation.level=x", "the engine sets it itself"),
        ("kafka.no.such.property=x", "no.such.property"),
        ("kafka.linger.ms=soon", "linger.ms"),
    ] {
        let arguments = ["topics", "--bootstrap-servers", "localhost:1", "--set", property];
        let output = run(directory.path(), &arguments, "");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        for part in [said, "--set kafka."] {
            assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
        }
    }
}

#[test]
fn the_schema_of_configurations_is_printed() {
    let directory = with_counts();
    let output = run(directory.path(), &["schema", "--config"], "");
    let schema: Json = serde_json::from_str(stdout(&output)).unwrap();
    assert!(schema["properties"]["state"]["properties"]["directory"]["description"].is_string());
    assert!(stdout(&run(directory.path(), &["schema", "--reference"], "")).contains("| `threads` |"));
}
