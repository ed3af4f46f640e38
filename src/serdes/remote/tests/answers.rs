//! Answers of registries that lag, do not know a question, or are none.

use super::*;

/// What Jersey says of a path that it does not know, or of an id that is no number of its own.
fn no_such_path() -> Json {
    json!({ "error_code": 404, "message": "HTTP 404 Not Found" })
}

#[test]
fn an_id_that_no_registry_gives_is_not_asked_for() {
    let server = Server::start();
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    for id in [1 << 31, u32::MAX] {
        let error = reader.deserialize(&framed(id, b"")).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Skip, "{error}");
    }
    assert_eq!((server.requests(), remote.waits()), (0, Vec::new()));
}

#[test]
fn a_registry_that_does_not_know_the_question_has_no_such_schema() {
    let server = Server::start();
    let guid = "GET /schemas/guids/07070707-0707-0707-0707-070707070707";
    server.says(guid, 404, no_such_path());
    server.says("GET /schemas/ids/5", 404, no_such_path());
    server.says("GET /schemas/types", 200, json!(["JSON", "AVRO"]));
    let clock = ManualClock::default();
    let (_remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    for payload in [framed(5, b""), [&[1][..], &[7; 16]].concat().into()] {
        let error = settled(&reader, &payload, &clock).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Skip, "{error}");
    }
}

#[test]
fn a_path_that_leads_to_no_registry_says_nothing_of_ids() {
    let server = Server::start();
    server.says("GET /schemas/ids/5", 404, no_such_path());
    server.says("GET /schemas/types", 404, no_such_path());
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    let waits = eventually("it is asked four times", || {
        assert!(reader.deserialize(&framed(5, b"")).unwrap_err().is_awaited());
        (server.count("GET /schemas/ids/5") >= 4).then(|| remote.waits())
    });
    assert!(waits.len() == 1 && waits[0].problem.as_ref().unwrap().contains("404"), "{waits:?}");
}

#[test]
fn a_node_that_has_not_heard_of_a_schema_yet_loses_no_record() {
    let (lagging, leader) = (Server::start(), Server::start());
    lagging.says("GET /schemas/ids/5", 404, missing());
    leader.says("GET /schemas/ids/5", 200, schema(ORDER));
    let urls = [&*lagging.url(), &leader.url()];
    let (_remote, serde, _arrivals) = reader(settings(&urls), Arc::new(SystemClock::new()));
    let reader = serde.deserializer(&Fields::All);
    let clock = ManualClock::default();
    let order = settled(&reader, &framed(5, &[4, b'o', b'1', 2]), &clock);
    assert_eq!(shown(order), json!({ "id": "o1", "amount": 1 }));
}

#[test]
fn what_was_written_before_there_was_a_registry_is_asked_for_once() {
    let server = Server::start();
    let mut schemas = SchemaRegistry::new();
    schemas.add("Order.avsc", ORDER).unwrap();
    let id = schemas.id("Order").unwrap();
    let question = format!("GET /schemas/ids/{id}");
    server.says(&question, 404, missing());
    let clock = ManualClock::default();
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(id, &[4, b'o', b'1', 2]);
    assert_eq!(shown(settled(&reader, &payload, &clock)), json!({ "id": "o1", "amount": 1 }));
    let asked = server.count(&question);
    clock.advance(Duration::from_secs(3_600));
    assert!(reader.deserialize(&payload).is_ok(), "the registry may be away by now");
    assert_eq!((server.count(&question), remote.waits()), (asked, Vec::new()));
}

#[test]
fn a_reference_that_is_missing_may_come() {
    let server = Server::start();
    let order = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"}, {"name": "price", "type": "shop.Money"}]}"#;
    let references = json!([{ "name": "shop.Money", "subject": "money", "version": 2 }]);
    server.says("GET /schemas/ids/5", 200, json!({ "schema": order, "references": references }));
    let money =
        r#"{"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "cents", "type": "long"}]}"#;
    let question = "GET /subjects/money/versions/2?deleted=true";
    for _ in 0..3 {
        server.says_once(question, 404, missing());
    }
    server.says(question, 200, json!({ "id": 1, "version": 2, "schema": money }));
    let clock = ManualClock::default();
    let (_remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(5, &[4, b'o', b'1', 2]);
    let error = settled(&reader, &payload, &clock).unwrap_err();
    assert!(error.class() == ErrorClass::Skip && error.to_string().contains("refers to others"), "{error}");
    clock.advance(Duration::from_secs(31));
    assert_eq!(shown(settled(&reader, &payload, &clock)), json!({ "id": "o1", "amount": 7 }));
}

#[test]
fn what_answers_without_being_a_registry_is_followed_by_the_next_url() {
    let (page, closed, server) = (Server::start(), Server::start(), Server::start());
    page.says("GET /schemas/ids/3", 200, json!("under maintenance"));
    closed.says("GET /schemas/ids/3", 403, json!({}));
    server.says("GET /schemas/ids/3", 200, schema("\"string\""));
    let client = RegistryClient::new(&settings(&[&page.url(), &closed.url(), &server.url()])).unwrap();
    for asked in 1..=2 {
        assert_eq!(client.by_id(3).unwrap(), SchemaText::avro("\"string\""));
        assert_eq!((closed.count("GET /schemas/ids/3"), server.count("GET /schemas/ids/3")), (1, asked));
    }
}

#[test]
fn a_level_that_asks_for_all_versions_is_checked_against_all() {
    let (subject, text) = (Subject::named("s"), SchemaText::avro(ORDER));
    let server = Server::start();
    server.says(
        "POST /compatibility/subjects/s/versions?verbose=true",
        405,
        json!({ "error_code": 405, "message": "" }),
    );
    server.says("GET /config/s?defaultToGlobal=true", 200, json!({ "compatibilityLevel": "FULL_TRANSITIVE" }));
    server.says("GET /subjects/s/versions", 200, json!([1, 2]));
    let version = |number| format!("POST /compatibility/subjects/s/versions/{number}?verbose=true");
    server.says(&version(2), 200, json!({ "is_compatible": true }));
    server.says(&version(1), 200, json!({ "is_compatible": false, "messages": ["amount: gone"] }));
    assert_eq!(client(&server).is_compatible(&subject, &text).unwrap(), Err("amount: gone".to_owned()));
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    let server = Server::start();
    for (location, expected) in [
        ("https://ann:hunter2@elsewhere:8443/api?key=hunter2", "redirects to https://elsewhere:8443/api (status 302)"),
        ("/login?next=hunter2", &format!("redirects to {}/login (status 302)", server.url())),
    ] {
        server.says_with("GET /schemas/ids/3", 302, &format!("Location: {location}"), json!({}));
        let error = client(&server).by_id(3).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        server.forget();
    }
}

#[test]
fn what_may_be_secret_in_a_url_is_not_shown() {
    let server = Server::start();
    server.says("GET /schemas/ids/3?token=hunter2", 404, json!("no"));
    let client = RegistryClient::new(&settings(&[&format!("{}?token=hunter2", server.url())])).unwrap();
    let error = client.by_id(3).unwrap_err().to_string();
    assert!(error.contains("404") && !error.contains("hunter2"), "{error}");
}

#[test]
fn what_a_server_says_is_repeated_without_the_secrets_that_it_was_sent() {
    let server = Server::start();
    let said = "no route for Authorization: Bearer t0ken".to_owned() + &"x".repeat(10_000);
    server.says("GET /schemas/ids/1", 500, json!(said));
    server.says("GET /schemas/ids/2", 404, json!({ "error": said }));
    server.says("GET /schemas/ids/3", 404, json!({ "error_code": 40403, "message": said }));
    let authentication = Authentication::Bearer(Secret::new("t0ken"));
    let client =
        RegistryClient::new(&RegistrySettings { authentication, attempts: 1, ..settings(&[&server.url()]) }).unwrap();
    for id in 1..=3 {
        let error = client.by_id(id).unwrap_err().to_string();
        assert!(error.contains("no route for") && !error.contains("t0ken") && error.len() < 2_500, "{error}");
    }
}

#[test]
fn a_server_that_wants_to_be_left_alone_is_not_asked_meanwhile() {
    let (busy, server) = (Server::start(), Server::start());
    busy.says_with("GET /schemas/ids/3", 503, "Retry-After: 3600", json!({}));
    server.says("GET /schemas/ids/3", 200, schema("\"int\""));
    let both = RegistryClient::new(&settings(&[&busy.url(), &server.url()])).unwrap();
    assert_eq!(both.by_id(3).unwrap().schema, "\"int\"", "the next is asked at once");
    let alone = RegistryClient::new(&RegistrySettings { attempts: 1, ..settings(&[&busy.url()]) }).unwrap();
    let errors = [0; 2].map(|_| alone.by_id(3).unwrap_err().to_string());
    assert!(errors[0].contains("status 503"), "{errors:?}");
    // Nobody is left alone for an hour.
    assert!(errors[1].contains("wants to be left alone for another") && !errors[1].contains("3600"), "{errors:?}");
    assert_eq!(busy.count("GET /schemas/ids/3"), 2);

    server.says_once_with("GET /schemas/ids/4", 429, "Retry-After: 1", json!({}));
    server.says("GET /schemas/ids/4", 200, schema("\"long\""));
    let started = SystemClock::new();
    assert_eq!(client(&server).by_id(4).unwrap().schema, "\"long\"");
    assert!(started.elapsed() >= Duration::from_secs(1), "it was asked too early");
}

#[test]
fn what_is_deleted_counts_as_missing_and_what_is_no_schema_is_named() {
    let server = Server::start();
    let subject = Subject::named("s");
    for code in [40404, 40406] {
        server.says("GET /subjects/s/versions/latest", 404, json!({ "error_code": code, "message": "deleted" }));
        assert_eq!(client(&server).latest(&subject).unwrap(), None);
        server.forget();
    }
    let invalid = json!({ "error_code": 42201, "message": "Invalid schema: at most one default" });
    server.says("POST /subjects/s/versions", 422, invalid.clone());
    server.says("POST /subjects/s?normalize=true", 422, invalid.clone());
    server.says("GET /config/s?defaultToGlobal=true", 200, json!({ "compatibilityLevel": "FULL_TRANSITIVE" }));
    server.says("POST /compatibility/subjects/s/versions?verbose=true", 422, invalid);
    let (client, text) = (client(&server), SchemaText::avro(ORDER));
    for error in [client.register(&subject, &text).unwrap_err(), client.lookup(&subject, &text).unwrap_err()] {
        let expected =
            "the schema `Order` is not accepted by the schema registry, for `s`: Invalid schema: at most one default";
        assert!(error.class() == ErrorClass::Fatal && error.to_string().starts_with(expected), "{error}");
    }
    let said = client.is_compatible(&subject, &text).unwrap();
    assert_eq!(said, Err("Invalid schema: at most one default".to_owned()));
}

#[test]
fn a_subject_that_no_path_leads_to_is_refused() {
    let server = Server::start();
    for name in [".", ".."] {
        let error = client(&server).versions(&Subject::named(name)).unwrap_err().to_string();
        assert!(error.contains(&format!("a subject cannot be named `{name}`")), "{error}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn bytes_that_are_the_whole_value_have_no_length() {
    let server = Server::start();
    server.says("GET /schemas/ids/5", 200, schema("\"bytes\""));
    let remote = RemoteRegistry::open(settings(&[&server.url()]), Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Blob.avsc", "\"bytes\"").unwrap();
    schemas.assign("Blob", 9);
    let clock = ManualClock::default();
    let serde = Serde::new(&Format::Avro("Blob".to_owned()), &schemas).unwrap();
    let reader = serde.deserializer(&Fields::All);
    for id in [5, 9] {
        let value = settled(&reader, &framed(id, b"\x02ab"), &clock).unwrap();
        assert_eq!(value, crate::record::Value::Bytes(Bytes::from_static(b"\x02ab")));
        let written = serde.serializer(serde.shape()).unwrap().payload(&value, &mut Vec::new()).unwrap();
        assert_eq!(written, framed(9, b"\x02ab"));
    }
    for payload in [framed(9, b""), framed(5, b"")] {
        assert_eq!(settled(&reader, &payload, &clock).unwrap(), crate::record::Value::Bytes(Bytes::new()));
    }
    let raw = Serde::new(&Format::RawAvro("Blob".to_owned()), &schemas).unwrap().deserializer(&Fields::All);
    let value = raw.deserialize(&Bytes::from_static(b"\x04ab")).unwrap();
    assert_eq!(value, crate::record::Value::Bytes(Bytes::from_static(b"ab")));
}

#[test]
fn a_decimal_that_is_the_whole_value_has_no_length_either() {
    const MONEY: &str = r#"{"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}"#;
    let server = Server::start();
    server.says("GET /schemas/ids/5", 200, schema(MONEY));
    let remote = RemoteRegistry::open(settings(&[&server.url()]), Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Money.avsc", MONEY).unwrap();
    schemas.assign("Money", 9);
    let clock = ManualClock::default();
    let serde = Serde::new(&Format::Avro("Money".to_owned()), &schemas).unwrap();
    let (reader, writer) = (serde.deserializer(&Fields::All), serde.serializer(serde.shape()).unwrap());
    let raw = Serde::new(&Format::RawAvro("Money".to_owned()), &schemas).unwrap();
    // As Java has them: `BigDecimal.unscaledValue().toByteArray()`, by a schema whose type is `bytes`.
    let large = [&[2][..], &[0; 12]].concat();
    for (text, digits) in
        [("12.50", &b"\x04\xe2"[..]), ("-0.01", b"\xff"), ("1584563250285286751870879006.72", large.as_slice())]
    {
        for id in [5, 9] {
            let value = settled(&reader, &framed(id, digits), &clock).unwrap();
            let crate::record::Value::Decimal(decimal) = &value else { panic!("{value:?}") };
            assert_eq!(decimal.to_string(), text);
            assert_eq!(writer.payload(&value, &mut Vec::new()).unwrap(), framed(9, digits));
            let mut alone = Vec::new();
            raw.serializer(raw.shape()).unwrap().serialize(&value, &mut alone).unwrap();
            let length = u8::try_from(digits.len()).unwrap() * 2;
            assert_eq!(alone, [&[length][..], digits].concat(), "without an id it has its length");
        }
    }
}
