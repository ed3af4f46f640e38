//! The client against a server that says what a test tells it to, and records that wait for what it says.

mod answers;
mod plans;
mod server;
mod several;
mod tls;
mod unheard;

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use self::server::Server;
use super::*;
use crate::config::Secret;
use crate::error::{Classified, ErrorClass};
use crate::record::Fields;
use crate::serdes::{Deserializer, Format, SchemaRegistry, Serde, SerdeError};
use crate::time::{ManualClock, SystemClock, pause};

/// Longer than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);
const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"}, {"name": "amount", "type": "long", "default": 7}]}"#;

fn settings(urls: &[&str]) -> RegistrySettings {
    RegistrySettings { timeout: Duration::from_secs(10), ..RegistrySettings::new(&urls.join(",")) }
}

fn client(server: &Server) -> RegistryClient {
    RegistryClient::new(&settings(&[&server.url()])).unwrap()
}

fn schema(text: &str) -> Json {
    json!({ "schema": text })
}

fn missing() -> Json {
    json!({ "error_code": 40403, "message": "Schema not found" })
}

/// A payload as Confluent's serializers write it.
fn framed(id: u32, body: &[u8]) -> Bytes {
    [&[0][..], &id.to_be_bytes(), body].concat().into()
}

/// A registry, the reader of `Order` with it, and what is told when a schema has come.
fn reader(settings: RegistrySettings, clock: Arc<dyn Clock>) -> (Arc<RemoteRegistry>, Serde, impl Fn()) {
    let remote = RemoteRegistry::open(settings, clock).unwrap();
    let (arrived, arrival) = sync_channel(100);
    remote.wake(Arc::new(move || arrived.send(()).unwrap()));
    let mut schemas = SchemaRegistry::beside(remote.clone());
    schemas.add("Order.avsc", ORDER).unwrap();
    let serde = Serde::new(&Format::Avro("Order".to_owned()), &schemas).unwrap();
    (remote, serde, move || arrival.recv_timeout(WITHIN).unwrap())
}

/// Waits until `condition` gives something.
#[track_caller]
fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = SystemClock::new();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        pause(Duration::from_millis(5));
    }
}

/// What was read, unless that has to wait.
fn unless_awaited<T>(read: Result<T, SerdeError>) -> Option<Result<T, SerdeError>> {
    Some(read).filter(|read| !read.as_ref().is_err_and(SerdeError::is_awaited))
}

/// What comes of a payload once the registry has said all that it has to say, while time goes by.
fn settled(reader: &Deserializer, payload: &Bytes, clock: &ManualClock) -> Result<crate::record::Value, SerdeError> {
    eventually("the registry has said all", || {
        clock.advance(Duration::from_millis(5));
        unless_awaited(reader.deserialize(payload))
    })
}

fn shown(result: Result<crate::record::Value, SerdeError>) -> Json {
    crate::serdes::json::to_json(&result.unwrap())
}

#[test]
fn a_url_that_does_not_answer_is_followed_by_the_next_which_is_kept() {
    let (silent, server) = (Server::start(), Server::start());
    let url = silent.url();
    drop(silent);
    server.says("GET /schemas/ids/3", 200, schema("\"string\""));
    let client = RegistryClient::new(&settings(&[&url, &server.url()])).unwrap();
    for asked in 1..=2 {
        assert_eq!(client.by_id(3).unwrap(), SchemaText::avro("\"string\""));
        assert_eq!(server.count("GET /schemas/ids/3"), asked);
    }
}

#[test]
fn a_registry_that_is_busy_is_asked_again_and_one_that_stays_so_counts_as_away() {
    let server = Server::start();
    server.says_once("GET /schemas/ids/3", 503, json!({}));
    server.says_once("GET /schemas/ids/3", 429, json!({}));
    server.says("GET /schemas/ids/3", 200, schema("\"int\""));
    assert_eq!(client(&server).by_id(3).unwrap().schema, "\"int\"");
    server.says("GET /schemas/ids/4", 500, json!({ "error_code": 50001, "message": "the store is away" }));
    let error = client(&server).by_id(4).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry);
    assert!(error.to_string().contains("the store is away"), "{error}");
    assert_eq!(server.count("GET /schemas/ids/4"), 3);
}

#[test]
fn who_asks_says_who_he_is_and_is_told_when_he_is_refused() {
    let server = Server::start();
    server.says("GET /schemas/ids/1", 200, schema("\"int\""));
    for (authentication, header) in [
        (Authentication::None, None),
        (
            Authentication::Basic { username: "ann".to_owned(), password: Secret::new("hunter2") },
            Some("Basic YW5uOmh1bnRlcjI="),
        ),
        (Authentication::Bearer(Secret::new("t0ken")), Some("Bearer t0ken")),
    ] {
        let settings = RegistrySettings { authentication, ..settings(&[&server.url()]) };
        RegistryClient::new(&settings).unwrap().by_id(1).unwrap();
        assert_eq!(server.authorization().as_deref(), header);
        assert!(!format!("{settings:?}").contains("hunter2") && !format!("{settings:?}").contains("t0ken"));
    }
    server.says("GET /schemas/ids/2", 401, json!({}));
    let error = client(&server).by_id(2).unwrap_err();
    assert!(matches!(error, RegistryError::Refused { status: 401, .. }), "{error}");
}

#[test]
fn subjects_are_asked_for_by_names_of_any_characters() {
    let server = Server::start();
    let subject = Subject::named("a/b c-value");
    server.says("GET /subjects/a%2Fb%20c-value/versions", 200, json!([1, 2]));
    assert_eq!(client(&server).versions(&subject).unwrap(), [1, 2]);
    server.says("GET /subjects/none/versions/latest", 404, json!({ "error_code": 40401, "message": "no" }));
    assert_eq!(client(&server).latest(&Subject::named("none")).unwrap(), None);
    server.says("POST /subjects/s/versions", 409, json!({ "error_code": 409, "message": "field `x` has no default" }));
    let error = client(&server).register(&Subject::named("s"), &SchemaText::avro(ORDER)).unwrap_err();
    let expected = RegistryError::Incompatible { subject: "s".into(), message: "field `x` has no default".into() };
    assert_eq!(error, expected);
    let body = json!({ "is_compatible": false, "messages": ["x: no default", "y: gone"] });
    server.says("GET /config/s?defaultToGlobal=true", 200, json!({ "compatibilityLevel": "BACKWARD" }));
    server.says("POST /compatibility/subjects/s/versions/latest?verbose=true", 200, body);
    let said = client(&server).is_compatible(&Subject::named("s"), &SchemaText::avro(ORDER)).unwrap();
    assert_eq!(said, Err("x: no default; y: gone".to_owned()));
}

#[test]
fn what_answers_without_being_a_registry_is_no_word_on_what_there_is() {
    let server = Server::start();
    server.says("GET /schemas/ids/1", 404, json!({ "error": "no such page" }));
    server.says("GET /schemas/ids/2", 200, json!("hello"));
    server.says("GET /schemas/ids/3", 404, missing());
    for id in [1, 2] {
        let error = client(&server).by_id(id).unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{error}");
    }
    assert!(matches!(client(&server).by_id(3).unwrap_err(), RegistryError::Missing { .. }));
    server.says("GET /schemas/ids/4", 200, schema(&"x".repeat(17 << 20)));
    assert!(matches!(client(&server).by_id(4).unwrap_err(), RegistryError::TooLarge { .. }));
}

#[test]
fn a_record_waits_for_its_schema_and_is_then_read_without_asking_again() {
    let server = Server::start();
    server.says(
        "GET /schemas/ids/5",
        200,
        schema(
            r#"{"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"}]}"#,
        ),
    );
    let (remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let (whole, part) = (serde.deserializer(&Fields::All), serde.deserializer(&Fields::path(&["id"])));
    let payload = framed(5, &[4, b'o', b'1']);
    let error = whole.deserialize(&payload).unwrap_err();
    assert_eq!((error.is_awaited(), error.class()), (true, ErrorClass::Retry), "{error}");
    await_arrival();
    assert_eq!(shown(whole.deserialize(&payload)), json!({ "id": "o1", "amount": 7 }));
    // Another reader of it has a plan of its own, which it does not make itself.
    assert!(part.deserialize(&payload).unwrap_err().is_awaited() && remote.waits().is_empty());
    await_arrival();
    assert_eq!(shown(part.deserialize(&payload)), json!({ "id": "o1", "amount": null }));
    assert_eq!((server.count("GET /schemas/ids/5"), remote.waits()), (1, Vec::new()));
}

#[test]
fn a_registry_that_is_away_is_asked_until_it_answers_and_says_why_meanwhile() {
    let server = Server::start();
    server.says_once("GET /schemas/ids/5", 503, json!({}));
    server.says_once("GET /schemas/ids/5", 401, json!({}));
    server.says_once("GET /schemas/ids/5", 404, json!("a proxy"));
    server.says("GET /schemas/ids/5", 200, schema(ORDER));
    let clock = ManualClock::default();
    let (remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(5, &[4, b'o', b'1', 2]);
    // It is asked again when time goes on.
    for (asked, problem) in (1..).zip(["status 503", "status 401", "status 404"]) {
        let wait = eventually(problem, || {
            assert!(reader.deserialize(&payload).unwrap_err().is_awaited());
            let says_so = |wait: &SchemaWait| wait.problem.as_ref().is_some_and(|said| said.contains(problem));
            remote.waits().into_iter().find(says_so)
        });
        assert_eq!((wait.id.as_str(), server.count("GET /schemas/ids/5")), ("5", asked));
        clock.advance(Duration::from_secs(1));
    }
    await_arrival();
    assert_eq!(shown(reader.deserialize(&payload)), json!({ "id": "o1", "amount": 1 }));
}

#[test]
fn an_id_that_the_registry_does_not_have_is_the_records_fault_until_it_is_asked_for_again() {
    let server = Server::start();
    for _ in 0..3 {
        server.says_once("GET /schemas/ids/5", 404, missing());
    }
    server.says("GET /schemas/ids/5", 200, schema(ORDER));
    let clock = ManualClock::default();
    let (_remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(5, &[4, b'o', b'1', 2]);
    let error = settled(&reader, &payload, &clock).unwrap_err();
    await_arrival();
    assert_eq!(error.class(), ErrorClass::Skip);
    assert!(error.to_string().starts_with("it was written with schema id 5, which no known schema has"), "{error}");
    clock.advance(Duration::from_secs(31));
    assert!(reader.deserialize(&payload).unwrap_err().is_awaited(), "the id may be younger than the answer");
    await_arrival();
    assert_eq!(shown(reader.deserialize(&payload)), json!({ "id": "o1", "amount": 1 }));
}

#[test]
fn a_writer_that_does_not_fit_is_named_with_the_reader_and_the_field() {
    let server = Server::start();
    server.says(
        "GET /schemas/ids/5",
        200,
        schema(
            r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"}, {"name": "amount", "type": "string"}]}"#,
        ),
    );
    server.says("GET /schemas/ids/6", 200, json!({ "schema": "syntax = 3;", "schemaType": "PROTOBUF" }));
    server.says("GET /schemas/ids/7", 200, schema("{\"type\": \"nothing\"}"));
    let (_remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    for (id, expected) in [
        (5, "a payload written as Order (id 5) cannot be read as Order: amount: the writer has string"),
        (6, "it cannot be read as Order: the schema of id 6 is one of PROTOBUF; only Avro can be read"),
        (7, "it cannot be read as Order: the schema of id 7 cannot be used: there is no type `nothing`"),
    ] {
        let payload = framed(id, &[4, b'o', b'1', 2]);
        assert!(reader.deserialize(&payload).unwrap_err().is_awaited());
        await_arrival();
        let error = reader.deserialize(&payload).unwrap_err();
        assert!(error.class() == ErrorClass::Skip && error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn a_schema_comes_with_those_that_it_refers_to() {
    let server = Server::start();
    let money =
        r#"{"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "cents", "type": "long"}]}"#;
    let order = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"}, {"name": "price", "type": "shop.Money"}]}"#;
    server.says("GET /subjects/money/versions/2?deleted=true", 200, json!({ "id": 1, "version": 2, "schema": money }));
    let references = json!([{ "name": "shop.Money", "subject": "money", "version": 2 }]);
    server.says("GET /schemas/ids/5", 200, json!({ "schema": order, "references": references }));
    let (_remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(5, &[4, b'o', b'1', 2]);
    assert!(reader.deserialize(&payload).unwrap_err().is_awaited());
    await_arrival();
    assert_eq!(shown(reader.deserialize(&payload)), json!({ "id": "o1", "amount": 7 }));
}

#[test]
fn a_globally_unique_id_stands_in_a_header_or_in_front() {
    let server = Server::start();
    let guid: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
    server.says("GET /schemas/guids/01234567-89ab-cdef-0123-456789abcdef", 200, schema(ORDER));
    let (_remote, serde, await_arrival) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    let header = Bytes::from([&[1][..], &guid].concat());
    let body = Bytes::from_static(&[4, b'o', b'1', 2]);
    assert!(reader.deserialize_with(&body, Some(&header)).unwrap_err().is_awaited());
    await_arrival();
    let order = json!({ "id": "o1", "amount": 1 });
    assert_eq!(shown(reader.deserialize_with(&body, Some(&header))), order);
    assert_eq!(shown(reader.deserialize(&[&header[..], &body].concat().into())), order);
    assert!(reader.deserialize_with(&body, Some(&header.slice(..9))).is_err(), "a header that ends too early");
    // A key is written anew, so that it has the same bytes as one with an id in front.
    let (_, key) = reader.deserialize_key(&body, Some(&header)).unwrap();
    assert_eq!(serde.internal().deserializer(&Fields::All).deserialize_key(&key, None).unwrap().1, key);
}

#[test]
fn keys_are_written_anew_as_the_readers_schema_has_them() {
    let server = Server::start();
    server.says(
        "GET /schemas/ids/5",
        200,
        schema(
            r#"{"type": "record", "name": "Order", "fields": [
        {"name": "amount", "type": "int"}, {"name": "id", "type": "string"}]}"#,
        ),
    );
    let remote = RemoteRegistry::open(settings(&[&server.url()]), Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Order.avsc", ORDER).unwrap();
    schemas.assign("Order", 9);
    let serde = Serde::new(&Format::Avro("Order".to_owned()), &schemas).unwrap();
    let reader = serde.deserializer(&Fields::All);
    let own = framed(9, &[4, b'o', b'1', 2]);
    let inside = framed(schemas.id("Order").unwrap(), &own[5..]);
    assert_eq!(reader.deserialize_key(&own, None).unwrap().1, inside, "no id of the registry's");
    assert_eq!(serde.internal().deserializer(&Fields::All).deserialize_key(&inside, None).unwrap().1, inside);
    let others = framed(5, &[2, 4, b'o', b'1']);
    let read = eventually("the schema has come", || unless_awaited(reader.deserialize_key(&others, None)));
    assert_eq!(read.unwrap().1, inside);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (url, expected) in [
        ("", "names no URL"),
        ("localhost:8081", "expected a URL such as http://localhost:8081"),
        ("ftp://h/", "expected a URL"),
        ("http://ann:hunter2@h/", "it has a user in it"),
    ] {
        let error = RegistryClient::new(&settings(&[url])).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
    }
    let absent = RegistrySettings { ca_file: Some("/no/such.pem".into()), ..settings(&["https://h"]) };
    let error = RegistryClient::new(&absent).err().unwrap().to_string();
    assert!(error.contains("`schema_registry.ca_file`: /no/such.pem"), "{error}");
}
