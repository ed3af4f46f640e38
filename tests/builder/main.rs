//! A topology built in Rust is the same as the one in YAML: of each verb both forms are planned, compared and driven.

mod aggregates;
mod application;
mod harness;
mod joins;
mod process;
mod stateless;
mod tables;
mod types;
