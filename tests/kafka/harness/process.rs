//! A process of a test, the leader of a process group of its own, with its output in a file. It ends with its value.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{reaper, workspace};

pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; what it prints is appended to the file `log`. Standard input is as the command says.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Path) -> Process {
        let output = OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.stdout(output);
        Process::spawn_with_output(name, command, log)
    }

    /// Like [`Process::spawn`], for a command that knows where its standard output goes; `log` gets its errors.
    pub(crate) fn spawn_with_output(name: &str, command: &mut Command, log: &Path) -> Process {
        let errors = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = command.stderr(errors).process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {:?} did not start: {error}", command.get_program()));
        reaper::watch(child.id());
        Process { name: name.to_owned(), child, log: log.to_owned(), ended: None }
    }

    /// Like [`Process::spawn`], without standard input.
    pub(crate) fn spawn_alone(name: &str, command: &mut Command, log: &Path) -> Process {
        Process::spawn(name, command.stdin(Stdio::null()), log)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The last lines of what the process printed.
    pub(crate) fn tail(&self, lines: usize) -> String {
        workspace::tail(&self.log, lines)
    }

    /// Sends a signal to the process and what it started; nothing happens when it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            let sent = kill_process_group(Pid::from_child(&self.child), signal);
            sent.unwrap_or_else(|error| panic!("{}: {signal:?} not sent: {error}", self.name));
        }
    }

    /// SIGSTOP: nothing of it runs until it is resumed; its connections stay open.
    pub(crate) fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, waited for.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        let status = self.ended.unwrap_or_else(|| self.child.wait().unwrap());
        self.note(status)
    }

    /// SIGTERM, then waits for the end. Fails when the process is still there after `within`.
    pub(crate) fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(within).unwrap_or_else(|| {
            panic!("{} did not end within {within:?} of SIGTERM. Its last lines:\n{}", self.name, self.tail(40))
        })
    }

    /// Waits for the end of the process, for at most `within`.
    pub(crate) fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if started.elapsed() > within {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            let status = self.child.try_wait().unwrap()?;
            self.note(status);
        }
        self.ended
    }

    /// Fails when the process has ended, with the last lines that it printed.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.exited() {
            let how = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
            panic!("{} has ended ({how}). Its last lines:\n{}", self.name, self.tail(40));
        }
    }

    fn note(&mut self, status: ExitStatus) -> ExitStatus {
        if self.ended.replace(status).is_none() {
            reaper::forget(self.child.id());
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
