//! A Schema Registry with Confluent's API: where the schemas of others come from, and where ours are made known.
//!
//! Records name the schema they were written with by an id. What an id stands for is asked once, by a thread of its own
//! ([`WriterSchemas`]); until the answer is there, the record waits, and with it the partition that it came from. Whoever
//! starts an application or checks schemas talks to the registry himself ([`RegistryClient`]).

mod asking;
mod client;
mod error;
mod said;
mod settings;
mod subjects;
mod transport;
mod writers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::time::Clock;

pub use client::{Reference, RegisteredSchema, RegistryClient, SchemaText};
pub use error::RegistryError;
pub use settings::{Authentication, RegistrySettings};
pub use subjects::{Side, Subject};
pub(super) use writers::{Lookup, WriterId, WriterSchemas};
pub use writers::{SchemaWait, Waker};

/// A registry and what is known of it.
pub struct RemoteRegistry {
    settings: RegistrySettings,
    client: Arc<RegistryClient>,
    writers: WriterSchemas,
}

impl RemoteRegistry {
    /// A registry at the settings' URLs. Nothing is asked yet.
    ///
    /// # Errors
    /// When a setting cannot be used: a URL, a certificate.
    pub fn open(settings: RegistrySettings, clock: Arc<dyn Clock>) -> Result<Arc<RemoteRegistry>, RegistryError> {
        let client = Arc::new(RegistryClient::new(&settings)?);
        let writers = WriterSchemas::new(client.clone(), clock, settings.miss_ttl);
        Ok(Arc::new(RemoteRegistry { settings, client, writers }))
    }

    /// Asks the registry itself, and waits for the answer. Never for a stream thread (invariant I8).
    pub fn client(&self) -> &RegistryClient {
        &self.client
    }

    /// How it is used.
    pub fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// The subject under which the schema of a topic's keys or values stands. `record` is the full name of the schema.
    pub fn subject(&self, topic: &str, side: Side, record: &str) -> Subject {
        Subject::of(self.settings.strategy, topic, side, record)
    }

    /// The id of a schema under a subject, which is registered there first if it is missing and the settings allow it.
    /// `schema` is its name, for messages.
    ///
    /// # Errors
    /// [`RegistryError::Unregistered`] if it may not be registered, else what [`RegistryClient::register`] reports.
    pub fn announce(&self, subject: &Subject, schema: &str, text: &SchemaText) -> Result<u32, RegistryError> {
        match self.client.lookup(subject, text)? {
            Some(id) => Ok(id),
            None if self.settings.auto_register => self.client.register(subject, text),
            None => Err(RegistryError::Unregistered { schema: schema.to_owned(), subject: subject.to_string() }),
        }
    }

    /// The same registry for another application: whose records wait, and what has come, is for each by itself.
    #[must_use]
    pub fn apart(&self) -> Arc<RemoteRegistry> {
        let (settings, client) = (self.settings.clone(), self.client.clone());
        Arc::new(RemoteRegistry { settings, writers: self.writers.apart(), client })
    }

    /// The schemas that records wait for right now, the longest first. Empty: all is well.
    pub fn waits(&self) -> Vec<SchemaWait> {
        self.writers.waits()
    }

    /// Has `waker` called whenever a schema has come that a record waits for.
    pub fn wake(&self, waker: Waker) {
        self.writers.wake(waker);
    }

    /// Makes schemas known before a record asks for them: the latest versions of a subject. A subject that is not there
    /// is none.
    ///
    /// # Errors
    /// When the registry does not answer, or not as a registry does.
    pub fn prefetch(&self, subject: &Subject) -> Result<usize, RegistryError> {
        self.writers.prefetch(subject)
    }

    pub(super) fn writers(&self) -> &WriterSchemas {
        &self.writers
    }
}

impl std::fmt::Debug for RemoteRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteRegistry").field("settings", &self.settings).finish_non_exhaustive()
    }
}
