//! Free loopback ports for servers that cannot be handed a socket.

use std::collections::{HashSet, hash_map::RandomState};
use std::hash::BuildHasher;
use std::net::TcpListener;
use std::sync::Mutex;

/// A port on which nobody listens, given to nobody else in this process.
///
/// It lies below the range from which the system takes the ports of outgoing connections (32768 and up): a broker
/// that is down for a while would else find its port taken by a client's connection.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = given.get_or_insert_default();
    for attempt in 0_u32..1_000 {
        let random = RandomState::new().hash_one(attempt);
        let port = u16::try_from(10_000 + random % 20_000).unwrap();
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port between 10000 and 30000 in 1,000 attempts");
}
