//! HTTP to a registry: several URLs, each tried in turn; attempts with a growing pause in between; nothing larger than a
//! schema may be.
//!
//! This is the one place that names the HTTP client.

use std::error::Error;
use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, StatusCode, Url};
use serde_json::Value as Json;

use super::said::Secrets;
use super::{Authentication, RegistryError, RegistrySettings};
use crate::time::{self, Clock, SystemClock};

/// The most that is read of an answer.
const MAX_ANSWER: usize = 16 << 20;
/// How much of it is read at once.
const PIECE: usize = 16 << 10;
/// The most that is read of a file with certificates.
const MAX_FILE: u64 = 1 << 20;
/// The pause after the first attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest that a URL is left alone because its server asked for that.
const LONGEST_LEFT_ALONE: Duration = Duration::from_secs(60);
/// How much is shown of what a registry says, in characters, and of what anything else does.
const SHOWN_OF_REGISTRY: usize = 2_000;
const SHOWN_OF_OTHERS: usize = 200;
/// How registries want to be talked to; they take plain JSON, too.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A connection to a registry; made when it is needed, kept for the next question.
pub(super) struct Transport {
    endpoints: Vec<Endpoint>,
    /// The URL that answered last.
    preferred: AtomicUsize,
    authentication: Authentication,
    secrets: Secrets,
    attempts: usize,
    timeout: Duration,
    clock: SystemClock,
}

/// One of the URLs.
struct Endpoint {
    url: Url,
    client: Client,
    /// Until when its server wants to be left alone (`Retry-After`), in milliseconds of the clock.
    alone_until: AtomicU64,
}

/// What is asked: the parts of the path, and what is sent.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Sent by POST; `None`: by GET.
    pub(super) body: Option<&'a Json>,
    /// The number of the URL that is asked first; `None`: the one that answered last.
    pub(super) first: Option<usize>,
}

/// An answer that is no success.
pub(super) struct Refusal {
    pub(super) url: String,
    pub(super) status: u16,
    /// The registry's own code; 0 where it gave none.
    pub(super) code: i64,
    pub(super) message: String,
    /// What came of the URLs that were to be asked before, where they gave no answer; empty: there were none.
    pub(super) unheard: Vec<String>,
}

impl Transport {
    /// Connects to nothing yet.
    pub(super) fn new(settings: &RegistrySettings) -> Result<Transport, RegistryError> {
        let urls: Vec<Url> = settings.urls.iter().map(|url| parse(url)).collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(RegistryError::Setting("`schema_registry.url` names no URL".to_owned()));
        }
        // Another part of the program may have chosen one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (authentication, attempts) = (settings.authentication.clone(), settings.attempts.max(1));
        let secrets = Secrets::new(settings, &urls);
        // A proxy of the environment is for what lies beyond this machine.
        let mut clients: [Option<Client>; 2] = [None, None];
        let mut endpoints = Vec::new();
        let needs_system = settings.ca_file.is_none() && urls.iter().any(|url| url.scheme() != "http");
        for url in urls {
            let own = is_loopback(&url);
            let [beyond, inside] = &mut clients;
            let known = if own { inside } else { beyond };
            let client = match known {
                Some(client) => client.clone(),
                None => known.insert(client(settings, needs_system, own)?).clone(),
            };
            endpoints.push(Endpoint { url, client, alone_until: AtomicU64::new(0) });
        }
        let (timeout, clock) = (settings.timeout, SystemClock::new());
        Ok(Transport { endpoints, preferred: AtomicUsize::new(0), authentication, secrets, attempts, timeout, clock })
    }

    /// Asks, with pauses in between, until there is an answer or the attempts are used up. Servers that want to be left alone
    /// for a moment are; if it is longer, that is what is reported.
    pub(super) fn ask(&self, question: Question<'_>) -> Result<Result<Json, Refusal>, RegistryError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let alone = self.left_alone();
            if alone <= LONGEST_PAUSE {
                time::pause(alone);
            }
            match self.ask_once(question) {
                Err(RegistryError::Away(_)) if attempt < self.attempts => {
                    time::pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    attempt += 1;
                }
                answered => return answered,
            }
        }
    }

    /// The number of the URL that answered last.
    pub(super) fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// How many URLs there are.
    pub(super) fn urls(&self) -> usize {
        self.endpoints.len()
    }

    /// For how long yet no URL may be asked, because all their servers want to be left alone.
    fn left_alone(&self) -> Duration {
        let now = self.clock.elapsed();
        self.endpoints.iter().map(|endpoint| endpoint.left_alone(now)).min().unwrap_or_default()
    }

    /// Asks at each URL once, beginning with the one that answered last, until one answers as a registry does. If none does
    /// and one is away, that is what is reported: it may come back. Nobody is asked if all want to be left alone.
    pub(super) fn ask_once(&self, question: Question<'_>) -> Result<Result<Json, Refusal>, RegistryError> {
        let first = question.first.unwrap_or_else(|| self.preferred());
        let alone = self.left_alone();
        if alone > Duration::ZERO {
            let urls = self.endpoints.iter().map(|endpoint| shown(&endpoint.url)).collect::<Vec<_>>().join(", ");
            return Err(RegistryError::Busy { urls, seconds: seconds(alone) });
        }
        let (mut unheard, mut other, mut any_away) = (Vec::new(), None, false);
        for turn in 0..self.endpoints.len() {
            let number = (first + turn) % self.endpoints.len();
            let Some(endpoint) = self.endpoints.get(number) else { continue };
            match self.ask_at(endpoint, question) {
                Err(RegistryError::Away(detail)) => {
                    any_away = true;
                    unheard.push(detail);
                }
                Err(error) => {
                    unheard.push(error.to_string());
                    other.get_or_insert(error);
                }
                Ok(answered) => {
                    // Who asks for an opinion does not change whom the others ask, unless he finds what he looks for.
                    if question.first.is_none() || answered.is_ok() {
                        self.preferred.store(number, Ordering::Relaxed);
                    }
                    return Ok(answered.map_err(|refusal| Refusal { unheard, ..refusal }));
                }
            }
        }
        Err(other.filter(|_| !any_away).unwrap_or_else(|| RegistryError::Away(unheard.join("; "))))
    }

    fn ask_at(&self, endpoint: &Endpoint, question: Question<'_>) -> Result<Result<Json, Refusal>, RegistryError> {
        if let Some(part) = question.path.iter().find(|part| matches!(**part, "." | ".." | "")) {
            let message = format!("a subject cannot be named `{part}`: no path of the schema registry leads there");
            return Err(RegistryError::Setting(message));
        }
        let (mut url, shown, asked) = (endpoint.url.clone(), shown(&endpoint.url), self.clock.elapsed());
        let alone = endpoint.left_alone(asked);
        if alone > Duration::ZERO {
            let seconds = seconds(alone);
            return Err(RegistryError::Away(format!("{shown} wants to be left alone for another {seconds}s")));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(question.path);
        }
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(question.query);
        }
        let request = match question.body {
            None => endpoint.client.get(url),
            Some(body) => endpoint.client.post(url).header("Content-Type", CONTENT_TYPE).body(body.to_string()),
        };
        // Of a request, it is the time until the end of its answer; of a client, that until each piece of it.
        let request = request.timeout(self.timeout);
        let request = self.authenticated(request.header("Accept", format!("{CONTENT_TYPE}, application/json")));
        let response = request.send().map_err(|error| RegistryError::Away(format!("{shown}: {}", explain(&error))))?;
        if let Some(alone) = wants_to_be_left_alone(response.status(), response.headers()) {
            let until = self.clock.elapsed() + alone;
            endpoint.alone_until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.answer(&shown, response, asked)
    }

    fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authentication {
            Authentication::None => request,
            Authentication::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
            Authentication::Bearer(token) => request.bearer_auth(token.reveal()),
        }
    }

    /// Reads what a registry said to what it was asked at a time of the clock.
    fn answer(
        &self,
        url: &str,
        mut response: Response,
        asked: Duration,
    ) -> Result<Result<Json, Refusal>, RegistryError> {
        let status = response.status();
        if let StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN = status {
            return Err(RegistryError::Refused { url: url.to_owned(), status: status.as_u16() });
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = Url::parse(url).and_then(|base| base.join(to));
            let to = to.map_or_else(|_| "elsewhere".to_owned(), |to| format!("to {}", shown(&to)));
            let detail = format!("it redirects {to} (status {}), which is not followed", status.as_u16());
            return Err(RegistryError::Malformed { url: url.to_owned(), detail });
        }
        let bytes = self.body(url, &mut response, asked)?;
        let json = serde_json::from_slice::<Json>(&bytes);
        if status.is_success() {
            let malformed = |error: serde_json::Error| RegistryError::Malformed {
                url: url.to_owned(),
                detail: format!("its answer is not JSON: {error}"),
            };
            return match json.map_err(malformed)? {
                answer @ (Json::Object(_) | Json::Array(_)) => Ok(Ok(answer)),
                _ => {
                    let detail = "its answer is neither an object nor a list".to_owned();
                    Err(RegistryError::Malformed { url: url.to_owned(), detail })
                }
            };
        }
        let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if busy || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            return Err(RegistryError::Away(format!("{url}: status {}{}", status.as_u16(), self.said(&bytes))));
        }
        // Who answers without a registry's error is a proxy, or some other server.
        let json = json.unwrap_or_default();
        let (Some(code), message) = (json["error_code"].as_i64(), json["message"].as_str()) else {
            let detail = format!("status {}{}", status.as_u16(), self.said(&bytes));
            return Err(RegistryError::Malformed { url: url.to_owned(), detail });
        };
        let message = self.cleaned(message.unwrap_or_default());
        Ok(Err(Refusal { url: url.to_owned(), status: status.as_u16(), code, message, unheard: Vec::new() }))
    }

    /// What a registry says, for messages.
    pub(super) fn cleaned(&self, text: &str) -> String {
        self.secrets.cleaned(text, SHOWN_OF_REGISTRY)
    }

    /// The beginning of what some server said, for messages.
    fn said(&self, bytes: &[u8]) -> String {
        let text = self.secrets.cleaned(&String::from_utf8_lossy(bytes), SHOWN_OF_OTHERS);
        if text.is_empty() { text } else { format!(", {text}") }
    }

    /// The whole of an answer to what was asked at a time of the clock.
    fn body(&self, url: &str, response: &mut Response, asked: Duration) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let in_time = || self.clock.elapsed().saturating_sub(asked) <= self.timeout;
            let count = response.read(&mut piece).map_err(|error| {
                let cause = causes(error.source());
                RegistryError::Away(match (in_time() && error.kind() != ErrorKind::TimedOut, cause.is_empty()) {
                    (false, _) => format!("{url}: the answer does not end"),
                    (true, true) => format!("{url}: the answer broke off: {}", error.kind()),
                    (true, false) => format!("{url}: the answer broke off: {cause}"),
                })
            })?;
            bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
            if bytes.len() > MAX_ANSWER {
                return Err(RegistryError::TooLarge { url: url.to_owned(), limit: MAX_ANSWER as u64 });
            }
            if count == 0 {
                return Ok(bytes);
            }
            if !in_time() {
                return Err(RegistryError::Away(format!("{url}: the answer does not end")));
            }
        }
    }
}

impl Endpoint {
    fn left_alone(&self, now: Duration) -> Duration {
        Duration::from_millis(self.alone_until.load(Ordering::Relaxed)).saturating_sub(now)
    }
}

/// For how long a server that has too much to do, or is not ready, wants to be left alone.
fn wants_to_be_left_alone(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if ![StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
        return None;
    }
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_LEFT_ALONE))
}

/// Makes the connections to the URLs on this machine (`own`), or to others.
fn client(settings: &RegistrySettings, needs_system: bool, own: bool) -> Result<Client, RegistryError> {
    let agent = concat!("signalstream/", env!("CARGO_PKG_VERSION"));
    let mut builder = Client::builder().timeout(settings.timeout).connect_timeout(settings.timeout).user_agent(agent);
    // A redirected POST would become a GET, another question.
    builder = builder.redirect(Policy::none());
    if own {
        builder = builder.no_proxy();
    }
    // Those of the system are looked for only where they are needed: not every machine has some.
    if let Some(path) = &settings.ca_file {
        let found = Certificate::from_pem_bundle(&file(path, "schema_registry.ca_file")?);
        let certificates = found.map_err(|error| unusable("schema_registry.ca_file", path, &explain(&error)))?;
        if certificates.is_empty() {
            return Err(unusable("schema_registry.ca_file", path, "there is no certificate in it"));
        }
        builder = builder.tls_certs_only(certificates);
    } else if !needs_system {
        builder = builder.tls_certs_only(Vec::new());
    }
    if let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file) {
        let mut pem = file(certificate, "schema_registry.certificate_file")?;
        pem.push(b'\n');
        pem.extend(file(key, "schema_registry.key_file")?);
        let identity = Identity::from_pem(&pem);
        let identity =
            identity.map_err(|error| unusable("schema_registry.certificate_file", certificate, &explain(&error)))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| {
        RegistryError::Setting(format!("connections to the schema registry cannot be made: {}", explain(&error)))
    })
}

/// Whether a URL leads to this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

fn parse(url: &str) -> Result<Url, RegistryError> {
    let wrong = |problem: &str| RegistryError::Setting(format!("`schema_registry.url`: {problem}"));
    // What is wrong with it may be a password in it, so it is not shown.
    let parsed =
        Url::parse(url).map_err(|error| wrong(&format!("{error}; write one such as http://localhost:8081")))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(wrong("expected a URL such as http://localhost:8081"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong(
            "it has a user in it; give `schema_registry.username` and `schema_registry.password` instead",
        ));
    }
    Ok(parsed)
}

fn file(path: &Path, setting: &str) -> Result<Vec<u8>, RegistryError> {
    let size = std::fs::metadata(path).map_err(|error| unusable(setting, path, &error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(unusable(setting, path, &format!("it has {size} bytes; certificates have at most {MAX_FILE}")));
    }
    std::fs::read(path).map_err(|error| unusable(setting, path, &error.to_string()))
}

fn unusable(setting: &str, path: &Path, problem: &str) -> RegistryError {
    RegistryError::Setting(format!("`{setting}`: {} cannot be used: {problem}", path.display()))
}

/// An error and its causes, without the URL, which is said beside it.
fn explain(error: &reqwest::Error) -> String {
    let causes = causes(error.source());
    // What the error says of itself has the whole URL in it.
    match (error.is_timeout(), causes.is_empty()) {
        (true, true) => "no answer in time".to_owned(),
        (true, false) => format!("no answer in time: {causes}"),
        (false, true) => "the connection failed".to_owned(),
        (false, false) => causes,
    }
}

/// An error and its causes, each said once.
fn causes(mut cause: Option<&(dyn Error + 'static)>) -> String {
    let mut text = String::new();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        cause = error.source();
    }
    text
}

/// A time in seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
