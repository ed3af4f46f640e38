//! Where Kafka's jars are, and the command line of its JVM.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Apache Kafka on this machine; fetched when it is not there yet.
pub(crate) struct Kafka {
    class_path: String,
    /// The archive of loaded classes, if this JVM could make one.
    archive: Option<PathBuf>,
}

impl Kafka {
    /// Runs `tests/kafka/fetch`, once per process; it needs no network when the cache is filled.
    pub(crate) fn get() -> &'static Kafka {
        static KAFKA: OnceLock<Kafka> = OnceLock::new();
        KAFKA.get_or_init(|| {
            let output = Command::new("bash")
                .arg(directory().join("fetch"))
                .stdin(Stdio::null())
                .output()
                .expect("bash did not start");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "Kafka could not be fetched: {errors}`bash .ci/setup tests` says more.");
            let text = String::from_utf8(output.stdout).unwrap();
            let mut lines = text.lines();
            let mut jars: Vec<String> = std::fs::read_dir(lines.next().unwrap())
                .unwrap()
                .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
                .collect();
            // The order of `fetch`, or the archive is of no use.
            jars.sort();
            let archive = lines.next().filter(|line| !line.is_empty()).map(PathBuf::from);
            Kafka { class_path: jars.join(":"), archive }
        })
    }

    /// A JVM that starts fast rather than runs fast, up to the main class.
    pub(crate) fn java(&self, heap_megabytes: u32) -> Command {
        self.java_with(&["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"], heap_megabytes)
    }

    /// A JVM that runs as fast as it can, up to the main class.
    pub(crate) fn steady_java(&self, heap_megabytes: u32) -> Command {
        self.java_with(&["-XX:+UseG1GC"], heap_megabytes)
    }

    fn java_with(&self, options: &[&str], heap_megabytes: u32) -> Command {
        let mut command = Command::new("java");
        command.args(options).arg(format!("-Xmx{heap_megabytes}m"));
        if let Some(archive) = &self.archive {
            command.arg(format!("-XX:SharedArchiveFile={}", archive.display())).arg("-Xlog:disable");
        }
        command.arg(format!("-Dlog4j2.configurationFile={}", directory().join("log4j2.properties").display()));
        command.args(["-cp", &self.class_path]);
        command
    }
}

/// `tests/kafka/` of this checkout.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka")
}
