//! Where a command works: on an embedded log in a directory, or on Kafka; with which settings.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::config::{Config, CreateTopics, Effective, Flag, Origin, SETTINGS, Sources};
use crate::error::{Classified, ErrorClass};
use crate::log::kafka::{KafkaLog, KafkaSettings};
use crate::log::{Log, LogError};
use crate::state::StateDirectory;
use crate::time::{self, Clock, SystemClock};

use super::embedded::{Directory, Memory};
use super::failure::Usage;
use super::files;

/// Where the stores are on Kafka, unless somebody says otherwise.
const STATE_DIRECTORY: &str = "signalstream-state";

/// What brokers take by default: `message.max.bytes` is 1,048,588, some of which goes to framing.
const KAFKA_RECORD_BYTES: usize = 1_000_000;

/// How long the brokers are waited for at a time, between two looks at whether to stop.
const LONGEST_PING: Duration = Duration::from_secs(2);

/// Less than this and no broker could answer.
const SHORTEST_PING: Duration = Duration::from_millis(100);

/// How long to wait before the brokers are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Which log a command works on, and with which settings
#[derive(Args, Clone, Default)]
pub(super) struct LogArguments {
    /// The directory of an embedded log and its stores [env: SIGNALSTREAM_EMBEDDED]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Log")]
    embedded: Option<PathBuf>,

    /// The Kafka brokers: one or more, separated by commas [env: SIGNALSTREAM_KAFKA_BOOTSTRAP_SERVERS]
    #[arg(long, value_name = "HOST:PORT", global = true, help_heading = "Log", conflicts_with = "embedded")]
    bootstrap_servers: Option<String>,

    /// A file with settings (YAML); the environment is stronger, and options are the strongest
    #[arg(long, value_name = "FILE", env = "SIGNALSTREAM_CONFIG", global = true, help_heading = "Log")]
    config: Option<PathBuf>,

    /// Any setting, such as threads=2 or kafka.security.protocol=SSL; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", global = true, help_heading = "Log", value_parser = assignment)]
    settings: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as threads=2".to_owned()),
    }
}

/// A setting that an option of the command line gives.
pub(super) fn flag(flag: &str, setting: &str, value: impl ToString) -> Flag {
    Flag { setting: setting.to_owned(), value: value.to_string(), flag: flag.to_owned() }
}

impl LogArguments {
    /// The settings that hold: those of the file, of the environment, and of the command line, with `flags` of the
    /// command itself.
    pub(super) fn settings(&self, flags: Vec<Flag>) -> anyhow::Result<Effective> {
        let file = match &self.config {
            None => None,
            Some(path) => {
                let name = path.display().to_string();
                let text = files::text(path).with_context(|| format!("the configuration {name} cannot be read"))?;
                Some((name, text))
            }
        };
        // First, so that the options that have names of their own beat `--set`.
        let mut all: Vec<Flag> =
            self.settings.iter().map(|(name, value)| flag(&format!("--set {name}"), name, value)).collect();
        all.extend(self.embedded.iter().map(|path| flag("--embedded", "embedded", path.display())));
        let servers = self.bootstrap_servers.iter();
        all.extend(servers.map(|servers| flag("--bootstrap-servers", "kafka.bootstrap.servers", servers)));
        all.extend(flags);
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        let effective = Effective::load(&Sources { file, environment: &environment, flags: &all });
        effective.map_err(|error| match error {
            crate::config::ConfigError::File(diagnostics) => anyhow::Error::new(diagnostics),
            error => Usage::error(error.to_string()),
        })
    }

    /// No log, only the settings of a file.
    pub(super) fn of_file(config: Option<PathBuf>) -> LogArguments {
        LogArguments { config, ..LogArguments::default() }
    }

    /// The deployment that the options, the environment and the file describe.
    pub(super) fn deployment(&self) -> anyhow::Result<Deployment> {
        Deployment::new(self.settings(Vec::new())?)
    }
}

/// A log and the settings to work on it with.
#[derive(Clone)]
pub(super) struct Deployment {
    config: Config,
    /// Whether somebody said that schemas are registered, other than by leaving it at that.
    registers_schemas: bool,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Embedded(Directory),
    Kafka(KafkaSettings),
}

impl Deployment {
    /// The log that the settings name; an error of usage when they name none, or two.
    pub(super) fn new(effective: Effective) -> anyhow::Result<Deployment> {
        let servers = "kafka.bootstrap.servers";
        let (directory, kafka) = (effective.origin("embedded").clone(), effective.origin(servers).clone());
        let limited = effective.origin("max_record_bytes") != &Origin::Default;
        let mut config = effective.config.clone();
        let given = config.kafka.get("bootstrap.servers").is_some_and(|servers| !servers.trim().is_empty());
        let place = match &config.embedded {
            // What is said in a stronger place holds: an option beats a variable, a variable beats the file.
            Some(path) if !given || directory.strength() > kafka.strength() => Place::Embedded(Directory::new(path)),
            Some(_) if directory.strength() == kafka.strength() => {
                return Err(Usage::error(format!(
                    "an embedded log ({directory}) and Kafka brokers ({kafka}) are both given; leave one out"
                )));
            }
            _ if given => {
                if !limited {
                    config.max_record_bytes = KAFKA_RECORD_BYTES;
                }
                if config.create_topics == CreateTopics::Auto {
                    // Topics that people share have their owners, who say how large they are.
                    config.create_topics = CreateTopics::Internal;
                }
                Place::Kafka(kafka_settings(&config, &effective)?)
            }
            _ => {
                return Err(Usage::error(
                    "where is the log? Give the directory of an embedded one with --embedded DIR, or Kafka's brokers with \
                     --bootstrap-servers HOST:PORT",
                ));
            }
        };
        let registers_schemas = config.schema_registry_auto_register
            && effective.origin("schema_registry.auto_register") != &Origin::Default;
        Ok(Deployment { config, registers_schemas, place })
    }

    /// The settings.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether schemas that are missing are to be registered by who only writes records. The default of the setting is for
    /// applications, whose topics are their own.
    pub(super) fn registers_schemas(&self) -> bool {
        self.registers_schemas
    }

    /// Whether the log is an embedded one.
    pub(super) fn is_embedded(&self) -> bool {
        matches!(self.place, Place::Embedded(_))
    }

    /// Whether a topic that people write to may be created without being asked for.
    pub(super) fn creates_topics(&self) -> bool {
        matches!(self.config.create_topics, CreateTopics::Auto | CreateTopics::All)
    }

    /// Where it is, for messages.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Embedded(directory) => format!("the log in {}", directory.path().display()),
            Place::Kafka(_) => format!("Kafka at {}", self.config.kafka.get("bootstrap.servers").unwrap_or_default()),
        }
    }

    /// The options that lead another command here, for messages.
    pub(super) fn options(&self) -> String {
        match &self.place {
            Place::Embedded(directory) => format!("--embedded {}", directory.path().display()),
            Place::Kafka(_) => {
                format!("--bootstrap-servers {}", self.config.kafka.get("bootstrap.servers").unwrap_or_default())
            }
        }
    }

    /// Opens the log for reading and writing; makes an embedded one where there is none.
    pub(super) fn open_log(&self, memory: &Memory) -> anyhow::Result<Arc<dyn Log>> {
        self.open_unless(memory, || false)
    }

    /// The same; the wait for the brokers ends early when `stopped`.
    pub(super) fn open_unless(&self, memory: &Memory, stopped: impl Fn() -> bool) -> anyhow::Result<Arc<dyn Log>> {
        match &self.place {
            Place::Embedded(directory) => Ok(directory.open_log(memory)?),
            Place::Kafka(settings) => self.connect(settings, stopped),
        }
    }

    /// Opens the log for reading; an embedded one also beside a process that writes to it.
    pub(super) fn open_reader(&self) -> anyhow::Result<Arc<dyn Log>> {
        match &self.place {
            Place::Embedded(directory) => Ok(directory.open_reader()?),
            Place::Kafka(settings) => self.connect(settings, || false),
        }
    }

    /// Whether there is a log to be read.
    pub(super) fn has_log(&self) -> bool {
        match &self.place {
            Place::Embedded(directory) => directory.has_log(),
            Place::Kafka(_) => true,
        }
    }

    fn connect(&self, settings: &KafkaSettings, stopped: impl Fn() -> bool) -> anyhow::Result<Arc<dyn Log>> {
        let log = KafkaLog::open(settings.clone())?;
        self.patiently(stopped, |left| log.ping(left.clamp(SHORTEST_PING, LONGEST_PING)))?;
        Ok(log)
    }

    /// Tries until it succeeds, for as long as a start may wait for the brokers; `attempt` is told how long that still
    /// is. What cannot get better by waiting, such as a wrong password, is an error at once.
    pub(super) fn patiently<T, E>(
        &self,
        stopped: impl Fn() -> bool,
        mut attempt: impl FnMut(Duration) -> Result<T, E>,
    ) -> anyhow::Result<T>
    where
        E: Classified + std::error::Error + Send + Sync + 'static,
    {
        let (clock, limit) = (SystemClock::new(), self.config.startup_timeout);
        let mut told = false;
        loop {
            let error = match attempt(limit.saturating_sub(clock.elapsed())) {
                Ok(done) => return Ok(done),
                Err(error) if error.class() != ErrorClass::Retry => return Err(error.into()),
                Err(error) => error,
            };
            if clock.elapsed() >= limit || stopped() {
                return Err(anyhow!(
                    "{error} (gave up after {:.0?}; the setting `startup_timeout` says how long to try)",
                    clock.elapsed()
                ));
            }
            if !told {
                told = true;
                // Nobody may be there to read it.
                let _written = writeln!(io::stderr(), "{error}; trying again for {limit:.0?}");
            }
            time::pause(RETRY_INTERVAL.min(limit));
        }
    }

    /// Where the stores are.
    pub(super) fn state_path(&self) -> PathBuf {
        match (&self.config.state_directory, &self.place) {
            (Some(path), _) => path.clone(),
            (None, Place::Embedded(directory)) => directory.state_path(),
            (None, Place::Kafka(_)) => Path::new(STATE_DIRECTORY).to_owned(),
        }
    }

    /// Opens the state of one of several applications that share the limits of the process.
    pub(super) fn open_state(&self, application: &str, applications: usize) -> anyhow::Result<StateDirectory> {
        let memory = Memory::shared_by(&self.config, applications);
        memory.open_state(&self.state_path(), application)
    }
}

/// What the Kafka client is told.
fn kafka_settings(config: &Config, effective: &Effective) -> anyhow::Result<KafkaSettings> {
    let own = ["bootstrap.servers", "client.id"];
    let property = |name: &str| config.kafka.get(name).map(str::to_owned);
    let defaults = KafkaSettings::new(property(own[0]).unwrap_or_default());
    let others = config.kafka.iter().filter(|(name, _)| !own.contains(name));
    let settings = KafkaSettings {
        properties: others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        client_id: property(own[1]).unwrap_or(defaults.client_id.clone()),
        replication_factor: config.replication_factor.and_then(|factor| i32::try_from(factor).ok()),
        fetch_queue_bytes: config.fetch_queue_bytes,
        produce_queue_bytes: config.produce_queue_bytes,
        max_record_bytes: config.max_record_bytes,
        transaction_timeout: config.transaction_timeout,
        delivery_timeout: config.delivery_timeout,
        retry_backoff: config.retry_backoff,
        retry_backoff_max: config.retry_backoff_max,
        session_timeout: config.session_timeout,
        max_poll_interval: config.max_poll_interval,
        request_timeout: config.request_timeout,
        ..defaults
    };
    // A wrong setting is wrong usage, wherever it stands.
    settings.check().map_err(|error| match error {
        LogError::Setting { property, detail } if SETTINGS.iter().any(|setting| setting.name() == property) => {
            Usage::error(format!("{}: `{property}`: {detail}", effective.origin(&property)))
        }
        LogError::Setting { property, detail } => {
            let origin = effective.origin(&format!("kafka.{property}"));
            Usage::error(format!("{origin}: property `{property}` of the Kafka client: {detail}"))
        }
        error => error.into(),
    })?;
    Ok(settings)
}
