//! URLs that give no answer, or none that can be used, while others do.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const FIVE: &str = "GET /schemas/ids/5";

/// What stands in front of the records of id 5, which is an order with an amount of 1.
fn order() -> (Bytes, Json) {
    (framed(5, &[4, b'o', b'1', 2]), json!({ "id": "o1", "amount": 1 }))
}

/// Looks at a payload, while time goes by, until so many questions have come.
fn until_asked(reader: &Deserializer, payload: &Bytes, clock: &ManualClock, server: &Server, question: &str) {
    let (started, before) = (SystemClock::new(), server.count(question));
    while server.count(question) < before + 6 {
        assert!(started.elapsed() < WITHIN);
        let error = reader.deserialize(payload).unwrap_err();
        assert!(error.is_awaited(), "not all were heard: {error}");
        clock.advance(Duration::from_millis(500));
        pause(Duration::from_millis(5));
    }
}

#[test]
fn an_id_that_one_node_does_not_have_is_waited_for_while_another_is_down() {
    let (follower, leader) = (Server::start(), Server::start());
    follower.says(FIVE, 404, missing());
    let urls = [follower.url(), leader.url()];
    drop(leader);
    let clock = ManualClock::default();
    let settings = settings(&[&urls[0], &urls[1]]);
    let (remote, serde, _arrivals) = reader(settings, Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    let (payload, expected) = order();
    until_asked(&reader, &payload, &clock, &follower, FIVE);
    let problem = remote.waits()[0].problem.clone().unwrap_or_default();
    for part in [&urls[1], &format!("{}/ has no schema of id 5 (status 404", urls[0])] {
        assert!(problem.contains(part.as_str()), "{problem}");
    }
    follower.forget();
    follower.says(FIVE, 200, schema(ORDER));
    assert_eq!(shown(settled(&reader, &payload, &clock)), expected);
}

#[test]
fn an_id_that_one_node_does_not_have_is_waited_for_while_another_wants_to_be_left_alone() {
    let (follower, leader) = (Server::start(), Server::start());
    follower.says(FIVE, 404, missing());
    leader.says_once_with(FIVE, 503, "Retry-After: 1", json!({}));
    leader.says(FIVE, 200, schema(ORDER));
    let clock = ManualClock::default();
    let (_remote, serde, _arrivals) = reader(settings(&[&follower.url(), &leader.url()]), Arc::new(clock.clone()));
    let (payload, expected) = order();
    assert_eq!(shown(settled(&serde.deserializer(&Fields::All), &payload, &clock)), expected);
    assert_eq!(leader.count(FIVE), 2, "once while it was busy");
}

#[test]
fn a_reference_that_one_node_does_not_have_is_waited_for_while_another_is_down() {
    let (follower, leader) = (Server::start(), Server::start());
    let references = json!([{ "name": "shop.Money", "subject": "money", "version": 2 }]);
    follower.says(FIVE, 200, json!({ "schema": ORDER, "references": references }));
    let money = "GET /subjects/money/versions/2?deleted=true";
    follower.says(money, 404, missing());
    let urls = [follower.url(), leader.url()];
    drop(leader);
    let clock = ManualClock::default();
    let (_remote, serde, _arrivals) = reader(settings(&[&urls[1], &urls[0]]), Arc::new(clock.clone()));
    until_asked(&serde.deserializer(&Fields::All), &order().0, &clock, &follower, money);
}

#[test]
fn records_do_not_wait_for_a_reference_that_no_answer_can_bring() {
    let server = Server::start();
    let refer = |id: u32, subject: &str| {
        let references = json!([{ "name": "shop.Money", "subject": subject, "version": 2 }]);
        server.says(&format!("GET /schemas/ids/{id}"), 200, json!({ "schema": ORDER, "references": references }));
    };
    (6..).zip([".", "..", "", "large"]).for_each(|(id, subject)| refer(id, subject));
    let large = json!({ "id": 1, "version": 2, "schema": "x".repeat(17 << 20) });
    server.says("GET /subjects/large/versions/2?deleted=true", 200, large);
    let clock = ManualClock::default();
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    for (id, expected) in [
        (6, "the schema of id 6 refers to others: a subject cannot be named `.`"),
        (7, "a subject cannot be named `..`"),
        (8, "a subject cannot be named ``"),
        (9, "the schema of id 9 refers to others: the answer from"),
    ] {
        let error = settled(&reader, &framed(id, &[4, b'o', b'1', 2]), &clock).unwrap_err();
        assert!(error.class() == ErrorClass::Skip && error.to_string().contains(expected), "{error}");
    }
    // Nor does such a version keep those before it from being fetched ahead.
    server.says("GET /subjects/s/versions", 200, json!([1, 2]));
    let references = json!([{ "name": "shop.Money", "subject": "large", "version": 2 }]);
    let second = json!({ "id": 11, "version": 2, "schema": ORDER, "references": references });
    server.says("GET /subjects/s/versions/2", 200, second);
    server.says("GET /subjects/s/versions/1", 200, json!({ "id": 10, "version": 1, "schema": ORDER }));
    assert_eq!(remote.prefetch(&Subject::named("s")).unwrap(), 2);
}

#[test]
fn a_registry_that_is_busy_for_long_is_not_waited_for_and_the_reason_says_so() {
    let server = Server::start();
    server.says_with(FIVE, 503, "Retry-After: 3600", json!({}));
    let client = client(&server);
    let started = SystemClock::new();
    let error = client.by_id(5).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let expected = format!("the schema registry is busy: {}/ wants to be left alone for another 60s", server.url());
    assert!(error.class() == ErrorClass::Retry && error.to_string().starts_with(&expected), "{error}");
    assert_eq!(server.count(FIVE), 1);
}

#[test]
fn to_leave_a_registry_alone_for_a_moment_is_no_attempt() {
    let server = Server::start();
    server.says_once_with(FIVE, 429, "Retry-After: 1", json!({}));
    server.says(FIVE, 200, schema("\"int\""));
    let once = RegistrySettings { attempts: 1, ..settings(&[&server.url()]) };
    let client = RegistryClient::new(&once).unwrap();
    assert!(client.by_id(5).unwrap_err().to_string().contains("status 429"));
    assert_eq!(client.by_id(5).unwrap().schema, "\"int\"", "once it may be asked");
}

/// What becomes of a question to a server that says the beginning of an answer, and of how long that takes.
fn asked_of(then: impl FnOnce(&mut std::net::TcpStream) + Send + 'static, timeout: Duration) -> (String, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n").unwrap();
        then(&mut stream);
    });
    let started = SystemClock::new();
    let client = RegistryClient::new(&RegistrySettings { timeout, attempts: 1, ..settings(&[&url]) }).unwrap();
    let error = client.by_id(1).unwrap_err();
    let took = started.elapsed();
    drop(client);
    server.join().unwrap();
    (error.to_string(), took)
}

#[test]
fn the_end_of_an_answer_has_no_more_time_than_its_beginning_has_left() {
    // A piece shortly before the time is over, and nothing after it until the other side hangs up.
    let (error, took) = asked_of(
        |stream| {
            pause(Duration::from_millis(2_500));
            stream.write_all(b" ").unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
        },
        Duration::from_secs(3),
    );
    assert!(error.contains("the answer does not end"), "{error}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn an_answer_that_breaks_off_is_told_with_its_cause() {
    let (error, _) = asked_of(|stream| stream.write_all(b"{\"schema\":").unwrap(), Duration::from_secs(10));
    let (_, cause) = error.split_once("the answer broke off: ").unwrap_or_else(|| panic!("{error}"));
    assert!(cause.contains("end of file before message length reached"), "{error}");
}
