//! Metrics and health of a running process.

#[path = "../kafka/harness/http.rs"]
mod client;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{assert_success, run, signalstream, with_counts};

/// A process that serves metrics and health; it is killed when it is still there at the end.
struct Running {
    process: Child,
    address: String,
}

impl Running {
    fn start(directory: &Path) -> Running {
        let arguments = ["run", "counts.yaml", "--embedded", "data", "--http", "127.0.0.1:0"];
        let mut process = signalstream(directory).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the process says where it listens").unwrap();
            if let Some(address) = client::address(&format!("{line}\n")) {
                break address;
            }
        };
        // What else it says must have a reader.
        thread::spawn(move || lines.for_each(drop));
        Running { process, address }
    }

    /// The status and the body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        client::get(&self.address, path)
    }

    fn health(&self) -> Json {
        serde_json::from_str(&self.get("/health").1).unwrap()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < Duration::from_secs(60), "never {what}: {}", self.health());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

#[test]
fn health_and_metrics_say_what_the_process_does_and_sigterm_ends_it_well() {
    let directory = with_counts();
    let input = "{\"key\": \"a\", \"value\": 1}\n{\"key\": \"a\", \"value\": 1}\n";
    let produce = ["produce", "orders", "--topology", "counts.yaml", "--embedded", "data"];
    assert_success(&run(directory.path(), &produce, input));
    let mut running = Running::start(directory.path());
    running.wait_until("ready", || running.get("/health/ready").0 == 200);
    running.wait_until("without lag", || {
        let health = running.health();
        health["lag"] == 0 && health["tasks_running"] == 1 && running.get("/metrics").1.contains("records_in_total")
    });
    let health = running.health();
    assert_eq!((&health["status"], &health["kafka_ready"]), (&Json::from("running"), &Json::from(true)), "{health}");
    assert!(health["timestamp"].as_i64().unwrap() > 1_500_000_000_000);
    assert_eq!(running.get("/health/live").0, 200);
    assert_eq!(running.get("/nothing").0, 404);

    let (status, metrics) = running.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "signalstream_records_in_total{application=\"counts\",task=\"0_0\"} 2",
        "signalstream_lag_records{application=\"counts\",task=\"0_0\",topic=\"orders\",partition=\"0\"} 0",
        "signalstream_tasks{application=\"counts\",state=\"running\"} 1",
        "signalstream_thread_state{application=\"counts\",thread=\"counts-0\",state=\"running\"} 1",
        "# TYPE signalstream_commit_seconds histogram",
        "# HELP signalstream_lag_records Offsets of an input partition that are still to be processed",
        "signalstream_build_info{version=",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("signalstream_process_resident_memory_bytes") > 1_000_000.0);
    assert!(value("signalstream_uptime_seconds") > 0.0);

    let stopped = Command::new("kill").args(["-TERM", &running.process.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(running.process.wait().unwrap().success(), "a stop on SIGTERM is a success");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let directory = with_counts();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(directory.path(), &["run", "counts.yaml", "--embedded", "data", "--http", &address], "");
    assert_eq!(output.status.code(), Some(1));
    for part in [address.as_str(), "choose another"] {
        assert!(super::stderr(&output).contains(part), "{part} in {}", super::stderr(&output));
    }
}

#[test]
fn an_address_counts_once_its_whole_line_is_there() {
    let line = "metrics and health on http://127.0.0.1:8081";
    assert_eq!(client::address(&format!("noise\n{line}")), None);
    assert_eq!(client::address(&format!("{line}\n{line}2\n{line}")).as_deref(), Some("127.0.0.1:80812"));
}
