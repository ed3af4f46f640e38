//! What a running process says over HTTP, asked by hand: no code is shared with its server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than an answer takes on a busy machine.
const ANSWER: Duration = Duration::from_secs(60);

/// Where a process serves metrics and health, as its log says; of several lives of it, the last. `None` as long as the line
/// is not there as a whole.
pub(crate) fn address(log: &str) -> Option<String> {
    let whole = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.filter_map(|line| line.strip_prefix("metrics and health on http://")).next_back().map(str::to_owned)
}

/// The status and the body of an answer.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
