//! What goes wrong is said with its place and its remedy. Needs no broker.

use std::net::TcpListener;
use std::time::Duration;

use super::super::super::{Log, LogError};
use super::super::{KafkaLog, KafkaSettings};
use crate::error::{Classified, ErrorClass};

/// A port on which nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn an_address_where_nobody_listens_is_named_with_what_to_check() {
    let address = nobody();
    let log = KafkaLog::open(KafkaSettings::new(address.as_str())).unwrap();
    let error = log.ping(Duration::from_secs(2)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&address) && text.contains("refused") && text.contains("--bootstrap-servers"), "{text}");
    assert_eq!(error.class(), ErrorClass::Retry);
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    let log = KafkaLog::open(KafkaSettings::new("no-such-host.invalid:9092")).unwrap();
    let text = log.ping(Duration::from_secs(5)).unwrap_err().to_string();
    assert!(text.contains("no-such-host.invalid") && text.contains("check the host's name"), "{text}");
}

#[test]
fn a_producer_gives_up_in_time_when_it_is_to_hurry() {
    let mut settings = KafkaSettings::new(nobody());
    settings.request_timeout = Duration::from_secs(300);
    let log = KafkaLog::open(settings).unwrap();
    log.hurry();
    let error = log.transactional_producer("t").err().unwrap();
    assert!(matches!(error, LogError::Unreachable { .. }), "{error}");
}

#[test]
fn a_wrong_setting_is_refused_before_anything_is_connected() {
    let mut settings = KafkaSettings::new("localhost:9092");
    settings.properties.insert("sasl.mechanisms".to_owned(), "NONE-SUCH".to_owned());
    settings.properties.insert("security.protocol".to_owned(), "sasl_plain".to_owned());
    let error = KafkaLog::open(settings).err().unwrap();
    assert!(matches!(error, LogError::Setting { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}
