//! A real Kafka for tests: brokers that a test starts, stops, kills and pauses, a proxy that breaks their
//! connections, and witnesses that share no code with the engine (kcat, Kafka's own tools).
//!
//! A test binary includes it with `#[path = "kafka/harness/mod.rs"] mod harness;`. What is missing on the machine
//! fails the test with what to do; nothing is skipped. Everything started here ends with its owner, by its id, also
//! when a test panics or the test binary itself is killed (see [`reaper`]).
#![allow(dead_code, reason = "each test binary uses the part that it needs")]

pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod feed;
pub(crate) mod fetch;
pub(crate) mod group;
pub(crate) mod http;
pub(crate) mod instances;
pub(crate) mod kcat;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod reaper;
pub(crate) mod registry;
pub(crate) mod security;
pub(crate) mod settings;
pub(crate) mod workspace;

#[allow(unused_imports, reason = "each test binary uses the part that it needs")]
pub(crate) use {
    cluster::{Cluster, Options},
    feed::Feed,
    instances::Instance,
    kcat::{Isolation, Kcat, Seen},
    process::Process,
    proxy::{Fault, Proxy},
    registry::Registry,
    security::Security,
};

use std::time::{Duration, Instant};

/// Waits until `condition` gives something, and fails with `what` when it has not after `within`.
pub(crate) fn eventually<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says something that is seen also when the test passes, as `println!` is not.
pub(crate) fn report(text: &str) {
    use std::io::Write;
    let _ignored = writeln!(std::io::stderr(), "{text}");
}

/// A small generator of pseudo-random numbers (xorshift64*): a failure names its seed and can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 up to, without, `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % limit.max(1)
    }
}
