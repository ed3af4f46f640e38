//! The plan that reads a writer's records is made once, however many records there are and however many threads read them.

use std::sync::Barrier;

use super::*;

const THREADS: usize = 8;
const RECORDS: u32 = 4_000;

/// Schemas as producers have had them one after the other.
fn writers() -> [(u32, &'static str, &'static [u8]); 4] {
    [
        (1, r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}"#, b"\x02x"),
        (
            2,
            r#"{"type": "record", "name": "Order", "fields": [
                {"name": "amount", "type": "int"}, {"name": "id", "type": "string"}]}"#,
            b"\x0e\x02x",
        ),
        (
            3,
            r#"{"type": "record", "name": "Order", "fields": [
                {"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"]}]}"#,
            b"\x02x\x00",
        ),
        // One that does not fit is found out once, too.
        (4, r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#, b"\x02"),
    ]
}

#[test]
fn a_plan_is_made_once_for_each_writer_and_reader_whichever_threads_read() {
    let server = Server::start();
    let questions = writers().map(|(id, ..)| format!("GET /schemas/ids/{id}"));
    for (question, (_, text, _)) in questions.iter().zip(writers()) {
        server.says(question, 200, schema(text));
        server.holds(question, true);
    }
    let remote = RemoteRegistry::open(settings(&[&server.url()]), Arc::new(SystemClock::new())).unwrap();
    let mut schemas = SchemaRegistry::beside(remote);
    schemas.add("Order.avsc", ORDER).unwrap();
    let serde = Serde::new(&Format::Avro("Order".to_owned()), &schemas).unwrap();
    let readers = [serde.deserializer(&Fields::All), serde.deserializer(&Fields::path(&["id"]))];

    let waiting = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            // As tasks have it: a copy of the reader in each, of which all share the plans.
            let (reader, waiting) = (readers[thread % readers.len()].clone(), &waiting);
            scope.spawn(move || {
                for (id, _, body) in writers() {
                    assert!(reader.deserialize(&framed(id, body)).unwrap_err().is_awaited());
                }
                waiting.wait();
                for number in 0..RECORDS {
                    let (id, _, body) = writers()[(number as usize + thread) % writers().len()];
                    let started = SystemClock::new();
                    let fits = loop {
                        match reader.deserialize(&framed(id, body)) {
                            Err(error) if error.is_awaited() => assert!(started.elapsed() < WITHIN, "{error}"),
                            read => break read.is_ok(),
                        }
                        pause(Duration::from_millis(1));
                    };
                    assert_eq!(fits, id != 4);
                }
            });
        }
        waiting.wait();
        questions.iter().for_each(|question| server.holds(question, false));
    });
    assert_eq!(questions.map(|question| server.count(&question)), [1; 4]);
    assert_eq!(readers.map(|reader| reader.compiled()), [4, 4]);
}
