//! The short way to start an application from a program.

use std::path::Path;
use std::sync::Arc;

use super::{Application, ApplicationOptions, RuntimeError};
use crate::config::CreateTopics;
use crate::log::embedded::EmbeddedLog;
use crate::log::kafka::{KafkaLog, KafkaSettings};
use crate::state::{StateDirectory, StateOptions};
use crate::time::SystemClock;
use crate::topology::plan::Topology;

impl Application {
    /// Runs a topology on an embedded log, whose topics are created where they are missing. The stores are kept under
    /// `state`.
    ///
    /// ```
    /// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
    /// use signalstream::log::embedded::{EmbeddedLog, EmbeddedOptions};
    /// use signalstream::runtime::{Application, ApplicationOptions};
    ///
    /// let builder = StreamsBuilder::new("shout");
    /// builder
    ///     .stream("words", Consumed::with(Serdes::string().nullable(), Serdes::string()))
    ///     .map_values(|word| word.to_uppercase())
    ///     .to("shouts", Produced::with(Serdes::string().nullable(), Serdes::string()));
    /// let topology = builder.build()?;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let log = EmbeddedLog::open(&directory.path().join("log"), EmbeddedOptions::default())?;
    /// let options = ApplicationOptions::default();
    /// let application = Application::embedded(&topology, log, &directory.path().join("state"), &options)?;
    /// application.wait_until_caught_up(|_| true)?;
    /// application.stop()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the state directory cannot be opened, or what [`Application::start`] reports.
    pub fn embedded(
        topology: &Topology,
        log: Arc<EmbeddedLog>,
        state: &Path,
        options: &ApplicationOptions,
    ) -> Result<Application, RuntimeError> {
        let state = StateDirectory::open(state, &topology.name, StateOptions::default())?;
        Application::start(topology, log, state, Arc::new(SystemClock::new()), options)
    }

    /// Runs a topology on Kafka. Of the topics that are missing, the engine's own are created, and no others unless
    /// `options.create_topics` says so. The stores are kept under `state`, which one process at a time may use.
    ///
    /// ```no_run
    /// use std::path::Path;
    ///
    /// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
    /// use signalstream::log::kafka::KafkaSettings;
    /// use signalstream::runtime::{Application, ApplicationOptions};
    ///
    /// let builder = StreamsBuilder::new("shout");
    /// builder
    ///     .stream("words", Consumed::with(Serdes::string(), Serdes::string()))
    ///     .map_values(|word| word.to_uppercase())
    ///     .to("shouts", Produced::with(Serdes::string(), Serdes::string()));
    ///
    /// let settings = KafkaSettings::new("localhost:9092");
    /// let options = ApplicationOptions::default();
    /// let application = Application::kafka(&builder.build()?, settings, Path::new("./state"), &options)?;
    /// application.wait(|| true); // until it fails, or the closure gives false
    /// application.stop()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When settings are wrong, the brokers do not answer, the state directory cannot be opened, or what
    /// [`Application::start`] reports.
    pub fn kafka(
        topology: &Topology,
        settings: KafkaSettings,
        state: &Path,
        options: &ApplicationOptions,
    ) -> Result<Application, RuntimeError> {
        let mut options = options.clone();
        if options.create_topics == CreateTopics::Auto {
            // Topics that people share have their owners, who say how large they are.
            options.create_topics = CreateTopics::Internal;
        }
        let timeout = settings.request_timeout;
        let log = KafkaLog::open(settings)?;
        log.ping(timeout)?;
        let state = StateDirectory::open(state, &topology.name, StateOptions::default())?;
        Application::start(topology, log, state, Arc::new(SystemClock::new()), &options)
    }
}
