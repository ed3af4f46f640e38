//! The options of `run` that are settings: each beats the environment and the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::Flag;
use crate::time::{format_duration, parse_duration};

use super::super::deployment::flag;
use super::super::drive::Switch;

/// Settings, for which there are also variables and a file
#[derive(Args)]
pub(super) struct SettingArguments {
    /// Stream threads of each topology [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Time between commits [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    commit_interval: Option<Duration>,

    /// Time between two cleanings of an embedded log: what retention and compaction no longer keep is deleted, by the
    /// records' own timestamps [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    clean_interval: Option<Duration>,

    /// Hand on aggregates and tables once per key and commit (on), or at every update (off) [default: on]
    #[arg(long)]
    cache: Option<Switch>,

    /// Where the stores are [default: DIR/state on the embedded log, ./signalstream-state on Kafka]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Create all topics that are missing; without it, on Kafka, only the engine's own
    #[arg(long)]
    create_topics: bool,

    /// Where metrics and health are to be had, such as 127.0.0.1:8080 [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,

    /// How long to wait for the brokers at the start [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    startup_timeout: Option<Duration>,
}

/// Reads a duration that is not zero.
fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        0 => Err("expected a duration longer than nothing, such as 100ms".to_owned()),
        millis => Ok(Duration::from_millis(millis.unsigned_abs())),
    }
}

impl SettingArguments {
    /// The settings that were given.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let time = |duration: Duration| format_duration(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        let cache = self.cache.map(|cache| if cache == Switch::On { "on" } else { "off" });
        let given = [
            self.threads.map(|threads| flag("--threads", "threads", threads)),
            self.commit_interval.map(|interval| flag("--commit-interval", "commit_interval", time(interval))),
            self.clean_interval.map(|interval| flag("--clean-interval", "clean_interval", time(interval))),
            cache.map(|cache| flag("--cache", "caching", cache)),
            self.state_dir.as_ref().map(|path| flag("--state-dir", "state.directory", path.display())),
            self.create_topics.then(|| flag("--create-topics", "topics.create", "all")),
            self.http.map(|address| flag("--http", "http.listen", address)),
            self.startup_timeout.map(|timeout| flag("--startup-timeout", "startup_timeout", time(timeout))),
        ];
        given.into_iter().flatten().collect()
    }
}
