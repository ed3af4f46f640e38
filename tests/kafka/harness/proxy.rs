//! A TCP proxy in front of a broker that breaks connections in the ways in which networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Each read of either side is passed on this much later.
    Delay(Duration),
    /// Connections stay open, and nothing passes until the fault is over; then it arrives.
    BlackHole,
    /// Requests reach the broker, its answers do not come back: nobody knows what was done.
    AnswersLost,
    /// New connections are closed at once. Those that are open stay.
    Refuse,
    /// Requests of this kind (`api_key` of Kafka's protocol) pass so many times; the next do not reach the broker, nor
    /// does what comes behind them on their connection, until the fault is over. Not for TLS.
    Withhold { request: i16, after: usize },
}

#[derive(Default)]
struct Counters {
    accepted: AtomicUsize,
    open: AtomicUsize,
    cut: AtomicUsize,
    to_broker: AtomicU64,
    to_client: AtomicU64,
    /// Of requests that are withheld after some: how many there were since the fault began.
    met: AtomicUsize,
}

struct Shared {
    fault: Mutex<Fault>,
    changed: Condvar,
    /// Both ends of each connection that is open.
    connections: Mutex<Vec<(u64, TcpStream, TcpStream)>>,
    counters: Counters,
    stopping: AtomicBool,
}

/// The proxy; it ends with its value.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens on a free loopback port, and passes everything on to another.
    pub(crate) fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", super::ports::free_port())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            changed: Condvar::new(),
            connections: Mutex::default(),
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, to, &accepting));
        Proxy { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on, for connections that are open and new ones.
    pub(crate) fn set(&self, fault: Fault) {
        let mut current = lock(&self.shared.fault);
        *current = fault;
        self.shared.counters.met.store(0, Ordering::SeqCst);
        drop(current);
        self.shared.changed.notify_all();
    }

    /// Closes all connections that are open, on both sides; returns how many.
    pub(crate) fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for (_, client, broker) in &connections {
            // An end that is gone already needs no closing.
            let _ignored = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
        }
        self.shared.counters.cut.fetch_add(connections.len(), Ordering::Relaxed);
        connections.len()
    }

    /// Closes the way from broker to client of all connections that are open; what clients send still arrives.
    pub(crate) fn half_close(&self) -> usize {
        let connections = lock(&self.shared.connections);
        for (_, client, _) in connections.iter() {
            let _ignored = client.shutdown(Shutdown::Write);
        }
        connections.len()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.counters.accepted.load(Ordering::Relaxed)
    }

    /// Connections at this moment.
    pub(crate) fn open(&self) -> usize {
        self.shared.counters.open.load(Ordering::Relaxed)
    }

    /// Connections that [`Proxy::cut`] has closed.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.counters.cut.load(Ordering::Relaxed)
    }

    /// How many requests of the kind of [`Fault::Withhold`] have come since it began, those that pass included.
    pub(crate) fn met(&self) -> usize {
        self.shared.counters.met.load(Ordering::SeqCst)
    }

    /// Bytes passed on: to the broker, and to clients.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let Counters { to_broker, to_client, .. } = &self.shared.counters;
        (to_broker.load(Ordering::Relaxed), to_client.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.set(Fault::None);
        self.cut();
        // Wakes the thread that accepts.
        let _ignored = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn accept(listener: &TcpListener, to: u16, shared: &Arc<Shared>) {
    for (number, accepted) in (0..).zip(listener.incoming()) {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = accepted else { continue };
        shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
        if *lock(&shared.fault) == Fault::Refuse {
            continue; // Dropped, and with that closed.
        }
        // A broker that is down: the client finds its connection closed.
        let Ok(broker) = TcpStream::connect(("127.0.0.1", to)) else { continue };
        connect(number, client, broker, shared);
    }
}

/// Passes bytes on between two ends, each way in a thread of its own.
fn connect(number: u64, client: TcpStream, broker: TcpStream, shared: &Arc<Shared>) {
    let (Ok(client_too), Ok(broker_too)) = (client.try_clone(), broker.try_clone()) else { return };
    let (Ok(kept_client), Ok(kept_broker)) = (client.try_clone(), broker.try_clone()) else { return };
    // Small requests and answers go out at once, as without a proxy.
    let _ignored = (client.set_nodelay(true), broker.set_nodelay(true));
    lock(&shared.connections).push((number, kept_client, kept_broker));
    shared.counters.open.fetch_add(1, Ordering::Relaxed);
    let there = Arc::clone(shared);
    let back = Arc::clone(shared);
    let from_client = std::thread::spawn(move || {
        pump(client, broker, &there, &there.counters.to_broker, false);
    });
    std::thread::spawn(move || {
        pump(broker_too, client_too, &back, &back.counters.to_client, true);
        let _ended = from_client.join();
        lock(&back.connections).retain(|(other, _, _)| *other != number);
        back.counters.open.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Passes bytes on, one way, until one end closes. `answers`: the way from the broker.
fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, count: &AtomicU64, answers: bool) {
    let mut buffer = vec![0; 64 << 10];
    let mut torn = false;
    let mut requests = Requests::default();
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let begun = if answers { Vec::new() } else { requests.begun(&buffer[..read]) };
        if await_passage(shared, answers, &begun) {
            torn = true;
            continue;
        }
        if torn {
            break; // What follows would be read as the end of an answer whose beginning is lost.
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        count.fetch_add(u64::try_from(read).unwrap(), Ordering::Relaxed);
    }
    // What closes on one side closes on the other, in this direction; the other direction ends by itself.
    let _ignored = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}

/// Waits until bytes may pass, with which these requests begin; true: they are lost.
fn await_passage(shared: &Shared, answers: bool, begun: &[i16]) -> bool {
    let fault = lock(&shared.fault);
    match *fault {
        Fault::None | Fault::Refuse => false,
        Fault::AnswersLost => answers,
        Fault::Delay(delay) => {
            drop(fault);
            std::thread::sleep(delay);
            false
        }
        Fault::Withhold { request, after } => {
            let many = begun.iter().filter(|kind| **kind == request).count();
            if many > 0 && shared.counters.met.fetch_add(many, Ordering::SeqCst) + many > after {
                let waiting = shared.changed.wait_while(fault, |fault| matches!(fault, Fault::Withhold { .. }));
                drop(waiting.unwrap_or_else(PoisonError::into_inner));
            }
            false
        }
        Fault::BlackHole => {
            let waiting = shared.changed.wait_while(fault, |fault| *fault == Fault::BlackHole);
            drop(waiting.unwrap_or_else(PoisonError::into_inner));
            false
        }
    }
}

/// Follows the requests of one connection: each is its length in four bytes, then what kind it is in two.
#[derive(Default)]
struct Requests {
    /// What of the head of the next request has come.
    head: Vec<u8>,
    /// How much of the one before is still to come.
    left: usize,
}

impl Requests {
    /// The kinds of those that begin with these bytes, which come next.
    fn begun(&mut self, mut bytes: &[u8]) -> Vec<i16> {
        let mut begun = Vec::new();
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (6 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let &[a, b, c, d, kind, of] = &self.head[..] {
                begun.push(i16::from_be_bytes([kind, of]));
                // Two of its bytes are here already. What is no request of Kafka's is followed to no end.
                self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap().saturating_sub(2);
                self.head.clear();
            }
        }
        begun
    }
}
