//! A topology built in Rust is the same as the one in YAML: of each verb both forms are planned, compared and driven.

mod aggregates;
mod application;
mod calls;
mod coverage;
mod harness;
mod joins;
mod named;
mod personal_data;
mod process;
mod stateless;
mod tables;
mod topics;
mod types;
