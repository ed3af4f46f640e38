//! The interface over HTTP: metrics and health. Ingest, queries and push are not there yet.
//!
//! The applications' statuses are put on a [`Board`] about once a second; requests read what is there. So a request
//! costs the stream threads nothing, and is answered while a thread waits.

mod board;
mod publish;
mod server;

pub use board::{Board, Health};
pub use server::{Server, ServerError};
