//! signalstream: a stream-processing engine whose topologies are YAML files, or are built in Rust: see [`builder`].
//!
//! `docs/architecture.md` says how the modules stand on each other; `tests/tidy.rs` checks it.

pub mod agents;
pub mod builder;
pub mod cli;
pub mod config;
pub mod error;
pub mod expression;
pub mod http;
pub mod log;
pub mod metrics;
pub mod operators;
pub mod pii;
pub mod processor;
pub mod record;
pub mod runtime;
pub mod serdes;
pub mod sink;
pub mod source;
pub mod state;
pub mod task;
pub mod testing;
pub mod time;
pub mod topology;
pub mod window;
pub mod yaml;
