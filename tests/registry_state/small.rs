//! A schema registry of a few lines, with the ids that a test wants: what a real one gives, it gives in its own order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value as Json, json};

#[derive(Default)]
struct Kept {
    first: u32,
    /// The schemas as they are handed out, from the first id on.
    schemas: Vec<Json>,
    /// The ids of the versions of each subject.
    subjects: BTreeMap<String, Vec<u32>>,
    /// What was asked, and the header by which it was said who asks, each once.
    asked: BTreeSet<(String, Option<String>)>,
    /// Questions that it cannot answer: to who asks they are hang-ups, which are what a registry that is away gives.
    unknown: Vec<String>,
}

impl Kept {
    fn id(&mut self, schema: &Json) -> u32 {
        let known = self.schemas.iter().position(|known| known == schema).unwrap_or_else(|| {
            self.schemas.push(schema.clone());
            self.schemas.len() - 1
        });
        self.first + known as u32
    }

    fn schema(&self, id: u32) -> Option<&Json> {
        self.schemas.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    /// The id of a schema, which becomes a version of a subject.
    fn keep(&mut self, subject: &str, schema: &Json) -> u32 {
        let id = self.id(schema);
        let ids = self.subjects.entry(subject.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        id
    }

    /// What is said to a question; `None`: it is not known.
    fn answer(&mut self, method: &str, path: &str, body: &Json) -> Option<(u16, Json)> {
        let missing = (404, json!({ "error_code": 40403, "message": "there is none" }));
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        Some(match (method, &parts[..]) {
            ("GET", ["schemas", "ids", id]) => match id.parse().ok().and_then(|id| self.schema(id)) {
                Some(schema) => (200, schema.clone()),
                None => missing,
            },
            ("GET", ["schemas", "guids", guid]) => {
                let id = (self.first..).take(self.schemas.len()).find(|id| self::guid(*id) == *guid);
                id.and_then(|id| self.schema(id)).map_or(missing, |schema| (200, schema.clone()))
            }
            ("GET", ["subjects", subject, "versions"]) => match self.subjects.get(*subject) {
                Some(ids) => (200, (1..=ids.len()).collect()),
                None => missing,
            },
            ("GET", ["subjects", subject, "versions", version]) => {
                let ids = self.subjects.get(*subject).cloned().unwrap_or_default();
                let version = if *version == "latest" { ids.len() } else { version.parse().ok()? };
                let id = version.checked_sub(1).and_then(|index| ids.get(index)).copied();
                match id.and_then(|id| Some((id, self.schema(id)?.clone()))) {
                    Some((id, mut schema)) => {
                        schema["id"] = id.into();
                        schema["version"] = version.into();
                        (200, schema)
                    }
                    None => missing,
                }
            }
            ("POST", ["subjects", subject]) => {
                let ids = self.subjects.get(*subject).cloned().unwrap_or_default();
                let known = ids.into_iter().find(|id| self.schema(*id) == Some(body));
                known.map_or(missing, |id| (200, json!({ "id": id })))
            }
            ("POST", ["subjects", subject, "versions"]) => {
                let id = self.keep(subject, body);
                (200, json!({ "id": id, "guid": guid(id) }))
            }
            // Which schemas a topic was given by hand: none.
            ("GET", ["associations", ..]) => missing,
            _ => return None,
        })
    }
}

/// The globally unique id of a schema, as Confluent's registry gives it beside the number from version 8 on.
pub(crate) fn guid(id: u32) -> String {
    format!("5eed0000-0000-4000-8000-{id:012x}")
}

/// It ends with its value.
pub(crate) struct SmallRegistry {
    port: u16,
    kept: Arc<Mutex<Kept>>,
    away: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SmallRegistry {
    /// One whose ids begin with `first`.
    pub(crate) fn start(first: u32) -> SmallRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(Kept { first, ..Kept::default() }));
        let (away, stopping) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (keeping, is_away, ending) = (kept.clone(), away.clone(), stopping.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                let (keeping, is_away) = (keeping.clone(), is_away.clone());
                std::thread::spawn(move || serve(stream, &keeping, &is_away));
            }
        });
        SmallRegistry { port, kept, away, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it hangs up on whoever asks what an id stands for.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Registers a schema, and returns its id.
    pub(crate) fn register(&self, subject: &str, schema: &Json) -> u32 {
        self.keep(subject, &json!({ "schema": schema.to_string() }))
    }

    /// Keeps a schema as it is to be handed out, with those that it refers to, and returns its id.
    pub(crate) fn keep(&self, subject: &str, schema: &Json) -> u32 {
        self.kept.lock().unwrap().keep(subject, schema)
    }

    /// What was asked, each with the header by which it was said who asks.
    pub(crate) fn asked(&self) -> BTreeSet<(String, Option<String>)> {
        self.kept.lock().unwrap().asked.clone()
    }

    /// The subjects that have schemas.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.kept.lock().unwrap().subjects.keys().cloned().collect()
    }
}

impl Drop for SmallRegistry {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes who accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.take().unwrap().join().unwrap();
        let unknown = &self.kept.lock().unwrap_or_else(PoisonError::into_inner).unknown;
        let told = format!("the registry of the test does not know what it was asked: {unknown:?}");
        match unknown.is_empty() {
            true => {}
            false if std::thread::panicking() => drop(writeln!(stderr(), "{told}")),
            false => panic!("{told}"),
        }
    }
}

/// Answers one request, then closes.
fn serve(mut stream: TcpStream, kept: &Mutex<Kept>, away: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
    let words: Vec<&str> = line.split(' ').collect();
    let asks_for_schema = ["/schemas/ids/", "/schemas/guids/"].iter().any(|path| words[1].starts_with(path));
    let question = format!("{} {}", words[0], words[1]);
    let answered = {
        let mut kept = kept.lock().unwrap();
        kept.asked.insert((question.clone(), authorization));
        if asks_for_schema && away.load(Ordering::SeqCst) {
            return;
        }
        let answered = kept.answer(words[0], words[1], &body);
        if answered.is_none() {
            kept.unknown.push(question);
        }
        answered
    };
    let Some((status, answer)) = answered else { return };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    drop(stream.write_all((head + &answer).as_bytes()));
}
