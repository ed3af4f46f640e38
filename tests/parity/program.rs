//! The program as a process: `signalstream`, or for scenarios with processors this test binary in its place.

use std::process::{Command, ExitCode};

use crate::scenarios::Scenario;

/// Where the arguments stand, for this test binary.
const ARGUMENTS: &str = "PARITY_ARGUMENTS";
/// Between two of them.
const SEPARATOR: &str = "\u{1f}";

/// A command of `signalstream`, of a program that knows the processors of the scenario.
pub(crate) fn signalstream(scenario: &Scenario, arguments: &[&str]) -> Command {
    if !scenario.yaml.contains("processor: ") {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalstream"));
        command.args(arguments);
        return command;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "program::with_processors", "--ignored", "--nocapture"]);
    command.env(ARGUMENTS, arguments.join(SEPARATOR));
    command
}

/// What of a line of standard output the program wrote; the test harness has lines of its own, and begins some.
pub(crate) fn printed(line: &str) -> Option<&str> {
    line.find('{').map(|at| &line[at..])
}

#[test]
#[ignore = "the program itself, for tests that start it"]
fn with_processors() -> ExitCode {
    let arguments = std::env::var(ARGUMENTS).expect("a test starts it, with its arguments");
    let arguments = std::iter::once("signalstream").chain(arguments.split(SEPARATOR));
    signalstream::cli::main_from(arguments, crate::processors::all())
}
