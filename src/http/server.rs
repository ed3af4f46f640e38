//! Serves metrics and health.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::oneshot;

use super::Board;
use crate::metrics;

/// The upper bounds of the ranges by which commits are counted, in seconds.
const COMMIT_BUCKETS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0];

/// How often measurements are summed up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The recorder of this process: there can be one.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Why metrics and health cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not this machine's.
    #[error("{0}; choose another address or port")]
    Bind(#[source] io::Error),
    /// The system refused a thread or a socket.
    #[error("the server could not be started: {0}")]
    Start(#[source] io::Error),
    /// The recorder of metrics could not be set up.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(String),
}

/// Serves metrics and health until it is stopped.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts to listen. Port 0 lets the system choose one, which [`Server::address`] tells.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(address: SocketAddr, board: Arc<Board>) -> Result<Server, ServerError> {
        let recorder = recorder()?;
        let listener = TcpListener::bind(address).map_err(ServerError::Bind)?;
        listener.set_nonblocking(true).map_err(ServerError::Start)?;
        let address = listener.local_addr().map_err(ServerError::Start)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(ServerError::Start)?;
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let server = axum::serve(listener, routes(Shared { board, recorder: recorder.clone() }));
            tokio::select! {
                served = server.into_future() => served,
                never = upkeep(recorder) => never,
                // The sender is dropped at the latest when the process ends.
                _ = stopped => Ok(()),
            }
        };
        let thread = Builder::new().name("http".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve) {
                tracing::error!(%error, "metrics and health are not served any more; records still are processed");
            }
        });
        Ok(Server { address, stop, thread: thread.map_err(ServerError::Start)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes what is open.
    pub fn stop(self) {
        let Server { stop, thread, .. } = self;
        // A server that has failed does not listen for this either, and has said why.
        drop(stop);
        if thread.join().is_err() {
            tracing::error!("the server of metrics and health panicked");
        }
    }
}

#[derive(Clone)]
struct Shared {
    board: Arc<Board>,
    recorder: PrometheusHandle,
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(shared)
}

async fn show_metrics(State(shared): State<Shared>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.recorder.render()).into_response()
}

async fn health(State(shared): State<Shared>) -> Response {
    let health = shared.board.health();
    (status(health.alive), Json(health.to_json())).into_response()
}

async fn live(State(shared): State<Shared>) -> Response {
    let health = shared.board.health();
    (status(health.alive), Json(health.to_json())).into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    let health = shared.board.health();
    (status(health.ready), Json(health.to_json())).into_response()
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Sums up what was measured, which would pile up where nobody asks for metrics (I9).
async fn upkeep(recorder: PrometheusHandle) -> io::Result<()> {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        recorder.run_upkeep();
    }
}

/// The recorder, which is installed when it is first asked for.
fn recorder() -> Result<PrometheusHandle, ServerError> {
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let failed = |error: BuildError| ServerError::Recorder(error.to_string());
    let commits = Matcher::Full(metrics::COMMIT_SECONDS.name.to_owned());
    let recorder =
        PrometheusBuilder::new().set_buckets_for_metric(commits, &COMMIT_BUCKETS).map_err(failed)?.build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(|error| ServerError::Recorder(error.to_string()))?;
    metrics::describe();
    *installed = Some(handle.clone());
    Ok(handle)
}
