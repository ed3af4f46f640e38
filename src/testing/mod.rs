//! A topology without a broker: the engine's own tasks and commits over a log in memory, one step at a time.
//!
//! [`TopologyDriver`] serves `signalstream drive`, `signalstream test` and tests in Rust. Everything happens in
//! the calling thread and the clock moves only when told to, so that the same input gives the same output,
//! byte for byte (invariant I7).

mod driver;
mod emitted;
mod json_lines;
mod output;
pub mod scenario;
mod typed;

pub use driver::{DriverError, DriverOptions, TopologyDriver};
pub use json_lines::{InputLine, InputRecord, LineError, parse_line};
pub use output::OutputRecord;
pub use typed::{TestDriverError, TopologyTestDriver};

#[cfg(test)]
mod tests {
    mod every;
    mod windows;
}
