//! Ctrl-C and SIGTERM as a wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Set once somebody wants the process to stop.
#[derive(Clone)]
pub(super) struct StopRequest(Arc<AtomicBool>);

impl StopRequest {
    /// From now on the signals set the flag instead of ending the process; a second one ends it at once.
    pub(super) fn listen() -> anyhow::Result<StopRequest> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())
                .and_then(|_| flag::register(signal, stop.clone()))
                .with_context(|| format!("signal {signal} cannot be listened to"))?;
        }
        Ok(StopRequest(stop))
    }

    /// Whether the process is to stop.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
