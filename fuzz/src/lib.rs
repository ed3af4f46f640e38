//! What is fuzzed: each target takes any bytes and panics when a promise is broken.
//!
//! Two things run them: `cargo fuzz`, which looks for bytes that lead to code not seen before, and `tests/fuzz.rs`, which
//! needs no other compiler and runs them for a moment with every `make test`.

pub mod avro_decode;
pub mod changelog_decode;
pub mod expression;
mod feed;
pub mod json_decode;
mod outcome;
mod schemas;
pub mod session_merge;
mod shapes;
pub mod topology_yaml;

/// A panic of a parser that is not ours is caught in its thread and reported as a mistake: it must not end the fuzzer as
/// every other panic does.
pub fn forgive_parsers() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if !thread.name().is_some_and(|name| ["expression-parser", "schema-parser"].contains(&name)) {
            others(panic);
        }
    }));
}

/// A target: takes any bytes, and gives a number that tells apart, roughly, what came of them.
pub type Target = fn(&[u8]) -> u64;

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("topology_yaml", topology_yaml::run),
    ("expression", expression::run),
    ("avro_decode", avro_decode::run),
    ("json_decode", json_decode::run),
    ("changelog_decode", changelog_decode::run),
    ("session_merge", session_merge::run),
];
