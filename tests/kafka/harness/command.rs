//! Commands that end by themselves, with a bound on how long they may take.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::process::Process;
use super::workspace::tail;

/// What a command printed, in files, and how it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) output: PathBuf,
    pub(crate) errors: PathBuf,
    described: String,
}

impl Finished {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    /// Fails when the command did, with what it said.
    pub(crate) fn succeeded(self) -> Finished {
        assert!(
            self.status.success(),
            "{} ended with {}:\n{}\n{}",
            self.described,
            self.status,
            tail(&self.errors, 20),
            tail(&self.output, 20),
        );
        self
    }
}

/// Runs a command with its output in files of `directory`, and its input, if any, from a file. Fails when it takes
/// longer than `within`.
pub(crate) fn run(command: &mut Command, input: Option<&Path>, directory: &Path, within: Duration) -> Finished {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = Path::new(command.get_program()).file_name().unwrap().to_string_lossy().into_owned();
    let output = directory.join(format!("{number}-{name}.out"));
    let errors = directory.join(format!("{number}-{name}.err"));
    let described = described(command);

    command.stdin(input.map_or_else(Stdio::null, |path| Stdio::from(File::open(path).unwrap())));
    command.stdout(File::create(&output).unwrap());
    let mut process = Process::spawn_with_output(&described, command, &errors);
    let Some(status) = process.wait(within) else {
        process.kill();
        panic!("{described} did not end within {within:?}:\n{}", tail(&errors, 20));
    };
    Finished { status, output, errors, described }
}

/// The command line, shortened: class paths and format strings are long.
fn described(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| {
        let text = argument.to_string_lossy();
        if text.len() > 80 { format!("{}…", text.chars().take(40).collect::<String>()) } else { text.into_owned() }
    });
    std::iter::once(command.get_program().to_string_lossy().into_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}
