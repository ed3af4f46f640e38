//! A server that answers what it was told to, request by request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::Value as Json;

/// What is said to a request.
#[derive(Clone)]
struct Answer {
    status: u16,
    header: String,
    text: String,
    stays: bool,
}

#[derive(Default)]
struct Told {
    /// By request, what is said to it, once each; the last one stays.
    answers: BTreeMap<String, VecDeque<Answer>>,
    /// Requests that are answered later.
    held: BTreeSet<String>,
    requests: Vec<String>,
    authorization: Option<String>,
}

/// What a server was told, and what is signalled when that changes.
type Shared = (Mutex<Told>, Condvar);

/// It ends with its value.
pub(super) struct Server {
    port: u16,
    told: Arc<Shared>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, stopping) = (Arc::<Shared>::default(), Arc::new(AtomicBool::new(false)));
        let (telling, ending) = (told.clone(), stopping.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let telling = telling.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &telling));
            }
        });
        Server { port, told, stopping, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on, this is the answer to a request such as `GET /subjects`.
    pub(super) fn says(&self, request: &str, status: u16, body: Json) {
        self.tell(request, status, "", body.to_string(), true);
    }

    /// The same, with a header.
    pub(super) fn says_with(&self, request: &str, status: u16, header: &str, body: Json) {
        self.tell(request, status, header, body.to_string(), true);
    }

    /// Whether a request waits for its answer. All must be answered before the server ends.
    pub(super) fn holds(&self, request: &str, held: bool) {
        let mut told = self.told.0.lock().unwrap();
        if held {
            told.held.insert(request.to_owned())
        } else {
            told.held.remove(request)
        };
        self.told.1.notify_all();
    }

    /// The answer to one such request.
    pub(super) fn says_once(&self, request: &str, status: u16, body: Json) {
        self.tell(request, status, "", body.to_string(), false);
    }

    /// The same, with a header.
    pub(super) fn says_once_with(&self, request: &str, status: u16, header: &str, body: Json) {
        self.tell(request, status, header, body.to_string(), false);
    }

    /// Forgets what it was told to say.
    pub(super) fn forget(&self) {
        self.told.0.lock().unwrap().answers.clear();
    }

    fn tell(&self, request: &str, status: u16, header: &str, text: String, stays: bool) {
        let answer = Answer { status, header: header.to_owned(), text, stays };
        self.told.0.lock().unwrap().answers.entry(request.to_owned()).or_default().push_back(answer);
    }

    /// How often a request has come.
    pub(super) fn count(&self, request: &str) -> usize {
        self.told.0.lock().unwrap().requests.iter().filter(|seen| *seen == request).count()
    }

    /// How many requests have come.
    pub(super) fn requests(&self) -> usize {
        self.told.0.lock().unwrap().requests.len()
    }

    /// The header by which the last request said who asks.
    pub(super) fn authorization(&self) -> Option<String> {
        self.told.0.lock().unwrap().authorization.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes who accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Answers one request, then closes.
fn serve(mut stream: TcpStream, (told, changed): &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let request = line.rsplit_once(' ').unwrap().0.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let Answer { status, header, text, .. } = {
        let mut told = told.lock().unwrap();
        told.requests.push(request.clone());
        told.authorization = authorization;
        let mut told = changed.wait_while(told, |told| told.held.contains(&request)).unwrap();
        let answers = told.answers.get_mut(&request).unwrap_or_else(|| panic!("nothing is said to {request}"));
        let answer = answers.front().cloned().unwrap();
        if !answer.stays {
            answers.pop_front();
        }
        answer
    };
    let header = if header.is_empty() { header } else { header + "\r\n" };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{header}Connection: close\r\n\r\n", text.len());
    // Who has read enough hangs up.
    let _written = stream.write_all((head + &text).as_bytes());
}
