//! Runs the binary as a user does, and checks what holds for every run: it ends, and nothing panics.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signalstream::serdes::SchemaRegistry;
use tempfile::TempDir;

/// Longer than any command of these tests takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Notes go on as they are, are shouted, and are counted by key. What fails is a dead letter with its bytes.
pub(crate) const NOTES: &str = "\
topology: notes
defaults: {key: string, dlq: dead}
sources:
  notes: {topic: notes, value: {avro: Note}}
streams:
  shouted:
    from: notes
    steps:
      - map_values: {text: value.text.upperAscii(), mood: value.mood}
tables:
  totals: {from: notes, aggregate: {n: count()}}
sinks:
  - {from: shouted, topic: copies, value: {avro: Note}}
  - {from: totals, topic: totals, value: json}
";

const NOTE: &str = r#"{"type": "record", "name": "Note", "namespace": "tests", "fields": [
  {"name": "text", "type": "string"},
  {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["good", "bad"]}, "default": "good"}]}"#;

/// The same record by a writer that knows more moods.
const NEWER_NOTE: &str = r#"{"type": "record", "name": "Note", "namespace": "newer", "fields": [
  {"name": "text", "type": "string"},
  {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["good", "bad", "mixed"]}}]}"#;

/// A temporary directory with `notes.yaml` and its schemas.
pub(crate) struct Place {
    directory: TempDir,
}

/// What became of a command.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory it had, in bytes; 0 when it ended before anybody looked.
    pub(crate) peak: u64,
}

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        place.write("notes.yaml", NOTES);
        fs::create_dir(place.path("schemas")).unwrap();
        place.write("schemas/Note.avsc", NOTE);
        place.write("schemas/NewerNote.avsc", NEWER_NOTE);
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Runs `signalstream` with these arguments, by white space.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        self.run_with(arguments, "")
    }

    /// Runs `signalstream` with these arguments and this input.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &str, input: impl AsRef<[u8]>) -> Ended {
        let mut command = self.command(env!("CARGO_BIN_EXE_signalstream"));
        command.args(arguments.split_whitespace());
        self.finish(command, input)
    }

    /// A command in this place.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).env_remove("RUST_LOG").env_remove("SIGNALSTREAM_EMBEDDED");
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn finish(&self, mut command: Command, input: impl AsRef<[u8]>) -> Ended {
        // Files, not pipes: nobody has to read while the command writes.
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        fs::write(path("in"), input).unwrap();
        command.stdin(File::open(path("in")).unwrap());
        command.stdout(File::create(path("out")).unwrap()).stderr(File::create(path("err")).unwrap());
        let mut child = command.spawn().unwrap();
        let (code, peak) = wait(&mut child);
        let text = |name: &str| String::from_utf8_lossy(&fs::read(path(name)).unwrap()).into_owned();
        let ended = Ended { code, stdout: text("out"), stderr: text("err"), peak };
        assert!(!ended.stderr.contains("panicked"), "{command:?}: {}", ended.stderr);
        ended
    }

    /// Produces lines to `notes`, runs the topology over the directory, and returns what `run` said.
    #[track_caller]
    pub(crate) fn produce_and_run(&self, data: &str, lines: &str) -> Ended {
        self.run_with(&format!("produce notes --topology notes.yaml --embedded {data}"), lines).success();
        self.run(&format!("run notes.yaml --until-end --embedded {data}")).success()
    }

    /// All records of a topic.
    #[track_caller]
    pub(crate) fn consume(&self, data: &str, topic: &str) -> Vec<Json> {
        let arguments = format!("consume {topic} --topology notes.yaml --from-beginning --embedded {data}");
        self.run(&arguments).success().lines()
    }
}

/// Starts a command that goes on until somebody ends it.
pub(crate) fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits for the end, and looks how much memory is taken meanwhile.
#[track_caller]
fn wait(child: &mut Child) -> (Option<i32>, u64) {
    let started = Instant::now();
    let mut peak = 0;
    loop {
        peak = peak.max(peak_memory(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak);
        }
        if started.elapsed() > TIMEOUT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command hangs");
        }
        thread::sleep(Duration::from_millis(4));
    }
}

fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1_024
}

impl Ended {
    #[track_caller]
    pub(crate) fn success(self) -> Ended {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// The command failed with this exit status, and said all of this on stderr or (a report) on stdout.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, said: &[&str]) -> Ended {
        let text = format!("{}{}", self.stdout, self.stderr);
        let shown: String = text.chars().take(2_000).collect();
        assert_eq!(self.code, Some(code), "{shown}");
        for part in said {
            assert!(text.contains(part), "`{part}` is missing in:\n{shown}");
        }
        self
    }

    /// The lines of stdout.
    pub(crate) fn lines(&self) -> Vec<Json> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The Avro payload of a note: the frame with the schema's id, then these bytes.
pub(crate) fn framed(schema: &str, body: &[u8]) -> Vec<u8> {
    let mut registry = SchemaRegistry::new();
    registry.add("Note.avsc", NOTE).unwrap();
    registry.add("NewerNote.avsc", NEWER_NOTE).unwrap();
    let mut payload = vec![0];
    payload.extend(registry.id(schema).unwrap().to_be_bytes());
    payload.extend(body);
    payload
}

/// A line with a good note.
pub(crate) fn good(key: &str, text: &str, timestamp: i64) -> String {
    format!(
        "{{\"topic\": \"notes\", \"key\": \"{key}\", \"value\": {{\"text\": \"{text}\", \"mood\": \"good\"}}, \
         \"timestamp\": {timestamp}}}\n"
    )
}
