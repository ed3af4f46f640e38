//! Where settings come from, which of them holds, and what is said about those that cannot be.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Effective, ConfigError> {
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let flag = |(setting, value): &(&str, &str)| Flag {
        setting: (*setting).to_owned(),
        value: (*value).to_owned(),
        flag: "--set".to_owned(),
    };
    let flags: Vec<Flag> = flags.iter().map(flag).collect();
    let file = (!file.is_empty()).then_some(("s.yaml", file));
    Effective::load(&Sources { file, environment: &environment, flags: &flags })
}

#[track_caller]
fn problems(file: &str) -> String {
    match load(file, &[], &[]) {
        Ok(_) => panic!("{file} has no mistake"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_setting_that_would_stop_the_engine_is_named() {
    assert_eq!(Config::default().validate(), Ok(()));
    let broken = Config { queued_records: 0, ..Config::default() };
    assert!(broken.validate().unwrap_err().contains("`queued_records`"));
}

#[test]
fn every_default_is_a_value_that_can_be_written() {
    let defaults = Config::default();
    for setting in SETTINGS {
        let mut config = Config::default();
        setting.set(&mut config, &setting.value(&defaults)).unwrap();
        assert_eq!(config, defaults, "{}", setting.name());
        assert!(!setting.documentation().is_empty());
    }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "threads: 2\ncommit_interval: 1s\ncaching: off\nstate: {block_cache_bytes: 8MiB}\n";
    let environment = [("SIGNALSTREAM_THREADS", "3"), ("SIGNALSTREAM_COMMIT_INTERVAL", "2s"), ("OTHER", "x")];
    let effective = load(file, &environment, &[("threads", "4")]).unwrap();
    let config = &effective.config;
    assert_eq!((config.threads, config.commit_interval), (4, Duration::from_secs(2)));
    assert_eq!((config.caching, config.state_block_cache_bytes), (false, 8 << 20));
    assert_eq!(effective.origin("threads").to_string(), "--set");
    assert_eq!(effective.origin("commit_interval").to_string(), "SIGNALSTREAM_COMMIT_INTERVAL");
    assert_eq!(effective.origin("state.block_cache_bytes").to_string(), "s.yaml:4");
    assert_eq!(effective.origin("fetch_records"), &Origin::Default);
}

#[test]
fn properties_of_the_client_go_through_as_they_are() {
    let file = "kafka:\n  bootstrap.servers: 'a:1,b:2'\n  linger.ms: 5\n  enable.idempotence: true\n";
    let environment = [("SIGNALSTREAM_KAFKA_SASL_USERNAME", "ann"), ("SIGNALSTREAM_KAFKA_LINGER_MS", "7")];
    let effective = load(file, &environment, &[("kafka.linger.ms", "9")]).unwrap();
    let found: Vec<(&str, &str)> = effective.config.kafka.iter().collect();
    let expected = [
        ("bootstrap.servers", "a:1,b:2"),
        ("enable.idempotence", "true"),
        ("linger.ms", "9"),
        ("sasl.username", "ann"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_mistake_of_a_file_is_shown_with_its_place_and_the_nearest_name() {
    let text = problems(
        "thread: 2\ncommit_interval: soon\nstate: {blok_cache_bytes: 1}\nlinger.ms: 5\nblock_cache_bytes: 1MiB\nkafka: {a: [1]}\n",
    );
    for part in [
        "s.yaml:1:1",
        "did you mean `threads`?",
        "s.yaml:2:18",
        "`soon` is not a duration",
        "`state` has no setting `blok_cache_bytes`",
        "did you mean `block_cache_bytes`?",
        "properties of the Kafka client stand within `kafka:`",
        "write `block_cache_bytes` within `state:`",
        "the property `a` needs a value, found a list",
        "6 mistakes",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(problems("- a\n").contains("expected a mapping"));
    assert!(problems("threads: 0\n").contains("from 1 to 256"));
}

#[test]
fn a_variable_that_sets_nothing_but_is_near_one_that_does_is_refused() {
    let error = load("", &[("SIGNALSTREAM_COMIT_INTERVAL", "1s")], &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean `SIGNALSTREAM_COMMIT_INTERVAL`?"), "{error}");
    let error = load("", &[("SIGNALSTREAM_THREADS", "many")], &[]).unwrap_err().to_string();
    assert!(error.starts_with("SIGNALSTREAM_THREADS: expected a whole number"), "{error}");
    let services = [("SIGNALSTREAM_SERVICE_HOST", "10.0.0.1"), ("SIGNALSTREAM_PORT", "tcp://10.0.0.1:80")];
    assert_eq!(load("", &services, &[]).unwrap().config, Config::default());
    let error = load("", &[], &[("treads", "1")]).unwrap_err().to_string();
    assert!(error.contains("did you mean `threads`?"), "{error}");
}

#[test]
fn secrets_are_read_from_where_they_are_kept_and_never_shown() {
    let file = "kafka:\n  sasl.password: ${env:PASSWORD}\n  ssl.key.password: plain7\n  client.id: ${env:ID}\n";
    let environment = [("PASSWORD", "hunter2"), ("ID", "instance-4")];
    let effective = load(file, &environment, &[]).unwrap();
    assert_eq!(effective.config.kafka.get("sasl.password"), Some("hunter2"));
    let shown = format!("{effective:?} {:?}", effective.shown());
    for secret in ["hunter2", "plain7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let values: BTreeMap<String, String> =
        effective.shown().into_iter().map(|shown| (shown.name, shown.value)).collect();
    assert_eq!(values["kafka.sasl.password"], "****** from ${env:PASSWORD}");
    assert_eq!(values["kafka.ssl.key.password"], "******");
    assert_eq!(values["kafka.client.id"], "****** from ${env:ID}");
    assert_eq!(values["commit_interval"], "100ms");
}

#[test]
fn a_reference_that_leads_nowhere_or_to_a_wrong_value_is_told_without_the_value() {
    let text = problems("kafka:\n  sasl.password: ${file:/no/such/file}\n");
    assert!(text.contains("s.yaml:2:18") && text.contains("/no/such/file cannot be read"), "{text}");
    let error = load("threads: ${env:SECRET}\n", &[("SECRET", "hunter2")], &[]).unwrap_err().to_string();
    assert!(error.contains("what `${env:SECRET}` leads to") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_registrys_url_has_no_user_and_is_shown_without_its_query() {
    let url = "schema_registry:\n  url: https://a:8081/api?key=hunter2#x,http://b\n";
    let effective = load(url, &[], &[]).unwrap();
    assert_eq!(effective.config.schema_registry_url.as_deref(), Some("https://a:8081/api?key=hunter2#x,http://b"));
    let shown = effective.shown().into_iter().find(|shown| shown.name == "schema_registry.url").unwrap();
    assert_eq!(shown.value, "https://a:8081/api,http://b");
    for url in ["http://ann:hunter2@host:8081", "http://good,https://hunter2@host/path", "ann:hunter2@host"] {
        for error in [
            load("", &[], &[("schema_registry.url", url)]).unwrap_err().to_string(),
            load("", &[("SIGNALSTREAM_SCHEMA_REGISTRY_URL", url)], &[]).unwrap_err().to_string(),
        ] {
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
    assert!(load("", &[], &[("schema_registry.url", "http://host/path@3")]).is_ok());
    // Nor is what stands in the file, which is shown with a mistake.
    for file in [
        "schema_registry: {url: 'http://ann:hunter2@host'}\n",
        "schema_registry: {password: hunter2, attempts: many}\n",
        "schema_registry: {pasword: hunter2}\n",
    ] {
        let text = problems(file);
        assert!(text.contains("schema_registry: {") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_schema_and_the_reference_know_every_setting() {
    let (schema, reference) = (json_schema(), reference());
    for setting in SETTINGS {
        let (section, name) = setting.place();
        let properties = &schema["properties"];
        let property = match section {
            None => &properties[name],
            Some(section) => &properties[section]["properties"][name],
        };
        assert!(property["description"].is_string(), "{}", setting.name());
        assert!(reference.contains(&format!("| `{}` |", setting.name())), "{}", setting.name());
    }
}
