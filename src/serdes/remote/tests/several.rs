//! Several schemas that are waited for at once, several who wait, and servers that take their time.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Looks at a payload until it is read.
#[track_caller]
fn read(reader: &Deserializer, payload: &Bytes) -> Json {
    shown(eventually("the payload is read", || unless_awaited(reader.deserialize(payload))))
}

fn request(id: u32) -> String {
    format!("GET /schemas/ids/{id}")
}

#[test]
fn an_answer_that_does_not_come_holds_up_neither_others_nor_schemas_that_are_known() {
    let server = Server::start();
    server.says("GET /subjects/s/versions", 200, json!([1]));
    server.says("GET /subjects/s/versions/1", 200, json!({ "id": 9, "version": 1, "schema": ORDER }));
    (1..=5).for_each(|id| server.says(&request(id), 200, schema(ORDER)));
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    assert_eq!(remote.prefetch(&Subject::named("s")).unwrap(), 1);
    let reader = serde.deserializer(&Fields::All);
    let payload = |id| framed(id, &[4, b'o', b'1', 2]);
    let order = json!({ "id": "o1", "amount": 1 });

    for id in [1, 2] {
        server.holds(&request(id), true);
        assert!(reader.deserialize(&payload(id)).unwrap_err().is_awaited());
    }
    assert_eq!(read(&reader, &payload(3)), order, "while two are being asked for");
    server.holds(&request(4), true);
    assert!(reader.deserialize(&payload(4)).unwrap_err().is_awaited());
    eventually("three are being asked for", || {
        [1, 2, 4].iter().all(|id| server.count(&request(*id)) > 0).then_some(())
    });
    // As many as may be are being asked for: the next has to wait, what is known has not.
    assert!(reader.deserialize(&payload(5)).unwrap_err().is_awaited());
    assert_eq!(read(&reader, &payload(9)), order, "it is known since the start");
    assert_eq!(server.count(&request(5)), 0, "no more than three are asked at once");
    [1, 2, 4].iter().for_each(|id| assert!(reader.deserialize(&payload(*id)).unwrap_err().is_awaited()));
    assert_eq!(remote.waits().len(), 4);
    [1, 2, 4].iter().for_each(|id| server.holds(&request(*id), false));
    for id in [1, 2, 4, 5] {
        assert_eq!(read(&reader, &payload(id)), order);
    }
}

#[test]
fn each_application_waits_for_its_own_schemas() {
    let server = Server::start();
    server.says(&request(5), 200, schema(ORDER));
    server.holds(&request(5), true);
    let (remote, serde, _arrivals) = reader(settings(&[&server.url()]), Arc::new(SystemClock::new()));
    let other = remote.apart();
    let reader = serde.deserializer(&Fields::All);
    let payload = framed(5, &[4, b'o', b'1', 2]);
    assert!(reader.deserialize(&payload).unwrap_err().is_awaited());
    assert_eq!((remote.waits().len(), other.waits().len()), (1, 0));
    server.holds(&request(5), false);
    assert_eq!(read(&reader, &payload), json!({ "id": "o1", "amount": 1 }));
}

#[test]
fn every_url_is_asked_before_a_schema_counts_as_missing() {
    let servers = [Server::start(), Server::start(), Server::start(), Server::start()];
    for server in &servers {
        (1..=3).for_each(|id| server.says(&request(id), 404, missing()));
    }
    // Those of one are asked while another's are.
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let clock = ManualClock::default();
    let (_remote, serde, _arrivals) = reader(settings(&urls), Arc::new(clock.clone()));
    let reader = serde.deserializer(&Fields::All);
    for id in 1..=3 {
        assert!(reader.deserialize(&framed(id, b"")).unwrap_err().is_awaited());
    }
    for id in 1..=3 {
        let error = settled(&reader, &framed(id, b""), &clock).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Skip, "{error}");
        let counts: Vec<usize> = servers.iter().map(|server| server.count(&request(id))).collect();
        assert_eq!(counts, [1; 4], "id {id}");
    }
}

#[test]
fn a_registry_that_takes_questions_and_never_answers_is_away() {
    let server = Server::start();
    server.says(&request(1), 200, schema("\"int\""));
    server.holds(&request(1), true);
    let settings = RegistrySettings { timeout: Duration::from_millis(300), attempts: 2, ..settings(&[&server.url()]) };
    let error = RegistryClient::new(&settings).unwrap().by_id(1).unwrap_err();
    assert!(error.class() == ErrorClass::Retry && error.to_string().contains("no answer in time"), "{error}");
    // The server may take up a question later than who asked gave it up.
    eventually("both questions have come", || (server.count(&request(1)) >= 2).then_some(()));
    assert_eq!(server.count(&request(1)), 2);
    server.holds(&request(1), false);
}

#[test]
fn an_answer_has_to_come_as_a_whole_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1_024];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n").unwrap();
        // A byte now and then, until the other side hangs up.
        while stream.write_all(b" ").is_ok() {
            pause(Duration::from_millis(10));
        }
    });
    let settings = RegistrySettings { timeout: Duration::from_millis(300), attempts: 1, ..settings(&[&url]) };
    let client = RegistryClient::new(&settings).unwrap();
    let error = client.by_id(1).unwrap_err();
    assert!(error.class() == ErrorClass::Retry && error.to_string().contains("does not end"), "{error}");
    drop(client);
    server.join().unwrap();
}
