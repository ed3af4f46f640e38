//! Who we are and what we may do: each refusal names what is missing.

use std::sync::Arc;
use std::time::Duration;

use super::super::super::contract::{create, record};
use super::super::super::{Log, LogError};
use super::super::{KafkaLog, KafkaSettings};
use super::harness::security::{PASSWORD, USER};
use super::harness::{Cluster, Options, Security};
use crate::record::TopicPartition;

fn log(cluster: &Cluster, password: &str) -> Arc<KafkaLog> {
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
    settings.request_timeout = Duration::from_secs(5);
    settings.properties.extend(cluster.client_settings());
    settings.properties.insert("sasl.password".to_owned(), password.to_owned());
    KafkaLog::open(settings).unwrap()
}

/// The error of something that is not allowed, which must name the permission.
fn denied<T>(outcome: Result<T, LogError>, permission: &str, resource: &str) {
    let error = outcome.err().expect("it must not be allowed");
    let text = error.to_string();
    assert!(matches!(error, LogError::Denied { .. }), "{text}");
    assert!(text.contains(permission) && text.contains(resource), "{text}");
}

#[test]
fn refusals_name_what_is_missing() {
    let cluster = Cluster::with(Options::brokers(1).security(Security::SaslPlaintext).access_control());
    let wrong = log(&cluster, "wrong-password").ping(Duration::from_secs(5)).unwrap_err();
    let text = wrong.to_string();
    assert!(matches!(wrong, LogError::Authentication(_)), "{text}");
    assert!(text.contains("check") && !text.contains("wrong-password"), "{text}");

    let log = log(&cluster, PASSWORD);
    denied(log.admin().create_topic("a", &super::super::super::TopicConfig::new(1)), "Create", "`a`");
    denied(log.transactional_producer("t"), "Write", "`t`");
    denied(log.consumer(Some("group")).unwrap().committed(&TopicPartition::new("a", 0)), "Read", "`group`");

    let user = format!("User:{USER}");
    cluster.grant(&user, &["Create", "Describe", "DescribeConfigs"], &["--topic", "a"]);
    cluster.grant(&user, &["Write", "Describe"], &["--transactional-id", "t"]);
    create(&*log, "a", 1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let written = producer.send(record("a", 0, "k", "v")).and_then(|()| producer.commit().map(drop));
    denied(written, "Write", "a");
    drop(producer);
    let mut consumer = log.consumer(None).unwrap();
    let partition = TopicPartition::new("a", 0);
    let read = consumer.assign(&partition, 0).and_then(|()| {
        super::super::super::contract::eventually("a refusal", || {
            consumer.poll(1, Duration::from_millis(50)).err().map(Err)
        })
    });
    denied::<()>(read, "Read", "`a`");
}
