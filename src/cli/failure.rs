//! What is said when a command fails, and the exit status it leaves.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::topology::Diagnostics;

use super::output;

/// The command was asked for in a way that makes no sense: exit status 2.
#[derive(Debug)]
pub(super) struct Usage(String);

impl Usage {
    /// Says what is wrong and what to write instead.
    pub(super) fn error(message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Usage(message.into()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Writes an error to stderr and gives its exit status.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    let color = stderr.is_terminal() && output::color_is_wanted();
    // Nobody is left to tell when stderr itself fails.
    let _written = match error.chain().find_map(|cause| cause.downcast_ref::<Diagnostics>()) {
        Some(diagnostics) => write!(stderr, "{}", diagnostics.render(color)),
        None if color => writeln!(stderr, "\u{1b}[1;31merror:\u{1b}[0m {}", chain(error)),
        None => writeln!(stderr, "error: {}", chain(error)),
    };
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// The error and its causes in one line, without those that the error before them has quoted.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = io::Error::other("the disk is full");
        let error = anyhow::Error::new(cause).context("the log failed: the disk is full").context("produce");
        assert_eq!(chain(&error), "produce: the log failed: the disk is full");
    }
}
