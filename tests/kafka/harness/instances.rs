//! Instances of `signalstream run`, each with a state directory of its own.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::workspace::tail;

/// The binary. Cargo tells it to the tests in this directory and to benchmarks; the library's own tests have the harness, too.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_signalstream");
/// Short, so that a paused instance is given up soon; the engine's default is 45 s.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// A graceful stop is bounded by the engine at 30 s.
const STOP: Duration = Duration::from_secs(40);

pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) state: PathBuf,
    log: PathBuf,
    topology: PathBuf,
    servers: String,
    settings: Vec<String>,
    /// How long its log was when it was started last.
    begins: usize,
    process: Option<Process>,
}

impl Instance {
    pub(crate) fn new(name: &str, directory: &Path, topology: &Path, servers: &str, settings: &[&str]) -> Instance {
        let session = format!("session_timeout={}s", SESSION_TIMEOUT.as_secs());
        // What a killed instance leaves open holds readers up for this long, unless it comes back.
        let mut all =
            vec![session, "transaction_timeout=10s".to_owned(), "kafka.heartbeat.interval.ms=1000".to_owned()];
        all.extend(settings.iter().map(|&setting| setting.to_owned()));
        Instance {
            name: name.to_owned(),
            state: directory.join(format!("state-{name}")),
            log: directory.join(format!("{name}.log")),
            topology: topology.to_owned(),
            servers: servers.to_owned(),
            settings: all,
            begins: 0,
            process: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY.expect("only tests of the binary start instances of it"));
        // No settings of whoever runs the tests.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIGNALSTREAM_")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").args(arguments).args(["--bootstrap-servers", &self.servers]);
        command
    }

    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        let mut command = self.command(&["run", self.topology.to_str().unwrap(), "--log-level", "info"]);
        command.arg("--state-dir").arg(&self.state);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        self.begins = self.log().len();
        self.process = Some(Process::spawn_alone(&self.name, &mut command, &self.log));
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.assert_running();
        self.process().kill();
        self.process = None;
    }

    /// SIGTERM; the instance must end in good order, with status 0, unless it was only just started and does not listen
    /// yet. Returns how long that took.
    pub(crate) fn stop(&mut self) -> Duration {
        self.assert_running();
        let started = std::time::Instant::now();
        let status = self.process().terminate(STOP);
        let unheard = status.signal().is_some() && self.log().len() == self.begins;
        assert!(
            status.success() || unheard,
            "{} was stopped and ended with {status}:\n{}",
            self.name,
            tail(&self.log, 40)
        );
        self.process = None;
        started.elapsed()
    }

    pub(crate) fn pause(&mut self) {
        self.assert_running();
        self.process().pause();
    }

    pub(crate) fn resume(&mut self) {
        self.process().resume();
    }

    /// Fails when an instance that nobody stopped has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(process) = &mut self.process {
            process.assert_running();
        }
    }

    /// The memory that the instance holds, in bytes.
    pub(crate) fn resident(&mut self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process().id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// What the instance has logged, all its lives together.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What the instance has logged since it was started last.
    pub(crate) fn present_log(&self) -> String {
        self.log().get(self.begins..).unwrap_or_default().to_owned()
    }

    /// The warnings and errors among what the instance has logged after its first `skip` bytes.
    pub(crate) fn complaints(&self, skip: usize) -> Vec<String> {
        let log = self.log();
        let new = log.get(skip..).unwrap_or_default();
        let complaints = new.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
        // Of librdkafka on its own settings, once per client.
        complaints.filter(|line| !line.contains("CONFWARN")).map(str::to_owned).collect()
    }

    /// The tasks that the instance has opened so far, in order, such as `0_2`.
    pub(crate) fn opened(&self) -> Vec<String> {
        let log = self.log();
        let opened = log.lines().filter(|line| line.contains("task opened"));
        opened
            .filter_map(|line| {
                let (_, rest) = line.split_once("task=")?;
                Some(rest.split_whitespace().next()?.to_owned())
            })
            .collect()
    }

    /// The tasks that the instance has at the moment.
    pub(crate) fn tasks(&self) -> BTreeSet<String> {
        let mut tasks = BTreeSet::new();
        for line in self.present_log().lines() {
            let named = line.split_once("task=").and_then(|(_, rest)| rest.split_whitespace().next());
            let Some(task) = named else { continue };
            if line.contains("task opened") {
                tasks.insert(task.to_owned());
            } else if line.contains("task closed") {
                tasks.remove(task);
            }
        }
        tasks
    }

    /// How many changelog records the tasks restored that were opened after its first `skip` bytes of log.
    pub(crate) fn restored(&self, skip: usize) -> u64 {
        let log = self.log();
        let counts = log[skip..].lines().filter(|line| line.contains("task opened")).map(|line| {
            let (_, count) = line.split_once("restored=").unwrap_or_else(|| panic!("no count in {line}"));
            count.trim().parse::<u64>().unwrap_or_else(|_| panic!("no number in {line}"))
        });
        counts.sum()
    }

    /// Compares the stores in the instance's directory with their changelogs, by the engine's own command.
    pub(crate) fn verify_stores(&self) {
        let mut command = self.command(&["stores", "verify", "--topology", self.topology.to_str().unwrap()]);
        command.args(["--set", &format!("state.directory={}", self.state.display())]);
        let output = command.output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "the stores of {} differ from their changelogs:\n{out}\n{errors}", self.name);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        use std::io::Write;
        if std::thread::panicking() {
            let _ignored = writeln!(
                std::io::stderr(),
                "── the end of the log of instance {} ──\n{}",
                self.name,
                tail(&self.log, 25)
            );
        }
    }
}
