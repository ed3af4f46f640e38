//! A real schema registry: Apicurio Registry, by its implementation of Confluent's API, in memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::process::Process;
use super::proxy::Proxy;
use super::workspace::Workspace;
use super::{eventually, ports};

/// Longer than a start takes on a busy machine.
const START: Duration = Duration::from_secs(120);
/// Where Apicurio has Confluent's API.
const API: &str = "/apis/ccompat/v7";

/// A registry on a free loopback port, behind a proxy that can take it away. It ends with its value.
pub(crate) struct Registry {
    process: Process,
    port: u16,
    proxy: Proxy,
    _workspace: Workspace,
}

impl Registry {
    /// Starts one that holds nothing.
    pub(crate) fn start() -> Registry {
        let workspace = Workspace::new("registry");
        let port = ports::free_port();
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]);
        command.args([&format!("-Dquarkus.http.port={port}"), "-Dquarkus.http.host=127.0.0.1"]);
        command.args(["-Dquarkus.log.level=WARN", "-jar"]).arg(jar()).current_dir(workspace.path());
        let process = Process::spawn_alone("registry", &mut command, &workspace.join("registry.log"));
        let mut registry = Registry { process, port, proxy: Proxy::start(port), _workspace: workspace };
        eventually("the registry answers", START, || {
            registry.process.assert_running();
            registry.try_ask("GET", "/subjects", None).filter(|(status, _)| *status == 200)
        });
        registry
    }

    /// Its URL, through the proxy.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.proxy.port())
    }

    /// Its URL, whatever happens to the proxy.
    pub(crate) fn direct_url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// The URL of its own API, which is not Confluent's.
    pub(crate) fn own_url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/registry/v3", self.port)
    }

    /// What stands between it and its clients.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Registers a schema, and returns its id.
    pub(crate) fn register(&self, subject: &str, schema: &Json) -> u32 {
        let body = json!({ "schema": schema.to_string() });
        let answer = self.ask("POST", &format!("/subjects/{subject}/versions"), Some(&body));
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{subject}: {answer}"))).unwrap()
    }

    /// Asks it, and fails if it does not answer with success.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> Json {
        let (status, answer) = self.try_ask(method, path, body).expect("the registry does not answer");
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Asks it by hand: no code is shared with the client that is tested. `None` when it hangs up.
    pub(crate) fn try_ask(&self, method: &str, path: &str, body: Option<&Json>) -> Option<(u16, Json)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let body = body.map(Json::to_string).unwrap_or_default();
        let head = format!(
            "{method} {API}{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).unwrap_or(Json::Null)))
    }
}

/// A payload as Confluent's serializers write it: the id of the schema, and the value.
pub(crate) fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}

/// A topology of this name that copies what it reads as `Order` from `orders` to `copies`, as JSON; `more` has further lines of
/// it, which may begin with further sinks.
pub(crate) fn copying_orders(name: &str, more: &str) -> String {
    format!(
        "topology: {name}
defaults: {{key: string, dlq: failed}}
sources: {{orders: {{topic: orders, value: {{avro: Order}}}}}}
sinks:
  - {{from: orders, topic: copies, value: json}}
{more}"
    )
}

/// Apicurio Registry on this machine; fetched when it is not there yet.
fn jar() -> &'static Path {
    static JAR: OnceLock<PathBuf> = OnceLock::new();
    JAR.get_or_init(|| {
        let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registry/fetch");
        let output = Command::new("bash").arg(fetch).stdin(Stdio::null()).output().expect("bash did not start");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the registry could not be fetched: {errors}`bash .ci/setup tests` says more."
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}
